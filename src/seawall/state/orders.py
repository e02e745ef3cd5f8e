"""The order that an instruction fills, and what one fill amounted to: scratch paper, never stored.

Seawall keeps no order book. The instruction tells what is left of an order; while it is being filled, this is it.
"""

from typing import Annotated

from seawall.records import Enumerated, Record, i16, i64, record, u8, u16, u64
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
    keeps and ``quote_asset_amount_surplus`` what the AMM gained against its own curve. The last four are Velocity's:
    the three cuts of what is left of the fee, and the builder's fee, which comes on top of ``user_fee``;
    ``fee_to_market`` then is the AMM's cut, with the surplus where the AMM books it.
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
    amm_fee: u64
    if_fee: u64
    protocol_fee: u64
    builder_fee: u64


@record
class FillTerms(Record):
    """What decides how one fill is charged under Velocity, apart from the schedule and the traders' volumes.

    ``fee_adjustment`` is in percent, the add-on and the builder's rate in tenths of a basis point,
    ``filler_multiplier`` 1e3 (of a match; 0: nobody is rewarded), ``filler_reward_paid`` what earlier legs of the same
    fill paid the filler (quote 1e6).
    """

    now: i64
    slot: u64
    order_slot: u64
    post_only: bool
    fee_adjustment: i16
    taker_fee_addon_tenth_bps: u16
    promo_fee_tier: u8
    vamm_maker_rebate: bool
    reward_referrer: bool
    accelerated_referrer: bool
    reward_filler: bool
    filler_multiplier: u64
    filler_reward_paid: u64
    builder_fee_tenth_bps: u16
