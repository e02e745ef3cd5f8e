"""Random instructions, good and bad, over a whole venue; after each one every invariant of ``support.invariants``.

Hypothesis throws the dice for five users, the admin, a keeper and a stranger over three spot and two perp markets:
money, orders, fills, funding, settlement, stakes, revenue, expiry, pauses, oracle jumps, time (``support.walk``). Two
promises are tried out on the way: what the queries say can be withdrawn or claimed is what is then paid, and one token
more is refused.
"""

import os
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.venues import WholeVenue
from support.venues import small_tables as small_tables
from support.walk import ACTIONS, CONTRACTS, Dice, Walk

from seawall import Venue
from seawall.audit.replay import replay

throws = st.integers(0, 9_999).map(Dice)


class VenueMachine(RuleBasedStateMachine):
    """One rule a family of instructions: what exactly is asked, the dice decide."""

    @initialize(
        profile=st.sampled_from(["documents", "program"]),
        guard=st.sampled_from([10**18, 10**9, 0]),
        auction=st.sampled_from([0, 10]),
    )
    def begin(self, profile: str, guard: int, auction: int) -> None:
        """A venue with money in it; how far withdrawals are limited and how long the AMM waits varies."""
        self.walk = Walk(WholeVenue(profile, guard, auction, insured=True), note)

    def teardown(self) -> None:
        """At the end everybody who owes nothing can leave with everything, and every market can end."""
        if hasattr(self, "walk"):
            self.walk.everybody_leaves()
            for market in CONTRACTS:
                self.walk.market_ends(market)

    @invariant()
    def what_is_reserved_is_what_rests(self) -> None:
        """For every position, bids, asks and the number of orders reserved are those of the orders in the book."""
        if hasattr(self, "walk"):
            self.walk.reserved_is_what_rests()


def _rule(action: Callable[[Walk, Dice], None]) -> Callable[[VenueMachine, Dice], None]:
    def act(self: VenueMachine, dice: Dice) -> None:
        action(self.walk, dice)

    act.__name__, act.__doc__ = action.__name__, action.__doc__
    return rule(dice=throws)(act)


for _action in dict.fromkeys(ACTIONS):
    setattr(VenueMachine, _action.__name__, _rule(_action))


@pytest.mark.soak
class TestLongVenueMachine(VenueMachine.TestCase):  # type: ignore[misc, name-defined]
    """The same with other dice at every run, for an hour or so."""

    settings = settings(
        max_examples=5_000, stateful_step_count=100, deadline=None, suppress_health_check=list(HealthCheck)
    )


TestVenueMachine = VenueMachine.TestCase
TestVenueMachine.settings = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


# --- long walks --------------------------------------------------------------------------------------------------


def stroll(seed: int, steps: int) -> Walk:
    """A random walk that follows from its seed; a failure tells the seed and the last instructions."""
    dice, told = Dice(seed), [""]
    profile, guard, auction = (
        dice.choice(("documents", "program")),
        dice.choice((10**18, 10**9, 0)),
        dice.choice((0, 10)),
    )
    walk = Walk(WholeVenue(profile, guard, auction, insured=True), told.append)
    try:
        for _ in range(steps):
            dice.choice(ACTIONS)(walk, dice)
            walk.reserved_is_what_rests()
        walk.everybody_leaves()
        for market in CONTRACTS:
            walk.market_ends(market)
    except Exception as error:
        error.add_note("\n".join([f"seed {seed}, the last instructions:", *told[-8:]]))
        raise
    return walk


def test_walks_reach_every_family() -> None:
    """A few walks are enough to carry out nearly everything that a venue does; otherwise they would prove little."""
    accepted: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for seed in range(25):
        walk = stroll(seed, 200)
        accepted.update(walk.accepted)
        refused.update(walk.refused)
    missing = EXPECTED - accepted.keys()
    assert not missing
    assert accepted.total() > refused.total()
    assert len({text.split()[1] for text in refused}) > 40


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_walk_is_what_its_journal_says(seed: int) -> None:
    """A walk's requests, written to a journal and executed again from it, lead to the same receipts and the same state,
    and the audit of that journal accounts for every token."""
    walked = stroll(seed, 200).venue
    with Venue() as venue:
        receipts = venue.apply_many(walked.asked)
        assert venue.root() == walked.store.root()
        assert receipts[-1].effects == walked.machine.effects.hex()
        replayed = replay(venue.journal)
        assert replayed.findings == []
        assert replayed.root == venue.root()
        assert (replayed.refused, replayed.reworded) == (sum(not r.ok for r in receipts), [])


EXPECTED = {
    "add_insurance_fund_stake",
    "admin_remove_insurance_fund_stake",
    "deposit",
    "deposit_into_insurance_fund",
    "deposit_into_perp_market_fee_pool",
    "deposit_into_spot_market_revenue_pool",
    "fill_perp_order",
    "fill_spot_order",
    "liquidate_perp",
    "liquidate_spot",
    "place_and_take_perp_order",
    "release_perp_order",
    "release_perp_orders",
    "release_spot_order",
    "remove_insurance_fund_stake",
    "request_remove_insurance_fund_stake",
    "reserve_perp_order",
    "reserve_spot_order",
    "settle_expired_market",
    "settle_expired_market_pools_to_revenue_pool",
    "settle_funding_payment",
    "settle_multiple_pnls",
    "settle_pnl",
    "settle_revenue_to_insurance_fund",
    "settle_spot_fee_pool_to_revenue_pool",
    "swap",
    "transfer_deposit",
    "transfer_protocol_if_shares",
    "update_amms",
    "update_funding_rate",
    "update_perp_bid_ask_twap",
    "update_spot_market_cumulative_interest",
    "withdraw",
}
"""What walks must have carried out."""


@pytest.mark.soak
def test_long_walks() -> None:
    """Thousands of walks: ``SOAK_SEEDS=first:last pytest -m soak tests/property/test_venue_machine.py``."""
    first, last = map(int, os.environ.get("SOAK_SEEDS", "0:2000").split(":"))
    for seed in range(first, last):
        stroll(seed, 300)
