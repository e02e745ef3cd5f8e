"""What all four liquidations share: who may be liquidated, cancelling orders, what was freed, how it ends.

Source: liquidation.md §3; ``controller/liquidation.rs``.
"""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, checked_u64, sub_saturating, to_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.liquidation_steps import max_pct_to_liquidate, note_allowed_part
from seawall.rules.common.margin import (
    calculate_margin,
    can_exit_liquidation,
    margin_shortage,
    meets_initial_margin_requirement,
)
from seawall.rules.common.oracles import ACTION_LIQUIDATE, is_oracle_valid_for_action, spot_oracle_validity
from seawall.rules.common.user_status import (
    enter_bankruptcy,
    exit_liquidation,
    is_bankrupt,
    is_being_liquidated,
    is_user_bankrupt,
)
from seawall.rules.drift.interest import update_spot_market_cumulative_interest
from seawall.state.enums import MARGIN_MAINTENANCE
from seawall.state.exchange import State, ValidityGuardRails
from seawall.state.facts import InterestFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

# --- before anything -------------------------------------------------------------------------------------------


@rule
def check_neither_bankrupt(user: User, liquidator: User) -> None:
    """``UserBankrupt`` where either account is flagged."""
    if is_bankrupt(user) or is_bankrupt(liquidator):
        raise SettlementError(ErrorCode.UserBankrupt)


@rule
def update_spot_market_and_check_validity(
    spot_market: SpotMarket, oracle: OraclePriceData, rails: ValidityGuardRails, now: int, facts: InterestFacts
) -> None:
    """Accrue interest, then judge the price afresh against the TWAP just updated; ``InvalidOracle``.

    Market 0's price is not judged. Source: liquidation.md §5 step 4;
    ``controller/spot_balance.rs::update_spot_market_and_check_validity``.
    """
    update_spot_market_cumulative_interest(spot_market, oracle, now, facts)
    if spot_market.market_index == QUOTE_SPOT_MARKET_INDEX:
        return
    if not is_oracle_valid_for_action(spot_oracle_validity(spot_market, oracle, rails), ACTION_LIQUIDATE):
        raise SettlementError(ErrorCode.InvalidOracle)


# --- the account's state ---------------------------------------------------------------------------------------


@rule
def calculate_liquidation_margin(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
) -> None:
    """Maintenance, not strict, with the liquidation buffer; the tracked market is the calculation's."""
    margin_buffer = state.liquidation_margin_buffer_ratio
    calculate_margin(
        user, spot_markets, perp_markets, oracles, state, MARGIN_MAINTENANCE, False, margin_buffer, calculation
    )


@rule
def leave_or_refuse(user: User, calculation: MarginCalculation, facts: LiquidationFacts) -> bool:
    """The entry gate: True where a flagged account left liquidation, and nothing else is to be done.

    ``SufficientCollateral`` for an account that is not flagged and meets its requirement. Without the buffer in, with
    the buffer out: deliberate. Source: liquidation.md §3.
    """
    facts.margin_requirement = calculation.margin_requirement
    facts.total_collateral = calculation.total_collateral
    if is_being_liquidated(user):
        if can_exit_liquidation(calculation):
            exit_liquidation(user)
            facts.exited = True
            return True
        return False
    if calculation.total_collateral >= calculation.margin_requirement:
        raise SettlementError(ErrorCode.SufficientCollateral)
    return False


@rule
def note_margin_freed(user: User, shortage_before: int, shortage_after: int, facts: LiquidationFacts) -> None:
    """Book what of the shortage is gone; a rest of the other sign counts as a shortage, deliberately.

    ``CastingFailure``, ``MathError`` beyond u64. Source: liquidation.md §2.12.
    """
    freed = to_u64(sub_saturating(shortage_before, shortage_after))
    facts.margin_freed = checked_u64(facts.margin_freed + freed)
    user.liquidation_margin_freed = checked_u64(user.liquidation_margin_freed + freed)


@rule
def recalculate_after_cancelling(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> None:
    """Compute the margin again and book what cancelling freed."""
    before = margin_shortage(calculation)
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    note_margin_freed(user, before, margin_shortage(calculation), facts)


@rule
def leaves_after_cancelling(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> bool:
    """Whether cancelling the orders was enough: then the event is due and the account has left liquidation."""
    recalculate_after_cancelling(user, spot_markets, perp_markets, oracles, state, calculation, facts)
    if not can_exit_liquidation(calculation):
        return False
    facts.recorded = True
    exit_liquidation(user)
    facts.exited = True
    return True


# --- how much --------------------------------------------------------------------------------------------------


@rule
def allow_part(user: User, shortage: int, to_cover: int, state: State, slot: int, facts: LiquidationFacts) -> int:
    """What of the amount that would cover the shortage may be liquidated by now; the steps are noted."""
    return note_allowed_part(shortage, max_pct_to_liquidate(user, shortage, state, slot), to_cover, facts)


# --- the end ---------------------------------------------------------------------------------------------------


@rule
def conclude(
    user: User,
    liquidator: User,
    covered: bool,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> None:
    """After the transfer: what it freed, whether the account is through or bankrupt, what the liquidator can bear.

    An account whose shortage was to be covered leaves without another look at its margin: deliberate.
    ``InsufficientCollateral`` of the liquidator. Source: liquidation.md §3, §4 steps 27-29.
    """
    before = margin_shortage(calculation)
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    note_margin_freed(user, before, margin_shortage(calculation), facts)
    if covered:
        exit_liquidation(user)
        facts.exited = True
    elif is_user_bankrupt(user):
        enter_bankruptcy(user)
    facts.bankrupt = is_bankrupt(user)
    if not meets_initial_margin_requirement(liquidator, spot_markets, perp_markets, oracles, state):
        raise SettlementError(ErrorCode.InsufficientCollateral)
    facts.recorded = True
