"""Perp markets made of a few named fields, for tests of the virtual AMM."""

from typing import Any

from seawall.records import set_path
from seawall.rules.common.amm_k import update_bounds
from seawall.state.exchange import OracleGuardRails, PriceDivergenceGuardRails, ValidityGuardRails
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket

NOW = 1_700_003_600
SLOT = 1_000_000


def perp_market(**fields: int) -> PerpMarket:
    """A market whose AMM, oracle history or own fields have the given values; everything else is zero."""
    market = PerpMarket()
    for name, value in fields.items():
        for path in (f"amm.{name}", f"amm.historical_oracle_data.{name}", name):
            if set_path(market, path, value):
                break
        else:
            raise AttributeError(name)
    return market


def balanced_market(net: int = 0, **fields: int) -> PerpMarket:
    """A market around 100 quote with 1,000,000 base of depth and ``net`` base held by users, consistent throughout."""
    depth = 1_000_000 * 10**9
    base = depth - net
    given: dict[str, Any] = {
        "status": 1,
        "sqrt_k": depth,
        "base_asset_reserve": base,
        "quote_asset_reserve": depth * depth // base,
        "peg_multiplier": 100_000_000,
        "concentration_coef": 1_414_200,
        "base_asset_amount_with_amm": net,
        "base_asset_amount_long": max(net, 0),
        "base_asset_amount_short": min(net, 0),
        "order_step_size": 1,
        "max_spread": 50_000,
        "margin_ratio_initial": 1_000,
        "funding_period": 3_600,
        "last_oracle_price": 100_000_000,
        "last_oracle_price_twap": 100_000_000,
        "last_oracle_price_twap_5min": 100_000_000,
        "last_oracle_price_twap_ts": NOW - 60,
        "last_mark_price_twap": 100_000_000,
        "last_mark_price_twap_5min": 100_000_000,
        "last_bid_price_twap": 100_000_000,
        "last_ask_price_twap": 100_000_000,
        "last_mark_price_twap_ts": NOW - 60,
        "last_trade_ts": NOW - 60,
        "last_funding_rate_ts": NOW - 3_600,
        "last_update_slot": SLOT - 100,
        "next_curve_record_id": 1,
        "next_funding_rate_record_id": 1,
        "next_fill_record_id": 1,
        "total_fee_minus_distributions": 1_000_000_000,
        **fields,
    }
    market = perp_market(**given)
    update_bounds(market.amm)
    return market


def oracle_price(price: int, confidence: int = 0, delay: int = 0) -> OraclePriceData:
    """An oracle as an instruction sees it."""
    return OraclePriceData(
        price=price, confidence=confidence, delay=delay, has_sufficient_number_of_data_points=True, twap=price
    )


def guard_rails() -> OracleGuardRails:
    """The program's default guard rails."""
    return OracleGuardRails(
        price_divergence=PriceDivergenceGuardRails(
            mark_oracle_percent_divergence=100_000, oracle_twap_5min_percent_divergence=500_000
        ),
        validity=ValidityGuardRails(
            slots_before_stale_for_amm=10,
            slots_before_stale_for_margin=120,
            confidence_interval_max_size=20_000,
            too_volatile_ratio=5,
        ),
    )
