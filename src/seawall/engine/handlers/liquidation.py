"""Liquidations: a liquidator takes over what an account can no longer bear."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from seawall.engine.explain import Explainer
from seawall.engine.gates import require_not_paused
from seawall.engine.handlers.amm import emit_funding_payment
from seawall.engine.handlers.liquidation_record import emit_liquidation
from seawall.engine.handlers.liquidation_refusals import (
    AnyLiquidation,
    LimitedLiquidation,
    Liquidation,
    explain_liquidation,
    note_limits,
    spot_indices,
)
from seawall.engine.interest import emit_interest
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.liquidation import (
    ClearUserStatusBeingLiquidated,
    LiquidateBorrowForPerpPnl,
    LiquidatePerp,
    LiquidatePerpPnlForDeposit,
    LiquidateSpot,
    SetUserStatusToBeingLiquidated,
)
from seawall.keys import key_to_text
from seawall.rules.common.liquidation_math import NO_LIMIT_PRICE
from seawall.rules.common.margin import meets_maintenance_margin_requirement, validate_user_not_being_liquidated
from seawall.rules.common.user_status import enter_liquidation, is_bankrupt, is_being_liquidated
from seawall.rules.drift.liquidation_perp import liquidate_perp
from seawall.rules.drift.liquidation_pnl import liquidate_borrow_for_perp_pnl, liquidate_perp_pnl_for_deposit
from seawall.rules.drift.liquidation_spot import liquidate_spot
from seawall.state.enums import EXCHANGE_LIQ_PAUSED, LONG, RULEBOOK_VELOCITY, SHORT, PositionDirection
from seawall.state.facts import FundingPaymentFacts, InterestFacts, LiquidationFacts, MarginCalculation
from seawall.state.user import PerpPosition, SpotPosition, User

# --- the instructions ------------------------------------------------------------------------------------------


def take_over_perp(tx: Transaction, ix: LiquidatePerp) -> None:
    """Take over part of a perp position. Errors: those of ``perform_perp`` and of the rule ``liquidate_perp``."""
    perform_perp(tx, ix, liquidate_perp)


def take_over_borrow(tx: Transaction, ix: LiquidateSpot) -> None:
    """Take over part of a borrow for a deposit. Errors: those of ``open_liquidation`` and of ``liquidate_spot``."""
    perform_spot(tx, ix, liquidate_spot)


def take_over_borrow_for_profit(tx: Transaction, ix: LiquidateBorrowForPerpPnl) -> None:
    """Take over part of a borrow for a profit.

    Errors: those of ``open_liquidation`` and of the rule ``liquidate_borrow_for_perp_pnl``.
    """
    perform_borrow_for_profit(tx, ix, liquidate_borrow_for_perp_pnl)


def take_over_loss(tx: Transaction, ix: LiquidatePerpPnlForDeposit) -> None:
    """Take over part of a loss for a deposit.

    Errors: those of ``open_liquidation`` and of the rule ``liquidate_perp_pnl_for_deposit``.
    """
    perform_loss_for_deposit(tx, ix, liquidate_perp_pnl_for_deposit)


# --- alike in both rulebooks but for the rule ------------------------------------------------------------------


def perform_perp(tx: Transaction, ix: LiquidatePerp, rule: Callable[..., None]) -> None:
    """The records, the rule, the events.

    Errors: those of ``open_liquidation``, ``UnableToLoadAccountLoader`` for two accounts of one authority (the program
    cannot load their statistics twice), those of ``rule``.
    """
    job = open_liquidation(tx, ix)
    user, liquidator = job.user, job.liquidator
    if user.authority == liquidator.authority:
        raise SettlementError(
            ErrorCode.UnableToLoadAccountLoader,
            "user and liquidator are accounts of one authority: their statistics are the same record",
            "a liquidator of another authority",
        )
    user_stats, liquidator_stats = tx.write_user_stats(user.authority), tx.write_user_stats(liquidator.authority)
    tx.write_perp_market(ix.market_index)
    funding = FundingPaymentFacts(), FundingPaymentFacts()
    resting = resting_orders(user)
    with explained(job):
        rule(
            user, user_stats, liquidator, liquidator_stats, ix.market_index, ix.liquidator_max_base_asset_amount,
            limit_price(ix), tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, tx.now, tx.slot, *funding,
            job.calculation, job.facts,
        )  # fmt: skip
    emit_funding_payment(tx, user, funding[0])
    emit_funding_payment(tx, liquidator, funding[1])
    emit_cancelled_orders(job, resting)
    facts = job.facts
    if facts.base_asset_amount != 0:
        _emit_fill(job, ix.market_index)
    emit_record(
        job,
        market_index=ix.market_index,
        oracle_price=facts.oracle_price,
        base_asset_amount=facts.base_asset_amount,
        quote_asset_amount=facts.quote_asset_amount,
        fill_record_id=facts.fill_record_id,
        liquidator_fee=facts.liquidator_fee,
        **fees_of(job),
    )


def perform_spot(tx: Transaction, ix: LiquidateSpot, rule: Callable[..., None]) -> None:
    """The records, the rule, the events. Errors: those of ``open_liquidation`` and of ``rule``."""
    job = open_liquidation(tx, ix)
    tx.write_spot_market(ix.asset_market_index)
    tx.write_spot_market(ix.liability_market_index)
    interest = InterestFacts(), InterestFacts()
    resting = resting_orders(job.user)
    with explained(job):
        rule(
            job.user, job.liquidator, ix.asset_market_index, ix.liability_market_index,
            ix.liquidator_max_liability_transfer, limit_price(ix), tx.spot_markets, tx.perp_markets, tx.oracles,
            tx.state, tx.now, tx.slot, *interest, job.calculation, job.facts,
        )  # fmt: skip
    emit_interest(tx, interest[0])
    emit_interest(tx, interest[1])
    emit_cancelled_orders(job, resting)
    facts = job.facts
    emit_record(
        job,
        asset_market_index=ix.asset_market_index,
        asset_price=facts.asset_price,
        asset_transfer=facts.asset_transfer,
        liability_market_index=ix.liability_market_index,
        liability_price=facts.liability_price,
        liability_transfer=facts.liability_transfer,
        **fees_of(job),
    )


def perform_borrow_for_profit(tx: Transaction, ix: LiquidateBorrowForPerpPnl, rule: Callable[..., None]) -> None:
    """The records, the rule, the events. Errors: those of ``open_liquidation`` and of ``rule``."""
    job = open_liquidation(tx, ix)
    tx.write_perp_market(ix.perp_market_index)
    tx.write_spot_market(ix.spot_market_index)
    funding, interest = (FundingPaymentFacts(), FundingPaymentFacts()), InterestFacts()
    resting = resting_orders(job.user)
    with explained(job):
        rule(
            job.user, job.liquidator, ix.perp_market_index, ix.spot_market_index,
            ix.liquidator_max_liability_transfer, limit_price(ix), tx.spot_markets, tx.perp_markets, tx.oracles,
            tx.state, tx.now, tx.slot, *funding, interest, job.calculation, job.facts,
        )  # fmt: skip
    emit_funding_payment(tx, job.user, funding[0])
    emit_funding_payment(tx, job.liquidator, funding[1])
    emit_interest(tx, interest)
    emit_cancelled_orders(job, resting)
    facts = job.facts
    emit_record(
        job,
        perp_market_index=ix.perp_market_index,
        market_oracle_price=facts.oracle_price,
        pnl_transfer=facts.asset_transfer,
        liability_market_index=ix.spot_market_index,
        liability_price=facts.liability_price,
        liability_transfer=facts.liability_transfer,
    )


def perform_loss_for_deposit(tx: Transaction, ix: LiquidatePerpPnlForDeposit, rule: Callable[..., None]) -> None:
    """The records, the rule, the events. Errors: those of ``open_liquidation`` and of ``rule``."""
    job = open_liquidation(tx, ix)
    tx.write_perp_market(ix.perp_market_index)
    tx.write_spot_market(ix.spot_market_index)
    funding, interest = (FundingPaymentFacts(), FundingPaymentFacts()), InterestFacts()
    resting = resting_orders(job.user)
    with explained(job):
        rule(
            job.user, job.liquidator, ix.perp_market_index, ix.spot_market_index, ix.liquidator_max_pnl_transfer,
            limit_price(ix), tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, tx.now, tx.slot, *funding,
            interest, job.calculation, job.facts,
        )  # fmt: skip
    emit_funding_payment(tx, job.user, funding[0])
    emit_funding_payment(tx, job.liquidator, funding[1])
    emit_interest(tx, interest)
    emit_cancelled_orders(job, resting)
    facts = job.facts
    emit_record(
        job,
        perp_market_index=ix.perp_market_index,
        market_oracle_price=facts.oracle_price,
        pnl_transfer=facts.liability_transfer,
        asset_market_index=ix.spot_market_index,
        asset_price=facts.asset_price,
        asset_transfer=facts.asset_transfer,
    )


# --- shared by all ---------------------------------------------------------------------------------------------


def open_liquidation(tx: Transaction, ix: AnyLiquidation, *, by_admin: bool = False) -> Liquidation:
    """The gates and the two accounts. ``ExchangePaused``, ``UserCantLiquidateThemself``, ``Unauthorized``.

    ``by_admin``: the administrator signs, who runs the order book.
    """
    require_not_paused(tx, EXCHANGE_LIQ_PAUSED)
    if tx.user_index(ix.user) == tx.user_index(ix.liquidator):
        raise SettlementError(
            ErrorCode.UserCantLiquidateThemself,
            "user and liquidator are the same account",
            "a liquidator of another authority",
        )
    if by_admin:
        tx.require_admin()
    else:
        tx.require_authority_or_delegate(tx.user(ix.liquidator))
    user, liquidator = tx.write_user(ix.user), tx.write_user(ix.liquidator)
    twaps = {
        index: tx.spot_market(index).historical_oracle_data.last_oracle_price_twap_5min for index in spot_indices(ix)
    }
    return Liquidation(tx, ix, user, liquidator, MarginCalculation(), LiquidationFacts(), twaps)


@contextmanager
def explained(job: Liquidation) -> Iterator[None]:
    """A refusal says why, in numbers; a liquidation that passes says what limited it."""
    try:
        yield
    except SettlementError as error:
        if error.detail:
            raise
        raise explain_liquidation(job, error.code) from error
    note_limits(job)


def limit_price(ix: LimitedLiquidation) -> int:
    """The liquidator's limit as the rules take it."""
    return NO_LIMIT_PRICE if ix.limit_price is None else ix.limit_price


