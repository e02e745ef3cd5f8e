"""Deposits, withdrawals, transfers and swaps on a velocity venue, its limits, their setters (velocity/balances.md)."""

from typing import Any

import pytest
from support.money import ADMIN, ETH, ONE_SOL, ONE_USDC, RATES, SOL, USDC, WEIGHTS, MoneyVenue
from support.trading import TradingVenue

from seawall.engine.queries.margin import withdrawable
from seawall.engine.receipts import Receipt
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.administration import (
    UpdateSpotMarketIfFactor,
    UpdateSpotMarketStatus,
    UpdateWithdrawGuardThreshold,
)
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import (
    Deposit,
    DepositIntoSpotMarketRevenuePool,
    DepositIntoSpotMarketVault,
    PauseSpotMarketDepositWithdraw,
    Swap,
    TransferDeposit,
    Withdraw,
)
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.markets import InitializeSpotMarket
from seawall.instructions.perp_fills import ReservePerpOrder
from seawall.instructions.roles import UpdateHotAdmin, UpdateWarmAdmin
from seawall.instructions.spot_parameters import (
    UpdateSpotMarketDepositCap,
    UpdateSpotMarketMaxTokenBorrows,
    UpdateSpotMarketPoolId,
    UpdateSpotMarketWithdrawCircuitBreaker,
)
from seawall.instructions.user_settings import UpdateUserDelegate, UpdateUserPoolId
from seawall.instructions.venue_setup import InitializeUser
from seawall.keys import key_from_text, key_to_text
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.vaults import validate_spot_balances, validate_spot_market_vault_amount
from seawall.rules.common.withdraw_limits import check_withdraw_limits_of_market, max_borrow_by_twap
from seawall.rules.velocity.deposit_limits import validate_deposit_cap_after_increase
from seawall.rules.velocity.interest_age import max_spot_interest_staleness_for_margin
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    EXCHANGE_DEPOSIT_PAUSED,
    POSITION_BEING_LIQUIDATED,
    POSITION_ISOLATED,
    RULEBOOK_VELOCITY,
    STATUS_ACTIVE,
    STATUS_DELISTED,
    STATUS_INITIALIZED,
    STATUS_REDUCE_ONLY,
    STATUS_SETTLEMENT,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
    VELOCITY_SPOT_DEPOSIT,
    VELOCITY_SPOT_WITHDRAW,
)
from seawall.state.spot_market import PoolBalance, SpotMarket
from seawall.state.user import SpotPosition

DAY = 86_400


@pytest.fixture
def venue() -> MoneyVenue:
    """Alice with 1,000 USDC, Bob with 1,000 SOL, Carol with nothing."""
    v = MoneyVenue(rulebook="velocity")
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


# --- deposit ---------------------------------------------------------------------------------------------------------


def test_a_deposit_tells_who_signed_and_what_is_held_then(venue: MoneyVenue) -> None:
    receipt = venue.deposit("@carol", SOL, 3 * ONE_SOL)
    ((event, fields),) = receipt.events
    assert event == "DepositRecord"
    assert fields["user_token_amount_after"] == 3 * ONE_SOL and fields["signer"] is None
    delegate = key_to_text(key_from_text("@dave"))
    venue.ok(UpdateUserDelegate(user="@carol", delegate="@dave"), "@carol")
    receipt = venue.ok(Deposit(user="@carol", market_index=SOL, amount=1), "@dave")
    assert receipt.events[0][1]["signer"] == delegate


@pytest.mark.parametrize(
    ("market", "user", "bits", "amount", "error"),
    [
        ({}, {}, EXCHANGE_DEPOSIT_PAUSED, 1, "ExchangePaused"),
        ({}, {}, 0, 0, "InsufficientDeposit"),
        ({}, {"status": USER_BANKRUPT}, 0, 1, "UserBankrupt"),
        ({"pool_id": 1}, {}, 0, 1, "InvalidPoolId"),
        ({}, {"pool_id": 1}, 0, 1, "InvalidPoolId"),
        ({"status": STATUS_INITIALIZED}, {}, 0, 1, "MarketBeingInitialized"),
        ({"paused_operations": VELOCITY_SPOT_DEPOSIT}, {}, 0, 1, "MarketActionPaused"),
        ({"status": STATUS_REDUCE_ONLY}, {}, 0, 1, "MarketActionPaused"),
        ({"max_token_deposits": 1_000 * ONE_SOL}, {}, 0, 1, "MaxDeposit"),
    ],
)
def test_refused_deposits(
    venue: MoneyVenue, market: dict[str, int], user: dict[str, int], bits: int, amount: int, error: str
) -> None:
    venue.change_market(SOL, **market)
    venue.change_user("@carol", **user)
    pause(venue, bits)
    assert error_of(venue.deposit("@carol", SOL, amount)) == error


