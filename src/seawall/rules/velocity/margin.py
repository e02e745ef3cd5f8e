"""Collateral and requirement of every scope of an account, and the predicates built on them.

A *scope* is an int ``row``: −1 is cross margin, else the row of an isolated position in ``user.perp_positions``. Each
scope is held to a requirement of its own, and an account meets its requirement where every scope does. What one
position adds is Drift's. Predicates take the same arguments as Drift's and allocate nothing; who needs the figures
themselves fills a ``MarginCalculation``.
Source: velocity/isolated.md §5; velocity/liquidation.md §2; margin.md; ``math/margin.rs``,
``state/margin_calculation.rs``.
"""

from seawall.arithmetic import (
    MARGIN_PRECISION,
    PRICE_PRECISION,
    SPOT_WEIGHT_PRECISION,
    U64_MAX,
    div_trunc,
    pow10,
    sub_saturating,
    to_u64,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.margin import (
    INVALID_DEPOSIT_ORACLE,
    INVALID_LIABILITY_ORACLE,
    ISOLATED_PERP_LIABILITY,
    ISOLATED_SCOPE_SHORT,
    ISOLATED_SPOT_LIABILITY,
    PERP_LIABILITY,
    POSITIONS,
    TRACK_NONE,
    TRACK_PERP,
    TRACK_SPOT,
    all_scopes_meet_margin_requirement,
    perp_row_margin,
    requirement_type_of,
    sum_scopes,
    sum_spot_positions,
    validate_any_isolated_tier_requirements,
)
from seawall.rules.common.margin import (
    meets_initial_margin_requirement as meets_initial_margin_requirement,
)
from seawall.rules.common.margin import (
    meets_maintenance_margin_requirement as meets_maintenance_margin_requirement,
)
from seawall.rules.common.margin import (
    meets_settle_pnl_maintenance_margin_requirement as meets_settle_pnl_maintenance_margin_requirement,
)
from seawall.rules.common.margin_weights import get_asset_weight
from seawall.rules.common.perp_positions import is_isolated, is_perp_position_available
from seawall.rules.common.spot_positions import get_spot_position_index
from seawall.rules.velocity.isolated import CROSS
from seawall.rules.velocity.user_status import exit_liquidation, is_scope_being_liquidated
from seawall.state.enums import MARGIN_INITIAL, MARGIN_MAINTENANCE
from seawall.state.exchange import State
from seawall.state.facts import MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User


@rule
def collateral_buffer(weighted: int, margin_buffer: int) -> int:
    """What the buffer (1e4) takes off a negative contribution (≤ 0, quote 1e6); nothing of a positive one.

    Source: velocity/isolated.md §5; margin.md §1.
    """
    if weighted >= 0:
        return 0
    return div_trunc(weighted * margin_buffer, MARGIN_PRECISION)


# --- a calculation ---------------------------------------------------------------------------------------------


@rule
def clear_calculation(calculation: MarginCalculation, margin_buffer: int) -> None:
    """Every figure 0; what the caller asked for (tracked market, invalid oracles) stays."""
    calculation.total_collateral = 0
    calculation.total_collateral_buffer = 0
    calculation.margin_requirement = 0
    calculation.margin_requirement_plus_buffer = 0
    calculation.margin_buffer = margin_buffer
    calculation.num_perp_liabilities = 0
    calculation.tracked_market_margin_requirement = 0
    for row in range(POSITIONS):
        isolated = calculation.isolated[row]
        isolated.is_isolated = False
        isolated.total_collateral = 0
        isolated.total_collateral_buffer = 0
        isolated.margin_requirement = 0
        isolated.margin_requirement_plus_buffer = 0


@rule
def add_perp_row(
    calculation: MarginCalculation,
    position: PerpPosition,
    row: int,
    collateral: int,
    required: int,
    weighted: int,
    liability: int,
) -> None:
    """Add a perp position's figures (quote 1e6) to its scope, and to the tracked market's requirement."""
    margin_buffer = calculation.margin_buffer
    taken_off = collateral_buffer(weighted, margin_buffer)
    with_buffer = 0
    if margin_buffer > 0:
        with_buffer = required + liability * margin_buffer // MARGIN_PRECISION
    if is_isolated(position):
        isolated = calculation.isolated[row]
        isolated.is_isolated = True
        isolated.total_collateral = collateral + weighted
        isolated.total_collateral_buffer = taken_off
        isolated.margin_requirement = required
        isolated.margin_requirement_plus_buffer = with_buffer
    else:
        calculation.total_collateral += weighted
        calculation.total_collateral_buffer += taken_off
        calculation.margin_requirement += required
        calculation.margin_requirement_plus_buffer += with_buffer
    if calculation.tracked_market_type == TRACK_PERP and position.market_index == calculation.tracked_market_index:
        calculation.tracked_market_margin_requirement += required


@rule
def calculate_margin(
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
    margin_buffer: int,
    calculation: MarginCalculation,
) -> None:
    """Fill ``calculation`` for every scope; ``margin_buffer`` 1e4, 0 for none (then what is built on it stays 0).

    Cross margin is held to ``cross_type``, isolated positions to ``isolated_type``, that of ``override_market_index``
    (−1: none) to ``override_type``. Set the tracked market and ``ignore_invalid_deposit_oracles`` first. Errors:
    ``InvalidSpotPositionDetected``, ``InvalidPoolId``, ``InvalidOracle``, ``InvalidMarginRatio``, ``CastingFailure``,
    ``MathError``. Source: velocity/isolated.md §5; margin.md §1, §5;
    ``math/margin.rs::calculate_margin_requirement_and_total_collateral_and_liability_info``.
    """
    rails = state.oracle_guard_rails.validity
    tracked_spot = -1
    if calculation.tracked_market_type == TRACK_SPOT:
        tracked_spot = calculation.tracked_market_index
    clear_calculation(calculation, margin_buffer)
    collateral, requirement, buffer, tracked, spot_liabilities, met = sum_spot_positions(
        user, spot_markets, oracles, rails, cross_type, strict, margin_buffer, tracked_spot,
        calculation.ignore_invalid_deposit_oracles,
    )  # fmt: skip
    calculation.total_collateral = collateral
    calculation.margin_requirement = requirement
    if margin_buffer > 0:
        calculation.margin_requirement_plus_buffer = requirement + buffer
    calculation.tracked_market_margin_requirement = tracked
    for row in range(POSITIONS):
        position = user.perp_positions[row]
        if is_perp_position_available(position):
            continue
        requirement_type = requirement_type_of(
            position, cross_type, isolated_type, override_market_index, override_type
        )
        own, required, weighted, liability, row_met = perp_row_margin(
            user, row, spot_markets, perp_markets, oracles, rails, requirement_type, strict
        )
        add_perp_row(calculation, position, row, own, required, weighted, liability)
        if row_met & PERP_LIABILITY != 0:
            calculation.num_perp_liabilities += 1
        met = met | row_met
    if spot_liabilities > 0 and calculation.margin_requirement == 0:
        raise SettlementError(ErrorCode.InvalidMarginRatio)
    calculation.num_spot_liabilities = spot_liabilities
    calculation.all_deposit_oracles_valid = met & INVALID_DEPOSIT_ORACLE == 0
    calculation.all_liability_oracles_valid = met & INVALID_LIABILITY_ORACLE == 0
    calculation.all_oracles_valid = met & (INVALID_DEPOSIT_ORACLE | INVALID_LIABILITY_ORACLE) == 0
    calculation.with_spot_isolated_liability = met & ISOLATED_SPOT_LIABILITY != 0
    calculation.with_perp_isolated_liability = met & ISOLATED_PERP_LIABILITY != 0


@rule
def calculate_liquidation_margin(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
) -> None:
    """Maintenance in every scope, not strict, with the liquidation buffer; the tracked market is the calculation's.

    Source: velocity/liquidation.md §2.
    """
    margin_buffer = state.liquidation_margin_buffer_ratio
    calculate_margin(
        user, spot_markets, perp_markets, oracles, state, MARGIN_MAINTENANCE, MARGIN_MAINTENANCE, -1,
        MARGIN_MAINTENANCE, False, margin_buffer, calculation,
    )  # fmt: skip


# --- what a calculation says of a scope ------------------------------------------------------------------------


@rule
def scope_figures(calculation: MarginCalculation, row: int) -> tuple[int, int, int, int]:
    """A scope's collateral, what the buffer takes off it (≤ 0), requirement and requirement with buffer (quote 1e6)."""
    if row == CROSS:
        return (
            calculation.total_collateral,
            calculation.total_collateral_buffer,
            calculation.margin_requirement,
            calculation.margin_requirement_plus_buffer,
        )
    isolated = calculation.isolated[row]
    return (
        isolated.total_collateral,
        isolated.total_collateral_buffer,
        isolated.margin_requirement,
        isolated.margin_requirement_plus_buffer,
    )


@rule
def meets_margin_requirement(calculation: MarginCalculation, row: int) -> bool:
    """Whether a scope's collateral covers its requirement. Source: velocity/liquidation.md §2."""
    collateral, _, requirement, _ = scope_figures(calculation, row)
    return collateral >= requirement


@rule
def can_exit_liquidation(calculation: MarginCalculation, row: int) -> bool:
    """Whether a scope's collateral, less what the buffer takes off, covers its requirement with buffer.

    With a buffer of 0 that requirement is 0: deliberate. Source: velocity/liquidation.md §2.
    """
    collateral, taken_off, _, with_buffer = scope_figures(calculation, row)
    return collateral + taken_off >= with_buffer


@rule
def margin_shortage(calculation: MarginCalculation, row: int) -> int:
    """What a scope lacks to leave liquidation (quote 1e6), never below 0.

    ``InvalidMarginCalculation`` without a buffer. Source: velocity/liquidation.md §2.
    """
    if calculation.margin_buffer == 0:
        raise SettlementError(ErrorCode.InvalidMarginCalculation)
    collateral, taken_off, _, with_buffer = scope_figures(calculation, row)
    return max(0, with_buffer - (collateral + taken_off))


@rule
def tracked_market_margin_shortage(calculation: MarginCalculation, shortage: int, row: int) -> int:
    """The tracked market's part of a scope's shortage (quote 1e6), all of it for an isolated position.

    ``InvalidMarginCalculation`` if no market is tracked. Source: velocity/liquidation.md §2.
    """
    if calculation.tracked_market_type == TRACK_NONE:
        raise SettlementError(ErrorCode.InvalidMarginCalculation)
    _, _, requirement, _ = scope_figures(calculation, row)
    if requirement == 0:
        return 0
    return shortage * calculation.tracked_market_margin_requirement // requirement


@rule
def free_collateral(calculation: MarginCalculation, row: int) -> int:
    """A scope's max(0, collateral − requirement), quote 1e6. Source: velocity/isolated.md §5."""
    collateral, _, requirement, _ = scope_figures(calculation, row)
    return sub_saturating(collateral, requirement)


# --- predicates ------------------------------------------------------------------------------------------------


@rule
def meets_fill_margin_requirement(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    requirement_type: int,
    row: int,
) -> bool:
    """After a fill: the scope that was traded in (``row``) meets a type, every other one Maintenance; not strict.

    Source: margin.md §6 (newer); velocity/isolated.md §5.
    """
    cross_type = MARGIN_MAINTENANCE
    override_market_index = -1
    if row == CROSS:
        cross_type = requirement_type
    else:
        override_market_index = user.perp_positions[row].market_index
    return all_scopes_meet_margin_requirement(
        user, spot_markets, perp_markets, oracles, state, cross_type, MARGIN_MAINTENANCE, override_market_index,
        requirement_type, False,
    )  # fmt: skip


@rule
def check_place_order_margin_requirement(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    risk_increasing: bool,
    row: int,
) -> None:
    """Strict: the scope ``row`` meets Initial where risk increases, every other Maintenance, then the isolated tiers.

    ``InsufficientCollateral``, ``IsolatedAssetTierViolation``. Source: margin.md §6 (newer);
    ``math/margin.rs::meets_place_order_margin_requirement``.
    """
    cross_type = MARGIN_MAINTENANCE
    override_market_index = -1
    if risk_increasing:
        if row == CROSS:
            cross_type = MARGIN_INITIAL
        else:
            override_market_index = user.perp_positions[row].market_index
    collateral, requirement, spot_liabilities, perp_liabilities, met = sum_scopes(
        user, spot_markets, perp_markets, oracles, state, cross_type, MARGIN_MAINTENANCE, override_market_index,
        MARGIN_INITIAL, True, False,
    )  # fmt: skip
    if collateral < requirement or met & ISOLATED_SCOPE_SHORT != 0:
        raise SettlementError(ErrorCode.InsufficientCollateral)
    validate_any_isolated_tier_requirements(user, spot_liabilities, perp_liabilities, met)


@rule
def check_transfer_margin_requirement(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    cross_type: int,
    isolated_type: int,
    override_market_index: int,
    override_type: int,
) -> None:
    """Strict, every scope to its type, after collateral moved; a deposit with an invalid price counts for nothing.

    In order: ``InvalidOracle`` where something is owed and a liability's price is invalid,
    ``IsolatedAssetTierViolation``, ``InsufficientCollateral``. Arguments as ``calculate_margin``.
    Source: velocity/isolated.md §3; margin.md §6 (newer).
    """
    collateral, requirement, spot_liabilities, perp_liabilities, met = sum_scopes(
        user, spot_markets, perp_markets, oracles, state, cross_type, isolated_type, override_market_index,
        override_type, True, True,
    )  # fmt: skip
    owes = requirement > 0 or spot_liabilities > 0 or perp_liabilities > 0
    if owes and met & INVALID_LIABILITY_ORACLE != 0:
        raise SettlementError(ErrorCode.InvalidOracle)
    validate_any_isolated_tier_requirements(user, spot_liabilities, perp_liabilities, met)
    if collateral < requirement or met & ISOLATED_SCOPE_SHORT != 0:
        raise SettlementError(ErrorCode.InsufficientCollateral)


@rule
def check_withdraw_margin_requirement(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> None:
    """Strict Initial in every scope after money left: ``check_transfer_margin_requirement`` says how it is refused.

    Source: margin.md §6 (newer); ``state/user.rs::meets_withdraw_margin_requirement``.
    """
    check_transfer_margin_requirement(
        user, spot_markets, perp_markets, oracles, state, MARGIN_INITIAL, MARGIN_INITIAL, -1, MARGIN_INITIAL
    )


@rule
def calculate_max_withdrawable_amount(
    user: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> int:
    """Tokens (u64) of a market that cross margin, Initial and not strict, lets the account take out.

    2^64 − 1 for an asset that carries no weight; the whole position without liabilities. One unit of quote is kept
    back: deliberate, it is the program's. Errors: those of the calculation, ``CouldNotFindSpotPosition``,
    ``MathError``. Source: margin.md §6 (newer); ``math/margin.rs::calculate_max_withdrawable_amount``.
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
    value = sub_saturating(sub_saturating(collateral, requirement), 1) * SPOT_WEIGHT_PRECISION // weight
    amount = value * PRICE_PRECISION // price
    if market.decimals > 6:
        return to_u64(amount * pow10(market.decimals - 6))
    return to_u64(amount // pow10(6 - market.decimals))


# --- leaving liquidation ---------------------------------------------------------------------------------------


@rule
def scope_can_exit_liquidation(
    user: User,
    row: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> bool:
    """Whether a scope could leave liquidation now: ``can_exit_liquidation`` of a fresh liquidation margin.

    The whole account is walked whatever the scope is, so that the same broken balance is refused.
    Source: velocity/liquidation.md §2; velocity/isolated.md §6.
    """
    rails = state.oracle_guard_rails.validity
    margin_buffer = state.liquidation_margin_buffer_ratio
    collateral, requirement, buffer, _, spot_liabilities, _ = sum_spot_positions(
        user, spot_markets, oracles, rails, MARGIN_MAINTENANCE, False, margin_buffer, -1, False
    )
    own_free = 0
    for i in range(POSITIONS):
        position = user.perp_positions[i]
        if is_perp_position_available(position):
            continue
        own, required, weighted, liability, _ = perp_row_margin(
            user, i, spot_markets, perp_markets, oracles, rails, MARGIN_MAINTENANCE, False
        )
        held = own + weighted + collateral_buffer(weighted, margin_buffer)
        liability_buffer = liability * margin_buffer // MARGIN_PRECISION
        if not is_isolated(position):
            collateral = collateral + held
            requirement = requirement + required
            buffer = buffer + liability_buffer
        elif i == row:
            own_free = held
            if margin_buffer > 0:
                own_free = held - required - liability_buffer
    if spot_liabilities > 0 and requirement == 0:
        raise SettlementError(ErrorCode.InvalidMarginRatio)
    if row != CROSS:
        return own_free >= 0
    if margin_buffer == 0:
        # without a buffer the requirement with buffer is never built and stays 0: deliberate, it is the program's
        return collateral >= 0
    return collateral >= requirement + buffer


@rule
def update_scope_liquidation_status(
    user: User,
    row: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> bool:
    """Let a scope that can leave liquidation leave it; whether it still is in liquidation (or bankrupt) afterwards.

    A scope that can exit also loses its Bankrupt bit: deliberate, it is the program's. Source: velocity/isolated.md §3.
    """
    if not is_scope_being_liquidated(user, row):
        return False
    if not scope_can_exit_liquidation(user, row, spot_markets, perp_markets, oracles, state):
        return True
    exit_liquidation(user, row)
    return False


@rule
def update_liquidation_status(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> bool:
    """Let every scope that can leave liquidation leave it; whether any still is in liquidation (or bankrupt).

    Source: velocity/isolated.md §6; ``math/liquidation.rs::validate_user_not_being_liquidated``.
    """
    latched = update_scope_liquidation_status(user, CROSS, spot_markets, perp_markets, oracles, state)
    for row in range(POSITIONS):
        if update_scope_liquidation_status(user, row, spot_markets, perp_markets, oracles, state):
            latched = True
    return latched


@rule
def validate_user_not_being_liquidated(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
) -> None:
    """``UserIsBeingLiquidated`` unless no scope is, or all that are can leave now. Source: velocity/isolated.md §6."""
    if update_liquidation_status(user, spot_markets, perp_markets, oracles, state):
        raise SettlementError(ErrorCode.UserIsBeingLiquidated)
