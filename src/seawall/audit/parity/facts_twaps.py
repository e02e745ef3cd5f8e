"""Facts of the AMM's TWAPs and deviations, and of funding."""

from seawall.arithmetic import div_trunc
from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, UnreadableFact
from seawall.audit.parity.facts_market import make_perp_market, validity_rails
from seawall.rules.common.amm_curve import reserve_price
from seawall.rules.common.amm_twaps import (
    perp_sanitize_clamp_denominator,
    update_mark_twap_from_estimates,
    update_oracle_price_twap,
)
from seawall.rules.common.funding import get_max_price_divergence_for_funding_rate
from seawall.rules.drift.funding import calculate_funding_rate_long_short, update_funding_rate
from seawall.state.enums import CONTRACT_TIER_B, ContractTier, PositionDirection
from seawall.state.exchange import OracleGuardRails
from seawall.state.facts import FundingRateFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket

PHASES = (
    "now 1..3600 each second: oracle update price 40021280 confidence 10000, then mark update trade 40051280 Long",
    "now 3601..7201 each second: oracle update price 39991280 confidence 12500; when now is a multiple of 200 also mark"
    " update trade 39971280 Short",
)
"""The two phases of the long run, as the facts describe them."""


def _oracle_update(market: PerpMarket, now: int, price: int, confidence: int) -> None:
    oracle = OraclePriceData(price=price, confidence=confidence, has_sufficient_number_of_data_points=True)
    denominator = perp_sanitize_clamp_denominator(market.contract_tier)
    update_oracle_price_twap(market, now, oracle, reserve_price(market.amm), denominator)


def _mark_update(market: PerpMarket, now: int, price: int, direction: str) -> None:
    denominator = perp_sanitize_clamp_denominator(market.contract_tier)
    update_mark_twap_from_estimates(market, now, price, PositionDirection[direction], denominator)


def _mark_twap(inputs: Inputs) -> Found:
    market = make_perp_market(inputs)
    _mark_update(market, inputs.number("now"), inputs.number("trade_price"), inputs.text("direction"))
    return market.amm


def _oracle_twaps(inputs: Inputs) -> Found:
    """Several oracle updates; the lists name which of the steps they are taken after."""
    inputs.ignore("contract_tier_clamp")  # that of the default tier
    market = make_perp_market(inputs)
    history = market.amm.historical_oracle_data
    hour, five, std, conf = [], [], [], []
    for step in inputs.items("steps"):
        if "set_both_twap_ts_to" in step:
            history.last_oracle_price_twap_ts = market.amm.last_mark_price_twap_ts = step.number("set_both_twap_ts_to")
        price = step.number("price") if "price" in step else inputs.number("price")
        _oracle_update(market, step.number("now"), price, step.number("confidence"))
        hour.append(history.last_oracle_price_twap)
        five.append(history.last_oracle_price_twap_5min)
        std.append(market.amm.oracle_std)
        conf.append(market.amm.last_oracle_conf_pct)
    return {
        "oracle_twap_after_first_three": hour[:3],
        "oracle_twap_5min_after_last_three": five[-3:],
        "oracle_std_after_last_three": std[-3:],
        "last_oracle_conf_pct": conf,
    }


def _every_second(inputs: Inputs) -> Found:
    market = make_perp_market(inputs)
    history = market.amm.historical_oracle_data
    samples = inputs.numbers("sample_when_now_equals")
    price, confidence = inputs.number("price"), inputs.number("confidence")
    hour, five, normalised = [], [], []
    for now in range(inputs.number("first_now"), max(samples) + 1):
        if now in samples:
            hour.append(history.last_oracle_price_twap)
            five.append(history.last_oracle_price_twap_5min)
            normalised.append(market.amm.last_oracle_normalised_price)
        _oracle_update(market, now, price, confidence)
    return {"oracle_twap": hour, "oracle_twap_5min": five, "last_oracle_normalised_price": normalised}


def _long_run(inputs: Inputs) -> Found:
    if (inputs.text("phase1"), inputs.text("phase2")) != PHASES:
        raise UnreadableFact("other phases than those that are known")
    inputs.ignore("field_order", "field_order_first")
    market = make_perp_market(inputs)
    amm = market.amm
    found = {}
    for now in range(1, 7_202):
        if now <= 3_600:
            _oracle_update(market, now, 40_021_280, 10_000)
            _mark_update(market, now, 40_051_280, "Long")
        else:
            _oracle_update(market, now, 39_991_280, 12_500)
            if now % 200 == 0:
                _mark_update(market, now, 39_971_280, "Short")
        if now == 1:
            found["first"] = [amm.last_mark_price_twap, amm.last_bid_price_twap, amm.last_ask_price_twap]
        elif now in (3_600, 7_201):
            found[f"at_{now}"] = _memory(amm)
    return found


def _memory(amm: AMM) -> list[int]:
    return [
        amm.historical_oracle_data.last_oracle_price_twap,
        amm.last_bid_price_twap,
        amm.last_mark_price_twap,
        amm.last_ask_price_twap,
        amm.mark_std,
        amm.oracle_std,
    ]


# --- funding ---------------------------------------------------------------------------------------------------


def _rates(inputs: Inputs) -> Found:
    """The rate of an hour without the 1/5000 offset (so do the tests), capped as for the tiers A and B."""
    market = make_perp_market(inputs)
    oracle_twap = inputs.number("oracle_price_twap")
    cap = get_max_price_divergence_for_funding_rate(CONTRACT_TIER_B, oracle_twap)
    spread = inputs.number("mark_price_twap") - oracle_twap
    rate = div_trunc(max(-cap, min(cap, spread)) * 1_000, 24)
    rate_long, rate_short, _ = calculate_funding_rate_long_short(market, rate)
    return {"funding_rate": rate, "funding_rate_long": rate_long, "funding_rate_short": rate_short}, market.amm


def _divergence_cap(inputs: Inputs) -> Found:
    tier = ContractTier[inputs.text("contract_tier")]
    return {"max_price_divergence": get_max_price_divergence_for_funding_rate(tier, inputs.number("oracle_price_twap"))}


def _final_stage(inputs: Inputs) -> Found:
    """The whole update, with TWAPs of this very second, so that no update of theirs changes them."""
    market = make_perp_market(inputs)
    amm = market.amm
    now = inputs.number("now")
    history = amm.historical_oracle_data
    price = history.last_oracle_price_twap
    amm.base_asset_reserve = amm.quote_asset_reserve = amm.sqrt_k = 10**15
    amm.peg_multiplier = price
    amm.last_bid_price_twap = amm.last_ask_price_twap = amm.last_mark_price_twap
    amm.last_mark_price_twap_ts = history.last_oracle_price_twap_ts = now
    history.last_oracle_price_twap_5min = history.last_oracle_price = price
    oracle = OraclePriceData(price=price, confidence=1, has_sufficient_number_of_data_points=True)
    rails = OracleGuardRails(validity=validity_rails())
    update_funding_rate(market, oracle, rails, price, False, now, 0, FundingRateFacts())
    return amm


ADAPTERS: dict[str, Adapter] = {
    "update_mark_twap_from_estimates": _mark_twap,
    "update_oracle_price_twap": _oracle_twaps,
    "update_oracle_price_twap (called once per second)": _every_second,
    "update_oracle_price_twap and update_mark_twap_from_estimates (long run)": _long_run,
    "calculate_funding_rate_long_short": _rates,
    "get_max_price_divergence_for_funding_rate": _divergence_cap,
    "update_funding_rate (final stage)": _final_stage,
}
