"""Liquidations through the machine: who may be liquidated, how much at once, who is paid, and what the receipt says.

Vera is liquidated, Lisa liquidates; the market is SOL-PERP at 100, the maintenance ratio 5 %, the buffer 2 %.
"""

from typing import Any

import pytest

from seawall.engine.receipts import Receipt
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdateInitialPctToLiquidate,
    UpdateLiquidationDuration,
    UpdateLiquidationMarginBufferRatio,
    UpdatePerpMarketPausedOperations,
    UpdateSpotMarketPausedOperations,
)
from seawall.instructions.base import decode_object
from seawall.instructions.deposits import Withdraw
from seawall.instructions.liquidation import (
    ClearUserStatusBeingLiquidated,
    LiquidateBorrowForPerpPnl,
    LiquidatePerp,
    LiquidatePerpPnlForDeposit,
    LiquidateSpot,
    SetUserStatusToBeingLiquidated,
)
from seawall.instructions.venue_setup import InitializeUser
from seawall.rules.common.balances import get_token_amount
from seawall.state.enums import (
    CONTRACT_TIER_A,
    DEPOSIT,
    EXCHANGE_LIQ_PAUSED,
    PERP_LIQUIDATION,
    SPOT_LIQUIDATION,
    STATUS_SETTLEMENT,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
)
from tests.support.money import ETH, ONE_ETH, ONE_SOL, ONE_USDC, SOL, USDC
from tests.support.trading import PERP, B, P, TradingVenue

VERA, LISA, MAKER = "@vera", "@lisa", "@maker"
FEES = {"liquidator_fee": 10_000, "if_liquidation_fee": 10_000}


def perp(most: int = 10**6 * B, limit_price: int | None = None, liquidator: str = LISA) -> LiquidatePerp:
    return LiquidatePerp(
        user=VERA,
        liquidator=liquidator,
        market_index=PERP,
        liquidator_max_base_asset_amount=most,
        limit_price=limit_price,
    )


def spot(most: int = 10**18, limit_price: int | None = None, asset: int = USDC, liability: int = SOL) -> LiquidateSpot:
    return LiquidateSpot(
        user=VERA,
        liquidator=LISA,
        asset_market_index=asset,
        liability_market_index=liability,
        liquidator_max_liability_transfer=most,
        limit_price=limit_price,
    )


def borrow_for_profit(most: int = 10**18, limit_price: int | None = None) -> LiquidateBorrowForPerpPnl:
    return LiquidateBorrowForPerpPnl(
        user=VERA,
        liquidator=LISA,
        perp_market_index=PERP,
        spot_market_index=SOL,
        liquidator_max_liability_transfer=most,
        limit_price=limit_price,
    )


def loss_for_deposit(
    most: int = 10**18, limit_price: int | None = None, market: int = USDC
) -> LiquidatePerpPnlForDeposit:
    return LiquidatePerpPnlForDeposit(
        user=VERA,
        liquidator=LISA,
        perp_market_index=PERP,
        spot_market_index=market,
        liquidator_max_pnl_transfer=most,
        limit_price=limit_price,
    )


def record_of(receipt: Receipt) -> dict[str, Any]:
    """The one LiquidationRecord of a receipt."""
    (found,) = [fields for name, fields in receipt.events if name == "LiquidationRecord"]
    return found


def limits_of(receipt: Receipt) -> dict[str, tuple[int, int]]:
    return {limit.name: (limit.value, limit.asked) for limit in receipt.limits}


def long_venue(
    price: int = 93 * P, base: int = 90 * B, market: dict[str, Any] | None = None, **config: Any
) -> TradingVenue:
    """Vera is long 90 at about 100 on 1,000 USDC; then the price falls."""
    venue = TradingVenue(market=FEES | (market or {}), **config)
    venue.trader(VERA, usdc=1_000)
    venue.trader(LISA, MAKER, usdc=1_000_000)
    assert venue.take(VERA, "Long", base).ok
    venue.now += 10
    venue.post("SOL", price)
    return venue


@pytest.fixture
def venue() -> TradingVenue:
    return long_venue()


