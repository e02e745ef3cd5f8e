"""What Velocity's AMM does otherwise: classes of oracle prices, the safe price, spreads, offset, TWAPs, validation."""

import pytest
from support.amm import NOW, SLOT, balanced_market, guard_rails, oracle_price

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.amm_budget import apply_cost_to_market, calculate_fee_pool
from seawall.rules.common.amm_curve import NO_PRICE, ask_price, bid_price
from seawall.rules.common.amm_k import can_lower_k
from seawall.rules.common.amm_refresh import update_amm
from seawall.rules.common.amm_repeg import adjust_amm
from seawall.rules.common.amm_spread import (
    NO_SLOT,
    average_mark_premium,
    calculate_reference_price_offset,
    calculate_spread,
    smooth_reference_price_offset,
    update_spread_reserves,
    update_spreads,
)
from seawall.rules.common.amm_twaps import (
    catch_up_with_oracle_twap,
    update_mark_twap,
    update_mark_twap_from_estimates,
    update_volume_24h,
)
from seawall.rules.common.amm_validation import validate_perp_market
from seawall.rules.common.oracles import (
    ACTION_FILL_ORDER_AMM,
    ACTION_FILL_ORDER_AMM_LOW_RISK,
    ACTION_MARGIN_CALC,
    ACTION_SETTLE_PNL,
    is_oracle_valid_for_action,
    perp_oracle_validity,
    spot_oracle_validity,
)
from seawall.rules.common.safe_price import safe_oracle_price
from seawall.rules.velocity.amm_stats import calculate_amm_equity, update_amm_summary_stats
from seawall.rules.velocity.attestation import is_sample_attested
from seawall.rules.velocity.mark_twap import crank_mark_twap, estimate_from_order_book, fair_price
from seawall.state.enums import (
    LONG,
    ORACLE_STALE_FOR_AMM,
    ORACLE_STALE_FOR_AMM_IMMEDIATE,
    ORACLE_STALE_FOR_MARGIN,
    ORACLE_TOO_UNCERTAIN,
    ORACLE_TOO_VOLATILE,
    ORACLE_VALID,
    SHORT,
)
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import PoolBalance, SpotMarket

INDEX = 10**10


def market(net: int = 0, **fields: int) -> PerpMarket:
    """A Velocity market around 100 quote, immediate fills at prices of this slot only."""
    return balanced_market(net, **{"rulebook": 1, "oracle_slot_delay_override": -1, **fields})


# --- classes of oracle prices ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delay", "immediate", "low_risk", "found"),
    [
        (0, -1, 0, ORACLE_VALID),
        (1, -1, 0, ORACLE_STALE_FOR_AMM_IMMEDIATE),
        (0, 0, 0, ORACLE_STALE_FOR_AMM_IMMEDIATE),  # an override of 0 admits no price
        (3, 3, 0, ORACLE_VALID),
        (4, 3, 0, ORACLE_STALE_FOR_AMM_IMMEDIATE),
        (10, 20, 0, ORACLE_VALID),
        (11, 20, 0, ORACLE_STALE_FOR_AMM),  # the guard rail
        (11, 20, 15, ORACLE_VALID),  # the market's own limit instead
        (3, 20, 2, ORACLE_STALE_FOR_AMM),
        (1, 20, -1, ORACLE_STALE_FOR_AMM),
        (121, 20, 127, ORACLE_STALE_FOR_MARGIN),
    ],
)
def test_how_old_a_price_may_be(delay: int, immediate: int, low_risk: int, found: int) -> None:
    given = market(oracle_slot_delay_override=immediate, oracle_low_risk_slot_delay_override=low_risk)
    assert perp_oracle_validity(given, oracle_price(100_000_000, delay=delay), guard_rails().validity) == found


def test_a_confidence_of_zero_is_none_at_all() -> None:
    """Drift counts it as one unit, which is too much of a tiny price."""
    rails = guard_rails().validity
    given = market(contract_tier=0, last_oracle_price_twap=10)
    assert perp_oracle_validity(given, oracle_price(10), rails) == ORACLE_VALID
    given.rulebook = 0
    assert perp_oracle_validity(given, oracle_price(10), rails) == ORACLE_TOO_UNCERTAIN


