"""Creating markets (instructions.md §3; balances.md §1; amm-and-funding.md §1); the figures are the program's own."""

from typing import Any

import pytest
from support.insurance import START, InsuranceVenue

from seawall.engine.machine import Machine, Request
from seawall.engine.receipts import Clock
from seawall.instructions.markets import (
    DeleteInitializedPerpMarket,
    DeleteInitializedSpotMarket,
    InitializePerpMarket,
    InitializeSpotMarket,
)
from seawall.instructions.venue_setup import AddOracle, Initialize
from seawall.records import flatten

SPOT: dict[str, Any] = {
    "name": "SOL", "oracle": "SOL", "decimals": 9, "optimal_utilization": 700_000, "optimal_borrow_rate": 100_000,
    "max_borrow_rate": 1_000_000, "initial_asset_weight": 8_000, "maintenance_asset_weight": 9_000,
    "initial_liability_weight": 12_000, "maintenance_liability_weight": 11_000, "liquidator_fee": 50_000,
    "if_liquidation_fee": 10_000, "withdraw_guard_threshold": 10**15, "if_total_factor": 100_001,
}  # fmt: skip

PERP: dict[str, Any] = {
    "market_index": 0, "name": "SOL-PERP", "oracle": "SOL", "amm_base_asset_reserve": 10**15,
    "amm_quote_asset_reserve": 10**15, "amm_periodicity": 3_600, "amm_peg_multiplier": 100_000_000,
    "margin_ratio_initial": 1_000, "margin_ratio_maintenance": 500, "liquidator_fee": 10_000,
    "if_liquidation_fee": 10_000, "base_spread": 500, "max_spread": 50_000, "order_step_size": 100_000,
    "order_tick_size": 100, "min_order_size": 100_000, "curve_update_intensity": 100,
}  # fmt: skip

CLOCK = Clock(START, 230_000_000)


@pytest.fixture
def venue() -> InsuranceVenue:
    venue = InsuranceVenue()
    venue.ok(AddOracle(name="SOL", price=100_000_000, conf=50_000, twap=99_000_000))
    return venue


def non_zero(record: Any) -> dict[str, Any]:
    """The fields of a record that are set."""
    return {path: value for path, value in flatten(record) if value not in ("0", False, "", "Initialized", "drift")}


def test_the_default_exchange() -> None:
    """instructions.md §3.1; fees.md §1. Unused fee tiers keep their denominators."""
    machine = Machine(strict=True)
    machine.execute(Request(Initialize(admin="@admin"), "@anyone", CLOCK))
    state = dict(flatten(machine.store.state.objects[0]))
    assert state["liquidation_margin_buffer_ratio"] == "200"
    takers = [state[f"perp_fee_structure.fee_tiers.{i}.fee_numerator"] for i in range(10)]
    assert takers == ["100", "90", "80", "70", "60", "50", "0", "0", "0", "0"]
    takers = [state[f"spot_fee_structure.fee_tiers.{i}.fee_numerator"] for i in range(10)]
    assert takers == ["100"] + ["0"] * 9
    assert state["spot_fee_structure.fee_tiers.9.fee_denominator"] == "100000"
    assert state["perp_fee_structure.fee_tiers.6.referee_fee_denominator"] == "100"


def test_a_new_spot_market(venue: InsuranceVenue) -> None:
    venue.machine.execute(Request(InitializeSpotMarket(**SPOT), "@admin", CLOCK))
    assert non_zero(venue.machine.store.spot_markets.objects[1]) == {
        "name": "SOL", "oracle_index": "1", "market_index": "1", "decimals": "9", "status": "Active",
        "asset_tier": "Collateral", "orders_enabled": True,
        "historical_oracle_data.last_oracle_price": "100000000", "historical_oracle_data.last_oracle_conf": "50000",
        "historical_oracle_data.last_oracle_price_twap": "100000000",
        "historical_oracle_data.last_oracle_price_twap_5min": "100000000",
        "historical_oracle_data.last_oracle_delay": str(230_000_000 - Clock.at(START).slot),
        "revenue_pool.market_index": "1", "insurance_fund.unstaking_period": "1123200",
        "insurance_fund.total_factor": "100001", "insurance_fund.user_factor": "50000",
        "cumulative_deposit_interest": "10000000000", "cumulative_borrow_interest": "10000000000",
        "withdraw_guard_threshold": "1000000000000000", "last_interest_ts": str(START), "last_twap_ts": str(START),
        "order_step_size": "1", "order_tick_size": "1", "min_order_size": "1", "next_fill_record_id": "1",
        "next_deposit_record_id": "1", "initial_asset_weight": "8000", "maintenance_asset_weight": "9000",
        "initial_liability_weight": "12000", "maintenance_liability_weight": "11000", "liquidator_fee": "50000",
        "if_liquidation_fee": "10000", "optimal_utilization": "700000", "optimal_borrow_rate": "100000",
        "max_borrow_rate": "1000000",
    }  # fmt: skip
    assert venue.machine.store.state.objects[0].number_of_spot_markets == 2
    assert venue.machine.store.vaults.objects[1].spot_vault == 0


