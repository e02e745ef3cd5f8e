"""The rows of a revenue share escrow: whose is which, and which one a fill accrues in.

Seawall keeps no order book, so that a builder's row stands for the orders of one authority, market, builder and rate:
one that its orders still feed, and one of completed orders, which waits to be paid. Source: velocity/pools-and-fees.md
§12; ``state/revenue_share.rs``.
"""

from typing import NamedTuple

from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.keys import key_from_text, key_to_text
from seawall.rules.velocity.revenue_share import (
    complete_row,
    find_free_row,
    is_completed_row,
    is_free_row,
    is_referral_row,
    merge_rows,
)
from seawall.state.enums import FEATURE_BUILDER_CODES
from seawall.state.revenue_share import (
    REVENUE_SHARE_ROWS,
    ROW_IN_USE,
    ROW_REFERRAL,
    RevenueShareEscrow,
    RevenueShareRow,
)

NO_ROW = -1


class BuilderRow(NamedTuple):
    """The row of a taker's escrow that its builder's fees accrue in, checked out; the rate in tenths of a bp."""

    escrow: RevenueShareEscrow
    row: int
    builder: bytes
    market_index: int
    fee_tenth_bps: int

    def complete(self) -> None:
        """The order is done with: what accrued is due, together with what waits from earlier orders."""
        done = find_builder_row(self.escrow, self.builder, self.market_index, self.fee_tenth_bps, completed=True)
        if done == NO_ROW:
            complete_row(self.escrow, self.row)
        else:
            merge_rows(self.escrow, done, self.row)


def find_builder_row(
    escrow: RevenueShareEscrow, builder: bytes, market_index: int, fee_tenth_bps: int, *, completed: bool
) -> int:
    """The builder's row for a market and a rate, of completed orders or of others; −1 without."""
    for number, row in enumerate(escrow.rows):
        if (
            _is_row_of(row, builder, market_index)
            and not is_referral_row(row)
            and row.fee_tenth_bps == fee_tenth_bps
            and is_completed_row(row) == completed
        ):
            return number
    return NO_ROW


def _is_row_of(row: RevenueShareRow, beneficiary: bytes, market_index: int) -> bool:
    return not is_free_row(row) and row.beneficiary == beneficiary and row.market_index == market_index


def open_row(escrow: RevenueShareEscrow, row: RevenueShareRow) -> int:
    """Put a new row in the first free place; −1 without one."""
    number = find_free_row(escrow)
    if number != NO_ROW:
        escrow.rows[number] = row
    return number


def builder_row(
    tx: Transaction, authority: bytes, market_index: int, builder: str | None, fee_tenth_bps: int
) -> BuilderRow | None:
    """The row for an order that names a builder; None for one that names none.

    ``InvalidBuilderFee`` for a rate without a builder or beyond what was approved, ``BuilderCodesDisabled``,
    ``BuilderRevoked``, ``UnableToLoadRevenueShareAccount`` without an escrow, ``RevenueShareEscrowOrdersAccountFull``.
    """
    if builder is None:
        if fee_tenth_bps:
            raise SettlementError(ErrorCode.InvalidBuilderFee, "a builder's fee without a builder", "0")
        return None
    require_builder_codes(tx)
    key = key_from_text(builder)
    approved = tx.approved_fee(authority, key)
    if approved == 0:
        raise SettlementError(
            ErrorCode.BuilderRevoked,
            f"{key_to_text(authority)} has not approved {builder}",
            "the same after change_approved_builder",
        )
    if fee_tenth_bps > approved:
        tx.limit("max_fee_tenth_bps", approved, fee_tenth_bps, "what the authority lets the builder charge")
        raise SettlementError(
            ErrorCode.InvalidBuilderFee,
            f"at most {approved} tenths of a basis point are approved",
            f"builder_fee_tenth_bps up to {approved}",
        )
    escrow = tx.write_revenue_share_escrow(authority)
    row = find_builder_row(escrow, key, market_index, fee_tenth_bps, completed=False)
    if row == NO_ROW:
        row = open_row(
            escrow,
            RevenueShareRow(
                beneficiary=key, fee_tenth_bps=fee_tenth_bps, market_index=market_index, bit_flags=ROW_IN_USE
            ),
        )
    if row == NO_ROW:
        raise SettlementError(
            ErrorCode.RevenueShareEscrowOrdersAccountFull,
            f"all {REVENUE_SHARE_ROWS} rows of the escrow are in use",
            "the same once a row was paid out",
        )
    return BuilderRow(escrow, row, key, market_index, fee_tenth_bps)


def require_builder_codes(tx: Transaction) -> None:
    """``BuilderCodesDisabled`` while the feature is off."""
    if tx.state.feature_bit_flags & FEATURE_BUILDER_CODES == 0:
        raise SettlementError(
            ErrorCode.BuilderCodesDisabled, "builder codes are switched off", "the same once the feature is on"
        )


def find_or_open_referral_row(tx: Transaction, authority: bytes, referrer: bytes, market_index: int) -> int:
    """The row that a referrer's rewards accrue in, opened with the escrow itself if need be; −1 without room."""
    if not tx.has_revenue_share_escrow(authority):
        tx.add_revenue_share_escrow(RevenueShareEscrow(authority=authority))
    escrow = tx.write_revenue_share_escrow(authority)
    for number, row in enumerate(escrow.rows):
        if _is_row_of(row, referrer, market_index) and is_referral_row(row):
            return number
    flags = ROW_IN_USE + ROW_REFERRAL
    return open_row(escrow, RevenueShareRow(beneficiary=referrer, market_index=market_index, bit_flags=flags))
