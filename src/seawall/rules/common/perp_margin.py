"""What one perp position adds to collateral and requirement. Source: margin.md §5.3; ``math/margin.rs``."""

from typing import Final

from seawall.arithmetic import (
    AMM_RESERVE_PRECISION,
    MARGIN_PRECISION,
    PRICE_PRECISION,
    SPOT_WEIGHT_PRECISION,
    div_trunc,
)
from seawall.lanes import rule
from seawall.rules.common.funding import calculate_funding_payment
from seawall.rules.common.margin_weights import get_margin_ratio, get_unrealized_asset_weight
from seawall.rules.common.spot_margin import OPEN_ORDER_MARGIN_REQUIREMENT
from seawall.state.enums import MARGIN_INITIAL, RULEBOOK_VELOCITY, STATUS_SETTLEMENT
from seawall.state.perp_market import PerpMarket
from seawall.state.user import PerpPosition

MAX_POSITIVE_UPNL_FOR_INITIAL_MARGIN: Final = 100_000_000
"""Quote 1e6: what one position's profit may add to collateral in an Initial calculation."""


@rule
def worst_case_base_asset_amount(position: PerpPosition) -> int:
    """Base (1e9, signed) after all bids or all asks filled, whichever is larger in size; the asks win a tie.

    Source: margin.md §5.3 step 3; ``state/user.rs::worst_case_base_asset_amount``.
    """
    with_bids = position.base_asset_amount + position.open_bids
    with_asks = position.base_asset_amount + position.open_asks
    if abs(with_bids) > abs(with_asks):
        return with_bids
    return with_asks


@rule
def worst_case_liability(position: PerpPosition, market: PerpMarket, price: int, oracle_price: int) -> tuple[int, int]:
    """Size (base 1e9) and value (quote 1e6, before the quote token's price) of the liability at its worst.

    Drift: the larger size, worth what ``price`` says, which in Settlement is the expiry price.
    Velocity: the side that is worth more at the oracle's price, also in Settlement; the asks win a tie.
    Source: margin.md §5.3 steps 3, 4; ``state/user.rs::worst_case_liability_value``.
    """
    if market.rulebook != RULEBOOK_VELOCITY:
        worst = abs(worst_case_base_asset_amount(position))
        return worst, worst * price // AMM_RESERVE_PRECISION
    if oracle_price < 0:
        oracle_price = 0
    with_bids = abs(position.base_asset_amount + position.open_bids)
    with_asks = abs(position.base_asset_amount + position.open_asks)
    bids_value = with_bids * oracle_price // AMM_RESERVE_PRECISION
    asks_value = with_asks * oracle_price // AMM_RESERVE_PRECISION
    if bids_value > asks_value:
        return with_bids, bids_value
    return with_asks, asks_value


@rule
def unsettled_funding(position: PerpPosition, market: PerpMarket) -> int:
    """Funding (quote 1e6, signed) that the position would receive now; 0 without base.

    Source: margin.md §5.3 step 1.
    """
    base = position.base_asset_amount
    if base == 0:
        return 0
    if base > 0:
        rate = market.amm.cumulative_funding_rate_long
    else:
        rate = market.amm.cumulative_funding_rate_short
    if rate == position.last_cumulative_funding_rate:
        return 0
    return calculate_funding_payment(rate - position.last_cumulative_funding_rate, base)


@rule
def calculate_perp_position_value_and_pnl(
    position: PerpPosition,
    market: PerpMarket,
    oracle_price: int,
    quote_price: int,
    quote_low: int,
    quote_high: int,
    requirement_type: int,
    custom_ratio: int,
) -> tuple[int, int, int]:
    """Requirement, weighted P&L (signed) and worst-case liability of a position, all quote 1e6.

    The P&L of a market in Settlement is valued at its expiry price; it asks for nothing but its orders' reserve.
    ``InvalidOracle`` where the imbalance limit needs a market price that is not positive.
    Source: margin.md §5.3; ``math/margin.rs::calculate_perp_position_value_and_pnl``.
    """
    price = oracle_price
    settling = market.status == STATUS_SETTLEMENT
    if settling:
        price = market.expiry_price
    if price < 0:
        price = 0
    base = position.base_asset_amount
    pnl = position.quote_asset_amount
    if base != 0:
        pnl = pnl + div_trunc(base * price, AMM_RESERVE_PRECISION) + unsettled_funding(position, market)
    worst, worst_value = worst_case_liability(position, market, price, oracle_price)
    liability = worst_value * quote_high // PRICE_PRECISION
    requirement = position.open_orders * OPEN_ORDER_MARGIN_REQUIREMENT
    if not settling:
        ratio = get_margin_ratio(market, worst, requirement_type)
        requirement = requirement + liability * max(ratio, custom_ratio) // MARGIN_PRECISION

    quote = quote_price
    if pnl > 0:
        quote = quote_low
    elif pnl < 0:
        quote = quote_high
    weight = get_unrealized_asset_weight(market, pnl, requirement_type)
    weighted = pnl
    if weight != SPOT_WEIGHT_PRECISION:
        weighted = div_trunc(weighted * weight, SPOT_WEIGHT_PRECISION)
    if quote != PRICE_PRECISION:
        weighted = div_trunc(weighted * quote, PRICE_PRECISION)
    # the cap is on each position and after weighting: deliberate, it is the program's
    if requirement_type == MARGIN_INITIAL and weighted > MAX_POSITIVE_UPNL_FOR_INITIAL_MARGIN:
        weighted = MAX_POSITIVE_UPNL_FOR_INITIAL_MARGIN
    return requirement, weighted, liability
