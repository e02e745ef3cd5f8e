"""Revenue shares of builders and referrers (Velocity)."""

from seawall.instructions.base import Instruction, Key
from seawall.records import u8, u16


class InitializeRevenueShareEscrow(Instruction, frozen=True, kw_only=True):
    """Create the rows in which an authority's builders and referrer accrue their shares. Signer: the authority.

    A builder needs them; for a referrer they are created when the first fill rewards it.
    Source: velocity/pools-and-fees.md §12; ``handle_initialize_revenue_share_escrow``.
    """

    authority: Key


class ChangeApprovedBuilder(Instruction, frozen=True, kw_only=True):
    """Let a builder charge up to a fee (tenths of a basis point of the quote); 0 revokes. Signer: the authority.

    A builder whose rows still owe it something, or are still fed by orders, is not revoked. Source:
    velocity/pools-and-fees.md §12; ``handle_change_approved_builder``.
    """

    authority: Key
    builder: Key
    max_fee_tenth_bps: u16


class CompleteRevenueShareOrder(Instruction, frozen=True, kw_only=True):
    """The venue's book has no more orders of a builder for an authority in a market: what accrued is due.

    A fill that ends its order does so by itself; this is for orders that left the book unfilled. Signer: the warm
    admin, who runs the order book, or the authority. Source: velocity/pools-and-fees.md §12.
    """

    authority: Key
    builder: Key
    market_index: u16


class SettleRevenueShare(Instruction, frozen=True, kw_only=True):
    """Pay what an authority's builders and referrers are owed in a perp market, row by row. Signer: anyone.

    A settlement of P&L does it too; this also serves who has no position left. ``escrow``: the authority that pays.
    Source: velocity/pools-and-fees.md §12; ``settle_revenue_share``.
    """

    escrow: Key
    market_index: u16


class ForfeitRevenueShareOrder(Instruction, frozen=True, kw_only=True):
    """Write off a row of an escrow that can never be paid, in a market that is winding down. Signer: anyone.

    ``row`` counts from 0. No tokens move. Source: velocity/pools-and-fees.md §12; ``forfeit_revenue_share_order``.
    """

    escrow: Key
    row: u8
    market_index: u16
