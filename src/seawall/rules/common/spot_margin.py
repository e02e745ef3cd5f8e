"""What one spot position adds to collateral and requirement. Source: margin.md §5.1, §5.2; ``state/user.rs``."""

from typing import Final

from seawall.arithmetic import MARGIN_PRECISION, SPOT_WEIGHT_PRECISION, pow10, sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_signed_token_amount, get_token_amount
from seawall.rules.common.margin_weights import get_asset_weight, get_liability_weight
from seawall.rules.common.token_values import get_strict_token_value, get_token_value
from seawall.state.enums import DEPOSIT, MARGIN_INITIAL, RULEBOOK_VELOCITY
from seawall.state.spot_market import SpotMarket
from seawall.state.user import SpotPosition

OPEN_ORDER_MARGIN_REQUIREMENT: Final = 10_000
"""Quote 1e6 that each open order reserves."""

MAX_OPEN_ORDERS: Final = 32


@rule
def signed_token_amount(position: SpotPosition, spot_market: SpotMarket) -> int:
    """Tokens of a user's position, negative for a borrow. Source: ``state/user.rs::get_signed_token_amount``."""
    tokens = get_token_amount(position.scaled_balance, spot_market, position.balance_type)
    return get_signed_token_amount(tokens, position.balance_type)


@rule
def validate_worth_a_token(tokens: int, position: SpotPosition, spot_market: SpotMarket) -> None:
    """Refuse a balance that is worth no token, where the rulebook does.

    Drift: it fails with ``InvalidMarginRatio``. Velocity: it counts for nothing, since a bankruptcy may have cut a
    deposit to that, and the accounts that hold such deposits must still be resolved.
    Source: margin.md §5.1, §5.2; velocity/solvency.md §3, §6.
    """
    if tokens == 0 and position.scaled_balance != 0 and spot_market.rulebook != RULEBOOK_VELOCITY:
        raise SettlementError(ErrorCode.InvalidMarginRatio)


@rule
def has_open_spot_order(position: SpotPosition) -> bool:
    """Whether resting orders reserve anything. Source: ``state/user.rs::has_open_order``."""
    return position.open_orders != 0 or position.open_bids != 0 or position.open_asks != 0


@rule
def quote_position_value(position: SpotPosition, spot_market: SpotMarket, low_price: int, high_price: int) -> int:
    """Unweighted value (quote 1e6, negative for a borrow) of a position in market 0.

    ``InvalidMarginRatio`` for a balance worth no token (Drift), or a borrow worth nothing. Source: margin.md §5.1.
    """
    tokens = get_token_amount(position.scaled_balance, spot_market, position.balance_type)
    validate_worth_a_token(tokens, position, spot_market)
    precision = pow10(spot_market.decimals)
    if position.balance_type == DEPOSIT:
        return tokens * low_price // precision
    value = (tokens * high_price + precision - 1) // precision
    if value == 0:
        raise SettlementError(ErrorCode.InvalidMarginRatio)
    return -value


@rule
def get_weighted_value(
    value: int, token_amount: int, spot_market: SpotMarket, oracle_price: int, requirement_type: int
) -> int:
    """A signed value (quote 1e6) times the weight of its side for the size of ``token_amount``, toward zero."""
    if value > 0:
        weight = get_asset_weight(spot_market, abs(token_amount), oracle_price, requirement_type)
        return value * weight // SPOT_WEIGHT_PRECISION
    if value < 0:
        weight = get_liability_weight(spot_market, abs(token_amount), requirement_type)
        return -(-value * weight // SPOT_WEIGHT_PRECISION)
    return 0


@rule
def apply_user_custom_margin_ratio(
    weighted: int, value: int, token_amount: int, spot_market: SpotMarket, oracle_price: int, custom_ratio: int
) -> int:
    """The weighted value under the user's own, stricter ratio (1e4). Source: margin.md §5.2."""
    if weighted < 0:
        weight = get_liability_weight(spot_market, abs(token_amount), MARGIN_INITIAL)
        weight = max(weight, custom_ratio + MARGIN_PRECISION)
        return -(-value * weight // SPOT_WEIGHT_PRECISION)
    if weighted > 0:
        weight = get_asset_weight(spot_market, abs(token_amount), oracle_price, MARGIN_INITIAL)
        weight = min(weight, sub_saturating(MARGIN_PRECISION, custom_ratio))
        return value * weight // SPOT_WEIGHT_PRECISION
    return weighted


@rule
def worst_case_fill(
    position: SpotPosition,
    spot_market: SpotMarket,
    tokens: int,
    value: int,
    oracle_price: int,
    high_price: int,
    requirement_type: int,
) -> tuple[int, int, int, int]:
    """Tokens, orders value, value and weighted value after the riskier of all bids and all asks filled.

    The asks win a tie. Source: margin.md §5.2; ``state/user.rs::simulate_fills_both_sides``, ``::riskier_side``.
    """
    bids_orders = get_token_value(-position.open_bids, spot_market.decimals, high_price)
    bids_tokens = tokens + position.open_bids
    bids_value = value - bids_orders
    bids_weighted = get_weighted_value(bids_value, bids_tokens, spot_market, oracle_price, requirement_type)
    asks_orders = get_token_value(-position.open_asks, spot_market.decimals, high_price)
    asks_tokens = tokens + position.open_asks
    asks_value = value - asks_orders
    asks_weighted = get_weighted_value(asks_value, asks_tokens, spot_market, oracle_price, requirement_type)
    if asks_weighted + asks_orders <= bids_weighted + bids_orders:
        return asks_tokens, asks_orders, asks_value, asks_weighted
    return bids_tokens, bids_orders, bids_value, bids_weighted


@rule
def weighted_spot_position(
    position: SpotPosition,
    spot_market: SpotMarket,
    oracle_price: int,
    low_price: int,
    high_price: int,
    requirement_type: int,
    custom_ratio: int,
) -> tuple[int, int, int]:
    """Value, weighted value and orders value (quote 1e6, signed) of a position outside market 0, orders at their worst.

    Errors: ``InvalidMarginRatio`` for a balance worth no token (Drift) or a liability weighted below its value,
    ``InvalidOracle`` for a liability weighted to 0. Source: margin.md §5.2.
    """
    tokens = signed_token_amount(position, spot_market)
    value = get_strict_token_value(tokens, spot_market.decimals, low_price, high_price)
    orders_value = 0
    if position.open_bids == 0 and position.open_asks == 0:
        weighted = get_weighted_value(value, tokens, spot_market, oracle_price, requirement_type)
    else:
        tokens, orders_value, value, weighted = worst_case_fill(
            position, spot_market, tokens, value, oracle_price, high_price, requirement_type
        )
    if custom_ratio > 0:
        weighted = apply_user_custom_margin_ratio(weighted, value, tokens, spot_market, oracle_price, custom_ratio)
    validate_worth_a_token(tokens, position, spot_market)
    if value < 0:
        if -weighted < -value:
            raise SettlementError(ErrorCode.InvalidMarginRatio)
        if weighted == 0:
            raise SettlementError(ErrorCode.InvalidOracle)
    return value, weighted, orders_value
