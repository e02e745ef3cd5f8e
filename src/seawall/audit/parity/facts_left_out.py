"""The one list of facts that are not compared, each with its reason. ``docs/parity.md`` prints it."""

import re
from typing import Any, Final, NamedTuple

NOT_YET: Final = "not yet: liquidation and bankruptcy come in a later milestone"
_NEWER: Final = "a later version: "


class LeftOut(NamedTuple):
    """Facts left out: of these functions (a pattern), of these versions, asserted by these tests (a pattern)."""

    functions: str
    versions: tuple[str, ...]
    tests: str
    reason: str


ALL: Final = ("both", "head", "2024-08")
HEAD: Final = ("head",)

LEFT_OUT: Final[tuple[LeftOut, ...]] = (
    LeftOut(r"calculate_borrow_rate.*", HEAD, r".*", f"{_NEWER}a rate curve of six segments; v2.84.0 has one kink"),
)


def left_out(function: str, version: str, source: str, inputs: dict[str, Any]) -> LeftOut | None:
    """The entry that leaves a fact out, or None if it is compared."""
    test = source.rpartition("::")[2].partition(" @")[0]
    for entry in LEFT_OUT:
        if version in entry.versions and re.fullmatch(entry.functions, function) and re.fullmatch(entry.tests, test):
            return entry
    return None
