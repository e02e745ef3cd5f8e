"""The mark that a function is a rule: it must run unchanged in the exact lane and in the bulk lane.

``@rule`` leaves a function as it is and remembers it. The exact lane calls it as ordinary Python on
integers of any size; the bulk lane compiles the very same function object. Nothing is imported here,
so that a venue that never compiles never pays for a compiler.
"""

from collections.abc import Callable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])

RULES: dict[str, Callable[..., Any]] = {}
"""Every rule of the process by its qualified name, e.g. ``seawall.rules.common.balances.get_token_amount``."""

COMPILED_FORMS: dict[Callable[..., Any], Callable[..., Any]] = {}
"""The few helpers of ``arithmetic`` that are no rules, each with the rule that stands for it in compiled code."""


def rule(function: _F) -> _F:
    """Register ``function`` as a rule that both lanes run; return it unchanged."""
    RULES[f"{function.__module__}.{function.__qualname__}"] = function
    return function
