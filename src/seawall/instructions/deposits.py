"""Deposits, withdrawals, transfers and swaps."""

from seawall.instructions.base import Instruction, Key, UserRef
from seawall.records import u16, u64


class Deposit(Instruction, frozen=True, kw_only=True):
    """Deposit tokens from the signer's wallet; with ``reduce_only`` no more than repays a borrow.

    Signer: authority or delegate. Source: instructions.md §2.1; ``user.rs::handle_deposit``.
    """

    user: UserRef
    market_index: u16
    amount: u64
    reduce_only: bool = False


class Withdraw(Instruction, frozen=True, kw_only=True):
    """Withdraw or borrow tokens into the authority's wallet; with ``reduce_only`` no more than the deposit.

    Signer: authority. Source: instructions.md §2.1; ``user.rs::handle_withdraw``.
    """

    user: UserRef
    market_index: u16
    amount: u64
    reduce_only: bool = False


class TransferDeposit(Instruction, frozen=True, kw_only=True):
    """Move tokens between two accounts of one authority; the source may end up borrowing.

    Signer: the authority of both. Source: instructions.md §2.1; ``user.rs::handle_transfer_deposit``.
    """

    from_user: UserRef
    to_user: UserRef
    market_index: u16
    amount: u64


class DepositIntoSpotMarketRevenuePool(Instruction, frozen=True, kw_only=True):
    """Give tokens to a market's revenue pool. Signer: ``authority``, who pays.

    Source: insurance.md §5.1; ``user.rs::handle_deposit_into_spot_market_revenue_pool``.
    """

    authority: Key
    market_index: u16
    amount: u64


class Swap(Instruction, frozen=True, kw_only=True):
    """Swap an account's tokens at an external venue: ``amount_in`` leaves its vault, ``amount_out`` enters the other.

    The program's ``begin_swap`` and ``end_swap`` as one, at the amounts that the venue made of it.
    Signer: authority or delegate. Source: fees.md §6; instructions.md §2.1; ``user.rs::handle_end_swap``.
    """

    user: UserRef
    in_market_index: u16
    out_market_index: u16
    amount_in: u64
    amount_out: u64


class DepositIntoSpotMarketVault(Instruction, frozen=True, kw_only=True):
    """Give tokens to all depositors of a market (Velocity). Signer: hot key VaultDeposit, who pays.

    Source: velocity/balances.md §13; ``instructions/admin::handle_deposit_into_spot_market_vault``.
    """

    market_index: u16
    amount: u64


class PauseSpotMarketDepositWithdraw(Instruction, frozen=True, kw_only=True):
    """Pause deposits and withdrawals of a market whose vault does not cover its claims (Velocity). Signer: anyone.

    Source: velocity/protocol-fees-and-roles.md §5; ``keeper::handle_pause_spot_market_deposit_withdraw``.
    """

    market_index: u16
