"""Builders' and referrers' shares of fees, kept beside the account that pays them until they are paid out (Velocity).

Source: velocity/pools-and-fees.md §12; ``state/revenue_share.rs``.
"""

from typing import Annotated, Final

from seawall.records import Length, Record, key, record, u8, u16, u64

REVENUE_SHARE_ROWS: Final = 16
"""Rows of one escrow."""

ROW_IN_USE: Final = 1
ROW_COMPLETED: Final = 4
ROW_REFERRAL: Final = 8


@record
class RevenueShareRow(Record):
    """What one builder or referrer is owed in one perp market: fees quote 1e6, the builder's rate in tenths of a bp.

    ``bit_flags`` are ``ROW_…``; a builder's row is payable once completed, a referrer's at any time.
    """

    beneficiary: key
    fees_accrued: u64
    fee_tenth_bps: u16
    market_index: u16
    bit_flags: u8


@record
class RevenueShareEscrow(Record):
    """The rows of one authority, who pays the fees; the builders it approved are those with a row or a rate."""

    authority: key
    rows: Annotated[list[RevenueShareRow], Length(REVENUE_SHARE_ROWS)]


@record
class ApprovedBuilder(Record):
    """An authority's leave for a builder to charge up to ``max_fee_tenth_bps`` (tenths of a basis point); 0 revokes."""

    authority: key
    builder: key
    max_fee_tenth_bps: u16
