"""Perp fills and open-order reservations."""

from collections.abc import Iterable

from seawall.engine.explain import Explainer
from seawall.engine.gates import require_not_paused
from seawall.engine.handlers.amm import refresh_amm
from seawall.engine.handlers.order_refusals import entering_market, explain_price_bands, placing
from seawall.engine.handlers.perp_order_fill import PerpOrderFill
from seawall.engine.permissions import role_of
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.perp_fills import (
    FillPerpOrder,
    PlaceAndTakePerpOrder,
    ReleasePerpOrder,
    ReleasePerpOrders,
    ReservePerpOrder,
    RestingPerpOrder,
)
from seawall.rules.common.margin import check_place_order_margin_requirement, validate_user_not_being_liquidated
from seawall.rules.common.open_orders import (
    check_market_takes_orders,
    release_order,
    reserve_order,
    reserved_base,
    standardize_base_asset_amount,
)
from seawall.rules.common.perp_orders import (
    check_reserved_order,
    is_new_order_risk_increasing,
)
from seawall.rules.common.perp_positions import (
    find_perp_position,
    force_get_perp_position_index,
    get_perp_position_index,
)
from seawall.rules.common.user_status import is_bankrupt, is_reduce_only, update_last_active_slot
from seawall.rules.velocity.isolated import scope_of
from seawall.rules.velocity.margin import check_place_order_margin_requirement as check_place_order_margin_by_scope
from seawall.rules.velocity.margin import validate_user_not_being_liquidated as validate_no_scope_being_liquidated
from seawall.state.enums import EXCHANGE_ALL_PAUSED, EXCHANGE_FILL_PAUSED, RULEBOOK_DRIFT, PositionDirection
from seawall.state.orders import PerpOrder
from seawall.state.user import User

# --- reservations ----------------------------------------------------------------------------------------------


def reserve_perp_order(tx: Transaction, ix: ReservePerpOrder) -> None:
    """Reserve a resting order. Errors: ``ExchangePaused`` and those of ``place``."""
    require_not_paused(tx, EXCHANGE_ALL_PAUSED)
    user = tx.write_user(ix.user)
    require_operator(tx, user)
    order = PerpOrder(
        direction=PositionDirection[ix.direction],
        base_asset_amount=ix.base_asset_amount,
        slot=tx.slot,
        max_ts=ix.max_ts,
        reduce_only=ix.reduce_only,
    )
    place(tx, user, ix.market_index, order, ix.expired)


def require_operator(tx: Transaction, user: User) -> None:
    """``Unauthorized`` unless who runs the order book, or the account's authority or delegate signs."""
    if not tx.holds_role(role_of(tx.state, tx.instruction)):
        tx.require_authority_or_delegate(user)


def place(
    tx: Transaction, user: User, market_index: int, order: PerpOrder, expired: Iterable[RestingPerpOrder]
) -> bool:
    """Reserve an order as ``place_perp_order`` would, its size cut to whole steps; False for an expired one.

    Velocity judges each isolated position's margin by itself, and admits accounts of pool 0 only (``InvalidPoolId``).
    Errors in order: ``UserIsBeingLiquidated``, ``UserBankrupt``, ``UserReduceOnly``, ``MarketBeingInitialized``,
    ``MarketPlaceOrderPaused``, ``MaxNumberOfPositions``, ``OrderAmountTooSmall``, ``InsufficientCollateral``,
    ``IsolatedAssetTierViolation``, ``InvalidOrderNotRiskReducing``, ``MaxOpenInterest``.
    """
    _validate_not_being_liquidated(tx, user)
    if is_bankrupt(user):
        raise SettlementError(ErrorCode.UserBankrupt)
    _release(user, expired)
    if is_reduce_only(user) and not order.reduce_only:
        raise SettlementError(ErrorCode.UserReduceOnly)
    market = tx.perp_market(market_index)
    check_market_takes_orders(market.status, market.expiry_ts, tx.now)
    position = user.perp_positions[force_get_perp_position_index(user, market_index)]
    step = market.amm.order_step_size
    if order.base_asset_amount < step:
        raise SettlementError(ErrorCode.OrderAmountTooSmall, f"one step is {step} (base 1e9)", f"at least {step}")
    order.base_asset_amount = standardize_base_asset_amount(order.base_asset_amount, step)
    if order.max_ts != 0 and order.max_ts < tx.now:
        return False
    risk_increasing = is_new_order_risk_increasing(
        position, order.direction, order.base_asset_amount, order.reduce_only
    )
    reserve_order(position, order.direction, order.base_asset_amount)
    with placing(tx, user, market_index, risk_increasing):
        _check_place_order_margin(tx, user, market_index, risk_increasing)
    with entering_market(tx, market, position, order):
        check_reserved_order(market, position, order, risk_increasing)
    update_last_active_slot(user, tx.slot)
    return True


