"""Bankruptcies: an account with nothing but debts; insurance pays, then who is left bears the rest.

A perp debt: insurance fund, then the market's fee pool, then every open position through the funding rates. A borrow:
insurance fund, then every deposit through its index. Source: solvency.md §4, §5; ``controller/liquidation.rs``,
``math/liquidation.rs``.
"""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, sub_checked, sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import deposit_into_pool, get_token_amount, withdraw_from_pool
from seawall.rules.common.bankruptcy import (
    calculate_deposit_interest_delta_to_resolve_bankruptcy,
    clear_borrow,
    clear_perp_debt,
    get_quote_value_of_debt,
    spread_perp_loss,
    use_insurance_allowance,
)
from seawall.rules.common.margin import calculate_margin
from seawall.rules.common.perp_positions import get_perp_position_index
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.common.spot_positions import get_spot_position_index
from seawall.rules.common.user_balances import is_borrow
from seawall.rules.common.user_status import (
    enter_bankruptcy,
    exit_bankruptcy,
    is_bankrupt,
    is_being_liquidated,
    is_user_bankrupt,
)
from seawall.rules.drift.interest import update_spot_market_cumulative_interest
from seawall.state.enums import BORROW, MARGIN_MAINTENANCE, PERP_LIQUIDATION, SPOT_LIQUIDATION
from seawall.state.exchange import State
from seawall.state.facts import BankruptcyFacts, InterestFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User


@rule
def validate_bankruptcy(user: User, liquidator: User) -> None:
    """Flag an account that has only debts left; it must be bankrupt, and the liquidator must not be in trouble.

    ``UserNotBankrupt``, ``UserIsBeingLiquidated`` (also for a bankrupt liquidator). Source: solvency.md §4.2 steps 1-3.
    """
    if not is_bankrupt(user) and is_user_bankrupt(user):
        enter_bankruptcy(user)
    if not is_bankrupt(user):
        raise SettlementError(ErrorCode.UserNotBankrupt)
    if is_being_liquidated(liquidator):
        raise SettlementError(ErrorCode.UserIsBeingLiquidated)


@rule
def leave_bankruptcy_if_paid(user: User) -> None:
    """An account without debts is no longer bankrupt; any other debt keeps it so."""
    if not is_user_bankrupt(user):
        exit_bankruptcy(user)


# --- perp debts ------------------------------------------------------------------------------------------------


@rule
def pay_perp_loss_from_insurance(
    market: PerpMarket,
    spot_market: SpotMarket,
    oracle: OraclePriceData,
    insurance_vault_amount: int,
    now: int,
    interest: InterestFacts,
    facts: BankruptcyFacts,
) -> None:
    """Insurance money goes to the P&L pool, within the market's lifetime allowance; interest accrues on the way.

    It accrues even where nothing is paid. ``MathError``. Source: solvency.md §4.2 step 8.
    """
    # the fund always keeps a unit
    payment = use_insurance_allowance(market, facts.loss, sub_saturating(insurance_vault_amount, 1), facts)
    update_spot_market_cumulative_interest(spot_market, oracle, now, interest)
    deposit_into_pool(payment, spot_market, market.pnl_pool)


@rule
def pay_perp_loss_from_fee_pool(market: PerpMarket, spot_market: SpotMarket, facts: BankruptcyFacts) -> None:
    """The fee pool pays what insurance left open.

    Its tokens are credited to nobody and become the vault's surplus, and the AMM's earnings stay: deliberate, it is the
    program's. Source: solvency.md §4.2 step 10.
    """
    facts.fee_pool = get_pool_token_amount(market.amm.fee_pool, spot_market)
    payment = min(facts.loss - facts.insurance_payment, facts.fee_pool)
    if payment > 0:
        withdraw_from_pool(payment, spot_market, market.amm.fee_pool)
    facts.fee_pool_payment = payment


@rule
def socialize_perp_loss(market: PerpMarket, facts: BankruptcyFacts) -> None:
    """Both sides bear the rest in proportion to their base, at their next funding settlement.

    ``CantResolvePerpBankruptcy``. Source: solvency.md §4.2 steps 11-13.
    """
    facts.socialized_loss = facts.loss - facts.insurance_payment - facts.fee_pool_payment
    # open base is asked for even where nothing is left to spread: deliberate, it is the program's
    spread_perp_loss(market.amm, facts.socialized_loss, facts)


