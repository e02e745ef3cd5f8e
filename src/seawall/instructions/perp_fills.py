"""Perp orders as far as money depends on them: what they reserve, and the fills a venue's order book reports.

Seawall keeps no order book. The venue tells what an order reserves while it rests, and reports each order it filled
with the counterparties in the order in which they were met. Prices against the AMM, fees, rewards, positions and pools
are computed here. Base amounts are 1e9, prices 1e6 (0: no limit), slots and times the journal's.
"""

from typing import Literal

import msgspec
from msgspec import field

from seawall.instructions.base import Instruction, Key, UserRef
from seawall.records import i64, u16, u64

Direction = Literal["Long", "Short"]
OrderType = Literal["Market", "Limit", "TriggerMarket", "TriggerLimit", "Oracle"]


class RestingPerpOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left of a resting order."""

    market_index: u16
    direction: Direction
    base_asset_amount: u64


class RestingMakerOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left of a maker's order on the other side of the order being filled."""

    maker: UserRef
    base_asset_amount: u64


class AmmFill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="amm"):
    """The order is offered to the AMM.

    Without ``base_asset_amount`` the AMM gives what its curve, its liquidity and the limit allow, and is not bothered
    where its quote is beyond the limit. With it exactly that much is filled; 0 is an attempt that filled nothing,
    which still counts as a trade for the volumes. ``price``: up to this price instead of the order's limit, as when a
    maker is next in line.
    """

    base_asset_amount: u64 | None = None
    price: u64 | None = None


class MatchFill(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="match"):
    """The order meets a maker's: ``base_asset_amount`` is what is left of that one, ``price`` its price.

    Filled is what both have left. ``jit_base_asset_amount``: what the AMM takes of it first at the same price; without
    it the AMM's own rule decides (nothing unless ``amm_jit_intensity`` is set).
    """

    maker: UserRef
    price: u64
    base_asset_amount: u64
    reduce_only: bool = False
    jit_base_asset_amount: u64 | None = None


class ReservePerpOrder(Instruction, frozen=True, kw_only=True):
    """An order enters the book: its size is reserved, so that margin counts it. Signer: user, delegate or admin.

    ``expired`` are the user's own orders that the book drops first. An order whose ``max_ts`` has passed reserves
    nothing. Source: instructions.md §2.6; ``controller/orders.rs::place_perp_order``.
    """

    user: UserRef
    market_index: u16
    direction: Direction
    base_asset_amount: u64
    reduce_only: bool = False
    max_ts: i64 = 0
    expired: list[RestingPerpOrder] = field(default_factory=list)


class ReleasePerpOrder(Instruction, frozen=True, kw_only=True):
    """An order leaves the book unfilled: ``base_asset_amount`` is what was left. Signer: user, delegate or admin.

    Source: ``controller/orders.rs::cancel_order``.
    """

    user: UserRef
    market_index: u16
    direction: Direction
    base_asset_amount: u64


class ReleasePerpOrders(Instruction, frozen=True, kw_only=True):
    """Several orders leave the book unfilled, or none. Signer: user, delegate or admin.

    Source: instructions.md §2.6; ``controller/orders.rs::cancel_orders``.
    """

    user: UserRef
    orders: list[RestingPerpOrder] = field(default_factory=list)


class PlaceAndTakePerpOrder(Instruction, frozen=True, kw_only=True):
    """An order is placed and filled at once; what is left rests, or is dropped if ``immediate_or_cancel``.

    ``makers`` are further accounts whose orders were considered: their funding settles. Signer: user, delegate or
    admin; with makers the admin, who runs the order book. ``builder`` (Velocity): who is paid
    ``builder_fee_tenth_bps`` (tenths of a basis point of the quote) on top of the fee, as the account's authority
    approved. Source: instructions.md §2.6; amm-and-funding.md §3.5; ``user.rs::handle_place_and_take_perp_order``.
    """

    user: UserRef
    market_index: u16
    direction: Direction
    base_asset_amount: u64
    price: u64 = 0
    order_type: OrderType = "Market"
    reduce_only: bool = False
    post_only: bool = False
    immediate_or_cancel: bool = False
    max_ts: i64 = 0
    expired: list[RestingPerpOrder] = field(default_factory=list)
    makers: list[UserRef] = field(default_factory=list)
    cancelled_maker_orders: list[RestingMakerOrder] = field(default_factory=list)
    fills: list[AmmFill | MatchFill] = field(default_factory=list)
    builder: Key | None = None
    builder_fee_tenth_bps: u16 = 0


class FillPerpOrder(Instruction, frozen=True, kw_only=True):
    """A resting order is filled: ``base_asset_amount`` is what was left of it. Signer: admin, who runs the order book.

    ``order_slot`` is the slot in which it was placed, which the filler's reward grows with. An order past ``max_ts``,
    or with nothing left to reduce, is cancelled instead and the flat filler fee is paid; so are
    ``cancelled_maker_orders``. Without ``filler`` nobody is rewarded. ``builder`` (Velocity) as in
    ``PlaceAndTakePerpOrder``. Source: instructions.md §2.6; amm-and-funding.md §3.5;
    ``controller/orders.rs::fill_perp_order``.
    """

    user: UserRef
    market_index: u16
    direction: Direction
    base_asset_amount: u64
    price: u64 = 0
    order_type: OrderType = "Limit"
    order_slot: u64
    reduce_only: bool = False
    post_only: bool = False
    max_ts: i64 = 0
    filler: UserRef | None = None
    makers: list[UserRef] = field(default_factory=list)
    cancelled_maker_orders: list[RestingMakerOrder] = field(default_factory=list)
    fills: list[AmmFill | MatchFill] = field(default_factory=list)
    builder: Key | None = None
    builder_fee_tenth_bps: u16 = 0
