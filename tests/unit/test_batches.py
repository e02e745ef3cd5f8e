"""Batches: who is in one, what its receipt tells, where its results are, and what refuses it."""

import json
import sqlite3
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from support.batches import BTC_PERP, KEEPER, SOL_PERP, after, clone, crowd, crowded, execute, told
from support.load import ADMIN
from typer.testing import CliRunner

import seawall.engine.handlers.batches as handlers
from seawall import Request, Venue
from seawall.cli import app
from seawall.engine import results
from seawall.engine.machine import Machine
from seawall.engine.receipts import Receipt, Transfer
from seawall.errors import ErrorCode
from seawall.instructions.administration import UpdateExchangeStatus
from seawall.instructions.batches import MAX_ACCOUNTS, SettleExpiredBatch, SettleFundingBatch, SettlePnlBatch
from seawall.keys import key_from_text, key_to_text
from seawall.ledger.errors import JournalDamaged, LedgerError
from seawall.state.enums import EXCHANGE_AMM_PAUSED, EXCHANGE_FUNDING_PAUSED, EXCHANGE_SETTLE_PNL_PAUSED

ROOT = Path(__file__).parents[2]
COUNT = 60
PNL = SettlePnlBatch(market_index=SOL_PERP)


@cache
def _base() -> Machine:
    return crowded(COUNT)


@cache
def _expired() -> Machine:
    return crowded(COUNT, expired=BTC_PERP)


@pytest.fixture
def machine() -> Machine:
    """A crowd of sixty."""
    return clone(_base())


def settle(machine: Machine, ix: Any) -> Receipt:
    """A batch, signed by the keeper."""
    return execute(machine, ix, KEEPER, after())


def refused(receipt: Receipt) -> tuple[str, str]:
    """Error and message of a refusal."""
    assert receipt.refusal is not None
    return receipt.refusal.error, receipt.refusal.message


def rows(machine: Machine) -> list[dict[str, Any]]:
    """The results of the last batch."""
    assert machine.results is not None
    found: list[dict[str, Any]] = results.decode_results(machine.results).to_pylist()
    return found


# --- who is in a batch -------------------------------------------------------------------------------------------


def test_all_accounts(machine: Machine) -> None:
    """Without a count a range goes to the last account."""
    assert settle(machine, PNL).ok
    assert [row["row"] for row in rows(machine)] == list(range(COUNT))
    assert rows(machine)[7]["user"] == f"{key_to_text(key_from_text('@u7'))}/0"


def test_a_range_ends_at_the_last_account(machine: Machine) -> None:
    """Rows that do not exist yet are none."""
    assert settle(machine, SettleFundingBatch(first=55, count=100)).ok
    assert [row["row"] for row in rows(machine)] == list(range(55, COUNT))


def test_a_list_in_its_order(machine: Machine) -> None:
    """Accounts that do not exist are refused one by one and have no row."""
    assert settle(machine, SettlePnlBatch(market_index=SOL_PERP, users=["@u9", "@nobody/3", "@u0/0"])).ok
    found = rows(machine)
    assert [row["row"] for row in found] == [9, None, 0]
    assert found[1]["user"] == f"{key_to_text(key_from_text('@nobody'))}/3"
    assert (found[1]["error"], found[1]["amount"]) == ("UserNotFound", None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"first": COUNT}, f"there are {COUNT} accounts"),
        ({"count": 0}, "1 to 100000 accounts, not 0"),
        ({"count": MAX_ACCOUNTS + 1}, "1 to 100000 accounts, not 100001"),
        ({"users": []}, "1 to 100000 accounts, not 0"),
        ({"users": ["@u1", "@u2", "@u1/0"]}, "listed twice"),
        ({"users": ["@u1"], "first": 1}, "not both"),
        ({"users": ["@u1"], "count": 1}, "not both"),
    ],
)
def test_malformed_batches(machine: Machine, given: dict[str, Any], words: str) -> None:
    """The message says which accounts a batch may have."""
    error, message = refused(settle(machine, SettlePnlBatch(market_index=SOL_PERP, **given)))
    assert error == "InvalidInstruction"
    assert words in message
    assert machine.results is None


# --- gates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ix", "bit"),
    [
        (PNL, EXCHANGE_SETTLE_PNL_PAUSED),
        (SettleExpiredBatch(market_index=BTC_PERP), EXCHANGE_SETTLE_PNL_PAUSED),
        (SettleExpiredBatch(market_index=BTC_PERP), EXCHANGE_AMM_PAUSED),
        (SettleFundingBatch(), EXCHANGE_FUNDING_PAUSED),
    ],
)
def test_pauses_refuse_a_batch_as_a_whole(ix: Any, bit: int) -> None:
    """As they refuse every single settlement."""
    machine = clone(_expired())
    assert settle(machine, ix).ok
    machine = clone(_expired())
    assert execute(machine, UpdateExchangeStatus(exchange_status=bit), ADMIN, after()).ok
    assert refused(settle(machine, ix))[0] == "ExchangePaused"