# --- events ----------------------------------------------------------------------------------------------------


def resting_orders(user: User) -> list[PerpPosition | SpotPosition]:
    """The user's positions in which orders rest, perp positions first."""
    positions: list[PerpPosition | SpotPosition] = [*user.perp_positions, *user.spot_positions]
    return [position for position in positions if position.open_orders != 0]


def emit_cancelled_orders(job: Liquidation, resting: list[PerpPosition | SpotPosition]) -> None:
    """OrderActionRecord for each position whose orders left the book, all at once: the venue knows the orders."""
    for position in resting:
        if position.open_orders == 0:
            is_perp = isinstance(position, PerpPosition)
            index = position.market_index
            oracle = job.tx.perp_oracle(index) if is_perp else job.tx.spot_oracle(index)
            _emit_order_action(
                job, "Cancel", index, "Perp" if is_perp else "Spot", oracle.price,
                filler=key_to_text(job.liquidator.address), filler_reward=0, taker=key_to_text(job.user.address),
            )  # fmt: skip


def _emit_fill(job: Liquidation, market_index: int) -> None:
    """OrderActionRecord of the two orders, user as taker and liquidator as maker, that the transfer amounts to."""
    facts = job.facts
    directions = (LONG, SHORT) if facts.base_asset_amount > 0 else (SHORT, LONG)
    _emit_order_action(
        job,
        "Fill",
        market_index,
        "Perp",
        facts.oracle_price,
        fill_record_id=facts.fill_record_id,
        base_asset_amount_filled=abs(facts.base_asset_amount),
        quote_asset_amount_filled=abs(facts.quote_asset_amount),
        taker_fee=facts.liquidator_fee + facts.if_fee + facts.protocol_fee,
        maker_fee=-facts.liquidator_fee,
        taker=key_to_text(job.user.address),
        taker_order_direction=PositionDirection(directions[0]).name,
        maker=key_to_text(job.liquidator.address),
        maker_order_direction=PositionDirection(directions[1]).name,
    )


