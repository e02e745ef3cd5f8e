"""P&L settlement, market expiry and the administrator's moves between pools under Velocity."""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.explain import Explainer, Explanation
from seawall.engine.gates import is_paused, require_not_paused, require_perp_market_valid
from seawall.engine.handlers.amm import emit_funding_payment
from seawall.engine.handlers.pnl import check_quote_vault, emit_settlement, settle_in_order
from seawall.engine.handlers.pnl_refusals import explain_settlement, note_limits, quote
from seawall.engine.handlers.velocity.pnl_refusals import TELLERS, explain_delisting
from seawall.engine.handlers.velocity.revenue_payout import builder_codes_on, pay_revenue_shares
from seawall.engine.handlers.velocity.sweep import emit_sweep, note_sweep_limits
from seawall.engine.interest import accrue, emit_interest
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.pnl import (
    DepositIntoPerpMarketFeePool,
    SettleExpiredMarket,
    SettleExpiredMarketPoolsToRevenuePool,
    SettleMultiplePnls,
    SettlePnl,
    TransferFeeAndPnlPool,
    UpdatePerpMarketPnlPool,
)
from seawall.rules.common.amm_refresh import update_amm
from seawall.rules.common.balances import deposit_into_pool
from seawall.rules.common.expiry import settle_expired_market
from seawall.rules.common.pnl import MARGIN_NOT_JUDGED
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.velocity.amm_books import record_credit
from seawall.rules.velocity.expiry import settle_expired_market_pools_to_revenue_pool
from seawall.rules.velocity.pool_transfers import execute_transfer_between_pools
from seawall.rules.velocity.settlement import close_expired_position, refresh_and_settle_pnl
from seawall.state.enums import (
    EXCHANGE_AMM_PAUSED,
    EXCHANGE_FUNDING_PAUSED,
    EXCHANGE_SETTLE_PNL_PAUSED,
    MUST_SETTLE,
    STATUS_SETTLEMENT,
)
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts, SweepFacts
from seawall.state.user import User

# --- settlement --------------------------------------------------------------------------------------------------


def settle_one(tx: Transaction, ix: SettlePnl) -> None:
    """Settle one market's P&L, or close an expired position; pay revenue shares; then the vault check.

    Errors: ``ExchangePaused``, ``InvalidPoolId``, those of the rules ``settle_pnl`` and ``settle_expired_position``,
    ``SpotMarketVaultInvariantViolated``.
    """
    require_not_paused(tx, EXCHANGE_SETTLE_PNL_PAUSED)
    settle_account(tx, ix.user, ix.market_index)


def settle_account(tx: Transaction, user_ref: str, market_index: int) -> SettlePnlFacts:
    """One account's settlement in one market as an instruction of its own; what became of it."""
    user = tx.write_user(user_ref)
    if user.pool_id != 0:
        raise SettlementError(
            ErrorCode.InvalidPoolId,
            f"the account is of pool {user.pool_id}; only those of pool 0 have perp positions",
            "an account of pool 0",
        )
    tx.write_quote_market()
    facts = settle_market(tx, user, market_index, MUST_SETTLE, MARGIN_NOT_JUDGED)
    check_quote_vault(tx)
    return facts


def settle_multiple(tx: Transaction, ix: SettleMultiplePnls) -> None:
    """Settle several markets' P&L in order; then the vault check.

    Errors: as ``settle_one``, without ``InvalidPoolId``.
    """
    settle_in_order(tx, ix, settle_market)


