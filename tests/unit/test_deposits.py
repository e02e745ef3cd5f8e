"""Deposits, withdrawals, transfers, swaps and user settings. Rules of balances.md §8; instructions.md §2.1, §2.7."""

import pytest
from support.money import ADMIN, ETH, ONE_ETH, ONE_SOL, ONE_USDC, SOL, START, USDC, MoneyVenue

from seawall.audit.conservation import check_state
from seawall.engine.conservation import surplus
from seawall.engine.queries.margin import margin, withdrawable
from seawall.engine.receipts import Receipt, Transfer
from seawall.errors import ErrorCode
from seawall.instructions.deposits import Deposit, DepositIntoSpotMarketRevenuePool, Swap, TransferDeposit, Withdraw
from seawall.instructions.user_settings import (
    DeleteUser,
    UpdateUserCustomMarginRatio,
    UpdateUserDelegate,
    UpdateUserMarginTradingEnabled,
    UpdateUserName,
    UpdateUserReduceOnly,
)
from seawall.instructions.venue_setup import FundWallet, InitializeUser
from seawall.keys import key_from_text, key_to_text
from seawall.state.enums import (
    ASSET_TIER_PROTECTED,
    BORROW,
    EXCHANGE_DEPOSIT_PAUSED,
    EXCHANGE_FILL_PAUSED,
    EXCHANGE_WITHDRAW_PAUSED,
    SPOT_FILL,
    SPOT_WITHDRAW,
    STATUS_ACTIVE,
    STATUS_DELISTED,
    STATUS_INITIALIZED,
    STATUS_REDUCE_ONLY,
    STATUS_SETTLEMENT,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
)


@pytest.fixture
def venue() -> MoneyVenue:
    """Alice with 1,000 USDC, Bob with 1,000 SOL, Carol with nothing."""
    v = MoneyVenue()
    v.open("@alice", "@bob", "@carol")
    assert v.deposit("@alice", USDC, 1_000 * ONE_USDC).ok
    assert v.deposit("@bob", SOL, 1_000 * ONE_SOL).ok
    return v


def error_of(receipt: Receipt) -> str:
    assert receipt.refusal is not None
    return receipt.refusal.error


def pause(venue: MoneyVenue, bits: int) -> None:
    state = venue.machine.store.state.objects[0].copy()
    state.exchange_status = bits
    venue.machine.store.state.store(0, state.pack(), state)


# --- deposit ---------------------------------------------------------------------------------------------------


def test_a_deposit_in_full(venue: MoneyVenue) -> None:
    receipt = venue.deposit("@carol", SOL, 3 * ONE_SOL)
    assert receipt.transfers == [Transfer(SOL, f"user.{key_to_text(key_from_text('@carol'))}/0", 3 * ONE_SOL)]
    (event, fields), *rest = receipt.events
    assert event == "DepositRecord" and not rest
    assert fields == {
        "ts": START,
        "user_authority": key_to_text(key_from_text("@carol")),
        "user": key_to_text(venue.user("@carol").address),
        "direction": "Deposit",
        "deposit_record_id": 2,
        "amount": 3 * ONE_SOL,
        "market_index": SOL,
        "oracle_price": 100_000_000,
        "market_deposit_balance": 1_003 * ONE_SOL,
        "market_withdraw_balance": 0,
        "market_cumulative_deposit_interest": 10**10,
        "market_cumulative_borrow_interest": 10**10,
        "total_deposits_after": 300 * ONE_USDC,
        "total_withdraws_after": 0,
        "explanation": "None",
        "transfer_user": None,
    }
    assert venue.position("@carol", SOL).cumulative_deposits == 3 * ONE_SOL
    assert venue.user("@carol").last_active_slot == venue.clock.slot
    assert venue.vault(SOL) == 1_003 * ONE_SOL


