"""A crowd of traders in two perp markets: who is to be settled, and why some of them cannot be.

Everything is asked by instructions, so that a journal of it can be executed again, and follows from a seed.
"""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from seawall.engine.handlers.batches import Batch
from seawall.engine.machine import Machine, Request
from seawall.engine.receipts import Clock, Receipt
from seawall.engine.results import decode_results
from seawall.engine.store import Store
from seawall.engine.transaction import Lane
from seawall.instructions.administration import UpdatePerpMarketExpiry, UpdateStateSettlementDuration
from seawall.instructions.amm import SettleFundingPayment, UpdateFundingRate
from seawall.instructions.base import Instruction
from seawall.instructions.batches import SettleFundingBatch
from seawall.instructions.deposits import Deposit
from seawall.instructions.markets import InitializePerpMarket
from seawall.instructions.perp_fills import AmmFill, FillPerpOrder, ReservePerpOrder
from seawall.instructions.pnl import DepositIntoPerpMarketFeePool, SettleExpiredMarket, SettlePnl
from seawall.instructions.user_settings import DeleteUser, UpdateUserDelegate
from seawall.instructions.venue_setup import AddOracle, InitializeUser, PostOraclePrice
from support.load import ADMIN, SOL_PRICE, START, Asked, genesis

BTC_PRICE = 50_000_000_000
KEEPER = "@u5"
"""Settles everybody; owns one account and is the delegate of another."""
SOL_PERP, BTC_PERP = 0, 1
SOL_STEP, BTC_STEP = 10**7, 10**5

Timed = tuple[Instruction, str, Clock]


