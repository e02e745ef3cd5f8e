"""The bundled scenario ``luna``: LUNA-PERP through 9 to 11 May 2022, minute by minute, on real prices.

Lenders hold most of the vault's USDC; longs and shorts trade with each other at the oracle price, never with the AMM,
so that every gain is somebody's loss. Each hour losers settle, then winners settle and withdraw their profit, as far as
the engine pays it. ``paid_on_demand`` is the same without the P&L pool.

The people are invented, and so is their size, except that the vault starts with what Drift v1's held before LUNA fell.
Assumed besides:

- nobody liquidates from ``KEEPER_DOWN`` to ``KEEPER_UP``;
- the withdraw guard is wide open, so that what is seen is the P&L pool alone (Drift v1 had no guard either);
- funding is paused, and the debts of the bankrupt stay open: whom among the traders they fall on changes nothing for
  those who only lend.
"""

from collections.abc import Iterator
from random import Random
from typing import Final

from seawall.arithmetic import BASE_PRECISION, MARGIN_PRECISION
from seawall.engine.machine import Request
from seawall.engine.queries.margin import margin, withdrawable
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.engine.venue import Venue
from seawall.instructions.administration import UpdatePerpAuctionDuration, UpdatePerpMarketPausedOperations
from seawall.instructions.amm import UpdateAmms
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, Withdraw
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.markets import InitializePerpMarket, InitializeSpotMarket
from seawall.instructions.perp_fills import MatchFill, PlaceAndTakePerpOrder, ReservePerpOrder
from seawall.instructions.venue_setup import AddOracle, FundWallet, Initialize, InitializeUser, PostOraclePrice
from seawall.keys import key_from_text
from seawall.lab.keeper import Accounts, Batches, Keeper
from seawall.lab.luna_week import ADMIN, HOUR, KEEPER, LIQUIDATOR, USDC, USDC_UNIT, Person
from seawall.lab.paid_on_demand import PaidOnDemand, Standing
from seawall.lab.prices import LUNA_CRASH, Round, bundled_rounds
from seawall.rules.common.user_status import is_being_liquidated
from seawall.state.enums import PERP_UPDATE_FUNDING

LUNA_PERP: Final = 0
STEP: Final = 10_000_000
VAULT: Final = 13_660_000 * USDC_UNIT
"""What the vault holds at the start."""

KEEPER_DOWN: Final = 1_652_209_200
"""10 May 2022, 19:00:00 UTC."""

KEEPER_UP: Final = 1_652_274_000
"""11 May 2022, 13:00:00 UTC."""

LAST_ENTRY: Final = KEEPER_DOWN + HOUR
INITIAL_RATIO: Final = 1_000
TRADE_EVERY: Final = 5
"""Minutes."""

SMALLEST_TRADE: Final = 10 * BASE_PRECISION

LARGEST_EXIT: Final = 3_000 * BASE_PRECISION
"""What the liquidator finds a buyer for in a minute."""


