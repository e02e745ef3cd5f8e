"""Liquidations under Velocity through the machine: fee splits, protective prices, fills, swaps, isolated positions.

Vera is liquidated, Lisa liquidates; the market is SOL-PERP at 100, the maintenance ratio 5 %, the buffer 2 %. What is
as in Drift is tested there.
"""

from typing import Any

import pytest

from seawall.engine.receipts import Receipt
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdateInitialPctToLiquidate,
    UpdatePerpLiquidationFee,
    UpdatePerpMarketPausedOperations,
    UpdateSpotMarketLiquidationFee,
    UpdateSpotMarketPausedOperations,
)
from seawall.instructions.deposits import Withdraw
from seawall.instructions.isolated import DepositIntoIsolatedPerpPosition
from seawall.instructions.liquidation import (
    ClearUserStatusBeingLiquidated,
    LiquidateBorrowForPerpPnl,
    LiquidatePerp,
    LiquidatePerpPnlForDeposit,
    LiquidatePerpWithFill,
    LiquidateSpot,
    LiquidateSpotWithSwap,
    SetUserStatusToBeingLiquidated,
)
from seawall.instructions.perp_fills import AmmFill
from seawall.instructions.venue_setup import PostOraclePrice
from seawall.rules.common.balances import get_token_amount
from seawall.state.enums import (
    DEPOSIT,
    EXCHANGE_LIQ_PAUSED,
    PERP_LIQUIDATION,
    POSITION_BANKRUPT,
    POSITION_BANKRUPTCY_CLAIM,
    POSITION_BEING_LIQUIDATED,
    POSITION_ISOLATED,
    STATUS_SETTLEMENT,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
    VELOCITY_SPOT_DEPOSIT,
    VELOCITY_SPOT_LIQUIDATION,
    VELOCITY_SPOT_WITHDRAW,
)
from tests.support.money import ADMIN, ETH, ONE_SOL, ONE_USDC, SOL, USDC
from tests.support.trading import PERP, B, P, TradingVenue, fills_of

VERA, LISA, MAKER = "@vera", "@lisa", "@maker"
ALL_OF_IT = 10**18


class LiquidationVenue(TradingVenue):
    """A perp liquidation pays 1 % to the liquidator, up to 1 % to insurance and then up to 0.5 % to the protocol."""

    def __init__(self, **config: Any) -> None:
        super().__init__(rulebook="velocity", isolated_positions=True, **config)
        self.perp_fees(10_000, 10_000, 5_000)
        self.trader(LISA, MAKER, usdc=1_000_000)

    def perp_fees(self, *fees: int) -> None:
        """What liquidator, insurance and protocol take (1e6)."""
        names = ("liquidator_fee", "if_liquidation_fee", "protocol_liquidation_fee")
        self.ok(UpdatePerpLiquidationFee(market_index=PERP, **dict(zip(names, fees, strict=True))))

    def spot_fees(self, market: int, *fees: int) -> None:
        """As ``perp_fees``."""
        names = ("liquidator_fee", "if_liquidation_fee", "protocol_liquidation_fee")
        self.ok(UpdateSpotMarketLiquidationFee(market_index=market, **dict(zip(names, fees, strict=True))))

    def pass_time(self, price: int, **options: Any) -> None:
        """Ten seconds, then a new price of SOL."""
        self.now += 10
        self.ok(PostOraclePrice(oracle="SOL", price=price, **options))

    def refusal(self, instruction: Any, signer: str = LISA) -> tuple[str, str]:
        """Error and message of an instruction that must be refused."""
        receipt = self.do(instruction, signer)
        assert receipt.refusal is not None
        return receipt.refusal.error, receipt.refusal.message

    def row(self, name: str = VERA) -> Any:
        """The account's first perp row, to change: hand it back with ``put``."""
        return self.user(name).perp_positions[0]

    def put(self, **fields: Any) -> None:
        """Overwrite fields of Vera's first perp row."""
        user = self.user(VERA)
        for name, value in fields.items():
            setattr(user.perp_positions[0], name, value)
        self.change_user(VERA, perp_positions=user.perp_positions)


def long_venue(price: int = 93 * P, base: int = 90 * B, isolated: bool = False) -> LiquidationVenue:
    """Vera is long at about 100 on 1,000 USDC, of cross margin or of the position's own; then the price falls."""
    venue = LiquidationVenue()
    venue.trader(VERA, usdc=1_000)
    if isolated:
        venue.ok(DepositIntoIsolatedPerpPosition(user=VERA, perp_market_index=PERP, amount=1_000 * ONE_USDC), VERA)
    assert venue.take(VERA, "Long", base).ok
    venue.pass_time(price)
    return venue


