"""Integers as the programs have them: named roundings, narrowings, precisions and constants.

Everything here is exact. ``//`` is used only where both operands are known to be non-negative (there floor
and truncation agree); every other rounding has a name. A value that does not fit the width a program narrows
it to raises ``CastingFailure``; arithmetic that leaves a type's range raises ``MathError``.
"""

from math import isqrt as _isqrt
from typing import Final

from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import COMPILED_FORMS, rule

U8_MAX: Final = 255
U16_MAX: Final = 65_535
U32_MAX: Final = 4_294_967_295
U64_MAX: Final = 18_446_744_073_709_551_615
I32_MAX: Final = 2_147_483_647
I32_MIN: Final = -2_147_483_648
I64_MAX: Final = 9_223_372_036_854_775_807
I64_MIN: Final = -9_223_372_036_854_775_807 - 1
U128_MAX: Final = (1 << 128) - 1
I128_MAX: Final = (1 << 127) - 1

PRICE_PRECISION: Final = 1_000_000
QUOTE_PRECISION: Final = 1_000_000
BASE_PRECISION: Final = 1_000_000_000
AMM_RESERVE_PRECISION: Final = 1_000_000_000
PEG_PRECISION: Final = 1_000_000
PERCENTAGE_PRECISION: Final = 1_000_000
BID_ASK_SPREAD_PRECISION: Final = 1_000_000
FUNDING_RATE_PRECISION: Final = 1_000_000_000
SPOT_CUMULATIVE_INTEREST_PRECISION: Final = 10_000_000_000
SPOT_UTILIZATION_PRECISION: Final = 1_000_000
SPOT_WEIGHT_PRECISION: Final = 10_000
SPOT_IMF_PRECISION: Final = 1_000_000
MARGIN_PRECISION: Final = 10_000
IF_FACTOR_PRECISION: Final = 1_000_000

ONE_MINUTE: Final = 60
FIVE_MINUTE: Final = 300
ONE_HOUR: Final = 3_600
TWENTY_FOUR_HOUR: Final = 86_400
THIRTY_DAY: Final = 2_592_000
EPOCH_DURATION: Final = 2_419_200
ONE_YEAR: Final = 31_536_000

QUOTE_SPOT_MARKET_INDEX: Final = 0