def test_a_spot_price_is_never_fresh_enough_for_immediate_fills() -> None:
    spot = SpotMarket(rulebook=1)
    spot.historical_oracle_data.last_oracle_price_twap = 100
    rails = guard_rails().validity
    assert spot_oracle_validity(spot, oracle_price(100), rails) == ORACLE_STALE_FOR_AMM_IMMEDIATE
    assert spot_oracle_validity(spot, oracle_price(100, delay=11), rails) == ORACLE_STALE_FOR_AMM
    assert spot_oracle_validity(spot, oracle_price(600), rails) == ORACLE_TOO_VOLATILE
    spot.rulebook = 0
    assert spot_oracle_validity(spot, oracle_price(1_000_000), rails) == ORACLE_TOO_VOLATILE


@pytest.mark.parametrize(
    ("found", "immediate", "low_risk"),
    [
        (ORACLE_VALID, True, True),
        (ORACLE_STALE_FOR_AMM_IMMEDIATE, False, True),
        (ORACLE_STALE_FOR_AMM, False, False),
        (ORACLE_STALE_FOR_MARGIN, False, False),
    ],
)
def test_what_the_amm_fills_at(found: int, immediate: bool, low_risk: bool) -> None:
    assert is_oracle_valid_for_action(found, ACTION_FILL_ORDER_AMM) == immediate
    assert is_oracle_valid_for_action(found, ACTION_FILL_ORDER_AMM_LOW_RISK) == low_risk
    assert is_oracle_valid_for_action(found, ACTION_MARGIN_CALC) == (found != ORACLE_STALE_FOR_MARGIN)
    assert is_oracle_valid_for_action(found, ACTION_SETTLE_PNL)


# --- the safe price --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "age", "delay", "safe"),
    [
        (0, 0, 5, (100_000_000, 7, 5)),  # none
        (100_500_000, 2, 5, (100_500_000, 500_007, 2)),
        (100_500_000, 5, 5, (100_500_000, 500_007, 5)),  # as old
        (100_500_000, 6, 5, (100_000_000, 7, 5)),
        (101_000_000, 2, 5, (101_000_000, 1_000_007, 2)),  # 1 % away
        (101_000_100, 2, 5, (100_000_000, 7, 5)),
    ],
)
def test_a_market_makers_price_that_is_fresh_and_close_replaces_the_oracles(
    price: int, age: int, delay: int, safe: tuple[int, int, int]
) -> None:
    given = market(mm_oracle_price=price, mm_oracle_slot=SLOT - age)
    oracle = oracle_price(100_000_000, confidence=7, delay=delay)
    assert safe_oracle_price(given, oracle, guard_rails().validity, SLOT) == safe
    given.rulebook = 0
    assert safe_oracle_price(given, oracle, guard_rails().validity, SLOT) == (100_000_000, 7, delay)


def test_a_refresh_with_a_market_makers_price_keeps_the_oracles_in_its_memory() -> None:
    given = market(curve_update_intensity=100, mm_oracle_price=100_900_000, mm_oracle_slot=SLOT)
    update_amm(given, oracle_price(100_000_000, delay=1), guard_rails(), NOW, SLOT)
    amm = given.amm
    assert amm.peg_multiplier == 100_900_000
    assert amm.historical_oracle_data.last_oracle_price == 100_000_000
    assert amm.last_oracle_reserve_price_spread_pct == 0
    assert amm.last_oracle_conf_pct == 900_000 * 10**6 // 100_900_000


# --- the refresh -----------------------------------------------------------------------------------------------


