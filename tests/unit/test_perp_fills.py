"""Perp orders through the machine: what is reserved, who trades with whom, who pays, and every reason to refuse."""

from typing import Any

import pytest

from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdatePerpMarketExpiry,
    UpdatePerpMarketPausedOperations,
    UpdatePerpMarketStatus,
)
from seawall.instructions.deposits import Withdraw
from seawall.instructions.perp_fills import (
    AmmFill,
    FillPerpOrder,
    PlaceAndTakePerpOrder,
    ReleasePerpOrder,
    ReleasePerpOrders,
    RestingMakerOrder,
    RestingPerpOrder,
)
from seawall.rules.common.perp_fills import (
    calculate_amm_available_liquidity,
    calculate_amm_jit_liquidity,
    calculate_base_asset_amount_for_amm_to_fulfill,
    calculate_max_base_asset_amount_to_trade,
    get_fallback_price,
)
from seawall.rules.common.perp_orders import validate_fill_price
from seawall.rules.drift.perp_fills import validate_fill_price_within_price_bands
from seawall.state.enums import (
    EXCHANGE_ALL_PAUSED,
    EXCHANGE_AMM_PAUSED,
    EXCHANGE_FILL_PAUSED,
    LONG,
    PERP_AMM_FILL,
    PERP_FILL,
    SHORT,
    STATUS_ACTIVE,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
    USER_REDUCE_ONLY,
)
from seawall.state.exchange import OracleGuardRails
from seawall.state.orders import PerpOrder
from tests.support.amm import balanced_market
from tests.support.trading import PERP, B, P, TradingVenue, fills_of

ALICE, BOB, MAKER, FILLER, REFERRER = "@alice", "@bob", "@maker", "@filler", "@referrer"


@pytest.fixture
def venue() -> TradingVenue:
    made = TradingVenue()
    made.trader(ALICE, BOB, MAKER, FILLER)
    return made


# --- reservations ----------------------------------------------------------------------------------------------


def test_a_resting_order_is_reserved_in_whole_steps(venue: TradingVenue) -> None:
    assert venue.reserve(ALICE, "Long", 2 * B + 999).ok
    assert venue.reserve(ALICE, "Short", 3 * B).ok
    position = venue.perp_position(ALICE)
    assert (position.open_orders, position.open_bids, position.open_asks) == (2, 2 * B, -3 * B)


def test_releasing_gives_back_what_was_reserved(venue: TradingVenue) -> None:
    venue.reserve(ALICE, "Long", 2 * B)
    venue.reserve(ALICE, "Short", 3 * B)
    venue.reserve(ALICE, "Short", 1 * B)
    venue.ok(ReleasePerpOrder(user=ALICE, market_index=PERP, direction="Short", base_asset_amount=3 * B), ALICE)
    rest = [
        RestingPerpOrder(market_index=PERP, direction="Long", base_asset_amount=2 * B),
        RestingPerpOrder(market_index=PERP, direction="Short", base_asset_amount=B),
    ]
    venue.ok(ReleasePerpOrders(user=ALICE, orders=rest), ALICE)
    position = venue.perp_position(ALICE)
    assert (position.open_orders, position.open_bids, position.open_asks) == (0, 0, 0)


@pytest.mark.parametrize(("direction", "base"), [("Long", 2 * B + 1), ("Short", 1)])
def test_no_more_is_released_than_rests(venue: TradingVenue, direction: Any, base: int) -> None:
    venue.reserve(ALICE, "Long", 2 * B)
    order = ReleasePerpOrder(user=ALICE, market_index=PERP, direction=direction, base_asset_amount=base)
    assert venue.refused(order) == "OrderDoesNotExist"
    order = ReleasePerpOrder(user=BOB, market_index=PERP, direction=direction, base_asset_amount=base)
    assert venue.refused(order) == "OrderDoesNotExist"


def test_an_expired_order_reserves_nothing(venue: TradingVenue) -> None:
    assert venue.reserve(ALICE, "Long", B, max_ts=venue.now - 1).ok
    assert venue.perp_position(ALICE).open_orders == 0
    assert venue.reserve(ALICE, "Long", B, max_ts=venue.now).ok
    assert venue.perp_position(ALICE).open_orders == 1


def test_the_book_drops_expired_orders_when_one_is_placed(venue: TradingVenue) -> None:
    venue.reserve(ALICE, "Long", 2 * B)
    old = RestingPerpOrder(market_index=PERP, direction="Long", base_asset_amount=2 * B)
    assert venue.reserve(ALICE, "Short", B, expired=[old]).ok
    position = venue.perp_position(ALICE)
    assert (position.open_orders, position.open_bids, position.open_asks) == (1, 0, -B)


def _reduce_only_user(venue: TradingVenue) -> None:
    venue.change_user(ALICE, status=USER_REDUCE_ONLY)


