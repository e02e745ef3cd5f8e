"""The gate that keeps the AMM out of fills while it is losing. Source: amm-and-funding.md §11."""

from typing import Final

from seawall.arithmetic import PERCENTAGE_PRECISION, div_trunc
from seawall.lanes import rule
from seawall.state.enums import CONTRACT_TIER_A, CONTRACT_TIER_B, CONTRACT_TIER_C
from seawall.state.perp_market import PerpMarket

DEFAULT_REVENUE_SINCE_LAST_FUNDING_SPREAD_RETREAT: Final = -25_000_000
"""Net revenue since the last funding update (quote 1e6) below which the spreads retreat."""


@rule
def has_too_much_drawdown(market: PerpMarket) -> bool:
    """Whether the revenue since the last funding update is too negative, in money and against the AMM's fees.

    Source: ``state/perp_market.rs::has_too_much_drawdown``.
    """
    tier = market.contract_tier
    multiplier = 200
    divisor = 20
    if tier == CONTRACT_TIER_A:
        multiplier = 400
        divisor = 50
    elif tier == CONTRACT_TIER_B:
        multiplier = 400
        divisor = 33
    elif tier == CONTRACT_TIER_C:
        divisor = 25
    revenue = market.amm.net_revenue_since_last_funding
    if revenue > DEFAULT_REVENUE_SINCE_LAST_FUNDING_SPREAD_RETREAT * multiplier:
        return False
    fees = market.amm.total_fee_minus_distributions
    if fees < 1:
        fees = 1
    return div_trunc(revenue * PERCENTAGE_PRECISION, fees) <= -(PERCENTAGE_PRECISION // divisor)
