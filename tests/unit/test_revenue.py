"""Settling revenue into the insurance fund (insurance.md §6)."""

from typing import NamedTuple

import pytest
from support.insurance import START, InsuranceVenue

from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdateSpotMarketIfFactor,
    UpdateSpotMarketPausedOperations,
    UpdateSpotMarketRevenueSettlePeriod,
)
from seawall.instructions.markets import InitializeSpotMarket
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.instructions.venue_setup import AddOracle

SETTLE = SettleRevenueToInsuranceFund(spot_market_index=0)


class Case(NamedTuple):
    """A settlement: what is there, and what moves. Borrows are set as a balance; the vault holds what is left."""

    name: str
    revenue: int
    insurance_vault: int
    user_shares: int
    amount: int
    limits: list[str]
    deposits: int = 10**12
    borrows: int = 0
    period: int = 3_600


CASES = [
    Case("no stakers: everything moves", 20_000, 0, 0, 20_000, []),
    Case("no stakers, no APR cap on an existing vault", 20_000, 100, 0, 20_000, []),
    Case("stakers: a tenth", 20_000, 10**12, 1, 2_000, ["tenth_of_revenue_pool"]),
    Case("stakers: a tenth, rounded down", 29, 10**12, 1, 2, ["tenth_of_revenue_pool"]),
    # ⌊⌊1e6·10⌋/8760⌋ = 1141
    Case("stakers: 1000 % a year", 20_000, 10**6, 1, 1_141, ["max_apr_per_revenue_settle"]),
    Case("stakers: a day's period", 200_000, 10**5, 1, 2_739, ["max_apr_per_revenue_settle"], period=86_400),
    # 31,536,000 // 20,000,000 = 1: the cap of a whole year
    Case("stakers: a period above half a year", 200_000, 1_000, 1, 10_000, ["max_apr_per_revenue_settle"],
         period=20_000_000),
    Case("the claim is half used", 1_000, 0, 0, 250, ["half_of_depositors_claim"], deposits=4_000, borrows=4_500),
    Case("the claim, then a tenth", 1_000, 10**12, 1, 25, ["half_of_depositors_claim", "tenth_of_revenue_pool"],
         deposits=4_000, borrows=4_500),
]  # fmt: skip


def venue_of(case: Case) -> InsuranceVenue:
    """A venue in the state of a case; interest stands still (its accrual is paused)."""
    venue = InsuranceVenue()
    venue.ok(UpdateSpotMarketRevenueSettlePeriod(market_index=0, revenue_settle_period=case.period))
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1))
    venue.deposit("@alice", case.deposits)
    venue.revenue(case.revenue)
    venue.set_market(
        borrow_balance=case.borrows * 1_000,
        insurance_fund__user_shares=case.user_shares,
        insurance_fund__total_shares=case.insurance_vault,
    )
    venue.set_insurance_vault(case.insurance_vault)
    return venue


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_how_much_settles_and_what_bound_it(case: Case) -> None:
    venue = venue_of(case)
    pool = venue.market.revenue_pool.scaled_balance
    receipt = venue.ok(SETTLE)
    assert receipt.events[-1][1]["amount"] == case.amount
    assert [limit.name for limit in receipt.limits] == case.limits
    assert venue.vaults.insurance_fund_vault == case.insurance_vault + case.amount
    assert venue.market.revenue_pool.scaled_balance == pool - case.amount * 1_000
    assert venue.fund.last_revenue_settle_ts == venue.now


def test_the_caps_tell_their_values() -> None:
    receipt = venue_of(CASES[4]).ok(SETTLE)
    (limit,) = receipt.limits
    assert (limit.value, limit.asked) == (1_141, 20_000)


@pytest.mark.parametrize(
    ("revenue", "vault", "users", "borrows", "message"),
    [
        (0, 0, 0, 0, "the revenue pool of spot market 0 is empty"),
        (9, 10**12, 1, 0, "9 tokens may settle, and a tenth of them is less than one unit"),
        (9_000, 800, 1, 0, "900 tokens could settle, but the APR cap on a vault of 800 is 0"),
        (
            900, 0, 0, 10_900,
            "the revenue pool holds 900, but deposits net of borrows are 0; half of them is 0",
        ),
    ],
)  # fmt: skip
def test_a_settlement_of_nothing_says_why(revenue: int, vault: int, users: int, borrows: int, message: str) -> None:
    venue = InsuranceVenue()
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1))
    venue.deposit("@alice", 10_000)
    if revenue:
        venue.revenue(revenue)
    venue.set_market(
        borrow_balance=borrows * 1_000, insurance_fund__user_shares=users, insurance_fund__total_shares=vault
    )
    venue.set_insurance_vault(vault)
    refusal = venue.do(SETTLE).refusal
    assert refusal is not None and (refusal.error, refusal.message) == ("NoRevenueToSettleToIF", message)
    assert refusal.would_pass