def test_a_repayment_says_so_and_may_leave_a_deposit(venue: MoneyVenue) -> None:
    assert venue.withdraw("@alice", SOL, ONE_SOL).ok
    receipt = venue.deposit("@alice", SOL, 3 * ONE_SOL)
    assert receipt.events[-1][1]["explanation"] == "RepayBorrow"
    assert venue.balance("@alice", SOL) == 2 * ONE_SOL - 1  # the debt was rounded up by one unit


def test_a_reduce_only_deposit_repays_and_no_more(venue: MoneyVenue) -> None:
    assert venue.withdraw("@alice", SOL, ONE_SOL).ok
    receipt = venue.deposit("@alice", SOL, 3 * ONE_SOL, reduce_only=True)
    assert receipt.events[-1][1]["amount"] == ONE_SOL + 1
    assert [(limit.name, limit.value, limit.asked) for limit in receipt.limits] == [
        ("reduce_only", ONE_SOL + 1, 3 * ONE_SOL)
    ]
    assert venue.balance("@alice", SOL) == 0
    # with nothing owed on an empty position of stored type Borrow the flag cuts everything
    assert venue.deposit("@alice", SOL, 3 * ONE_SOL, reduce_only=True).events[-1][1]["amount"] == 0
    # on a position of type Deposit the flag does nothing
    assert venue.deposit("@alice", USDC, 5, reduce_only=True).events[-1][1]["amount"] == 5


@pytest.mark.parametrize(
    ("status", "bits", "user_status", "amount", "error"),
    [
        (1, EXCHANGE_DEPOSIT_PAUSED, USER_BANKRUPT, 0, "ExchangePaused"),
        (1, EXCHANGE_WITHDRAW_PAUSED, USER_BANKRUPT, 0, "InsufficientDeposit"),
        (STATUS_INITIALIZED, 0, USER_BANKRUPT, 1, "UserBankrupt"),
        (STATUS_INITIALIZED, 0, 0, 1, "MarketBeingInitialized"),
        (STATUS_REDUCE_ONLY, 0, 0, 1, "MarketActionPaused"),
        (STATUS_SETTLEMENT, 0, 0, 1, "MarketActionPaused"),
        (STATUS_DELISTED, 0, 0, 1, "MarketActionPaused"),
        (1, 128, 0, 1, "FailedUnwrap"),
    ],
)
def test_refused_deposits_in_order_of_precedence(
    venue: MoneyVenue, status: int, bits: int, user_status: int, amount: int, error: str
) -> None:
    venue.change_market(USDC, status=status)
    venue.change_user("@carol", status=user_status)
    pause(venue, bits)
    assert error_of(venue.deposit("@carol", USDC, amount)) == error


def test_a_reduce_only_market_takes_repayments(venue: MoneyVenue) -> None:
    assert venue.withdraw("@alice", SOL, ONE_SOL).ok
    venue.change_market(SOL, status=STATUS_REDUCE_ONLY)
    assert venue.deposit("@alice", SOL, 5 * ONE_SOL).events[-1][1]["amount"] == ONE_SOL + 1


def test_the_deposit_cap_names_what_still_fits(venue: MoneyVenue) -> None:
    venue.change_market(USDC, max_token_deposits=1_500 * ONE_USDC)
    receipt = venue.deposit("@carol", USDC, 501 * ONE_USDC)
    assert receipt.refusal is not None and receipt.refusal.error == "MaxDeposit"
    assert receipt.refusal.would_pass == f"at most {500 * ONE_USDC} tokens now"
    assert [(limit.name, limit.value, limit.asked) for limit in receipt.limits] == [
        ("max_token_deposits", 1_500 * ONE_USDC, 1_501 * ONE_USDC)
    ]
    assert venue.deposit("@carol", USDC, 500 * ONE_USDC).ok


def test_a_deposit_fails_while_too_much_is_lent_out(venue: MoneyVenue) -> None:
    assert venue.withdraw("@alice", SOL, 2 * ONE_SOL).ok
    venue.change_market(SOL, max_token_deposits=2_000 * ONE_SOL, max_token_borrows_fraction=9)
    receipt = venue.deposit("@bob", SOL, 1)
    assert receipt.refusal is not None and receipt.refusal.error == "MaxBorrows"
    assert "1800000000" in receipt.refusal.message


