"""Facts of fees and of whole fills."""

from typing import Final

from seawall.arithmetic import U64_MAX
from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, UnreadableFact
from seawall.audit.parity.facts_market import make_perp_market
from seawall.records import flatten
from seawall.rules.common.amm_curve import reserve_price
from seawall.rules.common.fees import calculate_filler_multiplier_for_matched_orders
from seawall.rules.common.perp_fills import (
    book_taker_of_amm_fill,
    book_user_fees,
    calculate_base_asset_amount_for_amm_to_fulfill,
    pay_filler,
    trade_with_amm,
    trade_with_maker,
)
from seawall.rules.drift.fees import (
    calculate_fee_for_fulfillment_with_amm,
    calculate_fee_for_fulfillment_with_external_market,
    calculate_fee_for_fulfillment_with_match,
)
from seawall.rules.drift.perp_fills import book_market_fees, book_match_fees
from seawall.state.enums import LONG, SHORT, PositionDirection
from seawall.state.exchange import FeeStructure
from seawall.state.orders import FillFacts, PerpOrder
from seawall.state.user import User, UserStats

_ORACLE_PRICE: Final = 100_000_000


def make_fee_structure(inputs: Inputs) -> FeeStructure:
    """Every tier as the inputs say, and no bound on a referrer's epoch."""
    structure = FeeStructure(referrer_reward_epoch_upper_bound=U64_MAX)
    inputs.fill(
        structure.filler_reward_structure,
        filler_reward_numerator="reward_numerator",
        filler_reward_denominator="reward_denominator",
    )
    tier = inputs.fill(structure.fee_tiers[0])
    structure.fee_tiers = [tier.copy() for _ in structure.fee_tiers]
    return structure


def _without_high_leverage(inputs: Inputs) -> None:
    if inputs.flag("user_high_leverage_mode", False):
        raise UnreadableFact("v2.84.0 has no high leverage mode")


def _with_match(inputs: Inputs) -> Found:
    _without_high_leverage(inputs)
    facts = inputs.fill(FillFacts())
    calculate_fee_for_fulfillment_with_match(
        facts,
        UserStats(),
        UserStats(),
        make_fee_structure(inputs),
        inputs.number("fee_adjustment"),
        inputs.number("order_slot"),
        inputs.number("clock_slot"),
        inputs.number("filler_multiplier"),
        UserStats(),
        inputs.flag("reward_referrer"),
    )
    return facts


def _with_amm(inputs: Inputs) -> Found:
    _without_high_leverage(inputs)
    facts = inputs.fill(FillFacts())
    calculate_fee_for_fulfillment_with_amm(
        facts,
        UserStats(),
        make_fee_structure(inputs),
        inputs.number("fee_adjustment"),
        inputs.number("order_slot"),
        inputs.number("clock_slot"),
        inputs.flag("is_post_only"),
        UserStats(),
        inputs.flag("reward_referrer"),
        inputs.flag("reward_filler"),
    )
    return facts


def _with_external_market(inputs: Inputs) -> Found:
    facts = inputs.fill(FillFacts())
    delta = calculate_fee_for_fulfillment_with_external_market(
        facts,
        make_fee_structure(inputs),
        inputs.number("fee_adjustment"),
        inputs.number("order_slot"),
        inputs.number("clock_slot"),
        inputs.flag("reward_filler"),
        inputs.number("external_market_fee"),
        inputs.number("unsettled_referrer_rebate"),
        inputs.number("fee_pool_amount"),
    )
    return {"fee_pool_delta": delta}, facts


# --- whole fills -----------------------------------------------------------------------------------------------


