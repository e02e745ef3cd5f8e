"""Deposits, withdrawals, transfers and swaps."""

from seawall.arithmetic import sub_checked
from seawall.engine.gates import require_not_paused, require_same_pool
from seawall.engine.handlers.deposit_refusals import EXPLAINERS, explain_swap, explain_withdrawal
from seawall.engine.interest import accrue
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.engine.withdrawals import (
    calculate_max_withdrawable_amount,
    check_withdraw_margin_requirement,
    markets_of,
    validate_user_not_being_liquidated,
    withdraw_from_user,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import (
    Deposit,
    DepositIntoSpotMarketRevenuePool,
    Swap,
    TransferDeposit,
    Withdraw,
)
from seawall.keys import key_from_text, key_to_text
from seawall.rules.common.balances import deposit_into_pool, get_token_amount
from seawall.rules.common.interest import update_spot_market_twap_stats
from seawall.rules.common.margin import update_liquidation_status
from seawall.rules.common.spot_operations import spot_operation_paused
from seawall.rules.common.spot_positions import force_get_spot_position_index
from seawall.rules.common.user_balances import (
    deposit_into_user,
    increment_total_deposits,
    is_borrow,
    validate_deposit_allowed,
    withdraw_within_limits,
)
from seawall.rules.common.user_status import is_bankrupt, update_last_active_slot
from seawall.rules.common.vaults import (
    validate_max_token_deposits,
    validate_max_token_deposits_and_borrows,
    validate_spot_market_vault_amount,
)
from seawall.rules.drift.user_balances import charge_withdraw_fee, qualifies_for_withdraw_fee
from seawall.rules.velocity.deposit_limits import validate_deposit_cap_after_increase
from seawall.rules.velocity.isolated import get_total_token_amount
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    EXCHANGE_DEPOSIT_PAUSED,
    EXCHANGE_FILL_PAUSED,
    EXCHANGE_WITHDRAW_PAUSED,
    RULEBOOK_VELOCITY,
    SPOT_FILL,
    STATUS_DELISTED,
    STATUS_INITIALIZED,
    STATUS_REDUCE_ONLY,
    STATUS_SETTLEMENT,
    VELOCITY_SPOT_DEPOSIT,
)
from seawall.state.spot_market import SpotMarket
from seawall.state.user import SpotPosition, User


def deposit(tx: Transaction, ix: Deposit) -> None:
    """Tokens from the signer's wallet into an account.

    Errors in order: ``ExchangePaused``, ``InsufficientDeposit``, ``UserBankrupt``, ``MarketBeingInitialized``,
    ``NoSpotPositionAvailable``, ``InvalidSpotPosition``, ``MarketActionPaused``, ``TokenInsufficientFunds``,
    ``MaxDeposit``, ``MaxBorrows``.
    """
    user, market = open_deposit(tx, ix)
    accrue(tx, ix.market_index, True)
    amount, explanation = credit_deposit(tx, ix, user, market)
    update_liquidation_status(user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state)
    update_last_active_slot(user, tx.slot)
    tx.receive(tx.signer, ix.market_index, amount)
    emit_deposit(tx, user, market, "Deposit", amount, explanation)
    validate_max_token_deposits_and_borrows(market)


def open_deposit(tx: Transaction, ix: Deposit) -> tuple[User, SpotMarket]:
    """The account and the market of a deposit that may go on, checked out; nothing has changed yet."""
    user = tx.write_user(ix.user)
    tx.require_authority_or_delegate(user)
    require_not_paused(tx, EXCHANGE_DEPOSIT_PAUSED)
    if ix.amount == 0:
        raise SettlementError(ErrorCode.InsufficientDeposit)
    require_not_bankrupt(user)
    market = tx.write_spot_market(ix.market_index)
    require_same_pool(user, market)
    if market.status == STATUS_INITIALIZED:
        raise SettlementError(ErrorCode.MarketBeingInitialized)
    return user, market


