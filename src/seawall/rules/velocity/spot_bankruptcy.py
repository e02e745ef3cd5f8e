"""Bankruptcies of borrows: the estate, then the market's revenue pool, the insurance fund, every deposit.

Source: velocity/solvency.md §6; ``controller/liquidation/spot_bankruptcy.rs``.
"""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, sub_checked, sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount, withdraw_from_pool
from seawall.rules.common.bankruptcy import (
    calculate_deposit_interest_delta_to_resolve_bankruptcy,
    clear_borrow,
    get_quote_value_of_debt,
)
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.common.spot_operations import spot_operation_paused
from seawall.rules.common.spot_positions import get_spot_position_index
from seawall.rules.common.user_balances import is_borrow
from seawall.rules.velocity.bankruptcy import (
    admit_to_bankruptcy,
    leave_bankruptcy_if_solvent,
    note_margin,
    unlatch_if_realizable,
    validate_liquidator,
)
from seawall.rules.velocity.bankruptcy_predicates import has_pending_perp_bankruptcy
from seawall.rules.velocity.estate import forfeit_claims, recover_claims
from seawall.rules.velocity.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.rules.velocity.isolated import CROSS
from seawall.rules.velocity.receivable import consume_revenue_receivable, get_revenue_receivable
from seawall.state.enums import BORROW, EXCHANGE_FUNDING_PAUSED, SPOT_LIQUIDATION, VELOCITY_SPOT_LIQUIDATION
from seawall.state.exchange import State
from seawall.state.facts import BankruptcyFacts, InterestFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User


@rule
def recover_claims_for_borrow(
    user: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    now: int,
    funding_paused: bool,
    interest: InterestFacts,
    facts: BankruptcyFacts,
) -> None:
    """Collect what other markets can pay of the user's claims, up to the borrow's value before interest.

    ``CouldNotFindSpotPosition``, ``CastingFailure``. Source: velocity/solvency.md §6 step 2.
    """
    position = user.spot_positions[get_spot_position_index(user, market_index)]
    if position.balance_type != BORROW:
        return
    spot_market = spot_markets[market_index]
    borrowed = get_token_amount(position.scaled_balance, spot_market, BORROW)
    cap = get_quote_value_of_debt(borrowed, spot_market, oracles[spot_market.oracle_index].price)
    quote_market = spot_markets[QUOTE_SPOT_MARKET_INDEX]
    recover_claims(user, cap, quote_market, perp_markets, now, funding_paused, interest, facts)


@rule
def pay_borrow(spot_market: SpotMarket, insurance_vault_amount: int, facts: BankruptcyFacts) -> None:
    """The revenue pool pays, then what the insurance fund is owed, then its vault; no allowance caps them.

    The tokens stay in the vault as what lenders are owed. Source: velocity/solvency.md §6 steps 10-12.
    """
    facts.revenue_pool = get_pool_token_amount(spot_market.revenue_pool, spot_market)
    facts.revenue_pool_payment = min(facts.loss, facts.revenue_pool)
    withdraw_from_pool(facts.revenue_pool_payment, spot_market, spot_market.revenue_pool)
    facts.receivable = get_revenue_receivable(spot_market)
    left = facts.loss - facts.revenue_pool_payment
    from_receivable = consume_revenue_receivable(left, spot_market)
    # the fund's vault always keeps a unit
    vault_available = sub_saturating(insurance_vault_amount, 1)
    facts.insurance_available = facts.receivable + vault_available
    facts.vault_payment = min(left - from_receivable, vault_available)
    facts.insurance_payment = from_receivable + facts.vault_payment


@rule
def socialize_borrow(
    user: User, position_row: int, spot_market: SpotMarket, price: int, facts: BankruptcyFacts
) -> None:
    """Every deposit bears the rest through its index, which always keeps a unit; the user owes nothing any more.

    The market's figures count what was socialised, the user's the whole debt. Source: velocity/solvency.md §6 steps
    13-14.
    """
    facts.socialized_loss = facts.loss - facts.revenue_pool_payment - facts.insurance_payment
    facts.cumulative_delta = calculate_deposit_interest_delta_to_resolve_bankruptcy(spot_market, facts.socialized_loss)
    clear_borrow(user, user.spot_positions[position_row], spot_market, facts)
    spot_market.total_social_loss += facts.socialized_loss
    spot_market.total_quote_social_loss += get_quote_value_of_debt(facts.socialized_loss, spot_market, price)


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
    now: int,
    calculation: MarginCalculation,
    quote_interest: InterestFacts,
    interest: InterestFacts,
    facts: BankruptcyFacts,
) -> int:
    """Clear a bankrupt account's borrow; the tokens to move out of the insurance fund's vault.

    A claim recovered, or any deposit left, ends the bankruptcy here: ordinary liquidation seizes it. In order:
    ``UserNotBankrupt``, ``CouldNotFindSpotPosition``, ``PerpBankruptcyMustPrecedeSpot``, ``UserBankrupt``,
    ``UserIsBeingLiquidated``, ``InvalidLiquidation`` (paused), the margin's, ``UserHasInvalidBorrow``,
    ``CastingFailure``, ``MathError``. Source: velocity/solvency.md §6;
    ``controller/liquidation/spot_bankruptcy.rs::resolve_spot_bankruptcy``.
    """
    facts.row = CROSS
    funding_paused = state.exchange_status & EXCHANGE_FUNDING_PAUSED != 0
    admit_to_bankruptcy(user, CROSS, spot_markets)
    recover_claims_for_borrow(
        user, market_index, spot_markets, perp_markets, oracles, now, funding_paused, quote_interest, facts
    )
    if unlatch_if_realizable(user, CROSS, spot_markets, facts):
        return 0
    if has_pending_perp_bankruptcy(user):
        raise SettlementError(ErrorCode.PerpBankruptcyMustPrecedeSpot)
    validate_liquidator(liquidator)
    spot_market = spot_markets[market_index]
    if spot_operation_paused(spot_market, SPOT_LIQUIDATION, VELOCITY_SPOT_LIQUIDATION):
        raise SettlementError(ErrorCode.InvalidLiquidation)
    position_row = get_spot_position_index(user, market_index)
    note_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, funding_paused, interest)
    position = user.spot_positions[position_row]
    if not is_borrow(position):
        raise SettlementError(ErrorCode.UserHasInvalidBorrow)
    facts.loss = get_token_amount(position.scaled_balance, spot_market, BORROW)
    price = oracles[spot_market.oracle_index].price
    facts.quote_social_loss = get_quote_value_of_debt(facts.loss, spot_market, price)
    forfeit_claims(user, facts.quote_social_loss, spot_markets[QUOTE_SPOT_MARKET_INDEX], perp_markets, facts)
    pay_borrow(spot_market, insurance_vault_amount, facts)
    socialize_borrow(user, position_row, spot_market, price, facts)
    leave_bankruptcy_if_solvent(user, CROSS, spot_markets, facts)
    facts.liquidation_id = sub_checked(user.next_liquidation_id, 1)
    return facts.vault_payment
