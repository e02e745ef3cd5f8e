"""Paying builders and referrers out of a market's P&L pool, and writing off what can never be paid."""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.explain import Explainer, Explanation
from seawall.engine.gates import require_perp_market_valid
from seawall.engine.handlers.pnl_refusals import quote
from seawall.engine.interest import accrue
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.revenue_share import ForfeitRevenueShareOrder, SettleRevenueShare
from seawall.keys import DEFAULT_KEY, key_from_text, key_to_text
from seawall.rules.common.expiry import pools_release_ts
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.velocity.drain_price import get_pnl_pool_drain_reserve_price
from seawall.rules.velocity.revenue_share import is_referral_row
from seawall.rules.velocity.revenue_share_payout import (
    NO_BENEFICIARY_ACCOUNT,
    NO_REACHABLE_BENEFICIARY,
    POOL_EXHAUSTED,
    ROW_FORFEITED,
    ROW_PAID,
    STILL_PAYABLE,
    add_reward,
    check_forfeit_row,
    clear_row,
    forfeit_reason,
    is_row_due,
    revenue_share_reserve,
    settle_revenue_share_row,
)
from seawall.state.enums import FEATURE_BUILDER_CODES, PERP_SETTLE_REV_POOL, USER_CLOSED
from seawall.state.perp_market import PerpMarket
from seawall.state.revenue_share import REVENUE_SHARE_ROWS, RevenueShareRow
from seawall.state.user import User

FORFEIT_REASONS = {
    NO_REACHABLE_BENEFICIARY: "UnresolvableBeneficiary",
    NO_BENEFICIARY_ACCOUNT: "NoBeneficiaryAccount",
    POOL_EXHAUSTED: "PoolExhausted",
}


def settle_revenue_share(tx: Transaction, ix: SettleRevenueShare) -> None:
    """Accrue quote interest, then pay an escrow's rows of one market.

    Errors: ``MarketDelisted``, ``UnableToLoadRevenueShareAccount``, ``PriceBandsBreached``,
    ``AMMNotUpdatedInSameSlot``, the oracle's, ``InvalidOracle``.
    """
    require_perp_market_valid(tx, ix.market_index)
    authority = key_from_text(ix.escrow)
    tx.revenue_share_escrow(authority)
    tx.write_quote_market()
    accrue(tx, QUOTE_SPOT_MARKET_INDEX, False)
    pay_revenue_shares(tx, authority, ix.market_index)


def pay_revenue_shares(tx: Transaction, authority: bytes, market_index: int) -> None:
    """Pay every row of the authority's escrow that is due in a market, as far as its P&L pool reaches.

    Interest is accrued by the caller. Without an escrow, without a row that is due, or while SettleRevPool is paused
    nothing happens; a builder's row waits while builder codes are off. Errors: those of the reserve price.
    """
    market = tx.write_perp_market(market_index)
    if market.paused_operations & PERP_SETTLE_REV_POOL or not tx.has_revenue_share_escrow(authority):
        return
    escrow = tx.revenue_share_escrow(authority)
    due = [i for i in range(REVENUE_SHARE_ROWS) if _is_payable(tx, escrow.rows[i], market)]
    if not due:
        return
    spot_market = tx.write_quote_market()
    escrow = tx.write_revenue_share_escrow(authority)
    oracle = tx.perp_oracle(market_index)
    price = get_pnl_pool_drain_reserve_price(market, oracle, tx.state.oracle_guard_rails, tx.slot)
    reserve = revenue_share_reserve(market, price)
    for number in due:
        row = escrow.rows[number]
        beneficiary = _beneficiary(tx, row.beneficiary)
        if beneficiary is None:
            note = f"{key_to_text(row.beneficiary)} has no account to be paid to"
            tx.limit("revenue_share", 0, row.fees_accrued, note)
            continue
        amount, is_referral = row.fees_accrued, is_referral_row(row)
        vault_owned = tx.user_stats(beneficiary.authority).is_vault_owned
        outcome = settle_revenue_share_row(row, market, spot_market, reserve, vault_owned, beneficiary)
        if outcome == ROW_PAID:
            _tell_payout(tx, market_index, beneficiary, amount, is_referral)
        elif outcome == ROW_FORFEITED:
            tx.limit("revenue_share", 0, amount, f"{key_to_text(beneficiary.authority)} is a vault's: it forfeits")
        else:
            held = get_pool_token_amount(market.pnl_pool, spot_market)
            note = (
                f"a row is paid whole or not at all: the P&L pool of perp market {market_index} holds {quote(held)}, "
                f"of which {quote(reserve)} are the users' and insurance's"
            )
            tx.limit("pnl_pool", max(0, held - reserve), amount, note)


