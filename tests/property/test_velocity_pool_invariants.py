"""What the sweep and the pools of a velocity market never do. Named after velocity/invariants.md."""

from hypothesis import given
from hypothesis import strategies as st

from seawall.errors import SettlementError
from seawall.rules.common.perp_positions import calculate_net_user_cost_basis
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.velocity.if_floor import (
    IF_FLOOR_DEFAULT_PCT,
    IF_FLOOR_OFF,
    get_bankruptcy_if_floor,
    get_bankruptcy_if_tranche_reservation,
    get_pending_if_fee_floor,
)
from seawall.rules.velocity.pools import draw_on_revenue_pool, update_pool_balances
from seawall.rules.velocity.revenue_share_payout import (
    ROW_FORFEITED,
    ROW_PAID,
    ROW_UNPAID,
    revenue_share_reserve,
    settle_revenue_share_row,
)
from seawall.rules.velocity.sweep import sweep_market_fees
from seawall.state.enums import PERP_SETTLE_REV_POOL, RULEBOOK_VELOCITY
from seawall.state.facts import PoolUpdateFacts, SweepFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.revenue_share import ROW_COMPLETED, ROW_IN_USE, ROW_REFERRAL, RevenueShareRow
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

amounts = st.one_of(st.integers(0, 20), st.integers(0, 10**12))
signed = st.one_of(st.integers(-20, 20), st.integers(-(10**12), 10**12))
percentages = st.one_of(st.sampled_from([0, 1, 1_000, 10**6, IF_FLOOR_OFF]), st.integers(0, 10**6))

State = tuple[PerpMarket, SpotMarket]


@st.composite
def states(draw: st.DrawFn, index: int | None = None) -> State:
    """A perp market with any pools, pendings, reservations and floor, and its quote market; ``index``: of deposits."""
    market, spot = PerpMarket(rulebook=RULEBOOK_VELOCITY), SpotMarket(decimals=6, rulebook=RULEBOOK_VELOCITY)
    spot.cumulative_deposit_interest = index or draw(st.integers(10**9, 10**13))
    spot.cumulative_borrow_interest = 10**10
    pools = (market.pnl_pool, market.amm.fee_pool, market.protocol_fee_pool, spot.revenue_pool)
    for pool in pools:
        pool.scaled_balance = draw(amounts) * (1_000 if index else draw(st.sampled_from([1, 999, 1_000])))
    spot.deposit_balance = sum(pool.scaled_balance for pool in pools) + draw(amounts)
    spot.deposit_token_twap = draw(amounts)
    ledger, amm = market.fee_ledger, market.amm
    ledger.pending_protocol_fee, ledger.pending_if_fee = draw(amounts), draw(amounts)
    ledger.pending_amm_provision, ledger.pending_amm_surplus = draw(amounts), draw(amounts)
    ledger.amm_protocol_fees_received = ledger.pending_amm_provision + draw(amounts)
    market.fee_pool_buffer_target, market.pending_revenue_share = draw(amounts), draw(amounts)
    market.bankruptcy_if_floor_pct = draw(percentages)
    market.pending_bankruptcy_claims = draw(st.sampled_from([0, 0, 1, 65_535]))
    market.paused_operations = draw(st.sampled_from([0, 0, 0, PERP_SETTLE_REV_POOL]))
    amm.base_asset_amount_long, amm.base_asset_amount_short = draw(amounts) * 10**4, -draw(amounts) * 10**4
    amm.historical_oracle_data.last_oracle_price_twap = draw(signed)
    amm.total_fee_minus_distributions, amm.quote_asset_amount = draw(signed), draw(signed)
    return market, spot


def owned(market: PerpMarket, spot: SpotMarket) -> list[int]:
    """Tokens of the four pools that a sweep touches."""
    pools = (market.pnl_pool, market.protocol_fee_pool, spot.revenue_pool, market.amm.fee_pool)
    return [get_pool_token_amount(pool, spot) for pool in pools]


def equity(market: PerpMarket, spot: SpotMarket, net_user_pnl: int) -> int:
    """What both pools hold beyond the users' net P&L and what others are owed: what the AMM should be booked with."""
    ledger = market.fee_ledger
    held = get_pool_token_amount(market.pnl_pool, spot) + get_pool_token_amount(market.amm.fee_pool, spot)
    owed = ledger.pending_protocol_fee + ledger.pending_if_fee + market.pending_revenue_share
    return held - net_user_pnl - owed


# --- the floor ---------------------------------------------------------------------------------------------------


