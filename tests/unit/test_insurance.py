"""Staking into, and leaving, an insurance fund (insurance.md §3, §4, §5.2, §7)."""

import pytest
from support.insurance import ADMIN, START, InsuranceVenue

from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdateInsuranceFundUnstakingPeriod,
    UpdateSpotMarketIfPausedOperations,
    UpdateSpotMarketStatus,
)
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    AdminRemoveInsuranceFundStake,
    CancelRequestRemoveInsuranceFundStake,
    DepositIntoInsuranceFund,
    InitializeInsuranceFundStake,
    InitializeProtocolIfSharesTransferConfig,
    RemoveInsuranceFundStake,
    RequestRemoveInsuranceFundStake,
    TransferProtocolIfShares,
    UpdateProtocolIfSharesTransferConfig,
    UpdateUserQuoteAssetInsuranceStake,
)
from seawall.instructions.venue_setup import InitializeUser
from seawall.keys import key_from_text, key_to_text

PERIOD = 1_123_200
"""The default cooldown of 13 days."""


@pytest.fixture
def venue() -> InsuranceVenue:
    venue = InsuranceVenue()
    for name in ("@sam", "@sue"):
        venue.open(name)
    return venue


def staked(venue: InsuranceVenue, name: str) -> int:
    """What the statistics say an authority has staked."""
    table = venue.machine.store.user_stats
    return table.read(table.index[key_from_text(name)]).if_staked_quote_asset_amount


# --- the life of a stake ---------------------------------------------------------------------------------------


def test_a_stake_from_first_token_to_payout(venue: InsuranceVenue) -> None:
    """
    sam 1000, sue 3000 stake; the fund earns 400; sam's 1000 shares are worth 1100, are requested and paid.
    """
    assert venue.add("@sam", 1_000).ok and venue.add("@sue", 3_000).ok
    venue.set_insurance_vault(4_400)
    receipt = venue.request("@sam", 1_100)
    ((name, event),) = receipt.events
    assert (name, event["action"], event["amount"]) == ("InsuranceFundStakeRecord", "UnstakeRequest", 1_100)
    assert event["if_shares_before"] == event["if_shares_after"] == 1_000
    assert venue.stake("@sam").last_withdraw_request_value == 1_100
    venue.now += PERIOD
    receipt = venue.remove("@sam")
    ((_, event),) = receipt.events
    assert (event["action"], event["amount"], event["total_if_shares_after"]) == ("Unstake", 1_100, 3_000)
    assert venue.vaults.insurance_fund_vault == 3_300
    stake = venue.stake("@sam")
    assert (stake.if_shares, stake.cost_basis, stake.last_withdraw_request_shares) == (0, -100, 0)
    assert (staked(venue, "@sam"), venue.fund.user_shares) == (0, 3_000)
    assert [(v.vault, v.amount) for v in receipt.vaults] == [("insurance_fund_vault", -1_100)]


def test_a_request_bears_losses_but_no_gains(venue: InsuranceVenue) -> None:
    venue.add("@sam", 1_000)
    venue.add("@sue", 1_000)
    venue.request("@sam", 1_000)
    venue.set_insurance_vault(3_000)
    venue.now += PERIOD
    receipt = venue.remove("@sam")
    assert receipt.events[0][1]["amount"] == 1_000
    (limit,) = receipt.limits
    assert (limit.name, limit.value, limit.asked) == ("last_withdraw_request_value", 1_000, 1_500)
    assert venue.vaults.insurance_fund_vault == 2_000  # sue's share took sam's gain
    venue.request("@sue", 2_000)
    venue.set_insurance_vault(500)
    venue.now += PERIOD
    # sue owns everything: paying her the whole vault would empty it
    refusal = venue.remove("@sue").refusal
    assert refusal is not None and refusal.error == "InvalidIFDetected"


def test_the_fund_keeps_one_unit(venue: InsuranceVenue) -> None:
    venue.add("@sam", 1_000)
    assert venue.request("@sam", 1_000).events[0][1]["amount"] == 999
    venue.now += PERIOD
    assert venue.remove("@sam").ok
    assert venue.vaults.insurance_fund_vault == 1


