"""Spot orders through the machine: reservations, matches, fills at an external venue, and the spot fee pool."""

from typing import Any

import pytest

from seawall.engine.conservation import surplus
from seawall.instructions.administration import UpdateSpotMarketPausedOperations, UpdateSpotMarketStatus
from seawall.instructions.spot_fills import (
    ExternalFill,
    FillSpotOrder,
    ReleaseSpotOrder,
    ReserveSpotOrder,
    SettleSpotFeePoolToRevenuePool,
    SpotMatchFill,
    UpdateSpotFeePoolTarget,
)
from seawall.keys import key_from_text
from seawall.state.enums import SPOT_FILL, USER_BEING_LIQUIDATED, USER_REDUCE_ONLY
from tests.support.money import ONE_SOL, ONE_USDC, SOL, USDC, MoneyVenue

P = 10**6
ALICE, BOB, FILLER = "@alice", "@bob", "@filler"


def tokens(venue: MoneyVenue, name: str, market: int) -> int:
    """Tokens of a position in a market whose interest index is 1, negative for a borrow."""
    return venue.balance(name, market) // 10 ** (9 - venue.market(market).decimals)


def stats(venue: MoneyVenue, name: str) -> Any:
    table = venue.machine.store.user_stats
    return table.read(table.index[key_from_text(name)])


@pytest.fixture
def venue() -> MoneyVenue:
    """Alice holds 10,000 USDC, Bob 100 SOL."""
    made = MoneyVenue(spot_fee_pool_settlement=True)
    made.open(ALICE, BOB, FILLER)
    assert made.deposit(ALICE, USDC, 10_000 * ONE_USDC).ok
    assert made.deposit(BOB, SOL, 100 * ONE_SOL).ok
    return made


def reserve(venue: MoneyVenue, name: str, direction: Any, base: int, **options: Any) -> Any:
    order = ReserveSpotOrder(user=name, market_index=SOL, direction=direction, base_asset_amount=base, **options)
    return venue.do(order, name)


def fill(venue: MoneyVenue, name: str, direction: Any, base: int, *fills: Any, **options: Any) -> Any:
    options.setdefault("order_slot", venue.clock.slot)
    order = FillSpotOrder(
        user=name, market_index=SOL, direction=direction, base_asset_amount=base, fills=list(fills), **options
    )
    return venue.do(order)


def match(venue: MoneyVenue, base: int = 10 * ONE_SOL, price: int = 100 * P, **options: Any) -> Any:
    """Alice buys from Bob."""
    assert reserve(venue, ALICE, "Long", base).ok
    assert reserve(venue, BOB, "Short", base).ok
    return fill(venue, ALICE, "Long", base, SpotMatchFill(maker=BOB, price=price, base_asset_amount=base), **options)


# --- reservations ----------------------------------------------------------------------------------------------


def test_a_resting_order_is_reserved_and_released(venue: MoneyVenue) -> None:
    reserve(venue, BOB, "Short", 3 * ONE_SOL)
    position = venue.position(BOB, SOL)
    assert (position.open_orders, position.open_asks) == (1, -3 * ONE_SOL)
    venue.ok(ReleaseSpotOrder(user=BOB, market_index=SOL, direction="Short", base_asset_amount=3 * ONE_SOL), BOB)
    position = venue.position(BOB, SOL)
    assert (position.open_orders, position.open_asks) == (0, 0)


