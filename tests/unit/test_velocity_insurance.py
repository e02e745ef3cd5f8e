"""Staking into, and leaving, a fund that stakers own whole (velocity/insurance.md §3-§5)."""

from typing import NamedTuple

import pytest
from support.insurance import ADMIN, InsuranceVenue

from seawall.engine.receipts import Receipt
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdateInsuranceFundUnstakingPeriod,
    UpdateSpotMarketIfPausedOperations,
    UpdateSpotMarketPausedOperations,
    UpdateSpotMarketStatus,
)
from seawall.instructions.base import Instruction
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    AdminRemoveInsuranceFundStake,
    DepositIntoInsuranceFund,
    DepositIntoInsuranceFundStake,
    InitializeInsuranceFundStake,
    InitializeProtocolIfSharesTransferConfig,
    RequestRemoveInsuranceFundStake,
    TransferProtocolIfShares,
    UpdateProtocolIfSharesTransferConfig,
    UpdateUserQuoteAssetInsuranceStake,
)
from seawall.instructions.venue_setup import InitializeUser
from seawall.keys import key_from_text
from seawall.rules.velocity.insurance import calculate_if_shares_lost, deposit_amount_and_shares_for_if_stake

PERIOD = 1_123_200
"""The default cooldown of 13 days."""

SAM = key_from_text("@sam")

WITHDRAW_PAUSED = 2
MARKET_WITHDRAW_PAUSED = 8


def venue_with(*names: str, receivable: bool = False) -> InsuranceVenue:
    """A velocity venue with an empty stake for each name; interest stands still."""
    venue = InsuranceVenue(rulebook="velocity", receivable=receivable)
    venue.ok(UpdateSpotMarketPausedOperations(market_index=0, paused_operations=1))
    for name in names:
        venue.open(name)
    return venue


@pytest.fixture
def venue() -> InsuranceVenue:
    return venue_with("@sam", "@sue")


def staked(venue: InsuranceVenue, name: str) -> int:
    """What the statistics say an authority has staked."""
    table = venue.machine.store.user_stats
    return table.read(table.index[key_from_text(name)]).if_staked_quote_asset_amount


def refusal(receipt: Receipt) -> tuple[str, str, str]:
    """Error, message and what would pass."""
    assert receipt.refusal is not None
    return receipt.refusal.error, receipt.refusal.message, receipt.refusal.would_pass


# --- pricing ---------------------------------------------------------------------------------------------------


class Price(NamedTuple):
    """What an amount buys of a fund."""

    name: str
    amount: int
    shares: int
    value: int
    charge: int
    bought: int


PRICES = [
    Price("an empty fund sells one to one", 7, 0, 0, 7, 7),
    Price("whole shares, paid in full", 1_500_000, 1, 1_000_000, 1_000_000, 1),
    Price("cheaper shares cost what they cost, rounded up", 1, 1_000_003_849_400, 100_000_384_940, 1, 10),
    Price("too little for one", 999_999, 2, 2_000_000, 0, 0),
    Price("exactly one", 1_000_000, 2, 2_000_000, 1_000_000, 1),
    Price("a price that does not divide", 10, 3, 10, 10, 3),
    Price("nothing", 0, 3, 10, 0, 0),
]


@pytest.mark.parametrize("case", PRICES, ids=[case.name for case in PRICES])
def test_exact_pricing(case: Price) -> None:
    found = deposit_amount_and_shares_for_if_stake(case.amount, case.shares, case.value)
    assert found == (case.charge, case.bought)


def test_shares_of_an_empty_vault_have_no_price() -> None:
    with pytest.raises(SettlementError) as error:
        deposit_amount_and_shares_for_if_stake(1, 1, 0)
    assert error.value.code == ErrorCode.InvalidIFSharesDetected


