"""The AMM's equity as the balance sheet shows it, and setting its books right by it.

Source: velocity/amm-and-funding.md §9; ``math/perp_market.rs``, ``vlp/amm/controller.rs``, ``vlp/amm/admin.rs``.
"""

from seawall.lanes import rule
from seawall.rules.common.perp_positions import calculate_net_user_pnl
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.velocity.fee_ledger import pending_fee_obligations
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.spot_market import SpotMarket


@rule
def calculate_amm_equity(market: PerpMarket, spot_market: SpotMarket, oracle_price: int) -> int:
    """What of the market's pools is the AMM's own (quote 1e6): tokens less all claims at a price.

    The AMM's pending provision is not subtracted, it is its own already; the protocol's pool is not counted.
    ``InvalidOracle`` for a price that is not positive. Source: velocity/amm-and-funding.md §9.
    """
    tokens = get_pool_token_amount(market.pnl_pool, spot_market)
    tokens = tokens + get_pool_token_amount(market.amm.fee_pool, spot_market)
    claims = pending_fee_obligations(market.fee_ledger) + market.pending_revenue_share
    return tokens - calculate_net_user_pnl(market.amm, oracle_price) - claims


@rule
def update_amm_summary_stats(market: PerpMarket, spot_market: SpotMarket, oracle_price: int) -> int:
    """Set the AMM's equity to what the balance sheet shows, its lifetime fees by the same; the change (quote 1e6)."""
    amm: AMM = market.amm
    equity = calculate_amm_equity(market, spot_market, oracle_price)
    difference = equity - amm.total_fee_minus_distributions
    amm.total_fee += difference
    amm.total_mm_fee += difference
    amm.total_fee_minus_distributions = equity
    return difference