def test_each_kind_has_its_market_status(machine: Machine) -> None:
    """Settling P&L and closing at the expiry price do not pass for each other."""
    assert refused(settle(machine, SettleExpiredBatch(market_index=BTC_PERP)))[0] == "PerpMarketNotInSettlement"
    receipt = settle(clone(_expired()), SettlePnlBatch(market_index=BTC_PERP))
    assert refused(receipt)[0] == "InvalidMarketStatusToSettlePnl"
    assert receipt.refusal is not None
    assert "settle_expired_batch" in receipt.refusal.would_pass
    assert refused(settle(machine, SettlePnlBatch(market_index=2)))[0] == "PerpMarketNotFound"


# --- the receipt -------------------------------------------------------------------------------------------------


def test_the_receipt_has_totals_and_one_leg_for_all_users(machine: Machine) -> None:
    """Its totals are those of the results, which it vouches for; its transfers sum to nothing, for no vault changed."""
    receipt = settle(machine, PNL)
    ((event, fields),) = receipt.events
    found = told(machine.results)
    assert event == "SettlePnlBatchRecord"
    assert fields["accounts"] == COUNT
    assert fields["settled"] == sum(became.settled for became in found) > 5
    assert fields["amount"] == sum(became.amount or 0 for became in found)
    errors = [became.error for became in found if became.error is not None]
    assert fields["refused"] == {name: errors.count(name) for name in sorted(set(errors))}
    assert len(fields["refused"]) > 2
    assert machine.results is not None
    assert fields["results_sha256"] == results.fingerprint(machine.results)
    assert [leg for leg in receipt.transfers if leg.account == "users"] == [Transfer(0, "users", fields["amount"])]
    assert not any(leg.account.startswith("user.") for leg in receipt.transfers)
    assert sum(leg.amount for leg in receipt.transfers) == 0


def test_nothing_is_written_before_the_end(machine: Machine) -> None:
    """Attempting a batch leaves the state as it was."""
    root = machine.store.root()
    receipt, changes = machine.attempt(PNL, KEEPER, key_from_text(KEEPER), after())
    assert receipt.ok
    assert len(changes) > 5
    assert machine.store.root() == root
    machine.settle(receipt, changes)
    assert machine.store.root() != root
    machine.undo(changes)
    assert machine.store.root() == root


def test_the_keepers_own_winnings(machine: Machine) -> None:
    """Who signs for its own account, or as a delegate, may settle what others may not: also within a batch."""
    row = machine.store.users.row(5)
    assert handlers.is_owner(row, key_from_text(KEEPER))
    assert handlers.is_owner(machine.store.users.row(11), key_from_text(KEEPER))
    assert not handlers.is_owner(row, key_from_text("@u6"))
    assert not handlers.is_owner(row, bytes(32))
    # @u1 leaves something in the pool, for which @u5 and @u25 have realised gains
    ix = SettlePnlBatch(market_index=SOL_PERP, users=["@u1", "@u25", "@u5"])
    other = clone(machine)
    assert settle(machine, ix).ok
    assert execute(other, ix, "@u6", after()).ok
    own = "UserMustSettleTheirOwnPositiveUnsettledPNL"
    assert [became.error for became in told(machine.results)] == [None, own, None]
    assert [became.error for became in told(other.results)] == [None, own, own]


# --- where results are -------------------------------------------------------------------------------------------


def filled(venue: Venue) -> Venue:
    """A venue with the crowd."""
    assert all(r.ok for r in venue.apply_many(Request(ix, signer, at) for ix, signer, at in crowd(COUNT)))
    return venue


def test_results_of_a_stored_venue(tmp_path: Path) -> None:
    """They come with the commit, outlive the process, and belong to their sequence number alone."""
    with filled(Venue.open(tmp_path / "venue.db")) as venue:
        assert venue.dry_run(PNL, KEEPER, after()).ok
        receipt = venue.apply(PNL, KEEPER, after(), "once")
        assert venue.apply(PNL, KEEPER, after(), "once") == receipt
        first = venue.results(receipt.sequence)
        assert venue.results(receipt.sequence - 1) is None
        assert venue.results(receipt.sequence + 1) is None
    assert first.column_names == ["row", "user", "settled", "amount", "error"]
    assert first.num_rows == COUNT
    with Venue.open(tmp_path / "venue.db", read_only=True) as venue:
        assert venue.results(receipt.sequence).equals(first)