def _emit_order_action(
    job: Liquidation, action: str, market_index: int, market_type: str, oracle_price: int, **fields: int | str
) -> None:
    """OrderActionRecord with explanation Liquidation, without the fields of the order book."""
    record = dict.fromkeys(_ORDER_ACTION_FIELDS) | fields
    job.tx.emit(
        "OrderActionRecord",
        ts=job.tx.now,
        action=action,
        action_explanation="Liquidation",
        market_index=market_index,
        market_type=market_type,
        **record,
        oracle_price=oracle_price,
    )


_ORDER_ACTION_FIELDS = (
    "filler",
    "filler_reward",
    "fill_record_id",
    "base_asset_amount_filled",
    "quote_asset_amount_filled",
    "taker_fee",
    "maker_fee",
    "referrer_reward",
    "quote_asset_amount_surplus",
    "spot_fulfillment_method_fee",
    "taker",
    "taker_order_direction",
    "maker",
    "maker_order_direction",
)


def emit_record(job: Liquidation, **fields: Any) -> None:
    """LiquidationRecord with the part of this instruction, where the rule asked for it."""
    facts = job.facts
    if not facts.recorded:
        return
    first = MarginCalculation(margin_requirement=facts.margin_requirement, total_collateral=facts.total_collateral)
    velocity = job.tx.state.rulebook == RULEBOOK_VELOCITY
    emit_liquidation(
        job.tx,
        job.part,
        job.user,
        job.liquidator,
        first,
        facts.liquidation_id,
        bankrupt=facts.bankrupt,
        margin_freed=facts.margin_freed,
        bit_flags=int(facts.isolated) if velocity else None,
        **fields,
    )


