"""What the admin may set, and what is refused (instructions.md §2.9)."""

from typing import Any

import pytest
from support.insurance import START, InsuranceVenue

from seawall.instructions import administration as ixs
from seawall.instructions.administration import (
    FeeStructureParams,
    FeeTierParams,
    FillerRewardParams,
    GuardRails,
    PriceDivergenceRails,
    ValidityRails,
)
from seawall.instructions.base import Instruction, decode, decode_object, encode, instruction_types
from seawall.instructions.markets import InitializePerpMarket, InitializeSpotMarket
from seawall.instructions.venue_setup import AddOracle
from seawall.records import flatten


@pytest.fixture
def venue() -> InsuranceVenue:
    """Markets USDC and SOL, SOL-PERP of tier C."""
    venue = InsuranceVenue()
    venue.ok(AddOracle(name="SOL", price=100_000_000, conf=50_000))
    venue.ok(
        InitializeSpotMarket(
            name="SOL", oracle="SOL", decimals=9, optimal_utilization=700_000, optimal_borrow_rate=100_000,
            max_borrow_rate=1_000_000, initial_asset_weight=8_000, maintenance_asset_weight=9_000,
            initial_liability_weight=12_000, maintenance_liability_weight=11_000,
        )
    )  # fmt: skip
    venue.ok(
        InitializePerpMarket(
            market_index=0, name="SOL-PERP", oracle="SOL", amm_base_asset_reserve=10**15,
            amm_quote_asset_reserve=10**15, amm_periodicity=3_600, amm_peg_multiplier=100_000_000, contract_tier="C",
            margin_ratio_initial=1_000, margin_ratio_maintenance=500, liquidator_fee=10_000, base_spread=500,
            max_spread=50_000, order_step_size=100_000, order_tick_size=100, min_order_size=100_000,
        )
    )  # fmt: skip
    return venue


def fees(**tier: int) -> FeeStructureParams:
    """A schedule of one tier that passes, changed by ``tier``; other fields by ``filler`` and ``flat``."""
    filler = tier.pop("filler", 10)
    flat = tier.pop("flat", 10_000)
    values = {
        "fee_numerator": 100, "maker_rebate_numerator": 20, "referrer_reward_numerator": 15, "referee_fee_numerator": 5,
    }  # fmt: skip
    return FeeStructureParams(
        fee_tiers=[FeeTierParams(**{**values, **tier})],
        filler_reward_structure=FillerRewardParams(
            reward_numerator=filler, reward_denominator=100, time_based_reward_lower_bound=10_000
        ),
        referrer_reward_epoch_upper_bound=1,
        flat_filler_fee=flat,
    )


def rails() -> GuardRails:
    return GuardRails(
        price_divergence=PriceDivergenceRails(
            mark_oracle_percent_divergence=1, oracle_twap_5min_percent_divergence=2
        ),
        validity=ValidityRails(
            slots_before_stale_for_amm=3, slots_before_stale_for_margin=4, confidence_interval_max_size=5,
            too_volatile_ratio=6,
        ),
    )  # fmt: skip