def test_a_new_perp_market(venue: InsuranceVenue) -> None:
    venue.machine.execute(Request(InitializePerpMarket(**PERP), "@admin", CLOCK))
    assert non_zero(venue.machine.store.perp_markets.objects[0]) == {
        "name": "SOL-PERP", "amm.oracle_index": "1", "status": "Active", "contract_tier": "A",
        "amm.historical_oracle_data.last_oracle_price": "100000000",
        "amm.historical_oracle_data.last_oracle_price_twap": "99000000",
        "amm.historical_oracle_data.last_oracle_price_twap_5min": "100000000",
        "amm.historical_oracle_data.last_oracle_price_twap_ts": str(START),
        "amm.base_asset_reserve": "1000000000000000", "amm.quote_asset_reserve": "1000000000000000",
        "amm.concentration_coef": "1414200", "amm.min_base_asset_reserve": "707113562438127",
        "amm.max_base_asset_reserve": "1414200000000000", "amm.sqrt_k": "1000000000000000",
        "amm.peg_multiplier": "100000000", "amm.terminal_quote_asset_reserve": "1000000000000000",
        "amm.ask_base_asset_reserve": "998751560549313", "amm.ask_quote_asset_reserve": "1001250000000000",
        "amm.bid_base_asset_reserve": "1001251564455569", "amm.bid_quote_asset_reserve": "998750000000000",
        "amm.long_spread": "2500", "amm.short_spread": "2500", "amm.last_oracle_normalised_price": "100000000",
        "amm.last_bid_price_twap": "100000000", "amm.last_ask_price_twap": "100000000",
        "amm.last_mark_price_twap": "100000000", "amm.last_mark_price_twap_5min": "100000000",
        "amm.last_update_slot": "230000000", "amm.last_funding_rate_ts": str(START), "amm.funding_period": "3600",
        "amm.order_step_size": "100000", "amm.order_tick_size": "100", "amm.min_order_size": "100000",
        "amm.last_trade_ts": str(START), "amm.last_mark_price_twap_ts": str(START), "amm.base_spread": "500",
        "amm.max_spread": "50000", "amm.max_fill_reserve_fraction": "100", "amm.max_slippage_ratio": "50",
        "amm.curve_update_intensity": "100", "next_fill_record_id": "1", "next_funding_rate_record_id": "1",
        "next_curve_record_id": "1", "liquidator_fee": "10000", "if_liquidation_fee": "10000",
        "margin_ratio_initial": "1000", "margin_ratio_maintenance": "500",
        "unrealized_pnl_maintenance_asset_weight": "10000",
    }  # fmt: skip
    assert venue.machine.store.state.objects[0].number_of_markets == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"optimal_borrow_rate": 1_000_001}, "InvalidSpotMarketInitialization"),
        ({"optimal_utilization": 1_000_001}, "InvalidSpotMarketInitialization"),
        ({"oracle": "quote"}, "InvalidSpotMarketInitialization"),
        ({"oracle": "ETH"}, "OracleNotFound"),
        ({"decimals": 5}, "InvalidSpotMarketInitialization"),
        ({"decimals": 20}, "InvalidSpotMarketInitialization"),
        ({"initial_asset_weight": 10_000}, "InvalidSpotMarketInitialization"),
        ({"imf_factor": 1_000_000}, "InvalidSpotMarketInitialization"),
        ({"name": "x" * 33}, "CastingFailure"),
    ],
)
def test_refused_spot_markets(venue: InsuranceVenue, changes: dict[str, Any], error: str) -> None:
    assert venue.refused(InitializeSpotMarket(**SPOT), "@mallory") == "Unauthorized"
    assert venue.refused(InitializeSpotMarket(**{**SPOT, **changes})) == error
    assert len(venue.machine.store.spot_markets.objects) == 1


def test_what_the_program_does_not_validate_is_admitted(venue: InsuranceVenue) -> None:
    """Deliberate (instructions.md §3.2): liquidation fees, tier and insurance factor of a new spot market."""
    changes = {"liquidator_fee": 2_000_000, "if_liquidation_fee": 999_999, "asset_tier": "Unlisted",
               "if_total_factor": 3_000_000, "active_status": False}  # fmt: skip
    venue.ok(InitializeSpotMarket(**{**SPOT, **changes}))
    market = venue.machine.store.spot_markets.objects[1]
    assert (market.status, market.insurance_fund.user_factor) == (0, 1_500_000)