def test_a_deposit_that_covers_the_buffer_ends_liquidation(venue: MoneyVenue) -> None:
    venue.change_user("@alice", status=USER_BEING_LIQUIDATED, liquidation_margin_freed=9, last_active_slot=3)
    assert venue.deposit("@alice", USDC, 1).ok
    user = venue.user("@alice")
    assert (user.status, user.liquidation_margin_freed, user.last_active_slot) == (0, 0, venue.clock.slot)


def test_a_deposit_that_does_not_cover_the_buffer_leaves_liquidation_on(venue: MoneyVenue) -> None:
    assert venue.withdraw("@alice", SOL, 8 * ONE_SOL).ok
    venue.post("SOL", 130_000_000)
    venue.change_user("@alice", status=USER_BEING_LIQUIDATED, last_active_slot=3, idle=True)
    assert venue.deposit("@alice", USDC, 1).ok
    assert (venue.user("@alice").status, venue.user("@alice").last_active_slot) == (USER_BEING_LIQUIDATED, 3)
    assert not venue.user("@alice").idle  # the activity is not noted, the idle flag falls all the same


def test_who_may_deposit(venue: MoneyVenue) -> None:
    venue.ok(UpdateUserDelegate(user="@alice", delegate="@carol"), "@alice")
    deposit = Deposit(user="@alice", market_index=USDC, amount=1)
    assert venue.do(deposit, "@carol").ok
    assert venue.refused(deposit, "@bob") == "Unauthorized"


def test_tracked_wallets_must_hold_the_tokens() -> None:
    v = MoneyVenue(wallets_tracked=True)
    v.open("@alice")
    v.ok(FundWallet(authority="@alice", market_index=USDC, amount=10))
    assert error_of(v.deposit("@alice", USDC, 11)) == "TokenInsufficientFunds"
    assert v.deposit("@alice", USDC, 10).ok
    assert v.withdraw("@alice", USDC, 4).ok
    assert v.deposit("@alice", USDC, 4).ok


# --- withdraw --------------------------------------------------------------------------------------------------


def test_a_withdrawal_beyond_the_deposit_borrows(venue: MoneyVenue) -> None:
    venue.deposit("@bob", USDC, 1)
    receipt = venue.withdraw("@bob", USDC, 101)
    assert receipt.events[-1][1]["explanation"] == "Borrow"
    assert venue.balance("@bob", USDC) == -(100 * 1_000 + 1)
    assert venue.position("@bob", USDC).cumulative_deposits == -100
    assert venue.user("@bob").total_withdraws == 101


def test_only_the_owner_withdraws(venue: MoneyVenue) -> None:
    venue.ok(UpdateUserDelegate(user="@alice", delegate="@carol"), "@alice")
    withdraw = Withdraw(user="@alice", market_index=USDC, amount=1)
    assert venue.refused(withdraw, "@carol") == "Unauthorized"
    assert venue.do(withdraw, "@alice").ok


@pytest.mark.parametrize(
    ("changes", "bits", "user_status", "amount", "error"),
    [
        ({}, EXCHANGE_WITHDRAW_PAUSED, USER_BANKRUPT, 1, "ExchangePaused"),
        ({}, 0, USER_BANKRUPT, 1, "UserBankrupt"),
        ({"paused_operations": SPOT_WITHDRAW}, 0, 0, 1, "MarketWithdrawPaused"),
        ({"status": STATUS_INITIALIZED}, 0, 0, 1, "MarketWithdrawPaused"),
        ({"status": STATUS_DELISTED}, 0, 0, 1, "MarketWithdrawPaused"),
        ({"asset_tier": ASSET_TIER_PROTECTED}, 0, 0, 1_001 * ONE_USDC, "SpotMarketInsufficientDeposits"),
        ({"withdraw_guard_threshold": 0, "deposit_token_twap": 10**12}, 0, 0, 1, "DailyWithdrawLimit"),
    ],
)
def test_refused_withdrawals(
    venue: MoneyVenue, changes: dict[str, int], bits: int, user_status: int, amount: int, error: str
) -> None:
    venue.change_market(USDC, **changes)
    venue.change_user("@alice", status=user_status)
    pause(venue, bits)
    assert error_of(venue.withdraw("@alice", USDC, amount)) == error


