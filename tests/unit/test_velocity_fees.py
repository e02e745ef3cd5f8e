"""Velocity's fees: tiers, add-on, split, rewards, and which schedules are admitted. Numbers by hand from the page."""

from typing import Any

import pytest

from seawall.engine.handlers.velocity.fee_parameters import default_velocity_fee_structure
from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.perp_fills import is_fill_too_small
from seawall.rules.velocity.fees import (
    calculate_builder_fee,
    calculate_fee_for_fulfillment_with_amm,
    calculate_fee_for_fulfillment_with_match,
    calculate_filler_reward,
    calculate_referrer_reward,
    calculate_taker_fee,
    determine_perp_fee_tier,
    split_remainder,
    volume_now,
)
from seawall.rules.velocity.market_validation import highest_populated_tier, validate_fee_structure
from seawall.rules.velocity.perp_fills import book_market_fees, book_spread_surplus
from seawall.state.enums import RULEBOOK_DRIFT, RULEBOOK_VELOCITY
from seawall.state.exchange import FeeStructure, FeeTier
from seawall.state.orders import FillFacts, FillTerms, PerpOrder
from seawall.state.perp_market import FeeLedger, PerpMarket
from seawall.state.user import UserStats

M = 10**6
NOW = 1_700_000_000
DAY = 86_400
TIER = FeeTier(
    fee_numerator=100, fee_denominator=100_000, maker_rebate_numerator=60, maker_rebate_denominator=100_000,
    referrer_reward_numerator=10, referrer_reward_denominator=100,
    referee_fee_numerator=10, referee_fee_denominator=100,
)  # fmt: skip


def structure(amm: int = 20, insurance: int = 10) -> FeeStructure:
    made = default_velocity_fee_structure()
    made.fee_tiers = [TIER.copy() for _ in range(10)]
    made.amm_fee_numerator, made.if_fee_numerator = amm, insurance
    return made


def fill(quote: int = 100 * M, surplus: int = 0) -> FillFacts:
    return FillFacts(quote_asset_amount=quote, quote_asset_amount_surplus=surplus)


def error_of(call: Any, *args: Any) -> ErrorCode:
    with pytest.raises(SettlementError) as caught:
        call(*args)
    return caught.value.code


# --- tiers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taker", "maker", "promo", "tier"),
    [
        (0, 0, 0, 0),
        (5_000_000 * M - 1, 0, 0, 0),
        (2_500_000 * M, 2_500_000 * M, 0, 1),
        (79_999_999 * M, 0, 0, 1),
        (0, 80_000_000 * M, 0, 2),
        (200_000_000 * M, 0, 0, 3),
        (0, 0, 2, 2),
        (200_000_000 * M, 0, 1, 3),
        # tiers above 3 exist in a schedule, but nothing leads to them
        (0, 0, 9, 3),
    ],
)
def test_the_tier_is_what_volume_or_promotion_reaches(taker: int, maker: int, promo: int, tier: int) -> None:
    stats = UserStats(
        taker_volume_30d=taker, maker_volume_30d=maker, last_taker_volume_30d_ts=NOW, last_maker_volume_30d_ts=NOW
    )
    assert determine_perp_fee_tier(stats, promo, NOW) == tier


def test_volumes_decay_to_the_moment_of_the_fill() -> None:
    stats = UserStats(
        taker_volume_30d=30 * M, last_taker_volume_30d_ts=NOW - 10 * DAY,
        maker_volume_30d=31, last_maker_volume_30d_ts=NOW - 15 * DAY,
    )  # fmt: skip
    assert volume_now(stats, NOW) == 20 * M + 15
    # one second before a whole month nearly nothing is left, and a clock that ran ahead decays nothing
    assert volume_now(stats, NOW + 20 * DAY) == 0
    assert volume_now(stats, NOW - 40 * DAY) == 30 * M + 31


