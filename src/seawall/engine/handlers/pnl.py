"""P&L settlement and market expiry."""

from collections.abc import Callable

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.explain import Explainer
from seawall.engine.gates import require_not_paused, require_perp_market_valid
from seawall.engine.handlers.amm import emit_funding_payment
from seawall.engine.handlers.pnl_refusals import EXPLAINERS as REFUSALS
from seawall.engine.handlers.pnl_refusals import explain_pools_release, explain_settlement, note_limits
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
    UpdatePerpMarketAmmSummaryStats,
)
from seawall.keys import key_to_text
from seawall.rules.common.amm_refresh import update_amm
from seawall.rules.common.amm_validation import validate_perp_market
from seawall.rules.common.balances import deposit_into_pool
from seawall.rules.common.expiry import settle_expired_market
from seawall.rules.common.margin import meets_settle_pnl_maintenance_margin_requirement
from seawall.rules.common.pnl import MARGIN_NOT_JUDGED
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.rules.drift.expiry import settle_expired_market_pools_to_revenue_pool
from seawall.rules.drift.pools import recalculate_amm_summary_stats
from seawall.rules.drift.settlement import close_expired_position, refresh_and_settle_pnl
from seawall.state.enums import (
    EXCHANGE_AMM_PAUSED,
    EXCHANGE_SETTLE_PNL_PAUSED,
    MUST_SETTLE,
    STATUS_SETTLEMENT,
    SettlePnlMode,
)
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts
from seawall.state.user import User


def settle_one(tx: Transaction, ix: SettlePnl) -> None:
    """Settle one market's P&L, or close an expired position; then the vault check.

    Errors: ``ExchangePaused``, those of the rules ``settle_pnl`` and ``settle_expired_position``,
    ``SpotMarketVaultInvariantViolated``.
    """
    require_not_paused(tx, EXCHANGE_SETTLE_PNL_PAUSED)
    user = tx.write_user(ix.user)
    tx.write_quote_market()
    settle_market(tx, user, ix.market_index, MUST_SETTLE, MARGIN_NOT_JUDGED)
    check_quote_vault(tx)


def settle_multiple(tx: Transaction, ix: SettleMultiplePnls) -> None:
    """Settle several markets' P&L in order; then the vault check. Errors: as ``settle_one``."""
    settle_in_order(tx, ix, settle_market)


def settle_in_order(
    tx: Transaction, ix: SettleMultiplePnls, settle: Callable[[Transaction, User, int, int, int], SettlePnlFacts]
) -> None:
    """Settle several markets' P&L with a rulebook's ``settle_market``, the margin judged once before anything changes.

    The verdict is asked for even when no loss is settled: a calculation that fails refuses all; deliberate.
    """
    require_not_paused(tx, EXCHANGE_SETTLE_PNL_PAUSED)
    user = tx.write_user(ix.user)
    tx.write_quote_market()
    mode = int(SettlePnlMode[ix.mode])
    meets = meets_settle_pnl_maintenance_margin_requirement(
        user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state
    )
    for market_index in ix.market_indexes:
        settle(tx, user, market_index, mode, int(meets))
    check_quote_vault(tx)


def settle_market(tx: Transaction, user: User, market_index: int, mode: int, margin_verdict: int) -> SettlePnlFacts:
    """Refresh a market's AMM and settle the user's P&L in it; in a market in Settlement close the position.

    User and quote market are checked out already. What cut the claim goes to the receipt; errors explain themselves.
    """
    expired = tx.write_perp_market(market_index).status == STATUS_SETTLEMENT
    interest, funding, facts = InterestFacts(), FundingPaymentFacts(), SettlePnlFacts()
    if expired:
        require_not_paused(tx, EXCHANGE_AMM_PAUSED)
    try:
        if expired:
            close_expired_position(
                user, market_index, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, tx.now, tx.slot, interest,
                funding, facts,
            )  # fmt: skip
        else:
            refresh_and_settle_pnl(
                user, market_index, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, tx.now, tx.slot, mode,
                margin_verdict, tx.is_authority_or_delegate(user), interest, funding, facts,
            )  # fmt: skip
    except SettlementError as error:
        raise explain_settlement(tx, user, market_index, error.code, facts) from error
    emit_interest(tx, interest)
    emit_funding_payment(tx, user, funding)
    note_limits(tx, user, market_index, facts)
    if facts.settled:
        emit_settlement(tx, user, facts, "ExpiredPosition" if expired else "None")
    return facts


