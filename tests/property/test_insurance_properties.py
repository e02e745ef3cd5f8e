"""Invariants of the insurance fund, in English, over any order of staking, leaving, gains, losses and settlements."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.insurance import stake_value, stakers_own_no_more_than_the_fund

from seawall.arithmetic import ONE_YEAR
from seawall.errors import SettlementError
from seawall.rules.common.insurance_shares import (
    apply_rebase_to_insurance_fund,
    calculate_rebase_info,
    if_shares_to_vault_amount,
    vault_amount_to_if_shares,
)
from seawall.rules.common.insurance_stakes import calculate_requested_if_shares, request_remove_insurance_fund_stake
from seawall.rules.common.revenue import calculate_apr_cap, calculate_revenue_to_settle
from seawall.rules.drift.insurance import (
    add_insurance_fund_stake,
    calculate_if_shares_lost,
    cancel_request_remove_insurance_fund_stake,
    remove_insurance_fund_stake,
)
from seawall.rules.drift.revenue import mint_protocol_shares
from seawall.state.facts import RevenueSettleFacts, StakeFacts
from seawall.state.insurance import InsuranceFundStake
from seawall.state.spot_market import InsuranceFund, SpotMarket
from seawall.state.user import UserStats

AMOUNTS = st.one_of(st.integers(1, 1_000), st.integers(1, 10**15))
PEOPLE = 3


class FundLife(RuleBasedStateMachine):
    """Three stakers, the protocol and the world act on one fund; the vault is a plain number of tokens."""

    @initialize(base=st.integers(0, 2), factor=st.integers(0, 1_000_000), user=st.integers(0, 1_000_000))
    def begin(self, base: int, factor: int, user: int) -> None:
        self.market = SpotMarket()
        fund = self.market.insurance_fund
        fund.shares_base = base
        fund.total_factor = factor
        fund.user_factor = min(user, factor)
        self.stakes = [InsuranceFundStake() for _ in range(PEOPLE)]
        self.stats = [UserStats() for _ in range(PEOPLE)]
        self.vault = 0
        self.now = 1

    def attempt(self, step: Callable[[], int]) -> int | None:
        """Run a step on copies, as a transaction does: None, and nothing changed, if a rule refused it."""
        saved = self.market.copy(), [s.copy() for s in self.stakes], [s.copy() for s in self.stats]
        self.now += 1
        try:
            return step()
        except SettlementError:
            self.market, self.stakes, self.stats = saved
            return None

    def price_before_and_after(self, step: Callable[[], int]) -> tuple[int | None, tuple[int, int], tuple[int, int]]:
        """What a step gave, and (vault, shares in the last base) before and after it."""
        fund = self.market.insurance_fund
        vault, shares, base = self.vault, fund.total_shares, fund.shares_base
        given = self.attempt(step)
        fund = self.market.insurance_fund
        scale = 10 ** (fund.shares_base - base)
        return given, (vault, shares), (self.vault, fund.total_shares * scale)

    @rule(who=st.integers(0, PEOPLE - 1), amount=AMOUNTS)
    def stake(self, who: int, amount: int) -> None:
        """Buying shares never makes anybody else's share cheaper."""

        def step() -> int:
            add_insurance_fund_stake(amount, self.vault, self.stakes[who], self.stats[who], self.market, StakeFacts())
            self.vault += amount
            return amount

        _, (v0, t0), (v1, t1) = self.price_before_and_after(step)
        # shares that no token backed became the protocol's, or the fund was empty: there was no price before
        if t0 != 0 and v0 != 0:
            assert v1 * t0 >= v0 * t1

    @rule(who=st.integers(0, PEOPLE - 1), part=st.integers(1, 100))
    def request(self, who: int, part: int) -> None:
        """A request freezes no more than its shares are worth, and less than the whole vault."""
        fund = self.market.insurance_fund
        stake = self.stakes[who]
        assume(stake.last_withdraw_request_shares == 0 and fund.total_shares > 0)
        amount = stake.if_shares * self.vault * part // (100 * fund.total_shares)

        def step() -> int:
            n = calculate_requested_if_shares(amount, self.vault, self.stakes[who], self.market)
            request_remove_insurance_fund_stake(
                n, self.vault, self.vault, self.stakes[who], self.stats[who], self.market, self.now, StakeFacts()
            )
            return n

        if self.attempt(step) is not None:
            stake = self.stakes[who]
            fund = self.market.insurance_fund
            worth = if_shares_to_vault_amount(stake.last_withdraw_request_shares, fund.total_shares, self.vault)
            assert stake.last_withdraw_request_value <= worth
            assert stake.last_withdraw_request_value < max(self.vault, 1)

    @rule(who=st.integers(0, PEOPLE - 1))
    def cancel(self, who: int) -> None:
        """Cancelling never makes a share cheaper, and never leaves the canceller more than before."""
        before = self.value(who)

        def step() -> int:
            stake, stats = self.stakes[who], self.stats[who]
            cancel_request_remove_insurance_fund_stake(self.vault, stake, stats, self.market, self.now, StakeFacts())
            return 0

        given, (v0, t0), (v1, t1) = self.price_before_and_after(step)
        if given is not None:
            assert v1 * t0 >= v0 * t1
            assert self.value(who) <= before

    @rule(who=st.integers(0, PEOPLE - 1))
    def remove(self, who: int) -> None:
        """A payout is at most the frozen value and at most what the shares are worth; nobody else's share suffers."""
        frozen = self.stakes[who].last_withdraw_request_value
        before = self.value(who)

        def step() -> int:
            stake, stats = self.stakes[who], self.stats[who]
            payout = remove_insurance_fund_stake(self.vault, stake, stats, self.market, self.now, StakeFacts())
            self.vault -= payout
            return payout

        payout, (v0, t0), (v1, t1) = self.price_before_and_after(step)
        if payout is not None:
            assert payout <= frozen and payout <= before
            assert self.vault >= 0
            assert v1 * t0 >= v0 * t1

    @rule(amount=AMOUNTS)
    def settle_revenue(self, amount: int) -> None:
        """Revenue never makes a share cheaper, whatever part of it becomes protocol shares."""

        def step() -> int:
            mint_protocol_shares(amount, self.vault, self.market.insurance_fund)
            self.vault += amount
            return amount

        _, (v0, t0), (v1, t1) = self.price_before_and_after(step)
        assert v1 * t0 >= v0 * t1

    @rule(amount=AMOUNTS)
    def gift(self, amount: int) -> None:
        """Tokens arrive from anyone."""
        self.vault += amount

    @precondition(lambda self: self.vault > 0)
    @rule(left=st.integers(0, 10_000))
    def lose(self, left: int) -> None:
        """A bankruptcy takes a part of the vault (in 1/10000), all but a little, or everything."""
        self.vault = self.vault * left // 10_000

    def value(self, who: int) -> int:
        """What a stake is worth, in the fund's base after a rebase."""
        return stake_value(self.stakes[who], self.market.insurance_fund, self.vault)

    @invariant()
    def stakers_never_own_more_than_the_fund(self) -> None:
        """Σ stakes ≤ user_shares ≤ total_shares, each in the fund's base; so all values together fit the vault."""
        if hasattr(self, "market"):
            stakers_own_no_more_than_the_fund(self.stakes, self.market.insurance_fund, self.vault)


