"""The peg: targets, budgets, partial moves, and the administrator's checks."""

import pytest
from support.amm import balanced_market, guard_rails, oracle_price, perp_market

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.amm_budget import apply_cost_to_market, calculate_fee_pool
from seawall.rules.common.amm_curve import calculate_terminal_reserves, reserve_price
from seawall.rules.common.amm_k import update_bounds
from seawall.rules.common.amm_repeg import (
    adjust_amm,
    calculate_optimal_peg_and_budget,
    calculate_peg_from_target_price,
    calculate_per_peg_cost,
    calculate_repeg_cost,
    repeg,
)
from seawall.state.facts import CurveFacts
from seawall.state.perp_market import PerpMarket

CURVE = {
    "base_asset_reserve": 65_000_000_000,
    "quote_asset_reserve": 63_015_384_615,
    "terminal_quote_asset_reserve": 64_000_000_000,
    "sqrt_k": 64_000_000_000,
    "peg_multiplier": 19_400_000_000,
    "base_asset_amount_with_amm": -1_000_000_000,
    "max_spread": 50_000,
    "total_exchange_fee": 1_000_000,
    "total_fee_minus_distributions": 40_000_000,
}


@pytest.mark.parametrize(
    ("quote", "base", "target", "peg"),
    [
        (999_990_000, 1_000_010_000, 19_401_125_456, 19_401_513_482),
        (1_000_010_000, 999_990_000, 19_401_125_456, 19_400_737_437),
        (500_000_000, 2_000_000_000, 19_401_125_456, 77_604_501_824),
        (10**9, 10**9, 1_000_499, 1_000_499),
        (10**9, 10**9, 0, 1),
    ],
)
def test_peg_for_a_target_price(quote: int, base: int, target: int, peg: int) -> None:
    assert calculate_peg_from_target_price(quote, base, target) == peg


@pytest.mark.parametrize(
    ("difference", "cost"), [(0, 0), (1, 2), (999, 2), (1_000, 2), (1_001, 3), (-1, 0), (-1_000, -2), (-1_999, -2)]
)
def test_cost_of_one_unit_of_peg(difference: int, cost: int) -> None:
    assert calculate_per_peg_cost(10**9 + difference, 10**9) == cost


@pytest.mark.parametrize(
    ("price", "peg", "budget", "check"),
    [
        (12_400_000_000, 13_110_290_527, 6_192_944_714, False),
        (18_901_000_000, 19_496_270_752, 39_500_000, True),
        (20_400_000_000, 21_042_480_468, 39_500_000, True),
        (42_400_000_000, 43_735_351_562, 39_500_000, True),
    ],
)
def test_optimal_peg_and_budget(price: int, peg: int, budget: int, check: bool) -> None:
    market = perp_market(**CURVE)
    amm = market.amm
    assert calculate_optimal_peg_and_budget(market, reserve_price(amm), price) == (peg, budget, check)


def test_optimal_peg_beyond_the_fees_aims_at_the_edge_of_the_spread() -> None:
    market = perp_market(**{**CURVE, "base_asset_amount_with_amm": 10**9})
    amm = market.amm
    amm.terminal_quote_asset_reserve = calculate_terminal_reserves(amm)[0]
    expected = (42_641_967_773, 22_190_932_405, False)
    assert calculate_optimal_peg_and_budget(market, reserve_price(amm), 42_400_000_000) == expected


def test_optimal_peg_of_an_amm_without_money() -> None:
    market = perp_market(
        base_asset_reserve=2_270_516_211_133, quote_asset_reserve=2_270_925_669_621, sqrt_k=2_270_720_931_148,
        peg_multiplier=17_723_081_263, base_asset_amount_with_amm=237_200_000, max_spread=50_000,
        total_exchange_fee=298_628_987, total_fee_minus_distributions=-242_668_966, total_fee_withdrawn=124_247_717,
    )  # fmt: skip
    amm = market.amm
    amm.terminal_quote_asset_reserve = calculate_terminal_reserves(amm)[0]
    assert calculate_optimal_peg_and_budget(market, reserve_price(amm), 17_800_000_000) == (17_796_790_576, 0, False)


def test_optimal_peg_refuses_a_negative_oracle_price() -> None:
    market = perp_market(**CURVE)
    amm = market.amm
    with pytest.raises(SettlementError) as refused:
        calculate_optimal_peg_and_budget(market, reserve_price(amm), -1)
    assert refused.value.code == ErrorCode.CastingFailure


def test_adjusting_in_favour_goes_all_the_way() -> None:
    market = perp_market(
        **{**CURVE, "base_asset_amount_with_amm": 10**9, "curve_update_intensity": 100, "concentration_coef": 1_414_200}
    )
    amm = market.amm
    target = calculate_peg_from_target_price(amm.quote_asset_reserve, amm.base_asset_reserve, 20_401_125_456)
    price = reserve_price(amm)
    assert adjust_amm(market, target, 0, True) == (-1_618_354_580, target)
    amm.peg_multiplier = target
    assert reserve_price(amm) - price == 1_593_456_817


