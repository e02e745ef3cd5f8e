"""The waterfall of a P&L settlement, step by step. Rules of pools-and-pnl.md §3."""

import pytest

from seawall.errors import SettlementError
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.pools import reset_revenue_withdraw_for_new_period, update_pnl_pool_and_user_balance
from seawall.rules.drift.pools import (
    calculate_revenue_pool_transfer,
    exchange_with_revenue_pool,
    recalculate_amm_summary_stats,
    update_pool_balances,
)
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.facts import PoolUpdateFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import PoolBalance, SpotMarket
from seawall.state.user import User

SCALE = 1_000
"""Scaled units of a token with 6 decimals at an index of 1."""
H = 250_000_000


def make_pools(fee: int = 0, pnl: int = 0, revenue: int = 0, others: int = 10**12) -> tuple[PerpMarket, SpotMarket]:
    """A perp and the quote market with pools of so many tokens, and deposits of other users."""
    market, spot = PerpMarket(), SpotMarket(decimals=6)
    spot.cumulative_deposit_interest = spot.cumulative_borrow_interest = 10**10
    market.amm.fee_pool.scaled_balance = fee * SCALE
    market.pnl_pool.scaled_balance = pnl * SCALE
    spot.revenue_pool.scaled_balance = revenue * SCALE
    spot.deposit_balance = (fee + pnl + revenue + others) * SCALE
    spot.deposit_token_twap = fee + pnl + revenue + others
    return market, spot


def held(market: PerpMarket, spot: SpotMarket) -> tuple[int, int, int]:
    """Tokens of fee pool, P&L pool and revenue pool."""
    pools = (market.amm.fee_pool, market.pnl_pool, spot.revenue_pool)
    fee, pnl, revenue = (get_token_amount(p.scaled_balance, spot, DEPOSIT) for p in pools)
    return fee, pnl, revenue


# fee pool, P&L pool, earned, exchange fees, liquidation fees, withdrawn; claim → settled, fee pool, P&L pool after
WATERFALL = {
    "a winner is paid from the P&L pool only": ((9, 50, 100, 0, 0, 0), 30, (30, 9, 20)),
    "a winner gets at most the P&L pool": ((9, 50, 100, 0, 0, 0), 80, (50, 9, 0)),
    "nothing is claimed": ((9, 50, 100, 0, 0, 0), 0, (0, 9, 50)),
    "a fee pool above its target spills over first": ((60, 0, 20, 0, 0, 0), 80, (40, 20, 0)),
    "the target counts liquidation fees and what was withdrawn": ((60, 0, 20, 0, 15, 5), 80, (30, 30, 0)),
    "a negative target spills everything": ((60, 0, -20, 0, 0, 0), 80, (60, 0, 0)),
    "a fee pool below its reserved fees is refilled first": ((10, 50, 100, 60, 0, 0), 80, (30, 30, 0)),
    "the refill takes no more than there is": ((10, 15, 100, 60, 0, 0), 80, (0, 25, 0)),
    "it spills and is refilled in one call": ((10, 15, -5, 8, 0, 0), 80, (21, 4, 0)),
    "a loss is split 99 to 1": ((0, 0, 1000, 0, 0, 0), -250, (-250, 2, 248)),
    "a loss below 100 units leaves the fee pool nothing": ((0, 0, 1000, 0, 0, 0), -99, (-99, 0, 99)),
    "a fee pool at its target gets nothing of a loss": ((100, 0, 100, 0, 0, 0), -250, (-250, 100, 250)),
    "the share may lift the fee pool above its target": ((0, 0, 1, 0, 0, 0), -1000, (-1000, 10, 990)),
}


@pytest.mark.parametrize("case", WATERFALL, ids=list(WATERFALL))
def test_waterfall(case: str) -> None:
    (fee, pnl, earned, exchange_fees, liquidation_fees, withdrawn), claim, expected = WATERFALL[case]
    market, spot = make_pools(fee, pnl)
    amm = market.amm
    amm.total_fee_minus_distributions, amm.total_exchange_fee = earned, exchange_fees
    amm.total_liquidation_fee, amm.total_fee_withdrawn = liquidation_fees, withdrawn
    before = spot.deposit_balance

    settled = update_pool_balances(market, spot, 10**9, claim, 0, PoolUpdateFacts())

    fee_after, pnl_after, _ = held(market, spot)
    assert (settled, fee_after, pnl_after) == expected
    assert spot.deposit_balance - before == -settled * SCALE


