"""Collateral, margin requirement, and every predicate built on them.

A calculation walks all spot positions, then all perp positions; what each adds is in ``spot_margin.py`` and
``perp_margin.py``. The sums travel as tuples, so that a predicate allocates nothing.
Source: margin.md; ``math/margin.rs``, ``state/margin_calculation.rs``, ``state/user.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    MARGIN_PRECISION,
    PRICE_PRECISION,
    QUOTE_SPOT_MARKET_INDEX,
    SPOT_WEIGHT_PRECISION,
    U64_MAX,
    pow10,
    sub_checked,
    sub_saturating,
    to_u64,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.margin_weights import get_asset_weight
from seawall.rules.common.oracles import (
    ACTION_MARGIN_CALC,
    cached_perp_oracle_validity,
    cached_spot_oracle_validity,
    is_oracle_valid_for_action,
)
from seawall.rules.common.perp_margin import calculate_perp_position_value_and_pnl
from seawall.rules.common.perp_positions import has_open_order, is_isolated, is_perp_position_available
from seawall.rules.common.spot_margin import (
    MAX_OPEN_ORDERS,
    OPEN_ORDER_MARGIN_REQUIREMENT,
    has_open_spot_order,
    quote_position_value,
    signed_token_amount,
    weighted_spot_position,
)
from seawall.rules.common.spot_positions import get_spot_position_index
from seawall.rules.common.token_values import get_strict_token_value, get_token_value
from seawall.rules.common.user_status import exit_liquidation, is_being_liquidated, is_reduce_only
from seawall.state.enums import (
    ASSET_TIER_ISOLATED,
    BORROW,
    CONTRACT_TIER_ISOLATED,
    DEPOSIT,
    MARGIN_INITIAL,
    MARGIN_MAINTENANCE,
    RULEBOOK_VELOCITY,
)
from seawall.state.exchange import State, ValidityGuardRails
from seawall.state.facts import MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, SpotPosition, User

POSITIONS: Final = 8

TRACK_NONE: Final = 0
TRACK_SPOT: Final = 1
TRACK_PERP: Final = 2

# what a walk over positions met
INVALID_ORACLE: Final = 1
ISOLATED_SPOT_LIABILITY: Final = 2
ISOLATED_PERP_LIABILITY: Final = 4
INVALID_DEPOSIT_ORACLE: Final = 8
INVALID_LIABILITY_ORACLE: Final = 16
PERP_LIABILITY: Final = 32
ISOLATED_SCOPE_SHORT: Final = 64
"""An isolated position whose own collateral does not cover its requirement."""


@rule
def spot_oracle_valid(market: SpotMarket, oracle: OraclePriceData, rails: ValidityGuardRails) -> bool:
    """Whether a spot market's price is good enough for margin; its class is remembered for the instruction."""
    if market.oracle_index == 0:
        return True
    return is_oracle_valid_for_action(cached_spot_oracle_validity(market, oracle, rails), ACTION_MARGIN_CALC)


@rule
def perp_oracle_valid(market: PerpMarket, oracle: OraclePriceData, rails: ValidityGuardRails) -> bool:
    """Whether a perp market's price is good enough for margin; its class is remembered for the instruction."""
    return is_oracle_valid_for_action(cached_perp_oracle_validity(market, oracle, rails), ACTION_MARGIN_CALC)


@rule
def strict_prices(market: SpotMarket, price: int, strict: bool) -> tuple[int, int]:
    """The lower and the higher of price and 5-minute TWAP (1e6); both the price where not strict.

    ``InvalidOracle`` unless each that is used is positive.
    Source: margin.md §2; ``state/oracle.rs::StrictOraclePrice``.
    """
    if price <= 0:
        raise SettlementError(ErrorCode.InvalidOracle)
    if not strict:
        return price, price
    twap = market.historical_oracle_data.last_oracle_price_twap_5min
    if twap <= 0:
        raise SettlementError(ErrorCode.InvalidOracle)
    if twap < price:
        return twap, price
    return price, twap


@rule
def counts_for_nothing(user: User, position: SpotPosition, market: SpotMarket) -> bool:
    """Whether a balance adds nothing to collateral because it is of another pool than the account.

    Drift: there is one pool, all counts. Velocity: a quote deposit of an account of pool 1; any other position in a
    market of another pool is ``InvalidPoolId``. Source: margin.md §10.
    """
    if market.rulebook != RULEBOOK_VELOCITY:
        return False
    is_quote_deposit = market.market_index == QUOTE_SPOT_MARKET_INDEX and position.balance_type == DEPOSIT
    if user.pool_id == 1 and is_quote_deposit:
        return True
    if user.pool_id != market.pool_id:
        raise SettlementError(ErrorCode.InvalidPoolId)
    return False


