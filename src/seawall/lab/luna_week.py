"""The bundled scenario: a venue with USDC, AVAX and AVAX-PERP through the LUNA week of May 2022.

Lenders, borrowers, longs (some with up to eight times their capital), shorts, market makers, insurance stakers, a
keeper and a liquidator act on the real AVAX prices. Every choice comes from one seeded generator and the venue's own
state, so that a run repeats itself to the last unit.

One assumption makes losses: the keeper is down from ``KEEPER_DOWN`` to ``KEEPER_UP``, while AVAX loses most. It
liquidates nothing and resolves nothing in those hours; everything else goes on.
"""

from collections.abc import Iterator
from random import Random
from typing import Final, Literal, NamedTuple

from seawall.engine.machine import Request
from seawall.engine.receipts import Clock
from seawall.engine.venue import Venue
from seawall.instructions.administration import (
    FeeStructureParams,
    FeeTierParams,
    FillerRewardParams,
    UpdatePerpAuctionDuration,
    UpdatePerpFeeStructure,
    UpdatePerpMarketMaxImbalances,
    UpdateSpotMarketIfFactor,
    UpdateSpotMarketRevenueSettlePeriod,
)
from seawall.instructions.amm import UpdateAmms, UpdateFundingRate
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, Withdraw
from seawall.instructions.insurance import AddInsuranceFundStake, InitializeInsuranceFundStake
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.markets import InitializePerpMarket, InitializeSpotMarket
from seawall.instructions.parameters import UpdatePerpMarketFeePoolBufferTarget
from seawall.instructions.perp_fills import AmmFill, MatchFill, PlaceAndTakePerpOrder, ReservePerpOrder
from seawall.instructions.protocol_fees import (
    SweepPerpMarketFees,
    WithdrawProtocolFeesPerp,
    WithdrawProtocolFeesSpot,
)
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.instructions.roles import UpdateHotAdmin, UpdateProtocolFeeRecipient
from seawall.instructions.venue_setup import AddOracle, FundWallet, Initialize, InitializeUser, PostOraclePrice
from seawall.lab.keeper import Accounts, Batches, Keeper
from seawall.lab.prices import AVAX_LUNA_WEEK, Round, bundled_rounds
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.user_status import is_being_liquidated
from seawall.state.enums import DEPOSIT

ADMIN: Final = "@admin"
KEEPER: Final = "@keeper"
LIQUIDATOR: Final = "@liquidator"
KEEPER_DOWN: Final = 1_652_266_800
"""11 May 2022, 11:00:00 UTC."""

KEEPER_UP: Final = 1_652_299_200
"""11 May 2022, 20:00:00 UTC."""

USDC: Final = 0
AVAX: Final = 1
AVAX_PERP: Final = 0
USDC_UNIT: Final = 1_000_000
AVAX_UNIT: Final = 1_000_000_000
STEP: Final = 10_000_000
HOUR: Final = 3_600
TRADES: Final = 6
SETTLEMENTS: Final = 6
"""Trades and settlements at each oracle round."""

LARGEST_TRADE: Final = 400 * AVAX_UNIT
SMALLEST_STAKE: Final = 100 * USDC_UNIT
"""Collateral that a leveraged trader needs to go on."""


Rulebook = Literal["drift", "velocity"]

AMM_FEE_PERCENT: Final = 25
IF_FEE_PERCENT: Final = 25
"""Velocity's split of a fill's remainder: the protocol keeps the other half."""

FEE_BUFFER: Final = 2_000 * USDC_UNIT
"""What Velocity's sweep leaves in the P&L pool before insurance and the AMM are served."""

TREASURY: Final = "@treasury"
"""Where Velocity's protocol fees go; the key that may withdraw them is ``FEE_KEY``."""

FEE_KEY: Final = "@fee-key"


class Group(NamedTuple):
    """People of one kind: how many, and what each brings (whole USDC and whole AVAX, from – to)."""

    name: str
    size: int
    usdc: tuple[int, int]
    avax: tuple[int, int]


