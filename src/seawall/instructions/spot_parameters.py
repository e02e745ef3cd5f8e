"""Parameters of a spot market that only Velocity has. Signer: the warm admin unless an instruction says otherwise."""

from seawall.instructions.base import Instruction
from seawall.records import u8, u16, u64


class UpdateSpotMarketMaxTokenBorrows(Instruction, frozen=True, kw_only=True):
    """Set the part of the deposit cap that may be lent out (1e4; 0: no limit). Source: velocity/balances.md §14."""

    market_index: u16
    max_token_borrows_fraction: u16


class UpdateSpotMarketWithdrawCircuitBreaker(Instruction, frozen=True, kw_only=True):
    """Set the part of the day's average deposits that may leave (1e4; 0: a quarter); above a quarter the cold admin.

    Source: velocity/balances.md §9, §14.
    """

    market_index: u16
    withdraw_circuit_breaker_bps: u16


class UpdateSpotMarketDepositCap(Instruction, frozen=True, kw_only=True):
    """Set by how much deposits may exceed the day's average (1e4; 0: no limit), and the tokens that always may be in.

    Source: velocity/balances.md §11, §14.
    """

    market_index: u16
    max_deposit_bps_per_day: u16
    deposit_guard_threshold: u64


class UpdateSpotMarketPoolId(Instruction, frozen=True, kw_only=True):
    """Put a market that was not activated yet into a pool: only accounts of the same pool may hold its token.

    Source: instructions.md §6.1; velocity/balances.md §1, §13.
    """

    market_index: u16
    pool_id: u8