class LunaCrash:
    """The scenario, like ``LunaWeek``; ``ledger`` fills as the hours strike."""

    def __init__(self, seed: int = 20_220_511) -> None:
        self.random = Random(seed)
        self.rounds: list[Round] = list(bundled_rounds(LUNA_CRASH))
        self.longs = [Person(f"@long{i + 1}", "long", self._usdc(40_000, 120_000), 0) for i in range(50)]
        self.shorts = [Person(f"@short{i + 1}", "short", self._usdc(40_000, 120_000), 0) for i in range(50)]
        self.liquidator = Person(LIQUIDATOR, "liquidator", 1_000_000 * USDC_UNIT, 0)
        self.traders = [*self.longs, *self.shorts, self.liquidator]
        self.lenders = self._lenders(VAULT - sum(trader.usdc for trader in self.traders))
        self.accounts = Accounts()
        self.keeper = Keeper(LIQUIDATOR, [p.account for p in (*self.longs, *self.shorts)], self.accounts)
        self.ledger = PaidOnDemand({p.account: p.usdc for p in self.traders})
        self._entries = {p.label: self._entry() for p in self.longs}
        self._leverage = {p.label: self.random.randint(40, 70) for p in self.longs}
        self._targets: dict[str, int] = {}
        self._hour = self.rounds[0].unix_timestamp // HOUR

    def _usdc(self, least: int, most: int) -> int:
        return self.random.randint(least, most) * USDC_UNIT

    def _lenders(self, total: int) -> list[Person]:
        """Forty lenders who bring ``total`` together."""
        parts = [self.random.randint(1, 20) for _ in range(40)]
        amounts = [total * part // sum(parts) for part in parts]
        amounts[-1] += total - sum(amounts)
        return [Person(f"@lender{i + 1}", "lender", amount, 0) for i, amount in enumerate(amounts)]

    def _entry(self) -> int:
        """A third of the longs come on the first day, the others buy the dip of the second."""
        first = self.rounds[0].unix_timestamp
        if self.random.random() < 0.33:
            return self.random.randint(first, first + 12 * HOUR)
        return self.random.randint(first + 24 * HOUR, LAST_ENTRY)

    # --- setting up ---------------------------------------------------------------------------------------------

    def genesis(self) -> list[Request]:
        """Every instruction before trading starts."""
        at = self.rounds[0].unix_timestamp - HOUR
        clock = Clock.at(at - at % HOUR)
        requests = [Request(instruction, ADMIN, clock) for instruction in self._exchange()]
        for person in (*self.lenders, *self.traders):
            fund = FundWallet(authority=person.label, market_index=USDC, amount=person.usdc)
            requests += [
                Request(fund, ADMIN, clock),
                Request(InitializeUser(user=person.account, name=person.label[1:]), person.label, clock),
                Request(Deposit(user=person.account, market_index=USDC, amount=person.usdc), person.label, clock),
            ]
        return requests

    def _exchange(self) -> Iterator[Instruction]:
        price = self.rounds[0].price
        yield Initialize(name="LUNA crash", admin=ADMIN, wallets_tracked=True)
        yield UpdatePerpAuctionDuration(min_perp_auction_duration=0)
        yield AddOracle(name="LUNA", price=price, conf=price // 2_000)
        yield InitializeSpotMarket(
            name="USDC",
            oracle="quote",
            decimals=6,
            optimal_utilization=700_000,
            optimal_borrow_rate=200_000,
            max_borrow_rate=2_000_000,
            initial_asset_weight=10_000,
            maintenance_asset_weight=10_000,
            initial_liability_weight=10_000,
            maintenance_liability_weight=10_000,
            withdraw_guard_threshold=10 * VAULT,
        )
        yield InitializePerpMarket(
            market_index=LUNA_PERP,
            name="LUNA-PERP",
            oracle="LUNA",
            amm_base_asset_reserve=1_000_000 * BASE_PRECISION,
            amm_quote_asset_reserve=1_000_000 * BASE_PRECISION,
            amm_periodicity=HOUR,
            amm_peg_multiplier=price,
            contract_tier="B",
            margin_ratio_initial=INITIAL_RATIO,
            margin_ratio_maintenance=500,
            base_spread=500,
            max_spread=50_000,
            liquidator_fee=10_000,
            order_step_size=STEP,
            order_tick_size=100,
            min_order_size=STEP,
            curve_update_intensity=100,
        )
        yield UpdatePerpMarketPausedOperations(market_index=LUNA_PERP, paused_operations=PERP_UPDATE_FUNDING)

    # --- the crash ----------------------------------------------------------------------------------------------

    def round(self, venue: Venue, number: int) -> Batches:
        """A minute: its price and trades; the keeper, unless it is down; on the hour settlements, withdrawals."""
        now, price = self.rounds[number]
        clock = Clock.at(now)
        post = Request(PostOraclePrice(oracle="LUNA", price=price, conf=price // 2_000), ADMIN, clock)
        refresh = Request(UpdateAmms(market_indexes=[LUNA_PERP]), KEEPER, clock)
        yield [post, refresh]
        if number % TRADE_EVERY == 0:
            yield list(self._trades(venue, price, clock))
        if self.keeper_works(now):
            yield from self.keeper.liquidations(venue, clock)
            yield list(self._exit(venue, price, clock))
        if now // HOUR > self._hour:
            self._hour = now // HOUR
            yield from self._strike(venue, clock, price)

    @staticmethod
    def keeper_works(now: int) -> bool:
        """Whether the keeper is not down."""
        return not KEEPER_DOWN <= now < KEEPER_UP

    def ending(self, venue: Venue) -> Batches:
        """After the last price everybody settles and withdraws once more."""
        now, price = self.rounds[-1]
        yield from self._strike(venue, Clock.at(now), price)

    def _trades(self, venue: Venue, price: int, clock: Clock) -> Iterator[Request]:
        """Two longs that want more find shorts for it."""
        wanting = [p for p in self.longs if self._gap(venue, p, price, clock.unix_timestamp) >= SMALLEST_TRADE]
        shorts = self.random.sample(self.shorts, 2)
        for long, short in zip(self.random.sample(wanting, min(2, len(wanting))), shorts, strict=False):
            size = min(
                self._gap(venue, long, price, clock.unix_timestamp),
                self._room(venue, long, price, clock),
                self._room(venue, short, price, clock),
            )
            if size >= SMALLEST_TRADE:
                yield from self._match(long, "Long", short, size // STEP * STEP, price, clock)

    def _gap(self, venue: Venue, long: Person, price: int, now: int) -> int:
        """Base that a long still wants. It sets its target when it enters; it stops buying once it has lost a tenth."""
        if now < self._entries[long.label]:
            return 0
        target = self._targets.setdefault(
            long.label, long.usdc * self._leverage[long.label] // 10 * BASE_PRECISION // price
        )
        if self.accounts.pnl(venue.store, long.account, LUNA_PERP) * 10 < -long.usdc:
            return 0
        return target - self.accounts.base(venue.store, long.account, LUNA_PERP)

    def _room(self, venue: Venue, person: Person, price: int, clock: Clock) -> int:
        """Base that Initial margin lets somebody add, with a little to spare; none while being liquidated."""
        if is_being_liquidated(self.accounts.user(venue.store, person.account)):
            return 0
        free = margin(venue.store, clock, person.account).withdraw.free_collateral
        return free * 9 // 10 * MARGIN_PRECISION // INITIAL_RATIO * BASE_PRECISION // price

    def _exit(self, venue: Venue, price: int, clock: Clock) -> Iterator[Request]:
        """The liquidator sells what it took over to a short that takes its profit."""
        base = self.accounts.base(venue.store, self.keeper.account, LUNA_PERP)
        shorts = [
            p for p in self.shorts
            if self.accounts.base(venue.store, p.account, LUNA_PERP) < 0
            and not is_being_liquidated(self.accounts.user(venue.store, p.account))
        ]  # fmt: skip
        if base > 0 and shorts:
            short = self.random.choice(shorts)
            open_base = -self.accounts.base(venue.store, short.account, LUNA_PERP)
            yield from self._match(self.liquidator, "Short", short, min(base, open_base, LARGEST_EXIT), price, clock)

    @staticmethod
    def _match(taker: Person, direction: str, maker: Person, size: int, price: int, clock: Clock) -> Iterator[Request]:
        """``taker`` trades with ``maker`` at the oracle price."""
        resting = ReservePerpOrder(
            user=maker.account,
            market_index=LUNA_PERP,
            direction="Short" if direction == "Long" else "Long",
            base_asset_amount=size,
        )
        order = PlaceAndTakePerpOrder(
            user=taker.account,
            market_index=LUNA_PERP,
            direction=direction,  # type: ignore[arg-type]
            base_asset_amount=size,
            immediate_or_cancel=True,
            makers=[maker.account],
            fills=[MatchFill(maker=maker.account, price=price - price % 100, base_asset_amount=size)],
        )
        yield Request(resting, maker.label, clock)
        yield Request(order, ADMIN, clock)

    # --- on the hour --------------------------------------------------------------------------------------------

    def _strike(self, venue: Venue, clock: Clock, price: int) -> Batches:
        """Losers settle, winners settle and withdraw their profit; beside it the ledger pays them on demand."""
        yield [Request(UpdateSpotMarketCumulativeInterest(market_index=USDC), KEEPER, clock)]
        yield self.keeper.losers(venue, clock, [p.account for p in self.traders], LUNA_PERP)
        yield self.keeper.winners(venue, clock, [(p.account, p.label) for p in self.traders], LUNA_PERP)
        withdrawals = []
        for trader in self.traders:
            request = self._withdrawal(venue, trader, clock)
            if request is not None:
                withdrawals.append(request)
        yield withdrawals
        for trader in self.traders:
            # it deposited all that was in its wallet: what is there now was withdrawn
            self.ledger.withdrawn[trader.account] = wallet_tokens(venue.store, trader.label, USDC)
        self._note(venue, clock, price)

    def _withdrawal(self, venue: Venue, trader: Person, clock: Clock) -> Request | None:
        """All of the settled profit, or what margin lets go of it."""
        profit = self.accounts.tokens(venue.store, trader.account, USDC) - trader.usdc
        if profit <= 0:
            return None
        request = Request(Withdraw(user=trader.account, market_index=USDC, amount=profit), trader.label, clock)
        if venue.dry_run(request.instruction, trader.label, clock).ok:
            return request
        most = min(profit, withdrawable(venue.store, clock, trader.account, USDC).amount)
        if most == 0:
            return None
        return Request(Withdraw(user=trader.account, market_index=USDC, amount=most), trader.label, clock)

    def _note(self, venue: Venue, clock: Clock, price: int) -> None:
        store = venue.store
        standings = {}
        waiting = 0
        for trader in self.traders:
            pnl = self.accounts.pnl(store, trader.account, LUNA_PERP)
            waiting += max(0, pnl)
            base = abs(self.accounts.base(store, trader.account, LUNA_PERP))
            needed = base * price // BASE_PRECISION * INITIAL_RATIO // MARGIN_PRECISION
            standings[trader.account] = Standing(self.accounts.tokens(store, trader.account, USDC) + pnl, needed)
        lent = sum(self.accounts.tokens(store, lender.account, USDC) for lender in self.lenders)
        vault = store.vaults.objects[USDC].spot_vault
        self.ledger.strike(clock.unix_timestamp, price, vault, lent, waiting, standings)


def wallet_tokens(store: Store, authority: str, market_index: int) -> int:
    """Tokens of a tracked wallet."""
    row = store.wallets.index.get(key_from_text(authority) + market_index.to_bytes(2, "little"))
    return 0 if row is None else store.wallets.read(row).amount