def test_a_protected_asset_cannot_be_borrowed(venue: MoneyVenue) -> None:
    venue.change_market(USDC, asset_tier=ASSET_TIER_PROTECTED)
    assert error_of(venue.withdraw("@bob", USDC, 1)) == "ProtectedAssetTierViolation"
    assert venue.withdraw("@alice", USDC, 1).ok


def test_a_reduce_only_withdrawal_takes_the_deposit_and_no_more(venue: MoneyVenue) -> None:
    receipt = venue.withdraw("@alice", USDC, 5_000 * ONE_USDC, reduce_only=True)
    assert receipt.events[-1][1]["amount"] == 1_000 * ONE_USDC
    assert [limit.name for limit in receipt.limits] == ["deposit"]


def test_a_reduce_only_withdrawal_stops_at_the_margin(venue: MoneyVenue) -> None:
    assert venue.withdraw("@bob", USDC, 900 * ONE_USDC).ok
    receipt = venue.withdraw("@bob", SOL, 5_000 * ONE_SOL, reduce_only=True)
    # 80,000 less 900.000001 are free, at a weight of 0.8 and a price of 100, in steps of 1e-6 SOL
    assert receipt.events[-1][1]["amount"] == 988_749_999_000
    assert [limit.name for limit in receipt.limits] == ["free_collateral"]


def test_a_reduce_only_withdrawal_of_a_borrow_is_refused_with_the_debt(venue: MoneyVenue) -> None:
    assert venue.withdraw("@alice", SOL, ONE_SOL).ok
    receipt = venue.withdraw("@alice", SOL, 1, reduce_only=True)
    assert receipt.refusal is not None
    assert receipt.refusal.error == "ReduceOnlyWithdrawIncreasedRisk"
    assert f"owes {ONE_SOL + 1} tokens" in receipt.refusal.message


def test_the_withdraw_fee(venue: MoneyVenue) -> None:
    venue.change_user("@alice", total_withdraws=10**13, last_active_slot=venue.clock.slot - 49)
    receipt = venue.withdraw("@alice", USDC, 10_000)
    assert receipt.events[-1][1]["amount"] == 9_500
    assert venue.user("@alice").cumulative_spot_fees == -500
    assert venue.market(USDC).revenue_pool.scaled_balance == 500 * 1_000
    assert venue.position("@alice", USDC).cumulative_deposits == 1_000 * ONE_USDC - 9_500
    stats = venue.machine.store.user_stats
    assert stats.read(stats.index[key_from_text("@alice")]).fees.total_fee_paid == 500
    # less than the fee cannot be withdrawn
    venue.change_user("@alice", total_withdraws=10**13)
    assert error_of(venue.withdraw("@alice", USDC, 499)) == "MathError"
    # once the fees paid are a ten thousandth of the withdrawals, or 50 slots later, nothing is due
    venue.change_user("@alice", total_withdraws=10**13, last_active_slot=venue.clock.slot - 50)
    assert venue.withdraw("@alice", USDC, 499).events[-1][1]["amount"] == 499


def test_a_withdrawal_ends_liquidation_without_a_test_of_the_buffer(venue: MoneyVenue) -> None:
    venue.change_user("@alice", status=USER_BEING_LIQUIDATED, liquidation_margin_freed=9)
    assert venue.withdraw("@alice", USDC, 1).ok
    assert (venue.user("@alice").status, venue.user("@alice").liquidation_margin_freed) == (0, 0)