def _validate_not_being_liquidated(tx: Transaction, user: User) -> None:
    """``UserIsBeingLiquidated``; Velocity: ``InvalidPoolId`` first."""
    if tx.state.rulebook == RULEBOOK_DRIFT:
        validate_user_not_being_liquidated(user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state)
        return
    require_pool_0(user)
    validate_no_scope_being_liquidated(user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state)


def require_pool_0(user: User) -> None:
    """``InvalidPoolId`` for an account that may not trade perps."""
    if user.pool_id != 0:
        raise SettlementError(
            ErrorCode.InvalidPoolId, f"the account belongs to pool {user.pool_id}", "an account of pool 0"
        )


def _check_place_order_margin(tx: Transaction, user: User, market_index: int, risk_increasing: bool) -> None:
    """``InsufficientCollateral``, ``IsolatedAssetTierViolation``."""
    if tx.state.rulebook == RULEBOOK_DRIFT:
        check_place_order_margin_requirement(
            user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, risk_increasing
        )
        return
    row = scope_of(user, market_index)
    check_place_order_margin_by_scope(
        user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, risk_increasing, row
    )


def release_perp_order(tx: Transaction, ix: ReleasePerpOrder) -> None:
    """Free what a resting order reserved. ``ExchangePaused``, ``OrderDoesNotExist``."""
    require_not_paused(tx, EXCHANGE_ALL_PAUSED)
    user = tx.write_user(ix.user)
    require_operator(tx, user)
    order = RestingPerpOrder(
        market_index=ix.market_index, direction=ix.direction, base_asset_amount=ix.base_asset_amount
    )
    _release(user, [order])
    update_last_active_slot(user, tx.slot)


def release_perp_orders(tx: Transaction, ix: ReleasePerpOrders) -> None:
    """Free what several resting orders reserved. ``ExchangePaused``, ``OrderDoesNotExist``."""
    require_not_paused(tx, EXCHANGE_ALL_PAUSED)
    user = tx.write_user(ix.user)
    require_operator(tx, user)
    _release(user, ix.orders)
    update_last_active_slot(user, tx.slot)


def _release(user: User, orders: Iterable[RestingPerpOrder]) -> None:
    for order in orders:
        index = find_perp_position(user, order.market_index)
        if index < 0:
            raise SettlementError(ErrorCode.OrderDoesNotExist, f"no order rests in perp market {order.market_index}")
        release_order(user.perp_positions[index], PositionDirection[order.direction], order.base_asset_amount)


# --- fills -----------------------------------------------------------------------------------------------------


def place_and_take_perp_order(tx: Transaction, ix: PlaceAndTakePerpOrder) -> None:
    """Place an order and fill it at once.

    Errors: ``ExchangePaused``, ``InvalidOrderPostOnly``, those of ``place``, those of fills (amm-and-funding.md §3.5).
    """
    require_no_builder(ix)
    user = admit_taker(tx, ix)
    market = refresh_amm(tx, ix.market_index)
    order = taking_order(tx, ix)
    if place(tx, user, ix.market_index, order, ix.expired):
        take(PerpOrderFill(tx, market, user, order, ix.user), ix)


