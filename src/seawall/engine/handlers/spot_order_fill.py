"""One spot order being filled, by makers or at an external venue. Source: fees.md §6.

The pages give no margin rule for spot fills; as for perp fills that increase a position, both sides must meet Fill
margin afterwards.
"""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.handlers.order_refusals import short_of_margin
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.spot_fills import ExternalFill, FillSpotOrder, SpotMatchFill
from seawall.keys import key_to_text
from seawall.rules.common.balances import deposit_into_pool
from seawall.rules.common.fees import (
    calculate_filler_multiplier_for_matched_orders,
    update_maker_volume_30d,
    update_taker_volume_30d,
)
from seawall.rules.common.margin import meets_margin_requirement
from seawall.rules.common.open_orders import decrease_open_bids_and_asks, release_order, reserved_base
from seawall.rules.common.perp_fills import does_price_cross
from seawall.rules.common.perp_orders import calculate_quote_asset_amount_for_maker_order
from seawall.rules.common.spot_positions import find_spot_position, get_spot_position_index
from seawall.rules.common.user_status import is_being_liquidated, update_last_active_slot
from seawall.rules.drift.fees import (
    calculate_fee_for_fulfillment_with_external_market,
    calculate_spot_fee_for_fulfillment_with_match,
)
from seawall.rules.drift.spot_fills import (
    book_spot_market_fees,
    book_spot_trade,
    book_spot_user_fees,
    external_venue_flow,
    pay_spot_filler,
    spot_fee_pool_tokens,
    validate_spot_fill_price,
)
from seawall.state.enums import LONG, MARGIN_FILL, SHORT
from seawall.state.orders import FillFacts
from seawall.state.spot_market import SpotMarket
from seawall.state.user import SpotPosition, User, UserStats