@rule
def invalid_spot_oracle(market_index: int, value: int, is_liability: bool) -> int:
    """What an invalid price of a spot position means: a deposit's, a liability's, or neither (worth nothing).

    Drift asks only whether any price was invalid; Velocity tells the two apart. Source: margin.md §5.4.
    """
    if is_liability:
        return INVALID_ORACLE | INVALID_LIABILITY_ORACLE
    if value > 0 or market_index == QUOTE_SPOT_MARKET_INDEX:
        return INVALID_ORACLE | INVALID_DEPOSIT_ORACLE
    return INVALID_ORACLE


@rule
def spot_position_margin(
    user: User,
    position: SpotPosition,
    market: SpotMarket,
    oracle: OraclePriceData,
    rails: ValidityGuardRails,
    requirement_type: int,
    strict: bool,
    custom_ratio: int,
    ignore_invalid_deposits: bool,
) -> tuple[int, int, int, bool, int]:
    """Value, weighted value, orders value (quote 1e6, signed) of a position, whether it is a liability, what was met.

    Errors: ``InvalidPoolId``, ``InvalidOracle``, ``InvalidMarginRatio``. Source: margin.md §5.1, §5.2.
    """
    uncounted = counts_for_nothing(user, position, market)
    valid = spot_oracle_valid(market, oracle, rails)
    price = oracle.price
    low, high = strict_prices(market, price, strict)
    met = 0
    if market.market_index == QUOTE_SPOT_MARKET_INDEX:
        value = quote_position_value(position, market, low, high)
        weighted = value
        orders_value = 0
        is_liability = value < 0
    else:
        value, weighted, orders_value = weighted_spot_position(
            position, market, price, low, high, requirement_type, custom_ratio
        )
        is_liability = value < 0 or (value == 0 and has_open_spot_order(position))
        if is_liability and market.asset_tier == ASSET_TIER_ISOLATED:
            met = ISOLATED_SPOT_LIABILITY
    if not valid:
        met = met | invalid_spot_oracle(market.market_index, value, is_liability)
    if uncounted or (ignore_invalid_deposits and not valid):
        if value > 0:
            weighted = 0
        if orders_value > 0:
            orders_value = 0
    return value, weighted, orders_value, is_liability, met


@rule
def sum_spot_positions(
    user: User,
    spot_markets: list[SpotMarket],
    oracles: list[OraclePriceData],
    rails: ValidityGuardRails,
    requirement_type: int,
    strict: bool,
    margin_buffer: int,
    tracked_index: int,
    ignore_invalid_deposits: bool,
) -> tuple[int, int, int, int, int, int]:
    """Collateral, requirement, buffer, tracked requirement (quote 1e6), liabilities and what was met, in slot order.

    ``tracked_index`` −1 tracks nothing; with ``ignore_invalid_deposits`` what an invalid price values adds nothing.
    Errors: ``InvalidSpotPositionDetected``, ``InvalidPoolId``, ``InvalidOracle``, ``InvalidMarginRatio``.
    Source: margin.md §5.1, §5.2, §5.4.
    """
    collateral = 0
    requirement = 0
    buffer = 0
    tracked = 0
    liabilities = 0
    met = 0
    custom_ratio = 0
    if requirement_type == MARGIN_INITIAL:
        custom_ratio = user.max_margin_ratio
    positions = user.spot_positions
    for i in range(POSITIONS):
        position = positions[i]
        open_orders = position.open_orders
        if position.open_bids < 0 or position.open_asks > 0 or open_orders > MAX_OPEN_ORDERS:
            raise SettlementError(ErrorCode.InvalidSpotPositionDetected)
        if position.scaled_balance == 0 and open_orders == 0:
            continue
        index = position.market_index
        market = spot_markets[index]
        oracle = oracles[market.oracle_index]
        value, weighted, orders_value, is_liability, position_met = spot_position_margin(
            user, position, market, oracle, rails, requirement_type, strict, custom_ratio, ignore_invalid_deposits
        )
        met = met | position_met
        required = 0
        if index != QUOTE_SPOT_MARKET_INDEX:
            required = open_orders * OPEN_ORDER_MARGIN_REQUIREMENT
        if value > 0:
            collateral = collateral + weighted
        elif value < 0:
            required = required - weighted
            buffer = buffer + -value * margin_buffer // MARGIN_PRECISION
        if is_liability:
            liabilities = liabilities + 1
        requirement = requirement + required
        if index == tracked_index:
            tracked = tracked + required
        if orders_value > 0:
            collateral = collateral + orders_value
        elif orders_value < 0:
            # what the orders would cost is a requirement of market 0, unweighted: deliberate, it is the program's
            requirement = requirement - orders_value
            buffer = buffer + -orders_value * margin_buffer // MARGIN_PRECISION
            if tracked_index == QUOTE_SPOT_MARKET_INDEX:
                tracked = tracked - orders_value
    return collateral, requirement, buffer, tracked, liabilities, met


