"""AMM refresh, funding rates and funding payments."""

from seawall.engine.gates import is_paused, require_not_paused, require_perp_market_valid
from seawall.engine.handlers.amm_refusals import EXPLAINERS, KEEPER_STAKE
from seawall.engine.interest import accrue
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.amm import (
    RepegAmmCurve,
    SettleFundingPayment,
    UpdateAmms,
    UpdateFundingRate,
    UpdateK,
    UpdatePerpBidAskTwap,
)
from seawall.instructions.base import Instruction
from seawall.keys import key_to_text
from seawall.rules.common.amm_curve import NO_PRICE, ask_price, bid_price, reserve_price
from seawall.rules.common.amm_k import update_k_by_admin
from seawall.rules.common.amm_refresh import update_amm
from seawall.rules.common.amm_repeg import repeg
from seawall.rules.common.amm_twaps import combine_bid_ask, perp_sanitize_clamp_denominator, update_mark_twap
from seawall.rules.common.funding import is_funding_due, settle_funding_payment
from seawall.rules.common.user_status import update_last_active_slot
from seawall.rules.drift.funding import update_funding_rate
from seawall.rules.velocity.funding import update_funding_rate as update_velocity_funding_rate
from seawall.state.enums import (
    EXCHANGE_ALL_PAUSED,
    EXCHANGE_FUNDING_PAUSED,
    RULEBOOK_DRIFT,
    STATUS_ACTIVE,
    STATUS_REDUCE_ONLY,
    MarketStatus,
)
from seawall.state.facts import CurveFacts, FundingPaymentFacts, FundingRateFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.user import POSITIONS, User

# --- the AMM ---------------------------------------------------------------------------------------------------


def update_amms(tx: Transaction, ix: UpdateAmms) -> None:
    """Refresh the listed perp markets in index order; one that fails fails all. ``ExchangePaused``."""
    require_not_paused(tx, EXCHANGE_ALL_PAUSED)
    for index in sorted(set(ix.market_indexes)):
        if index < len(tx.perp_markets):
            refresh_amm(tx, index)


def refresh_amm(tx: Transaction, market_index: int) -> PerpMarket:
    """A working copy of a perp market, its AMM refreshed."""
    market = tx.write_perp_market(market_index)
    update_amm(market, tx.perp_oracle(market_index), tx.state.oracle_guard_rails, tx.now, tx.slot)
    return market


def repeg_amm_curve(tx: Transaction, ix: RepegAmmCurve) -> None:
    """Set the peg by hand; the rule's errors, ``MarketDelisted``."""
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    market = tx.write_perp_market(ix.market_index)
    facts = CurveFacts()
    repeg(market, tx.perp_oracle(ix.market_index), tx.state.oracle_guard_rails.validity, ix.new_peg_candidate, facts)
    # the program tells the price that this repeg saw, which the AMM remembers only at its next refresh
    facts.oracle_price = tx.perp_oracle(ix.market_index).price
    emit_curve(tx, facts)


def update_k(tx: Transaction, ix: UpdateK) -> None:
    """Set √k by hand; ``InvalidUpdateK``, ``MarketDelisted``."""
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    facts = CurveFacts()
    update_k_by_admin(tx.write_perp_market(ix.market_index), ix.sqrt_k, facts)
    facts.oracle_price = tx.perp_oracle(ix.market_index).price
    emit_curve(tx, facts)


# --- funding ---------------------------------------------------------------------------------------------------


def update_funding(tx: Transaction, ix: UpdateFundingRate) -> None:
    """Refresh the AMM, then update the funding rate.

    Errors: ``MarketDelisted``, ``ExchangePaused``, ``MarketActionPaused``, ``FundingWasNotUpdated`` (not due, paused in
    the market, oracle not good enough, mark too far), ``InvalidFundingProfitability``.
    """
    require_perp_market_valid(tx, ix.market_index)
    require_not_paused(tx, EXCHANGE_FUNDING_PAUSED)
    market = refresh_amm(tx, ix.market_index)
    if market.status not in (STATUS_ACTIVE, STATUS_REDUCE_ONLY):
        raise SettlementError(
            ErrorCode.MarketActionPaused,
            f"perp market {ix.market_index} is {MarketStatus(market.status).name}",
            "its status is Active or ReduceOnly",
        )
    if not attempt_funding(tx, market, reserve_price(market.amm)):
        raise SettlementError(ErrorCode.FundingWasNotUpdated)


