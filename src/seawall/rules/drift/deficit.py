"""Deficits: a perp market whose AMM is in the red and whose P&L pool is empty draws on the insurance fund.

Source: solvency.md §2; ``controller/insurance.rs::resolve_perp_pnl_deficit``.
"""

from seawall.arithmetic import sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_budget import calculate_reserved_fees
from seawall.rules.common.deficit import (
    book_insurance_draw,
    calculate_insurance_draw,
    is_insurance_exhausted,
    note_excess_user_pnl,
    note_insurance_caps,
    pay_into_pnl_pool,
    validate_amm_refreshed,
    validate_price_for_deficit,
)
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.drift.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.rules.drift.pools import get_fee_pool_target
from seawall.state.exchange import OracleGuardRails
from seawall.state.facts import InterestFacts, PnlDeficitFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket


@rule
def validate_market_for_deficit(
    market: PerpMarket, guard_rails: OracleGuardRails, oracle_price: int, now: int, slot: int
) -> None:
    """What a market's price must satisfy before its deficit is looked at, the AMM refreshed.

    A curve that moves needs a valid oracle and a refresh in this slot. ``InvalidOracle``, ``AMMNotUpdatedInSameSlot``,
    ``MarketActionPaused`` (in settlement), ``PriceBandsBreached``, ``MathError``. Source: solvency.md §2.2 steps 5-7.
    """
    validate_amm_refreshed(market.amm, slot)
    validate_price_for_deficit(market, guard_rails, oracle_price, now)


@rule
def validate_market_in_deficit(market: PerpMarket, spot_market: SpotMarket, facts: PnlDeficitFacts) -> None:
    """The AMM must be in the red and the P&L pool without a token: ``NoAmmPerpPnlDeficit``, ``SufficientPerpPnlPool``.

    A scaled balance worth less than a token is no token. Source: solvency.md §2.4 steps 1-2.
    """
    facts.total_fee_minus_distributions = market.amm.total_fee_minus_distributions
    facts.pnl_pool = get_pool_token_amount(market.pnl_pool, spot_market)
    if facts.total_fee_minus_distributions >= 0:
        raise SettlementError(ErrorCode.NoAmmPerpPnlDeficit)
    if facts.pnl_pool != 0:
        raise SettlementError(ErrorCode.SufficientPerpPnlPool)


@rule
def resolve_perp_pnl_deficit(
    insurance_vault_amount: int,
    market: PerpMarket,
    spot_market: SpotMarket,
    now: int,
    interest: InterestFacts,
    facts: PnlDeficitFacts,
) -> int:
    """Draw insurance money into a market's P&L pool; the tokens (quote 1e6) to move out of the fund's vault.

    The shares stay: the loss falls on all of them. Errors: those of ``validate_market_in_deficit``,
    ``note_excess_user_pnl`` and ``calculate_insurance_draw``, ``CastingFailure``. Source: solvency.md §2.4;
    ``controller/insurance.rs::resolve_perp_pnl_deficit``.
    """
    validate_market_in_deficit(market, spot_market, facts)
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, interest)
    note_excess_user_pnl(market, facts)
    # the fund always keeps a unit
    draw = calculate_insurance_draw(market, sub_saturating(insurance_vault_amount, 1), facts)
    book_insurance_draw(draw, market, now)
    pay_into_pnl_pool(draw, market, spot_market)
    facts.drawn = draw
    return draw


@rule
def validate_quote_sources_exhausted(
    insurance_vault_amount: int, market: PerpMarket, spot_market: SpotMarket, facts: PnlDeficitFacts
) -> None:
    """A market in deficit that nothing in quote can help any more: what a draw on other tokens needs.

    The fee pool must have nothing to spill, and revenue pool and insurance nothing that the caps admit, also after the
    period that the next settlement would start. ``NoAmmPerpPnlDeficit``, ``SufficientPerpPnlPool``, ``InvalidOracle``,
    ``PerpPnlDeficitBelowThreshold``, ``QuoteSourcesNotExhausted``. Source: spec/README, ``associated_spot_backstop``.
    """
    validate_market_in_deficit(market, spot_market, facts)
    note_excess_user_pnl(market, facts)
    note_insurance_caps(market, spot_market, sub_saturating(insurance_vault_amount, 1), facts)
    kept = max(get_fee_pool_target(market.amm), calculate_reserved_fees(market))
    if get_pool_token_amount(market.amm.fee_pool, spot_market) > max(kept, 0):
        raise SettlementError(ErrorCode.QuoteSourcesNotExhausted)
    if not is_insurance_exhausted(facts):
        raise SettlementError(ErrorCode.QuoteSourcesNotExhausted)
    if facts.period_room > 0 and get_pool_token_amount(spot_market.revenue_pool, spot_market) > 0:
        raise SettlementError(ErrorCode.QuoteSourcesNotExhausted)