ACCEPTED: list[tuple[Instruction, str, dict[str, Any]]] = [
    (ixs.UpdateExchangeStatus(exchange_status=255), "state", {"exchange_status": 255}),
    (ixs.UpdateStateSettlementDuration(settlement_duration=7), "state", {"settlement_duration": 7}),
    (
        ixs.UpdateLiquidationMarginBufferRatio(liquidation_margin_buffer_ratio=9),
        "state", {"liquidation_margin_buffer_ratio": 9},
    ),
    (ixs.UpdateLiquidationDuration(liquidation_duration=8), "state", {"liquidation_duration": 8}),
    (ixs.UpdateInitialPctToLiquidate(initial_pct_to_liquidate=5), "state", {"initial_pct_to_liquidate": 5}),
    (ixs.UpdatePerpAuctionDuration(min_perp_auction_duration=3), "state", {"min_perp_auction_duration": 3}),
    (
        ixs.UpdatePerpMarketMaxOpenInterest(market_index=0, max_open_interest=300_000),
        "perp", {"amm.max_open_interest": 300_000},
    ),
    (
        ixs.UpdateOracleGuardRails(oracle_guard_rails=rails()),
        "state", {
            "oracle_guard_rails.price_divergence.mark_oracle_percent_divergence": 1,
            "oracle_guard_rails.price_divergence.oracle_twap_5min_percent_divergence": 2,
            "oracle_guard_rails.validity.slots_before_stale_for_amm": 3,
            "oracle_guard_rails.validity.slots_before_stale_for_margin": 4,
            "oracle_guard_rails.validity.confidence_interval_max_size": 5,
            "oracle_guard_rails.validity.too_volatile_ratio": 6,
        },
    ),
    (
        ixs.UpdatePerpFeeStructure(fee_structure=fees(fee_numerator=99)),
        "state", {
            "perp_fee_structure.fee_tiers.0.fee_numerator": 99,
            "perp_fee_structure.fee_tiers.9.fee_denominator": 100_000,
        },
    ),
    (
        ixs.UpdateSpotFeeStructure(fee_structure=fees(fee_numerator=98)),
        "state", {"spot_fee_structure.fee_tiers.0.fee_numerator": 98},
    ),
    (
        ixs.UpdateSpotMarketIfFactor(spot_market_index=1, user_if_factor=1_000_000, total_if_factor=1_000_000),
        "spot", {"insurance_fund.user_factor": 1_000_000, "insurance_fund.total_factor": 1_000_000},
    ),
    (
        ixs.UpdateSpotMarketRevenueSettlePeriod(market_index=1, revenue_settle_period=1),
        "spot", {"insurance_fund.revenue_settle_period": 1},
    ),
    (
        ixs.UpdateInsuranceFundUnstakingPeriod(market_index=1, insurance_fund_unstaking_period=-1),
        "spot", {"insurance_fund.unstaking_period": -1},
    ),
    (
        ixs.UpdateSpotMarketIfPausedOperations(market_index=1, paused_operations=15),
        "spot", {"if_paused_operations": 15},
    ),
    (ixs.UpdateSpotMarketPausedOperations(market_index=1, paused_operations=3), "spot", {"paused_operations": 3}),
    (
        ixs.UpdateSpotMarketLiquidationFee(market_index=1, liquidator_fee=899_999, if_liquidation_fee=100_000),
        "spot", {"liquidator_fee": 899_999, "if_liquidation_fee": 100_000},
    ),
    (
        ixs.UpdateSpotMarketMarginWeights(
            market_index=1, initial_asset_weight=0, maintenance_asset_weight=1, initial_liability_weight=10_001,
            maintenance_liability_weight=10_001, imf_factor=999_999,
        ),
        "spot", {"initial_asset_weight": 0, "maintenance_liability_weight": 10_001, "imf_factor": 999_999},
    ),
    (
        ixs.UpdateSpotMarketBorrowRate(
            market_index=1, optimal_utilization=1_000_000, optimal_borrow_rate=20_000, max_borrow_rate=20_000,
            min_borrow_rate=4,
        ),
        "spot", {"optimal_utilization": 1_000_000, "max_borrow_rate": 20_000, "min_borrow_rate": 4},
    ),
    (ixs.UpdateSpotMarketMaxTokenDeposits(market_index=1, max_token_deposits=5), "spot", {"max_token_deposits": 5}),
    (ixs.UpdateSpotMarketAssetTier(market_index=1, asset_tier="Protected"), "spot", {"asset_tier": "Protected"}),
    (
        ixs.UpdateSpotMarketScaleInitialAssetWeightStart(market_index=1, scale_initial_asset_weight_start=6),
        "spot", {"scale_initial_asset_weight_start": 6},
    ),
    (
        ixs.UpdateWithdrawGuardThreshold(market_index=1, withdraw_guard_threshold=7),
        "spot", {"withdraw_guard_threshold": 7},
    ),
    (ixs.UpdateSpotMarketStatus(market_index=1, status="Settlement"), "spot", {"status": "Settlement"}),
    (
        ixs.UpdateSpotMarketExpiry(market_index=1, expiry_ts=START + 1),
        "spot", {"status": "ReduceOnly", "expiry_ts": START + 1},
    ),
    (ixs.UpdateSpotMarketFeeAdjustment(market_index=1, fee_adjustment=-100), "spot", {"fee_adjustment": -100}),
    (
        ixs.UpdatePerpLiquidationFee(market_index=0, liquidator_fee=49_999, if_liquidation_fee=950_000),
        "perp", {"liquidator_fee": 49_999, "if_liquidation_fee": 950_000},
    ),
    (
        ixs.UpdatePerpMarketMarginRatio(market_index=0, margin_ratio_initial=501, margin_ratio_maintenance=200),
        "perp", {"margin_ratio_initial": 501, "margin_ratio_maintenance": 200},
    ),
    (
        ixs.UpdatePerpMarketImfFactor(market_index=0, imf_factor=1_000_000, unrealized_pnl_imf_factor=1),
        "perp", {"imf_factor": 1_000_000, "unrealized_pnl_imf_factor": 1},
    ),
    (
        ixs.UpdatePerpMarketUnrealizedAssetWeight(
            market_index=0, unrealized_initial_asset_weight=10_000, unrealized_maintenance_asset_weight=10_000
        ),
        "perp", {"unrealized_pnl_initial_asset_weight": 10_000, "unrealized_pnl_maintenance_asset_weight": 10_000},
    ),
    (
        ixs.UpdatePerpMarketMaxImbalances(
            market_index=0, unrealized_max_imbalance=100_000_000_001, max_revenue_withdraw_per_period=100_000_000_000,
            quote_max_insurance=100_000_000_000,
        ),
        "perp", {
            "unrealized_pnl_max_imbalance": 100_000_000_001,
            "insurance_claim.max_revenue_withdraw_per_period": 100_000_000_000,
            "insurance_claim.quote_max_insurance": 100_000_000_000,
        },
    ),
    (
        ixs.UpdatePerpMarketContractTier(market_index=0, contract_tier="HighlySpeculative"),
        "perp", {"contract_tier": "HighlySpeculative"},
    ),
    (ixs.UpdatePerpMarketStatus(market_index=0, status="Initialized"), "perp", {"status": "Initialized"}),
    (
        ixs.UpdatePerpMarketExpiry(market_index=0, expiry_ts=START + 1),
        "perp", {"status": "ReduceOnly", "expiry_ts": START + 1},
    ),
    (ixs.UpdatePerpMarketPausedOperations(market_index=0, paused_operations=63), "perp", {"paused_operations": 63}),
    (ixs.UpdatePerpMarketFundingPeriod(market_index=0, funding_period=0), "perp", {"amm.funding_period": 0}),
    (ixs.UpdatePerpMarketFeeAdjustment(market_index=0, fee_adjustment=100), "perp", {"fee_adjustment": 100}),
    (
        ixs.UpdatePerpMarketCurveUpdateIntensity(market_index=0, curve_update_intensity=200),
        "perp", {"amm.curve_update_intensity": 200},
    ),
    (ixs.UpdateAmmJitIntensity(market_index=0, amm_jit_intensity=200), "perp", {"amm.amm_jit_intensity": 200}),
    (ixs.UpdatePerpMarketMaxSpread(market_index=0, max_spread=100_000), "perp", {"amm.max_spread": 100_000}),
]  # fmt: skip