def require_no_builder(ix: PlaceAndTakePerpOrder | FillPerpOrder) -> None:
    """``InvalidInstruction`` for an order that names a builder: Drift knows none."""
    if ix.builder is not None or ix.builder_fee_tenth_bps:
        raise SettlementError(
            ErrorCode.InvalidInstruction, "the rulebook 'drift' has no builders", "the order without a builder"
        )


def admit_taker(tx: Transaction, ix: PlaceAndTakePerpOrder) -> User:
    """The account that takes: ``ExchangePaused``, ``InvalidOrderPostOnly``, ``Unauthorized``."""
    require_not_paused(tx, EXCHANGE_FILL_PAUSED)
    if ix.post_only:
        raise SettlementError(ErrorCode.InvalidOrderPostOnly)
    user = tx.write_user(ix.user)
    if ix.makers or ix.cancelled_maker_orders or any(hasattr(fill, "maker") for fill in ix.fills):
        tx.require_admin()
    require_operator(tx, user)
    return user


def taking_order(tx: Transaction, ix: PlaceAndTakePerpOrder) -> PerpOrder:
    """The order that is placed now."""
    return PerpOrder(
        direction=PositionDirection[ix.direction],
        base_asset_amount=ix.base_asset_amount,
        price=ix.price,
        slot=tx.slot,
        max_ts=ix.max_ts,
        reduce_only=ix.reduce_only,
        is_limit=ix.order_type in ("Limit", "TriggerLimit"),
    )


def take(fill: PerpOrderFill, ix: PlaceAndTakePerpOrder) -> None:
    """Fill an order just placed; what is left of it rests, or is dropped."""
    fill.run(ix.makers, ix.cancelled_maker_orders, ix.fills)
    if ix.immediate_or_cancel and fill.is_open:
        fill.release_rest()


def fill_perp_order(tx: Transaction, ix: FillPerpOrder) -> None:
    """Fill a resting order. ``ExchangePaused``, ``OrderDoesNotExist``, those of fills (amm-and-funding.md §3.5)."""
    require_no_builder(ix)
    user = admit_fill(tx, ix)
    market = refresh_amm(tx, ix.market_index)
    order = resting_order(ix, user)
    PerpOrderFill(tx, market, user, order, ix.filler).run(ix.makers, ix.cancelled_maker_orders, ix.fills)


def admit_fill(tx: Transaction, ix: FillPerpOrder) -> User:
    """The account whose order is filled: ``ExchangePaused``, ``Unauthorized``."""
    require_not_paused(tx, EXCHANGE_FILL_PAUSED)
    tx.require_admin()
    return tx.write_user(ix.user)


def resting_order(ix: FillPerpOrder, user: User) -> PerpOrder:
    """The order that was placed before; ``UserHasNoPositionInMarket``, ``OrderDoesNotExist``."""
    direction = PositionDirection[ix.direction]
    index = get_perp_position_index(user, ix.market_index)
    if ix.base_asset_amount == 0 or reserved_base(user.perp_positions[index], direction) < ix.base_asset_amount:
        raise SettlementError(ErrorCode.OrderDoesNotExist, f"{ix.user} has no such order resting")
    return PerpOrder(
        direction=direction,
        base_asset_amount=ix.base_asset_amount,
        price=ix.price,
        slot=ix.order_slot,
        max_ts=ix.max_ts,
        reduce_only=ix.reduce_only,
        post_only=ix.post_only,
        is_limit=ix.order_type in ("Limit", "TriggerLimit"),
    )


HANDLERS: dict[type[Instruction], Handler] = {
    ReservePerpOrder: reserve_perp_order,
    ReleasePerpOrder: release_perp_order,
    ReleasePerpOrders: release_perp_orders,
    PlaceAndTakePerpOrder: place_and_take_perp_order,
    FillPerpOrder: fill_perp_order,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {ErrorCode.PriceBandsBreached: explain_price_bands}