TestFundLife = FundLife.TestCase
TestFundLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

VAULTS = st.integers(1, 2**63)
SHARES = st.integers(1, 2**100)


@given(amount=st.integers(0, 2**63), total=SHARES, vault=VAULTS)
def test_buying_and_selling_at_once_never_pays(amount: int, total: int, vault: int) -> None:
    """What ``amount`` tokens buy is worth at most ``amount`` right afterwards."""
    n = vault_amount_to_if_shares(amount, total, vault)
    assume(vault + amount < 2**64)
    assert if_shares_to_vault_amount(n, total + n, vault + amount) <= amount


@given(total=st.integers(1, 2**126), vault=VAULTS)
def test_a_rebase_leaves_between_ten_and_a_hundred_shares_a_token_and_all_value(total: int, vault: int) -> None:
    """A rebased fund has at most a hundred shares a token; whoever owned all of it still does."""
    fund = InsuranceFund(total_shares=total, user_shares=total)
    apply_rebase_to_insurance_fund(vault, fund)
    assert fund.total_shares < 100 * vault + 100
    assert fund.total_shares == fund.user_shares > 0
    if fund.shares_base > 0:
        assert fund.total_shares >= 10 * vault
        assert calculate_rebase_info(total, vault)[1] == 10**fund.shares_base


