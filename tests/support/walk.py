"""Everybody acts on a whole venue at random: five users, the admin who runs the order book, a keeper, a stranger.

The book of resting orders is kept here, as a venue would keep it. What is done follows from a ``Dice``: the same dice
do the same things. Most of it is what a venue sees every day, some is refused on purpose.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, TypeVar

import msgspec

from seawall.audit.conservation import check_state
from seawall.engine.conservation import surplus
from seawall.engine.queries.margin import margin, withdrawable
from seawall.engine.queries.pnl import claimable_pnl
from seawall.engine.receipts import Clock, Receipt, Refusal
from seawall.engine.results import decode_results, unavailable_reason
from seawall.errors import SettlementError
from seawall.instructions import administration as admin
from seawall.instructions.amm import (
    RepegAmmCurve,
    SettleFundingPayment,
    UpdateAmms,
    UpdateFundingRate,
    UpdateK,
    UpdatePerpBidAskTwap,
)
from seawall.instructions.associated_spot import ResolveWithAssociatedSpot, UpdatePerpMarketAssociatedSpot
from seawall.instructions.base import Instruction, user_key
from seawall.instructions.batches import SettleExpiredBatch, SettleFundingBatch, SettlePnlBatch
from seawall.instructions.deposits import Deposit, DepositIntoSpotMarketRevenuePool, Swap, TransferDeposit, Withdraw
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    AdminRemoveInsuranceFundStake,
    CancelRequestRemoveInsuranceFundStake,
    DepositIntoInsuranceFund,
    InitializeInsuranceFundStake,
    RemoveInsuranceFundStake,
    RequestRemoveInsuranceFundStake,
    TransferProtocolIfShares,
    UpdateProtocolIfSharesTransferConfig,
    UpdateUserQuoteAssetInsuranceStake,
)
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.liquidation import (
    ClearUserStatusBeingLiquidated,
    LiquidateBorrowForPerpPnl,
    LiquidatePerp,
    LiquidatePerpPnlForDeposit,
    LiquidateSpot,
    SetUserStatusToBeingLiquidated,
)
from seawall.instructions.perp_fills import (
    AmmFill,
    FillPerpOrder,
    MatchFill,
    PlaceAndTakePerpOrder,
    ReleasePerpOrder,
    ReleasePerpOrders,
    ReservePerpOrder,
    RestingMakerOrder,
    RestingPerpOrder,
)
from seawall.instructions.pnl import (
    DepositIntoPerpMarketFeePool,
    SettleExpiredMarket,
    SettleExpiredMarketPoolsToRevenuePool,
    SettleMultiplePnls,
    SettlePnl,
    UpdatePerpMarketAmmSummaryStats,
)
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.instructions.solvency import ResolvePerpBankruptcy, ResolvePerpPnlDeficit, ResolveSpotBankruptcy
from seawall.instructions.spot_fills import (
    ExternalFill,
    FillSpotOrder,
    ReleaseSpotOrder,
    ReserveSpotOrder,
    SettleSpotFeePoolToRevenuePool,
    SpotMatchFill,
    UpdateSpotFeePoolTarget,
)
from seawall.instructions.user_settings import (
    DeleteUser,
    UpdateUserCustomMarginRatio,
    UpdateUserDelegate,
    UpdateUserMarginTradingEnabled,
    UpdateUserName,
    UpdateUserReduceOnly,
)
from seawall.instructions.venue_setup import FundWallet, InitializeUser, PostOraclePrice
from seawall.keys import key_from_text, key_to_text
from seawall.rules.common.perp_positions import is_perp_position_available
from seawall.rules.common.spot_margin import signed_token_amount
from seawall.rules.common.user_status import is_bankrupt
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    STATUS_ACTIVE,
    STATUS_REDUCE_ONLY,
    STATUS_SETTLEMENT,
)
from seawall.state.user import POSITIONS, PerpPosition
from support.invariants import Step, is_over
from support.money import ADMIN, ETH, SOL, USDC
from support.venues import (
    ALICE,
    ALICE_1,
    AUTHORITIES,
    BOB,
    DAVE,
    DESK,
    ETH_PERP,
    MALLORY,
    PEOPLE,
    SOL_PERP,
    STEP,
    WholeVenue,
    authority,
)

T = TypeVar("T")
Direction = Literal["Long", "Short"]
OPPOSITE: dict[str, Direction] = {"Long": "Short", "Short": "Long"}
TOKENS = (USDC, SOL, ETH)
CONTRACTS = (SOL_PERP, ETH_PERP)
TOKEN_ORACLE = {USDC: "quote", SOL: "SOL", ETH: "ETH"}
ORACLE = {SOL_PERP: "SOL", ETH_PERP: "ETH"}
USUAL_PRICE = {"SOL": 100_000_000, "ETH": 2_000_000_000}
DECIMALS = {USDC: 6, SOL: 9, ETH: 8}
NOBODYS_TOKEN, NOBODYS_CONTRACT = 3, 2
"""Indices without a market."""


class Dice(Random):
    """Random choices that follow from one number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __repr__(self) -> str:
        return f"Dice({self.number})"

    def one_in(self, chance: int) -> bool:
        """True once in ``chance`` times."""
        return self.randrange(chance) == 0

    def token(self) -> int:
        """A spot market, seldom one that does not exist."""
        return NOBODYS_TOKEN if self.one_in(60) else self.choice(TOKENS)

    def contract(self) -> int:
        """A perp market, seldom one that does not exist."""
        return NOBODYS_CONTRACT if self.one_in(60) else self.choice(CONTRACTS)

    def amount(self, around: int) -> int:
        """Tokens: mostly up to ``around``, sometimes a few units, zero, one too many, or senselessly many."""
        kind = self.randrange(20)
        if kind == 0:
            return self.choice((0, around, around + 1, 2**64 - 1))
        if kind < 4:
            return self.randint(1, 50)
        return self.randint(0, max(1, around))

    def bps(self, small: int = 50, large: int = 1_000) -> int:
        """A change in basis points, mostly small."""
        return self.randint(-large, large) if self.one_in(8) else self.randint(-small, small)

    def side(self) -> Direction:
        """A direction."""
        return "Long" if self.one_in(2) else "Short"

    def signer(self, right: str) -> str:
        """Mostly the right one."""
        return self.choice((MALLORY, ADMIN, BOB)) if self.one_in(30) else right

    def one_of(self, choices: list[Callable[[], T]]) -> T:
        """Make one of several things."""
        return self.choice(choices)()


@dataclass
class Order:
    """What is left of an order that rests in the venue's book."""

    kind: str
    user: str
    market: int
    direction: Direction
    base: int
    price: int
    slot: int
    reduce_only: bool

    def crosses(self, side: Direction, limit: int) -> bool:
        """Whether a taker with a limit (0: none) would take it."""
        return limit == 0 or (self.price <= limit if side == "Long" else self.price >= limit)