class SpotOrderFill:
    """A spot order in flight and the accounts it touches."""

    def __init__(
        self,
        tx: Transaction,
        base_market: SpotMarket,
        quote_market: SpotMarket,
        user: User,
        direction: int,
        ix: FillSpotOrder,
    ) -> None:
        self.tx = tx
        self.base_market = base_market
        self.quote_market = quote_market
        self.index = base_market.market_index
        self.user = user
        self.stats = tx.write_user_stats(user.authority)
        self.direction = direction
        self.ix = ix
        self.left = ix.base_asset_amount
        self.position = user.spot_positions[get_spot_position_index(user, self.index)]
        self.makers: list[User] = []
        self.filler: User | None = None
        self.filler_stats: UserStats | None = None
        if ix.filler is not None:
            filler = tx.write_user(ix.filler)
            if filler is not user:
                self.filler = filler
                self.filler_stats = tx.write_user_stats(filler.authority)

    def run(self) -> None:
        """Fill with every counterparty in turn, then check margin of all who traded."""
        for fill in self.ix.fills:
            if self.left == 0:
                break
            if isinstance(fill, SpotMatchFill):
                self._against_maker(fill)
            else:
                self._at_external_venue(fill)
        for user in (self.user, *self.makers):
            self._check_margin(user)
        update_last_active_slot(self.user, self.tx.slot)

    def _check_margin(self, user: User) -> None:
        tx = self.tx
        if not meets_margin_requirement(
            user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, MARGIN_FILL, False
        ):
            name = "the taker" if user is self.user else f"the maker {key_to_text(user.address)}"
            raise short_of_margin(tx, user, name, MARGIN_FILL)

    # --- against a maker --------------------------------------------------------------------------------------

    def _maker(self, ref: str) -> tuple[User, SpotPosition]:
        """The maker and its position; ``UserIsBeingLiquidated``, ``OrderDoesNotExist``."""
        maker = self.tx.write_user(ref)
        if maker is self.user:
            raise SettlementError(ErrorCode.OrderDoesNotExist, "an order does not meet its own owner's")
        if is_being_liquidated(maker):
            raise SettlementError(ErrorCode.UserIsBeingLiquidated, f"the maker {ref} is in liquidation")
        index = find_spot_position(maker, self.index)
        if index < 0:
            raise SettlementError(ErrorCode.OrderDoesNotExist, f"{ref} has nothing reserved in this market")
        return maker, maker.spot_positions[index]

    def _against_maker(self, fill: SpotMatchFill) -> None:
        tx = self.tx
        maker, maker_position = self._maker(fill.maker)
        maker_stats = tx.write_user_stats(maker.authority)
        side = SHORT if self.direction == LONG else LONG
        base = min(self.left, fill.base_asset_amount)
        if base == 0:
            return
        if reserved_base(maker_position, side) < fill.base_asset_amount:
            raise SettlementError(ErrorCode.OrderDoesNotExist, f"{fill.maker} has no such order resting")
        decimals = self.base_market.decimals
        quote = calculate_quote_asset_amount_for_maker_order(base, fill.price, decimals, side)
        if not does_price_cross(fill.price, self.direction, self.ix.price):
            raise SettlementError(ErrorCode.InvalidOrderFillPrice, "the maker's price is beyond the order's limit")
        facts = FillFacts(base_asset_amount=base, quote_asset_amount=quote)
        multiplier = 0
        if self.filler is not None:
            oracle_price = tx.spot_oracle(self.index).price
            multiplier = calculate_filler_multiplier_for_matched_orders(fill.price, side, oracle_price)
        calculate_spot_fee_for_fulfillment_with_match(
            facts,
            tx.state.spot_fee_structure,
            self.base_market.fee_adjustment,
            self.ix.order_slot,
            tx.slot,
            multiplier,
        )
        self._book(self.user, self.position, self.direction, facts, facts.user_fee, leaving=False)
        self._book(maker, maker_position, side, facts, -facts.maker_rebate, leaving=False)
        book_spot_user_fees(self.user, self.stats, facts.user_fee, 0)
        book_spot_user_fees(maker, maker_stats, 0, facts.maker_rebate)
        update_taker_volume_30d(self.stats, quote, tx.now)
        update_maker_volume_30d(maker_stats, quote, tx.now)
        self._pay_filler(facts)
        book_spot_market_fees(self.base_market, self.quote_market, facts.fee_to_market, facts.fee_to_market, facts)
        self._take_off_book(base)
        decrease_open_bids_and_asks(maker_position, side, base)
        if base == fill.base_asset_amount:
            release_order(maker_position, side, 0)
        update_last_active_slot(maker, tx.slot)
        if all(maker is not known for known in self.makers):
            self.makers.append(maker)
        self._emit("OrderFilledWithMatch", facts, maker, None)

    def _book(
        self, user: User, position: SpotPosition, direction: int, facts: FillFacts, cost: int, *, leaving: bool
    ) -> None:
        book_spot_trade(
            self.base_market,
            self.quote_market,
            position,
            user.spot_positions[QUOTE_SPOT_MARKET_INDEX],
            direction,
            facts.base_asset_amount,
            facts.quote_asset_amount,
            cost,
            leaving,
        )

    def _take_off_book(self, base: int) -> None:
        self.left -= base
        decrease_open_bids_and_asks(self.position, self.direction, base)
        if self.left == 0:
            release_order(self.position, self.direction, 0)

    def _pay_filler(self, facts: FillFacts) -> None:
        if self.filler is not None and self.filler_stats is not None:
            pay_spot_filler(self.quote_market, self.filler, self.filler_stats, facts, self.tx.now, self.tx.slot)

    # --- at an external venue ---------------------------------------------------------------------------------

    def _at_external_venue(self, fill: ExternalFill) -> None:
        tx = self.tx
        base, quote = fill.base_asset_amount, fill.quote_asset_amount
        if base == 0:
            return
        if base > self.left:
            raise SettlementError(ErrorCode.OrderDoesNotExist, "the order has less left than was filled")
        validate_spot_fill_price(quote, base, self.base_market.decimals, self.direction, self.ix.price)
        facts = FillFacts(base_asset_amount=base, quote_asset_amount=quote)
        if fill.settled_referrer_rebate:
            tx.receive_from_outside(QUOTE_SPOT_MARKET_INDEX, fill.settled_referrer_rebate)
            deposit_into_pool(fill.settled_referrer_rebate, self.quote_market, self.base_market.spot_fee_pool)
        rebate = fill.unsettled_referrer_rebate
        pool_delta = calculate_fee_for_fulfillment_with_external_market(
            facts,
            tx.state.spot_fee_structure,
            self.base_market.fee_adjustment,
            self.ix.order_slot,
            tx.slot,
            self.filler is not None,
            fill.fee,
            rebate,
            spot_fee_pool_tokens(self.base_market, self.quote_market),
        )
        flow = external_venue_flow(self.direction, quote, fill.fee, rebate)
        if self.direction == LONG:
            tx.send_outside(QUOTE_SPOT_MARKET_INDEX, flow)
            tx.receive_from_outside(self.index, base)
        else:
            tx.send_outside(self.index, base)
            tx.receive_from_outside(QUOTE_SPOT_MARKET_INDEX, flow)
        book_spot_market_fees(self.base_market, self.quote_market, facts.fee_to_market, pool_delta, facts)
        self._book(self.user, self.position, self.direction, facts, facts.user_fee, leaving=True)
        book_spot_user_fees(self.user, self.stats, facts.user_fee, 0)
        update_taker_volume_30d(self.stats, quote, tx.now)
        self._pay_filler(facts)
        self._take_off_book(base)
        self._emit(f"OrderFillWith{fill.venue}", facts, None, fill.fee)

    # --- the event --------------------------------------------------------------------------------------------

    def _emit(self, explanation: str, facts: FillFacts, maker: User | None, venue_fee: int | None) -> None:
        """OrderActionRecord of a spot fill, without the fields of the order book."""
        filler = None if self.ix.filler is None else key_to_text(self.tx.user(self.ix.filler).address)
        self.tx.emit(
            "OrderActionRecord",
            ts=self.tx.now,
            action="Fill",
            action_explanation=explanation,
            market_index=self.index,
            market_type="Spot",
            filler=filler,
            filler_reward=facts.filler_reward,
            fill_record_id=facts.fill_record_id,
            base_asset_amount_filled=facts.base_asset_amount,
            quote_asset_amount_filled=facts.quote_asset_amount,
            taker_fee=facts.user_fee,
            maker_fee=None if maker is None else -facts.maker_rebate,
            referrer_reward=None,
            quote_asset_amount_surplus=None,
            spot_fulfillment_method_fee=venue_fee,
            taker=key_to_text(self.user.address),
            maker=None if maker is None else key_to_text(maker.address),
            oracle_price=self.tx.spot_oracle(self.index).price,
        )
