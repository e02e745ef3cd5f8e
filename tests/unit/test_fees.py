"""Trading fees: tiers, rounding directions, and who gets what of a fee. Expected numbers from fees.md by hand."""

import pytest

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.fees import (
    calculate_filler_multiplier_for_matched_orders,
    calculate_maker_rebate,
    update_filler_volume,
    update_maker_volume_30d,
    update_taker_volume_30d,
)
from seawall.rules.drift.fees import (
    calculate_fee_for_fulfillment_with_amm,
    calculate_fee_for_fulfillment_with_external_market,
    calculate_fee_for_fulfillment_with_match,
    calculate_filler_reward,
    calculate_referrer_reward,
    calculate_taker_fee,
    determine_perp_fee_tier,
    increment_total_referrer_reward,
)
from seawall.state.enums import LONG, SHORT
from seawall.state.exchange import FeeStructure, FeeTier, OrderFillerRewardStructure
from seawall.state.orders import FillFacts
from seawall.state.user import UserFees, UserStats

M = 10**6
TIER = FeeTier(
    fee_numerator=100, fee_denominator=100_000, maker_rebate_numerator=20, maker_rebate_denominator=100_000,
    referrer_reward_numerator=15, referrer_reward_denominator=100, referee_fee_numerator=5, referee_fee_denominator=100,
)  # fmt: skip
REWARDS = OrderFillerRewardStructure(reward_numerator=10, reward_denominator=100, time_based_reward_lower_bound=10_000)


def structure() -> FeeStructure:
    made = FeeStructure(filler_reward_structure=REWARDS.copy(), referrer_reward_epoch_upper_bound=4_000 * M)
    made.fee_tiers = [TIER.copy() for _ in range(10)]
    return made


@pytest.mark.parametrize(
    ("taker", "maker", "stake", "tier"),
    [
        (0, 0, 0, 0),
        (999_999 * M, 0, 498 * M, 0),
        (500_000 * M, 500_000 * M, 0, 1),
        (0, 0, 499 * M, 1),
        (0, 5_000_000 * M, 0, 2),
        (0, 0, 999 * M, 2),
        (10_000_000 * M, 0, 0, 3),
        (0, 0, 1_999 * M, 3),
        (50_000_000 * M, 0, 0, 4),
        (0, 0, 4_999 * M, 4),
        (100_000_000 * M, 0, 0, 5),
        (0, 0, 9_999 * M, 5),
        (1_000_000 * M, 0, 9_999 * M, 5),
    ],
)
def test_the_tier_is_the_best_that_volume_or_stake_reaches(taker: int, maker: int, stake: int, tier: int) -> None:
    stats = UserStats(taker_volume_30d=taker, maker_volume_30d=maker, if_staked_quote_asset_amount=stake)
    assert determine_perp_fee_tier(stats) == tier


@pytest.mark.parametrize(
    ("quote", "adjustment", "fee", "rebate"),
    [
        (0, 0, 0, 0),
        (1, 0, 1, 0),
        (100_000, 0, 100, 20),
        (100_001, 0, 101, 20),
        # −10 %: the fee loses ⌊10.1⌋, the rebate ⌈2⌉
        (100_001, -10, 91, 18),
        # −1 %: the fee loses ⌊1.01⌋, the rebate ⌈0.2⌉
        (100_001, -1, 100, 19),
        # +1 %: the fee gains ⌈1.01⌉, the rebate ⌊0.2⌋
        (100_001, 1, 103, 20),
        (100_000, -100, 0, 0),
        (100_000, 100, 200, 40),
    ],
)
def test_fee_is_rounded_up_and_rebate_down(quote: int, adjustment: int, fee: int, rebate: int) -> None:
    assert calculate_taker_fee(quote, TIER, adjustment) == fee
    assert calculate_maker_rebate(quote, TIER, adjustment) == rebate


@pytest.mark.parametrize(
    ("amount", "age", "multiplier", "reward"),
    [
        # by size: a tenth
        (50_000, 10**6, 100_000, 5_000),
        # by time: ⌊(1e8)^(1/4)⌋ = 100 of a hundredth of the bound, at the least age of one slot
        (10**9, 0, 0, 10_000),
        (10**9, 1, 1_000, 10_000),
        # age 12: ⌊(12e8)^(1/4)⌋ = 186
        (10**9, 12, 0, 18_600),
        (10**9, 12, 2_000, 37_200),
        # the multiplier ends at 100
        (10**12, 1, 10**9, 1_000_000),
    ],
)
def test_filler_reward_is_the_smaller_of_size_and_time(amount: int, age: int, multiplier: int, reward: int) -> None:
    assert calculate_filler_reward(amount, 500, 500 + age, multiplier, REWARDS) == reward


def test_an_order_from_the_future_pays_no_filler() -> None:
    with pytest.raises(SettlementError) as error:
        calculate_filler_reward(10**9, 501, 500, 0, REWARDS)
    assert error.value.code == ErrorCode.MathError


@pytest.mark.parametrize(
    ("price", "direction", "multiplier"),
    [
        (100 * M, LONG, 2_000),
        (100 * M, SHORT, 2_000),
        # a bid 1 % above the oracle is worth 1 % more to fillers
        (101 * M, LONG, 12_000),
        (101 * M, SHORT, 1_000),
        (99 * M, SHORT, 12_000),
        (150 * M, LONG, 100_000),
    ],
)
def test_filler_multiplier_of_a_match(price: int, direction: int, multiplier: int) -> None:
    assert calculate_filler_multiplier_for_matched_orders(price, direction, 100 * M) == multiplier


def test_the_referrer_gets_no_more_than_its_epoch_leaves() -> None:
    assert calculate_referrer_reward(1_000, TIER, 4_000, 0) == 150
    assert calculate_referrer_reward(1_000, TIER, 4_000, 3_900) == 100
    assert calculate_referrer_reward(1_000, TIER, 4_000, 5_000) == 0


