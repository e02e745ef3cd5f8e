"""Velocity's trading fees: tier, taker fee with add-on, and the split of what is left among AMM, insurance, protocol.

All quote 1e6. What it reckons as Drift does: ``rules/common/fees.py``. Source: velocity/pools-and-fees.md §3;
``math/fees.rs``.
"""

from typing import Final

from seawall.arithmetic import THIRTY_DAY, checked_u64, div_trunc, sub_checked, sub_saturating, to_u64
from seawall.lanes import rule
from seawall.rules.common.fees import (
    adjust_taker_fee,
    calculate_maker_rebate,
    calculate_referee_discount,
    calculate_schedule_fee,
    filler_reward_by_size,
    filler_reward_by_time,
)
from seawall.rules.common.statistics import calculate_rolling_sum
from seawall.state.exchange import FeeStructure, FeeTier
from seawall.state.orders import FillFacts, FillTerms
from seawall.state.user import UserStats

LAST_TIER: Final = 3
"""The best tier that volume, or the promotion, can reach."""
TENTH_BPS: Final = 100_000
"""Tenths of a basis point in one."""
FEE_SPLIT_DENOMINATOR: Final = 100
ACCELERATED_REFERRER_NUMERATOR: Final = 20


# --- tiers -----------------------------------------------------------------------------------------------------


@rule
def volume_now(stats: UserStats, now: int) -> int:
    """The 30-day volume (quote 1e6) as maker and taker, each decayed to ``now``. Source: §3 step 1."""
    taker_age = max(0, now - stats.last_taker_volume_30d_ts)
    maker_age = max(0, now - stats.last_maker_volume_30d_ts)
    taker = calculate_rolling_sum(stats.taker_volume_30d, 0, taker_age, THIRTY_DAY)
    maker = calculate_rolling_sum(stats.maker_volume_30d, 0, maker_age, THIRTY_DAY)
    return checked_u64(taker + maker)


@rule
def determine_perp_fee_tier(stats: UserStats, promo_fee_tier: int, now: int) -> int:
    """Index of the fee tier: what the volume decayed to now reaches, or the promotion if that is better.

    Drift counts the volume as stored, and the insurance stake. Source: velocity/pools-and-fees.md §3 step 1.
    """
    volume = volume_now(stats, now)
    tier = 0
    if volume >= 200_000_000_000_000:
        tier = 3
    elif volume >= 80_000_000_000_000:
        tier = 2
    elif volume >= 5_000_000_000_000:
        tier = 1
    return max(tier, min(promo_fee_tier, LAST_TIER))


# --- elementary amounts ----------------------------------------------------------------------------------------


@rule
def calculate_taker_fee(quote_asset_amount: int, tier: FeeTier, addon_tenth_bps: int, fee_adjustment: int) -> int:
    """The tier's fee and the market's add-on (floor), together changed by the market's adjustment (percent).

    ``MathError`` for a denominator of 0. Source: velocity/pools-and-fees.md §3 step 2.
    """
    addon = quote_asset_amount * addon_tenth_bps // TENTH_BPS
    fee = checked_u64(calculate_schedule_fee(quote_asset_amount, tier) + addon)
    return adjust_taker_fee(fee, fee_adjustment)


@rule
def calculate_referrer_reward(fee: int, tier: FeeTier, accelerated: bool) -> int:
    """What the referrer gets of the fee before the discount (floor); an accelerated one has the same part in any tier.

    Drift bounds what a referrer gets in an epoch. Source: velocity/pools-and-fees.md §3 step 3.
    """
    numerator = tier.referrer_reward_numerator
    if accelerated:
        numerator = ACCELERATED_REFERRER_NUMERATOR
    return to_u64(div_trunc(fee * numerator, tier.referrer_reward_denominator))


@rule
def calculate_filler_reward(amount: int, structure: FeeStructure, terms: FillTerms, multiplier: int) -> int:
    """A filler's part of ``amount``, capped by the order's age less what earlier legs of the fill already paid.

    Drift caps each leg by itself. ``MathError`` for an order from the future. Source: velocity/pools-and-fees.md §3
    step 5.
    """
    rewards = structure.filler_reward_structure
    by_size = filler_reward_by_size(amount, rewards)
    by_time = filler_reward_by_time(terms.order_slot, terms.slot, multiplier, rewards)
    allowance = sub_saturating(by_time, terms.filler_reward_paid)
    if by_size < allowance:
        return to_u64(by_size)
    return to_u64(allowance)


