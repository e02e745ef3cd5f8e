"""Who can be liquidated, and what liquidations and bankruptcies cost: sweeps, single instructions, socialised losses.

The venue is that of ``settlements.py``, two spot and two perp positions an account. Rates are by processor time of the
working thread, the best of some rounds for sweeps, one run each for instructions (they change the state).
"""

import argparse
import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from bulk import call_compiled, copied, population, read_outcomes
from settlements import TOKEN, settlement_venue, user_key
from support.load import START

from seawall import Clock, Request, Venue
from seawall.bulk import unavailable_reason
from seawall.bulk.batch import Tables
from seawall.bulk.kernels import Outcome
from seawall.bulk.kernels_risk import Verdict, mark_liquidatable, sweep
from seawall.bulk.loops import attempt, loop, restore
from seawall.engine.attribution import attribute
from seawall.engine.machine import Machine
from seawall.engine.store import Store
from seawall.engine.transaction import price_data
from seawall.instructions.liquidation import LiquidatePerp
from seawall.instructions.solvency import ResolvePerpBankruptcy
from seawall.keys import key_to_text
from seawall.records import Record, record
from seawall.rules.common.liquidation_math import NO_LIMIT_PRICE
from seawall.rules.drift.bankruptcy import resolve_perp_bankruptcy
from seawall.rules.drift.liquidation_perp import liquidate_perp
from seawall.state.enums import ORACLE_UNKNOWN, USER_BANKRUPT
from seawall.state.exchange import State
from seawall.state.facts import (
    BankruptcyFacts,
    FundingPaymentFacts,
    InterestFacts,
    LiquidationFacts,
    MarginCalculation,
)
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User, UserStats

LIQUIDATOR = 0
"""User number, with a deposit that bears everything."""
CLOCK = Clock.at(START + 60)
DEBT = 5_000_000
"""Quote (1e6) that a bankrupt account owes."""

# --- the rules of both instructions in a loop ----------------------------------------------------------------------


@record
class Notes(Record):
    """The facts of one instruction."""

    user_funding: FundingPaymentFacts
    liquidator_funding: FundingPaymentFacts
    interest: InterestFacts
    calculation: MarginCalculation
    liquidation: LiquidationFacts
    bankruptcy: BankruptcyFacts


@loop
def liquidate_users(
    users: list[User],
    outcomes: list[Outcome],
    first: int,
    end: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    user_stats: UserStats,
    liquidator_stats: UserStats,
    now: int,
    slot: int,
    notes: Notes,
    blank: list[Notes],
) -> int:
    """Liquidate the position of every user but number 0, who takes it over, in perp market 0; no restoring."""
    for i in range(first, end):
        restore(notes, blank, 0)
        for j in range(len(oracles)):
            oracles[j].validity = ORACLE_UNKNOWN
        outcomes[i].error = attempt(
            liquidate_perp, users[i], user_stats, users[0], liquidator_stats, 0, 1_100_000_000, NO_LIMIT_PRICE,
            spot_markets, perp_markets, oracles, state, now, slot, notes.user_funding,
            notes.liquidator_funding, notes.calculation, notes.liquidation,
        )  # fmt: skip
    return end


@loop
def resolve_users(
    users: list[User],
    outcomes: list[Outcome],
    first: int,
    end: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    notes: Notes,
    blank: list[Notes],
) -> int:
    """Resolve the debt of every user but number 0 in perp market 0; no restoring."""
    for i in range(first, end):
        restore(notes, blank, 0)
        for j in range(len(oracles)):
            oracles[j].validity = ORACLE_UNKNOWN
        outcomes[i].error = attempt(
            resolve_perp_bankruptcy, users[i], users[0], 0, spot_markets, perp_markets, oracles, state, 0, now,
            notes.calculation, notes.interest, notes.bankruptcy,
        )  # fmt: skip
    return end


# --- the venue ---------------------------------------------------------------------------------------------------


def venue_store(directory: Path, count: int) -> Store:
    """The store of a fresh venue with ``count`` users; user 0 can take over everything."""
    with Venue.open(Path(tempfile.mkdtemp(dir=directory)) / "venue.db", snapshot_every=None) as venue:
        settlement_venue(venue, count)
        store = venue.store
    rich = store.users.read(LIQUIDATOR)
    rich.spot_positions[0].scaled_balance = 10**18
    store.users.store(LIQUIDATOR, rich.pack(), rich)
    return store


def make_poor(store: Store, numbers: range) -> None:
    """Leave users 1 USDC: below the requirement of their two positions,."""
    for number in numbers:
        user = store.users.read(number)
        user.spot_positions[0].scaled_balance, user.spot_positions[1].scaled_balance = TOKEN, 0
        store.users.store(number, user.pack(), user)


