"""Weights of collateral and liabilities, margin ratios of perp positions, all 1e4. Source: margin.md §3, §4."""

from typing import Final

from seawall.arithmetic import AMM_RESERVE_PRECISION, SPOT_WEIGHT_PRECISION, isqrt, pow10
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.perp_positions import calculate_net_user_pnl
from seawall.rules.common.token_values import get_token_value
from seawall.state.enums import DEPOSIT, MARGIN_FILL, MARGIN_INITIAL, MARGIN_MAINTENANCE, STATUS_SETTLEMENT
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket

IMF_DISCOUNT_NUMERATOR: Final = 11_000_000_000
"""1.1 as (1e6 + 1e5) × 1e4: numerator of the discounted asset weight."""

IMF_DISCOUNT_UNIT: Final = 1_000_000


@rule
def size_in_precision_9(size: int, decimals: int) -> int:
    """A token amount scaled to 9 decimals, floored. Source: margin.md §3."""
    if decimals > 9:
        return size // pow10(decimals - 9)
    return size * AMM_RESERVE_PRECISION // pow10(decimals)


@rule
def calculate_size_discount_asset_weight(size: int, imf_factor: int, asset_weight: int) -> int:
    """An asset's weight (1e4) lowered by its size (1e9); imf_factor 1e6, 0: no discount.

    Source: margin.md §3; ``math/margin.rs::calculate_size_discount_asset_weight``.
    """
    if imf_factor == 0:
        return asset_weight
    discounted = IMF_DISCOUNT_NUMERATOR // (IMF_DISCOUNT_UNIT + isqrt(size * 10 + 1) * imf_factor // 100_000)
    if discounted < asset_weight:
        return discounted
    return asset_weight


@rule
def calculate_size_premium_liability_weight(size: int, imf_factor: int, liability_weight: int) -> int:
    """A liability's weight or a margin ratio (1e4) raised by its size (1e9); imf_factor 1e6, 0: no premium.

    Source: margin.md §3; ``math/margin.rs::calculate_size_premium_liability_weight``.
    """
    if imf_factor == 0:
        return liability_weight
    premium = liability_weight - liability_weight // 5 + isqrt(size * 10 + 1) * imf_factor // 10_000_000
    if premium > liability_weight:
        return premium
    return liability_weight


@rule
def get_scaled_initial_asset_weight(spot_market: SpotMarket, oracle_price: int) -> int:
    """Initial asset weight (1e4), scaled down once all deposits are worth more than the market's scale start (quote).

    Source: margin.md §3; ``state/spot_market.rs::get_scaled_initial_asset_weight``.
    """
    start = spot_market.scale_initial_asset_weight_start
    if start == 0:
        return spot_market.initial_asset_weight
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    value = get_token_value(deposits, spot_market.decimals, oracle_price)
    if value < start:
        return spot_market.initial_asset_weight
    return spot_market.initial_asset_weight * start // value


@rule
def get_asset_weight(spot_market: SpotMarket, size: int, oracle_price: int, requirement_type: int) -> int:
    """Weight (1e4) of a deposit of ``size`` tokens.

    Source: margin.md §3; ``state/spot_market.rs::get_asset_weight``.
    """
    if requirement_type == MARGIN_MAINTENANCE:
        weight = spot_market.maintenance_asset_weight
    else:
        weight = get_scaled_initial_asset_weight(spot_market, oracle_price)
        if requirement_type == MARGIN_FILL:
            weight = (weight + spot_market.maintenance_asset_weight) // 2
    if spot_market.imf_factor == 0:
        return weight
    size9 = size_in_precision_9(size, spot_market.decimals)
    return calculate_size_discount_asset_weight(size9, spot_market.imf_factor, weight)


@rule
def get_liability_weight(spot_market: SpotMarket, size: int, requirement_type: int) -> int:
    """Weight (1e4) of a borrow of ``size`` tokens.

    Source: margin.md §3; ``state/spot_market.rs::get_liability_weight``.
    """
    if requirement_type == MARGIN_INITIAL:
        weight = spot_market.initial_liability_weight
    elif requirement_type == MARGIN_FILL:
        weight = (spot_market.initial_liability_weight + spot_market.maintenance_liability_weight) // 2
    else:
        weight = spot_market.maintenance_liability_weight
    if spot_market.imf_factor == 0:
        return weight
    size9 = size_in_precision_9(size, spot_market.decimals)
    return calculate_size_premium_liability_weight(size9, spot_market.imf_factor, weight)


@rule
def get_margin_ratio(perp_market: PerpMarket, size: int, requirement_type: int) -> int:
    """Margin ratio (1e4) of a perp position of ``size`` base (1e9); 0 in Settlement.

    Source: margin.md §4; ``state/perp_market.rs::get_margin_ratio``.
    """
    if perp_market.status == STATUS_SETTLEMENT:
        return 0
    if requirement_type == MARGIN_INITIAL:
        ratio = perp_market.margin_ratio_initial
    elif requirement_type == MARGIN_FILL:
        ratio = (perp_market.margin_ratio_initial + perp_market.margin_ratio_maintenance) // 2
    else:
        ratio = perp_market.margin_ratio_maintenance
    return calculate_size_premium_liability_weight(size, perp_market.imf_factor, ratio)


@rule
def get_unrealized_asset_weight(perp_market: PerpMarket, unrealized_pnl: int, requirement_type: int) -> int:
    """Weight (1e4) of an unrealized P&L (quote 1e6); a loss counts in full.

    The imbalance is computed for losses too: deliberate, an oracle price ≤ 0 is ``InvalidOracle`` either way.
    Source: margin.md §4; ``state/perp_market.rs::get_unrealized_asset_weight``.
    """
    if requirement_type == MARGIN_MAINTENANCE:
        if unrealized_pnl > 0:
            return perp_market.unrealized_pnl_maintenance_asset_weight
        return SPOT_WEIGHT_PRECISION
    weight = perp_market.unrealized_pnl_initial_asset_weight
    max_imbalance = perp_market.unrealized_pnl_max_imbalance
    if weight > 0 and max_imbalance > 0:
        price = perp_market.amm.historical_oracle_data.last_oracle_price
        net_user_pnl = calculate_net_user_pnl(perp_market.amm, price)
        if net_user_pnl > max_imbalance:
            weight = weight * max_imbalance // net_user_pnl
    if unrealized_pnl <= 0:
        return SPOT_WEIGHT_PRECISION
    if weight == 0:
        return 0
    return calculate_size_discount_asset_weight(unrealized_pnl * 1_000, perp_market.unrealized_pnl_imf_factor, weight)