# --- what a fill costs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quote", "addon", "adjustment", "fee"),
    [
        (100_000, 0, 0, 100),
        (100_001, 0, 0, 101),
        # 1.5 basis points on top, floored by itself: ⌈100.001⌉ + ⌊15.00015⌋
        (100_001, 15, 0, 116),
        # the adjustment covers the add-on: 116 − ⌊1.16⌋ and 116 + ⌈1.16⌉
        (100_001, 15, -1, 115),
        (100_001, 15, 1, 118),
        (100_001, 100, -100, 0),
    ],
)
def test_the_add_on_joins_the_fee_before_the_adjustment(quote: int, addon: int, adjustment: int, fee: int) -> None:
    assert calculate_taker_fee(quote, TIER, addon, adjustment) == fee


def test_an_accelerated_referrer_has_a_fifth_in_every_tier() -> None:
    assert calculate_referrer_reward(999, TIER, False) == 99
    assert calculate_referrer_reward(999, TIER, True) == 199


def test_a_builder_charges_tenths_of_a_basis_point() -> None:
    assert calculate_builder_fee(100_000, 1) == 1
    assert calculate_builder_fee(99_999, 1) == 0
    assert calculate_builder_fee(100 * M, 25) == 25_000


def test_the_filler_is_paid_once_for_the_age_of_an_order() -> None:
    made = structure()
    terms = FillTerms(slot=60, order_slot=0)
    # ⌊(60·10^8)^(1/4)⌋ = 278: at most 27,800 for all legs together
    assert calculate_filler_reward(10 * M, made, terms, 0) == 27_800
    terms.filler_reward_paid = 27_000
    assert calculate_filler_reward(10 * M, made, terms, 0) == 800
    terms.filler_reward_paid = 30_000
    assert calculate_filler_reward(10 * M, made, terms, 0) == 0
    # the size counts where it is less
    terms.filler_reward_paid = 0
    assert calculate_filler_reward(1_000, made, terms, 0) == 100


def test_what_is_left_of_a_fee_is_split_and_the_protocol_gets_the_dust() -> None:
    facts = FillFacts()
    split_remainder(facts, 109, structure(33, 33))
    assert (facts.amm_fee, facts.if_fee, facts.protocol_fee) == (35, 35, 39)
    assert error_of(split_remainder, FillFacts(), 100, structure(60, 60)) == ErrorCode.MathError


def test_a_taker_pays_the_amm_and_four_others() -> None:
    facts = fill(surplus=7_000)
    terms = FillTerms(reward_referrer=True, reward_filler=True, slot=60, builder_fee_tenth_bps=50)
    calculate_fee_for_fulfillment_with_amm(facts, UserStats(), structure(), terms)
    # 100,000 less a tenth; a tenth of the full fee to the referrer, a tenth of the discounted one to the filler
    assert (facts.user_fee, facts.referee_discount, facts.referrer_reward) == (90_000, 10_000, 10_000)
    assert facts.filler_reward == 9_000
    assert (facts.amm_fee, facts.if_fee, facts.protocol_fee) == (14_200, 7_100, 49_700)
    assert facts.fee_to_market == 14_200 + 7_000
    assert (facts.builder_fee, facts.maker_rebate) == (50_000, 0)


def test_the_amm_may_be_rebated_like_a_maker_of_the_first_tier() -> None:
    facts = fill()
    made = structure()
    made.fee_tiers[0].maker_rebate_numerator = 30
    terms = FillTerms(vamm_maker_rebate=True, promo_fee_tier=1)
    calculate_fee_for_fulfillment_with_amm(facts, UserStats(), made, terms)
    # 30,000 first, then a fifth and a tenth of the other 70,000
    assert (facts.amm_fee, facts.if_fee, facts.protocol_fee) == (30_000 + 14_000, 7_000, 49_000)
    # the rebate is never more than what is left
    facts = fill()
    made.fee_tiers[0].maker_rebate_numerator = 200
    calculate_fee_for_fulfillment_with_amm(facts, UserStats(), made, terms)
    assert (facts.amm_fee, facts.if_fee, facts.protocol_fee) == (100_000, 0, 0)


