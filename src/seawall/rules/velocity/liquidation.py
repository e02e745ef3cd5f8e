"""What Velocity's liquidations share: who may be liquidated, cancelling orders, what was freed, how it ends.

Everything is about one scope of the account: −1 is its cross margin, else the row of an isolated position. An order
book is the venue's own; what it reserved with an account is all the orders the account has, and the cancel step frees
it at once. Orders that a liquidation could not cancel do not exist, so that none is refused or left half done because
of them: as in the newest source, which takes them off its book. Equity floors are not modelled.
Source: velocity/liquidation.md §2, §5; velocity/isolated.md §6; ``controller/liquidation/{context,margin}.rs``.
"""

from typing import Final

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, checked_u64, sub_saturating, to_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.liquidation_math import LIQUIDATION_PCT_PRECISION
from seawall.rules.common.liquidation_steps import (
    POSITIONS,
    cancel_all_orders,
    cancel_perp_orders,
    max_pct_to_liquidate,
    note_allowed_part,
)
from seawall.rules.common.margin import meets_initial_margin_requirement
from seawall.rules.common.oracles import (
    ACTION_LIQUIDATE,
    ACTION_MARGIN_CALC,
    is_oracle_valid_for_action,
    spot_oracle_validity,
)
from seawall.rules.common.user_status import update_last_active_slot
from seawall.rules.velocity.bankruptcy_predicates import is_scope_insolvent
from seawall.rules.velocity.interest import update_spot_market_cumulative_interest
from seawall.rules.velocity.liquidation_math import (
    calculate_user_protective_asset_price,
    calculate_user_protective_liability_price,
)
from seawall.rules.velocity.margin import (
    calculate_liquidation_margin,
    can_exit_liquidation,
    margin_shortage,
    meets_margin_requirement,
    scope_figures,
)
from seawall.rules.velocity.user_status import (
    CROSS,
    enter_bankruptcy,
    enter_liquidation,
    exit_liquidation,
    flag_perp_bankruptcy_claim,
    is_bankrupt,
    is_being_liquidated,
    is_scope_bankrupt,
    is_scope_being_liquidated,
)
from seawall.state.enums import EXCHANGE_FUNDING_PAUSED
from seawall.state.exchange import State, ValidityGuardRails
from seawall.state.facts import InterestFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

NO_PERP_MARKET: Final = -1
"""Stands for the perp market of a liquidation that takes none over."""


# --- before anything -------------------------------------------------------------------------------------------


@rule
def check_neither_bankrupt(user: User, row: int, liquidator: User) -> None:
    """``UserBankrupt`` where the scope is latched bankrupt, or anything of the liquidator."""
    if is_scope_bankrupt(user, row) or is_bankrupt(liquidator):
        raise SettlementError(ErrorCode.UserBankrupt)


@rule
def check_pool(liquidator: User, pool_id: int) -> None:
    """``InvalidPoolId`` for a liquidator of another pool."""
    if liquidator.pool_id != pool_id:
        raise SettlementError(ErrorCode.InvalidPoolId)


# --- prices ----------------------------------------------------------------------------------------------------


@rule
def accrue_and_price(
    spot_market: SpotMarket, oracle: OraclePriceData, is_asset: bool, state: State, now: int, facts: InterestFacts
) -> int:
    """Accrue interest and the TWAPs; the price (1e6) at which tokens are exchanged. ``InvalidOracle``.

    Where the oracle is good enough to liquidate but not for margin, a price that protects the user: against the
    5-minute TWAP as it was before this update. Source: velocity/liquidation.md §3.10, §7.1.
    """
    twap_5min = spot_market.historical_oracle_data.last_oracle_price_twap_5min
    funding_paused = state.exchange_status & EXCHANGE_FUNDING_PAUSED != 0
    update_spot_market_cumulative_interest(spot_market, oracle, now, funding_paused, facts)
    return exchange_price(spot_market, oracle, twap_5min, is_asset, state.oracle_guard_rails.validity)