def _in_liquidation(venue: TradingVenue) -> None:
    venue.take(ALICE, "Long", 9_900 * B)
    venue.post("SOL", 92 * P)
    venue.change_user(ALICE, status=USER_BEING_LIQUIDATED)


def _no_slot(venue: TradingVenue) -> None:
    user = venue.user(ALICE)
    for i, position in enumerate(user.perp_positions):
        position.quote_asset_amount, position.market_index = 1, i + 1
    venue.change_user(ALICE, perp_positions=user.perp_positions)


@pytest.mark.parametrize(
    ("prepare", "base", "error"),
    [
        (lambda v: v.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_ALL_PAUSED)), B, "ExchangePaused"),
        (_in_liquidation, B, "UserIsBeingLiquidated"),
        (_reduce_only_user, B, "UserReduceOnly"),
        (lambda v: v.change_perp(status=0), B, "MarketBeingInitialized"),
        (lambda v: v.change_perp(status=7), B, "MarketPlaceOrderPaused"),
        (lambda v: v.change_perp(status=8), B, "MarketPlaceOrderPaused"),
        (lambda v: v.change_perp(expiry_ts=v.now), B, "MarketPlaceOrderPaused"),
        (_no_slot, B, "MaxNumberOfPositions"),
        (lambda v: None, B // 1_000 - 1, "OrderAmountTooSmall"),
        (lambda v: None, 10_000 * B, "InsufficientCollateral"),
        (
            lambda v: v.ok(UpdatePerpMarketStatus(market_index=PERP, status="ReduceOnly")),
            B,
            "InvalidOrderNotRiskReducing",
        ),
        (lambda v: v.change_perp(max_open_interest=B - 1), B, "MaxOpenInterest"),
    ],
)
def test_what_refuses_an_order(venue: TradingVenue, prepare: Any, base: int, error: str) -> None:
    prepare(venue)
    root = venue.machine.store.root()
    receipt = venue.reserve(ALICE, "Long", base)
    assert receipt.refusal is not None and receipt.refusal.error == error
    assert venue.machine.store.root() == root


def test_an_account_that_can_leave_liquidation_does_so_when_it_places(venue: TradingVenue) -> None:
    venue.change_user(ALICE, status=USER_BEING_LIQUIDATED | USER_BANKRUPT)
    assert venue.reserve(ALICE, "Long", B).ok
    assert venue.user(ALICE).status == 0


def test_a_refusal_for_margin_says_how_much_is_missing(venue: TradingVenue) -> None:
    receipt = venue.reserve(ALICE, "Long", 10_000 * B)
    assert receipt.refusal is not None
    # 10 % of 1,000,000 and the reserve of one order, against 100,000
    assert "10000 short" in receipt.refusal.message
    assert receipt.limits[0].asked - receipt.limits[0].value == 10_000


def test_a_reduce_only_market_admits_reducing_orders(venue: TradingVenue) -> None:
    venue.take(ALICE, "Long", B)
    venue.ok(UpdatePerpMarketStatus(market_index=PERP, status="ReduceOnly"))
    assert venue.reserve(ALICE, "Short", 5 * B, reduce_only=True).ok
    assert not venue.reserve(ALICE, "Long", B, reduce_only=True).ok


def test_strangers_do_not_place_orders(venue: TradingVenue) -> None:
    order = ReleasePerpOrders(user=ALICE)
    assert venue.refused(order, BOB) == "Unauthorized"
    place = PlaceAndTakePerpOrder(
        user=ALICE, market_index=PERP, direction="Long", base_asset_amount=B, fills=[venue.match(MAKER, 100 * P, B)]
    )
    assert venue.refused(place, ALICE) == "Unauthorized"
    fill = FillPerpOrder(user=ALICE, market_index=PERP, direction="Long", base_asset_amount=B, order_slot=0)
    assert venue.refused(fill, ALICE) == "Unauthorized"


# --- against the AMM -------------------------------------------------------------------------------------------


