"""Facts of Velocity: fees of fills, fee tiers, and what a sequence of fills leaves in a market's books."""

from typing import Final

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, UnreadableFact
from seawall.engine.handlers.velocity.fee_parameters import default_velocity_fee_structure
from seawall.rules.velocity.fees import (
    calculate_fee_for_fulfillment_with_amm,
    calculate_fee_for_fulfillment_with_match,
    determine_perp_fee_tier,
    volume_now,
)
from seawall.rules.velocity.perp_fills import book_market_fees
from seawall.rules.velocity.revenue_share import accrue_revenue_share
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.exchange import FeeStructure, FeeTier, OrderFillerRewardStructure
from seawall.state.orders import FillFacts, FillTerms
from seawall.state.perp_market import PerpMarket
from seawall.state.revenue_share import ROW_IN_USE, ROW_REFERRAL, RevenueShareEscrow, RevenueShareRow
from seawall.state.user import UserStats

_NOW: Final = 1_700_000_000
_DAY: Final = 86_400
_OWN_TIER: Final = 1
"""The trader's tier in a fact, so that tier 0 can have another rebate."""


def flag(inputs: Inputs, name: str) -> bool:
    """A truth value, written as true or false or as "1" or "0"; missing: no."""
    return inputs.number(name, 0) != 0


# --- one fill --------------------------------------------------------------------------------------------------


def make_structure(inputs: Inputs) -> FeeStructure:
    """A schedule with the fact's tier, and its tier 0, whose rebate the AMM may be given."""
    own = FeeTier(
        fee_numerator=inputs.number("fee_numerator", 0),
        fee_denominator=inputs.number("fee_denominator", 100_000),
        maker_rebate_numerator=inputs.number("rebate_numerator", 0),
        maker_rebate_denominator=inputs.number("rebate_denominator", 100_000),
        referee_fee_numerator=inputs.number("referee_pct", 0),
        referee_fee_denominator=100,
        referrer_reward_numerator=inputs.number("referrer_pct", 0),
        referrer_reward_denominator=100,
    )
    first = own.copy()
    first.maker_rebate_numerator = inputs.number("tier0_rebate_numerator", own.maker_rebate_numerator)
    first.maker_rebate_denominator = inputs.number("tier0_rebate_denominator", own.maker_rebate_denominator)
    structure = FeeStructure(
        filler_reward_structure=OrderFillerRewardStructure(
            reward_numerator=inputs.number("filler_numerator", 10),
            reward_denominator=inputs.number("filler_denominator", 100),
            time_based_reward_lower_bound=inputs.number("filler_lower_bound", 10_000),
        ),
        amm_fee_numerator=inputs.number("amm_numerator", 0),
        if_fee_numerator=inputs.number("if_numerator", 0),
    )
    structure.fee_tiers = [first] + [own.copy() for _ in range(9)]
    return structure


def make_terms(inputs: Inputs, filler_reward_paid: int) -> FillTerms:
    """The terms of a fact's fill; the trader is in the second tier by promotion."""
    return FillTerms(
        now=_NOW,
        slot=inputs.number("order_age_slots", 0),
        fee_adjustment=inputs.number("fee_adjustment", 0),
        taker_fee_addon_tenth_bps=inputs.number("taker_fee_addon_tenth_bps", 0),
        promo_fee_tier=_OWN_TIER,
        vamm_maker_rebate=flag(inputs, "vamm_maker_rebate"),
        reward_referrer=flag(inputs, "reward_referrer"),
        accelerated_referrer=flag(inputs, "accelerated_referrer"),
        reward_filler=flag(inputs, "reward_filler"),
        filler_multiplier=inputs.number("filler_multiplier", 0),
        filler_reward_paid=inputs.number("filler_reward_paid", filler_reward_paid),
        builder_fee_tenth_bps=inputs.number("builder_fee_tenth_bps", 0),
    )


def make_fill(inputs: Inputs) -> FillFacts:
    """A fill of the fact's quote, with the AMM's surplus."""
    return FillFacts(
        quote_asset_amount=inputs.number("quote", 0), quote_asset_amount_surplus=inputs.number("surplus", 0)
    )


def fee_match(inputs: Inputs, filler_reward_paid: int = 0) -> FillFacts:
    """A match between two traders of one tier."""
    facts = make_fill(inputs)
    facts.quote_asset_amount_surplus = 0
    calculate_fee_for_fulfillment_with_match(
        facts, UserStats(), UserStats(), make_structure(inputs), make_terms(inputs, filler_reward_paid)
    )
    return facts


def fee_amm_taker(inputs: Inputs, filler_reward_paid: int = 0) -> FillFacts:
    """A taker against the AMM."""
    facts = make_fill(inputs)
    calculate_fee_for_fulfillment_with_amm(
        facts, UserStats(), make_structure(inputs), make_terms(inputs, filler_reward_paid)
    )
    return facts