@pytest.mark.parametrize(
    ("requested", "value", "shares", "vault", "lost"),
    [
        (100, 100, 100, 150, 0),  # a sole holder loses nothing
        (101, 100, 100, 150, 0),  # nor does a request beyond the fund
        (50, 50, 100, 100, 0),  # the price did not move
        (50, 50, 100, 200, 34),  # it doubled: 50 tokens buy ⌊50·50/150⌋ back
    ],
)
def test_what_cancelling_costs(requested: int, value: int, shares: int, vault: int, lost: int) -> None:
    assert calculate_if_shares_lost(requested, value, shares, vault) == lost


# --- the life of a stake ---------------------------------------------------------------------------------------


def test_a_stake_from_first_token_to_payout(venue: InsuranceVenue) -> None:
    """
    sam 1000, sue 3000 stake; the fund earns 400; sam's 1000 shares are worth 1100, are requested and paid.
    The payout lowers the snapshot; the statistics keep what is left, to the unit.
    """
    assert venue.add("@sam", 1_000).ok and venue.add("@sue", 3_000).ok
    venue.gift(400)
    venue.set_market(if_last_settle_vault_amount=4_400)
    receipt = venue.request("@sam", 1_100)
    event = receipt.events[-1][1]
    assert (event["action"], event["amount"], event["insurance_vault_amount_before"]) == (
        "UnstakeRequest",
        1_100,
        4_400,
    )
    venue.now += PERIOD
    receipt = venue.remove("@sam")
    ((_, event),) = receipt.events
    assert (event["action"], event["amount"], event["total_if_shares_after"]) == ("Unstake", 1_100, 3_000)
    stake = venue.stake("@sam")
    assert (stake.if_shares, stake.cost_basis, stake.last_withdraw_request_shares) == (0, -100, 0)
    assert (staked(venue, "@sam"), venue.fund.user_shares, venue.vaults.insurance_fund_vault) == (0, 3_000, 3_300)
    assert venue.market.if_last_settle_vault_amount == 3_300


def test_only_what_whole_shares_cost_is_taken(venue: InsuranceVenue) -> None:
    """One share is worth 1000 tokens: of 2500 two are bought, 500 stay in the wallet, and the receipt says so."""
    venue.add("@sam", 10)
    venue.gift(9_990)
    receipt = venue.add("@sue", 2_500)
    event = receipt.events[-1][1]
    assert (event["amount"], event["if_shares_after"]) == (2_000, 2)
    assert [(v.vault, v.amount) for v in receipt.vaults] == [("insurance_fund_vault", 2_000)]
    (limit,) = receipt.limits
    assert (limit.name, limit.value, limit.asked) == ("whole_shares", 2_000, 2_500)
    assert (venue.stake("@sue").cost_basis, staked(venue, "@sue")) == (2_000, 2_000)


def test_regr_no_administrator_buys_shares_for_a_staker(venue: InsuranceVenue) -> None:
    """The redesign deleted the instruction together with the protocol's shares; Drift v2.84 did not have it yet."""
    venue.add("@sam", 1_000)
    paid = DepositIntoInsuranceFundStake(authority="@sam", market_index=0, amount=500)
    assert venue.refused(paid) == "UnsupportedInstruction"
    assert InsuranceVenue().refused(paid) == "UnsupportedInstruction"


def test_less_than_a_share_is_refused_and_what_would_pass_passes(venue: InsuranceVenue) -> None:
    venue.add("@sam", 10)
    venue.gift(9_981)  # a share costs 999.1
    error, message, passing = refusal(venue.add("@sue", 999))
    assert (error, message) == (
        "IFDepositMintsZeroShares", "999 tokens are less than one share, which costs 1000",
    )  # fmt: skip
    assert passing == "an amount of at least 1000"
    assert venue.vaults.insurance_fund_vault == 9_991
    assert venue.add("@sue", 1_000).ok