def test_a_vault_that_is_short_refuses(venue: MoneyVenue) -> None:
    vaults = venue.machine.store.vaults.objects[USDC].copy()
    vaults.spot_vault = 5
    venue._store("vaults", USDC, vaults)
    assert error_of(venue.withdraw("@alice", USDC, 6)) == "TokenInsufficientFunds"
    assert error_of(venue.withdraw("@alice", USDC, 5)) == "SpotMarketVaultInvariantViolated"


# --- what binds ------------------------------------------------------------------------------------------------


def test_insufficient_collateral_says_what_is_short_and_what_passes(venue: MoneyVenue) -> None:
    receipt = venue.withdraw("@alice", SOL, 9 * ONE_SOL)
    assert receipt.refusal is not None and receipt.refusal.error == "InsufficientCollateral"
    assert "1080000001" in receipt.refusal.message and "80000001 short" in receipt.refusal.message
    passing = withdrawable(venue.machine.store, venue.clock, "@alice", SOL)
    assert receipt.refusal.would_pass == f"at most {passing.amount} tokens now"
    assert passing.bound_by == "InsufficientCollateral"
    assert {limit.name for limit in receipt.limits} == {"free_collateral", "margin_requirement"}
    assert error_of(venue.withdraw("@alice", SOL, passing.amount + 1)) == "InsufficientCollateral"
    assert venue.withdraw("@alice", SOL, passing.amount).ok


def test_the_daily_limit_names_the_floor() -> None:
    v = MoneyVenue(guard=0)
    v.open("@alice")
    v.deposit("@alice", USDC, 1_000 * ONE_USDC)
    v.now += 86_400
    v.deposit("@alice", USDC, 1)
    receipt = v.withdraw("@alice", USDC, 600 * ONE_USDC)
    assert receipt.refusal is not None and receipt.refusal.error == "DailyWithdrawLimit"
    floor = receipt.limits[0]
    assert floor.name == "deposit_twap_floor"
    most = 1_000 * ONE_USDC - floor.value  # a unit less of what is scaled leaves, a unit of what is deposited stays
    assert receipt.refusal.would_pass == f"at most {most} tokens now"
    assert error_of(v.withdraw("@alice", USDC, most + 1)) == "DailyWithdrawLimit"
    assert v.withdraw("@alice", USDC, most).ok


def test_the_borrow_ceiling_binds_a_borrower(venue: MoneyVenue) -> None:
    venue.change_market(SOL, withdraw_guard_threshold=ONE_SOL, deposit_token_twap=1_000 * ONE_SOL)
    assert venue.deposit("@alice", USDC, 10**12).ok
    found = withdrawable(venue.machine.store, venue.clock, "@alice", SOL)
    assert found.bound_by == "DailyWithdrawLimit"
    assert [limit.name for limit in found.limits] == ["borrow_twap_ceiling"]
    assert found.amount == 1_000 * ONE_SOL // 6 - 1  # a borrow is rounded up by a unit
    assert venue.withdraw("@alice", SOL, found.amount).ok


def test_what_is_lent_out_cannot_be_withdrawn(venue: MoneyVenue) -> None:
    assert venue.withdraw("@bob", USDC, 900 * ONE_USDC).ok
    receipt = venue.withdraw("@alice", USDC, 1_000 * ONE_USDC)
    assert receipt.refusal is not None and receipt.refusal.error == "SpotMarketInsufficientDeposits"
    assert [(limit.name, limit.value) for limit in receipt.limits] == [("unborrowed_deposits", 100 * ONE_USDC - 1)]
    found = withdrawable(venue.machine.store, venue.clock, "@alice", USDC)
    assert venue.withdraw("@alice", USDC, found.amount).ok


def test_margin_of_an_account(venue: MoneyVenue) -> None:
    assert venue.withdraw("@alice", SOL, ONE_SOL).ok
    found = margin(venue.machine.store, venue.clock, "@alice")
    assert found.initial.total_collateral == 1_000 * ONE_USDC
    assert found.initial.margin_requirement == 120 * ONE_USDC + 1
    assert found.maintenance.margin_requirement == 110 * ONE_USDC + 1
    assert found.initial.free_collateral == 880 * ONE_USDC - 1
    assert found.initial.met and found.initial.num_spot_liabilities == 1


