"""Funding: rates, the AMM's part, payments, and when nothing is due."""

import pytest
from support.amm import NOW, SLOT, balanced_market, guard_rails, oracle_price, perp_market

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.amm_curve import reserve_price
from seawall.rules.common.funding import (
    calculate_funding_payment,
    get_max_price_divergence_for_funding_rate,
    settle_funding_payment,
)
from seawall.rules.drift.funding import (
    calculate_capped_funding_rate,
    calculate_funding_rate,
    calculate_funding_rate_long_short,
    update_funding_rate,
)
from seawall.state.facts import FundingPaymentFacts, FundingRateFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.user import User


@pytest.mark.parametrize(
    ("tier", "cap"), [(0, 1_484_848), (1, 1_484_848), (2, 2_450_000), (3, 4_900_000), (4, 4_900_000)]
)
def test_cap_on_the_premium(tier: int, cap: int) -> None:
    assert get_max_price_divergence_for_funding_rate(tier, 49_000_000) == cap


@pytest.mark.parametrize(
    ("mark", "oracle", "period", "tier", "rate"),
    [
        (47_629_736, 51_000_000, 3_600, 4, -140_002_666),
        (100_000_000, 100_000_000, 3_600, 0, 833_333),  # no premium: the 1/5000 alone
        (200_000_000, 100_000_000, 3_600, 0, 126_262_625),  # capped at 1/33
        (100_000_000, 100_000_000, 86_400, 0, 20_000_000),
        (100_000_000, 100_000_000, 1, 0, 833_333),  # shorter than an hour counts as an hour
    ],
)
def test_rate(mark: int, oracle: int, period: int, tier: int, rate: int) -> None:
    assert calculate_funding_rate(mark, oracle, period, tier) == rate


def test_rate_of_a_period_above_a_day_is_refused() -> None:
    with pytest.raises(SettlementError) as refused:
        calculate_funding_rate(1, 1, 86_401 * 2, 0)
    assert refused.value.code == ErrorCode.MathError


@pytest.mark.parametrize(
    ("delta", "base", "payment"),
    [
        (1_000_000_000, 1_000_000_000, -1_000_000),  # longs pay a rising rate
        (1_000_000_000, -1_000_000_000, 1_000_000),
        (-1_000_000_000, 1_000_000_000, 1_000_000),
        (-1_000_000_000, -1_000_000_000, -1_000_000),
        (999, 999_999_999, 0),  # both sides are rounded toward zero
        (-1_999, -1_000_000_000, -1),
        (-1_999, 1_000_000_000, 1),
    ],
)
def test_payment(delta: int, base: int, payment: int) -> None:
    assert calculate_funding_payment(delta, base) == payment


BOOK = {"total_exchange_fee": 500_000, "total_fee_minus_distributions": 500_000}


@pytest.mark.parametrize(
    ("net", "long", "short", "fees", "rates", "fees_after"),
    [
        (0, 7_845_926_098_328, -7_845_926_098_328, 0, (22_314_939_833, 22_314_939_833), 0),
        (-12_295_081_967, 12_295_081_967, -24_590_163_934, 500_000, (41_666_666, 24_222_164), 416_667),
        (12_295_081_967, 24_590_163_934, -12_295_081_967, 500_000, (41_666_666, 41_666_666), 1_012_295),
    ],
)
def test_asymmetric_rates(net: int, long: int, short: int, fees: int, rates: tuple[int, int], fees_after: int) -> None:
    market = perp_market(
        base_asset_amount_with_amm=net, base_asset_amount_long=long, base_asset_amount_short=short,
        total_exchange_fee=fees, total_fee_minus_distributions=fees,
    )  # fmt: skip
    amm = market.amm
    assert calculate_funding_rate_long_short(market, rates[0])[:2] == rates
    assert amm.total_fee_minus_distributions == fees_after
    assert amm.net_revenue_since_last_funding == fees_after - fees


def test_the_uncapped_part_is_reported_even_when_less_was_paid() -> None:
    market = perp_market(
        base_asset_amount_with_amm=-12_295_081_967, base_asset_amount_long=12_295_081_967,
        base_asset_amount_short=-24_590_163_934, **BOOK,
    )  # fmt: skip
    amm = market.amm
    _, _, uncapped = calculate_funding_rate_long_short(market, 41_666_666)
    assert uncapped == -512_295
    assert 500_000 - amm.total_fee_minus_distributions == 83_333


def test_a_side_without_receivers_gets_no_rate() -> None:
    market = perp_market(base_asset_amount_with_amm=-(10**9), base_asset_amount_short=-(10**9))
    assert calculate_capped_funding_rate(market, -(10**6), -(10**9)) == (0, 0)


def test_paying_from_reserved_fees_is_refused() -> None:
    """A third of what liquidations left free may be paid, yet not below half of the exchange fees."""
    market = perp_market(
        base_asset_amount_with_amm=-(10**12), base_asset_amount_short=-(10**12), total_exchange_fee=1_000_000,
        total_fee_minus_distributions=500_100, total_fee_withdrawn=500_000,
    )  # fmt: skip
    with pytest.raises(SettlementError) as refused:
        calculate_funding_rate_long_short(market, 10**9)
    assert refused.value.code == ErrorCode.InvalidFundingProfitability


# --- the update ------------------------------------------------------------------------------------------------


def update(market: PerpMarket, oracle: OraclePriceData | None = None, *, paused: bool = False) -> FundingRateFacts:
    facts = FundingRateFacts()
    price = reserve_price(market.amm)
    seen = oracle_price(100_000_000) if oracle is None else oracle
    done = update_funding_rate(market, seen, guard_rails(), price, paused, NOW, SLOT, facts)
    assert done == facts.updated
    return facts


