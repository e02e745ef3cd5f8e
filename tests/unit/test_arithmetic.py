"""The named roundings and narrowings at their edges, row by row."""

from collections.abc import Callable

import pytest

from seawall import arithmetic as a
from seawall.errors import ErrorCode, SettlementError

DIVISIONS = [
    # numerator, denominator, div_trunc, div_ceil, div_floor
    (7, 2, 3, 4, 2),  # div_floor is for negative numerators: deliberately one less here
    (6, 2, 3, 3, 3),
    (0, 5, 0, 0, 0),
    (1, 10**30, 0, 1, -1),
    (-7, 2, -3, -3, -4),
    (-6, 2, -3, -3, -3),
    (-1, 10**30, 0, 0, -1),
    (7, -2, -3, -2, -4),
    (-7, -2, 3, 3, 2),
    (2**127, 3, 2**127 // 3, 2**127 // 3 + 1, 2**127 // 3 - 1),
]


@pytest.mark.parametrize(("numerator", "denominator", "trunc", "ceil", "floor"), DIVISIONS)
def test_divisions(numerator: int, denominator: int, trunc: int, ceil: int, floor: int) -> None:
    assert a.div_trunc(numerator, denominator) == trunc
    assert a.div_ceil(numerator, denominator) == ceil
    assert a.div_floor(numerator, denominator) == floor


@pytest.mark.parametrize("divide", [a.div_trunc, a.div_ceil, a.div_floor])
@pytest.mark.parametrize("numerator", [0, 1, -1])
def test_a_zero_denominator_is_a_math_error(divide: Callable[[int, int], int], numerator: int) -> None:
    assert _error(divide, numerator, 0) == ErrorCode.MathError


PROPORTIONS = [
    # value, numerator, denominator, proportion
    (10, 1, 3, 3),
    (10, 2, 3, 6),
    (10, 3, 3, 10),
    (10, 0, 3, 0),
    (10, 7, 3, 23),
    (10, 0, 0, 10),  # n/n is 1, even 0/0
    (999_999_999_369, 1_000_000_036_297, 1_000_000_042_597, 999_999_993_069),
    (2**100, 2**27 - 1, 2**27, 2**100 - 2**73),
]


@pytest.mark.parametrize(("value", "numerator", "denominator", "expected"), PROPORTIONS)
def test_proportions(value: int, numerator: int, denominator: int, expected: int) -> None:
    assert a.proportion(value, numerator, denominator) == expected
    assert a.proportion_trunc(value, numerator, denominator) == expected
    assert a.proportion_trunc(-value, numerator, denominator) == -expected


def test_a_part_of_nothing_is_a_math_error() -> None:
    assert _error(a.proportion, 10, 1, 0) == ErrorCode.MathError
    assert _error(a.proportion_trunc, -10, 1, 0) == ErrorCode.MathError


NARROWINGS = [
    (a.to_u8, 0, 2**8 - 1, ErrorCode.CastingFailure),
    (a.to_u32, 0, 2**32 - 1, ErrorCode.CastingFailure),
    (a.to_i32, -(2**31), 2**31 - 1, ErrorCode.CastingFailure),
    (a.to_u64, 0, 2**64 - 1, ErrorCode.CastingFailure),
    (a.to_i64, -(2**63), 2**63 - 1, ErrorCode.CastingFailure),
    (a.checked_u64, 0, 2**64 - 1, ErrorCode.MathError),
    (a.checked_i64, -(2**63), 2**63 - 1, ErrorCode.MathError),
]


@pytest.mark.parametrize(
    ("narrow", "low", "high", "error"), NARROWINGS, ids=lambda value: getattr(value, "__name__", "")
)
def test_narrowings(narrow: Callable[[int], int], low: int, high: int, error: ErrorCode) -> None:
    assert [narrow(value) for value in (low, 0, 1, high)] == [low, 0, 1, high]
    assert _error(narrow, low - 1) == error
    assert _error(narrow, high + 1) == error


def test_unsigned_128_bits_refuse_the_negative() -> None:
    assert a.to_u128(0) == 0 and a.to_u128(2**126) == 2**126
    assert _error(a.to_u128, -1) == ErrorCode.CastingFailure
    assert a.checked_u128(0) == 0 and a.checked_u128(2**126) == 2**126
    assert _error(a.checked_u128, -1) == ErrorCode.MathError


@pytest.mark.parametrize(
    ("saturate", "low", "high"), [(a.saturate_i64, -(2**63), 2**63 - 1), (a.saturate_u64, 0, 2**64 - 1)]
)
def test_saturation(saturate: Callable[[int], int], low: int, high: int) -> None:
    assert [saturate(value) for value in (low - 1, low, 0, high, high + 1)] == [low, low, 0, high, high]


def test_subtraction() -> None:
    assert [a.sub_saturating(5, right) for right in (3, 5, 7)] == [2, 0, 0]
    assert [a.sub_checked(5, right) for right in (3, 5)] == [2, 0]
    assert _error(a.sub_checked, 5, 6) == ErrorCode.MathError


def test_clamp() -> None:
    assert [a.clamp(value, -2, 3) for value in (-3, -2, 0, 3, 4)] == [-2, -2, 0, 3, 3]


def test_powers_of_ten() -> None:
    assert [a.pow10(exponent) for exponent in range(39)] == [10**exponent for exponent in range(39)]
    assert _error(a.pow10, -1) == ErrorCode.MathError
    assert _error(a.pow10, 39) == ErrorCode.MathError


@pytest.mark.parametrize(
    ("value", "digits"),
    [(0, 0), (1, 0), (9, 0), (10, 1), (99, 1), (100, 2), (13_432_429, 7), (10**38, 38), (10**38 - 1, 37)],
)
def test_log10_floor(value: int, digits: int) -> None:
    assert a.log10_floor(value) == digits


def test_the_named_limits_are_the_types_limits() -> None:
    assert tuple(2**n - 1 for n in (8, 16, 32, 64, 128)) == (a.U8_MAX, a.U16_MAX, a.U32_MAX, a.U64_MAX, a.U128_MAX)
    assert (a.I32_MAX, a.I64_MAX, a.I128_MAX, a.I64_MIN) == (2**31 - 1, 2**63 - 1, 2**127 - 1, -(2**63))


def test_times_are_seconds() -> None:
    assert (a.ONE_HOUR, a.TWENTY_FOUR_HOUR, a.THIRTY_DAY) == (60 * 60, 24 * 3_600, 30 * 86_400)
    assert (a.EPOCH_DURATION, a.ONE_YEAR) == (28 * 86_400, 365 * 86_400)


def _error(call: Callable[..., int], *arguments: int) -> ErrorCode:
    with pytest.raises(SettlementError) as caught:
        call(*arguments)
    return caught.value.code
