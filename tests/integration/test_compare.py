"""Both rulebooks on the same people: each dollar of fees and interest is accounted for once."""

import pytest
from typer.testing import CliRunner

from seawall.cli import app
from seawall.lab.compare import Comparison


@pytest.fixture(scope="module")
def compared() -> Comparison:
    """The first days of the week in both venues."""
    comparison = Comparison(20_220_507)
    for number in range(120):
        comparison.round(number)
    return comparison


def paid_by_takers(comparison: Comparison, name: str) -> int:
    """Fees of all takers, as their statistics have them (quote 1e6)."""
    stats = comparison.venues[name].store.user_stats
    return sum(stats.read(row).fees.total_fee_paid for row in range(stats.count))


@pytest.mark.parametrize("name", ["drift", "velocity"])
def test_what_takers_paid_is_what_somebody_has(compared: Comparison, name: str) -> None:
    assert sum(compared.accounts[name].of["fees"][0].values()) == paid_by_takers(compared, name) > 0


def test_velocitys_split_is_what_its_ledger_says(compared: Comparison) -> None:
    parties = compared.accounts["velocity"].of["fees"][0]
    ledger = compared.venues["velocity"].store.perp_markets.objects[0].fee_ledger
    assert parties["AMM"] == ledger.amm_protocol_fees_received
    assert parties["insurance"] <= parties["AMM"] + 1
    assert parties["protocol"] >= parties["AMM"] + parties["insurance"]


def test_drift_knows_no_protocol(compared: Comparison) -> None:
    for subject in ("fees", "interest", "liquidations"):
        for parties in compared.accounts["drift"].of[subject].values():
            assert parties["protocol"] == 0


def test_both_did_the_same_and_differ_in_who_got_it(compared: Comparison) -> None:
    """Makers are paid alike, up to the few trades that one venue refused and the other did not."""
    drift, velocity = (compared.accounts[name].of["fees"][0] for name in ("drift", "velocity"))
    assert abs(drift["makers"] - velocity["makers"]) * 50 < drift["makers"]
    assert drift["AMM"] > velocity["AMM"]
    people = [venue.store.users.count for venue in compared.venues.values()]
    assert people[0] == people[1]


def test_compare_takes_no_venue() -> None:
    run = CliRunner().invoke(app, ["demo", "--compare", "--rulebook", "velocity"])
    assert run.exit_code == 2 and "neither --venue nor --rulebook" in run.output