def test_a_buyer_pays_spread_and_fee(venue: TradingVenue) -> None:
    receipt = venue.take(ALICE, "Long", 10 * B)
    (fill,) = fills_of(receipt)
    position, market = venue.perp_position(ALICE), venue.perp
    quote, fee = fill["quote_asset_amount_filled"], fill["taker_fee"]
    # the ask side is 0.1 % above 100, and 10 of a million base move it by 1/100,000
    assert 1_001_000_000 < quote < 1_001_020_000
    assert fee == -(-quote * 100 // 100_000)
    assert (position.base_asset_amount, position.quote_asset_amount) == (10 * B, -quote - fee)
    assert (position.quote_entry_amount, position.quote_break_even_amount) == (-quote, -quote - fee)
    assert (position.open_orders, position.open_bids) == (0, 0)
    amm = market.amm
    surplus = fill["quote_asset_amount_surplus"]
    assert amm.total_fee == amm.total_fee_minus_distributions == fee + surplus
    assert (amm.total_exchange_fee, amm.total_mm_fee) == (fee, surplus)
    assert (amm.base_asset_amount_with_amm, amm.base_asset_amount_long) == (10 * B, 10 * B)
    assert (market.next_fill_record_id, market.number_of_users, market.number_of_users_with_base) == (2, 1, 1)
    stats = venue.stats(ALICE)
    assert (stats.taker_volume_30d, stats.fees.total_fee_paid) == (quote, fee)


def test_the_amm_gives_no_more_than_the_limit_allows(venue: TradingVenue) -> None:
    receipt = venue.take(ALICE, "Long", 900 * B, price=100 * P + 110_000, immediate_or_cancel=False)
    (fill,) = fills_of(receipt)
    base, quote = fill["base_asset_amount_filled"], fill["quote_asset_amount_filled"]
    assert 0 < base < 900 * B
    assert (quote - 1) * B // base <= 100 * P + 110_000
    position = venue.perp_position(ALICE)
    # what is left rests
    assert (position.open_orders, position.open_bids) == (1, 900 * B - base)


def test_the_rest_of_an_immediate_order_is_dropped(venue: TradingVenue) -> None:
    venue.take(ALICE, "Long", 900 * B, price=100 * P + 110_000)
    position = venue.perp_position(ALICE)
    assert (position.open_orders, position.open_bids) == (0, 0)


def test_an_order_beyond_the_quote_leaves_the_volumes_alone_and_says_why(venue: TradingVenue) -> None:
    venue.now += 100
    venue.post("SOL", 100 * P)
    before = venue.perp.amm.last_trade_ts
    receipt = venue.take(ALICE, "Long", B, price=99 * P)
    assert not fills_of(receipt)
    assert "quotes" in receipt.limits[0].note
    assert venue.perp.amm.last_trade_ts == before


def test_an_attempt_that_fills_nothing_counts_as_a_trade(venue: TradingVenue) -> None:
    venue.take(BOB, "Long", 100 * B)
    volume = venue.perp.amm.volume_24h
    venue.now += 8_640
    venue.post("SOL", 100 * P)
    receipt = venue.take(ALICE, "Long", B, AmmFill(base_asset_amount=0))
    assert not fills_of(receipt)
    assert venue.perp.amm.last_trade_ts == venue.now
    assert venue.perp.amm.volume_24h == volume * 9 // 10


def test_a_reported_amount_is_filled_exactly_and_never_beyond_the_order(venue: TradingVenue) -> None:
    receipt = venue.take(ALICE, "Short", 5 * B, AmmFill(base_asset_amount=2 * B))
    assert fills_of(receipt)[0]["base_asset_amount_filled"] == 2 * B
    refused = venue.take(ALICE, "Short", 5 * B, AmmFill(base_asset_amount=6 * B))
    assert refused.refusal is not None and refused.refusal.error == "ImpossibleFill"


def test_a_reported_amount_beyond_the_limit_is_refused(venue: TradingVenue) -> None:
    receipt = venue.take(ALICE, "Long", 900 * B, AmmFill(base_asset_amount=900 * B), price=100 * P + 110_000)
    assert receipt.refusal is not None and receipt.refusal.error == "InvalidOrderFillPrice"


@pytest.mark.parametrize(
    ("prepare", "note"),
    [
        (lambda v: v.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_AMM_PAUSED)), "paused"),
        (
            lambda v: v.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=PERP_AMM_FILL)),
            "paused",
        ),
        (lambda v: setattr(v, "now", v.now + 5), "StaleForAMM"),
        (lambda v: v.change_perp(net_revenue_since_last_funding=-(10**12)), "lost too much"),
        (lambda v: v.change_state(min_perp_auction_duration=1), "slots"),
    ],
)
def test_when_the_amm_is_no_counterparty(venue: TradingVenue, prepare: Any, note: str) -> None:
    prepare(venue)
    receipt = venue.take(ALICE, "Long", B)
    assert receipt.ok and not fills_of(receipt)
    assert note in receipt.limits[0].note
    told = venue.take(ALICE, "Long", B, AmmFill(base_asset_amount=B))
    assert told.refusal is not None and told.refusal.error == "ImpossibleFill"


def test_an_old_order_meets_the_amm_after_its_auction() -> None:
    venue = TradingVenue(auction=10)
    venue.trader(ALICE)
    slot = venue.clock.slot
    venue.reserve(ALICE, "Long", B)
    early = venue.fill(ALICE, "Long", B, AmmFill(), order_slot=slot, order_type="Limit")
    assert early.refusal is not None and early.refusal.error == "ImpossibleFill"
    venue.now += 5
    venue.post("SOL", 100 * P)
    assert fills_of(venue.fill(ALICE, "Long", B, AmmFill(), order_slot=slot))


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (lambda v: v.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_FILL_PAUSED)), "ExchangePaused"),
        (
            lambda v: v.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=PERP_FILL)),
            "MarketFillOrderPaused",
        ),
        (lambda v: v.change_perp(base_asset_amount_long=1), "InvalidPositionDelta"),
        (lambda v: v.change_perp(max_open_interest=B), "MaxOpenInterest"),
    ],
)
def test_what_refuses_a_fill(venue: TradingVenue, prepare: Any, error: str) -> None:
    prepare(venue)
    receipt = venue.take(ALICE, "Long", B)
    assert receipt.refusal is not None and receipt.refusal.error == error


