"""Settling revenue into a fund that stakers own whole, and the receivable (velocity/insurance.md §6, §7, §9)."""

from typing import NamedTuple

import pytest
from support.insurance import InsuranceVenue

from seawall.engine.queries.insurance import insurance_fund, insurance_stake
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdateInsuranceFundUnstakingPeriod,
    UpdateSpotMarketPausedOperations,
    UpdateSpotMarketRevenueSettlePeriod,
)
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.rules.common.vaults import validate_spot_balances
from seawall.rules.velocity.receivable import (
    book_revenue_receivable,
    consume_revenue_receivable,
    get_insurance_fund_nav,
    get_revenue_receivable,
    pay_out_revenue_receivable,
    pay_pool_from_insurance,
)
from seawall.rules.velocity.revenue import record_insurance_fund_outflow, settle_revenue_to_insurance_fund
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.facts import InterestFacts, RevenueSettleFacts
from seawall.state.spot_market import InsuranceFund, PoolBalance, SpotMarket

SETTLE = SettleRevenueToInsuranceFund(spot_market_index=0)


class Case(NamedTuple):
    """A settlement: what is there, and what moves. Borrows are set as a balance; the vault holds what is left."""

    name: str
    revenue: int
    insurance_vault: int
    snapshot: int
    user_shares: int
    amount: int
    limits: list[str]
    deposits: int = 10**12
    borrows: int = 0
    period: int = 3_600


HALF, TENTH, APR, LOW = (
    "half_of_depositors_claim", "tenth_of_revenue_pool", "max_apr_per_revenue_settle", "if_last_settle_vault_amount",
)  # fmt: skip

CASES = [
    Case("no stakers: everything moves", 20_000, 0, 0, 0, 20_000, []),
    Case("no stakers: no cap on an existing vault", 20_000, 100, 1, 0, 20_000, []),
    Case("stakers: a tenth", 20_000, 10**12, 10**12, 1, 2_000, [TENTH]),
    Case("stakers: a tenth, rounded down", 29, 10**12, 10**12, 1, 2, [TENTH]),
    # ⌊⌊1e6·10⌋/8760⌋ = 1141
    Case("stakers: 1000 % a year of the vault", 20_000, 10**6, 10**12, 1, 1_141, [APR]),
    Case("stakers: 1000 % a year of the snapshot", 20_000, 10**12, 10**6, 1, 1_141, [APR, LOW]),
    Case("stakers: a period above half a year", 200_000, 1_000, 1_000, 1, 10_000, [APR], period=20_000_000),
    Case("the claim is half used", 1_000, 0, 0, 0, 250, [HALF], deposits=4_000, borrows=4_500),
    # a tenth of half the claim; the APR cap is not halved
    Case("the claim, then a tenth", 1_000, 10**12, 10**12, 1, 25, [HALF, TENTH], deposits=4_000, borrows=4_500),
    Case("the first settlement writes the snapshot only", 20_000, 10**6, 0, 1, 0, [APR, LOW]),
]


def venue_of(case: Case) -> InsuranceVenue:
    """A venue in the state of a case; interest stands still (its accrual is paused)."""
    venue = InsuranceVenue(rulebook="velocity")
    venue.ok(UpdateSpotMarketRevenueSettlePeriod(market_index=0, revenue_settle_period=case.period))
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1))
    venue.deposit("@alice", case.deposits)
    venue.revenue(case.revenue)
    venue.set_market(
        borrow_balance=case.borrows * 1_000,
        if_last_settle_vault_amount=case.snapshot,
        insurance_fund__user_shares=case.user_shares,
        insurance_fund__total_shares=case.insurance_vault,
    )
    venue.set_insurance_vault(case.insurance_vault)
    return venue


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_how_much_settles_and_what_bound_it(case: Case) -> None:
    """The forecast says the same as the receipt."""
    venue = venue_of(case)
    upcoming = insurance_fund(*venue.query(), 0).next_settlement
    receipt = venue.ok(SETTLE)
    event = receipt.events[-1][1]
    assert event["amount"] == case.amount
    assert event["user_if_factor"] == event["total_if_factor"] == 120_000
    assert [limit.name for limit in receipt.limits] == case.limits
    assert venue.vaults.insurance_fund_vault == case.insurance_vault + case.amount
    assert venue.market.if_last_settle_vault_amount == case.insurance_vault + case.amount
    assert venue.fund.last_revenue_settle_ts == venue.now
    assert upcoming is not None and (upcoming.amount, upcoming.limits) == (case.amount, receipt.limits)


