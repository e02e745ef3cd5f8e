"""Running a loop over tables: in place and compiled, or record by record in the exact lane, with the same outcome.

``Tables`` are rows; ``run`` takes a loop of ``kernels`` and changes them. Where compiled code meets a value that does
not fit its widths, the exact lane does that one account, and the loop goes on behind it.
"""

import ctypes
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from operator import itemgetter
from struct import Struct
from typing import Any, Final, NamedTuple, get_args, get_origin

from seawall.bulk.hints import parameter_hints
from seawall.errors import ErrorCode
from seawall.records import Record
from seawall.state.exchange import State
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import POSITIONS, User

Loop = Callable[..., int]

SAVED_ROWS: Final = POSITIONS
"""Rows of each ``saved_…`` parameter: no account touches more markets."""


@dataclass
class Tables:
    """Rows of users in segments, and of everything that a loop shares between them. All buffers are writable.

    ``oracles`` are prices as an instruction at the loop's slot sees them; ``state`` is one row.
    """

    users: list[Any]
    spot_markets: bytearray
    perp_markets: bytearray
    oracles: bytearray
    state: bytearray

    RECORDS = {  # noqa: RUF012 - a declaration
        "users": User,
        "spot_markets": SpotMarket,
        "perp_markets": PerpMarket,
        "oracles": OraclePriceData,
        "state": State,
    }


class Refusal(NamedTuple):
    """An account that was refused: its number among the users, why, and where (empty in the exact lane)."""

    user: int
    code: ErrorCode
    where: str


@dataclass
class Result:
    """What a loop did: how many accounts settled, the sum of their amounts (quote 1e6), and who was refused."""

    settled: int = 0
    amount: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    outcomes: list[bytes] = field(default_factory=list)
    """A segment's outcomes as rows of ``Outcome``; ``error`` is the code plus one."""
    handed_over: int = 0
    """Accounts that did not fit compiled code and were done in the exact lane."""


def run(
    loop: Loop,
    tables: Tables,
    *,
    compiled: bool,
    owned: Collection[int] = (),
    after: dict[str, bytearray] | None = None,
    **numbers: int,
) -> Result:
    """Run a loop over all users; ``numbers`` are its int parameters but ``first`` and ``end``.

    ``owned``: the users, by number, whose authority or delegate signed. ``after``: rows for the loop's ``after_…``
    parameters, as many as it writes in all, where what lies between two users is wanted (one segment only).
    ``TypeError`` for a number that the loop lacks or does not know.
    """
    wanted = {name for name, hint in parameter_hints(loop).items() if hint is int} - {"first", "end"}
    if wanted != set(numbers):
        raise TypeError(f"{loop.__name__} needs the numbers {sorted(wanted)}, not {sorted(numbers)}")
    result = Result()
    first = 0
    for segment in tables.users:
        count = len(segment) // User.LAYOUT.size
        rows = {"outcomes": _blank_outcomes(first, count, owned), **(after or {})}
        if compiled:
            where = _run_compiled(loop, tables, segment, rows, numbers, result)
        else:
            _run_exact(loop, tables, segment, rows, numbers, range(count))
            where = {}
        outcomes = rows["outcomes"]
        _tell(result, outcomes, first, where)
        first += count
    return result


def _blank_outcomes(first: int, count: int, owned: Collection[int]) -> bytearray:
    outcomes = bytearray(count * _OUTCOME.size)
    for i in owned:
        if first <= i < first + count:
            _OUTCOME.pack_into(outcomes, (i - first) * _OUTCOME.size, 0, False, 0, True)
    return outcomes


# --- the exact lane ------------------------------------------------------------------------------------------------


