"""The compiled integer: what CPython gives, or a hand-over exactly where 128 bits are not enough."""

import math
import random
from typing import Any

import pytest

from seawall.arithmetic import isqrt, isqrt_by_newton
from seawall.bulk import available, unavailable_reason

if not available():
    pytest.skip(str(unavailable_reason()), allow_module_level=True)

from seawall.bulk.lane import RuleCaller
from seawall.bulk.loops import loop
from seawall.bulk.wide import BeyondWidth
from seawall.errors import ErrorCode, SettlementError

LOWEST, HIGHEST = -(1 << 127), (1 << 127) - 1


@loop
def add(a: int, b: int) -> int:
    return a + b


@loop
def subtract(a: int, b: int) -> int:
    return a - b


@loop
def multiply(a: int, b: int) -> int:
    return a * b


@loop
def divide(a: int, b: int) -> int:
    return a // b


@loop
def remainder(a: int, b: int) -> int:
    return a % b


@loop
def both_bits(a: int, b: int) -> int:
    return a & b


@loop
def any_bits(a: int, b: int) -> int:
    return a | b


@loop
def larger_minus_smaller(a: int, b: int) -> int:
    return max(a, b) - min(a, b)


@loop
def size_of_negation(a: int, b: int) -> int:
    if a != b:
        return abs(a) + -b
    return -a


@loop
def order(a: int, b: int) -> tuple[bool, bool, bool, bool, bool, bool]:
    return a < b, a <= b, a == b, a != b, a >= b, a > b


OPERATIONS = [
    add, subtract, multiply, divide, remainder, both_bits, any_bits, larger_minus_smaller, size_of_negation, order,
]  # fmt: skip


def operands(rng: random.Random) -> int:
    """Extremes, the borders of 64 bits, small ones, and every size between."""
    edge = rng.choice((0, 1 << 31, 1 << 32, 1 << 62, 1 << 63, 1 << 64, 1 << 126, 1 << 127))
    kind = rng.random()
    if kind < 0.3:
        value = edge + rng.randrange(-2, 3)
    elif kind < 0.4:
        value = rng.randrange(10)
    else:
        value = rng.getrandbits(rng.randrange(1, 128))
    return max(LOWEST, min(HIGHEST, -value if rng.random() < 0.5 else value))


def in_python(function: Any, a: int, b: int) -> Any:
    """What CPython gives, and whether every step stays inside 128 bits."""
    try:
        result = function(a, b)
    except ZeroDivisionError:
        return ErrorCode.MathError
    steps = []
    if function is size_of_negation:
        steps = [abs(a), -b] if a != b else [-a]
    if isinstance(result, int) and any(not LOWEST <= step <= HIGHEST for step in (*steps, result)):
        return BeyondWidth
    return result


@pytest.mark.parametrize("function", OPERATIONS, ids=lambda f: f.__name__)
def test_every_operation_is_pythons_or_handed_over(function: Any) -> None:
    """4,000 pairs: equal to CPython, division by zero is MathError, and nothing wraps."""
    caller = RuleCaller(function)
    rng = random.Random(function.__name__)
    for _ in range(4_000):
        a, b = operands(rng), operands(rng)
        try:
            found: Any = caller(a, b)
        except SettlementError as error:
            found = error.code
        except BeyondWidth:
            found = BeyondWidth
        assert found == in_python(function, a, b), (function.__name__, a, b)


def test_the_twin_of_isqrt_is_isqrt() -> None:
    """The only helper written twice: squares and their neighbours up to 127 bits, in Python and compiled."""
    caller = RuleCaller(isqrt)
    rng = random.Random(7)
    values = [0, 1, 2, 3, HIGHEST, HIGHEST - 1, 1 << 126]
    for _ in range(3_000):
        root = rng.getrandbits(rng.randrange(1, 64))
        values += [max(0, min(HIGHEST, root * root + d)) for d in (-1, 0, 1)]
        values.append(rng.getrandbits(rng.randrange(1, 128)))
    for value in values:
        assert isqrt_by_newton(value) == math.isqrt(value) == isqrt(value)
        assert caller(value) == math.isqrt(value)


@pytest.mark.parametrize("function", [isqrt, isqrt_by_newton, RuleCaller(isqrt)])
def test_no_root_of_a_negative_number(function: Any) -> None:
    """MathError in both lanes."""
    with pytest.raises(SettlementError, match="MathError"):
        function(-1)
