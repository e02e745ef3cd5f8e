"""Revenue shares of builders and referrers (Velocity)."""

from seawall.instructions.base import Instruction, Key
from seawall.records import u16


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
