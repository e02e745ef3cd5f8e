"""Builders' and referrers' shares of fees while they wait: accrued in a row of the payer's escrow, quote 1e6.

Source: velocity/pools-and-fees.md §4, §12; ``controller/revenue_share.rs``.
"""

from seawall.arithmetic import checked_u64
from seawall.lanes import rule
from seawall.state.perp_market import PerpMarket
from seawall.state.revenue_share import (
    REVENUE_SHARE_ROWS,
    ROW_COMPLETED,
    ROW_IN_USE,
    ROW_REFERRAL,
    RevenueShareEscrow,
    RevenueShareRow,
)


@rule
def is_referral_row(row: RevenueShareRow) -> bool:
    """Whether a referrer, not a builder, is owed."""
    return row.bit_flags & ROW_REFERRAL != 0


@rule
def is_completed_row(row: RevenueShareRow) -> bool:
    """Whether the orders behind a builder's row are done with, so that it may be paid."""
    return row.bit_flags & ROW_COMPLETED != 0


@rule
def is_free_row(row: RevenueShareRow) -> bool:
    """Whether a row is nobody's."""
    return row.bit_flags & ROW_IN_USE == 0


@rule
def find_free_row(escrow: RevenueShareEscrow) -> int:
    """The first free row of an escrow, −1 where all are in use."""
    for row in range(REVENUE_SHARE_ROWS):
        if is_free_row(escrow.rows[row]):
            return row
    return -1


@rule
def accrue_revenue_share(escrow: RevenueShareEscrow, row: int, market: PerpMarket, amount: int) -> None:
    """Owe a builder or referrer more (quote 1e6): in its row, and in what the market sets aside for all of them.

    ``MathError`` beyond 64 bits. Source: velocity/pools-and-fees.md §4.
    """
    escrow.rows[row].fees_accrued = checked_u64(escrow.rows[row].fees_accrued + amount)
    market.pending_revenue_share = checked_u64(market.pending_revenue_share + amount)


@rule
def complete_row(escrow: RevenueShareEscrow, row: int) -> None:
    """The orders behind a builder's row are done with: it may be paid; one that accrued nothing is free again."""
    if escrow.rows[row].fees_accrued == 0:
        escrow.rows[row].bit_flags = 0
        return
    if not is_completed_row(escrow.rows[row]):
        escrow.rows[row].bit_flags = escrow.rows[row].bit_flags + ROW_COMPLETED


@rule
def merge_rows(escrow: RevenueShareEscrow, into: int, source: int) -> None:
    """Add what one row accrued to another of the same beneficiary and market, and free it. ``MathError``."""
    escrow.rows[into].fees_accrued = checked_u64(escrow.rows[into].fees_accrued + escrow.rows[source].fees_accrued)
    escrow.rows[source].fees_accrued = 0
    escrow.rows[source].bit_flags = 0