def test_cancelling_forfeits_what_the_fund_earned_meanwhile(venue: InsuranceVenue) -> None:
    venue.add("@sam", 1_000)
    venue.add("@sue", 1_000)
    venue.request("@sam", 1_000)
    venue.set_insurance_vault(3_000)
    receipt = venue.cancel("@sam")
    # 1000 tokens buy back ⌊1000·1000/2000⌋ = 500 of the 1000 shares
    assert receipt.events[0][1]["if_shares_after"] == 500
    assert [(limit.name, limit.value, limit.asked) for limit in receipt.limits] == [("shares_forfeited", 500, 1_000)]
    stake = venue.stake("@sam")
    assert (stake.last_withdraw_request_value, stake.last_withdraw_request_ts) == (0, venue.now)
    assert (venue.fund.total_shares, venue.fund.user_shares) == (1_500, 1_500)
    assert staked(venue, "@sam") == 1_000


def test_removal_understates_what_remains_when_the_price_rose(venue: InsuranceVenue) -> None:
    """Deliberate oddity (insurance.md §3): the statistics see the vault without the shares' value, not the payout."""
    venue.add("@sam", 1_000)
    venue.request("@sam", 400)
    venue.set_insurance_vault(2_000)
    venue.now += PERIOD
    venue.remove("@sam")
    assert venue.vaults.insurance_fund_vault == 1_600
    assert staked(venue, "@sam") == 1_200
    venue.ok(UpdateUserQuoteAssetInsuranceStake(authority="@sam"), "@sam")
    assert staked(venue, "@sam") == 1_600


def test_tokens_below_one_share_are_taken_without_a_share(venue: InsuranceVenue) -> None:
    """Deliberate oddity (insurance.md §4.2 step 5)."""
    venue.add("@sam", 1)
    venue.set_insurance_vault(1_000)
    assert venue.add("@sue", 999).ok
    assert venue.stake("@sue").if_shares == 0
    assert venue.vaults.insurance_fund_vault == 1_999


def test_a_new_stake_has_base_0_until_it_adds(venue: InsuranceVenue) -> None:
    venue.add("@sam", 100_000)
    venue.set_insurance_vault(10)
    assert venue.add("@sue", 1_000).ok  # rebases the fund by 10³, and sue with it
    assert (venue.fund.shares_base, venue.stake("@sue").if_base, venue.stake("@sam").if_base) == (3, 3, 0)
    refusal = venue.request("@sam", 5).refusal
    assert refusal is not None and refusal.error == "InvalidIFRebase"
    assert refusal.message == "the stake's shares are in base 0, the fund's in base 3"
    assert "add_insurance_fund_stake" in refusal.would_pass
    assert venue.add("@sam", 10).ok
    assert venue.stake("@sam").if_base == 3
    assert venue.request("@sam", 5).ok


def test_an_empty_fund_with_shares_takes_no_stake(venue: InsuranceVenue) -> None:
    venue.add("@sam", 100)
    venue.set_insurance_vault(0)
    refusal = venue.add("@sue", 50).refusal
    assert refusal is not None and refusal.error == "InvalidIFForNewStakes"
    assert "100 shares exist" in refusal.message
    assert venue.request("@sam", 50).refusal.error == "InvalidIFSharesDetected"  # type: ignore[union-attr]


def test_a_frozen_value_alone_blocks_adding_but_not_requesting(venue: InsuranceVenue) -> None:
    """A rebase can round the requested shares to 0 and leave the frozen value (insurance.md §9 trap 4)."""
    venue.add("@sam", 1_000_000)
    venue.request("@sam", 9)
    venue.set_insurance_vault(100)
    venue.add("@sue", 100)  # rebases the fund by 10³
    assert venue.fund.shares_base == 3
    refusal = venue.cancel("@sam").refusal
    assert refusal is not None and refusal.error == "InvalidIFUnstakeCancel"
    assert refusal.message == "a rebase of the fund rounded the requested 9 shares to 0"
    venue.now += PERIOD
    refusal = venue.remove("@sam").refusal
    assert refusal is not None and (refusal.error, refusal.message) == (
        "InvalidIFUnstake", "a rebase of the fund rounded the requested 9 shares to 0",
    )  # fmt: skip


