"""What both rulebooks do alike with a debt that its owner cannot pay: spreading a loss, clearing the debt.

Source: solvency.md §4, §5; velocity/solvency.md §5, §6; ``controller/liquidation.rs``, ``math/liquidation.rs``.
"""

from seawall.arithmetic import div_ceil, saturate_u64, sub_checked, sub_saturating, to_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.perp_positions import update_quote_asset_amount
from seawall.rules.common.token_values import get_token_value
from seawall.rules.common.user_balances import update_spot_balances_and_cumulative_deposits
from seawall.state.enums import DEPOSIT, RULEBOOK_VELOCITY
from seawall.state.facts import BankruptcyFacts
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, SpotPosition, User

# --- perp debts ------------------------------------------------------------------------------------------------


@rule
def calculate_funding_rate_delta_to_resolve_bankruptcy(amm: AMM, loss: int) -> int:
    """Change (1e9) of both cumulative funding rates that collects ``loss`` ≥ 0 (1e6) from all open base, rounded up.

    ``CantResolvePerpBankruptcy`` without open base, even for a loss of 0. Source: solvency.md §4.3;
    ``math/liquidation.rs::calculate_funding_rate_deltas_to_resolve_bankruptcy``.
    """
    base = abs(amm.base_asset_amount_long) + abs(amm.base_asset_amount_short)
    if base == 0:
        raise SettlementError(ErrorCode.CantResolvePerpBankruptcy)
    return div_ceil(loss * 1_000_000_000, base) * 1_000


@rule
def use_insurance_allowance(market: PerpMarket, loss: int, available: int, facts: BankruptcyFacts) -> int:
    """What insurance pays of ``loss`` (quote 1e6), within what it has and the market's lifetime allowance.

    ``MathError`` where the market has used more than its allowance. Source: solvency.md §4.2 step 8.
    """
    claim = market.insurance_claim
    facts.insurance_room = sub_checked(claim.quote_max_insurance, claim.quote_settled_insurance)
    facts.insurance_available = available
    facts.insurance_payment = min(min(loss, available), facts.insurance_room)
    claim.quote_settled_insurance += facts.insurance_payment
    return facts.insurance_payment


@rule
def spread_perp_loss(amm: AMM, loss: int, facts: BankruptcyFacts) -> None:
    """Both sides bear ``loss`` > 0 in proportion to their base, at their next funding settlement.

    ``CantResolvePerpBankruptcy``. Source: solvency.md §4.2 steps 12-13.
    """
    facts.cumulative_delta = calculate_funding_rate_delta_to_resolve_bankruptcy(amm, loss)
    amm.total_social_loss += loss
    amm.cumulative_funding_rate_long += facts.cumulative_delta
    amm.cumulative_funding_rate_short -= facts.cumulative_delta


@rule
def clear_perp_debt(user: User, position: PerpPosition, market: PerpMarket, facts: BankruptcyFacts) -> None:
    """The position owes nothing any more; the user's lifetime figure counts the whole loss, however it was paid."""
    update_quote_asset_amount(position, market, facts.loss)
    user.total_social_loss = saturate_u64(user.total_social_loss + facts.loss)


# --- borrows ---------------------------------------------------------------------------------------------------


@rule
def calculate_deposit_interest_delta_to_resolve_bankruptcy(spot_market: SpotMarket, loss: int) -> int:
    """Cut (1e10) of the deposit index that takes ``loss`` ≥ 0 tokens from all deposits, rounded up; 0 without any.

    Drift: more than the index where the loss exceeds all deposits, which the caller then refuses. Velocity: one unit of
    the index always stays. Source: solvency.md §5.3; velocity/solvency.md §6 step 13;
    ``math/liquidation.rs::calculate_cumulative_deposit_interest_delta_to_resolve_bankruptcy``.
    """
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    if deposits == 0:
        return 0
    delta = div_ceil(spot_market.cumulative_deposit_interest * loss, deposits)
    if spot_market.rulebook == RULEBOOK_VELOCITY:
        return min(delta, sub_saturating(spot_market.cumulative_deposit_interest, 1))
    return delta


@rule
def get_quote_value_of_debt(tokens: int, spot_market: SpotMarket, price: int) -> int:
    """What tokens owed are worth (quote 1e6) at a price (1e6), rounded up; ``CastingFailure`` beyond u64."""
    return to_u64(-get_token_value(-tokens, spot_market.decimals, price))


@rule
def clear_borrow(user: User, position: SpotPosition, spot_market: SpotMarket, facts: BankruptcyFacts) -> None:
    """Repay the borrow on the user's behalf and cut the deposit index by ``cumulative_delta``.

    The user's lifetime figure counts the whole debt, the part that others paid included: deliberate, it is the
    program's. ``CastingFailure``, ``MathError``. Source: solvency.md §5.2 steps 12-14.
    """
    user.total_social_loss = saturate_u64(user.total_social_loss + facts.quote_social_loss)
    update_spot_balances_and_cumulative_deposits(facts.loss, DEPOSIT, spot_market, position, False, facts.loss)
    spot_market.cumulative_deposit_interest = sub_checked(
        spot_market.cumulative_deposit_interest, facts.cumulative_delta
    )
