"""Tables of rows: the state of a venue, as bytes.

Accounts that come in millions live only as rows and are checked out one by one; the few records that every
instruction reads (markets, the exchange) are held as objects beside their rows. Rows lie in chunks of equal size, so
that a table grows without moving and a snapshot can be mapped back chunk by chunk.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

from seawall.records import Record

R = TypeVar("R", bound=Record)

CHUNK_ROWS: Final = 1 << 14


class Table(Generic[R]):
    """A growable table of one kind of record, each row found by its index or its key."""

    def __init__(self, number: int, name: str, record: type[R], key: Callable[[bytes], bytes] | None = None) -> None:
        self.number = number
        self.name = name
        self.record = record
        self.row_size = record.LAYOUT.size
        self.chunks: list[Any] = []
        self.count = 0
        self._key = key
        self.index: dict[bytes, int] = {}

    def row(self, index: int) -> bytes:
        """The bytes of row ``index``."""
        chunk = self.chunks[index // CHUNK_ROWS]
        start = index % CHUNK_ROWS * self.row_size
        return bytes(chunk[start : start + self.row_size])

    def read(self, index: int) -> R:
        """A fresh object of row ``index``."""
        return self.record.unpack(self.chunks[index // CHUNK_ROWS], index % CHUNK_ROWS * self.row_size)

    def store(self, index: int, data: bytes, item: Record) -> None:
        """Write row ``index``; an index equal to ``count`` appends."""
        if index == self.count:
            if index % CHUNK_ROWS == 0:
                self.chunks.append(bytearray(CHUNK_ROWS * self.row_size))
            self.count += 1
            if self._key is not None:
                self.index[self._key(data)] = index
        start = index % CHUNK_ROWS * self.row_size
        self.chunks[index // CHUNK_ROWS][start : start + self.row_size] = data

    def segments(self) -> Iterator[memoryview]:
        """The rows in use, chunk by chunk."""
        left = self.count
        for chunk in self.chunks:
            rows = min(left, CHUNK_ROWS)
            yield memoryview(chunk)[: rows * self.row_size]
            left -= rows

    def load(self, data: Any, count: int) -> None:
        """Replace the content by ``count`` rows lying one after another in ``data`` (bytes or a writable map)."""
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
        self.index = {}
        if self._key is not None:
            self._rebuild_index()

    def _rebuild_index(self) -> None:
        assert self._key is not None
        index = self.index
        number = 0
        for segment in self.segments():
            rows = bytes(segment)
            for start in range(0, len(rows), self.row_size):
                index[self._key(rows[start : start + 64])] = number
                number += 1

    def digest(self) -> bytes:
        """SHA-256 over the name, the count and every row."""
        h = sha256(f"{self.name} {self.count} ".encode())
        for segment in self.segments():
            h.update(segment)
        return h.digest()


class HeldTable(Table[R]):
    """A small table whose records are also held as objects."""

    def __init__(self, number: int, name: str, record: type[R], key: Callable[[bytes], bytes] | None = None) -> None:
        super().__init__(number, name, record, key)
        self.objects: list[R] = []

    def store(self, index: int, data: bytes, item: Record) -> None:
        """Write row and object ``index``; an index equal to ``count`` appends."""
        super().store(index, data, item)
        assert isinstance(item, self.record)
        if index == len(self.objects):
            self.objects.append(item)
        else:
            self.objects[index] = item

    def load(self, data: Any, count: int) -> None:
        """Replace the content by ``count`` rows of ``data``."""
        super().load(data, count)
        self.objects = [self.read(i) for i in range(count)]
