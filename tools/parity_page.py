"""Write the tables of docs/parity.md from the lists that the parity command goes by.

python tools/parity_page.py            rewrite docs/parity.md
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from seawall.audit.parity.facts_left_out import LEFT_OUT, LeftOut
from seawall.audit.parity.unmodelled import UNMODELLED_EVENT_FIELDS, UNMODELLED_EVENTS, UNMODELLED_FIELDS
from seawall.audit.parity.velocity.left_out import VELOCITY_LEFT_OUT

PAGE = Path(__file__).resolve().parents[1] / "docs/parity.md"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _fields(pattern: str) -> str:
    """A pattern of field paths as a reader writes it: alternatives apart, N for a number, * for the rest."""
    readable = []
    for text in re.split(r"\|(?![^(]*\))", pattern):
        for old, new in ((r"\d+", "N"), (r"\.", "."), (".*", "*"), ("|", "/")):
            text = text.replace(old, new)
        readable.append(f"`{text}`")
    return ", ".join(readable)


def unmodelled_table() -> str:
    """The recorded fields that are not modelled."""
    return _table(("record", "fields", "why"), ((name, _fields(p), why) for name, p, why in UNMODELLED_FIELDS))


def events_table() -> str:
    """The recorded events and fields of events that are not modelled."""
    rows = [(name, _fields(pattern), why) for name, pattern, why in UNMODELLED_EVENT_FIELDS]
    rows += [(name, "the whole event", why) for name, why in UNMODELLED_EVENTS.items()]
    return _table(("event", "fields", "why"), rows)


def _which(entry: LeftOut) -> str:
    parts = [", ".join(entry.versions)]
    if entry.tests:
        parts.append("of " + ", ".join(f"`{test}`" for test in entry.tests))
    if entry.where:
        parts.append(f"with `{entry.where}`")
    return "; ".join(parts)


def left_out_table() -> str:
    """The facts that are not compared."""
    return _table(
        ("function", "facts", "why"),
        ((f"`{name}`", _which(entry), entry.reason) for entry in LEFT_OUT for name in entry.functions),
    )


def velocity_left_out_table() -> str:
    """The facts of Velocity that are not compared; they name no version."""
    return _table(
        ("function", "why"), ((f"`{name}`", entry.reason) for entry in VELOCITY_LEFT_OUT for name in entry.functions)
    )


def tables() -> dict[str, str]:
    """Every generated table by its name in the page."""
    return {
        "unmodelled fields": unmodelled_table(),
        "unmodelled events": events_table(),
        "facts left out": left_out_table(),
        "velocity facts left out": velocity_left_out_table(),
    }


def render(page: str) -> str:
    """The page with its tables as they should be; ``ValueError`` where the marks of a table are missing."""
    for name, table in tables().items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        if not pattern.search(page):
            raise ValueError(f"docs/parity.md has no place for the table {name!r}")
        page = pattern.sub(lambda match, table=table: f"{match[1]}{table}{match[2]}", page)
    return page


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
