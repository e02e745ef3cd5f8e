"""The safe price: a market maker's price in place of the oracle's, where it is fresher, sound and close to it.

Source: drift/amm-and-funding.md §9, newer; ``state/oracle.rs::MMOraclePriceData``. Only Velocity's markets have one.
"""

from typing import Final

from seawall.arithmetic import PERCENTAGE_PRECISION, sub_saturating
from seawall.lanes import rule
from seawall.rules.common.oracles import (
    ACTION_USE_MM_ORACLE_PRICE,
    is_oracle_valid_for_action,
    perp_oracle_validity,
    perp_price_validity,
)
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.exchange import ValidityGuardRails
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket

MM_PRICE_BAND: Final = 10_000
"""How far (1e6) a market maker's price may be from the oracle's: 1 %."""


@rule
def mm_price_divergence(amm: AMM, oracle_price: int) -> int:
    """Distance (1e6) of the market maker's price from the oracle's."""
    return abs(amm.mm_oracle_price - oracle_price) * PERCENTAGE_PRECISION // max(1, abs(oracle_price))


@rule
def is_mm_price_as_recent(amm: AMM, oracle: OraclePriceData, slot: int) -> bool:
    """Whether there is a market maker's price, and the oracle's is not more recent.

    Oracles of this venue have no sequence ids, so that the delays decide.
    """
    return amm.mm_oracle_price != 0 and sub_saturating(slot, amm.mm_oracle_slot) <= oracle.delay


@rule
def safe_oracle_price(
    market: PerpMarket, oracle: OraclePriceData, rails: ValidityGuardRails, slot: int
) -> tuple[int, int, int]:
    """Price and confidence (1e6) and delay (slots) to refresh an AMM with.

    Drift: the oracle's.
    Velocity: the market maker's where it is as recent, neither volatile nor non-positive, and within 1 % of the
    oracle's; its distance widens the confidence. Errors of a price that is not positive are those of the oracle's
    class.
    """
    amm: AMM = market.amm
    if market.rulebook != RULEBOOK_VELOCITY or not is_mm_price_as_recent(amm, oracle, slot):
        return oracle.price, oracle.confidence, oracle.delay
    price = amm.mm_oracle_price
    delay = sub_saturating(slot, amm.mm_oracle_slot)
    validity = perp_price_validity(market, oracle, price, oracle.confidence, delay, rails)
    if not is_oracle_valid_for_action(validity, ACTION_USE_MM_ORACLE_PRICE):
        return oracle.price, oracle.confidence, oracle.delay
    if mm_price_divergence(amm, oracle.price) > MM_PRICE_BAND:
        return oracle.price, oracle.confidence, oracle.delay
    return price, oracle.confidence + abs(price - oracle.price), delay


@rule
def safe_price_validity(market: PerpMarket, oracle: OraclePriceData, rails: ValidityGuardRails, slot: int) -> int:
    """Class of the safe price, judged afresh; errors as ``oracle_validity``.

    Drift: that of the oracle's price.
    Velocity: that of the price which stands for it.
    """
    if market.rulebook != RULEBOOK_VELOCITY:
        return perp_oracle_validity(market, oracle, rails)
    price, confidence, delay = safe_oracle_price(market, oracle, rails, slot)
    return perp_price_validity(market, oracle, price, confidence, delay, rails)
