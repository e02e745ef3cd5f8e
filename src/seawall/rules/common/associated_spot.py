"""The documents' future work: a perp market in deficit is helped by the spot market of its own underlying.

First the revenue pool, then the insurance fund of that spot market give tokens, which are swapped to quote at a price
near the oracle's, within a cap a period. Source: spec/README, parameter ``associated_spot_backstop``.
"""

from seawall.arithmetic import PERCENTAGE_PRECISION, sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import check_leaving, get_token_amount, withdraw_from_pool
from seawall.rules.common.token_values import get_token_value
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.facts import AssociatedSpotFacts
from seawall.state.perp_market import AssociatedSpot
from seawall.state.spot_market import SpotMarket


@rule
def start_period_if_due(associated: AssociatedSpot, now: int) -> None:
    """A period after the last one began, the next begins; nothing of the old one is carried over."""
    if now - associated.period_start_ts >= associated.period:
        associated.period_start_ts = now
        associated.withdrawn_in_period = 0


@rule
def validate_swap_price(quote_amount: int, value: int, max_divergence: int) -> None:
    """Quote received (1e6) and the tokens' value by the oracle may differ by ``max_divergence`` (1e6) of the value.

    Either way: a price too good is a report as wrong as one too bad. ``SwapPriceOutOfBounds``.
    """
    if value <= 0 or abs(quote_amount - value) * PERCENTAGE_PRECISION > value * max_divergence:
        raise SettlementError(ErrorCode.SwapPriceOutOfBounds)


@rule
def draw_on_associated_spot(
    token_amount: int,
    quote_amount: int,
    excess_user_pnl: int,
    associated: AssociatedSpot,
    spot_market: SpotMarket,
    oracle_price: int,
    max_divergence: int,
    insurance_vault_amount: int,
    now: int,
    facts: AssociatedSpotFacts,
) -> None:
    """Take ``token_amount`` tokens, swapped for ``quote_amount`` (1e6), from revenue and then from insurance.

    ``AssociatedSpotDrawTooLarge`` (above the deficit or the period's cap), ``SwapPriceOutOfBounds``,
    ``NoIFWithdrawAvailable`` (the fund keeps a unit), ``SpotMarketInsufficientDeposits`` (what is lent out cannot go).
    """
    start_period_if_due(associated, now)
    facts.period_room = sub_saturating(associated.max_withdraw_per_period, associated.withdrawn_in_period)
    facts.revenue_pool = get_token_amount(spot_market.revenue_pool.scaled_balance, spot_market, DEPOSIT)
    facts.insurance_available = sub_saturating(insurance_vault_amount, 1)
    facts.value = get_token_value(token_amount, spot_market.decimals, oracle_price)
    if quote_amount > excess_user_pnl or quote_amount > facts.period_room:
        raise SettlementError(ErrorCode.AssociatedSpotDrawTooLarge)
    validate_swap_price(quote_amount, facts.value, max_divergence)
    facts.revenue_payment = min(token_amount, facts.revenue_pool)
    rest = token_amount - facts.revenue_payment
    if rest > facts.insurance_available:
        raise SettlementError(ErrorCode.NoIFWithdrawAvailable)
    facts.insurance_payment = rest
    if facts.revenue_payment > 0:
        withdraw_from_pool(facts.revenue_payment, spot_market, spot_market.revenue_pool)
        check_leaving(spot_market, BORROW, True)
    associated.withdrawn_in_period = associated.withdrawn_in_period + quote_amount
    associated.total_withdrawn = associated.total_withdrawn + quote_amount