@given(states(), percentages, percentages)
def test_a12_standing_floor(state: State, one: int, other: int) -> None:
    """A stored 0 behaves as 1000, only the largest u32 makes the floor 0 by configuration, the floor grows with the
    percentage, never exceeds the open interest's value, and is that value at 100 %."""
    market, _ = state
    amm = market.amm
    price = max(0, amm.historical_oracle_data.last_oracle_price_twap)
    notional = max(amm.base_asset_amount_long, -amm.base_asset_amount_short) * price // 10**9

    def floor(pct: int) -> int:
        market.bankruptcy_if_floor_pct = pct
        return get_bankruptcy_if_floor(market)

    def effective(pct: int) -> int:
        return {0: IF_FLOOR_DEFAULT_PCT, IF_FLOOR_OFF: 0}.get(pct, pct)

    assert floor(0) == floor(1_000)
    assert floor(IF_FLOOR_OFF) == 0
    assert floor(10**6) == notional
    low, high = sorted((one, other), key=effective)
    assert floor(low) <= floor(high) <= notional
    if notional >= 10**6 and one != IF_FLOOR_OFF:
        assert floor(one) > 0


@given(states(), signed, st.booleans())
def test_a15_a_sweep_never_drains_pending_if_fees_below_the_reservation(
    state: State, net_user_pnl: int, tokenize: bool
) -> None:
    """After a sweep insurance's counter stands at the reservation or above (or where it stood, if that was less), and
    the P&L pool still holds what was reserved of it, or is untouched; while a bankruptcy waits the counter stays."""
    market, spot = state
    before = market.fee_ledger.pending_if_fee
    reservation, floor = get_bankruptcy_if_tranche_reservation(market, False), get_pending_if_fee_floor(market, False)
    held = get_pool_token_amount(market.pnl_pool, spot)
    reserved = max(net_user_pnl, 0) + reservation + market.pending_revenue_share
    facts = SweepFacts()
    sweep_market_fees(market, spot, net_user_pnl, 0, False, tokenize, facts)
    after = market.fee_ledger.pending_if_fee
    assert after >= min(before, floor) and after >= reservation
    if market.pending_bankruptcy_claims:
        assert after == before
    # a debit may leave one token less than asked, where the scaled balance does not divide
    assert get_pool_token_amount(market.pnl_pool, spot) >= min(held, reserved) - 3
    assert facts.protocol_swept == 0 or held - facts.protocol_swept >= reserved


# --- the sweep ---------------------------------------------------------------------------------------------------


@given(states(), signed, st.booleans(), st.booleans())
def test_a_sweep_moves_exactly_what_it_takes_off_the_counters(
    state: State, net_user_pnl: int, force: bool, tokenize: bool
) -> None:
    """Each counter falls by what the receipt tells, what the pools lose or gain is that up to a rounding, no token
    appears, the market's deposits change by what the four pools change by, and the AMM's books stay."""
    market, spot = state
    ledger, before, deposits = market.fee_ledger.copy(), owned(market, spot), spot.deposit_balance
    scaled = [market.pnl_pool, market.protocol_fee_pool, spot.revenue_pool, market.amm.fee_pool]
    total, earned = sum(pool.scaled_balance for pool in scaled), market.amm.total_fee_minus_distributions
    facts = SweepFacts()
    sweep_market_fees(market, spot, net_user_pnl, 0, force, tokenize, facts)
    after = market.fee_ledger
    to_amm = facts.amm_provision_tokenized + facts.amm_surplus_tokenized
    assert ledger.pending_protocol_fee - after.pending_protocol_fee == facts.protocol_swept
    assert ledger.pending_if_fee - after.pending_if_fee == facts.if_swept
    assert ledger.pending_amm_provision - after.pending_amm_provision == facts.amm_provision_tokenized
    assert ledger.pending_amm_surplus - after.pending_amm_surplus == facts.amm_surplus_tokenized
    assert after.amm_protocol_fees_received == ledger.amm_protocol_fees_received >= after.pending_amm_provision
    moved = (-(facts.protocol_swept + facts.if_swept + to_amm), facts.protocol_swept, facts.if_swept, to_amm)
    step = spot.cumulative_deposit_interest // 10**13 + 1
    for found, held, amount in zip(owned(market, spot), before, moved, strict=True):
        assert abs(found - held - amount) <= 4 * step
    assert spot.deposit_balance - deposits == sum(pool.scaled_balance for pool in scaled) - total <= 0
    assert market.amm.total_fee_minus_distributions == earned


@given(states(index=10**10), signed, st.booleans())
def test_a_sweep_leaves_the_amms_equity_what_it_is(state: State, net_user_pnl: int, force: bool) -> None:
    """Pools less the users' net P&L less what pends for protocol, insurance and revenue shares: a sweep hands out what
    it takes off, and tokenising moves between the two pools (velocity/amm-and-funding.md §9)."""
    market, spot = state
    before = equity(market, spot, net_user_pnl)
    sweep_market_fees(market, spot, net_user_pnl, 0, force, False, SweepFacts())
    assert equity(market, spot, net_user_pnl) == before


