"""What the AMM may spend on its curve, and booking what it spent (quote 1e6). Source: amm-and-funding.md §5."""

from seawall.arithmetic import sub_checked, to_i64
from seawall.lanes import rule
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.perp_market import AMM, PerpMarket


@rule
def get_total_fee_lower_bound(amm: AMM) -> int:
    """Half of all exchange fees: what stays reserved. Source: ``math/repeg.rs::get_total_fee_lower_bound``."""
    return amm.total_exchange_fee // 2


@rule
def calculate_reserved_fees(market: PerpMarket) -> int:
    """Fees that curve changes must not touch; ``MathError`` where more was withdrawn than reserved.

    Drift: half of all exchange fees and all liquidation fees, less what was withdrawn.
    Velocity: none; what belongs to others never enters the AMM's books.
    """
    if market.rulebook == RULEBOOK_VELOCITY:
        return 0
    amm: AMM = market.amm
    return sub_checked(get_total_fee_lower_bound(amm) + amm.total_liquidation_fee, amm.total_fee_withdrawn)


@rule
def calculate_fee_pool(market: PerpMarket) -> int:
    """What is available for curve changes. Source: amm-and-funding.md §5; ``math/repeg.rs::calculate_fee_pool``."""
    return max(0, market.amm.total_fee_minus_distributions - calculate_reserved_fees(market))


@rule
def apply_cost_to_market(market: PerpMarket, cost: int, check_lower_bound: bool) -> bool:
    """Book a cost of the curve; False, and nothing booked, where the check refuses it.

    Source: amm-and-funding.md §5; velocity/amm-and-funding.md §2; ``controller/repeg.rs::apply_cost_to_market``.
    """
    amm: AMM = market.amm
    if cost > 0:
        after = amm.total_fee_minus_distributions - cost
        # computed, and able to fail, even when it is not checked; deliberate
        reserved = calculate_reserved_fees(market)
        if check_lower_bound and after < reserved:
            return False
        amm.total_fee_minus_distributions = after
    else:
        amm.total_fee_minus_distributions -= cost
    amm.net_revenue_since_last_funding -= to_i64(cost)
    return True
