"""Spot markets of Velocity built from the inputs of a fact."""

from seawall.arithmetic import SPOT_CUMULATIVE_INTEREST_PRECISION, div_ceil, pow10
from seawall.audit.parity.facts_inputs import Inputs
from seawall.state.enums import RULEBOOK_VELOCITY, STATUS_ACTIVE
from seawall.state.spot_market import SpotMarket

_RENAMED = {
    "if_factor": "insurance_fund.if_fee_factor",
    "protocol_factor": "protocol_fee_factor",
    "revenue_pool_scaled": "revenue_pool.scaled_balance",
    "protocol_fee_pool_scaled": "protocol_fee_pool.scaled_balance",
    "carveout_dust": "revenue_pool.pending_interest_split_dust",
    "insurance_dust": "protocol_fee_pool.pending_interest_split_dust",
    "revenue_pool_token_dust": "revenue_pool.pending_interest_dust",
    "protocol_fee_pool_token_dust": "protocol_fee_pool.pending_interest_dust",
    "market_deposit_balance": "deposit_balance",
}


def make_spot_market(inputs: Inputs, **renamed: str) -> SpotMarket:
    """An active market from the inputs; what they do not name is 0, the indices 1, the token one of 6 decimals."""
    market = SpotMarket(
        rulebook=RULEBOOK_VELOCITY,
        status=STATUS_ACTIVE,
        decimals=6,
        cumulative_deposit_interest=SPOT_CUMULATIVE_INTEREST_PRECISION,
        cumulative_borrow_interest=SPOT_CUMULATIVE_INTEREST_PRECISION,
    )
    inputs.fill(market, "insurance_fund", **_RENAMED, **renamed)
    market.insurance_fund_revenue_receivable_scaled = scaled_of(
        inputs.number("insurance_fund_revenue_receivable", 0), market
    )
    return market


def scaled_of(tokens: int, market: SpotMarket) -> int:
    """The least scaled deposit that is worth so many tokens."""
    return div_ceil(tokens * pow10(19 - market.decimals), market.cumulative_deposit_interest)
