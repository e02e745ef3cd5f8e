"""Recorded order lines as engine instructions: the program's order book, as far as a recording needs it replayed.

Which fills happened, against whom and how much base, is read from the line's ``OrderActionRecord`` events; where a
recording has none (vectors, refused lines) the book says whom the order met, and the AMM's part is left to the engine.
The orders themselves (prices, slots, expiries) are kept here, from the recorded order slots; Seawall keeps none.
Source: amm-and-funding.md §3.1, §3.5.
"""

from collections.abc import Iterator
from typing import Any, Final

from seawall.arithmetic import U64_MAX
from seawall.audit.parity.recorded import Recording, UnreadableError
from seawall.audit.parity.translate import OBSERVERS, TRANSLATORS
from seawall.instructions.base import Instruction, decode_object
from seawall.keys import key_to_text
from seawall.state.perp_market import PerpMarket

ORDER_BOOK_REFUSALS: Final = frozenset(
    {
        "InvalidOrder", "InvalidOrderAuction", "InvalidOrderBaseQuoteAmount", "InvalidOrderIOC",
        "InvalidOrderLimitPrice", "InvalidOrderMarketType", "InvalidOrderMaxTs", "InvalidOrderMinOrderSize",
        "InvalidOrderOracleOffset", "InvalidOrderPrice", "InvalidOrderSizeTooSmall", "InvalidOrderTrigger",
        "InvalidTriggerOrderCondition", "MaxNumberOfOrders", "MaxOrders", "OrderMustBeTriggeredFirst", "OrderNotOpen",
        "PlacePostOnlyLimitFailure", "UserOrderIdAlreadyInUse",
    }
)  # fmt: skip
"""Reasons of the order book itself: a line refused for one of them is nothing of Seawall's."""

AUCTION_MARGIN: Final = 200
"""An auction without prices starts or ends half a percent from the oracle."""

Order = dict[str, Any]


# --- the book --------------------------------------------------------------------------------------------------


def apply_order_fields(slots: list[Order], fields: dict[str, Any]) -> None:
    """Write recorded ``orders.N.field`` values into order slots."""
    for path, value in fields.items():
        if path.startswith("orders."):
            _, number, field = path.split(".", 2)
            slots[int(number)][field] = value


def observe(recording: Recording, line: dict[str, Any]) -> None:
    """Keep the order slots up to date with what any line of a trace changed."""
    if line["kind"] != "ix":
        return
    for label, fields in line["changed"].items():
        slots = recording.orders.get(label.removeprefix("user."))
        if slots:
            apply_order_fields(slots, fields)


def open_orders(recording: Recording, line: dict[str, Any], name: str) -> list[Order]:
    """A user's open orders as they are before a line."""
    slots = recording.orders.get(name, [])
    fields = line.get("pre", {}).get(f"user.{name}")
    if fields:
        slots = [dict(order) for order in slots]
        apply_order_fields(slots, fields)
    return [order for order in slots if order["status"] == "Open"]


def unfilled(order: Order) -> int:
    """What is left of an order."""
    return int(order["base_asset_amount"]) - int(order["base_asset_amount_filled"])


def resting(order: Order) -> dict[str, Any]:
    """An order as the engine's ``RestingPerpOrder``."""
    return {
        "market_index": int(order["market_index"]),
        "direction": order["direction"],
        "base_asset_amount": unfilled(order),
    }


# --- prices ----------------------------------------------------------------------------------------------------


def standardize_price(price: int, tick: int, direction: str) -> int:
    """A price on the tick: down for a Long, up for a Short."""
    rest = price % tick
    if rest == 0:
        return price
    return price - rest if direction == "Long" else price - rest + tick


def limit_price(order: Order, slot: int, oracle_price: int, tick: int, *, at_end: bool = False) -> int:
    """The price an order trades up to at a slot, or at the end of its auction; 0: none."""
    duration = int(order["auction_duration"])
    start, end = int(order["auction_start_price"]), int(order["auction_end_price"])
    elapsed = slot - int(order["slot"])
    if duration != 0 and (start != 0 or end != 0) and (at_end or elapsed <= duration):
        passed = duration if at_end else min(elapsed, duration)
        moved = abs(end - start) * passed // duration
        price = start + moved if end >= start else start - moved
        if order["order_type"] == "Oracle":
            price = max(oracle_price + price, tick)
        return standardize_price(price, tick, order["direction"])
    offset = int(order["oracle_price_offset"])
    if offset != 0:
        return standardize_price(max(oracle_price + offset, tick), tick, order["direction"])
    return int(order["price"])