def test_pools_that_match(venue: MoneyVenue) -> None:
    venue.change_market(SOL, pool_id=1)
    venue.change_user("@carol", pool_id=1)
    assert venue.deposit("@carol", SOL, 1).ok


def test_a_deposit_does_not_mind_the_borrow_cap(venue: MoneyVenue) -> None:
    """Unlike Drift's. Who borrows beyond the cap meets it among the withdraw limits, before ``MaxBorrows``."""
    assert venue.withdraw("@alice", SOL, 2 * ONE_SOL).ok
    venue.change_market(SOL, max_token_deposits=2_000 * ONE_SOL, max_token_borrows_fraction=1)
    assert venue.deposit("@carol", SOL, ONE_SOL).ok
    assert error_of(venue.withdraw("@alice", SOL, ONE_SOL)) == "DailyWithdrawLimit"


def test_a_deposit_frees_cross_margin_and_no_isolated_position() -> None:
    venue = TradingVenue(rulebook="velocity", isolated_positions=True)
    venue.open("@carol")
    carol = venue.user("@carol")
    carol.status = USER_BEING_LIQUIDATED
    carol.perp_positions[0].position_flag = POSITION_ISOLATED | POSITION_BEING_LIQUIDATED
    venue.change_user("@carol", status=carol.status, perp_positions=carol.perp_positions)
    assert venue.deposit("@carol", USDC, ONE_USDC).ok
    assert venue.user("@carol").status == 0
    assert venue.user("@carol").perp_positions[0].position_flag & POSITION_BEING_LIQUIDATED


# --- the daily deposit limit -----------------------------------------------------------------------------------------


@pytest.fixture
def limited(venue: MoneyVenue) -> MoneyVenue:
    """The day's averages stand at 1,000 SOL, deposits may rise a tenth above."""
    venue.now += DAY
    venue.post("SOL", 100_000_000)
    assert venue.deposit("@bob", SOL, 1).ok
    venue.ok(UpdateSpotMarketDepositCap(market_index=SOL, max_deposit_bps_per_day=1_000, deposit_guard_threshold=0))
    return venue


def test_deposits_stop_at_the_daily_limit_and_say_so(limited: MoneyVenue) -> None:
    market = limited.market(SOL)
    room = market.deposit_token_twap * 11 // 10 - get_token_amount(market.deposit_balance, market, DEPOSIT)
    receipt = limited.deposit("@carol", SOL, room + 1)
    assert error_of(receipt) == "DailyDepositLimit"
    assert receipt.refusal is not None and "at least 1 tokens less now" in str(receipt.refusal.would_pass)
    assert limited.deposit("@carol", SOL, room).ok
    # a guard admits more, and the limit can be switched off
    assert error_of(limited.deposit("@carol", SOL, 1)) == "DailyDepositLimit"
    limited.ok(UpdateSpotMarketDepositCap(market_index=SOL, max_deposit_bps_per_day=1, deposit_guard_threshold=10**15))
    assert limited.deposit("@carol", SOL, 1).ok
    limited.ok(UpdateSpotMarketDepositCap(market_index=SOL, max_deposit_bps_per_day=0, deposit_guard_threshold=0))
    assert limited.deposit("@carol", SOL, 1).ok


def test_a_repayment_is_never_refused_by_the_daily_limit(limited: MoneyVenue) -> None:
    assert limited.withdraw("@alice", SOL, 2 * ONE_SOL).ok
    limited.change_market(SOL, max_deposit_bps_per_day=1, deposit_token_twap=0)
    assert limited.deposit("@alice", SOL, ONE_SOL).ok
    assert error_of(limited.deposit("@alice", SOL, 2 * ONE_SOL)) == "DailyDepositLimit"


def test_a_swap_is_held_to_the_daily_limit(limited: MoneyVenue) -> None:
    swap = Swap(user="@alice", in_market_index=USDC, out_market_index=SOL, amount_in=ONE_USDC, amount_out=200 * ONE_SOL)
    receipt = limited.do(swap, "@alice")
    assert error_of(receipt) == "DailyDepositLimit"


def test_only_growth_counts() -> None:
    market = SpotMarket(
        rulebook=RULEBOOK_VELOCITY, decimals=9, cumulative_deposit_interest=10**10, deposit_balance=1_000,
        max_deposit_bps_per_day=1,
    )  # fmt: skip
    validate_deposit_cap_after_increase(market, 1_000)
    with pytest.raises(SettlementError):
        validate_deposit_cap_after_increase(market, 999)


# --- withdraw --------------------------------------------------------------------------------------------------------