def credit_deposit(tx: Transaction, ix: Deposit, user: User, market: SpotMarket) -> tuple[int, str]:
    """Credit a deposit after the interest; what came of it (tokens), and how the event explains it."""
    position = user.spot_positions[force_get_spot_position_index(user, ix.market_index)]
    was_borrow = is_borrow(position)
    amount = reduce_only_deposit(tx, ix, position, market)
    increment_total_deposits(user, amount, market.decimals, tx.spot_oracle(ix.market_index).price)
    deposit_into_user(amount, market, position)
    validate_deposit_allowed(position, market)
    return amount, "RepayBorrow" if was_borrow else "None"


def withdraw(tx: Transaction, ix: Withdraw) -> None:
    """Tokens out of an account, borrowed where it holds too few, into the authority's wallet.

    Errors in order: ``ExchangePaused``, ``UserBankrupt``, ``NoSpotPositionAvailable``,
    ``ReduceOnlyWithdrawIncreasedRisk``, those of ``withdraw_from_user``, ``TokenInsufficientFunds``,
    ``SpotMarketVaultInvariantViolated``.
    """
    user = tx.write_user(ix.user)
    tx.require_signer(user.authority, "authority of the account,")
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    require_not_bankrupt(user)
    market = tx.write_spot_market(ix.market_index)
    accrue(tx, market.market_index, True)
    position = user.spot_positions[force_get_spot_position_index(user, ix.market_index)]
    amount = ix.amount
    if ix.reduce_only or market.status == STATUS_REDUCE_ONLY:
        amount = reduce_only_amount(tx, user, position, market, amount)
    asked = amount
    if qualifies_for_withdraw_fee(user, tx.user_stats(user.authority), tx.slot):
        stats = tx.write_user_stats(user.authority)
        fee = charge_withdraw_fee(market, tx.spot_oracle(ix.market_index).price, user, stats)
        tx.limit("withdraw_fee", fee, amount, "an account that withdraws often and much pays this fee in tokens")
        amount = sub_checked(amount, fee)
    take_out(tx, user, ix.user, ix.market_index, amount, asked, False)
    emit_deposit(tx, user, market, "Withdraw", amount, "Borrow" if is_borrow(position) else "None")
    tx.send(user.authority, ix.market_index, amount)
    validate_spot_market_vault_amount(market, tx.vaults(ix.market_index).spot_vault)


def reduce_only_deposit(tx: Transaction, ix: Deposit, position: SpotPosition, market: SpotMarket) -> int:
    """What a deposit may bring (tokens): all of it, or in reduce-only mode what repays a borrow."""
    amount = ix.amount
    if (ix.reduce_only or market.status == STATUS_REDUCE_ONLY) and position.balance_type == BORROW:
        amount = min(amount, get_token_amount(position.scaled_balance, market, BORROW))
        if amount < ix.amount:
            tx.limit("reduce_only", amount, ix.amount, "a reduce-only deposit repays the borrow and no more")
    return amount


def reduce_only_amount(tx: Transaction, user: User, position: SpotPosition, market: SpotMarket, amount: int) -> int:
    """What a reduce-only withdrawal may take (tokens); ``ReduceOnlyWithdrawIncreasedRisk`` without a deposit."""
    if position.balance_type != DEPOSIT:
        raise SettlementError(ErrorCode.ReduceOnlyWithdrawIncreasedRisk)
    by_margin = calculate_max_withdrawable_amount(user, market.market_index, markets_of(tx))
    held = get_token_amount(position.scaled_balance, market, DEPOSIT)
    if by_margin < min(amount, held):
        tx.limit("free_collateral", by_margin, amount, "what Initial margin lets the account take out")
    elif held < amount:
        tx.limit("deposit", held, amount, "a reduce-only withdrawal takes the deposit and no more")
    return min(amount, by_margin, held)


