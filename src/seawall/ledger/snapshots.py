"""Snapshots: the whole state at one place of the journal, so that a restart replays only what came after.

A snapshot is one file ``<database>-snapshot-<sequence>``: a line of JSON (what it is, where each table lies), then the
tables' rows, each table from a page boundary on so that it can be mapped. It is written beside, forced to disk and
renamed: a snapshot is there wholly or not at all. It is never changed in place; a running venue maps it copy-on-write.

The header carries its own checksum and the state root, which covers every row.
"""

import mmap
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from seawall.ledger.errors import SnapshotDamaged
from seawall.ledger.sqlite import force_directory

FORMAT: Final = 1
_PAGE: Final = 1 << 16
_MAGIC: Final = b"seawall snapshot 1 "
_MARK: Final = "-snapshot-"


class Place(msgspec.Struct, frozen=True):
    """Where one table lies in the file: its layout's fingerprint, its rows, and the bytes from ``offset`` on."""

    name: str
    layout: str
    rows: int
    offset: int
    size: int


class Header(msgspec.Struct, frozen=True):
    """What a snapshot is of: the journal up to ``sequence``, its hash there, and what the state must amount to."""

    sequence: int
    chain: str
    effects: str
    root: str
    tables: list[Place]


class Part(msgspec.Struct, frozen=True):
    """One table to be written: name, layout fingerprint, number of rows, and its bytes in pieces."""

    name: str
    layout: str
    rows: int
    size: int
    pieces: Iterable[Any]


def snapshot_path(database: Path, sequence: int) -> Path:
    """Where the snapshot of a sequence number lies."""
    return Path(f"{database}{_MARK}{sequence:015d}")


def snapshots(database: Path) -> list[Path]:
    """The snapshots of a database, oldest first."""
    found = database.parent.glob(f"{_glob_safe(database.name)}{_MARK}*")
    return sorted(p for p in found if p.name.removeprefix(database.name + _MARK).isdigit())


def _glob_safe(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def write_snapshot(database: Path, sequence: int, chain: bytes, effects: bytes, root: str, parts: list[Part]) -> Path:
    """Write a snapshot and force it to disk; its path."""
    places: list[Place] = []
    offset = _PAGE
    for part in parts:
        places.append(Place(part.name, part.layout, part.rows, offset, part.size))
        offset += -(-part.size // _PAGE) * _PAGE
    header = _header_line(Header(sequence, chain.hex(), effects.hex(), root, places))
    if len(header) > _PAGE:
        raise ValueError("the header of a snapshot does not fit its page")
    path = snapshot_path(database, sequence)
    new = Path(f"{path}.new")
    try:
        with new.open("wb") as file:
            file.write(header)
            for part, place in zip(parts, places, strict=True):
                file.seek(place.offset)
                for piece in part.pieces:
                    file.write(piece)
            file.truncate(offset)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    force_directory(database.parent)
    return path


def remove_old_snapshots(database: Path, keep: int) -> None:
    """Remove all but the newest ``keep`` snapshots, and what a killed process left half written."""
    for path in snapshots(database)[:-keep]:
        path.unlink(missing_ok=True)
    for path in database.parent.glob(f"{_glob_safe(database.name)}{_MARK}*.new"):
        path.unlink(missing_ok=True)


def _header_line(header: Header) -> bytes:
    body = msgspec.json.encode(header)
    return _MAGIC + sha256(body).hexdigest().encode() + b" " + body + b"\n"


def snapshot_damaged(path: Path, what: str) -> SnapshotDamaged:
    return SnapshotDamaged(
        f"{path}: {what}. Nothing is lost with it: the journal holds everything. Delete this file, and the venue is "
        "brought back from the snapshot before it, or from its first instruction"
    )


def read_header(path: Path) -> Header:
    """The header of a snapshot; ``SnapshotDamaged``."""
    with path.open("rb") as file:
        line = file.read(_PAGE).partition(b"\n")[0]
    digest, _, body = line.removeprefix(_MAGIC).partition(b" ")
    if not line.startswith(_MAGIC) or sha256(body).hexdigest().encode() != digest:
        raise snapshot_damaged(path, "its header is damaged, or of another version")
    try:
        header = msgspec.json.decode(body, type=Header)
    except msgspec.DecodeError as error:
        raise snapshot_damaged(path, f"its header is of another version ({error})") from None
    return header


Tables = dict[str, tuple[Place, memoryview]]
"""By name: where a table lies, and its rows."""


def map_tables(path: Path, header: Header) -> Tables:
    """Every table's rows, mapped copy-on-write: writing to them changes memory, never the file. ``SnapshotDamaged``."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        end = max((p.offset + p.size for p in header.tables), default=0)
        if size < end:
            raise snapshot_damaged(path, f"it is truncated: {size} bytes instead of at least {end}")
        whole = memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY))
    return {place.name: (place, whole[place.offset : place.offset + place.size]) for place in header.tables}