@rule
def calculate_builder_fee(quote_asset_amount: int, fee_tenth_bps: int) -> int:
    """What a builder asks on top of the taker's fee (floor). Source: velocity/pools-and-fees.md §3 step 6."""
    return to_u64(quote_asset_amount * fee_tenth_bps // TENTH_BPS)


# --- the split of a fee ----------------------------------------------------------------------------------------


@rule
def split_remainder(facts: FillFacts, remainder: int, structure: FeeStructure) -> None:
    """What is left of a fee: the AMM's and insurance's parts (floor), the protocol gets the rest and all dust.

    ``MathError`` where both numerators exceed 100 together. Source: velocity/pools-and-fees.md §3 step 7.
    """
    facts.amm_fee = remainder * structure.amm_fee_numerator // FEE_SPLIT_DENOMINATOR
    facts.if_fee = remainder * structure.if_fee_numerator // FEE_SPLIT_DENOMINATOR
    facts.protocol_fee = sub_checked(sub_checked(remainder, facts.amm_fee), facts.if_fee)


@rule
def charge_taker(facts: FillFacts, tier: FeeTier, terms: FillTerms) -> None:
    """The taker's fee after a referee's discount, the discount, the referrer's reward and the builder's fee."""
    fee = calculate_taker_fee(facts.quote_asset_amount, tier, terms.taker_fee_addon_tenth_bps, terms.fee_adjustment)
    if terms.reward_referrer:
        facts.referee_discount = calculate_referee_discount(fee, tier)
        facts.referrer_reward = calculate_referrer_reward(fee, tier, terms.accelerated_referrer)
        fee = sub_checked(fee, facts.referee_discount)
    facts.user_fee = fee
    facts.builder_fee = calculate_builder_fee(facts.quote_asset_amount, terms.builder_fee_tenth_bps)


@rule
def calculate_fee_for_fulfillment_with_amm(
    facts: FillFacts, stats: UserStats, structure: FeeStructure, terms: FillTerms
) -> None:
    """Who gets what of a fill against the AMM. A post-only user is paid its rebate out of the surplus.

    Post-only: ``CastingFailure`` for a negative surplus, ``MathError`` for one smaller than the rebate. Otherwise
    ``MathError`` when the fee does not cover the rewards. Drift leaves the whole rest to the AMM.
    Source: velocity/pools-and-fees.md §3; ``math/fees.rs::calculate_fee_for_fulfillment_with_amm``.
    """
    tier = structure.fee_tiers[determine_perp_fee_tier(stats, terms.promo_fee_tier, terms.now)]
    quote = facts.quote_asset_amount
    surplus = facts.quote_asset_amount_surplus
    if terms.post_only:
        facts.maker_rebate = calculate_maker_rebate(quote, tier, terms.fee_adjustment)
        rest = sub_checked(to_u64(surplus), facts.maker_rebate)
        if terms.reward_filler:
            facts.filler_reward = calculate_filler_reward(rest, structure, terms, 0)
        # insurance and protocol are paid out of the surplus here: deliberate, it is the program's
        split_remainder(facts, sub_checked(rest, facts.filler_reward), structure)
        facts.fee_to_market = facts.amm_fee
        return
    charge_taker(facts, tier, terms)
    if terms.reward_filler:
        facts.filler_reward = calculate_filler_reward(facts.user_fee, structure, terms, 0)
    rest = sub_checked(sub_checked(facts.user_fee, facts.filler_reward), facts.referrer_reward)
    rebate = 0
    if terms.vamm_maker_rebate:
        rebate = min(calculate_maker_rebate(quote, structure.fee_tiers[0], terms.fee_adjustment), rest)
    split_remainder(facts, rest - rebate, structure)
    facts.amm_fee = facts.amm_fee + rebate
    facts.fee_to_market = facts.amm_fee + surplus


@rule
def calculate_fee_for_fulfillment_with_match(
    facts: FillFacts, taker_stats: UserStats, maker_stats: UserStats, structure: FeeStructure, terms: FillTerms
) -> None:
    """Who gets what of a fill between two users; the AMM has its cut even so. A multiplier of 0 means no filler.

    ``maker_stats`` are the taker's where both have one authority. ``MathError`` when the fee does not cover the rewards
    and the rebate. Drift leaves the whole rest to the AMM. Source: velocity/pools-and-fees.md §3.
    """
    charge_taker(
        facts, structure.fee_tiers[determine_perp_fee_tier(taker_stats, terms.promo_fee_tier, terms.now)], terms
    )
    maker_tier = structure.fee_tiers[determine_perp_fee_tier(maker_stats, terms.promo_fee_tier, terms.now)]
    facts.maker_rebate = calculate_maker_rebate(facts.quote_asset_amount, maker_tier, terms.fee_adjustment)
    if terms.filler_multiplier > 0:
        facts.filler_reward = calculate_filler_reward(facts.user_fee, structure, terms, terms.filler_multiplier)
    rest = sub_checked(sub_checked(facts.user_fee, facts.filler_reward), facts.referrer_reward)
    split_remainder(facts, sub_checked(rest, facts.maker_rebate), structure)
    facts.fee_to_market = facts.amm_fee