def emit_settlement(tx: Transaction, user: User, facts: SettlePnlFacts, explanation: str) -> None:
    """SettlePnlRecord of a settlement that was made."""
    tx.emit(
        "SettlePnlRecord",
        ts=tx.now,
        user=key_to_text(user.address),
        market_index=facts.market_index,
        pnl=facts.pnl,
        base_asset_amount=facts.base_asset_amount,
        quote_asset_amount_after=facts.quote_asset_amount_after,
        quote_entry_amount=facts.quote_entry_amount,
        settle_price=facts.settle_price,
        explanation=explanation,
    )


def check_quote_vault(tx: Transaction) -> None:
    """``SpotMarketVaultInvariantViolated`` where the quote vault no longer covers its claims."""
    market = tx.write_quote_market()
    validate_spot_market_vault_amount(market, tx.vaults(QUOTE_SPOT_MARKET_INDEX).spot_vault)


def expire_market(tx: Transaction, ix: SettleExpiredMarket) -> None:
    """Refresh the AMM, then fix the expiry price.

    Errors: ``ExchangePaused``, those of ``rules.common.expiry.settle_expired_market``.
    """
    require_not_paused(tx, EXCHANGE_SETTLE_PNL_PAUSED)
    market = tx.write_perp_market(ix.market_index)
    spot_market = tx.write_quote_market()
    update_amm(market, tx.perp_oracle(ix.market_index), tx.state.oracle_guard_rails, tx.now, tx.slot)
    settle_expired_market(market, spot_market, tx.now)


def release_expired_pools(tx: Transaction, ix: SettleExpiredMarketPoolsToRevenuePool) -> None:
    """Accrue quote interest, then hand the pools over.

    Errors: ``Unauthorized``, ``MarketDelisted``, ``DefaultError``, ``SpotMarketVaultInvariantViolated``.
    """
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    market = tx.write_perp_market(ix.market_index)
    spot_market = tx.write_quote_market()
    accrue(tx, QUOTE_SPOT_MARKET_INDEX, False)
    try:
        settle_expired_market_pools_to_revenue_pool(market, spot_market, tx.state.settlement_duration, tx.now)
    except SettlementError as error:
        if error.code == ErrorCode.DefaultError:
            raise explain_pools_release(tx, market) from error
        raise


def deposit_into_fee_pool(tx: Transaction, ix: DepositIntoPerpMarketFeePool) -> None:
    """Credit the fee pool and the AMM's earnings at the stored index, without accrual or vault check: deliberate.

    Errors: ``Unauthorized``, ``MarketDelisted``, ``TokenInsufficientFunds``.
    """
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    market = tx.write_perp_market(ix.market_index)
    market.amm.total_fee_minus_distributions += ix.amount
    deposit_into_pool(ix.amount, tx.write_quote_market(), market.amm.fee_pool)
    tx.receive(tx.signer, QUOTE_SPOT_MARKET_INDEX, ix.amount)


def update_amm_summary_stats(tx: Transaction, ix: UpdatePerpMarketAmmSummaryStats) -> None:
    """Overwrite unsettled funding if given, recompute the earnings if asked, then the market's invariants.

    Errors: ``Unauthorized``, ``MarketDelisted``, ``InvalidOracle``, ``InvalidAmmDetected``, ``InvalidPositionDelta``.
    """
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    market = tx.write_perp_market(ix.market_index)
    if ix.net_unsettled_funding_pnl is not None:
        market.amm.net_unsettled_funding_pnl = ix.net_unsettled_funding_pnl
    if ix.update_amm_summary_stats:
        price = tx.perp_oracle(ix.market_index).price
        recalculate_amm_summary_stats(market, tx.spot_market(QUOTE_SPOT_MARKET_INDEX), price)
    validate_perp_market(market)


HANDLERS: dict[type[Instruction], Handler] = {
    SettlePnl: settle_one,
    SettleMultiplePnls: settle_multiple,
    SettleExpiredMarket: expire_market,
    SettleExpiredMarketPoolsToRevenuePool: release_expired_pools,
    DepositIntoPerpMarketFeePool: deposit_into_fee_pool,
    UpdatePerpMarketAmmSummaryStats: update_amm_summary_stats,
}

EXPLAINERS: dict[ErrorCode, Explainer] = dict(REFUSALS)
