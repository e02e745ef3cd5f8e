"""The journal: every instruction that a venue was given, in order, each entry chained to the one before by its hash.

Genesis and journal are the truth; everything else can be computed from them. An entry holds what was asked
(instruction, signer, time, idempotency key) and what came of it (the receipt). Its hash covers all of that and the
hash before it, so that an entry cannot be changed, dropped, inserted or moved without every later hash being wrong.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from struct import Struct
from struct import error as struct_error
from typing import Final, NamedTuple, Protocol

from seawall.ledger.errors import JournalDamaged

GENESIS: Final = sha256(b"seawall journal 1").digest()
"""The hash that the first entry is chained to."""

KEY_LENGTH: Final = 200
"""Longest idempotency key, in characters."""


class Entry(NamedTuple):
    """One journal entry. ``instruction`` and ``outcome`` are JSON as encoded once; ``signature`` may be empty."""

    sequence: int
    unix_timestamp: int
    slot: int
    signer: str
    signature: bytes
    idempotency_key: str | None
    instruction: bytes
    outcome: bytes
    hash: bytes


_HEAD: Final = Struct("<qqqiiiii")


def chain(
    previous: bytes,
    sequence: int,
    unix_timestamp: int,
    slot: int,
    signer: str,
    signature: bytes,
    idempotency_key: str | None,
    instruction: bytes,
    outcome: bytes,
) -> bytes:
    """The hash of an entry: SHA-256 over the previous hash, the numbers, every part's length and every part."""
    by = signer.encode()
    if idempotency_key is None:
        key, key_length = b"", -1
    else:
        key = idempotency_key.encode()
        key_length = len(key)
    head = _HEAD.pack(
        sequence, unix_timestamp, slot, len(by), len(signature), key_length, len(instruction), len(outcome)
    )
    return sha256(b"".join((previous, head, by, signature, key, instruction, outcome))).digest()


class Tip(NamedTuple):
    """Where a journal ends: its last sequence number, hash and clock."""

    sequence: int
    hash: bytes
    unix_timestamp: int
    slot: int


START: Final = Tip(0, GENESIS, -(1 << 63), 0)
"""The tip of an empty journal."""


class Journal(Protocol):
    """Where entries are kept. ``append`` returns when they are as durable as this journal makes them."""

    @property
    def name(self) -> str:
        """What messages call the journal."""
        ...

    def acquire(self) -> None:
        """Become the one writer of a journal that was opened for reading; ``VenueLocked``."""
        ...

    def start_writing(self) -> None:
        """Get ready for ``append``, once the entries were found good."""
        ...

    def append(self, entries: Sequence[Entry], results: Mapping[int, bytes] | None = None) -> None:
        """Add entries, all or none; any exception leaves it open which. ``results`` of some of them go with them."""
        ...

    def check_writer(self) -> None:
        """``LedgerError`` unless this opening still is the one writer."""
        ...

    def tip(self) -> Tip:
        """The end of the journal as this opening knows it."""
        ...

    def refresh(self) -> Tip:
        """Look again where the journal ends: what another process wrote since then."""
        ...

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """The entries with a sequence number above ``after``, in order."""
        ...

    def entry(self, sequence: int) -> Entry | None:
        """One entry by its sequence number."""
        ...

    def results(self, sequence: int) -> bytes | None:
        """The results of an entry that has any; their hash is in its outcome."""
        ...

    def by_key(self, keys: Collection[str]) -> dict[str, Entry]:
        """The entries that were given under any of these idempotency keys."""
        ...

    def check_whole(self) -> None:
        """The store's own check of everything it holds; ``JournalDamaged``."""
        ...

    def close(self, in_order: bool = True) -> None:
        """Let go of whatever is held open; ``in_order`` notes that the journal is complete."""
        ...


class MemoryJournal:
    """A journal that lasts as long as its process."""

    name = "the journal in memory"

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._keys: dict[str, int] = {}
        self._results: dict[int, bytes] = {}

    def acquire(self) -> None:
        """Nobody else can write."""

    def start_writing(self) -> None:
        """Nothing to get ready."""

    def append(self, entries: Sequence[Entry], results: Mapping[int, bytes] | None = None) -> None:
        """Add entries and the results of some of them."""
        self._results.update(results or {})
        for entry in entries:
            if entry.idempotency_key is not None:
                self._keys[entry.idempotency_key] = entry.sequence
        self._entries.extend(entries)

    def check_writer(self) -> None:
        """Nobody else can write."""

    def tip(self) -> Tip:
        """The end of the journal."""
        return tip_of(self._entries[-1]) if self._entries else START

    def refresh(self) -> Tip:
        """The end of the journal; nobody else writes to it."""
        return self.tip()

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """The entries with a sequence number above ``after``, in order."""
        for at in range(after, len(self._entries)):
            yield self._entries[at]

    def entry(self, sequence: int) -> Entry | None:
        """One entry by its sequence number."""
        return self._entries[sequence - 1] if 1 <= sequence <= len(self._entries) else None

    def results(self, sequence: int) -> bytes | None:
        """The results of an entry that has any."""
        return self._results.get(sequence)

    def by_key(self, keys: Collection[str]) -> dict[str, Entry]:
        """The entries that were given under any of these idempotency keys."""
        known = self._keys
        return {key: self._entries[known[key] - 1] for key in keys if key in known}

    def check_whole(self) -> None:
        """Nothing can be damaged here."""

    def close(self, in_order: bool = True) -> None:
        """Nothing to let go of."""


def tip_of(entry: Entry) -> Tip:
    """The tip of a journal that ends with ``entry``."""
    return Tip(entry.sequence, entry.hash, entry.unix_timestamp, entry.slot)


def hash_of(entry: Entry, previous: bytes) -> bytes:
    """The hash that ``entry`` must have after an entry with the hash ``previous``."""
    return chain(previous, *entry[:-1])


def verified(journal: Journal, start: Tip = START) -> Iterator[Entry]:
    """The entries after ``start``, each checked: its number follows, its time does not go back, its hash is right.

    ``JournalDamaged`` names the first entry that is not what was written, or says that the end is missing.
    """
    last = start
    for entry in journal.entries(start.sequence):
        if entry.sequence != last.sequence + 1:
            raise JournalDamaged(f"{journal.name}: after entry {last.sequence} comes entry {entry.sequence}")
        check_entry(journal, entry, last)
        last = tip_of(entry)
        yield entry
    if last.sequence < journal.tip().sequence:
        raise JournalDamaged(
            f"{journal.name}: entries {last.sequence + 1} to {journal.tip().sequence} are missing. {RESTORE}"
        )


RESTORE: Final = "Restore the database from a backup"


def check_entry(journal: Journal, entry: Entry, before: Tip) -> None:
    """``JournalDamaged`` unless ``entry`` is what was written after ``before``."""
    try:
        good = hash_of(entry, before.hash) == entry.hash
        good = good and (entry.unix_timestamp >= before.unix_timestamp and entry.slot >= before.slot)
    except (TypeError, AttributeError, ValueError, struct_error):
        good = False
    if not good:
        raise JournalDamaged(f"{journal.name}: entry {entry.sequence} is not what was written. {RESTORE}")
