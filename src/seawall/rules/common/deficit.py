"""What both rulebooks do alike where a perp market in deficit draws on insurance: its price, the caps, the books.

Source: solvency.md §2; velocity/solvency.md §4; ``controller/insurance.rs::resolve_perp_pnl_deficit``.
"""

from seawall.arithmetic import sub_checked, sub_saturating, to_i64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import deposit_into_pool
from seawall.rules.common.open_orders import is_in_settlement
from seawall.rules.common.perp_positions import calculate_net_user_pnl
from seawall.rules.common.price_bands import validate_market_within_price_band
from seawall.state.exchange import OracleGuardRails
from seawall.state.facts import PnlDeficitFacts
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.spot_market import SpotMarket


@rule
def validate_amm_refreshed(amm: AMM, slot: int) -> None:
    """A curve that moves needs a valid oracle and a refresh in this slot.

    ``InvalidOracle``, ``AMMNotUpdatedInSameSlot``. Source: solvency.md §2.2 step 5.
    """
    if amm.curve_update_intensity > 0:
        if not amm.last_oracle_valid:
            raise SettlementError(ErrorCode.InvalidOracle)
        # a refresh that could not pay its peg change left the slot old
        if amm.last_update_slot != slot:
            raise SettlementError(ErrorCode.AMMNotUpdatedInSameSlot)


@rule
def validate_price_for_deficit(market: PerpMarket, guard_rails: OracleGuardRails, oracle_price: int, now: int) -> None:
    """A market in settlement does not draw, nor one whose price left its band.

    ``MarketActionPaused``, ``PriceBandsBreached``, ``MathError``. Source: solvency.md §2.2 steps 6-7.
    """
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
def calculate_insurance_draw(market: PerpMarket, insurance_available: int, facts: PnlDeficitFacts) -> int:
    """What the market draws (quote 1e6): its excess, cut to the period's and the lifetime's room and to the fund.

    ``MaxRevenueWithdrawPerPeriodReached``, ``MathError``, ``MaxIFWithdrawReached``, ``NoIFWithdrawAvailable``, in
    order. Source: solvency.md §2.4 steps 5-7.
    """
    claim = market.insurance_claim
    facts.period_room = claim.max_revenue_withdraw_per_period - claim.revenue_withdraw_since_last_settle
    if facts.period_room <= 0:
        raise SettlementError(ErrorCode.MaxRevenueWithdrawPerPeriodReached)
    facts.insurance_room = sub_checked(claim.quote_max_insurance, claim.quote_settled_insurance)
    if facts.insurance_room == 0:
        raise SettlementError(ErrorCode.MaxIFWithdrawReached)
    facts.insurance_available = insurance_available
    if insurance_available == 0:
        raise SettlementError(ErrorCode.NoIFWithdrawAvailable)
    draw = min(facts.excess_user_pnl, facts.period_room)
    return min(min(draw, facts.insurance_room), insurance_available)


@rule
def book_insurance_draw(draw: int, market: PerpMarket, now: int) -> None:
    """Count a draw (quote 1e6) against the period's and the lifetime's cap; ``CastingFailure`` beyond i64."""
    claim = market.insurance_claim
    claim.revenue_withdraw_since_last_settle = to_i64(claim.revenue_withdraw_since_last_settle + draw)
    claim.quote_settled_insurance += draw
    claim.last_revenue_withdraw_ts = now


@rule
def pay_into_pnl_pool(quote_amount: int, market: PerpMarket, spot_market: SpotMarket) -> None:
    """Quote tokens (1e6) that came from elsewhere fill the P&L pool and count as the AMM's earnings."""
    market.amm.total_fee_minus_distributions += quote_amount
    deposit_into_pool(quote_amount, spot_market, market.pnl_pool)


@rule
def note_insurance_caps(
    market: PerpMarket, spot_market: SpotMarket, insurance_available: int, facts: PnlDeficitFacts
) -> None:
    """What the caps would still admit, also after the period that the next draw would start.

    Source: spec/README, ``associated_spot_backstop``.
    """
    claim = market.insurance_claim
    drawn = claim.revenue_withdraw_since_last_settle
    if spot_market.insurance_fund.last_revenue_settle_ts > claim.last_revenue_withdraw_ts:
        drawn = 0
    facts.period_room = claim.max_revenue_withdraw_per_period - drawn
    facts.insurance_room = sub_saturating(claim.quote_max_insurance, claim.quote_settled_insurance)
    facts.insurance_available = insurance_available


@rule
def is_insurance_exhausted(facts: PnlDeficitFacts) -> bool:
    """Whether the caps noted leave nothing to draw on insurance."""
    return facts.period_room <= 0 or facts.insurance_room == 0 or facts.insurance_available == 0
