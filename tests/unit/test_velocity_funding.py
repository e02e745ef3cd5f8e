"""Funding under Velocity: the ramped premium, who pays what, the AMM's own settlement, the draw on the revenue pool."""

import pytest
from support.amm import NOW, SLOT, balanced_market, guard_rails, oracle_price, perp_market

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.amm_curve import reserve_price
from seawall.rules.common.funding import calculate_funding_payment, is_funding_due
from seawall.rules.velocity.amm_books import apply_fill_fees, record_amm_pnl, record_credit
from seawall.rules.velocity.funding import (
    calculate_amm_funding_payment,
    calculate_funding_rate,
    calculate_funding_rate_long_short,
    calculate_premium_with_offset,
    settle_amm_funding,
    update_funding_rate,
)
from seawall.state.facts import CurveFacts, FundingRateFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import PoolBalance, SpotMarket

VELOCITY = 1
INDEX = 10**10


def quote_market(revenue: int = 0) -> SpotMarket:
    """A quote market with deposits, and tokens (6 decimals) in its revenue pool."""
    return SpotMarket(
        rulebook=VELOCITY, decimals=6, cumulative_deposit_interest=INDEX, cumulative_borrow_interest=INDEX,
        deposit_balance=(10**12 + revenue) * 1_000, revenue_pool=PoolBalance(scaled_balance=revenue * 1_000),
    )  # fmt: skip


def market(net: int = 0, **fields: int) -> PerpMarket:
    """A Velocity market around 100 quote with the default dead zone and curve updates off."""
    given = {"rulebook": VELOCITY, "funding_clamp_threshold": 5, "funding_ramp_slope": 1_000_000, **fields}
    return balanced_market(net, **given)


# --- the rate --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spread", "threshold", "slope", "premium"),
    [
        (0, 50_000, 1_000_000, 100),
        (50_000, 50_000, 1_000_000, 100),  # at the edge: nothing yet
        (-50_000, 50_000, 1_000_000, 100),
        (50_001, 50_000, 1_000_000, 101),  # no jump
        (60_000, 50_000, 500_000, 5_100),
        (-60_001, 50_000, 500_000, -4_900),  # half of −10001, toward zero
        (60_000, 0, 2_000_000, 120_100),
    ],
)
def test_premium_beyond_the_dead_zone(spread: int, threshold: int, slope: int, premium: int) -> None:
    assert calculate_premium_with_offset(spread, threshold, slope, 100) == premium


@pytest.mark.parametrize(
    ("mark", "period", "tier", "rate"),
    [
        (100_000_000, 3_600, 0, 1_250_125),  # no premium: ⌊100e6/3333⌋ = 30003 a day
        (100_050_000, 3_600, 0, 1_250_125),  # 5 basis points are ignored
        (100_150_000, 3_600, 0, 5_416_791),  # 10 of 15 count
        (200_000_000, 3_600, 0, 126_262_625),  # capped at 1/33
        (200_000_000, 3_600, 3, 416_666_666),  # at 1/10
        (100_000_000, 86_400, 0, 30_003_000),
    ],
)
def test_rate(mark: int, period: int, tier: int, rate: int) -> None:
    given = market(funding_period=period, contract_tier=tier)
    assert calculate_funding_rate(given, mark, 100_000_000) == rate


def test_rate_of_a_period_above_a_day_is_refused() -> None:
    with pytest.raises(SettlementError) as refused:
        calculate_funding_rate(market(funding_period=86_401), 1, 1)
    assert refused.value.code == ErrorCode.MathError


