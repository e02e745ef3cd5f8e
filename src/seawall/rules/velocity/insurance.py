"""Velocity's insurance stakes: the fund is wholly its stakers', a deposit is charged exactly what its shares cost.

``nav`` is what the fund is worth in tokens: its vault and the receivable (``rules.velocity.receivable``). Shares that
no staker owns are ballast: they arise where a vault holds tokens while no shares exist, and nobody can withdraw them.
What both rulebooks have of it is in ``rules.common.insurance_stakes``.
Source: velocity/insurance.md §3-§5; ``controller/insurance.rs``, ``math/insurance.rs``.
"""

from seawall.arithmetic import checked_u64, div_ceil, sub_checked
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.insurance_shares import shares_not_bought_back, vault_amount_to_if_shares
from seawall.rules.common.insurance_stakes import (
    forfeit_if_shares,
    issue_if_shares,
    note_after,
    pay_requested_if_shares,
    rebase_and_note,
    update_user_stats_if_stake,
    value_requested_if_shares,
)
from seawall.rules.velocity.revenue import record_insurance_fund_outflow
from seawall.state.facts import StakeFacts
from seawall.state.insurance import InsuranceFundStake
from seawall.state.spot_market import SpotMarket
from seawall.state.user import UserStats


@rule
def deposit_amount_and_shares_for_if_stake(amount: int, total_if_shares: int, nav: int) -> tuple[int, int]:
    """The charge (tokens, at most ``amount``) and the shares it buys: whole shares, each paid for in full.

    (0, 0) where ``amount`` does not buy one share. ``InvalidIFSharesDetected``: shares exist while the fund is worth
    nothing. Source: velocity/insurance.md §3.2; ``math/insurance.rs::deposit_amount_and_shares_for_if_stake``.
    """
    n_shares = vault_amount_to_if_shares(amount, total_if_shares, nav)
    if nav == 0:
        return amount, n_shares
    if n_shares == 0:
        return 0, 0
    return div_ceil(n_shares * nav, total_if_shares), n_shares


@rule
def calculate_if_shares_lost(
    last_withdraw_request_shares: int, last_withdraw_request_value: int, total_if_shares: int, nav: int
) -> int:
    """Shares that cancelling a request forfeits: what its frozen value (tokens) would no longer buy back.

    A sole holder loses none: there is nobody else to gain. ``MathError``, ``InvalidIFSharesDetected``.
    Source: velocity/insurance.md §3.4; ``math/insurance.rs::calculate_if_shares_lost``.
    """
    if last_withdraw_request_shares >= total_if_shares:
        return 0
    return shares_not_bought_back(last_withdraw_request_shares, last_withdraw_request_value, total_if_shares, nav)


@rule
def add_insurance_fund_stake(
    amount: int,
    nav: int,
    vault_amount: int,
    stake: InsuranceFundStake,
    user_stats: UserStats,
    spot_market: SpotMarket,
    facts: StakeFacts,
) -> int:
    """Buy shares for at most ``amount`` tokens, priced before they arrive; returns the charge.

    What is left of ``amount`` after whole shares is never taken. The snapshot stays as it is.
    ``InvalidIFForNewStakes``, ``InvalidIFRebase``, ``IFDepositMintsZeroShares``, ``MathError``, ``CastingFailure``.
    Source: velocity/insurance.md §4; ``controller/insurance.rs::add_insurance_fund_stake``.
    """
    fund = spot_market.insurance_fund
    if nav == 0 and fund.total_shares != 0:
        raise SettlementError(ErrorCode.InvalidIFForNewStakes)
    # the rebase also turns a value that no shares stand for into ballast
    rebase_and_note(nav, vault_amount, stake, fund, facts)
    charge, n_shares = deposit_amount_and_shares_for_if_stake(amount, fund.total_shares, nav)
    if n_shares == 0:
        raise SettlementError(ErrorCode.IFDepositMintsZeroShares)
    issue_if_shares(n_shares, charge, stake, fund)
    update_user_stats_if_stake(checked_u64(nav + charge), stake, user_stats, spot_market)
    note_after(charge, stake.if_shares, fund, facts)
    return charge


@rule
def cancel_request_remove_insurance_fund_stake(
    nav: int,
    vault_amount: int,
    stake: InsuranceFundStake,
    user_stats: UserStats,
    spot_market: SpotMarket,
    now: int,
    facts: StakeFacts,
) -> None:
    """Withdraw a request; the shares that its frozen value no longer buys are burned for everybody's benefit.

    A request that the rebase rounded to 0 is cancelled too, and loses nothing: deliberate, nobody is locked in.
    ``InvalidIFRebase``, ``InvalidIFSharesDetected``, ``MathError``.
    Source: velocity/insurance.md §5.2; ``controller/insurance.rs::cancel_request_remove_insurance_fund_stake``.
    """
    fund = spot_market.insurance_fund
    rebase_and_note(nav, vault_amount, stake, fund, facts)
    shares_lost = calculate_if_shares_lost(
        stake.last_withdraw_request_shares, stake.last_withdraw_request_value, fund.total_shares, nav
    )
    forfeit_if_shares(shares_lost, nav, stake, user_stats, spot_market, now, facts)


@rule
def remove_insurance_fund_stake(
    nav: int,
    vault_amount: int,
    stake: InsuranceFundStake,
    user_stats: UserStats,
    spot_market: SpotMarket,
    now: int,
    revenue_receivable: bool,
    facts: StakeFacts,
) -> int:
    """Carry out the pending request: burn its shares; returns the payout in tokens, at most the frozen value.

    A payout of 0 is legal: the shares of a fund that lost everything are burned all the same. With a receivable, a
    payout that the vault cannot pay with a unit to spare is refused: a part is never paid.
    ``TryingToRemoveLiquidityTooFast``, ``InvalidIFRebase``, ``InvalidIFUnstake``, ``InsufficientIFShares``,
    ``InvalidIFSharesDetected``, ``InvalidIFUnstakeSize``, ``MathError``.
    Source: velocity/insurance.md §5.3; ``controller/insurance.rs::remove_insurance_fund_stake``.
    """
    fund = spot_market.insurance_fund
    amount = value_requested_if_shares(nav, vault_amount, stake, fund, now, facts)
    # evaluated for its failures alone: deliberate, it is the program's
    calculate_if_shares_lost(
        stake.last_withdraw_request_shares, stake.last_withdraw_request_value, fund.total_shares, nav
    )
    payout = min(amount, stake.last_withdraw_request_value)
    if revenue_receivable and payout != 0 and payout >= vault_amount:
        raise SettlementError(ErrorCode.InvalidIFUnstakeSize)
    pay_requested_if_shares(payout, stake, fund, now)
    record_insurance_fund_outflow(spot_market, nav, payout)
    update_user_stats_if_stake(sub_checked(nav, payout), stake, user_stats, spot_market)
    note_after(payout, stake.if_shares, fund, facts)
    return payout