def changed(venue: InsuranceVenue, before: dict[str, dict[str, Any]]) -> dict[str, tuple[str, Any]]:
    """Every field that differs now, as path: (record, value)."""
    after = state_of(venue)
    return {
        path: (record, value)
        for record, fields in after.items()
        for path, value in fields.items()
        if before[record][path] != value
    }


def state_of(venue: InsuranceVenue) -> dict[str, dict[str, Any]]:
    store = venue.machine.store
    return {
        "state": dict(flatten(store.state.objects[0])),
        "quote": dict(flatten(store.spot_markets.objects[0])),
        "spot": dict(flatten(store.spot_markets.objects[1])),
        "perp": dict(flatten(store.perp_markets.objects[0])),
    }


def name_of(value: Any) -> str:
    return value.ix if isinstance(value, Instruction) else ""


@pytest.mark.parametrize(("instruction", "record", "fields"), ACCEPTED, ids=name_of)
def test_an_update_sets_its_fields_and_nothing_else(
    venue: InsuranceVenue, instruction: Instruction, record: str, fields: dict[str, Any]
) -> None:
    """Values at the edge of what is admitted. Fields not named in the row may change only within the same schedule."""
    before = state_of(venue)
    assert venue.refused(instruction, "@mallory") == "Unauthorized"
    receipt = venue.ok(instruction)
    assert receipt.events == [] and receipt.transfers == []
    after = state_of(venue)[record]
    for path, value in fields.items():
        assert after[path] == (value if isinstance(value, str) else str(value)), path
    arguments = {f.split(".")[0] for f in fields} | set(instruction.__struct_fields__)
    for path, (where, _) in changed(venue, before).items():
        assert where == record
        assert path.split(".")[0] in arguments or path.split(".")[-1] in arguments


