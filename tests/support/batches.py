"""A crowd of traders in two perp markets: who is to be settled, and why some of them cannot be.

Everything is asked by instructions, so that a journal of it can be executed again, and follows from a seed.
"""

import random
from collections.abc import Iterator

from seawall.engine.machine import Machine, Request
from seawall.engine.receipts import Clock, Receipt
from seawall.instructions.administration import UpdatePerpMarketExpiry, UpdateStateSettlementDuration
from seawall.instructions.amm import UpdateFundingRate
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit
from seawall.instructions.markets import InitializePerpMarket
from seawall.instructions.perp_fills import AmmFill, FillPerpOrder, ReservePerpOrder
from seawall.instructions.pnl import DepositIntoPerpMarketFeePool, SettleExpiredMarket
from seawall.instructions.user_settings import DeleteUser, UpdateUserDelegate
from seawall.instructions.venue_setup import AddOracle, InitializeUser, PostOraclePrice
from support.load import ADMIN, SOL_PRICE, START, Asked, genesis

BTC_PRICE = 50_000_000_000
KEEPER = "@u5"
"""Settles everybody; owns one account and is the delegate of another."""
SOL_PERP, BTC_PERP = 0, 1

Timed = tuple[Instruction, str, Clock]


def crowd(count: int, seed: int = 1, hours: int = 3) -> Iterator[Timed]:
    """The instructions that make a venue of ``count`` users, with some hours of prices and funding behind them.

    Of seven users one has no position, one (of fourteen) is deleted, one has hardly any collateral; the rest trades one
    market or both, long or short.
    """
    rng = random.Random(seed)
    for asked in _opening():
        yield *asked, Clock.at(START)
    for number in range(count):
        for asked in _user(number, rng):
            yield *asked, Clock.at(START)
    sol, btc = SOL_PRICE, BTC_PRICE
    for hour in range(1, hours + 1):
        sol, btc = sol * 968 // 1_000, btc * (1_015 - 9 * hour) // 1_000
        at = Clock.at(START + 3_600 * hour)
        yield PostOraclePrice(oracle="SOL", price=sol, conf=1), ADMIN, at
        yield PostOraclePrice(oracle="BTC", price=btc, conf=1), ADMIN, at
        for market in (SOL_PERP, BTC_PERP):
            yield UpdateFundingRate(market_index=market), ADMIN, at


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


def _user(number: int, rng: random.Random) -> Iterator[Asked]:
    user = f"@u{number}"
    yield InitializeUser(user=user), user
    if number % 14 == 13:
        yield DeleteUser(user=user), user
        return
    poor = number % 7 == 2
    yield Deposit(user=user, market_index=0, amount=1_000_000 * (9 if poor else rng.randint(500, 5_000))), user
    if number % 7 == 3:
        return
    if number % 50 == 9:
        yield UpdateUserDelegate(user=user, delegate=KEEPER), user
    for market, step, worth in ((SOL_PERP, 10**7, 1), (BTC_PERP, 10**5, 5)):
        if poor and market == SOL_PERP:
            yield from _trade(user, SOL_PERP, 80 * 10**7, "Long", SOL_PRICE)
        elif not poor and rng.random() < 0.7:
            side = rng.choice(("Long", "Short"))
            price = SOL_PRICE if market == SOL_PERP else BTC_PRICE
            yield from _trade(user, market, rng.randint(1, 300) * step * worth, side, price)


def _trade(user: str, market: int, size: int, side: str, price: int) -> Iterator[Asked]:
    limit = price * 11 // 10 if side == "Long" else price * 9 // 10
    given = {"user": user, "market_index": market, "direction": side, "base_asset_amount": size}
    yield ReservePerpOrder(**given), user  # type: ignore[arg-type]
    yield FillPerpOrder(**given, price=limit, order_slot=START, fills=[AmmFill()]), ADMIN  # type: ignore[arg-type]


def execute(machine: Machine, instruction: Instruction, signer: str, at: Clock) -> Receipt:
    """Carry out one instruction."""
    return machine.execute(Request(instruction, signer, at))[0]


def crowded(count: int, seed: int = 1, *, lane: str = "exact", expired: int | None = None) -> Machine:
    """A machine with a crowd, of which one market may be in Settlement."""
    machine = Machine(strict=True, lane=lane)  # type: ignore[arg-type]
    for instruction, signer, at in crowd(count, seed):
        receipt = execute(machine, instruction, signer, at)
        assert receipt.ok or receipt.ix == "reserve_perp_order", receipt
    for instruction, signer, at in () if expired is None else expiry(expired):
        receipt = execute(machine, instruction, signer, at)
        assert receipt.ok, receipt
    return machine
