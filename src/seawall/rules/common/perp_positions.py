"""Perp positions: finding a slot, and booking base, quote, entry and break-even with the market's totals.

Source: pools-and-pnl.md §1, §2; solvency.md §2.1; ``controller/position.rs``, ``math/position.rs``, ``state/user.rs``.
"""

from typing import Final

from seawall.arithmetic import AMM_RESERVE_PRECISION, checked_i64, div_trunc, sub_checked, to_i64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.enums import (
    POSITION_BANKRUPT,
    POSITION_BANKRUPTCY_CLAIM,
    POSITION_BEING_LIQUIDATED,
    POSITION_ISOLATED,
)
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.user import PerpPosition, User

PERP_POSITIONS: Final = 8

# what a change of base does to a position (`math/position.rs::get_position_update_type`)
UPDATE_OPEN: Final = 0
UPDATE_INCREASE: Final = 1
UPDATE_REDUCE: Final = 2
UPDATE_CLOSE: Final = 3
UPDATE_FLIP: Final = 4


# --- finding a slot --------------------------------------------------------------------------------------------


@rule
def has_open_order(position: PerpPosition) -> bool:
    """Whether resting orders reserve anything. Source: ``state/user.rs::has_open_order``."""
    return position.open_orders != 0 or position.open_bids != 0 or position.open_asks != 0


@rule
def is_perp_position_available(position: PerpPosition) -> bool:
    """Whether a slot is free: no base, no quote, no orders.

    Velocity: and no isolated collateral and no latch of a liquidation or bankruptcy, so that a latched position is
    still found once it is empty. Source: pools-and-pnl.md §1; velocity/isolated.md §2; ``state/user.rs::is_available``.
    """
    # one expression and no call: every row of every account that is looked at comes by here
    return (
        position.base_asset_amount == 0
        and position.quote_asset_amount == 0
        and position.open_orders == 0
        and position.open_bids == 0
        and position.open_asks == 0
        and position.isolated_position_scaled_balance == 0
        and position.position_flag & (POSITION_BEING_LIQUIDATED | POSITION_BANKRUPT) == 0
    )


@rule
def is_isolated(position: PerpPosition) -> bool:
    """Whether a position has collateral of its own. Drift has none."""
    return position.position_flag & POSITION_ISOLATED != 0


@rule
def find_perp_position(user: User, market_index: int) -> int:
    """Slot of the user's position in a market, or −1. A free slot is not found, whatever index it carries.

    Source: ``state/user.rs::get_position_index``.
    """
    for i in range(PERP_POSITIONS):
        position = user.perp_positions[i]
        if position.market_index == market_index and not is_perp_position_available(position):
            return i
    return -1


@rule
def get_perp_position_index(user: User, market_index: int) -> int:
    """Slot of the user's position in a market; ``UserHasNoPositionInMarket``."""
    index = find_perp_position(user, market_index)
    if index < 0:
        raise SettlementError(ErrorCode.UserHasNoPositionInMarket)
    return index


@rule
def reset_perp_position(position: PerpPosition, market_index: int) -> None:
    """Give a slot to a market, everything else zero. Source: ``controller/position.rs::add_new_position``.

    Velocity: the margin ratio that was set for the same market stays.
    """
    if position.market_index != market_index:
        position.max_margin_ratio = 0
    position.last_cumulative_funding_rate = 0
    position.base_asset_amount = 0
    position.quote_asset_amount = 0
    position.quote_break_even_amount = 0
    position.quote_entry_amount = 0
    position.open_bids = 0
    position.open_asks = 0
    position.settled_pnl = 0
    position.market_index = market_index
    position.open_orders = 0
    position.isolated_position_scaled_balance = 0
    position.position_flag = 0


@rule
def force_get_perp_position_index(user: User, market_index: int) -> int:
    """Slot of the user's position in a market, opened in the first free slot if missing; ``MaxNumberOfPositions``."""
    index = find_perp_position(user, market_index)
    if index >= 0:
        return index
    for i in range(PERP_POSITIONS):
        position = user.perp_positions[i]
        if is_perp_position_available(position):
            reset_perp_position(position, market_index)
            return i
    raise SettlementError(ErrorCode.MaxNumberOfPositions)


# --- quote-only changes ----------------------------------------------------------------------------------------


@rule
def release_bankruptcy_claim(position: PerpPosition, market: PerpMarket) -> None:
    """A bankrupt debt that is a debt no longer stops reserving the market's pending insurance fees.

    Every writer of a position's quote ends with it; the count stays at 0 here. Drift flags no position.
    Source: velocity/solvency.md §7; ``controller/position.rs``.
    """
    if position.position_flag & POSITION_BANKRUPTCY_CLAIM != 0 and position.quote_asset_amount >= 0:
        position.position_flag = position.position_flag - POSITION_BANKRUPTCY_CLAIM
        if market.pending_bankruptcy_claims > 0:
            market.pending_bankruptcy_claims -= 1


