"""What the owner of an account may set, and what an administrator may note about one."""

from seawall.instructions.base import Instruction, Key, UserRef
from seawall.records import u8, u32


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


class UpdateUserPoolId(Instruction, frozen=True, kw_only=True):
    """Move an account that holds nothing of its pool into another. Velocity only. Signer: authority.

    Source: velocity/balances.md §13; ``user.rs::handle_update_user_pool_id``.
    """

    user: UserRef
    pool_id: u8


class SetUserVaultOwned(Instruction, frozen=True, kw_only=True):
    """Note for ever that an authority is a vault, whose depositors no revenue share is meant for: it forfeits them.

    Velocity only. Signer: authority. Source: velocity/pools-and-fees.md §12.
    """

    authority: Key


class AdminDisableUpdatePerpBidAskTwap(Instruction, frozen=True, kw_only=True):
    """Keep an authority from cranking mark TWAPs, or let it again. Signer: admin; under Velocity UserFlag.

    Source: amm-and-funding.md §6.4; velocity/protocol-fees-and-roles.md §4.
    """

    authority: Key
    disable: bool


class UpdateUserAcceleratedReferralStatus(Instruction, frozen=True, kw_only=True):
    """Reward an authority's referrals at the accelerated rate, or no more. Velocity only. Signer: the warm admin.

    Source: velocity/pools-and-fees.md §3 step 3.
    """

    authority: Key
    accelerated: bool
