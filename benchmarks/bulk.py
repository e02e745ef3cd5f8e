"""The exact lane, the bulk lane and plain C loops of the same arithmetic, side by side, on the same rows.

What is timed is the processor time of the thread that works, the best of some rounds, each on a fresh copy of the rows.
Every row that a C loop leaves is compared with the bulk lane's; a difference ends the benchmark. Needs gcc for C.
"""

import argparse
import ctypes
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.bulk_tables import ROOM, recorded_world

from seawall.bulk import kernels, unavailable_reason
from seawall.bulk.batch import Tables, run
from seawall.bulk.hints import parameter_hints
from seawall.bulk.kernels import Outcome
from seawall.bulk.loops import attempt, loop, restore, save
from seawall.engine.transaction import price_data
from seawall.errors import ErrorCode
from seawall.records import Field, Record, Width
from seawall.rules.common.amm_spread import update_spread_reserves
from seawall.rules.common.perp_positions import get_perp_position_index, update_position_and_market
from seawall.rules.drift.interest import update_spot_market_cumulative_interest
from seawall.rules.drift.perp_fills import swap_base_asset, validate_amm_account_for_fill
from seawall.state.exchange import State
from seawall.state.facts import InterestFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

C_SOURCES = Path(__file__).resolve().parent / "c"
VAULT = 2**63 - 1
MARKETS = 8
DISTINCT = 2_000
"""Users that differ; more are copies of them."""

# --- loops that only this benchmark has: what their C counterparts do ----------------------------------------------


@loop
def accrue_markets(spot_markets: list[SpotMarket], oracle: OraclePriceData, now: int, scratch: InterestFacts) -> int:
    """Interest and averages of every spot market; how many."""
    for i in range(len(spot_markets)):
        update_spot_market_cumulative_interest(spot_markets[i], oracle, now, scratch)
    return len(spot_markets)


@loop
def fill_one(user: User, market: PerpMarket, amount: int, direction: int) -> None:
    """Swap and book: what a fill against the AMM does without its mark TWAPs and its fees."""
    validate_amm_account_for_fill(market.amm, direction)
    quote, _ = swap_base_asset(market.amm, amount, direction)
    position = user.perp_positions[get_perp_position_index(user, market.market_index)]
    delta = amount
    if direction == 0:
        quote = -quote
    else:
        delta = -amount
    update_position_and_market(position, market, delta, quote)
    market.amm.base_asset_amount_with_amm = market.amm.base_asset_amount_with_amm + delta
    update_spread_reserves(market.amm)


@loop
def fill_users(
    users: list[User],
    outcomes: list[Outcome],
    first: int,
    end: int,
    perp_markets: list[PerpMarket],
    steps: int,
    saved_users: list[User],
    saved_perp_markets: list[PerpMarket],
) -> int:
    """User i trades i % steps + 1 steps with the first market's AMM; every other one buys."""
    market = perp_markets[0]
    for i in range(first, end):
        save(saved_users, 0, users[i])
        save(saved_perp_markets, 0, market)
        error = attempt(fill_one, users[i], market, (i % steps + 1) * market.amm.order_step_size, i % 2)
        if error != 0:
            restore(users[i], saved_users, 0)
            restore(market, saved_perp_markets, 0)
            if error < 0:
                return i
        outcomes[i].error = error
    return end


# --- the rows ----------------------------------------------------------------------------------------------------