def borrow_venue(price: int = 130 * P) -> TradingVenue:
    """Vera owes 7 SOL on 1,000 USDC; then the price rises."""
    venue = TradingVenue(market=FEES)
    venue.trader(VERA, usdc=1_000)
    venue.trader(LISA, MAKER, usdc=1_000_000)
    assert venue.deposit(MAKER, SOL, 1_000 * ONE_SOL).ok
    venue.ok(Withdraw(user=VERA, market_index=SOL, amount=7 * ONE_SOL), VERA)
    venue.now += 10
    venue.post("SOL", price)
    return venue


def pnl_venue(quote: int, **options: Any) -> TradingVenue:
    """As ``borrow_venue``, but what Vera owns or also owes is the P&L of a closed position."""
    venue = borrow_venue(**options)
    user = venue.user(VERA)
    user.perp_positions[0].quote_asset_amount = quote
    venue.change_user(VERA, perp_positions=user.perp_positions)
    venue.change_perp(quote_asset_amount=quote, number_of_users=1)
    return venue


# --- who may be liquidated -------------------------------------------------------------------------------------


def test_an_account_that_meets_its_requirement_is_left_alone() -> None:
    venue = long_venue(price=95 * P)
    receipt = venue.do(perp(), LISA)
    assert receipt.refusal is not None
    assert receipt.refusal.error == "SufficientCollateral"
    assert "collateral of 531" in receipt.refusal.message and "needs 427.5 (maintenance)" in receipt.refusal.message
    assert "below 427.5" in receipt.refusal.would_pass
    need, have = limits_of(receipt)["maintenance_margin_requirement"]
    assert need == 427_500_000 < have


def test_flagged_without_the_buffer_let_go_with_it() -> None:
    """Between the requirement and the one with buffer, an account is not flagged, but stays if it is."""
    venue = long_venue(price=int(93.8 * P))
    assert venue.refused(perp(), LISA) == "SufficientCollateral"
    venue.change_user(VERA, status=USER_BEING_LIQUIDATED, next_liquidation_id=5, last_active_slot=venue.clock.slot)
    assert record_of(venue.ok(perp(), LISA))["liquidation_id"] == 4


def test_an_account_above_the_buffer_is_let_go_with_nothing_else_done() -> None:
    venue = long_venue(price=97 * P)
    venue.change_user(VERA, status=USER_BEING_LIQUIDATED, liquidation_margin_freed=7)
    receipt = venue.ok(perp(), LISA)
    assert receipt.events == []
    user = venue.user(VERA)
    assert (user.status, user.liquidation_margin_freed) == (0, 0)
    assert user.perp_positions[0].base_asset_amount == 90 * B
    assert "left liquidation" in receipt.limits[0].note


def test_anyone_sets_and_clears_the_status_where_the_venue_has_the_cranks() -> None:
    """Set below the maintenance margin, cleared above the one with buffer; each has its refusals, in order."""
    flag, clear = SetUserStatusToBeingLiquidated(user=VERA), ClearUserStatusBeingLiquidated(user=VERA)
    program = long_venue()
    assert program.refused(flag, LISA) == program.refused(clear, LISA) == "UnsupportedInstruction"
    venue = long_venue(price=95 * P, liquidation_status_cranks=True)
    assert venue.refused(flag, LISA) == venue.refused(clear, LISA) == "SufficientCollateral"
    venue.post("SOL", 93 * P)
    assert venue.ok(flag, LISA).events == []
    user = venue.user(VERA)
    assert (user.status, user.next_liquidation_id, user.last_active_slot) == (
        USER_BEING_LIQUIDATED, 2, venue.clock.slot,
    )  # fmt: skip
    assert venue.refused(flag, LISA) == venue.refused(clear, LISA) == "UserIsBeingLiquidated"
    venue.post("SOL", 97 * P)
    venue.ok(clear, LISA)
    assert venue.user(VERA).status == 0
    venue.change_user(VERA, status=USER_BANKRUPT)
    assert venue.refused(flag, LISA) == venue.refused(clear, LISA) == "UserBankrupt"
    venue.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_LIQ_PAUSED))
    assert venue.refused(flag, LISA) == venue.refused(clear, LISA) == "ExchangePaused"


