"""What resting orders of either kind reserve, and which market takes them. Base in the market's own precision.

Source: instructions.md §1.3, §2.6; ``controller/position.rs``, ``controller/spot_position.rs``.
"""

from seawall.arithmetic import checked_i64, div_trunc
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.enums import LONG, STATUS_DELISTED, STATUS_INITIALIZED, STATUS_SETTLEMENT
from seawall.state.user import PerpPosition, SpotPosition


@rule
def is_in_settlement(status: int, expiry_ts: int, now: int) -> bool:
    """Whether a market of either kind no longer trades. Source: instructions.md §1.3."""
    if status == STATUS_SETTLEMENT:
        return True
    return status == STATUS_DELISTED or (expiry_ts != 0 and now >= expiry_ts)


@rule
def check_market_takes_orders(status: int, expiry_ts: int, now: int) -> None:
    """``MarketBeingInitialized``, ``MarketPlaceOrderPaused``. Source: instructions.md §2.6."""
    if status == STATUS_INITIALIZED:
        raise SettlementError(ErrorCode.MarketBeingInitialized)
    if is_in_settlement(status, expiry_ts, now):
        raise SettlementError(ErrorCode.MarketPlaceOrderPaused)


@rule
def standardize_base_asset_amount(base_asset_amount: int, step_size: int) -> int:
    """The largest multiple of the step that is not above ``base_asset_amount``; ``MathError`` for a step of 0."""
    return div_trunc(base_asset_amount, step_size) * step_size


@rule
def signed_base(direction: int, base_asset_amount: int) -> int:
    """+base for a Long, −base for a Short."""
    if direction == LONG:
        return base_asset_amount
    return -base_asset_amount


@rule
def limit_to_reducing(direction: int, base_asset_amount: int, position_base: int) -> int:
    """What of a size only reduces the position: at most the position, and nothing on its own side."""
    if direction == LONG:
        room = -position_base
    else:
        room = position_base
    if room < 0:
        return 0
    if base_asset_amount > room:
        return room
    return base_asset_amount


@rule
def is_order_position_reducing(direction: int, base_asset_amount: int, position_base: int) -> bool:
    """Whether an order of that size can only reduce the position. Source: ``math/orders.rs``."""
    if direction == LONG:
        return position_base < 0 and base_asset_amount <= -position_base
    return position_base > 0 and base_asset_amount <= position_base


@rule
def reserved_base(position: PerpPosition | SpotPosition, direction: int) -> int:
    """Base that resting orders of a side reserve."""
    if direction == LONG:
        return position.open_bids
    return -position.open_asks


@rule
def increase_open_bids_and_asks(position: PerpPosition | SpotPosition, direction: int, base_asset_amount: int) -> None:
    """Reserve ``base_asset_amount`` on the order's side; ``MathError`` beyond i64."""
    if direction == LONG:
        position.open_bids = checked_i64(position.open_bids + base_asset_amount)
    else:
        position.open_asks = checked_i64(position.open_asks - base_asset_amount)


@rule
def decrease_open_bids_and_asks(position: PerpPosition | SpotPosition, direction: int, base_asset_amount: int) -> None:
    """Free ``base_asset_amount`` on the order's side; ``OrderDoesNotExist`` where less is reserved."""
    if base_asset_amount > reserved_base(position, direction):
        raise SettlementError(ErrorCode.OrderDoesNotExist)
    if direction == LONG:
        position.open_bids = position.open_bids - base_asset_amount
    else:
        position.open_asks = position.open_asks + base_asset_amount


@rule
def reserve_order(position: PerpPosition | SpotPosition, direction: int, base_asset_amount: int) -> None:
    """An order enters the book: one more open order, its size reserved."""
    position.open_orders = position.open_orders + 1
    increase_open_bids_and_asks(position, direction, base_asset_amount)


@rule
def release_order(position: PerpPosition | SpotPosition, direction: int, base_asset_amount: int) -> None:
    """An order leaves the book with ``base_asset_amount`` unfilled; ``OrderDoesNotExist`` where none is."""
    if position.open_orders == 0:
        raise SettlementError(ErrorCode.OrderDoesNotExist)
    decrease_open_bids_and_asks(position, direction, base_asset_amount)
    position.open_orders = position.open_orders - 1
