"""Deficits: a perp market whose AMM is in the red and whose P&L pool is empty draws on the insurance fund.

Source: solvency.md §2; ``controller/insurance.rs::resolve_perp_pnl_deficit``.
"""

from seawall.arithmetic import sub_checked, sub_saturating, to_i64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_budget import calculate_reserved_fees
from seawall.rules.common.balances import deposit_into_pool
from seawall.rules.common.open_orders import is_in_settlement
from seawall.rules.common.perp_positions import calculate_net_user_pnl
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.common.price_bands import validate_market_within_price_band
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
    amm = market.amm
    if amm.curve_update_intensity > 0:
        if not amm.last_oracle_valid:
            raise SettlementError(ErrorCode.InvalidOracle)
        # a refresh that could not pay its peg change left the slot old
        if amm.last_update_slot != slot:
            raise SettlementError(ErrorCode.AMMNotUpdatedInSameSlot)
    if is_in_settlement(market.status, market.expiry_ts, now):
        raise SettlementError(ErrorCode.MarketActionPaused)
    validate_market_within_price_band(market, guard_rails, oracle_price)


@rule
def calculate_excess_user_pnl(market: PerpMarket, net_user_pnl: int) -> int:
    """What all users gained (1e6) beyond the imbalance that the market may carry; 0 where it has no such limit."""
    if market.unrealized_pnl_max_imbalance > 0:
        return net_user_pnl - market.unrealized_pnl_max_imbalance
    return 0


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
def note_excess_user_pnl(market: PerpMarket, facts: PnlDeficitFacts) -> None:
    """What all users gained beyond what is admitted, which must be something.

    ``InvalidOracle``, ``PerpPnlDeficitBelowThreshold``. Source: solvency.md §2.4 step 4.
    """
    if market.unrealized_pnl_max_imbalance > 0:
        # the price that the refresh stored, not a fresh one: deliberate, it is the program's
        facts.net_user_pnl = calculate_net_user_pnl(market.amm, market.amm.historical_oracle_data.last_oracle_price)
    facts.excess_user_pnl = calculate_excess_user_pnl(market, facts.net_user_pnl)
    if facts.excess_user_pnl <= 0:
        raise SettlementError(ErrorCode.PerpPnlDeficitBelowThreshold)


@rule
def calculate_insurance_draw(market: PerpMarket, insurance_vault_amount: int, facts: PnlDeficitFacts) -> int:
    """Tokens (quote 1e6) that a market in deficit may draw now: the excess within the three other caps.

    ``InvalidOracle``, ``PerpPnlDeficitBelowThreshold``, ``MaxRevenueWithdrawPerPeriodReached``,
    ``MaxIFWithdrawReached``, ``NoIFWithdrawAvailable``; ``MathError`` where more was drawn than the lifetime admits.
    Source: solvency.md §2.4 steps 4-7.
    """
    note_excess_user_pnl(market, facts)
    claim = market.insurance_claim
    facts.period_room = claim.max_revenue_withdraw_per_period - claim.revenue_withdraw_since_last_settle
    if facts.period_room <= 0:
        raise SettlementError(ErrorCode.MaxRevenueWithdrawPerPeriodReached)
    facts.insurance_room = sub_checked(claim.quote_max_insurance, claim.quote_settled_insurance)
    if facts.insurance_room == 0:
        raise SettlementError(ErrorCode.MaxIFWithdrawReached)
    # the fund always keeps a unit
    facts.insurance_available = sub_saturating(insurance_vault_amount, 1)
    if facts.insurance_available == 0:
        raise SettlementError(ErrorCode.NoIFWithdrawAvailable)
    draw = min(facts.excess_user_pnl, facts.period_room)
    return min(min(draw, facts.insurance_room), facts.insurance_available)


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

    The shares stay: the loss falls on all of them. Errors: those of ``validate_market_in_deficit`` and
    ``calculate_insurance_draw``, ``CastingFailure``. Source: solvency.md §2.4;
    ``controller/insurance.rs::resolve_perp_pnl_deficit``.
    """
    validate_market_in_deficit(market, spot_market, facts)
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, interest)
    draw = calculate_insurance_draw(market, insurance_vault_amount, facts)
    claim = market.insurance_claim
    claim.revenue_withdraw_since_last_settle = to_i64(claim.revenue_withdraw_since_last_settle + draw)
    claim.quote_settled_insurance += draw
    claim.last_revenue_withdraw_ts = now
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
    claim = market.insurance_claim
    drawn = claim.revenue_withdraw_since_last_settle
    if spot_market.insurance_fund.last_revenue_settle_ts > claim.last_revenue_withdraw_ts:
        drawn = 0
    facts.period_room = claim.max_revenue_withdraw_per_period - drawn
    facts.insurance_room = sub_saturating(claim.quote_max_insurance, claim.quote_settled_insurance)
    facts.insurance_available = sub_saturating(insurance_vault_amount, 1)
    kept = max(get_fee_pool_target(market.amm), calculate_reserved_fees(market.amm))
    if get_pool_token_amount(market.amm.fee_pool, spot_market) > max(kept, 0):
        raise SettlementError(ErrorCode.QuoteSourcesNotExhausted)
    if facts.period_room > 0:
        if facts.insurance_room > 0 and facts.insurance_available > 0:
            raise SettlementError(ErrorCode.QuoteSourcesNotExhausted)
        if get_pool_token_amount(spot_market.revenue_pool, spot_market) > 0:
            raise SettlementError(ErrorCode.QuoteSourcesNotExhausted)


@rule
def pay_into_pnl_pool(quote_amount: int, market: PerpMarket, spot_market: SpotMarket) -> None:
    """Quote tokens (1e6) that came from elsewhere fill the P&L pool and count as the AMM's earnings."""
    market.amm.total_fee_minus_distributions += quote_amount
    deposit_into_pool(quote_amount, spot_market, market.pnl_pool)