def test_the_debit_of_the_pool_rounds_up_for_tokens_that_leave() -> None:
    """decimals 0, index 1.111: a pool of 111 tokens, of which the second settlement takes a tenth."""
    market = SpotMarket(
        rulebook=RULEBOOK_VELOCITY, cumulative_deposit_interest=11_110_000_000, deposit_balance=100 * 10**9,
        cumulative_borrow_interest=10**10, revenue_pool=PoolBalance(scaled_balance=100 * 10**9),
        insurance_fund=InsuranceFund(revenue_settle_period=1, total_shares=1, user_shares=1),
    )  # fmt: skip
    moved = []
    for _ in range(2):
        facts = RevenueSettleFacts()
        moved.append(
            settle_revenue_to_insurance_fund(111, 10**12, market, 0, True, False, False, InterestFacts(), facts)
        )
    assert moved == [0, 11]
    assert market.revenue_pool.scaled_balance == 90_099_009_900
    assert validate_spot_balances(market) == 100


def test_without_shares_the_settled_value_becomes_ballast() -> None:
    """No shares are minted where some exist: the price rises for everybody."""
    venue = venue_of(Case("", 20_000, 0, 0, 0, 0, []))
    event = venue.ok(SETTLE).events[-1][1]
    assert (event["total_if_shares_before"], event["total_if_shares_after"]) == (0, 20_000)
    assert (venue.fund.total_shares, venue.fund.user_shares) == (20_000, 0)
    venue.revenue(30_000)
    venue.now += 3_600
    event = venue.ok(SETTLE).events[-1][1]
    assert (event["amount"], event["total_if_shares_after"]) == (30_000, 20_000)


def test_a_settlement_of_nothing_is_refused_once_the_snapshot_is_written() -> None:
    venue = venue_of(Case("", 9, 10**6, 0, 1, 0, []))
    assert venue.ok(SETTLE).events[-1][1]["amount"] == 0
    venue.now += 3_600
    receipt = venue.do(SETTLE)
    assert receipt.refusal is not None
    assert (receipt.refusal.error, receipt.refusal.message) == (
        "NoRevenueToSettleToIF", "9 tokens may settle, and a tenth of them is less than one unit",
    )  # fmt: skip
    upcoming = insurance_fund(*venue.query(), 0).next_settlement
    assert upcoming is not None and upcoming.refusal == "NoRevenueToSettleToIF"


def test_a_dip_stays_visible_although_the_vault_is_refilled() -> None:
    """A staker is paid, a gift refills the vault: the cap is taken of what was left in between."""
    venue = InsuranceVenue(rulebook="velocity")
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1))
    venue.ok(UpdateInsuranceFundUnstakingPeriod(market_index=0, insurance_fund_unstaking_period=0))
    venue.open("@sam")
    venue.add("@sam", 10**6)
    venue.revenue(10**6)
    venue.now += 7_200
    venue.ok(SETTLE)
    assert venue.market.if_last_settle_vault_amount == 10**6
    venue.request("@sam", 900_000)
    venue.remove("@sam")
    venue.gift(10**9)
    assert venue.market.if_last_settle_vault_amount == 100_000
    venue.now += 7_200
    receipt = venue.ok(SETTLE)
    assert receipt.events[-1][1]["amount"] == 114
    (apr, low) = receipt.limits
    assert (apr.value, low.name, low.value) == (114, LOW, 100_000)


@pytest.mark.parametrize(("snapshot", "before", "amount", "after"), [(50, 40, 0, 40), (50, 90, 30, 50), (9, 5, 7, 0)])
def test_an_outflow_only_lowers_the_snapshot(snapshot: int, before: int, amount: int, after: int) -> None:
    market = SpotMarket(if_last_settle_vault_amount=snapshot)
    record_insurance_fund_outflow(market, before, amount)
    assert market.if_last_settle_vault_amount == after