def test_a_withdrawal_opens_its_position_and_charges_no_fee(venue: MoneyVenue) -> None:
    venue.change_user("@alice", total_withdraws=10**14, last_active_slot=0)
    receipt = venue.withdraw("@alice", ETH, 0)
    assert receipt.ok
    assert venue.deposit("@bob", ETH, 10**10).ok
    receipt = venue.withdraw("@alice", ETH, 1_000)
    assert receipt.ok and receipt.limits == []
    assert venue.position("@alice", ETH).cumulative_deposits == -1_000


@pytest.mark.parametrize(
    ("market", "user", "amount", "error"),
    [
        ({"pool_id": 1}, {}, 1, "InvalidPoolId"),
        ({"paused_operations": VELOCITY_SPOT_WITHDRAW}, {}, 1, "MarketWithdrawPaused"),
        ({"status": STATUS_INITIALIZED}, {}, 1, "MarketWithdrawPaused"),
        ({"max_token_deposits": ONE_SOL}, {}, 1, "MaxDeposit"),  # a market above its cap pays nothing either
    ],
)
def test_refused_withdrawals(
    venue: MoneyVenue, market: dict[str, int], user: dict[str, int], amount: int, error: str
) -> None:
    venue.change_market(SOL, **market)
    venue.change_user("@bob", **user)
    assert error_of(venue.withdraw("@bob", SOL, amount)) == error


def test_an_old_pause_bit_means_deposits_now(venue: MoneyVenue) -> None:
    """Bit 4 stops withdrawals under Drift and deposits under Velocity."""
    venue.change_market(SOL, paused_operations=4)
    assert venue.withdraw("@bob", SOL, 1).ok
    assert error_of(venue.deposit("@bob", SOL, 1)) == "MarketActionPaused"


def test_margin_does_not_see_the_averages_that_the_withdrawal_itself_moves(venue: MoneyVenue) -> None:
    """The price fell long ago; the stored average did not follow. The margin check still has the old, higher average
    for what Bob would owe, though the withdrawal stores the new one."""
    assert venue.deposit("@bob", USDC, 1).ok
    assert venue.deposit("@alice", ETH, 0).refusal is not None
    venue.now += DAY
    venue.post("SOL", 50_000_000)
    # at 50 a SOL 1,000 USDC would bear 16.6 SOL of debt, at the old average of 100 only 8.3
    assert withdrawable(venue.machine.store, venue.clock, "@alice", SOL).amount < 9 * ONE_SOL
    assert error_of(venue.withdraw("@alice", SOL, 9 * ONE_SOL)) == "InsufficientCollateral"
    assert venue.withdraw("@alice", SOL, 8 * ONE_SOL).ok
    history = venue.market(SOL).historical_oracle_data
    assert history.last_oracle_price_twap_5min < 100_000_000  # what it hid is stored
    assert history.last_oracle_price == 50_000_000


def test_the_promise_holds_with_hidden_averages(venue: MoneyVenue) -> None:
    venue.now += DAY
    venue.post("SOL", 50_000_000)
    promise = withdrawable(venue.machine.store, venue.clock, "@alice", SOL)
    assert error_of(venue.withdraw("@alice", SOL, promise.amount + 1)) == promise.bound_by
    assert venue.withdraw("@alice", SOL, promise.amount).ok


def test_a_withdrawal_ends_the_liquidation_of_cross_margin(venue: MoneyVenue) -> None:
    venue.change_user("@bob", status=USER_BEING_LIQUIDATED)
    assert venue.withdraw("@bob", SOL, 1).ok
    assert venue.user("@bob").status == 0


def test_reduce_only_pays_the_deposit_and_no_more(venue: MoneyVenue) -> None:
    receipt = venue.withdraw("@alice", USDC, 5_000 * ONE_USDC, reduce_only=True)
    assert receipt.events[0][1]["amount"] == 1_000 * ONE_USDC


