"""What a bulk loop may do besides calling rules: try one, keep rows and put them back. Here: in the exact lane.

A loop is written once and runs in both lanes, like a rule: over lists of records in Python, over rows when compiled.
``guard`` gives these functions their compiled form.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from seawall.errors import ErrorCode, SettlementError
from seawall.records import Record

Function = Callable[..., Any]
_F = TypeVar("_F", bound=Function)

LOOPS: set[Function] = set()
"""The loops over rules: compiled like a rule."""


def loop(function: _F) -> _F:
    """Mark a function as a loop over rules, return it unchanged."""
    LOOPS.add(function)
    return function


def attempt(rule: Function, *arguments: Any) -> int:
    """Call a rule; 0, or a number that tells its error. What the rule changed until then stays changed.

    Here the number is the error's code plus one. Compiled it is an address, or less than 0 where the exact lane has to
    take over.
    """
    try:
        rule(*arguments)
    except ZeroDivisionError:
        return int(ErrorCode.MathError) + 1
    except SettlementError as error:
        return int(error.code) + 1
    return 0


def unfit(item: Record) -> int:
    """0, or what ``attempt`` gives for a record that a commit would refuse. Compiled always 0: stores are checked."""
    return attempt(item.pack)


def save(saved: list[Any], index: int, item: Record) -> None:
    """Keep a record's present content in ``saved[index]``."""
    saved[index] = item.copy()


def restore(item: Record, saved: list[Any], index: int) -> None:
    """Put the content of ``saved[index]`` back into a record."""
    overwrite(item, saved[index])


def overwrite(item: Record, source: Record) -> None:
    """Give a record, and the records nested in it, the content of another one; the objects stay the same."""
    for f in item.LAYOUT.fields:
        if f.kind == "record":
            overwrite(getattr(item, f.name), getattr(source, f.name))
        elif f.kind == "array":
            for own, other in zip(getattr(item, f.name), getattr(source, f.name), strict=True):
                overwrite(own, other)
        elif getattr(item, f.name) != getattr(source, f.name):
            setattr(item, f.name, getattr(source, f.name))
