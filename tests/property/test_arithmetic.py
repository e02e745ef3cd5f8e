"""The named roundings against exact fractions, over extremes."""

from fractions import Fraction
from math import ceil, floor, isqrt, trunc

from hypothesis import given
from hypothesis import strategies as st

from seawall import arithmetic as a
from seawall.errors import ErrorCode, SettlementError

EDGES = [0, 1, 2, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**126, 2**127 - 1]
UNSIGNED = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**127 - 1), st.integers(0, 1_000))
SIGNED = st.one_of(UNSIGNED, UNSIGNED.map(lambda value: -value))
POSITIVE = UNSIGNED.filter(lambda value: value > 0)
NON_ZERO = SIGNED.filter(lambda value: value != 0)


@given(SIGNED, NON_ZERO)
def test_truncation_drops_the_fraction(numerator: int, denominator: int) -> None:
    """div_trunc is the exact quotient without its fraction: toward zero, whatever the signs."""
    assert a.div_trunc(numerator, denominator) == trunc(Fraction(numerator, denominator))


@given(UNSIGNED, POSITIVE)
def test_the_ceiling_of_non_negative_operands_is_a_ceiling(numerator: int, denominator: int) -> None:
    """For non-negative operands div_ceil is the least integer that is not below the quotient."""
    assert a.div_ceil(numerator, denominator) == ceil(Fraction(numerator, denominator))


@given(UNSIGNED.map(lambda value: -value), POSITIVE)
def test_the_floor_of_a_negative_numerator_is_a_floor(numerator: int, denominator: int) -> None:
    """For numerators up to 0 div_floor is the greatest integer that is not above the quotient."""
    assert a.div_floor(numerator, denominator) == floor(Fraction(numerator, denominator))


@given(SIGNED, NON_ZERO)
def test_roundings_bracket_the_quotient(numerator: int, denominator: int) -> None:
    """No rounding is a whole unit away from the exact quotient, except div_floor of a positive one (by design)."""
    exact = Fraction(numerator, denominator)
    assert abs(a.div_trunc(numerator, denominator) - exact) < 1
    assert a.div_trunc(numerator, denominator) <= a.div_ceil(numerator, denominator)
    assert a.div_floor(numerator, denominator) <= a.div_trunc(numerator, denominator)


@given(UNSIGNED, UNSIGNED, POSITIVE)
def test_a_proportion_never_gives_more_than_its_part(value: int, numerator: int, denominator: int) -> None:
    """proportion is the floor of the exact part, so parts never add up to more than the whole."""
    part = a.proportion(value, numerator, denominator)
    assert part == floor(Fraction(value * numerator, denominator))
    if numerator <= denominator:
        assert part + a.proportion(value, denominator - numerator, denominator) <= value


@given(SIGNED, UNSIGNED, POSITIVE)
def test_signed_proportions_are_symmetric(value: int, numerator: int, denominator: int) -> None:
    """proportion_trunc of −v is minus that of v: rounding favours neither sign."""
    part = a.proportion_trunc(value, numerator, denominator)
    assert part == trunc(Fraction(value * numerator, denominator))
    assert part == -a.proportion_trunc(-value, numerator, denominator)


@given(st.one_of(SIGNED, st.integers(-(2**130), 2**130)))
def test_narrowing_changes_nothing_or_fails(value: int) -> None:
    """A narrowing gives the value itself exactly when the type holds it, and else its own error."""
    for narrow, low, high, error in (
        (a.to_u8, 0, 2**8 - 1, ErrorCode.CastingFailure),
        (a.to_u32, 0, 2**32 - 1, ErrorCode.CastingFailure),
        (a.to_i32, -(2**31), 2**31 - 1, ErrorCode.CastingFailure),
        (a.to_u64, 0, 2**64 - 1, ErrorCode.CastingFailure),
        (a.to_i64, -(2**63), 2**63 - 1, ErrorCode.CastingFailure),
        (a.checked_u64, 0, 2**64 - 1, ErrorCode.MathError),
        (a.checked_i64, -(2**63), 2**63 - 1, ErrorCode.MathError),
    ):
        try:
            assert narrow(value) == value
            assert low <= value <= high
        except SettlementError as refusal:
            assert refusal.code == error
            assert not low <= value <= high


@given(SIGNED, SIGNED, UNSIGNED)
def test_clamping_is_idempotent_and_in_range(value: int, low: int, width: int) -> None:
    """A clamped value lies in the range, is the value itself inside of it, and stays when clamped again."""
    high = low + width
    clamped = a.clamp(value, low, high)
    assert low <= clamped <= high
    assert (clamped == value) == (low <= value <= high)
    assert a.clamp(clamped, low, high) == clamped


@given(POSITIVE.filter(lambda value: value < 10**38))
def test_the_logarithm_brackets_its_value(value: int) -> None:
    """10^k ≤ value < 10^(k+1) for k = log10_floor(value)."""
    digits = a.log10_floor(value)
    assert a.pow10(digits) <= value < 10 * a.pow10(digits)


@given(UNSIGNED)
def test_the_root_brackets_its_value(value: int) -> None:
    """r² ≤ value < (r+1)² for r = isqrt(value)."""
    root = a.isqrt(value)
    assert root * root <= value < (root + 1) * (root + 1)
    assert root == isqrt(value)


@given(UNSIGNED, UNSIGNED)
def test_subtractions_agree_where_both_exist(left: int, right: int) -> None:
    """sub_checked and sub_saturating are left − right; below zero the one fails and the other is 0."""
    if left >= right:
        assert a.sub_checked(left, right) == a.sub_saturating(left, right) == left - right
    else:
        assert a.sub_saturating(left, right) == 0
        try:
            a.sub_checked(left, right)
        except SettlementError as refusal:
            assert refusal.code == ErrorCode.MathError
        else:
            raise AssertionError("an unsigned value went below zero")