# --- refusals, in order of precedence --------------------------------------------------------------------------


def add(amount: int) -> AddInsuranceFundStake:
    return AddInsuranceFundStake(authority="@sam", market_index=0, amount=amount)


def test_refusals_of_add_in_order(venue: InsuranceVenue) -> None:
    """Each row removes the first obstacle of the row before it."""
    venue.add("@sam", 100)
    venue.request("@sam", 10)
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=2))
    venue.ok(UpdateSpotMarketStatus(market_index=0, status="Initialized"))
    assert venue.refused(add(0), "@sue") == "Unauthorized"
    assert venue.refused(add(0), "@sam") == "InsufficientDeposit"
    assert venue.refused(add(5), "@sam") == "InsuranceFundOperationPaused"
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=0b1101))
    assert venue.refused(add(5), "@sam") == "InvalidSpotMarketState"
    venue.ok(UpdateSpotMarketStatus(market_index=0, status="ReduceOnly"))
    assert venue.refused(add(5), "@sam") == "IFWithdrawRequestInProgress"
    venue.ok(CancelRequestRemoveInsuranceFundStake(authority="@sam", market_index=0), "@sam")
    venue.set_insurance_vault(0)
    assert venue.refused(add(5), "@sam") == "InvalidIFForNewStakes"
    venue.set_insurance_vault(100)
    assert venue.do(add(5), "@sam").ok


def test_add_checks_the_collateral_vault(venue: InsuranceVenue) -> None:
    venue.deposit("@alice", 1_000)
    vaults = venue.vaults.copy()
    vaults.spot_vault = 999
    venue.overwrite(vaults, "vaults")
    assert venue.refused(add(5), "@sam") == "SpotMarketVaultInvariantViolated"


def test_refusals_of_request_in_order(venue: InsuranceVenue) -> None:
    venue.add("@sam", 100)
    venue.add("@sue", 100)
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=4))
    request = RequestRemoveInsuranceFundStake(authority="@sam", market_index=0, amount=0)
    assert venue.refused(request, "@sam") == "InsuranceFundOperationPaused"
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=0))
    assert venue.refused(request, "@sam") == "IFWithdrawRequestTooSmall"
    venue.set_insurance_vault(1_000)
    refusal = venue.request("@sam", 4).refusal
    assert refusal is not None and refusal.error == "IFWithdrawRequestTooSmall"
    assert refusal.would_pass == "an amount of at least 5"
    refusal = venue.request("@sam", 505).refusal
    assert refusal is not None and refusal.error == "InsufficientIFShares"
    assert refusal.message == "the stake has 100 shares, 101 were asked"
    assert refusal.would_pass == "an amount of at most 500 tokens"
    assert venue.request("@sam", 500).ok
    refusal = venue.request("@sam", 1).refusal
    assert refusal is not None and refusal.error == "IFWithdrawRequestInProgress"
    assert "100 shares, worth 500" in refusal.message


def test_removal_waits_for_the_cooldown_and_says_when_it_ends(venue: InsuranceVenue) -> None:
    venue.ok(UpdateInsuranceFundUnstakingPeriod(market_index=0, insurance_fund_unstaking_period=1_000))
    venue.add("@sam", 100)
    venue.request("@sam", 50)
    requested = venue.now
    venue.now += 999
    receipt = venue.remove("@sam")
    assert receipt.refusal is not None and receipt.refusal.error == "TryingToRemoveLiquidityTooFast"
    assert receipt.refusal.would_pass == f"the same from time {requested + 1_000} on"
    assert [(limit.name, limit.value, limit.asked) for limit in receipt.limits] == [("unstaking_period", 1_000, 999)]
    venue.now += 1
    assert venue.remove("@sam").ok


def test_removal_without_a_request(venue: InsuranceVenue) -> None:
    venue.add("@sam", 100)
    venue.now += PERIOD
    refusal = venue.remove("@sam").refusal
    assert refusal is not None and (refusal.error, refusal.message) == ("InvalidIFUnstake", "no request is pending")
    refusal = venue.cancel("@sam").refusal
    assert refusal is not None and refusal.error == "NoIFWithdrawRequestInProgress"


