"""Changing k: the program's own numbers, what is refused, and what is undone."""

import pytest
from support.amm import balanced_market, perp_market

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.amm_curve import calculate_market_open_bids_asks, calculate_terminal_reserves
from seawall.rules.common.amm_k import (
    adjust_k_cost_and_update,
    calculate_budgeted_k_scale,
    calculate_k_budget,
    can_lower_k,
    formulaic_update_k,
    get_update_k_result,
    update_bounds,
    update_concentration_coef,
    update_k_by_admin,
)
from seawall.state.facts import CurveFacts

CURVE = {
    "base_asset_reserve": 512_295_081_967,
    "quote_asset_reserve": 488_000_000_000,
    "sqrt_k": 500_000_000_000,
    "peg_multiplier": 50_000_000,
    "base_asset_amount_with_amm": -12_295_081_967,
    "concentration_coef": 1_414_200,
    "last_oracle_price": 50_000_000,
}


DEEP = (500_000_000_049_750_000_004_950, 499_999_999_950_250_000_000_000)
FLAT = (55_414 * 10**9, 55_530 * 10**9)
SLOW = (1_001_000, 978_000)


@pytest.mark.parametrize(
    ("reserves", "budget", "peg", "net", "bounds", "numerator"),
    [
        (
            (9_942_017_440_883_516_352, 10_058_320_717_561_858_267),
            32_195_176, 1_103, 57_982_559 * 10**9, (10**8, 10**6), 1_094_419,
        ),
        (FLAT, 2_000, 36_365_000, 66 * 10**9, SLOW, 1_000_700),
        (DEEP, 114_638, 40_000_000, 49_750_000_004_950, SLOW, 1_001_000),
        (DEEP, -114_638, 40_000_000, 49_750_000_004_950, SLOW, 978_000),
        (FLAT, -20_000, 36_365_000, 66 * 10**9, SLOW, 993_050),
        (FLAT, -40_000, 36_365_000, 66 * 10**9, SLOW, 986_196),
    ],
)  # fmt: skip
def test_budgeted_k_scale(
    reserves: tuple[int, int], budget: int, peg: int, net: int, bounds: tuple[int, int], numerator: int
) -> None:
    assert calculate_budgeted_k_scale(*reserves, budget, peg, net, *bounds) == (numerator, 1_000_000)


@pytest.mark.parametrize("bounds", [(999_999, 978_000), (1_000_000, 977_999), (1_000_000, 1_000_001)])
def test_budgeted_k_scale_refuses_bounds_out_of_order(bounds: tuple[int, int]) -> None:
    with pytest.raises(SettlementError) as refused:
        calculate_budgeted_k_scale(10**12, 10**12, 1, 10**6, 10**9, *bounds)
    assert refused.value.code == ErrorCode.InvalidUpdateK


def test_budgeted_k_scale_without_a_solution_is_refused() -> None:
    """The program panics where the closed form has no positive solution, e.g. for a budget without a position."""
    with pytest.raises(SettlementError) as refused:
        calculate_budgeted_k_scale(10**12, 10**12, -1_000_000_000, 10**6, 0, 1_001_000, 978_000)
    assert refused.value.code == ErrorCode.MathError


def test_new_reserves_and_cost() -> None:
    market = perp_market(**CURVE)
    assert get_update_k_result(market, 501_000_000_000, True) == (513_319_672_130, 488_976_000_001)
    cost = adjust_k_cost_and_update(market, 513_319_672_130, 488_976_000_001, 501_000_000_000)
    assert cost == 29_448
    assert calculate_terminal_reserves(market.amm) == (500_975_411_043, 501_024_590_163)
    assert market.amm.terminal_quote_asset_reserve == 500_975_411_043


def test_cost_after_a_concentration() -> None:
    market = perp_market(**CURVE)
    update_bounds(market.amm)
    update_concentration_coef(market, 5)
    base, quote = get_update_k_result(market, 2_500_000_000_000, False)
    assert adjust_k_cost_and_update(market, base, quote, 2_500_000_000_000) == 11_575_563
    amm = market.amm
    assert calculate_market_open_bids_asks(
        amm.base_asset_reserve, amm.min_base_asset_reserve, amm.max_base_asset_reserve
    ) == (207_313_827_452, -198_879_016_393)


@pytest.mark.parametrize(
    ("net", "base", "k", "scale", "bounds"),
    [
        (-12_295_081_967, 512_295_081_967, 500 * 10**9, 2, (414_215_889_321, 603_550_000_000)),
        (-12_295_081_967, 512_295_081_967, 500 * 10**9, 5, (461_748_734_808, 541_420_000_000)),
        (0, 100 * 10**9, 100 * 10**9, 140_000, (99_999_800_000, 100_000_200_000)),
    ],
)
def test_concentration(net: int, base: int, k: int, scale: int, bounds: tuple[int, int]) -> None:
    market = perp_market(**{**CURVE, "base_asset_amount_with_amm": net, "base_asset_reserve": base, "sqrt_k": k})
    amm = market.amm
    amm.quote_asset_reserve = k * k // base
    update_bounds(amm)
    update_concentration_coef(market, scale)
    assert (amm.min_base_asset_reserve, amm.max_base_asset_reserve) == bounds


def test_concentration_refusals() -> None:
    """A scale without effect, bounds that the position exceeds, a terminal reserve other than the stored one."""
    cases = [(0, 500_001, ErrorCode.InvalidConcentrationCoef), (10**14, 414_200, ErrorCode.InvalidConcentrationCoef)]
    for net, scale, code in cases:
        market = balanced_market(net)
        amm = market.amm
        with pytest.raises(SettlementError) as refused:
            update_concentration_coef(market, scale)
        assert refused.value.code == code
    market = balanced_market()
    amm = market.amm
    amm.terminal_quote_asset_reserve += 1
    with pytest.raises(SettlementError) as refused:
        update_concentration_coef(market, 1)
    assert refused.value.code == ErrorCode.InvalidAmmDetected