@pytest.mark.parametrize("who", [VERA, LISA])
def test_the_bankrupt_take_no_part(venue: TradingVenue, who: str) -> None:
    venue.change_user(who, status=USER_BANKRUPT)
    for instruction in (perp(), spot(), borrow_for_profit(), loss_for_deposit()):
        assert venue.refused(instruction, LISA) == "UserBankrupt"


def test_who_may_not_liquidate(venue: TradingVenue) -> None:
    """Neither oneself, nor (for the shared statistics) another account of one's own, nor in somebody's name."""
    assert venue.refused(perp(liquidator=VERA), VERA) == "UserCantLiquidateThemself"
    venue.ok(InitializeUser(user=f"{VERA}/1"), VERA)
    assert venue.refused(perp(liquidator=f"{VERA}/1"), VERA) == "UnableToLoadAccountLoader"
    assert venue.refused(perp(), MAKER) == "Unauthorized"


def test_pauses(venue: TradingVenue) -> None:
    venue.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_LIQ_PAUSED))
    for instruction in (perp(), spot(), borrow_for_profit(), loss_for_deposit()):
        assert venue.refused(instruction, LISA) == "ExchangePaused"
    venue.ok(UpdateExchangeStatus(exchange_status=0))
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=PERP_LIQUIDATION))
    for instruction in (perp(), borrow_for_profit(), loss_for_deposit()):
        assert venue.refused(instruction, LISA) == "InvalidLiquidation"
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=0))
    venue.ok(UpdateSpotMarketPausedOperations(market_index=SOL, paused_operations=SPOT_LIQUIDATION))
    for instruction in (spot(), spot(asset=SOL, liability=USDC), borrow_for_profit(), loss_for_deposit(market=SOL)):
        receipt = venue.do(instruction, LISA)
        assert receipt.refusal is not None and receipt.refusal.error == "InvalidLiquidation"
        assert receipt.refusal.message == "liquidations are paused in spot market 1"


def test_without_a_buffer_nothing_can_be_liquidated(venue: TradingVenue) -> None:
    venue.ok(UpdateLiquidationMarginBufferRatio(liquidation_margin_buffer_ratio=0))
    assert venue.refused(perp(), LISA) == "InvalidMarginCalculation"


# --- perp positions --------------------------------------------------------------------------------------------


def test_a_long_is_taken_over_at_the_oracle_price(venue: TradingVenue) -> None:
    """The whole shortage at once: Lisa has 1 % for it, insurance 1 %, which only the AMM's claim on Vera tells of."""
    before = venue.perp_position(VERA).quote_asset_amount
    quote_before = venue.perp.amm.quote_asset_amount
    receipt = venue.ok(perp(), LISA)
    record = record_of(receipt)
    part = record["liquidate_perp"]
    base, quote = -part["base_asset_amount"], part["quote_asset_amount"]
    fee, if_fee = part["liquidator_fee"], part["if_fee"]
    assert (base, quote, fee, if_fee) == (50_479_000_000, 4_694_547_000, 46_945_470, 46_945_470)
    vera, lisa = venue.perp_position(VERA), venue.perp_position(LISA)
    assert vera.base_asset_amount == 90 * B - base
    assert vera.quote_asset_amount == before + quote - fee - if_fee
    assert (lisa.base_asset_amount, lisa.quote_asset_amount) == (base, fee - quote)
    assert venue.perp.amm.total_liquidation_fee == if_fee
    assert venue.perp.amm.quote_asset_amount == quote_before - if_fee
    assert venue.perp.amm.base_asset_amount_with_amm == 90 * B
    assert venue.user(VERA).status == 0
    assert (record["bankrupt"], record["liquidation_id"], venue.user(VERA).next_liquidation_id) == (False, 1, 2)
    assert limits_of(receipt) == {"margin_shortage": (base, 10**6 * B)}
    assert (venue.stats(VERA).taker_volume_30d % 10**10, venue.stats(LISA).maker_volume_30d) == (
        venue.stats(VERA).taker_volume_30d % 10**10,
        quote,
    )