class _Venue:
    """A market with an oracle at 100, a taker, a maker and a filler, each with a position or able to have one."""

    def __init__(self, inputs: Inputs) -> None:
        self.structure = make_fee_structure(inputs)
        rewards = self.structure.filler_reward_structure
        rewards.time_based_reward_lower_bound = rewards.time_based_reward_lower_bound or 10_000
        self.market = make_perp_market(inputs)
        amm = self.market.amm
        if amm.base_asset_reserve == 0:  # a match asks nothing of the curve
            amm.base_asset_reserve = amm.quote_asset_reserve = amm.sqrt_k = 100_000_000_000
            amm.peg_multiplier = _ORACLE_PRICE
        amm.max_base_asset_reserve = U64_MAX
        amm.max_fill_reserve_fraction = 1
        amm.order_tick_size = 1
        amm.historical_oracle_data.last_oracle_price = _ORACLE_PRICE
        amm.historical_oracle_data.last_oracle_price_twap = _ORACLE_PRICE
        amm.last_bid_price_twap = amm.last_ask_price_twap = amm.last_mark_price_twap = _ORACLE_PRICE
        self.taker, self.maker, self.filler = User(), User(), User()
        for user in (self.taker, self.maker):
            user.perp_positions[0].open_orders = 1
        self.taker_stats, self.maker_stats, self.filler_stats = UserStats(), UserStats(), UserStats()
        self.order_slot = inputs.number("taker_order_slot" if "taker_order_slot" in inputs else "order_slot", 0)
        self.slot = inputs.number("slot", 0)
        self.now = inputs.number("now", 0)

    def fill_with_amm(self, order: PerpOrder, base: int, fixed_price: int, reward_filler: bool) -> FillFacts:
        """One fill against the AMM, booked with everybody."""
        market, stats = self.market, self.taker_stats
        facts = FillFacts()
        mark = reserve_price(market.amm)
        trade_with_amm(market, self.taker, order, base, fixed_price, order.price, mark, self.now, facts)
        calculate_fee_for_fulfillment_with_amm(
            facts,
            stats,
            self.structure,
            market.fee_adjustment,
            self.order_slot,
            self.slot,
            order.post_only,
            UserStats(),
            False,
            reward_filler,
        )
        book_market_fees(market, facts.fee_to_market, facts.user_fee, facts.quote_asset_amount_surplus)
        book_taker_of_amm_fill(market, self.taker, stats, order, self.now, facts)
        book_user_fees(stats, facts.user_fee, facts.maker_rebate, facts.referee_discount)
        self._pay_filler(facts)
        return facts

    def fill_with_maker(self, base: int, maker_order: PerpOrder, reward_filler: bool) -> FillFacts:
        """One match at the maker's price, booked with everybody."""
        market = self.market
        facts = FillFacts()
        parties = self.taker, self.taker_stats
        any_price = U64_MAX if maker_order.direction == SHORT else 1
        trade_with_maker(market, *parties, any_price, self.maker, self.maker_stats, maker_order, base, self.now, facts)
        multiplier = 0
        if reward_filler:
            multiplier = calculate_filler_multiplier_for_matched_orders(
                maker_order.price, maker_order.direction, _ORACLE_PRICE
            )
        calculate_fee_for_fulfillment_with_match(
            facts,
            self.taker_stats,
            self.maker_stats,
            self.structure,
            market.fee_adjustment,
            self.order_slot,
            self.slot,
            multiplier,
            UserStats(),
            False,
        )
        book_match_fees(market, *parties, self.maker, self.maker_stats, facts)
        self._pay_filler(facts)
        return facts

    def _pay_filler(self, facts: FillFacts) -> None:
        quote = facts.quote_asset_amount
        pay_filler(self.market, self.filler, self.filler_stats, facts.filler_reward, quote, self.now, self.slot)

    def found(self) -> Found:
        """Everything that the facts may ask about."""
        amm = self.market.amm
        found = {
            "taker_volume_30d": self.taker_stats.taker_volume_30d,
            "user_maker_volume_30d": self.taker_stats.maker_volume_30d,
            "market_total_fee": amm.total_fee,
            "market_total_fee_minus_distributions": amm.total_fee_minus_distributions,
            "market_net_revenue_since_last_funding": amm.net_revenue_since_last_funding,
            "market_quote_asset_amount": amm.quote_asset_amount,
            "market_base_asset_amount_with_amm": amm.base_asset_amount_with_amm,
            "reserve_price_after": reserve_price(amm),
        }
        users = (
            ("taker", self.taker, self.taker_stats),
            ("user", self.taker, self.taker_stats),
            ("maker", self.maker, self.maker_stats),
            ("filler", self.filler, self.filler_stats),
        )
        for name, user, stats in users:
            found.update({f"{name}_{field}": value for field, value in flatten(user.perp_positions[0])})
            found.update({f"{name}_{field}": value for field, value in flatten(stats.fees)})
        return found