@rule
def update_quote_asset_amount(position: PerpPosition, market: PerpMarket, delta: int) -> None:
    """Add ``delta`` (quote 1e6, signed) to the position's and the market's quote; keep the count of users.

    ``MathError`` beyond i64. Source: pools-and-pnl.md §2.2; ``controller/position.rs::update_quote_asset_amount``.
    """
    if delta == 0:
        return
    before = position.quote_asset_amount
    base = position.base_asset_amount
    if base == 0 and before == 0:
        market.number_of_users += 1
    after = checked_i64(before + delta)
    position.quote_asset_amount = after
    market.amm.quote_asset_amount += delta
    # the count stays at 0 here, while closing a position fails below 0: deliberate, it is the program's
    if base == 0 and after == 0 and market.number_of_users > 0:
        market.number_of_users -= 1
    release_bankruptcy_claim(position, market)


@rule
def update_quote_asset_and_break_even_amount(position: PerpPosition, market: PerpMarket, delta: int) -> None:
    """As ``update_quote_asset_amount``; an open position's break-even moves along. Fees and rebates use this one.

    Source: pools-and-pnl.md §2.2; ``controller/position.rs::update_quote_asset_and_break_even_amount``.
    """
    update_quote_asset_amount(position, market, delta)
    base = position.base_asset_amount
    if base != 0:
        position.quote_break_even_amount = checked_i64(position.quote_break_even_amount + delta)
        if base > 0:
            market.amm.quote_break_even_amount_long += delta
        else:
            market.amm.quote_break_even_amount_short += delta


@rule
def update_settled_pnl(user: User, position: PerpPosition, delta: int) -> None:
    """Add settled P&L (quote 1e6, signed) to the position's and the user's totals; ``MathError`` beyond i64."""
    user.settled_perp_pnl = checked_i64(user.settled_perp_pnl + delta)
    position.settled_pnl = checked_i64(position.settled_pnl + delta)


# --- changes of base -------------------------------------------------------------------------------------------


@rule
def position_update_type(base: int, delta_base: int) -> int:
    """What adding ``delta_base`` ≠ 0 does to a position of ``base``: an ``UPDATE_…`` constant."""
    if base == 0:
        return UPDATE_OPEN
    if (base > 0) == (delta_base > 0):
        return UPDATE_INCREASE
    if abs(base) > abs(delta_base):
        return UPDATE_REDUCE
    if abs(base) == abs(delta_base):
        return UPDATE_CLOSE
    return UPDATE_FLIP


@rule
def add_to_side(amm: AMM, is_long: bool, base: int, entry: int, break_even: int) -> None:
    """Add signed amounts to the totals of the longs or of the shorts."""
    if is_long:
        amm.base_asset_amount_long += base
        amm.quote_entry_amount_long += entry
        amm.quote_break_even_amount_long += break_even
    else:
        amm.base_asset_amount_short += base
        amm.quote_entry_amount_short += entry
        amm.quote_break_even_amount_short += break_even


@rule
def count_users_of_update(market: PerpMarket, kind: int, quote_before: int, quote_after: int) -> None:
    """Opening and closing change the numbers of users; ``MathError`` below 0. A flip changes neither."""
    if kind == UPDATE_OPEN:
        if quote_before == 0:
            market.number_of_users += 1
        market.number_of_users_with_base += 1
    elif kind == UPDATE_CLOSE:
        if quote_after == 0:
            market.number_of_users = sub_checked(market.number_of_users, 1)
        market.number_of_users_with_base = sub_checked(market.number_of_users_with_base, 1)


@rule
def check_position_before_update(position: PerpPosition, market: PerpMarket) -> None:
    """The position as it was must have settled its funding: ``InvalidPositionLastFundingRate``."""
    base = position.base_asset_amount
    if base > 0:
        if position.last_cumulative_funding_rate != market.amm.cumulative_funding_rate_long:
            raise SettlementError(ErrorCode.InvalidPositionLastFundingRate)
    elif base < 0 and position.last_cumulative_funding_rate != market.amm.cumulative_funding_rate_short:
        raise SettlementError(ErrorCode.InvalidPositionLastFundingRate)


@rule
def funding_rate_after_update(position: PerpPosition, market: PerpMarket, kind: int, base_after: int) -> int:
    """The rate (1e9) from which the position will owe funding: 0 once closed, unchanged when reduced."""
    if kind == UPDATE_CLOSE:
        return 0
    if kind == UPDATE_REDUCE:
        return position.last_cumulative_funding_rate
    if base_after > 0:
        return to_i64(market.amm.cumulative_funding_rate_long)
    return to_i64(market.amm.cumulative_funding_rate_short)