def borrow_venue(price: int = 130 * P, **options: Any) -> LiquidationVenue:
    """Vera owes 7 SOL on 1,000 USDC; then the price rises."""
    venue = LiquidationVenue()
    venue.trader(VERA, usdc=1_000)
    assert venue.deposit(MAKER, SOL, 1_000 * ONE_SOL).ok
    venue.ok(Withdraw(user=VERA, market_index=SOL, amount=7 * ONE_SOL), VERA)
    venue.pass_time(price, **options)
    return venue


def pnl_venue(pnl: int, price: int = 130 * P) -> LiquidationVenue:
    """As ``borrow_venue``, and Vera has the P&L of a closed position."""
    venue = borrow_venue(price)
    venue.put(quote_asset_amount=pnl)
    venue.change_perp(quote_asset_amount=pnl, number_of_users=1)
    return venue


def isolated_loss_venue(loss: int, collateral: int) -> LiquidationVenue:
    """Vera's isolated position is closed with a loss, on tokens of its own; her cross margin is rich."""
    venue = LiquidationVenue()
    venue.trader(VERA, usdc=10_000)
    venue.ok(DepositIntoIsolatedPerpPosition(user=VERA, perp_market_index=PERP, amount=collateral), VERA)
    venue.put(quote_asset_amount=-loss)
    venue.change_perp(quote_asset_amount=-loss, number_of_users=1)
    return venue


def perp(most: int = 10**6 * B, limit_price: int | None = None) -> LiquidatePerp:
    return LiquidatePerp(
        user=VERA, liquidator=LISA, market_index=PERP, liquidator_max_base_asset_amount=most, limit_price=limit_price
    )


def with_fill(*fills: Any) -> LiquidatePerpWithFill:
    return LiquidatePerpWithFill(user=VERA, liquidator=LISA, market_index=PERP, fills=list(fills or [AmmFill()]))


def spot(most: int = ALL_OF_IT, asset: int = USDC, liability: int = SOL) -> LiquidateSpot:
    return LiquidateSpot(
        user=VERA,
        liquidator=LISA,
        asset_market_index=asset,
        liability_market_index=liability,
        liquidator_max_liability_transfer=most,
    )


def swap(amount_in: int, amount_out: int, asset: int = USDC, liability: int = SOL) -> LiquidateSpotWithSwap:
    return LiquidateSpotWithSwap(
        user=VERA,
        liquidator=LISA,
        asset_market_index=asset,
        liability_market_index=liability,
        amount_in=amount_in,
        amount_out=amount_out,
    )


def borrow_for_profit(most: int = ALL_OF_IT) -> LiquidateBorrowForPerpPnl:
    return LiquidateBorrowForPerpPnl(
        user=VERA,
        liquidator=LISA,
        perp_market_index=PERP,
        spot_market_index=SOL,
        liquidator_max_liability_transfer=most,
    )


def loss_for_deposit(most: int = ALL_OF_IT, market: int = USDC) -> LiquidatePerpPnlForDeposit:
    return LiquidatePerpPnlForDeposit(
        user=VERA,
        liquidator=LISA,
        perp_market_index=PERP,
        spot_market_index=market,
        liquidator_max_pnl_transfer=most,
    )


EVERY = (perp(), with_fill(), spot(), swap(1, 1), borrow_for_profit(), loss_for_deposit())


def record_of(receipt: Receipt) -> dict[str, Any]:
    """The one LiquidationRecord of a receipt."""
    (found,) = [fields for name, fields in receipt.events if name == "LiquidationRecord"]
    return found


def tokens(venue: LiquidationVenue, pool: str, market: int) -> int:
    """Tokens of a spot market's pool."""
    found = venue.market(market)
    return get_token_amount(getattr(found, pool).scaled_balance, found, DEPOSIT)


# --- who and when ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [VERA, LISA])
def test_the_bankrupt_take_no_part(who: str) -> None:
    venue = long_venue()
    venue.change_user(who, status=USER_BANKRUPT)
    for instruction in EVERY:
        assert venue.refused(instruction, LISA) == "UserBankrupt"


def test_an_isolated_bankruptcy_of_the_liquidator_is_one_too() -> None:
    """Anything of the liquidator that is latched bars it; of the user only the scope that is liquidated."""
    venue = long_venue()
    user = venue.user(LISA)
    user.perp_positions[5].position_flag = POSITION_ISOLATED | POSITION_BANKRUPT
    venue.change_user(LISA, perp_positions=user.perp_positions)
    assert venue.refused(perp(), LISA) == "UserBankrupt"
    venue = long_venue()
    user = venue.user(VERA)
    user.perp_positions[5].position_flag = POSITION_ISOLATED | POSITION_BANKRUPT
    venue.change_user(VERA, perp_positions=user.perp_positions)
    assert venue.ok(perp(), LISA)