def test_a_refresh_attests_its_sample_in_its_slot() -> None:
    given = market()
    oracle = oracle_price(100_000_000, confidence=5, delay=4)
    assert not is_sample_attested(given.amm, oracle, SLOT)
    update_amm(given, oracle, guard_rails(), NOW, SLOT)
    assert is_sample_attested(given.amm, oracle, SLOT)
    assert not is_sample_attested(given.amm, oracle, SLOT + 1)
    assert not is_sample_attested(given.amm, oracle_price(100_000_001, confidence=5, delay=4), SLOT)
    assert not is_sample_attested(given.amm, oracle_price(100_000_000, confidence=6, delay=4), SLOT)
    assert not is_sample_attested(given.amm, oracle_price(100_000_000, confidence=5, delay=3), SLOT)
    update_amm(given, oracle_price(100_000_000, confidence=5, delay=11), guard_rails(), NOW, SLOT)
    assert not is_sample_attested(given.amm, oracle, SLOT)


def test_drifts_refresh_attests_nothing() -> None:
    given = balanced_market()
    update_amm(given, oracle_price(100_000_000, confidence=5), guard_rails(), NOW, SLOT)
    assert (given.amm.attested_oracle_price, given.amm.attested_oracle_slot) == (0, 0)


@pytest.mark.parametrize(("intensity", "lowered"), [(99, False), (100, True)])
def test_k_pays_for_a_peg_only_at_full_intensity(intensity: int, lowered: bool) -> None:
    given = market(10**13, curve_update_intensity=intensity, total_fee_minus_distributions=1_000_000)
    depth = given.amm.sqrt_k
    update_amm(given, oracle_price(106_000_000), guard_rails(), NOW, SLOT)
    assert (given.amm.sqrt_k < depth) == lowered


def test_k_never_pays_for_a_peg_where_it_is_switched_off() -> None:
    for disabled in (False, True):
        given = market(10**13, curve_update_intensity=100, disable_formulaic_k_update=disabled)
        depth = given.amm.sqrt_k
        adjust_amm(given, 120_000_000, 1_000_000, True)
        assert (given.amm.sqrt_k < depth) is not disabled


# --- what it may spend -----------------------------------------------------------------------------------------


def test_the_amm_may_spend_all_its_equity_and_no_more() -> None:
    given = market(total_fee_minus_distributions=100, total_exchange_fee=10**9, total_liquidation_fee=10**9)
    assert calculate_fee_pool(given) == 100
    assert not apply_cost_to_market(given, 101, True)
    assert given.amm.total_fee_minus_distributions == 100
    assert apply_cost_to_market(given, 100, True)
    assert (given.amm.total_fee_minus_distributions, given.amm.net_revenue_since_last_funding) == (0, -100)
    assert apply_cost_to_market(given, 1, False)
    assert calculate_fee_pool(given) == 0
    assert apply_cost_to_market(given, -5, True)
    assert given.amm.total_fee_minus_distributions == 4


@pytest.mark.parametrize(("smallest", "may"), [(1, True), (10**15, False), (5 * 10**14, False)])
def test_k_falls_only_while_the_smallest_order_fits(smallest: int, may: bool) -> None:
    assert can_lower_k(market(min_order_size=smallest)) == may


# --- spreads and offset ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("percentage", "spread"), [(0, 505), (-10, 455), (10, 556), (-100, 1), (100, 1_010)])
def test_spreads_adjusted_by_a_percentage(percentage: int, spread: int) -> None:
    given = market(base_spread=1_010, amm_spread_adjustment=percentage)
    update_spreads(given, 100_000_000, NO_SLOT)
    assert (given.amm.long_spread, given.amm.short_spread) == (spread, spread)


@pytest.mark.parametrize(("percentage", "spread"), [(0, 505), (-50, 505), (10, 556)])
def test_spreads_adjusted_by_inventory_stay_above_their_base(percentage: int, spread: int) -> None:
    given = market(
        base_spread=1_010, curve_update_intensity=100, amm_inventory_spread_adjustment=percentage,
        total_fee_minus_distributions=10**15,
    )  # fmt: skip
    assert calculate_spread(given, 100_000_000) == (spread, spread)


OFFSET = {
    "curve_update_intensity": 150, "last_24h_avg_funding_rate": 10**9, "last_mark_price_twap": 101_000_000,
    "last_mark_price_twap_5min": 101_000_000,
}  # fmt: skip