@rule
def update_position_and_market(position: PerpPosition, market: PerpMarket, delta_base: int, delta_quote: int) -> int:
    """Trade ``delta_base`` (1e9) against ``delta_quote`` (1e6), both signed; the realised P&L (1e6).

    ``base_asset_amount_with_amm`` is not touched: a fill against the AMM moves it, a match of two users does not.
    ``MathError``, ``InvalidPositionLastFundingRate``, ``InvalidPerpPositionDetected`` (the old base is no multiple of
    the step). Source: pools-and-pnl.md §2.1; ``controller/position.rs::update_position_and_market``.
    """
    if delta_base == 0:
        update_quote_asset_amount(position, market, delta_quote)
        return delta_quote
    base = position.base_asset_amount
    quote = position.quote_asset_amount
    entry = position.quote_entry_amount
    break_even = position.quote_break_even_amount
    kind = position_update_type(base, delta_base)
    base_after = checked_i64(base + delta_base)
    quote_after = checked_i64(quote + delta_quote)
    if kind <= UPDATE_INCREASE:
        entry_after = checked_i64(entry + delta_quote)
        break_even_after = checked_i64(break_even + delta_quote)
        pnl = 0
    elif kind <= UPDATE_CLOSE:
        entry_after = entry - div_trunc(entry * abs(delta_base), abs(base))
        break_even_after = break_even - div_trunc(break_even * abs(delta_base), abs(base))
        pnl = checked_i64(entry - entry_after + delta_quote)
    else:
        entry_after = delta_quote - div_trunc(delta_quote * abs(base), abs(delta_base))
        break_even_after = entry_after
        pnl = checked_i64(entry + delta_quote - entry_after)

    count_users_of_update(market, kind, quote, quote_after)
    amm = market.amm
    amm.quote_asset_amount += delta_quote
    if kind <= UPDATE_INCREASE:
        add_to_side(amm, base_after > 0, delta_base, delta_quote, delta_quote)
    elif kind <= UPDATE_CLOSE:
        add_to_side(amm, base > 0, delta_base, entry_after - entry, break_even_after - break_even)
    else:
        add_to_side(amm, base > 0, -base, -entry, -break_even)
        add_to_side(amm, base_after > 0, base_after, entry_after, break_even_after)
    check_position_before_update(position, market)
    position.last_cumulative_funding_rate = funding_rate_after_update(position, market, kind, base_after)
    validate_perp_position(position, market)
    position.base_asset_amount = base_after
    position.quote_asset_amount = quote_after
    position.quote_entry_amount = entry_after
    position.quote_break_even_amount = break_even_after
    release_bankruptcy_claim(position, market)
    return pnl


@rule
def validate_perp_position(position: PerpPosition, market: PerpMarket) -> None:
    """The base must be a multiple of the market's step, else ``InvalidPerpPositionDetected``.

    ``MathError`` for a step of 0. Source: ``validation/position.rs::validate_perp_position_with_perp_market``.
    """
    step = market.amm.order_step_size
    if step == 0:
        raise SettlementError(ErrorCode.MathError)
    if abs(position.base_asset_amount) % step != 0:
        raise SettlementError(ErrorCode.InvalidPerpPositionDetected)


# --- P&L -------------------------------------------------------------------------------------------------------


@rule
def calculate_position_pnl(position: PerpPosition, price: int) -> int:
    """Unrealised P&L (quote 1e6) at a price (1e6): the base's value, truncated toward zero, plus the quote.

    A negative price counts as 0. Source: pools-and-pnl.md §2.3;
    ``math/position.rs::calculate_base_asset_value_and_pnl_with_oracle_price``.
    """
    base = position.base_asset_amount
    if base == 0:
        return position.quote_asset_amount
    if price < 0:
        price = 0
    return div_trunc(base * price, AMM_RESERVE_PRECISION) + position.quote_asset_amount


@rule
def calculate_net_user_cost_basis(amm: AMM) -> int:
    """What all users paid for their net position, unsettled funding included (quote 1e6, signed)."""
    return amm.quote_asset_amount + amm.net_unsettled_funding_pnl


@rule
def calculate_net_user_pnl(amm: AMM, price: int) -> int:
    """P&L of all users together (quote 1e6, signed) at a price (1e6); ``InvalidOracle`` unless the price is positive.

    Source: solvency.md §2.1; ``math/amm.rs::calculate_net_user_pnl``.
    """
    if price <= 0:
        raise SettlementError(ErrorCode.InvalidOracle)
    value = div_trunc(amm.base_asset_amount_with_amm * price, AMM_RESERVE_PRECISION)
    return value + calculate_net_user_cost_basis(amm)


@rule
def get_claimable_pnl(position: PerpPosition, price: int, pnl_pool_excess: int) -> int:
    """What a position may settle (quote 1e6) at a price: a loss in full, a gain up to realised gain plus pool excess.

    Source: pools-and-pnl.md §2.3; ``state/user.rs::get_claimable_pnl``.
    """
    unrealized = calculate_position_pnl(position, price)
    if unrealized <= 0:
        return unrealized
    realized = position.quote_asset_amount - position.quote_entry_amount
    if realized < 0:
        realized = 0
    limit = realized
    if pnl_pool_excess > 0:
        limit = realized + pnl_pool_excess
    if unrealized > limit:
        return limit
    return unrealized