def test_removal_is_stopped_by_pauses_and_utilization_in_this_order(venue: InsuranceVenue) -> None:
    venue.deposit("@alice", 1_000)
    venue.add("@sam", 100)
    venue.request("@sam", 50)
    venue.set_market(utilization_twap=800_001)
    venue.ok(UpdateExchangeStatus(exchange_status=2))
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=8))
    assert venue.remove("@sam").refusal.error == "ExchangePaused"  # type: ignore[union-attr]
    venue.ok(UpdateExchangeStatus(exchange_status=0b1111101))
    assert venue.remove("@sam").refusal.error == "InsuranceFundOperationPaused"  # type: ignore[union-attr]
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=0))
    receipt = venue.remove("@sam")
    assert receipt.refusal is not None and receipt.refusal.error == "SpotMarketInsufficientDeposits"
    assert [(limit.name, limit.value, limit.asked) for limit in receipt.limits] == [
        ("healthy_utilization", 800_000, 800_001)
    ]
    venue.set_market(utilization_twap=800_000, borrow_balance=801 * 1_000)
    assert venue.remove("@sam").refusal.error == "SpotMarketInsufficientDeposits"  # type: ignore[union-attr]
    venue.set_market(borrow_balance=800 * 1_000)
    assert venue.remove("@sam").refusal.error == "TryingToRemoveLiquidityTooFast"  # type: ignore[union-attr]


def test_only_the_owner_touches_a_stake(venue: InsuranceVenue) -> None:
    venue.add("@sam", 100)
    for instruction in (
        InitializeInsuranceFundStake(authority="@sam", market_index=0),
        RequestRemoveInsuranceFundStake(authority="@sam", market_index=0, amount=1),
        CancelRequestRemoveInsuranceFundStake(authority="@sam", market_index=0),
        RemoveInsuranceFundStake(authority="@sam", market_index=0),
        UpdateUserQuoteAssetInsuranceStake(authority="@sam"),
    ):
        assert venue.refused(instruction, "@sue") == "Unauthorized"


def test_opening_a_stake(venue: InsuranceVenue) -> None:
    opening = InitializeInsuranceFundStake(authority="@new", market_index=0)
    assert venue.refused(opening, "@new") == "UserNotFound"
    venue.ok(InitializeUser(user="@new"), "@new")
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=1))
    assert venue.refused(opening, "@new") == "InsuranceFundOperationPaused"
    venue.ok(UpdateSpotMarketIfPausedOperations(market_index=0, paused_operations=0))
    venue.ok(opening, "@new")
    assert venue.refused(opening, "@new") == "AccountAlreadyInUse"
    assert venue.stake("@new").last_valid_ts == START
    absent = InitializeInsuranceFundStake(authority="@new", market_index=7)
    assert venue.refused(absent, "@new") == "SpotMarketNotFound"
    assert venue.refused(AddInsuranceFundStake(authority="@none", market_index=0, amount=1), "@none") == (
        "InsuranceFundStakeNotFound"
    )


# --- the protocol's shares -------------------------------------------------------------------------------------


def transfer(shares: int, market_index: int = 0) -> TransferProtocolIfShares:
    return TransferProtocolIfShares(authority="@sam", market_index=market_index, shares=shares)


def test_a_gift_without_shares_becomes_the_protocols_and_can_be_handed_on(venue: InsuranceVenue) -> None:
    gift = DepositIntoInsuranceFund(authority="@donor", market_index=0, amount=1_000)
    assert venue.refused(gift, "@sam") == "Unauthorized"
    receipt = venue.ok(gift, "@donor")
    assert receipt.events == [] and venue.vaults.insurance_fund_vault == 1_000
    assert venue.fund.total_shares == 0
    assert venue.refused(transfer(1)) == "DefaultError"  # no configuration
    venue.ok(InitializeProtocolIfSharesTransferConfig())
    assert venue.refused(InitializeProtocolIfSharesTransferConfig()) == "AccountAlreadyInUse"
    assert venue.refused(transfer(1), "@boss") == "DefaultError"  # nobody is whitelisted
    venue.ok(UpdateProtocolIfSharesTransferConfig(whitelisted_signers=["@boss"], max_transfer_per_epoch=401))
    assert venue.refused(transfer(1, market_index=1), "@boss") == "DefaultError"
    receipt = venue.ok(transfer(400), "@boss")
    first, second = (fields for _, fields in receipt.events)
    assert (first["action"], first["user_authority"]) == ("UnstakeTransfer", key_to_text(key_from_text("@protocol")))
    assert (first["if_shares_before"], first["if_shares_after"], first["amount"]) == (1_000, 600, 400)
    assert (second["action"], second["if_shares_before"], second["if_shares_after"]) == ("StakeTransfer", 0, 400)
    assert (venue.fund.total_shares, venue.fund.user_shares) == (1_000, 400)
    assert staked(venue, "@sam") == 400