@rule
def strict_quote_prices(quote_market: SpotMarket, price: int, strict: bool) -> tuple[int, int]:
    """The lower and the higher of the quote token's price and 5-minute TWAP (1e6); both the price where not strict.

    Unlike a spot position's, the quote price of a perp position is not validated: deliberate, it is the program's.
    """
    if not strict:
        return price, price
    twap = quote_market.historical_oracle_data.last_oracle_price_twap_5min
    if twap < price:
        return twap, price
    return price, twap


@rule
def perp_position_margin(
    position: PerpPosition,
    market: PerpMarket,
    quote_market: SpotMarket,
    oracles: list[OraclePriceData],
    rails: ValidityGuardRails,
    requirement_type: int,
    strict: bool,
    custom_ratio: int,
) -> tuple[int, int, int, int]:
    """Requirement, weighted P&L (signed), worst-case liability of a position in use (quote 1e6), and what was met.

    Errors: ``InvalidOracle``. Source: margin.md §5.3, §5.4.
    """
    quote_oracle = oracles[quote_market.oracle_index]
    quote_valid = spot_oracle_valid(quote_market, quote_oracle, rails)
    quote_price = quote_oracle.price
    quote_low, quote_high = strict_quote_prices(quote_market, quote_price, strict)
    oracle = oracles[market.amm.oracle_index]
    oracle_valid = perp_oracle_valid(market, oracle, rails)
    required, weighted, liability = calculate_perp_position_value_and_pnl(
        position, market, oracle.price, quote_price, quote_low, quote_high, requirement_type, custom_ratio
    )
    met = 0
    is_liability = position.base_asset_amount != 0 or position.quote_asset_amount < 0 or has_open_order(position)
    if is_liability:
        met = PERP_LIABILITY
        if market.contract_tier == CONTRACT_TIER_ISOLATED:
            met = met | ISOLATED_PERP_LIABILITY
    judged = is_liability or requirement_type != MARGIN_INITIAL
    if not quote_valid or (judged and not oracle_valid):
        met = met | INVALID_ORACLE
        if judged:
            met = met | INVALID_LIABILITY_ORACLE
    return required, weighted, liability, met


@rule
def requirement_type_of(
    position: PerpPosition, cross_type: int, isolated_type: int, override_market_index: int, override_type: int
) -> int:
    """The requirement type that a position's scope is held to; the override is for one isolated market, −1 for none.

    Source: velocity/isolated.md §5; ``state/margin_calculation.rs::MarginTypeConfig``.
    """
    if not is_isolated(position):
        return cross_type
    if position.market_index == override_market_index:
        return override_type
    return isolated_type


@rule
def perp_row_margin(
    user: User,
    row: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    rails: ValidityGuardRails,
    requirement_type: int,
    strict: bool,
) -> tuple[int, int, int, int, int]:
    """Own collateral, requirement, weighted P&L, worst-case liability of a row in use (quote 1e6), and what was met.

    A cross position has no collateral of its own. A custom margin ratio, the account's or the position's, counts for
    Initial only. ``InvalidPoolId`` for a market of another pool, ``InvalidOracle``.
    Drift: all positions are in cross margin, no position has a ratio of its own, and there is one pool.
    Velocity: a position may be isolated, with collateral of its own.
    Source: velocity/isolated.md §5; margin.md §5.3, §10.
    """
    position = user.perp_positions[row]
    market = perp_markets[position.market_index]
    if user.pool_id != market.pool_id:
        raise SettlementError(ErrorCode.InvalidPoolId)
    quote_market = spot_markets[market.quote_spot_market_index]
    custom_ratio = 0
    if requirement_type == MARGIN_INITIAL:
        custom_ratio = max(user.max_margin_ratio, position.max_margin_ratio)
    required, weighted, liability, met = perp_position_margin(
        position, market, quote_market, oracles, rails, requirement_type, strict, custom_ratio
    )
    collateral = 0
    if is_isolated(position):
        low, high = strict_quote_prices(quote_market, oracles[quote_market.oracle_index].price, strict)
        tokens = get_token_amount(position.isolated_position_scaled_balance, quote_market, DEPOSIT)
        collateral = get_strict_token_value(tokens, quote_market.decimals, low, high)
    return collateral, required, weighted, liability, met


