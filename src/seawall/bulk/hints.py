"""What a rule or loop declares of its parameters."""

from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints


@cache
def parameter_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function's parameters, in order."""
    hints = get_type_hints(function)
    hints.pop("return", None)
    return hints