@rule
def exchange_price(
    spot_market: SpotMarket, oracle: OraclePriceData, twap_5min: int, is_asset: bool, rails: ValidityGuardRails
) -> int:
    """The oracle's price, or a protective one where it is not good enough for margin; ``InvalidOracle``.

    Market 0's price is not judged. Source: velocity/liquidation.md §3.10.
    """
    price = oracle.price
    if spot_market.market_index == QUOTE_SPOT_MARKET_INDEX:
        return price
    validity = spot_oracle_validity(spot_market, oracle, rails)
    if not is_oracle_valid_for_action(validity, ACTION_LIQUIDATE):
        raise SettlementError(ErrorCode.InvalidOracle)
    if is_oracle_valid_for_action(validity, ACTION_MARGIN_CALC):
        return price
    if is_asset:
        return calculate_user_protective_asset_price(price, oracle.confidence, twap_5min)
    return calculate_user_protective_liability_price(price, oracle.confidence, twap_5min)


# --- the scope's state -----------------------------------------------------------------------------------------


@rule
def note_margin_on_entry(calculation: MarginCalculation, row: int, facts: LiquidationFacts) -> None:
    """Note the scope's requirement and collateral, which the event tells however the liquidation goes on."""
    collateral, _, requirement, _ = scope_figures(calculation, row)
    facts.isolated = row != CROSS
    facts.margin_requirement = requirement
    facts.total_collateral = collateral


@rule
def leave_or_refuse(user: User, row: int, calculation: MarginCalculation, facts: LiquidationFacts) -> bool:
    """The entry gate: True where a latched scope left liquidation, and nothing else is to be done.

    ``SufficientCollateral`` for a scope that is not latched and meets its requirement. Without the buffer in, with the
    buffer out: deliberate. Source: velocity/liquidation.md §5 step 4.
    """
    note_margin_on_entry(calculation, row, facts)
    if is_scope_being_liquidated(user, row):
        if can_exit_liquidation(calculation, row):
            exit_liquidation(user, row)
            facts.exited = True
            return True
        return False
    if facts.total_collateral >= facts.margin_requirement:
        raise SettlementError(ErrorCode.SufficientCollateral)
    return False


@rule
def cancel_orders(user: User, row: int, slot: int) -> bool:
    """The scope's orders leave the book: all of the account's for cross margin, else those of the isolated position.

    Whether there was any. Source: velocity/liquidation.md §5 step 6.
    """
    if row == CROSS:
        return cancel_all_orders(user, slot)
    cancelled = cancel_perp_orders(user.perp_positions[row])
    update_last_active_slot(user, slot)
    return cancelled


@rule
def note_margin_freed(user: User, row: int, shortage_before: int, shortage_after: int, facts: LiquidationFacts) -> None:
    """Note what of the shortage is gone; cross margin also remembers it. ``MathError`` beyond u64.

    Source: velocity/liquidation.md §2; velocity/isolated.md §6.
    """
    freed = to_u64(sub_saturating(shortage_before, shortage_after))
    facts.margin_freed = checked_u64(facts.margin_freed + freed)
    if row == CROSS:
        user.liquidation_margin_freed = checked_u64(user.liquidation_margin_freed + freed)


