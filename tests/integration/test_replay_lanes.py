"""One journal, replayed in either lane: the same end, and the same entry where something is wrong."""

from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from support.batches import BTC_PERP, KEEPER, SOL_PERP, Timed, after, crowd, expiry
from support.load import ADMIN
from typer.testing import CliRunner

from seawall import Clock, Request, Venue
from seawall.audit import replay_bulk
from seawall.audit.replay import replay, replay_venue
from seawall.audit.replay_bulk import SHORTEST, replay_compiled, replay_venue_compiled
from seawall.bulk import available, library, unavailable_reason
from seawall.cli import app
from seawall.engine.receipts import decode_receipt, encode_receipt
from seawall.engine.results import fingerprint
from seawall.instructions.administration import UpdateExchangeStatus
from seawall.instructions.amm import SettleFundingPayment
from seawall.instructions.batches import SettleExpiredBatch, SettleFundingBatch, SettlePnlBatch
from seawall.instructions.deposits import Deposit
from seawall.instructions.pnl import SettlePnl
from seawall.ledger.errors import JournalDamaged, ReplayDiffers
from seawall.ledger.journal import Entry, MemoryJournal, chain
from seawall.state.enums import EXCHANGE_SETTLE_PNL_PAUSED

pytest.importorskip("pyarrow")
needs_compiler = pytest.mark.skipif(not available(), reason=str(unavailable_reason()))

COUNT = 120