def world(users: int) -> tuple[Tables, int, int]:
    """The recorded venue with eight spot and eight perp markets, without users; the time and slot to use it at."""
    recording, now, slot = recorded_world()
    store = recording.store
    quote, other, contract = store.spot_markets.objects[0], store.spot_markets.objects[1], store.perp_markets.objects[0]
    posted = price_data(store.oracles.objects[contract.amm.oracle_index], 1, slot)
    oracles = [price_data(store.oracles.objects[0], 0, slot), *(posted.copy() for _ in range(1, MARKETS))]
    spots, perps = [], []
    for i in range(MARKETS):
        spot = (quote if i == 0 else other).copy()
        spot.market_index = spot.oracle_index = i
        spot.deposit_balance += ROOM
        spot.borrow_balance += ROOM // 10
        spot.imf_factor = 0
        if i > 0:
            spot.historical_oracle_data = contract.amm.historical_oracle_data.copy()
        spots.append(spot)
        perp = contract.copy()
        perp.market_index = i
        perp.amm.oracle_index = max(1, i)
        perp.amm.base_asset_amount_long += ROOM
        perp.amm.base_asset_amount_short -= ROOM
        perp.amm.quote_asset_amount -= ROOM // 1_000
        perp.amm.cumulative_funding_rate_long += 10**6
        perp.number_of_users = perp.number_of_users_with_base = users + 10
        perp.pnl_pool.scaled_balance += 10**17
        perps.append(perp)
    tables = Tables(
        users=[],
        spot_markets=bytearray(b"".join(m.pack() for m in spots)),
        perp_markets=bytearray(b"".join(m.pack() for m in perps)),
        oracles=bytearray(b"".join(o.pack() for o in oracles)),
        state=bytearray(store.state.objects[0].pack()),
    )
    return tables, now, slot


def user_row(i: int, positions: int, price: int) -> bytes:
    """User ``i``: every other one loses; one in fifty has no position, one in fifty is short of collateral."""
    user = User()
    user.authority = i.to_bytes(32, "little")
    user.address = (i + 1).to_bytes(32, "little")
    for k in range(positions):
        spot, perp = user.spot_positions[k], user.perp_positions[k]
        spot.market_index = perp.market_index = k
        spot.scaled_balance = 10**12 + i * 10**6
        spot.balance_type = int(k % 3 == 2)
        perp.base_asset_amount = (1 + i % 7) * 10**9 * (1 if (i + k) % 3 else -1)
        perp.quote_asset_amount = -perp.base_asset_amount * price // 10**9
        perp.last_cumulative_funding_rate = 0 if i % 4 else 10**6
    gain = 500_000 + i % 1_000 * 100
    first = user.perp_positions[0]
    first.quote_asset_amount += gain if i % 2 else -gain
    first.quote_entry_amount = first.quote_break_even_amount = first.quote_asset_amount
    if i % 50 == 7:
        first.base_asset_amount = first.quote_asset_amount = 0
    if i % 50 == 8:
        user.spot_positions[0].balance_type, user.spot_positions[0].scaled_balance = 1, 10**15
    return user.pack()