@rule
def sum_perp_positions(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    rails: ValidityGuardRails,
    requirement_type: int,
    strict: bool,
    margin_buffer: int,
    tracked_index: int,
) -> tuple[int, int, int, int, int, int]:
    """As ``sum_spot_positions``, of all perp positions in slot order, as Drift has them: none is isolated.

    Source: margin.md §5.3.
    """
    collateral = 0
    requirement = 0
    buffer = 0
    tracked = 0
    liabilities = 0
    met = 0
    for row in range(POSITIONS):
        position = user.perp_positions[row]
        if is_perp_position_available(position):
            continue
        _, required, weighted, liability, row_met = perp_row_margin(
            user, row, spot_markets, perp_markets, oracles, rails, requirement_type, strict
        )
        requirement = requirement + required
        buffer = buffer + liability * margin_buffer // MARGIN_PRECISION
        collateral = collateral + weighted
        if position.market_index == tracked_index:
            tracked = tracked + required
        if row_met & PERP_LIABILITY != 0:
            liabilities = liabilities + 1
        met = met | row_met
    return collateral, requirement, buffer, tracked, liabilities, met


@rule
def sum_scopes(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    cross_type: int,
    isolated_type: int,
    override_market_index: int,
    override_type: int,
    strict: bool,
    ignore_invalid_deposits: bool,
) -> tuple[int, int, int, int, int]:
    """Cross collateral and requirement (quote 1e6), spot and perp liabilities of all scopes, and what was met.

    Cross margin is held to ``cross_type``, isolated positions to ``isolated_type``, that of ``override_market_index``
    (−1: none) to ``override_type``; where one fails its own requirement ``ISOLATED_SCOPE_SHORT`` is met. With
    ``ignore_invalid_deposits`` what an invalid price values adds nothing. No buffer, nothing tracked. Errors:
    ``InvalidSpotPositionDetected``, ``InvalidPoolId``, ``InvalidOracle``, ``InvalidMarginRatio`` (spot liabilities that
    ask for nothing). Drift: there is cross margin only. Source: margin.md §5; velocity/isolated.md §5.
    """
    rails = state.oracle_guard_rails.validity
    collateral, requirement, _, _, spot_liabilities, met = sum_spot_positions(
        user, spot_markets, oracles, rails, cross_type, strict, 0, -1, ignore_invalid_deposits
    )
    perp_liabilities = 0
    for row in range(POSITIONS):
        position = user.perp_positions[row]
        if is_perp_position_available(position):
            continue
        requirement_type = requirement_type_of(
            position, cross_type, isolated_type, override_market_index, override_type
        )
        own, required, weighted, _, row_met = perp_row_margin(
            user, row, spot_markets, perp_markets, oracles, rails, requirement_type, strict
        )
        met = met | row_met
        if row_met & PERP_LIABILITY != 0:
            perp_liabilities = perp_liabilities + 1
        if not is_isolated(position):
            collateral = collateral + weighted
            requirement = requirement + required
        elif own + weighted < required:
            met = met | ISOLATED_SCOPE_SHORT
    if spot_liabilities > 0 and requirement == 0:
        raise SettlementError(ErrorCode.InvalidMarginRatio)
    return collateral, requirement, spot_liabilities, perp_liabilities, met


