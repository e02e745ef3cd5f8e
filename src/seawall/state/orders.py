"""The order that an instruction fills, and what one fill amounted to: scratch paper, never stored.

Seawall keeps no order book. The instruction tells what is left of an order; while it is being filled, this is it.
"""

from typing import Annotated

from seawall.records import Enumerated, Record, i64, record, u64
from seawall.state.enums import PositionDirection


@record
class PerpOrder(Record):
    """A perp order in flight: what is left of it and what is already filled (base 1e9, quote 1e6).

    ``price`` is its limit (1e6; 0: none), ``slot`` when it was placed, ``max_ts`` when it expires (0: never).
    """

    direction: Annotated[int, Enumerated(PositionDirection)]
    base_asset_amount: u64
    base_asset_amount_filled: u64
    quote_asset_amount_filled: u64
    price: u64
    slot: u64
    max_ts: i64
    reduce_only: bool
    post_only: bool
    is_limit: bool


@record
class FillFacts(Record):
    """One fill, as OrderActionRecord tells it: base 1e9, quote figures 1e6.

    ``user_fee`` is after the referee's discount, ``maker_rebate`` is positive, ``fee_to_market`` is what the market
    keeps and ``quote_asset_amount_surplus`` what the AMM gained against its own curve.
    """

    fill_record_id: u64
    base_asset_amount: u64
    quote_asset_amount: u64
    quote_asset_amount_surplus: i64
    user_fee: u64
    maker_rebate: u64
    filler_reward: u64
    referrer_reward: u64
    referee_discount: u64
    fee_to_market: i64
