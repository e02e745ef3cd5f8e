"""The invariants of a perp market: each broken one is found, in the program's order; the drawdown gate."""

import pytest
from support.amm import balanced_market, perp_market

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.amm_drawdown import has_too_much_drawdown
from seawall.rules.common.amm_spread import update_spread_reserves
from seawall.rules.common.amm_validation import validate_perp_market
from seawall.state.perp_market import PerpMarket


def valid_market(net: int = 10**12) -> PerpMarket:
    market = balanced_market(net, base_spread=1_000, long_spread=500, short_spread=500)
    update_spread_reserves(market)
    market.insurance_claim.max_revenue_withdraw_per_period = 10
    return market


@pytest.mark.parametrize("net", [0, 10**12, -(10**12)])
def test_a_consistent_market_passes(net: int) -> None:
    validate_perp_market(valid_market(net))


def test_spread_reserves_may_equal_the_plain_ones() -> None:
    """A spread of one unit is quoted as none."""
    market = balanced_market(base_spread=1, long_spread=1)
    update_spread_reserves(market)
    assert market.amm.ask_quote_asset_reserve == market.amm.quote_asset_reserve
    validate_perp_market(market)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("base_asset_amount_with_amm", 1),
        ("peg_multiplier", -100_000_000),
        ("quote_asset_reserve", 16),
        ("quote_asset_reserve", -16),
        ("bid_base_asset_reserve", -(10**15)),
        ("bid_quote_asset_reserve", 10**15),
        ("ask_base_asset_reserve", 10**15),
        ("ask_quote_asset_reserve", -(10**15)),
        ("long_spread", -1),
        ("long_spread", 999_001),
        ("terminal_quote_asset_reserve", 10**15),
        ("max_spread", -49_000),
        ("max_spread", 50_000),
    ],
)
def test_a_broken_invariant_is_found(field: str, change: int) -> None:
    market = valid_market()
    setattr(market.amm, field, getattr(market.amm, field) + change)
    with pytest.raises(SettlementError) as refused:
        validate_perp_market(market)
    assert refused.value.code == ErrorCode.InvalidAmmDetected


def test_totals_off_the_step_come_first() -> None:
    market = valid_market()
    market.amm.order_step_size = 7
    market.amm.peg_multiplier = 0
    with pytest.raises(SettlementError) as refused:
        validate_perp_market(market)
    assert refused.value.code == ErrorCode.InvalidPositionDelta


@pytest.mark.parametrize("net", [10**12, -(10**12), 0])
def test_terminal_reserve_by_net_position(net: int) -> None:
    market = valid_market(net)
    amm = market.amm
    amm.terminal_quote_asset_reserve = amm.quote_asset_reserve + (1 if net >= 0 else -1)
    with pytest.raises(SettlementError):
        validate_perp_market(market)


def test_a_depth_below_the_position_is_admitted_in_reduce_only() -> None:
    market = valid_market()
    amm = market.amm
    amm.base_asset_amount_long = amm.base_asset_amount_with_amm = amm.sqrt_k
    with pytest.raises(SettlementError):
        validate_perp_market(market)
    market.status = 6
    validate_perp_market(market)


@pytest.mark.parametrize(("withdrawn", "passes"), [(10, True), (-10, True), (11, False), (-11, False)])
def test_withdrawals_within_the_period_s_cap(withdrawn: int, passes: bool) -> None:
    market = valid_market()
    market.insurance_claim.revenue_withdraw_since_last_settle = withdrawn
    if passes:
        validate_perp_market(market)
    else:
        with pytest.raises(SettlementError):
            validate_perp_market(market)


def test_an_odd_static_base_spread_fails() -> None:
    """Half of 1001 twice is 1000: the market of a static curve with an odd base spread never validates."""
    market = valid_market()
    market.amm.base_spread = 1_001
    with pytest.raises(SettlementError):
        validate_perp_market(market)


@pytest.mark.parametrize(
    ("revenue", "fees", "tier", "too_much"),
    [
        (-100_000_000_000, 100_000_000_000, 4, True),
        (-10_000_000_000, 100_000_000_000, 4, True),
        (-5_000_000_000, 100_000_000_000, 4, True),
        (-1_000_000_000, 100_000_000_000, 4, False),
        (-1_000_000_000, 1_000_000, 4, False),
        (-6_000_000_000, 1_000_000, 4, True),
        (-6_000_000_000, 1_000_000, 0, False),  # the best tiers may lose 10,000
        (-10_000_000_000, -5, 0, True),
        (-10_000_000_000, 500_000_000_000, 0, True),  # 2 %
        (-10_000_000_000, 500_000_000_000, 1, False),  # of 3.03 %
        (-10_000_000_000, 250_000_000_000, 2, True),  # 4 %
        (-10_000_000_000, 250_000_000_000, 3, False),  # of 5 %
    ],
)
def test_drawdown(revenue: int, fees: int, tier: int, too_much: bool) -> None:
    market = perp_market(net_revenue_since_last_funding=revenue, total_fee_minus_distributions=fees, contract_tier=tier)
    assert has_too_much_drawdown(market) == too_much