def test_small_depositors_together_take_one_guard_at_most() -> None:
    """Each is small enough to leave past the limit, but only until a guard threshold is gone."""
    v = MoneyVenue(guard=100 * ONE_SOL, rulebook="velocity")
    v.open("@whale")
    assert v.deposit("@whale", SOL, 1_000 * ONE_SOL).ok
    names = [f"@small{i}" for i in range(14)]
    v.open(*names)
    for name in names:
        assert v.deposit(name, SOL, 9 * ONE_SOL).ok
    v.now += DAY
    assert v.deposit("@whale", SOL, 1).ok
    v.change_market(SOL, deposit_token_twap=1_126 * ONE_SOL * 4 // 3, optimal_utilization=1)
    paid = sum(v.withdraw(name, SOL, 9 * ONE_SOL).ok for name in names)
    assert paid == 100 // 9


def test_a_market_above_its_cap_says_which_withdrawal_would_pass(venue: MoneyVenue) -> None:
    venue.change_market(SOL, max_token_deposits=990 * ONE_SOL)
    receipt = venue.withdraw("@bob", SOL, ONE_SOL)
    assert receipt.refusal is not None and receipt.refusal.error == "MaxDeposit"
    # a withdrawal rounds a unit up, so that one token less is enough
    assert receipt.refusal.would_pass.startswith(f"a withdrawal of {9 * ONE_SOL - 1} tokens more")
    assert error_of(venue.withdraw("@bob", SOL, 10 * ONE_SOL - 2)) == "MaxDeposit"
    assert venue.withdraw("@bob", SOL, 10 * ONE_SOL - 1).ok
    refused = venue.do(DepositIntoSpotMarketVault(market_index=SOL, amount=ONE_SOL))
    assert refused.refusal is not None and f"may hold {990 * ONE_SOL} tokens" in refused.refusal.message


# --- transfer, swap --------------------------------------------------------------------------------------------------


def test_a_transfer_stays_within_one_pool(venue: MoneyVenue) -> None:
    venue.ok(InitializeUser(user="@alice/1"), "@alice")
    move = TransferDeposit(from_user="@alice", to_user="@alice/1", market_index=USDC, amount=ONE_USDC)
    venue.ok(move, "@alice")
    venue.change_user("@alice/1", pool_id=1)
    assert venue.refused(move, "@alice") == "InvalidPoolId"
    venue.change_user("@alice", pool_id=1)
    assert venue.refused(move, "@alice") == "InvalidPoolId"


def test_a_transfer_may_borrow_what_the_sender_never_held(venue: MoneyVenue) -> None:
    venue.ok(InitializeUser(user="@alice/1"), "@alice")
    venue.ok(TransferDeposit(from_user="@alice", to_user="@alice/1", market_index=SOL, amount=ONE_SOL), "@alice")
    assert venue.balance("@alice", SOL) < 0 < venue.balance("@alice/1", SOL)


@pytest.mark.parametrize(
    ("market", "error"),
    [
        ({"paused_operations": VELOCITY_SPOT_DEPOSIT}, "MarketActionPaused"),
        ({"pool_id": 1}, "InvalidPoolId"),
        ({"max_token_deposits": 1}, "MaxDeposit"),
        ({}, ""),
    ],
)
def test_swaps(venue: MoneyVenue, market: dict[str, int], error: str) -> None:
    venue.change_market(SOL, **market)
    swap = Swap(user="@alice", in_market_index=USDC, out_market_index=SOL, amount_in=100 * ONE_USDC, amount_out=ONE_SOL)
    receipt = venue.do(swap, "@alice")
    assert receipt.ok if not error else error_of(receipt) == error


# --- gifts -----------------------------------------------------------------------------------------------------------


def test_the_revenue_pool_gets_its_gift_after_interest(venue: MoneyVenue) -> None:
    assert venue.withdraw("@alice", SOL, 2 * ONE_SOL).ok
    venue.now += DAY * 365
    gift = DepositIntoSpotMarketRevenuePool(authority="@carol", market_index=SOL, amount=ONE_SOL)
    receipt = venue.ok(gift, "@carol")
    assert [event for event, _ in receipt.events] == ["SpotInterestRecord"]
    market = venue.market(SOL)
    assert get_token_amount(market.revenue_pool.scaled_balance, market, DEPOSIT) == ONE_SOL - 1
    for fields, error in (
        ({"paused_operations": VELOCITY_SPOT_DEPOSIT}, "MarketActionPaused"),
        ({"paused_operations": 0, "status": STATUS_SETTLEMENT}, "DefaultError"),
    ):
        venue.change_market(SOL, **fields)
        assert venue.refused(gift, "@carol") == error


def test_a_gift_to_all_depositors_raises_the_index(venue: MoneyVenue) -> None:
    assert venue.deposit("@carol", SOL, 3_000 * ONE_SOL).ok
    receipt = venue.ok(DepositIntoSpotMarketVault(market_index=SOL, amount=400 * ONE_SOL))
    ((event, fields),) = receipt.events
    assert event == "SpotMarketVaultDepositRecord"
    assert fields["cumulative_deposit_interest_before"] == 10**10
    assert fields["cumulative_deposit_interest_after"] == venue.market(SOL).cumulative_deposit_interest == 11 * 10**9
    assert fields["deposit_token_amount_before"] == 4_000 * ONE_SOL and fields["amount"] == 400 * ONE_SOL
    assert venue.withdraw("@bob", SOL, 1_100 * ONE_SOL, reduce_only=True).ok
    assert venue.balance("@bob", SOL) == 0


def test_who_may_give_and_what_counts_for_nothing(venue: MoneyVenue) -> None:
    gift = DepositIntoSpotMarketVault(market_index=SOL, amount=ONE_SOL)
    assert venue.refused(gift, "@carol") == "Unauthorized"
    venue.ok(UpdateHotAdmin(role="VaultDeposit", key="@carol"))
    venue.ok(gift, "@carol")
    assert venue.refused(DepositIntoSpotMarketVault(market_index=SOL, amount=0)) == "DefaultError"
    assert venue.refused(DepositIntoSpotMarketVault(market_index=SOL, amount=1)) == "DefaultError"  # below the index
    assert venue.refused(DepositIntoSpotMarketVault(market_index=ETH, amount=1)) == "MathError"  # nobody to give to
    venue.change_market(SOL, paused_operations=VELOCITY_SPOT_DEPOSIT)
    assert venue.refused(gift) == "DefaultError"
    pause(venue, EXCHANGE_DEPOSIT_PAUSED)
    assert venue.refused(gift) == "ExchangePaused"


# --- vault -----------------------------------------------------------------------------------------------------------


def test_anyone_may_pause_a_market_whose_vault_falls_short(venue: MoneyVenue) -> None:
    stop = PauseSpotMarketDepositWithdraw(market_index=SOL)
    assert venue.refused(stop, "@anybody") == "DefaultError"
    vaults = venue.machine.store.vaults.objects[SOL].copy()
    vaults.spot_vault -= 1
    venue._store("vaults", SOL, vaults)
    venue.ok(stop, "@anybody")
    assert venue.market(SOL).paused_operations == VELOCITY_SPOT_DEPOSIT | VELOCITY_SPOT_WITHDRAW


def lending(**fields: Any) -> SpotMarket:
    """100 tokens deposited at an index of 1, 40 of them lent out."""
    return SpotMarket(
        **{
            "rulebook": RULEBOOK_VELOCITY,
            "decimals": 9,
            "cumulative_deposit_interest": 10**10,
            "cumulative_borrow_interest": 10**10,
            "deposit_balance": 100,
            "borrow_balance": 40,
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ({}, True),
        ({"revenue_pool": 60, "protocol_fee_pool": 40}, True),
        ({"revenue_pool": 60, "protocol_fee_pool": 41}, False),  # together more than all deposits
        ({"insurance_fund_revenue_receivable_scaled": 60}, True),
        ({"insurance_fund_revenue_receivable_scaled": 61}, False),  # some of it is lent out
        ({"revenue_pool": 50, "insurance_fund_revenue_receivable_scaled": 51}, False),
        ({"borrow_balance": 100}, True),
        ({"borrow_balance": 101}, False),  # a negative claim, though nothing is owed to insurance
    ],
)
def test_the_pools_and_the_receivable_fit_into_deposits(fields: dict[str, int], passes: bool) -> None:
    pools = {k: PoolBalance(scaled_balance=v) if k.endswith("pool") else v for k, v in fields.items()}
    market = lending(**pools)
    if passes:
        claim = validate_spot_balances(market)
        assert validate_spot_market_vault_amount(market, claim) == claim
        with pytest.raises(SettlementError):
            validate_spot_market_vault_amount(market, claim - 1)
    else:
        with pytest.raises(SettlementError) as caught:
            validate_spot_balances(market)
        assert caught.value.code == ErrorCode.SpotMarketVaultInvariantViolated


@pytest.mark.parametrize(
    ("fields", "ceiling"),
    [
        ({}, 333),  # a third
        ({"borrow_token_twap": 300}, 500),  # the average plus a fifth
        ({"borrow_token_twap": 10**6}, 1_000 - 71),  # thirteen fourteenths
        ({"pool_id": 1}, 500),
        ({"pool_id": 1, "borrow_token_twap": 300}, 633),
        ({"pool_id": 1, "borrow_token_twap": 10**6}, 950),
        ({"withdraw_guard_threshold": 2_000}, 2_000),
        ({"max_token_deposits": 1_000, "max_token_borrows_fraction": 1_000}, 100),
        ({"withdraw_guard_threshold": 2_000, "max_token_borrows_fraction": 1_000}, 0),  # no deposit cap, no borrows
    ],
)
def test_the_ceiling_of_borrows(fields: dict[str, int], ceiling: int) -> None:
    assert max_borrow_by_twap(lending(deposit_token_twap=1_000, **fields), 1_000) == ceiling


def test_limits_without_an_account() -> None:
    market = lending(deposit_token_twap=100, borrow_token_twap=40, utilization_twap=900_000)
    check_withdraw_limits_of_market(market)
    market.deposit_balance = 74
    with pytest.raises(SettlementError) as caught:
        check_withdraw_limits_of_market(market)
    assert caught.value.code == ErrorCode.DailyWithdrawLimit


# --- setters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instruction", "error"),
    [
        (UpdateSpotMarketIfFactor(spot_market_index=SOL, if_fee_factor=500_000, protocol_fee_factor=499_999), ""),
        (
            UpdateSpotMarketIfFactor(spot_market_index=SOL, if_fee_factor=500_000, protocol_fee_factor=500_000),
            "DefaultError",
        ),
        (
            UpdateSpotMarketIfFactor(spot_market_index=SOL, user_if_factor=0, total_if_factor=0),
            "InvalidInstruction",
        ),
        (UpdateWithdrawGuardThreshold(market_index=SOL, withdraw_guard_threshold=100 * ONE_SOL), ""),
        (
            UpdateWithdrawGuardThreshold(market_index=SOL, withdraw_guard_threshold=101 * ONE_SOL),
            "WithdrawGuardThresholdNotionalTooLarge",
        ),
        (UpdateSpotMarketWithdrawCircuitBreaker(market_index=SOL, withdraw_circuit_breaker_bps=10_000), ""),
        (UpdateSpotMarketWithdrawCircuitBreaker(market_index=SOL, withdraw_circuit_breaker_bps=10_001), "DefaultError"),
        (UpdateSpotMarketMaxTokenBorrows(market_index=SOL, max_token_borrows_fraction=0), ""),
    ],
)
def test_setters(venue: MoneyVenue, instruction: Instruction, error: str) -> None:
    receipt = venue.do(instruction)
    assert receipt.ok if not error else error_of(receipt) == error
    assert error_of(venue.do(instruction, "@carol")) in ("Unauthorized", "UnsupportedInstruction")