def make_bankrupt(store: Store, numbers: range) -> None:
    """Leave users nothing but a perp debt; the market's fee pool is empty."""
    market = store.perp_markets.objects[0].copy()
    market.amm.fee_pool.scaled_balance = 0
    for number in numbers:
        user = User.unpack(User(authority=user_key(number, store.users.count)).pack())
        user.address = store.users.read(number).address
        user.perp_positions[0].quote_asset_amount = -DEBT
        user.status, user.next_liquidation_id = USER_BANKRUPT, 2
        store.users.store(number, user.pack(), user)
        market.amm.quote_asset_amount -= DEBT
    store.perp_markets.store(0, market.pack(), market)


def tables_of(store: Store) -> Tables:
    """The store's own user rows, with copies of everything else, as at ``CLOCK``."""
    oracles = [price_data(oracle, i, CLOCK.slot) for i, oracle in enumerate(store.oracles.objects)]
    return Tables(
        users=list(store.users.segments()),
        spot_markets=bytearray(b"".join(item.pack() for item in store.spot_markets.objects)),
        perp_markets=bytearray(b"".join(item.pack() for item in store.perp_markets.objects)),
        oracles=bytearray(b"".join(item.pack() for item in oracles)),
        state=bytearray(store.state.objects[0].pack()),
    )


# --- sweeps ------------------------------------------------------------------------------------------------------


def sweep_kernel(tables: Tables) -> float:
    """Processor seconds of a sweep in compiled code alone."""
    seconds = 0.0
    for segment in tables.users:
        count = len(segment) // User.LAYOUT.size
        given = {name: getattr(tables, name) for name in tables.RECORDS}
        given |= {"users": segment, "outcomes": bytearray(count * Outcome.LAYOUT.size), "first": 0, "end": count}
        seconds += call_compiled(mark_liquidatable, {**given, "after_verdicts": bytearray(count * Verdict.LAYOUT.size)})
    return seconds


def show_sweep(what: str, tables: Tables, count: int, exact_tables: Tables, exact_count: int) -> None:
    """Margin checks a second in both lanes."""
    sweep(exact_tables, compiled=True)
    found, whole = [], []
    for _ in range(3):
        found.append(sweep_kernel(tables))
        start = time.thread_time()
        result = sweep(tables, compiled=True)
        whole.append(time.thread_time() - start)
    start = time.thread_time()
    expected = sweep(exact_tables, compiled=False)
    exact = exact_count / (time.thread_time() - start)
    agreed = sweep(exact_tables, compiled=True).verdicts == expected.verdicts
    print(
        f"{what:<18}{exact:>12,.0f}{count / min(found):>14,.0f}{count / min(whole):>16,.0f}{count:>12,}"
        f"{len(result.liquidatable):>14,}{len(result.refusals):>9,}   "
        f"{'same verdicts' if agreed else 'VERDICTS DIFFER'} in both lanes ({exact_count:,} accounts)",
        flush=True,
    )


# --- instructions ------------------------------------------------------------------------------------------------


def carry_out(machine: Machine, requests: list[Request]) -> tuple[float, list[Any]]:
    """Processor seconds of instructions through the machine, and their receipts, all of which are good."""
    gc.collect()
    start = time.thread_time()
    receipts = [machine.execute(request)[0] for request in requests]
    seconds = time.thread_time() - start
    refused = [receipt.refusal for receipt in receipts if not receipt.ok]
    if refused:
        raise SystemExit(f"{len(refused)} refused: {refused[0]}")
    return seconds, receipts


def liquidations(numbers: range, count: int) -> list[Request]:
    """A liquidation of each user's first position, whole if need be."""
    by = user_name_at(LIQUIDATOR, count)
    return [
        Request(
            LiquidatePerp(
                user=user_name_at(number, count), liquidator=by, market_index=0,
                liquidator_max_base_asset_amount=1_100_000_000,
            ), by, CLOCK,
        )
        for number in numbers
    ]  # fmt: skip


def bankruptcies(numbers: range, count: int) -> list[Request]:
    """A resolution of each user's debt."""
    by = user_name_at(LIQUIDATOR, count)
    return [
        Request(
            ResolvePerpBankruptcy(
                user=user_name_at(number, count), liquidator=by, quote_spot_market_index=0, market_index=0
            ), by, CLOCK,
        )
        for number in numbers
    ]  # fmt: skip


def user_name_at(number: int, count: int) -> str:
    """The key of the user in row ``number``."""
    return key_to_text(user_key(number, count))