def test_refusals_in_order_and_the_time_to_wait() -> None:
    venue = InsuranceVenue()
    venue.ok(AddOracle(name="SOL", price=100_000_000))
    venue.ok(
        InitializeSpotMarket(
            name="SOL", oracle="SOL", decimals=9, optimal_utilization=1, optimal_borrow_rate=1, max_borrow_rate=1,
            initial_asset_weight=1, maintenance_asset_weight=1, initial_liability_weight=10_001,
            maintenance_liability_weight=10_001,
        )
    )  # fmt: skip
    off = SettleRevenueToInsuranceFund(spot_market_index=1)
    venue.ok(UpdateExchangeStatus(exchange_status=2))
    assert venue.refused(off) == "ExchangePaused"
    venue.ok(UpdateExchangeStatus(exchange_status=0))
    refusal = venue.do(off).refusal
    assert refusal is not None and refusal.error == "RevenueSettingsCannotSettleToIF"
    assert "update_spot_market_revenue_settle_period" in refusal.would_pass
    assert venue.refused(SettleRevenueToInsuranceFund(spot_market_index=2)) == "SpotMarketNotFound"
    venue.revenue(1_000)
    venue.ok(SETTLE)
    venue.revenue(1_000)
    settled = venue.now
    venue.now += 10
    receipt = venue.do(SETTLE)
    # 800 s past the hour is within its first third: the next hour counts
    due = START // 3_600 * 3_600 + 3_600
    assert settled % 3_600 == 800
    assert receipt.refusal is not None
    assert receipt.refusal.message == f"revenue of spot market 0 is not due for another {due - venue.now} seconds"
    assert receipt.refusal.would_pass == f"the same from time {due} on"
    venue.now = due - 1
    assert venue.refused(SETTLE) == "RevenueSettingsCannotSettleToIF"
    venue.now = due
    assert venue.do(SETTLE).ok


def test_a_late_settlement_pushes_the_next_one_to_the_hour_after_next() -> None:
    venue = InsuranceVenue()
    hour = START // 3_600 * 3_600
    venue.now = hour + 1_201  # a third of the period is 1200 s
    venue.revenue(1_000)
    venue.ok(SETTLE)
    venue.revenue(1_000)
    venue.now = hour + 7_199
    assert venue.refused(SETTLE) == "RevenueSettingsCannotSettleToIF"
    venue.now = hour + 7_200
    assert venue.do(SETTLE).ok


def test_the_protocols_factor_is_minted_and_both_totals_are_told_after_it() -> None:
    """total 12 %, user 3 %: three quarters of the revenue become protocol shares, a quarter raises the price."""
    venue = InsuranceVenue()
    venue.open("@sam")
    venue.add("@sam", 100_000)
    venue.ok(UpdateSpotMarketIfFactor(spot_market_index=0, user_if_factor=30_000, total_if_factor=120_000))
    venue.revenue(800)
    venue.now += 7_200
    event = venue.ok(SETTLE).events[0][1]
    assert event["amount"] == 80
    assert event["total_if_shares_before"] == event["total_if_shares_after"] == 100_060
    assert (venue.fund.total_shares, venue.fund.user_shares) == (100_060, 100_000)
    assert venue.vaults.insurance_fund_vault == 100_080


def test_a_factor_misconfigured_by_hand_is_refused() -> None:
    venue = InsuranceVenue()
    venue.revenue(100)
    venue.set_market(insurance_fund__user_factor=2, insurance_fund__total_factor=1)
    assert venue.refused(SETTLE) == "RevenueSettingsCannotSettleToIF"


def test_shares_over_an_empty_vault_cannot_be_minted_upon() -> None:
    venue = InsuranceVenue()
    venue.revenue(100)
    venue.set_market(insurance_fund__total_shares=5)
    assert venue.refused(SETTLE) == "InvalidIFSharesDetected"


def test_adding_settles_revenue_first_and_a_settlement_of_nothing_uses_the_period_up() -> None:
    venue = InsuranceVenue()
    venue.open("@sam")
    venue.revenue(1_000)
    receipt = venue.add("@sam", 500)
    assert [name for name, _ in receipt.events] == ["InsuranceFundRecord", "InsuranceFundStakeRecord"]
    # half of the 1000 tokens were minted as protocol shares, so that sam, who comes after, pays 2 a share
    assert (venue.fund.total_shares, venue.fund.user_shares) == (750, 250)
    venue.now += 7_200
    receipt = venue.add("@sam", 500)
    assert receipt.events[0][1]["amount"] == 0
    assert venue.fund.last_revenue_settle_ts == venue.now
    venue.revenue(1_000)
    assert venue.refused(SETTLE) == "RevenueSettingsCannotSettleToIF"


def test_a_pause_of_withdrawals_does_not_stop_the_settlement_inside_add() -> None:
    venue = InsuranceVenue()
    venue.open("@sam")
    venue.revenue(1_000)
    venue.ok(UpdateExchangeStatus(exchange_status=127))
    assert venue.refused(SETTLE) == "ExchangePaused"
    assert venue.add("@sam", 500).events[0][1]["amount"] == 1_000