def test_update_books_rates_and_forgets_the_revenue() -> None:
    market = balanced_market(10**12, net_revenue_since_last_funding=777, last_24h_avg_funding_rate=0)
    amm = market.amm
    facts = update(market)
    assert facts.updated
    assert amm.last_funding_rate == amm.cumulative_funding_rate_long == amm.cumulative_funding_rate_short > 0
    assert facts.period_revenue == 777 + amm.total_fee_minus_distributions - 10**9
    assert amm.net_revenue_since_last_funding == 0
    assert amm.net_unsettled_funding_pnl == -(amm.total_fee_minus_distributions - 10**9)
    assert (facts.record_id, market.next_funding_rate_record_id) == (1, 2)
    assert amm.last_funding_rate_ts == NOW
    assert facts.oracle_price_twap == amm.historical_oracle_data.last_oracle_price_twap
    assert facts.mark_price_twap == amm.last_mark_price_twap
    assert not facts.curve.updated


def test_update_raises_k_from_what_the_amm_received() -> None:
    market = balanced_market(10**12, curve_update_intensity=100, base_spread=1_000)
    depth = market.amm.sqrt_k
    facts = update(market)
    assert facts.curve.updated
    assert facts.curve.sqrt_k_after == market.amm.sqrt_k > depth


@pytest.mark.parametrize(
    ("changes", "oracle", "paused"),
    [
        ({}, oracle_price(100_000_000), True),
        ({"paused_operations": 1}, oracle_price(100_000_000), False),
        ({"last_update_slot": SLOT - 3_601}, oracle_price(100_000_000), False),
        ({"last_funding_rate_ts": NOW - 2_800}, oracle_price(100_000_000), False),
        ({}, oracle_price(100_000_000, confidence=3_000_000), False),
        ({"last_oracle_price_twap_5min": 89_999_990}, oracle_price(100_000_000), False),
    ],
)
def test_not_due_changes_nothing(changes: dict[str, int], oracle: OraclePriceData, paused: bool) -> None:
    market = balanced_market(10**12, **changes)
    before = market.pack()
    assert not update(market, oracle, paused=paused).updated
    assert market.pack() == before


@pytest.mark.parametrize(
    ("changes", "oracle"),
    [
        ({"last_update_slot": SLOT - 3_600}, oracle_price(100_000_000)),
        ({}, oracle_price(100_000_000, delay=500)),  # stale for margin is good enough for funding
        ({"last_oracle_price_twap_5min": 90_010_000}, oracle_price(100_000_000)),
    ],
)
def test_just_due(changes: dict[str, int], oracle: OraclePriceData) -> None:
    assert update(balanced_market(0, **changes), oracle).updated


@pytest.mark.parametrize(
    ("long", "short", "deviation"), [(2_000, 1_000, 200_000), (1_000, 3_000, 300_000), (1_000, 1_000, 0)]
)
def test_mark_of_the_update_is_the_wider_side(long: int, short: int, deviation: int) -> None:
    """The wider side's quote counts as a trade; with equal spreads the reserve price itself does."""
    market = balanced_market(0, long_spread=long, short_spread=short, base_spread=2_000)
    update(market)
    assert market.amm.mark_std == deviation


# --- payments of positions -------------------------------------------------------------------------------------


def settle(base: int, rate: int, long_rate: int, short_rate: int) -> tuple[User, PerpMarket, FundingPaymentFacts]:
    market = perp_market(
        base_asset_amount_long=max(base, 0), base_asset_amount_short=min(base, 0), number_of_users=1,
        number_of_users_with_base=1, cumulative_funding_rate_long=long_rate, cumulative_funding_rate_short=short_rate,
        net_unsettled_funding_pnl=5,
    )  # fmt: skip
    user = User()
    position = user.perp_positions[0]
    position.base_asset_amount = base
    position.last_cumulative_funding_rate = rate
    position.quote_asset_amount = -100
    facts = FundingPaymentFacts()
    settle_funding_payment(user, position, market, facts)
    return user, market, facts


@pytest.mark.parametrize(("base", "payment"), [(2 * 10**9, -6_000_000), (-2 * 10**9, 4_000_000)])
def test_settling_a_position(base: int, payment: int) -> None:
    user, market, facts = settle(base, 10**9, 4 * 10**9, 3 * 10**9)
    position = user.perp_positions[0]
    assert position.quote_asset_amount == -100 + payment
    assert position.quote_break_even_amount == payment
    assert position.last_cumulative_funding_rate == (4 * 10**9 if base > 0 else 3 * 10**9)
    assert user.cumulative_perp_funding == payment
    assert market.amm.quote_asset_amount == payment
    assert market.amm.net_unsettled_funding_pnl == 5 - payment
    assert (facts.settled, facts.funding_payment, facts.user_last_cumulative_funding) == (True, payment, 10**9)


def test_a_rate_too_small_to_pay_still_settles() -> None:
    user, _, facts = settle(1_000, 0, 1_000, 0)
    assert facts.settled and facts.funding_payment == 0
    assert user.perp_positions[0].last_cumulative_funding_rate == 1_000


@pytest.mark.parametrize(("base", "rate"), [(0, 5), (10**9, 7)])
def test_nothing_to_settle(base: int, rate: int) -> None:
    user, market, facts = settle(base, rate, 7, 9)
    assert not facts.settled
    assert user.perp_positions[0].last_cumulative_funding_rate == rate
    assert market.amm.net_unsettled_funding_pnl == 5
