"""How much a liquidation moves, at what price, and what of it goes to insurance: pure arithmetic.

Margin ratios and weights 1e4, fees and multipliers 1e6, percentages to liquidate 1e4, prices and quote 1e6, base 1e9.
Source: liquidation.md §2, §7; ``math/liquidation.rs``, ``math/margin.rs``, ``state/perp_market.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    BASE_PRECISION,
    I128_MAX,
    PRICE_PRECISION,
    U32_MAX,
    U64_MAX,
    checked_u64,
    div_ceil,
    div_trunc,
    pow10,
    sub_checked,
    sub_saturating,
    to_u64,
    to_u128,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.enums import (
    ASSET_TIER_CROSS,
    ASSET_TIER_UNLISTED,
    CONTRACT_TIER_C,
)

LIQUIDATION_FEE_PRECISION: Final = 1_000_000
FEE_PER_MARGIN_RATIO: Final = 100
"""A margin ratio (1e4) in fee precision (1e6)."""

LIQUIDATION_PCT_PRECISION: Final = 10_000
FEE_PER_WEIGHT: Final = 100
COVER_PRECISION: Final = 100_000_000_000
"""Fee precision × weight precision × 10: the factor on a shortage in ``calculate_liability_transfer_…``."""

MAX_SHORTAGE_AT_ONCE: Final = 50_000_000
"""Quote 1e6: a smaller shortage is covered at once."""

DUST_VALUE: Final = 1_000_000
"""Quote 1e6, for an asset of 6 decimals: a rest of the asset of less goes along."""

UNLIMITED: Final = I128_MAX
"""No transfer would cover the shortage; stands for the program's largest u128 in either lane."""

NO_LIMIT_PRICE: Final = -1
"""Stands for a limit price that is not given; 0 is a limit."""


@rule
def margin_ratio_in_fee_precision(margin_ratio: int) -> int:
    """A margin ratio (1e4) in 1e6; ``MathError`` beyond u32."""
    ratio = margin_ratio * FEE_PER_MARGIN_RATIO
    if ratio > U32_MAX:
        raise SettlementError(ErrorCode.MathError)
    return ratio


@rule
def standardize_base_asset_amount_ceil(base_asset_amount: int, step_size: int) -> int:
    """The smallest multiple of the step not below ``base_asset_amount``; ``MathError`` beyond u64, or step 0."""
    rest = base_asset_amount - div_trunc(base_asset_amount, step_size) * step_size
    if rest == 0:
        return base_asset_amount
    return checked_u64(base_asset_amount + step_size) - rest


# --- perp positions --------------------------------------------------------------------------------------------


