"""Trading fees, rebates, filler and referrer rewards, and the statistics that choose the fee tier. Quote 1e6.

Source: fees.md; ``math/fees.rs``, ``math/matching.rs``, ``state/user.rs``.
"""

from seawall.arithmetic import EPOCH_DURATION, checked_u64, div_trunc, sub_checked, sub_saturating, to_u64
from seawall.lanes import rule
from seawall.rules.common.fees import (
    adjust_taker_fee,
    calculate_maker_rebate,
    calculate_referee_discount,
    calculate_schedule_fee,
    filler_reward_by_size,
    filler_reward_by_time,
)
from seawall.state.exchange import FeeStructure, FeeTier, OrderFillerRewardStructure
from seawall.state.orders import FillFacts
from seawall.state.user import UserStats

# --- tiers -----------------------------------------------------------------------------------------------------


@rule
def determine_perp_fee_tier(stats: UserStats) -> int:
    """Index of the fee tier: the best that the 30-day volume or the quote insurance stake (1e6) reaches.

    The volumes count as stored, not decayed to now: deliberate. Source: fees.md §2.
    """
    volume = checked_u64(stats.taker_volume_30d + stats.maker_volume_30d)
    stake = stats.if_staked_quote_asset_amount
    if volume >= 100_000_000_000_000 or stake >= 9_999_000_000:
        return 5
    if volume >= 50_000_000_000_000 or stake >= 4_999_000_000:
        return 4
    if volume >= 10_000_000_000_000 or stake >= 1_999_000_000:
        return 3
    if volume >= 5_000_000_000_000 or stake >= 999_000_000:
        return 2
    if volume >= 1_000_000_000_000 or stake >= 499_000_000:
        return 1
    return 0


# --- elementary amounts ----------------------------------------------------------------------------------------


@rule
def calculate_taker_fee(quote_asset_amount: int, tier: FeeTier, fee_adjustment: int) -> int:
    """⌈quote·n/d⌉, changed by the market's adjustment (percent): a discount is floored, a surcharge is a ceiling.

    ``MathError`` for a denominator of 0. Source: fees.md §3.
    """
    return adjust_taker_fee(calculate_schedule_fee(quote_asset_amount, tier), fee_adjustment)


@rule
def calculate_referrer_reward(fee: int, tier: FeeTier, epoch_bound: int, current_epoch_reward: int) -> int:
    """What the referrer gets of the fee before the discount (floor), up to what is left of its epoch."""
    reward = to_u64(div_trunc(fee * tier.referrer_reward_numerator, tier.referrer_reward_denominator))
    room = sub_saturating(epoch_bound, current_epoch_reward)
    if reward > room:
        return room
    return reward


@rule
def calculate_filler_reward(
    amount: int, order_slot: int, slot: int, multiplier: int, structure: OrderFillerRewardStructure
) -> int:
    """A filler's part of ``amount`` (a fee or, at an external venue, the quote), capped by the order's age.

    ``MathError`` for an order from the future. Source: fees.md §3; ``math/fees.rs::calculate_filler_reward``.
    """
    by_size = filler_reward_by_size(amount, structure)
    by_time = filler_reward_by_time(order_slot, slot, multiplier, structure)
    if by_size < by_time:
        return to_u64(by_size)
    return to_u64(by_time)


# --- the split of a fee ----------------------------------------------------------------------------------------


@rule
def charge_taker(
    facts: FillFacts,
    tier: FeeTier,
    fee_adjustment: int,
    epoch_bound: int,
    referrer_stats: UserStats,
    reward_referrer: bool,
) -> None:
    """The taker's fee after a referee's discount, the discount and the referrer's reward of one fill."""
    fee = calculate_taker_fee(facts.quote_asset_amount, tier, fee_adjustment)
    if reward_referrer:
        facts.referee_discount = calculate_referee_discount(fee, tier)
        facts.referrer_reward = calculate_referrer_reward(
            fee, tier, epoch_bound, referrer_stats.fees.current_epoch_referrer_reward
        )
        fee = sub_checked(fee, facts.referee_discount)
    facts.user_fee = fee


@rule
def calculate_fee_for_fulfillment_with_amm(
    facts: FillFacts,
    stats: UserStats,
    structure: FeeStructure,
    fee_adjustment: int,
    order_slot: int,
    slot: int,
    post_only: bool,
    referrer_stats: UserStats,
    reward_referrer: bool,
    reward_filler: bool,
) -> None:
    """Who gets what of a fill against the AMM. A post-only user is paid its rebate out of the surplus.

    Post-only: ``CastingFailure`` for a negative surplus, ``MathError`` for one smaller than the rebate.
    Source: fees.md §4; ``math/fees.rs::calculate_fee_for_fulfillment_with_amm``.
    """
    tier = structure.fee_tiers[determine_perp_fee_tier(stats)]
    reward_structure = structure.filler_reward_structure
    if post_only:
        facts.maker_rebate = calculate_maker_rebate(facts.quote_asset_amount, tier, fee_adjustment)
        rest = sub_checked(to_u64(facts.quote_asset_amount_surplus), facts.maker_rebate)
        if reward_filler:
            facts.filler_reward = calculate_filler_reward(rest, order_slot, slot, 0, reward_structure)
        facts.fee_to_market = sub_checked(rest, facts.filler_reward)
        return
    bound = structure.referrer_reward_epoch_upper_bound
    charge_taker(facts, tier, fee_adjustment, bound, referrer_stats, reward_referrer)
    fee = facts.user_fee
    if reward_filler:
        facts.filler_reward = calculate_filler_reward(fee, order_slot, slot, 0, reward_structure)
    kept = sub_checked(sub_checked(fee, facts.filler_reward), facts.referrer_reward)
    facts.fee_to_market = kept + facts.quote_asset_amount_surplus


