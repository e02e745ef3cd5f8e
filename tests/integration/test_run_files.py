"""Instruction files: applied wholly or not at all, with one clear line where they are at fault."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from seawall import Clock, Request, Venue
from seawall.cli import app
from seawall.instructions.venue_setup import AddOracle, Initialize, InitializeUser

EXAMPLE = Path(__file__).parents[2] / "examples" / "first-steps.jsonl"
GOOD: dict[str, Any] = {"at": 1_700_000_100, "signer": "@admin", "ix": "add_oracle", "name": "ETH", "price": 5}

DEPOSIT: dict[str, Any] = {"at": 1_700_000_100, "signer": "@alice", "ix": "deposit"}


@pytest.fixture
def venue(tmp_path: Path) -> Path:
    """A venue to which the example was applied."""
    path = tmp_path / "venue.seawall"
    result = CliRunner().invoke(app, ["run", str(EXAMPLE), "--venue", str(path), "--quiet"])
    assert result.exit_code == 0, result.output
    return path


def root_of(path: Path) -> tuple[int, str]:
    with Venue.open(path, read_only=True) as opened:
        return opened.sequence, opened.root()


def test_the_example_shows_a_winner_waiting_for_a_loser() -> None:
    """The first settlement is refused for an empty pool, passes once the loser has settled; the exit code is 0."""
    result = CliRunner().invoke(app, ["run", str(EXAMPLE)])
    assert result.exit_code == 0
    assert "PnlPoolCantSettleUser" in result.output
    assert "16 instructions, 15 carried out, 1 refused" in result.output


LINE = json.dumps(GOOD)


@pytest.mark.parametrize(
    ("text", "number", "says"),
    [
        (LINE + "\n" + '{"at": 1700000100, "signer": "@admin", "ix": "depozit"}\n', 2, "unknown instruction 'depozit'"),
        (LINE + "\n" + LINE[:30], 2, "was it cut?"),
        (LINE + "\n[1]\n", 2, "a line is a JSON object"),
        (LINE + "\n" + json.dumps({**GOOD, "name": "BTC", "price": "x"}) + "\n", 2, "price"),
        (json.dumps({**GOOD, "at": 1.5}) + "\n", 1, "at is a whole number"),
        (json.dumps({**GOOD, "at": -1}) + "\n", 1, "at must be within"),
        (json.dumps({**GOOD, "signer": "0OIl"}) + "\n", 1, "no base58 key"),
        (json.dumps({**GOOD, "colour": "red"}) + "\n", 1, "colour"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "signer"}) + "\n", 1, "signer"),
    ]
    + [
        (
            f"{LINE}\n{json.dumps({**DEPOSIT, **fields})}\n", 2, says,
        )
        for fields, says in (
            ({"user": "@alice", "market_index": 7, "amount": 1}, "SpotMarketNotFound: there is no spot market 7"),
            ({"user": "@nobody", "market_index": 0, "amount": 1}, "UserNotFound"),
            ({"user": "@alice", "market_index": 0, "amount": -5}, "amount must be within 0 and 18446744073709551615"),
            ({"user": "@alice", "market_index": 0, "amount": str(1 << 64)}, "amount must be within 0 and"),
            ({"user": "@alice", "market_index": 0, "amount": 1.5}, "amount"),
        )
    ]
    + [(json.dumps({**GOOD, "at": 1_600_000_000}) + "\n", 1, "ClockWentBackwards")],
)  # fmt: skip
def test_a_faulty_file_changes_nothing(venue: Path, tmp_path: Path, text: str, number: int, says: str) -> None:
    """One line on stderr with the line number, exit code 2, and the venue is as it was."""
    before = root_of(venue)
    file = tmp_path / "faulty.jsonl"
    file.write_text(text)
    result = CliRunner().invoke(app, ["run", str(file), "--venue", str(venue)])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert f"faulty.jsonl:{number}: " in result.stderr and says in result.stderr
    assert "Traceback" not in result.output
    assert root_of(venue) == before


def test_a_missing_file_and_a_missing_venue_are_one_line(tmp_path: Path) -> None:
    for arguments in (
        ["run", str(tmp_path / "none.jsonl")],
        ["show", str(tmp_path / "none")],
        ["audit", str(tmp_path / "none")],
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1


def test_audit_of_the_example_finds_nothing(venue: Path) -> None:
    result = CliRunner().invoke(app, ["audit", str(venue)])
    assert result.exit_code == 0
    assert "nothing was created or lost" in result.output


def test_all_or_none_undoes_everything() -> None:
    """New rows, changed rows and the sequence go back; the venue goes on as if nothing had been asked."""
    at = Clock.at(1_700_000_000)
    start = [Request(Initialize(admin="@admin"), "@admin", at), Request(InitializeUser(user="@a"), "@a", at)]
    with Venue() as venue:
        first = venue.apply_all_or_none(start, lambda receipt: receipt.ok)
        assert [r.sequence for r in first] == [1, 2]
        root, tip = venue.root(), venue.tip
        group = [
            Request(AddOracle(name="SOL", price=1), "@admin", at),
            Request(InitializeUser(user="@a/1"), "@a", at),
            Request(InitializeUser(user="@b"), "@b", at),
            Request(InitializeUser(user="@b"), "@b", at),
        ]
        refused = venue.apply_all_or_none(group, lambda receipt: receipt.ok)
        assert [r.ok for r in refused] == [True, True, True, False]
        assert (venue.root(), venue.tip) == (root, tip)
        assert [r.sequence for r in venue.apply_many(group[:3])] == [3, 4, 5]