def _direction(inputs: Inputs, name: str) -> int:
    return PositionDirection[inputs.text(name)]


def _match(inputs: Inputs) -> Found:
    """A taker meets a maker of the other side; nobody else is there."""
    if (inputs.text("filler"), inputs.text("referrer")) != ("none", "none"):
        raise UnreadableFact("only without a filler and a referrer")
    venue = _Venue(inputs)
    base = inputs.number("base_asset_amount")
    direction = SHORT if _direction(inputs, "taker_direction") == LONG else LONG
    maker_order = PerpOrder(direction=direction, base_asset_amount=base, price=inputs.number("fill_price"))
    venue.fill_with_maker(base, maker_order, False)
    return venue.found()


def _against_amm(inputs: Inputs) -> Found:
    """Against the AMM's spread reserves, at whatever they quote."""
    if (inputs.text("filler"), inputs.text("referrer")) != ("none", "none"):
        raise UnreadableFact("only without a filler and a referrer")
    base = inputs.number("base_asset_amount")
    order = PerpOrder(direction=_direction(inputs, "direction"), base_asset_amount=base)
    venue = _Venue(inputs)
    venue.fill_with_amm(order, base, 0, False)
    return venue.found()


def _post_only(inputs: Inputs) -> Found:
    """A post-only order that the AMM fills at the order's own limit."""
    limit = inputs.number("order_limit_price")
    base = inputs.number("filled_base_asset_amount")
    order = PerpOrder(
        direction=_direction(inputs, "direction"), base_asset_amount=base, price=limit, post_only=True, is_limit=True
    )
    venue = _Venue(inputs)
    venue.fill_with_amm(order, base, limit, inputs.flag("reward_filler"))
    return venue.found()


def _amm_and_maker(inputs: Inputs) -> Found:
    """The AMM until its price reaches the maker's, the maker, and the AMM for the rest."""
    total, maker_base = inputs.number("base_asset_amount"), inputs.number("maker_base_asset_amount")
    maker_price = inputs.number("maker_price")
    direction = _direction(inputs, "direction")
    order = PerpOrder(direction=direction, base_asset_amount=total)
    venue = _Venue(inputs)
    first = calculate_base_asset_amount_for_amm_to_fulfill(order, venue.market, maker_price, 0)
    venue.fill_with_amm(order, first, 0, True)
    maker_order = PerpOrder(
        direction=SHORT if direction == LONG else LONG, base_asset_amount=maker_base, price=maker_price
    )
    venue.fill_with_maker(maker_base, maker_order, True)
    venue.fill_with_amm(order, total - first - maker_base, 0, True)
    return venue.found()


ADAPTERS: dict[str, Adapter] = {
    "calculate_fee_for_fulfillment_with_match": _with_match,
    "calculate_fee_for_fulfillment_with_amm": _with_amm,
    "calculate_fee_for_fulfillment_with_external_market": _with_external_market,
    "fulfill_perp_order_with_match": _match,
    "fulfill_perp_order (against AMM spread reserves)": _against_amm,
    "fulfill_perp_order (post-only short order filled by AMM at its limit price)": _post_only,
    "fulfill_perp_order (post-only long order filled by AMM at its limit price)": _post_only,
    "fulfill_perp_order (AMM up to the maker price, then maker, then AMM)": _amm_and_maker,
}
