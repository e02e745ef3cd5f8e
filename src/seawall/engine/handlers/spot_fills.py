"""Spot fills, spot-order reservations, and the spot fee pool's settlement."""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.explain import Explainer
from seawall.engine.gates import require_not_paused, require_spot_market_valid
from seawall.engine.handlers.perp_fills import require_operator
from seawall.engine.handlers.spot_order_fill import SpotOrderFill
from seawall.engine.interest import accrue
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.spot_fills import (
    FillSpotOrder,
    ReleaseSpotOrder,
    ReserveSpotOrder,
    SettleSpotFeePoolToRevenuePool,
    UpdateSpotFeePoolTarget,
)
from seawall.rules.common.margin import (
    check_place_order_margin_requirement,
    update_liquidation_status,
    validate_spot_margin_trading,
    validate_user_not_being_liquidated,
)
from seawall.rules.common.open_orders import (
    check_market_takes_orders,
    is_in_settlement,
    release_order,
    reserve_order,
    reserved_base,
    standardize_base_asset_amount,
)
from seawall.rules.common.spot_positions import force_get_spot_position_index, get_spot_position_index
from seawall.rules.common.user_status import is_bankrupt, is_reduce_only, update_last_active_slot
from seawall.rules.common.vaults import validate_max_token_deposits_and_borrows, validate_spot_market_vault_amount
from seawall.rules.drift.spot_fee_pool import settle_spot_fee_pool
from seawall.rules.drift.spot_fills import spot_fee_pool_tokens
from seawall.state.enums import (
    EXCHANGE_ALL_PAUSED,
    EXCHANGE_FILL_PAUSED,
    SPOT_FILL,
    STATUS_ACTIVE,
    STATUS_REDUCE_ONLY,
    PositionDirection,
)
from seawall.state.spot_market import SpotMarket

# --- reservations ----------------------------------------------------------------------------------------------


def _base_market(tx: Transaction, market_index: int) -> SpotMarket:
    """The market of a spot order; ``InvalidSpotMarketAccount``, ``SpotOrdersDisabled``."""
    if market_index == QUOTE_SPOT_MARKET_INDEX:
        raise SettlementError(ErrorCode.InvalidSpotMarketAccount, "the quote token is not traded against itself")
    market = tx.spot_market(market_index)
    if not market.orders_enabled:
        raise SettlementError(ErrorCode.SpotOrdersDisabled)
    return market


def reserve_spot_order(tx: Transaction, ix: ReserveSpotOrder) -> None:
    """Reserve a resting spot order, its size cut to whole steps.

    Errors in order: ``ExchangePaused``, ``InvalidSpotMarketAccount``, ``SpotOrdersDisabled``,
    ``UserIsBeingLiquidated``, ``UserBankrupt``, ``UserReduceOnly``, ``MarketBeingInitialized``,
    ``MarketPlaceOrderPaused``, ``NoSpotPositionAvailable``, ``OrderAmountTooSmall``, ``InvalidOrderNotRiskReducing``,
    ``InsufficientCollateral``, ``IsolatedAssetTierViolation``, ``MarginTradingDisabled``.
    """
    require_not_paused(tx, EXCHANGE_ALL_PAUSED)
    user = tx.write_user(ix.user)
    require_operator(tx, user)
    market = _base_market(tx, ix.market_index)
    validate_user_not_being_liquidated(user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state)
    if is_bankrupt(user):
        raise SettlementError(ErrorCode.UserBankrupt)
    if is_reduce_only(user) and not ix.reduce_only:
        raise SettlementError(ErrorCode.UserReduceOnly)
    check_market_takes_orders(market.status, market.expiry_ts, tx.now)
    position = user.spot_positions[force_get_spot_position_index(user, ix.market_index)]
    if ix.base_asset_amount < market.order_step_size:
        raise SettlementError(ErrorCode.OrderAmountTooSmall)
    if market.status == STATUS_REDUCE_ONLY and not ix.reduce_only:
        raise SettlementError(ErrorCode.InvalidOrderNotRiskReducing)
    base = standardize_base_asset_amount(ix.base_asset_amount, market.order_step_size)
    reserve_order(position, PositionDirection[ix.direction], base)
    check_place_order_margin_requirement(
        user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, not ix.reduce_only
    )
    validate_spot_margin_trading(user, tx.spot_markets, tx.perp_markets, tx.oracles)
    update_last_active_slot(user, tx.slot)


def release_spot_order(tx: Transaction, ix: ReleaseSpotOrder) -> None:
    """Free what a resting spot order reserved.

    Errors: ``ExchangePaused``, ``CouldNotFindSpotPosition``, ``OrderDoesNotExist``.
    """
    require_not_paused(tx, EXCHANGE_ALL_PAUSED)
    user = tx.write_user(ix.user)
    require_operator(tx, user)
    position = user.spot_positions[get_spot_position_index(user, ix.market_index)]
    release_order(position, PositionDirection[ix.direction], ix.base_asset_amount)
    update_last_active_slot(user, tx.slot)