def test_pauses() -> None:
    venue = long_venue()
    venue.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_LIQ_PAUSED))
    for instruction in (*EVERY, SetUserStatusToBeingLiquidated(user=VERA)):
        assert venue.refused(instruction, LISA) == "ExchangePaused"
    venue.ok(UpdateExchangeStatus(exchange_status=0))
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=PERP_LIQUIDATION))
    for instruction in (perp(), with_fill(), borrow_for_profit(), loss_for_deposit()):
        assert venue.refused(instruction, LISA) == "InvalidLiquidation"
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=0))
    venue.ok(UpdateSpotMarketPausedOperations(market_index=SOL, paused_operations=VELOCITY_SPOT_LIQUIDATION))
    for instruction in (spot(), swap(1, 1), borrow_for_profit(), loss_for_deposit(market=SOL)):
        assert venue.refusal(instruction) == ("InvalidLiquidation", "liquidations are paused in spot market 1")


def test_liquidators_of_another_pool() -> None:
    venue = long_venue()
    venue.change_user(LISA, pool_id=1)
    for instruction in (perp(), with_fill(), spot(), borrow_for_profit(), loss_for_deposit()):
        assert venue.refused(instruction, LISA) == "InvalidPoolId"
    venue.change_market(SOL, pool_id=1)
    assert venue.refusal(swap(1, 1))[0] == "InvalidPoolId"
    assert "pool 1" in venue.refusal(perp())[1]


def test_an_expired_market_must_be_settled_first() -> None:
    venue = long_venue()
    venue.change_perp(expiry_ts=venue.now)
    for instruction in (perp(), with_fill()):
        error, message = venue.refusal(instruction)
        assert error == "InvalidLiquidation" and "is not settled" in message


# --- perp positions: the fee split -----------------------------------------------------------------------------


