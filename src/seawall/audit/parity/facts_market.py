"""Perp markets built from the inputs of a fact."""

from seawall.arithmetic import PEG_PRECISION
from seawall.audit.parity.facts_inputs import Inputs
from seawall.state.enums import CONTRACT_TIER_HIGHLY_SPECULATIVE, STATUS_ACTIVE
from seawall.state.exchange import ValidityGuardRails
from seawall.state.perp_market import PerpMarket

_RENAMED = {
    "fee_pool_scaled_balance": "amm.fee_pool.scaled_balance",
    "pnl_pool_scaled_balance": "pnl_pool.scaled_balance",
    "last_oracle_price": "amm.historical_oracle_data.last_oracle_price",
    "last_oracle_price_twap": "amm.historical_oracle_data.last_oracle_price_twap",
    "last_oracle_price_twap_5min": "amm.historical_oracle_data.last_oracle_price_twap_5min",
    "last_oracle_price_twap_ts": "amm.historical_oracle_data.last_oracle_price_twap_ts",
    "market_quote_asset_amount": "amm.quote_asset_amount",
    "market_base_asset_amount_with_amm": "amm.base_asset_amount_with_amm",
}


def make_perp_market(inputs: Inputs, **renamed: str) -> PerpMarket:
    """A perp market from the inputs, on the program's defaults; a lacking sqrt k follows from the reserves."""
    market = PerpMarket(status=STATUS_ACTIVE, contract_tier=CONTRACT_TIER_HIGHLY_SPECULATIVE)
    market.amm.peg_multiplier = PEG_PRECISION
    market.amm.order_step_size = 1
    market.amm.concentration_coef = 1_414_200
    inputs.fill(market, "amm", "insurance_claim", **_RENAMED, **renamed)
    return market


def validity_rails() -> ValidityGuardRails:
    """The guard rails that the program's tests set."""
    return ValidityGuardRails(
        slots_before_stale_for_amm=10,
        slots_before_stale_for_margin=120,
        confidence_interval_max_size=1_000,
        too_volatile_ratio=5,
    )
