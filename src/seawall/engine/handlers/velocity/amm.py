"""Funding, the AMM and its books under Velocity."""

from seawall.engine.explain import Explainer, Explanation
from seawall.engine.gates import require_perp_market_valid, required
from seawall.engine.handlers import amm_refusals
from seawall.engine.handlers.amm import admit_bid_ask_twap, attempt_funding
from seawall.engine.handlers.pnl_refusals import quote
from seawall.engine.receipts import Limit
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import MEANING, ErrorCode
from seawall.instructions.amm import UpdateFundingRate, UpdatePerpBidAskTwap
from seawall.instructions.base import Instruction
from seawall.instructions.pnl import UpdatePerpMarketAmmSummaryStats
from seawall.rules.common.amm_curve import NO_PRICE, reserve_price
from seawall.rules.common.amm_validation import validate_perp_market
from seawall.rules.velocity.amm_stats import update_amm_summary_stats
from seawall.rules.velocity.mark_twap import SECONDS_WITHOUT_MOVING, crank_mark_twap


def update_perp_bid_ask_twap(tx: Transaction, ix: UpdatePerpBidAskTwap) -> None:
    """Mark TWAPs from the venue's best bid and ask, within bounds, then a funding attempt.

    Errors: ``MarketDelisted``, ``ExchangePaused``, ``CantUpdatePerpBidAskTwap``.
    """
    market = admit_bid_ask_twap(tx, ix)
    best_bid = NO_PRICE if ix.best_bid is None else ix.best_bid
    best_ask = NO_PRICE if ix.best_ask is None else ix.best_ask
    crank_mark_twap(market, best_bid, best_ask, tx.perp_oracle(ix.market_index).price, tx.now)
    attempt_funding(tx, market, reserve_price(market.amm))


def update_summary_stats(tx: Transaction, ix: UpdatePerpMarketAmmSummaryStats) -> None:
    """Set the AMM's equity right by the balance sheet; ``MarketDelisted``, ``InvalidOracle``, ``InvalidAmmDetected``.

    The raw oracle price counts, whatever its class: deliberate, it is the program's.
    """
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    market = tx.write_perp_market(ix.market_index)
    if ix.net_unsettled_funding_pnl is not None:
        market.amm.net_unsettled_funding_pnl = ix.net_unsettled_funding_pnl
    before = market.amm.total_fee_minus_distributions
    quote_market = tx.spot_market(market.quote_spot_market_index)
    difference = update_amm_summary_stats(market, quote_market, tx.perp_oracle(ix.market_index).price)
    if difference != 0:
        note = "the AMM's equity, as it was booked; asked is what the pools show"
        tx.limit("total_fee_minus_distributions", before, before + difference, note)
    with required("a sound market"):
        validate_perp_market(market)


# --- why something was refused ---------------------------------------------------------------------------------


def cant_update_perp_bid_ask_twap(tx: Transaction, ix: UpdatePerpBidAskTwap) -> Explanation:
    """Whether the keeper may not crank, or its estimate moves nothing so soon after the last update."""
    keeper = tx.user_stats(tx.signer)
    if keeper.disable_update_perp_bid_ask_twap or keeper.if_staked_quote_asset_amount < amm_refusals.KEEPER_STAKE:
        return amm_refusals.cant_update_perp_bid_ask_twap(tx, ix)
    since = tx.now - tx.perp_market(ix.market_index).amm.last_mark_price_twap_ts
    return (
        f"the estimate would leave its TWAP where it is, {since} seconds after the last update",
        f"try again at {tx.now - since + SECONDS_WITHOUT_MOVING} (unix seconds) or later",
        [Limit("seconds_without_moving", SECONDS_WITHOUT_MOVING, since)],
    )


def invalid_funding_profitability(tx: Transaction, ix: UpdateFundingRate) -> Explanation:
    """What the AMM has; it never pays more than a third of it."""
    equity = tx.perp_market(ix.market_index).amm.total_fee_minus_distributions
    meaning = MEANING[ErrorCode.InvalidFundingProfitability]
    return f"{meaning}; the AMM's equity is {quote(equity)}", "", []


HANDLERS: dict[type[Instruction], Handler] = {
    UpdatePerpBidAskTwap: update_perp_bid_ask_twap,
    UpdatePerpMarketAmmSummaryStats: update_summary_stats,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {
    ErrorCode.CantUpdatePerpBidAskTwap: cant_update_perp_bid_ask_twap,
    ErrorCode.InvalidFundingProfitability: invalid_funding_profitability,
}
