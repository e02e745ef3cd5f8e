"""Spot orders as far as money depends on them: what they reserve, their fills, and the pool that their fees fill.

The base token is the named spot market's, the quote token market 0. Base amounts are in the base token's precision,
quote amounts and prices 1e6 (price 0: no limit).
"""

from typing import Literal

import msgspec
from msgspec import field

from seawall.instructions.base import Instruction, UserRef
from seawall.instructions.perp_fills import Direction
from seawall.records import u16, u64


class SpotMatchFill(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="match"
):
    """The order meets a maker's: ``base_asset_amount`` is what is left of that one. Filled is what both have left."""

    maker: UserRef
    price: u64
    base_asset_amount: u64


class ExternalFill(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="external"
):
    """The order was filled at another venue, for so much base and quote.

    ``fee`` is what that venue kept, ``unsettled_referrer_rebate`` what it owes of it and will pay later,
    ``settled_referrer_rebate`` what it paid now of earlier ones. Tokens move between the vaults and the venue.
    """

    venue: Literal["Serum", "Phoenix"] = "Serum"
    base_asset_amount: u64
    quote_asset_amount: u64
    fee: u64 = 0
    unsettled_referrer_rebate: u64 = 0
    settled_referrer_rebate: u64 = 0


class ReserveSpotOrder(Instruction, frozen=True, kw_only=True):
    """A spot order enters the book: its base amount is reserved. Signer: user, delegate or admin.

    Source: margin.md §6; ``controller/orders.rs::place_spot_order``.
    """

    user: UserRef
    market_index: u16
    direction: Direction
    base_asset_amount: u64
    reduce_only: bool = False


class ReleaseSpotOrder(Instruction, frozen=True, kw_only=True):
    """A spot order leaves the book unfilled: ``base_asset_amount`` is what was left. Signer: user, delegate or admin.

    Source: ``controller/orders.rs::cancel_order``.
    """

    user: UserRef
    market_index: u16
    direction: Direction
    base_asset_amount: u64


class FillSpotOrder(Instruction, frozen=True, kw_only=True):
    """A resting spot order is filled: ``base_asset_amount`` is what was left of it. Signer: admin, who runs the book.

    ``order_slot`` is the slot in which it was placed. Source: fees.md §6; ``controller/orders.rs::fill_spot_order``.
    """

    user: UserRef
    market_index: u16
    direction: Direction
    base_asset_amount: u64
    price: u64 = 0
    order_slot: u64
    filler: UserRef | None = None
    fills: list[SpotMatchFill | ExternalFill] = field(default_factory=list)


class SettleSpotFeePoolToRevenuePool(Instruction, frozen=True, kw_only=True):
    """Move a spot fee pool's tokens above its target to the quote market's revenue pool. Signer: anyone.

    Only where the venue has ``spot_fee_pool_settlement``. Source: spec/README.
    """

    market_index: u16


class UpdateSpotFeePoolTarget(Instruction, frozen=True, kw_only=True):
    """Set how many quote tokens a settlement leaves in a spot fee pool. Signer: admin.

    Only where the venue has ``spot_fee_pool_settlement``. Source: spec/README.
    """

    market_index: u16
    spot_fee_pool_target: u64
