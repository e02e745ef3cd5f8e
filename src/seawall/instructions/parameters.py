"""Market parameters that only Velocity has."""

from seawall.instructions.base import Instruction
from seawall.records import u8, u16, u32, u64


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


class UpdatePerpMarketTakerFeeAddon(Instruction, frozen=True, kw_only=True):
    """Set what a perp market charges takers on top of their tier (tenths of a basis point, ≤ 100). Signer: warm admin.

    Source: velocity/pools-and-fees.md §3; velocity/protocol-fees-and-roles.md §5.
    """

    market_index: u16
    taker_fee_addon_tenth_bps: u16


class UpdatePromoFeeTier(Instruction, frozen=True, kw_only=True):
    """Set the fee tier that every trader has at least, whatever its volume; 0 ends the promotion. Signer: warm admin.

    At most the last tier that charges anything; only tiers up to 3 are ever reached.
    Source: velocity/pools-and-fees.md §3; velocity/protocol-fees-and-roles.md §5.
    """

    promo_fee_tier: u8