@pytest.mark.parametrize(
    ("prepare", "base", "error"),
    [
        (lambda v: v.change_user(ALICE, status=USER_REDUCE_ONLY), ONE_SOL, "UserReduceOnly"),
        (lambda v: v.change_market(SOL, orders_enabled=False), ONE_SOL, "SpotOrdersDisabled"),
        (lambda v: v.change_market(SOL, status=0), ONE_SOL, "MarketBeingInitialized"),
        (lambda v: v.change_market(SOL, expiry_ts=v.now), ONE_SOL, "MarketPlaceOrderPaused"),
        (lambda v: v.change_market(SOL, order_step_size=2 * ONE_SOL), ONE_SOL, "OrderAmountTooSmall"),
        (
            lambda v: v.ok(UpdateSpotMarketStatus(market_index=SOL, status="ReduceOnly")),
            ONE_SOL,
            "InvalidOrderNotRiskReducing",
        ),
        # without margin trading an order may not spend more than there is
        (lambda v: None, 101 * ONE_SOL, "MarginTradingDisabled"),
        (lambda v: v.change_user(ALICE, is_margin_trading_enabled=True), 1_000 * ONE_SOL, "InsufficientCollateral"),
    ],
)
def test_what_refuses_a_spot_order(venue: MoneyVenue, prepare: Any, base: int, error: str) -> None:
    prepare(venue)
    root = venue.machine.store.root()
    receipt = reserve(venue, ALICE, "Long", base)
    assert receipt.refusal is not None and receipt.refusal.error == error
    assert venue.machine.store.root() == root


def test_the_quote_token_is_not_traded(venue: MoneyVenue) -> None:
    order = ReserveSpotOrder(user=ALICE, market_index=USDC, direction="Long", base_asset_amount=1)
    assert venue.refused(order, ALICE) == "InvalidSpotMarketAccount"


# --- matches ---------------------------------------------------------------------------------------------------


def test_a_match_moves_tokens_fee_and_rebate(venue: MoneyVenue) -> None:
    receipt = match(venue)
    assert receipt.ok
    # 1,000 quote: fee 0.1 %, rebate 0.02 %
    assert tokens(venue, ALICE, USDC) == (10_000 - 1_001) * ONE_USDC
    assert tokens(venue, ALICE, SOL) == 10 * ONE_SOL
    assert tokens(venue, BOB, USDC) == 1_000 * ONE_USDC + 200_000
    assert tokens(venue, BOB, SOL) == 90 * ONE_SOL
    market = venue.market(SOL)
    assert (market.total_spot_fee, market.spot_fee_pool.scaled_balance, market.next_fill_record_id) == (
        800_000,
        800_000_000,
        2,
    )
    assert (venue.user(ALICE).cumulative_spot_fees, venue.user(BOB).cumulative_spot_fees) == (-1_000_000, 200_000)
    # without the fees
    assert venue.position(ALICE, USDC).cumulative_deposits == 9_000 * ONE_USDC
    assert venue.position(BOB, USDC).cumulative_deposits == 1_000 * ONE_USDC
    assert stats(venue, ALICE).taker_volume_30d == stats(venue, BOB).maker_volume_30d == 1_000 * P
    for name in (ALICE, BOB):
        position = venue.position(name, SOL)
        assert (position.open_orders, position.open_bids, position.open_asks) == (0, 0, 0)


def test_a_keeper_is_paid_out_of_the_fee(venue: MoneyVenue) -> None:
    receipt = match(venue, filler=FILLER)
    event = receipt.events[-1][1]
    # the least age of an order, twice the lower bound for a maker at the oracle
    assert event["filler_reward"] == 20_000
    assert tokens(venue, FILLER, USDC) == 20_000
    assert venue.market(SOL).total_spot_fee == 780_000
    assert stats(venue, FILLER).filler_volume_30d == 1_000 * P


def test_the_legs_of_a_match_sum_to_nothing(venue: MoneyVenue) -> None:
    receipt = match(venue, price=101 * P + 7, filler=FILLER)
    assert receipt.ok
    for index in (USDC, SOL):
        assert sum(t.amount for t in receipt.transfers if t.market_index == index) == 0


