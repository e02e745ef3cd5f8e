"""What builders and referrers are owed out of an authority's fees, and which builders it approved (Velocity)."""

import msgspec

from seawall.engine.store import Store
from seawall.errors import ErrorCode, SettlementError
from seawall.keys import key_from_text, key_to_text
from seawall.rules.velocity.revenue_share import is_completed_row, is_free_row, is_referral_row


class RevenueShare(msgspec.Struct, frozen=True, kw_only=True):
    """One row of an escrow: ``kind`` is ``builder`` or ``referrer``; ``due``: it may be paid, if the P&L pool can.

    ``fees_accrued`` is quote 1e6, ``fee_tenth_bps`` a builder's rate in tenths of a basis point.
    """

    row: int
    kind: str
    beneficiary: str
    market_index: int
    fees_accrued: int
    fee_tenth_bps: int
    due: bool


class RevenueShares(msgspec.Struct, frozen=True, kw_only=True):
    """An authority's escrow: its rows in use, and the most that each approved builder may charge (tenths of a bp)."""

    authority: str
    rows: list[RevenueShare]
    approved_builders: dict[str, int]


def revenue_shares(store: Store, authority: str) -> RevenueShares:
    """The escrow of an authority; ``UnableToLoadRevenueShareAccount`` where it has none, ``InvalidInstruction``."""
    try:
        key = key_from_text(authority)
    except ValueError as error:
        raise SettlementError(ErrorCode.InvalidInstruction, str(error)) from None
    index = store.revenue_share_escrows.index.get(key)
    if index is None:
        raise SettlementError(ErrorCode.UnableToLoadRevenueShareAccount, f"{authority} has no revenue share escrow")
    rows = [
        RevenueShare(
            row=number,
            kind="referrer" if is_referral_row(row) else "builder",
            beneficiary=key_to_text(row.beneficiary),
            market_index=row.market_index,
            fees_accrued=row.fees_accrued,
            fee_tenth_bps=row.fee_tenth_bps,
            due=row.fees_accrued > 0 and (is_referral_row(row) or is_completed_row(row)),
        )
        for number, row in enumerate(store.revenue_share_escrows.read(index).rows)
        if not is_free_row(row)
    ]
    approved: dict[str, int] = {}
    for i in range(store.approved_builders.count):
        item = store.approved_builders.read(i)
        if item.authority == key and item.max_fee_tenth_bps:
            approved[key_to_text(item.builder)] = item.max_fee_tenth_bps
    return RevenueShares(authority=key_to_text(key), rows=rows, approved_builders=approved)
