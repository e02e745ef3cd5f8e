"""Random instructions, good and bad, over a whole venue; after each one every invariant of ``support.invariants``.

Hypothesis throws the dice for five users, the admin, a keeper and a stranger over three spot and two perp markets:
money, orders, fills, funding, settlement, stakes, revenue, expiry, pauses, oracle jumps, time (``support.walk``). Two
promises are tried out on the way: what the queries say can be withdrawn or claimed is what is then paid, and one token
more is refused.

The same venue runs by Drift, by Velocity (``support.velocity_walk``), and by Drift until it migrates on the way.
"""

import os
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.velocity_walk import DROPPED, OWN, VelocityWalk
from support.venues import WholeVenue
from support.venues import small_tables as small_tables
from support.walk import ACTIONS, CONTRACTS, Dice, Walk

from seawall import Venue
from seawall.audit.replay import replay
from seawall.engine.results import unavailable_reason

throws = st.integers(0, 9_999).map(Dice)


RULEBOOKS = ("drift", "velocity", "migration")
"""How a walk's venue runs: by one rulebook, or by Drift until it migrates."""


def begin(rulebook: str, dice: Dice, tell: Callable[[str], None]) -> Walk:
    """A venue with money in it; how far withdrawals are limited, how long the AMM waits and what the venue has beside
    the program varies."""
    profile, guard = dice.choice(("documents", "program")), dice.choice((10**18, 10**9, 0))
    auction, backed = dice.choice((0, 10)), not dice.one_in(4)
    config: dict[str, bool] = {"associated_spot_backstop": backed, "liquidation_status_cranks": backed}
    if rulebook == "velocity":
        config["revenue_receivable"] = dice.one_in(4)
    first = "velocity" if rulebook == "velocity" else "drift"
    venue = WholeVenue(profile, guard, auction, insured=True, rulebook=first, **config)
    return Walk(venue, tell) if rulebook == "drift" else VelocityWalk(venue, tell)


class VenueMachine(RuleBasedStateMachine):
    """One rule a family of instructions: what exactly is asked, the dice decide."""

    rulebook = "drift"

    @initialize(dice=throws)
    def begin(self, dice: Dice) -> None:
        """A venue of the machine's rulebook."""
        self.walk = begin(self.rulebook, dice, note)

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


class DriftMachine(VenueMachine):
    """The rules of a Drift venue."""


class VelocityMachine(VenueMachine):
    """The rules of a Velocity venue."""

    rulebook = "velocity"


for _action in dict.fromkeys(ACTIONS):
    setattr(DriftMachine, _action.__name__, _rule(_action))

for _action in dict.fromkeys((*(a for a in ACTIONS if a not in DROPPED), *OWN)):
    setattr(VelocityMachine, _action.__name__, _rule(_action))