def crowd(count: int, seed: int = 1, hours: int = 3) -> Iterator[Timed]:
    """The instructions that make a venue of ``count`` users, with some hours of prices and funding behind them.

    Of seven users one has no position, one (of fourteen) is deleted, one has hardly any collateral; the rest trades one
    market or both, most are short of SOL, which falls, and one of four then realises half of that gain: more than the
    losers leave in the pool, so that winners have to settle for themselves.
    """
    rng = random.Random(seed)
    shorts: dict[int, int] = {}
    for asked in _opening():
        yield *asked, Clock.at(START)
    for number in range(count):
        for asked in _user(number, rng, shorts):
            yield *asked, Clock.at(START)
    sol, btc = SOL_PRICE, BTC_PRICE
    for hour in range(1, hours + 1):
        sol, btc = sol * 968 // 1_000, btc * (1_015 - 9 * hour) // 1_000
        at = Clock.at(START + 3_600 * hour)
        yield PostOraclePrice(oracle="SOL", price=sol, conf=1), ADMIN, at
        yield PostOraclePrice(oracle="BTC", price=btc, conf=1), ADMIN, at
        for market in (SOL_PERP, BTC_PERP):
            yield UpdateFundingRate(market_index=market), ADMIN, at
    at = Clock.at(START + 3_600 * hours)
    for number, size in shorts.items():
        if number % 4 == 1 and size > 1:
            for asked in _trade(f"@u{number}", SOL_PERP, size // 2 * SOL_STEP, "Long", sol):
                yield *asked, at


def expiry(market_index: int, hours: int = 3) -> Iterator[Timed]:
    """What puts a perp market of a crowd in Settlement, its buffer over."""
    at = START + 3_600 * hours
    yield UpdateStateSettlementDuration(settlement_duration=60), ADMIN, Clock.at(at)
    yield UpdatePerpMarketExpiry(market_index=market_index, expiry_ts=at + 60), ADMIN, Clock.at(at)
    yield SettleExpiredMarket(market_index=market_index), ADMIN, Clock.at(at + 60)


def after(hours: int = 3) -> Clock:
    """The time at which a crowd is settled."""
    return Clock.at(START + 3_600 * hours + 200)


def _opening() -> Iterator[Asked]:
    yield from genesis()
    yield AddOracle(name="BTC", price=BTC_PRICE, conf=1), ADMIN
    market = InitializePerpMarket(
        market_index=BTC_PERP, name="BTC-PERP", oracle="BTC", amm_base_asset_reserve=10**15,
        amm_quote_asset_reserve=10**15, amm_periodicity=3600, amm_peg_multiplier=BTC_PRICE, margin_ratio_initial=1_000,
        margin_ratio_maintenance=500, max_spread=50_000, base_spread=500, order_step_size=10**5, order_tick_size=100,
        min_order_size=10**5, curve_update_intensity=100,
    )  # fmt: skip
    yield market, ADMIN
    yield DepositIntoPerpMarketFeePool(market_index=SOL_PERP, amount=2_000_000), ADMIN


def _user(number: int, rng: random.Random, shorts: dict[int, int]) -> Iterator[Asked]:
    user = f"@u{number}"
    yield InitializeUser(user=user), user
    if number % 14 == 13:
        yield DeleteUser(user=user), user
        return
    poor = number % 7 == 2
    yield Deposit(user=user, market_index=0, amount=1_000_000 * (9 if poor else rng.randint(1_200, 5_000))), user
    if number % 7 == 3:
        return
    if number % 50 == 11:
        yield UpdateUserDelegate(user=user, delegate=KEEPER), user
    if poor:
        yield from _trade(user, SOL_PERP, 80 * SOL_STEP, "Long", SOL_PRICE)
        return
    if rng.random() < 0.8 or user == KEEPER:
        size = rng.randint(1, 300)
        side = "Long" if rng.random() < 0.2 and user != KEEPER else "Short"
        if side == "Short":
            shorts[number] = size
        yield from _trade(user, SOL_PERP, size * SOL_STEP, side, SOL_PRICE)
    if rng.random() < 0.7:
        yield from _trade(user, BTC_PERP, rng.randint(1, 1_500) * BTC_STEP, rng.choice(("Long", "Short")), BTC_PRICE)


def _trade(user: str, market: int, size: int, side: str, price: int) -> Iterator[Asked]:
    limit = price * 11 // 10 if side == "Long" else price * 9 // 10
    given = {"user": user, "market_index": market, "direction": side, "base_asset_amount": size}
    yield ReservePerpOrder(**given), user  # type: ignore[arg-type]
    yield FillPerpOrder(**given, price=limit, order_slot=START, fills=[AmmFill()]), ADMIN  # type: ignore[arg-type]


def execute(machine: Machine, instruction: Instruction, signer: str, at: Clock) -> Receipt:
    """Carry out one instruction."""
    return machine.execute(Request(instruction, signer, at))[0]


def crowded(count: int, seed: int = 1, *, expired: int | None = None) -> Machine:
    """A machine with a crowd, of which one market may be in Settlement."""
    machine = Machine(strict=True, lane="exact")
    for instruction, signer, at in crowd(count, seed):
        receipt = execute(machine, instruction, signer, at)
        assert receipt.ok, receipt
    for instruction, signer, at in () if expired is None else expiry(expired):
        receipt = execute(machine, instruction, signer, at)
        assert receipt.ok, receipt
    return machine


def clone(machine: Machine, lane: Lane = "exact") -> Machine:
    """Another machine in the same state."""
    store = Store()
    store.load({t.name: (t.count, b"".join(t.segments())) for t in machine.store.tables})
    other = Machine(store, strict=True, lane=lane)
    other.sequence, other.effects = machine.sequence, machine.effects
    return other


class Became(NamedTuple):
    """What became of an account: its error, whether it settled, and the amount."""

    error: str | None
    settled: bool
    amount: int | None


def one_by_one(machine: Machine, ix: Batch, users: Sequence[str]) -> list[Became]:
    """Do for each of the users what a batch does, as an instruction of its own."""
    found = []
    for user in users:
        single: Instruction = SettleFundingPayment(user=user)
        if not isinstance(ix, SettleFundingBatch):
            single = SettlePnl(user=user, market_index=ix.market_index)
        receipt = execute(machine, single, KEEPER, after())
        if receipt.refusal is not None:
            found.append(Became(receipt.refusal.error, False, None))
            continue
        name, field = "SettlePnlRecord", "pnl"
        if isinstance(ix, SettleFundingBatch):
            name, field = "FundingPaymentRecord", "funding_payment"
        paid = [fields[field] for event, fields in receipt.events if event == name]
        found.append(Became(None, bool(paid), sum(paid)))
    return found


def told(results: bytes | None) -> list[Became]:
    """The results of a batch, account by account."""
    assert results is not None
    rows = decode_results(results).to_pylist()
    return [Became(row["error"], row["settled"], row["amount"]) for row in rows]
