"""One perp order being filled: whom it meets, in the program's order of steps. Source: amm-and-funding.md §3.5.

The arithmetic is in ``rules/drift/perp_fills.py`` and ``rules/drift/fees.py``; here the records are checked out, the
gates stand in their order, and the events are told.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from seawall.engine.gates import is_paused
from seawall.engine.handlers.amm import attempt_funding, emit_funding_payment
from seawall.engine.handlers.order_refusals import short_of_margin, too_much_open_interest
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.perp_fills import AmmFill, MatchFill, RestingMakerOrder
from seawall.keys import DEFAULT_KEY, key_to_text
from seawall.rules.common.amm_curve import quoted_price, reserve_price
from seawall.rules.common.amm_drawdown import has_too_much_drawdown
from seawall.rules.common.amm_twaps import (
    perp_sanitize_clamp_denominator,
    update_mark_twap_from_estimates,
    update_volume_24h,
)
from seawall.rules.common.amm_validation import validate_perp_market
from seawall.rules.common.fees import calculate_filler_multiplier_for_matched_orders
from seawall.rules.common.funding import settle_funding_payment
from seawall.rules.common.margin import meets_margin_requirement, update_liquidation_status
from seawall.rules.common.open_orders import (
    is_in_settlement,
    is_order_position_reducing,
    release_order,
    reserved_base,
    signed_base,
)
from seawall.rules.common.oracles import (
    ACTION_FILL_ORDER_AMM,
    ACTION_ORACLE_ORDER_PRICE,
    cached_perp_oracle_validity,
    is_oracle_valid_for_action,
)
from seawall.rules.common.perp_fills import (
    book_taker_of_amm_fill,
    book_user_fees,
    calculate_amm_jit_liquidity,
    calculate_base_asset_amount_for_amm_to_fulfill,
    does_price_cross,
    effective_limit_price,
    finish_fill,
    get_fallback_price,
    is_fill_too_small,
    is_price_better,
    limit_price_for_amm,
    pay_filler,
    pay_keeper_flat_reward_for_perps,
    trade_with_amm,
    trade_with_maker,
)
from seawall.rules.common.perp_orders import (
    calculate_fill_price,
    can_reward_user_with_perp_pnl,
    fill_reservation,
    is_oracle_too_divergent_with_twap_5min,
    open_interest,
    should_cancel_reduce_only_order,
    unfilled_base_asset_amount,
)
from seawall.rules.common.perp_positions import find_perp_position, get_perp_position_index
from seawall.rules.common.user_status import is_bankrupt, is_being_liquidated, update_last_active_slot
from seawall.rules.drift.fees import (
    calculate_fee_for_fulfillment_with_amm,
    calculate_fee_for_fulfillment_with_match,
    determine_perp_fee_tier,
)
from seawall.rules.drift.perp_fills import (
    book_market_fees,
    book_match_fees,
    pay_referrer,
    validate_fill_price_within_price_bands,
)
from seawall.state.enums import (
    EXCHANGE_AMM_PAUSED,
    LONG,
    MARGIN_FILL,
    MARGIN_MAINTENANCE,
    PERP_AMM_FILL,
    PERP_FILL,
    SHORT,
    STATUS_ACTIVE,
    STATUS_REDUCE_ONLY,
    OracleValidity,
    PositionDirection,
)
from seawall.state.exchange import FeeTier
from seawall.state.facts import FundingPaymentFacts
from seawall.state.orders import FillFacts, PerpOrder
from seawall.state.perp_market import PerpMarket
from seawall.state.user import PerpPosition, User, UserStats

LIMIT_ORDER_GRACE = 15
"""Seconds after its expiry in which a limit order is left alone."""

OPPOSITE = {LONG: SHORT, SHORT: LONG}


class Participant(NamedTuple):
    """An account that may be paid, and its authority's statistics, both checked out."""

    user: User
    stats: UserStats


