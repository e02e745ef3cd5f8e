"""Facts of a perp market's pools and of their exchange with the revenue pool."""

from typing import Any

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs
from seawall.audit.parity.facts_market import make_perp_market
from seawall.audit.parity.facts_spot import make_spot_market
from seawall.rules.common.balances import get_spot_balance, get_token_amount
from seawall.rules.drift.pools import calculate_revenue_pool_transfer, update_pool_balances
from seawall.state.enums import DEPOSIT
from seawall.state.facts import PoolUpdateFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket


def _pools(market: PerpMarket, spot_market: SpotMarket) -> dict[str, Any]:
    return {
        "fee_pool_scaled_balance": market.amm.fee_pool.scaled_balance,
        "pnl_pool_scaled_balance": market.pnl_pool.scaled_balance,
        "revenue_pool_scaled_balance": spot_market.revenue_pool.scaled_balance,
        "fee_pool_tokens": get_token_amount(market.amm.fee_pool.scaled_balance, spot_market, DEPOSIT),
        "pnl_pool_tokens": get_token_amount(market.pnl_pool.scaled_balance, spot_market, DEPOSIT),
        "total_fee_minus_distributions": market.amm.total_fee_minus_distributions,
        "total_fee_withdrawn": market.amm.total_fee_withdrawn,
        "deposit_balance": spot_market.deposit_balance,
        "revenue_withdraw_since_last_settle": market.insurance_claim.revenue_withdraw_since_last_settle,
        "last_revenue_withdraw_ts": market.insurance_claim.last_revenue_withdraw_ts,
    }


def _make(inputs: Inputs) -> tuple[PerpMarket, SpotMarket]:
    """Both markets; a name that both have is the perp market's, pools may be named in scaled units or in tokens."""
    market = make_perp_market(
        inputs,
        total_fee_minus_distributions_initial="amm.total_fee_minus_distributions",
        pnl_pool_scaled_balance_initial="pnl_pool.scaled_balance",
    )
    spot_market = make_spot_market(inputs, market_deposit_balance="deposit_balance")
    for name, pool in (
        ("pnl_pool_tokens_before", market.pnl_pool),
        ("fee_pool_tokens_before", market.amm.fee_pool),
        ("revenue_pool_tokens", spot_market.revenue_pool),
    ):
        if name in inputs:
            pool.scaled_balance = get_spot_balance(inputs.number(name), spot_market, DEPOSIT, False)
    return market, spot_market


def _update_pools(inputs: Inputs) -> Found:
    inputs.ignore("sequence", "net_revenue_since_last_funding_initial")
    market, spot_market = _make(inputs)
    if "state_before_call" in inputs:
        _after_earlier_calls(inputs.nested("state_before_call"), market, spot_market)
    user_tokens = inputs.number("user_quote_token_amount", 0)
    claim = inputs.number("user_unsettled_pnl", 0)
    if "calls" not in inputs:
        now = inputs.number("now", 0)
        pnl = update_pool_balances(market, spot_market, user_tokens, claim, now, PoolUpdateFacts())
        return {**_pools(market, spot_market), "pnl_to_settle_with_user": pnl}
    after = []
    for call in inputs.items("calls"):
        call.fill(market, "amm")
        call.fill(spot_market.insurance_fund)
        pnl = update_pool_balances(market, spot_market, user_tokens, claim, call.number("now"), PoolUpdateFacts())
        after.append({**_pools(market, spot_market), "pnl_to_settle_with_user": pnl})
    return {"after_each": after}


def _after_earlier_calls(state: Inputs, market: PerpMarket, spot_market: SpotMarket) -> None:
    """All that was withdrawn so far lies in the revenue pool, left the AMM's surplus, and counts for the period."""
    state.fill(market, "amm", "insurance_claim", fee_pool_scaled_balance="amm.fee_pool.scaled_balance")
    sent = market.amm.total_fee_withdrawn
    market.amm.total_fee_minus_distributions -= sent
    market.insurance_claim.revenue_withdraw_since_last_settle = -sent
    spot_market.revenue_pool.scaled_balance = get_spot_balance(sent, spot_market, DEPOSIT, False)


def _revenue_pool_transfer(inputs: Inputs) -> Found:
    """The surplus that the facts name is what the market earned beyond what it has sent."""
    market, spot_market = _make(inputs)
    market.amm.total_fee_minus_distributions = inputs.number("terminal_state_surplus") + market.amm.total_fee_withdrawn
    revenue = get_token_amount(spot_market.revenue_pool.scaled_balance, spot_market, DEPOSIT)
    transfer = calculate_revenue_pool_transfer(market, inputs.number("amm_fee_pool_token_amount_after"), revenue)
    return {"revenue_pool_transfer": transfer}


ADAPTERS: dict[str, Adapter] = {
    "update_pool_balances": _update_pools,
    "calculate_revenue_pool_transfer": _revenue_pool_transfer,
}