def population(count: int, positions: int) -> tuple[Tables, int, int]:
    """The venue with ``count`` users of some positions each, in one segment."""
    tables, now, slot = world(count)
    price = OraclePriceData.unpack(tables.oracles, OraclePriceData.LAYOUT.size).price
    distinct = b"".join(user_row(i, positions, price) for i in range(min(count, DISTINCT)))
    tables.users = [bytearray((distinct * (count // DISTINCT + 1))[: count * User.LAYOUT.size])]
    return tables, now, slot


def copied(tables: Tables) -> Tables:
    """Fresh rows."""
    return Tables(
        users=[bytearray(segment) for segment in tables.users],
        **{name: bytearray(getattr(tables, name)) for name in tables.RECORDS if name != "users"},
    )


# --- C -----------------------------------------------------------------------------------------------------------


def rows_header() -> str:
    """Accessors of every field that a C loop may want, from the records' layouts, and the error numbers."""
    kinds: list[type[Record]] = []
    for record in (User, SpotMarket, PerpMarket, OraclePriceData, State, Outcome):
        _collect(record, kinds)
    lines = [f"enum {{ {', '.join(f'{code.name} = {int(code)}' for code in ErrorCode)} }};"]
    for record in kinds:
        lines.append(f"#define SIZE_{record.__name__} {record.LAYOUT.size}")
        for field in record.LAYOUT.fields:
            lines += _accessors(record.__name__, field)
    return "\n".join(lines)


def _collect(record: type[Record], kinds: list[type[Record]]) -> None:
    for field in record.LAYOUT.fields:
        if field.record is not None:
            _collect(field.record, kinds)
    if record not in kinds:
        kinds.append(record)


def _accessors(kind: str, field: Field) -> list[str]:
    name, at = f"{kind}_{field.name}", f"p + {field.offset}"
    if field.record is not None:
        return [f"static inline row at_{name}(row p) {{ return {at}; }}"]
    if field.kind not in ("int", "enum", "bool"):
        return []
    width = Width(field.size, field.signed)
    ctype = "i128" if field.size == 16 else f"{'' if field.signed else 'u'}int{8 * field.size}_t"
    low, high = (f"((i128){v >> 64} << 64 | (i128){v & (1 << 64) - 1}ull)" for v in (width.minimum, width.maximum))
    if field.size < 16:
        low, high = f"{ctype.upper()[:-2]}_MIN" if field.signed else "0", f"{ctype.upper()[:-2]}_MAX"
    check = "" if field.size == 16 and field.signed else f"FITS(v, {low}, {high}); "
    return [
        f"static inline i128 get_{name}(row p) {{ {ctype} v; memcpy(&v, {at}, sizeof v); return v; }}",
        f"static inline void set_{name}(row p, i128 v) "
        f"{{ {check}{ctype} w = ({ctype})v; memcpy({at}, &w, sizeof w); }}",
    ]


class Venue(ctypes.Structure):
    """``struct venue`` of settle.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in (
            "users", "outcomes", "spot_markets", "perp_markets", "oracles", "state", "saved"
        )),
        *((name, ctypes.c_int64) for name in ("oracle_count", "market_index", "quote_vault", "now", "slot", "mode")),
    ]  # fmt: skip


def build(directory: Path) -> dict[str, Any]:
    """The C loops, plain and with checked arithmetic, as loaded libraries; empty without gcc."""
    gcc = shutil.which("gcc")
    if gcc is None:
        print("gcc is missing: no C columns")
        return {}
    (directory / "rows.h").write_text(rows_header())
    libraries = {}
    for variant, flags in (("C", []), ("C checked", ["-DCHECKED"])):
        for source in ("settle", "interest", "fills"):
            target = directory / f"{source}-{variant.replace(' ', '-')}.so"
            command = [gcc, "-O2", "-std=gnu11", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wno-unused-function",
                       *flags, f"-I{directory}", f"-I{C_SOURCES}", "-o", str(target),
                       str(C_SOURCES / f"{source}.c")]  # fmt: skip
            subprocess.run(command, check=True)
            libraries[variant, source] = ctypes.CDLL(str(target))
    return libraries


def address(rows: bytearray) -> int:
    """Where rows lie; they must outlive its use."""
    return ctypes.addressof((ctypes.c_char * len(rows)).from_buffer(rows))


def settle_in_c(library: Any, tables: Tables, outcomes: bytearray, now: int, slot: int) -> float:
    """Settle all users of one segment by C; processor seconds."""
    saved = bytearray(User.LAYOUT.size + SpotMarket.LAYOUT.size + PerpMarket.LAYOUT.size)
    rows = {"users": tables.users[0], "outcomes": outcomes, "saved": saved}
    rows |= {name: getattr(tables, name) for name in ("spot_markets", "perp_markets", "oracles", "state")}
    venue = Venue(
        **{name: address(row) for name, row in rows.items()},
        oracle_count=len(tables.oracles) // OraclePriceData.LAYOUT.size,
        market_index=0, quote_vault=VAULT, now=now, slot=slot, mode=0,
    )  # fmt: skip
    count = len(tables.users[0]) // User.LAYOUT.size
    start = time.thread_time()
    library.settle_users(ctypes.byref(venue), ctypes.c_int64(0), ctypes.c_int64(count))
    return time.thread_time() - start


def fill_in_c(library: Any, tables: Tables, outcomes: bytearray, steps: int) -> float:
    """Fill all users of one segment by C; processor seconds."""
    saved = bytearray(User.LAYOUT.size + PerpMarket.LAYOUT.size)
    count = len(tables.users[0]) // User.LAYOUT.size
    given = [ctypes.c_void_p(address(rows)) for rows in (tables.users[0], outcomes)]
    given += [ctypes.c_int64(count), ctypes.c_void_p(address(tables.perp_markets)), ctypes.c_int64(steps)]
    start = time.thread_time()
    library.fill_users(*given, ctypes.c_void_p(address(saved)))
    return time.thread_time() - start


def accrue_in_c(library: Any, markets: bytearray, oracle: bytearray, now: int) -> float:
    """Accrue interest in all markets by C; processor seconds."""
    count = len(markets) // SpotMarket.LAYOUT.size
    given = [ctypes.c_void_p(address(markets)), ctypes.c_int64(count), ctypes.c_void_p(address(oracle))]
    start = time.thread_time()
    done = library.accrue_markets(*given, ctypes.c_int64(now))
    seconds = time.thread_time() - start
    if done != count:
        raise SystemExit(f"C refused a market: {done}")
    return seconds


# --- the bulk lane, without reading its outcomes -------------------------------------------------------------------


def call_compiled(function: Callable[..., Any], given: dict[str, Any]) -> float:
    """Call a compiled loop with rows and ints by name; processor seconds in compiled code."""
    from seawall.bulk.compiler import declared_type, entry
    from seawall.bulk.guard import SLOT

    hints = parameter_hints(function)
    call = entry(function, tuple(declared_type(hint) for hint in hints.values()))
    block = bytearray()
    keep = []
    for name, hint in hints.items():
        if hint is int:
            block += given[name].to_bytes(SLOT, "little", signed=True)
            continue
        record = get_args(hint)[0] if get_origin(hint) is list else hint
        rows = given.get(name)
        if rows is None:
            rows = bytearray(0 if name.startswith("after_") else record.LAYOUT.size * 8)
        keep.append(rows)
        block += address(rows).to_bytes(8, "little") if rows else bytes(8)
        block += (len(rows) // record.LAYOUT.size).to_bytes(8, "little")
    block += bytes(SLOT)
    start = time.thread_time()
    stopped = call(address(block))
    seconds = time.thread_time() - start
    end = int.from_bytes(block[-SLOT:], "little")
    if stopped > 0:
        from seawall.bulk.guard import described

        raise SystemExit(f"{function.__name__}: {described(stopped)}")
    if stopped != 0 or ("end" in given and end != given["end"]):
        raise SystemExit(f"{function.__name__} stopped at {end}")
    return seconds


# --- the three comparisons ---------------------------------------------------------------------------------------


def timed(work: Callable[[], float], rounds: int) -> float:
    """The least of some rounds."""
    return min(work() for _ in range(rounds))


def table_line(what: str, count: int, seconds: dict[str, float]) -> None:
    """One line: thousands a second by lane, then the ratios."""
    rates = {lane: count / found for lane, found in seconds.items()}
    bulk = rates["bulk"]
    cells = "".join(f"{rates[lane] / 1_000:>12,.1f}" if lane in rates else f"{'-':>12}" for lane in COLUMNS)
    ratios = f"{bulk / rates['exact']:>11.0f}x" + "".join(
        f"{rates[lane] / bulk:>9.2f}x" if lane in rates else f"{'-':>10}" for lane in ("C", "C checked")
    )
    print(f"{what:<24}{cells}{ratios}", flush=True)


COLUMNS = ("exact", "bulk", "C", "C checked")


def same(what: str, found: list[bytes | bytearray], expected: list[bytes | bytearray]) -> None:
    """End the benchmark where C and the bulk lane leave different rows."""
    if found != expected:
        where = next(i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b)
        byte = next(i for i, (a, b) in enumerate(zip(found[where], expected[where], strict=True)) if a != b)
        raise SystemExit(f"{what}: C and the bulk lane differ in table {where} at byte {byte}")


def everything(tables: Tables) -> list[bytes | bytearray]:
    """All rows that a loop may change."""
    return [*tables.users, tables.spot_markets, tables.perp_markets, tables.oracles]


def compare_settle_pnl(positions: int, args: argparse.Namespace, libraries: dict[str, Any]) -> None:
    """``settle_pnl`` of users with that many spot and perp positions."""
    tables, now, slot = population(args.users, positions)
    few, _, _ = population(args.exact_users, positions)
    numbers = {"market_index": 0, "quote_vault": VAULT, "now": now, "slot": slot, "mode": 0}

    def exact() -> float:
        rows = copied(few)
        start = time.thread_time()
        run(kernels.settle_pnl, rows, compiled=False, **numbers)
        return time.thread_time() - start

    def with_outcomes() -> float:
        rows = copied(tables)
        start = time.thread_time()
        run(kernels.settle_pnl, rows, compiled=True, **numbers)
        return time.thread_time() - start

    def bulk() -> float:
        rows = copied(tables)
        given = {name: getattr(rows, name) for name in rows.RECORDS}
        given |= {"users": rows.users[0], "outcomes": bytearray(args.users * Outcome.LAYOUT.size)}
        return call_compiled(kernels.settle_pnl, {**given, **numbers, "first": 0, "end": args.users})

    def in_c(variant: str) -> float:
        return settle_in_c(
            libraries[variant, "settle"], copied(tables), bytearray(args.users * Outcome.LAYOUT.size), now, slot
        )

    rows = copied(tables)
    result = run(kernels.settle_pnl, rows, compiled=True, **numbers)
    losers = sum(1 for error, _, amount in read_outcomes(result.outcomes[0]) if error == 0 and amount < 0)
    for variant in VARIANTS if libraries else ():
        outcomes, c_rows = bytearray(args.users * Outcome.LAYOUT.size), copied(tables)
        settle_in_c(libraries[variant, "settle"], c_rows, outcomes, now, slot)
        same(f"settle_pnl by {variant}", [*everything(c_rows), outcomes], [*everything(rows), result.outcomes[0]])
    scale = args.users / args.exact_users
    seconds = {"exact": timed(exact, 2) * scale, "bulk": timed(bulk, args.rounds)}
    seconds |= {variant: timed(lambda v=variant: in_c(v), args.rounds) for variant in VARIANTS if libraries}  # type: ignore[misc]
    table_line(f"settle_pnl {positions}+{positions}", args.users, seconds)
    read = args.users / timed(with_outcomes, 2) / 1_000
    print(
        f"{'':<24}{result.settled:,} settled ({losers:,} losers), {len(result.refusals):,} refused, "
        f"{result.handed_over} handed over; with outcomes read into Python {read:,.1f}"
    )


def read_outcomes(rows: bytes | bytearray) -> list[tuple[int, bool, int]]:
    """Error, settled and amount of every account."""
    size = Outcome.LAYOUT.size
    found = [Outcome.unpack(rows, offset) for offset in range(0, len(rows), size)]
    return [(outcome.error, outcome.settled, outcome.amount) for outcome in found]


def compare_interest(args: argparse.Namespace, libraries: dict[str, Any]) -> None:
    """Interest and averages of many spot markets."""
    tables, now, _ = world(0)
    size = SpotMarket.LAYOUT.size
    market = SpotMarket.unpack(tables.spot_markets, size)
    market.optimal_utilization, market.optimal_borrow_rate, market.max_borrow_rate = 500_000, 200_000, 2_000_000
    market.insurance_fund.total_factor = 100_000
    market.deposit_balance = 10**16
    distinct = []
    for i in range(100):
        market.borrow_balance = market.deposit_balance // 100 * i
        market.last_interest_ts = market.last_twap_ts = now - 60 - i
        distinct.append(market.pack())
    markets = bytearray((b"".join(distinct) * (args.markets // 100 + 1))[: args.markets * size])
    oracle = bytearray(tables.oracles[OraclePriceData.LAYOUT.size : 2 * OraclePriceData.LAYOUT.size])
    exact_count = args.markets // 50
    records = [SpotMarket.unpack(markets, i * size) for i in range(exact_count)]

    def exact() -> float:
        some, price = [record.copy() for record in records], OraclePriceData.unpack(oracle)
        start = time.thread_time()
        accrue_markets(some, price, now, InterestFacts())
        return (time.thread_time() - start) * (args.markets / exact_count)

    def bulk() -> float:
        rows = bytearray(markets)
        return call_compiled(accrue_markets, {"spot_markets": rows, "oracle": bytearray(oracle), "now": now})

    expected = bytearray(markets)
    call_compiled(accrue_markets, {"spot_markets": expected, "oracle": bytearray(oracle), "now": now})
    for variant in VARIANTS if libraries else ():
        rows = bytearray(markets)
        accrue_in_c(libraries[variant, "interest"], rows, oracle, now)
        same(f"interest by {variant}", [rows], [expected])
    seconds = {"exact": timed(exact, 2), "bulk": timed(bulk, args.rounds)}
    for variant in VARIANTS if libraries else ():
        library = libraries[variant, "interest"]
        seconds[variant] = timed(lambda lib=library: accrue_in_c(lib, bytearray(markets), oracle, now), args.rounds)  # type: ignore[misc]
    table_line("interest", args.markets, seconds)
    changed = sum(a != b for a, b in zip(expected, markets, strict=True))
    print(f"{'':<24}{args.markets:,} markets, {changed:,} bytes changed")


def with_settled_funding(tables: Tables) -> bytearray:
    """The users, as if each had settled its funding in the first market: a trade needs that."""
    amm = PerpMarket.unpack(tables.perp_markets).amm
    segment, size = tables.users[0], User.LAYOUT.size
    count = len(segment) // size
    distinct = bytearray()
    for i in range(min(count, DISTINCT)):
        user = User.unpack(segment, i * size)
        position = user.perp_positions[0]
        if position.base_asset_amount > 0:
            position.last_cumulative_funding_rate = amm.cumulative_funding_rate_long
        else:
            position.last_cumulative_funding_rate = amm.cumulative_funding_rate_short
        distinct += user.pack()
    return bytearray((bytes(distinct) * (count // DISTINCT + 1))[: count * size])


def compare_fills(args: argparse.Namespace, libraries: dict[str, Any]) -> None:
    """Swaps against the first market's curve, booked in position and market."""
    tables, _, _ = population(args.users, 2)
    few, _, _ = population(args.exact_users, 2)
    for rows in (tables, few):
        rows.users[0] = with_settled_funding(rows)
        market = PerpMarket.unpack(rows.perp_markets)
        market.amm.min_base_asset_reserve, market.amm.max_base_asset_reserve = 1, 2**120
        rows.perp_markets[: PerpMarket.LAYOUT.size] = market.pack()

    def exact() -> float:
        rows = copied(few)
        start = time.thread_time()
        run(fill_users, rows, compiled=False, steps=STEPS)
        return (time.thread_time() - start) * (args.users / args.exact_users)

    def compiled(rows: Tables, outcomes: bytearray) -> float:
        given = {"users": rows.users[0], "outcomes": outcomes, "perp_markets": rows.perp_markets, "steps": STEPS}
        return call_compiled(fill_users, {**given, "first": 0, "end": args.users})

    rows = copied(tables)
    result = run(fill_users, rows, compiled=True, steps=STEPS)
    for variant in VARIANTS if libraries else ():
        outcomes, c_rows = bytearray(args.users * Outcome.LAYOUT.size), copied(tables)
        fill_in_c(libraries[variant, "fills"], c_rows, outcomes, STEPS)
        same(f"fills by {variant}", [*everything(c_rows), outcomes], [*everything(rows), result.outcomes[0]])
    blank = args.users * Outcome.LAYOUT.size
    seconds = {"exact": timed(exact, 2)}
    seconds["bulk"] = timed(lambda: compiled(copied(tables), bytearray(blank)), args.rounds)
    for variant in VARIANTS if libraries else ():
        library = libraries[variant, "fills"]
        seconds[variant] = timed(
            lambda lib=library: fill_in_c(lib, copied(tables), bytearray(blank), STEPS),
            args.rounds,  # type: ignore[misc]
        )
    table_line("perp fills", args.users, seconds)
    print(f"{'':<24}{args.users - len(result.refusals):,} filled, {len(result.refusals):,} refused")


STEPS = 10
VARIANTS = ("C", "C checked")

# --- compiling and memory ------------------------------------------------------------------------------------------

START = (
    "from time import process_time as spent; start = spent(); "
    "import numba; numba = spent() - start; "
    "from seawall.bulk import kernels; from seawall.bulk.compiler import declared_type, entry; "
    "from seawall.bulk.hints import parameter_hints; imported = spent() - start; "
    "entry(kernels.settle_pnl, tuple(declared_type(h) for h in parameter_hints(kernels.settle_pnl).values())); "
    "print(numba, imported - numba, spent() - start - imported)"
)


def start_seconds(cache: str) -> list[float]:
    """Processor seconds of a new process: importing Numba, importing the rules, getting ``settle_pnl``."""
    environment = {**os.environ, "SEAWALL_BULK_CACHE": cache}
    done = subprocess.run([sys.executable, "-c", START], env=environment, capture_output=True, text=True, check=True)
    return [float(part) for part in done.stdout.split()]


def show_compile_time() -> None:
    """From an empty cache, then from the warmed one."""
    with tempfile.TemporaryDirectory() as cache:
        cold = start_seconds(cache)
        warm = min((start_seconds(cache) for _ in range(5)), key=sum)
    print("\nuntil settle_pnl can be called in a new process, processor seconds")
    print(f"{'':<24}{'Numba':>12}{'rules':>12}{'settle_pnl':>12}{'sum':>12}")
    for what, parts in (("empty cache, compiled", cold), ("from the cache", warm)):
        print(f"{what:<24}" + "".join(f"{part:>12.2f}" for part in (*parts, sum(parts))))


def show_memory(users: int) -> None:
    """Bytes of an account's rows, and the most that this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each = User.LAYOUT.size + Outcome.LAYOUT.size
    print(
        f"memory: {User.LAYOUT.size} bytes an account, {Outcome.LAYOUT.size} its outcome: {each * users / 1e6:,.0f} MB "
        f"for {users:,}; peak of this process, copies and compiler included: {peak:,.0f} MB"
    )


def main() -> None:
    """Print thousands a second by lane, the ratios, compile times and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=50_000, help="accounts of the bulk lane and C")
    parser.add_argument("--exact-users", type=int, default=2_000, help="accounts of the exact lane")
    parser.add_argument("--markets", type=int, default=50_000, help="spot markets that accrue interest")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-compile-time", action="store_true", help="do not start new processes with an empty cache")
    args = parser.parse_args()
    reason = unavailable_reason()
    if reason is not None:
        raise SystemExit(f"the bulk lane is not available: {reason}")
    with tempfile.TemporaryDirectory() as directory:
        libraries = build(Path(directory))
        print("thousands a second and core")
        heads = "".join(f"{lane:>12}" for lane in COLUMNS)
        print(f"{'':<24}{heads}{'bulk/exact':>12}{'C/bulk':>10}{'chk./bulk':>10}")
        compare_interest(args, libraries)
        for positions in (2, 8):
            compare_settle_pnl(positions, args, libraries)
        compare_fills(args, libraries)
        if libraries:
            print("every row and outcome that C left, checked or not, equals the bulk lane's")
    show_memory(args.users)
    if not args.no_compile_time:
        show_compile_time()


if __name__ == "__main__":
    main()