def test_every_update_of_the_family_is_tested() -> None:
    """A new instruction of the module must come with a row, admin handover apart."""
    family = {cls for cls in instruction_types().values() if cls.__module__ == "seawall.instructions.administration"}
    assert family - {type(row[0]) for row in ACCEPTED} == {ixs.UpdateAdmin}


REFUSED: list[tuple[Instruction, str]] = [
    (ixs.UpdatePerpMarketMaxOpenInterest(market_index=0, max_open_interest=300_001), "DefaultError"),
    (
        ixs.UpdateSpotMarketIfFactor(spot_market_index=1, user_if_factor=51, total_if_factor=50),
        "DefaultError",
    ),
    (
        ixs.UpdateSpotMarketIfFactor(spot_market_index=1, user_if_factor=50, total_if_factor=1_000_001),
        "DefaultError",
    ),
    (ixs.UpdateSpotMarketRevenueSettlePeriod(market_index=1, revenue_settle_period=0), "DefaultError"),
    (
        ixs.UpdateSpotMarketLiquidationFee(market_index=1, liquidator_fee=0, if_liquidation_fee=100_001),
        "DefaultError",
    ),
    (
        ixs.UpdateSpotMarketLiquidationFee(market_index=1, liquidator_fee=900_000, if_liquidation_fee=100_000),
        "DefaultError",
    ),
    (
        ixs.UpdateSpotMarketBorrowRate(
            market_index=1, optimal_utilization=1_000_001, optimal_borrow_rate=1, max_borrow_rate=1
        ),
        "InvalidSpotMarketInitialization",
    ),
    (
        ixs.UpdateSpotMarketBorrowRate(market_index=1, optimal_utilization=1, optimal_borrow_rate=2, max_borrow_rate=1),
        "InvalidSpotMarketInitialization",
    ),
    (
        ixs.UpdateSpotMarketBorrowRate(
            market_index=1, optimal_utilization=1, optimal_borrow_rate=4_999, max_borrow_rate=5_000, min_borrow_rate=1
        ),
        "InvalidSpotMarketInitialization",
    ),
    (ixs.UpdateSpotMarketAssetTier(market_index=1, asset_tier="Cross"), "DefaultError"),
    (ixs.UpdateSpotMarketStatus(market_index=1, status="AmmPaused"), "DefaultError"),
    (ixs.UpdateSpotMarketExpiry(market_index=1, expiry_ts=START), "DefaultError"),
    (ixs.UpdateSpotMarketFeeAdjustment(market_index=1, fee_adjustment=101), "DefaultError"),
    (
        ixs.UpdatePerpLiquidationFee(market_index=0, liquidator_fee=50_000, if_liquidation_fee=0),
        "InvalidMarginRatio",
    ),
    (
        ixs.UpdatePerpLiquidationFee(market_index=0, liquidator_fee=500_000, if_liquidation_fee=500_000),
        "DefaultError",
    ),
    (
        ixs.UpdatePerpMarketImfFactor(market_index=0, imf_factor=0, unrealized_pnl_imf_factor=1_000_001),
        "DefaultError",
    ),
    (
        ixs.UpdatePerpMarketUnrealizedAssetWeight(
            market_index=0, unrealized_initial_asset_weight=2, unrealized_maintenance_asset_weight=1
        ),
        "DefaultError",
    ),
    (
        ixs.UpdatePerpMarketUnrealizedAssetWeight(
            market_index=0, unrealized_initial_asset_weight=1, unrealized_maintenance_asset_weight=10_001
        ),
        "DefaultError",
    ),
    (ixs.UpdatePerpMarketStatus(market_index=0, status="Settlement"), "DefaultError"),
    (ixs.UpdatePerpMarketStatus(market_index=0, status="Delisted"), "DefaultError"),
    (ixs.UpdatePerpMarketStatus(market_index=0, status="FillPaused"), "DefaultError"),
    (ixs.UpdatePerpMarketExpiry(market_index=0, expiry_ts=START), "DefaultError"),
    (ixs.UpdatePerpMarketFundingPeriod(market_index=0, funding_period=-1), "DefaultError"),
    (ixs.UpdatePerpMarketFeeAdjustment(market_index=0, fee_adjustment=-101), "DefaultError"),
    (ixs.UpdatePerpMarketCurveUpdateIntensity(market_index=0, curve_update_intensity=201), "DefaultError"),
    (ixs.UpdateAmmJitIntensity(market_index=0, amm_jit_intensity=201), "DefaultError"),
    (ixs.UpdatePerpMarketMaxSpread(market_index=0, max_spread=499), "DefaultError"),
    (ixs.UpdatePerpMarketMaxSpread(market_index=0, max_spread=100_001), "DefaultError"),
    (ixs.UpdatePerpFeeStructure(fee_structure=fees(fee_numerator=101)), "InvalidFeeStructure"),
    (ixs.UpdatePerpFeeStructure(fee_structure=fees(fee_denominator=99_999)), "InvalidFeeStructure"),
    (ixs.UpdatePerpFeeStructure(fee_structure=fees(maker_rebate_numerator=31)), "InvalidFeeStructure"),
    (ixs.UpdatePerpFeeStructure(fee_structure=fees(maker_rebate_denominator=1)), "InvalidFeeStructure"),
    (ixs.UpdatePerpFeeStructure(fee_structure=fees(referee_fee_numerator=21)), "InvalidFeeStructure"),
    (ixs.UpdatePerpFeeStructure(fee_structure=fees(referee_fee_denominator=99)), "InvalidFeeStructure"),
    (ixs.UpdatePerpFeeStructure(fee_structure=fees(referrer_reward_numerator=21)), "InvalidFeeStructure"),
    (ixs.UpdatePerpFeeStructure(fee_structure=fees(referrer_reward_denominator=99)), "InvalidFeeStructure"),
    # a taker's 20 less a discount of 1, of which 20 % are rewards, does not pay a rebate of 20
    (ixs.UpdatePerpFeeStructure(fee_structure=fees(fee_numerator=20)), "InvalidFeeStructure"),
    (ixs.UpdatePerpFeeStructure(fee_structure=fees(filler=21)), "InvalidFeeStructure"),
    (ixs.UpdateSpotFeeStructure(fee_structure=fees(flat=10_001)), "InvalidFeeStructure"),
]