def test_a_post_only_user_and_the_protocol_are_paid_out_of_the_surplus() -> None:
    facts = fill(surplus=160_000)
    terms = FillTerms(post_only=True, reward_filler=True, builder_fee_tenth_bps=50, taker_fee_addon_tenth_bps=100)
    calculate_fee_for_fulfillment_with_amm(facts, UserStats(), structure(), terms)
    assert (facts.user_fee, facts.builder_fee, facts.maker_rebate) == (0, 0, 60_000)
    assert facts.filler_reward == 10_000
    assert (facts.amm_fee, facts.if_fee, facts.protocol_fee) == (18_000, 9_000, 63_000)
    assert facts.fee_to_market == 18_000


@pytest.mark.parametrize(("surplus", "error"), [(-1, ErrorCode.CastingFailure), (59_999, ErrorCode.MathError)])
def test_a_post_only_fill_needs_the_surplus_for_the_rebate(surplus: int, error: ErrorCode) -> None:
    terms = FillTerms(post_only=True)
    found = error_of(calculate_fee_for_fulfillment_with_amm, fill(surplus=surplus), UserStats(), structure(), terms)
    assert found == error


def test_a_match_pays_the_maker_by_its_own_tier_and_the_amm_its_cut() -> None:
    made = structure()
    made.fee_tiers[1].maker_rebate_numerator = 10
    maker = UserStats(maker_volume_30d=5_000_000 * M, last_maker_volume_30d_ts=NOW)
    facts = fill()
    calculate_fee_for_fulfillment_with_match(facts, UserStats(), maker, made, FillTerms(now=NOW, filler_multiplier=0))
    assert (facts.user_fee, facts.maker_rebate, facts.filler_reward) == (100_000, 10_000, 0)
    assert (facts.amm_fee, facts.if_fee, facts.protocol_fee) == (18_000, 9_000, 63_000)
    assert facts.fee_to_market == 18_000


def test_a_schedule_whose_parts_exceed_the_fee_makes_a_match_fail() -> None:
    made = structure()
    made.fee_tiers[0].maker_rebate_numerator = 101
    call = calculate_fee_for_fulfillment_with_match
    assert error_of(call, fill(), UserStats(), UserStats(), made, FillTerms()) == ErrorCode.MathError


# --- the market's books ----------------------------------------------------------------------------------------


def test_a_fill_is_booked_by_the_amm_and_in_the_ledger() -> None:
    market = PerpMarket(rulebook=RULEBOOK_VELOCITY)
    facts = FillFacts(
        user_fee=100, amm_fee=20, if_fee=10, protocol_fee=60, fee_to_market=25, quote_asset_amount_surplus=5
    )
    book_market_fees(market, facts, True)
    ledger, amm = market.fee_ledger, market.amm
    assert (ledger.total_exchange_fee, ledger.pending_protocol_fee, ledger.pending_if_fee) == (100, 60, 10)
    assert (ledger.amm_protocol_fees_received, ledger.pending_amm_provision, ledger.pending_amm_surplus) == (20, 20, 5)
    assert (amm.total_fee, amm.total_mm_fee, amm.total_fee_minus_distributions) == (25, 5, 25)
    assert (amm.net_revenue_since_last_funding, amm.total_exchange_fee) == (25, 0)


def test_only_the_surplus_that_the_amm_booked_is_counted_and_only_if_asked() -> None:
    market = PerpMarket(rulebook=RULEBOOK_VELOCITY)
    post_only = FillFacts(amm_fee=20, fee_to_market=20, quote_asset_amount_surplus=500)
    book_market_fees(market, post_only, True)
    assert market.fee_ledger.pending_amm_surplus == 0
    taken = FillFacts(amm_fee=20, fee_to_market=70, quote_asset_amount_surplus=50)
    book_market_fees(market, taken, False)
    assert market.fee_ledger.pending_amm_surplus == 0
    assert market.amm.total_mm_fee == 550


def test_a_loss_lowers_the_counted_surplus_but_not_below_zero() -> None:
    ledger = FeeLedger(pending_amm_surplus=100)
    book_spread_surplus(ledger, -30)
    assert ledger.pending_amm_surplus == 70
    book_spread_surplus(ledger, -71)
    assert ledger.pending_amm_surplus == 0
    book_spread_surplus(ledger, 5)
    assert ledger.pending_amm_surplus == 5


