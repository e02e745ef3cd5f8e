"""``seawall luna``: the run, and the ledger that pays every profit on demand."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seawall.audit.replay import replay_venue
from seawall.cli import app
from seawall.engine.venue import Venue
from seawall.lab import luna_crash
from seawall.lab.flows import Flows
from seawall.lab.luna_crash import VAULT, LunaCrash
from seawall.lab.paid_on_demand import PaidOnDemand, Standing
from seawall.lab.prices import bundled_rounds

# --- the ledger ------------------------------------------------------------------------------------------------


def ledger(brought: Mapping[str, int], **drawn: int) -> PaidOnDemand:
    """A ledger in which something was drawn already."""
    made = PaidOnDemand(brought)
    made.drawn.update(drawn)
    return made


@pytest.mark.parametrize(
    ("case", "vault", "worths", "margins", "paid", "missing"),
    [
        ("a profit is paid in full, whoever owes it", 300, (150, 50), (0, 0), (50, 0), 0),
        ("nobody with a loss is paid", 300, (100, 50), (0, 0), (0, 0), 0),
        ("the position's margin stays", 300, (150, 50), (120, 0), (30, 0), 0),
        ("a position that needs more than the account is worth takes nothing out", 300, (150, 50), (160, 0), (0, 0), 0),
        ("a debt beyond what its owner brought is missing", 300, (220, -20), (0, 0), (120, 0), 20),
        ("the vault pays what it holds", 30, (150, 50), (0, 0), (30, 0), 170 + 100),
    ],
)
def test_what_is_drawn(
    case: str, vault: int, worths: tuple[int, int], margins: tuple[int, int], paid: tuple[int, int], missing: int
) -> None:
    """Two traders brought 100 each, lenders 100."""
    made = PaidOnDemand({"a": 100, "b": 100})
    hour = made.strike(0, 1, vault, 100, 0, dict(zip("ab", map(Standing, worths, margins), strict=True)))
    assert tuple(made.drawn.values()) == paid, case
    assert hour.ledger_vault == vault - sum(paid)
    assert hour.missing == missing
    assert (made.dry_at is not None) == (vault == 30)


def test_what_the_engine_paid_is_not_paid_twice() -> None:
    """a made 50 and withdrew 20 of it in the engine: here it draws 50 in all, from a vault that still had the 20."""
    made = PaidOnDemand({"a": 100})
    made.withdrawn["a"] = 20
    hour = made.strike(0, 1, 180, 100, 0, {"a": Standing(130, 0)})
    assert made.drawn["a"] == 50
    assert hour.ledger_vault == 180 + 20 - 50
    assert made.strike(1, 1, 180, 100, 0, {"a": Standing(130, 0)}).drawn == 50


def test_a_profit_taken_out_stays_out_when_the_price_turns() -> None:
    """a drew 50 and loses 120 afterwards: 30 of it were never there, and are missing."""
    made = ledger({"a": 100}, a=50)
    hour = made.strike(0, 1, 150 + 50, 100, 0, {"a": Standing(30, 0)})
    assert made.own("a", Standing(30, 0)) == -20
    assert hour.drawn == 50
    assert hour.claims == 100


# --- the run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def short_crash() -> Iterator[None]:
    """The crash with every tenth minute only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(luna_crash, "bundled_rounds", lambda name: list(bundled_rounds(name))[::10])
        yield


def play(venue: Venue, seed: int = 20_220_511) -> tuple[LunaCrash, Flows]:
    """The scenario from genesis to its end."""
    scenario, flows = LunaCrash(seed), Flows()
    flows.apply(venue, [scenario.genesis()])
    assert venue.store.vaults.objects[0].spot_vault == VAULT
    for number in range(len(scenario.rounds)):
        flows.apply(venue, scenario.round(venue, number))
    flows.apply(venue, scenario.ending(venue))
    return scenario, flows


def check(scenario: LunaCrash, venue: Venue) -> None:
    """What must hold on both sides at every hour.

    Engine: what winners withdrew is what the vault lacks of its start. Ledger: it pays at least as much in all, never
    more than it had, and its vault is what is left.
    """
    hours = scenario.ledger.hours
    assert len(hours) > 50
    for hour in hours:
        assert hour.withdrawn == VAULT - hour.vault
        assert hour.withdrawn <= hour.drawn <= VAULT
        assert hour.ledger_vault == VAULT - hour.drawn
    lent = sum(scenario.accounts.tokens(venue.store, lender.account, 0) for lender in scenario.lenders)
    assert hours[-1].vault >= lent
    assert hours[-1].drawn > hours[-1].withdrawn
    assert hours[-1].missing > 0


@pytest.mark.usefixtures("short_crash")
def test_the_pool_holds_back_what_nobody_paid_in(tmp_path: Path) -> None:
    """The command shows it and passes its audit; the same seed in memory ends in the same state."""
    with Venue() as venue:
        scenario, flows = play(venue)
        check(scenario, venue)
        root = venue.root()
    assert flows.paid_out["winners"] <= flows.paid_in["losers"]
    assert flows.losses.liquidated["liquidate_perp", 0].count > 0
    path = tmp_path / "luna.seawall"
    done = CliRunner().invoke(app, ["luna", "--venue", str(path)], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert root in done.output
    assert "nothing was created or lost" in done.output
    assert f"Without it: winners would have taken {scenario.ledger.hours[-1].drawn // 10**6:,}" in done.output
    assert "…" not in done.output
    assert max(len(line) for line in done.output.rstrip("\n").split("\n")[:-1]) <= 80


@pytest.mark.soak
def test_the_whole_crash(tmp_path: Path) -> None:
    path = tmp_path / "luna.seawall"
    with Venue.open(path) as venue:
        scenario, _ = play(venue)
        check(scenario, venue)
        root = venue.root()
    replayed = replay_venue(path)
    assert replayed.findings == []
    assert replayed.root == root
