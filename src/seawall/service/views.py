"""What people look up: receipts by account, instruction, error and time, flows by the hour, histories of share prices.

An SQLite file of its own beside the venue, computed from the journal alone and brought up to date behind the writer's
back: it may be deleted at any time, and is built again. Nothing here decides anything.
"""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from seawall.engine.receipts import Receipt, decode_receipt
from seawall.errors import SettlementError
from seawall.instructions.base import user_key
from seawall.keys import key_to_text
from seawall.ledger.errors import VenueLocked
from seawall.ledger.journal import Entry, Journal
from seawall.ledger.lock import WriterLock

FORMAT: Final = 2
HOUR: Final = 3_600
OUTSIDE: Final = "outside"
"""Where tokens come from or go to that cross a vault's door."""

_MOST_CLAIMS: Final = 100
_PAGE: Final = 2_000
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value);
CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE receipts (sequence INTEGER PRIMARY KEY, unix_timestamp INTEGER NOT NULL, ix INTEGER NOT NULL,
  signer INTEGER NOT NULL, error INTEGER, loss INTEGER NOT NULL);
CREATE INDEX receipts_by_ix ON receipts (ix, sequence);
CREATE INDEX receipts_by_signer ON receipts (signer, sequence);
CREATE INDEX receipts_by_error ON receipts (error, sequence) WHERE error IS NOT NULL;
CREATE INDEX receipts_refused ON receipts (sequence) WHERE error IS NOT NULL;
CREATE INDEX receipts_of_losses ON receipts (sequence) WHERE loss = 1;
CREATE INDEX receipts_by_time ON receipts (unix_timestamp, sequence);
CREATE TABLE touched (account INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (account, sequence))
  WITHOUT ROWID;
CREATE TABLE flows (market INTEGER NOT NULL, hour INTEGER NOT NULL, source INTEGER NOT NULL, target INTEGER NOT NULL,
  ix INTEGER NOT NULL, amount TEXT NOT NULL, PRIMARY KEY (market, hour, source, target, ix)) WITHOUT ROWID;
CREATE TABLE shares (market INTEGER NOT NULL, sequence INTEGER NOT NULL, unix_timestamp INTEGER NOT NULL,
  vault TEXT NOT NULL, total_shares TEXT NOT NULL, PRIMARY KEY (market, sequence)) WITHOUT ROWID;