@rule
def calculate_margin(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    requirement_type: int,
    strict: bool,
    margin_buffer: int,
    calculation: MarginCalculation,
) -> None:
    """Fill ``calculation``; ``margin_buffer`` 1e4, 0 for none (then the requirement with buffer stays 0).

    Set the calculation's tracked market first to have its part of the requirement too. Errors:
    ``InvalidSpotPositionDetected``, ``InvalidOracle``, ``InvalidMarginRatio``, ``CastingFailure``, ``MathError``.
    Source: margin.md §1, §5; ``math/margin.rs::calculate_margin_requirement_and_total_collateral_and_liability_info``.
    """
    rails = state.oracle_guard_rails.validity
    tracked_spot = -1
    tracked_perp = -1
    if calculation.tracked_market_type == TRACK_SPOT:
        tracked_spot = calculation.tracked_market_index
    elif calculation.tracked_market_type == TRACK_PERP:
        tracked_perp = calculation.tracked_market_index
    collateral, requirement, buffer, tracked, spot_liabilities, met = sum_spot_positions(
        user, spot_markets, oracles, rails, requirement_type, strict, margin_buffer, tracked_spot, False
    )
    perp_collateral, perp_requirement, perp_buffer, perp_tracked, perp_liabilities, perp_met = sum_perp_positions(
        user, spot_markets, perp_markets, oracles, rails, requirement_type, strict, margin_buffer, tracked_perp
    )
    requirement = requirement + perp_requirement
    met = met | perp_met
    if spot_liabilities > 0 and requirement == 0:
        raise SettlementError(ErrorCode.InvalidMarginRatio)
    calculation.total_collateral = collateral + perp_collateral
    calculation.margin_requirement = requirement
    calculation.margin_requirement_plus_buffer = 0
    if margin_buffer > 0:
        calculation.margin_requirement_plus_buffer = requirement + buffer + perp_buffer
    calculation.margin_buffer = margin_buffer
    calculation.num_spot_liabilities = spot_liabilities
    calculation.num_perp_liabilities = perp_liabilities
    calculation.all_oracles_valid = met & INVALID_ORACLE == 0
    calculation.with_spot_isolated_liability = met & ISOLATED_SPOT_LIABILITY != 0
    calculation.with_perp_isolated_liability = met & ISOLATED_PERP_LIABILITY != 0
    calculation.tracked_market_margin_requirement = tracked + perp_tracked


# --- what a calculation says -----------------------------------------------------------------------------------


@rule
def can_exit_liquidation(calculation: MarginCalculation) -> bool:
    """Whether collateral covers the requirement with buffer. With a buffer of 0 that requirement is 0: deliberate."""
    return calculation.total_collateral >= calculation.margin_requirement_plus_buffer


@rule
def margin_shortage(calculation: MarginCalculation) -> int:
    """|requirement with buffer − collateral| (quote 1e6): a surplus shows up as a shortage, deliberately.

    ``InvalidMarginCalculation`` without a buffer. Source: margin.md §6.
    """
    if calculation.margin_buffer == 0:
        raise SettlementError(ErrorCode.InvalidMarginCalculation)
    return abs(calculation.margin_requirement_plus_buffer - calculation.total_collateral)


@rule
def tracked_market_margin_shortage(calculation: MarginCalculation, shortage: int) -> int:
    """The tracked market's part of a shortage (quote 1e6); ``InvalidMarginCalculation`` if none is tracked."""
    if calculation.tracked_market_type == TRACK_NONE:
        raise SettlementError(ErrorCode.InvalidMarginCalculation)
    if calculation.margin_requirement == 0:
        return 0
    return shortage * calculation.tracked_market_margin_requirement // calculation.margin_requirement


@rule
def free_collateral(calculation: MarginCalculation) -> int:
    """max(0, collateral − requirement), quote 1e6."""
    return sub_saturating(calculation.total_collateral, calculation.margin_requirement)


# --- predicates ------------------------------------------------------------------------------------------------


@rule
def all_scopes_meet_margin_requirement(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    cross_type: int,
    isolated_type: int,
    override_market_index: int,
    override_type: int,
    strict: bool,
) -> bool:
    """Whether every scope meets the requirement of its type. Arguments and errors as ``sum_scopes``."""
    collateral, requirement, _, _, met = sum_scopes(
        user, spot_markets, perp_markets, oracles, state, cross_type, isolated_type, override_market_index,
        override_type, strict, False,
    )  # fmt: skip
    return collateral >= requirement and met & ISOLATED_SCOPE_SHORT == 0


@rule
def meets_margin_requirement(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    requirement_type: int,
    strict: bool,
) -> bool:
    """Whether collateral covers the requirement of a type, in every scope. Source: margin.md §6."""
    return all_scopes_meet_margin_requirement(
        user, spot_markets, perp_markets, oracles, state, requirement_type, requirement_type, -1, requirement_type,
        strict,
    )  # fmt: skip