@rule
def calculate_base_asset_amount_to_cover_margin_shortage(
    margin_shortage: int,
    margin_ratio: int,
    liquidation_fee: int,
    if_liquidation_fee: int,
    oracle_price: int,
    quote_oracle_price: int,
) -> int:
    """Base whose liquidation covers a shortage; 2^64 − 1 where a fee not below the ratio can never cover it.

    The insurance fee counts at the oracle price, not at the price in quote: deliberate, it is the program's.
    ``MathError`` where closing frees nothing. Source: liquidation.md §2.1.
    """
    ratio = margin_ratio_in_fee_precision(margin_ratio)
    if oracle_price == 0 or ratio <= liquidation_fee:
        return U64_MAX
    price = to_u128(oracle_price) * to_u128(quote_oracle_price) // PRICE_PRECISION
    freed = price * (ratio - liquidation_fee) // LIQUIDATION_FEE_PRECISION
    freed = sub_checked(freed, oracle_price * if_liquidation_fee // LIQUIDATION_FEE_PRECISION)
    return to_u64(div_trunc(margin_shortage * BASE_PRECISION, freed))


@rule
def calculate_perp_if_fee(
    margin_shortage: int,
    base_asset_amount: int,
    margin_ratio: int,
    liquidator_fee: int,
    oracle_price: int,
    quote_oracle_price: int,
    max_if_liquidation_fee: int,
) -> int:
    """Fee rate (1e6) for insurance that closing ``base_asset_amount`` ≥ 0 can bear, at most the market's.

    Velocity: insurance and protocol share it, and the market's rate is the sum of both. Source: liquidation.md §2.6.
    """
    ratio = margin_ratio_in_fee_precision(margin_ratio)
    if oracle_price == 0 or quote_oracle_price == 0 or ratio <= liquidator_fee or base_asset_amount == 0:
        return 0
    price = to_u128(oracle_price) * to_u128(quote_oracle_price) // PRICE_PRECISION
    needed = div_trunc(margin_shortage * BASE_PRECISION // base_asset_amount * PRICE_PRECISION, price)
    room = sub_saturating(ratio - liquidator_fee, min(needed, U32_MAX))
    if room * 19 > U32_MAX:
        raise SettlementError(ErrorCode.MathError)
    return min(max_if_liquidation_fee, room * 19 // 20)


# --- balances --------------------------------------------------------------------------------------------------


@rule
def liquidation_premium(liquidator_fee: int) -> int:
    """What a liquidator is paid an asset with: 1 + fee (1e6)."""
    return LIQUIDATION_FEE_PRECISION + liquidator_fee


@rule
def liquidation_discount(liquidator_fee: int) -> int:
    """What a liquidator is charged a liability at: 1 − fee (1e6); ``MathError`` for a fee above 1."""
    return sub_checked(LIQUIDATION_FEE_PRECISION, liquidator_fee)


@rule
def calculate_liability_transfer_to_cover_margin_shortage(
    margin_shortage: int,
    asset_weight: int,
    asset_multiplier: int,
    liability_weight: int,
    liability_multiplier: int,
    liability_decimals: int,
    liability_price: int,
    if_liquidation_fee: int,
) -> int:
    """Tokens of a liability whose transfer covers a shortage; ``UNLIMITED`` where none would. May be 0.

    ``MathError`` where a transfer frees nothing. Drift: this is the answer.
    Velocity: it is at least 1 (``velocity/liquidation_math.py``). Source: liquidation.md §2.2.
    """
    if asset_weight >= liability_weight:
        return UNLIMITED
    liability = liability_weight * 10
    asset = div_trunc(asset_weight * 10 * asset_multiplier, liability_multiplier)
    if asset >= liability:
        return UNLIMITED
    numerator = 1
    denominator = 1
    if liability_decimals > 6:
        numerator = pow10(liability_decimals - 6)
    else:
        denominator = pow10(6 - liability_decimals)
    price = to_u128(liability_price)
    if_part = price * if_liquidation_fee // LIQUIDATION_FEE_PRECISION * liability_weight * 10
    freed = sub_checked(price * (liability - asset), if_part)
    return div_trunc(margin_shortage * numerator * COVER_PRECISION, freed) // denominator


@rule
def calculate_liability_transfer_implied_by_asset_amount(
    asset_amount: int,
    asset_multiplier: int,
    asset_decimals: int,
    asset_price: int,
    liability_multiplier: int,
    liability_decimals: int,
    liability_price: int,
) -> int:
    """Tokens of a liability that ``asset_amount`` pays for, rounded up twice. Source: liquidation.md §2.3."""
    numerator = 1
    denominator = 1
    if liability_decimals > asset_decimals:
        numerator = pow10(liability_decimals - asset_decimals)
    else:
        denominator = pow10(asset_decimals - liability_decimals)
    value = asset_amount * numerator * to_u128(asset_price) * liability_multiplier
    return div_ceil(div_ceil(value, to_u128(liability_price) * asset_multiplier), denominator)


@rule
def calculate_asset_transfer_for_liability_transfer_exact(
    asset_multiplier: int,
    asset_decimals: int,
    asset_price: int,
    liability_transfer: int,
    liability_multiplier: int,
    liability_decimals: int,
    liability_price: int,
) -> int:
    """Tokens of the asset that pay for a liability, at least 1. Source: velocity/liquidation.md §3.4."""
    numerator = 1
    denominator = 1
    if asset_decimals > liability_decimals:
        numerator = pow10(asset_decimals - liability_decimals)
    else:
        denominator = pow10(liability_decimals - asset_decimals)
    value = liability_transfer * numerator * to_u128(liability_price) * asset_multiplier
    return max(1, div_trunc(value, to_u128(asset_price) * liability_multiplier) // denominator)


@rule
def calculate_spot_if_fee(
    margin_shortage: int,
    token_amount: int,
    asset_weight: int,
    asset_multiplier: int,
    liability_weight: int,
    liability_multiplier: int,
    liability_decimals: int,
    liability_price: int,
    max_if_fee: int,
) -> int:
    """Fee rate (1e6) for insurance that a transfer of all ``token_amount`` can bear, at most the market's.

    Velocity: insurance and protocol share it, and the market's rate is the sum of both. Source: liquidation.md §2.7.
    """
    if asset_weight >= liability_weight or liability_price == 0 or token_amount == 0 or liability_multiplier == 0:
        return 0
    weight = liability_weight * FEE_PER_WEIGHT
    room = sub_saturating(weight, asset_weight * FEE_PER_WEIGHT * asset_multiplier // liability_multiplier)
    needed = margin_shortage * PRICE_PRECISION * pow10(liability_decimals) // token_amount
    room = sub_saturating(room, needed // to_u128(liability_price))
    implied = min(room * LIQUIDATION_FEE_PRECISION // weight, U32_MAX)
    return min(max_if_fee, implied)


@rule
def validate_transfer_satisfies_limit_price(
    asset_transfer: int, liability_transfer: int, asset_decimals: int, liability_decimals: int, limit_price: int
) -> None:
    """``LiquidationDoesntSatisfyLimitPrice`` where the liquidator gets less asset (1e6) for a liability token.

    ``NO_LIMIT_PRICE`` admits all. Source: liquidation.md §2.11.
    """
    if limit_price == NO_LIMIT_PRICE:
        return
    price = asset_transfer * PRICE_PRECISION // pow10(asset_decimals) * pow10(liability_decimals)
    if div_trunc(price, liability_transfer) < limit_price:
        raise SettlementError(ErrorCode.LiquidationDoesntSatisfyLimitPrice)


# --- how much at once ------------------------------------------------------------------------------------------


@rule
def calculate_max_pct_to_liquidate(
    last_active_slot: int,
    liquidation_margin_freed: int,
    margin_shortage: int,
    slot: int,
    initial_pct_to_liquidate: int,
    liquidation_duration: int,
) -> int:
    """Part (1e4) of the present shortage that may be covered by now: it grows with the time since the flagging.

    Small shortages are covered at once. ``MathError`` for a slot before the flagging.
    Drift: the duration is in slots. Velocity: in whole periods of 400 ms, which a slot lasts.
    Source: liquidation.md §2.5, velocity/liquidation.md §3.8.
    """
    if margin_shortage < MAX_SHORTAGE_AT_ONCE:
        return LIQUIDATION_PCT_PRECISION
    elapsed = sub_checked(slot, last_active_slot)
    pct = LIQUIDATION_PCT_PRECISION
    if liquidation_duration != 0:
        pct = elapsed * LIQUIDATION_PCT_PRECISION // liquidation_duration
    pct = min(LIQUIDATION_PCT_PRECISION, pct + initial_pct_to_liquidate)
    total = margin_shortage + liquidation_margin_freed
    free = sub_saturating(total * pct // LIQUIDATION_PCT_PRECISION, liquidation_margin_freed)
    return free * LIQUIDATION_PCT_PRECISION // margin_shortage


@rule
def part_to_liquidate(amount: int, pct: int) -> int:
    """A percentage (1e4) of an amount that may be ``UNLIMITED``."""
    if amount == UNLIMITED:
        if pct == 0:
            return 0
        return UNLIMITED
    return amount * pct // LIQUIDATION_PCT_PRECISION


# --- tiers -----------------------------------------------------------------------------------------------------


@rule
def is_as_safe_as(contract_tier: int, safest_perp_tier: int, safest_spot_tier: int) -> bool:
    """Whether a contract's P&L may go before an account's safest perp position and safest borrow.

    Borrows of the safest two tiers come first always; others come after contracts up to tier C.
    Source: liquidation.md §7 step 7; ``state/perp_market.rs::is_as_safe_as``.
    """
    if contract_tier > safest_perp_tier:
        return False
    if safest_spot_tier == ASSET_TIER_UNLISTED:
        return True
    return safest_spot_tier >= ASSET_TIER_CROSS and contract_tier <= CONTRACT_TIER_C