class PerpOrderFill:
    """An order in flight and the accounts it touches."""

    def __init__(self, tx: Transaction, market: PerpMarket, user: User, order: PerpOrder, filler: str | None) -> None:
        self.tx = tx
        self.market = market
        self.index = market.market_index
        self.user = user
        self.stats = tx.write_user_stats(user.authority)
        self.order = order
        self.position = user.perp_positions[get_perp_position_index(user, self.index)]
        self.filler_ref = filler
        self.filler: Participant | None = None
        self.maker_as_filler: Participant | None = None
        self.referrer: Participant | None = None
        self.makers: dict[bytes, User] = {}
        self.maker_fills: dict[bytes, int] = {}
        self.base = 0
        self.quote = 0
        self.is_open = True

    # --- the whole --------------------------------------------------------------------------------------------

    def run(
        self,
        makers: Sequence[str],
        cancelled: Sequence[RestingMakerOrder],
        fills: Sequence[AmmFill | MatchFill],
    ) -> None:
        """Fill the order with the counterparties given, or cancel it, or leave it alone, as the program would."""
        tx = self.tx
        market = self.market
        self._settle_funding(self.user, self.position)
        if market.status not in (STATUS_ACTIVE, STATUS_REDUCE_ONLY) or market.paused_operations & PERP_FILL:
            raise SettlementError(ErrorCode.MarketFillOrderPaused)
        obstacle = self._account_obstacle()
        if obstacle:
            self._note(obstacle)
            return
        validate_perp_market(market)
        if is_in_settlement(market.status, market.expiry_ts, tx.now):
            raise SettlementError(ErrorCode.MarketFillOrderPaused)
        self._look_at_prices()
        self._meet_filler()
        self._meet_makers([*makers, *(f.maker for f in fills if isinstance(f, MatchFill))], cancelled)
        self._meet_referrer()
        rails = tx.state.oracle_guard_rails
        if is_oracle_too_divergent_with_twap_5min(self.oracle_price, self.twap_5min, rails):
            self._note_filler()
            self._note("the oracle is too far from its 5-minute TWAP: nothing is filled")
            return
        if self._is_cancelled_instead(has_makers=bool(self.makers)):
            return
        self._fill(fills)
        if self.is_open and should_cancel_reduce_only_order(
            self.order, self.position.base_asset_amount, market.amm.order_step_size
        ):
            self._cancel("ReduceOnlyOrderIncreasedPosition")
        if self.base == 0:
            return
        cap = market.amm.max_open_interest
        if cap != 0 and open_interest(market.amm) >= cap:
            raise too_much_open_interest(tx, market, 0)
        attempt_funding(tx, market, self.reserve_price)
        update_last_active_slot(self.user, tx.slot)

    def _fill(self, fills: Sequence[AmmFill | MatchFill]) -> None:
        """Every counterparty in turn, then margin of all who traded, then the price band."""
        tx = self.tx
        order = self.order
        reducing = is_order_position_reducing(order.direction, order.base_asset_amount, self.position.base_asset_amount)
        attempts = 0
        for fill in fills:
            if not self.is_open:
                break
            quote = self._against_amm(fill) if isinstance(fill, AmmFill) else self._against_maker(fill)
            if quote >= 0:
                attempts += 1
                # an attempt that filled nothing still is a trade of 0: deliberate, it is the program's
                update_volume_24h(self.market, quote, order.direction, tx.now)
        if attempts == 0:
            return
        self._check_margin(self.user, MARGIN_MAINTENANCE if reducing else MARGIN_FILL)
        for address, base in self.maker_fills.items():
            maker = self.makers[address]
            after = maker.perp_positions[get_perp_position_index(maker, self.index)].base_asset_amount
            before = after - base
            reduced = after == 0 or ((after > 0) == (before > 0) and abs(after) < abs(before))
            self._check_margin(maker, MARGIN_MAINTENANCE if reduced else MARGIN_FILL)
        if self.base != 0:
            self._check_price_bands(calculate_fill_price(self.quote, self.base))

    def _check_price_bands(self, fill_price: int) -> None:
        validate_fill_price_within_price_bands(
            fill_price,
            self.order.direction,
            self.oracle_price,
            self.twap_5min,
            self.market.margin_ratio_initial,
            self.tx.state.oracle_guard_rails,
        )

    def _check_margin(self, user: User, requirement_type: int) -> None:
        tx = self.tx
        if not self._meets_margin_requirement(user, requirement_type):
            name = "the taker" if user is self.user else f"the maker {key_to_text(user.address)}"
            raise short_of_margin(tx, user, name, requirement_type, market_index=self.index)

    def _meets_margin_requirement(self, user: User, requirement_type: int) -> bool:
        tx = self.tx
        return meets_margin_requirement(
            user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, requirement_type, False
        )

    def _account_obstacle(self) -> str:
        """Why nothing of the account's is filled now; empty where something is."""
        if is_bankrupt(self.user):
            return "the account is bankrupt: nothing is filled"
        if self._is_in_liquidation():
            return "the account is in liquidation: nothing is filled"
        return ""

    def _is_in_liquidation(self) -> bool:
        """Whether the account still is in liquidation, now that it may leave it."""
        tx = self.tx
        return update_liquidation_status(self.user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state)

    # --- who and what is there --------------------------------------------------------------------------------

    def _look_at_prices(self) -> None:
        """Prices as they are before the order, and whether the AMM can be a counterparty."""
        tx = self.tx
        market = self.market
        amm = market.amm
        oracle = tx.perp_oracle(self.index)
        history = amm.historical_oracle_data
        validity = cached_perp_oracle_validity(market, oracle, tx.state.oracle_guard_rails.validity)
        self.amm_obstacle = self._amm_obstacle(validity)
        self.reserve_price = reserve_price(amm)
        self.oracle_price = oracle.price
        self.twap_5min = history.last_oracle_price_twap_5min
        trusted = is_oracle_valid_for_action(validity, ACTION_ORACLE_ORDER_PRICE)
        self.valid_oracle_price = oracle.price if trusted else 0

    def _amm_obstacle(self, validity: int) -> str:
        """Why the AMM fills nothing now; empty where it does."""
        market = self.market
        if is_paused(self.tx, EXCHANGE_AMM_PAUSED):
            return "the AMM is paused (exchange_status)"
        if not is_oracle_valid_for_action(validity, ACTION_FILL_ORDER_AMM):
            return f"the oracle is {OracleValidity(validity).name}: the AMM fills only at a valid price"
        if market.paused_operations & PERP_AMM_FILL:
            return "fills against the AMM are paused in this market (paused_operations)"
        if has_too_much_drawdown(market):
            return "the AMM has lost too much since the last funding update"
        if not self._is_auction_over():
            wait = self.tx.state.min_perp_auction_duration
            return f"the AMM fills an order only after {wait} slots (min_perp_auction_duration)"
        return ""

    def _note(self, note: str, value: int = 0) -> None:
        """Tell on the receipt why less was filled than asked."""
        self.tx.limit("fill", value, self._unfilled(), note)

    def _is_auction_over(self) -> bool:
        """Whether the order has waited long enough for the AMM."""
        wait = self.tx.state.min_perp_auction_duration
        return wait == 0 or self.tx.slot - self.order.slot > wait

    def _participant(self, user: User) -> Participant:
        return Participant(user, self.tx.write_user_stats(user.authority))

    def _meet_filler(self) -> None:
        if self.filler_ref is None:
            return
        filler = self.tx.write_user(self.filler_ref)
        if filler is not self.user:
            self.filler = self._participant(filler)

    def _note_filler(self) -> None:
        if self.filler is not None:
            update_last_active_slot(self.filler.user, self.tx.slot)

    def _meet_makers(self, refs: Sequence[str], cancelled: Sequence[RestingMakerOrder]) -> None:
        """Makers in order of address: activity and funding, even if nothing fills; cancelled orders pay the filler.

        An account with nothing reserved on the other side, or in liquidation, is no maker.
        """
        tx = self.tx
        side = OPPOSITE[self.order.direction]
        drops: dict[bytes, list[RestingMakerOrder]] = {}
        users: dict[bytes, User] = {}
        for ref in refs:
            user = tx.write_user(ref)
            users[user.address] = user
        for drop in cancelled:
            user = tx.write_user(drop.maker)
            users[user.address] = user
            drops.setdefault(user.address, []).append(drop)
        for address in sorted(users):
            maker = users[address]
            if maker is self.user or is_being_liquidated(maker):
                continue
            index = find_perp_position(maker, self.index)
            if index < 0 or reserved_base(maker.perp_positions[index], side) == 0:
                continue
            if self.filler is not None and self.filler.user is maker:
                self.filler = None
                if maker.authority != self.user.authority:
                    self.maker_as_filler = self._participant(maker)
            update_last_active_slot(maker, tx.slot)
            self._settle_funding(maker, maker.perp_positions[index])
            for drop in drops.get(address, []):
                reward = self._pay_flat(maker)
                release_order(maker.perp_positions[index], side, drop.base_asset_amount)
                self._emit_cancel("None", reward, None, maker)
            self.makers[address] = maker

    def _meet_referrer(self) -> None:
        """The taker's referrer, if it has one: ``ReferrerStatsNotFound``, ``ReferrerNotFound``."""
        tx = self.tx
        authority = self.stats.referrer
        if authority == DEFAULT_KEY:
            return
        if not tx.has_user_stats(authority):
            raise SettlementError(ErrorCode.ReferrerStatsNotFound)
        ref = f"{key_to_text(authority)}/0"
        if tx.find_user(ref) is None:
            raise SettlementError(ErrorCode.ReferrerNotFound)
        self.referrer = self._participant(tx.write_user(ref))
        update_last_active_slot(self.referrer.user, tx.slot)

    def _settle_funding(self, user: User, position: PerpPosition) -> None:
        facts = FundingPaymentFacts()
        settle_funding_payment(user, position, self.market, facts)
        emit_funding_payment(self.tx, user, facts)

    # --- cancelling instead -----------------------------------------------------------------------------------

    def _is_cancelled_instead(self, has_makers: bool) -> bool:
        """Cancel an order that is expired or reduces nothing; ``ImpossibleFill`` where it must be left alone."""
        order = self.order
        self._require_fillable(has_makers)
        if order.max_ts != 0 and self.tx.now > order.max_ts:
            self._cancel("OrderExpired")
            return True
        if should_cancel_reduce_only_order(order, self.position.base_asset_amount, self.market.amm.order_step_size):
            self._cancel("ReduceOnlyOrderIncreasedPosition")
            return True
        return False

    def _require_fillable(self, has_makers: bool) -> None:
        """``ImpossibleFill`` for a limit order that is left alone for now: in its auction, or just expired."""
        order = self.order
        if order.is_limit and not self._is_auction_over() and not has_makers:
            raise SettlementError(ErrorCode.ImpossibleFill, "the AMM takes the order only after its auction")
        if order.is_limit and order.max_ts != 0 and order.max_ts < self.tx.now <= order.max_ts + LIMIT_ORDER_GRACE:
            raise SettlementError(ErrorCode.ImpossibleFill, "the order expired a moment ago")

    def _pay_flat(self, user: User) -> int:
        """The flat filler fee out of ``user``'s position; 0 without a separate filler."""
        if self.filler is None:
            return 0
        amount = self.tx.state.perp_fee_structure.flat_filler_fee
        return pay_keeper_flat_reward_for_perps(self.market, user, self.filler.user, amount, self.tx.slot)

    def _cancel(self, explanation: str) -> None:
        reward = self._pay_flat(self.user)
        self.release_rest()
        post_only = self.order.post_only
        self._emit_cancel(explanation, reward, None if post_only else self.user, self.user if post_only else None)

    def release_rest(self) -> None:
        """Take what is left of the order out of the book."""
        release_order(self.position, self.order.direction, self._unfilled())
        self.is_open = False

    def _unfilled(self) -> int:
        return self.order.base_asset_amount - self.order.base_asset_amount_filled

    # --- against the AMM --------------------------------------------------------------------------------------

    def _against_amm(self, fill: AmmFill) -> int:
        """Offer the order to the AMM; the quote filled, or −1 where the AMM was not even asked."""
        order = self.order
        market = self.market
        base = fill.base_asset_amount
        if self.amm_obstacle:
            if base:
                raise SettlementError(ErrorCode.ImpossibleFill, self.amm_obstacle)
            self._note(self.amm_obstacle)
            return -1
        limit = effective_limit_price(order, fill.price or 0)
        if base is None:
            quoted = quoted_price(market, self.reserve_price, order.direction)
            if fill.price is None:
                wanted = does_price_cross(quoted, order.direction, order.price)
            else:
                wanted = is_price_better(quoted, fill.price, order.direction)
            if not wanted:
                self._note(f"the AMM quotes {quoted}, which is not good enough")
                return -1
            base = calculate_base_asset_amount_for_amm_to_fulfill(
                order,
                market,
                limit_price_for_amm(order, market, self._tier(), limit),
                self.position.base_asset_amount,
            )
        elif base > unfilled_base_asset_amount(order, self.position.base_asset_amount):
            raise SettlementError(ErrorCode.ImpossibleFill, "the order has less left than was filled")
        return self._fill_with_amm(base, order.price if order.post_only else 0, limit, is_jit=False)

    def _tier(self) -> FeeTier:
        """The user's own fee tier."""
        return self.tx.state.perp_fee_structure.fee_tiers[determine_perp_fee_tier(self.stats)]

    def _fill_with_amm(self, base: int, fixed_price: int, limit: int, *, is_jit: bool) -> int:
        """One fill against the AMM, booked and told; its quote. Too small a size fills nothing."""
        tx = self.tx
        market = self.market
        order = self.order
        if is_fill_too_small(market, order, base, self.position.base_asset_amount):
            self._note("what limit and liquidity leave is below the smallest fill of the AMM", base)
            return 0
        facts = FillFacts()
        trade_with_amm(market, self.user, order, base, fixed_price, limit, self.reserve_price, tx.now, facts)
        filler = self.filler
        if filler is None and not is_jit:
            filler = self.maker_as_filler
        reward_filler = filler is not None and can_reward_user_with_perp_pnl(filler.user, self.index)
        self._charge_amm_fill(facts, is_jit, reward_filler)
        book_taker_of_amm_fill(market, self.user, self.stats, order, tx.now, facts)
        if filler is not None:
            reward = facts.filler_reward
            pay_filler(market, filler.user, filler.stats, reward, facts.quote_asset_amount, tx.now, tx.slot)
        finish_fill(market, self.position, order, facts)
        self._count(facts)
        self._emit_fill("OrderFilledWithAMMJit" if is_jit else "OrderFilledWithAMM", facts, None, with_surplus=True)
        return facts.quote_asset_amount

    def _charge_amm_fill(self, facts: FillFacts, is_jit: bool, reward_filler: bool) -> None:
        """Fees of a fill against the AMM, in the books of market, user's statistics and referrer.

        What the AMM takes of a match has no referrer.
        """
        tx = self.tx
        market = self.market
        referrer = None if is_jit else self.referrer
        reward_referrer = referrer is not None and can_reward_user_with_perp_pnl(referrer.user, self.index)
        calculate_fee_for_fulfillment_with_amm(
            facts,
            self.stats,
            tx.state.perp_fee_structure,
            market.fee_adjustment,
            self.order.slot,
            tx.slot,
            self.order.post_only,
            self.stats if referrer is None else referrer.stats,
            reward_referrer,
            reward_filler,
        )
        book_market_fees(market, facts.fee_to_market, facts.user_fee, facts.quote_asset_amount_surplus)
        book_user_fees(self.stats, facts.user_fee, facts.maker_rebate, facts.referee_discount)
        if referrer is not None:
            pay_referrer(market, referrer.user, referrer.stats, facts.referrer_reward, tx.now)

    def _count(self, facts: FillFacts) -> None:
        self.base += facts.base_asset_amount
        self.quote += facts.quote_asset_amount
        self.is_open = self._unfilled() > 0

    # --- against a maker --------------------------------------------------------------------------------------

    def _against_maker(self, fill: MatchFill) -> int:
        """Meet a maker's order; the quote filled, with what the AMM took of it."""
        tx = self.tx
        market = self.market
        order = self.order
        if order.post_only:
            raise SettlementError(ErrorCode.ImpossibleFill, "a post-only order is a maker and meets no other maker's")
        maker = self._maker(fill.maker)
        maker_order = PerpOrder(
            direction=OPPOSITE[order.direction],
            base_asset_amount=fill.base_asset_amount,
            price=fill.price,
            reduce_only=fill.reduce_only,
        )
        limit = order.price
        if limit == 0:
            wait = max(0, order.max_ts - tx.now)
            limit = get_fallback_price(market, order.direction, self.reserve_price, self.oracle_price, wait)
        elif not does_price_cross(fill.price, order.direction, limit):
            raise SettlementError(ErrorCode.InvalidOrderFillPrice, "the maker's price is beyond the order's limit")
        if not does_price_cross(fill.price, order.direction, limit):
            return 0
        maker_position = maker.perp_positions[get_perp_position_index(maker, self.index)]
        taker_left = unfilled_base_asset_amount(order, self.position.base_asset_amount)
        maker_left = unfilled_base_asset_amount(maker_order, maker_position.base_asset_amount)
        base = min(taker_left, maker_left)
        if base == 0:
            return 0
        clamp_denominator = perp_sanitize_clamp_denominator(market.contract_tier)
        update_mark_twap_from_estimates(market, tx.now, fill.price, order.direction, clamp_denominator)
        jit = fill.jit_base_asset_amount
        if jit is None:
            jit = calculate_amm_jit_liquidity(
                market, order, fill.price, base, taker_left, maker_left, self.valid_oracle_price
            )
        quote = 0
        if jit > 0:
            quote = self._fill_with_amm(jit, fill.price, limit, is_jit=True)
            base = min(unfilled_base_asset_amount(order, self.position.base_asset_amount), maker_left)
        return quote + self._fill_with_maker(maker, maker_position, maker_order, limit, base)

    def _maker(self, ref: str) -> User:
        """The maker of a match; ``UserIsBeingLiquidated``, or ``OrderDoesNotExist`` where nothing is reserved."""
        maker = self.tx.write_user(ref)
        if maker.address in self.makers:
            return maker
        if is_being_liquidated(maker):
            raise SettlementError(ErrorCode.UserIsBeingLiquidated, f"the maker {ref} is in liquidation")
        raise SettlementError(ErrorCode.OrderDoesNotExist, f"{ref} has nothing reserved on the other side")

    def _fill_with_maker(
        self, maker: User, maker_position: PerpPosition, maker_order: PerpOrder, limit: int, base: int
    ) -> int:
        """One match, booked and told; its quote."""
        tx = self.tx
        market = self.market
        order = self.order
        maker_stats = tx.write_user_stats(maker.authority)
        facts = FillFacts()
        trade_with_maker(market, self.user, self.stats, limit, maker, maker_stats, maker_order, base, tx.now, facts)
        multiplier = 0
        if self.filler is not None and can_reward_user_with_perp_pnl(self.filler.user, self.index):
            multiplier = calculate_filler_multiplier_for_matched_orders(
                maker_order.price, maker_order.direction, self.oracle_price
            )
        self._charge_match(facts, maker, maker_stats, multiplier)
        if self.filler is not None:
            filler, stats = self.filler
            pay_filler(market, filler, stats, facts.filler_reward, facts.quote_asset_amount, tx.now, tx.slot)
        finish_fill(market, self.position, order, facts)
        fill_reservation(maker_position, maker_order, base, facts.quote_asset_amount)
        filled = self.maker_fills.get(maker.address, 0)
        self.maker_fills[maker.address] = filled + signed_base(maker_order.direction, base)
        self._count(facts)
        self._emit_fill("OrderFilledWithMatch", facts, maker, with_surplus=False)
        return facts.quote_asset_amount

    def _charge_match(self, facts: FillFacts, maker: User, maker_stats: UserStats, multiplier: int) -> None:
        """Fees of a match, in the books of market, both traders and referrer.

        A referrer is not paid for meeting one of its own orders.
        """
        tx = self.tx
        market = self.market
        referrer = self.referrer
        if referrer is not None and referrer.user.authority == maker.authority:
            referrer = None
        reward_referrer = referrer is not None and can_reward_user_with_perp_pnl(referrer.user, self.index)
        calculate_fee_for_fulfillment_with_match(
            facts,
            self.stats,
            maker_stats,
            tx.state.perp_fee_structure,
            market.fee_adjustment,
            self.order.slot,
            tx.slot,
            multiplier,
            self.stats if referrer is None else referrer.stats,
            reward_referrer,
        )
        book_match_fees(market, self.user, self.stats, maker, maker_stats, facts)
        if referrer is not None:
            pay_referrer(market, referrer.user, referrer.stats, facts.referrer_reward, tx.now)

    # --- events -----------------------------------------------------------------------------------------------

    def _filler_address(self) -> str | None:
        return None if self.filler_ref is None else key_to_text(self.tx.user(self.filler_ref).address)

    def _emit_fill(self, explanation: str, facts: FillFacts, maker: User | None, *, with_surplus: bool) -> None:
        taker = self.user
        if self.order.post_only:
            maker, taker_key = self.user, None
        else:
            taker_key = key_to_text(taker.address)
        self._emit(
            "Fill",
            explanation,
            filler_reward=facts.filler_reward,
            fill_record_id=facts.fill_record_id,
            base=facts.base_asset_amount,
            quote=facts.quote_asset_amount,
            taker_fee=None if taker_key is None else facts.user_fee + facts.builder_fee,
            maker_fee=None if maker is None else -facts.maker_rebate,
            referrer_reward=facts.referrer_reward or None,
            surplus=facts.quote_asset_amount_surplus if with_surplus else None,
            taker=taker_key,
            maker=None if maker is None else key_to_text(maker.address),
            more=self._more_of_fill(facts),
        )

    def _more_of_fill(self, facts: FillFacts) -> dict[str, Any]:
        """What a fill's event has beyond Drift's fields."""
        return {}

    def _emit_cancel(self, explanation: str, reward: int, taker: User | None, maker: User | None) -> None:
        self._emit(
            "Cancel",
            explanation,
            filler_reward=reward,
            taker=None if taker is None else key_to_text(taker.address),
            maker=None if maker is None else key_to_text(maker.address),
        )

    def _emit(
        self,
        action: str,
        explanation: str,
        *,
        filler_reward: int,
        fill_record_id: int | None = None,
        base: int | None = None,
        quote: int | None = None,
        taker_fee: int | None = None,
        maker_fee: int | None = None,
        referrer_reward: int | None = None,
        surplus: int | None = None,
        taker: str | None,
        maker: str | None,
        more: dict[str, Any] | None = None,
    ) -> None:
        """OrderActionRecord, without the fields of the order book."""
        self.tx.emit(
            "OrderActionRecord",
            ts=self.tx.now,
            action=action,
            action_explanation=explanation,
            market_index=self.index,
            market_type="Perp",
            filler=self._filler_address(),
            filler_reward=filler_reward,
            fill_record_id=fill_record_id,
            base_asset_amount_filled=base,
            quote_asset_amount_filled=quote,
            taker_fee=taker_fee,
            maker_fee=maker_fee,
            referrer_reward=referrer_reward,
            quote_asset_amount_surplus=surplus,
            spot_fulfillment_method_fee=None,
            taker=taker,
            taker_order_direction=None if taker is None else PositionDirection(self.order.direction).name,
            maker=maker,
            oracle_price=self.oracle_price,
            **(more or {}),
        )