def test_a_short_is_taken_over_at_the_oracle_price() -> None:
    venue = TradingVenue(market=FEES)
    venue.trader(VERA, usdc=1_000)
    venue.trader(LISA, usdc=1_000_000)
    assert venue.take(VERA, "Short", 90 * B).ok
    venue.now += 10
    venue.post("SOL", 107 * P)
    part = record_of(venue.ok(perp(), LISA))["liquidate_perp"]
    assert part["base_asset_amount"] > 0 > part["quote_asset_amount"]
    assert part["quote_asset_amount"] == -part["base_asset_amount"] * 107 * P // B
    assert venue.perp_position(LISA).base_asset_amount == -part["base_asset_amount"]


@pytest.mark.parametrize(("most", "taken"), [(10 * B, 10 * B), (10 * B + 999_999, 10 * B), (B // 1_000, B // 1_000)])
def test_the_liquidator_s_own_maximum(venue: TradingVenue, most: int, taken: int) -> None:
    receipt = venue.ok(perp(most), LISA)
    assert venue.perp_position(LISA).base_asset_amount == taken
    assert venue.user(VERA).status == USER_BEING_LIQUIDATED
    assert venue.user(VERA).liquidation_margin_freed == record_of(receipt)["margin_freed"] > 0


def test_a_maximum_below_a_step(venue: TradingVenue) -> None:
    receipt = venue.do(perp(B // 1_000 - 1), LISA)
    assert receipt.refusal is not None
    assert receipt.refusal.error == "InvalidBaseAssetAmountForLiquidatePerp"
    assert receipt.refusal.would_pass == f"a maximum of at least {B // 1_000}"


def test_a_liquidation_grows_with_the_slots(venue: TradingVenue) -> None:
    """A tenth at once, nothing more in the same slot, then more, then the rest.

    The tenth comes as 999 and then as the few units of 10,000 that two floors have left.
    """
    venue.ok(UpdateInitialPctToLiquidate(initial_pct_to_liquidate=1_000))
    venue.ok(UpdateLiquidationDuration(liquidation_duration=100))
    first = venue.ok(perp(), LISA)
    assert limits_of(first)["max_pct_to_liquidate"] == (999, 10_000)
    taken = venue.perp_position(LISA).base_asset_amount
    assert taken == 5_043_000_000  # 0.0999 of 50.479, rounded up to a step
    venue.ok(perp(), LISA)
    taken = venue.perp_position(LISA).base_asset_amount
    assert taken == 5_048_000_000
    again = venue.ok(perp(), LISA)
    assert again.events == [] and venue.perp_position(LISA).base_asset_amount == taken
    assert "it takes more slots" in again.limits[0].note
    flagged = venue.user(VERA).last_active_slot
    venue.now += 20
    assert venue.clock.slot == flagged + 50
    later = venue.ok(perp(), LISA)
    assert record_of(later)["liquidation_id"] == 1
    assert 0.58 < venue.perp_position(LISA).base_asset_amount / 50_479_000_000 < 0.62
    venue.now += 20
    assert record_of(venue.ok(perp(), LISA))["margin_freed"] > 0
    user = venue.user(VERA)
    assert (user.status, user.next_liquidation_id, user.liquidation_margin_freed) == (0, 2, 0)


def test_a_small_position_goes_whole() -> None:
    """One worth 50 or less, whatever may be covered by now."""
    venue = TradingVenue(market=FEES)
    venue.trader(VERA, usdc=10)
    venue.trader(LISA, usdc=1_000)
    assert venue.take(VERA, "Long", B // 2).ok
    venue.now += 10
    venue.post("SOL", 82 * P)
    venue.ok(perp(), LISA)
    assert venue.perp_position(VERA).base_asset_amount == 0


@pytest.mark.parametrize(("limit", "passes"), [(93 * P, True), (93 * P - 1, False), (0, False)])
def test_a_limit_price_of_a_long(venue: TradingVenue, limit: int, passes: bool) -> None:
    receipt = venue.do(perp(limit_price=limit), LISA)
    assert receipt.ok == passes
    if receipt.refusal is not None:
        assert receipt.refusal.error == "LiquidationDoesntSatisfyLimitPrice"
        assert f"the price is {93 * P}, the limit {limit}" in receipt.refusal.message


def test_the_liquidator_must_bear_what_it_takes(venue: TradingVenue) -> None:
    """Nothing of a refused liquidation stays, not even the flag; the receipt tells what the liquidator lacks."""
    venue.change_user(LISA, spot_positions=venue.user(VERA).spot_positions)
    venue.withdraw(LISA, USDC, 900 * ONE_USDC)
    before = venue.machine.store.root()
    receipt = venue.do(perp(), LISA)
    assert receipt.refusal is not None and receipt.refusal.error == "InsufficientCollateral"
    assert "Initial margin of the liquidator after the transfer" in receipt.refusal.message
    assert "short" in receipt.refusal.message
    assert venue.machine.store.root() == before
    assert venue.ok(perp(10 * B), LISA)


def test_prices_that_nobody_trusts(venue: TradingVenue) -> None:
    venue.change_perp(**{"historical_oracle_data.last_oracle_price_twap_5min": 60 * P})
    receipt = venue.do(perp(), LISA)
    assert receipt.refusal is not None and receipt.refusal.error == "PriceBandsBreached"
    assert "of 5 minutes" in receipt.refusal.message
    venue.change_perp(**{"historical_oracle_data.last_oracle_price_twap": 10 * P})
    receipt = venue.do(perp(), LISA)
    assert receipt.refusal is not None and receipt.refusal.error == "InvalidOracle"
    assert "at most 5 times its TWAP" in receipt.refusal.message


def test_a_market_in_settlement_liquidates_at_its_expiry_price(venue: TradingVenue) -> None:
    venue.change_perp(status=STATUS_SETTLEMENT, expiry_price=80 * P)
    venue.change_perp(**{"historical_oracle_data.last_oracle_price_twap_5min": 80 * P})
    receipt = venue.ok(perp(5 * B), LISA)
    part = record_of(receipt)["liquidate_perp"]
    assert (part["oracle_price"], part["quote_asset_amount"]) == (80 * P, 400 * P)


def test_what_is_no_position(venue: TradingVenue) -> None:
    """Without one, or with a P&L alone, there is nothing to take over; the receipt says what else to do."""
    user = venue.user(VERA)
    user.perp_positions[0].base_asset_amount = 0
    user.perp_positions[0].quote_asset_amount = -2_000 * P
    venue.change_user(VERA, perp_positions=user.perp_positions)
    receipt = venue.do(perp(), LISA)
    assert receipt.refusal is not None and receipt.refusal.error == "PositionDoesntHaveOpenPositionOrOrders"
    assert "only a P&L of -2000" in receipt.refusal.message


# --- orders ----------------------------------------------------------------------------------------------------


def test_cancelling_orders_can_be_enough() -> None:
    """The account is short only for what its orders reserve: they go, it stays."""
    venue = long_venue(price=100 * P, base=40 * B)
    assert venue.reserve(VERA, "Long", 50 * B).ok
    venue.now += 10
    venue.post("SOL", int(84.5 * P))
    before = venue.perp_position(VERA)
    assert (before.open_orders, before.open_bids) == (1, 50 * B)
    receipt = venue.ok(perp(), LISA)
    after = venue.perp_position(VERA)
    assert (after.open_orders, after.open_bids, after.base_asset_amount) == (0, 0, 40 * B)
    record = record_of(receipt)
    assert record["liquidate_perp"]["base_asset_amount"] == 0 and record["margin_freed"] > 0
    assert venue.user(VERA).status == 0
    (cancel,) = [fields for name, fields in receipt.events if name == "OrderActionRecord"]
    assert (cancel["action"], cancel["action_explanation"], cancel["market_index"]) == ("Cancel", "Liquidation", PERP)
    assert "cancelling its orders was enough" in receipt.limits[0].note


def test_all_orders_are_cancelled_first() -> None:
    """Perp and spot alike, before anything is taken over; both freeings count."""
    venue = long_venue(price=100 * P, base=60 * B)
    assert venue.reserve(VERA, "Short", 10 * B).ok
    user = venue.user(VERA)
    user.spot_positions[1].market_index, user.spot_positions[1].open_orders = SOL, 1
    user.spot_positions[1].open_bids = ONE_SOL
    venue.change_user(VERA, spot_positions=user.spot_positions, idle=True)
    venue.now += 10
    venue.post("SOL", 86 * P)
    receipt = venue.ok(perp(B), LISA)
    user = venue.user(VERA)
    assert user.spot_positions[1].open_orders == user.spot_positions[1].open_bids == 0
    assert user.perp_positions[0].open_orders == user.perp_positions[0].open_asks == 0
    assert not user.idle
    markets = [e["market_type"] for name, e in receipt.events if name == "OrderActionRecord"]
    assert markets == ["Perp", "Spot", "Perp"]
    assert record_of(receipt)["liquidate_perp"]["base_asset_amount"] == -B


# --- borrows ---------------------------------------------------------------------------------------------------


def test_a_borrow_is_taken_over_for_a_deposit() -> None:
    """Vera's debt falls by the insurance part less than what Lisa takes over; that is revenue at once."""
    venue = borrow_venue()
    venue.change_market(SOL, liquidator_fee=10_000, if_liquidation_fee=10_000)
    debt = -venue.balance(VERA, SOL)
    receipt = venue.ok(spot(), LISA)
    part = record_of(receipt)["liquidate_spot"]
    taken, paid, if_fee = part["liability_transfer"], part["asset_transfer"], part["if_fee"]
    assert (if_fee, paid) == (taken // 100, taken * 130 * P * 100 // 99 // 10**9)
    assert -venue.balance(LISA, SOL) == taken + 1  # a borrow's balance is rounded up
    assert 0 <= debt - -venue.balance(VERA, SOL) - (taken - if_fee) <= 1
    market = venue.market(SOL)
    assert get_token_amount(market.revenue_pool.scaled_balance, market, DEPOSIT) == if_fee
    assert venue.user(VERA).status == 0
    assert venue.position(VERA, USDC).cumulative_deposits == 1_000 * ONE_USDC - paid


@pytest.mark.parametrize(("most", "limits"), [(ONE_SOL, set()), (10**18, {"margin_shortage"})])
def test_what_cut_a_borrow(most: int, limits: set[str]) -> None:
    receipt = borrow_venue().ok(spot(most), LISA)
    assert set(limits_of(receipt)) == limits


def test_a_deposit_that_pays_for_less_than_the_borrow_leaves_a_bankrupt() -> None:
    venue = borrow_venue(price=170 * P)
    venue.change_market(SOL, historical_oracle_data=_twaps(venue, 170 * P))
    receipt = venue.ok(spot(), LISA)
    assert record_of(receipt)["bankrupt"]
    user = venue.user(VERA)
    assert user.status == USER_BANKRUPT
    assert venue.balance(VERA, USDC) == 0 > venue.balance(VERA, SOL)
    assert set(limits_of(receipt)) == {"implied"}
    assert venue.refused(spot(), LISA) == "UserBankrupt"


@pytest.mark.parametrize(
    ("instruction", "error", "told"),
    [
        (spot(asset=SOL, liability=USDC), "WrongSpotBalanceType", "spot market 1 is a Borrow, not a Deposit"),
        (spot(asset=USDC, liability=USDC), "WrongSpotBalanceType", "spot market 0 is a Deposit, not a Borrow"),
        (spot(asset=ETH), "CouldNotFindSpotPosition", "no balance in spot market 2"),
        (spot(most=0), "InvalidLiquidation", "nothing would be transferred"),
        (spot(limit_price=200 * P), "LiquidationDoesntSatisfyLimitPrice", "the least asset"),
        (borrow_for_profit(), "UserHasNoPositionInMarket", "in no perp market"),
        (loss_for_deposit(), "UserHasNoPositionInMarket", "in no perp market"),
    ],
)
def test_refusals_of_a_borrow(instruction: Any, error: str, told: str) -> None:
    receipt = borrow_venue().do(instruction, LISA)
    assert receipt.refusal is not None and receipt.refusal.error == error
    assert told in receipt.refusal.message


def test_an_emptied_deposit_cannot_pay() -> None:
    venue = borrow_venue()
    assert venue.deposit(VERA, ETH, ONE_ETH).ok
    user = venue.user(VERA)
    user.spot_positions[2].scaled_balance = 0
    venue.change_user(VERA, spot_positions=user.spot_positions)
    assert venue.refused(spot(asset=ETH), LISA) == "InvalidSpotPosition"


def test_a_liquidator_without_a_slot() -> None:
    venue = borrow_venue()
    positions = venue.user(LISA).spot_positions
    for i in range(1, 8):
        positions[i].market_index, positions[i].scaled_balance = 100 + i, 1
    venue.change_user(LISA, spot_positions=positions)
    receipt = venue.do(spot(), LISA)
    assert receipt.refusal is not None and receipt.refusal.error == "NoSpotPositionAvailable"


def test_a_liquidator_that_knows_neither_market_gets_two_slots() -> None:
    """Both slots are asked for before either is used, so that one is given twice; the transfer asks again."""
    venue = borrow_venue()
    assert venue.deposit(VERA, ETH, 2 * ONE_ETH).ok
    venue.withdraw(VERA, USDC, 1_000 * ONE_USDC)
    venue.post("SOL", 550 * P)
    venue.change_market(SOL, **{"historical_oracle_data": _twaps(venue, 550 * P)})
    venue.ok(spot(ONE_SOL, asset=ETH), LISA)
    assert venue.balance(LISA, SOL) < 0 < venue.balance(LISA, ETH)


def _twaps(venue: TradingVenue, price: int) -> Any:
    history = venue.market(SOL).historical_oracle_data.copy()
    history.last_oracle_price_twap = history.last_oracle_price_twap_5min = price
    return history


def test_spot_prices_that_nobody_trusts() -> None:
    venue = borrow_venue()
    venue.change_market(SOL, historical_oracle_data=_twaps(venue, 60 * P))
    receipt = venue.do(spot(), LISA)
    assert receipt.refusal is not None and receipt.refusal.error == "PriceBandsBreached"
    venue.change_market(SOL, historical_oracle_data=_twaps(venue, 10 * P))
    assert venue.refused(spot(), LISA) == "InvalidOracle"


def test_the_documents_name() -> None:
    data = {"ix": "liquidate_borrow", "user": VERA, "liquidator": LISA, "asset_market_index": 0}
    data |= {"liability_market_index": 1, "liquidator_max_liability_transfer": str(2**100)}
    assert decode_object(data) == spot(2**100)


# --- P&L -------------------------------------------------------------------------------------------------------


def test_a_profit_pays_for_a_borrow() -> None:
    venue = pnl_venue(100 * P, price=150 * P)
    receipt = venue.ok(borrow_for_profit(), LISA)
    part = record_of(receipt)["liquidate_borrow_for_perp_pnl"]
    assert part["market_oracle_price"] == part["liability_price"] == 150 * P
    paid, taken = part["pnl_transfer"], part["liability_transfer"]
    assert venue.perp_position(LISA).quote_asset_amount == paid
    assert venue.perp_position(VERA).quote_asset_amount == 100 * P - paid
    assert paid == taken * 150 * P * 101 // 100 // 10**9 or paid == 100 * P
    assert -venue.balance(LISA, SOL) == taken + 1
    assert venue.perp.amm.quote_asset_amount == 100 * P


def test_a_deposit_pays_for_a_loss() -> None:
    venue = pnl_venue(-300 * P)
    venue.change_market(SOL, asset_tier=3)
    venue.change_perp(contract_tier=CONTRACT_TIER_A)
    receipt = venue.ok(loss_for_deposit(50 * P), LISA)
    part = record_of(receipt)["liquidate_perp_pnl_for_deposit"]
    assert (part["pnl_transfer"], part["asset_transfer"]) == (50 * P, 50_505_050)
    assert venue.perp_position(LISA).quote_asset_amount == -50 * P
    assert venue.perp_position(VERA).quote_asset_amount == -250 * P
    assert venue.balance(VERA, USDC) == (1_000 * P - 50_505_050) * 1_000
    assert venue.user(VERA).status == USER_BEING_LIQUIDATED


def test_a_loss_beyond_the_deposit_leaves_a_bankrupt(venue: TradingVenue) -> None:
    user = venue.user(VERA)
    user.perp_positions[0].base_asset_amount = 0
    user.perp_positions[0].quote_asset_amount = -2_000 * P
    venue.change_user(VERA, perp_positions=user.perp_positions)
    receipt = venue.ok(loss_for_deposit(), LISA)
    assert record_of(receipt)["bankrupt"]
    assert venue.user(VERA).status == USER_BANKRUPT
    assert venue.balance(VERA, USDC) == 0 > venue.perp_position(VERA).quote_asset_amount


def test_a_loss_comes_after_safer_borrows() -> None:
    """With a borrow of tier Collateral no loss may go first; the receipt names the tiers."""
    venue = pnl_venue(-300 * P)
    receipt = venue.do(loss_for_deposit(), LISA)
    assert receipt.refusal is not None and receipt.refusal.error == "TierViolationLiquidatingPerpPnl"
    assert "safest borrow of tier" in receipt.refusal.message


def test_orders_are_cancelled_even_where_a_loss_must_wait() -> None:
    """Then the liquidation succeeds with nothing moved, and is told."""
    venue = pnl_venue(-300 * P)
    user = venue.user(VERA)
    user.perp_positions[0].open_orders, user.perp_positions[0].open_bids = 1, B
    venue.change_user(VERA, perp_positions=user.perp_positions)
    receipt = venue.ok(loss_for_deposit(), LISA)
    record = record_of(receipt)
    assert record["liquidate_perp_pnl_for_deposit"]["pnl_transfer"] == 0 and record["margin_freed"] > 0
    user = venue.user(VERA)
    assert (user.status, user.perp_positions[0].open_orders) == (USER_BEING_LIQUIDATED, 0)
    assert user.liquidation_margin_freed == record["margin_freed"]
    assert "safer positions" in receipt.limits[0].note


@pytest.mark.parametrize(
    ("instruction", "quote", "told"),
    [
        (borrow_for_profit(), -5 * P, "holds -5, which is no profit"),
        (loss_for_deposit(), 5 * P, "holds 5, which is no loss"),
    ],
)
def test_a_pnl_of_the_wrong_sign(instruction: Any, quote: int, told: str) -> None:
    receipt = pnl_venue(quote).do(instruction, LISA)
    assert receipt.refusal is not None and receipt.refusal.error == "InvalidPerpPositionToLiquidate"
    assert told in receipt.refusal.message


def test_an_open_position_is_taken_over_first() -> None:
    venue = borrow_venue()
    user = venue.user(VERA)
    user.perp_positions[0].base_asset_amount = B
    venue.change_user(VERA, perp_positions=user.perp_positions)
    for instruction in (borrow_for_profit(), loss_for_deposit()):
        receipt = venue.do(instruction, LISA)
        assert receipt.refusal is not None and receipt.refusal.error == "InvalidPerpPositionToLiquidate"
        assert "still open" in receipt.refusal.message


@pytest.mark.parametrize("most", [0, 1])
def test_the_smallest_transfers_of_a_profit(most: int) -> None:
    """Nothing is refused; a token costs at least a unit of profit."""
    venue = pnl_venue(100 * P, price=150 * P)
    if most == 0:
        assert venue.refused(borrow_for_profit(most), LISA) == "InvalidLiquidation"
    else:
        part = record_of(venue.ok(borrow_for_profit(most), LISA))["liquidate_borrow_for_perp_pnl"]
        assert (part["pnl_transfer"], part["liability_transfer"]) == (1, 1)


def test_a_limit_price_of_a_profit() -> None:
    venue = pnl_venue(100 * P, price=150 * P)
    receipt = venue.do(borrow_for_profit(ONE_SOL // 2, limit_price=152 * P), LISA)
    assert receipt.refusal is not None and receipt.refusal.error == "LiquidationDoesntSatisfyLimitPrice"
    assert "the price is 151500000, the limit 152000000" in receipt.refusal.message
    assert venue.ok(borrow_for_profit(ONE_SOL // 2, limit_price=151_500_000), LISA)