def fees_of(job: Liquidation) -> dict[str, int]:
    """What insurance, and under Velocity the protocol, were paid, as LiquidationRecord tells it."""
    if job.tx.state.rulebook == RULEBOOK_VELOCITY:
        return {"if_fee": job.facts.if_fee, "protocol_fee": job.facts.protocol_fee}
    return {"if_fee": job.facts.if_fee}


def set_being_liquidated(tx: Transaction, ix: SetUserStatusToBeingLiquidated) -> None:
    """Enter liquidation. Errors: ``UnsupportedInstruction``, ``ExchangePaused``, ``UserBankrupt``,
    ``UserIsBeingLiquidated``, those of a margin calculation, ``SufficientCollateral``.
    """
    user = account_to_flag(tx, ix.user)
    if is_being_liquidated(user):
        raise SettlementError(ErrorCode.UserIsBeingLiquidated)
    if meets_maintenance_margin_requirement(user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state):
        raise SettlementError(ErrorCode.SufficientCollateral)
    enter_liquidation(user, tx.slot)


def clear_being_liquidated(tx: Transaction, ix: ClearUserStatusBeingLiquidated) -> None:
    """Leave liquidation. Errors: ``UnsupportedInstruction``, ``ExchangePaused``, ``UserBankrupt``,
    ``SufficientCollateral`` for an account that is in none, those of a margin calculation, ``UserIsBeingLiquidated``.
    """
    user = account_to_flag(tx, ix.user)
    if not is_being_liquidated(user):
        raise SettlementError(ErrorCode.SufficientCollateral, "the account is not being liquidated")
    validate_user_not_being_liquidated(user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state)


def account_to_flag(tx: Transaction, ref: str) -> User:
    """The account whose status is asked for: ``UnsupportedInstruction``, ``ExchangePaused``, ``UserBankrupt``."""
    if not tx.config.liquidation_status_cranks:
        raise SettlementError(
            ErrorCode.UnsupportedInstruction,
            "this venue runs without the parameter liquidation_status_cranks, as the program does",
            "a venue with that parameter",
        )
    require_not_paused(tx, EXCHANGE_LIQ_PAUSED)
    user = tx.write_user(ref)
    if is_bankrupt(user):
        raise SettlementError(ErrorCode.UserBankrupt)
    return user


HANDLERS: dict[type[Instruction], Handler] = {
    SetUserStatusToBeingLiquidated: set_being_liquidated,
    ClearUserStatusBeingLiquidated: clear_being_liquidated,
    LiquidatePerp: take_over_perp,
    LiquidateSpot: take_over_borrow,
    LiquidateBorrowForPerpPnl: take_over_borrow_for_profit,
    LiquidatePerpPnlForDeposit: take_over_loss,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
