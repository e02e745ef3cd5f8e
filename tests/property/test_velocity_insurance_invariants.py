"""Invariants of a fund that stakers own whole, named after velocity/invariants.md (A1-A7, A14, E1, E5)."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.insurance import stake_value, stakers_own_no_more_than_the_fund

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.insurance_shares import (
    apply_rebase_to_insurance_fund,
    apply_rebase_to_insurance_fund_stake,
    calculate_rebase_info,
    if_shares_to_vault_amount,
    vault_amount_to_if_shares,
)
from seawall.rules.common.insurance_stakes import calculate_requested_if_shares, request_remove_insurance_fund_stake
from seawall.rules.common.revenue import calculate_apr_cap
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.rules.velocity.insurance import (
    add_insurance_fund_stake,
    calculate_if_shares_lost,
    cancel_request_remove_insurance_fund_stake,
    deposit_amount_and_shares_for_if_stake,
    remove_insurance_fund_stake,
)
from seawall.rules.velocity.receivable import (
    book_revenue_receivable,
    consume_revenue_receivable,
    get_insurance_fund_nav,
    get_revenue_receivable,
    pay_out_revenue_receivable,
    pay_pool_from_insurance,
)
from seawall.rules.velocity.revenue import (
    attempt_settle_revenue_to_insurance_fund,
    record_insurance_fund_outflow,
    settle_revenue_to_insurance_fund,
)
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.facts import InterestFacts, RevenueSettleFacts, StakeFacts
from seawall.state.insurance import InsuranceFundStake
from seawall.state.spot_market import InsuranceFund, PoolBalance, SpotMarket
from seawall.state.user import UserStats

AMOUNTS = st.one_of(st.integers(0, 1_000), st.integers(0, 10**15))
VALUES = st.one_of(st.integers(1, 1_000), st.integers(1, 2**62))
SHARES = st.one_of(st.integers(1, 1_000), st.integers(1, 2**100))


# --- A1-A3: what a deposit buys ------------------------------------------------------------------------------


@given(amount=AMOUNTS, total=SHARES, value=VALUES)
def test_a1_a_stake_round_trip_never_returns_more_than_was_put_in(amount: int, total: int, value: int) -> None:
    """Tokens turned into shares and back at an unchanged price are at most the tokens, also when priced exactly."""
    shares = vault_amount_to_if_shares(amount, total, value)
    if shares <= total:
        assert if_shares_to_vault_amount(shares, total, value) <= amount
    charge, bought = deposit_amount_and_shares_for_if_stake(amount, total, value)
    assert if_shares_to_vault_amount(bought, total + bought, value + charge) <= charge


@given(amount=st.integers(1, 10**15), total=SHARES, user=st.integers(0, 100), value=st.integers(0, 2**62))
def test_a2_a_positive_stake_never_mints_nothing_silently(amount: int, total: int, user: int, value: int) -> None:
    """It buys at least one share, or it is refused and nothing has been charged."""
    market = SpotMarket(rulebook=RULEBOOK_VELOCITY, market_index=1)
    market.insurance_fund = InsuranceFund(total_shares=total, user_shares=total * user // 100)
    stake = InsuranceFundStake()
    try:
        charge = add_insurance_fund_stake(amount, value, value, stake, UserStats(), market, StakeFacts())
    except SettlementError as error:
        assert error.code in (ErrorCode.IFDepositMintsZeroShares, ErrorCode.InvalidIFForNewStakes)
        assert (error.code == ErrorCode.InvalidIFForNewStakes) == (value == 0)
        return
    assert stake.if_shares > 0 and 0 < charge <= amount


@given(amount=AMOUNTS, total=SHARES, value=VALUES)
def test_a3_the_charge_never_exceeds_the_request(amount: int, total: int, value: int) -> None:
    """And it is the least that buys as many shares: a token less would buy fewer."""
    charge, shares = deposit_amount_and_shares_for_if_stake(amount, total, value)
    assert charge <= amount
    assert shares == vault_amount_to_if_shares(amount, total, value) == vault_amount_to_if_shares(charge, total, value)
    if charge > 0:
        assert vault_amount_to_if_shares(charge - 1, total, value) < shares


# --- A4, A5: what a cancellation burns -------------------------------------------------------------------------


@given(total=SHARES, value=VALUES, data=st.data())
def test_a4_a_cancellation_burns_at_most_what_was_requested(total: int, value: int, data: st.DataObject) -> None:
    """Shares lost ≤ shares requested; what is kept is worth at most the frozen value; a sole holder keeps all."""
    requested = data.draw(st.integers(0, total))
    frozen = data.draw(st.integers(0, if_shares_to_vault_amount(requested, total, value)))
    assume(not (value == frozen and total != requested))
    lost = calculate_if_shares_lost(requested, frozen, total, value)
    assert 0 <= lost <= requested
    if requested == total:
        assert lost == 0
    elif lost == 0:
        assert if_shares_to_vault_amount(requested, total, value) <= frozen
    else:
        assert if_shares_to_vault_amount(requested - lost, total - lost, value) <= frozen


@given(digits=st.integers(2, 12), requested=st.integers(1, 99), earned=st.integers(0, 10**6))
def test_a5_a_request_rounded_to_zero_by_a_rebase_loses_nothing(digits: int, requested: int, earned: int) -> None:
    """Whatever the fund earned meanwhile: the cancellation succeeds, and only the rebase has changed the stake."""
    shares = 10 ** (digits + 2)
    market = SpotMarket(rulebook=RULEBOOK_VELOCITY, market_index=1)
    fund = market.insurance_fund
    fund.total_shares = fund.user_shares = 2 * shares
    stake = InsuranceFundStake(if_shares=shares, last_withdraw_request_shares=requested % 10 + 1)
    stake.last_withdraw_request_value = earned
    value = 2 * shares // 10 ** (digits + 1)
    facts = StakeFacts()
    cancel_request_remove_insurance_fund_stake(value, value, stake, UserStats(), market, 1, facts)
    assert fund.shares_base >= 2
    assert facts.forfeited_shares == 0
    assert stake.if_shares == shares // 10**fund.shares_base
    assert (stake.last_withdraw_request_shares, stake.last_withdraw_request_value) == (0, 0)


# --- A6, A7: value ---------------------------------------------------------------------------------------------


@given(total=st.integers(1, 2**100), value=VALUES, part=st.integers(0, 10**6))
def test_a6_a_rebase_preserves_redeemable_value(total: int, value: int, part: int) -> None:
    """A holding is worth the same before and after where the divisor is 1, else it differs by at most
    ⌊vault / shares after⌋ + 4 tokens."""
    held = total * part // 10**6
    fund = InsuranceFund(total_shares=total, user_shares=total)
    stake = InsuranceFundStake(if_shares=held)
    before = if_shares_to_vault_amount(held, total, value)
    apply_rebase_to_insurance_fund(value, fund)
    apply_rebase_to_insurance_fund_stake(stake, fund)
    after = if_shares_to_vault_amount(stake.if_shares, fund.total_shares, value)
    if fund.shares_base == 0:
        assert after == before
    else:
        assert calculate_rebase_info(total, value) == (fund.shares_base, 10**fund.shares_base)
        assert abs(after - before) <= value // fund.total_shares + 4


@given(total=st.integers(1, 2**64), part=st.integers(1, 100), value=VALUES, more=st.integers(0, 2**60))
def test_a7_the_exit_value_is_monotone_in_the_vault(total: int, part: int, value: int, more: int) -> None:
    """For the same shares and request, more vault never pays less, neither as a value nor as a payout."""
    shares = max(1, total * part // 100)
    assert if_shares_to_vault_amount(shares, total, value) <= if_shares_to_vault_amount(shares, total, value + more)

    def payout(vault: int) -> int:
        market = SpotMarket(rulebook=RULEBOOK_VELOCITY, market_index=1)
        market.insurance_fund = InsuranceFund(total_shares=total, user_shares=total)
        frozen = if_shares_to_vault_amount(shares, total, value)
        stake = InsuranceFundStake(
            if_shares=shares, last_withdraw_request_shares=shares, last_withdraw_request_value=frozen
        )
        return remove_insurance_fund_stake(vault, vault, stake, UserStats(), market, 1, False, StakeFacts())

    assume(value >= total)  # no rebase: the shares are the same
    assert payout(value) <= payout(value + more)


# --- A14, E5: the cap and the snapshot -------------------------------------------------------------------------


@st.composite
def settleable(draw: st.DrawFn) -> tuple[SpotMarket, int, int]:
    """A market whose books agree, the tokens in its spot vault, and those in its insurance vault."""
    index = draw(st.integers(10**10, 3 * 10**10))
    market = SpotMarket(
        rulebook=RULEBOOK_VELOCITY, decimals=6, cumulative_deposit_interest=index, cumulative_borrow_interest=10**10,
        deposit_balance=draw(st.integers(0, 10**18)),
        if_last_settle_vault_amount=draw(AMOUNTS),
    )  # fmt: skip
    deposits = market.deposit_balance * index // 10**13
    market.borrow_balance = draw(st.integers(0, deposits)) * 1_000
    market.revenue_pool = PoolBalance(scaled_balance=market.deposit_balance * draw(st.integers(0, 100)) // 100)
    total = draw(st.integers(0, 10**15))
    market.insurance_fund = InsuranceFund(
        total_shares=total, user_shares=draw(st.integers(0, total)),
        revenue_settle_period=draw(st.sampled_from([1, 3_600, 86_400, 40_000_000])),
    )  # fmt: skip
    return market, deposits - market.borrow_balance // 1_000, draw(AMOUNTS)


@settings(deadline=None)
@given(case=settleable(), check=st.booleans())
def test_a14_a_settlement_stays_within_the_apr_cap_on_the_lower_of_now_and_the_snapshot(
    case: tuple[SpotMarket, int, int], check: bool
) -> None:
    """With stakers: at most the cap on min(live, snapshot), at most a tenth of the pool; never more than the pool, nor
    than the claim that lenders leave; the books agree with the vault afterwards."""
    market, vault, insurance = case
    snapshot, period = market.if_last_settle_vault_amount, market.insurance_fund.revenue_settle_period
    pool = market.revenue_pool.scaled_balance * market.cumulative_deposit_interest // 10**13
    try:
        amount = settle_revenue_to_insurance_fund(
            vault, insurance, market, 0, check, False, False, InterestFacts(), RevenueSettleFacts()
        )
    except SettlementError as error:
        # a pool of everything, whose rounding leaves the lenders a unit short, may not leave either
        assert error.code in (ErrorCode.NoRevenueToSettleToIF, ErrorCode.SpotMarketInsufficientDeposits)
        return
    assert amount <= min(pool, vault)
    if market.insurance_fund.user_shares > 0:
        assert amount <= calculate_apr_cap(min(insurance, snapshot), period)
        assert amount <= pool // 10
    validate_spot_market_vault_amount(market, vault - amount)
    # E5: the snapshot is what the fund is worth right after a settlement
    assert market.if_last_settle_vault_amount == insurance + amount


@given(snapshot=AMOUNTS, value=AMOUNTS, outflow=AMOUNTS)
def test_e5_the_snapshot_is_at_most_the_value_after_an_outflow(snapshot: int, value: int, outflow: int) -> None:
    """And an outflow never raises it, even one of nothing."""
    market = SpotMarket(if_last_settle_vault_amount=snapshot)
    record_insurance_fund_outflow(market, value, outflow)
    assert market.if_last_settle_vault_amount <= min(snapshot, max(0, value - outflow))


# --- E1, E5 and prices over any order of events ----------------------------------------------------------------

PEOPLE = 2
FIRST = 1_700_000_000


class FundLife(RuleBasedStateMachine):
    """Two stakers and the world act on one fund, with and without a receivable; interest moves the index.

    The spot vault holds what its market owes; the insurance vault is a plain number of tokens.
    """

    @initialize(base=st.integers(0, 2), receivable=st.booleans(), first=st.integers(1, 10**12))
    def begin(self, base: int, receivable: bool, first: int) -> None:
        self.receivable = receivable
        self.market = SpotMarket(
            rulebook=RULEBOOK_VELOCITY, decimals=6, cumulative_deposit_interest=10**10,
            cumulative_borrow_interest=10**10, deposit_balance=10**18, last_twap_ts=FIRST, last_interest_ts=FIRST,
        )  # fmt: skip
        self.market.insurance_fund.shares_base = base
        self.market.insurance_fund.revenue_settle_period = 3_600
        self.stakes = [InsuranceFundStake() for _ in range(PEOPLE)]
        self.stats = [UserStats() for _ in range(PEOPLE)]
        self.spot_vault = 10**15
        self.vault = 0
        self.now = FIRST
        for who in range(PEOPLE):
            self.stake(who, first)

    @property
    def nav(self) -> int:
        return get_insurance_fund_nav(self.market, self.vault)

    def attempt(self, step: Callable[[], int]) -> int | None:
        """Run a step on copies, as a transaction does: None, and nothing changed, if a rule refused it."""
        books = self.market.copy(), [s.copy() for s in self.stakes], [s.copy() for s in self.stats]
        vaults = self.spot_vault, self.vault
        self.now += 1
        try:
            return step()
        except SettlementError:
            self.market, self.stakes, self.stats = books
            self.spot_vault, self.vault = vaults
            return None

    def price_kept(self, step: Callable[[], int]) -> int | None:
        """Run a step that must not make a share cheaper; what it gave."""
        fund = self.market.insurance_fund
        v0, t0, base = self.nav, fund.total_shares, fund.shares_base
        given = self.attempt(step)
        fund = self.market.insurance_fund
        if t0 != 0 and v0 != 0:
            assert self.nav * t0 >= v0 * fund.total_shares * 10 ** (fund.shares_base - base)
        return given

    @rule(who=st.integers(0, PEOPLE - 1), amount=AMOUNTS)
    def stake(self, who: int, amount: int) -> None:
        """Buying shares makes nobody's share cheaper, and the buyer pays for all of them."""
        before = self.value(who)

        def step() -> int:
            charge = add_insurance_fund_stake(
                amount, self.nav, self.vault, self.stakes[who], self.stats[who], self.market, StakeFacts()
            )
            self.vault += charge
            return charge

        charge = self.price_kept(step)
        if charge is not None:
            assert 0 < charge <= amount
            assert self.stats[who].if_staked_quote_asset_amount == self.value(who) <= before + charge + 1

    def asking(self) -> list[int]:
        """Who has a request pending."""
        return [who for who in range(PEOPLE) if self.stakes[who].last_withdraw_request_shares > 0]

    @precondition(lambda self: len(self.asking()) < PEOPLE and self.market.insurance_fund.total_shares > 0)
    @rule(which=st.integers(0, 1), part=st.integers(1, 100))
    def request(self, which: int, part: int) -> None:
        """A request freezes no more than its shares are worth, and less than the whole fund."""
        idle = [who for who in range(PEOPLE) if who not in self.asking()]
        who = idle[which % len(idle)]
        fund, stake = self.market.insurance_fund, self.stakes[who]
        amount = stake.if_shares * self.nav * part // (100 * fund.total_shares)

        def step() -> int:
            self.catch_up(who)
            n = calculate_requested_if_shares(amount, self.nav, self.stakes[who], self.market)
            request_remove_insurance_fund_stake(
                n, self.nav, self.vault, self.stakes[who], self.stats[who], self.market, self.now, StakeFacts()
            )
            return n

        if self.attempt(step) is not None:
            stake, fund = self.stakes[who], self.market.insurance_fund
            worth = if_shares_to_vault_amount(stake.last_withdraw_request_shares, fund.total_shares, self.nav)
            assert stake.last_withdraw_request_value <= worth
            assert stake.last_withdraw_request_value < max(self.nav, 1)

    def catch_up(self, who: int) -> None:
        """A stake behind a rebase can ask for nothing before it has added: let it have the fund's base."""
        apply_rebase_to_insurance_fund_stake(self.stakes[who], self.market.insurance_fund)

    @precondition(lambda self: self.asking())
    @rule(which=st.integers(0, 1))
    def cancel(self, which: int) -> None:
        """Cancelling makes nobody's share cheaper and the canceller no richer; it never fails while the fund has value
        beyond the frozen one."""
        who = self.asking()[which % len(self.asking())]
        before, stake = self.value(who), self.stakes[who]
        possible = self.nav > stake.last_withdraw_request_value

        def step() -> int:
            stake, stats = self.stakes[who], self.stats[who]
            cancel_request_remove_insurance_fund_stake(
                self.nav, self.vault, stake, stats, self.market, self.now, StakeFacts()
            )
            return 0

        if self.price_kept(step) is not None:
            assert self.value(who) <= before
        else:
            assert not possible

    @precondition(lambda self: self.asking())
    @rule(which=st.integers(0, 1))
    def remove(self, which: int) -> None:
        """A payout is at most the frozen value, what the shares are worth, and the cash; nobody else's share suffers;
        the snapshot falls to what is left."""
        who = self.asking()[which % len(self.asking())]
        frozen, before = self.stakes[who].last_withdraw_request_value, self.value(who)

        def step() -> int:
            stake, stats = self.stakes[who], self.stats[who]
            payout = remove_insurance_fund_stake(
                self.nav, self.vault, stake, stats, self.market, self.now, self.receivable, StakeFacts()
            )
            self.vault -= payout
            return payout

        payout = self.price_kept(step)
        if payout is not None:
            assert payout <= frozen and payout <= before and self.vault >= 0
            assert self.market.if_last_settle_vault_amount <= self.nav

    @rule(hours=st.integers(0, 3), paused=st.booleans())
    def settle(self, hours: int, paused: bool) -> None:
        """Revenue makes no share cheaper; what is settled, the snapshot tells."""
        self.now += hours * 3_600
        stamped = self.market.insurance_fund.last_revenue_settle_ts
        facts = RevenueSettleFacts()

        def step() -> int:
            moved = attempt_settle_revenue_to_insurance_fund(
                self.spot_vault, self.vault, self.market, self.now, paused, False, self.receivable, InterestFacts(),
                facts,
            )  # fmt: skip
            assert moved == 0 or not paused
            self.spot_vault -= moved
            self.vault += moved
            return moved

        if self.price_kept(step) is not None and self.market.insurance_fund.last_revenue_settle_ts != stamped:
            assert self.market.if_last_settle_vault_amount in (self.nav, self.nav - 1)
            if not self.receivable:
                assert self.market.if_last_settle_vault_amount == self.nav

    @rule(amount=AMOUNTS)
    def revenue(self, amount: int) -> None:
        """Tokens arrive in the revenue pool."""
        delta = amount * 10**13 // self.market.cumulative_deposit_interest
        self.market.revenue_pool.scaled_balance += delta
        self.market.deposit_balance += delta
        self.spot_vault += amount

    @rule(part=st.integers(0, 1_000))
    def lend(self, part: int) -> None:
        """The index rises, and borrowers have paid for it."""
        self.market.cumulative_deposit_interest += self.market.cumulative_deposit_interest * part // 10**6
        deposits = self.market.deposit_balance * self.market.cumulative_deposit_interest // 10**13
        self.spot_vault = max(self.spot_vault, deposits)

    @rule(amount=AMOUNTS)
    def gift(self, amount: int) -> None:
        """Tokens arrive in the insurance vault from anyone."""
        self.vault += amount

    @precondition(lambda self: self.vault > 0)
    @rule(left=st.integers(0, 10_000))
    def lose(self, left: int) -> None:
        """A bankruptcy draws a part of the vault, all but a little, or everything."""
        drawn = self.vault - self.vault * left // 10_000
        record_insurance_fund_outflow(self.market, self.nav, drawn)
        self.vault -= drawn
        assert self.market.if_last_settle_vault_amount <= self.nav

    def value(self, who: int) -> int:
        """What a stake is worth, in the fund's base after a rebase."""
        return stake_value(self.stakes[who], self.market.insurance_fund, self.nav)

    @invariant()
    def e1_stakers_never_own_more_than_the_fund(self) -> None:
        """Σ stakes ≤ user_shares ≤ total_shares, each in the fund's base; so all values together fit the fund."""
        if hasattr(self, "market"):
            stakers_own_no_more_than_the_fund(self.stakes, self.market.insurance_fund, self.nav)

    @invariant()
    def the_spot_vault_covers_its_claims(self) -> None:
        """Whatever was booked, paid out or left as dust."""
        if hasattr(self, "market"):
            validate_spot_market_vault_amount(self.market, self.spot_vault)
            assert self.receivable or self.market.insurance_fund_revenue_receivable_scaled == 0


