"""The price bands in front of settlements: how far AMM and oracle prices may be from the oracle's 5-minute TWAP.

Source: solvency.md §2.3; pools-and-pnl.md §5, §5.1.
"""

from typing import Final

from seawall.arithmetic import PERCENTAGE_PRECISION, checked_i64, div_trunc
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_curve import reserve_price
from seawall.state.enums import CONTRACT_TIER_B, CONTRACT_TIER_C
from seawall.state.exchange import OracleGuardRails
from seawall.state.perp_market import PerpMarket

MINIMUM_BAND: Final = 100_000
"""10 %: the band is never narrower, whatever ``mark_oracle_percent_divergence`` says."""


@rule
def calculate_twap_spread_pct(price: int, twap: int) -> int:
    """(price − twap)/price in 1e6, toward zero; ``MathError`` for a price of 0. By the price, not by the TWAP."""
    return div_trunc((price - twap) * PERCENTAGE_PRECISION, price)


@rule
def price_band_spread(market: PerpMarket, oracle_price: int) -> int:
    """The spread (1e6, signed) that the band judges: the AMM's or the oracle's to the 5-minute TWAP, the larger one."""
    amm = market.amm
    twap = amm.historical_oracle_data.last_oracle_price_twap_5min
    reserve_spread = calculate_twap_spread_pct(reserve_price(amm), twap)
    oracle_spread = calculate_twap_spread_pct(abs(oracle_price), twap)
    if abs(reserve_spread) > abs(oracle_spread):
        return reserve_spread
    return oracle_spread


@rule
def price_band_limit(guard_rails: OracleGuardRails) -> int:
    """The widest admitted spread (1e6)."""
    limit = guard_rails.price_divergence.mark_oracle_percent_divergence
    if limit < MINIMUM_BAND:
        return MINIMUM_BAND
    return limit


@rule
def validate_market_within_price_band(market: PerpMarket, guard_rails: OracleGuardRails, oracle_price: int) -> None:
    """``PriceBandsBreached`` when AMM or oracle are too far from the 5-minute TWAP; ``MathError`` for a price of 0.

    Source: solvency.md §2.3; ``controller/orders.rs::validate_market_within_price_band``.
    """
    if abs(price_band_spread(market, oracle_price)) > price_band_limit(guard_rails):
        raise SettlementError(ErrorCode.PriceBandsBreached)


@rule
def settle_pnl_divergence_limits(contract_tier: int) -> tuple[int, int]:
    """Divergence (1e6) at which settling stops, and the part of the price that the deviation may not reach."""
    if contract_tier <= CONTRACT_TIER_B:
        return 5_000, 50
    if contract_tier == CONTRACT_TIER_C:
        return 10_000, 20
    return 25_000, 10


@rule
def is_price_divergence_ok_for_settle_pnl(market: PerpMarket, oracle_price: int) -> bool:
    """Whether the oracle is close enough to its 5-minute TWAP, and calm enough, to settle at without a fresh AMM.

    ``MathError`` when price or TWAP is 0. Source: pools-and-pnl.md §5.1; ``state/perp_market.rs``.
    """
    amm = market.amm
    twap = amm.historical_oracle_data.last_oracle_price_twap_5min
    smaller = oracle_price
    if twap < oracle_price:
        smaller = twap
    difference = checked_i64(checked_i64(oracle_price - twap) * PERCENTAGE_PRECISION)
    divergence = abs(div_trunc(difference, smaller))
    divergence_limit, std_denominator = settle_pnl_divergence_limits(market.contract_tier)
    if divergence >= divergence_limit:
        return False
    std = amm.oracle_std
    if amm.mark_std > std:
        std = amm.mark_std
    return std < abs(div_trunc(smaller, std_denominator))