# --- which schedules are admitted ------------------------------------------------------------------------------


def test_the_default_schedule_is_admitted_and_its_fourth_tier_is_not_free() -> None:
    made = default_velocity_fee_structure()
    validate_fee_structure(made)
    assert [tier.fee_numerator for tier in made.fee_tiers[:5]] == [40, 30, 20, 20, 0]
    assert highest_populated_tier(made) == 3
    assert highest_populated_tier(FeeStructure()) == 0


@pytest.mark.parametrize(
    ("tier", "other"),
    [
        ({"fee_numerator": 301}, {}),
        ({"fee_denominator": 99_999}, {}),
        ({"maker_rebate_numerator": 31}, {}),
        ({"maker_rebate_denominator": 99_999}, {}),
        ({"referee_fee_numerator": 101}, {}),
        ({"referee_fee_denominator": 99}, {}),
        ({"referrer_reward_numerator": 101}, {}),
        ({"referrer_reward_denominator": 1_000}, {}),
        # 38 − ⌊38·110/100⌋ < 0
        ({"referrer_reward_numerator": 100}, {}),
        # 38 − ⌊38·25/100⌋ = 29 hundred-thousandths are 290 millionths; 30/100000 are 300
        ({"maker_rebate_numerator": 30, "maker_rebate_denominator": 100_000}, {}),
        ({}, {"amm_fee_numerator": 60, "if_fee_numerator": 41}),
        ({}, {"flat_filler_fee": 10_001}),
    ],
)
def test_a_schedule_that_leaves_nothing_is_refused(tier: dict[str, int], other: dict[str, int]) -> None:
    made = default_velocity_fee_structure()
    for name, value in tier.items():
        setattr(made.fee_tiers[0], name, value)
    for name, value in other.items():
        setattr(made, name, value)
    assert error_of(validate_fee_structure, made) == ErrorCode.InvalidFeeStructure


@pytest.mark.parametrize(("numerator", "denominator"), [(21, 100), (10, 99)])
def test_the_filler_gets_at_most_a_fifth(numerator: int, denominator: int) -> None:
    made = default_velocity_fee_structure()
    made.filler_reward_structure.reward_numerator = numerator
    made.filler_reward_structure.reward_denominator = denominator
    assert error_of(validate_fee_structure, made) == ErrorCode.InvalidFeeStructure


def test_bounds_themselves_are_admitted() -> None:
    made = default_velocity_fee_structure()
    tier = made.fee_tiers[0]
    tier.fee_numerator, tier.maker_rebate_numerator, tier.maker_rebate_denominator = 300, 30, 100_000
    # 285 − ⌊285·89/100⌋ = 32, which is more than 30
    tier.referrer_reward_numerator, made.filler_reward_structure.reward_numerator = 69, 20
    made.amm_fee_numerator, made.if_fee_numerator = 60, 40
    validate_fee_structure(made)


# --- the smallest fill of the AMM ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rulebook", "reduce_only", "position", "smallest"),
    [
        (RULEBOOK_DRIFT, True, 5_001, 5_000),
        (RULEBOOK_DRIFT, False, 5_000, 10),
        (RULEBOOK_VELOCITY, False, 5_001, 5_000),
        (RULEBOOK_VELOCITY, True, 5_001, 10),
    ],
)
def test_a_reduce_only_order_may_be_filled_by_a_step(
    rulebook: int, reduce_only: bool, position: int, smallest: int
) -> None:
    """Drift lets no fill of a large position be below the smallest order; Velocity does where it only reduces."""
    market = PerpMarket(rulebook=rulebook)
    market.amm.min_order_size, market.amm.order_step_size = 5_000, 10
    order = PerpOrder(reduce_only=reduce_only)
    assert is_fill_too_small(market, order, smallest - 1, position)
    assert not is_fill_too_small(market, order, smallest, position)
