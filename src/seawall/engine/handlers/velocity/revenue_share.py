"""Builders' and referrers' revenue shares: escrow and approval, completion, payout, forfeits."""

from seawall.engine.explain import Explainer
from seawall.engine.handlers.velocity.revenue_share_rows import BuilderRow, require_builder_codes
from seawall.engine.permissions import role_of
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.revenue_share import (
    ChangeApprovedBuilder,
    CompleteRevenueShareOrder,
    InitializeRevenueShareEscrow,
)
from seawall.keys import key_from_text, key_to_text
from seawall.rules.velocity.revenue_share import is_completed_row, is_free_row, is_referral_row
from seawall.state.revenue_share import RevenueShareEscrow

# --- escrow and approval ---------------------------------------------------------------------------------------


def initialize_revenue_share_escrow(tx: Transaction, ix: InitializeRevenueShareEscrow) -> None:
    """Create an authority's escrow: ``Unauthorized``, ``UserNotFound``, ``AccountAlreadyInUse``."""
    authority = key_from_text(ix.authority)
    tx.require_signer(authority, "authority")
    tx.user_stats(authority)
    tx.add_revenue_share_escrow(RevenueShareEscrow(authority=authority))


def change_approved_builder(tx: Transaction, ix: ChangeApprovedBuilder) -> None:
    """Set what a builder may charge.

    Errors: ``Unauthorized``, ``UnableToLoadRevenueShareAccount``, ``BuilderCodesDisabled`` and ``UserNotFound`` (the
    builder has no account to be paid to) for an approval, ``CannotRevokeBuilderWithOpenOrders``.
    """
    authority, builder = key_from_text(ix.authority), key_from_text(ix.builder)
    tx.require_signer(authority, "authority")
    escrow = tx.revenue_share_escrow(authority)
    if ix.max_fee_tenth_bps:
        require_builder_codes(tx)
        tx.user_stats(builder)
    else:
        rows = [row for row in escrow.rows if not is_free_row(row) and not is_referral_row(row)]
        rows = [row for row in rows if row.beneficiary == builder]
        if rows:
            owed = sum(row.fees_accrued for row in rows)
            raise SettlementError(
                ErrorCode.CannotRevokeBuilderWithOpenOrders,
                f"{len(rows)} rows of the escrow are {key_to_text(builder)}'s, with {owed} accrued (quote 1e6)",
                "the same once they were completed and paid",
            )
    tx.approve_builder(authority, builder, ix.max_fee_tenth_bps)


# --- completion ------------------------------------------------------------------------------------------------


def complete_revenue_share_order(tx: Transaction, ix: CompleteRevenueShareOrder) -> None:
    """Make a builder's open rows in a market due. ``Unauthorized``, ``UnableToLoadRevenueShareAccount``."""
    authority, builder = key_from_text(ix.authority), key_from_text(ix.builder)
    if not tx.holds_role(role_of(tx.state, tx.instruction)):
        tx.require_signer(authority, "authority, or who runs the order book,")
    escrow = tx.write_revenue_share_escrow(authority)
    for number, row in enumerate(escrow.rows):
        if is_free_row(row) or is_referral_row(row) or is_completed_row(row):
            continue
        if row.beneficiary == builder and row.market_index == ix.market_index:
            BuilderRow(escrow, number, builder, ix.market_index, row.fee_tenth_bps).complete()


HANDLERS: dict[type[Instruction], Handler] = {
    InitializeRevenueShareEscrow: initialize_revenue_share_escrow,
    ChangeApprovedBuilder: change_approved_builder,
    CompleteRevenueShareOrder: complete_revenue_share_order,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