def test_the_guard_is_judged_at_the_higher_of_price_and_average(venue: MoneyVenue) -> None:
    venue.post("SOL", 50_000_000)
    over = UpdateWithdrawGuardThreshold(market_index=SOL, withdraw_guard_threshold=101 * ONE_SOL)
    assert venue.refused(over) == "WithdrawGuardThresholdNotionalTooLarge"
    venue.post("SOL", 200_000_000)
    half = UpdateWithdrawGuardThreshold(market_index=SOL, withdraw_guard_threshold=51 * ONE_SOL)
    assert venue.refused(half) == "WithdrawGuardThresholdNotionalTooLarge"


def test_only_the_cold_key_loosens_the_breaker(venue: MoneyVenue) -> None:
    venue.ok(UpdateWarmAdmin(warm_admin="@warm"))
    for bps, error in ((2_500, ""), (2_501, "Unauthorized")):
        receipt = venue.do(
            UpdateSpotMarketWithdrawCircuitBreaker(market_index=SOL, withdraw_circuit_breaker_bps=bps), "@warm"
        )
        assert receipt.ok if not error else error_of(receipt) == error
    venue.ok(UpdateSpotMarketWithdrawCircuitBreaker(market_index=SOL, withdraw_circuit_breaker_bps=2_501), ADMIN)