def test_insurance_comes_before_the_protocol() -> None:
    """All three cuts of the value; insurance's and the protocol's wait in the market's ledger."""
    venue = long_venue()
    before, ledger_before = venue.row().quote_asset_amount, venue.perp.fee_ledger
    receipt = venue.ok(perp(), LISA)
    part = record_of(receipt)["liquidate_perp"]
    value = part["quote_asset_amount"]
    assert (part["liquidator_fee"], part["if_fee"], part["protocol_fee"]) == (
        value // 100, value // 100, value * 5 // 1_000,
    )  # fmt: skip
    fees = value // 100 + value // 100 + value * 5 // 1_000
    assert venue.row().quote_asset_amount == before + value - fees
    assert venue.row(LISA).quote_asset_amount == value // 100 - value
    ledger = venue.perp.fee_ledger
    assert ledger.pending_if_fee - ledger_before.pending_if_fee == value // 100
    assert ledger.pending_protocol_fee - ledger_before.pending_protocol_fee == value * 5 // 1_000
    assert ledger.total_liquidation_fee == value // 100 + value * 5 // 1_000
    assert venue.perp.amm.total_liquidation_fee == 0
    (fill,) = fills_of(receipt)
    assert (fill["taker_fee"], fill["maker_fee"]) == (fees, -(value // 100))
    assert record_of(receipt)["bit_flags"] == 0 and "lp_shares" not in part
    assert venue.user(VERA).status == 0


def test_a_small_budget_is_insurance_s_alone() -> None:
    """The larger the shortage, the less can be charged: the protocol is the first to go without."""
    venue = long_venue(price=int(91.5 * P))
    venue.perp_fees(1_000, 10_000, 30_000)
    part = record_of(venue.ok(perp(), LISA))["liquidate_perp"]
    rich = part["protocol_fee"] * 10**6 // part["quote_asset_amount"]
    assert part["if_fee"] == part["quote_asset_amount"] // 100
    assert 0 < rich < 30_000
    venue = long_venue(price=int(90.2 * P))
    venue.perp_fees(1_000, 40_000, 30_000)
    part = record_of(venue.ok(perp(), LISA))["liquidate_perp"]
    assert part["protocol_fee"] == 0
    assert 0 < part["if_fee"] * 10**6 // part["quote_asset_amount"] < 40_000


@pytest.mark.parametrize(("slots", "rate"), [(0, 10_000), (1_499, 10_000), (1_500, 11_500), (90_000, 30_000)])
def test_the_liquidator_s_fee_grows_with_the_time_since_the_latch(slots: int, rate: int) -> None:
    """Not for ten minutes, then by all of them at once, up to three times the fee."""
    venue = long_venue()
    slot = venue.clock.slot
    venue.change_user(VERA, status=USER_BEING_LIQUIDATED, next_liquidation_id=2, last_active_slot=slot - slots)
    part = record_of(venue.ok(perp(), LISA))["liquidate_perp"]
    assert part["liquidator_fee"] == part["quote_asset_amount"] * rate // 10**6


@pytest.mark.parametrize(("limit", "passes"), [(92_070_000, True), (92_069_999, False)])
def test_a_limit_price_of_a_long_counts_the_fee(limit: int, passes: bool) -> None:
    receipt = long_venue().do(perp(limit_price=limit), LISA)
    assert receipt.ok == passes
    if receipt.refusal is not None:
        assert receipt.refusal.error == "LiquidationDoesntSatisfyLimitPrice"
        assert "the price is 92070000" in receipt.refusal.message


def test_the_price_band_is_not_asked_in_settlement() -> None:
    venue = long_venue()
    venue.change_perp(**{"historical_oracle_data.last_oracle_price_twap_5min": 60 * P})
    assert venue.refused(perp(), LISA) == venue.refused(with_fill(), LISA) == "PriceBandsBreached"
    venue.change_perp(status=STATUS_SETTLEMENT, expiry_price=80 * P)
    venue.change_perp(**{"historical_oracle_data.last_oracle_price_twap_5min": 50 * P})
    assert venue.refused(with_fill(), LISA) == "PriceBandsBreached"
    assert venue.ok(perp(5 * B), LISA)


def test_a_bankrupt_debt_reserves_the_market_s_pending_fees() -> None:
    """What is left of a position that cannot pay is flagged as a claim once."""
    venue = long_venue(price=80 * P)
    record = record_of(venue.ok(perp(), LISA))
    assert record["bankrupt"] is False and venue.user(VERA).status == USER_BEING_LIQUIDATED
    record = record_of(venue.ok(loss_for_deposit(), LISA))
    assert record["bankrupt"] is True and venue.user(VERA).status == USER_BANKRUPT
    assert venue.row().position_flag == POSITION_BANKRUPTCY_CLAIM
    assert venue.perp.pending_bankruptcy_claims == 1


# --- perp positions: by fill -----------------------------------------------------------------------------------


def test_an_order_of_the_account_closes_its_position() -> None:
    """The AMM buys within the fee's distance of the oracle; the liquidator gets a filler's reward and no fee."""
    venue = long_venue(price=93 * P)
    before = venue.row()
    receipt = venue.ok(with_fill(), LISA)
    record = record_of(receipt)
    part = record["liquidate_perp"]
    (fill,) = fills_of(receipt)
    base, value = fill["base_asset_amount_filled"], fill["quote_asset_amount_filled"]
    assert (part["base_asset_amount"], part["quote_asset_amount"]) == (base, -value)
    assert (part["liquidator_fee"], part["if_fee"], part["protocol_fee"]) == (0, value // 100, value * 5 // 1_000)
    assert part["fill_record_id"] == fill["fill_record_id"]
    after = venue.row()
    assert after.base_asset_amount == before.base_asset_amount - base
    assert after.open_orders == after.open_asks == 0
    charged = fill["taker_fee"] + part["if_fee"] + part["protocol_fee"]
    assert after.quote_asset_amount == before.quote_asset_amount + value - charged
    assert venue.row(LISA).quote_asset_amount == fill["filler_reward"]
    assert venue.user(VERA).status == 0


def test_makers_are_reported_by_who_runs_the_book() -> None:
    """What the book reports of resting orders only the administrator may sign."""
    venue = long_venue()
    assert venue.reserve(MAKER, "Long", 20 * B).ok
    ix = with_fill(venue.match(MAKER, int(92.5 * P), 20 * B))
    assert venue.refused(ix, LISA) == "Unauthorized"
    receipt = venue.ok(ix, ADMIN)
    assert venue.row(MAKER).base_asset_amount == 20 * B
    assert venue.user(VERA).status == USER_BEING_LIQUIDATED
    assert record_of(receipt)["liquidate_perp"]["base_asset_amount"] == 20 * B
    limit = next(limit for limit in receipt.limits if limit.name == "filled")
    assert (limit.value, limit.asked) == (20 * B, 90 * B)


def test_an_order_that_nobody_fills() -> None:
    """Nobody pays as much as the oracle's price less the fee: nothing is done at all."""
    venue = long_venue(price=93 * P)
    assert venue.reserve(MAKER, "Long", 20 * B).ok
    receipt = venue.do(with_fill(venue.match(MAKER, 92 * P, 20 * B)), ADMIN)
    assert receipt.refusal is not None and receipt.refusal.error == "InvalidOrderFillPrice"
    error, message = venue.refusal(with_fill(AmmFill(base_asset_amount=0)))
    assert error == "LiquidationOrderFailedToFill" and "within a price of 92070000" in message


# --- borrows ---------------------------------------------------------------------------------------------------


def test_both_cuts_of_a_borrow_become_tokens_at_once() -> None:
    venue = borrow_venue()
    venue.spot_fees(SOL, 10_000, 10_000, 5_000)
    debt = -venue.balance(VERA, SOL)
    part = record_of(venue.ok(spot(), LISA))["liquidate_spot"]
    taken = part["liability_transfer"]
    assert (part["if_fee"], part["protocol_fee"]) == (taken // 100, taken * 5 // 1_000)
    assert abs(tokens(venue, "revenue_pool", SOL) - part["if_fee"]) <= 1
    assert abs(tokens(venue, "protocol_fee_pool", SOL) - part["protocol_fee"]) <= 1
    repaid = taken - part["if_fee"] - part["protocol_fee"]
    assert abs(debt + venue.balance(VERA, SOL) - repaid) <= 10
    assert abs(venue.balance(LISA, SOL) + taken) <= 10


def test_an_uncertain_price_protects_the_user() -> None:
    """A price good enough to liquidate but not for margin: what is exchanged costs the user least, by confidence or
    the average; sizes still count at the oracle's price."""
    plain = record_of(borrow_venue().ok(spot(ONE_SOL), LISA))["liquidate_spot"]
    venue = borrow_venue(conf=40 * P)
    receipt = venue.ok(spot(ONE_SOL), LISA)
    part = record_of(receipt)["liquidate_spot"]
    assert (plain["liability_price"], part["liability_price"]) == (130 * P, 90 * P)
    assert part["liability_transfer"] == plain["liability_transfer"] == ONE_SOL
    assert part["asset_transfer"] == 90 * ONE_USDC < plain["asset_transfer"]
    venue = borrow_venue(conf=40 * P)
    venue.change_market(SOL, historical_oracle_data=_with_twap(venue, SOL, 88 * P))
    part = record_of(venue.ok(spot(ONE_SOL), LISA))["liquidate_spot"]
    assert part["liability_price"] == 88 * P


def _with_twap(venue: LiquidationVenue, market: int, twap_5min: int) -> Any:
    history = venue.market(market).historical_oracle_data.copy()
    history.last_oracle_price_twap_5min = twap_5min
    return history


def test_bands_look_at_the_average_before() -> None:
    """The update of this very instruction would bring the average into the band; it does not count."""
    venue = borrow_venue()
    venue.now += 3_600
    venue.post("SOL", 130 * P)
    venue.change_market(SOL, historical_oracle_data=_with_twap(venue, SOL, 80 * P))
    error, message = venue.refusal(spot())
    assert error == "PriceBandsBreached" and f"from the TWAP {80 * P}" in message


def test_tokens_of_the_staking_pool_need_prices_of_this_slot() -> None:
    venue = borrow_venue()
    for market in (USDC, SOL):
        venue.change_market(market, pool_id=2)
    for name in (VERA, LISA):
        venue.change_user(name, pool_id=2)
    venue.now += 4
    error, message = venue.refusal(spot())
    assert error == "InvalidLiquidation" and "of this slot" in message
    venue.post("SOL", 130 * P)
    assert venue.ok(spot(), LISA)


# --- borrows: by swap ------------------------------------------------------------------------------------------


def test_a_deposit_swapped_outside_repays_a_borrow() -> None:
    """Tokens move between the vaults and the outside; the cuts come out of what was repaid."""
    venue = borrow_venue()
    venue.spot_fees(SOL, 0, 2_000, 1_000)
    vaults = venue.vault(USDC), venue.vault(SOL)
    amount_in, amount_out = 160 * ONE_USDC, 1_300_000_000
    record = record_of(venue.ok(swap(amount_in, amount_out), LISA))
    part = record["liquidate_spot"]
    assert record["liquidation_type"] == "LiquidateSpot"
    assert (part["asset_transfer"], part["liability_transfer"]) == (amount_in, amount_out)
    assert (venue.vault(USDC), venue.vault(SOL)) == (vaults[0] - amount_in, vaults[1] + amount_out)
    assert (part["if_fee"], part["protocol_fee"]) == (amount_out * 2 // 1_000, amount_out // 1_000)
    assert abs(tokens(venue, "protocol_fee_pool", SOL) - part["protocol_fee"]) <= 1
    repaid = amount_out - part["if_fee"] - part["protocol_fee"]
    assert abs(venue.balance(VERA, SOL) + 7 * ONE_SOL - repaid) <= 10
    assert venue.balance(VERA, USDC) == 840 * 10**9
    assert venue.balance(LISA, SOL) == venue.row(LISA).base_asset_amount == 0
    assert record["margin_freed"] > 0


def test_the_cuts_of_a_swap_are_capped_by_what_it_repays() -> None:
    """Unlike a liquidator's, they count on the tokens of the swap: here less than 0.4 % can be borne."""
    venue = borrow_venue()
    venue.spot_fees(SOL, 10_000, 10_000, 5_000)
    part = record_of(venue.ok(swap(180 * ONE_USDC, 1_400_000_000), LISA))["liquidate_spot"]
    assert 0 < part["if_fee"] < part["liability_transfer"] * 4 // 1_000
    assert part["protocol_fee"] == 0


def test_no_more_is_swapped_than_the_shortage_is_worth_by_now() -> None:
    """A throttled bound without headroom, and a price that a liquidator would not have to pay either."""
    venue = borrow_venue()
    venue.ok(UpdateInitialPctToLiquidate(initial_pct_to_liquidate=1_000))
    venue.change_state(liquidation_duration=150)
    error, message = venue.refusal(swap(500 * ONE_USDC, 3_850_000_000))
    assert error == "InvalidLiquidation" and message.startswith("at most ")
    most = int(message.split()[2])
    assert venue.refused(swap(most + 1, ONE_SOL), LISA) == "InvalidLiquidation"
    out = most * 1_000 // 130 + 1
    error, message = venue.refusal(swap(most, out * 98 // 100))
    assert error == "InvalidLiquidation" and "less than a liquidator would have to pay" in message
    assert venue.ok(swap(most, out), LISA)


def test_swaps_that_have_no_shape() -> None:
    venue = borrow_venue()
    assert venue.refusal(swap(1, 1, USDC, USDC)) == ("InvalidSwap", "the two markets of a swap must differ")
    assert venue.refused(swap(0, 1), LISA) == venue.refused(swap(1, 0), LISA) == "InvalidSwap"
    venue.ok(UpdateSpotMarketPausedOperations(market_index=USDC, paused_operations=VELOCITY_SPOT_WITHDRAW))
    assert venue.refused(swap(1, 1), LISA) == "MarketWithdrawPaused"
    venue.ok(UpdateSpotMarketPausedOperations(market_index=USDC, paused_operations=0))
    venue.ok(UpdateSpotMarketPausedOperations(market_index=SOL, paused_operations=VELOCITY_SPOT_DEPOSIT))
    assert venue.refused(swap(1, 1), LISA) == "MarketActionPaused"


def test_an_account_that_needs_no_swap() -> None:
    """Not latched: it meets its requirement. Latched: it could leave, but the swap cannot be taken back."""
    venue = borrow_venue(price=100 * P)
    assert venue.refusal(swap(ONE_USDC, ONE_SOL))[0] == "SufficientCollateral"
    venue.change_user(VERA, status=USER_BEING_LIQUIDATED, next_liquidation_id=2)
    error, message = venue.refusal(swap(ONE_USDC, ONE_SOL))
    assert error == "InvalidLiquidation" and "no swap is needed" in message


# --- P&L -------------------------------------------------------------------------------------------------------


def test_a_profit_pays_for_a_borrow() -> None:
    venue = pnl_venue(300 * P, price=190 * P)
    part = record_of(venue.ok(borrow_for_profit(ONE_SOL), LISA))["liquidate_borrow_for_perp_pnl"]
    # at 190 and the perp market's premium of 1 %
    assert (part["liability_transfer"], part["pnl_transfer"]) == (ONE_SOL, 190 * P * 101 // 100)
    assert venue.row().quote_asset_amount == 300 * P - part["pnl_transfer"]
    assert venue.row(LISA).quote_asset_amount == part["pnl_transfer"]
    venue.put(position_flag=POSITION_ISOLATED)
    assert venue.refused(borrow_for_profit(), LISA) == "InvalidPerpPositionToLiquidate"


def loss_venue(loss: int) -> LiquidationVenue:
    """Vera has 1,000 USDC and the loss of a closed position, but no borrow that would come first."""
    venue = LiquidationVenue()
    venue.trader(VERA, usdc=1_000)
    venue.put(quote_asset_amount=-loss)
    venue.change_perp(quote_asset_amount=-loss, number_of_users=1)
    return venue


def test_a_deposit_pays_for_a_loss_exactly() -> None:
    """Neither is a rest forgiven nor given on top; but what pays for all of the deposit takes all of it."""
    venue = loss_venue(1_100 * P)
    part = record_of(venue.ok(loss_for_deposit(99 * P), LISA))["liquidate_perp_pnl_for_deposit"]
    assert (part["pnl_transfer"], part["asset_transfer"]) == (99 * P, 100 * P)
    assert venue.balance(VERA, USDC) == 900 * 10**9
    assert venue.row().quote_asset_amount == -1_001 * P
    # Drift would take all of a deposit of which less than 1 is left
    part = record_of(venue.ok(loss_for_deposit(890 * P + 500_000), LISA))["liquidate_perp_pnl_for_deposit"]
    assert part["asset_transfer"] == (890 * P + 500_000) * 100 // 99 < 900 * P
    part = record_of(venue.ok(loss_for_deposit(), LISA))["liquidate_perp_pnl_for_deposit"]
    assert venue.balance(VERA, USDC) == 0


def test_safer_liabilities_come_first() -> None:
    venue = pnl_venue(-400 * P, price=110 * P)
    error, message = venue.refusal(loss_for_deposit())
    assert error == "TierViolationLiquidatingPerpPnl" and "comes after safer ones" in message


def test_a_loss_is_not_taken_where_that_would_help_nobody() -> None:
    """A deposit that counts, at the premium, for as much as the loss with buffer: the shortage would not shrink."""
    venue = loss_venue(1_100 * P)
    venue.spot_fees(USDC, 10_001, 0, 0)
    error, message = venue.refusal(loss_for_deposit())
    assert error == "LiquidationWorsensAccountHealth" and "shortage" in message
    venue.change_perp(status=STATUS_SETTLEMENT)
    assert venue.do(loss_for_deposit(), LISA).refusal is None


# --- isolated positions ----------------------------------------------------------------------------------------


def test_an_isolated_position_is_liquidated_by_itself() -> None:
    """Its own shortage, all of it at once, its own latch; cross margin, rich or not, has no part in it."""
    venue = long_venue(price=100 * P, base=80 * B, isolated=True)
    venue.ok(UpdateInitialPctToLiquidate(initial_pct_to_liquidate=1))
    venue.change_state(liquidation_duration=150)
    assert venue.reserve(VERA, "Short", B).ok
    venue.pass_time(92 * P)
    receipt = venue.ok(perp(10 * B), LISA)
    record = record_of(receipt)
    assert record["bit_flags"] == 1 and record["margin_freed"] > 0
    user, row = venue.user(VERA), venue.row()
    assert user.status == user.liquidation_margin_freed == 0
    assert row.position_flag == POSITION_ISOLATED | POSITION_BEING_LIQUIDATED
    assert row.open_orders == 0 and user.next_liquidation_id == 2
    assert venue.row(LISA).position_flag == 0
    record = record_of(venue.ok(perp(), LISA))
    assert record["liquidation_id"] == 1
    assert venue.row().position_flag == POSITION_ISOLATED


def test_an_isolated_loss_is_paid_by_its_own_collateral() -> None:
    """The cross deposit stays; the liquidator gets tokens of its cross margin; the debt that is left is bankrupt."""
    venue = isolated_loss_venue(loss=300 * P, collateral=100 * ONE_USDC)
    cross = venue.balance(VERA, USDC)
    lisa = venue.balance(LISA, USDC)
    assert venue.refused(loss_for_deposit(market=SOL), LISA) == "CouldNotFindSpotPosition"
    record = record_of(venue.ok(loss_for_deposit(), LISA))
    part = record["liquidate_perp_pnl_for_deposit"]
    assert part["asset_transfer"] == 100 * ONE_USDC
    assert venue.balance(VERA, USDC) == cross and venue.balance(LISA, USDC) == lisa + 100 * 10**9
    row = venue.row()
    assert row.isolated_position_scaled_balance == 0
    assert row.quote_asset_amount == part["pnl_transfer"] - 300 * P < 0
    assert (record["bankrupt"], record["bit_flags"]) == (True, 1)
    assert row.position_flag == POSITION_ISOLATED | POSITION_BANKRUPT | POSITION_BANKRUPTCY_CLAIM
    assert venue.user(VERA).status == 0 and venue.perp.pending_bankruptcy_claims == 1
    assert venue.refused(loss_for_deposit(), LISA) == "UserBankrupt"


def test_an_isolated_position_is_closed_by_an_order() -> None:
    """Its own margin alone says whether it is through; the cross margin's latch neither bars nor is touched."""
    venue = long_venue(isolated=True)
    venue.change_user(VERA, status=USER_BEING_LIQUIDATED, next_liquidation_id=7)
    record = record_of(venue.ok(with_fill(), LISA))
    assert (record["bit_flags"], record["liquidation_id"]) == (1, 6)
    assert record["liquidate_perp"]["base_asset_amount"] > 0
    assert venue.row().position_flag == POSITION_ISOLATED
    assert venue.user(VERA).status == USER_BEING_LIQUIDATED


def test_a_refusal_names_the_scope() -> None:
    error, message = long_venue(price=99 * P, isolated=True).refusal(perp())
    assert error == "SufficientCollateral"
    assert message.startswith("the isolated position in perp market 0 has a collateral of ")
    error, message = long_venue(price=99 * P).refusal(perp())
    assert message.startswith("the account has a collateral of ")


def test_an_isolated_position_without_collateral() -> None:
    venue = isolated_loss_venue(loss=300 * P, collateral=100 * ONE_USDC)
    venue.put(isolated_position_scaled_balance=1)
    assert venue.refused(loss_for_deposit(), LISA) == "InvalidSpotPosition"


# --- the latch by itself ---------------------------------------------------------------------------------------


def test_every_scope_that_is_short_is_latched() -> None:
    """One number for all; each is cleared by itself, once it covers its requirement with buffer."""
    venue = long_venue(isolated=True)
    flag, clear = SetUserStatusToBeingLiquidated(user=VERA), ClearUserStatusBeingLiquidated(user=VERA)
    assert venue.refused(clear, LISA) == "UnsupportedInstruction"
    assert venue.ok(flag, LISA).events == []
    user = venue.user(VERA)
    assert (user.status, user.next_liquidation_id, user.last_active_slot) == (0, 2, venue.clock.slot)
    assert venue.row().position_flag == POSITION_ISOLATED | POSITION_BEING_LIQUIDATED
    assert venue.refused(flag, LISA) == "UserIsBeingLiquidated"
    venue.put(position_flag=POSITION_ISOLATED | POSITION_BANKRUPT)
    assert venue.refused(flag, LISA) == "UserBankrupt"
    venue.put(position_flag=POSITION_ISOLATED)
    venue.pass_time(99 * P)
    error, message = venue.refusal(flag)
    assert error == "SufficientCollateral" and "no isolated position is short either" in message


def test_the_latch_can_be_cleared_where_the_venue_has_the_crank() -> None:
    venue = LiquidationVenue(liquidation_status_cranks=True)
    venue.trader(VERA, usdc=1_000)
    assert venue.take(VERA, "Long", 90 * B).ok
    venue.pass_time(93 * P)
    clear = ClearUserStatusBeingLiquidated(user=VERA)
    assert venue.refused(clear, LISA) == "SufficientCollateral"
    venue.ok(SetUserStatusToBeingLiquidated(user=VERA), LISA)
    assert venue.refused(clear, LISA) == "UserIsBeingLiquidated"
    venue.pass_time(99 * P)
    venue.ok(clear, LISA)
    assert venue.user(VERA).status == 0


# --- parameters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fees", "error"),
    [
        ((10_000, 10_000, 100_000), None),
        ((10_000, 10_000, 100_001), "DefaultError"),
        ((30_000, 19_999, 100_000), None),  # the maintenance margin of 5 % counts liquidator and insurance alone
        ((30_000, 20_000, 0), "InvalidMarginRatio"),
        ((900_000, 50_000, 50_000), "DefaultError"),
    ],
)
def test_bounds_of_perp_liquidation_fees(fees: tuple[int, int, int], error: str | None) -> None:
    venue = LiquidationVenue()
    names = ("liquidator_fee", "if_liquidation_fee", "protocol_liquidation_fee")
    ix = UpdatePerpLiquidationFee(market_index=PERP, **dict(zip(names, fees, strict=True)))
    if error is None:
        venue.ok(ix)
        assert tuple(getattr(venue.perp, name) for name in names) == fees
    else:
        assert venue.refused(ix) == error


@pytest.mark.parametrize(
    ("fees", "error"),
    [
        ((700_000, 100_000, 100_000), None),
        ((800_000, 100_000, 100_000), "DefaultError"),
        ((0, 100_001, 0), "DefaultError"),
        ((0, 0, 100_001), "DefaultError"),
    ],
)
def test_bounds_of_spot_liquidation_fees(fees: tuple[int, int, int], error: str | None) -> None:
    venue = LiquidationVenue()
    names = ("liquidator_fee", "if_liquidation_fee", "protocol_liquidation_fee")
    ix = UpdateSpotMarketLiquidationFee(market_index=ETH, **dict(zip(names, fees, strict=True)))
    if error is None:
        venue.ok(ix)
        assert tuple(getattr(venue.market(ETH), name) for name in names) == fees
    else:
        assert venue.refused(ix) == error


def test_drift_has_no_protocol_part() -> None:
    venue = TradingVenue()
    ix = UpdatePerpLiquidationFee(market_index=PERP, liquidator_fee=1, if_liquidation_fee=1, protocol_liquidation_fee=1)
    assert venue.refused(ix) == "DefaultError"
    venue.trader(VERA, LISA)
    for instruction in (with_fill(), swap(1, 1)):
        assert venue.refused(instruction, LISA) == "UnsupportedInstruction"
