"""The journal: every instruction that a venue was given, in order, each entry chained to the one before by its hash.

Genesis and journal are the truth; everything else can be computed from them. An entry holds what was asked
(instruction, signer, time, idempotency key) and what came of it (the receipt). Its hash covers all of that and the
hash before it, so that an entry cannot be changed, dropped, inserted or moved without every later hash being wrong.
"""

from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple, Protocol

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

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries, all or none; any exception leaves it open which."""
        ...

    def tip(self) -> Tip:
        """The end of the journal."""
        ...

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """The entries with a sequence number above ``after``, in order."""
        ...

    def entry(self, sequence: int) -> Entry | None:
        """One entry by its sequence number."""
        ...

    def by_key(self, keys: Collection[str]) -> dict[str, Entry]:
        """The entries that were given under any of these idempotency keys."""
        ...

    def close(self) -> None:
        """Let go of whatever the journal holds open."""
        ...


class MemoryJournal:
    """A journal that lasts as long as its process."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._keys: dict[str, int] = {}

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries."""
        for entry in entries:
            if entry.idempotency_key is not None:
                self._keys[entry.idempotency_key] = entry.sequence
        self._entries.extend(entries)

    def tip(self) -> Tip:
        """The end of the journal."""
        return tip_of(self._entries[-1]) if self._entries else START

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """The entries with a sequence number above ``after``, in order."""
        for at in range(after, len(self._entries)):
            yield self._entries[at]

    def entry(self, sequence: int) -> Entry | None:
        """One entry by its sequence number."""
        return self._entries[sequence - 1] if 1 <= sequence <= len(self._entries) else None

    def by_key(self, keys: Collection[str]) -> dict[str, Entry]:
        """The entries that were given under any of these idempotency keys."""
        known = self._keys
        return {key: self._entries[known[key] - 1] for key in keys if key in known}

    def close(self) -> None:
        """Nothing to let go of."""


def tip_of(entry: Entry) -> Tip:
    """The tip of a journal that ends with ``entry``."""
    return Tip(entry.sequence, entry.hash, entry.unix_timestamp, entry.slot)