def test_refusals_in_order() -> None:
    venue = venue_of(Case("", 20_000, 0, 0, 0, 0, []))
    venue.set_market(insurance_fund__revenue_settle_period=0)
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1 + 8))
    venue.ok(UpdateExchangeStatus(exchange_status=2))
    assert venue.refused(SETTLE) == "ExchangePaused"
    venue.ok(UpdateExchangeStatus(exchange_status=0))
    assert venue.refused(SETTLE) == "MarketWithdrawPaused"
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1))
    assert venue.refused(SETTLE) == "RevenueSettingsCannotSettleToIF"
    venue.ok(UpdateSpotMarketRevenueSettlePeriod(market_index=0, revenue_settle_period=3_600))
    venue.ok(SETTLE)
    assert venue.refused(SETTLE) == "RevenueSettingsCannotSettleToIF"


@pytest.mark.parametrize(
    ("exchange", "operations", "error"), [(2, 1, "ExchangePaused"), (0, 9, "MarketWithdrawPaused")]
)
def test_the_forecast_knows_the_pauses(exchange: int, operations: int, error: str) -> None:
    venue = venue_of(CASES[2])
    venue.ok(UpdateExchangeStatus(exchange_status=exchange))
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=operations))
    upcoming = insurance_fund(*venue.query(), 0).next_settlement
    assert upcoming is not None and upcoming.refusal == error == venue.refused(SETTLE)


def test_interest_reaches_the_pool_before_it_settles_unless_funding_is_paused() -> None:
    """Lending earns the fund its factor of the interest; a pause of funding stops the accrual."""
    settled = []
    for status in (0, 32):
        venue = InsuranceVenue(rulebook="velocity")
        venue.deposit("@alice", 10**12)
        venue.revenue(10**6)
        venue.set_market(borrow_balance=5 * 10**14)
        venue.now += 86_400
        venue.ok(UpdateExchangeStatus(exchange_status=status))
        settled.append(venue.ok(SETTLE).events[-1][1]["amount"])
    assert settled[0] > settled[1] == 10**6


# --- the receivable --------------------------------------------------------------------------------------------


def receivable_venue() -> InsuranceVenue:
    """sam holds 1,000,000 shares at a price of one; interest stands still, no cooldown."""
    venue = InsuranceVenue(rulebook="velocity", receivable=True)
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1))
    venue.ok(UpdateInsuranceFundUnstakingPeriod(market_index=0, insurance_fund_unstaking_period=0))
    for name in ("@sam", "@sue"):
        venue.open(name)
    venue.add("@sam", 10**6)
    venue.deposit("@alice", 10**9)
    return venue


def test_with_a_receivable_the_crank_books_and_pays_in_one_call() -> None:
    venue = receivable_venue()
    venue.set_market(if_last_settle_vault_amount=10**6)
    venue.revenue(5_000)
    venue.now += 7_200
    receipt = venue.ok(SETTLE)
    assert receipt.events[-1][1]["amount"] == 500
    assert (venue.vaults.insurance_fund_vault, venue.market.insurance_fund_revenue_receivable_scaled) == (1_000_500, 0)


def test_under_a_withdraw_pause_revenue_is_booked_prices_stakes_and_is_paid_later() -> None:
    """A request passes, priced with what the fund is owed; the next settlement in front of a stake pays it out."""
    venue = receivable_venue()
    venue.set_market(if_last_settle_vault_amount=10**9)
    venue.gift(10**6)
    venue.revenue(10_000)
    venue.now += 7_200
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1 + 8))
    receipt = venue.request("@sam", 10_010)
    assert [name for name, _ in receipt.events] == ["InsuranceFundRecord", "InsuranceFundStakeRecord"]
    assert receipt.events[0][1]["amount"] == 1_000
    assert (venue.vaults.insurance_fund_vault, get_revenue_receivable(venue.market)) == (2_000_000, 1_000)
    view = insurance_fund(*venue.query(), 0)
    assert (view.fund_value, view.revenue_receivable, view.share_price) == (2_001_000, 1_000, 2_001_000)
    stake = insurance_stake(*venue.query(), "@sam", 0)
    assert stake.value == 2_001_000
    legs = {leg.account: leg.amount for leg in receipt.transfers}
    # the scaled delta is rounded up, so that the pool's floor falls by one more
    assert (legs["spot_market.0.revenue_receivable"], legs["spot_market.0.revenue_pool"]) == (1_000, -1_001)
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1))
    assert venue.add("@sue", 5_000).ok
    assert get_revenue_receivable(venue.market) == 0


