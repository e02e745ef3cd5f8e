"""One perp order being filled under Velocity: what differs from the shared course of a fill.

The course itself is ``engine/handlers/perp_order_fill.py``; the arithmetic is in ``rules/velocity/fees.py`` and
``rules/velocity/perp_fills.py``. Source: velocity/pools-and-fees.md §3, §4; drift/amm-and-funding.md §3.5 (newer).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from seawall.engine.gates import is_paused
from seawall.engine.handlers.perp_fills import require_pool_0
from seawall.engine.handlers.perp_order_fill import PerpOrderFill
from seawall.engine.handlers.velocity.revenue_share_rows import BuilderRow, find_or_open_referral_row
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.perp_fills import AmmFill, MatchFill
from seawall.keys import DEFAULT_KEY, key_to_text
from seawall.rules.common.perp_fills import book_user_fees
from seawall.rules.common.perp_orders import open_interest
from seawall.rules.common.safe_price import safe_oracle_price, safe_price_validity
from seawall.rules.velocity.fees import (
    calculate_fee_for_fulfillment_with_amm,
    calculate_fee_for_fulfillment_with_match,
    determine_perp_fee_tier,
)
from seawall.rules.velocity.isolated import scope_of
from seawall.rules.velocity.margin import (
    meets_fill_margin_requirement,
    meets_initial_margin_requirement,
    update_liquidation_status,
)
from seawall.rules.velocity.perp_fills import (
    AMM_FILL_PAUSED,
    AMM_FILLS,
    AMM_IN_DRAWDOWN,
    AMM_NOT_AT_ONCE,
    AMM_PRICE_NOT_GOOD_ENOUGH,
    AMM_PRICES_APART,
    amm_can_fill_order,
    book_market_fees,
    book_match_fees,
    validate_fill_price_within_price_bands,
)
from seawall.rules.velocity.revenue_share import accrue_revenue_share
from seawall.state.enums import (
    EXCHANGE_AMM_IMMEDIATE_FILL_PAUSED,
    EXCHANGE_AMM_PAUSED,
    FEATURE_VAMM_MAKER_REBATE,
    OracleValidity,
)
from seawall.state.exchange import FeeTier
from seawall.state.orders import FillFacts, FillTerms, PerpOrder
from seawall.state.perp_market import PerpMarket
from seawall.state.user import User, UserStats

_OBSTACLES = {
    AMM_FILLS: "",
    AMM_FILL_PAUSED: "fills against the AMM are paused in this market (paused_operations)",
    AMM_IN_DRAWDOWN: "the AMM has lost too much since the last funding update",
    AMM_PRICES_APART: "the market maker's oracle is more than 1 % away from the exchange's",
    AMM_PRICE_NOT_GOOD_ENOUGH: "the oracle is {validity}: the AMM fills only at a valid or a low-risk price",
    AMM_NOT_AT_ONCE: "the order is younger than the oracle's price: the AMM waits for the next price",
}


class Referral(NamedTuple):
    """Who is rewarded for the taker, and whether at the accelerated rate."""

    referrer: bytes
    accelerated: bool


class VelocityOrderFill(PerpOrderFill):
    """An order in flight, its fee split three ways, its builder's and referrer's shares accrued in the escrow."""

    def __init__(
        self,
        tx: Transaction,
        market: PerpMarket,
        user: User,
        order: PerpOrder,
        filler: str | None,
        builder: BuilderRow | None,
    ) -> None:
        super().__init__(tx, market, user, order, filler)
        self.builder = builder
        self.builder_name = None if builder is None else key_to_text(builder.builder)
        self.builder_fee_tenth_bps = 0 if builder is None else self._builder_fee_rate(builder)
        self.referral: Referral | None = None
        self.filler_reward_paid = 0

    def _builder_fee_rate(self, builder: BuilderRow) -> int:
        """What the builder may charge: nothing while the account does not meet Initial margin. Its row stays bound."""
        tx = self.tx
        if meets_initial_margin_requirement(self.user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state):
            return builder.fee_tenth_bps
        note = "the account does not meet Initial margin: its builder charges nothing"
        tx.limit("builder_fee_tenth_bps", 0, builder.fee_tenth_bps, note)
        return 0

    # --- who and what is there --------------------------------------------------------------------------------

    def _is_in_liquidation(self) -> bool:
        tx = self.tx
        return update_liquidation_status(self.user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state)

    def _amm_obstacle(self, validity: int) -> str:
        tx = self.tx
        if is_paused(tx, EXCHANGE_AMM_PAUSED):
            return "the AMM is paused (exchange_status)"
        immediate_paused = is_paused(tx, EXCHANGE_AMM_IMMEDIATE_FILL_PAUSED)
        oracle = tx.perp_oracle(self.index)
        rails = tx.state.oracle_guard_rails.validity
        _, _, delay = safe_oracle_price(self.market, oracle, rails, tx.slot)
        validity = safe_price_validity(self.market, oracle, rails, tx.slot)
        found = amm_can_fill_order(self.market, self.order, oracle, delay, validity, tx.slot, immediate_paused)
        return _OBSTACLES[found].format(validity=OracleValidity(validity).name)

    def _meet_filler(self) -> None:
        super()._meet_filler()
        if self.filler is not None:
            require_pool_0(self.filler.user)

    def _meet_referrer(self) -> None:
        """The taker's referrer, if it has one. Nothing of its accounts is needed: its share waits in an escrow."""
        authority = self.stats.referrer
        if authority != DEFAULT_KEY:
            self.referral = Referral(authority, self.tx.user_stats(authority).is_accelerated_referrer)

    def _require_fillable(self, has_makers: bool) -> None:
        """Velocity leaves no order alone: whether the AMM takes it is ``amm_can_fill_order``'s to say."""

    # --- what a fill must leave --------------------------------------------------------------------------------

    def _fill(self, fills: Sequence[AmmFill | MatchFill]) -> None:
        before = open_interest(self.market.amm)
        super()._fill(fills)
        after = open_interest(self.market.amm)
        delay = self.tx.perp_oracle(self.index).delay
        limit = self.tx.state.oracle_guard_rails.validity.slots_before_stale_for_margin
        if after > before and delay > limit:
            raise SettlementError(
                ErrorCode.InvalidOracle,
                f"the oracle's price is {delay} slots old, {limit} at most where open interest grows "
                f"(from {before} to {after}, base 1e9)",
                "a fresh price, or a fill that opens nothing new",
            )

    def _meets_margin_requirement(self, user: User, requirement_type: int) -> bool:
        tx = self.tx
        row = scope_of(user, self.index)
        return meets_fill_margin_requirement(
            user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, requirement_type, row
        )

    def _check_price_bands(self, fill_price: int) -> None:
        validate_fill_price_within_price_bands(
            fill_price,
            self.oracle_price,
            self.twap_5min,
            self.market.margin_ratio_initial,
            self.tx.state.oracle_guard_rails,
        )

    # --- fees -------------------------------------------------------------------------------------------------

    def _tier(self) -> FeeTier:
        tier = determine_perp_fee_tier(self.stats, self.tx.state.promo_fee_tier, self.tx.now)
        return self.tx.state.perp_fee_structure.fee_tiers[tier]

    def _terms(self, referral_row: int) -> FillTerms:
        tx = self.tx
        market = self.market
        return FillTerms(
            now=tx.now,
            slot=tx.slot,
            order_slot=self.order.slot,
            post_only=self.order.post_only,
            fee_adjustment=market.fee_adjustment,
            taker_fee_addon_tenth_bps=market.taker_fee_addon_tenth_bps,
            promo_fee_tier=tx.state.promo_fee_tier,
            vamm_maker_rebate=tx.state.feature_bit_flags & FEATURE_VAMM_MAKER_REBATE != 0,
            reward_referrer=referral_row >= 0,
            accelerated_referrer=self.referral is not None and self.referral.accelerated,
            filler_reward_paid=self.filler_reward_paid,
            builder_fee_tenth_bps=self.builder_fee_tenth_bps,
        )

    def _referral_row(self) -> int:
        """The row of the taker's escrow that its referrer's share accrues in; −1 where it has no referrer, or no room.

        Without a row there is neither a reward nor a discount: a reward without one would be lost.
        """
        if self.referral is None or self.order.post_only:
            return -1
        row = find_or_open_referral_row(self.tx, self.user.authority, self.referral.referrer, self.index)
        if row < 0:
            note = "the taker's escrow has no free row for its referrer: no reward and no discount"
            self.tx.limit("revenue_share_rows", 0, 1, note)
        return row

    def _charge_amm_fill(self, facts: FillFacts, is_jit: bool, reward_filler: bool) -> None:
        tx = self.tx
        market = self.market
        row = -1 if is_jit else self._referral_row()
        terms = self._terms(row)
        terms.reward_filler = reward_filler
        calculate_fee_for_fulfillment_with_amm(facts, self.stats, tx.state.perp_fee_structure, terms)
        self._accrue_builder_fee(facts)
        book_market_fees(market, facts, tx.config.tokenize_spread_surplus)
        book_user_fees(self.stats, facts.user_fee, facts.maker_rebate, facts.referee_discount)
        self._accrue_referrer_reward(facts, row)

    def _charge_match(self, facts: FillFacts, maker: User, maker_stats: UserStats, multiplier: int) -> None:
        tx = self.tx
        market = self.market
        own = self.referral is not None and self.referral.referrer == maker.authority
        row = -1 if own else self._referral_row()
        terms = self._terms(row)
        terms.filler_multiplier = multiplier
        calculate_fee_for_fulfillment_with_match(facts, self.stats, maker_stats, tx.state.perp_fee_structure, terms)
        self._accrue_builder_fee(facts)
        book_match_fees(market, self.user, self.stats, maker, maker_stats, facts)
        self._accrue_referrer_reward(facts, row)

    def _accrue_builder_fee(self, facts: FillFacts) -> None:
        """The builder's row grows; so does what the filler was paid for this order, which its age allows once."""
        self.filler_reward_paid += facts.filler_reward
        if self.builder is not None:
            accrue_revenue_share(self.builder.escrow, self.builder.row, self.market, facts.builder_fee)

    def _accrue_referrer_reward(self, facts: FillFacts, row: int) -> None:
        if row >= 0:
            escrow = self.tx.write_revenue_share_escrow(self.user.authority)
            accrue_revenue_share(escrow, row, self.market, facts.referrer_reward)

    # --- the order's end --------------------------------------------------------------------------------------

    def _count(self, facts: FillFacts) -> None:
        super()._count(facts)
        if not self.is_open:
            self._complete_builder_row()

    def release_rest(self) -> None:
        """Take what is left of the order out of the book; its builder's row is due."""
        super().release_rest()
        self._complete_builder_row()

    def _complete_builder_row(self) -> None:
        if self.builder is not None:
            self.builder.complete()
            self.builder = None

    # --- events -----------------------------------------------------------------------------------------------

    def _more_of_fill(self, facts: FillFacts) -> dict[str, Any]:
        """The builder, and where the rest of the fee goes (quote 1e6)."""
        return {
            "builder": self.builder_name,
            "builder_fee": None if self.builder_name is None else facts.builder_fee,
            "amm_fee": facts.amm_fee,
            "if_fee": facts.if_fee,
            "protocol_fee": facts.protocol_fee,
        }