def test_market_0_is_the_quote_token(venue: InsuranceVenue) -> None:
    empty = Machine(strict=True)
    empty.execute(Request(Initialize(admin="@admin"), "@admin", CLOCK))
    quote = {**SPOT, "oracle": "quote", "initial_asset_weight": 10_000, "maintenance_asset_weight": 10_000,
             "initial_liability_weight": 10_000, "maintenance_liability_weight": 10_000}  # fmt: skip
    receipt, _ = empty.execute(Request(InitializeSpotMarket(**quote), "@admin", CLOCK))
    assert receipt.refusal is not None and receipt.refusal.error == "InvalidSpotMarketInitialization"  # 9 decimals
    receipt, _ = empty.execute(Request(InitializeSpotMarket(**{**quote, "decimals": 6}), "@admin", CLOCK))
    assert receipt.ok
    history = empty.store.spot_markets.objects[0].historical_oracle_data
    assert (history.last_oracle_price, history.last_oracle_conf, history.last_oracle_delay) == (1_000_000, 0, 0)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        # in order of precedence: each row keeps the faults of the rows after it
        (
            {"amm_quote_asset_reserve": 1, "curve_update_intensity": 201, "oracle": "quote", "market_index": 1,
             "margin_ratio_initial": 1},
            "InvalidInitialPeg",
        ),
        (
            {"curve_update_intensity": 201, "oracle": "quote", "market_index": 1, "margin_ratio_initial": 1},
            "DefaultError",
        ),
        ({"amm_jit_intensity": 201}, "DefaultError"),
        ({"oracle": "quote", "market_index": 1, "margin_ratio_initial": 1}, "InvalidOracle"),
        ({"market_index": 1, "margin_ratio_initial": 1}, "InvalidMarginRatio"),
        ({"market_index": 1}, "MarketIndexAlreadyInitialized"),
        ({"concentration_coef_scale": 414_201}, "InvalidConcentrationCoef"),
        ({"concentration_coef_scale": 0}, "InvalidConcentrationCoef"),
        ({"amm_base_asset_reserve": 0, "amm_quote_asset_reserve": 0}, "MathError"),
    ],
)  # fmt: skip
def test_refused_perp_markets(venue: InsuranceVenue, changes: dict[str, Any], error: str) -> None:
    assert venue.refused(InitializePerpMarket(**PERP), "@mallory") == "Unauthorized"
    assert venue.refused(InitializePerpMarket(**{**PERP, **changes})) == error
    assert venue.machine.store.perp_markets.objects == []


def test_a_perp_market_may_be_promised_more_than_its_tier(venue: InsuranceVenue) -> None:
    """Deliberate (instructions.md §3.3): only update_perp_market_max_imbalances holds the caps against the tier."""
    promised = {"contract_tier": "Isolated", "quote_max_insurance": 5, "max_revenue_withdraw_per_period": 10**9}
    venue.ok(InitializePerpMarket(**{**PERP, **promised}))
    assert venue.machine.store.perp_markets.objects[0].insurance_claim.quote_max_insurance == 5


def test_a_new_empty_market_can_be_removed(venue: InsuranceVenue) -> None:
    """The last market of its kind, never activated, with nothing in it; afterwards its number is free again."""
    store = venue.machine.store
    venue.ok(InitializePerpMarket(**{**PERP, "active_status": False}))
    before = store.root()
    assert venue.refused(DeleteInitializedPerpMarket(market_index=0), "@mallory") == "Unauthorized"
    assert store.root() == before
    venue.ok(DeleteInitializedPerpMarket(market_index=0))
    assert store.perp_markets.count == 0 and store.perp_markets.objects == []
    assert store.state.objects[0].number_of_markets == 0
    venue.ok(InitializePerpMarket(**PERP))
    assert venue.refused(DeleteInitializedPerpMarket(market_index=0)) == "InvalidMarketAccountforDeletion"
    assert venue.refused(DeleteInitializedPerpMarket(market_index=1)) == "PerpMarketNotFound"


def test_only_the_last_spot_market_can_be_removed(venue: InsuranceVenue) -> None:
    store = venue.machine.store
    count = store.spot_markets.count
    assert venue.refused(DeleteInitializedSpotMarket(market_index=0)) == "InvalidMarketAccountforDeletion"
    assert store.spot_markets.count == store.vaults.count == count