@pytest.mark.parametrize(
    ("net", "changes", "offset"),
    [
        (10**12, {}, 5_000),  # 100·(150 − 100); the product is far beyond it
        (10**12, {"max_spread": 6_000}, 3_000),  # half of the largest spread
        (10**12, {"curve_update_intensity": 200}, 25_000),
        (10**12, {"curve_update_intensity": 200, "max_spread": 6_000}, 10_000),
        (10**12, {"curve_update_intensity": 100}, 0),
        (10**12, {"last_24h_avg_funding_rate": 0}, 0),
        (10**12, {"reference_price_offset_deadband_pct": 1}, 0),
        (-(10**12), {}, 0),  # a premium, and users net short
        (0, {}, 0),
        (-(10**12), {"last_mark_price_twap": 99_000_000, "last_mark_price_twap_5min": 99_000_000,
                     "last_24h_avg_funding_rate": -(10**9)}, -5_000),
    ],
)  # fmt: skip
def test_reference_price_offset(net: int, changes: dict[str, int], offset: int) -> None:
    assert calculate_reference_price_offset(market(net, **{**OFFSET, **changes}), 100_000_000) == offset


@pytest.mark.parametrize(
    ("current", "target", "slots", "after", "spreads"),
    [
        (50, 900, 100, 900, (500, 500)),  # the same side: at once
        (0, 900, 100, 90, (590, 590)),  # a tenth of the way
        (0, 900, NO_SLOT, 10, (510, 510)),  # the least step
        (0, -900, 100, -90, (590, 590)),
        (50, -900, 100, 0, (550, 500)),  # never past nothing at once
        (-500, 900, 100, -360, (860, 640)),
        (-500, 900, 1, -400, (900, 600)),  # 1000 a slot at most, a tenth of it
    ],
)
def test_the_offset_changes_its_sign_in_steps(
    current: int, target: int, slots: int, after: int, spreads: tuple[int, int]
) -> None:
    amm = market(
        curve_update_intensity=150, reference_price_offset=current, long_spread=500, short_spread=500,
        last_update_slot=SLOT,
    ).amm  # fmt: skip
    smooth_reference_price_offset(amm, target, slots if slots == NO_SLOT else SLOT + slots)
    assert amm.reference_price_offset == after
    assert (amm.long_spread, amm.short_spread) == spreads


def test_the_offset_moves_both_quotes() -> None:
    given = market(long_spread=1_000, short_spread=500, reference_price_offset=300)
    assert (bid_price(given, 100_000_000), ask_price(given, 100_000_000)) == (99_980_000, 100_130_000)
    update_spread_reserves(given)
    given.amm.reference_price_offset = 700
    update_spread_reserves(given)
    # both sides above the reserve price: not clamped to it
    assert given.amm.bid_quote_asset_reserve > given.amm.quote_asset_reserve


# --- TWAPs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "fresh"), [(10_800, False), (10_801, True)])
def test_stale_mark_twaps_start_afresh_from_the_oracles(age: int, fresh: bool) -> None:
    given = market(
        last_mark_price_twap_ts=NOW - age, last_oracle_price_twap=105_000_000, last_oracle_price_twap_5min=106_000_000
    )
    mid = update_mark_twap_from_estimates(given, NOW, 100_000_000, LONG, 10)
    assert (mid == 105_000_000) == fresh
    assert (given.amm.last_mark_price_twap_5min == 106_000_000) == fresh
    assert given.amm.last_mark_price_twap_ts == NOW


def test_drifts_mark_twaps_never_start_afresh() -> None:
    given = market(last_mark_price_twap_ts=0, last_oracle_price_twap=105_000_000, rulebook=0)
    assert update_mark_twap_from_estimates(given, NOW, 100_000_000, LONG, 10) == 100_000_000


@pytest.mark.parametrize(("oracle_twap", "after"), [(100_000_004, 100_000_002), (99_999_996, 99_999_998)])
def test_a_lagging_twap_is_pulled_toward_the_oracles(oracle_twap: int, after: int) -> None:
    """The plain average is one unit off either way: the bias is the side of the oracle, not of the larger product."""
    given = market(last_mark_price_twap_ts=NOW - 60 - 900, last_oracle_price_twap=oracle_twap)
    assert catch_up_with_oracle_twap(given, 100_000_000) == after