@rule
def div_trunc(numerator: int, denominator: int) -> int:
    """Divide toward zero, as the programs' signed division does. ``MathError`` for a zero denominator."""
    if denominator == 0:
        raise SettlementError(ErrorCode.MathError)
    if numerator >= 0:
        if denominator > 0:
            return numerator // denominator
        return -(numerator // -denominator)
    if denominator > 0:
        return -(-numerator // denominator)
    return -numerator // -denominator


@rule
def div_ceil(numerator: int, denominator: int) -> int:
    """The programs' ceiling: truncate, then add one when the remainder is positive.

    A true ceiling for non-negative operands, which is how it is used. ``MathError`` for a zero denominator.
    Source: ``math/ceil_div.rs``, ``math/safe_math.rs::safe_div_ceil``.
    """
    quotient = div_trunc(numerator, denominator)
    if numerator - quotient * denominator > 0:
        return quotient + 1
    return quotient


@rule
def div_floor(numerator: int, denominator: int) -> int:
    """The programs' floor division of a negative numerator: truncate, then subtract one when inexact.

    Deliberately no mathematical floor for an inexact positive quotient; it is only called for negative ones.
    Source: ``math/floor_div.rs``.
    """
    quotient = div_trunc(numerator, denominator)
    if numerator - quotient * denominator != 0:
        return quotient - 1
    return quotient


@rule
def proportion(value: int, numerator: int, denominator: int) -> int:
    """⌊value·numerator/denominator⌋ of non-negative operands; ``value`` itself when the fraction is n/n, even 0/0.

    ``MathError`` for any other zero denominator. The program can also fail where a product of two values next to
    2^64 leaves 127 bits; no token amount comes near that, and Seawall then gives the exact floor.
    Source: balances.md §0; ``math/helpers.rs::get_proportion_u128``.
    """
    if numerator == denominator:
        return value
    if denominator == 0:
        raise SettlementError(ErrorCode.MathError)
    return value * numerator // denominator


@rule
def proportion_trunc(value: int, numerator: int, denominator: int) -> int:
    """``proportion`` of a signed value, rounded toward zero. Source: ``math/helpers.rs::get_proportion_i128``."""
    if value < 0:
        return -proportion(-value, numerator, denominator)
    return proportion(value, numerator, denominator)


@rule
def sub_saturating(left: int, right: int) -> int:
    """max(0, left − right): unsigned saturating subtraction."""
    if left > right:
        return left - right
    return 0


@rule
def sub_checked(left: int, right: int) -> int:
    """left − right of unsigned values; ``MathError`` below zero."""
    if left < right:
        raise SettlementError(ErrorCode.MathError)
    return left - right


@rule
def clamp(value: int, low: int, high: int) -> int:
    """``value`` limited to [low, high]."""
    if value < low:
        return low
    if value > high:
        return high
    return value


@rule
def to_u8(value: int) -> int:
    """``value`` narrowed to u8, or ``CastingFailure``."""
    if value < 0 or value > U8_MAX:
        raise SettlementError(ErrorCode.CastingFailure)
    return value


@rule
def to_u32(value: int) -> int:
    """``value`` narrowed to u32, or ``CastingFailure``."""
    if value < 0 or value > U32_MAX:
        raise SettlementError(ErrorCode.CastingFailure)
    return value


@rule
def to_u64(value: int) -> int:
    """``value`` narrowed to u64, or ``CastingFailure``."""
    if value < 0 or value > U64_MAX:
        raise SettlementError(ErrorCode.CastingFailure)
    return value


@rule
def to_i32(value: int) -> int:
    """``value`` narrowed to i32, or ``CastingFailure``."""
    if value < I32_MIN or value > I32_MAX:
        raise SettlementError(ErrorCode.CastingFailure)
    return value


@rule
def to_i64(value: int) -> int:
    """``value`` narrowed to i64, or ``CastingFailure``."""
    if value < I64_MIN or value > I64_MAX:
        raise SettlementError(ErrorCode.CastingFailure)
    return value


@rule
def to_u128(value: int) -> int:
    """A signed ``value`` narrowed to u128: ``CastingFailure`` when negative."""
    if value < 0:
        raise SettlementError(ErrorCode.CastingFailure)
    return value


@rule
def checked_u64(value: int) -> int:
    """The result of checked u64 arithmetic: ``MathError`` outside u64."""
    if value < 0 or value > U64_MAX:
        raise SettlementError(ErrorCode.MathError)
    return value


@rule
def checked_i64(value: int) -> int:
    """The result of checked i64 arithmetic: ``MathError`` outside i64."""
    if value < I64_MIN or value > I64_MAX:
        raise SettlementError(ErrorCode.MathError)
    return value


@rule
def checked_u128(value: int) -> int:
    """The result of checked u128 arithmetic: ``MathError`` below zero."""
    if value < 0:
        raise SettlementError(ErrorCode.MathError)
    return value


@rule
def saturate_i64(value: int) -> int:
    """``value`` clamped to i64."""
    if value > I64_MAX:
        return I64_MAX
    if value < I64_MIN:
        return I64_MIN
    return value


@rule
def saturate_u64(value: int) -> int:
    """``value`` clamped to u64."""
    if value > U64_MAX:
        return U64_MAX
    if value < 0:
        return 0
    return value


POWERS_OF_TEN: Final = (
    1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000,
    100_000_000_000, 1_000_000_000_000, 10_000_000_000_000, 100_000_000_000_000, 1_000_000_000_000_000,
    10_000_000_000_000_000, 100_000_000_000_000_000, 1_000_000_000_000_000_000,
)  # fmt: skip


TOKEN_PRECISIONS: Final = (0, *reversed(POWERS_OF_TEN))
"""10^(19 − decimals) by a token's decimals, what scaled balance (1e9) times index (1e10) of one smallest unit come to.

A spot market has 6 to 19 decimals; its creation sees to that. For 0 decimals, whose 10^19 is beyond 63 bits, it is 0.
"""


@rule
def pow10(exponent: int) -> int:
    """10 to the power of an exponent from 0 to 38; ``MathError`` otherwise."""
    if exponent < 0 or exponent > 38:
        raise SettlementError(ErrorCode.MathError)
    if exponent <= 18:
        return POWERS_OF_TEN[exponent]
    result = POWERS_OF_TEN[18]
    for _ in range(exponent - 18):
        result = result * 10
    return result


@rule
def log10_floor(value: int) -> int:
    """Largest k with 10^k ≤ value; 0 for every value below 10. Source: ``math/helpers.rs::log10_iter``."""
    exponent = 0
    while value >= 10:
        value = value // 10
        exponent += 1
    return exponent


def isqrt(value: int) -> int:
    """⌊√value⌋ of a non-negative integer; ``MathError`` for a negative one."""
    if value < 0:
        raise SettlementError(ErrorCode.MathError)
    return _isqrt(value)


@rule
def isqrt_by_newton(value: int) -> int:
    """``isqrt`` in the bulk lane: Newton's method from above, which falls until it is there. ``MathError`` below zero.

    The first guess is a power of two above the root; nothing exceeds ``value`` but the guess, at most 2^64.
    """
    if value < 0:
        raise SettlementError(ErrorCode.MathError)
    if value == 0:
        return 0
    root = 1
    rest = value
    while rest > U32_MAX:
        rest = rest // 4_294_967_296
        root = root * 65_536
    while rest > 0:
        rest = rest // 4
        root = root * 2
    while True:
        better = (root + value // root) // 2
        if better >= root:
            return root
        root = better


COMPILED_FORMS[isqrt] = isqrt_by_newton
