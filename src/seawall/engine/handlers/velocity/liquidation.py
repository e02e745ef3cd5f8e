"""Liquidations of a scope, cross margin or an isolated position, with the IF-first fee split; by fill and by swap.

Orders are the venue's own book: what it reserved is released by the liquidation, and the event of each position's
cancellation tells the book so. No order stays behind, so that none is in a liquidation's way
(``LiquidationConflictsWithClobOrders`` is for orders that only another program could cancel). Equity floors of
liquidators are not modelled.
"""

from seawall.engine.explain import Explainer
from seawall.engine.gates import require_not_paused
from seawall.engine.handlers.amm import emit_funding_payment
from seawall.engine.handlers.liquidation import (
    account_to_flag,
    emit_cancelled_orders,
    emit_record,
    explained,
    fees_of,
    open_liquidation,
    perform_borrow_for_profit,
    perform_loss_for_deposit,
    perform_perp,
    perform_spot,
    resting_orders,
)
from seawall.engine.handlers.liquidation_refusals import Liquidation
from seawall.engine.handlers.pnl_refusals import quote
from seawall.engine.handlers.velocity.liquidation_order_fill import LiquidationOrderFill
from seawall.engine.interest import emit_interest
from seawall.engine.receipts import Limit
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
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
from seawall.instructions.perp_fills import MatchFill
from seawall.rules.common.spot_operations import spot_operation_paused
from seawall.rules.common.user_status import is_being_liquidated
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.rules.velocity.isolated import scope_of
from seawall.rules.velocity.liquidation import set_user_status_to_being_liquidated
from seawall.rules.velocity.liquidation_fill import (
    finish_liquidation_with_fill,
    note_filled,
    open_liquidation_with_fill,
)
from seawall.rules.velocity.liquidation_perp import liquidate_perp, price_with_fee
from seawall.rules.velocity.liquidation_pnl import liquidate_borrow_for_perp_pnl, liquidate_perp_pnl_for_deposit
from seawall.rules.velocity.liquidation_spot import liquidate_spot
from seawall.rules.velocity.liquidation_swap import liquidate_spot_with_swap
from seawall.rules.velocity.margin import validate_user_not_being_liquidated
from seawall.state.enums import EXCHANGE_LIQ_PAUSED, VELOCITY_SPOT_DEPOSIT, VELOCITY_SPOT_WITHDRAW
from seawall.state.facts import FundingPaymentFacts, InterestFacts, MarginCalculation

# --- a liquidator takes over -----------------------------------------------------------------------------------


def take_over_perp(tx: Transaction, ix: LiquidatePerp) -> None:
    """Take over part of a perp position. Errors: those of ``perform_perp`` and of the rule ``liquidate_perp``."""
    perform_perp(tx, ix, liquidate_perp)


def take_over_borrow(tx: Transaction, ix: LiquidateSpot) -> None:
    """Take over part of a borrow for a deposit. Errors: those of ``open_liquidation`` and of ``liquidate_spot``."""
    perform_spot(tx, ix, liquidate_spot)


def take_over_borrow_for_profit(tx: Transaction, ix: LiquidateBorrowForPerpPnl) -> None:
    """Take over part of a borrow for a profit of the cross margin.

    Errors: those of ``open_liquidation`` and of the rule ``liquidate_borrow_for_perp_pnl``.
    """
    perform_borrow_for_profit(tx, ix, liquidate_borrow_for_perp_pnl)


def take_over_loss(tx: Transaction, ix: LiquidatePerpPnlForDeposit) -> None:
    """Take over part of a loss for a deposit, or for the isolated position's own collateral.

    Errors: those of ``open_liquidation`` and of the rule ``liquidate_perp_pnl_for_deposit``.
    """
    perform_loss_for_deposit(tx, ix, liquidate_perp_pnl_for_deposit)


# --- an order closes the position ------------------------------------------------------------------------------


def close_by_fill(tx: Transaction, ix: LiquidatePerpWithFill) -> None:
    """Close part of a perp position by an order of its own account.

    Errors: those of ``open_liquidation``, of the rule ``open_liquidation_with_fill``, of fills
    (drift/amm-and-funding.md §3.5, newer), ``LiquidationOrderFailedToFill``.
    """
    makers = ix.makers or ix.cancelled_maker_orders or any(isinstance(fill, MatchFill) for fill in ix.fills)
    job = open_liquidation(tx, ix, by_admin=bool(makers))
    user, index = job.user, ix.market_index
    market = tx.write_perp_market(index)
    funding = FundingPaymentFacts(), FundingPaymentFacts()
    resting = resting_orders(user)
    with explained(job):
        row = scope_of(user, index)
        position_row, base = open_liquidation_with_fill(
            user, job.liquidator, index, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, tx.now, tx.slot,
            *funding, job.calculation, job.facts,
        )  # fmt: skip
        emit_funding_payment(tx, user, funding[0])
        emit_funding_payment(tx, job.liquidator, funding[1])
        emit_cancelled_orders(job, resting)
        if base != 0:
            position = user.perp_positions[position_row]
            was_long = position.base_asset_amount > 0
            job.facts.fill_record_id = market.next_fill_record_id
            fill = LiquidationOrderFill(
                tx, market, user, base, price_with_fee(position.base_asset_amount, job.facts), ix
            )
            fill.close_position()
            note_filled(was_long, fill.base, fill.quote, job.facts)
            finish_liquidation_with_fill(
                user, row, position_row, index, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state,
                job.calculation, job.facts,
            )  # fmt: skip
    _emit_filled(job, index)


