"""Pausing single operations of a spot market. Source: velocity/protocol-fees-and-roles.md §8; balances.md §1."""

from seawall.lanes import rule
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.spot_market import SpotMarket


@rule
def spot_operation_paused(spot_market: SpotMarket, drift_bit: int, velocity_bit: int) -> bool:
    """Whether an operation of a spot market is paused; a bit of 0 stands for a rulebook that cannot pause it.

    Drift: Withdraw is 4, Liquidation 8, deposits cannot be paused.
    Velocity: Deposit is 4, Withdraw 8, Liquidation 16.
    Source: ``state/paused_operations.rs::SpotOperation``.
    """
    bit = drift_bit
    if spot_market.rulebook == RULEBOOK_VELOCITY:
        bit = velocity_bit
    return spot_market.paused_operations & bit != 0