def auction_prices(params: dict[str, Any], duration: int, oracle_price: int) -> tuple[int, int]:
    """Start and end of the auction of an order that a refused line or a vector would have placed."""
    given = params["auction_start_price"], params["auction_end_price"]
    if params["order_type"] == "Limit":
        if None in (*given, params["auction_duration"]) or duration == 0:
            return 0, 0
        return int(given[0]), int(given[1])
    if None not in given:
        return int(given[0]), int(given[1])
    limit = int(params["price"])
    band = oracle_price // AUCTION_MARGIN
    if params["direction"] == "Long":
        if limit == 0:
            return oracle_price, oracle_price + band
        if limit < oracle_price:
            return min(limit - limit // AUCTION_MARGIN, oracle_price - band), limit
        return oracle_price, min(limit, oracle_price + band)
    if limit == 0:
        return oracle_price, oracle_price - band
    if limit > oracle_price:
        return max(limit + limit // AUCTION_MARGIN, oracle_price + band), limit
    return oracle_price, max(limit, oracle_price - band)


# --- one line --------------------------------------------------------------------------------------------------


class Line:
    """A recorded order line with what it needs of the recorded state."""

    def __init__(self, recording: Recording, line: dict[str, Any]) -> None:
        self.recording = recording
        self.line = line
        self.actors = line["actors"]
        self.slot = int(line["clock"]["slot"])
        self.now = int(line["clock"]["unix_timestamp"])
        self.events: list[tuple[str, dict[str, Any]]] = line.get("events") or []

    def user(self, actor: str = "user") -> str:
        """The reference of an actor's account."""
        return self.recording.user_ref(self.actors[actor])

    def market(self, index: int) -> PerpMarket:
        """The perp market before the line."""
        market = self.recording.record(f"perp_market.{index}")
        assert isinstance(market, PerpMarket)
        return market

    def oracle_price(self, market: PerpMarket) -> int:
        """The price of the market's oracle at the line."""
        name = self.recording.store.oracles.objects[market.amm.oracle_index].name
        return int(self.line["oracles"][name]["price"])

    def actions(self, *names: str) -> Iterator[dict[str, Any]]:
        """The line's ``OrderActionRecord`` events of the given actions, in order."""
        for name, fields in self.events:
            if name == "OrderActionRecord" and fields["action"] in names:
                yield fields

    def refused_by_the_book(self) -> bool:
        """Whether the order book itself refused the line."""
        result = self.line["result"]
        return not isinstance(result, str) and result["error"] in ORDER_BOOK_REFUSALS

    def placed_order(self, params: dict[str, Any]) -> Order | None:
        """The order as the line placed it; None where it was accepted without becoming one."""
        for name, fields in self.events:
            if name == "OrderRecord":
                return dict(fields["order"])
        if self.line["result"] == "ok" and "events" in self.line:
            return None
        return self._expected_order(params)

    def _expected_order(self, params: dict[str, Any]) -> Order:
        market = self.market(int(params["market_index"]))
        tick = market.amm.order_tick_size
        direction = params["direction"]
        is_limit = params["order_type"] in ("Limit", "TriggerLimit")
        least = int(self.recording.record("state").min_perp_auction_duration)  # type: ignore[attr-defined]
        duration = int(params["auction_duration"] or 0)
        if not is_limit or duration != 0:
            duration = max(duration, least)
        start, end = auction_prices(params, duration, self.oracle_price(market))
        max_ts = params["max_ts"]
        if max_ts is None:
            max_ts = 0 if is_limit else self.now + max(30, duration // 2)
        return {
            "direction": direction,
            "base_asset_amount": params["base_asset_amount"],
            "base_asset_amount_filled": 0,
            "price": standardize_price(int(params["price"]), tick, direction),
            "oracle_price_offset": params["oracle_price_offset"] or 0,
            "order_type": params["order_type"],
            "reduce_only": params["reduce_only"],
            "post_only": params["post_only"] != "None",
            "slot": self.slot,
            "max_ts": max_ts,
            "auction_duration": duration,
            "auction_start_price": standardize_price(start, tick, direction),
            "auction_end_price": standardize_price(end, tick, direction),
        }

    def expired(self) -> list[dict[str, Any]]:
        """The user's own orders that the line dropped as expired before it placed one."""
        ids = set()
        for fields in self.actions("Place", "Cancel"):
            if fields["action"] == "Place":
                break
            ids.add(fields["taker_order_id"] or fields["maker_order_id"])
        return [resting(o) for o in open_orders(self.recording, self.line, self.actors["user"]) if o["order_id"] in ids]


# --- whom an order met -----------------------------------------------------------------------------------------


class Matching:
    """The makers' orders that an order meets, and the fills that the line recorded."""

    def __init__(self, line: Line, taker: Order, market_index: int, taker_limit: int) -> None:
        self.line = line
        self.taker = taker
        self.limit = taker_limit
        self.market = line.market(market_index)
        self.index = market_index
        self.oracle_price = line.oracle_price(self.market)
        self.side = "Short" if taker["direction"] == "Long" else "Long"

    def maker_orders(self, name: str) -> list[Order]:
        """A maker's open limit orders on the other side."""
        return [
            order
            for order in open_orders(self.line.recording, self.line.line, name)
            if order["market_type"] == "Perp"
            and int(order["market_index"]) == self.index
            and order["direction"] == self.side
            and order["order_type"] in ("Limit", "TriggerLimit")
            and (order["order_type"] == "Limit" or order["trigger_condition"].startswith("Triggered"))
        ]

    def makers(self) -> list[str]:
        """Names of the maker accounts with such an order."""
        names = self.line.actors.get("makers") or []
        return [name for name in names if name != self.line.actors["user"] and self.maker_orders(name)]

    def _is_maker_for_taker(self, order: Order) -> bool:
        taker = self.taker
        same_slot = int(order["slot"]) == int(taker["slot"]) == self.line.slot
        if same_slot and not (order["post_only"] and order["immediate_or_cancel"]):
            return False
        if taker["post_only"] or not (order["post_only"] or self._is_auction_over(order)):
            return False
        taker_rests = taker["order_type"] == "Limit" and self._is_auction_over(taker)
        if not taker_rests or order["post_only"]:
            return True
        maker_since = int(order["slot"]) + int(order["auction_duration"])
        return maker_since <= int(taker["slot"]) + int(taker["auction_duration"])

    def _is_auction_over(self, order: Order) -> bool:
        duration = int(order["auction_duration"])
        return duration == 0 or self.line.slot - int(order["slot"]) > duration

    def _is_dropped(self, order: Order, price: int) -> bool:
        """Whether the program cancels the order rather than match it."""
        if int(order["max_ts"]) != 0 and self.line.now > int(order["max_ts"]):
            return True
        distance = price - self.oracle_price if self.side == "Long" else self.oracle_price - price
        return distance > 0 and distance * 10_000 // self.oracle_price >= self.market.margin_ratio_initial

    def crossing(self) -> list[tuple[str, Order, int]]:
        """(maker, order, price) of the orders that cross, best for the taker first."""
        found = []
        tick = self.market.amm.order_tick_size
        for name in self.makers():
            for order in self.maker_orders(name):
                price = limit_price(order, self.line.slot, self.oracle_price, tick)
                if self._is_maker_for_taker(order) and not self._is_dropped(order, price) and self._crosses(price):
                    found.append((name, order, price))
        found.sort(key=lambda entry: entry[2], reverse=self.side == "Long")
        return found

    def _crosses(self, price: int) -> bool:
        if self.limit == 0:
            return True
        return price <= self.limit if self.side == "Short" else price >= self.limit

    def cancelled_maker_orders(self) -> list[dict[str, Any]]:
        """Makers' orders that the line cancelled for the flat filler fee."""
        found = []
        dropped = {(fields["maker"], fields["maker_order_id"]) for fields in self.line.actions("Cancel")}
        for name in self.makers():
            address = self._address(name)
            for order in self.maker_orders(name):
                if (address, order["order_id"]) in dropped:
                    maker = self.line.recording.user_ref(name)
                    found.append({"maker": maker, "base_asset_amount": unfilled(order)})
        return found

    def _address(self, name: str) -> str:
        return key_to_text(self.line.recording.record(f"user.{name}").address)  # type: ignore[attr-defined]

    def fills(self) -> list[dict[str, Any]]:
        """The engine's fills: the AMM up to each maker's price, the makers, and the AMM for the rest."""
        if self.taker["post_only"]:
            return [self._amm_fill(list(self.line.actions("Fill")))]
        recorded = list(self.line.actions("Fill"))
        knows_fills = "events" in self.line.line and self.line.line["result"] == "ok"
        fills = []
        for name, order, price in self.crossing():
            if knows_fills and self.limit != 0 and not self._has_match(recorded, name, order):
                continue
            fills.append(self._amm_fill(recorded) | {"price": price})
            match = {
                "kind": "match",
                "maker": self.line.recording.user_ref(name),
                "price": price,
                "base_asset_amount": unfilled(order),
                "reduce_only": order["reduce_only"],
            }
            if recorded and recorded[0]["action_explanation"] == "OrderFilledWithAMMJit":
                match["jit_base_asset_amount"] = int(recorded.pop(0)["base_asset_amount_filled"])
            if recorded and recorded[0]["action_explanation"] == "OrderFilledWithMatch":
                recorded.pop(0)
            fills.append(match)
        fills.append(self._amm_fill(recorded))
        return fills

    @staticmethod
    def _amm_fill(recorded: list[dict[str, Any]]) -> dict[str, Any]:
        if recorded and recorded[0]["action_explanation"] == "OrderFilledWithAMM":
            return {"kind": "amm", "base_asset_amount": int(recorded.pop(0)["base_asset_amount_filled"])}
        return {"kind": "amm"}

    def _has_match(self, recorded: list[dict[str, Any]], name: str, order: Order) -> bool:
        address = self._address(name)
        return any(fill["maker"] == address and fill["maker_order_id"] == order["order_id"] for fill in recorded)


# --- the translators -------------------------------------------------------------------------------------------


def _check_perp(params: dict[str, Any]) -> None:
    if params["market_type"] != "Perp":
        raise UnreadableError("spot orders in a recording are not supported")


def place_perp_order(recording: Recording, raw: dict[str, Any]) -> tuple[Instruction, str] | None:
    """``reserve_perp_order``."""
    line = Line(recording, raw)
    params = raw["args"]["params"]
    _check_perp(params)
    order = line.placed_order(params)
    if order is None or line.refused_by_the_book() or int(params["base_asset_amount"]) == U64_MAX:
        return None
    data = {
        "ix": "reserve_perp_order",
        "user": line.user(),
        "market_index": int(params["market_index"]),
        "direction": order["direction"],
        "base_asset_amount": int(order["base_asset_amount"]),
        "reduce_only": order["reduce_only"],
        "max_ts": int(order["max_ts"]),
        "expired": line.expired(),
    }
    return decode_object(data), recording.admin


def place_and_take_perp_order(recording: Recording, raw: dict[str, Any]) -> tuple[Instruction, str] | None:
    """``place_and_take_perp_order`` with the fills that happened."""
    line = Line(recording, raw)
    params = raw["args"]["params"]
    _check_perp(params)
    order = line.placed_order(params)
    if order is None or line.refused_by_the_book() or int(params["base_asset_amount"]) == U64_MAX:
        return None
    index = int(params["market_index"])
    data = _filled(line, order, index, at_end=True)
    data |= {
        "ix": raw["ix"],
        "immediate_or_cancel": params["immediate_or_cancel"],
        "post_only": params["post_only"] != "None",
        "expired": line.expired(),
    }
    return decode_object(data), recording.admin


def fill_perp_order(recording: Recording, raw: dict[str, Any]) -> tuple[Instruction, str] | None:
    """``fill_perp_order``; an order that does not exist is filled with success by doing nothing at all."""
    line = Line(recording, raw)
    orders = open_orders(recording, raw, line.actors["user"])
    wanted = raw["args"]["order_id"]
    if wanted is None:
        orders.sort(key=lambda order: int(order["order_id"]))
        orders = orders[-1:]
    else:
        orders = [order for order in orders if int(order["order_id"]) == int(wanted)]
    if not orders or line.refused_by_the_book():
        return None
    order = orders[0]
    _check_perp(order)
    data = _filled(line, order, int(order["market_index"]), at_end=False)
    data |= {
        "ix": raw["ix"],
        "order_slot": int(order["slot"]),
        "post_only": order["post_only"],
        "filler": line.user("filler"),
    }
    return decode_object(data), recording.admin


def _filled(line: Line, order: Order, index: int, *, at_end: bool) -> dict[str, Any]:
    """What the two instructions that fill an order share."""
    market = line.market(index)
    limit = limit_price(order, line.slot, line.oracle_price(market), market.amm.order_tick_size, at_end=at_end)
    matching = Matching(line, order, index, limit)
    return {
        "user": line.user(),
        "market_index": index,
        "direction": order["direction"],
        "base_asset_amount": unfilled(order),
        "price": limit,
        "order_type": order["order_type"],
        "reduce_only": order["reduce_only"],
        "max_ts": int(order["max_ts"]),
        "makers": [line.recording.user_ref(name) for name in matching.makers()],
        "cancelled_maker_orders": matching.cancelled_maker_orders(),
        "fills": matching.fills(),
    }


def cancel_orders(recording: Recording, raw: dict[str, Any]) -> tuple[Instruction, str] | None:
    """``release_perp_orders`` with the user's open orders that the filter names."""
    line = Line(recording, raw)
    args = raw["args"]
    orders = [order for order in open_orders(recording, raw, line.actors["user"]) if _is_named(order, args)]
    for order in orders:
        _check_perp(order)
    data = {"ix": "release_perp_orders", "user": line.user(), "orders": [resting(order) for order in orders]}
    return decode_object(data), recording.admin


def _is_named(order: Order, args: dict[str, Any]) -> bool:
    by_market = args["market_type"] is not None and args["market_index"] is not None
    market = (order["market_type"], int(order["market_index"]))
    if by_market and market != (args["market_type"], int(args["market_index"])):
        return False
    return args["direction"] is None or order["direction"] == args["direction"]


TRANSLATORS.update(
    {
        "place_perp_order": place_perp_order,
        "place_and_take_perp_order": place_and_take_perp_order,
        "fill_perp_order": fill_perp_order,
        "cancel_orders": cancel_orders,
    }
)
OBSERVERS.append(observe)