def test_deviations_count_from_both_twaps() -> None:
    given = market(last_mark_price_twap=100_000_000, last_mark_price_twap_5min=103_000_000)
    update_mark_twap(given, NOW, 101_000_000, 101_000_000, NO_PRICE, 10)
    assert given.amm.mark_std == 2_000_000


def test_volumes_without_counts() -> None:
    given = market()
    update_volume_24h(given, 5_000_000, SHORT, NOW)
    amm = given.amm
    assert (amm.short_intensity_volume, amm.short_intensity_count, amm.volume_24h) == (5_000_000, 0, 5_000_000)


def test_a_crank_weighs_a_minute_however_long_it_waited() -> None:
    """So does a trade weigh the whole time; a keeper's prices, which nobody has to honour, do not."""
    found = []
    for age in (60, 600):
        given = market(last_mark_price_twap_ts=NOW - age, last_oracle_price_twap_ts=NOW - age)
        crank_mark_twap(given, 101_000_000, 101_000_000, 101_000_000, NOW)
        found.append(
            (given.amm.last_bid_price_twap, given.amm.last_ask_price_twap, given.amm.last_mark_price_twap_5min)
        )
    assert found[0] == found[1]
    assert found[0][0] > 100_000_000


@pytest.mark.parametrize(
    ("best_bid", "best_ask", "found"),
    [
        (NO_PRICE, NO_PRICE, (99_900_000, 100_100_000)),  # the AMM's quotes
        (84_999_999, 115_000_001, (99_900_000, 100_100_000)),
        (99_950_000, 100_050_000, (99_950_000, 100_050_000)),
        (100_300_000, 100_200_000, (100_100_000, 100_100_000)),  # crossed, the bid not below the fair price
        (99_850_000, 99_800_000, (99_900_000, 99_900_000)),  # crossed below it
    ],
)
def test_prices_of_a_crank(best_bid: int, best_ask: int, found: tuple[int, int]) -> None:
    given = market(long_spread=1_000, short_spread=1_000)
    assert estimate_from_order_book(given, best_bid, best_ask, 100_000_000) == found


def test_outliers_are_no_prices() -> None:
    """Where the AMM quotes far from the oracle, an order between the two counts, unless it is far away too."""
    low = market(peg_multiplier=50_000_000)
    assert estimate_from_order_book(low, 85_000_000, NO_PRICE, 100_000_000) == (85_000_000, 85_000_000)
    assert estimate_from_order_book(low, 84_999_999, NO_PRICE, 100_000_000) == (50_000_000, 50_000_000)
    high = market(peg_multiplier=200_000_000)
    assert estimate_from_order_book(high, NO_PRICE, 115_000_000, 100_000_000) == (115_000_000, 115_000_000)
    assert estimate_from_order_book(high, NO_PRICE, 115_000_001, 100_000_000) == (200_000_000, 200_000_000)


@pytest.mark.parametrize(
    ("premium", "fair"), [(500_000, 100_500_000), (3_000_000, 101_000_000), (-3_000_000, 99 * 10**6)]
)
def test_the_fair_price_follows_the_mark_by_a_percent(premium: int, fair: int) -> None:
    assert fair_price(market(last_mark_price_twap_5min=100_000_000 + premium).amm, 100_000_000) == fair


@pytest.mark.parametrize(("bid_twap", "ask_twap", "refused"), [(0, 0, False), (-1, 0, True), (0, 1, True)])
def test_a_crank_that_moves_nothing_is_refused_within_a_minute(bid_twap: int, ask_twap: int, refused: bool) -> None:
    """In the second of the last update nothing moves; that is fine where the TWAP is the estimate already."""
    given = market(
        last_mark_price_twap_ts=NOW, last_oracle_price_twap_ts=NOW, last_bid_price_twap=100_000_000 + bid_twap,
        last_ask_price_twap=100_000_000 + ask_twap,
    )  # fmt: skip
    if not refused:
        crank_mark_twap(given, NO_PRICE, NO_PRICE, 100_000_000, NOW)
        return
    with pytest.raises(SettlementError) as error:
        crank_mark_twap(given, NO_PRICE, NO_PRICE, 100_000_000, NOW)
    assert error.value.code == ErrorCode.CantUpdatePerpBidAskTwap