# --- transfer --------------------------------------------------------------------------------------------------


@pytest.fixture
def two(venue: MoneyVenue) -> MoneyVenue:
    """Alice has a second sub-account."""
    venue.ok(InitializeUser(user="@alice/1"), "@alice")
    return venue


def transfer(amount: int, market: int = USDC, source: str = "@alice", target: str = "@alice/1") -> TransferDeposit:
    return TransferDeposit(from_user=source, to_user=target, market_index=market, amount=amount)


def test_a_transfer_moves_no_token_and_rounds_against_the_sender(two: MoneyVenue) -> None:
    vault = two.vault(USDC)
    receipt = two.ok(transfer(10), "@alice")
    assert two.vault(USDC) == vault
    assert two.balance("@alice/1", USDC) == 10_000
    assert two.balance("@alice", USDC) == 1_000 * 10**9 - 10_000 - 1
    first, second = (fields for _, fields in receipt.events)
    assert (first["direction"], second["direction"]) == ("Withdraw", "Deposit")
    assert {first["explanation"], second["explanation"]} == {"Transfer"}
    assert first["transfer_user"] == second["user"] and second["transfer_user"] == first["user"]
    assert second["deposit_record_id"] == first["deposit_record_id"] + 1


def test_refused_transfers(two: MoneyVenue) -> None:
    assert two.refused(transfer(1, target="@alice/0"), "@alice") == "UnableToLoadAccountLoader"
    assert two.refused(transfer(1, target="@bob"), "@alice") == "Unauthorized"
    assert two.refused(transfer(1, market=SOL), "@alice") == "CouldNotFindSpotPosition"
    assert two.refused(transfer(1_001 * ONE_USDC), "@alice") == "SpotMarketInsufficientDeposits"
    two.deposit("@carol", USDC, 1_000 * ONE_USDC)
    assert two.refused(transfer(1_001 * ONE_USDC), "@alice") == "InsufficientCollateral"
    two.change_user("@alice/1", status=USER_BANKRUPT)
    assert two.refused(transfer(1), "@alice") == "UserBankrupt"


def test_a_transfer_of_nothing_is_not_refused(two: MoneyVenue) -> None:
    assert len(two.ok(transfer(0), "@alice").events) == 2


def test_the_receiver_stays_in_liquidation_the_sender_does_not(two: MoneyVenue) -> None:
    two.change_user("@alice", status=USER_BEING_LIQUIDATED)
    two.change_user("@alice/1", status=USER_BEING_LIQUIDATED)
    two.ok(transfer(1), "@alice")
    assert (two.user("@alice").status, two.user("@alice/1").status) == (0, USER_BEING_LIQUIDATED)


# --- revenue pool ----------------------------------------------------------------------------------------------


def donate(amount: int) -> DepositIntoSpotMarketRevenuePool:
    return DepositIntoSpotMarketRevenuePool(authority="@carol", market_index=USDC, amount=amount)


def test_anyone_may_feed_the_revenue_pool(venue: MoneyVenue) -> None:
    receipt = venue.ok(donate(7), "@carol")
    assert receipt.transfers == [Transfer(USDC, "spot_market.0.revenue_pool", 7)]
    assert venue.refused(donate(7), "@bob") == "Unauthorized"
    assert venue.refused(donate(0), "@carol") == "InsufficientDeposit"
    venue.change_market(USDC, max_token_deposits=1_000 * ONE_USDC)
    assert venue.refused(donate(7), "@carol") == "MaxDeposit"


@pytest.mark.parametrize("changes", [{"status": STATUS_SETTLEMENT}, {"status": STATUS_DELISTED}, {"expiry_ts": START}])
def test_no_revenue_for_a_market_in_settlement(venue: MoneyVenue, changes: dict[str, int]) -> None:
    venue.change_market(USDC, **changes)
    assert venue.refused(donate(7), "@carol") == "DefaultError"