def test_a_borrow_cap_below_what_is_lent_out_is_refused(venue: MoneyVenue) -> None:
    assert venue.withdraw("@alice", SOL, 2 * ONE_SOL).ok
    venue.change_market(SOL, max_token_deposits=2_000 * ONE_SOL)
    for fraction, error in ((0, "InvalidSpotMarketInitialization"), (10, "InvalidSpotMarketInitialization"), (11, "")):
        receipt = venue.do(UpdateSpotMarketMaxTokenBorrows(market_index=SOL, max_token_borrows_fraction=fraction))
        assert receipt.ok if not error else error_of(receipt) == error
    assert venue.market(SOL).max_token_borrows_fraction == 11


def test_factors_hold_for_the_time_before_too(venue: MoneyVenue) -> None:
    """Setting them does not accrue: the whole span since the last accrual is carved up anew."""
    assert venue.withdraw("@alice", SOL, 2 * ONE_SOL).ok
    venue.now += DAY * 365
    venue.ok(UpdateSpotMarketIfFactor(spot_market_index=SOL, if_fee_factor=0, protocol_fee_factor=999_999))
    assert venue.deposit("@bob", SOL, 1).ok
    assert venue.market(SOL).protocol_fee_pool.scaled_balance > 0 == venue.market(SOL).revenue_pool.scaled_balance


