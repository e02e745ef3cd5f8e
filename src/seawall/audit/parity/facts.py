"""Facts: single functions of the program with their inputs and the results that its own tests assert.

A fact file is a JSON array; each fact names the function, its inputs and the expected results. An adapter builds the
records, calls the rules, and hands back what they gave; facts that are no part of v2.84.0, or of what Seawall does so
far, are left out by ``facts_left_out.LEFT_OUT``, each with its reason.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from seawall.audit.parity.facts_amm import ADAPTERS as AMM_ADAPTERS
from seawall.audit.parity.facts_fills import ADAPTERS as FILL_ADAPTERS
from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, UnreadableFact, difference
from seawall.audit.parity.facts_insurance import ADAPTERS as INSURANCE_ADAPTERS
from seawall.audit.parity.facts_left_out import LEFT_OUT, LeftOut, left_out
from seawall.audit.parity.facts_liquidation import ADAPTERS as LIQUIDATION_ADAPTERS
from seawall.audit.parity.facts_margin import ADAPTERS as MARGIN_ADAPTERS
from seawall.audit.parity.facts_pnl import ADAPTERS as PNL_ADAPTERS
from seawall.audit.parity.facts_pools import ADAPTERS as POOL_ADAPTERS
from seawall.audit.parity.facts_refresh import ADAPTERS as REFRESH_ADAPTERS
from seawall.audit.parity.facts_solvency import ADAPTERS as SOLVENCY_ADAPTERS
from seawall.audit.parity.facts_spot import ADAPTERS as SPOT_ADAPTERS
from seawall.audit.parity.facts_twaps import ADAPTERS as TWAP_ADAPTERS
from seawall.audit.parity.recorded import MALFORMED, UnreadableError
from seawall.audit.parity.velocity.adapters import VELOCITY_ADAPTERS
from seawall.audit.parity.velocity.left_out import VELOCITY_LEFT_OUT
from seawall.errors import ErrorCode, SettlementError

ADAPTERS: dict[str, Adapter] = {
    **SPOT_ADAPTERS,
    **AMM_ADAPTERS,
    **REFRESH_ADAPTERS,
    **TWAP_ADAPTERS,
    **PNL_ADAPTERS,
    **POOL_ADAPTERS,
    **FILL_ADAPTERS,
    **MARGIN_ADAPTERS,
    **INSURANCE_ADAPTERS,
    **SOLVENCY_ADAPTERS,
    **LIQUIDATION_ADAPTERS,
}
"""How to compute a function's facts, by its full name or by its name without the remark in parentheses."""

DRIFT_VERSIONS: Final = ("both", "2024-08", "head")
"""Versions that facts of Drift name. Facts of Velocity name others, or none."""


def exact(adapter: Adapter) -> Adapter:
    """The exact lane: an adapter as it stands."""
    return adapter


class Fact(NamedTuple):
    """One fact of a file, in the file's order."""

    number: int
    function: str
    version: str
    source: str
    inputs: dict[str, Any]
    expected: dict[str, Any]

    @property
    def is_velocity(self) -> bool:
        """Whether the fact is Velocity's."""
        return self.version not in DRIFT_VERSIONS

    @property
    def left_out(self) -> LeftOut | None:
        """Why this fact is not compared, or None."""
        entries = VELOCITY_LEFT_OUT if self.is_velocity else LEFT_OUT
        return left_out(entries, self.function, self.version, self.source, self.inputs)


def read_facts(path: Path) -> list[Fact]:
    """The facts of a file; ``UnreadableError`` where it is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path}: {error}") from None
    except json.JSONDecodeError as error:
        raise UnreadableError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise UnreadableError(f"{path}: nested too deeply") from None
    if not isinstance(data, list):
        raise UnreadableError(f"{path}: a fact file is an array of facts")
    return [_fact(path, number, item) for number, item in enumerate(data)]


def _fact(path: Path, number: int, item: Any) -> Fact:
    shape = {"function": str, "version": str, "source": str, "inputs": dict, "expected": dict}
    if isinstance(item, dict):
        item = {"version": "", **item}
    for name, kind in shape.items():
        if not isinstance(item, dict) or not isinstance(item.get(name), kind):
            raise UnreadableError(f"{path}: fact {number} has no {name} of its kind ({kind.__name__})")
    return Fact(number, *(item[name] for name in shape))


def replay_facts(path: Path, lane: Callable[[Adapter], Adapter] = exact) -> Iterator[tuple[int, str, str | None]]:
    """Every fact of a file that is compared: its number, its function, and the first difference (None: none).

    ``lane`` turns an adapter into the one that is run, e.g. into its twin in the bulk lane.
    """
    for fact in read_facts(path):
        if fact.left_out is None:
            try:
                yield fact.number, fact.function, compare(fact, lane)
            except UnreadableFact as error:
                raise UnreadableError(f"{path}: fact {fact.number} ({fact.function}): {error}") from None
            except MALFORMED as error:
                raise UnreadableError(f"{path}: fact {fact.number} ({fact.function}): malformed: {error!r}") from error


def count_left_out(path: Path) -> int:
    """How many facts of a file are not compared."""
    return sum(fact.left_out is not None for fact in read_facts(path))


def compare(fact: Fact, lane: Callable[[Adapter], Adapter] = exact) -> str | None:
    """The first difference between what the rules give and what the fact asserts."""
    found = evaluate(fact, lane)
    if isinstance(found, dict) and set(found) == {"error"} and "error" not in fact.expected:
        return f"failed with {found['error']}"
    return difference(found, fact.expected)


def evaluate(fact: Fact, lane: Callable[[Adapter], Adapter] = exact) -> Found:
    """What the rules give for a fact; ``UnreadableFact`` for an unknown function or inputs that nothing reads."""
    adapters = VELOCITY_ADAPTERS if fact.is_velocity else ADAPTERS
    adapter = adapters.get(fact.function) or adapters.get(fact.function.partition("(")[0].rstrip())
    if adapter is None:
        raise UnreadableFact("the function is unknown")
    inputs = Inputs(fact.inputs)
    try:
        found = lane(adapter)(inputs)
    except SettlementError as error:
        return {"error": error.code.name}
    except ZeroDivisionError:
        return {"error": ErrorCode.MathError.name}
    unread = inputs.unread()
    if unread and "error" not in fact.expected:
        raise UnreadableFact(f"nothing reads {', '.join(unread)}")
    return found