@rule
def calculate_fee_for_fulfillment_with_match(
    facts: FillFacts,
    taker_stats: UserStats,
    maker_stats: UserStats,
    structure: FeeStructure,
    fee_adjustment: int,
    order_slot: int,
    slot: int,
    filler_multiplier: int,
    referrer_stats: UserStats,
    reward_referrer: bool,
) -> None:
    """Who gets what of a fill between two users of perp orders. A multiplier of 0 means no filler.

    ``MathError`` when the fee does not cover the rewards and the rebate. Source: fees.md §5.
    """
    tier = structure.fee_tiers[determine_perp_fee_tier(taker_stats)]
    bound = structure.referrer_reward_epoch_upper_bound
    charge_taker(facts, tier, fee_adjustment, bound, referrer_stats, reward_referrer)
    maker_tier = structure.fee_tiers[determine_perp_fee_tier(maker_stats)]
    split_match_fee(facts, maker_tier, structure, fee_adjustment, order_slot, slot, filler_multiplier)


@rule
def calculate_spot_fee_for_fulfillment_with_match(
    facts: FillFacts, structure: FeeStructure, fee_adjustment: int, order_slot: int, slot: int, filler_multiplier: int
) -> None:
    """Who gets what of a fill between two users of spot orders: tier 0 for both, no referral. Source: fees.md §6."""
    tier = structure.fee_tiers[0]
    facts.user_fee = calculate_taker_fee(facts.quote_asset_amount, tier, fee_adjustment)
    split_match_fee(facts, tier, structure, fee_adjustment, order_slot, slot, filler_multiplier)


@rule
def split_match_fee(
    facts: FillFacts,
    maker_tier: FeeTier,
    structure: FeeStructure,
    fee_adjustment: int,
    order_slot: int,
    slot: int,
    filler_multiplier: int,
) -> None:
    """Rebate, filler's reward and what the market keeps of the taker's fee; ``MathError`` when it does not suffice."""
    facts.maker_rebate = calculate_maker_rebate(facts.quote_asset_amount, maker_tier, fee_adjustment)
    fee = facts.user_fee
    if filler_multiplier > 0:
        facts.filler_reward = calculate_filler_reward(
            fee, order_slot, slot, filler_multiplier, structure.filler_reward_structure
        )
    rest = sub_checked(sub_checked(fee, facts.filler_reward), facts.referrer_reward)
    facts.fee_to_market = sub_checked(rest, facts.maker_rebate)


@rule
def calculate_fee_for_fulfillment_with_external_market(
    facts: FillFacts,
    structure: FeeStructure,
    fee_adjustment: int,
    order_slot: int,
    slot: int,
    reward_filler: bool,
    external_market_fee: int,
    unsettled_referrer_rebate: int,
    fee_pool_amount: int,
) -> int:
    """Who gets what of a spot fill at an external venue; the (signed) change of the spot fee pool.

    The user pays at least what the venue takes and will rebate later; the filler may be advanced from the pool.
    Source: fees.md §6; ``math/fees.rs::calculate_fee_for_fulfillment_with_external_market``.
    """
    quote = facts.quote_asset_amount
    fee = calculate_taker_fee(quote, structure.fee_tiers[0], fee_adjustment)
    least = checked_u64(external_market_fee + unsettled_referrer_rebate)
    if fee < least:
        fee = least
    facts.user_fee = fee
    rest = sub_checked(fee, external_market_fee)
    if reward_filler:
        available = sub_checked(rest, unsettled_referrer_rebate)
        if fee_pool_amount > available:
            available = fee_pool_amount
        if rest < available:
            available = rest
        reward = calculate_filler_reward(quote, order_slot, slot, 0, structure.filler_reward_structure)
        if reward > available:
            reward = available
        facts.filler_reward = reward
    facts.fee_to_market = sub_checked(rest, facts.filler_reward)
    return facts.fee_to_market - unsettled_referrer_rebate


# --- statistics ------------------------------------------------------------------------------------------------


@rule
def increment_total_referrer_reward(stats: UserStats, reward: int, now: int) -> None:
    """Add a reward (quote 1e6) to the referrer's totals; a new epoch forgets the very reward that opened it.

    Deliberate, it is the program's. Source: fees.md §7; ``state/user.rs::increment_total_referrer_reward``.
    """
    fees = stats.fees
    fees.total_referrer_reward = checked_u64(fees.total_referrer_reward + reward)
    fees.current_epoch_referrer_reward = checked_u64(fees.current_epoch_referrer_reward + reward)
    if now > stats.next_epoch_ts:
        epochs = (now - stats.next_epoch_ts) // EPOCH_DURATION + 1
        stats.next_epoch_ts = stats.next_epoch_ts + EPOCH_DURATION * epochs
        fees.current_epoch_referrer_reward = 0