def transfer_deposit(tx: Transaction, ix: TransferDeposit) -> None:
    """Tokens from one account of an authority to another.

    Errors in order: ``ExchangePaused``, ``UnableToLoadAccountLoader`` (the same account twice), ``UserBankrupt``,
    ``InvalidPoolId``, those of ``withdraw_from_user``, ``InvalidPoolId``, ``NoSpotPositionAvailable``,
    ``InvalidSpotPosition``, ``SpotMarketVaultInvariantViolated``.
    """
    source, target, market = open_transfer(tx, ix)
    accrue(tx, market.market_index, True)
    move_deposit(tx, ix, source, target, market, ix.amount)
    validate_spot_market_vault_amount(market, tx.vaults(ix.market_index).spot_vault)


def open_transfer(tx: Transaction, ix: TransferDeposit) -> tuple[User, User, SpotMarket]:
    """Who gives, who receives and the market of a transfer that may go on, checked out; nothing has changed yet."""
    source = tx.write_user(ix.from_user)
    tx.require_signer(source.authority, "authority of the account,")
    require_not_paused(tx, EXCHANGE_DEPOSIT_PAUSED)
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    target = tx.write_user(ix.to_user)
    if source is target:
        raise SettlementError(ErrorCode.UnableToLoadAccountLoader)
    tx.require_signer(target.authority, "authority of the receiving account,")
    require_not_bankrupt(target)
    require_not_bankrupt(source)
    return source, target, tx.write_spot_market(ix.market_index)


def move_deposit(
    tx: Transaction, ix: TransferDeposit, source: User, target: User, market: SpotMarket, amount: int
) -> SpotPosition:
    """Take tokens out of one account and credit the other, with both events; the position that was credited."""
    require_same_pool(source, market)
    take_out(tx, source, ix.from_user, ix.market_index, amount, amount, True)
    emit_deposit(tx, source, market, "Withdraw", amount, "Transfer", target)
    require_same_pool(target, market)
    increment_total_deposits(target, amount, market.decimals, tx.spot_oracle(ix.market_index).price)
    position = target.spot_positions[force_get_spot_position_index(target, ix.market_index)]
    deposit_into_user(amount, market, position)
    emit_deposit(tx, target, market, "Deposit", amount, "Transfer", source)
    update_last_active_slot(target, tx.slot)
    return position


def deposit_into_spot_market_revenue_pool(tx: Transaction, ix: DepositIntoSpotMarketRevenuePool) -> None:
    """Tokens from the signer's wallet into a revenue pool, at the stored index.

    Errors in order: ``ExchangePaused``, ``InsufficientDeposit``, ``DefaultError`` (in settlement),
    ``TokenInsufficientFunds``, ``MaxDeposit``, ``MaxBorrows``, ``SpotMarketVaultInvariantViolated``.
    """
    authority, market = open_gift(tx, ix)
    deposit_into_pool(ix.amount, market, market.revenue_pool)
    tx.receive(authority, ix.market_index, ix.amount)
    validate_max_token_deposits_and_borrows(market)
    validate_spot_market_vault_amount(market, tx.vaults(ix.market_index).spot_vault)


def open_gift(tx: Transaction, ix: DepositIntoSpotMarketRevenuePool) -> tuple[bytes, SpotMarket]:
    """Who pays a gift to a revenue pool, and its market, checked out; ``DefaultError`` in settlement."""
    authority = key_from_text(ix.authority)
    tx.require_signer(authority, "payer")
    require_not_paused(tx, EXCHANGE_DEPOSIT_PAUSED)
    if ix.amount == 0:
        raise SettlementError(ErrorCode.InsufficientDeposit)
    market = tx.write_spot_market(ix.market_index)
    expired = market.expiry_ts != 0 and tx.now >= market.expiry_ts
    if market.status == STATUS_SETTLEMENT or market.status == STATUS_DELISTED or expired:
        raise SettlementError(ErrorCode.DefaultError, f"spot market {market.market_index} is in settlement")
    return authority, market