def test_part_of_an_order_stays_in_the_book(venue: MoneyVenue) -> None:
    reserve(venue, ALICE, "Long", 5 * ONE_SOL)
    reserve(venue, BOB, "Short", 2 * ONE_SOL)
    assert fill(
        venue, ALICE, "Long", 5 * ONE_SOL, SpotMatchFill(maker=BOB, price=100 * P, base_asset_amount=2 * ONE_SOL)
    ).ok
    position = venue.position(ALICE, SOL)
    assert (position.open_orders, position.open_bids) == (1, 3 * ONE_SOL)


@pytest.mark.parametrize(
    ("prepare", "price", "error"),
    [
        (lambda v: v.change_user(BOB, status=USER_BEING_LIQUIDATED), 100 * P, "UserIsBeingLiquidated"),
        (lambda v: None, 102 * P, "InvalidOrderFillPrice"),
        (
            lambda v: v.ok(UpdateSpotMarketPausedOperations(market_index=SOL, paused_operations=SPOT_FILL)),
            100 * P,
            "MarketFillOrderPaused",
        ),
        (lambda v: v.change_market(SOL, max_token_deposits=1), 100 * P, "MaxDeposit"),
    ],
)
def test_what_refuses_a_spot_match(venue: MoneyVenue, prepare: Any, price: int, error: str) -> None:
    reserve(venue, ALICE, "Long", ONE_SOL)
    reserve(venue, BOB, "Short", ONE_SOL)
    prepare(venue)
    maker = SpotMatchFill(maker=BOB, price=price, base_asset_amount=ONE_SOL)
    receipt = fill(venue, ALICE, "Long", ONE_SOL, maker, price=101 * P)
    assert receipt.refusal is not None and receipt.refusal.error == error


@pytest.mark.parametrize(("name", "side"), [(ALICE, "the taker"), (BOB, "the maker")])
def test_whoever_cannot_carry_its_side_stops_the_match(venue: MoneyVenue, name: str, side: str) -> None:
    reserve(venue, ALICE, "Long", 10 * ONE_SOL)
    reserve(venue, BOB, "Short", 10 * ONE_SOL)
    positions = venue.user(name).spot_positions
    for position in positions:
        position.scaled_balance //= 10**6
    venue.change_user(name, spot_positions=positions)
    receipt = fill(
        venue, ALICE, "Long", 10 * ONE_SOL, SpotMatchFill(maker=BOB, price=100 * P, base_asset_amount=10 * ONE_SOL)
    )
    assert receipt.refusal is not None and receipt.refusal.error == "InsufficientCollateral"
    assert side in receipt.refusal.message