# --- swap ------------------------------------------------------------------------------------------------------


def swap(amount_in: int, amount_out: int, market_in: int = USDC, market_out: int = SOL) -> Swap:
    return Swap(
        user="@alice", in_market_index=market_in, out_market_index=market_out, amount_in=amount_in,
        amount_out=amount_out,
    )  # fmt: skip


@pytest.mark.parametrize("rulebook", ["drift", "velocity"])
def test_regr_a_swap_of_two_new_tokens_takes_two_slots(rulebook: str) -> None:
    """Somebody who holds neither token borrows one and swaps it for the other: the free slot that the debt takes is not
    given to the deposit as well."""
    venue = MoneyVenue(rulebook=rulebook)
    venue.open("@alice", "@bob")
    venue.deposit("@bob", ETH, 10 * ONE_ETH)
    venue.deposit("@alice", USDC, 10_000 * ONE_USDC)
    assert venue.do(swap(ONE_ETH, 20 * ONE_SOL, ETH, SOL), "@alice").ok
    assert venue.balance("@alice", ETH) < 0 < venue.balance("@alice", SOL)
    assert check_state(venue.machine.store).findings == []


def test_a_swap_moves_both_vaults(venue: MoneyVenue) -> None:
    before = venue.vault(USDC), venue.vault(SOL)
    receipt = venue.ok(swap(100 * ONE_USDC, ONE_SOL), "@alice")
    assert (venue.vault(USDC), venue.vault(SOL)) == (before[0] - 100 * ONE_USDC, before[1] + ONE_SOL)
    assert venue.balance("@alice", SOL) == ONE_SOL
    assert venue.balance("@alice", USDC) == 900 * 10**9 - 1
    event, fields = receipt.events[-1]
    assert event == "SwapRecord"
    assert (fields["amount_in"], fields["amount_out"], fields["fee"]) == (100 * ONE_USDC, ONE_SOL, 0)
    assert (fields["in_oracle_price"], fields["out_oracle_price"]) == (1_000_000, 100_000_000)


def test_a_swap_may_borrow_what_it_sells_within_margin(venue: MoneyVenue) -> None:
    assert venue.ok(swap(ONE_SOL, 100 * ONE_USDC, SOL, USDC), "@alice")
    assert venue.position("@alice", SOL).balance_type == BORROW
    receipt = venue.do(swap(100 * ONE_SOL, 1, SOL, USDC), "@alice")
    assert receipt.refusal is not None and receipt.refusal.error == "InsufficientCollateral"
    assert "short" in receipt.refusal.message and receipt.limits[0].name == "margin_requirement"


def test_refused_swaps(venue: MoneyVenue) -> None:
    assert venue.refused(swap(1, 1, USDC, USDC), "@alice") == "InvalidSwap"
    assert venue.refused(swap(0, 1), "@alice") == "InvalidSwap"
    assert venue.refused(swap(1, 0), "@alice") == "InvalidSwap"
    assert venue.refused(swap(1, 1), "@bob") == "Unauthorized"
    venue.change_market(SOL, status=STATUS_REDUCE_ONLY)
    assert venue.refused(swap(100, 100), "@alice") == "MarketActionPaused"
    assert venue.refused(swap(100, 100, SOL, USDC), "@alice") == "ReduceOnlyWithdrawIncreasedRisk"
    venue.change_market(SOL, status=STATUS_ACTIVE, max_token_deposits=1_000 * ONE_SOL)
    assert venue.refused(swap(100, 100), "@alice") == "MaxDeposit"
    venue.change_market(SOL, paused_operations=SPOT_FILL)
    assert venue.refused(swap(100, 100), "@alice") == "MarketFillOrderPaused"
    pause(venue, EXCHANGE_FILL_PAUSED)
    assert venue.refused(swap(100, 100), "@alice") == "ExchangePaused"