def _run_exact(
    loop: Loop, tables: Tables, segment: Any, rows: dict[str, bytearray], numbers: dict[str, int], accounts: range
) -> None:
    """Some accounts of a segment as records, written back at the end; so are the rows kept for each of them."""
    size, count = User.LAYOUT.size, len(segment) // User.LAYOUT.size
    users = [User.unpack(segment, i * size) for i in accounts]
    kinds = {name: get_args(parameter_hints(loop)[name])[0] for name in rows}
    places = {
        name: slice(*(len(kept) // count * i for i in (accounts.start, accounts.stop))) for name, kept in rows.items()
    }
    written = {name: _records(kinds[name], rows[name][place]) for name, place in places.items()}
    shared: dict[str, list[Any]] = {
        name: _records(cls, getattr(tables, name)) for name, cls in tables.RECORDS.items() if name != "users"
    }
    given: dict[str, Any] = {**numbers, **shared, **written, "users": users, "first": 0, "end": len(users)}
    given["state"] = shared["state"][0]
    for name, hint in parameter_hints(loop).items():
        if name not in given:
            given[name] = _scratch(name, hint)
    stopped = loop(**{name: given[name] for name in parameter_hints(loop)})
    if stopped != len(users):
        raise RuntimeError(f"the exact lane stopped at account {stopped}")
    for i, user in zip(accounts, users, strict=True):
        segment[i * size : (i + 1) * size] = user.pack()
    for name, place in places.items():
        rows[name][place] = b"".join(item.pack() for item in written[name])
    for name, items in shared.items():
        if name != "state":
            getattr(tables, name)[:] = b"".join(item.pack() for item in items)


def _records(cls: type[Record], rows: Any) -> list[Any]:
    return [cls.unpack(rows, offset) for offset in range(0, len(rows), cls.LAYOUT.size)]


def _scratch(name: str, hint: Any) -> Any:
    if get_origin(hint) is not list:
        return hint()
    (cls,) = get_args(hint)
    return [cls() for _ in range(_scratch_rows(name))]


def _scratch_rows(name: str) -> int:
    if name.startswith("after_"):
        return 0
    return SAVED_ROWS if name.startswith("saved_") else 1


# --- the bulk lane -------------------------------------------------------------------------------------------------


def _run_compiled(
    loop: Loop, tables: Tables, segment: Any, rows: dict[str, bytearray], numbers: dict[str, int], result: Result
) -> dict[int, str]:
    """A whole segment in place; where each error (code plus one) was raised. The outcomes get codes for addresses."""
    from seawall.bulk.compiler import declared_type, entry
    from seawall.bulk.guard import SLOT

    hints = parameter_hints(loop)
    call = entry(loop, tuple(declared_type(hint) for hint in hints.values()))
    buffers = _buffers(hints, tables, segment, rows)
    count = len(segment) // User.LAYOUT.size
    first = 0
    while first < count:
        given = {**numbers, "first": first, "end": count}
        block = bytearray().join(
            given[name].to_bytes(SLOT, "little", signed=True) if hint is int else buffers[name].argument()
            for name, hint in hints.items()
        ) + bytes(SLOT)
        memory = (ctypes.c_char * len(block)).from_buffer(block)
        if call(ctypes.addressof(memory)) != 0:
            raise RuntimeError(f"{loop.__name__} itself did not fit its widths")
        first = int.from_bytes(memory.raw[-SLOT:], "little", signed=True)
        if first < count:
            _run_exact(loop, tables, segment, rows, numbers, range(first, first + 1))
            result.handed_over += 1
            first += 1
    return _codes_for_addresses(rows["outcomes"])


class _Buffer:
    """Rows that compiled code works on in place."""

    def __init__(self, rows: Any, size: int) -> None:
        self.count = len(rows) // size
        self._memory = (ctypes.c_char * len(rows)).from_buffer(rows)

    def argument(self) -> bytes:
        """Address and count, as a block has them."""
        return ctypes.addressof(self._memory).to_bytes(8, "little") + self.count.to_bytes(8, "little")


def _buffers(hints: dict[str, Any], tables: Tables, segment: Any, given: dict[str, bytearray]) -> dict[str, _Buffer]:
    buffers = {}
    for name, hint in hints.items():
        if hint is int:
            continue
        cls = get_args(hint)[0] if get_origin(hint) is list else hint
        if name == "users":
            rows = segment
        elif name in given:
            rows = given[name]
        elif name in tables.RECORDS:
            rows = getattr(tables, name)
        else:
            rows = bytearray(cls.LAYOUT.size * _scratch_rows(name))
        buffers[name] = _Buffer(rows, cls.LAYOUT.size)
    return buffers


_LARGEST_CODE: Final = 10_000
_OUTCOME: Final = Struct("<Q?q?")
"""An ``Outcome`` row: error, settled, amount, whether the owner signed. A million of them are read at once."""
_ERROR_BYTES: Final = 8
_AMOUNT: Final = itemgetter(2)


def _codes_for_addresses(outcomes: bytearray) -> dict[int, str]:
    """Replace each error's address by its code plus one; the places of the errors by user."""
    from seawall.bulk.guard import described

    where = {}
    for i in _refused(outcomes):
        address, _, _, owner = _OUTCOME.unpack_from(outcomes, i * _OUTCOME.size)
        if address > _LARGEST_CODE:  # smaller: the exact lane wrote a code there
            failure = described(address)
            _OUTCOME.pack_into(outcomes, i * _OUTCOME.size, int(failure.code) + 1, False, 0, owner)
            where[i] = failure.where
    return where


def _refused(outcomes: bytearray) -> list[int]:
    """The accounts with an error. All rows are read at once, one byte of the error after the other."""
    marks = 0
    for byte in range(_ERROR_BYTES):
        marks |= int.from_bytes(outcomes[byte :: _OUTCOME.size], "little")
    if marks == 0:
        return []
    return [i for i, mark in enumerate(marks.to_bytes(len(outcomes) // _OUTCOME.size, "little")) if mark]


def _tell(result: Result, outcomes: bytearray, first: int, where: dict[int, str]) -> None:
    for i in _refused(outcomes):
        error = _OUTCOME.unpack_from(outcomes, i * _OUTCOME.size)[0]
        result.refusals.append(Refusal(first + i, ErrorCode(error - 1), where.get(i, "")))
    # refused accounts have amount 0
    result.settled += sum(outcomes[_ERROR_BYTES :: _OUTCOME.size])
    result.amount += sum(map(_AMOUNT, _OUTCOME.iter_unpack(outcomes)))
    result.outcomes.append(bytes(outcomes))