TestFundLife = FundLife.TestCase
TestFundLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(
    owed=st.integers(0, 10**15), index=st.integers(10**10, 3 * 10**10), amount=AMOUNTS,
    pool=st.integers(0, 10**15),
)  # fmt: skip
def test_the_receivable_never_gives_more_than_it_holds(owed: int, index: int, amount: int, pool: int) -> None:
    """Booked, consumed or paid out: never more tokens than the scaled units that moved are worth, and the market's
    deposits shrink by exactly those that left the books."""
    market = SpotMarket(
        rulebook=RULEBOOK_VELOCITY, decimals=6, cumulative_deposit_interest=index, cumulative_borrow_interest=10**10,
        deposit_balance=owed + pool, insurance_fund_revenue_receivable_scaled=owed,
        revenue_pool=PoolBalance(scaled_balance=pool),
    )  # fmt: skip
    booked = book_revenue_receivable(amount, market)
    assert booked >= min(amount, pool * index // 10**13)
    assert market.revenue_pool.scaled_balance + market.insurance_fund_revenue_receivable_scaled == owed + pool
    assert booked <= (pool - market.revenue_pool.scaled_balance) * index // 10**13
    held = get_revenue_receivable(market)
    given_up = consume_revenue_receivable(amount, market)
    assert given_up <= min(amount, held)
    target, deposits = PoolBalance(), market.deposit_balance
    held = get_revenue_receivable(market)
    transfer = pay_pool_from_insurance(amount, market, target)
    assert transfer == amount - min(amount, held)
    assert market.deposit_balance - deposits <= target.scaled_balance
    left = pay_out_revenue_receivable(market)
    assert left <= held and market.insurance_fund_revenue_receivable_scaled == 0
    assert market.deposit_balance == market.revenue_pool.scaled_balance + target.scaled_balance


def test_a_fund_worth_nothing_sells_no_shares() -> None:
    """The one state in which nobody can stake: shares exist, and nothing backs them."""
    market = SpotMarket(rulebook=RULEBOOK_VELOCITY)
    market.insurance_fund.total_shares = 1
    with pytest.raises(SettlementError) as error:
        add_insurance_fund_stake(1, 0, 0, InsuranceFundStake(), UserStats(), market, StakeFacts())
    assert error.value.code == ErrorCode.InvalidIFForNewStakes