def settle_market(
    tx: Transaction, user: User, market_index: int, mode: int, margin_verdict: int, facts: SettlePnlFacts | None = None
) -> SettlePnlFacts:
    """Refresh a market's AMM and settle the user's P&L in it; in a market in Settlement close the position.

    After a settlement that was made, the account's builders and referrer are paid while builder codes are on. User and
    quote market are checked out already. What cut the claim goes to the receipt; errors explain themselves. ``facts``,
    where given, has what was noted also after an error.
    """
    expired = tx.write_perp_market(market_index).status == STATUS_SETTLEMENT
    facts = SettlePnlFacts() if facts is None else facts
    interest, funding, sweep = InterestFacts(), FundingPaymentFacts(), SweepFacts()
    if expired:
        require_not_paused(tx, EXCHANGE_AMM_PAUSED)
    funding_paused = is_paused(tx, EXCHANGE_FUNDING_PAUSED)
    try:
        if expired:
            close_expired_position(
                user, market_index, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, tx.now, tx.slot,
                funding_paused, interest, funding, facts,
            )  # fmt: skip
        else:
            refresh_and_settle_pnl(
                user, market_index, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, tx.now, tx.slot, mode,
                margin_verdict, tx.is_authority_or_delegate(user), funding_paused, tx.config.revenue_pool_draw_for_pnl,
                tx.config.tokenize_spread_surplus, interest, funding, facts, sweep,
            )  # fmt: skip
    except SettlementError as error:
        raise explain_settlement(tx, user, market_index, error.code, facts, TELLERS) from error
    emit_interest(tx, interest)
    emit_funding_payment(tx, user, funding)
    emit_sweep(tx, sweep)
    note_limits(tx, user, market_index, facts, TELLERS)
    if facts.settled:
        emit_settlement(tx, user, facts, "ExpiredPosition" if expired else "None")
        if builder_codes_on(tx):
            pay_revenue_shares(tx, user.authority, market_index)
    return facts


# --- the end of a market -----------------------------------------------------------------------------------------


def expire_market(tx: Transaction, ix: SettleExpiredMarket) -> None:
    """Refresh the AMM, then fix the expiry price; no pause applies.

    Errors: ``Unauthorized``, those of ``rules.common.expiry.settle_expired_market``.
    """
    tx.require_admin()
    market = tx.write_perp_market(ix.market_index)
    spot_market = tx.write_quote_market()
    update_amm(market, tx.perp_oracle(ix.market_index), tx.state.oracle_guard_rails, tx.now, tx.slot)
    settle_expired_market(market, spot_market, tx.now)


def release_expired_pools(tx: Transaction, ix: SettleExpiredMarketPoolsToRevenuePool) -> None:
    """Accrue quote interest, sweep the market a last time, hand what is left to the revenue pool, delist it.

    Errors: ``Unauthorized``, ``MarketDelisted``, ``DefaultError``, ``UnsettledRevenueShareOnDelist``,
    ``SpotMarketVaultInvariantViolated``.
    """
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    market = tx.write_perp_market(ix.market_index)
    spot_market = tx.write_quote_market()
    accrue(tx, QUOTE_SPOT_MARKET_INDEX, False)
    sweep = SweepFacts()
    try:
        settle_expired_market_pools_to_revenue_pool(
            market, spot_market, tx.state.settlement_duration, tx.now, tx.config.tokenize_spread_surplus, sweep
        )
    except SettlementError as error:
        if error.code == ErrorCode.DefaultError:
            raise explain_delisting(tx, market) from error
        raise
    emit_sweep(tx, sweep)
    note_sweep_limits(tx, market, sweep)


def _unsettled_revenue_share(tx: Transaction, ix: SettleExpiredMarketPoolsToRevenuePool) -> Explanation:
    owed = tx.perp_market(ix.market_index).pending_revenue_share
    return (
        f"builders and referrers are still owed {quote(owed)} of perp market {ix.market_index}",
        "the same after settle_revenue_share of every escrow, and forfeit_revenue_share_order of what cannot be paid",
        [],
    )


# --- the administrator's moves -----------------------------------------------------------------------------------