def test_facts_tell_every_movement() -> None:
    market, spot = make_pools(10, 15)
    market.amm.total_fee_minus_distributions, market.amm.total_exchange_fee = -5, 8
    facts = PoolUpdateFacts()
    update_pool_balances(market, spot, 0, 80, 0, facts)
    assert facts == PoolUpdateFacts(
        fee_pool_before=10, pnl_pool_before=15, fee_pool_surplus=10, fee_pool_refill=4, pnl_pool_available=21
    )


def test_a_loss_is_cut_to_deposit_and_room_to_borrow() -> None:
    market, spot = make_pools(others=600)
    spot.borrow_balance = 80 * SCALE
    spot.borrow_token_twap = 80
    facts = PoolUpdateFacts()
    # borrows may reach max(600/6, 80 + 600/10) = 140
    assert update_pool_balances(market, spot, 30, -500, 0, facts) == -90
    assert facts.user_withdrawable == 90


def test_more_withdrawn_than_reserved_is_a_math_error() -> None:
    market, spot = make_pools(100, 100)
    market.amm.total_fee_withdrawn = 1
    with pytest.raises(SettlementError, match="MathError"):
        update_pool_balances(market, spot, 0, 1, 0, PoolUpdateFacts())


# earned, withdrawn, exchange fees, liquidation fees, insurance settled + allowed, social loss, w, cap, net revenue;
# fee pool, revenue pool → transfer
TRANSFERS = {
    "nothing at the threshold": ((H, 0, 900, 0, 0, 0, 0, 900, 900), (H + 900, 0), 0),
    "all caps leave room: half of the exchange fees": ((H + 1, 0, 900, 0, 0, 0, 0, 900, 900), (H + 900, 0), 450),
    "what the fee pool holds above the threshold": ((H + 1, 0, 900, 0, 0, 0, 0, 900, 900), (H + 20, 0), 20),
    "and above social losses": ((H + 1, 0, 900, 0, 0, 12, 0, 900, 900), (H + 20, 0), 8),
    "the period's cap": ((H + 1, 0, 900, 0, 0, 0, 0, 70, 900), (H + 900, 0), 70),
    "sent money lowers it": ((H + 1, 0, 900, 0, 0, 0, -60, 70, 900), (H + 900, 0), 10),
    "drawn money raises it": ((H + 1, 0, 900, 0, 0, 0, 60, 70, 900), (H + 900, 0), 130),
    "the revenue since the last funding": ((H + 1, 0, 900, 0, 0, 0, 0, 900, 5), (H + 900, 0), 5),
    "not after a loss": ((H + 1, 0, 900, 0, 0, 0, 0, 900, -5), (H + 900, 0), 0),
    "what was withdrawn already": ((H + 409, 400, 800, 0, 0, 0, 0, 900, 900), (H + 900, 0), 0),
    "liquidation fees count up to the insurance": ((H + 500, 400, 1000, 90, 50, 0, 0, 900, 900), (H + 900, 0), 150),
    "drawn below the threshold, up to the gap": ((H - 40, 0, 0, 0, 0, 0, 0, 900, 0), (0, 900), -40),
    "up to the revenue pool": ((H - 40, 0, 0, 0, 0, 0, 0, 900, 0), (0, 30), -30),
    "up to the period's cap": ((H - 40, 0, 0, 0, 0, 0, 25, 35, 0), (0, 900), -10),
    "sent money does not raise it beyond the cap": ((H - 40, 0, 0, 0, 0, 0, -25, 35, 0), (0, 900), -35),
    "without a cap nothing moves": ((H - 40, 0, 0, 0, 0, 0, 0, 0, 0), (0, 900), 0),
}


@pytest.mark.parametrize("case", TRANSFERS, ids=list(TRANSFERS))
def test_revenue_pool_transfer(case: str) -> None:
    figures, (fee_pool, revenue_pool), transfer = TRANSFERS[case]
    market = PerpMarket()
    amm, claim = market.amm, market.insurance_claim
    amm.total_fee_minus_distributions, amm.total_fee_withdrawn, amm.total_exchange_fee = figures[:3]
    amm.total_liquidation_fee, claim.quote_max_insurance, amm.total_social_loss = figures[3:6]
    claim.revenue_withdraw_since_last_settle, claim.max_revenue_withdraw_per_period = figures[6:8]
    amm.net_revenue_since_last_funding = figures[8]
    assert calculate_revenue_pool_transfer(market, fee_pool, revenue_pool) == transfer


def test_more_drawn_than_the_cap_is_a_casting_failure() -> None:
    market = PerpMarket()
    market.insurance_claim.revenue_withdraw_since_last_settle = 11
    market.insurance_claim.max_revenue_withdraw_per_period = 10
    with pytest.raises(SettlementError, match="CastingFailure"):
        calculate_revenue_pool_transfer(market, 0, 100)


