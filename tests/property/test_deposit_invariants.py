"""Whatever people deposit, withdraw, transfer, swap: no token appears, and what is said to pass passes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.money import ETH, SOL, USDC, MoneyVenue

from seawall.engine.conservation import surplus
from seawall.engine.queries.margin import largest_passing, withdrawable
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, DepositIntoSpotMarketRevenuePool, Swap, TransferDeposit, Withdraw
from seawall.instructions.venue_setup import InitializeUser

PEOPLE = ("@alice", "@bob", "@alice/1")
MARKETS = (USDC, SOL, ETH)

people = st.sampled_from(PEOPLE)
markets = st.sampled_from(MARKETS)
amounts = st.one_of(st.integers(0, 50), st.integers(0, 10**12))


@st.composite
def instructions(draw: st.DrawFn) -> Instruction:
    user, market, amount = draw(people), draw(markets), draw(amounts)
    kind = draw(st.sampled_from(["deposit", "deposit", "withdraw", "withdraw", "transfer", "swap", "revenue"]))
    if kind == "deposit":
        return Deposit(user=user, market_index=market, amount=amount, reduce_only=draw(st.booleans()))
    if kind == "withdraw":
        return Withdraw(user=user, market_index=market, amount=amount, reduce_only=draw(st.booleans()))
    if kind == "transfer":
        return TransferDeposit(from_user="@alice", to_user="@alice/1", market_index=market, amount=amount)
    if kind == "swap":
        return Swap(
            user=user, in_market_index=market, out_market_index=draw(markets), amount_in=amount,
            amount_out=draw(amounts),
        )  # fmt: skip
    return DepositIntoSpotMarketRevenuePool(authority="@alice", market_index=market, amount=amount)


def signer(instruction: Instruction) -> str:
    name = getattr(instruction, "user", None) or getattr(instruction, "from_user", None) or "@alice"
    return str(name).partition("/")[0]


def venue(guard: int) -> MoneyVenue:
    v = MoneyVenue(guard=guard)
    v.open("@alice", "@bob")
    v.ok(InitializeUser(user="@alice/1"), "@alice")
    return v


steps = st.lists(st.tuples(instructions(), st.sampled_from([0, 1, 3_600, 86_400])), max_size=25)


@settings(max_examples=60, deadline=None)
@given(guard=st.sampled_from([0, 10**9, 10**18]), steps=steps)
def test_claims_never_exceed_the_vaults(guard: int, steps: list[tuple[Instruction, int]]) -> None:
    """After every instruction each vault covers all claims on it, the legs of the receipt sum to the change of the
    vault, and a refused instruction changes nothing."""
    v = venue(guard)
    for instruction, wait in steps:
        v.now += wait
        before = [v.vault(m) for m in MARKETS]
        root = v.machine.store.root()
        receipt = v.do(instruction, signer(instruction))
        for m in MARKETS:
            moved = sum(t.amount for t in receipt.transfers if t.market_index == m)
            assert v.vault(m) - before[m] == moved
        if not receipt.ok:
            assert v.machine.store.root() == root
        assert min(surplus(v.machine.store)) >= 0


@settings(max_examples=60, deadline=None)
@given(guard=st.sampled_from([0, 10**9, 10**18]), steps=steps, user=people, market=markets)
def test_what_is_withdrawable_is_exactly_what_passes(
    guard: int, steps: list[tuple[Instruction, int]], user: str, market: int
) -> None:
    """The amount the query names is carried out; one token more is refused, for the reason it names."""
    v = venue(guard)
    for instruction, wait in steps:
        v.now += wait
        v.do(instruction, signer(instruction))
    found = withdrawable(v.machine.store, v.clock, user, market)
    more = v.withdraw(user, market, found.amount + 1)
    assert more.refusal is not None
    assert more.refusal.error == found.bound_by
    if found.amount > 0:
        receipt = v.withdraw(user, market, found.amount)
        assert receipt.ok, receipt.refusal


@given(largest=st.integers(0, 10**20), known=st.integers(0, 10**20), guess=st.integers(0, 10**20), room=st.integers(0))
def test_the_search_finds_the_largest_amount(largest: int, known: int, guess: int, room: int) -> None:
    """Whatever the guess, the search ends at the largest passing amount, or at the ceiling, in a bounded number of
    trials."""
    known = min(known, largest)
    ceiling = known + room
    trials = 0

    def passes(amount: int) -> bool:
        nonlocal trials
        trials += 1
        assert known < amount <= ceiling
        return amount <= largest

    assert largest_passing(passes, known, guess, ceiling) == min(largest, ceiling)
    assert trials <= 2 * (ceiling + 2).bit_length() + 4


@pytest.mark.parametrize("guess", [99, 100, 101])
def test_a_good_guess_needs_few_trials(guess: int) -> None:
    trials: list[int] = []

    def passes(amount: int) -> bool:
        trials.append(amount)
        return amount <= 100

    assert largest_passing(passes, 0, guess, 10**18) == 100
    assert len(trials) <= 4