def attempt_funding(tx: Transaction, market: PerpMarket, price: int) -> bool:
    """Update the funding rate of a checked-out market at a reserve price if it is due, with events; whether it was."""
    facts = FundingRateFacts()
    oracle = tx.perp_oracle(market.market_index)
    rails = tx.state.oracle_guard_rails
    paused = is_paused(tx, EXCHANGE_FUNDING_PAUSED)
    if tx.state.rulebook == RULEBOOK_DRIFT:
        update_funding_rate(market, oracle, rails, price, paused, tx.now, tx.slot, facts)
    elif is_funding_due(market, oracle, rails, price, paused, tx.now, tx.slot):
        quote = market.quote_spot_market_index
        draw = tx.config.revenue_pool_draw_for_funding
        if draw:
            accrue(tx, quote, False)
        quote_market = tx.write_spot_market(quote) if draw else tx.spot_market(quote)
        update_velocity_funding_rate(market, quote_market, oracle, rails, price, draw, tx.now, tx.slot, facts)
    emit_funding_rate(tx, facts)
    _note_capped_funding(tx, facts)
    return facts.updated


def _note_capped_funding(tx: Transaction, facts: FundingRateFacts) -> None:
    """Tell on the receipt where the AMM paid less than its side owed, and what the revenue pool added."""
    if facts.revenue_pool_draw > 0:
        note = "drawn from the revenue pool into the AMM's fee pool, for funding that the AMM may not pay"
        tx.limit("revenue_pool_draw_for_funding", facts.revenue_pool_draw, facts.funding_shortfall, note)
    unpaid = facts.funding_shortfall - facts.revenue_pool_draw
    if unpaid > 0:
        note = "the AMM pays a third of its equity at most: the receiving side's rate is lower"
        tx.limit("amm_funding_budget", facts.funding_owed - unpaid, facts.funding_owed, note)


def update_perp_bid_ask_twap(tx: Transaction, ix: UpdatePerpBidAskTwap) -> None:
    """Mark TWAPs from the venue's best bid and ask, then a funding attempt.

    Errors: ``MarketDelisted``, ``ExchangePaused``, ``CantUpdatePerpBidAskTwap``.
    """
    market = admit_bid_ask_twap(tx, ix)
    amm = market.amm
    price = reserve_price(amm)
    bid, ask = combine_bid_ask(
        bid_price(market, price),
        ask_price(market, price),
        NO_PRICE if ix.best_bid is None else ix.best_bid,
        NO_PRICE if ix.best_ask is None else ix.best_ask,
        tx.perp_oracle(ix.market_index).price,
    )
    update_mark_twap(market, tx.now, bid, ask, NO_PRICE, perp_sanitize_clamp_denominator(market.contract_tier))
    attempt_funding(tx, market, reserve_price(amm))


def admit_bid_ask_twap(tx: Transaction, ix: UpdatePerpBidAskTwap) -> PerpMarket:
    """The market, refreshed, where the crank may run and its signer may crank."""
    require_perp_market_valid(tx, ix.market_index)
    require_not_paused(tx, EXCHANGE_FUNDING_PAUSED)
    keeper = tx.user_stats(tx.signer)
    if keeper.disable_update_perp_bid_ask_twap or keeper.if_staked_quote_asset_amount < KEEPER_STAKE:
        raise SettlementError(ErrorCode.CantUpdatePerpBidAskTwap)
    return refresh_amm(tx, ix.market_index)


def settle_funding(tx: Transaction, ix: SettleFundingPayment) -> None:
    """Settle the funding of every perp position, in slot order. ``ExchangePaused``."""
    require_not_paused(tx, EXCHANGE_FUNDING_PAUSED)
    user = tx.write_user(ix.user)
    for i in range(POSITIONS):
        position = user.perp_positions[i]
        if position.base_asset_amount == 0:
            continue
        facts = FundingPaymentFacts()
        settle_funding_payment(user, position, tx.write_perp_market(position.market_index), facts)
        emit_funding_payment(tx, user, facts)
    update_last_active_slot(user, tx.slot)


