"""``MoneyVenue`` with a perp market on SOL at 100, for tests of orders and fills."""

from typing import Any

from seawall.engine.receipts import Receipt
from seawall.instructions.administration import UpdatePerpAuctionDuration
from seawall.instructions.markets import InitializePerpMarket
from seawall.instructions.perp_fills import (
    AmmFill,
    Direction,
    FillPerpOrder,
    MatchFill,
    PlaceAndTakePerpOrder,
    ReservePerpOrder,
)
from seawall.instructions.venue_setup import InitializeUser
from seawall.keys import key_from_text
from seawall.records import set_path
from seawall.state.perp_market import PerpMarket
from seawall.state.user import PerpPosition, UserStats
from tests.support.money import ONE_USDC, USDC, MoneyVenue

B = 10**9
"""One whole base unit."""
P = 10**6
"""A price, or quote, of 1."""
PERP = 0


class TradingVenue(MoneyVenue):
    """SOL-PERP with a depth of a million base and a spread of 0.1 %; the AMM fills at once."""

    def __init__(self, *, auction: int = 0, market: dict[str, Any] | None = None, **config: Any) -> None:
        super().__init__(**config)
        given: dict[str, Any] = {
            "base_spread": 2_000,
            "max_spread": 50_000,
            "order_step_size": B // 1_000,
            "order_tick_size": 100,
            "min_order_size": B // 1_000,
            "margin_ratio_initial": 1_000,
            "margin_ratio_maintenance": 500,
        }
        self.ok(
            InitializePerpMarket(
                market_index=PERP,
                name="SOL-PERP",
                oracle="SOL",
                amm_base_asset_reserve=1_000_000 * B,
                amm_quote_asset_reserve=1_000_000 * B,
                amm_periodicity=3_600,
                amm_peg_multiplier=100 * P,
                **given | (market or {}),
            )
        )
        self.ok(UpdatePerpAuctionDuration(min_perp_auction_duration=auction))

    def trader(self, *names: str, usdc: int = 100_000, referrer: str | None = None) -> None:
        """Accounts with a deposit of whole USDC."""
        for name in names:
            self.ok(InitializeUser(user=name, referrer=referrer), name)
            if usdc:
                assert self.deposit(name, USDC, usdc * ONE_USDC).ok

    # --- orders -----------------------------------------------------------------------------------------------

    def take(self, user: str, direction: Direction, base: int, *fills: Any, **options: Any) -> Receipt:
        """``user`` places an order and takes; without fills from the AMM."""
        order = PlaceAndTakePerpOrder(
            user=user,
            market_index=PERP,
            direction=direction,
            base_asset_amount=base,
            fills=list(fills) or [AmmFill()],
            **{"immediate_or_cancel": True, **options},
        )
        return self.do(order)

    def reserve(self, user: str, direction: Direction, base: int, **options: Any) -> Receipt:
        """``user`` rests an order."""
        order = ReservePerpOrder(user=user, market_index=PERP, direction=direction, base_asset_amount=base, **options)
        return self.do(order)

    def fill(self, user: str, direction: Direction, base: int, *fills: Any, **options: Any) -> Receipt:
        """The book fills a resting order of ``user``."""
        order = FillPerpOrder(
            user=user,
            market_index=PERP,
            direction=direction,
            base_asset_amount=base,
            order_slot=options.pop("order_slot", self.clock.slot),
            fills=list(fills),
            **options,
        )
        return self.do(order)

    def match(self, maker: str, price: int, base: int, **options: Any) -> MatchFill:
        """A maker's order."""
        return MatchFill(maker=maker, price=price, base_asset_amount=base, **options)

    # --- state ------------------------------------------------------------------------------------------------

    @property
    def perp(self) -> PerpMarket:
        """The stored perp market."""
        return self.machine.store.perp_markets.objects[PERP]

    def perp_position(self, name: str) -> PerpPosition:
        """The account's first perp slot."""
        return self.user(name).perp_positions[0]

    def stats(self, name: str) -> UserStats:
        """Statistics of an authority."""
        table = self.machine.store.user_stats
        return table.read(table.index[key_from_text(name)])

    def change_stats(self, name: str, **fields: Any) -> None:
        """Overwrite fields of an authority's statistics."""
        table = self.machine.store.user_stats
        index = table.index[key_from_text(name)]
        item = table.read(index)
        for field, value in fields.items():
            setattr(item, field, value)
        table.store(index, item.pack(), item)

    def change_perp(self, **fields: Any) -> None:
        """Overwrite fields of the perp market or its AMM."""
        market = self.perp.copy()
        for field, value in fields.items():
            assert set_path(market, f"amm.{field}", value) or set_path(market, field, value), field
        self._store("perp_markets", PERP, market)

    def change_state(self, **fields: Any) -> None:
        """Overwrite fields of the exchange."""
        state = self.machine.store.state.objects[0].copy()
        for field, value in fields.items():
            setattr(state, field, value)
        self._store("state", 0, state)


def fills_of(receipt: Receipt) -> list[dict[str, Any]]:
    """The fill events of a receipt."""
    return [fields for name, fields in receipt.events if name == "OrderActionRecord" and fields["action"] == "Fill"]
