"""What of insurance's pending cut must stay in the P&L pool for the bankruptcies that may come.

Source: velocity/pools-and-fees.md §6; velocity/solvency.md §7; ``state/perp_market.rs``.
"""

from typing import Final

from seawall.arithmetic import AMM_RESERVE_PRECISION
from seawall.lanes import rule
from seawall.state.perp_market import PerpMarket

IF_FLOOR_PRECISION: Final = 1_000_000
IF_FLOOR_DEFAULT_PCT: Final = 1_000
"""What a stored 0 stands for: a tenth of a percent."""
IF_FLOOR_OFF: Final = 4_294_967_295
"""The stored value that switches the standing floor off: the largest u32."""


@rule
def get_bankruptcy_if_floor(market: PerpMarket) -> int:
    """The standing floor (quote 1e6): a share of the larger side's open interest at the oracle's funding-period TWAP.

    Both the value and the share of it are rounded down; a negative TWAP counts as 0.
    Source: ``state/perp_market.rs::get_bankruptcy_if_floor``.
    """
    pct = market.bankruptcy_if_floor_pct
    if pct == IF_FLOOR_OFF:
        return 0
    if pct == 0:
        pct = IF_FLOOR_DEFAULT_PCT
    amm = market.amm
    open_interest = max(abs(amm.base_asset_amount_long), abs(amm.base_asset_amount_short))
    twap = amm.historical_oracle_data.last_oracle_price_twap
    if twap < 0:
        twap = 0
    return open_interest * twap // AMM_RESERVE_PRECISION * pct // IF_FLOOR_PRECISION


@rule
def get_pending_if_fee_floor(market: PerpMarket, force: bool) -> int:
    """What insurance's pending cut (quote 1e6) may not be drained below.

    Nothing when forced; all of it while a bankruptcy of this market awaits its resolution; else the standing floor.
    Source: ``state/perp_market.rs::get_pending_if_fee_floor``.
    """
    if force:
        return 0
    if market.pending_bankruptcy_claims > 0:
        return market.fee_ledger.pending_if_fee
    return get_bankruptcy_if_floor(market)


@rule
def get_bankruptcy_if_tranche_reservation(market: PerpMarket, force: bool) -> int:
    """What every permissionless drain of the P&L pool leaves there for insurance (quote 1e6).

    Source: ``state/perp_market.rs::get_bankruptcy_if_tranche_reservation``.
    """
    return min(market.fee_ledger.pending_if_fee, get_pending_if_fee_floor(market, force))
