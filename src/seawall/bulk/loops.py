"""What a bulk loop may do besides calling rules: try one, and put rows back. The exact lane's meaning stands here.

A loop is written once and runs in both lanes, like a rule: over lists of records in Python, over rows when compiled.
"""

from collections.abc import Callable
from typing import Any

from seawall.errors import ErrorCode, SettlementError
from seawall.records import Record


def attempt(rule: Callable[..., Any], *arguments: Any) -> int:
    """Call a rule; 0, or a number that tells its error. What the rule changed until then stays changed."""
    try:
        rule(*arguments)
    except ZeroDivisionError:
        return int(ErrorCode.MathError)
    except SettlementError as error:
        return int(error.code)
    return 0


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
