"""``seawall demo`` and its keeper: on every twelfth round in the normal suite, on all of them in the long runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from seawall.audit.replay import replay_venue
from seawall.cli import app
from seawall.engine.receipts import Receipt
from seawall.engine.venue import Venue
from seawall.lab import luna_week
from seawall.lab.flows import Flows
from seawall.lab.luna_week import KEEPER_DOWN, KEEPER_UP, LunaWeek
from seawall.lab.prices import bundled_rounds

KEEPERS_WORK = {"liquidate_perp", "liquidate_spot", "liquidate_perp_pnl_for_deposit", "resolve_perp_bankruptcy"}


def play(venue: Venue, seed: int = 20_220_507) -> tuple[LunaWeek, Flows]:
    """The scenario from genesis to its end."""
    scenario, flows = LunaWeek(seed), Flows()
    flows.apply(venue, [scenario.genesis()])
    for number in range(len(scenario.rounds)):
        flows.apply(venue, scenario.round(venue, number))
    flows.apply(venue, scenario.ending(venue))
    return scenario, flows


def receipts(venue: Venue) -> list[Receipt]:
    """Every receipt of a venue."""
    found = (venue.receipt(sequence) for sequence in range(1, venue.sequence + 1))
    return [receipt for receipt in found if receipt is not None]


# --- shortened -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def short_week() -> Iterator[None]:
    """The week with every twelfth round only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(luna_week, "bundled_rounds", lambda name: list(bundled_rounds(name))[::12])
        yield


class Played(NamedTuple):
    """What is left of a run: totals, receipts, who still was to be liquidated or resolved, the state root."""

    flows: Flows
    receipts: list[Receipt]
    left: list[tuple[str, int] | tuple[str, list[int]]]
    root: str


@pytest.fixture(scope="module")
def played(short_week: None) -> Played:
    """The shortened week in memory."""
    with Venue() as venue:
        scenario, flows = play(venue)
        done = receipts(venue)
        left = [*scenario.keeper.liquidatable(venue, done[-1].clock), *scenario.keeper.bankrupt(venue, done[-1].clock)]
        return Played(flows, done, left, venue.root())


def test_the_command_shows_the_losses_and_passes_its_audit(played: Played, tmp_path: Path) -> None:
    """And it ends in the same state as the same seed in memory."""
    path = tmp_path / "week.seawall"
    done = CliRunner().invoke(app, ["demo", "--venue", str(path)], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert "nothing was created or lost" in done.output
    assert "Assumed: from 2022-05-11 11:00:00" in done.output
    assert "Losses that their owners could not pay (USDC)" in done.output
    assert played.root in done.output
    # no cell was cut and no line is wider than asked; the path at the end is in one piece
    *lines, last = done.output.rstrip("\n").split("\n")
    assert "…" not in done.output
    assert max(len(line) for line in lines) <= 80
    assert last == f"The venue is kept in {path}; seawall show {path} looks at it."


def test_the_command_refuses_a_path_that_exists(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["demo", "--venue", str(tmp_path)]).exit_code == 2


def test_the_keeper_is_never_refused_and_leaves_nobody(played: Played) -> None:
    worked = [receipt for receipt in played.receipts if receipt.ix.startswith(("liquidate_", "resolve_"))]
    assert {receipt.ix for receipt in worked} >= KEEPERS_WORK
    assert [receipt for receipt in worked if not receipt.ok] == []
    assert played.left == []
    assert played.flows.losses.insurance_paid[0] > 0


def test_the_keeper_rests_while_it_is_down(played: Played) -> None:
    hours = [(receipt.ix, receipt.clock.unix_timestamp) for receipt in played.receipts]
    down = {ix for ix, now in hours if KEEPER_DOWN <= now < KEEPER_UP}
    assert "place_and_take_perp_order" in down
    assert not [ix for ix in down if ix.startswith(("liquidate_", "resolve_"))]


def test_liquidations_take_over_only_what_lacks_collateral(played: Played) -> None:
    """Whoever is liquidated lacks collateral: for the requirement or, once flagged, for the requirement with buffer."""
    found = [fields for receipt in played.receipts for name, fields in receipt.events if name == "LiquidationRecord"]
    assert found
    for fields in found:
        # the buffer is 2 % of the position, the requirement 5 % of it
        assert fields["total_collateral"] < fields["margin_requirement"] * 7 // 5, fields


def test_every_loss_is_paid_socialised_or_open_and_the_totals_are_the_receipts(played: Played) -> None:
    waterfalls = [receipt.waterfall for receipt in played.receipts if receipt.waterfall is not None]
    assert waterfalls
    resolved = played.flows.losses.resolved.values()
    for one in resolved:
        assert one.loss == one.insurance + one.fee_pool + one.other + one.socialised + one.uncovered
    assert sum(one.loss for one in resolved) == sum(waterfall.loss for waterfall in waterfalls)
    assert sum(one.count for one in resolved) == len(waterfalls)


def test_each_instructions_flows_sum_to_the_vaults_change(played: Played) -> None:
    for market in played.flows.moved.values():
        for ix, row in market.items():
            claims = sum(tokens for kind, tokens in row.items() if not kind.endswith("vault"))
            assert claims == row["spot_vault"], ix


# --- in full ---------------------------------------------------------------------------------------------------


@pytest.mark.soak
def test_the_whole_week(tmp_path: Path) -> None:
    """Liquidations, insurance paid, nothing created or lost; the same root a second time."""
    path = tmp_path / "week.seawall"
    with Venue.open(path) as venue:
        _, flows = play(venue)
        root = venue.root()
    replayed = replay_venue(path)
    assert replayed.findings == []
    assert replayed.root == root
    losses = flows.losses
    assert losses.liquidated["liquidate_perp", 0].count > 0
    assert losses.liquidated["liquidate_spot", 0].count > 0
    assert losses.insurance_paid[0] > 0
    assert losses.resolved["perp_bankruptcy", 0].socialised > 0
    assert losses.resolved["spot_bankruptcy", 0].insurance > 0
    assert all(one.socialised >= 0 for one in losses.resolved.values())
    with Venue() as again:
        play(again)
        assert again.root() == root