@pytest.mark.parametrize(
    ("net", "long", "short", "tfmd", "drawn", "rates", "pnl"),
    [
        # the AMM receives: both sides the same rate, whatever its equity
        (10**9, 3 * 10**9, -2 * 10**9, -5, 0, (10**9, 10**9), 1_000_000),
        # it pays in full below a third of its equity
        (-(10**9), 10**9, -2 * 10**9, 3_000_000, 0, (10**9, 10**9), -1_000_000),
        # and a third where that is less: 1/6 of a quote, with the longs' 1 quote for 2 base of shorts
        (-(10**9), 10**9, -2 * 10**9, 500_000, 0, (10**9, 583_332_500), -166_666),
        # nothing without equity, or with less
        (-(10**9), 10**9, -2 * 10**9, 0, 0, (10**9, 499_999_500), 0),
        (-(10**9), 10**9, -2 * 10**9, -7, 0, (10**9, 499_999_500), 0),
        # nobody to receive it
        (-(10**9), 0, 0, 0, 0, (10**9, 0), 0),
        # the revenue pool adds 400000: the limit is 566666
        (-(10**9), 10**9, -2 * 10**9, 500_000, 400_000, (10**9, 783_332_500), -566_666),
    ],
)
def test_who_pays_what(
    net: int, long: int, short: int, tfmd: int, drawn: int, rates: tuple[int, int], pnl: int
) -> None:
    amm = perp_market(
        rulebook=VELOCITY, base_asset_amount_with_amm=net, base_asset_amount_long=long, base_asset_amount_short=short,
        total_fee_minus_distributions=tfmd,
    ).amm  # fmt: skip
    assert calculate_funding_rate_long_short(amm, 10**9, drawn) == (*rates, pnl)
    # it books nothing
    assert (amm.total_fee_minus_distributions, amm.net_revenue_since_last_funding) == (tfmd, 0)
    # the shorts get what the longs and the AMM pay, or a unit less
    paid = -calculate_funding_payment(rates[0], long) - pnl
    assert -2 <= calculate_funding_payment(rates[1], short) - paid <= 0 or not short


def test_an_amm_in_debt_does_not_stop_funding_that_the_revenue_pool_pays() -> None:
    amm = perp_market(base_asset_amount_with_amm=-(10**9), base_asset_amount_short=-(10**9)).amm
    amm.total_fee_minus_distributions = -1_000_000
    assert calculate_funding_rate_long_short(amm, 10**9, 250_000)[2] == -250_000


# --- the AMM's own part ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deltas", "bases", "payment"),
    [
        ((0, 0), (2 * 10**9, -(10**9)), 0),
        ((10**9, 10**9), (2 * 10**9, -(10**9)), 1_000_000),  # net long users pay it
        ((10**9, 10**9), (10**9, -2 * 10**9), -1_000_000),
        ((10**9, 0), (10**9, -(10**9)), 1_000_000),  # the shorts' rate was capped
        ((999, 999), (10**9, -(10**9)), 0),
        ((1_999, 0), (10**9, 0), 1),
        ((-1_999, 0), (10**9, 0), -1),
    ],
)
def test_the_amms_own_payment(deltas: tuple[int, int], bases: tuple[int, int], payment: int) -> None:
    assert calculate_amm_funding_payment(*deltas, *bases) == payment


def test_the_amm_settles_since_its_own_checkpoint_and_counts_its_income_afresh() -> None:
    given = market(
        10**9, cumulative_funding_rate_long=5 * 10**9, cumulative_funding_rate_short=5 * 10**9,
        last_cumulative_funding_rate_long=3 * 10**9, last_cumulative_funding_rate_short=3 * 10**9,
        net_revenue_since_last_funding=7,
    )  # fmt: skip
    settle_amm_funding(given, CurveFacts())
    amm = given.amm
    assert amm.total_fee_minus_distributions == 10**9 + 2_000_000
    assert (amm.last_cumulative_funding_rate_long, amm.last_cumulative_funding_rate_short) == (5 * 10**9, 5 * 10**9)
    assert amm.net_revenue_since_last_funding == 0
    settle_amm_funding(given, CurveFacts())
    assert amm.total_fee_minus_distributions == 10**9 + 2_000_000


def test_k_moves_with_what_the_amm_gets_unless_it_is_switched_off() -> None:
    for disabled in (False, True):
        given = market(
            10**12, curve_update_intensity=100, base_spread=1_000, disable_formulaic_k_update=disabled,
            cumulative_funding_rate_long=10**9, cumulative_funding_rate_short=10**9,
        )  # fmt: skip
        depth = given.amm.sqrt_k
        facts = CurveFacts()
        settle_amm_funding(given, facts)
        assert facts.updated is not disabled
        assert (given.amm.sqrt_k > depth) is not disabled


