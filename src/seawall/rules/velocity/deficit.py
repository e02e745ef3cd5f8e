"""Deficits: a perp market whose AMM is in the red and whose P&L pool is short of what users gained draws on insurance.

Source: velocity/solvency.md §4; velocity/amm-and-funding.md §5; ``controller/insurance.rs::resolve_perp_pnl_deficit``.
"""

from seawall.arithmetic import sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.deficit import (
    book_insurance_draw,
    calculate_insurance_draw,
    is_insurance_exhausted,
    note_excess_user_pnl,
    note_insurance_caps,
    validate_amm_refreshed,
    validate_price_for_deficit,
)
from seawall.rules.common.perp_positions import calculate_net_user_pnl
from seawall.rules.common.pools import get_pool_token_amount, reset_revenue_withdraw_for_new_period
from seawall.rules.velocity.amm_books import record_credit
from seawall.rules.velocity.attestation import is_sample_attested
from seawall.rules.velocity.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.rules.velocity.receivable import get_revenue_receivable, pay_pool_from_insurance
from seawall.state.exchange import OracleGuardRails
from seawall.state.facts import InterestFacts, PnlDeficitFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket


@rule
def validate_market_for_deficit(
    market: PerpMarket, guard_rails: OracleGuardRails, oracle: OraclePriceData, now: int, slot: int
) -> None:
    """What a market's price must satisfy before its deficit is looked at; nothing is refreshed here.

    A curve that moves needs a refresh in this slot that found this very sample valid. ``InvalidOracle``,
    ``AMMNotUpdatedInSameSlot``, ``MarketActionPaused`` (in settlement), ``PriceBandsBreached``, ``MathError``.
    Source: velocity/solvency.md §4.
    """
    amm = market.amm
    validate_amm_refreshed(amm, slot)
    if amm.curve_update_intensity > 0 and not is_sample_attested(amm, oracle, slot):
        raise SettlementError(ErrorCode.InvalidOracle)
    validate_price_for_deficit(market, guard_rails, oracle.price, now)


@rule
def validate_amm_in_deficit(market: PerpMarket, facts: PnlDeficitFacts) -> None:
    """The AMM must be in the red: ``NoAmmPerpPnlDeficit``."""
    facts.total_fee_minus_distributions = market.amm.total_fee_minus_distributions
    if facts.total_fee_minus_distributions >= 0:
        raise SettlementError(ErrorCode.NoAmmPerpPnlDeficit)


@rule
def validate_pool_in_deficit(market: PerpMarket, spot_market: SpotMarket, facts: PnlDeficitFacts) -> None:
    """The P&L pool must hold less than users gained at the oracle's 5-minute TWAP.

    ``InvalidOracle`` for a TWAP that is not positive, ``SufficientPerpPnlPool``. Source: velocity/solvency.md §4, 3.
    """
    facts.pnl_pool = get_pool_token_amount(market.pnl_pool, spot_market)
    twap = market.amm.historical_oracle_data.last_oracle_price_twap_5min
    facts.net_user_pnl_at_twap = calculate_net_user_pnl(market.amm, twap)
    if facts.pnl_pool >= facts.net_user_pnl_at_twap:
        raise SettlementError(ErrorCode.SufficientPerpPnlPool)


@rule
def get_insurance_available(spot_market: SpotMarket, insurance_vault_amount: int) -> int:
    """What the insurance fund can pay in tokens: what it is owed, and its vault less the unit that always stays."""
    return get_revenue_receivable(spot_market) + sub_saturating(insurance_vault_amount, 1)


@rule
def resolve_perp_pnl_deficit(
    insurance_vault_amount: int,
    market: PerpMarket,
    spot_market: SpotMarket,
    now: int,
    funding_paused: bool,
    interest: InterestFacts,
    facts: PnlDeficitFacts,
) -> int:
    """Draw insurance money into a market's P&L pool; the tokens (quote 1e6) to move out of the fund's vault.

    A revenue settlement since the last draw begins a new period first. Errors in order: ``NoAmmPerpPnlDeficit``,
    ``InvalidOracle``, ``SufficientPerpPnlPool``, ``PerpPnlDeficitBelowThreshold``, ``BlockchainClockInconsistency``,
    those of ``calculate_insurance_draw``, ``CastingFailure``. Source: velocity/solvency.md §4.
    """
    validate_amm_in_deficit(market, facts)
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, funding_paused, interest)
    validate_pool_in_deficit(market, spot_market, facts)
    note_excess_user_pnl(market, facts)
    reset_revenue_withdraw_for_new_period(market, spot_market, now)
    draw = calculate_insurance_draw(market, get_insurance_available(spot_market, insurance_vault_amount), facts)
    record_credit(market.amm, draw)
    book_insurance_draw(draw, market, now)
    facts.drawn = draw
    facts.vault_payment = pay_pool_from_insurance(draw, spot_market, market.pnl_pool)
    return facts.vault_payment


@rule
def validate_quote_sources_exhausted(
    insurance_vault_amount: int, market: PerpMarket, spot_market: SpotMarket, draw_for_pnl: bool, facts: PnlDeficitFacts
) -> None:
    """A market in deficit that nothing in quote can help any more: what a draw on other tokens needs.

    Insurance must have nothing that the caps admit, also in the period that a draw would begin; where the venue lets a
    P&L pool draw on revenue (``draw_for_pnl``), the revenue pool neither. ``NoAmmPerpPnlDeficit``, ``InvalidOracle``,
    ``SufficientPerpPnlPool``, ``PerpPnlDeficitBelowThreshold``, ``QuoteSourcesNotExhausted``. Source: spec/README,
    ``associated_spot_backstop``.
    """
    validate_amm_in_deficit(market, facts)
    validate_pool_in_deficit(market, spot_market, facts)
    note_excess_user_pnl(market, facts)
    note_insurance_caps(market, spot_market, get_insurance_available(spot_market, insurance_vault_amount), facts)
    if not is_insurance_exhausted(facts):
        raise SettlementError(ErrorCode.QuoteSourcesNotExhausted)
    if draw_for_pnl and facts.period_room > 0 and get_pool_token_amount(spot_market.revenue_pool, spot_market) > 0:
        raise SettlementError(ErrorCode.QuoteSourcesNotExhausted)