def test_a_spot_fill_needs_both_orders(venue: MoneyVenue) -> None:
    maker = SpotMatchFill(maker=BOB, price=100 * P, base_asset_amount=ONE_SOL)
    reserve(venue, BOB, "Short", ONE_SOL // 2)
    assert fill(venue, ALICE, "Long", ONE_SOL, maker).refusal.error == "CouldNotFindSpotPosition"
    reserve(venue, ALICE, "Long", ONE_SOL)
    assert fill(venue, ALICE, "Long", 2 * ONE_SOL, maker).refusal.error == "OrderDoesNotExist"
    assert fill(venue, ALICE, "Long", ONE_SOL, maker).refusal.error == "OrderDoesNotExist"


# --- at an external venue --------------------------------------------------------------------------------------


def test_a_purchase_elsewhere_moves_tokens_through_the_vaults(venue: MoneyVenue) -> None:
    reserve(venue, ALICE, "Long", 10 * ONE_SOL)
    dust = surplus(venue.machine.store)
    bought = ExternalFill(base_asset_amount=10 * ONE_SOL, quote_asset_amount=1_000 * P, fee=400_000)
    receipt = fill(venue, ALICE, "Long", 10 * ONE_SOL, bought, filler=FILLER)
    assert receipt.ok
    # tokens that leave the vaults are rounded up against the user
    assert tokens(venue, ALICE, USDC) == (10_000 - 1_001) * ONE_USDC - 1
    assert venue.vault(USDC) == 10_000 * ONE_USDC - 1_000 * P - 400_000
    assert venue.vault(SOL) == 110 * ONE_SOL
    assert tokens(venue, FILLER, USDC) == 10_000
    assert venue.market(SOL).total_spot_fee == 1_000_000 - 400_000 - 10_000
    assert receipt.events[-1][1]["spot_fulfillment_method_fee"] == 400_000
    assert surplus(venue.machine.store) == [dust[USDC] + 1, dust[SOL], dust[2]]


def test_a_rebate_that_is_owed_leaves_now_and_comes_back_later(venue: MoneyVenue) -> None:
    reserve(venue, BOB, "Short", 10 * ONE_SOL)
    dust = surplus(venue.machine.store)
    first = ExternalFill(
        base_asset_amount=5 * ONE_SOL, quote_asset_amount=500 * P, fee=100_000, unsettled_referrer_rebate=50_000
    )
    second = ExternalFill(
        venue="Phoenix", base_asset_amount=5 * ONE_SOL, quote_asset_amount=500 * P, settled_referrer_rebate=50_000
    )
    receipt = fill(venue, BOB, "Short", 10 * ONE_SOL, first, second)
    assert receipt.ok
    assert venue.vault(USDC) == 10_000 * ONE_USDC + 1_000 * P - 100_000
    market = venue.market(SOL)
    assert market.total_spot_fee == 1_000_000 - 100_000
    assert market.spot_fee_pool.scaled_balance == (1_000_000 - 100_000) * 1_000
    # one unit for each of the two fills by which SOL left
    assert surplus(venue.machine.store) == [dust[USDC], dust[SOL] + 2, dust[2]]


def test_an_external_fill_worse_than_the_limit_is_refused(venue: MoneyVenue) -> None:
    reserve(venue, ALICE, "Long", ONE_SOL)
    bought = ExternalFill(base_asset_amount=ONE_SOL, quote_asset_amount=102 * P)
    assert fill(venue, ALICE, "Long", ONE_SOL, bought, price=101 * P).refusal.error == "InvalidOrderFillPrice"
    bought = ExternalFill(base_asset_amount=2 * ONE_SOL, quote_asset_amount=200 * P)
    assert fill(venue, ALICE, "Long", ONE_SOL, bought).refusal.error == "OrderDoesNotExist"


# --- the spot fee pool -----------------------------------------------------------------------------------------


def settle(venue: MoneyVenue, signer: str = "@anyone") -> Any:
    return venue.do(SettleSpotFeePoolToRevenuePool(market_index=SOL), signer)


def test_the_pool_above_its_target_becomes_revenue(venue: MoneyVenue) -> None:
    match(venue)
    venue.ok(UpdateSpotFeePoolTarget(market_index=SOL, spot_fee_pool_target=300_000))
    receipt = settle(venue)
    event = receipt.events[-1][1]
    assert (event["amount"], event["spot_fee_pool_before"], event["spot_fee_pool_after"]) == (500_000, 800_000, 300_000)
    assert venue.market(USDC).revenue_pool.scaled_balance == 500_000_000
    assert venue.market(SOL).spot_fee_pool.scaled_balance == 300_000_000
    assert venue.vault(USDC) == 10_000 * ONE_USDC
    again = settle(venue)
    assert again.ok and again.events[-1][1]["amount"] == 0
    assert again.limits[0].name == "spot_fee_pool_target"


def test_only_the_admin_sets_the_target(venue: MoneyVenue) -> None:
    assert venue.refused(UpdateSpotFeePoolTarget(market_index=SOL, spot_fee_pool_target=1), ALICE) == "Unauthorized"


def test_a_venue_of_the_program_has_no_such_instruction() -> None:
    venue = MoneyVenue()
    assert venue.refused(SettleSpotFeePoolToRevenuePool(market_index=SOL)) == "UnsupportedInstruction"
    assert venue.refused(UpdateSpotFeePoolTarget(market_index=SOL, spot_fee_pool_target=1)) == "UnsupportedInstruction"
