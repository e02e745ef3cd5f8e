"""The refresh of an AMM before anything is done with its market: peg, oracle TWAPs, validity, spreads.

Source: amm-and-funding.md §8; ``controller/repeg.rs``.
"""

from seawall.lanes import rule
from seawall.rules.common.amm_budget import apply_cost_to_market
from seawall.rules.common.amm_curve import reserve_price
from seawall.rules.common.amm_k import restore_curve, save_curve, update_k
from seawall.rules.common.amm_repeg import adjust_amm, calculate_optimal_peg_and_budget
from seawall.rules.common.amm_spread import update_spreads
from seawall.rules.common.amm_twaps import perp_sanitize_clamp_denominator, update_oracle_price_twap
from seawall.rules.common.oracles import (
    ACTION_FILL_ORDER_AMM,
    ACTION_UPDATE_AMM_CURVE,
    ACTION_UPDATE_TWAP,
    is_oracle_valid_for_action,
    oracle_validity,
    perp_confidence_multiplier,
)
from seawall.state.enums import STATUS_DELISTED, STATUS_SETTLEMENT
from seawall.state.exchange import OracleGuardRails
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket


@rule
def update_amm(market: PerpMarket, oracle: OraclePriceData, guard_rails: OracleGuardRails, now: int, slot: int) -> int:
    """Refresh a market's AMM with an oracle price; the cost booked (quote 1e6). Settled markets are left alone.

    The oracle is judged afresh, not by what the instruction found before. A peg change that the fees do not pay for
    leaves ``last_update_slot`` old although ``last_oracle_valid`` is set; deliberate, it is the program's.
    Source: amm-and-funding.md §8; ``controller/repeg.rs::_update_amm``.
    """
    if market.status == STATUS_SETTLEMENT or market.status == STATUS_DELISTED:
        return 0
    amm: AMM = market.amm
    validity = oracle_validity(
        oracle,
        amm.historical_oracle_data.last_oracle_price_twap,
        guard_rails.validity,
        perp_confidence_multiplier(market.contract_tier),
    )
    cost = 0
    paid = True
    if amm.curve_update_intensity > 0 and is_oracle_valid_for_action(validity, ACTION_UPDATE_AMM_CURVE):
        cost, paid = move_peg_toward_oracle(market, oracle.price)
    price = reserve_price(amm)
    if is_oracle_valid_for_action(validity, ACTION_UPDATE_TWAP):
        update_oracle_price_twap(amm, now, oracle, price, perp_sanitize_clamp_denominator(market.contract_tier))
    if is_oracle_valid_for_action(validity, ACTION_FILL_ORDER_AMM):
        amm.last_oracle_valid = True
        if paid:
            amm.last_update_slot = slot
    else:
        amm.last_oracle_valid = False
    update_spreads(amm, price)
    return cost


@rule
def move_peg_toward_oracle(market: PerpMarket, oracle_price: int) -> tuple[int, bool]:
    """The peg (and k) as far toward the oracle price as the budget goes: cost booked (quote 1e6), and whether it was.

    A change that the fees do not pay for is undone. Source: amm-and-funding.md §8 step 3.
    """
    amm: AMM = market.amm
    peg, budget, check_lower_bound = calculate_optimal_peg_and_budget(amm, reserve_price(amm), oracle_price)
    saved = save_curve(amm)
    cost, new_peg = adjust_amm(market, peg, budget, True)
    if not apply_cost_to_market(amm, cost, check_lower_bound):
        restore_curve(amm, saved)
        return 0, False
    # bounds and spreads are recomputed even when the curve did not move
    update_k(amm, amm.base_asset_reserve, amm.quote_asset_reserve, amm.sqrt_k)
    amm.peg_multiplier = new_peg
    return cost, True
