"""Deposits and withdrawals under Velocity, gifts to depositors, and the pause of a market whose vault falls short.

Swaps are Drift's, with Velocity's checks in their shared steps.
"""

from seawall.engine.explain import Explainer, Explanation
from seawall.engine.gates import require_not_paused, require_same_pool, require_spot_market_valid, required
from seawall.engine.handlers.deposit_refusals import EXPLAINERS as EXPLAINERS_OF_DRIFT
from seawall.engine.handlers.deposits import (
    credit_deposit,
    emit_deposit,
    move_deposit,
    open_deposit,
    open_gift,
    open_transfer,
    reduce_only_amount,
    require_deposits_not_paused,
    require_not_bankrupt,
    take_out,
)
from seawall.engine.interest import accrue
from seawall.engine.receipts import Limit
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.engine.withdrawals import markets_of
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import (
    Deposit,
    DepositIntoSpotMarketRevenuePool,
    DepositIntoSpotMarketVault,
    PauseSpotMarketDepositWithdraw,
    Swap,
    TransferDeposit,
    Withdraw,
)
from seawall.rules.common.balances import deposit_into_pool, get_token_amount
from seawall.rules.common.spot_operations import spot_operation_paused
from seawall.rules.common.spot_positions import force_get_spot_position_index
from seawall.rules.common.user_balances import is_borrow, validate_deposit_allowed
from seawall.rules.common.user_status import update_last_active_slot
from seawall.rules.common.vaults import validate_max_token_deposits, validate_spot_market_vault_amount
from seawall.rules.velocity.deposit_limits import (
    calculate_max_deposit_token_amount,
    validate_deposit_cap_after_increase,
)
from seawall.rules.velocity.interest_age import max_spot_interest_staleness_for_margin
from seawall.rules.velocity.isolated import CROSS
from seawall.rules.velocity.margin import update_scope_liquidation_status
from seawall.rules.velocity.user_balances import validate_caps_after_withdrawal
from seawall.rules.velocity.vault_deposit import raise_deposit_index
from seawall.state.enums import (
    DEPOSIT,
    EXCHANGE_DEPOSIT_PAUSED,
    EXCHANGE_WITHDRAW_PAUSED,
    STATUS_REDUCE_ONLY,
    VELOCITY_SPOT_DEPOSIT,
    VELOCITY_SPOT_WITHDRAW,
)
from seawall.state.spot_market import SpotMarket


def deposit(tx: Transaction, ix: Deposit) -> None:
    """Tokens from the signer's wallet into an account.

    Errors in order: ``ExchangePaused``, ``InsufficientDeposit``, ``UserBankrupt``, ``InvalidPoolId``,
    ``MarketBeingInitialized``, ``MarketActionPaused``, ``NoSpotPositionAvailable``, ``InvalidSpotPosition``,
    ``MarketActionPaused``, ``TokenInsufficientFunds``, ``SpotMarketVaultInvariantViolated``, ``MaxDeposit``,
    ``DailyDepositLimit``.
    """
    user, market = open_deposit(tx, ix)
    require_deposits_not_paused(market)
    accrue(tx, ix.market_index, True)
    deposits_before = get_token_amount(market.deposit_balance, market, DEPOSIT)
    amount, explanation = credit_deposit(tx, ix, user, market)
    # the flags of isolated positions stay: their collateral did not change
    update_scope_liquidation_status(user, CROSS, *markets_of(tx))
    update_last_active_slot(user, tx.slot)
    tx.receive(tx.signer, ix.market_index, amount)
    emit_deposit(tx, user, market, "Deposit", amount, explanation)
    validate_spot_market_vault_amount(market, tx.vaults(ix.market_index).spot_vault)
    validate_max_token_deposits(market)
    validate_deposit_cap_after_increase(market, deposits_before)