GROUPS: Final = (
    Group("lender", 60, (2_000, 60_000), (0, 0)),
    Group("avax_lender", 30, (0, 0), (50, 1_500)),
    Group("usdc_borrower", 30, (0, 0), (300, 2_500)),
    Group("avax_borrower", 30, (10_000, 60_000), (0, 0)),
    Group("long", 60, (2_000, 30_000), (0, 0)),
    Group("leveraged", 60, (1_000, 8_000), (0, 0)),
    Group("short", 60, (2_000, 30_000), (0, 0)),
    Group("maker", 10, (100_000, 200_000), (0, 0)),
    Group("staker", 20, (1_000, 20_000), (0, 0)),
    Group("avax_staker", 10, (0, 0), (50, 400)),
    Group("liquidator", 1, (400_000, 400_000), (0, 0)),
)


class Person(NamedTuple):
    """Somebody: a label, a group, and what they brought (base units)."""

    label: str
    group: str
    usdc: int
    avax: int

    @property
    def account(self) -> str:
        """The person's first account."""
        return f"{self.label}/0"


class LunaWeek:
    """The scenario. ``genesis`` sets the venue up; ``round`` is what everybody does at an oracle round."""

    def __init__(self, seed: int = 20_220_507, rulebook: Rulebook = "drift") -> None:
        self.random = Random(seed)
        self.rulebook: Rulebook = rulebook
        self.rounds: list[Round] = list(bundled_rounds(AVAX_LUNA_WEEK))
        self.people = [person for group in GROUPS for person in self._people_of(group)]
        self.traders = [p for p in self.people if p.group in ("long", "leveraged", "short")]
        self.makers = [p for p in self.people if p.group == "maker"]
        self.accounts = Accounts()
        watched = [p.account for p in self.people if not p.group.endswith(("staker", "liquidator"))]
        self.keeper = Keeper(LIQUIDATOR, watched, self.accounts)
        self._hour = self.rounds[0].unix_timestamp // HOUR
        settling = [p for p in self.people if p.group in ("long", "leveraged", "short", "maker", "liquidator")]
        self._settling = [(p.account, p.label) for p in settling]
        self._settle_next = 0
        self._enters = {p.label: self._entry() for p in self.people if p.group == "leveraged"}

    def _people_of(self, group: Group) -> Iterator[Person]:
        for number in range(group.size):
            usdc = self.random.randint(*group.usdc) * USDC_UNIT
            avax = self.random.randint(*group.avax) * AVAX_UNIT
            label = f"@{group.name}{number + 1}" if group.size > 1 else f"@{group.name}"
            yield Person(label, group.name, usdc, avax)

    def _entry(self) -> int:
        """When a leveraged trader opens a position: half of them when the crash of 11 May is under way."""
        first, crash, last = self.rounds[0].unix_timestamp, KEEPER_DOWN - 12 * HOUR, KEEPER_DOWN + 3 * HOUR
        return self.random.randint(first, crash) if self.random.random() < 0.5 else self.random.randint(crash, last)

    # --- setting up ---------------------------------------------------------------------------------------------

    def genesis(self) -> list[Request]:
        """Every instruction before trading starts."""
        return list(self._genesis())

    def _genesis(self) -> Iterator[Request]:
        at = self.rounds[0].unix_timestamp - HOUR
        clock = Clock.at(at - at % HOUR)
        for instruction in self._exchange():
            yield Request(instruction, ADMIN, clock)
        for person in self.people:
            yield from self._arrival(person, clock)

    def _exchange(self) -> Iterator[Instruction]:
        price = self.rounds[0].price
        yield Initialize(name="LUNA week", rulebook=self.rulebook, admin=ADMIN, wallets_tracked=True)
        yield UpdatePerpAuctionDuration(min_perp_auction_duration=0)
        yield AddOracle(name="AVAX", price=price, conf=price // 2_000)
        yield _spot_market("USDC", "quote", 6, (10_000, 10_000, 10_000, 10_000), 1_500_000 * USDC_UNIT)
        yield _spot_market("AVAX", "AVAX", 9, (8_000, 9_000, 12_000, 11_000), 20_000 * AVAX_UNIT)
        for market in (USDC, AVAX):
            yield UpdateSpotMarketRevenueSettlePeriod(market_index=market, revenue_settle_period=HOUR)
        yield InitializePerpMarket(
            market_index=AVAX_PERP,
            name="AVAX-PERP",
            oracle="AVAX",
            amm_base_asset_reserve=1_000_000 * AVAX_UNIT,
            amm_quote_asset_reserve=1_000_000 * AVAX_UNIT,
            amm_periodicity=HOUR,
            amm_peg_multiplier=price,
            contract_tier="B",
            margin_ratio_initial=1_000,
            margin_ratio_maintenance=500,
            base_spread=500,
            max_spread=50_000,
            liquidator_fee=10_000,
            if_liquidation_fee=5_000,
            order_step_size=STEP,
            order_tick_size=100,
            min_order_size=STEP,
            curve_update_intensity=100,
        )
        yield UpdatePerpMarketMaxImbalances(
            market_index=AVAX_PERP,
            unrealized_max_imbalance=40_000 * USDC_UNIT,
            max_revenue_withdraw_per_period=1_000 * USDC_UNIT,
            quote_max_insurance=20_000 * USDC_UNIT,
        )
        if self.rulebook == "velocity":
            yield from velocity_parameters()

    def _arrival(self, person: Person, clock: Clock) -> Iterator[Request]:
        for market, amount in ((USDC, person.usdc), (AVAX, person.avax)):
            if amount:
                yield Request(FundWallet(authority=person.label, market_index=market, amount=amount), ADMIN, clock)
        yield Request(InitializeUser(user=person.account, name=person.label[1:]), person.label, clock)
        for market, amount in ((USDC, person.usdc), (AVAX, person.avax)):
            if amount and person.group.endswith("staker"):
                stake = InitializeInsuranceFundStake(authority=person.label, market_index=market)
                yield Request(stake, person.label, clock)
                add = AddInsuranceFundStake(authority=person.label, market_index=market, amount=amount)
                yield Request(add, person.label, clock)
            elif amount:
                deposit = Deposit(user=person.account, market_index=market, amount=amount)
                yield Request(deposit, person.label, clock)
        if person.group == "usdc_borrower":
            # up to 64 % of the collateral's value: AVAX will lose 59 %
            part = self.random.randint(25, 64)
            borrow = person.avax * self.rounds[0].price // AVAX_UNIT * part // 100
            yield Request(Withdraw(user=person.account, market_index=USDC, amount=borrow), person.label, clock)
        elif person.group == "avax_borrower":
            borrow = person.usdc * AVAX_UNIT // self.rounds[0].price // 4
            yield Request(Withdraw(user=person.account, market_index=AVAX, amount=borrow), person.label, clock)

    # --- the week -----------------------------------------------------------------------------------------------

    def round(self, venue: Venue, number: int) -> Batches:
        """The hours that strike before an oracle round, its price and trades; then the keeper; then settlements."""
        yield self.people_do(venue, number)
        yield from self.keeper_does(venue, number)

    def people_do(self, venue: Venue, number: int) -> list[Request]:
        """The hours that strike before an oracle round, its price, and trades on what was seen at the round before."""
        now, price = self.rounds[number]
        arriving: list[Request] = []
        while (self._hour + 1) * HOUR < now:
            self._hour += 1
            arriving += self._hourly(self.rounds[max(0, number - 1)].price, Clock.at(self._hour * HOUR))
        clock = Clock.at(now)
        before = self.rounds[max(0, number - 20)].price
        traders = self.random.sample(self.traders, TRADES)
        trades = [request for trader in traders for request in self._trade(venue, trader, price, before, clock)]
        return [*arriving, *self._news(price, clock), *trades]

    def keeper_does(self, venue: Venue, number: int) -> Batches:
        """What the keeper finds to do after a round's trades, and the settlements of its turn."""
        now, _ = self.rounds[number]
        clock = Clock.at(now)
        if self.keeper_works(now):
            yield from self.keeper.liquidations(venue, clock)
            yield from self.keeper.trade_away(venue, clock, AVAX_PERP)
            yield from self.keeper.swap_away(venue, clock, AVAX)
            yield from self.keeper.resolutions(venue, clock)
        yield self._settle(venue, clock, SETTLEMENTS)

    @staticmethod
    def keeper_works(now: int) -> bool:
        """Whether the keeper is not down."""
        return not KEEPER_DOWN <= now < KEEPER_UP

    @staticmethod
    def _post(price: int, clock: Clock) -> Request:
        return Request(PostOraclePrice(oracle="AVAX", price=price, conf=price // 2_000), ADMIN, clock)

    def _news(self, price: int, clock: Clock) -> list[Request]:
        """The round's price; under Velocity the AMM is refreshed apart, before anybody settles or is liquidated."""
        news = [self._post(price, clock)]
        if self.rulebook == "velocity":
            news.append(Request(UpdateAmms(market_indexes=[AVAX_PERP]), KEEPER, clock))
        return news

    def _trade(self, venue: Venue, trader: Person, price: int, before: int, clock: Clock) -> Iterator[Request]:
        base = self.accounts.base(venue.store, trader.account, AVAX_PERP)
        if trader.group == "leveraged":
            target = self._leveraged_target(venue, trader, base, price, clock)
        else:
            target = self._target(trader, base, price, before)
        change = target - base
        size = min(abs(change), LARGEST_TRADE) // STEP * STEP
        if size == 0:
            return
        direction = "Long" if change > 0 else "Short"
        if self.random.random() < 0.35:
            maker = self.random.choice(self.makers)
            order = PlaceAndTakePerpOrder(
                user=trader.account,
                market_index=AVAX_PERP,
                direction=direction,  # type: ignore[arg-type]
                base_asset_amount=size,
                immediate_or_cancel=True,
                makers=[maker.account],
                fills=[MatchFill(maker=maker.account, price=price - price % 100, base_asset_amount=size)],
            )
            yield from self._match(order, maker, clock)
            return
        order = PlaceAndTakePerpOrder(
            user=trader.account,
            market_index=AVAX_PERP,
            direction=direction,  # type: ignore[arg-type]
            base_asset_amount=size,
            immediate_or_cancel=True,
            fills=[AmmFill()],
        )
        yield Request(order, trader.label, clock)

    def _target(self, trader: Person, base: int, price: int, before: int) -> int:
        """Traders lean towards their side; many of the losing side close when the price runs away from them."""
        side = 1 if trader.group == "long" else -1
        running_away = (price - before) * side * 100 < -3 * before
        if running_away and base != 0 and self.random.random() < 0.5:
            return base // 2 // STEP * STEP if self.random.random() < 0.7 else 0
        leverage = self.random.randint(2, 12)
        return side * (trader.usdc * leverage // 10 * AVAX_UNIT // price // STEP * STEP)

    def _leveraged_target(self, venue: Venue, trader: Person, base: int, price: int, clock: Clock) -> int:
        """Four to eight times what is left, in several trades, and held to the end: few take their profit."""
        leverage, leaves = self.random.randint(40, 80), self.random.random() < 0.05
        if clock.unix_timestamp < self._enters[trader.label] or leaves:
            return 0
        if is_being_liquidated(self.accounts.user(venue.store, trader.account)):
            return base
        collateral, _ = self.accounts.margin(venue, clock, trader.account)
        if collateral < SMALLEST_STAKE:
            return base
        return max(base, collateral * leverage // 10 * AVAX_UNIT // price // STEP * STEP)

    def _match(self, order: PlaceAndTakePerpOrder, maker: Person, clock: Clock) -> Iterator[Request]:
        other = "Short" if order.direction == "Long" else "Long"
        resting = ReservePerpOrder(
            user=maker.account,
            market_index=AVAX_PERP,
            direction=other,  # type: ignore[arg-type]
            base_asset_amount=order.base_asset_amount,
        )
        yield Request(resting, maker.label, clock)
        yield Request(order, ADMIN, clock)

    def _settle(self, venue: Venue, clock: Clock, count: int) -> list[Request]:
        """The keeper goes round: one account after the other settles, the losers of a turn before its winners."""
        turn = [self._settling[(self._settle_next + i) % len(self._settling)] for i in range(count)]
        self._settle_next += count
        losers = self.keeper.losers(venue, clock, [account for account, _ in turn], AVAX_PERP)
        return losers + self.keeper.winners(venue, clock, turn, AVAX_PERP)

    def _hourly(self, price: int, clock: Clock) -> Iterator[Request]:
        """The cranks. The last round's price holds until the next one, so the oracle posts it again first."""
        yield from self._news(price, clock)
        yield Request(UpdateFundingRate(market_index=AVAX_PERP), KEEPER, clock)
        if self.rulebook == "velocity":
            yield Request(SweepPerpMarketFees(market_index=AVAX_PERP), KEEPER, clock)
        for market in (USDC, AVAX):
            yield Request(UpdateSpotMarketCumulativeInterest(market_index=market), KEEPER, clock)
            yield Request(SettleRevenueToInsuranceFund(spot_market_index=market), KEEPER, clock)

    def ending(self, venue: Venue) -> Batches:
        """After the last price everybody settles once more; under Velocity the protocol then takes what is its own."""
        clock = Clock.at(self.rounds[-1].unix_timestamp)
        if self.rulebook == "velocity":
            yield [Request(UpdateAmms(market_indexes=[AVAX_PERP]), KEEPER, clock)]
        yield self._settle(venue, clock, len(self._settling))
        if self.rulebook == "velocity":
            yield self._withdrawals(venue, clock)

    @staticmethod
    def _withdrawals(venue: Venue, clock: Clock) -> list[Request]:
        """Sweep, then pay out every protocol fee pool that holds something."""
        held = (1 << 63) - 1
        asked: list[Instruction] = [WithdrawProtocolFeesPerp(market_index=AVAX_PERP, amount=held)]
        for index, market in enumerate(venue.store.spot_markets.objects):
            if get_token_amount(market.protocol_fee_pool.scaled_balance, market, DEPOSIT):
                asked.append(WithdrawProtocolFeesSpot(market_index=index, amount=held))
        sweep = Request(SweepPerpMarketFees(market_index=AVAX_PERP), KEEPER, clock)
        return [sweep, *(Request(instruction, FEE_KEY, clock) for instruction in asked)]


def velocity_parameters() -> Iterator[Instruction]:
    """What a Velocity venue sets on top: the fee split, the buffer, the carve-outs, who withdraws and to whom."""
    tiers = [
        FeeTierParams(
            fee_numerator=fee, fee_denominator=100_000, maker_rebate_numerator=20, maker_rebate_denominator=100_000,
            referrer_reward_numerator=15, referrer_reward_denominator=100, referee_fee_numerator=5,
            referee_fee_denominator=100,
        )
        for fee in (100, 90, 80)
    ]  # fmt: skip
    filler = FillerRewardParams(reward_numerator=10, reward_denominator=100, time_based_reward_lower_bound=10_000)
    yield UpdatePerpFeeStructure(
        fee_structure=FeeStructureParams(
            fee_tiers=tiers,
            filler_reward_structure=filler,
            referrer_reward_epoch_upper_bound=4_000_000_000,
            flat_filler_fee=10_000,
            amm_fee_numerator=AMM_FEE_PERCENT,
            if_fee_numerator=IF_FEE_PERCENT,
        )
    )
    yield UpdatePerpMarketFeePoolBufferTarget(market_index=AVAX_PERP, fee_pool_buffer_target=FEE_BUFFER)
    for market in (USDC, AVAX):
        yield UpdateSpotMarketIfFactor(spot_market_index=market, if_fee_factor=70_000, protocol_fee_factor=30_000)
    for kind in ("perp", "spot"):
        yield UpdateProtocolFeeRecipient(market_type=kind, recipient=TREASURY)
    yield UpdateHotAdmin(role="FeeWithdraw", key=FEE_KEY)


def _spot_market(
    name: str, oracle: str, decimals: int, weights: tuple[int, int, int, int], guard: int
) -> InitializeSpotMarket:
    initial_asset, maintenance_asset, initial_liability, maintenance_liability = weights
    return InitializeSpotMarket(
        name=name,
        oracle=oracle,
        decimals=decimals,
        optimal_utilization=700_000,
        optimal_borrow_rate=200_000,
        max_borrow_rate=2_000_000,
        initial_asset_weight=initial_asset,
        maintenance_asset_weight=maintenance_asset,
        initial_liability_weight=initial_liability,
        maintenance_liability_weight=maintenance_liability,
        if_total_factor=100_000,
        liquidator_fee=0 if name == "USDC" else 20_000,
        if_liquidation_fee=5_000,
        withdraw_guard_threshold=guard,
    )