def test_sending_counts_as_withdrawn_and_drawing_does_not() -> None:
    market, spot = make_pools(fee=H + 900)
    amm, claim = market.amm, market.insurance_claim
    amm.total_fee_minus_distributions, amm.total_exchange_fee = H + 1, 900
    amm.net_revenue_since_last_funding, claim.max_revenue_withdraw_per_period = 100, 100
    exchange_with_revenue_pool(market, spot, 77, PoolUpdateFacts())
    assert held(market, spot) == (H + 800, 0, 100)
    assert (amm.total_fee_minus_distributions, amm.total_fee_withdrawn) == (H - 99, 100)
    assert (claim.revenue_withdraw_since_last_settle, claim.last_revenue_withdraw_ts) == (-100, 77)

    exchange_with_revenue_pool(market, spot, 78, PoolUpdateFacts())
    assert held(market, spot) == (H + 900, 0, 0)
    assert (amm.total_fee_minus_distributions, amm.total_fee_withdrawn) == (H + 1, 100)
    assert (claim.revenue_withdraw_since_last_settle, claim.last_revenue_withdraw_ts) == (0, 78)


def test_a_period_opens_with_a_later_revenue_settlement_only() -> None:
    market, spot = make_pools()
    claim = market.insurance_claim
    claim.revenue_withdraw_since_last_settle, claim.last_revenue_withdraw_ts = 5, 100
    spot.insurance_fund.last_revenue_settle_ts = 100
    reset_revenue_withdraw_for_new_period(market, spot, 10_000)
    assert claim.revenue_withdraw_since_last_settle == 5
    spot.insurance_fund.last_revenue_settle_ts = 101
    with pytest.raises(SettlementError, match="BlockchainClockInconsistency"):
        reset_revenue_withdraw_for_new_period(market, spot, 100)
    reset_revenue_withdraw_for_new_period(market, spot, 101)
    assert (claim.revenue_withdraw_since_last_settle, claim.last_revenue_withdraw_ts) == (0, 100)


@pytest.mark.parametrize(
    ("deposit", "claim", "pool", "balance"),
    [
        (0, 30, 20, (DEPOSIT, 30_000)),
        (40, -30, 80, (DEPOSIT, 10_000)),
        (10, -30, 80, (BORROW, 20_001)),  # a new borrow is rounded up
        (10, 0, 50, (DEPOSIT, 10_000)),
    ],
)
def test_an_expired_claim_is_settled_in_full(deposit: int, claim: int, pool: int, balance: tuple[int, int]) -> None:
    market, spot = make_pools(pnl=50)
    user = User()
    user.spot_positions[0].scaled_balance = deposit * SCALE
    spot.deposit_balance += deposit * SCALE
    assert update_pnl_pool_and_user_balance(market, spot, user, claim) == claim
    position = user.spot_positions[0]
    assert held(market, spot)[1] == pool
    assert (position.balance_type, position.scaled_balance) == balance


def test_an_expired_claim_beyond_the_pool_is_refused() -> None:
    market, spot = make_pools(pnl=50)
    with pytest.raises(SettlementError, match="InsufficientPerpPnlPool"):
        update_pnl_pool_and_user_balance(market, spot, User(), 51)


def test_summary_stats_are_what_the_pools_hold_beyond_the_users() -> None:
    market, spot = make_pools(fee=30, pnl=50)
    amm = market.amm
    amm.base_asset_amount_with_amm, amm.quote_asset_amount = 2_000_000_000, -150
    amm.total_fee_minus_distributions, amm.total_fee, amm.total_mm_fee = 10, 20, 30
    # users: 2·100 − 150 = 50
    assert recalculate_amm_summary_stats(market, spot, 100) == 20
    assert (amm.total_fee_minus_distributions, amm.total_fee, amm.total_mm_fee) == (30, 40, 50)
    with pytest.raises(SettlementError, match="InvalidOracle"):
        recalculate_amm_summary_stats(market, spot, 0)


def test_a_pool_of_another_token_cannot_feed_the_revenue_pool() -> None:
    market, spot = make_pools(fee=H + 900)
    market.amm.fee_pool = PoolBalance(scaled_balance=(H + 900) * SCALE, market_index=1)
    market.amm.total_fee_minus_distributions, market.amm.total_exchange_fee = H + 1, 900
    market.amm.net_revenue_since_last_funding = market.insurance_claim.max_revenue_withdraw_per_period = 100
    with pytest.raises(SettlementError, match="UnequalMarketIndexForSpotTransfer"):
        exchange_with_revenue_pool(market, spot, 0, PoolUpdateFacts())