"""
_ACCOUNT_FIELDS: Final = ("user", "from_user", "to_user", "liquidator", "filler", "maker", "referrer", "authority")


class Found(NamedTuple):
    """One receipt of a list, as much as a list shows."""

    sequence: int
    unix_timestamp: int
    ix: str
    signer: str
    error: str | None


class Flow(NamedTuple):
    """Tokens of one spot market that went from one kind of claim to another in a period."""

    source: str
    target: str
    ix: str
    amount: int


class SharesAt(NamedTuple):
    """An insurance fund at one receipt: vault (tokens) and all shares."""

    sequence: int
    unix_timestamp: int
    vault: int
    total_shares: int


class Views:
    """The index of one venue. One thread at a time gets in."""

    def __init__(self, journal: Journal, path: Path | None = None) -> None:
        """Open or create the index at ``path`` (None: in memory); one of another venue or format is thrown away.

        Where another process keeps its index at ``path``, this one is ``path`` with a number behind it.
        """
        self._journal = journal
        self._lock = threading.Lock()
        self._names: dict[str, int] = {}
        self._path: Path | None = None
        self._claim: WriterLock | None = None
        if path is not None:
            self._path, self._claim = _claimed(path)
        self._connection = self._open()
        self.sequence = int(self._meta("sequence", 0))
        """The last instruction that the index covers."""

    def _open(self) -> sqlite3.Connection:
        first = self._journal.entry(1)
        venue = b"" if first is None else first.hash
        if self._path is not None and self._path.exists():
            connection = self._connect()
            try:
                held = dict(connection.execute("SELECT name, value FROM meta"))
                if held.get("format") == FORMAT and held.get("venue") == venue:
                    return connection
            except sqlite3.DatabaseError:
                pass
            connection.close()
            for companion in ("", "-wal", "-shm"):
                Path(f"{self._path}{companion}").unlink(missing_ok=True)
        connection = self._connect()
        connection.executescript(_SCHEMA)
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)", [("format", FORMAT), ("venue", venue), ("sequence", 0)]
        )
        connection.commit()
        return connection

    def _connect(self) -> sqlite3.Connection:
        target = ":memory:" if self._path is None else str(self._path)
        connection = sqlite3.connect(target, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        # the journal is the truth: what a power cut takes from the index is computed again
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def _meta(self, name: str, default: Any) -> Any:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return default if row is None else row[0]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
            if self._claim is not None:
                self._claim.release()

    # --- building ---------------------------------------------------------------------------------------------

    def catch_up(self, until: int, stop: Callable[[], bool] = lambda: False) -> int:
        """Index the entries up to sequence ``until``, or until ``stop`` says so; how many were new."""
        done = 0
        while self.sequence < until and not stop():
            with self._lock:
                page = []
                for entry in self._journal.entries(self.sequence):
                    page.append(entry)
                    if len(page) == _PAGE or entry.sequence >= until:
                        break
                if not page:
                    return done
                try:
                    self._add(page)
                except BaseException:
                    # half a page would be counted twice, and names given numbers that nothing holds
                    self._connection.rollback()
                    self._names.clear()
                    raise
                done += len(page)
        return done

    def _add(self, entries: list[Entry]) -> None:
        receipts: list[tuple[Any, ...]] = []
        touched: list[tuple[int, int]] = []
        shares: list[tuple[Any, ...]] = []
        flows: Counter[tuple[int, int, int, int, int]] = Counter()
        for entry in entries:
            receipt = decode_receipt(entry.outcome)
            error = None if receipt.refusal is None else self._id(receipt.refusal.error)
            ix = self._id(receipt.ix)
            at = receipt.clock.unix_timestamp
            receipts.append(
                (entry.sequence, at, ix, self._id(receipt.signer), error, int(receipt.waterfall is not None))
            )
            touched += [(self._id(account), entry.sequence) for account in accounts_of(entry, receipt)]
            for market, source, target, amount in flows_of(receipt):
                flows[market, at - at % HOUR, self._id(source), self._id(target), ix] += amount
            shares += [
                (market, entry.sequence, at, str(vault), str(all_)) for market, vault, all_ in shares_of(receipt)
            ]
        connection = self._connection
        connection.executemany("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?)", receipts)
        connection.executemany("INSERT OR IGNORE INTO touched VALUES (?, ?)", touched)
        connection.executemany("INSERT OR REPLACE INTO shares VALUES (?, ?, ?, ?, ?)", shares)
        for place, amount in flows.items():
            held = connection.execute(
                "SELECT amount FROM flows WHERE market = ? AND hour = ? AND source = ? AND target = ? AND ix = ?", place
            ).fetchone()
            total = amount + (0 if held is None else int(held[0]))
            connection.execute("INSERT OR REPLACE INTO flows VALUES (?, ?, ?, ?, ?, ?)", (*place, str(total)))
        connection.execute("UPDATE meta SET value = ? WHERE name = 'sequence'", (entries[-1].sequence,))
        connection.commit()
        self.sequence = entries[-1].sequence

    def _id(self, name: str) -> int:
        known = self._names.get(name)
        if known is None:
            row = self._connection.execute("SELECT id FROM names WHERE name = ?", (name,)).fetchone()
            if row is None:
                row = (self._connection.execute("INSERT INTO names (name) VALUES (?)", (name,)).lastrowid,)
            if len(self._names) > 500_000:
                self._names.clear()
            known = self._names[name] = int(row[0])
        return known

    # --- looking up -------------------------------------------------------------------------------------------

    def receipts(
        self,
        *,
        account: str | None = None,
        ix: str | None = None,
        signer: str | None = None,
        error: str | None = None,
        losses: bool = False,
        refused: bool = False,
        since: int | None = None,
        until: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Found]:
        """Receipts, the newest first, that fit every condition given; ``before``: with a lower sequence number.

        ``account`` is ``<authority>/<sub-account>`` in base58 or with a label; ``error`` an error's name; ``since`` and
        ``until`` are unix seconds, both included.
        """
        where, values = ["1"], list[Any]()
        for column, name in (("r.ix", ix), ("r.signer", signer), ("r.error", error)):
            if name is not None:
                where.append(f"{column} = (SELECT id FROM names WHERE name = ?)")
                values.append(name)
        # times never go back in a journal: an end in time is an end in sequence, and nothing has to be sorted
        for condition, at in (("{}.sequence > ?", None if since is None else since - 1), ("{}.sequence <= ?", until)):
            if at is not None:
                where.append(condition.format("r" if account is None else "t"))
                values.append(self.last_at(at))
        if losses:
            where.append("r.loss = 1")
        if refused:
            where.append("r.error IS NOT NULL")
        source = "receipts r"
        if account is not None:
            source = "touched t JOIN receipts r ON r.sequence = t.sequence"
            where.append("t.account = (SELECT id FROM names WHERE name = ?)")
            values.append(canonical_account(account))
        if before is not None:
            where.append(f"{'t' if account is not None else 'r'}.sequence < ?")
            values.append(before)
        order = "t.sequence" if account is not None else "r.sequence"
        query = (
            "SELECT r.sequence, r.unix_timestamp, i.name, s.name, e.name FROM "
            f"{source} JOIN names i ON i.id = r.ix JOIN names s ON s.id = r.signer LEFT JOIN names e ON e.id = r.error "
            f"WHERE {' AND '.join(where)} ORDER BY {order} DESC LIMIT ?"
        )
        with self._lock:
            return [Found(*row) for row in self._connection.execute(query, (*values, limit))]

    def flows(self, market: int, since: int, until: int) -> list[Flow]:
        """What moved between kinds of claims of a spot market from ``since`` to ``until`` (unix seconds, by hour)."""
        query = (
            "SELECT s.name, t.name, i.name, f.amount FROM flows f JOIN names s ON s.id = f.source "
            "JOIN names t ON t.id = f.target JOIN names i ON i.id = f.ix WHERE f.market = ? AND f.hour BETWEEN ? AND ?"
        )
        sums: Counter[tuple[str, str, str]] = Counter()
        with self._lock:
            for source, target, ix, amount in self._connection.execute(query, (market, since - since % HOUR, until)):
                sums[source, target, ix] += int(amount)
        return [Flow(*place, amount) for place, amount in sums.most_common()]

    def shares(self, market: int, since: int = 0) -> list[SharesAt]:
        """The insurance fund's vault and shares after each receipt that told them, in order of time."""
        query = (
            "SELECT sequence, unix_timestamp, vault, total_shares FROM shares WHERE market = ? AND unix_timestamp >= ? "
            "ORDER BY sequence"
        )
        with self._lock:
            rows = self._connection.execute(query, (market, since)).fetchall()
        return [SharesAt(sequence, at, int(vault), int(all_)) for sequence, at, vault, all_ in rows]

    def last_at(self, unix_timestamp: int) -> int:
        """The last sequence number at or before a time; 0 before the first."""
        last_first = "ORDER BY unix_timestamp DESC, sequence DESC LIMIT 1"
        query = f"SELECT sequence FROM receipts WHERE unix_timestamp <= ? {last_first}"
        with self._lock:
            found = self._connection.execute(query, (unix_timestamp,)).fetchone()
        return 0 if found is None else int(found[0])