def partial() -> PerpMarket:
    market = perp_market(
        base_asset_reserve=60_437_939_720_095, quote_asset_reserve=60_440_212_459_368, sqrt_k=60_439_076_079_049,
        peg_multiplier=34_353_000, base_asset_amount_with_amm=10**9, curve_update_intensity=100,
        concentration_coef=1_414_200, base_spread=1_000, total_fee_minus_distributions=304_289, status=1,
    )  # fmt: skip
    update_bounds(market.amm)
    return market


def test_adjusting_within_a_budget_stops_where_the_fees_end() -> None:
    market = partial()
    amm = market.amm
    target = calculate_peg_from_target_price(amm.quote_asset_reserve, amm.base_asset_reserve, 35_768_000)
    assert adjust_amm(market, target, 304_289, True) == (304_289, 34_657_283)


def test_lowering_k_pays_for_more_peg_but_not_in_the_books() -> None:
    """The curve shrinks by a thousandth; what that saves moves the peg further, and the cost counts the peg alone."""
    market = partial()
    amm = market.amm
    target = calculate_peg_from_target_price(amm.quote_asset_reserve, amm.base_asset_reserve, 35_768_000)
    depth = amm.sqrt_k
    without_k = adjust_amm(market, target, 304_289, False)
    assert amm.sqrt_k == depth
    with_k = adjust_amm(market, target, 304_289, True)
    assert amm.sqrt_k == depth - depth // 1_000
    assert with_k[1] > without_k[1]
    assert with_k[0] == calculate_repeg_cost(amm, with_k[1])


@pytest.mark.parametrize(("intensity", "peg"), [(0, 100_500_000), (100, 100_000_000)])
def test_nothing_to_adjust(intensity: int, peg: int) -> None:
    market = balanced_market(10**12, curve_update_intensity=intensity)
    assert adjust_amm(market, peg, 10**9, True) == (0, 100_000_000)


@pytest.mark.parametrize(
    ("cost", "check", "booked"),
    [(100, True, True), (101, True, False), (101, False, True), (-5, True, True), (0, True, True)],
)
def test_booking_a_cost(cost: int, check: bool, booked: bool) -> None:
    """Half the exchange fees, and liquidation fees that were not withdrawn, stay reserved."""
    market = perp_market(
        total_fee_minus_distributions=170, total_exchange_fee=101, total_liquidation_fee=30, total_fee_withdrawn=10
    )
    amm = market.amm
    assert calculate_fee_pool(market) == 100
    assert apply_cost_to_market(market, cost, check) == booked
    paid = cost if booked else 0
    assert (amm.total_fee_minus_distributions, amm.net_revenue_since_last_funding) == (170 - paid, -paid)


def test_more_withdrawn_than_reserved_is_refused_even_unchecked() -> None:
    market = perp_market(total_fee_minus_distributions=170, total_fee_withdrawn=1)
    with pytest.raises(SettlementError) as refused:
        apply_cost_to_market(market, 1, False)
    assert refused.value.code == ErrorCode.MathError
    assert apply_cost_to_market(market, -1, False)


@pytest.mark.parametrize(
    ("net", "peg", "oracle", "delay", "code"),
    [
        (0, 101_000_000, 101_000_000, 0, None),
        (0, 99_000_000, 99_000_000, 0, None),
        (0, 100_500_000, 101_000_000, 0, None),
        (0, 100_000_000, 101_000_000, 0, ErrorCode.InvalidRepegRedundant),
        (0, 101_000_000, 101_000_000, 11, ErrorCode.InvalidOracle),
        (0, 99_000_000, 101_000_000, 0, ErrorCode.InvalidRepegDirection),
        (0, 101_000_000, 99_000_000, 0, ErrorCode.InvalidRepegDirection),
        (0, 101_000_000, 100_000_000, 0, ErrorCode.InvalidRepegDirection),  # already there: every move is away
        (0, 99_000_000, 100_000_000, 0, ErrorCode.InvalidRepegDirection),
        (0, 101_000_001, 101_000_000, 0, ErrorCode.InvalidRepegProfitability),  # past the oracle
        (0, 98_999_999, 99_000_000, 0, ErrorCode.InvalidRepegProfitability),
        (10**14, 100_900_000, 101_000_000, 0, ErrorCode.InvalidRepegProfitability),  # not payable
    ],
)
def test_repeg_by_hand(net: int, peg: int, oracle: int, delay: int, code: ErrorCode | None) -> None:
    market = balanced_market(net)
    facts = CurveFacts()
    if code is None:
        repeg(market, oracle_price(oracle, delay=delay), guard_rails().validity, peg, facts)
        assert market.amm.peg_multiplier == facts.peg_multiplier_after == peg
        assert facts.peg_multiplier_before == 100_000_000
    else:
        with pytest.raises(SettlementError) as refused:
            repeg(market, oracle_price(oracle, delay=delay), guard_rails().validity, peg, facts)
        assert refused.value.code == code