def test_the_transfer_allowance_is_strict_and_renews_by_epochs(venue: InsuranceVenue) -> None:
    epoch = 2_419_200
    venue.set_insurance_vault(10_000)
    venue.ok(InitializeProtocolIfSharesTransferConfig())
    venue.ok(UpdateProtocolIfSharesTransferConfig(whitelisted_signers=["@boss"], max_transfer_per_epoch=100))
    receipt = venue.do(transfer(100), "@boss")
    assert receipt.refusal is not None and receipt.refusal.error == "DefaultError"
    assert receipt.refusal.message == "100 shares are not below the 100 that may still be transferred in this epoch"
    assert receipt.limits[0].value == 100
    venue.ok(transfer(99), "@boss")
    assert venue.refused(transfer(1), "@boss") == "DefaultError"
    venue.ok(transfer(0), "@boss")
    venue.now = START + epoch
    assert venue.refused(transfer(1), "@boss") == "DefaultError"  # the new epoch begins after the time, not at it
    venue.now = START + 3 * epoch
    venue.ok(transfer(5), "@boss")
    config = venue.machine.store.transfer_config.objects[0]
    assert (config.next_epoch_ts, config.current_epoch_transfer) == (START + 4 * epoch, 5)


def test_transfer_refuses_more_than_the_protocol_owns(venue: InsuranceVenue) -> None:
    venue.set_insurance_vault(10)
    venue.ok(InitializeProtocolIfSharesTransferConfig())
    venue.ok(UpdateProtocolIfSharesTransferConfig(whitelisted_signers=["@boss"], max_transfer_per_epoch=1_000))
    refusal = venue.do(transfer(11), "@boss").refusal
    assert refusal is not None and refusal.error == "InsufficientIFShares"
    too_many = UpdateProtocolIfSharesTransferConfig(whitelisted_signers=["@a", "@b", "@c", "@d", "@e"])
    assert venue.refused(too_many) == "InvalidInstruction"


def test_removing_protocol_shares_is_for_the_documents_profile(venue: InsuranceVenue) -> None:
    removal = AdminRemoveInsuranceFundStake(market_index=0, shares=250)
    program = InsuranceVenue("program")
    assert program.refused(removal) == "UnsupportedInstruction"
    venue.set_insurance_vault(1_000)
    assert venue.refused(removal, "@sam") == "Unauthorized"
    receipt = venue.ok(removal)
    assert receipt.events[0][1]["user_authority"] == key_to_text(key_from_text(ADMIN))
    assert (venue.fund.total_shares, venue.vaults.insurance_fund_vault) == (750, 750)
    refusal = venue.do(AdminRemoveInsuranceFundStake(market_index=0, shares=751)).refusal
    assert refusal is not None and refusal.error == "InsufficientIFShares"
    assert refusal.would_pass == "at most 750 shares"


def test_two_stakers_share_a_fund_that_a_loss_rebased(venue: InsuranceVenue) -> None:
    """
    sam and sue own 100000 shares each; a loss leaves 10 tokens; sue's new tokens do not pay for sam's loss.
    """
    venue.add("@sam", 100_000)
    venue.add("@sue", 100_000)
    venue.set_insurance_vault(10)
    venue.add("@sue", 990)
    assert venue.stake("@sue").if_shares + venue.stake("@sam").if_shares // 1_000 <= venue.fund.user_shares
    assert staked(venue, "@sue") == 995