def withdraw(tx: Transaction, ix: Withdraw) -> None:
    """Tokens out of an account, borrowed where it holds too few, into the authority's wallet.

    Errors in order: ``ExchangePaused``, ``UserBankrupt``, ``InvalidPoolId``, ``NoSpotPositionAvailable``,
    ``ReduceOnlyWithdrawIncreasedRisk``, those of ``withdraw_from_user``, ``TokenInsufficientFunds``,
    ``SpotMarketVaultInvariantViolated``, ``MaxDeposit``, ``MaxBorrows``.
    """
    user = tx.write_user(ix.user)
    tx.require_signer(user.authority, "authority of the account,")
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    require_not_bankrupt(user)
    market = tx.write_spot_market(ix.market_index)
    require_same_pool(user, market)
    unrefreshed = market.historical_oracle_data.copy()
    accrue(tx, ix.market_index, True)
    # the margin check must not see the averages that this very instruction moved: deliberate, it is the program's
    refreshed, market.historical_oracle_data = market.historical_oracle_data, unrefreshed
    position = user.spot_positions[force_get_spot_position_index(user, ix.market_index)]
    amount = ix.amount
    if ix.reduce_only or market.status == STATUS_REDUCE_ONLY:
        amount = reduce_only_amount(tx, user, position, market, amount)
    take_out(tx, user, ix.user, ix.market_index, amount, amount, False)
    market.historical_oracle_data = refreshed
    emit_deposit(tx, user, market, "Withdraw", amount, "Borrow" if is_borrow(position) else "None")
    tx.send(user.authority, ix.market_index, amount)
    validate_spot_market_vault_amount(market, tx.vaults(ix.market_index).spot_vault)
    validate_caps_after_withdrawal(user, market)


def transfer_deposit(tx: Transaction, ix: TransferDeposit) -> None:
    """Tokens from one account of an authority to another; in a market in ReduceOnly what a withdrawal would get.

    The oracle's averages stay: the margin check must not see any that this very instruction moved. Errors in order:
    ``ExchangePaused``, ``UnableToLoadAccountLoader`` (the same account twice), ``UserBankrupt``,
    ``ReduceOnlyWithdrawIncreasedRisk``, ``InvalidPoolId``, those of ``withdraw_from_user``, ``InvalidPoolId``,
    ``NoSpotPositionAvailable``, ``InvalidSpotPosition``, ``MarketActionPaused`` (a deposit in a market that is not
    active), ``SpotMarketVaultInvariantViolated``, ``MaxDeposit``.
    """
    source, target, market = open_transfer(tx, ix)
    accrue(tx, ix.market_index, False)
    amount = ix.amount
    if market.status == STATUS_REDUCE_ONLY:
        position = source.spot_positions[force_get_spot_position_index(source, ix.market_index)]
        amount = reduce_only_amount(tx, source, position, market, amount)
    validate_deposit_allowed(move_deposit(tx, ix, source, target, market, amount), market)
    validate_spot_market_vault_amount(market, tx.vaults(ix.market_index).spot_vault)
    validate_max_token_deposits(market)


def deposit_into_spot_market_revenue_pool(tx: Transaction, ix: DepositIntoSpotMarketRevenuePool) -> None:
    """Tokens from the signer's wallet into a revenue pool, after the interest.

    Errors in order: ``ExchangePaused``, ``InsufficientDeposit``, ``DefaultError`` (in settlement),
    ``MarketActionPaused``, ``TokenInsufficientFunds``, ``MaxDeposit``, ``SpotMarketVaultInvariantViolated``.
    """
    authority, market = open_gift(tx, ix)
    require_deposits_not_paused(market)
    accrue(tx, ix.market_index, False)
    deposit_into_pool(ix.amount, market, market.revenue_pool)
    tx.receive(authority, ix.market_index, ix.amount)
    validate_max_token_deposits(market)
    validate_spot_market_vault_amount(market, tx.vaults(ix.market_index).spot_vault)


def deposit_into_spot_market_vault(tx: Transaction, ix: DepositIntoSpotMarketVault) -> None:
    """Tokens from the signer's wallet for all depositors of a market: the deposit index rises; no accrual.

    Errors in order: ``Unauthorized``, ``ExchangePaused``, ``MarketDelisted``, ``DefaultError`` (deposits paused, or
    nothing that the index could show), ``MathError`` (no deposits), ``TokenInsufficientFunds``,
    ``SpotMarketVaultInvariantViolated``, ``MaxDeposit``.
    """
    tx.require_admin()
    require_not_paused(tx, EXCHANGE_DEPOSIT_PAUSED)
    require_spot_market_valid(tx, ix.market_index)
    market = tx.write_spot_market(ix.market_index)
    if spot_operation_paused(market, 0, VELOCITY_SPOT_DEPOSIT):
        raise SettlementError(ErrorCode.DefaultError, f"deposits into spot market {ix.market_index} are paused")
    index_before = market.cumulative_deposit_interest
    with required(f"an amount that raises the deposit index {index_before} (1e10) of spot market {ix.market_index}"):
        tokens_before = raise_deposit_index(ix.amount, market)
    tx.receive(tx.signer, ix.market_index, ix.amount)
    validate_spot_market_vault_amount(market, tx.vaults(ix.market_index).spot_vault)
    validate_max_token_deposits(market)
    tx.emit(
        "SpotMarketVaultDepositRecord",
        ts=tx.now,
        market_index=ix.market_index,
        deposit_balance=market.deposit_balance,
        cumulative_deposit_interest_before=index_before,
        cumulative_deposit_interest_after=market.cumulative_deposit_interest,
        deposit_token_amount_before=tokens_before,
        amount=ix.amount,
    )