# --- validation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sound"),
    [
        ({"base_spread": 1_001, "long_spread": 500, "short_spread": 499}, True),  # two short of it
        ({"base_spread": 1_001, "long_spread": 499, "short_spread": 499}, False),
        ({"base_spread": 1_001, "long_spread": 1, "short_spread": 1, "amm_spread_adjustment": -100}, True),
        ({"base_spread": 1_000, "long_spread": 500, "short_spread": 500, "reference_price_offset": 700}, True),
        ({"base_spread": 1_000, "long_spread": 500, "short_spread": 500, "reference_price_offset": -700}, True),
        ({"base_spread": 1_000, "long_spread": 600_000, "short_spread": 500_000}, False),
    ],
)
def test_a_sound_market(changes: dict[str, int], sound: bool) -> None:
    given = market(**changes)
    update_spread_reserves(given)
    if sound:
        validate_perp_market(given)
        return
    with pytest.raises(SettlementError) as error:
        validate_perp_market(given)
    assert error.value.code == ErrorCode.InvalidAmmDetected


def test_an_ask_below_the_reserves_is_unsound_without_an_offset_that_pulls_it_there() -> None:
    for offset, sound in ((-700, True), (0, False), (700, False)):
        given = market(base_spread=1_000, long_spread=500, short_spread=500, reference_price_offset=offset)
        update_spread_reserves(given)
        given.amm.ask_base_asset_reserve = given.amm.base_asset_reserve + 1
        if sound:
            validate_perp_market(given)
        else:
            with pytest.raises(SettlementError):
                validate_perp_market(given)


# --- the balance sheet -----------------------------------------------------------------------------------------


def test_the_amms_equity_is_what_no_one_else_claims() -> None:
    given = market(10**9, quote_asset_amount=-90_000_000, net_unsettled_funding_pnl=1_000_000)
    quote = SpotMarket(rulebook=1, decimals=6, cumulative_deposit_interest=INDEX, deposit_balance=10**15)
    given.pnl_pool = PoolBalance(scaled_balance=50_000_000_000)
    given.amm.fee_pool = PoolBalance(scaled_balance=2_000_000_000)
    ledger = given.fee_ledger
    ledger.pending_protocol_fee, ledger.pending_if_fee, ledger.pending_amm_provision = 3_000_000, 4_000_000, 5_000_000
    given.protocol_fee_pool = PoolBalance(scaled_balance=10**12)
    given.pending_revenue_share = 500_000
    # users: 100 of base − 90 + 1 = 11
    assert calculate_amm_equity(given, quote, 100_000_000) == 52_000_000 - 11_000_000 - 7_500_000
    assert update_amm_summary_stats(given, quote, 100_000_000) == 33_500_000 - 10**9
    amm = given.amm
    assert amm.total_fee_minus_distributions == 33_500_000
    assert amm.total_fee == amm.total_mm_fee == 33_500_000 - 10**9
    with pytest.raises(SettlementError) as error:
        calculate_amm_equity(given, quote, 0)
    assert error.value.code == ErrorCode.InvalidOracle


def test_the_premium_of_a_day_is_without_the_offset_that_funding_holds() -> None:
    """A day's funding of the offset alone, ⌊TWAP/3333⌋, is no premium."""
    given = market(last_24h_avg_funding_rate=100_000, last_oracle_price_twap=500_000, last_oracle_price_twap_5min=0)
    given.amm.last_mark_price_twap, given.amm.last_mark_price_twap_5min = 503_000, 2_750
    # minute 2750, hour 3000, day 100000/1000·24 − 150 = 2250
    assert average_mark_premium(given, 1_000_000, 10_000) == (2_750 + 3_000 + 2_250) // 3
