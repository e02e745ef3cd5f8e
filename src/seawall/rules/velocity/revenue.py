"""Velocity's revenue settlement, and the snapshot of the insurance fund's value that bounds it.

Source: velocity/insurance.md §6, §7; ``controller/insurance.rs``.
"""

from seawall.arithmetic import sub_saturating
from seawall.lanes import rule
from seawall.state.spot_market import SpotMarket


@rule
def record_insurance_fund_outflow(spot_market: SpotMarket, nav_before: int, amount: int) -> None:
    """Lower the snapshot to what the fund was worth after ``amount`` tokens left it; never raises.

    A dip inside a period stays visible at the next settlement, even if the vault is refilled.
    Source: velocity/insurance.md §6; ``controller/insurance.rs::record_insurance_fund_outflow``.
    """
    spot_market.if_last_settle_vault_amount = min(
        spot_market.if_last_settle_vault_amount, sub_saturating(nav_before, amount)
    )