def test_a_payout_beyond_the_vaults_cash_is_refused_and_never_paid_in_part() -> None:
    """All but a unit of the fund is asked for while a part of it is owed; once that is paid, so is the request."""
    venue = receivable_venue()
    venue.ok(UpdateInsuranceFundUnstakingPeriod(market_index=0, insurance_fund_unstaking_period=100))
    venue.set_market(if_last_settle_vault_amount=10**9)
    venue.revenue(10_000)
    venue.now += 7_200
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1 + 8))
    assert venue.request("@sam", 1_001_000).events[-1][1]["amount"] == 1_000_999
    venue.now += 100
    receipt = venue.remove("@sam")
    assert receipt.refusal is not None
    assert (receipt.refusal.error, receipt.refusal.message) == (
        "InvalidIFUnstakeSize", "the payout is 1000999, the insurance fund's vault holds 1000000",
    )  # fmt: skip
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1))
    assert venue.remove("@sam").events[-1][1]["amount"] == 1_000_999


def owed(scaled: int, index: int = 10**10) -> SpotMarket:
    """A market of 6 decimals that owes its fund a scaled amount, among other deposits."""
    return SpotMarket(
        rulebook=RULEBOOK_VELOCITY, decimals=6, cumulative_deposit_interest=index, cumulative_borrow_interest=10**10,
        deposit_balance=10**15, insurance_fund_revenue_receivable_scaled=scaled,
    )  # fmt: skip


def test_booking_all_of_a_pool_takes_its_dust_and_a_part_rounds_up() -> None:
    market = owed(0, index=11_110_000_000)
    market.revenue_pool.scaled_balance = 10_999
    assert book_revenue_receivable(5, market) == 5
    assert (market.insurance_fund_revenue_receivable_scaled, market.revenue_pool.scaled_balance) == (4_501, 6_498)
    assert book_revenue_receivable(7, market) == 7
    assert (market.revenue_pool.scaled_balance, market.deposit_balance) == (0, 10**15)
    assert get_insurance_fund_nav(market, 100) == 112


def test_paying_out_leaves_the_dust_to_the_market() -> None:
    market = owed(1_999)
    assert pay_out_revenue_receivable(market) == 1
    assert (market.insurance_fund_revenue_receivable_scaled, market.deposit_balance) == (0, 10**15 - 1_999)


@pytest.mark.parametrize(("most", "given", "left"), [(1, 1, 1_999), (2, 2, 0), (9, 2, 0), (0, 0, 2_999)])
def test_lenders_consume_a_receivable_up_to_what_they_need(most: int, given: int, left: int) -> None:
    market = owed(2_999)
    assert consume_revenue_receivable(most, market) == given
    assert market.insurance_fund_revenue_receivable_scaled == left
    assert market.deposit_balance == 10**15 - (2_999 - left)


def test_a_pool_is_paid_from_the_receivable_first_in_one_credit() -> None:
    market, pool = owed(2_999), PoolBalance()
    assert pay_pool_from_insurance(5, market, pool) == 3
    assert (pool.scaled_balance, market.insurance_fund_revenue_receivable_scaled) == (5_000, 998)
    assert market.deposit_balance == 10**15 + 5_000 - 2_001
    assert pay_pool_from_insurance(0, market, pool) == 0


def test_an_open_receivable_is_reserved_from_what_may_settle() -> None:
    """1000 deposited, 900 lent, 60 owed: of the pool of 100 half of the remaining 40 may be booked."""
    market = owed(60 * 10**9)
    market.deposit_balance, market.borrow_balance = 1_000 * 10**9, 900 * 10**9
    market.revenue_pool.scaled_balance = 100 * 10**9
    market.insurance_fund.revenue_settle_period = 3_600
    facts = RevenueSettleFacts()
    # booked and paid: the 60 that were owed with it
    amount = settle_revenue_to_insurance_fund(
        100 * 10**6, 0, market, 0, True, False, True, InterestFacts(), facts
    )  # fmt: skip
    assert (facts.amount, amount) == (20 * 10**6, 80 * 10**6)


def test_a_value_beyond_64_bits_is_an_error() -> None:
    with pytest.raises(SettlementError) as error:
        get_insurance_fund_nav(owed(10**12), 2**64 - 1)
    assert error.value.code == ErrorCode.MathError
