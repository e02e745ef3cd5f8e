"""Instructions a second, in memory and durable, for venues of different sizes; memory an account; time to come back.

    python benchmarks/bench_engine.py [--accounts 1000,100000,1000000] [--rounds 3] [--directory DIR]

Figures are the best of several rounds, because other work on the machine only ever makes them worse. Nothing is
asserted. Accounts are put into the tables directly, each with a deposit, and the markets' totals with them.
"""

import argparse
import gc
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.load import START, Asked, accounts, genesis, traffic

from seawall import Clock, Request, Venue
from seawall.instructions.deposits import Deposit
from seawall.instructions.pnl import SettlePnl
from seawall.instructions.venue_setup import PostOraclePrice
from seawall.keys import key_from_text

BATCH = 4_000
AT = Clock.at(START)


def resident() -> int:
    """Bytes of memory that the process occupies now (Linux)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


def set_up(venue: Venue, count: int) -> None:
    """Markets, and ``count`` accounts of which the first was opened by instruction and the rest are its like."""
    for receipt in venue.apply_many(Request(ix, by, AT) for ix, by in [*genesis(), *accounts(1)]):
        assert receipt.ok, receipt
    store = venue.store
    user, stats = store.users.read(0), store.user_stats.read(0)
    user_row, stats_row = user.pack(), stats.pack()
    for number in range(1, count):
        authority = key_from_text.__wrapped__(f"@u{number}")
        store.users.store(number, authority + user_row[32:], user)
        store.user_stats.store(number, authority + stats_row[32:], stats)
    market = store.spot_markets.objects[0].copy()
    market.deposit_balance *= count
    store.spot_markets.store(0, market.pack(), market)
    vaults = store.vaults.objects[0].copy()
    vaults.spot_vault *= count
    store.vaults.store(0, vaults.pack(), vaults)


def deposits(first: int, count: int) -> Iterator[Asked]:
    """Deposits by accounts spread over all."""
    for number in range(first, first + BATCH):
        user = f"@u{number * 7919 % count}"
        yield Deposit(user=user, market_index=0, amount=1_000 + number), user


def trades(first: int, count: int) -> Iterator[Asked]:
    """Orders, fills, settlements, deposits, withdrawals: the mixed load."""
    for number in range(first, first + BATCH):
        yield traffic(number, count)


def prices(first: int, _: int) -> Iterator[Asked]:
    """The least that an instruction can be: an oracle's price."""
    for number in range(first, first + BATCH):
        yield PostOraclePrice(oracle="SOL", price=100_000_000 + number % 1000, conf=1), "@admin"


LOADS: list[tuple[str, Callable[[int, int], Iterator[Asked]]]] = [
    ("prices", prices), ("deposits", deposits), ("mixed", trades),
]  # fmt: skip


class Rates:
    """Measures instructions a second on one venue."""

    def __init__(self, venue: Venue, count: int, rounds: int) -> None:
        self.venue = venue
        self.count = count
        self.rounds = rounds
        self.next = 0

    def rate(self, load: Callable[[int, int], Iterator[Asked]], group: int) -> float:
        """The best rate of a load in groups of a size."""
        best = 0.0
        for _ in range(self.rounds):
            requests = [Request(ix, by, AT) for ix, by in load(self.next, self.count)][: group * 400]
            self.next += BATCH
            gc.collect()
            started = time.perf_counter()
            for at in range(0, len(requests), group):
                self.venue.apply_many(requests[at : at + group])
            best = max(best, len(requests) / (time.perf_counter() - started))
        return best

    def settlements(self) -> float:
        """The best rate of P&L settlements of traders who have something to settle."""
        best = 0.0
        for _ in range(self.rounds):
            traders = self._open_positions()
            requests = [Request(SettlePnl(user=user, market_index=0), user, AT) for user in traders]
            gc.collect()
            started = time.perf_counter()
            self.venue.apply_many(requests)
            best = max(best, len(requests) / (time.perf_counter() - started))
        return best

    def _open_positions(self) -> list[str]:
        """Users who just traded: of every ten instructions of the mix the two orders and the two fills."""
        self.next += 10 - self.next % 10
        asked = [traffic(n, self.count) for n in range(self.next, self.next + 2 * BATCH) if n % 10 in (0, 1, 3, 4)]
        self.next += 2 * BATCH
        self.venue.apply_many(Request(ix, by, AT) for ix, by in asked)
        return sorted({ix.user for ix, _ in asked})  # type: ignore[attr-defined]


def row(*cells: object) -> None:
    """One line of the table."""
    print("".join(f"{cell:>14}" if i else f"{cell:<34}" for i, cell in enumerate(cells)), flush=True)


def shown(value: float) -> str:
    """A rate with thousands separated."""
    return f"{value:,.0f} /s"


def measure(count: int, rounds: int, directory: Path) -> dict[str, str]:
    """All figures for one number of accounts."""
    found: dict[str, str] = {}
    before = resident()
    memory = Venue()
    set_up(memory, count)
    found["memory an account"] = f"{max(0, resident() - before) // count:,} B" if count >= 100_000 else "-"
    rates = Rates(memory, count, rounds)
    base: dict[str, float] = {}
    for name, load in LOADS:
        base[name] = rates.rate(load, 1000)
        found[f"in memory: {name}"] = shown(base[name])
    found["in memory: settle_pnl"] = shown(rates.settlements())
    del memory, rates
    gc.collect()
    path = directory / "venue.db"
    with Venue.open(path, snapshot_every=None) as venue:
        set_up(venue, count)
        rates = Rates(venue, count, rounds)
        for name, load in LOADS:
            durable = rates.rate(load, 1000)
            found[f"durable, groups of 1,000: {name}"] = shown(durable)
            found[f"  of the rate in memory: {name}"] = f"{durable / base[name]:.0%}"
        found["durable, groups of 1,000: settle_pnl"] = shown(rates.settlements())
        found["durable, groups of 100: deposits"] = shown(rates.rate(deposits, 100))
        found["durable, one by one: deposits"] = shown(rates.rate(deposits, 1))
        started = time.perf_counter()
        size = venue.snapshot().stat().st_size
        found["snapshot written in"] = f"{time.perf_counter() - started:.2f} s"
        found["snapshot size"] = f"{size / 1e6:,.0f} MB"
        root = venue.root()
    del venue, rates
    gc.collect()
    best = 1e9
    for _ in range(rounds):
        started = time.perf_counter()
        with Venue.open(path) as venue:
            best = min(best, time.perf_counter() - started)
            assert venue.root() == root
        del venue
        gc.collect()
    found["back from the snapshot in"] = f"{best:.2f} s"
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", default="1000,100000,1000000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="where the databases are made; decides what an fsync costs")
    options = parser.parse_args()
    counts = [int(n) for n in options.accounts.split(",")]
    columns = []
    for count in counts:
        directory = Path(tempfile.mkdtemp(prefix="seawall-bench-", dir=options.directory))
        try:
            columns.append(measure(count, options.rounds, directory))
        finally:
            shutil.rmtree(directory)
    row("accounts", *(f"{count:,}" for count in counts))
    for name in columns[0]:
        row(name, *(column[name] for column in columns))


if __name__ == "__main__":
    main()
