"""Velocity's revenue settlement, and the snapshot of the insurance fund's value that bounds it.

Source: velocity/insurance.md §6, §7; ``controller/insurance.rs``.
"""

from seawall.arithmetic import checked_u64, sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import withdraw_from_pool
from seawall.rules.common.revenue import calculate_revenue_to_settle, is_revenue_settle_due
from seawall.rules.velocity.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.rules.velocity.receivable import (
    book_revenue_receivable,
    get_insurance_fund_nav,
    get_revenue_receivable,
    pay_out_revenue_receivable,
)
from seawall.state.facts import InterestFacts, RevenueSettleFacts
from seawall.state.spot_market import SpotMarket


@rule
def record_insurance_fund_outflow(spot_market: SpotMarket, nav_before: int, amount: int) -> None:
    """Lower the snapshot to what the fund was worth after ``amount`` tokens left it; never raises.

    A dip inside a period stays visible at the next settlement, even if the vault is refilled.
    Source: velocity/insurance.md §6; ``controller/insurance.rs::record_insurance_fund_outflow``.
    """
    spot_market.if_last_settle_vault_amount = min(
        spot_market.if_last_settle_vault_amount, sub_saturating(nav_before, amount)
    )


@rule
def calculate_revenue_settle_base(spot_market: SpotMarket, nav: int) -> int:
    """What the APR cap is taken of (tokens): the fund's value, or its lowest since the last settlement if that is less.

    Tokens sent to the vault on purpose so raise no cap. Source: velocity/insurance.md §7.3 step 6.
    """
    return min(nav, spot_market.if_last_settle_vault_amount)


@rule
def book_revenue_to_insurance_fund(
    spot_vault_amount: int,
    insurance_vault_amount: int,
    spot_market: SpotMarket,
    now: int,
    check: bool,
    funding_paused: bool,
    revenue_receivable: bool,
    interest: InterestFacts,
    facts: RevenueSettleFacts,
) -> int:
    """Take this period's revenue from the pool; returns the tokens that are the insurance fund's now.

    With ``revenue_receivable`` they stay in the spot vault as the fund's receivable, else the caller transfers them.
    ``check``: to move nothing is ``NoRevenueToSettleToIF``, except in the first settlement of a market that has
    stakers already, which only writes the snapshot. ``SpotMarketVaultInvariantViolated``,
    ``SpotMarketInsufficientDeposits``, ``MathError``.
    Source: velocity/insurance.md §7.3, §7.4; ``controller/insurance.rs::book_revenue_to_insurance_fund``.
    """
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, funding_paused, interest)
    fund = spot_market.insurance_fund
    if fund.revenue_settle_period == 0:
        return 0
    nav = get_insurance_fund_nav(spot_market, insurance_vault_amount)
    reserved = get_revenue_receivable(spot_market)
    base = calculate_revenue_settle_base(spot_market, nav)
    amount = calculate_revenue_to_settle(spot_vault_amount, base, reserved, spot_market, facts)
    snapshot_unset = fund.user_shares > 0 and spot_market.if_last_settle_vault_amount == 0
    if check and not snapshot_unset and amount == 0 and reserved == 0:
        raise SettlementError(ErrorCode.NoRevenueToSettleToIF)
    fund.last_revenue_settle_ts = now
    if revenue_receivable:
        amount = book_revenue_receivable(amount, spot_market)
    else:
        withdraw_from_pool(amount, spot_market, spot_market.revenue_pool, True)
    facts.settled = True
    facts.amount = amount
    facts.vault_amount_before = spot_vault_amount
    facts.insurance_vault_amount_before = insurance_vault_amount
    facts.total_if_shares_before = fund.total_shares
    # without any shares the whole value becomes ballast at a price of one; else the price rises for everybody
    if fund.total_shares == 0:
        fund.total_shares = nav + amount
    facts.total_if_shares_after = fund.total_shares
    spot_market.if_last_settle_vault_amount = checked_u64(nav + amount)
    return amount


@rule
def settle_revenue_to_insurance_fund(
    spot_vault_amount: int,
    insurance_vault_amount: int,
    spot_market: SpotMarket,
    now: int,
    check: bool,
    funding_paused: bool,
    revenue_receivable: bool,
    interest: InterestFacts,
    facts: RevenueSettleFacts,
) -> int:
    """Book this period's revenue and pay it out; returns the tokens to move to the insurance vault.

    With ``revenue_receivable`` that is the whole receivable, the new revenue in it. Errors as in the booking.
    Source: velocity/insurance.md §7.2, §9.
    """
    amount = book_revenue_to_insurance_fund(
        spot_vault_amount, insurance_vault_amount, spot_market, now, check, funding_paused, revenue_receivable,
        interest, facts,
    )  # fmt: skip
    if revenue_receivable:
        return pay_out_revenue_receivable(spot_market)
    return amount


@rule
def attempt_settle_revenue_to_insurance_fund(
    spot_vault_amount: int,
    insurance_vault_amount: int,
    spot_market: SpotMarket,
    now: int,
    withdraw_paused: bool,
    funding_paused: bool,
    revenue_receivable: bool,
    interest: InterestFacts,
    facts: RevenueSettleFacts,
) -> int:
    """Settle revenue in front of another instruction, if it is due; returns the tokens to move.

    The time is stamped even when nothing moves: deliberate, a settlement of 0 uses the period up. Nothing moves while
    withdraws are paused; with ``revenue_receivable`` the revenue is booked all the same, and a receivable that is open
    is paid out at the next occasion. Errors as in the booking. Source: velocity/insurance.md §7.5, §9.
    """
    if withdraw_paused and not revenue_receivable:
        return 0
    amount = 0
    if is_revenue_settle_due(spot_market.insurance_fund, now):
        amount = book_revenue_to_insurance_fund(
            spot_vault_amount, insurance_vault_amount, spot_market, now, False, funding_paused, revenue_receivable,
            interest, facts,
        )  # fmt: skip
    elif spot_market.insurance_fund_revenue_receivable_scaled != 0:
        update_spot_market_cumulative_interest_without_oracle(spot_market, now, funding_paused, interest)
    if not revenue_receivable:
        return amount
    if withdraw_paused:
        return 0
    return pay_out_revenue_receivable(spot_market)
