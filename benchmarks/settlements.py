"""A venue whose users settle P&L: the load that the engine's speed is judged by.

Every user has two spot positions (USDC and SOL deposits) and two perp positions; every other one is long, so that with
each move of the price half of the users lose and need a margin calculation. The accounts are put into the tables
directly, for a million of them by instructions would take minutes; the markets' totals are those of the accounts.
"""

import itertools
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.load import ADMIN, START, Asked, genesis

from seawall import Clock, Request, Venue
from seawall.engine.store import Store
from seawall.instructions.deposits import Deposit
from seawall.instructions.markets import InitializePerpMarket
from seawall.instructions.pnl import SettlePnl
from seawall.instructions.venue_setup import AddOracle, PostOraclePrice
from seawall.keys import key_to_text
from seawall.records import Record
from seawall.state.user import User, UserStats

Load = Iterator[Asked]
"""Instructions with their signers, without end."""

BATCH = 998
"""Settlements between two changes of the prices, which with the two prices make a thousand instructions."""

AT_ONCE = 4_000
"""Instructions of one round."""

TOKEN = 10**9
"""Scaled balance of one token."""

PRICES = (101_000_000, 99_200_000, 101_400_000, 99_700_000, 100_900_000, 98_800_000, 100_600_000)
"""Seven prices in turn: never twice the same for a user, whatever the number of users."""

SOL_PRICE = 100_000_000
BTC_PRICE = 50_000_000_000


def user_key(number: int, count: int) -> bytes:
    """The public key of user ``number`` of ``count``: the venues of a run have no user in common."""
    return sha256(b"user %d of %d" % (number, count)).digest()


def user_name(number: int, count: int) -> str:
    """The key of a user anywhere in the table, as a wallet writes it; all users in turn."""
    return key_to_text(user_key(number * 7919 % count, count))


def settlement_venue(venue: Venue, count: int) -> None:
    """Make ``venue``, which is empty, the venue of ``count`` users."""
    asked = [*genesis(), (AddOracle(name="BTC", price=BTC_PRICE, conf=1), ADMIN), (_btc_market(), ADMIN)]
    for receipt in venue.apply_many(Request(ix, by, Clock.at(START)) for ix, by in asked):
        assert receipt.ok, receipt
    _add_users(venue.store, count)
    _set_totals(venue.store, count)


def set_intensity(store: Store, intensity: int) -> None:
    """Let the AMM's curve move with the price (100), or rest (0)."""
    market = store.perp_markets.objects[0].copy()
    market.amm.curve_update_intensity = intensity
    store.perp_markets.store(0, market.pack(), market)


