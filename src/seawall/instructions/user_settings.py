"""What the owner of an account may set."""

from seawall.instructions.base import Instruction, Key, UserRef
from seawall.records import u32


class UpdateUserName(Instruction, frozen=True, kw_only=True):
    """Rename an account (at most 32 bytes). Signer: authority. Source: instructions.md §2.7."""

    user: UserRef
    name: str


class UpdateUserDelegate(Instruction, frozen=True, kw_only=True):
    """Let ``delegate`` act for an account, though not withdraw; the all-zero key lets nobody. Signer: authority.

    Source: instructions.md §2.7.
    """

    user: UserRef
    delegate: Key


class UpdateUserCustomMarginRatio(Instruction, frozen=True, kw_only=True):
    """Hold an account to at least this margin ratio (1e4) in Initial margin. Signer: authority.

    Source: instructions.md §2.7.
    """

    user: UserRef
    margin_ratio: u32


class UpdateUserMarginTradingEnabled(Instruction, frozen=True, kw_only=True):
    """Whether open spot orders may create a borrow. Signer: authority. Source: instructions.md §2.7."""

    user: UserRef
    margin_trading_enabled: bool


class UpdateUserReduceOnly(Instruction, frozen=True, kw_only=True):
    """Whether an account only wants to reduce. Signer: authority. Source: instructions.md §2.7."""

    user: UserRef
    reduce_only: bool


class DeleteUser(Instruction, frozen=True, kw_only=True):
    """Close an empty account. Signer: authority. Source: ``user.rs::handle_delete_user``."""

    user: UserRef
