"""The AMM's instructions on a Velocity venue: funding with and without the revenue pool, cranks, books, parameters."""

from typing import Any

import pytest
from support.money import ADMIN
from support.trading import PERP, B, P, TradingVenue

from seawall.engine.receipts import Receipt
from seawall.instructions.amm import (
    RepegAmmCurve,
    SettleFundingPayment,
    UpdateAmms,
    UpdateAmmSpreadAdjustment,
    UpdateFundingRate,
    UpdateK,
    UpdateMmOracle,
    UpdatePerpBidAskTwap,
    UpdatePerpMarketDisableFormulaicKUpdate,
    UpdatePerpMarketFundingDeadZone,
    UpdatePerpMarketOracleSlotDelayOverrides,
    UpdatePerpMarketReferencePriceOffsetDeadband,
)
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import DepositIntoSpotMarketRevenuePool
from seawall.instructions.pnl import UpdatePerpMarketAmmSummaryStats
from seawall.instructions.roles import UpdateFeatureBitFlags, UpdateHotAdmin, UpdateWarmAdmin
from seawall.rules.velocity.amm_stats import calculate_amm_equity

HOUR = 3_600
KEEPER = "@keeper"


class FundedVenue(TradingVenue):
    """Shorts are 900 base ahead of longs, so that the AMM is long and owes them funding at the next full hour."""

    def __init__(self, profile: str = "program", **config: Any) -> None:
        super().__init__(rulebook="velocity", profile=profile, **config)
        self.trader("@long", "@short", "@spare")
        assert self.take("@long", "Long", 100 * B).ok
        assert self.take("@short", "Short", 1_000 * B).ok

    def until_due(self) -> None:
        """The next full hour, with a fresh price and a refreshed AMM."""
        self.now = (self.now // HOUR + 1) * HOUR
        self.post("SOL", 100 * P)

    def update(self) -> Receipt:
        """A funding update that is due."""
        return self.ok(UpdateFundingRate(market_index=PERP), KEEPER)


def event(receipt: Receipt, name: str) -> dict[str, Any]:
    """The one event of that name."""
    (found,) = [fields for kind, fields in receipt.events if kind == name]
    return found


# --- funding ---------------------------------------------------------------------------------------------------


def test_a_funding_update_and_its_event() -> None:
    venue = FundedVenue()
    venue.until_due()
    record = event(venue.update(), "FundingRateRecord")
    assert list(record) == [
        "ts", "record_id", "market_index", "funding_rate", "funding_rate_long", "funding_rate_short",
        "cumulative_funding_rate_long", "cumulative_funding_rate_short", "mark_price_twap", "oracle_price_twap",
        "base_asset_amount_with_amm",
    ]  # fmt: skip
    amm = venue.perp.amm
    assert record["funding_rate"] == amm.last_funding_rate
    assert amm.last_funding_oracle_twap == record["oracle_price_twap"]
    assert amm.last_cumulative_funding_rate_short == amm.cumulative_funding_rate_short
    venue.now += 1
    assert venue.refused(UpdateFundingRate(market_index=PERP), KEEPER) == "FundingWasNotUpdated"


def funding(equity: int, period_cap: int = 0, profile: str = "program") -> tuple[FundedVenue, Receipt]:
    """A funding update of an AMM with so much equity; longs' mark far above the oracle makes the longs pay."""
    venue = FundedVenue(profile, associated_spot_backstop=False)
    venue.ok(DepositIntoSpotMarketRevenuePool(authority=ADMIN, market_index=0, amount=500 * P))
    venue.change_perp(total_fee_minus_distributions=equity, last_mark_price_twap=103 * P, last_bid_price_twap=103 * P)
    venue.change_perp(last_ask_price_twap=103 * P)
    market = venue.perp.copy()
    market.insurance_claim.max_revenue_withdraw_per_period = period_cap
    venue._store("perp_markets", PERP, market)
    venue.now = (venue.now // HOUR + 1) * HOUR
    venue.post("SOL", 100 * P)
    venue.change_perp(last_mark_price_twap_ts=venue.now, last_funding_rate_ts=venue.now - HOUR)
    return venue, venue.update()


def test_the_amm_pays_a_third_of_its_equity_and_the_shorts_get_less() -> None:
    venue, receipt = funding(30 * P)
    (limit,) = receipt.limits
    assert (limit.name, limit.value) == ("amm_funding_budget", 10 * P)
    assert limit.asked > 10 * P
    amm = venue.perp.amm
    assert 0 < amm.last_funding_rate_short < amm.last_funding_rate_long
    assert amm.net_unsettled_funding_pnl == 10 * P
    for name in ("@long", "@short"):
        venue.ok(SettleFundingPayment(user=name), name)
    # what users get is what the AMM paid, up to rounding
    assert abs(venue.perp.amm.net_unsettled_funding_pnl) <= 10


def test_the_revenue_pool_pays_the_rest_where_the_documents_rule() -> None:
    venue, receipt = funding(30 * P, 100 * P, "documents")
    names = [limit.name for limit in receipt.limits]
    assert names == ["revenue_pool_draw_for_funding"]
    drawn = receipt.limits[0].value
    assert drawn == receipt.limits[0].asked > 0
    claim = venue.perp.insurance_claim
    assert (claim.revenue_withdraw_since_last_settle, claim.last_revenue_withdraw_ts) == (drawn, venue.now)
    amm = venue.perp.amm
    assert amm.last_funding_rate_short == amm.last_funding_rate_long
    assert amm.fee_pool.scaled_balance > 0
    assert venue.market(0).revenue_pool.scaled_balance < 500 * P * 1_000
    assert amm.net_unsettled_funding_pnl == 10 * P + drawn


def test_the_draw_stops_at_the_periods_cap() -> None:
    venue, receipt = funding(30 * P, 2 * P, "documents")
    draw, budget = receipt.limits
    assert (draw.name, draw.value, draw.asked > 2 * P) == ("revenue_pool_draw_for_funding", 2 * P, True)
    assert (budget.name, budget.value) == ("amm_funding_budget", 12 * P)
    assert venue.perp.insurance_claim.revenue_withdraw_since_last_settle == 2 * P


# --- cranks ----------------------------------------------------------------------------------------------------


def test_a_refresh_attests_what_it_used() -> None:
    venue = FundedVenue()
    venue.now += 10
    venue.post("SOL", 101 * P)
    venue.ok(UpdateAmms(market_indexes=[PERP]), KEEPER)
    amm = venue.perp.amm
    assert (amm.attested_oracle_price, amm.attested_oracle_slot) == (101 * P, venue.clock.slot)


def test_the_bid_ask_crank_and_its_refusals() -> None:
    venue = FundedVenue()
    venue.trader(KEEPER)
    crank = UpdatePerpBidAskTwap(market_index=PERP, best_bid=100 * P, best_ask=101 * P)
    assert venue.refused(crank, KEEPER) == "CantUpdatePerpBidAskTwap"
    venue.change_stats(KEEPER, if_staked_quote_asset_amount=1_000 * P)
    venue.now += 600
    venue.ok(crank, KEEPER)
    assert venue.perp.amm.last_mark_price_twap_ts == venue.now
    # the same second again: nothing can move
    receipt = venue.do(UpdatePerpBidAskTwap(market_index=PERP, best_bid=100 * P + 7, best_ask=101 * P), KEEPER)
    assert receipt.refusal is not None
    assert receipt.refusal.error == "CantUpdatePerpBidAskTwap"
    assert "0 seconds after the last update" in receipt.refusal.message


# --- books -----------------------------------------------------------------------------------------------------


def test_the_summary_stats_set_the_equity_right() -> None:
    venue = FundedVenue()
    price = 100 * P
    shown = calculate_amm_equity(venue.perp, venue.market(0), price)
    venue.change_perp(total_fee_minus_distributions=shown - 5, total_fee=7, total_mm_fee=-1)
    venue.ok(UpdatePerpMarketAmmSummaryStats(market_index=PERP))
    amm = venue.perp.amm
    assert (amm.total_fee_minus_distributions, amm.total_fee, amm.total_mm_fee) == (shown, 12, 4)
    venue.ok(UpdatePerpMarketAmmSummaryStats(market_index=PERP, net_unsettled_funding_pnl=3))
    assert venue.perp.amm.total_fee_minus_distributions == shown - 3


def test_peg_and_k_by_hand_with_their_event() -> None:
    venue = FundedVenue()
    venue.change_perp(total_fee_minus_distributions=10**12, curve_update_intensity=0)
    receipt = venue.ok(UpdateK(market_index=PERP, sqrt_k=1_001_000 * B))
    assert event(receipt, "AmmCurveChanged")["sqrt_k_after"] == 1_001_000 * B
    venue.now += 1
    venue.post("SOL", 101 * P)
    receipt = venue.ok(RepegAmmCurve(market_index=PERP, new_peg_candidate=100_100_000))
    assert event(receipt, "AmmCurveChanged")["peg_multiplier_after"] == 100_100_000


# --- parameters ------------------------------------------------------------------------------------------------

SETTERS = [
    (
        UpdatePerpMarketFundingDeadZone(market_index=PERP, funding_clamp_threshold=9_999, funding_ramp_slope=1),
        {"funding_clamp_threshold": 9_999, "funding_ramp_slope": 1},
    ),
    (
        UpdateAmmSpreadAdjustment(market_index=PERP, amm_spread_adjustment=-100, amm_inventory_spread_adjustment=100),
        {"amm.amm_spread_adjustment": -100, "amm.amm_inventory_spread_adjustment": 100},
    ),
    (UpdatePerpMarketDisableFormulaicKUpdate(market_index=PERP, disable=True), {"disable_formulaic_k_update": True}),
    (
        UpdatePerpMarketOracleSlotDelayOverrides(
            market_index=PERP, oracle_slot_delay_override=-1, oracle_low_risk_slot_delay_override=127
        ),
        {"amm.oracle_slot_delay_override": -1, "amm.oracle_low_risk_slot_delay_override": 127},
    ),
    (
        UpdatePerpMarketReferencePriceOffsetDeadband(market_index=PERP, reference_price_offset_deadband_pct=100),
        {"amm.reference_price_offset_deadband_pct": 100},
    ),
]


@pytest.mark.parametrize(("instruction", "fields"), SETTERS, ids=lambda value: type(value).__name__)
def test_setters(instruction: Instruction, fields: dict[str, int]) -> None:
    venue = TradingVenue(rulebook="velocity")
    assert venue.refused(instruction, "@somebody") == "Unauthorized"
    venue.ok(instruction)
    for path, value in fields.items():
        found: Any = venue.perp
        for name in path.split("."):
            found = getattr(found, name)
        assert found == value
    venue.change_perp(status=8)
    assert venue.refused(instruction) == "MarketDelisted"


@pytest.mark.parametrize(
    "instruction",
    [
        UpdatePerpMarketFundingDeadZone(market_index=PERP, funding_clamp_threshold=10_000, funding_ramp_slope=1),
        UpdatePerpMarketFundingDeadZone(market_index=PERP, funding_clamp_threshold=5, funding_ramp_slope=0),
        UpdateAmmSpreadAdjustment(market_index=PERP, amm_spread_adjustment=-101, amm_inventory_spread_adjustment=0),
        UpdateAmmSpreadAdjustment(market_index=PERP, amm_spread_adjustment=0, amm_inventory_spread_adjustment=101),
        UpdatePerpMarketReferencePriceOffsetDeadband(market_index=PERP, reference_price_offset_deadband_pct=101),
        UpdateMmOracle(market_index=PERP, mm_oracle_price=P, mm_oracle_sequence_id=1),  # the feature is off
    ],
)
def test_values_that_setters_refuse(instruction: Instruction) -> None:
    venue = TradingVenue(rulebook="velocity")
    receipt = venue.do(instruction)
    assert receipt.refusal is not None
    assert receipt.refusal.error == "DefaultError"
    assert receipt.refusal.would_pass


def test_drift_has_none_of_them() -> None:
    venue = TradingVenue()
    assert {venue.refused(instruction) for instruction, _ in SETTERS} == {"UnsupportedInstruction"}


def test_a_market_makers_price() -> None:
    venue = FundedVenue()
    venue.ok(UpdateHotAdmin(role="MmOracleCrank", key="@maker"))
    venue.ok(UpdateFeatureBitFlags(feature="MmOracleUpdate", enable=True))
    assert venue.refused(UpdateMmOracle(market_index=PERP, mm_oracle_price=-1, mm_oracle_sequence_id=7), "@maker")
    venue.ok(UpdateMmOracle(market_index=PERP, mm_oracle_price=100 * P + 5, mm_oracle_sequence_id=7), "@maker")
    amm = venue.perp.amm
    assert (amm.mm_oracle_price, amm.mm_oracle_slot, amm.mm_oracle_sequence_id) == (100 * P + 5, venue.clock.slot, 7)
    again = UpdateMmOracle(market_index=PERP, mm_oracle_price=100 * P, mm_oracle_sequence_id=7)
    assert venue.refused(again, "@maker") == "DefaultError"


def test_only_the_cold_admin_stops_k() -> None:
    venue = TradingVenue(rulebook="velocity")
    venue.ok(UpdateWarmAdmin(warm_admin="@warm"))
    stop = UpdatePerpMarketDisableFormulaicKUpdate(market_index=PERP, disable=True)
    assert venue.refused(stop, "@warm") == "Unauthorized"
    venue.ok(stop)
    venue.ok(UpdatePerpMarketDisableFormulaicKUpdate(market_index=PERP, disable=False), "@warm")