def history() -> Iterator[Timed]:
    """A crowd; its settlements by a keeper and by the owners, one by one and in batches, with others in between."""
    yield from crowd(COUNT)
    now = after()
    for number in range(COUNT):
        yield SettlePnl(user=f"@u{number}", market_index=SOL_PERP), KEEPER, now
    for number in range(COUNT):
        yield SettlePnl(user=f"@u{number}", market_index=BTC_PERP), f"@u{number}", now
    yield SettlePnl(user="@nobody", market_index=SOL_PERP), KEEPER, now
    yield SettlePnlBatch(market_index=SOL_PERP, first=20, count=40), KEEPER, now
    for number in range(COUNT):
        yield SettleFundingPayment(user=f"@u{number}"), KEEPER, now
        if number == 60:
            yield Deposit(user="@u0", market_index=0, amount=5), "@u0", now
    yield SettleFundingBatch(), KEEPER, now
    # twice the same user, a market that does not exist, a run that is too short for a loop
    for user in ("@u0", "@u0", "@u1", "@u1"):
        yield SettlePnl(user=user, market_index=SOL_PERP), KEEPER, now
        yield SettlePnl(user=user, market_index=7), KEEPER, now
    yield UpdateExchangeStatus(exchange_status=EXCHANGE_SETTLE_PNL_PAUSED), ADMIN, now
    for number in range(10):
        yield SettlePnl(user=f"@u{number}", market_index=SOL_PERP), KEEPER, now
    yield UpdateExchangeStatus(exchange_status=0), ADMIN, now
    for instruction, signer, at in expiry(BTC_PERP):
        yield instruction, signer, Clock.at(max(at.unix_timestamp, now.unix_timestamp))
    later = Clock.at(now.unix_timestamp + 200)
    for number in range(COUNT // 2):
        yield SettlePnl(user=f"@u{number}", market_index=BTC_PERP), KEEPER, later
    yield SettleExpiredBatch(market_index=BTC_PERP), KEEPER, later


LOOPS = 4 * COUNT - COUNT // 2
"""Settlements of the history that are run in loops."""


@cache
def remembered() -> Venue:
    """The history in memory."""
    venue = Venue()
    venue.apply_many(Request(*asked) for asked in history())
    return venue


@needs_compiler
def test_both_lanes_end_alike(tmp_path: Path) -> None:
    """Root, effects, refusals and snapshots; the bulk lane ran every long row of settlements as loops."""
    path = tmp_path / "venue.db"
    with Venue.open(path, snapshot_every=None) as venue:
        for number, asked in enumerate(history()):
            venue.apply(*asked)
            if number in (600, 700):
                venue.snapshot()
        root, sequence = venue.root(), venue.sequence
    exact, bulk = replay_venue(path), replay_venue_compiled(path)
    assert exact.root == bulk.machine.store.root() == root
    assert exact.machine.effects == bulk.machine.effects
    assert exact.refused == bulk.refused > COUNT
    assert exact.tip == bulk.tip
    assert exact.snapshots == bulk.snapshots
    assert len(bulk.snapshots) == 2
    assert exact.findings == []
    assert exact.reworded == []
    assert bulk.compiled == LOOPS
    assert sequence == exact.machine.sequence == bulk.machine.sequence


def forged(at: int, **changed: object) -> MemoryJournal:
    """The history, in which one entry's outcome tells something else; its hash chain is right."""
    journal = MemoryJournal()
    for entry in remembered().journal.entries():
        outcome = entry.outcome
        if entry.sequence == at:
            outcome = encode_receipt(msgspec.structs.replace(decode_receipt(outcome), **changed))
        parts = (*entry[:7], outcome)
        results = remembered().journal.results(entry.sequence)
        kept = {} if results is None else {entry.sequence: results}
        journal.append([Entry(*parts, chain(journal.tip().hash, *parts))], kept)
    return journal


def place_of(ix: str, nth: int, ok: bool) -> int:
    """The sequence number of the nth instruction of a kind that was carried out, or refused."""
    receipts = (decode_receipt(entry.outcome) for entry in remembered().journal.entries())
    found = (receipt.sequence for receipt in receipts if receipt.ix == ix and receipt.ok == ok)
    return list(islice(found, nth))[-1]


@needs_compiler
@pytest.mark.parametrize(
    ("ix", "nth"),
    [("settle_pnl", 30), ("settle_pnl", 100), ("settle_funding_payment", 50), ("deposit", 3), ("settle_pnl_batch", 1)],
)
def test_the_first_difference_is_named(ix: str, nth: int) -> None:
    """An entry that claims other effects is found by its number in both lanes, wherever in a loop it is."""
    at = place_of(ix, nth, ok=True)
    journal = forged(at, effects="00" * 32)
    for lane in (replay, replay_compiled):
        with pytest.raises(ReplayDiffers, match=rf"entry {at} \({ix}\) changes other rows"):
            lane(journal)


@needs_compiler
def test_another_error_is_named() -> None:
    """As is one that claims that a refused settlement was carried out."""
    at = place_of("settle_pnl", 20, ok=False)
    journal = forged(at, refusal=None)
    for lane in (replay, replay_compiled):
        with pytest.raises(ReplayDiffers, match=rf"entry {at} \(settle_pnl\) gives \w+ instead of ok"):
            lane(journal)


@needs_compiler
def test_lanes_that_differ_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that goes wrong at its third account is found there; the exact lane finds nothing."""

    def wrong(*args: object, **given: object) -> object:
        result = real(*args, **given)  # type: ignore[arg-type]
        users = args[1].users[0]  # type: ignore[attr-defined]
        users[2 * len(users) // COUNT + 70] ^= 1
        return result

    # made beforehand: batches of the history run loops too, and whichever test comes first makes the history
    journal = remembered().journal
    real = replay_bulk.batch.run
    with monkeypatch.context() as patched:
        patched.setattr(replay_bulk.batch, "run", wrong)
        with pytest.raises(ReplayDiffers, match=r"in the bulk lane, entry \d+ .* the two lanes differ"):
            replay_compiled(journal)
    assert replay(journal).findings == []


def test_results_are_compared() -> None:
    """Results that are not those of the receipt, and receipts of other results, are found."""
    at = place_of("settle_pnl_batch", 1, ok=True)
    journal = forged(at)
    journal._results[at] = journal._results[at][:-1] + b"x"
    with pytest.raises(JournalDamaged, match=f"results of entry {at} are not what was written"):
        replay(journal)
    del journal._results[at]
    with pytest.raises(JournalDamaged, match=f"results of entry {at} are missing"):
        replay(journal)


def test_other_bytes_of_the_same_results_are_accepted() -> None:
    """Another version of pyarrow may write the same table in other bytes; the table counts."""
    import pyarrow as pa

    at = place_of("settle_pnl_batch", 1, ok=True)
    results = remembered().journal.results(at)
    assert results is not None
    table = pa.ipc.open_stream(results).read_all()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    other = bytes(sink.getvalue())
    assert other != results
    receipt = decode_receipt(remembered().journal.entry(at).outcome)  # type: ignore[union-attr]
    ((event, fields),) = receipt.events
    journal = forged(at, events=[(event, fields | {"results_sha256": fingerprint(other)})])
    journal._results[at] = other
    assert replay(journal).findings == []


@needs_compiler
def test_the_command(tmp_path: Path) -> None:
    """`seawall replay --lane bulk` says how much of the journal ran compiled."""
    with Venue.open(tmp_path / "venue.db") as venue:
        venue.apply_many(Request(*asked) for asked in history())
        root = venue.root()
    done = CliRunner().invoke(app, ["replay", str(tmp_path / "venue.db"), "--lane", "bulk"])
    assert done.exit_code == 0, done.output
    assert f"{LOOPS} settlements executed again compiled" in done.output
    assert root in done.output
    assert SHORTEST <= 10


def test_the_command_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is missing."""
    Venue.open(tmp_path / "venue.db").close()
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    library.unavailable_reason.cache_clear()
    done = CliRunner().invoke(app, ["replay", str(tmp_path / "venue.db"), "--lane", "bulk"])
    library.unavailable_reason.cache_clear()
    assert done.exit_code == 2
    assert "the bulk lane is not available" in done.output