class Walk:
    """A venue, its book, and what everybody may do; after every instruction all invariants are checked."""

    def __init__(self, venue: WholeVenue, tell: Callable[[str], None] = lambda line: None) -> None:
        self.venue = venue
        self.tell = tell
        self.book: list[Order] = []
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    @property
    def actions(self) -> tuple[Callable[..., None], ...]:
        """What may be done next."""
        return ACTIONS

    # --- acting -----------------------------------------------------------------------------------------------

    def act(self, instruction: Instruction, signer: str) -> Receipt:
        """Carry out one instruction; its receipt."""
        self.tell(f"{self.venue.now} {signer}: {instruction}")
        step = self.venue.step(instruction, signer)
        self.note(step)
        if step.receipt.refusal is not None:
            self.keeps_its_word(step, step.receipt.refusal)
        return step.receipt

    def keeps_its_word(self, step: Step, refusal: Refusal) -> None:
        """What a refusal says would pass does pass: the amount that it names; and at the time or signed by whom it
        names, the same is at least not refused for the same reason."""
        venue, ix, said = self.venue, step.instruction, refusal.would_pass
        amount = re.search(r"at most (\d+) (tokens|shares)", said)
        if amount is not None and not isinstance(ix, Swap):
            name = "shares" if amount[2] == "shares" else "amount"
            if int(amount[1]) > 0:
                most = -int(amount[1]) if getattr(ix, "amount", 0) < 0 else int(amount[1])
                smaller = venue.attempt(msgspec.structs.replace(ix, **{name: most}), step.signer)
                # a transfer may also fail for who receives it: a unit that is worth no token to him, a deposit that
                # the market does not take, or a repayment in a vault that roundings have left short
                to_another = ("SpotMarketVaultInvariantViolated", "InvalidSpotPosition", "MarketActionPaused")
                excused = isinstance(ix, TransferDeposit) and why(smaller) in to_another
                assert smaller.refusal is None or excused, (refusal, smaller.refusal)
        moment = re.search(r"(from|after)(?: time)? (\d{9,})", said)
        if moment is not None:
            later = int(moment[2]) + (moment[1] == "after")
            clock = Clock(later, venue.clock.slot + (later - venue.now) * 5 // 2)
            receipt, _ = venue.machine.attempt(ix, step.signer, key_from_text(step.signer), clock)
            assert why(receipt) != refusal.error, (refusal, receipt.refusal)
        signer = re.search(r"the same signed by (\S+)", said)
        if signer is not None:
            assert why(venue.attempt(ix, signer[1])) != refusal.error, refusal

    def note(self, step: Step) -> None:
        """Count what was carried out and what was refused, and tell it."""
        refusal = step.receipt.refusal
        if refusal is None:
            self.accepted[step.instruction.ix] += 1
        else:
            self.refused[f"{step.instruction.ix} {refusal.error}"] += 1
        self.tell(f"  {refusal.error if refusal else 'ok'}")

    def price(self, oracle: str, change: int = 0) -> int:
        """An oracle's price, moved by basis points."""
        return max(0, self.venue.price(oracle) * (10_000 + change) // 10_000)

    def held(self, user: str, market: int) -> int:
        """Signed tokens of an account."""
        for position in self.venue.user(user).spot_positions:
            if position.scaled_balance and position.market_index == market:
                return signed_token_amount(position, self.venue.market(market))
        return 0

    # --- money ------------------------------------------------------------------------------------------------

    def deposit(self, dice: Dice) -> None:
        """Tokens from the signer's wallet; a debt is often repaid exactly."""
        user, market = dice.choice(PEOPLE), dice.token()
        held = self.held(user, market)
        amount = -held if held < 0 and dice.one_in(3) else dice.amount(10 ** (DECIMALS.get(market, 6) + 3))
        ix = Deposit(user=user, market_index=market, amount=amount, reduce_only=dice.one_in(8))
        self.act(ix, dice.signer(authority(user)))

    def repay_in_bits(self, dice: Dice) -> None:
        """Somebody who owes repays a little several times."""
        owing = [(user, market) for user in PEOPLE for market in TOKENS if self.held(user, market) < -1_000]
        if owing:
            user, market = dice.choice(owing)
            for _ in range(dice.randint(1, 6)):
                ix = Deposit(user=user, market_index=market, amount=dice.randint(1, 100), reduce_only=dice.one_in(2))
                self.act(ix, authority(user))

    def withdraw(self, dice: Dice) -> None:
        """Tokens out, or borrowed."""
        user, market = dice.choice(PEOPLE), dice.token()
        around = max(self.held(user, market), 10 ** DECIMALS.get(market, 6) * 5)
        ix = Withdraw(user=user, market_index=market, amount=dice.amount(around), reduce_only=dice.one_in(8))
        self.act(ix, dice.signer(authority(user)))

    def withdraw_what_is_withdrawable(self, dice: Dice) -> None:
        """The query's amount would be carried out, one token more would be refused for the reason it gives (or, in a
        ReduceOnly market, cut); a part of it is then taken out."""
        venue, user, market = self.venue, dice.choice(PEOPLE), dice.choice(TOKENS)
        found = withdrawable(venue.store, venue.clock, user, market)
        more = venue.attempt(Withdraw(user=user, market_index=market, amount=found.amount + 1), authority(user))
        if more.refusal is None:
            assert found.bound_by == "ReduceOnlyWithdrawIncreasedRisk", found
            assert [e["amount"] <= found.amount for n, e in more.events if n == "DepositRecord"] == [True]
        else:
            assert more.refusal.error == found.bound_by, found
        if found.amount:
            receipt = venue.attempt(Withdraw(user=user, market_index=market, amount=found.amount), authority(user))
            assert receipt.refusal is None, (found, receipt.refusal)
            part = dice.choice((1, 2, 10))
            self.act(Withdraw(user=user, market_index=market, amount=found.amount // part), authority(user))

    def transfer(self, dice: Dice) -> None:
        """Tokens between accounts, mostly Alice's two."""
        giver, receiver = dice.choice(((ALICE, ALICE_1), (ALICE_1, ALICE)))
        if dice.one_in(10):
            receiver = dice.choice(PEOPLE)
        market = dice.token()
        ix = TransferDeposit(
            from_user=giver, to_user=receiver, market_index=market,
            amount=dice.amount(max(self.held(giver, market), 10**6)),
        )  # fmt: skip
        self.act(ix, dice.signer(authority(giver)))

    def swap(self, dice: Dice) -> None:
        """Tokens exchanged outside, near the oracle price."""
        user, taken, given = dice.choice(PEOPLE), dice.token(), dice.token()
        amount = dice.amount(max(self.held(user, taken), 10 ** DECIMALS.get(taken, 6)))
        out = amount
        if taken in TOKENS and given in TOKENS:
            value = amount * self.price(TOKEN_ORACLE[taken], dice.bps()) * 10 ** DECIMALS[given]
            out = min(value // 10 ** DECIMALS[taken] // max(1, self.price(TOKEN_ORACLE[given])), 2**64 - 1)
        ix = Swap(user=user, in_market_index=taken, out_market_index=given, amount_in=amount, amount_out=out)
        self.act(ix, dice.signer(authority(user)))

    def give(self, dice: Dice) -> None:
        """Tokens reach a wallet, a revenue pool, an AMM's fee pool or an insurance fund."""
        owner, market = dice.choice(AUTHORITIES), dice.token()
        amount = dice.amount(10 ** (DECIMALS.get(market, 6) + 2))
        choices: list[tuple[Instruction, str]] = [
            (FundWallet(authority=owner, market_index=market, amount=amount), ADMIN),
            (DepositIntoSpotMarketRevenuePool(authority=owner, market_index=market, amount=amount), owner),
            (DepositIntoInsuranceFund(authority=owner, market_index=market, amount=amount), owner),
            (DepositIntoPerpMarketFeePool(market_index=dice.contract(), amount=dice.amount(10**9)), ADMIN),
        ]
        ix, signer = dice.choice(choices)
        self.act(ix, dice.signer(signer))

    # --- the book ---------------------------------------------------------------------------------------------

    def size(self, dice: Dice, market: int) -> int:
        """A perp size: whole steps or not, seldom senseless."""
        if dice.one_in(20):
            return dice.choice((0, 1, STEP - 1, 2**64 - 1))
        largest = dice.choice((500, 5_000, 50_000)) // (1 if market == SOL_PERP else 20)
        return dice.randint(1, largest) * STEP + (dice.randrange(STEP) if dice.one_in(3) else 0)

    def rest_perp_order(self, dice: Dice) -> None:
        """An order enters the book. One that is past its time reserves nothing."""
        user, market, side = dice.choice(PEOPLE), dice.contract(), dice.side()
        base, reduce_only = self.size(dice, market), dice.one_in(8)
        expiry = dice.choice((0, 0, 0, 60, -1))
        ix = ReservePerpOrder(
            user=user, market_index=market, direction=side, base_asset_amount=base, reduce_only=reduce_only,
            max_ts=self.venue.now + expiry if expiry else 0,
        )  # fmt: skip
        if self.act(ix, dice.signer(authority(user))).ok and expiry >= 0:
            price, slot = self.price(ORACLE[market], dice.bps()), self.venue.clock.slot
            self.book.append(Order("perp", user, market, side, base // STEP * STEP, price, slot, reduce_only))

    def rest_spot_order(self, dice: Dice) -> None:
        """A spot order enters the book."""
        user, side, reduce_only = dice.choice(PEOPLE), dice.side(), dice.one_in(10)
        market = dice.token() if dice.one_in(10) else dice.choice((SOL, ETH))
        base = dice.amount(10 ** DECIMALS.get(market, 6) * 3)
        ix = ReserveSpotOrder(
            user=user, market_index=market, direction=side, base_asset_amount=base, reduce_only=reduce_only
        )
        if self.act(ix, dice.signer(authority(user))).ok:
            price, slot = self.price(TOKEN_ORACLE[market], dice.bps()), self.venue.clock.slot
            self.book.append(Order("spot", user, market, side, base, price, slot, reduce_only))

    def resting(self, dice: Dice, kind: str) -> Order | None:
        """One of the resting orders of a kind."""
        fitting = [order for order in self.book if order.kind == kind]
        return dice.choice(fitting) if fitting else None

    def cancel(self, dice: Dice) -> None:
        """An order leaves the book, or all perp orders of a user; claiming more than rests is refused."""
        order = self.resting(dice, dice.choice(("perp", "spot")))
        if order is None:
            return
        same = [o for o in self.book if (o.kind, o.user, o.market) == (order.kind, order.user, order.market)]
        at: dict[str, Any] = {"user": order.user, "market_index": order.market, "direction": order.direction}
        if order.kind == "perp" and dice.one_in(4):
            orders = [
                RestingPerpOrder(market_index=o.market, direction=o.direction, base_asset_amount=o.base) for o in same
            ]
            if self.act(ReleasePerpOrders(user=order.user, orders=orders), authority(order.user)).ok:
                self.book = [o for o in self.book if all(o is not gone for gone in same)]
            return
        more = dice.one_in(6)
        base = sum(o.base for o in same if o.direction == order.direction) + 1 if more else order.base
        cls: Any = ReleasePerpOrder if order.kind == "perp" else ReleaseSpotOrder
        if self.act(cls(**at, base_asset_amount=base), dice.signer(authority(order.user))).ok:
            assert not more
            self.book = [o for o in self.book if o is not order]

    def reserved_is_what_rests(self) -> None:
        """For every position, bids, asks and the number of orders reserved are those of the orders in the book."""
        resting: Counter[tuple[str, str, int, str]] = Counter()
        for order in self.book:
            signed = order.base if order.direction == "Long" else -order.base
            resting[order.user, order.kind, order.market, order.direction] += signed
            resting[order.user, order.kind, order.market, "orders"] += 1
        reserved: Counter[tuple[str, str, int, str]] = Counter()
        for name in PEOPLE:
            user = self.venue.user(name)
            for i in range(POSITIONS):
                for kind, p in (("perp", user.perp_positions[i]), ("spot", user.spot_positions[i])):
                    reserved[name, kind, p.market_index, "Long"] += p.open_bids
                    reserved[name, kind, p.market_index, "Short"] += p.open_asks
                    reserved[name, kind, p.market_index, "orders"] += p.open_orders
        assert {k: v for k, v in reserved.items() if v} == {k: v for k, v in resting.items() if v}

    # --- fills ------------------------------------------------------------------------------------------------

    def makers_for(self, dice: Dice, kind: str, user: str, market: int, side: Direction) -> list[Order]:
        """Up to two resting orders on the other side, the best first, at most one a maker: then the events tell which
        order was filled."""
        found: dict[str, Order] = {}
        for order in sorted(self.book, key=lambda o: o.price if side == "Long" else -o.price):
            if (order.kind, order.market, order.direction) == (kind, market, OPPOSITE[side]) and order.user != user:
                found.setdefault(order.user, order)
        return list(found.values())[: dice.choice((0, 1, 1, 2))]

    def book_fills(self, receipt: Receipt, taker: Order, makers: list[Order]) -> None:
        """Take off the book what the events of a step say was filled or cancelled."""
        by_address = {key_to_text(self.venue.user(o.user).address): o for o in (*makers, taker)}
        for name, event in receipt.events:
            if name != "OrderActionRecord":
                continue
            if event["action"] == "Cancel":
                by_address[event["taker"] or event["maker"]].base = 0
                continue
            taker.base -= event["base_asset_amount_filled"]
            if event["maker"] is not None and event["taker"] is not None:
                by_address[event["maker"]].base -= event["base_asset_amount_filled"]
        self.book = [order for order in self.book if order.base > 0]

    def perp_fills(self, dice: Dice, makers: list[Order], side: Direction, limit: int) -> list[AmmFill | MatchFill]:
        """The counterparties whose price crosses, then perhaps the AMM."""
        fills: list[AmmFill | MatchFill] = [
            MatchFill(maker=o.user, price=o.price, base_asset_amount=o.base, reduce_only=o.reduce_only)
            for o in makers
            if o.crosses(side, limit)
        ]
        if not fills or dice.one_in(2):
            fills.append(AmmFill())
        return fills

    def builder_of(self, dice: Dice, user: str) -> dict[str, Any]:
        """Who built the order of a user, where orders have builders."""
        return {}

    def take(self, dice: Dice) -> None:
        """An order is placed and meets makers, the AMM, or nobody; what is left rests or is dropped."""
        user, market, side = dice.choice(PEOPLE), dice.contract(), dice.side()
        base, reduce_only, immediate = self.size(dice, market), dice.one_in(8), dice.one_in(2)
        limit = self.price(ORACLE[market], dice.bps(200)) if market in ORACLE and dice.one_in(3) else 0
        makers = self.makers_for(dice, "perp", user, market, side)
        ix = PlaceAndTakePerpOrder(
            user=user, market_index=market, direction=side, base_asset_amount=base, price=limit,
            order_type="Limit" if limit else "Market", reduce_only=reduce_only, immediate_or_cancel=immediate,
            fills=self.perp_fills(dice, makers, side, limit), **self.builder_of(dice, user),
        )  # fmt: skip
        receipt = self.act(ix, dice.signer(ADMIN if makers else authority(user)))
        if receipt.ok:
            slot = self.venue.clock.slot
            taker = Order("perp", user, market, side, base // STEP * STEP, limit, slot, reduce_only)
            self.book.append(taker)
            self.book_fills(receipt, taker, makers)
            if immediate:
                self.book = [o for o in self.book if o is not taker]

    def gamble(self, dice: Dice) -> None:
        """Somebody trades nearly as much as his margin admits, or borrows nearly all of it."""
        user, market = dice.choice(PEOPLE), dice.choice(CONTRACTS)
        try:
            free = margin(self.venue.store, self.venue.clock, user).initial.free_collateral
        except SettlementError:
            return
        if dice.one_in(3):
            token = dice.choice(TOKENS)
            worth = free * 10 ** DECIMALS[token] // max(1, self.price(TOKEN_ORACLE[token]))
            self.act(Withdraw(user=user, market_index=token, amount=worth * 8 // 10), authority(user))
            return
        base = free * dice.choice((6, 8, 9)) * 10**9 // max(1, self.price(ORACLE[market])) // STEP * STEP
        ix = PlaceAndTakePerpOrder(
            user=user,
            market_index=market,
            direction=dice.side(),
            base_asset_amount=base,
            immediate_or_cancel=True,
            fills=[AmmFill()],
        )
        self.act(ix, authority(user))

    def is_sound(self, user: str) -> bool:
        """Whether an account meets its maintenance requirement, as far as it can be judged."""
        try:
            return margin(self.venue.store, self.venue.clock, user).safe
        except SettlementError:
            return True

    def fill_perp_order(self, dice: Dice) -> None:
        """The book fills a resting order with makers and the AMM, or drops a maker's order that is no longer good."""
        order = self.resting(dice, "perp")
        if order is None:
            return
        limit = order.price if dice.one_in(2) else 0
        makers = self.makers_for(dice, "perp", order.user, order.market, order.direction)
        dropped = makers[:1] if dice.one_in(8) else []
        post_only = dice.one_in(12)
        meeting = [] if post_only else makers[len(dropped) :]
        ix = FillPerpOrder(
            user=order.user, market_index=order.market, direction=order.direction, base_asset_amount=order.base,
            price=limit, order_type="Limit" if limit else "Market", order_slot=order.slot,
            reduce_only=order.reduce_only, post_only=post_only, filler=dice.choice((None, DAVE, BOB)),
            max_ts=self.venue.now - 100 if dice.one_in(12) else 0,
            fills=self.perp_fills(dice, meeting, order.direction, limit), **self.builder_of(dice, order.user),
            cancelled_maker_orders=[RestingMakerOrder(maker=o.user, base_asset_amount=o.base) for o in dropped],
        )  # fmt: skip
        receipt = self.act(ix, dice.signer(ADMIN))
        if receipt.ok:
            self.book_fills(receipt, order, makers)

    def fill_spot_order(self, dice: Dice) -> None:
        """The book fills a spot order with a maker, at an external venue, or with both."""
        order = self.resting(dice, "spot")
        if order is None:
            return
        makers = self.makers_for(dice, "spot", order.user, order.market, order.direction)
        limit = order.price if dice.one_in(2) else 0
        fills: list[SpotMatchFill | ExternalFill] = [
            SpotMatchFill(maker=o.user, price=o.price, base_asset_amount=o.base)
            for o in makers
            if o.crosses(order.direction, limit)
        ]
        if not fills or dice.one_in(2):
            base = dice.choice((order.base, order.base, order.base // 2))
            worth = base * self.price(TOKEN_ORACLE[order.market], dice.bps()) // 10 ** DECIMALS[order.market]
            fills.append(
                ExternalFill(
                    venue=dice.choice(("Serum", "Phoenix")), base_asset_amount=base,
                    quote_asset_amount=min(worth, 2**63), fee=worth // dice.choice((1_000, 2_500, 10**9)),
                    unsettled_referrer_rebate=dice.choice((0, worth // 10_000)),
                    settled_referrer_rebate=dice.choice((0, dice.randrange(1_000))),
                )
            )  # fmt: skip
        ix = FillSpotOrder(
            user=order.user, market_index=order.market, direction=order.direction, base_asset_amount=order.base,
            price=limit, order_slot=order.slot, filler=dice.choice((None, DAVE, BOB)), fills=fills,
        )  # fmt: skip
        receipt = self.act(ix, dice.signer(ADMIN))
        if receipt.ok:
            self.book_fills(receipt, order, makers)

    # --- settling ---------------------------------------------------------------------------------------------

    def settle_pnl(self, dice: Dice) -> None:
        """A settlement by the owner pays exactly what the query calls payable, and never more than the P&L pool holds;
        a stranger may be told to leave it to the owner."""
        venue, user, market = self.venue, dice.choice(PEOPLE), dice.contract()
        ix = SettlePnl(user=user, market_index=market)
        receipt = venue.attempt(ix, authority(user))
        told = [event["pnl"] for name, event in receipt.events if name == "SettlePnlRecord"]
        try:
            expected = claimable_pnl(venue.store, venue.clock, user, market)
        except SettlementError as error:
            assert error.code.name in ("UserHasNoPositionInMarket", "PerpMarketNotFound")
            assert told == []
        else:
            assert expected.refusal == ("" if receipt.refusal is None else receipt.refusal.error)
            if receipt.refusal is None:
                # where only orders are left in an expired market nothing is told
                assert told == [expected.payable_pnl] or (told == [] and expected.payable_pnl == 0)
                assert expected.payable_pnl <= max(0, expected.pnl_pool_available)
        if self.act(ix, MALLORY if dice.one_in(4) else authority(user)).ok:
            self.forget_expired(user, market)

    def forget_expired(self, user: str, market: int) -> None:
        """Closing an expired position drops its orders."""
        if is_over(self.venue.perp(market)):
            self.book = [o for o in self.book if (o.kind, o.user, o.market) != ("perp", user, market)]

    def settle_pnls(self, dice: Dice) -> None:
        """Several settlements at once, in both modes."""
        user = dice.choice(PEOPLE)
        markets = dice.choice(([SOL_PERP], [ETH_PERP], [SOL_PERP, ETH_PERP], [ETH_PERP, SOL_PERP, ETH_PERP], []))
        mode: Any = dice.choice(("MustSettle", "TrySettle", "TrySettle"))
        ix = SettleMultiplePnls(user=user, market_indexes=markets, mode=mode)
        if self.act(ix, MALLORY if dice.one_in(3) else authority(user)).ok:
            for market in markets:
                self.forget_expired(user, market)

    def settle_in_batches(self, dice: Dice) -> None:
        """Many accounts at once; now and then what comes of it is compared with settling one after the other."""
        if unavailable_reason() is not None:
            return
        market = dice.contract()
        users = dice.sample(PEOPLE, dice.randint(1, len(PEOPLE)))
        if dice.one_in(10):
            users.append(dice.choice((MALLORY, users[0])))
        who: dict[str, Any] = {"users": users}
        if dice.one_in(3):
            who = {"first": dice.randrange(6), "count": dice.choice((None, None, 2, 0))}
        choices: list[tuple[Instruction, Callable[[str], Instruction]]] = [
            (SettlePnlBatch(market_index=market, **who), lambda user: SettlePnl(user=user, market_index=market)),
            (SettleExpiredBatch(market_index=market, **who), lambda user: SettlePnl(user=user, market_index=market)),
            (SettleFundingBatch(**who), lambda user: SettleFundingPayment(user=user)),
        ]
        ix, single = dice.choice(choices)
        twin = self.venue.twin() if dice.one_in(3) else None
        if not self.act(ix, MALLORY).ok:
            return
        results = decode_results(self.venue.machine.results).to_pylist()
        if not isinstance(ix, SettleFundingBatch):
            for became in results:
                if became["error"] is None:
                    self.forget_expired(self.name_of(became["user"]), market)
        if twin is not None:
            for became in results:
                receipt = twin.step(single(self.name_of(became["user"])), MALLORY).receipt
                assert why(receipt) == (became["error"] or ""), (became, receipt.refusal)
            assert twin.store.root() == self.venue.store.root()

    def name_of(self, reference: str) -> str:
        """The name by which the walk knows an account that a result tells of."""
        key = user_key(reference)
        return next((name for name in PEOPLE if user_key(name) == key), reference)

    def crank(self, dice: Dice) -> None:
        """Interest, funding, AMMs, the book's best prices: by anyone, but for the last."""
        market, token = dice.contract(), dice.token()
        quotes = {
            "best_bid": self.price(ORACLE.get(market, "SOL"), -dice.randrange(40)) if dice.one_in(2) else None,
            "best_ask": self.price(ORACLE.get(market, "SOL"), dice.randrange(40)) if dice.one_in(2) else None,
        }
        choices: list[Instruction] = [
            UpdateSpotMarketCumulativeInterest(market_index=token),
            UpdateAmms(market_indexes=[market, SOL_PERP, 100]),
            UpdateFundingRate(market_index=market),
            SettleFundingPayment(user=dice.choice(PEOPLE)),
            UpdatePerpBidAskTwap(market_index=market, **quotes),
            SettleRevenueToInsuranceFund(spot_market_index=token),
            SettleSpotFeePoolToRevenuePool(market_index=token),
        ]
        self.act(dice.choice(choices), DAVE)

    def expire(self, dice: Dice) -> None:
        """The next stage of a perp market's end: its expiry is set, its price fixed, everybody closed, its pools
        handed over. Too early, each stage is refused."""
        venue, market = self.venue, dice.choice(CONTRACTS)
        perp = venue.perp(market)
        if perp.status in (STATUS_ACTIVE, STATUS_REDUCE_ONLY) and perp.expiry_ts == 0:
            if dice.one_in(8):
                self.act(admin.UpdatePerpMarketExpiry(market_index=market, expiry_ts=venue.now + 600), ADMIN)
        elif perp.status in (STATUS_ACTIVE, STATUS_REDUCE_ONLY):
            if dice.one_in(2):
                venue.wait(max(0, perp.expiry_ts - venue.now))
            self.act(SettleExpiredMarket(market_index=market), dice.signer(closer(venue)))
        elif perp.status == STATUS_SETTLEMENT:
            venue.wait(dice.choice((0, 3_700)))
            for user in dice.sample(PEOPLE, len(PEOPLE)):
                if self.act(SettlePnl(user=user, market_index=market), MALLORY).ok:
                    self.forget_expired(user, market)
            venue.wait(dice.choice((0, 100_000)))
            self.act(SettleExpiredMarketPoolsToRevenuePool(market_index=market), dice.signer(ADMIN))

    # --- losses -----------------------------------------------------------------------------------------------

    def squeeze(self, dice: Dice) -> None:
        """A price runs away for some minutes; whoever is short of margin then is liquidated, or told that he is not."""
        oracle = dice.choice(("SOL", "ETH"))
        change = dice.choice((-1_500, -800, -300, 300, 800, 1_500))
        for _ in range(dice.randint(1, 4)):
            self.act(PostOraclePrice(oracle=oracle, price=max(1, self.price(oracle, change))), ADMIN)
            self.venue.wait(dice.choice((60, 600)))
        self.act(UpdateAmms(market_indexes=[SOL_PERP, ETH_PERP]), MALLORY)
        for user in dice.sample(PEOPLE, len(PEOPLE)):
            for _ in range(1 if self.is_sound(user) else 4):
                self.liquidate_user(user, dice)

    def liquidate(self, dice: Dice) -> None:
        """Somebody's account is liquidated, or found sound."""
        short = [user for user in PEOPLE if not self.is_sound(user)]
        self.liquidate_user(dice.choice(short or PEOPLE), dice)

    def liquidate_user(self, name: str, dice: Dice) -> None:
        """What fits the account: its losses are resolved, its positions taken over, or something it has not."""
        user = self.venue.user(name)
        liquidator = dice.choice([p for p in PEOPLE if p != name or dice.one_in(20)])
        pair: dict[str, Any] = {"user": name, "liquidator": liquidator}
        perps = [p for p in user.perp_positions if p.base_asset_amount or p.quote_asset_amount]
        debts = [p.market_index for p in user.spot_positions if p.scaled_balance and p.balance_type == BORROW]
        assets = [p.market_index for p in user.spot_positions if p.scaled_balance and p.balance_type == DEPOSIT]
        perp = dice.choice(perps).market_index if perps else dice.contract()
        debt = dice.choice(debts) if debts else dice.token()
        asset = dice.choice(assets) if assets else dice.token()
        most = dice.choice((10**18, 10**18, dice.randint(0, 10**10)))
        choices: list[Instruction] = [
            LiquidatePerp(**pair, market_index=perp, liquidator_max_base_asset_amount=most),
            LiquidatePerp(**pair, market_index=perp, liquidator_max_base_asset_amount=most),
            LiquidateSpot(
                **pair, asset_market_index=asset, liability_market_index=debt, liquidator_max_liability_transfer=most
            ),
            LiquidateBorrowForPerpPnl(
                **pair, perp_market_index=perp, spot_market_index=debt, liquidator_max_liability_transfer=most
            ),
            LiquidatePerpPnlForDeposit(
                **pair, perp_market_index=perp, spot_market_index=asset, liquidator_max_pnl_transfer=most
            ),
        ]
        if is_bankrupt(user) or dice.one_in(10):
            choices = [
                ResolvePerpBankruptcy(**pair, quote_spot_market_index=USDC, market_index=perp),
                ResolveSpotBankruptcy(**pair, market_index=debt),
            ]
        if self.act(dice.choice(choices), dice.signer(authority(liquidator))).ok:
            self.forget_cancelled(name)

    def crank_statuses(self, dice: Dice) -> None:
        """Anyone flags who misses his margin and lets go who meets it again."""
        for name in dice.sample(PEOPLE, 2):
            cls = dice.choice((SetUserStatusToBeingLiquidated, ClearUserStatusBeingLiquidated))
            self.act(cls(user=name), MALLORY)

    def resolve_deficit(self, dice: Dice) -> None:
        """Insurance money for a market whose AMM is in the red."""
        self.act(ResolvePerpPnlDeficit(spot_market_index=USDC, perp_market_index=dice.contract()), MALLORY)

    def fall_behind(self, dice: Dice) -> None:
        """An AMM's users gain what its pools do not hold, the admin corrects its books by that, and then insurance is
        drawn, or the spot market that backs it."""
        venue, market = self.venue, dice.choice(CONTRACTS)
        base = venue.perp(market).amm.base_asset_amount_with_amm
        change = dice.choice((200, 500, 900)) * (1 if base > 0 else -1)
        self.act(PostOraclePrice(oracle=ORACLE[market], price=self.price(ORACLE[market], change)), ADMIN)
        venue.wait(dice.choice((10, 400, 3_600)))
        self.act(UpdateAmms(market_indexes=[market]), MALLORY)
        self.act(UpdatePerpMarketAmmSummaryStats(market_index=market, update_amm_summary_stats=True), ADMIN)
        if dice.one_in(2):
            caps = {"max_revenue_withdraw_per_period": dice.choice((0, 10**8)), "quote_max_insurance": 10**9}
            ix = admin.UpdatePerpMarketMaxImbalances(market_index=market, unrealized_max_imbalance=1, **caps)
            self.act(ix, dice.signer(ADMIN))
        for _ in range(dice.randint(1, 3)):
            if dice.one_in(2):
                self.act(ResolvePerpPnlDeficit(spot_market_index=USDC, perp_market_index=market), MALLORY)
            else:
                self.back_by_spot(dice, market)

    def back_by_spot(self, dice: Dice, market: int) -> None:
        """The spot market of a perp market's own underlying is named, and pays."""
        spot = {SOL_PERP: SOL, ETH_PERP: ETH}[market]
        if dice.one_in(3):
            ix = UpdatePerpMarketAssociatedSpot(
                perp_market_index=market, spot_market_index=spot, max_withdraw_per_period=dice.amount(10**9),
                period=dice.choice((3_600, 3_600, 86_400, 0)),
            )  # fmt: skip
            self.act(ix, dice.signer(ADMIN))
        tokens = dice.amount(10 ** DECIMALS[spot])
        worth = min(tokens * self.price(ORACLE[market], dice.bps(50)) // 10 ** DECIMALS[spot], 2**63)
        ix = ResolveWithAssociatedSpot(perp_market_index=market, token_amount=tokens, quote_amount=worth)
        self.act(ix, dice.signer(ADMIN))

    def forget_cancelled(self, name: str) -> None:
        """A liquidation cancels all orders of an account in a market, or none."""
        user = self.venue.user(name)
        resting = {("perp", p.market_index) for p in user.perp_positions if p.open_orders}
        resting |= {("spot", p.market_index) for p in user.spot_positions if p.open_orders}
        self.book = [o for o in self.book if o.user != name or (o.kind, o.market) in resting]

    def everybody_leaves(self) -> int:
        """On a copy of the venue pauses and limits are lifted and all debts repaid; then everybody without perp
        positions gets everything out that he has, in every token. The number of withdrawals.

        Three of the program's roundings may be in the way: a vault left a few units short; a balance worth no token,
        with which no margin is computed; and dust that became debt without the market's total of debts knowing, so that
        the last debtor cannot repay in full.
        """
        venue = self.venue.twin()
        venue.ok(admin.UpdateExchangeStatus(exchange_status=0))
        for market in TOKENS:
            venue.ok(admin.UpdateSpotMarketStatus(market_index=market, status="Active"))
            venue.ok(admin.UpdateSpotMarketPausedOperations(market_index=market, paused_operations=0))
            venue.ok(admin.UpdateSpotMarketMaxTokenDeposits(market_index=market, max_token_deposits=0))
            self.lift_limits(venue, market)
        for oracle, price in USUAL_PRICE.items():
            venue.ok(PostOraclePrice(oracle=oracle, price=price))
        leaving = Walk(venue)
        self.free_collateral(venue)
        for user in PEOPLE:
            for market in TOKENS:
                owed = -leaving.held(user, market)
                if owed > 0 and not is_bankrupt(venue.user(user)):
                    venue.ok(FundWallet(authority=authority(user), market_index=market, amount=2 * owed))
                    ix = Deposit(user=user, market_index=market, amount=2 * owed, reduce_only=True)
                    receipt = venue.do(ix, authority(user))
                    if receipt.refusal is not None:
                        assert receipt.refusal.error == "MathError", receipt.refusal
                        assert check_state(venue.store).flipped_dust[market] > 0
        left = 0
        for user in PEOPLE:
            record = venue.user(user)
            if is_bankrupt(record) or any(not is_perp_position_available(p) for p in record.perp_positions):
                continue
            for order in [o for o in self.book if o.user == user]:
                ix = ReleaseSpotOrder(
                    user=user, market_index=order.market, direction=order.direction, base_asset_amount=order.base
                )
                venue.ok(ix, authority(user))
            for market in TOKENS:
                amount = leaving.held(user, market)
                if amount <= 0:
                    continue
                receipt = venue.do(Withdraw(user=user, market_index=market, amount=amount), authority(user))
                if receipt.refusal is not None:
                    if receipt.refusal.error == "InvalidMarginRatio":
                        assert leaving.has_dust(user)
                    elif receipt.refusal.error == "SpotMarketInsufficientDeposits":
                        assert venue.market(market).borrow_balance > 0, "a debt that could not be repaid"
                    else:
                        short = ("SpotMarketVaultInvariantViolated", "TokenInsufficientFunds")
                        assert receipt.refusal.error in short, receipt.refusal
                        assert surplus(venue.store)[market] < 0
                    continue
                assert leaving.held(user, market) == 0
                left += 1
        return left

    def lift_limits(self, venue: WholeVenue, market: int) -> None:
        """Let everything out of a spot market at once."""
        venue.ok(admin.UpdateWithdrawGuardThreshold(market_index=market, withdraw_guard_threshold=2**64 - 1))

    def free_collateral(self, venue: WholeVenue) -> None:
        """Where positions have collateral of their own, those that ended give it back."""

    def open_fee_pool(self, venue: WholeVenue, market: int) -> bool:
        """Where winners of an expired market are not paid of all that its price counts on, see that they are; whether
        that was possible."""
        return True

    def has_dust(self, user: str) -> bool:
        """Whether an account has a balance that is worth no token."""
        return any(
            p.scaled_balance and signed_token_amount(p, self.venue.market(p.market_index)) == 0
            for p in self.venue.user(user).spot_positions
        )

    def market_ends(self, market: int) -> int:
        """On a copy of the venue a perp market expires after all funding was settled: in whatever order people come,
        everybody is closed and paid in full, unless a loser cannot pay, or the pool is short by the units that
        roundings took of what losers paid in. The number of accounts closed."""
        venue = self.venue.twin()
        perp = venue.perp(market)
        if perp.status not in (STATUS_ACTIVE, STATUS_REDUCE_ONLY) or perp.expiry_price:
            return 0
        venue.ok(admin.UpdateExchangeStatus(exchange_status=0))
        venue.ok(admin.UpdateStateSettlementDuration(settlement_duration=60))
        for oracle in venue.store.oracles.objects[1:]:
            if oracle.price <= 0:
                venue.ok(PostOraclePrice(oracle=oracle.name, price=USUAL_PRICE[oracle.name]))
        for user in PEOPLE:
            venue.ok(SettleFundingPayment(user=user), MALLORY)
        venue.ok(admin.UpdatePerpMarketExpiry(market_index=market, expiry_ts=venue.now + 1))
        venue.wait(1)
        if not venue.do(SettleExpiredMarket(market_index=market), closer(venue)).ok:
            return 0
        if not self.open_fee_pool(venue, market):
            return 0
        venue.wait(61)
        waiting = [
            u for u in PEOPLE if any(p.market_index == market for p in venue.user(u).perp_positions if has_perp(p))
        ]
        closed, progress = 0, True
        refusals: dict[str, Receipt] = {}
        while waiting and progress:
            progress = False
            for user in list(waiting):
                receipt = venue.do(SettlePnl(user=user, market_index=market), MALLORY)
                if receipt.refusal is None:
                    waiting.remove(user)
                    progress = True
                    closed += 1
                else:
                    refusals[user] = receipt
        if all(why(refusals[user]) == "InsufficientPerpPnlPool" for user in waiting):
            missing = [limit.asked - limit.value for user in waiting for limit in refusals[user].limits]
            assert min(missing, default=0) <= len(PEOPLE), missing
        return closed

    # --- insurance --------------------------------------------------------------------------------------------

    def stake(self, dice: Dice) -> None:
        """The life of a stake."""
        owner, market = dice.choice(AUTHORITIES), dice.choice((USDC, USDC, USDC, SOL))
        at: dict[str, Any] = {"authority": owner, "market_index": market}
        vault = self.venue.store.vaults.objects[market].insurance_fund_vault
        choices: list[Instruction] = [
            AddInsuranceFundStake(**at, amount=dice.amount(10**9)),
            AddInsuranceFundStake(**at, amount=dice.amount(10**9)),
            RequestRemoveInsuranceFundStake(**at, amount=dice.amount(vault)),
            RequestRemoveInsuranceFundStake(**at, amount=dice.amount(vault // 4)),
            CancelRequestRemoveInsuranceFundStake(**at),
            RemoveInsuranceFundStake(**at),
            RemoveInsuranceFundStake(**at),
            UpdateUserQuoteAssetInsuranceStake(authority=owner),
            InitializeInsuranceFundStake(**at),
        ]
        self.act(dice.choice(choices), dice.signer(owner))

    def protocol_shares(self, dice: Dice) -> None:
        """The protocol's own shares: handed to a staker, or paid out to the admin."""
        market = dice.choice((USDC, USDC, USDC, SOL))
        fund = self.venue.market(market).insurance_fund
        shares = dice.amount(fund.total_shares - fund.user_shares)
        if dice.one_in(2):
            self.act(AdminRemoveInsuranceFundStake(market_index=market, shares=shares), dice.signer(ADMIN))
        else:
            ix = TransferProtocolIfShares(authority=dice.choice(AUTHORITIES), market_index=market, shares=shares)
            self.act(ix, dice.signer(DESK))

    # --- the admin and the owners' settings -------------------------------------------------------------------

    def administer(self, dice: Dice) -> None:
        """The admin changes something, sound or not. What is paused is soon resumed."""
        state = self.venue.store.state.objects[0]
        if state.exchange_status:
            if dice.one_in(2):
                self.act(admin.UpdateExchangeStatus(exchange_status=0), ADMIN)
                return
        elif dice.one_in(8):
            bits = dice.choice((1, 2, 4, 8, 32, 64, 66, 127, 128))
            self.act(admin.UpdateExchangeStatus(exchange_status=bits), dice.signer(ADMIN))
            return
        change = self.spot_change(dice) if dice.one_in(2) else self.perp_change(dice)
        self.act(change, dice.signer(ADMIN))

    def spot_change(self, dice: Dice) -> Instruction:
        """A change of a spot market's parameters."""
        market, rate = dice.token(), dice.randint(0, 1_100_000)
        status: Any = dice.choice(("Active", "Active", "Active", "Active", "ReduceOnly", "Initialized", "Settlement"))
        tier: Any = dice.choice(("Collateral", "Collateral", "Protected", "Isolated"))
        choices: list[Instruction] = [
            admin.UpdateSpotMarketIfFactor(
                spot_market_index=market, user_if_factor=dice.randrange(rate + 2), total_if_factor=rate
            ),
            admin.UpdateSpotMarketRevenueSettlePeriod(
                market_index=market, revenue_settle_period=dice.choice((3_600, 3_600, 1, 86_400, 0, -5))
            ),
            admin.UpdateSpotMarketIfPausedOperations(
                market_index=market, paused_operations=dice.choice((0, 0, 0, 2, 4, 8, 15))
            ),
            admin.UpdateSpotMarketPausedOperations(
                market_index=market, paused_operations=dice.choice((0, 0, 0, 1, 2, 4))
            ),
            admin.UpdateSpotMarketBorrowRate(
                market_index=market, optimal_utilization=dice.randint(100_000, 1_000_000), optimal_borrow_rate=rate,
                max_borrow_rate=rate * dice.randrange(4),
            ),
            admin.UpdateSpotMarketMaxTokenDeposits(market_index=market, max_token_deposits=dice.choice((0, 0, 10**11))),
            admin.UpdateWithdrawGuardThreshold(
                market_index=market, withdraw_guard_threshold=dice.choice((10**18, 10**18, 10**9, 0))
            ),
            admin.UpdateSpotMarketStatus(market_index=market, status=status),
            admin.UpdateSpotMarketAssetTier(market_index=market, asset_tier=tier),
            admin.UpdateSpotMarketScaleInitialAssetWeightStart(
                market_index=market, scale_initial_asset_weight_start=dice.choice((0, 0, 10**9, 10**11))
            ),
            admin.UpdateSpotMarketFeeAdjustment(market_index=market, fee_adjustment=dice.randint(-105, 105)),
            admin.UpdateInsuranceFundUnstakingPeriod(
                market_index=market, insurance_fund_unstaking_period=dice.choice((3_600, 0, -1))
            ),
            UpdateSpotFeePoolTarget(market_index=market, spot_fee_pool_target=dice.randrange(10**6)),
            admin.UpdateSpotMarketExpiry(market_index=market, expiry_ts=self.venue.now + dice.choice((-1, 10**7))),
            admin.UpdateSpotMarketLiquidationFee(
                market_index=market,
                liquidator_fee=dice.randrange(60_000),
                if_liquidation_fee=dice.randrange(120_000),
            ),
            admin.UpdateSpotMarketMarginWeights(
                market_index=market,
                initial_asset_weight=dice.choice((8_000, 7_000, 10_000, 0)),
                maintenance_asset_weight=dice.choice((9_000, 10_000)),
                initial_liability_weight=dice.choice((12_000, 13_000, 10_000)),
                maintenance_liability_weight=dice.choice((11_000, 12_000, 10_000)),
                imf_factor=dice.choice((0, 1_000, 100_000)),
            ),
            UpdateProtocolIfSharesTransferConfig(max_transfer_per_epoch=dice.amount(10**9)),
            self.fee_change(dice, admin.UpdateSpotFeeStructure),
        ]  # fmt: skip
        return dice.choice(choices)

    def perp_change(self, dice: Dice) -> Instruction:
        """A change of a perp market's parameters or curve."""
        market = dice.contract()
        amm = self.venue.perp(market % 2).amm
        status: Any = dice.choice(("Active", "Active", "Active", "Active", "ReduceOnly", "Initialized"))
        initial = dice.choice((1_000, 1_000, 2_000, 600))
        choices: list[Instruction] = [
            admin.UpdatePerpMarketFeeAdjustment(market_index=market, fee_adjustment=dice.randint(-105, 105)),
            admin.UpdatePerpMarketStatus(market_index=market, status=status),
            admin.UpdatePerpMarketPausedOperations(
                market_index=market, paused_operations=dice.choice((0, 0, 0, 1, 2, 4, 8, 16, 63))
            ),
            admin.UpdatePerpMarketCurveUpdateIntensity(
                market_index=market, curve_update_intensity=dice.choice((0, 100, 200, 201))
            ),
            admin.UpdateAmmJitIntensity(market_index=market, amm_jit_intensity=dice.choice((0, 50, 100, 200))),
            admin.UpdatePerpMarketMarginRatio(
                market_index=market, margin_ratio_initial=initial, margin_ratio_maintenance=initial // 2
            ),
            admin.UpdatePerpMarketMaxImbalances(
                market_index=market, unrealized_max_imbalance=dice.amount(10**10),
                max_revenue_withdraw_per_period=dice.amount(10**9), quote_max_insurance=dice.amount(10**10),
            ),
            admin.UpdatePerpMarketMaxOpenInterest(market_index=market, max_open_interest=dice.choice((0, 0, 10**11))),
            admin.UpdatePerpMarketFundingPeriod(market_index=market, funding_period=dice.choice((3_600, 60, 0, -1))),
            admin.UpdatePerpAuctionDuration(min_perp_auction_duration=dice.choice((0, 0, 10))),
            admin.UpdateStateSettlementDuration(settlement_duration=dice.choice((3_600, 1, 0))),
            admin.UpdateLiquidationMarginBufferRatio(liquidation_margin_buffer_ratio=dice.choice((200, 0, 2_000))),
            admin.UpdateInitialPctToLiquidate(initial_pct_to_liquidate=dice.choice((2_000, 10_000, 0))),
            admin.UpdateLiquidationDuration(liquidation_duration=dice.choice((150, 0, 10))),
            admin.UpdatePerpLiquidationFee(
                market_index=market,
                liquidator_fee=dice.randrange(60_000),
                if_liquidation_fee=dice.randrange(40_000),
            ),
            admin.UpdatePerpMarketImfFactor(
                market_index=market,
                imf_factor=dice.choice((0, 500)),
                unrealized_pnl_imf_factor=dice.choice((0, 500)),
            ),
            admin.UpdatePerpMarketUnrealizedAssetWeight(
                market_index=market,
                unrealized_initial_asset_weight=dice.choice((0, 10_000)),
                unrealized_maintenance_asset_weight=10_000,
            ),
            admin.UpdatePerpMarketContractTier(market_index=market, contract_tier=dice.choice(("A", "B", "C"))),
            admin.UpdatePerpMarketMaxSpread(market_index=market, max_spread=dice.choice((500, 50_000, 90_000))),
            self.fee_change(dice, admin.UpdatePerpFeeStructure),
            UpdateK(market_index=market, sqrt_k=amm.sqrt_k * (10_000 + dice.bps(20, 250)) // 10_000),
            RepegAmmCurve(
                market_index=market, new_peg_candidate=max(0, amm.peg_multiplier * (10_000 + dice.bps()) // 10_000)
            ),
            UpdatePerpMarketAmmSummaryStats(market_index=market, update_amm_summary_stats=True),
        ]  # fmt: skip
        return dice.choice(choices)

    def fee_change(self, dice: Dice, cls: Any) -> Instruction:
        """Another schedule of fees, sound or not."""
        fees = admin.FeeStructureParams(
            fee_tiers=[
                admin.FeeTierParams(
                    fee_numerator=dice.choice((100, 60, 30, 0)),
                    maker_rebate_numerator=dice.choice((20, 0)),
                    referrer_reward_numerator=dice.choice((15, 0)),
                    referee_fee_numerator=dice.choice((5, 0)),
                )
            ],
            filler_reward_structure=admin.FillerRewardParams(
                reward_numerator=dice.choice((10, 0, 20)),
                reward_denominator=100,
                time_based_reward_lower_bound=dice.choice((10_000, 10**7)),
            ),
            referrer_reward_epoch_upper_bound=dice.choice((4_000_000_000, 100_000)),
            flat_filler_fee=dice.choice((10_000, 0)),
        )
        changed: Instruction = cls(fee_structure=fees)
        return changed

    def set_up_account(self, dice: Dice) -> None:
        """What an owner may set; further sub-accounts come and go, those of the story stay."""
        user, owner = dice.choice(PEOPLE), dice.choice(AUTHORITIES)
        extra = f"{owner}/{dice.randint(2 if owner == ALICE else 1, 4)}"
        choices: list[Instruction] = [
            UpdateUserName(user=user, name=dice.choice(("", "pier", "a name that is longer than 32 bytes"))),
            UpdateUserDelegate(user=user, delegate=dice.choice((BOB, DAVE, "1" * 32))),
            UpdateUserCustomMarginRatio(user=user, margin_ratio=dice.choice((0, 0, 0, 2_000, 20_000))),
            UpdateUserMarginTradingEnabled(user=user, margin_trading_enabled=not dice.one_in(4)),
            UpdateUserReduceOnly(user=user, reduce_only=dice.one_in(4)),
            InitializeUser(user=extra, name="one more"),
            DeleteUser(user=extra),
        ]
        ix: Any = dice.choice(choices)
        self.act(ix, dice.signer(authority(ix.user)))

    # --- the world --------------------------------------------------------------------------------------------

    def post_price(self, dice: Dice) -> None:
        """An oracle posts: a small move, a jump, an uncertain, stale or senseless price, which it soon corrects."""
        oracle = dice.choice(("SOL", "ETH"))
        price = self.price(
            oracle, dice.choice((dice.bps(), dice.bps(150), -5_000, 4_000) if dice.one_in(8) else (dice.bps(),))
        )
        if dice.one_in(60):
            price = dice.choice((0, -1))
        elif price < USUAL_PRICE[oracle] // 50 or price > USUAL_PRICE[oracle] * 50:
            price = USUAL_PRICE[oracle]
        conf = price // 10 if dice.one_in(25) else dice.choice((0, 1, max(0, price) // 10_000))
        late = dice.choice((15, 500)) if dice.one_in(25) else 0
        slot = max(0, self.venue.clock.slot - late)
        self.act(PostOraclePrice(oracle=oracle, price=price, conf=max(0, conf), valid_slot=slot), dice.signer(ADMIN))

    def wait(self, dice: Dice) -> None:
        """Time passes, or slots within a second; the oracles keep up, mostly."""
        if dice.one_in(5):
            self.venue.extra_slots += dice.choice((1, 5, 50, 1_000))
        else:
            seconds = dice.choice((1, 10, 60, 600, 3_600, 3_600, 4_000, 86_400, 2_500_000))
            for oracle in self.venue.store.oracles.objects[1:]:
                if oracle.price <= 0:
                    self.act(PostOraclePrice(oracle=oracle.name, price=USUAL_PRICE[oracle.name]), ADMIN)
            self.venue.wait(seconds, refresh=not dice.one_in(8))

    def ask_for_nonsense(self, dice: Dice) -> None:
        """A malformed request never becomes part of the history."""
        amount = dice.choice((-1, 2**64, 2**200))
        choices: list[Instruction] = [
            Deposit(user=ALICE, market_index=0, amount=amount),
            AddInsuranceFundStake(authority=ALICE, market_index=0, amount=amount),
            ReservePerpOrder(user=ALICE, market_index=amount, direction="Long", base_asset_amount=1),
        ]
        receipt = self.venue.step(dice.choice(choices), ALICE).receipt
        assert receipt.sequence == 0
        assert receipt.refusal is not None and receipt.refusal.error == "InvalidInstruction"


def closer(venue: WholeVenue) -> str:
    """Who may fix the price of a market that has expired: anybody, under Velocity the warm admin and who is above."""
    return ADMIN if venue.is_velocity else MALLORY


def why(receipt: Receipt) -> str:
    """The error's name, empty for what was carried out."""
    return "" if receipt.refusal is None else receipt.refusal.error


def has_perp(position: PerpPosition) -> bool:
    """Whether a perp slot holds a position."""
    return position.base_asset_amount != 0 or position.quote_asset_amount != 0


SHARED: tuple[Callable[[Walk, Dice], None], ...] = (Walk.settle_in_batches, Walk.crank_statuses, Walk.fall_behind)
"""What both rulebooks have beside."""

ACTIONS: tuple[Callable[[Walk, Dice], None], ...] = (
    Walk.deposit, Walk.repay_in_bits, Walk.withdraw, Walk.withdraw_what_is_withdrawable, Walk.transfer, Walk.swap,
    Walk.give, Walk.rest_perp_order, Walk.rest_perp_order, Walk.rest_spot_order, Walk.cancel,
    Walk.take, Walk.take, Walk.take, Walk.gamble, Walk.fill_perp_order, Walk.fill_perp_order, Walk.fill_spot_order,
    Walk.settle_pnl, Walk.settle_pnl, Walk.settle_pnls, Walk.crank, Walk.crank, Walk.crank, Walk.expire,
    Walk.squeeze, Walk.liquidate, Walk.liquidate, Walk.resolve_deficit,
    Walk.stake, Walk.stake, Walk.protocol_shares, Walk.administer, Walk.set_up_account,
    Walk.post_price, Walk.post_price, Walk.post_price, Walk.wait, Walk.wait, Walk.ask_for_nonsense, *SHARED,
)  # fmt: skip
"""What a long random walk does, the frequent more than once."""
