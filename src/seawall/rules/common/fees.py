"""What both rulebooks reckon alike about trading fees: roundings, rewards, and the volumes of a fee tier. Quote 1e6.

Source: fees.md; velocity/pools-and-fees.md §3; ``math/fees.rs``, ``math/matching.rs``, ``state/user.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    PRICE_PRECISION,
    THIRTY_DAY,
    U64_MAX,
    clamp,
    div_ceil,
    div_trunc,
    isqrt,
    sub_checked,
    sub_saturating,
    to_u64,
)
from seawall.lanes import rule
from seawall.rules.common.statistics import calculate_rolling_sum
from seawall.state.enums import LONG
from seawall.state.exchange import FeeTier, OrderFillerRewardStructure
from seawall.state.user import UserStats

MIN_FILLER_MULTIPLIER: Final = 1_000
MAX_FILLER_MULTIPLIER: Final = 100_000
FILLER_MULTIPLIER_PREMIUM: Final = 2_000
"""Added to a maker's distance from the oracle (1e6)."""
LARGEST_FEE_ADJUSTMENT: Final = 100


# --- elementary amounts ----------------------------------------------------------------------------------------


@rule
def calculate_schedule_fee(quote_asset_amount: int, tier: FeeTier) -> int:
    """⌈quote·n/d⌉: a taker's fee by its tier. ``MathError`` for a denominator of 0. Source: fees.md §3."""
    return to_u64(div_ceil(quote_asset_amount * tier.fee_numerator, tier.fee_denominator))


@rule
def adjust_taker_fee(fee: int, fee_adjustment: int) -> int:
    """A taker's fee changed by the market's adjustment (percent): a discount is floored, a surcharge is a ceiling."""
    if fee_adjustment < 0:
        return sub_saturating(fee, fee * -fee_adjustment // LARGEST_FEE_ADJUSTMENT)
    if fee_adjustment > 0:
        fee = fee + div_ceil(fee * fee_adjustment, LARGEST_FEE_ADJUSTMENT)
        if fee > U64_MAX:
            return U64_MAX
    return fee


@rule
def calculate_maker_rebate(quote_asset_amount: int, tier: FeeTier, fee_adjustment: int) -> int:
    """⌊quote·n/d⌋, changed by the market's adjustment (percent): a cut is a ceiling, a raise is floored."""
    rebate = to_u64(div_trunc(quote_asset_amount * tier.maker_rebate_numerator, tier.maker_rebate_denominator))
    if fee_adjustment < 0:
        return sub_saturating(rebate, div_ceil(rebate * -fee_adjustment, LARGEST_FEE_ADJUSTMENT))
    if fee_adjustment > 0:
        rebate = rebate + rebate * fee_adjustment // LARGEST_FEE_ADJUSTMENT
        if rebate > U64_MAX:
            return U64_MAX
    return rebate


@rule
def calculate_referee_discount(fee: int, tier: FeeTier) -> int:
    """What a referred taker saves on its fee (floor)."""
    return to_u64(div_trunc(fee * tier.referee_fee_numerator, tier.referee_fee_denominator))


@rule
def filler_reward_by_size(amount: int, structure: OrderFillerRewardStructure) -> int:
    """A filler's part of ``amount`` (floor), which the order's age may cap."""
    return div_trunc(amount * structure.reward_numerator, structure.reward_denominator)


@rule
def filler_reward_by_time(order_slot: int, slot: int, multiplier: int, structure: OrderFillerRewardStructure) -> int:
    """Most that a filler gets for an order of that age: it grows with the fourth root of the age in slots.

    The root times the lower bound (quote 1e6), which is scaled by ``multiplier`` (1e3). ``MathError`` for an order from
    the future. Source: fees.md §3.
    """
    factor = clamp(multiplier, MIN_FILLER_MULTIPLIER, MAX_FILLER_MULTIPLIER)
    minimum = structure.time_based_reward_lower_bound * factor // MIN_FILLER_MULTIPLIER
    age = sub_checked(slot, order_slot)
    if age < 1:
        age = 1
    return isqrt(isqrt(age * 100_000_000)) * minimum // 100


@rule
def calculate_filler_multiplier_for_matched_orders(maker_price: int, maker_direction: int, oracle_price: int) -> int:
    """How much a match is worth to fillers (1e3): the better the maker's price for the taker, the more."""
    distance = div_trunc((oracle_price - maker_price) * PRICE_PRECISION, oracle_price)
    if maker_direction == LONG:
        distance = -distance
    return clamp(distance + FILLER_MULTIPLIER_PREMIUM, MIN_FILLER_MULTIPLIER, MAX_FILLER_MULTIPLIER)


# --- volumes ---------------------------------------------------------------------------------------------------


@rule
def seconds_since(last_ts: int, now: int) -> int:
    """Seconds since ``last_ts``, at least 1."""
    if now - last_ts < 1:
        return 1
    return now - last_ts


@rule
def update_taker_volume_30d(stats: UserStats, quote_asset_amount: int, now: int) -> None:
    """Add to the taker's rolling 30-day volume (quote 1e6). Source: fees.md §2."""
    elapsed = seconds_since(stats.last_taker_volume_30d_ts, now)
    stats.taker_volume_30d = calculate_rolling_sum(stats.taker_volume_30d, quote_asset_amount, elapsed, THIRTY_DAY)
    stats.last_taker_volume_30d_ts = now


@rule
def update_maker_volume_30d(stats: UserStats, quote_asset_amount: int, now: int) -> None:
    """Add to the maker's rolling 30-day volume (quote 1e6)."""
    elapsed = seconds_since(stats.last_maker_volume_30d_ts, now)
    stats.maker_volume_30d = calculate_rolling_sum(stats.maker_volume_30d, quote_asset_amount, elapsed, THIRTY_DAY)
    stats.last_maker_volume_30d_ts = now


@rule
def update_filler_volume(stats: UserStats, quote_asset_amount: int, now: int) -> None:
    """Add to the filler's rolling 30-day volume (quote 1e6)."""
    elapsed = seconds_since(stats.last_filler_volume_30d_ts, now)
    stats.filler_volume_30d = calculate_rolling_sum(stats.filler_volume_30d, quote_asset_amount, elapsed, THIRTY_DAY)
    stats.last_filler_volume_30d_ts = now