def _emit_filled(job: Liquidation, market_index: int) -> None:
    facts = job.facts
    emit_record(
        job,
        market_index=market_index,
        oracle_price=facts.oracle_price,
        base_asset_amount=facts.base_asset_amount,
        quote_asset_amount=facts.quote_asset_amount,
        fill_record_id=facts.fill_record_id,
        **fees_of(job),
    )


# --- a deposit is swapped --------------------------------------------------------------------------------------


def repay_by_swap(tx: Transaction, ix: LiquidateSpotWithSwap) -> None:
    """Swap part of a deposit outside and repay a borrow with it.

    Errors: those of ``open_liquidation``, ``InvalidSwap``, ``MarketWithdrawPaused``, ``MarketActionPaused``, those of
    the rule ``liquidate_spot_with_swap``, ``TokenInsufficientFunds``, ``SpotMarketVaultInvariantViolated``.
    """
    job = open_liquidation(tx, ix)
    asset, liability = ix.asset_market_index, ix.liability_market_index
    _check_swap(tx, ix)
    markets = tx.write_spot_market(asset), tx.write_spot_market(liability)
    interest = InterestFacts(), InterestFacts()
    resting = resting_orders(job.user)
    with explained(job):
        liquidate_spot_with_swap(
            job.user, job.liquidator, asset, liability, ix.amount_in, ix.amount_out, tx.spot_markets, tx.perp_markets,
            tx.oracles, tx.state, tx.now, tx.slot, *interest, job.calculation, job.facts,
        )  # fmt: skip
    tx.send_outside(asset, ix.amount_in)
    tx.receive_from_outside(liability, ix.amount_out)
    emit_interest(tx, interest[0])
    emit_interest(tx, interest[1])
    emit_cancelled_orders(job, resting)
    emit_record(
        job,
        asset_market_index=asset,
        asset_price=job.facts.asset_price,
        asset_transfer=job.facts.asset_transfer,
        liability_market_index=liability,
        liability_price=job.facts.liability_price,
        liability_transfer=job.facts.liability_transfer,
        **fees_of(job),
    )
    for market in markets:
        validate_spot_market_vault_amount(market, tx.vaults(market.market_index).spot_vault)


def _check_swap(tx: Transaction, ix: LiquidateSpotWithSwap) -> None:
    """The shape of the swap and the pauses of its two legs; the asset leaves its vault, the other token enters."""
    asset, liability = ix.asset_market_index, ix.liability_market_index
    if asset == liability:
        raise SettlementError(ErrorCode.InvalidSwap, "the two markets of a swap must differ")
    if ix.amount_in == 0 or ix.amount_out == 0:
        raise SettlementError(ErrorCode.InvalidSwap, "both amounts of a swap must be above 0")
    if spot_operation_paused(tx.spot_market(asset), 0, VELOCITY_SPOT_WITHDRAW):
        message = f"withdrawals from spot market {asset} are paused (paused_operations)"
        raise SettlementError(ErrorCode.MarketWithdrawPaused, message, "the same once they are resumed")
    if spot_operation_paused(tx.spot_market(liability), 0, VELOCITY_SPOT_DEPOSIT):
        message = f"deposits into spot market {liability} are paused (paused_operations)"
        raise SettlementError(ErrorCode.MarketActionPaused, message, "the same once they are resumed")


# --- the latch by itself ---------------------------------------------------------------------------------------


def set_being_liquidated(tx: Transaction, ix: SetUserStatusToBeingLiquidated) -> None:
    """Latch every scope that is short of its maintenance margin.

    ``ExchangePaused``, ``UserBankrupt``, ``UserIsBeingLiquidated``, those of a margin calculation,
    ``SufficientCollateral``.
    """
    require_not_paused(tx, EXCHANGE_LIQ_PAUSED)
    user = tx.write_user(ix.user)
    calculation = MarginCalculation()
    try:
        set_user_status_to_being_liquidated(
            user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, tx.slot, calculation
        )
    except SettlementError as error:
        if error.code != ErrorCode.SufficientCollateral:
            raise
        have, need = calculation.total_collateral, calculation.margin_requirement
        note = "cross margin (quote 1e6); every isolated position meets its own requirement too"
        tx.limits.append(Limit("maintenance_margin_requirement", need, have, note))
        raise SettlementError(
            error.code,
            f"cross margin has a collateral of {quote(have)} and needs {quote(need)} (maintenance); no isolated "
            "position is short either",
            "the same once a scope is below its requirement",
        ) from error


def clear_being_liquidated(tx: Transaction, ix: ClearUserStatusBeingLiquidated) -> None:
    """Clear every latch that can be cleared. Errors: as Drift's; ``UserIsBeingLiquidated`` where one stays."""
    user = account_to_flag(tx, ix.user)
    if not is_being_liquidated(user):
        raise SettlementError(ErrorCode.SufficientCollateral, "nothing of the account is being liquidated")
    validate_user_not_being_liquidated(user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state)


HANDLERS: dict[type[Instruction], Handler] = {
    SetUserStatusToBeingLiquidated: set_being_liquidated,
    ClearUserStatusBeingLiquidated: clear_being_liquidated,
    LiquidatePerp: take_over_perp,
    LiquidatePerpWithFill: close_by_fill,
    LiquidateSpot: take_over_borrow,
    LiquidateSpotWithSwap: repay_by_swap,
    LiquidateBorrowForPerpPnl: take_over_borrow_for_profit,
    LiquidatePerpPnlForDeposit: take_over_loss,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
