"""How much revenue may move to an insurance fund at a time. Source: insurance.md §6; velocity/insurance.md §7."""

from typing import Final

from seawall.arithmetic import ONE_YEAR, PERCENTAGE_PRECISION, sub_saturating, to_u64
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.statistics import on_the_hour_update
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.state.enums import DEPOSIT
from seawall.state.facts import RevenueSettleFacts
from seawall.state.spot_market import InsuranceFund, SpotMarket

MAX_APR_PER_REVENUE_SETTLE: Final = 10_000_000
"""1000 % a year (1e6): the cap of one settlement, taken pro rata of the period. Source: insurance.md §1.4."""


@rule
def seconds_until_revenue_settle(fund: InsuranceFund, now: int) -> int:
    """Seconds until revenue may be settled again (0: now); for a positive period. Source: insurance.md §0.3."""
    return on_the_hour_update(now, fund.last_revenue_settle_ts, fund.revenue_settle_period)


@rule
def is_revenue_settle_due(fund: InsuranceFund, now: int) -> bool:
    """Whether revenue settles at all, and may settle now."""
    return fund.revenue_settle_period > 0 and seconds_until_revenue_settle(fund, now) == 0


@rule
def calculate_apr_cap(fund_value: int, revenue_settle_period: int) -> int:
    """Tokens that one settlement may add to a fund with stakers: 1000 % of its value a year, a period's part.

    The year is divided by the period first, rounded down: deliberate, it is the program's.
    Source: insurance.md §6.2 step 7.
    """
    periods = ONE_YEAR // revenue_settle_period
    if periods < 1:
        periods = 1
    return fund_value * MAX_APR_PER_REVENUE_SETTLE // PERCENTAGE_PRECISION // periods


@rule
def calculate_revenue_to_settle(
    spot_vault_amount: int, fund_value: int, reserved: int, spot_market: SpotMarket, facts: RevenueSettleFacts
) -> int:
    """Tokens of the revenue pool that may move now; the caps that were looked at are noted in the facts.

    ``fund_value`` is what the APR cap is taken of; ``reserved`` tokens of the depositors' claim are spoken for.
    ``SpotMarketVaultInvariantViolated``, ``CastingFailure``. Source: insurance.md §6.2 steps 4-8.
    """
    claim = validate_spot_market_vault_amount(spot_market, spot_vault_amount)
    revenue = get_token_amount(spot_market.revenue_pool.scaled_balance, spot_market, DEPOSIT)
    facts.depositors_claim = claim
    facts.revenue_pool = revenue
    unreserved = sub_saturating(max(claim, 0), reserved)
    facts.claim_bound = unreserved < revenue
    if facts.claim_bound:
        revenue = unreserved // 2
    facts.available = revenue
    fund = spot_market.insurance_fund
    if fund.user_shares > 0:
        facts.has_stakers = True
        facts.tenth = revenue // 10
        facts.apr_base = fund_value
        facts.apr_cap = calculate_apr_cap(fund_value, fund.revenue_settle_period)
        revenue = min(facts.tenth, facts.apr_cap)
    return to_u64(revenue)
