"""What the pools' waterfall never does, whatever state it finds. Rules of pools-and-pnl.md §3."""

from hypothesis import given
from hypothesis import strategies as st

from seawall.rules.common.balances import get_token_amount
from seawall.rules.drift.pools import update_pool_balances
from seawall.state.enums import DEPOSIT
from seawall.state.facts import PoolUpdateFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket

amounts = st.integers(0, 10**13)
signed = st.integers(-(10**13), 10**13)


@st.composite
def pools(draw: st.DrawFn) -> tuple[PerpMarket, SpotMarket]:
    """Both markets with any pools, counters, claims and indices."""
    market, spot = PerpMarket(), SpotMarket(decimals=6)
    spot.cumulative_deposit_interest = draw(st.integers(10**10, 10**13))
    spot.cumulative_borrow_interest = draw(st.integers(10**10, 10**13))
    amm, claim = market.amm, market.insurance_claim
    amm.fee_pool.scaled_balance = draw(amounts)
    market.pnl_pool.scaled_balance = draw(amounts)
    spot.revenue_pool.scaled_balance = draw(amounts)
    everything = amm.fee_pool.scaled_balance + market.pnl_pool.scaled_balance + spot.revenue_pool.scaled_balance
    spot.deposit_balance = everything + draw(amounts)
    spot.borrow_balance = draw(st.integers(0, spot.deposit_balance))
    spot.deposit_token_twap, spot.borrow_token_twap = draw(amounts), draw(amounts)
    spot.withdraw_guard_threshold = draw(amounts)
    spot.insurance_fund.last_revenue_settle_ts = draw(st.integers(0, 3))
    amm.total_fee_minus_distributions = draw(signed)
    amm.total_exchange_fee, amm.total_liquidation_fee = draw(amounts), draw(amounts)
    amm.total_fee_withdrawn = draw(st.integers(0, amm.total_exchange_fee // 2 + amm.total_liquidation_fee))
    amm.total_social_loss, amm.net_revenue_since_last_funding = draw(st.sampled_from([0, 5, 10**9])), draw(signed)
    claim.max_revenue_withdraw_per_period = draw(amounts)
    cap = claim.max_revenue_withdraw_per_period
    claim.revenue_withdraw_since_last_settle = draw(st.integers(-cap, cap))
    claim.quote_max_insurance = draw(amounts)
    return market, spot


@given(pools(), signed, signed)
def test_the_pools_settle_at_most_the_claim_from_what_they_hold(
    state: tuple[PerpMarket, SpotMarket], claim: int, user_tokens: int
) -> None:
    """A settlement has the claim's sign and is at most the claim; a gain is at most what the P&L pool then holds; the
    market's deposits change by exactly what the three pools change by; the pools together never gain a token beyond
    what the user paid; and both revenue counters stay within their cap.
    """
    market, spot = state
    held = [market.amm.fee_pool, market.pnl_pool, spot.revenue_pool]
    deposits = spot.deposit_balance
    scaled = sum(p.scaled_balance for p in held)
    tokens = sum(get_token_amount(p.scaled_balance, spot, DEPOSIT) for p in held)
    facts = PoolUpdateFacts()
    settled = update_pool_balances(market, spot, user_tokens, claim, 3, facts)

    assert abs(settled) <= abs(claim)
    assert settled * claim >= 0
    assert settled <= facts.pnl_pool_available
    assert -settled <= facts.user_withdrawable or settled >= 0
    held = [market.amm.fee_pool, market.pnl_pool, spot.revenue_pool]
    assert all(p.scaled_balance >= 0 for p in held)
    assert spot.deposit_balance - deposits == sum(p.scaled_balance for p in held) - scaled
    # less than a token each: three floored balances, two floored deposits, four pools emptied of their dust, one debit
    after = sum(get_token_amount(p.scaled_balance, spot, DEPOSIT) for p in held)
    assert -9 <= after - (tokens - settled) <= 3
    insurance_claim = market.insurance_claim
    drawn = insurance_claim.revenue_withdraw_since_last_settle
    assert abs(drawn) <= insurance_claim.max_revenue_withdraw_per_period


@given(pools(), signed)
def test_spill_and_refill_come_to_rest(state: tuple[PerpMarket, SpotMarket], user_tokens: int) -> None:
    """With nothing to settle and no revenue to exchange, the first call puts the fee pool where it belongs: a second
    one leaves all pools as they are, up to the dust of emptied pools.
    """
    market, spot = state
    market.insurance_claim.max_revenue_withdraw_per_period = 0
    market.insurance_claim.revenue_withdraw_since_last_settle = 0
    assert update_pool_balances(market, spot, user_tokens, 0, 3, PoolUpdateFacts()) == 0
    first = market.copy()
    assert update_pool_balances(market, spot, user_tokens, 0, 3, PoolUpdateFacts()) == 0
    one_token = 10**13 // spot.cumulative_deposit_interest + 1
    assert abs(market.amm.fee_pool.scaled_balance - first.amm.fee_pool.scaled_balance) <= 3 * one_token
    assert abs(market.pnl_pool.scaled_balance - first.pnl_pool.scaled_balance) <= 3 * one_token
