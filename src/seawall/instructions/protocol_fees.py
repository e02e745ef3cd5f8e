"""The fee sweep, and withdrawals of the protocol's own pools (Velocity)."""

from seawall.instructions.base import Instruction, Key
from seawall.records import u16, u64


class SweepPerpMarketFees(Instruction, frozen=True, kw_only=True):
    """Hand out a perp market's pending fees from its P&L pool: protocol, insurance, AMM, in this order. Signer: anyone.

    What users, insurance's tranche and revenue shares are owed stays; so does the buffer, but for the protocol.
    Source: velocity/pools-and-fees.md §6, §7; ``sweep_perp_market_fees``.
    """

    market_index: u16


class WithdrawProtocolFeesPerp(Instruction, frozen=True, kw_only=True):
    """Pay a perp market's ``protocol_fee_pool`` (quote tokens) to the perp recipient. Signer: hot key FeeWithdraw.

    ``amount`` beyond the pool is cut to it. What is pending is not swept first. No pause applies.
    Source: velocity/protocol-fees-and-roles.md §3; ``withdraw_protocol_fees_perp.rs``.
    """

    market_index: u16
    amount: u64
    recipient: Key | None = None


class WithdrawProtocolFeesSpot(Instruction, frozen=True, kw_only=True):
    """Pay a spot market's ``protocol_fee_pool`` (its tokens) to the spot recipient. Signer: hot key FeeWithdraw.

    ``amount`` beyond the pool is cut to it. ``recipient``, where given, must be the configured one. No pause applies.
    Source: velocity/protocol-fees-and-roles.md §2; ``withdraw_protocol_fees_spot.rs``.
    """

    market_index: u16
    amount: u64
    recipient: Key | None = None