@pytest.mark.parametrize(("instruction", "error"), REFUSED, ids=name_of)
def test_a_refused_update_names_what_is_required(venue: InsuranceVenue, instruction: Instruction, error: str) -> None:
    before = venue.machine.store.root()
    refusal = venue.do(instruction).refusal
    assert refusal is not None and refusal.error == error
    assert refusal.message.startswith("required: ") and refusal.would_pass
    assert venue.machine.store.root() == before


@pytest.mark.parametrize(
    ("initial", "maintenance", "valid"),
    [
        (10_000, 9_999, True), (10_001, 500, False), (500, 500, False), (501, 500, True), (501, 199, False),
        (501, 100, False), (500, 499, False),  # 500·100 is not above the spread of 50000
    ],
)  # fmt: skip
def test_margin_ratios(venue: InsuranceVenue, initial: int, maintenance: int, valid: bool) -> None:
    instruction = ixs.UpdatePerpMarketMarginRatio(
        market_index=0, margin_ratio_initial=initial, margin_ratio_maintenance=maintenance
    )
    refusal = venue.do(instruction).refusal
    assert (refusal is None) == valid
    assert refusal is None or refusal.error == "InvalidMarginRatio"


ONE = 10_000


@pytest.mark.parametrize(
    ("market", "weights", "valid"),
    [
        (0, (ONE, ONE, ONE, ONE, 0), True),
        (0, (ONE - 1, ONE, ONE, ONE, 0), False),
        (0, (ONE, ONE, ONE, ONE, 1_000_000), False),
        (1, (ONE, ONE, ONE + 1, ONE + 1, 0), False),
        (1, (9_000, 8_999, ONE + 1, ONE + 1, 0), False),
        (1, (0, 0, ONE + 1, ONE + 1, 0), False),
        (1, (8_000, 9_000, ONE + 1, ONE + 2, 0), False),
        (1, (8_000, 9_000, ONE + 1, ONE, 0), False),
        (1, (8_000, 9_000, ONE, ONE, 0), False),
        (1, (8_000, ONE, ONE + 1, ONE + 1, 0), False),
    ],
)
def test_margin_weights(venue: InsuranceVenue, market: int, weights: tuple[int, ...], valid: bool) -> None:
    names = (
        "initial_asset_weight", "maintenance_asset_weight", "initial_liability_weight", "maintenance_liability_weight",
        "imf_factor",
    )  # fmt: skip
    instruction = ixs.UpdateSpotMarketMarginWeights(market_index=market, **dict(zip(names, weights, strict=True)))
    refusal = venue.do(instruction).refusal
    assert (refusal is None) == valid
    assert refusal is None or refusal.error == "InvalidSpotMarketInitialization"


