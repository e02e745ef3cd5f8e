"""The public interest crank."""

from seawall.instructions.base import Instruction
from seawall.records import u16


class UpdateSpotMarketCumulativeInterest(Instruction, frozen=True, kw_only=True):
    """Accrue a spot market's interest and statistics. Signer: anyone. Source: instructions.md §2.3."""

    market_index: u16