def in_bulk(function: Any, store: Store, **numbers: int) -> float:
    """Users a second of a loop over the store's first segment (users 1 to the last); all must succeed."""
    from seawall.bulk.guard import described, stopped_at

    tables = copied(tables_of(store))
    count = len(tables.users[0]) // User.LAYOUT.size
    best = 0.0
    for _ in range(4):
        rows = copied(tables)
        outcomes = bytearray(count * Outcome.LAYOUT.size)
        given = {name: getattr(rows, name) for name in rows.RECORDS}
        given |= {"users": rows.users[0], "outcomes": outcomes, "first": 1, "end": count}
        best = max(best, (count - 1) / call_compiled(function, {**given, **numbers}))
        for error, _, _ in read_outcomes(outcomes):
            if error != 0:
                raise SystemExit(f"{function.__name__}: {described(error) if error > 0 else stopped_at(error)}")
    return best


def show_instructions(directory: Path, count: int) -> None:
    """Liquidations and bankruptcies a second: through the machine, and their rules compiled."""
    numbers = range(1, count)
    store = venue_store(directory, count)
    make_poor(store, numbers)
    bulk_rate = in_bulk(liquidate_users, store, now=CLOCK.unix_timestamp, slot=CLOCK.slot)
    seconds, receipts = carry_out(Machine(store), liquidations(numbers, count))
    taken = sum(1 for receipt in receipts for name, _ in receipt.events if name == "OrderActionRecord")
    line("liquidate_perp", len(receipts) / seconds, bulk_rate, f"{taken:,} of {len(receipts):,} took a position over")
    make_bankrupt(store, numbers)
    bulk_rate = in_bulk(resolve_users, store, now=CLOCK.unix_timestamp)
    seconds, receipts = carry_out(Machine(store), bankruptcies(numbers, count))
    spread = sum(receipt.waterfall.socialised for receipt in receipts)
    line("resolve_perp_bankruptcy", len(receipts) / seconds, bulk_rate, f"{spread / 1e6:,.0f} USDC socialised")


def line(what: str, exact: float, compiled: float, note: str) -> None:
    """One line of rates."""
    print(f"{what:<26}{exact:>16,.0f}{compiled:>20,.0f}   {note}", flush=True)


# --- socialised losses -------------------------------------------------------------------------------------------


def show_socialised(store: Store, debts: int) -> None:
    """What one socialised bankruptcy costs in a venue of some size, and listing everybody who bears it."""
    count = store.users.count
    numbers = range(1, debts + 1)
    make_bankrupt(store, numbers)
    seconds, receipts = carry_out(Machine(store), bankruptcies(numbers, count))
    start = time.thread_time()
    shares = attribute(store, receipts[-1].waterfall)
    listing = time.thread_time() - start
    total = sum(bearer.share for bearer in shares.bearers)
    balanced = total + receipts[-1].waterfall.rounding + shares.claims_rounding == shares.socialised
    print(
        f"{count:>12,}{seconds / debts * 1e6:>22,.1f}{listing:>22,.3f}{len(shares.bearers):>14,}   "
        f"{'sums to the loss' if balanced else 'DOES NOT SUM'}",
        flush=True,
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1_000_000, help="accounts of the sweep and the large venue")
    parser.add_argument("--eight", type=int, default=200_000, help="accounts with 8+8 positions of the second sweep")
    parser.add_argument("--exact", type=int, default=3_000, help="accounts that the exact lane sweeps")
    parser.add_argument("--instructions", type=int, default=3_000, help="liquidations and bankruptcies")
    parser.add_argument("--debts", type=int, default=200, help="socialised bankruptcies in the small and large venue")
    args = parser.parse_args()
    reason = unavailable_reason()
    if reason is not None:
        raise SystemExit(f"the bulk lane is not available: {reason}")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        large = venue_store(directory, args.accounts)
        small = venue_store(directory, 1_000)
        make_poor(large, range(1, 1_000))
        print("margin checks a second and core, whole account, maintenance with buffer")
        heads = f"{'exact':>12}{'bulk, kernel':>14}{'bulk, with list':>16}"
        print(f"{'':<18}{heads}{'accounts':>12}{'liquidatable':>14}{'refused':>9}")
        some = tables_of(large)
        some.users = [bytearray(some.users[0][: args.exact * User.LAYOUT.size])]
        show_sweep("2+2 positions", tables_of(large), args.accounts, some, args.exact)
        eight = population(args.eight, 8)[0]
        some = copied(eight)
        some.users = [eight.users[0][: args.exact * User.LAYOUT.size]]
        show_sweep("8+8 positions", eight, args.eight, some, args.exact)
        del eight, some
        print(f"\na second and core{'':<9}{'exact, machine':>16}{'bulk, rules alone':>20}")
        show_instructions(directory, args.instructions)
        print(f"\n{'accounts':>12}{'bankruptcy, µs':>22}{'listing bearers, s':>22}{'bearers':>14}")
        for store in (small, large):
            show_socialised(store, args.debts)


if __name__ == "__main__":
    main()