def test_tokens_without_shares_become_ballast_that_nobody_can_withdraw(venue: InsuranceVenue) -> None:
    """A gift to an empty fund stands for shares of its own at a price of one; the first staker does not get it."""
    venue.gift(500)
    receipt = venue.add("@sam", 100)
    assert receipt.events[-1][1]["total_if_shares_before"] == 500
    assert (venue.fund.total_shares, venue.fund.user_shares) == (600, 100)
    error, _, _ = refusal(venue.request("@sam", 101))
    assert error == "InsufficientIFShares"
    for instruction in (
        AdminRemoveInsuranceFundStake(market_index=0, shares=1),
        TransferProtocolIfShares(authority="@sam", market_index=0, shares=1),
        InitializeProtocolIfSharesTransferConfig(),
        UpdateProtocolIfSharesTransferConfig(max_transfer_per_epoch=1),
    ):
        assert venue.refused(instruction) == "UnsupportedInstruction"


def test_a_gift_needs_tokens_and_raises_the_price_for_everybody(venue: InsuranceVenue) -> None:
    venue.add("@sam", 1_000)
    assert venue.refused(DepositIntoInsuranceFund(authority="@sue", market_index=0, amount=0), "@sue") == (
        "InsufficientDeposit"
    )
    venue.gift(1_000)
    assert venue.fund.total_shares == 1_000
    receipt = venue.add("@sue", 1_000)
    assert receipt.events[-1][1]["if_shares_after"] == 500


def test_a_cancelled_request_loses_what_the_fund_earned(venue: InsuranceVenue) -> None:
    venue.add("@sam", 1_000)
    venue.add("@sue", 1_000)
    venue.request("@sam", 1_000)
    venue.gift(2_000)
    receipt = venue.cancel("@sam")
    event = receipt.events[-1][1]
    assert (event["action"], event["amount"]) == ("UnstakeCancelRequest", 0)
    # 1000 tokens buy ⌊1000·1000/3000⌋ of the 1000 shares of the others
    assert venue.stake("@sam").if_shares == 333
    (limit,) = receipt.limits
    assert (limit.name, limit.value, limit.asked) == ("shares_forfeited", 667, 1_000)


def test_a_sole_staker_who_cancels_keeps_everything() -> None:
    venue = venue_with("@sam")
    venue.add("@sam", 1_000)
    venue.request("@sam", 1_000)
    venue.gift(500)
    assert venue.cancel("@sam").ok
    assert (venue.stake("@sam").if_shares, venue.fund.total_shares, staked(venue, "@sam")) == (1_000, 1_000, 1_500)


def test_a_request_that_a_rebase_rounds_to_nothing_can_be_cancelled_but_not_paid(venue: InsuranceVenue) -> None:
    """sam asks for 5 of 10^11 shares, then a loss divides all shares by 10^4. Drift leaves such a request stuck."""
    venue.add("@sam", 10**11)
    venue.add("@sue", 10**11)
    venue.request("@sam", 5)
    venue.set_insurance_vault(10**6)
    venue.now += PERIOD
    error, message, passing = refusal(venue.remove("@sam"))
    assert error == "InvalidIFUnstake" and "rounded the requested 5 shares to 0" in message
    assert passing.startswith("cancel_request_remove_insurance_fund_stake")
    receipt = venue.cancel("@sam")
    assert receipt.ok and not receipt.limits
    stake = venue.stake("@sam")
    assert (stake.if_shares, stake.if_base, stake.last_withdraw_request_shares) == (10**7, 4, 0)


def test_a_stake_behind_a_rebase_must_add_before_it_can_ask(venue: InsuranceVenue) -> None:
    """sue staked before the fund was rebased: a request reads her shares before it would rebase them."""
    venue.add("@sam", 10**9)
    venue.add("@sue", 10**9)
    venue.set_insurance_vault(10**6)
    venue.add("@sam", 10**6)  # rebases the fund
    assert venue.fund.shares_base == 2
    error, _, passing = refusal(venue.request("@sue", 1_000))
    assert error == "InvalidIFRebase" and "add_insurance_fund_stake" in passing
    assert venue.add("@sue", 1_000).ok
    assert venue.request("@sue", 1_000).ok