def _claimed(path: Path) -> tuple[Path, WriterLock]:
    """The first of ``path``, ``path-2``, ``path-3``, … that no other process writes, and the lock on it."""
    for number in range(1, _MOST_CLAIMS):
        place = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            return place, WriterLock(place)
        except VenueLocked:
            continue
    return path, WriterLock(path)


# --- reading receipts ------------------------------------------------------------------------------------------


def canonical_account(ref: str) -> str:
    """A user account as receipts name it: ``<authority in base58>/<sub-account>``."""
    key = user_key(ref)
    return f"{key_to_text(key[:32])}/{int.from_bytes(key[32:], 'little')}"


def accounts_of(entry: Entry, receipt: Receipt) -> set[str]:
    """The user accounts that an instruction names or that its receipt moved."""
    found = set()
    for name, value in msgspec.json.decode(entry.instruction).items():
        if name in _ACCOUNT_FIELDS and isinstance(value, str):
            try:
                found.add(canonical_account(value))
            except SettlementError:
                # a refused instruction may name what is no account
                continue
    for transfer in receipt.transfers:
        if transfer.account.startswith("user."):
            found.add(transfer.account.removeprefix("user.").partition(".")[0])
    return found


def kind_of(account: str) -> str:
    """The kind of claim that a transfer's account is: ``users``, ``pnl_pool``, ``revenue_pool``, …"""
    if account.startswith("user."):
        return "isolated" if ".isolated." in account else "users"
    return account.rpartition(".")[2]


def flows_of(receipt: Receipt) -> Iterator[tuple[int, str, str, int]]:
    """From which kind of claim to which tokens went: market, source, target, tokens.

    The legs of a market balance; what gave is matched with what got in the receipt's order. Stakes move an insurance
    fund's vault alone.
    """
    markets = {leg.market_index for leg in receipt.transfers} | {change.market_index for change in receipt.vaults}
    for market in markets:
        legs: Counter[str] = Counter()
        for transfer in receipt.transfers:
            if transfer.market_index == market:
                legs[kind_of(transfer.account)] += transfer.amount
        for change in receipt.vaults:
            if change.market_index == market:
                legs[OUTSIDE] -= change.amount
                if change.vault == "insurance_fund_vault":
                    legs["insurance_fund"] += change.amount
        yield from ((market, *flow) for flow in _matched(legs))


def _matched(legs: "Counter[str]") -> Iterator[tuple[str, str, int]]:
    got = [(name, amount) for name, amount in legs.items() if amount > 0]
    for source, change in legs.items():
        left = -change
        while left > 0 and got:
            target, wanted = got.pop(0)
            moved = min(left, wanted)
            yield source, target, moved
            left -= moved
            if wanted > moved:
                got.insert(0, (target, wanted - moved))


def shares_of(receipt: Receipt) -> Iterable[tuple[int, int, int]]:
    """Insurance funds that a receipt tells of: market, the vault afterwards (tokens), all shares afterwards."""
    for name, fields in receipt.events:
        if name == "InsuranceFundStakeRecord":
            change = sum(
                v.amount
                for v in receipt.vaults
                if v.vault == "insurance_fund_vault" and v.market_index == fields["market_index"]
            )
            vault = int(fields["insurance_vault_amount_before"]) + change
            yield int(fields["market_index"]), vault, int(fields["total_if_shares_after"])
        elif name == "InsuranceFundRecord":
            vault = int(fields["insurance_vault_amount_before"]) + int(fields["amount"])
            yield int(fields["spot_market_index"]), vault, int(fields["total_if_shares_after"])
