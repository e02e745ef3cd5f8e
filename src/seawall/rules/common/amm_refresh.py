"""The refresh of an AMM before anything is done with its market: peg, oracle TWAPs, validity, spreads.

Source: amm-and-funding.md §8; ``controller/repeg.rs``.
"""

from seawall.lanes import rule
from seawall.rules.common.amm_budget import apply_cost_to_market
from seawall.rules.common.amm_curve import reserve_price
from seawall.rules.common.amm_k import SAVED_OFFSET, restore_curve, save_curve, update_k
from seawall.rules.common.amm_repeg import adjust_amm, calculate_optimal_peg_and_budget
from seawall.rules.common.amm_spread import update_spreads
from seawall.rules.common.amm_twaps import perp_sanitize_clamp_denominator, update_oracle_price_twap
from seawall.rules.common.oracles import (
    ACTION_FILL_ORDER_AMM,
    ACTION_FILL_ORDER_AMM_LOW_RISK,
    ACTION_UPDATE_AMM_CURVE,
    ACTION_UPDATE_TWAP,
    is_oracle_valid_for_action,
)
from seawall.rules.common.safe_price import safe_oracle_price, safe_price_validity
from seawall.state.enums import RULEBOOK_VELOCITY, STATUS_DELISTED, STATUS_SETTLEMENT
from seawall.state.exchange import OracleGuardRails
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket


@rule
def update_amm(market: PerpMarket, oracle: OraclePriceData, guard_rails: OracleGuardRails, now: int, slot: int) -> int:
    """Refresh a market's AMM with an oracle price; the cost booked (quote 1e6). Settled markets are left alone.

    The oracle is judged afresh, not by what the instruction found before. A peg change that the fees do not pay for
    leaves ``last_update_slot`` old although ``last_oracle_valid`` is set; deliberate, it is the program's.

    Drift: the oracle's price, which must be Valid.
    Velocity: the safe price, good enough for low-risk fills of the AMM; the sample is attested.

    Source: amm-and-funding.md §8; ``controller/repeg.rs::_update_amm``.
    """
    if market.status == STATUS_SETTLEMENT or market.status == STATUS_DELISTED:
        return 0
    amm: AMM = market.amm
    safe_price, safe_confidence, _ = safe_oracle_price(market, oracle, guard_rails.validity, slot)
    validity = safe_price_validity(market, oracle, guard_rails.validity, slot)
    action = ACTION_FILL_ORDER_AMM
    if market.rulebook == RULEBOOK_VELOCITY:
        action = ACTION_FILL_ORDER_AMM_LOW_RISK
    cost = 0
    paid = True
    if amm.curve_update_intensity > 0 and is_oracle_valid_for_action(validity, ACTION_UPDATE_AMM_CURVE):
        cost, paid = move_peg_toward_oracle(market, safe_price)
    price = reserve_price(amm)
    if is_oracle_valid_for_action(validity, ACTION_UPDATE_TWAP):
        denominator = perp_sanitize_clamp_denominator(market.contract_tier)
        update_oracle_price_twap(market, now, oracle, price, denominator, safe_price, safe_confidence)
    # before the slot is taken down: the offset is smoothed by how long ago that was
    update_spreads(market, price, slot)
    amm.last_oracle_valid = is_oracle_valid_for_action(validity, action)
    if amm.last_oracle_valid:
        if market.rulebook == RULEBOOK_VELOCITY:
            attest_sample(amm, oracle, slot)
        if paid:
            amm.last_update_slot = slot
    return cost


@rule
def attest_sample(amm: AMM, oracle: OraclePriceData, slot: int) -> None:
    """Remember the sample that a refresh found good: price and confidence (1e6), and the slot it was posted in.

    Only Velocity asks for it (``rules/velocity/attestation.py``).
    """
    amm.attested_oracle_price = oracle.price
    amm.attested_oracle_confidence = oracle.confidence
    amm.attested_oracle_slot = max(0, slot - oracle.delay)


@rule
def move_peg_toward_oracle(market: PerpMarket, oracle_price: int) -> tuple[int, bool]:
    """The peg (and k) as far toward the oracle price as the budget goes: cost booked (quote 1e6), and whether it was.

    A change that the fees do not pay for is undone.
    Drift: k may be cut to pay for a peg at any intensity.
    Velocity: from intensity 100.
    Source: amm-and-funding.md §8 step 3.
    """
    amm: AMM = market.amm
    peg, budget, check_lower_bound = calculate_optimal_peg_and_budget(market, reserve_price(amm), oracle_price)
    saved = save_curve(amm)
    adjust_k = market.rulebook != RULEBOOK_VELOCITY or amm.curve_update_intensity >= 100
    cost, new_peg = adjust_amm(market, peg, budget, adjust_k)
    if not apply_cost_to_market(market, cost, check_lower_bound):
        restore_curve(amm, saved)
        return 0, False
    # bounds and spreads are recomputed even when the curve did not move; the trial moved the offset of a copy only
    amm.reference_price_offset = saved[SAVED_OFFSET]
    update_k(market, amm.base_asset_reserve, amm.quote_asset_reserve, amm.sqrt_k)
    amm.peg_multiplier = new_peg
    return cost, True