def swap(tx: Transaction, ix: Swap) -> None:
    """Tokens of one market for tokens of another, exchanged outside.

    Errors in order: ``ExchangePaused``, ``UserBankrupt``, ``InvalidSwap``, ``UserIsBeingLiquidated``,
    ``MarketFillOrderPaused``, ``InvalidPoolId``, ``NoSpotPositionAvailable``, those of ``withdraw_within_limits``,
    ``TokenInsufficientFunds``, ``NoSpotPositionAvailable``, ``InvalidSpotPosition``, ``MarketActionPaused``, those of
    ``validate_caps_after_swap``, those of ``check_withdraw_margin_requirement``, ``SpotMarketVaultInvariantViolated``.
    """
    user, market_in, market_out = open_swap(tx, ix)
    deposits_before = get_token_amount(market_out.deposit_balance, market_out, DEPOSIT)
    position_in = user.spot_positions[force_get_spot_position_index(user, ix.in_market_index)]
    withdraw_within_limits(ix.amount_in, market_in, user)
    if market_in.status == STATUS_REDUCE_ONLY and is_borrow(position_in):
        raise SettlementError(ErrorCode.ReduceOnlyWithdrawIncreasedRisk)
    tx.send_outside(ix.in_market_index, ix.amount_in)
    # looked for only now: until the first slot was filled, both tokens would be given the same free one
    position_out = user.spot_positions[force_get_spot_position_index(user, ix.out_market_index)]
    deposit_into_user(ix.amount_out, market_out, position_out)
    validate_deposit_allowed(position_out, market_out)
    tx.receive_from_outside(ix.out_market_index, ix.amount_out)
    validate_caps_after_swap(market_out, deposits_before)

    try:
        check_withdraw_margin_requirement(user, markets_of(tx), tx.now)
    except SettlementError as error:
        raise explain_swap(tx, error, user) from None
    update_last_active_slot(user, tx.slot)
    tx.emit(
        "SwapRecord",
        ts=tx.now,
        user=key_to_text(user.address),
        amount_out=ix.amount_out,
        amount_in=ix.amount_in,
        out_market_index=ix.out_market_index,
        in_market_index=ix.in_market_index,
        out_oracle_price=tx.spot_oracle(ix.out_market_index).price,
        in_oracle_price=tx.spot_oracle(ix.in_market_index).price,
        fee=0,
    )
    for market in (market_out, market_in):
        if tx.state.rulebook == RULEBOOK_VELOCITY:
            update_spot_market_twap_stats(market, tx.spot_oracle(market.market_index), tx.now)
        validate_spot_market_vault_amount(market, tx.vaults(market.market_index).spot_vault)


def open_swap(tx: Transaction, ix: Swap) -> tuple[User, SpotMarket, SpotMarket]:
    """The account and the markets of a swap that may go on, checked out, their interest accrued.

    Velocity moves the oracles' averages only after the margin was judged by them.
    """
    user = tx.write_user(ix.user)
    tx.require_authority_or_delegate(user)
    require_not_paused(tx, EXCHANGE_FILL_PAUSED)
    require_not_bankrupt(user)
    if ix.in_market_index == ix.out_market_index:
        raise SettlementError(ErrorCode.InvalidSwap, "the two markets of a swap must differ")
    if ix.amount_in == 0 or ix.amount_out == 0:
        raise SettlementError(ErrorCode.InvalidSwap, "both amounts of a swap must be above 0")
    market_in = tx.write_spot_market(ix.in_market_index)
    market_out = tx.write_spot_market(ix.out_market_index)
    validate_user_not_being_liquidated(user, markets_of(tx))
    for market in (market_in, market_out):
        if market.paused_operations & SPOT_FILL != 0:
            raise SettlementError(ErrorCode.MarketFillOrderPaused, f"fills of spot market {market.market_index} pause")
        require_same_pool(user, market)
        accrue(tx, market.market_index, with_oracle=tx.state.rulebook != RULEBOOK_VELOCITY)
    return user, market_in, market_out