# --- fills -----------------------------------------------------------------------------------------------------


def fill_spot_order(tx: Transaction, ix: FillSpotOrder) -> None:
    """Fill a resting spot order; nothing happens to an account in liquidation or bankruptcy.

    Errors in order: ``ExchangePaused``, ``InvalidSpotMarketAccount``, ``SpotOrdersDisabled``,
    ``CouldNotFindSpotPosition``, ``OrderDoesNotExist``, ``MarketFillOrderPaused``, those of each fill,
    ``InsufficientCollateral``, ``MaxDeposit``, ``MaxBorrows``, ``SpotMarketVaultInvariantViolated``.
    """
    require_not_paused(tx, EXCHANGE_FILL_PAUSED)
    tx.require_admin()
    user = tx.write_user(ix.user)
    _base_market(tx, ix.market_index)
    direction = PositionDirection[ix.direction]
    position = user.spot_positions[get_spot_position_index(user, ix.market_index)]
    if ix.base_asset_amount == 0 or reserved_base(position, direction) < ix.base_asset_amount:
        raise SettlementError(ErrorCode.OrderDoesNotExist, f"{ix.user} has no such order resting")
    base_market = tx.write_spot_market(ix.market_index)
    quote_market = tx.write_quote_market()
    if base_market.status not in (STATUS_ACTIVE, STATUS_REDUCE_ONLY) or base_market.paused_operations & SPOT_FILL:
        raise SettlementError(ErrorCode.MarketFillOrderPaused)
    if is_in_settlement(base_market.status, base_market.expiry_ts, tx.now):
        raise SettlementError(ErrorCode.MarketFillOrderPaused)
    if is_bankrupt(user):
        return
    if update_liquidation_status(user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state):
        return
    accrue(tx, quote_market.market_index, True)
    accrue(tx, base_market.market_index, True)
    SpotOrderFill(tx, base_market, quote_market, user, direction, ix).run()
    validate_max_token_deposits_and_borrows(base_market)
    validate_spot_market_vault_amount(base_market, tx.vaults(ix.market_index).spot_vault)
    validate_spot_market_vault_amount(quote_market, tx.vaults(QUOTE_SPOT_MARKET_INDEX).spot_vault)


# --- the spot fee pool -----------------------------------------------------------------------------------------


def _require_spot_fee_pool_settlement(tx: Transaction) -> None:
    if not tx.config.spot_fee_pool_settlement:
        raise SettlementError(
            ErrorCode.UnsupportedInstruction, "this venue runs without the parameter spot_fee_pool_settlement"
        )


def settle_spot_fee_pool_to_revenue_pool(tx: Transaction, ix: SettleSpotFeePoolToRevenuePool) -> None:
    """Turn a spot fee pool's surplus over its target into revenue. ``UnsupportedInstruction``, ``ExchangePaused``."""
    _require_spot_fee_pool_settlement(tx)
    require_not_paused(tx, EXCHANGE_ALL_PAUSED)
    market = tx.write_spot_market(ix.market_index)
    quote_market = tx.write_quote_market()
    accrue(tx, QUOTE_SPOT_MARKET_INDEX, False)
    before = spot_fee_pool_tokens(market, quote_market)
    amount = settle_spot_fee_pool(market, quote_market)
    target = market.spot_fee_pool_target
    if amount == 0:
        tx.limit("spot_fee_pool_target", target, before, "only what the pool holds beyond its target is revenue")
    tx.emit(
        "SpotFeePoolSettleRecord",
        ts=tx.now,
        market_index=ix.market_index,
        amount=amount,
        spot_fee_pool_before=before,
        spot_fee_pool_after=spot_fee_pool_tokens(market, quote_market),
        spot_fee_pool_target=target,
    )


def update_spot_fee_pool_target(tx: Transaction, ix: UpdateSpotFeePoolTarget) -> None:
    """Set the target of a spot fee pool. ``UnsupportedInstruction``, ``MarketDelisted``."""
    tx.require_admin()
    _require_spot_fee_pool_settlement(tx)
    require_spot_market_valid(tx, ix.market_index)
    tx.write_spot_market(ix.market_index).spot_fee_pool_target = ix.spot_fee_pool_target


HANDLERS: dict[type[Instruction], Handler] = {
    ReserveSpotOrder: reserve_spot_order,
    ReleaseSpotOrder: release_spot_order,
    FillSpotOrder: fill_spot_order,
    SettleSpotFeePoolToRevenuePool: settle_spot_fee_pool_to_revenue_pool,
    UpdateSpotFeePoolTarget: update_spot_fee_pool_target,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