@pytest.mark.parametrize(
    ("new", "bound", "changes", "refused"),
    [
        (10**9, True, {}, True),  # below half
        (10**9, False, {}, False),
        (50 * 10**9, True, {}, False),  # exactly half
        (10**21 + 1, True, {"sqrt_k": 10**21}, True),  # above the largest depth
        (10**21, True, {"sqrt_k": 10**20}, False),
        (60 * 10**9, True, {"base_asset_amount_with_amm": 61 * 10**9}, True),  # below the net position
        (60 * 10**9, True, {"base_asset_amount_with_amm": 61 * 10**9, "status": 6}, False),  # …in ReduceOnly admitted
    ],
)
def test_admitted_depths(new: int, bound: bool, changes: dict[str, int], refused: bool) -> None:
    curve = {"base_asset_reserve": 10**11, "quote_asset_reserve": 10**11, "sqrt_k": 10**11, "status": 1, **changes}
    market = perp_market(**curve)
    if refused:
        with pytest.raises(SettlementError) as error:
            get_update_k_result(market, new, bound)
        assert error.value.code == ErrorCode.InvalidUpdateK
    else:
        base, quote = get_update_k_result(market, new, bound)
        assert base > 0 and quote > 0


def test_formulaic_k_sequence() -> None:
    market = perp_market(**CURVE, total_fee_minus_distributions=10**9, curve_update_intensity=100, status=1)
    market.amm.max_base_asset_reserve = 2**64 - 1
    depths, fees = [], []
    for cost in (0, 500_000_000, -500_000_000, -1_000):
        formulaic_update_k(market, cost, CurveFacts())
        depths.append(market.amm.sqrt_k)
        fees.append(market.amm.total_fee_minus_distributions)
        market.amm.net_revenue_since_last_funding = 0
    assert depths == [500_000_000_000, 499_500_000_000, 499_999_500_000, 500_015_999_983]
    assert fees == [1_000_000_000, 1_000_014_768, 1_000_000_013, 999_999_527]


@pytest.mark.parametrize(
    ("cost", "spreads", "revenue", "budget"),
    [
        (-1_001, (500, 500), 0, 500),
        (-1_001, (1_000, 1_000), 0, 500),  # at the base spread still
        (-1_001, (1_001, 0), 0, 0),  # wide spreads: nothing is spent
        (1_001, (0, 0), 0, -500),
        (1_001, (0, 0), 401, -300),
        (1_001, (0, 0), 1_001, 0),  # the revenue pays for it
        (1_001, (0, 0), -5_000, -500),  # a loss adds nothing
        (0, (0, 0), 0, 0),
    ],
)
def test_k_budget(cost: int, spreads: tuple[int, int], revenue: int, budget: int) -> None:
    market = perp_market(
        base_spread=1_000, long_spread=spreads[0], short_spread=spreads[1], net_revenue_since_last_funding=revenue
    )
    assert calculate_k_budget(market.amm, cost) == budget


def test_formulaic_k_at_the_largest_depth_only_shrinks() -> None:
    market = balanced_market(-(10**12), sqrt_k=10**21, curve_update_intensity=100)
    formulaic_update_k(market, -1_000_000, CurveFacts())
    assert market.amm.sqrt_k == 10**21


def test_k_is_not_cut_below_what_the_position_needs() -> None:
    """With a position as large as the smaller side of the liquidity there is no room left."""
    market = balanced_market(10**12)
    assert can_lower_k(market)
    market.amm.max_base_asset_reserve = market.amm.base_asset_reserve + 10**12
    assert not can_lower_k(market)


def test_formulaic_k_that_the_fees_do_not_pay_changes_nothing() -> None:
    """Raising k costs money; with all fees reserved the cost is refused silently and the curve is put back."""
    market = balanced_market(
        -(10**12),
        curve_update_intensity=100,
        base_spread=500,
        total_exchange_fee=2 * 10**9,
        long_spread=7,
        short_spread=9,
    )
    before = market.pack()
    facts = CurveFacts()
    formulaic_update_k(market, -1_000_000, facts)
    assert market.pack() == before
    assert not facts.updated
    market.amm.total_exchange_fee = 0
    formulaic_update_k(market, -1_000_000, facts)
    assert facts.updated
    assert facts.sqrt_k_after == market.amm.sqrt_k > facts.sqrt_k_before
    assert (facts.record_id, market.next_curve_record_id) == (1, 2)
    assert market.amm.total_fee_minus_distributions == 10**9 - facts.adjustment_cost


@pytest.mark.parametrize(
    ("net", "factor", "fees", "code"),
    [
        (10**13, 1_010, 10**12, None),
        (10**13, 990, 10**12, None),
        (10**13, 1_010, 0, ErrorCode.InvalidUpdateK),  # raising is not paid for
        (10**13, 400, 10**12, ErrorCode.InvalidUpdateK),  # below half
    ],
)
def test_k_by_hand(net: int, factor: int, fees: int, code: ErrorCode | None) -> None:
    market = balanced_market(net, total_fee_minus_distributions=fees)
    facts = CurveFacts()
    new = market.amm.sqrt_k * factor // 1_000
    if code is None:
        update_k_by_admin(market, new, facts)
        assert market.amm.sqrt_k == new
        assert (facts.adjustment_cost > 0) == (factor > 1_000)
        assert market.amm.total_fee_minus_distributions == fees - facts.adjustment_cost
    else:
        with pytest.raises(SettlementError) as refused:
            update_k_by_admin(market, new, facts)
        assert refused.value.code == code