@rule
def meets_initial_margin_requirement(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> bool:
    """Initial in every scope, not strict: liquidators. Source: margin.md §6."""
    return meets_margin_requirement(user, spot_markets, perp_markets, oracles, state, MARGIN_INITIAL, False)


@rule
def meets_maintenance_margin_requirement(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> bool:
    """Maintenance in every scope, not strict: expired positions. Source: margin.md §6."""
    return meets_margin_requirement(user, spot_markets, perp_markets, oracles, state, MARGIN_MAINTENANCE, False)


@rule
def meets_settle_pnl_maintenance_margin_requirement(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> bool:
    """Maintenance in every scope, strict: settling a loss. Source: margin.md §6; velocity/isolated.md §4."""
    return meets_margin_requirement(user, spot_markets, perp_markets, oracles, state, MARGIN_MAINTENANCE, True)


@rule
def check_place_order_margin_requirement(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    risk_increasing: bool,
) -> None:
    """Strict Initial if risk increases, else strict Maintenance: ``InsufficientCollateral``, then the isolated tiers.

    Source: margin.md §6; ``math/margin.rs::meets_place_order_margin_requirement``.
    """
    requirement_type = MARGIN_MAINTENANCE
    if risk_increasing:
        requirement_type = MARGIN_INITIAL
    collateral, requirement, spot_liabilities, perp_liabilities, met = sum_scopes(
        user, spot_markets, perp_markets, oracles, state, requirement_type, requirement_type, -1, requirement_type,
        True, False,
    )  # fmt: skip
    if collateral < requirement:
        raise SettlementError(ErrorCode.InsufficientCollateral)
    validate_any_isolated_tier_requirements(user, spot_liabilities, perp_liabilities, met)


@rule
def check_withdraw_margin_requirement(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> None:
    """Strict Initial after money left: ``InvalidOracle``, ``IsolatedAssetTierViolation``, ``InsufficientCollateral``.

    Source: margin.md §6; ``math/margin.rs::meets_withdraw_margin_requirement``.
    """
    collateral, requirement, spot_liabilities, perp_liabilities, met = sum_scopes(
        user, spot_markets, perp_markets, oracles, state, MARGIN_INITIAL, MARGIN_INITIAL, -1, MARGIN_INITIAL, True,
        False,
    )  # fmt: skip
    owes = requirement > 0 or spot_liabilities > 0 or perp_liabilities > 0
    if owes and met & INVALID_ORACLE != 0:
        raise SettlementError(ErrorCode.InvalidOracle)
    validate_any_isolated_tier_requirements(user, spot_liabilities, perp_liabilities, met)
    if collateral < requirement:
        raise SettlementError(ErrorCode.InsufficientCollateral)


@rule
def validate_any_isolated_tier_requirements(user: User, spot_liabilities: int, perp_liabilities: int, met: int) -> None:
    """A liability of an Isolated tier stands alone; ``IsolatedAssetTierViolation``. Reduce-only users are exempt.

    Source: margin.md §6; ``math/margin.rs::validate_any_isolated_tier_requirements``.
    """
    if is_reduce_only(user):
        return
    if met & ISOLATED_PERP_LIABILITY != 0:
        if perp_liabilities > 1 or user.is_margin_trading_enabled:
            raise SettlementError(ErrorCode.IsolatedAssetTierViolation)
        if spot_liabilities > 0:
            quote = user.spot_positions[0]
            quote_borrow = quote.scaled_balance > 0 and quote.balance_type == BORROW
            if spot_liabilities > 1 or not quote_borrow:
                raise SettlementError(ErrorCode.IsolatedAssetTierViolation)
    if met & ISOLATED_SPOT_LIABILITY != 0 and (perp_liabilities != 0 or spot_liabilities != 1):
        raise SettlementError(ErrorCode.IsolatedAssetTierViolation)


@rule
def validate_spot_margin_trading(
    user: User, spot_markets: list[SpotMarket], perp_markets: list[PerpMarket], oracles: list[OraclePriceData]
) -> None:
    """Open spot orders may not create a borrow without margin trading: ``MarginTradingDisabled``.

    With margin trading no perp position may be of an Isolated tier: ``IsolatedAssetTierViolation``.
    Source: margin.md §6; ``math/margin.rs::validate_spot_margin_trading``.
    """
    if user.is_margin_trading_enabled:
        for i in range(POSITIONS):
            perp_position = user.perp_positions[i]
            if is_perp_position_available(perp_position):
                continue
            if perp_markets[perp_position.market_index].contract_tier == CONTRACT_TIER_ISOLATED:
                raise SettlementError(ErrorCode.IsolatedAssetTierViolation)
        return
    bids_value = 0
    for i in range(POSITIONS):
        position = user.spot_positions[i]
        if position.open_asks != 0:
            tokens = signed_token_amount(position, spot_markets[position.market_index])
            if tokens + position.open_asks < 0:
                raise SettlementError(ErrorCode.MarginTradingDisabled)
        if position.open_bids != 0:
            market = spot_markets[position.market_index]
            price = oracles[market.oracle_index].price
            bids_value = bids_value + get_token_value(-position.open_bids, market.decimals, price)
    if bids_value == 0:
        return
    quote = user.spot_positions[0]
    quote_tokens = 0
    if quote.scaled_balance != 0 or quote.open_orders != 0:
        quote_tokens = signed_token_amount(quote, spot_markets[QUOTE_SPOT_MARKET_INDEX])
    if quote_tokens + bids_value < 0:
        raise SettlementError(ErrorCode.MarginTradingDisabled)


@rule
def calculate_max_withdrawable_amount(
    user: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> int:
    """Tokens (u64) of a market that Initial margin, not strict, lets the account take out.

    2^64 − 1 for an asset that carries no weight; the whole position without liabilities. Errors: those of the
    calculation, ``CouldNotFindSpotPosition``, ``MathError``. Source: margin.md §6;
    ``math/margin.rs::calculate_max_withdrawable_amount``.
    """
    collateral, requirement, spot_liabilities, perp_liabilities, _ = sum_scopes(
        user, spot_markets, perp_markets, oracles, state, MARGIN_INITIAL, MARGIN_INITIAL, -1, MARGIN_INITIAL, False,
        False,
    )  # fmt: skip
    market = spot_markets[market_index]
    position = user.spot_positions[get_spot_position_index(user, market_index)]
    tokens = get_token_amount(position.scaled_balance, market, position.balance_type)
    price = oracles[market.oracle_index].price
    weight = get_asset_weight(market, tokens, price, MARGIN_INITIAL)
    if weight == 0:
        return U64_MAX
    if spot_liabilities == 0 and perp_liabilities == 0:
        return to_u64(tokens)
    free = sub_saturating(collateral, requirement)
    value = free * SPOT_WEIGHT_PRECISION // weight
    return to_u64(value * PRICE_PRECISION // price * pow10(sub_checked(market.decimals, 6)))


# --- leaving liquidation ---------------------------------------------------------------------------------------


@rule
def update_liquidation_status(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> bool:
    """Let an account that can leave liquidation leave it; whether it still is in liquidation (or bankrupt) afterwards.

    An account that can exit also loses its Bankrupt bit: deliberate, it is the program's.
    Source: liquidation.md §1; ``math/liquidation.rs::validate_user_not_being_liquidated``.
    """
    if not is_being_liquidated(user):
        return False
    rails = state.oracle_guard_rails.validity
    margin_buffer = state.liquidation_margin_buffer_ratio
    collateral, requirement, buffer, _, liabilities, _ = sum_spot_positions(
        user, spot_markets, oracles, rails, MARGIN_MAINTENANCE, False, margin_buffer, -1, False
    )
    perp_collateral, perp_requirement, perp_buffer, _, _, _ = sum_perp_positions(
        user, spot_markets, perp_markets, oracles, rails, MARGIN_MAINTENANCE, False, margin_buffer, -1
    )
    required = requirement + perp_requirement
    if liabilities > 0 and required == 0:
        raise SettlementError(ErrorCode.InvalidMarginRatio)
    required = required + buffer + perp_buffer
    if margin_buffer == 0:
        # without a buffer the requirement with buffer is never built and stays 0: deliberate, it is the program's
        required = 0
    if collateral + perp_collateral < required:
        return True
    exit_liquidation(user)
    return False


@rule
def validate_user_not_being_liquidated(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> None:
    """``UserIsBeingLiquidated`` unless the account is not, or can leave liquidation now. Source: liquidation.md §1."""
    if update_liquidation_status(user, spot_markets, perp_markets, oracles, state):
        raise SettlementError(ErrorCode.UserIsBeingLiquidated)