# --- events ----------------------------------------------------------------------------------------------------


def emit_funding_payment(tx: Transaction, user: User, facts: FundingPaymentFacts) -> None:
    """FundingPaymentRecord, where a payment was settled."""
    if not facts.settled:
        return
    tx.emit(
        "FundingPaymentRecord",
        ts=tx.now,
        user_authority=key_to_text(user.authority),
        user=key_to_text(user.address),
        market_index=facts.market_index,
        funding_payment=facts.funding_payment,
        base_asset_amount=facts.base_asset_amount,
        user_last_cumulative_funding=facts.user_last_cumulative_funding,
        amm_cumulative_funding_long=facts.amm_cumulative_funding_long,
        amm_cumulative_funding_short=facts.amm_cumulative_funding_short,
    )


def emit_funding_rate(tx: Transaction, facts: FundingRateFacts) -> None:
    """CurveRecord where k moved with it, then FundingRateRecord as the program tells it, where the rate was updated."""
    if not facts.updated:
        return
    emit_curve(tx, facts.curve)
    oracle, mark = {"oracle_price_twap": facts.oracle_price_twap}, {"mark_price_twap": facts.mark_price_twap}
    drift = tx.state.rulebook == RULEBOOK_DRIFT
    twaps = {**oracle, **mark} if drift else {**mark, **oracle}
    revenue = {"period_revenue": facts.period_revenue} if drift else {}
    unsettled = {"base_asset_amount_with_unsettled_lp": 0} if drift else {}
    tx.emit(
        "FundingRateRecord",
        ts=tx.now,
        record_id=facts.record_id,
        market_index=facts.market_index,
        funding_rate=facts.funding_rate,
        funding_rate_long=facts.funding_rate_long,
        funding_rate_short=facts.funding_rate_short,
        cumulative_funding_rate_long=facts.cumulative_funding_rate_long,
        cumulative_funding_rate_short=facts.cumulative_funding_rate_short,
        **twaps,
        **revenue,
        base_asset_amount_with_amm=facts.base_asset_amount_with_amm,
        **unsettled,
    )


def emit_curve(tx: Transaction, facts: CurveFacts) -> None:
    """CurveRecord (Velocity: AmmCurveChanged), where the curve was changed."""
    if not facts.updated:
        return
    tx.emit(
        "CurveRecord" if tx.state.rulebook == RULEBOOK_DRIFT else "AmmCurveChanged",
        ts=tx.now,
        record_id=facts.record_id,
        peg_multiplier_before=facts.peg_multiplier_before,
        base_asset_reserve_before=facts.base_asset_reserve_before,
        quote_asset_reserve_before=facts.quote_asset_reserve_before,
        sqrt_k_before=facts.sqrt_k_before,
        peg_multiplier_after=facts.peg_multiplier_after,
        base_asset_reserve_after=facts.base_asset_reserve_after,
        quote_asset_reserve_after=facts.quote_asset_reserve_after,
        sqrt_k_after=facts.sqrt_k_after,
        base_asset_amount_long=facts.base_asset_amount_long,
        base_asset_amount_short=facts.base_asset_amount_short,
        base_asset_amount_with_amm=facts.base_asset_amount_with_amm,
        total_fee=facts.total_fee,
        total_fee_minus_distributions=facts.total_fee_minus_distributions,
        adjustment_cost=facts.adjustment_cost,
        oracle_price=facts.oracle_price,
        fill_record=facts.fill_record,
        number_of_users=facts.number_of_users,
        market_index=facts.market_index,
    )


__all__ = ["EXPLAINERS", "HANDLERS"]

HANDLERS: dict[type[Instruction], Handler] = {
    UpdateAmms: update_amms,
    UpdateFundingRate: update_funding,
    UpdatePerpBidAskTwap: update_perp_bid_ask_twap,
    SettleFundingPayment: settle_funding,
    RepegAmmCurve: repeg_amm_curve,
    UpdateK: update_k,
}
