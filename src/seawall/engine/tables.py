"""Tables of rows: the state of a venue, as bytes.

Accounts that come in millions live only as rows and are checked out one by one; the few records that every
instruction reads (markets, the exchange) are held as objects beside their rows. Rows lie in chunks of equal size, so
that a table grows without moving and a snapshot can be mapped back chunk by chunk.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import chain
from operator import add, itemgetter
from struct import Struct
from typing import Any, Final, Generic, TypeVar

from seawall.records import Layout, Record

R = TypeVar("R", bound=Record)

CHUNK_ROWS: Final = 1 << 14


class Table(Generic[R]):
    """A growable table of one kind of record, each row found by its index or its key.

    ``key`` names the fields that make up a row's key, in the order in which their bytes are joined (at most two places
    in the row).
    """

    def __init__(self, number: int, name: str, record: type[R], key: tuple[str, ...] = ()) -> None:
        self.number = number
        self.name = name
        self.record = record
        self.row_size = record.LAYOUT.size
        self.chunks: list[Any] = []
        self.count = 0
        self.index: dict[bytes, int] = {}
        self._key_at = _key_places(record.LAYOUT, key)
        self._key = _key_function(self._key_at)

    def row(self, index: int) -> bytes:
        """The bytes of row ``index``."""
        size = self.row_size
        start = index % CHUNK_ROWS * size
        return bytes(self.chunks[index // CHUNK_ROWS][start : start + size])

    def read(self, index: int) -> R:
        """A fresh object of row ``index``."""
        return self.record.unpack(self.chunks[index // CHUNK_ROWS], index % CHUNK_ROWS * self.row_size)

    def store(self, index: int, data: bytes, item: Record | None) -> None:
        """Write row ``index``; an index equal to ``count`` appends."""
        if index == self.count:
            if index % CHUNK_ROWS == 0:
                self.chunks.append(bytearray(CHUNK_ROWS * self.row_size))
            self.count += 1
            if self._key is not None:
                self.index[self._key(data)] = index
        start = index % CHUNK_ROWS * self.row_size
        self.chunks[index // CHUNK_ROWS][start : start + self.row_size] = data

    def remove_last(self) -> None:
        """Take the last row away again."""
        last = self.count - 1
        if self._key is not None:
            del self.index[self._key(self.row(last))]
        self.count = last
        if last % CHUNK_ROWS == 0:
            self.chunks.pop()

    def segments(self) -> Iterator[memoryview]:
        """The rows in use, chunk by chunk."""
        left = self.count
        for chunk in self.chunks:
            rows = min(left, CHUNK_ROWS)
            yield memoryview(chunk)[: rows * self.row_size]
            left -= rows

    def load(self, data: Any, count: int) -> None:
        """Replace the content by ``count`` rows lying one after another in ``data`` (bytes or a writable map).

        Whole chunks of a writable map become the table's own, without a copy. ``ValueError`` where rows share a key.
        """
        view = memoryview(data)
        size = CHUNK_ROWS * self.row_size
        self.count = count
        self.chunks = []
        for start in range(0, count * self.row_size, size):
            part = view[start : start + size]
            if len(part) < size or part.readonly:
                whole = bytearray(size)
                whole[: len(part)] = part
                self.chunks.append(whole)
            else:
                self.chunks.append(part)
        self.index = self._built_index() if self._key_at else {}
        if self._key_at and len(self.index) != count:
            raise ValueError(f"table {self.name}: {count - len(self.index)} rows have the key of another row")

    def _built_index(self) -> dict[bytes, int]:
        """The key of every row with its index, read in one sweep that leaves the rows where they are."""
        pattern, at = "<", 0
        for start, end in self._key_at:
            pattern += f"{start - at}x{end - start}s"
            at = end
        keys = chain.from_iterable(map(Struct(f"{pattern}{self.row_size - at}x").iter_unpack, self.segments()))
        if len(self._key_at) == 1:
            return dict(zip(map(itemgetter(0), keys), range(self.count), strict=True))
        return dict(zip((add(*pair) for pair in keys), range(self.count), strict=True))

    def digest(self) -> bytes:
        """SHA-256 over the name, the count and every row."""
        h = sha256(f"{self.name} {self.count} ".encode())
        for segment in self.segments():
            h.update(segment)
        return h.digest()

    @property
    def layout(self) -> str:
        """A fingerprint of the row layout: rows of another fingerprint mean something else."""
        return sha256("\n".join(_described(self.record.LAYOUT)).encode()).hexdigest()[:16]


class HeldTable(Table[R]):
    """A small table whose records are also held as objects."""

    def __init__(self, number: int, name: str, record: type[R]) -> None:
        super().__init__(number, name, record)
        self.objects: list[R] = []

    def store(self, index: int, data: bytes, item: Record | None) -> None:
        """Write row and object ``index``; an index equal to ``count`` appends."""
        super().store(index, data, item)
        assert isinstance(item, self.record)
        if index == len(self.objects):
            self.objects.append(item)
        else:
            self.objects[index] = item

    def remove_last(self) -> None:
        """Take the last row and its object away again."""
        super().remove_last()
        self.objects.pop()

    def load(self, data: Any, count: int) -> None:
        """Replace the content by ``count`` rows of ``data``."""
        super().load(data, count)
        self.objects = [self.read(i) for i in range(count)]


def _key_places(layout: Layout, names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where the named fields lie in a row, neighbours joined."""
    places: list[tuple[int, int]] = []
    for name in names:
        field = next(f for f in layout.fields if f.name == name)
        if places and places[-1][1] == field.offset:
            places[-1] = (places[-1][0], field.offset + field.size)
        else:
            places.append((field.offset, field.offset + field.size))
    if len(places) > 2 or places != sorted(places):
        raise TypeError(f"a key of the fields {names} lies in too many places, or not in order")
    return places


def _key_function(places: list[tuple[int, int]]) -> Callable[[bytes], bytes] | None:
    if not places:
        return None
    first = slice(*places[0])
    if len(places) == 1:
        return lambda row: row[first]
    second = slice(*places[1])
    return lambda row: row[first] + row[second]


def _described(layout: Layout, prefix: str = "") -> Iterator[str]:
    """Every field of a layout in words, nested ones under their own name."""
    for f in layout.fields:
        members = ",".join(f"{m.name}={m.value}" for m in f.enum) if f.enum is not None else ""
        yield f"{prefix}{f.name} {f.kind} {f.offset} {f.size} {f.signed} {f.count} {members}"
        if f.record is not None:
            yield from _described(f.record.LAYOUT, f"{prefix}{f.name}.")