@given(states(), signed, st.booleans())
def test_a_second_sweep_finds_nothing(state: State, net_user_pnl: int, tokenize: bool) -> None:
    """What is left after a sweep is held by the pool, a floor or the buffer: sweeping again moves at most roundings."""
    market, spot = state
    sweep_market_fees(market, spot, net_user_pnl, 0, False, tokenize, SweepFacts())
    again = SweepFacts()
    sweep_market_fees(market, spot, net_user_pnl, 0, False, tokenize, again)
    moved = again.protocol_swept + again.if_swept + again.amm_provision_tokenized + again.amm_surplus_tokenized
    assert moved <= 4 * (spot.cumulative_deposit_interest // 10**13 + 1)


# --- settling ----------------------------------------------------------------------------------------------------


@given(states(index=10**10), signed, signed, signed, st.booleans())
def test_a_settlement_keeps_the_amms_equity_and_never_starves_the_winner(
    state: State, claim: int, user_tokens: int, net_user_pnl: int, draw: bool
) -> None:
    """What is settled has the claim's sign and is at most the claim; a winner gets all that the P&L pool held (and what
    it drew on the revenue pool) before any fee; the users' net P&L falls by it, so that the AMM's equity is unchanged
    but for what the revenue pool gave."""
    market, spot = state
    market.insurance_claim.max_revenue_withdraw_per_period = 10**9
    held = get_pool_token_amount(market.pnl_pool, spot)
    before, facts = equity(market, spot, net_user_pnl), PoolUpdateFacts()
    try:
        pnl = update_pool_balances(market, spot, user_tokens, claim, net_user_pnl, 1, draw, False, facts, SweepFacts())
    except SettlementError:
        return  # the quote market's own invariants do not hold
    assert abs(pnl) <= abs(claim) and pnl * claim >= 0
    if claim > 0:
        assert pnl == min(claim, held + facts.pnl_pool_draw)
    assert equity(market, spot, net_user_pnl - pnl) == before + facts.pnl_pool_draw


@given(states(), signed, amounts, signed)
def test_a_draw_on_the_revenue_pool_stays_within_the_period(state: State, shortfall: int, cap: int, drawn: int) -> None:
    """At most the shortfall, what the pool holds and what the period still allows; counted and stamped."""
    market, spot = state
    claim = market.insurance_claim
    claim.max_revenue_withdraw_per_period, claim.revenue_withdraw_since_last_settle = cap, drawn
    held = get_pool_token_amount(spot.revenue_pool, spot)
    moved = draw_on_revenue_pool(market, spot, market.pnl_pool, shortfall, 9)
    assert moved == max(0, min(shortfall, held, cap - drawn))
    assert claim.revenue_withdraw_since_last_settle == drawn + moved
    assert claim.last_revenue_withdraw_ts == (9 if moved else 0)


# --- revenue shares ----------------------------------------------------------------------------------------------


@given(states(index=10**10), st.lists(amounts, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_a_revenue_share_is_paid_whole_and_never_out_of_the_reserve(
    state: State, rows: list[int], referral: bool, vault: bool
) -> None:
    """A row is paid only where the pool holds all of it beyond what users and insurance are owed, and then to the
    beneficiary to the unit; a vault's is given up only where it could be paid; the counter never falls below 0."""
    market, spot = state
    reserve = revenue_share_reserve(market, 1)
    net_user_pnl = calculate_net_user_cost_basis(market.amm)
    assert reserve == max(0, net_user_pnl) + get_bankruptcy_if_tranche_reservation(market, False)
    payee = User()
    for amount in rows:
        row = RevenueShareRow(fees_accrued=amount, bit_flags=ROW_IN_USE | (ROW_REFERRAL if referral else ROW_COMPLETED))
        held, owed = get_pool_token_amount(market.pnl_pool, spot), market.pending_revenue_share
        credit = payee.spot_positions[0].scaled_balance
        outcome = settle_revenue_share_row(row, market, spot, reserve, vault, payee)
        paid = amount if outcome == ROW_PAID else 0
        assert get_pool_token_amount(market.pnl_pool, spot) == held - paid
        assert payee.spot_positions[0].scaled_balance == credit + paid * 1_000
        if outcome == ROW_UNPAID:
            assert amount > max(0, held - reserve)
            assert (row.fees_accrued, market.pending_revenue_share) == (amount, owed)
        else:
            assert outcome == (ROW_FORFEITED if vault else ROW_PAID)
            assert (row.fees_accrued, market.pending_revenue_share) == (0, max(0, owed - amount))
            assert bool(row.bit_flags) is (referral and not vault)