def fee_amm_post_only(inputs: Inputs, filler_reward_paid: int = 0) -> FillFacts:
    """A post-only user against the AMM."""
    facts = make_fill(inputs)
    terms = make_terms(inputs, filler_reward_paid)
    terms.post_only = True
    calculate_fee_for_fulfillment_with_amm(facts, UserStats(), make_structure(inputs), terms)
    return facts


def single_match(inputs: Inputs) -> Found:
    """One match."""
    return fee_match(inputs)


def single_amm_taker(inputs: Inputs) -> Found:
    """One taker's fill against the AMM."""
    return fee_amm_taker(inputs)


def single_amm_post_only(inputs: Inputs) -> Found:
    """One post-only user's fill against the AMM."""
    return fee_amm_post_only(inputs)


# --- the legs of one order -------------------------------------------------------------------------------------


def one_leg(inputs: Inputs, filler_reward_paid: int) -> FillFacts:
    """The fees of one leg by its kind."""
    kind = inputs.text("kind")
    if kind == "match":
        return fee_match(inputs, filler_reward_paid)
    if kind == "amm_taker":
        return fee_amm_taker(inputs, filler_reward_paid)
    if kind == "amm_post_only":
        return fee_amm_post_only(inputs, filler_reward_paid)
    raise UnreadableFact(f"no leg of an order is a {kind}")


def accrual_sequence(inputs: Inputs) -> Found:
    """The legs of one order, each in the market's books and in the rows of a builder and a referrer."""
    market = PerpMarket(rulebook=RULEBOOK_VELOCITY)
    escrow = RevenueShareEscrow()
    escrow.rows[0] = RevenueShareRow(bit_flags=ROW_IN_USE)
    escrow.rows[1] = RevenueShareRow(bit_flags=ROW_IN_USE + ROW_REFERRAL)
    paid = 0
    market_quote = 0
    for leg in inputs.items("fills"):
        facts = one_leg(leg, paid)
        leg.ignore(*_UNUSED)
        paid += facts.filler_reward
        accrue_revenue_share(escrow, 0, market, facts.builder_fee)
        book_market_fees(market, facts, False)
        accrue_revenue_share(escrow, 1, market, facts.referrer_reward)
        market_quote += facts.maker_rebate + facts.filler_reward - facts.user_fee - facts.builder_fee
    amm, ledger = market.amm, market.fee_ledger
    return {
        "total_exchange_fee": ledger.total_exchange_fee,
        "pending_protocol": ledger.pending_protocol_fee,
        "pending_if": ledger.pending_if_fee,
        "amm_received": ledger.amm_protocol_fees_received,
        "pending_provision": ledger.pending_amm_provision,
        "pending_revenue_share": market.pending_revenue_share,
        "amm_total_fee": amm.total_fee,
        "amm_total_mm_fee": amm.total_mm_fee,
        "tfmd": amm.total_fee_minus_distributions,
        "net_revenue_since_last_funding": amm.net_revenue_since_last_funding,
        "filler_reward_paid": paid,
        "market_quote_asset_delta": market_quote,
    }


_UNUSED: Final = ("reward_filler", "filler_multiplier", "surplus")
"""Inputs that not every kind of leg reads."""


# --- fee tiers -------------------------------------------------------------------------------------------------


def tier_index(inputs: Inputs) -> Found:
    """The volume decayed to now, and the tier that it or the promotion gives."""
    stats = UserStats(
        taker_volume_30d=inputs.number("taker_volume_30d", 0),
        maker_volume_30d=inputs.number("maker_volume_30d", 0),
        last_taker_volume_30d_ts=_NOW - inputs.number("seconds_since_taker_trade", 0),
        last_maker_volume_30d_ts=_NOW - inputs.number("seconds_since_maker_trade", 0),
    )
    return {
        "volume_now": volume_now(stats, _NOW),
        "tier": determine_perp_fee_tier(stats, inputs.number("promo_fee_tier", 0), _NOW),
    }


def default_tier(inputs: Inputs) -> Found:
    """What a new venue charges a trader of some volume, traded some days ago."""
    stats = UserStats(
        taker_volume_30d=inputs.number("volume_30d"),
        last_taker_volume_30d_ts=_NOW - inputs.number("days_since_trade", 0) * _DAY,
    )
    tier = determine_perp_fee_tier(stats, inputs.number("promo_fee_tier", 0), _NOW)
    return default_velocity_fee_structure().fee_tiers[tier]


ADAPTERS: dict[str, Adapter] = {
    "fee_match": single_match,
    "fee_amm_taker": single_amm_taker,
    "fee_amm_taker_full": single_amm_taker,
    "fee_amm_post_only": single_amm_post_only,
    "fill_fee_accrual_sequence": accrual_sequence,
    "perp_fee_tier_index": tier_index,
    "perp_fee_tier_with_promo": default_tier,
    "perp_fee_tier_live_decay": default_tier,
}
