"""Collateral of isolated positions (Velocity)."""

from seawall.instructions.base import Instruction, UserRef
from seawall.records import i64, u16, u64


class DepositIntoIsolatedPerpPosition(Instruction, frozen=True, kw_only=True):
    """Deposit quote tokens (1e6) from the signer's wallet as the collateral of one perp position, opened if missing.

    Signer: authority or delegate. Source: velocity/isolated.md §3.1;
    ``user/isolated_position.rs::handle_deposit_into_isolated_perp_position``.
    """

    user: UserRef
    spot_market_index: u16 = 0
    perp_market_index: u16
    amount: u64


class TransferIsolatedPerpPositionDeposit(Instruction, frozen=True, kw_only=True):
    """Move quote tokens (1e6) from cross margin to an isolated position (amount > 0) or back (amount < 0).

    The least i64 takes everything out. Signer: authority or delegate. Source: velocity/isolated.md §3.2;
    ``user/isolated_position.rs::handle_transfer_isolated_perp_position_deposit``.
    """

    user: UserRef
    spot_market_index: u16 = 0
    perp_market_index: u16
    amount: i64


class WithdrawFromIsolatedPerpPosition(Instruction, frozen=True, kw_only=True):
    """Withdraw quote tokens (1e6) from the collateral of an isolated position into the authority's wallet.

    Signer: authority. Source: velocity/isolated.md §3.3;
    ``user/isolated_position.rs::handle_withdraw_from_isolated_perp_position``.
    """

    user: UserRef
    spot_market_index: u16 = 0
    perp_market_index: u16
    amount: u64


class UpdateUserPerpPositionCustomMarginRatio(Instruction, frozen=True, kw_only=True):
    """Hold one perp position to at least this margin ratio (1e4) in Initial margin, cross or isolated; 0 for none.

    A position that is not in use is given a row; the ratio stays until another market takes the row. Signer:
    authority. Source: margin.md §10; ``user/settings.rs::handle_update_user_perp_position_custom_margin_ratio``.
    """

    user: UserRef
    perp_market_index: u16
    margin_ratio: u16