# --- markets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("decimals", "error"), [(4, "InvalidSpotMarketInitialization"), (5, ""), (19, "")])
def test_tokens_of_five_decimals(venue: MoneyVenue, decimals: int, error: str) -> None:
    receipt = venue.do(InitializeSpotMarket(name="coarse", oracle="SOL", decimals=decimals, **WEIGHTS, **RATES))
    assert receipt.ok if not error else error_of(receipt) == error
    if not error:
        assert venue.deposit("@bob", 3, 10**5).ok
        assert venue.withdraw("@bob", 3, 10**5, reduce_only=True).ok


# --- found by review -------------------------------------------------------------------------------------------------


@pytest.fixture
def owing(venue: MoneyVenue) -> MoneyVenue:
    """Alice, who has a second account, owes 2 SOL whose interest nobody accrued for two hours."""
    venue.ok(InitializeUser(user="@alice/1"), "@alice")
    assert venue.withdraw("@alice", SOL, 2 * ONE_SOL).ok
    pass_time(venue, 7_200)
    return venue


def pass_time(venue: MoneyVenue, seconds: int) -> None:
    """Time passes, the prices stay."""
    venue.now += seconds
    venue.post("SOL", 100_000_000)
    venue.post("ETH", 2_000_000_000)


LEAVING = (
    Withdraw(user="@alice", market_index=USDC, amount=1),
    TransferDeposit(from_user="@alice", to_user="@alice/1", market_index=USDC, amount=1),
    Swap(user="@alice", in_market_index=USDC, out_market_index=ETH, amount_in=2_000, amount_out=100),
)
"""Ways in which tokens leave Alice's account in another market than the one she owes in."""


@pytest.mark.parametrize("leave", LEAVING, ids=lambda ix: ix.ix)
def test_regr_tokens_leave_only_where_the_interest_of_every_borrow_is_fresh(owing: MoneyVenue, leave: Any) -> None:
    """At 200 % a year a basis point is 1,576 seconds; who owes cranks first, and is told so."""
    receipt = owing.do(leave, "@alice")
    assert error_of(receipt) == "SpotMarketInterestStaleForMargin"
    assert receipt.refusal is not None and "spot market 1" in receipt.refusal.message
    assert [(limit.value, limit.asked) for limit in receipt.limits] == [(1_576, 7_200)]
    owing.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL))
    owing.ok(leave, "@alice")
    pass_time(owing, 1_576)
    owing.ok(leave, "@alice")


def test_regr_old_interest_that_hides_no_token_is_no_obstacle(venue: MoneyVenue) -> None:
    """Two hours on so small a borrow are not worth a token; the market that is withdrawn from accrues itself."""
    assert venue.withdraw("@alice", SOL, 2_000).ok
    pass_time(venue, 7_200)
    assert venue.withdraw("@alice", USDC, 1).ok
    assert venue.withdraw("@alice", SOL, 1).ok


@pytest.mark.parametrize(
    ("rates", "seconds"),
    [((0, 0), 3_600), ((0, 1), 3_600), ((0, 200), 3_153), ((2_000_000, 200), 1_576), ((876_000, 0), 3_600)],
)
def test_how_old_interest_may_be(rates: tuple[int, int], seconds: int) -> None:
    """A basis point of the highest rate that the market may charge, an hour at most."""
    market = lending(max_borrow_rate=rates[0], min_borrow_rate=rates[1])
    assert max_spot_interest_staleness_for_margin(market) == seconds


def test_regr_a_transfer_and_a_swap_judge_by_averages_that_they_did_not_move(venue: MoneyVenue) -> None:
    """As a withdrawal: the debt counts at the higher average until the margin was judged. A swap stores it after."""
    venue.ok(InitializeUser(user="@alice/1"), "@alice")
    venue.now += DAY
    venue.post("SOL", 50_000_000)
    move = TransferDeposit(from_user="@alice", to_user="@alice/1", market_index=SOL, amount=9 * ONE_SOL)
    refused = venue.do(move, "@alice")
    assert error_of(refused) == "InsufficientCollateral"
    largest = int(refused.refusal.would_pass.split()[2])  # type: ignore[union-attr]
    assert 8 * ONE_SOL < largest < 9 * ONE_SOL
    venue.ok(TransferDeposit(from_user="@alice", to_user="@alice/1", market_index=SOL, amount=largest), "@alice")
    assert venue.market(SOL).historical_oracle_data.last_oracle_price_twap_5min == 100_000_000
    swap = Swap(user="@bob", in_market_index=SOL, out_market_index=USDC, amount_in=ONE_SOL, amount_out=50 * ONE_USDC)
    venue.ok(swap, "@bob")
    assert venue.market(SOL).historical_oracle_data.last_oracle_price_twap_5min < 100_000_000