@given(total=SHARES, vault=VAULTS, data=st.data())
def test_a_cancelled_request_never_keeps_more_than_its_frozen_value_buys(
    total: int, vault: int, data: st.DataObject
) -> None:
    """The shares that survive a cancellation are worth at most the frozen value (or the whole fund when alone)."""
    shares = data.draw(st.integers(0, total))
    worth = if_shares_to_vault_amount(shares, total, vault)
    frozen = data.draw(st.integers(0, worth))
    assume(not (vault == frozen and total != shares))
    lost = calculate_if_shares_lost(shares, frozen, total, vault)
    assert 0 <= lost <= shares
    if lost > 0 and total > shares:
        kept = shares - lost
        assert if_shares_to_vault_amount(kept, total - lost, vault) <= frozen


@given(
    own=st.integers(1, 10**15), others=st.integers(1, 10**15), part=st.integers(1, 100), later=st.integers(1, 10**16)
)
def test_a_request_shares_losses_but_no_gains(own: int, others: int, part: int, later: int) -> None:
    """Whatever the vault becomes during the cooldown: the payout is the smaller of then and now."""
    market = SpotMarket()
    stake, rest = InsuranceFundStake(), InsuranceFundStake()
    add_insurance_fund_stake(own, 0, stake, UserStats(), market, StakeFacts())
    add_insurance_fund_stake(others, own, rest, UserStats(), market, StakeFacts())
    n = stake.if_shares * part // 100
    assume(n > 0)
    request_remove_insurance_fund_stake(n, own + others, own + others, stake, UserStats(), market, 1, StakeFacts())
    then = stake.last_withdraw_request_value
    fund = market.insurance_fund.copy()
    apply_rebase_to_insurance_fund(later, fund)
    requested = n // 10**fund.shares_base
    assume(requested > 0)
    now = if_shares_to_vault_amount(requested, fund.total_shares, later)
    payout = remove_insurance_fund_stake(later, stake, UserStats(), market, 2, StakeFacts())
    assert payout == min(then, now)


@given(vault=st.integers(0, 2**63), period=st.integers(1, 10 * ONE_YEAR))
def test_a_years_settlements_stay_within_1000_percent(vault: int, period: int) -> None:
    """As many settlements as the year has whole periods bring at most ten times the vault (compounding aside)."""
    assert calculate_apr_cap(vault, period) * max(1, ONE_YEAR // period) <= 10 * vault


@given(
    deposits=st.integers(0, 10**15), borrows=st.integers(0, 10**15), share=st.integers(0, 100),
    users=st.integers(0, 1), insurance=st.integers(0, 10**15),
)  # fmt: skip
def test_a_settlement_never_takes_more_than_the_pool_or_half_of_a_smaller_claim(
    deposits: int, borrows: int, share: int, users: int, insurance: int
) -> None:
    """Lenders' claim and pool bound every settlement; with stakers a tenth of that does."""
    market = SpotMarket(
        decimals=6, cumulative_deposit_interest=10**10, cumulative_borrow_interest=10**10,
        deposit_balance=deposits * 1_000, borrow_balance=borrows * 1_000,
    )  # fmt: skip
    market.revenue_pool.scaled_balance = deposits * share // 100 * 1_000
    market.insurance_fund.user_shares = users
    market.insurance_fund.revenue_settle_period = 3_600
    facts = RevenueSettleFacts()
    amount = calculate_revenue_to_settle(max(deposits - borrows, 0), insurance, 0, market, facts)
    pool, claim = deposits * share // 100, deposits - borrows
    assert amount <= pool
    if claim < pool:
        assert amount <= max(claim, 0) // 2
    if users:
        assert amount <= pool // 10
        assert amount <= calculate_apr_cap(insurance, 3_600)
    else:
        assert amount == (pool if claim >= pool else max(claim, 0) // 2)


def test_a_sole_holder_who_cancels_hands_the_fund_to_the_protocol() -> None:
    """The one case in which cancelling burns everything: no shares remain, and the vault is nobody's until a rebase."""
    market = SpotMarket()
    stake = InsuranceFundStake()
    add_insurance_fund_stake(100, 0, stake, UserStats(), market, StakeFacts())
    request_remove_insurance_fund_stake(100, 100, 100, stake, UserStats(), market, 1, StakeFacts())
    cancel_request_remove_insurance_fund_stake(150, stake, UserStats(), market, 2, StakeFacts())
    assert (stake.if_shares, market.insurance_fund.total_shares) == (0, 0)
    with pytest.raises(SettlementError):
        if_shares_to_vault_amount(1, market.insurance_fund.total_shares, 150)