def test_a_fund_that_lost_everything_pays_nothing_and_burns_the_shares(venue: InsuranceVenue) -> None:
    venue.add("@sam", 1_000)
    venue.add("@sue", 1_000)
    venue.request("@sam", 500)
    venue.set_insurance_vault(0)
    venue.now += PERIOD
    # nothing is paid, and a vault that ends up empty is refused: the shares stay
    assert refusal(venue.remove("@sam"))[:2] == ("InvalidIFDetected", "the insurance fund's vault is empty")
    error, message, passing = refusal(venue.add("@sue", 1_000))
    assert (error, message) == (
        "InvalidIFForNewStakes",
        "the insurance fund's vault is empty while 2000 shares exist: a share has no price",
    )
    assert passing
    venue.set_insurance_vault(1)
    receipt = venue.remove("@sam")
    assert receipt.events[-1][1]["amount"] == 0
    assert venue.stake("@sam").if_shares == 5  # 500 left of 1000, divided by 100 with the fund


def test_the_last_staker_can_leave_a_unit_short(venue: InsuranceVenue) -> None:
    venue.add("@sam", 1_000)
    receipt = venue.request("@sam", 1_000)
    assert receipt.events[-1][1]["amount"] == 999
    venue.now += PERIOD
    assert venue.remove("@sam").ok
    assert (venue.vaults.insurance_fund_vault, venue.fund.total_shares) == (1, 0)


def test_stakes_may_leave_up_to_ninety_percent_of_utilization(venue: InsuranceVenue) -> None:
    venue.deposit("@alice", 10_000)
    venue.add("@sam", 1_000)
    venue.request("@sam", 500)
    venue.now += PERIOD
    venue.set_market(borrow_balance=9_001 * 1_000)
    error, message, _ = refusal(venue.remove("@sam"))
    assert error == "SpotMarketInsufficientDeposits" and "at most 900000" in message
    venue.set_market(borrow_balance=9_000 * 1_000)
    assert venue.remove("@sam").ok


def test_the_cooldown(venue: InsuranceVenue) -> None:
    venue.ok(UpdateInsuranceFundUnstakingPeriod(market_index=0, insurance_fund_unstaking_period=100))
    venue.add("@sam", 1_000)
    venue.request("@sam", 500)
    venue.now += 99
    error, _, passing = refusal(venue.remove("@sam"))
    assert (error, passing) == ("TryingToRemoveLiquidityTooFast", f"the same from time {venue.now + 1} on")
    venue.now += 1
    assert venue.remove("@sam").ok


# --- revenue that is due settles first -------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["add", "request", "cancel"])
def test_revenue_that_is_due_settles_before_a_stake_is_priced(venue: InsuranceVenue, step: str) -> None:
    """The newcomer does not share what the others earned before, and who leaves has earned what was due."""
    venue.add("@sam", 100_000)
    venue.add("@sue", 100_000)
    if step == "cancel":
        venue.request("@sue", 50_000)
    venue.revenue(1_000)
    venue.set_market(if_last_settle_vault_amount=200_000)
    venue.now += 7_200
    receipt = {"add": lambda: venue.add("@sue", 1_001), "request": lambda: venue.request("@sue", 50_000),
               "cancel": lambda: venue.cancel("@sue")}[step]()  # fmt: skip
    (name, settled), (_, event) = receipt.events
    assert (name, settled["amount"]) == ("InsuranceFundRecord", 100)
    assert event["insurance_vault_amount_before"] == 200_100


def test_a_removal_does_not_settle_first(venue: InsuranceVenue) -> None:
    venue.add("@sam", 100_000)
    venue.add("@sue", 100_000)
    venue.request("@sam", 50_000)
    venue.revenue(1_000)
    venue.now += PERIOD
    assert [name for name, _ in venue.remove("@sam").events] == ["InsuranceFundStakeRecord"]


