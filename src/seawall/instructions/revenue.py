"""Revenue settlement into the insurance fund."""

from seawall.instructions.base import Instruction
from seawall.records import u16


class SettleRevenueToInsuranceFund(Instruction, frozen=True, kw_only=True):
    """Move a market's revenue, as far as the caps admit, into its insurance fund. Signer: anyone.

    Source: insurance.md §6.4; ``keeper.rs::handle_settle_revenue_to_insurance_fund``.
    """

    spot_market_index: u16
