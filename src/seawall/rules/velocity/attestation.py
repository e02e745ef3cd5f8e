"""What the last refresh of an AMM vouches for: one oracle sample, found good enough, in one slot.

Source: velocity/pools-and-fees.md §7, §9; ``state/perp_market.rs``.
"""

from seawall.lanes import rule
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM


@rule
def is_sample_attested(amm: AMM, oracle: OraclePriceData, slot: int) -> bool:
    """Whether the AMM was refreshed in this slot with this very sample, and found it good enough to trade on."""
    if not amm.last_oracle_valid or amm.last_update_slot != slot:
        return False
    return (
        amm.attested_oracle_price == oracle.price
        and amm.attested_oracle_confidence == oracle.confidence
        and amm.attested_oracle_slot == max(0, slot - oracle.delay)
    )
