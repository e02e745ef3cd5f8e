"""Every rule in both lanes on random and extreme arguments: the same results, the same records, the same errors.

Cold, compiling all rules takes two minutes; the normal suite takes one rule in eight, the soak run all of them.
"""

import pkgutil
from functools import cache
from importlib import import_module
from typing import Any
from zlib import crc32

import pytest

import seawall.rules
from seawall.bulk import available, unavailable_reason
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import RULES
from seawall.records import Record

if not available():
    pytest.skip(str(unavailable_reason()), allow_module_level=True)

from support.bulk_inputs import Inputs, checked

from seawall.bulk.hints import parameter_hints
from seawall.bulk.lane import RuleCaller
from seawall.bulk.wide import BeyondWidth

for _module in pkgutil.walk_packages(seawall.rules.__path__, "seawall.rules."):
    import_module(_module.name)

ALL = sorted(RULES)
SAMPLE = [name for name in ALL if crc32(name.encode()) % 8 == 0]
RUNS = 60


@cache
def inputs() -> Inputs:
    return Inputs(1)


def outcome(function: Any, arguments: list[Any]) -> Any:
    """The result, the error's code, or the class of what else came."""
    try:
        return function(*arguments)
    except SettlementError as error:
        return error.code
    except ZeroDivisionError:
        return ErrorCode.MathError
    except (IndexError, BeyondWidth) as error:
        return type(error)


def copied(arguments: list[Any]) -> list[Any]:
    return [
        [item.copy() for item in a] if isinstance(a, list) else a.copy() if isinstance(a, Record) else a
        for a in arguments
    ]


def run_in_both_lanes(name: str) -> None:
    rule = RULES[name]
    caller = RuleCaller(rule)
    hints = parameter_hints(rule)
    source = inputs()
    source.rng.seed(crc32(name.encode()))
    for run in range(RUNS):
        given = source.arguments(hints)
        exact, compiled, watched = copied(given), copied(given), [checked(a) for a in given]
        found = outcome(caller, compiled)
        if found is BeyondWidth:
            assert outcome(rule, watched) is BeyondWidth, f"run {run}: handed over without need at {caller.where}"
            assert compiled == given, f"run {run}: a call that is handed over must have changed nothing"
        else:
            expected = outcome(rule, exact)
            assert found == expected, f"run {run}"
            assert type(found) is type(expected), f"run {run}"
            assert compiled == exact, f"run {run}: the records differ"
            assert outcome(rule, watched) == found, f"run {run}: should have been handed over"


@pytest.mark.parametrize("name", SAMPLE)
def test_both_lanes_agree(name: str) -> None:
    """A compiled rule gives what the rule gives, or hands over, exactly where something leaves its width."""
    run_in_both_lanes(name)


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in ALL if name not in SAMPLE])
def test_both_lanes_agree_on_every_rule(name: str) -> None:
    """The same for all the others."""
    run_in_both_lanes(name)