def test_nothing_is_filled_while_the_oracle_runs_away_from_its_twap(venue: TradingVenue) -> None:
    venue.post("SOL", 220 * P)
    receipt = venue.take(ALICE, "Long", B)
    assert receipt.ok and not fills_of(receipt)
    assert "5-minute TWAP" in receipt.limits[-1].note


def test_a_post_only_order_is_filled_at_its_limit_and_earns_the_rebate(venue: TradingVenue) -> None:
    limit = 100 * P + 200_000
    venue.reserve(ALICE, "Long", 10 * B)
    receipt = venue.fill(ALICE, "Long", 10 * B, AmmFill(), price=limit, post_only=True, filler=FILLER)
    (fill,) = fills_of(receipt)
    base, quote = fill["base_asset_amount_filled"], fill["quote_asset_amount_filled"]
    assert quote == base * limit // B
    assert fill["taker"] is None and fill["maker_fee"] == -(quote * 20 // 100_000)
    assert venue.perp_position(ALICE).quote_asset_amount == -quote - fill["maker_fee"]
    assert venue.stats(ALICE).maker_volume_30d == quote
    assert venue.stats(ALICE).taker_volume_30d == 0
    assert venue.perp.amm.total_exchange_fee == 0


def test_a_reduce_only_order_stops_at_a_flat_position(venue: TradingVenue) -> None:
    venue.take(ALICE, "Long", 3 * B)
    receipt = venue.take(ALICE, "Short", 10 * B, reduce_only=True, immediate_or_cancel=False)
    assert fills_of(receipt)[0]["base_asset_amount_filled"] == 3 * B
    position = venue.perp_position(ALICE)
    assert (position.base_asset_amount, position.open_orders, position.open_asks) == (0, 0, 0)


def test_a_reduce_only_order_on_the_same_side_is_cancelled(venue: TradingVenue) -> None:
    venue.take(ALICE, "Long", 3 * B)
    receipt = venue.take(ALICE, "Long", B, reduce_only=True, immediate_or_cancel=False)
    assert receipt.events[-1][1]["action_explanation"] == "ReduceOnlyOrderIncreasedPosition"
    assert venue.perp_position(ALICE).open_orders == 0


# --- against makers --------------------------------------------------------------------------------------------


def test_a_match_moves_both_positions_and_not_the_amm(venue: TradingVenue) -> None:
    venue.reserve(MAKER, "Short", 5 * B)
    receipt = venue.take(ALICE, "Long", 4 * B, venue.match(MAKER, 100 * P, 5 * B))
    (fill,) = fills_of(receipt)
    assert (fill["quote_asset_amount_filled"], fill["taker_fee"], fill["maker_fee"]) == (400 * P, 400_000, -80_000)
    taker, maker, amm = venue.perp_position(ALICE), venue.perp_position(MAKER), venue.perp.amm
    assert (taker.base_asset_amount, taker.quote_asset_amount) == (4 * B, -400 * P - 400_000)
    assert (maker.base_asset_amount, maker.quote_asset_amount) == (-4 * B, 400 * P + 80_000)
    assert (maker.open_orders, maker.open_asks) == (1, -B)
    assert (amm.base_asset_amount_with_amm, amm.base_asset_reserve) == (0, 1_000_000 * B)
    # the net fee, not the gross one
    assert (amm.total_exchange_fee, amm.total_fee, amm.total_mm_fee) == (320_000, 320_000, 0)
    assert venue.stats(MAKER).maker_volume_30d == venue.stats(ALICE).taker_volume_30d == 400 * P


def test_a_finished_maker_order_leaves_the_book(venue: TradingVenue) -> None:
    venue.reserve(MAKER, "Short", 4 * B)
    venue.take(ALICE, "Long", 4 * B, venue.match(MAKER, 100 * P, 4 * B))
    position = venue.perp_position(MAKER)
    assert (position.open_orders, position.open_asks) == (0, 0)


def test_the_amm_comes_before_a_worse_maker(venue: TradingVenue) -> None:
    price = 100 * P + 150_000
    venue.reserve(MAKER, "Short", 500 * B)
    fills = [AmmFill(price=price), venue.match(MAKER, price, 500 * B), AmmFill()]
    receipt = venue.take(ALICE, "Long", 900 * B, *fills, price=101 * P)
    first, second, third = fills_of(receipt)
    assert [f["action_explanation"] for f in (first, second, third)] == [
        "OrderFilledWithAMM", "OrderFilledWithMatch", "OrderFilledWithAMM",
    ]  # fmt: skip
    assert first["quote_asset_amount_filled"] * B // first["base_asset_amount_filled"] <= price
    assert sum(f["base_asset_amount_filled"] for f in (first, second, third)) == 900 * B


def test_a_better_maker_comes_before_the_amm(venue: TradingVenue) -> None:
    venue.reserve(MAKER, "Short", B)
    receipt = venue.take(ALICE, "Long", B, AmmFill(price=100 * P), venue.match(MAKER, 100 * P, B), AmmFill())
    assert [f["action_explanation"] for f in fills_of(receipt)] == ["OrderFilledWithMatch"]


@pytest.mark.parametrize(
    ("prepare", "price", "error"),
    [
        (lambda v: v.change_user(MAKER, status=USER_BEING_LIQUIDATED), 100 * P, "UserIsBeingLiquidated"),
        (lambda v: None, 101 * P + 1, "InvalidOrderFillPrice"),
        (
            lambda v: v.ok(ReleasePerpOrder(user=MAKER, market_index=PERP, direction="Short", base_asset_amount=B)),
            100 * P,
            "OrderDoesNotExist",
        ),
    ],
)
def test_matches_that_cannot_have_happened(venue: TradingVenue, prepare: Any, price: int, error: str) -> None:
    venue.reserve(MAKER, "Short", B)
    prepare(venue)
    receipt = venue.take(ALICE, "Long", B, venue.match(MAKER, price, B), price=101 * P)
    assert receipt.refusal is not None and receipt.refusal.error == error


def test_a_match_takes_no_more_than_the_maker_reserved(venue: TradingVenue) -> None:
    venue.reserve(MAKER, "Short", B)
    receipt = venue.take(ALICE, "Long", 2 * B, venue.match(MAKER, 100 * P, 2 * B))
    assert receipt.refusal is not None and receipt.refusal.error == "OrderDoesNotExist"


def test_a_price_far_from_the_oracle_breaches_the_band(venue: TradingVenue) -> None:
    venue.reserve(MAKER, "Short", B)
    assert venue.take(ALICE, "Long", B, venue.match(MAKER, 109 * P, B)).refusal is None
    venue.reserve(MAKER, "Short", B)
    receipt = venue.take(ALICE, "Long", B, venue.match(MAKER, 110 * P, B), price=120 * P)
    assert receipt.refusal is not None and receipt.refusal.error == "PriceBandsBreached"


def test_a_maker_who_lost_its_collateral_stops_the_fill(venue: TradingVenue) -> None:
    venue.reserve(MAKER, "Short", 9_000 * B)
    venue.change_user(MAKER, spot_positions=venue.user("@filler").spot_positions)
    user = venue.user(MAKER)
    user.spot_positions[0].scaled_balance = 10**9
    venue.change_user(MAKER, spot_positions=user.spot_positions)
    receipt = venue.take(ALICE, "Long", 9_000 * B, venue.match(MAKER, 100 * P, 9_000 * B))
    assert receipt.refusal is not None and receipt.refusal.error == "InsufficientCollateral"
    assert "the maker" in receipt.refusal.message


def test_makers_settle_funding_and_are_active_even_if_nothing_fills(venue: TradingVenue) -> None:
    venue.take(MAKER, "Short", B)
    venue.reserve(MAKER, "Short", B)
    amm = venue.perp.amm
    venue.change_perp(cumulative_funding_rate_short=amm.cumulative_funding_rate_short + 10**9)
    venue.now += 2
    receipt = venue.take(ALICE, "Long", B, AmmFill(base_asset_amount=0), makers=[MAKER])
    assert receipt.events[0][0] == "FundingPaymentRecord"
    assert venue.user(MAKER).last_active_slot == venue.clock.slot
    # with nothing on the other side of the order it is no maker
    venue.now += 2
    venue.take(ALICE, "Short", B, AmmFill(base_asset_amount=0), makers=[MAKER])
    assert venue.user(MAKER).last_active_slot != venue.clock.slot


def test_the_amm_takes_its_part_of_a_match_at_the_makers_price() -> None:
    venue = TradingVenue(market={"amm_jit_intensity": 100})
    venue.trader(ALICE, BOB, MAKER)
    venue.take(BOB, "Short", 100 * B)
    venue.reserve(MAKER, "Short", 10 * B)
    receipt = venue.take(ALICE, "Long", 10 * B, venue.match(MAKER, 100 * P, 10 * B), price=101 * P)
    jit, match = fills_of(receipt)
    assert jit["action_explanation"] == "OrderFilledWithAMMJit"
    # a quarter: the AMM is not far out of balance
    assert jit["base_asset_amount_filled"] == 5 * B // 2
    assert jit["quote_asset_amount_filled"] == 250 * P
    assert match["base_asset_amount_filled"] == 75 * B // 10
    assert venue.perp.amm.base_asset_amount_with_amm == -100 * B + 5 * B // 2
    assert venue.perp_position(MAKER).open_asks == -25 * B // 10


# --- fillers and referrers -------------------------------------------------------------------------------------


def test_a_keeper_earns_more_the_longer_the_order_waited(venue: TradingVenue) -> None:
    slot = venue.clock.slot
    venue.reserve(ALICE, "Long", 1_000 * B)
    venue.now += 4
    venue.post("SOL", 100 * P)
    receipt = venue.fill(ALICE, "Long", 1_000 * B, AmmFill(), order_slot=slot, filler=FILLER)
    (fill,) = fills_of(receipt)
    # ten slots: ⌊(10e8)^(1/4)⌋ = 177
    assert fill["filler_reward"] == 17_700
    assert venue.perp_position(FILLER).quote_asset_amount == 17_700
    assert venue.stats(FILLER).filler_volume_30d == fill["quote_asset_amount_filled"]
    assert venue.perp.amm.total_fee == fill["taker_fee"] - 17_700 + fill["quote_asset_amount_surplus"]
    # the gross fee, whoever else was paid
    assert venue.perp.amm.total_exchange_fee == fill["taker_fee"]


def test_a_maker_who_fills_is_paid_for_the_part_of_the_amm(venue: TradingVenue) -> None:
    venue.reserve(MAKER, "Short", B)
    venue.reserve(ALICE, "Long", 2 * B)
    receipt = venue.fill(ALICE, "Long", 2 * B, venue.match(MAKER, 100 * P, B), AmmFill(), filler=MAKER)
    match, amm = fills_of(receipt)
    assert match["filler_reward"] == 0 and amm["filler_reward"] == 10_000
    assert venue.perp_position(MAKER).quote_asset_amount == 100 * P + 20_000 + 10_000


def test_a_referred_taker_saves_and_its_referrer_earns() -> None:
    venue = TradingVenue()
    venue.trader(REFERRER, MAKER)
    venue.trader(ALICE, referrer=REFERRER)
    venue.reserve(MAKER, "Short", 10 * B)
    receipt = venue.take(ALICE, "Long", 10 * B, venue.match(MAKER, 100 * P, 10 * B))
    (fill,) = fills_of(receipt)
    assert (fill["taker_fee"], fill["referrer_reward"]) == (950_000, 150_000)
    assert venue.perp_position(REFERRER).quote_asset_amount == 150_000
    assert venue.stats(ALICE).fees.total_referee_discount == 50_000
    assert venue.stats(REFERRER).fees.total_referrer_reward == 150_000
    assert venue.perp.amm.total_fee == 950_000 - 150_000 - 200_000


def test_a_referrer_who_is_the_maker_is_not_paid() -> None:
    venue = TradingVenue()
    venue.trader(REFERRER)
    venue.trader(ALICE, referrer=REFERRER)
    venue.reserve(REFERRER, "Short", B)
    (fill,) = fills_of(venue.take(ALICE, "Long", B, venue.match(REFERRER, 100 * P, B)))
    assert (fill["taker_fee"], fill["referrer_reward"]) == (100_000, None)


def test_a_filler_without_a_slot_goes_without(venue: TradingVenue) -> None:
    user = venue.user(FILLER)
    for i, position in enumerate(user.perp_positions):
        position.quote_asset_amount, position.market_index = 1, i + 1
    venue.change_user(FILLER, perp_positions=user.perp_positions)
    venue.reserve(ALICE, "Long", B)
    (fill,) = fills_of(venue.fill(ALICE, "Long", B, AmmFill(), filler=FILLER))
    assert fill["filler_reward"] == 0
    assert venue.stats(FILLER).filler_volume_30d == 0


def test_an_expired_order_pays_the_keeper_who_cancels_it(venue: TradingVenue) -> None:
    venue.take(ALICE, "Long", B)
    before = venue.perp_position(ALICE).quote_asset_amount
    venue.reserve(ALICE, "Long", B, max_ts=venue.now + 10)
    venue.now += 11
    options: dict[str, Any] = {"max_ts": venue.now - 1, "filler": FILLER}
    grace = venue.fill(ALICE, "Long", B, order_type="Limit", **options)
    assert grace.refusal is not None and grace.refusal.error == "ImpossibleFill"
    receipt = venue.fill(ALICE, "Long", B, AmmFill(), order_type="Market", **options)
    event = receipt.events[-1][1]
    assert (event["action"], event["action_explanation"], event["filler_reward"]) == ("Cancel", "OrderExpired", 10_000)
    position = venue.perp_position(ALICE)
    assert (position.quote_asset_amount, position.open_orders) == (before - 10_000, 0)
    assert venue.perp_position(FILLER).quote_asset_amount == 10_000


def test_a_keeper_is_paid_for_a_makers_order_that_it_cancels(venue: TradingVenue) -> None:
    venue.reserve(MAKER, "Short", 3 * B)
    venue.reserve(ALICE, "Long", B)
    dropped = RestingMakerOrder(maker=MAKER, base_asset_amount=3 * B)
    venue.fill(ALICE, "Long", B, AmmFill(), filler=FILLER, cancelled_maker_orders=[dropped])
    position = venue.perp_position(MAKER)
    assert (position.open_orders, position.open_asks, position.quote_asset_amount) == (0, 0, -10_000)


def test_a_fill_needs_a_resting_order(venue: TradingVenue) -> None:
    venue.reserve(ALICE, "Long", B)
    receipt = venue.fill(ALICE, "Long", 2 * B, AmmFill())
    assert receipt.refusal is not None and receipt.refusal.error == "OrderDoesNotExist"


def test_an_account_in_liquidation_is_left_alone(venue: TradingVenue) -> None:
    venue.take(ALICE, "Long", 9_900 * B)
    venue.reserve(ALICE, "Short", B, reduce_only=True)
    venue.post("SOL", 92 * P)
    venue.change_user(ALICE, status=USER_BEING_LIQUIDATED)
    receipt = venue.fill(ALICE, "Short", B, AmmFill(), reduce_only=True)
    assert receipt.ok and not fills_of(receipt)
    assert "in liquidation" in receipt.limits[0].note


def test_funding_that_is_due_follows_a_fill(venue: TradingVenue) -> None:
    venue.now += 3_700
    venue.post("SOL", 100 * P)
    receipt = venue.take(ALICE, "Long", B)
    assert [name for name, _ in receipt.events] == ["OrderActionRecord", "FundingRateRecord"]


def test_no_fill_in_an_expired_market(venue: TradingVenue) -> None:
    venue.reserve(ALICE, "Long", B)
    venue.ok(UpdatePerpMarketExpiry(market_index=PERP, expiry_ts=venue.now + 10))
    venue.now += 10
    venue.post("SOL", 100 * P)
    receipt = venue.fill(ALICE, "Long", B, AmmFill())
    assert receipt.refusal is not None and receipt.refusal.error == "MarketFillOrderPaused"


def test_what_is_reserved_cannot_be_withdrawn(venue: TradingVenue) -> None:
    venue.reserve(ALICE, "Long", 9_000 * B)
    assert venue.refused(Withdraw(user=ALICE, market_index=0, amount=50_000 * P), ALICE) == "InsufficientCollateral"


# --- rules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quote", "base", "direction", "limit", "is_taker", "passes"),
    [
        (100 * P, B, LONG, 100 * P, False, True),
        (100 * P + 1, B, LONG, 100 * P, False, False),
        (100 * P + 1, B, LONG, 100 * P, True, True),
        (100 * P + 2, B, LONG, 100 * P, True, False),
        (100 * P - 1, B, SHORT, 100 * P, True, True),
        (100 * P - 2, B, SHORT, 100 * P, True, False),
        # for a tiny size the one unit is worth the whole price
        (1, 1, LONG, 1, True, True),
    ],
)
def test_a_taker_is_granted_one_unit_of_quote(
    quote: int, base: int, direction: int, limit: int, is_taker: bool, passes: bool
) -> None:
    if passes:
        validate_fill_price(quote, base, direction, limit, is_taker)
    else:
        with pytest.raises(SettlementError) as error:
            validate_fill_price(quote, base, direction, limit, is_taker)
        assert error.value.code == ErrorCode.InvalidOrderFillPrice