def deposit_into_fee_pool(tx: Transaction, ix: DepositIntoPerpMarketFeePool) -> None:
    """Accrue quote interest, then credit the fee pool and the AMM's equity with the signer's tokens.

    Errors: ``Unauthorized``, ``MarketDelisted``, ``TokenInsufficientFunds``, ``SpotMarketVaultInvariantViolated``.
    """
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    market = tx.write_perp_market(ix.market_index)
    accrue(tx, QUOTE_SPOT_MARKET_INDEX, False)
    record_credit(market.amm, ix.amount)
    deposit_into_pool(ix.amount, tx.write_quote_market(), market.amm.fee_pool)
    tx.receive(tx.signer, QUOTE_SPOT_MARKET_INDEX, ix.amount)
    check_quote_vault(tx)


def transfer_fee_and_pnl_pool(tx: Transaction, ix: TransferFeeAndPnlPool) -> None:
    """Accrue quote interest, then move tokens between a fee pool and a P&L pool.

    Within a market the AMM's equity stays: it says what the AMM earned, not where it lies; deliberate, it is the
    program's. Errors: ``Unauthorized``, ``MarketDelisted``, ``DefaultError`` (the source holds less),
    ``SpotMarketVaultInvariantViolated``.
    """
    tx.require_admin()
    require_perp_market_valid(tx, ix.perp_market_index_with_fee_pool)
    require_perp_market_valid(tx, ix.perp_market_index_with_pnl_pool)
    payer = tx.write_perp_market(ix.perp_market_index_with_fee_pool)
    other = tx.write_perp_market(ix.perp_market_index_with_pnl_pool)
    spot_market = tx.write_quote_market()
    accrue(tx, QUOTE_SPOT_MARKET_INDEX, False)
    to_pnl = ix.direction == "FeeToPnlPool"
    source, target = (payer.amm.fee_pool, other.pnl_pool) if to_pnl else (other.pnl_pool, payer.amm.fee_pool)
    held = get_pool_token_amount(source, spot_market)
    if ix.amount > held:
        tx.limit("fee_pool" if to_pnl else "pnl_pool", held, ix.amount, "what the source holds")
        raise SettlementError(
            ErrorCode.DefaultError,
            f"the {'fee' if to_pnl else 'P&L'} pool holds {quote(held)}, not {quote(ix.amount)}",
            f"an amount up to {held}",
        )
    execute_transfer_between_pools(ix.amount, spot_market, source, target)
    if payer.market_index != other.market_index:
        payer.amm.total_fee_minus_distributions += -ix.amount if to_pnl else ix.amount
    check_quote_vault(tx)
    tx.emit(
        "TransferFeeAndPnlPoolRecord",
        ts=tx.now,
        slot=tx.slot,
        perp_market_index_with_fee_pool=ix.perp_market_index_with_fee_pool,
        perp_market_index_with_pnl_pool=ix.perp_market_index_with_pnl_pool,
        direction=ix.direction,
        amount=ix.amount,
    )


def update_pnl_pool(tx: Transaction, ix: UpdatePerpMarketPnlPool) -> None:
    """Accrue quote interest, then credit the P&L pool with tokens that nobody claims yet.

    Errors: ``Unauthorized``, ``MarketDelisted``, ``SpotMarketVaultInvariantViolated`` (they are claimed already).
    """
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    market = tx.write_perp_market(ix.market_index)
    spot_market = tx.write_quote_market()
    accrue(tx, QUOTE_SPOT_MARKET_INDEX, False)
    deposit_into_pool(ix.amount, spot_market, market.pnl_pool)
    check_quote_vault(tx)


HANDLERS: dict[type[Instruction], Handler] = {
    SettlePnl: settle_one,
    SettleMultiplePnls: settle_multiple,
    SettleExpiredMarket: expire_market,
    SettleExpiredMarketPoolsToRevenuePool: release_expired_pools,
    DepositIntoPerpMarketFeePool: deposit_into_fee_pool,
    TransferFeeAndPnlPool: transfer_fee_and_pnl_pool,
    UpdatePerpMarketPnlPool: update_pnl_pool,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {ErrorCode.UnsettledRevenueShareOnDelist: _unsettled_revenue_share}