# --- pauses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pause", "error"),
    [
        (UpdateExchangeStatus(exchange_status=WITHDRAW_PAUSED), "ExchangePaused"),
        (
            UpdateSpotMarketPausedOperations(market_index=0, paused_operations=MARKET_WITHDRAW_PAUSED),
            "MarketWithdrawPaused",
        ),
    ],
)
def test_while_withdraws_are_paused(venue: InsuranceVenue, pause: Instruction, error: str) -> None:
    """A request is refused, for the revenue cannot settle; a cancellation and a stake pass without settling."""
    venue.add("@sam", 10_000)
    venue.add("@sue", 10_000)
    venue.request("@sam", 5_000)
    venue.revenue(1_000)
    venue.now += 7_200
    venue.ok(pause)
    assert refusal(venue.request("@sue", 5_000))[0] == error
    for receipt in (venue.cancel("@sam"), venue.add("@sue", 100)):
        assert [name for name, _ in receipt.events] == ["InsuranceFundStakeRecord"]
    assert venue.market.revenue_pool.scaled_balance == 1_000_000


def test_the_insurance_operations_pause_one_by_one(venue: InsuranceVenue) -> None:
    venue.add("@sam", 1_000)
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=0b1111))
    for receipt in (venue.add("@sam", 1_000), venue.request("@sam", 10), venue.remove("@sam")):
        assert refusal(receipt)[0] == "InsuranceFundOperationPaused"
    venue.ok(InitializeUser(user="@tom"), "@tom")
    opening = InitializeInsuranceFundStake(authority="@tom", market_index=0)
    assert venue.refused(opening, "@tom") == "InsuranceFundOperationPaused"
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=0))
    venue.request("@sam", 10)
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=0b1111))
    venue.ok(UpdateExchangeStatus(exchange_status=127))
    assert venue.cancel("@sam").ok


# --- the order of refusals -------------------------------------------------------------------------------------


def test_refusals_of_a_stake_in_order(venue: InsuranceVenue) -> None:
    venue.add("@sam", 1_000)
    venue.request("@sam", 10)
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=2))
    venue.ok(UpdateSpotMarketStatus(market_index=0, status="Initialized"))
    assert refusal(venue.add("@sam", 0))[0] == "InsufficientDeposit"
    assert refusal(venue.add("@sam", 1))[0] == "InsuranceFundOperationPaused"
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=0))
    assert refusal(venue.add("@sam", 1))[0] == "InvalidSpotMarketState"
    venue.ok(UpdateSpotMarketStatus(market_index=0, status="Active"))
    assert refusal(venue.add("@sam", 1))[0] == "IFWithdrawRequestInProgress"
    assert refusal(venue.request("@sam", 1))[0] == "IFWithdrawRequestInProgress"
    assert refusal(venue.cancel("@sue"))[0] == "NoIFWithdrawRequestInProgress"
    venue.cancel("@sam")
    assert refusal(venue.request("@sam", 0))[0] == "IFWithdrawRequestTooSmall"
    assert refusal(venue.request("@sam", 1_001))[0] == "InsufficientIFShares"


def test_a_stake_is_its_owners_but_anybody_may_refresh_its_value(venue: InsuranceVenue) -> None:
    venue.add("@sam", 1_000)
    venue.gift(500)
    for instruction in (
        AddInsuranceFundStake(authority="@sam", market_index=0, amount=1),
        RequestRemoveInsuranceFundStake(authority="@sam", market_index=0, amount=1),
    ):
        assert venue.refused(instruction, "@sue") == "Unauthorized"
    assert staked(venue, "@sam") == 1_000
    venue.ok(UpdateUserQuoteAssetInsuranceStake(authority="@sam"), "@sue")
    assert staked(venue, "@sam") == 1_500
    assert venue.refused(UpdateUserQuoteAssetInsuranceStake(authority="@nobody"), ADMIN) == "InsuranceFundStakeNotFound"