CAP_C = 100_000_000_000


@pytest.mark.parametrize(
    ("tier", "imbalance", "revenue", "insurance", "valid"),
    [
        ("A", 10**14 + 1, 10**14, 10**14, True),
        ("A", 10**14 + 2, 0, 0, False),
        ("B", 10**12 + 1, 10**12, 10**12, True),
        ("B", 0, 10**12 + 1, 0, False),
        ("C", CAP_C + 1, CAP_C, CAP_C, True),
        ("C", 0, 0, CAP_C + 1, False),
        ("Speculative", 1, 250_000_000, 0, True),  # every tier may draw 250 of revenue a period
        ("Speculative", 1, 250_000_001, 0, False),
        ("HighlySpeculative", 2, 0, 0, False),
        ("Isolated", 0, 0, 1, False),
    ],
)
def test_insurance_caps_by_tier(
    venue: InsuranceVenue, tier: Any, imbalance: int, revenue: int, insurance: int, valid: bool
) -> None:
    """solvency.md §1.3."""
    venue.ok(ixs.UpdatePerpMarketContractTier(market_index=0, contract_tier=tier))
    instruction = ixs.UpdatePerpMarketMaxImbalances(
        market_index=0, unrealized_max_imbalance=imbalance, max_revenue_withdraw_per_period=revenue,
        quote_max_insurance=insurance,
    )  # fmt: skip
    refusal = venue.do(instruction).refusal
    assert (refusal is None) == valid
    assert refusal is None or (refusal.error, f"for tier {tier}" in refusal.message) == ("DefaultError", True)