def settlements(count: int) -> Load:
    """Settlements by a keeper, users all over the table; a new price before each batch."""
    keeper = key_to_text(sha256(b"keeper").digest())
    number = 0
    while True:
        price = PRICES[number // BATCH % len(PRICES)]
        yield PostOraclePrice(oracle="SOL", price=price, conf=10_000), ADMIN
        yield PostOraclePrice(oracle="BTC", price=BTC_PRICE, conf=10_000), ADMIN
        for _ in range(BATCH):
            yield SettlePnl(user=user_name(number, count), market_index=0), keeper
            number += 1


def deposits(count: int) -> Load:
    """Deposits of users all over the table."""
    for number in itertools.count():
        user = user_name(number, count)
        yield Deposit(user=user, market_index=0, amount=1_000 + number), user


def requests(venue: Venue, load: Load, count: int) -> list[Request]:
    """The next ``count`` instructions of a load for ``venue``, a second for every thousand."""
    tip = venue.tip
    seconds = (number // 1_000 + 1 for number in itertools.count())
    return [
        Request(instruction, signer, Clock(tip.unix_timestamp + later, tip.slot + 2 * later))
        for later, (instruction, signer) in zip(seconds, itertools.islice(load, count), strict=False)
    ]


def _btc_market() -> InitializePerpMarket:
    return InitializePerpMarket(
        market_index=1, name="BTC-PERP", oracle="BTC", amm_base_asset_reserve=10**15, amm_quote_asset_reserve=10**15,
        amm_periodicity=3600, amm_peg_multiplier=BTC_PRICE, margin_ratio_initial=1_000, margin_ratio_maintenance=500,
        max_spread=50_000, base_spread=500, order_step_size=10**5, order_tick_size=100, min_order_size=10**5,
    )  # fmt: skip


def _user(is_long: bool) -> User:
    """Long 1.1 SOL or short 1 SOL, bought at 100; the same side of 0.01 BTC; 1,000 USDC and 5 SOL as collateral."""
    user = User()
    quote, sol = user.spot_positions[0], user.spot_positions[1]
    quote.scaled_balance = 1_000 * TOKEN
    sol.scaled_balance, sol.market_index = 5 * TOKEN, 1
    for position, index, base, price in (
        (user.perp_positions[0], 0, 1_100_000_000 if is_long else -1_000_000_000, SOL_PRICE),
        (user.perp_positions[1], 1, 10_000_000 if is_long else -10_000_000, BTC_PRICE),
    ):
        position.market_index = index
        position.base_asset_amount = base
        position.quote_asset_amount = -base * price // TOKEN
        position.quote_entry_amount = position.quote_break_even_amount = position.quote_asset_amount
    return user


def _add_users(store: Store, count: int) -> None:
    users, stats = (_user(True), _user(False)), UserStats(number_of_sub_accounts=1, number_of_sub_accounts_created=1)
    rows, stats_row = [user.pack() for user in users], stats.pack()
    for number in range(count):
        key = user_key(number, count)
        side = number % 2
        address = sha256(b"seawall user " + key + bytes(2)).digest()
        store.users.store(number, key + bytes(2) + address + rows[side][66:], users[side])
        store.user_stats.store(number, key + stats_row[32:], stats)


def _set_totals(store: Store, count: int) -> None:
    """The markets as they would be had the users come by instructions: deposits, borrows, pools, positions, vaults."""
    usdc, sol = (market.copy() for market in store.spot_markets.objects)
    market, other = (market.copy() for market in store.perp_markets.objects)
    pool, fees = 100 * count * TOKEN, 1_000_000 * TOKEN
    usdc.deposit_balance = 1_000 * count * TOKEN + pool + fees
    usdc.borrow_balance = usdc.deposit_balance // 2
    usdc.deposit_token_twap, usdc.borrow_token_twap = usdc.deposit_balance // 1_000, usdc.borrow_balance // 1_000
    usdc.utilization_twap = 500_000
    sol.deposit_balance = 5 * count * TOKEN
    for spot_market, price in ((usdc, 1_000_000), (sol, SOL_PRICE)):
        _history(spot_market.historical_oracle_data, price)
    for perp_market, long, short, price in (
        (market, 1_100_000_000, -1_000_000_000, SOL_PRICE), (other, 10_000_000, -10_000_000, BTC_PRICE),
    ):  # fmt: skip
        amm = perp_market.amm
        amm.base_asset_amount_long, amm.base_asset_amount_short = long * count // 2, short * count // 2
        net = amm.base_asset_amount_with_amm = amm.base_asset_amount_long + amm.base_asset_amount_short
        amm.quote_asset_amount = -net * price // TOKEN
        amm.sqrt_k = amm.terminal_quote_asset_reserve = 1_000 * count * TOKEN
        amm.base_asset_reserve = amm.sqrt_k - net
        amm.quote_asset_reserve = amm.sqrt_k**2 // amm.base_asset_reserve
        amm.min_base_asset_reserve, amm.max_base_asset_reserve = amm.sqrt_k * 7 // 10, amm.sqrt_k * 14 // 10
        amm.bid_base_asset_reserve, amm.bid_quote_asset_reserve = amm.base_asset_reserve, amm.quote_asset_reserve
        amm.ask_base_asset_reserve, amm.ask_quote_asset_reserve = amm.base_asset_reserve, amm.quote_asset_reserve
        perp_market.number_of_users = perp_market.number_of_users_with_base = count
        _history(amm.historical_oracle_data, price)
    market.amm.fee_pool.scaled_balance, market.pnl_pool.scaled_balance = fees, pool
    market.amm.total_fee_minus_distributions = fees // 1_000
    vaults = store.vaults.objects[0].copy(), store.vaults.objects[1].copy()
    vaults[0].spot_vault = (usdc.deposit_balance - usdc.borrow_balance) // 1_000
    vaults[1].spot_vault = sol.deposit_balance
    for table, records in (
        (store.spot_markets, (usdc, sol)), (store.perp_markets, (market, other)), (store.vaults, vaults),
    ):  # fmt: skip
        for index, record in enumerate(records):
            assert isinstance(record, Record)
            table.store(index, record.pack(), record)  # type: ignore[attr-defined]


def _history(history: Record, price: int) -> None:
    """Price averages that stand at ``price``."""
    for name in ("last_oracle_price", "last_oracle_price_twap", "last_oracle_price_twap_5min"):
        setattr(history, name, price)
    history.last_oracle_price_twap_ts = START  # type: ignore[attr-defined]
