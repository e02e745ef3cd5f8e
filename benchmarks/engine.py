"""How fast the engine is, what an account costs, and how long a venue of a million accounts takes to come back.

    python benchmarks/engine.py [--accounts 1000,100000,1000000] [--rounds 5] [--directory DIR]

Prints tables and asserts nothing. The load is P&L settlement (``settlements.py``) with the AMM's curve at rest
(intensity 0) and moving with every price (100), and deposits. Every rate is the best of several rounds, because other
work on the machine only ever makes them worse; the rounds of all venues take turns, so that what disturbs one disturbs
all. The rate by processor time leaves out what the machine gave to others, and waiting for the disk. Beside the durable
rates stands what SQLite alone does with the same bytes in the same run.
"""

import argparse
import gc
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import vectors
from settlements import AT_ONCE, Load, deposits, requests, set_intensity, settlement_venue, settlements

import seawall.engine.handlers.pnl as handler
import seawall.engine.machine as machine
import seawall.engine.venue as engine
from seawall import Request, Venue
from seawall.engine.transaction import Transaction
from seawall.ledger.journal import Entry
from seawall.ledger.sqlite import SqliteJournal

GROUP = 1_000
"""Instructions a commit."""

LOADS: list[tuple[str, int, Callable[[int], Load]]] = [
    ("settle_pnl, curve at rest", 0, settlements),
    ("settle_pnl, curve moving", 100, settlements),
    ("deposit", 0, deposits),
]


def seconds(action: Callable[[], object]) -> tuple[float, float]:
    """How long an action takes, by the clock and in processor time."""
    gc.collect()
    started, worked = perf_counter(), process_time()
    action()
    return perf_counter() - started, process_time() - worked


