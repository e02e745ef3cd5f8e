"""Market parameters that only Velocity has."""

from seawall.instructions.base import Instruction
from seawall.records import u16, u32, u64


class UpdatePerpMarketFeePoolBufferTarget(Instruction, frozen=True, kw_only=True):
    """Set what the sweep leaves in the P&L pool before insurance and the AMM (quote 1e6). Signer: warm admin.

    Any value is taken, also for a delisted market; a huge one stops both drains: deliberate, it is the program's.
    Source: velocity/protocol-fees-and-roles.md §5; pools-and-fees.md §6.
    """

    market_index: u16
    fee_pool_buffer_target: u64


class UpdatePerpMarketBankruptcyIfFloorPct(Instruction, frozen=True, kw_only=True):
    """Set the part (1e6) of open interest that the pending insurance cut keeps back. Signer: warm admin.

    0 means 1000 (0.1 %), 4294967295 switches the floor off; other values are at most 1000000.
    Source: velocity/protocol-fees-and-roles.md §5; pools-and-fees.md §6.
    """

    market_index: u16
    bankruptcy_if_floor_pct: u32
