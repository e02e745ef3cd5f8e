"""The head file: up to where the journal was acknowledged.

SQLite drops the end of a damaged or truncated write-ahead log without a word, for it cannot tell a commit that was
acknowledged from one that was not. The head file can: after each commit it notes the last sequence number and hash,
and a journal that ends earlier is refused. It is written after the commit is durable and is itself not forced to disk:
a killed process loses nothing of it, a power cut at worst the latest notes, which makes the check weaker and never
wrong. Two slots are written in turn, so that a torn write leaves the one before.
"""

import os
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import Final

from seawall.ledger.errors import JournalDamaged

_SLOT: Final = Struct("<8sq32s16s")
_SLOT_AT: Final = (0, 512)
_MAGIC: Final = b"seawall1"
_SIZE: Final = 1024


def _checksum(body: bytes) -> bytes:
    return sha256(body).digest()[:16]


def head_path(database: Path) -> Path:
    """Where the head of a database lies."""
    return Path(f"{database}-head")


def read_head(database: Path) -> tuple[int, bytes] | None:
    """Sequence and hash of the last acknowledged entry; None without a head file; ``JournalDamaged``."""
    path = head_path(database)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    found: tuple[int, bytes] | None = None
    for at in _SLOT_AT:
        slot = data[at : at + _SLOT.size]
        if len(slot) < _SLOT.size:
            continue
        magic, sequence, digest, checksum = _SLOT.unpack(slot)
        good = magic == _MAGIC and checksum == _checksum(slot[:-16])
        if good and (found is None or sequence > found[0]):
            found = (sequence, digest)
    if found is None:
        raise JournalDamaged(
            f"{path} is damaged: neither of its two notes of the last acknowledged entry can be read. "
            "Restore it from a backup, or, if you are sure that the database is complete, delete it"
        )
    return found


class Head:
    """The head file, opened for writing."""

    def __init__(self, database: Path) -> None:
        self._file = os.open(head_path(database), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if os.fstat(self._file).st_size < _SIZE:
            os.ftruncate(self._file, _SIZE)
        self._next = 0

    def write(self, sequence: int, digest: bytes) -> None:
        """Note the last acknowledged entry."""
        body = _SLOT.pack(_MAGIC, sequence, digest, b"")[:-16]
        os.pwrite(self._file, body + _checksum(body), _SLOT_AT[self._next])
        self._next = 1 - self._next

    def force(self) -> None:
        """Force the notes to disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