# --- shared steps ----------------------------------------------------------------------------------------------


def validate_caps_after_swap(market: SpotMarket, deposits_before: int) -> None:
    """The caps of the market that tokens entered, whose deposits were ``deposits_before`` tokens.

    ``MaxDeposit``, then ``MaxBorrows`` under Drift; under Velocity ``MarketActionPaused`` while deposits are paused,
    ``MaxDeposit``, ``DailyDepositLimit``.
    """
    if market.rulebook != RULEBOOK_VELOCITY:
        validate_max_token_deposits_and_borrows(market)
        return
    require_deposits_not_paused(market)
    validate_max_token_deposits(market)
    validate_deposit_cap_after_increase(market, deposits_before)


def require_deposits_not_paused(market: SpotMarket) -> None:
    """``MarketActionPaused`` while a spot market of Velocity takes no deposits; Drift cannot pause them alone."""
    if spot_operation_paused(market, 0, VELOCITY_SPOT_DEPOSIT):
        raise SettlementError(
            ErrorCode.MarketActionPaused,
            f"deposits into spot market {market.market_index} are paused",
            "the same once they are resumed",
        )


def take_out(tx: Transaction, user: User, ref: str, market_index: int, amount: int, asked: int, transfer: bool) -> None:
    """``withdraw_from_user``; a refusal says what bound and how much would pass. ``asked``: the tokens before a fee."""
    try:
        withdraw_from_user(amount, market_index, user, markets_of(tx), tx.now, tx.slot)
    except SettlementError as error:
        raise explain_withdrawal(tx, error, user, ref, market_index, asked, transfer) from None


def require_not_bankrupt(user: User) -> None:
    """``UserBankrupt`` for an account that is flagged bankrupt."""
    if is_bankrupt(user):
        raise SettlementError(ErrorCode.UserBankrupt)


def emit_deposit(
    tx: Transaction,
    user: User,
    market: SpotMarket,
    direction: str,
    amount: int,
    explanation: str,
    transfer_user: User | None = None,
) -> None:
    """DepositRecord; it takes the market's next record id.

    Velocity's tells too who signed instead of the authority, and what the account then holds in all.
    """
    record_id = market.next_deposit_record_id
    market.next_deposit_record_id = record_id + 1
    more: dict[str, str | int | None] = {}
    if tx.state.rulebook == RULEBOOK_VELOCITY:
        more["signer"] = None if tx.signer == user.authority else key_to_text(tx.signer)
        more["user_token_amount_after"] = get_total_token_amount(user, market)
    tx.emit(
        "DepositRecord",
        ts=tx.now,
        user_authority=key_to_text(user.authority),
        user=key_to_text(user.address),
        direction=direction,
        deposit_record_id=record_id,
        amount=amount,
        market_index=market.market_index,
        oracle_price=tx.oracles[market.oracle_index].price,
        market_deposit_balance=market.deposit_balance,
        market_withdraw_balance=market.borrow_balance,
        market_cumulative_deposit_interest=market.cumulative_deposit_interest,
        market_cumulative_borrow_interest=market.cumulative_borrow_interest,
        total_deposits_after=user.total_deposits,
        total_withdraws_after=user.total_withdraws,
        explanation=explanation,
        transfer_user=None if transfer_user is None else key_to_text(transfer_user.address),
        **more,
    )


HANDLERS: dict[type[Instruction], Handler] = {
    Deposit: deposit,
    Withdraw: withdraw,
    TransferDeposit: transfer_deposit,
    DepositIntoSpotMarketRevenuePool: deposit_into_spot_market_revenue_pool,
    Swap: swap,
}

__all__ = ["EXPLAINERS", "HANDLERS"]