def _is_payable(tx: Transaction, row: RevenueShareRow, market: PerpMarket) -> bool:
    return is_row_due(row, market) and (is_referral_row(row) or builder_codes_on(tx))


def builder_codes_on(tx: Transaction) -> bool:
    """Whether builders may be paid."""
    return tx.state.feature_bit_flags & FEATURE_BUILDER_CODES != 0


def _beneficiary(tx: Transaction, authority: bytes) -> User | None:
    """The account that a beneficiary is paid to, the first one of its authority; None where there is none."""
    ref = f"{key_to_text(authority)}/0"
    if authority == DEFAULT_KEY or tx.find_user(ref) is None:
        return None
    try:
        user = tx.write_user(ref)
    except SettlementError:
        return None
    return None if user.status == USER_CLOSED else user


def _tell_payout(tx: Transaction, market_index: int, beneficiary: User, amount: int, is_referral: bool) -> None:
    """Add to the beneficiary's totals, and RevenueShareSettleRecord."""
    stats = tx.write_user_stats(beneficiary.authority)
    if is_referral:
        stats.fees.total_referrer_reward = add_reward(stats.fees.total_referrer_reward, amount)
    else:
        stats.total_builder_reward = add_reward(stats.total_builder_reward, amount)
    name = key_to_text(beneficiary.authority)
    tx.emit(
        "RevenueShareSettleRecord",
        ts=tx.now,
        builder=None if is_referral else name,
        referrer=name if is_referral else None,
        fee_settled=amount,
        market_index=market_index,
        market_type="Perp",
        builder_sub_account_id=0,
        builder_total_referrer_rewards=stats.fees.total_referrer_reward,
        builder_total_builder_rewards=stats.total_builder_reward,
    )


# --- forfeits ----------------------------------------------------------------------------------------------------


def forfeit(tx: Transaction, ix: ForfeitRevenueShareOrder) -> None:
    """Write a row off that can never be paid: the market's counter falls, its tokens stay in the P&L pool.

    Errors: ``UnableToLoadRevenueShareAccount``, ``InvalidInstruction``, ``RevenueShareOrderHasNoFeesAccrued``,
    ``RevenueShareOrderMarketMismatch``, ``RevenueShareOrderNotForfeitable``.
    """
    if ix.row >= REVENUE_SHARE_ROWS:
        raise SettlementError(ErrorCode.InvalidInstruction, f"rows are numbered 0 to {REVENUE_SHARE_ROWS - 1}")
    market = tx.write_perp_market(ix.market_index)
    row = tx.write_revenue_share_escrow(key_from_text(ix.escrow)).rows[ix.row]
    check_forfeit_row(row, market)
    reason = _reason(tx, row, market)
    if reason == STILL_PAYABLE:
        raise SettlementError(ErrorCode.RevenueShareOrderNotForfeitable)
    amount, beneficiary, is_referral = row.fees_accrued, row.beneficiary, is_referral_row(row)
    clear_row(row, market, False)
    tx.emit(
        "RevenueShareForfeitRecord",
        ts=tx.now,
        escrow=ix.escrow,
        beneficiary=key_to_text(beneficiary),
        is_referral=is_referral,
        fee_forfeited=amount,
        market_index=ix.market_index,
        reason=FORFEIT_REASONS[reason],
    )


def _reason(tx: Transaction, row: RevenueShareRow, market: PerpMarket) -> int:
    has_account = _beneficiary(tx, row.beneficiary) is not None
    reachable = row.beneficiary != DEFAULT_KEY
    quote_market = tx.spot_market(QUOTE_SPOT_MARKET_INDEX)
    return forfeit_reason(row, market, quote_market, reachable, has_account, tx.state.settlement_duration, tx.now)


def _not_forfeitable(tx: Transaction, ix: ForfeitRevenueShareOrder) -> Explanation:
    market = tx.perp_market(ix.market_index)
    row = tx.revenue_share_escrow(key_from_text(ix.escrow)).rows[ix.row]
    last = pools_release_ts(market.expiry_ts, tx.state.settlement_duration)
    if market.expiry_ts and _beneficiary(tx, row.beneficiary) is None:
        return (
            f"{key_to_text(row.beneficiary)} may open an account to be paid to until {last}",
            f"the same after {last}",
            [],
        )
    return (
        f"the {quote(row.fees_accrued)} of {key_to_text(row.beneficiary)} can still be paid",
        "settle_revenue_share, or the same once the market is settled to the end and its P&L pool holds less",
        [],
    )


HANDLERS: dict[type[Instruction], Handler] = {
    SettleRevenueShare: settle_revenue_share,
    ForfeitRevenueShareOrder: forfeit,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {ErrorCode.RevenueShareOrderNotForfeitable: _not_forfeitable}
