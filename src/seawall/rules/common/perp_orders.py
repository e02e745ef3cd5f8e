"""The tests that placing and filling a perp order share, and what a fill takes off a resting order.

Base 1e9, prices 1e6.

Source: instructions.md §2.6; amm-and-funding.md §3; margin.md §6; ``controller/orders.rs``, ``math/orders.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    BASE_PRECISION,
    PERCENTAGE_PRECISION,
    checked_i64,
    checked_u64,
    div_ceil,
    div_trunc,
    pow10,
    sub_saturating,
    to_u64,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.open_orders import (
    decrease_open_bids_and_asks,
    limit_to_reducing,
    release_order,
)
from seawall.rules.common.perp_positions import (
    PERP_POSITIONS,
    find_perp_position,
    is_perp_position_available,
    reset_perp_position,
)
from seawall.state.enums import LONG, STATUS_REDUCE_ONLY
from seawall.state.exchange import OracleGuardRails
from seawall.state.orders import PerpOrder
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.user import PerpPosition, User

PERP_DECIMALS: Final = 9
"""Decimals of every perp base amount."""

FILL_PRICE_TWAP_BAND: Final = 500_000
"""50 %: the band around the 5-minute TWAP is never narrower, whatever the guard rails say."""


# --- sizes -----------------------------------------------------------------------------------------------------


@rule
def unfilled_base_asset_amount(order: PerpOrder, position_base: int) -> int:
    """What an order may still fill. Reduce-only orders stop at a flat position, except post-only ones; deliberate.

    Source: amm-and-funding.md §3.2; ``state/user.rs::get_base_asset_amount_unfilled``.
    """
    unfilled = order.base_asset_amount - order.base_asset_amount_filled
    if order.reduce_only and not order.post_only:
        return limit_to_reducing(order.direction, unfilled, position_base)
    return unfilled


@rule
def should_cancel_reduce_only_order(order: PerpOrder, position_base: int, step_size: int) -> bool:
    """Whether a reduce-only order has less than a step left to reduce."""
    return order.reduce_only and unfilled_base_asset_amount(order, position_base) < step_size


@rule
def open_interest(amm: AMM) -> int:
    """The larger of all long and all short base."""
    if amm.base_asset_amount_long > -amm.base_asset_amount_short:
        return amm.base_asset_amount_long
    return -amm.base_asset_amount_short


# --- reservations ----------------------------------------------------------------------------------------------


@rule
def fill_reservation(position: PerpPosition, order: PerpOrder, base_asset_amount: int, quote_asset_amount: int) -> None:
    """Book a fill on the order and on what it reserves; a finished order leaves the book."""
    order.base_asset_amount_filled = order.base_asset_amount_filled + base_asset_amount
    order.quote_asset_amount_filled = checked_u64(order.quote_asset_amount_filled + quote_asset_amount)
    decrease_open_bids_and_asks(position, order.direction, base_asset_amount)
    if order.base_asset_amount_filled == order.base_asset_amount:
        release_order(position, order.direction, 0)


@rule
def can_reward_user_with_perp_pnl(user: User, market_index: int) -> bool:
    """Whether the account has, or can be given, a slot in the market; the test itself gives it the slot.

    Deliberate: a slot is reset even if nothing is paid. Source: fees.md §4; ``controller/orders.rs``.
    """
    if find_perp_position(user, market_index) >= 0:
        return True
    for i in range(PERP_POSITIONS):
        position = user.perp_positions[i]
        if is_perp_position_available(position):
            reset_perp_position(position, market_index)
            return True
    return False


# --- tests of placing ------------------------------------------------------------------------------------------


@rule
def is_new_order_risk_increasing(
    position: PerpPosition, direction: int, base_asset_amount: int, reduce_only: bool
) -> bool:
    """Whether an order not yet reserved could make the position larger. Source: margin.md §6; ``math/orders.rs``."""
    if reduce_only:
        return False
    base = position.base_asset_amount
    if base > 0 and direction != LONG:
        return abs(checked_i64(position.open_asks - base_asset_amount)) > base
    if base < 0 and direction == LONG:
        return checked_i64(position.open_bids + base_asset_amount) > -base
    return True


@rule
def check_reserved_order(market: PerpMarket, position: PerpPosition, order: PerpOrder, risk_increasing: bool) -> None:
    """What a market in ReduceOnly admits, and the cap on open interest, for an order just reserved.

    ``InvalidOrderNotRiskReducing``, ``MaxOpenInterest``. Source: instructions.md §2.6.
    """
    base = position.base_asset_amount
    if market.status == STATUS_REDUCE_ONLY:
        is_opposite = (base < 0 and order.direction == LONG) or (base > 0 and order.direction != LONG)
        if not order.reduce_only or not is_opposite:
            raise SettlementError(ErrorCode.InvalidOrderNotRiskReducing)
    cap = market.amm.max_open_interest
    if risk_increasing and cap != 0 and open_interest(market.amm) + order.base_asset_amount > cap:
        raise SettlementError(ErrorCode.MaxOpenInterest)


# --- prices of fills -------------------------------------------------------------------------------------------


@rule
def calculate_quote_asset_amount_for_maker_order(
    base_asset_amount: int, price: int, base_decimals: int, direction: int
) -> int:
    """Quote (1e6) of a fill at a price: floor where the side in question is Long, ceiling where it is Short.

    Source: fees.md §3; ``math/orders.rs::calculate_quote_asset_amount_for_maker_order``.
    """
    precision = pow10(base_decimals)
    if direction == LONG:
        return to_u64(base_asset_amount * price // precision)
    return to_u64(div_ceil(base_asset_amount * price, precision))


@rule
def calculate_fill_price(quote_asset_amount: int, base_asset_amount: int) -> int:
    """⌊quote·1e9/base⌋ (1e6); ``MathError`` for no base."""
    return to_u64(div_trunc(quote_asset_amount * BASE_PRECISION, base_asset_amount))


@rule
def validate_fill_price(
    quote_asset_amount: int, base_asset_amount: int, direction: int, limit_price: int, is_taker: bool
) -> None:
    """``InvalidOrderFillPrice`` for a price worse than the limit. A taker is granted one unit of quote.

    Deliberate: for tiny sizes that unit is a large step of price. Source: amm-and-funding.md §3.3 step 7.
    """
    quote = quote_asset_amount
    if is_taker:
        if direction == LONG:
            quote = sub_saturating(quote, 1)
        else:
            quote = quote + 1
    price = calculate_fill_price(quote, base_asset_amount)
    if direction == LONG:
        worse = price > limit_price
    else:
        worse = price < limit_price
    if worse:
        raise SettlementError(ErrorCode.InvalidOrderFillPrice)


@rule
def twap_band_limit(guard_rails: OracleGuardRails) -> int:
    """The widest admitted divergence from the 5-minute oracle TWAP (1e6)."""
    limit = guard_rails.price_divergence.oracle_twap_5min_percent_divergence
    if limit < FILL_PRICE_TWAP_BAND:
        return FILL_PRICE_TWAP_BAND
    return limit


@rule
def is_oracle_too_divergent_with_twap_5min(oracle_price: int, twap_5min: int, guard_rails: OracleGuardRails) -> bool:
    """Whether the oracle is too far from its 5-minute TWAP to fill anything. Source: amm-and-funding.md §3.5 step 9."""
    difference = checked_i64(abs(checked_i64(oracle_price - twap_5min)) * PERCENTAGE_PRECISION)
    return div_trunc(difference, abs(twap_5min)) >= twap_band_limit(guard_rails)