def test_books_of_the_amm() -> None:
    amm = perp_market().amm
    apply_fill_fees(amm, 30, -5)
    record_amm_pnl(amm, -10)
    record_credit(amm, 7)
    assert (amm.total_fee, amm.total_mm_fee) == (30, -5)
    assert (amm.total_fee_minus_distributions, amm.net_revenue_since_last_funding) == (27, 20)


# --- the update ------------------------------------------------------------------------------------------------


def update(given: PerpMarket, quote: SpotMarket, draw: bool = False) -> FundingRateFacts:
    """One update that is due, at the oracle price 100."""
    facts = FundingRateFacts()
    price = reserve_price(given.amm)
    assert is_funding_due(given, oracle_price(100_000_000), guard_rails(), price, False, NOW, SLOT)
    update_funding_rate(given, quote, oracle_price(100_000_000), guard_rails(), price, draw, NOW, SLOT, facts)
    return facts


def test_an_update_books_what_was_paid_not_what_was_owed() -> None:
    """``net_unsettled_funding_pnl`` falls by the capped part, so that users claim only what somebody pays."""
    given = market(-(10**13), total_fee_minus_distributions=3_000_000)
    facts = update(given, quote_market())
    amm = given.amm
    assert facts.updated
    assert facts.funding_owed > 1_000_000
    assert facts.funding_shortfall == facts.funding_owed - 1_000_000
    assert amm.net_unsettled_funding_pnl == 1_000_000
    assert amm.total_fee_minus_distributions == pytest.approx(2_000_000, abs=20)
    assert amm.last_funding_oracle_twap == facts.oracle_price_twap
    assert 0 < amm.last_funding_rate_short < amm.last_funding_rate_long == amm.last_funding_rate
    assert amm.last_funding_rate_ts == NOW
    assert amm.last_cumulative_funding_rate_short == amm.cumulative_funding_rate_short


def draws(room: int, revenue: int) -> tuple[PerpMarket, SpotMarket, FundingRateFacts]:
    """An update of an AMM that owes more than it may pay, where the market may draw on the revenue pool."""
    given = market(-(10**13), total_fee_minus_distributions=3_000_000)
    given.insurance_claim.max_revenue_withdraw_per_period = room + 5
    given.insurance_claim.revenue_withdraw_since_last_settle = 5
    quote = quote_market(revenue)
    return given, quote, update(given, quote, True)


@pytest.mark.parametrize(("room", "revenue", "drawn"), [(10**9, 600_000, 600_000), (400_000, 600_000, 400_000)])
def test_the_revenue_pool_adds_to_what_the_amm_may_pay(room: int, revenue: int, drawn: int) -> None:
    given, quote, facts = draws(room, revenue)
    assert facts.revenue_pool_draw == drawn
    assert given.amm.fee_pool.scaled_balance == drawn * 1_000
    assert quote.revenue_pool.scaled_balance == (revenue - drawn) * 1_000
    assert given.insurance_claim.revenue_withdraw_since_last_settle == drawn + 5
    assert given.insurance_claim.last_revenue_withdraw_ts == NOW
    assert given.amm.net_unsettled_funding_pnl == 1_000_000 + drawn
    without, _, _ = draws(0, revenue)
    assert given.amm.last_funding_rate_short > without.amm.last_funding_rate_short
    # the AMM's own equity pays the same third
    difference = given.amm.total_fee_minus_distributions - without.amm.total_fee_minus_distributions
    assert abs(difference) <= 20


def test_the_draw_is_no_more_than_is_owed() -> None:
    given, quote, facts = draws(10**15, 10**15)
    assert facts.revenue_pool_draw == facts.funding_shortfall
    assert given.amm.last_funding_rate_short == given.amm.last_funding_rate_long
    assert given.amm.net_unsettled_funding_pnl == facts.funding_owed
    assert quote.revenue_pool.scaled_balance == (10**15 - facts.funding_shortfall) * 1_000