def test_regr_a_transfer_obeys_what_a_withdrawal_and_a_deposit_obey(venue: MoneyVenue) -> None:
    """A market in ReduceOnly gives no more than the deposit, and takes no deposit; the deposit cap counts."""
    venue.open("@dave")
    assert venue.deposit("@dave", SOL, 3_000 * ONE_SOL).ok
    venue.ok(InitializeUser(user="@bob/1"), "@bob")
    move = TransferDeposit(from_user="@bob", to_user="@bob/1", market_index=SOL, amount=2_000 * ONE_SOL)
    venue.change_market(SOL, status=STATUS_REDUCE_ONLY)
    assert venue.refused(move, "@bob") == "MarketActionPaused"
    venue.change_user("@bob/1", spot_positions=borrowing(venue, 1_500 * ONE_SOL))
    receipt = venue.ok(move, "@bob")
    assert {fields["amount"] for event, fields in receipt.events if event == "DepositRecord"} == {1_000 * ONE_SOL}
    back = TransferDeposit(from_user="@bob/1", to_user="@bob", market_index=SOL, amount=1)
    assert venue.refused(back, "@bob") == "ReduceOnlyWithdrawIncreasedRisk"
    venue.change_market(SOL, status=STATUS_ACTIVE)
    capped = TransferDeposit(from_user="@alice", to_user="@alice/1", market_index=USDC, amount=ONE_USDC)
    venue.ok(InitializeUser(user="@alice/1"), "@alice")
    venue.change_market(USDC, max_token_deposits=ONE_USDC)
    assert venue.refused(capped, "@alice") == "MaxDeposit"


def borrowing(venue: MoneyVenue, amount: int) -> list[SpotPosition]:
    """The positions of an account that owes SOL, which the market then lends out too."""
    venue.change_market(SOL, borrow_balance=amount)
    owed = SpotPosition(market_index=SOL, balance_type=BORROW, scaled_balance=amount)
    return [owed] + [SpotPosition() for _ in range(7)]


def test_regr_a_delisted_market_takes_no_gift_for_its_depositors(venue: MoneyVenue) -> None:
    venue.change_market(SOL, status=STATUS_DELISTED)
    assert venue.refused(DepositIntoSpotMarketVault(market_index=SOL, amount=ONE_SOL)) == "MarketDelisted"


# --- pools -----------------------------------------------------------------------------------------------------------


def test_a_pool_is_chosen_before_a_market_opens_and_by_an_account_that_holds_nothing_else(venue: MoneyVenue) -> None:
    """Pool 1 lends out more than the main pool, and admits a quote deposit, which counts for nothing there."""
    into_pool = UpdateSpotMarketPoolId(market_index=3, pool_id=1)
    tokens = {"name": "LST", "oracle": "SOL", "decimals": 9, "active_status": False, "withdraw_guard_threshold": 0}
    venue.ok(InitializeSpotMarket(**tokens, **WEIGHTS, **RATES))
    assert venue.refused(into_pool, "@alice") == "Unauthorized"
    venue.ok(UpdateWarmAdmin(warm_admin="@warm"))
    venue.ok(into_pool, "@warm")
    venue.ok(UpdateSpotMarketStatus(market_index=3, status="Active"))
    assert venue.refused(into_pool) == "DefaultError"

    venue.open("@dave")
    assert error_of(venue.deposit("@dave", 3, ONE_SOL)) == "InvalidPoolId"
    venue.ok(UpdateUserPoolId(user="@dave", pool_id=1), "@dave")
    assert venue.deposit("@dave", 3, 100 * ONE_SOL).ok
    assert error_of(venue.deposit("@dave", SOL, ONE_SOL)) == "InvalidPoolId"
    for user, pool in (("@dave", 0), ("@bob", 1)):
        assert venue.refused(UpdateUserPoolId(user=user, pool_id=pool), user) == "InvalidPoolId"

    venue.ok(UpdateUserPoolId(user="@alice", pool_id=1), "@alice")  # quote only
    assert withdrawable(venue.machine.store, venue.clock, "@alice", 3).amount == 0
    venue.now += DAY
    venue.post("SOL", 100_000_000)
    venue.ok(UpdateSpotMarketCumulativeInterest(market_index=3))
    half = max_borrow_by_twap(venue.market(3), 100 * ONE_SOL)
    assert 49 * ONE_SOL < half <= 50 * ONE_SOL  # of the main pool's deposits a third
    venue.ok(UpdateUserPoolId(user="@alice", pool_id=0), "@alice")


def test_accounts_of_another_pool_trade_no_perps() -> None:
    trading = TradingVenue(rulebook="velocity")
    trading.open("@carol")
    trading.ok(UpdateUserPoolId(user="@carol", pool_id=1), "@carol")
    order = ReservePerpOrder(user="@carol", market_index=0, direction="Long", base_asset_amount=10**9)
    assert trading.refused(order, "@carol") == "InvalidPoolId"