def resident() -> int:
    """Bytes of memory that the process occupies now (Linux; elsewhere 0)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


class Measured:
    """A venue of some size, with its loads and the best rates found so far."""

    def __init__(self, venue: Venue, count: int) -> None:
        before = resident()
        self.venue = venue
        self.count = count
        settlement_venue(venue, count)
        self.bytes_an_account = (resident() - before) // count
        self.rates: Counter[str] = Counter()
        self.processor_rates: Counter[str] = Counter()
        self.refused = 0
        self._loads = {make: make(count) for make in (settlements, deposits)}

    def round(self, name: str, intensity: int, make: Callable[[int], Load], one_by_one: bool = False) -> None:
        """One more round of a load."""
        set_intensity(self.venue.store, intensity)
        if one_by_one:
            self._note(f"{name}, one a commit", self.requests(make, 200), lambda r: [self.venue.apply(*x) for x in r])
        else:
            self._note(name, self.requests(make, AT_ONCE), self.venue.apply_many)

    def requests(self, make: Callable[[int], Load], count: int) -> list[Request]:
        """The next instructions of a load."""
        return requests(self.venue, self._loads[make], count)

    def _note(self, name: str, requests: list[Request], apply: Callable[[list[Request]], Iterable[Any]]) -> None:
        receipts: list[Any] = []
        took, worked = seconds(lambda: receipts.extend(apply(requests)))
        self.rates[name] = max(self.rates[name], int(len(requests) / took))
        self.processor_rates[name] = max(self.processor_rates[name], int(len(requests) / worked))
        self.refused += sum(not receipt.ok for receipt in receipts)


class Stages:
    """Where the time of an instruction goes, each part without the parts inside it.

    A function that the engine no longer has counts as part of the rest.
    """

    PARTS: tuple[tuple[str, tuple[tuple[Any, str], ...]], ...] = (
        ("rules", ((handler, "refresh_and_settle_pnl"), (handler, "validate_spot_market_vault_amount"))),
        (
            "codec: rows to records and back",
            (
                (Transaction, "_write_row"), (Transaction, "_write_held"), (Transaction, "commit"),
                (machine.Machine, "settle"),
            ),
        ),
        (
            "receipt: event, transfers, state hash, JSON",
            (
                (handler, "_emit_settlement"), (machine, "moved"), (machine.Machine, "effects_after"),
                (engine, "encode_receipt"),
            ),
        ),
        ("journal: JSON, hash chain, SQLite", ((engine, "_encoded"), (engine, "chain"), (SqliteJournal, "append"))),
        ("admission: types, widths, keys, clock", ((engine, "_admitted"),)),
    )  # fmt: skip

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._inside = [0.0]

    def _watched(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def watched(*args: Any, **named: Any) -> Any:
            started = perf_counter()
            self._inside.append(0.0)
            try:
                return function(*args, **named)
            finally:
                took = perf_counter() - started
                self.spent[stage] += took - self._inside.pop()  # type: ignore[assignment]
                self._inside[-1] += took

        return watched

    def measure(self, venue: Venue, requests: list[Request]) -> dict[str, float]:
        """Microseconds an instruction by part."""
        found = [(stage, owner, name) for stage, places in self.PARTS for owner, name in places if name in vars(owner)]
        originals = [(owner, name, vars(owner)[name]) for _, owner, name in found]
        try:
            for stage, owner, name in found:
                setattr(owner, name, self._watched(vars(owner)[name], stage))
            total, _ = seconds(lambda: venue.apply_many(requests))
        finally:
            for owner, name, original in originals:
                setattr(owner, name, original)
        parts = {stage: float(self.spent[stage]) for stage, _ in self.PARTS}
        parts["the rest: handler, transaction, venue"] = total - sum(parts.values())
        return {stage: spent / len(requests) * 1e6 for stage, spent in parts.items()}


def bare_inserts(path: Path, entries: list[Entry], group: int) -> float:
    """Rows a second that SQLite alone takes, as durable as the journal, in groups of a size."""
    with sqlite3.connect(path, isolation_level=None) as database:
        database.execute("PRAGMA page_size = 8192")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(
            "CREATE TABLE journal (sequence INTEGER PRIMARY KEY, at INTEGER, slot INTEGER, signer TEXT, "
            "signature BLOB, key TEXT, instruction BLOB, outcome BLOB, hash BLOB)"
        )

        def insert() -> None:
            for at in range(0, len(entries), group):
                database.execute("BEGIN")
                database.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entries[at : at + group])
                database.execute("COMMIT")

        took, _ = seconds(insert)
    database.close()
    path.unlink()
    return len(entries) / took


def row(name: str, cells: Iterable[str]) -> None:
    """One line of a table."""
    print(f"{name:<52}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def rate_rows(venues: list[Measured]) -> None:
    """A line of rates for every load, and under it what an instruction costs against the smallest venue."""
    for name in venues[0].rates:
        rates = [venue.rates[name] for venue in venues]
        row(name, (f"{rate:,} /s" for rate in rates))
        if "one a commit" not in name:
            rates = [venue.processor_rates[name] for venue in venues]
            row("    by processor time", (f"{rate:,} /s" for rate in rates))
            row("    its cost against the smallest venue", (f"{rates[0] / rate:.2f}" for rate in rates))


def measure_memory(counts: list[int], rounds: int) -> None:
    """Rates in memory."""
    venues = [Measured(Venue(), count) for count in counts]
    for _ in range(rounds):
        for load in LOADS:
            for venue in venues:
                venue.round(*load)
    row("\nIN MEMORY, instruction in, receipt out", ())
    rate_rows(venues)
    row("memory an account", (f"{v.bytes_an_account:,} B" if v.count >= 100_000 else "-" for v in venues))
    print(f"refused: {sum(venue.refused for venue in venues)}")


def measure_durable(counts: list[int], rounds: int, directory: Path) -> None:
    """Durable rates, the limit that SQLite sets, where the time goes, and coming back."""
    paths = [directory / f"{count}.db" for count in counts]
    venues = [Measured(Venue.open(p, snapshot_every=None), n) for p, n in zip(paths, counts, strict=True)]
    bare: Counter[int] = Counter()
    for _ in range(rounds):
        for load in LOADS:
            for venue in venues:
                venue.round(*load)
        for venue in venues:
            venue.round(*LOADS[0], one_by_one=True)
        entries = list(venues[0].venue.journal.entries(venues[0].venue.sequence - AT_ONCE))
        for group, part in ((GROUP, entries), (1, entries[:200])):
            bare[group] = max(bare[group], int(bare_inserts(directory / "bare.db", part, group)))
    row(f"\nDURABLE, {GROUP:,} instructions a commit", ())
    rate_rows(venues)
    row("bare SQLite inserts of the same bytes", (f"{bare[GROUP]:,} /s" for _ in venues))
    row("    one a commit", (f"{bare[1]:,} /s" for _ in venues))
    print(f"refused: {sum(venue.refused for venue in venues)}")
    show_stages(venues[len(venues) // 2], rounds)
    row("\nCOMING BACK", ())
    measure_return(venues, paths, rounds)


def show_stages(measured: Measured, rounds: int) -> None:
    """Where the time of a durable settlement goes, with the curve at rest and moving."""
    found = []
    for intensity in (0, 100):
        set_intensity(measured.venue.store, intensity)
        tries = [Stages().measure(measured.venue, measured.requests(settlements, AT_ONCE)) for _ in range(rounds)]
        found.append(min(tries, key=lambda parts: sum(parts.values())))
    totals = [sum(parts.values()) for parts in found]
    row(f"\nWHERE THE TIME GOES, {measured.count:,} accounts, durable", ("curve at rest", "curve moving"))
    for stage in found[0]:
        row(stage, (f"{parts[stage]:.1f} µs {parts[stage] / t:4.0%}" for parts, t in zip(found, totals, strict=True)))
    row("all", (f"{total:.1f} µs" for total in totals))


def measure_return(venues: list[Measured], paths: list[Path], rounds: int) -> None:
    """Writing a snapshot, and opening the venue from it."""
    sizes, wrote, opened = [], [], []
    for measured in venues:
        found: list[Path] = []
        wrote.append(seconds(lambda v=measured.venue, f=found: f.append(v.snapshot()))[0])  # type: ignore[misc]
        sizes.append(found[0].stat().st_size)
        measured.venue.close()
    venues.clear()
    for path in paths:
        best = float("inf")
        for _ in range(rounds):
            again: list[Venue] = []
            best = min(best, seconds(lambda p=path, a=again: a.append(Venue.open(p)))[0])  # type: ignore[misc]
            again.pop().close()
        opened.append(best)
    row("snapshot size", (f"{size / 1e6:,.0f} MB" for size in sizes))
    row("snapshot written in", (f"{took:.2f} s" for took in wrote))
    row("back from the snapshot in", (f"{took:.2f} s" for took in opened))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", default="1000,100000,1000000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where the databases are made; decides what an fsync costs")
    options = parser.parse_args()
    counts = [int(count) for count in options.accounts.split(",")]
    print(f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")  # fmt: skip
    row("accounts", (f"{count:,}" for count in counts))
    measure_memory(counts, options.rounds)
    gc.collect()
    directory = Path(tempfile.mkdtemp(prefix="seawall-bench-", dir=options.directory))
    try:
        measure_durable(counts, options.rounds, directory)
    finally:
        shutil.rmtree(directory)
    print("\nBY FAMILY, in memory, the recorded vectors")
    vectors.show()


if __name__ == "__main__":
    sys.exit(main())