def test_a_new_epoch_forgets_the_reward_that_opened_it() -> None:
    stats = UserStats(next_epoch_ts=1_000, fees=UserFees(current_epoch_referrer_reward=7))
    increment_total_referrer_reward(stats, 5, 1_000)
    assert (stats.fees.current_epoch_referrer_reward, stats.next_epoch_ts) == (12, 1_000)
    increment_total_referrer_reward(stats, 5, 1_001)
    assert (stats.fees.current_epoch_referrer_reward, stats.next_epoch_ts) == (0, 1_000 + 2_419_200)
    increment_total_referrer_reward(stats, 5, 1_000 + 3 * 2_419_200)
    # the epoch after the one that this very second opens
    assert stats.next_epoch_ts == 1_000 + 4 * 2_419_200
    assert stats.fees.total_referrer_reward == 15


@pytest.mark.parametrize(
    ("update", "field"),
    [
        (update_taker_volume_30d, "taker_volume_30d"),
        (update_maker_volume_30d, "maker_volume_30d"),
        (update_filler_volume, "filler_volume_30d"),
    ],
)
def test_volumes_decay_over_thirty_days(update, field) -> None:  # type: ignore[no-untyped-def]
    stats = UserStats(**{field: 2_592_000})
    update(stats, 10, 0)
    # the least time is a second, also in the same second
    assert getattr(stats, field) == 2_591_999 + 10
    update(stats, 0, 2_592_000)
    assert getattr(stats, field) == 0
    assert getattr(stats, f"last_{field}_ts") == 2_592_000


# --- the split -------------------------------------------------------------------------------------------------


def amm_fees(surplus: int, *, post_only: bool = False, referrer: bool = False, filler: bool = False) -> FillFacts:
    facts = FillFacts(quote_asset_amount=1_000 * M, quote_asset_amount_surplus=surplus)
    calculate_fee_for_fulfillment_with_amm(
        facts, UserStats(), structure(), 0, 0, 0, post_only, UserStats(), referrer, filler
    )
    return facts


def test_the_market_keeps_fee_and_surplus_of_a_fill_against_the_amm() -> None:
    facts = amm_fees(500)
    assert (facts.user_fee, facts.fee_to_market) == (1_000_000, 1_000_500)


def test_referrer_and_filler_are_paid_out_of_the_fee() -> None:
    facts = amm_fees(500, referrer=True, filler=True)
    assert (facts.referee_discount, facts.user_fee, facts.referrer_reward) == (50_000, 950_000, 150_000)
    # a tenth of the fee after the discount, but for a fresh order no more than the lower bound
    assert facts.filler_reward == 10_000
    assert facts.fee_to_market == 950_000 - 150_000 - 10_000 + 500


def test_a_post_only_user_is_paid_out_of_the_surplus() -> None:
    facts = amm_fees(300_000, post_only=True, filler=True)
    assert (facts.user_fee, facts.maker_rebate) == (0, 200_000)
    assert (facts.filler_reward, facts.fee_to_market) == (10_000, 90_000)


@pytest.mark.parametrize(("surplus", "code"), [(199_999, ErrorCode.MathError), (-1, ErrorCode.CastingFailure)])
def test_a_surplus_below_the_rebate_refuses_a_post_only_fill(surplus: int, code: ErrorCode) -> None:
    with pytest.raises(SettlementError) as error:
        amm_fees(surplus, post_only=True)
    assert error.value.code == code


def match_fees(multiplier: int, *, referrer: bool = False, rebate: int = 20) -> FillFacts:
    facts = FillFacts(quote_asset_amount=1_000 * M)
    made = structure()
    made.fee_tiers[0].maker_rebate_numerator = rebate
    calculate_fee_for_fulfillment_with_match(
        facts, UserStats(), UserStats(), made, 0, 0, 0, multiplier, UserStats(), referrer
    )
    return facts


def test_a_match_pays_the_maker_out_of_the_fee() -> None:
    facts = match_fees(2_000, referrer=True)
    assert (facts.user_fee, facts.maker_rebate, facts.filler_reward) == (950_000, 200_000, 20_000)
    assert facts.fee_to_market == 950_000 - 200_000 - 20_000 - 150_000


def test_a_multiplier_of_zero_means_no_filler() -> None:
    assert match_fees(0).filler_reward == 0


def test_a_fee_that_does_not_cover_the_rebate_refuses_the_match() -> None:
    with pytest.raises(SettlementError) as error:
        match_fees(0, rebate=101)
    assert error.value.code == ErrorCode.MathError


@pytest.mark.parametrize(
    ("venue_fee", "rebate", "pool", "user_fee", "filler", "kept", "delta"),
    [
        (400_000, 0, 0, 1_000_000, 10_000, 590_000, 590_000),
        # the user pays at least what the venue takes
        (990_000, 20_000, 0, 1_010_000, 0, 20_000, 0),
        # the pool advances the filler what the venue still owes
        (990_000, 20_000, 8_000, 1_010_000, 8_000, 12_000, -8_000),
        (990_000, 20_000, 10**9, 1_010_000, 10_000, 10_000, -10_000),
    ],
)
def test_an_external_venue_is_paid_first(
    venue_fee: int, rebate: int, pool: int, user_fee: int, filler: int, kept: int, delta: int
) -> None:
    facts = FillFacts(quote_asset_amount=1_000 * M)
    got = calculate_fee_for_fulfillment_with_external_market(facts, structure(), 0, 0, 0, True, venue_fee, rebate, pool)
    assert (facts.user_fee, facts.filler_reward, facts.fee_to_market, got) == (user_fee, filler, kept, delta)