def test_insurance_caps_cannot_fall_below_what_was_drawn(venue: InsuranceVenue) -> None:
    market = venue.machine.store.perp_markets.objects[0].copy()
    market.insurance_claim.quote_settled_insurance = 100
    market.insurance_claim.revenue_withdraw_since_last_settle = -50
    venue.overwrite(market, "perp_markets")

    def caps(revenue: int, insurance: int) -> ixs.UpdatePerpMarketMaxImbalances:
        return ixs.UpdatePerpMarketMaxImbalances(
            market_index=0, unrealized_max_imbalance=0, max_revenue_withdraw_per_period=revenue,
            quote_max_insurance=insurance,
        )  # fmt: skip

    assert venue.refused(caps(50, 99)) == "DefaultError"
    refusal = venue.do(caps(49, 100)).refusal
    assert refusal is not None and refusal.error == "InvalidAmmDetected"
    assert "max_revenue_withdraw_per_period ≥ 50" in refusal.message
    venue.ok(caps(50, 100))


def test_a_delisted_market_admits_no_update(venue: InsuranceVenue) -> None:
    """The gate comes before the validation: a value that would be refused is not looked at."""
    venue.ok(ixs.UpdateSpotMarketStatus(market_index=1, status="Delisted"))
    market = venue.machine.store.perp_markets.objects[0].copy()
    market.status = 8
    venue.overwrite(market, "perp_markets")
    refused = [ix for ix, _ in REFUSED if "fee_structure" not in ix.__struct_fields__]
    for instruction in [*refused, *(row[0] for row in ACCEPTED if row[1] != "state")]:
        assert venue.refused(instruction) == "MarketDelisted", instruction.ix


def test_the_admin_hands_over(venue: InsuranceVenue) -> None:
    venue.ok(ixs.UpdateAdmin(admin="@next"))
    assert venue.refused(ixs.UpdateAdmin(admin="@admin")) == "Unauthorized"
    venue.ok(ixs.UpdateExchangeStatus(exchange_status=1), "@next")


def test_a_minimum_borrow_rate_stays_where_none_is_given(venue: InsuranceVenue) -> None:
    def rate(optimal: int, minimum: int | None) -> ixs.UpdateSpotMarketBorrowRate:
        return ixs.UpdateSpotMarketBorrowRate(
            market_index=1, optimal_utilization=500_000, optimal_borrow_rate=optimal, max_borrow_rate=50_000,
            min_borrow_rate=minimum,
        )  # fmt: skip

    venue.ok(rate(10_000, 2))
    assert venue.refused(rate(9_999, None)) == "InvalidSpotMarketInitialization"
    venue.ok(rate(9_999, 1))
    assert venue.machine.store.spot_markets.objects[1].min_borrow_rate == 1


def test_too_many_fee_tiers_are_no_schedule(venue: InsuranceVenue) -> None:
    schedule = fees()
    many = FeeStructureParams(
        fee_tiers=schedule.fee_tiers * 11, filler_reward_structure=schedule.filler_reward_structure,
        referrer_reward_epoch_upper_bound=0, flat_filler_fee=0,
    )  # fmt: skip
    assert venue.refused(ixs.UpdatePerpFeeStructure(fee_structure=many)) == "InvalidInstruction"


def test_the_documents_names_are_accepted() -> None:
    caps = decode_object(
        {
            "ix": "update_perp_market_max_imbalances", "market_index": 0, "unrealized_pnl_max_imbalance": "5",
            "max_revenue_withdraw_per_period": "1", "quote_max_insurance": "2",
        }
    )  # fmt: skip
    assert isinstance(caps, ixs.UpdatePerpMarketMaxImbalances) and caps.unrealized_max_imbalance == 5
    fee = decode_object(
        {
            "ix": "update_spot_market_liquidation_fee", "market_index": 0, "liquidator_fee": 1,
            "liquidation_if_factor": 2,
        }
    )  # fmt: skip
    assert isinstance(fee, ixs.UpdateSpotMarketLiquidationFee) and fee.if_liquidation_fee == 2


@pytest.mark.parametrize("instruction", [row[0] for row in ACCEPTED], ids=name_of)
def test_updates_survive_the_wire(instruction: Instruction) -> None:
    assert decode(encode(instruction)) == instruction