LONG = settings(max_examples=5_000, stateful_step_count=100, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.soak
class TestLongVenueMachine(DriftMachine.TestCase):  # type: ignore[misc, name-defined]
    """The same with other dice at every run, for an hour or so."""

    settings = LONG


@pytest.mark.soak
class TestLongVelocityMachine(VelocityMachine.TestCase):  # type: ignore[misc, name-defined]
    """The same by Velocity."""

    settings = LONG


SHORT = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

TestVenueMachine = DriftMachine.TestCase
TestVenueMachine.settings = SHORT
TestVelocityMachine = VelocityMachine.TestCase
TestVelocityMachine.settings = SHORT


# --- long walks --------------------------------------------------------------------------------------------------


def stroll(seed: int, steps: int, rulebook: str = "drift") -> Walk:
    """A random walk that follows from its seed; a failure tells the seed and the last instructions.

    A migration is asked for from a third of the way on, until the venue has migrated.
    """
    dice, told = Dice(seed), [""]
    walk = begin(rulebook, dice, told.append)
    try:
        for number in range(steps):
            action = dice.choice(walk.actions)
            if rulebook == "migration" and not walk.venue.is_velocity and number > steps // 3 and number % 10 == 0:
                action = VelocityWalk.migrate
            action(walk, dice)
            walk.reserved_is_what_rests()
        walk.everybody_leaves()
        for market in CONTRACTS:
            walk.market_ends(market)
    except Exception as error:
        error.add_note("\n".join([f"seed {seed} by {rulebook}, the last instructions:", *told[-8:]]))
        raise
    return walk


@pytest.mark.parametrize("rulebook", ["drift", "velocity"])
def test_walks_reach_every_family(rulebook: str) -> None:
    """A few walks are enough to carry out nearly everything that a venue does; otherwise they would prove little."""
    accepted: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    missing = EXPECTED[rulebook]
    if unavailable_reason() is not None:
        missing = {name for name in missing if not name.endswith("_batch")}
    for seed in range(40):
        walk = stroll(seed, 170, rulebook)
        accepted.update(walk.accepted)
        refused.update(walk.refused)
        missing = missing - accepted.keys()
        if seed >= 5 and not missing:
            break
    assert not missing
    assert accepted.total() > 0.8 * refused.total()
    assert len({text.split()[1] for text in refused}) > 40


def test_venues_migrate_on_the_way() -> None:
    """A Drift venue migrates in the middle of its history and goes on; nobody's claim changes (``migrate``)."""
    walks = [stroll(seed, 100, "migration") for seed in range(5)]
    assert sum(walk.venue.is_velocity for walk in walks) >= 4
    assert sum(walk.accepted["migrate_to_velocity"] for walk in walks) >= 4


@pytest.mark.parametrize(("rulebook", "seed"), list(zip(RULEBOOKS, (1, 2, 3), strict=True)))
def test_a_walk_is_what_its_journal_says(rulebook: str, seed: int) -> None:
    """A walk's requests, written to a journal and executed again from it, lead to the same receipts and the same state,
    and the audit of that journal accounts for every token."""
    walked = stroll(seed, 150, rulebook).venue
    with Venue() as venue:
        receipts = venue.apply_many(walked.asked)
        assert venue.root() == walked.store.root()
        assert receipts[-1].effects == walked.machine.effects.hex()
        replayed = replay(venue.journal)
        assert replayed.findings == []
        assert replayed.root == venue.root()
        assert (replayed.refused, replayed.reworded) == (sum(not r.ok for r in receipts), [])


BOTH = {
    "add_insurance_fund_stake",
    "deposit",
    "deposit_into_insurance_fund",
    "deposit_into_perp_market_fee_pool",
    "deposit_into_spot_market_revenue_pool",
    "fill_perp_order",
    "liquidate_perp",
    "liquidate_spot",
    "place_and_take_perp_order",
    "release_perp_order",
    "release_perp_orders",
    "request_remove_insurance_fund_stake",
    "reserve_perp_order",
    "settle_expired_market",
    "settle_funding_payment",
    "settle_multiple_pnls",
    "settle_pnl",
    "settle_revenue_to_insurance_fund",
    "swap",
    "transfer_deposit",
    "update_amms",
    "update_funding_rate",
    "update_perp_bid_ask_twap",
    "update_spot_market_cumulative_interest",
    "withdraw",
}
"""What walks by either rulebook must have carried out."""

EXPECTED = {
    "drift": BOTH | {
        "admin_remove_insurance_fund_stake", "fill_spot_order", "release_spot_order", "remove_insurance_fund_stake",
        "reserve_spot_order", "settle_expired_market_pools_to_revenue_pool", "settle_spot_fee_pool_to_revenue_pool",
        "transfer_protocol_if_shares",
    },
    "velocity": BOTH | {
        "complete_revenue_share_order", "deposit_into_isolated_perp_position", "deposit_into_spot_market_vault",
        "liquidate_perp_pnl_for_deposit", "liquidate_perp_with_fill", "resolve_perp_bankruptcy",
        "resolve_perp_pnl_deficit", "settle_funding_batch", "settle_pnl_batch", "settle_revenue_share",
        "sweep_perp_market_fees", "transfer_isolated_perp_position_deposit", "update_feature_bit_flags",
        "update_hot_admin", "update_solvency_status",
    },
}  # fmt: skip
"""What walks must have carried out, by rulebook."""


@pytest.mark.soak
def test_long_walks() -> None:
    """Thousands of walks: ``SOAK_SEEDS=first:last pytest -m soak tests/property/test_venue_machine.py``."""
    first, last = map(int, os.environ.get("SOAK_SEEDS", "0:2000").split(":"))
    for seed in range(first, last):
        stroll(seed, 300, RULEBOOKS[seed % 3])