@rule
def resolve_perp_bankruptcy(
    user: User,
    liquidator: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    insurance_vault_amount: int,
    now: int,
    calculation: MarginCalculation,
    interest: InterestFacts,
    facts: BankruptcyFacts,
) -> int:
    """Clear a bankrupt account's perp debt; the tokens (quote 1e6) to move out of the insurance fund's vault.

    The margin calculation only feeds the event, but its errors count. In order: ``UserNotBankrupt``,
    ``UserIsBeingLiquidated``, ``InvalidLiquidation`` (paused), ``UserHasNoPositionInMarket``,
    ``InvalidPerpPositionToLiquidate`` (no debt), the margin's, ``MathError``, ``CantResolvePerpBankruptcy``.
    Source: solvency.md §4.2; ``controller/liquidation.rs::resolve_perp_bankruptcy``.
    """
    validate_bankruptcy(user, liquidator)
    market = perp_markets[market_index]
    if market.paused_operations & PERP_LIQUIDATION != 0:
        raise SettlementError(ErrorCode.InvalidLiquidation)
    position = user.perp_positions[get_perp_position_index(user, market_index)]
    if position.quote_asset_amount >= 0:
        raise SettlementError(ErrorCode.InvalidPerpPositionToLiquidate)
    facts.loss = -position.quote_asset_amount
    calculate_margin(user, spot_markets, perp_markets, oracles, state, MARGIN_MAINTENANCE, False, 0, calculation)
    spot_market = spot_markets[QUOTE_SPOT_MARKET_INDEX]
    oracle = oracles[spot_market.oracle_index]
    pay_perp_loss_from_insurance(market, spot_market, oracle, insurance_vault_amount, now, interest, facts)
    pay_perp_loss_from_fee_pool(market, spot_market, facts)
    socialize_perp_loss(market, facts)
    clear_perp_debt(user, position, market, facts)
    leave_bankruptcy_if_paid(user)
    facts.liquidation_id = sub_checked(user.next_liquidation_id, 1)
    return facts.insurance_payment


# --- borrows ---------------------------------------------------------------------------------------------------


@rule
def resolve_spot_bankruptcy(
    user: User,
    liquidator: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    insurance_vault_amount: int,
    calculation: MarginCalculation,
    facts: BankruptcyFacts,
) -> int:
    """Clear a bankrupt account's borrow; the tokens to move out of the insurance fund's vault.

    No interest accrues here: the debt is that of the last accrual. In order: ``UserNotBankrupt``,
    ``UserIsBeingLiquidated``, ``InvalidLiquidation`` (paused), ``CouldNotFindSpotPosition``, the margin's,
    ``UserHasInvalidBorrow``, ``CastingFailure``, ``MathError`` (a loss above all deposits, a debt above the market's).
    Source: solvency.md §5.2; ``controller/liquidation.rs::resolve_spot_bankruptcy``.
    """
    validate_bankruptcy(user, liquidator)
    spot_market = spot_markets[market_index]
    if spot_market.paused_operations & SPOT_LIQUIDATION != 0:
        raise SettlementError(ErrorCode.InvalidLiquidation)
    position = user.spot_positions[get_spot_position_index(user, market_index)]
    calculate_margin(user, spot_markets, perp_markets, oracles, state, MARGIN_MAINTENANCE, False, 0, calculation)
    if not is_borrow(position):
        raise SettlementError(ErrorCode.UserHasInvalidBorrow)
    facts.loss = get_token_amount(position.scaled_balance, spot_market, BORROW)
    # the fund always keeps a unit; no allowance caps it here: deliberate, it is the program's
    facts.insurance_available = sub_saturating(insurance_vault_amount, 1)
    facts.insurance_payment = min(facts.loss, facts.insurance_available)
    facts.socialized_loss = facts.loss - facts.insurance_payment
    facts.cumulative_delta = calculate_deposit_interest_delta_to_resolve_bankruptcy(spot_market, facts.socialized_loss)
    price = oracles[spot_market.oracle_index].price
    facts.quote_social_loss = get_quote_value_of_debt(facts.loss, spot_market, price)
    clear_borrow(user, position, spot_market, facts)
    # the whole debt, insured part included: deliberate, it is the program's
    spot_market.total_social_loss += facts.loss
    spot_market.total_quote_social_loss += facts.quote_social_loss
    leave_bankruptcy_if_paid(user)
    facts.liquidation_id = sub_checked(user.next_liquidation_id, 1)
    return facts.insurance_payment
