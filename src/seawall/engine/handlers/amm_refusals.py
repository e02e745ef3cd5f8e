"""Why funding or a mark TWAP was not updated, in numbers."""

from seawall.arithmetic import BID_ASK_SPREAD_PRECISION, div_trunc, sub_saturating
from seawall.engine.explain import Explainer, Explanation
from seawall.engine.handlers.pnl_refusals import quote
from seawall.engine.receipts import Limit
from seawall.engine.transaction import Transaction
from seawall.errors import MEANING, ErrorCode
from seawall.instructions.amm import UpdateFundingRate, UpdatePerpBidAskTwap
from seawall.rules.common.amm_budget import get_total_fee_lower_bound
from seawall.rules.common.amm_curve import reserve_price
from seawall.rules.common.funding import calculate_funding_payment, largest_mark_oracle_divergence
from seawall.rules.common.oracles import (
    ACTION_UPDATE_FUNDING,
    is_oracle_valid_for_action,
    perp_oracle_validity,
)
from seawall.rules.common.statistics import on_the_hour_update
from seawall.rules.drift.funding import calculate_capped_funding_rate, calculate_funding_rate
from seawall.state.enums import PERP_UPDATE_FUNDING, OracleValidity

KEEPER_STAKE = 1_000_000_000
"""Quote value (1e6) of the insurance stake that the bid/ask crank asks of its signer."""


def percent(fraction: int) -> str:
    """A fraction ≥ 0 (1e6) in per cent, e.g. ``12.5 %``."""
    whole, rest = divmod(fraction, 10_000)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + " %"


def funding_was_not_updated(tx: Transaction, ix: UpdateFundingRate) -> Explanation:
    """The first of: paused, AMM too old, oracle not good enough, mark too far from it, not due yet."""
    market = tx.perp_market(ix.market_index)
    amm = market.amm
    name = f"perp market {ix.market_index}"
    if market.paused_operations & PERP_UPDATE_FUNDING:
        return f"funding of {name} is paused", "clear UpdateFunding in its paused_operations", []
    age = sub_saturating(tx.slot, amm.last_update_slot)
    if age > amm.funding_period:
        limit = Limit("amm_age_in_slots", amm.funding_period, age, "counted since the last refresh that could be paid")
        return (
            f"the AMM of {name} was last refreshed {age} slots ago; at most {amm.funding_period} may pass",
            "refresh it with a valid oracle price that its fees can follow",
            [limit],
        )
    rails = tx.state.oracle_guard_rails
    history = amm.historical_oracle_data
    validity = perp_oracle_validity(market, tx.perp_oracle(ix.market_index), rails.validity)
    if not is_oracle_valid_for_action(validity, ACTION_UPDATE_FUNDING):
        return f"the oracle price of {name} is {OracleValidity(validity).name}", "post a better oracle price", []
    price = reserve_price(amm)
    difference = price - history.last_oracle_price_twap_5min
    divergence = abs(div_trunc(difference * BID_ASK_SPREAD_PRECISION, price))
    most = largest_mark_oracle_divergence(rails)
    if divergence > most:
        return (
            f"the price of {name}, {quote(price)}, is {percent(divergence)} from the oracle's 5-minute TWAP, "
            f"{quote(history.last_oracle_price_twap_5min)}; at most {percent(most)} is allowed",
            "wait until the two have come closer",
            [Limit("mark_oracle_divergence", most, divergence)],
        )
    wait = on_the_hour_update(tx.now, amm.last_funding_rate_ts, amm.funding_period)
    return (
        f"funding of {name} is not due for another {wait} seconds",
        f"try again at {tx.now + wait} (unix seconds) or later",
        [Limit("time_until_next_update", wait, 0)],
    )


def invalid_funding_profitability(tx: Transaction, ix: UpdateFundingRate) -> Explanation:
    """What the AMM would pay, what it has, and what it must keep."""
    market = tx.perp_market(ix.market_index)
    amm = market.amm
    rate = calculate_funding_rate(
        amm.last_mark_price_twap,
        amm.historical_oracle_data.last_oracle_price_twap,
        amm.funding_period,
        market.contract_tier,
    )
    uncapped = -calculate_funding_payment(rate, amm.base_asset_amount_with_amm)
    paid, _ = calculate_capped_funding_rate(market, uncapped, rate)
    least = get_total_fee_lower_bound(amm)
    after = amm.total_fee_minus_distributions + paid
    if paid >= 0 or after >= least:
        return MEANING[ErrorCode.InvalidFundingProfitability], "", []
    limit = Limit("total_fee_lower_bound", least, after, "half of all exchange fees stays reserved")
    return (
        f"the AMM of perp market {ix.market_index} would pay {quote(-paid)} of funding and be left with "
        f"{quote(after)}; it must keep {quote(least)}",
        f"fees of {quote(least - after)} more",
        [limit],
    )


def cant_update_perp_bid_ask_twap(tx: Transaction, ix: UpdatePerpBidAskTwap) -> Explanation:
    """Whether the keeper is switched off, or how much stake it lacks."""
    keeper = tx.user_stats(tx.signer)
    if keeper.disable_update_perp_bid_ask_twap:
        return "this keeper's bid and ask TWAP updates are switched off", "an administrator switches them on again", []
    stake = keeper.if_staked_quote_asset_amount
    return (
        f"this keeper has {quote(stake)} staked in the quote insurance fund; {quote(KEEPER_STAKE)} are needed",
        f"stake another {quote(KEEPER_STAKE - stake)}",
        [Limit("keeper_stake", KEEPER_STAKE, stake)],
    )


EXPLAINERS: dict[ErrorCode, Explainer] = {
    ErrorCode.FundingWasNotUpdated: funding_was_not_updated,
    ErrorCode.InvalidFundingProfitability: invalid_funding_profitability,
    ErrorCode.CantUpdatePerpBidAskTwap: cant_update_perp_bid_ask_twap,
}
