"""Facts of Velocity: funding rates, the AMM's own funding, its balance sheet and the k update with funding."""

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, UnreadableFact
from seawall.rules.common.amm_k import formulaic_update_k, update_bounds
from seawall.rules.common.balances import get_spot_balance
from seawall.rules.common.funding import get_max_price_divergence_for_funding_rate
from seawall.rules.velocity.amm_books import apply_fill_fees, record_amm_pnl
from seawall.rules.velocity.amm_stats import calculate_amm_equity
from seawall.rules.velocity.fee_ledger import accrue_fill_fees
from seawall.rules.velocity.funding import (
    calculate_amm_funding_payment,
    calculate_funding_rate_long_short,
    calculate_premium_with_offset,
)
from seawall.state.enums import CONTRACT_TIER_B, CONTRACT_TIER_C, CONTRACT_TIER_SPECULATIVE, DEPOSIT, RULEBOOK_VELOCITY
from seawall.state.facts import CurveFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import PoolBalance, SpotMarket

_TIERS = {33: CONTRACT_TIER_B, 20: CONTRACT_TIER_C, 10: CONTRACT_TIER_SPECULATIVE}
_PRICE = 1_000_000
_INDEX = 10_000_000_000
_TEST_EQUITY = 1_000_000_000
_TEST_COSTS = (0, 500_000_000, -500_000_000)
"""What the test of the k update starts with, and its first steps."""


# --- funding ---------------------------------------------------------------------------------------------------


def _rates(inputs: Inputs) -> Found:
    amm = PerpMarket(rulebook=RULEBOOK_VELOCITY).amm
    amm.base_asset_amount_with_amm = inputs.number("net_base", 0)
    amm.base_asset_amount_long = inputs.number("base_long", 0)
    amm.base_asset_amount_short = inputs.number("base_short", 0)
    amm.total_fee_minus_distributions = inputs.number("tfmd", 0)
    rate_long, rate_short, pnl = calculate_funding_rate_long_short(amm, inputs.number("funding_rate", 0), 0)
    record_amm_pnl(amm, pnl)
    tfmd = amm.total_fee_minus_distributions
    return {"rate_long": rate_long, "rate_short": rate_short, "pnl": pnl, "tfmd_after": tfmd}


def _premium(inputs: Inputs) -> Found:
    names = ("price_spread", "threshold", "slope", "offset")
    return {"premium": calculate_premium_with_offset(*(inputs.number(name) for name in names))}


def _divergence_cap(inputs: Inputs) -> Found:
    """The facts name the divisor; it is that of a tier."""
    divisor = inputs.number("divisor")
    if divisor not in _TIERS:
        raise UnreadableFact(f"no tier has the divisor {divisor}")
    cap = get_max_price_divergence_for_funding_rate(_TIERS[divisor], inputs.number("oracle_twap"))
    return {"max_divergence": cap}


def _amm_payment(inputs: Inputs) -> Found:
    names = ("delta_long", "delta_short", "base_long", "base_short")
    return {"payment": calculate_amm_funding_payment(*(inputs.number(name, 0) for name in names))}


# --- the AMM's books -------------------------------------------------------------------------------------------


def _fund(pool: PoolBalance, spot_market: SpotMarket, tokens: int) -> None:
    pool.scaled_balance = get_spot_balance(tokens, spot_market, DEPOSIT, False)
    spot_market.deposit_balance += pool.scaled_balance


def _balance_sheet(inputs: Inputs) -> Found:
    """A market without net position, so that its price does not matter; a fill's fees are booked where there is one."""
    market = PerpMarket(rulebook=RULEBOOK_VELOCITY)
    quote_market = SpotMarket(
        rulebook=RULEBOOK_VELOCITY, decimals=6, cumulative_deposit_interest=_INDEX, cumulative_borrow_interest=_INDEX
    )
    quote_asset = inputs.number("quote_asset", 0)
    market.amm.quote_asset_amount = inputs.number("quote_asset_after_fill", quote_asset)
    _fund(market.pnl_pool, quote_market, inputs.number("pnl_pool_tokens", 0))
    _fund(market.amm.fee_pool, quote_market, inputs.number("fee_pool_tokens", 0))
    protocol, insurance = inputs.number("pending_protocol", 0), inputs.number("pending_if", 0)
    amm_fee = inputs.number("amm_fee", 0)
    # the provision of a fill is the AMM's fee; what is pending beyond it was booked before
    before = inputs.number("pending_provision", 0) - amm_fee
    market.fee_ledger.pending_amm_provision = market.fee_ledger.amm_protocol_fees_received = before
    accrue_fill_fees(market.fee_ledger, protocol + insurance + amm_fee, protocol, insurance, amm_fee)
    market.pending_revenue_share = inputs.number("pending_revenue_share", 0)
    apply_fill_fees(market.amm, amm_fee, 0)
    return {
        "tfmd": market.amm.total_fee_minus_distributions,
        "recomputed_tfmd": calculate_amm_equity(market, quote_market, _PRICE),
    }


def _formulaic_k(inputs: Inputs) -> Found:
    """The position is all of one side; bounds and terminal reserve follow from the curve.

    A fact that names no equity is the last step of its test: the steps before it come first, and it tells the change.
    """
    market = PerpMarket(rulebook=RULEBOOK_VELOCITY)
    amm = market.amm
    amm.concentration_coef = 1_414_200
    net = inputs.number("amm_base", 0)
    amm.base_asset_amount_with_amm = net
    amm.base_asset_amount_long = max(net, 0)
    amm.base_asset_amount_short = min(net, 0)
    amm.total_fee_minus_distributions = inputs.number("tfmd", _TEST_EQUITY)
    inputs.fill(market, "amm")
    update_bounds(amm)
    before = 0
    if "tfmd" not in inputs:
        for cost in _TEST_COSTS:
            formulaic_update_k(market, cost, CurveFacts())
        before = amm.total_fee_minus_distributions
    formulaic_update_k(market, inputs.number("funding_cost", 0), CurveFacts())
    return {"sqrt_k": amm.sqrt_k, "tfmd_after": amm.total_fee_minus_distributions - before}


ADAPTERS: dict[str, Adapter] = {
    "funding_rate_long_short": _rates,
    "funding_premium_with_offset": _premium,
    "max_price_divergence_for_funding": _divergence_cap,
    "amm_funding_payment": _amm_payment,
    "balance_sheet_identity": _balance_sheet,
    "balance_sheet_identity_after_settle": _balance_sheet,
    "balance_sheet_identity_after_sweep": _balance_sheet,
    "formulaic_k_update": _formulaic_k,
}