def test_an_account_in_liquidation_does_not_swap(venue: MoneyVenue) -> None:
    assert venue.withdraw("@alice", SOL, 8 * ONE_SOL).ok
    venue.post("SOL", 130_000_000)
    venue.change_user("@alice", status=USER_BEING_LIQUIDATED)
    assert venue.refused(swap(1, ONE_SOL), "@alice") == "UserIsBeingLiquidated"


# --- settings --------------------------------------------------------------------------------------------------


def test_settings(venue: MoneyVenue) -> None:
    venue.ok(UpdateUserName(user="@alice", name="main"), "@alice")
    venue.ok(UpdateUserCustomMarginRatio(user="@alice", margin_ratio=2**32 - 1), "@alice")
    venue.ok(UpdateUserMarginTradingEnabled(user="@alice", margin_trading_enabled=True), "@alice")
    venue.ok(UpdateUserReduceOnly(user="@alice", reduce_only=True), "@alice")
    user = venue.user("@alice")
    assert (user.name, user.max_margin_ratio, user.is_margin_trading_enabled) == ("main", 2**32 - 1, True)
    assert user.status == 4
    venue.ok(UpdateUserReduceOnly(user="@alice", reduce_only=False), "@alice")
    assert venue.user("@alice").status == 0
    assert venue.refused(UpdateUserName(user="@alice", name="x"), ADMIN) == "Unauthorized"
    assert venue.refused(UpdateUserName(user="@alice", name="x" * 33), "@alice") == "CastingFailure"


def test_settings_that_are_refused(venue: MoneyVenue) -> None:
    user = venue.user("@alice")
    user.spot_positions[1].market_index = SOL
    user.spot_positions[1].open_orders, user.spot_positions[1].open_asks = 1, -1
    user.is_margin_trading_enabled = True
    venue.change_user("@alice", spot_positions=user.spot_positions, is_margin_trading_enabled=True)
    disable = UpdateUserMarginTradingEnabled(user="@alice", margin_trading_enabled=False)
    assert venue.refused(disable, "@alice") == "MarginOrdersOpen"
    for status in (USER_BEING_LIQUIDATED, USER_BANKRUPT):
        venue.change_user("@alice", status=status)
        assert venue.refused(UpdateUserReduceOnly(user="@alice", reduce_only=True), "@alice") == "LiquidationsOngoing"


def test_only_an_empty_account_can_be_deleted(two: MoneyVenue) -> None:
    assert two.refused(DeleteUser(user="@alice"), "@alice") == "UserCantBeDeleted"
    assert two.refused(DeleteUser(user="@alice/1"), "@bob") == "Unauthorized"
    accounts = two.machine.store.state.objects[0].number_of_sub_accounts
    two.ok(DeleteUser(user="@alice/1"), "@alice")
    assert two.machine.store.state.objects[0].number_of_sub_accounts == accounts - 1
    assert error_of(two.deposit("@alice/1", USDC, 1)) == "UserNotFound"
    assert two.refused(transfer(1), "@alice") == "UserNotFound"
    assert two.refused(InitializeUser(user="@alice/1"), "@alice") == ErrorCode.AccountAlreadyInUse.name
    two.ok(InitializeUser(user="@alice/2"), "@alice")


def test_an_account_with_a_borrow_or_in_liquidation_cannot_be_deleted(venue: MoneyVenue) -> None:
    venue.change_user("@carol", status=USER_BEING_LIQUIDATED)
    assert venue.refused(DeleteUser(user="@carol"), "@carol") == "UserCantBeDeleted"
    venue.change_user("@carol", status=0)
    venue.deposit("@carol", ETH, ONE_ETH)
    venue.withdraw("@carol", USDC, 1)
    venue.withdraw("@carol", ETH, ONE_ETH // 2)
    assert venue.refused(DeleteUser(user="@carol"), "@carol") == "UserCantBeDeleted"


def test_no_claim_without_a_token(venue: MoneyVenue) -> None:
    assert min(surplus(venue.machine.store)) >= 0