@pytest.mark.parametrize(
    ("price", "direction", "oracle", "twap", "passes"),
    [
        (109_999_999, LONG, 100 * P, 100 * P, True),
        (110_000_000, LONG, 100 * P, 100 * P, False),
        # cheaper than both is never a breach
        (1, LONG, 100 * P, 100 * P, True),
        (90_000_001, SHORT, 100 * P, 100 * P, True),
        (90_000_000, SHORT, 100 * P, 100 * P, False),
        (1_000 * P, SHORT, 100 * P, 100 * P, True),
        # half away from the 5-minute TWAP
        (74_999_999, LONG, 100 * P, 50 * P, True),
        (75_000_000, LONG, 100 * P, 50 * P, False),
    ],
)
def test_price_bands_of_a_fill(price: int, direction: int, oracle: int, twap: int, passes: bool) -> None:
    if passes:
        validate_fill_price_within_price_bands(price, direction, oracle, twap, 1_000, OracleGuardRails())
    else:
        with pytest.raises(SettlementError) as error:
            validate_fill_price_within_price_bands(price, direction, oracle, twap, 1_000, OracleGuardRails())
        assert error.value.code == ErrorCode.PriceBandsBreached


def test_liquidity_is_a_part_of_the_reserve_or_half_the_way_to_its_bound() -> None:
    amm = balanced_market(max_fill_reserve_fraction=100).amm
    assert calculate_amm_available_liquidity(amm, LONG) == 10_000 * B
    amm.min_base_asset_reserve = amm.base_asset_reserve - 10 * B
    assert calculate_amm_available_liquidity(amm, LONG) == 5 * B
    amm.max_base_asset_reserve = amm.base_asset_reserve
    assert calculate_amm_available_liquidity(amm, SHORT) == 0