def pause_spot_market_deposit_withdraw(tx: Transaction, ix: PauseSpotMarketDepositWithdraw) -> None:
    """Set both pause bits; ``DefaultError`` unless the vault invariant is violated. Nobody can clear them here."""
    market = tx.write_spot_market(ix.market_index)
    vault = tx.vaults(ix.market_index).spot_vault
    if not _is_vault_short(market, vault):
        raise SettlementError(
            ErrorCode.DefaultError,
            f"the vault of spot market {ix.market_index} holds {vault} tokens and covers its claims",
            "the same once the vault falls short of them",
        )
    market.paused_operations |= VELOCITY_SPOT_DEPOSIT | VELOCITY_SPOT_WITHDRAW


def _is_vault_short(market: SpotMarket, vault: int) -> bool:
    try:
        validate_spot_market_vault_amount(market, vault)
    except SettlementError as error:
        if error.code == ErrorCode.SpotMarketVaultInvariantViolated:
            return True
        raise
    return False


def _explain_daily_deposits(tx: Transaction, ix: Instruction) -> Explanation:
    index = next(
        getattr(ix, name) for name in ("out_market_index", "spot_market_index", "market_index") if hasattr(ix, name)
    )
    market = tx.spot_market(index)
    cap = calculate_max_deposit_token_amount(
        market.deposit_token_twap, market.deposit_guard_threshold, market.max_deposit_bps_per_day
    )
    after = get_token_amount(market.deposit_balance, market, DEPOSIT)
    limit = Limit("max_deposit_bps_per_day", cap, after, f"tokens that spot market {index} may hold today")
    return (
        f"spot market {index} may hold {cap} tokens by the day's average and would hold {after}",
        f"at least {after - cap} tokens less now, or the same as the average rises",
        [limit],
    )


def _explain_max_deposit(tx: Transaction, ix: Instruction) -> Explanation:
    """What Drift's instructions say themselves; a withdrawal or a gift can meet the cap only under Velocity."""
    if isinstance(ix, (Deposit, DepositIntoSpotMarketRevenuePool, Swap)):
        return EXPLAINERS_OF_DRIFT[ErrorCode.MaxDeposit](tx, ix)
    index = ix.market_index  # type: ignore[attr-defined]
    market = tx.spot_market(index)
    cap, after = market.max_token_deposits, get_token_amount(market.deposit_balance, market, DEPOSIT)
    limit = Limit("max_token_deposits", cap, after, f"tokens that spot market {index} may hold")
    message = f"spot market {index} may hold {cap} tokens and would hold {after}"
    if isinstance(ix, Withdraw):
        return message, f"a withdrawal of {after - cap} tokens more, or the same once the cap is raised", [limit]
    return message, "the same once others withdrew or the admin raises the cap", [limit]


def _explain_stale_interest(tx: Transaction, ix: Withdraw | TransferDeposit | Swap) -> Explanation:
    user = tx.user(ix.from_user if isinstance(ix, TransferDeposit) else ix.user)
    limits = []
    for index in sorted({position.market_index for position in user.spot_positions if is_borrow(position)}):
        market = tx.spot_market(index)
        age, most = tx.now - market.last_interest_ts, max_spot_interest_staleness_for_margin(market)
        if age > most:
            note = f"seconds since the interest of spot market {index}, which the account owes in, was accrued"
            limits.append(Limit("spot_interest_staleness", most, age, note))
    return (
        "; ".join(f"{limit.note}: {limit.asked}, at most {limit.value}" for limit in limits),
        "the same after update_spot_market_cumulative_interest of each of these markets, which anybody may ask for",
        limits,
    )


HANDLERS: dict[type[Instruction], Handler] = {
    Deposit: deposit,
    Withdraw: withdraw,
    TransferDeposit: transfer_deposit,
    DepositIntoSpotMarketRevenuePool: deposit_into_spot_market_revenue_pool,
    DepositIntoSpotMarketVault: deposit_into_spot_market_vault,
    PauseSpotMarketDepositWithdraw: pause_spot_market_deposit_withdraw,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {
    ErrorCode.DailyDepositLimit: _explain_daily_deposits,
    ErrorCode.MaxDeposit: _explain_max_deposit,
    ErrorCode.SpotMarketInterestStaleForMargin: _explain_stale_interest,
}