def test_results_in_memory() -> None:
    """The journal in memory keeps them too; a batch that was undone leaves none."""
    venue = filled(Venue())
    root, sequence = venue.root(), venue.sequence
    undone = venue.apply_all_or_none([Request(PNL, KEEPER, after())], lambda receipt: False)
    assert undone[0].ok
    assert (venue.root(), venue.sequence) == (root, sequence)
    assert venue.results(sequence + 1) is None
    assert venue.apply(SettleFundingBatch(), KEEPER, after()).ok
    assert venue.results(sequence + 1).num_rows == COUNT
    assert len(venue.journal.results(sequence + 1) or b"") == len(venue._machine.results or b"")


@pytest.mark.parametrize("sql", ["DELETE FROM results", "UPDATE results SET data = zeroblob(length(data))"])
def test_other_results_are_damage(tmp_path: Path, sql: str) -> None:
    """The receipt, and so the hash chain, vouches for the results."""
    with filled(Venue.open(tmp_path / "venue.db")) as venue:
        sequence = venue.apply(PNL, KEEPER, after()).sequence
    with sqlite3.connect(tmp_path / "venue.db") as connection:
        connection.execute(sql)
    connection.close()
    with (
        Venue.open(tmp_path / "venue.db") as venue,
        pytest.raises(JournalDamaged, match=f"results of entry {sequence}"),
    ):
        venue.results(sequence)


def test_the_example_of_the_page(tmp_path: Path) -> None:
    """What docs/batches.md shows is what comes out."""
    path = tmp_path / "venue.seawall"
    for name in ("first-steps", "settle-everybody"):
        done = CliRunner().invoke(app, ["run", str(ROOT / "examples" / f"{name}.jsonl"), "--venue", str(path)])
        assert done.exit_code == 0, done.output
    with Venue.open(path, read_only=True) as venue:
        shown = venue.results(19).drop_columns(["user"]).to_pylist()
        receipt = venue.receipt(19)
    page = (ROOT / "docs" / "batches.md").read_text()
    assert "\n".join(str(row) for row in shown) in page
    assert receipt is not None
    ((event, fields),) = receipt.events
    assert f"event {event}" in page
    assert json.dumps({**fields, "results_sha256": ""}, separators=(",", ":"))[:-3] in page.replace("\n", "")


# --- what is not installed ---------------------------------------------------------------------------------------


def test_without_a_compiler(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact lane does it."""
    monkeypatch.setattr(handlers, "available", lambda: False)
    monkeypatch.setattr(handlers, "WORTH_COMPILING", 1)
    machine.lane = "auto"
    assert settle(machine, PNL).ok
    other = clone(_base())
    assert settle(other, PNL).ok
    assert other.store.root() == machine.store.root()


def test_nobody_waits_for_the_compiler(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops that were not compiled yet run in the exact lane, as do batches of a few accounts."""
    asked: list[bool] = []

    def run(*args: Any, compiled: bool, **others: Any) -> Any:
        asked.append(compiled)
        return real(*args, compiled=False, **others)

    real = handlers.batch.run
    monkeypatch.setattr(handlers.batch, "run", run)
    monkeypatch.setattr(handlers, "available", lambda: True)
    for kept, worth in ((True, 1), (False, 1), (True, COUNT + 1)):
        monkeypatch.setattr(handlers, "is_kept", lambda loop, kept=kept: kept)
        monkeypatch.setattr(handlers, "WORTH_COMPILING", worth)
        machine.lane = "auto"
        settle(machine, PNL)
    assert asked == [True, False, False]


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is turned away at the door and not part of the history; what needs its results says what to install."""
    with filled(Venue.open(tmp_path / "venue.db", snapshot_every=None)) as venue:
        sequence = venue.apply(PNL, KEEPER, after()).sequence
        with monkeypatch.context() as without:
            without.setattr(results, "find_spec", lambda name: None)
            results.unavailable_reason.cache_clear()
            receipt = venue.apply(PNL, KEEPER, after())
            assert (receipt.sequence, refused(receipt)[0]) == (0, ErrorCode.UnsupportedInstruction.name)
            assert "pip install 'seawall[bulk]'" in refused(receipt)[1]
            assert venue.sequence == sequence
            assert settle(clone(_base()), PNL).sequence == 0
            with pytest.raises(RuntimeError, match="pip install"):
                venue.results(sequence)
        venue._snapshot_at = sequence
    with monkeypatch.context() as without:
        without.setattr(results, "find_spec", lambda name: None)
        results.unavailable_reason.cache_clear()
        with pytest.raises(LedgerError, match=r"entry \d+ is a batch.*pip install"):
            Venue.open(tmp_path / "venue.db")
    results.unavailable_reason.cache_clear()
    with Venue.open(tmp_path / "venue.db") as venue:
        assert venue.sequence == sequence