def test_the_curve_is_traded_to_a_price_from_the_side_of_the_order() -> None:
    amm = balanced_market().amm
    assert calculate_max_base_asset_amount_to_trade(amm, 100 * P, LONG) == 0
    up = calculate_max_base_asset_amount_to_trade(amm, 101 * P, LONG)
    assert calculate_max_base_asset_amount_to_trade(amm, 101 * P, SHORT) == 0
    left = amm.base_asset_reserve - up
    assert 101 * P - 1 <= amm.sqrt_k**2 // left * amm.peg_multiplier // left <= 101 * P
    with pytest.raises(SettlementError) as error:
        calculate_max_base_asset_amount_to_trade(amm, 0, LONG)
    assert error.value.code == ErrorCode.InvalidOrderLimitPrice


@pytest.mark.parametrize(
    ("net", "direction", "price", "oracle", "intensity", "base"),
    [
        (-100 * B, LONG, 100 * P, 100 * P, 100, 25 * B // 10),
        (-100 * B, LONG, 100 * P, 100 * P, 10, 25 * B // 100),
        (-100 * B, LONG, 100 * P, 100 * P, 60, 15 * B // 10),
        (-100 * B, LONG, 100 * P, 100 * P, 200, 25 * B // 10),
        # it would not reduce its position, has no price, or is switched off
        (100 * B, LONG, 100 * P, 100 * P, 100, 0),
        (-100 * B, SHORT, 100 * P, 100 * P, 100, 0),
        (-100 * B, LONG, 100 * P, 0, 100, 0),
        (-100 * B, LONG, 100 * P, 100 * P, 0, 0),
        # no more than it has
        (-2 * B, LONG, 100 * P, 100 * P, 100, 2 * B),
        # 1 % better than the oracle while the spread is 1 %: nothing; half a percent: half of the half
        (-100 * B, LONG, 99 * P, 100 * P, 100, 0),
        (-100 * B, LONG, 99_500_000, 100 * P, 100, 25 * B // 10),
        (-100 * B, LONG, 99_100_000, 100 * P, 100, B // 2),
    ],
)
def test_what_the_amm_takes_of_a_match(
    net: int, direction: int, price: int, oracle: int, intensity: int, base: int
) -> None:
    market = balanced_market(net, amm_jit_intensity=intensity, short_spread=10_000, long_spread=10_000)
    order = PerpOrder(direction=direction, base_asset_amount=10 * B, price=100 * P)
    got = calculate_amm_jit_liquidity(market, order, price, 10 * B, 10 * B, 10 * B, oracle)
    assert got == base


@pytest.mark.parametrize(("direction", "inside"), [(LONG, 101 * P - 100), (SHORT, 99 * P + 100)])
def test_the_amm_stops_one_tick_inside_the_limit(direction: int, inside: int) -> None:
    market = balanced_market(max_fill_reserve_fraction=1, order_tick_size=100, max_base_asset_reserve=10**16)
    order = PerpOrder(direction=direction, base_asset_amount=10**6 * B)
    limit = 101 * P if direction == LONG else 99 * P
    size = calculate_base_asset_amount_for_amm_to_fulfill(order, market, limit, 0)
    assert size == calculate_max_base_asset_amount_to_trade(market.amm, inside, direction) > 0


def test_a_taker_without_limit_gives_way_the_sooner_it_expires() -> None:
    market = balanced_market(max_fill_reserve_fraction=100, status=STATUS_ACTIVE)
    assert get_fallback_price(market, LONG, 100 * P, 100 * P, 0) == 101 * P
    assert get_fallback_price(market, SHORT, 100 * P, 100 * P, 60) == 100 * P - 500_000
    market.amm.min_base_asset_reserve = market.amm.base_asset_reserve
    market.amm.min_order_size = 1
    market.amm.last_ask_price_twap = 102 * P
    assert get_fallback_price(market, LONG, 100 * P, 100 * P, 0) == 100 * P + 2 * P + 10 * P
    market.amm.max_base_asset_reserve = market.amm.base_asset_reserve
    market.amm.last_bid_price_twap = 99 * P
    assert get_fallback_price(market, SHORT, 100 * P, 100 * P, 60) == 100 * P - P - 2 * P