@rule
def recalculate(
    user: User,
    row: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> None:
    """Compute the margin again, after a step, and note what the step freed."""
    before = margin_shortage(calculation, row)
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    note_margin_freed(user, row, before, margin_shortage(calculation, row), facts)


@rule
def leaves_after_cancelling(
    user: User,
    row: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> bool:
    """Whether cancelling the orders was enough: then the event is due and the scope has left liquidation.

    Source: velocity/liquidation.md §5 step 7.
    """
    recalculate(user, row, spot_markets, perp_markets, oracles, state, calculation, facts)
    if not can_exit_liquidation(calculation, row):
        return False
    facts.recorded = True
    exit_liquidation(user, row)
    facts.exited = True
    return True


# --- how much --------------------------------------------------------------------------------------------------


@rule
def allow_part(
    user: User, row: int, shortage: int, to_cover: int, state: State, slot: int, facts: LiquidationFacts
) -> int:
    """What of the amount that would cover the shortage may be liquidated by now; all of an isolated position's.

    Slots count as periods of 400 ms, which they last. Source: velocity/liquidation.md §3.8.
    """
    pct = LIQUIDATION_PCT_PRECISION
    if row == CROSS:
        pct = max_pct_to_liquidate(user, shortage, state, slot)
    return note_allowed_part(shortage, pct, to_cover, facts)


# --- the end ---------------------------------------------------------------------------------------------------


@rule
def exit_or_enter_bankruptcy(
    user: User,
    row: int,
    through: bool,
    perp_market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    facts: LiquidationFacts,
) -> None:
    """Clear the scope's latch where it is ``through``, else latch it bankrupt where only debts are left.

    A bankrupt debt in the perp market that was liquidated then reserves that market's pending insurance fees;
    ``NO_PERP_MARKET``: none was. Source: velocity/liquidation.md §6.1 step 13; velocity/solvency.md §7.
    """
    if through:
        exit_liquidation(user, row)
        facts.exited = True
    elif is_scope_insolvent(user, row, spot_markets):
        enter_bankruptcy(user, row)
        if perp_market_index >= 0:
            flag_perp_bankruptcy_claim(user, perp_markets[perp_market_index])
    facts.bankrupt = is_scope_bankrupt(user, row)
    facts.recorded = True


@rule
def conclude(
    user: User,
    row: int,
    liquidator: User,
    covered: bool,
    must_help: bool,
    perp_market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> None:
    """After the transfer: what it freed, whether the scope is through or bankrupt, what the liquidator can bear.

    A scope whose shortage was to be covered leaves without another look at its margin: deliberate. ``must_help``:
    ``LiquidationWorsensAccountHealth`` where the shortage has grown. ``InsufficientCollateral`` of the liquidator.
    Source: velocity/liquidation.md §5 step 8, §6.1 steps 12-14, §8.2.
    """
    before = margin_shortage(calculation, row)
    recalculate(user, row, spot_markets, perp_markets, oracles, state, calculation, facts)
    if must_help and margin_shortage(calculation, row) > before:
        raise SettlementError(ErrorCode.LiquidationWorsensAccountHealth)
    exit_or_enter_bankruptcy(user, row, covered, perp_market_index, spot_markets, perp_markets, facts)
    if not meets_initial_margin_requirement(liquidator, spot_markets, perp_markets, oracles, state):
        raise SettlementError(ErrorCode.InsufficientCollateral)


# --- the latch by itself ---------------------------------------------------------------------------------------


@rule
def set_user_status_to_being_liquidated(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    slot: int,
    calculation: MarginCalculation,
) -> None:
    """Latch every scope that misses its Maintenance requirement; no orders are cancelled.

    ``UserBankrupt``, ``UserIsBeingLiquidated`` of any scope, ``SufficientCollateral`` where none is short.
    Source: velocity/liquidation.md §9.
    """
    if is_bankrupt(user):
        raise SettlementError(ErrorCode.UserBankrupt)
    if is_being_liquidated(user):
        raise SettlementError(ErrorCode.UserIsBeingLiquidated)
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    short = False
    if not meets_margin_requirement(calculation, CROSS):
        enter_liquidation(user, CROSS, slot)
        short = True
    for row in range(POSITIONS):
        if calculation.isolated[row].is_isolated and not meets_margin_requirement(calculation, row):
            enter_liquidation(user, row, slot)
            short = True
    if not short:
        raise SettlementError(ErrorCode.SufficientCollateral)
