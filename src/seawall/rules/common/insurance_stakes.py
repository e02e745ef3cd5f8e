"""What the stake flows of both rulebooks are made of. Source: insurance.md §3, §4; velocity/insurance.md §3.5-§5.

Each flow notes the figures of its event in a ``StakeFacts``: «before» is after the rebase and before the change.
``fund_value`` is what the fund is worth in tokens (Drift: its vault; Velocity: the vault and the receivable).
"""

from typing import Final

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, checked_i64, sub_checked, sub_saturating, to_i64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.insurance_shares import (
    apply_rebase_to_insurance_fund,
    apply_rebase_to_insurance_fund_stake,
    checked_if_shares,
    if_shares_to_vault_amount,
    seconds_until_unstaking,
    vault_amount_to_if_shares,
)
from seawall.rules.common.interest import calculate_spot_market_utilization
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.facts import StakeFacts
from seawall.state.insurance import InsuranceFundStake
from seawall.state.spot_market import InsuranceFund, SpotMarket
from seawall.state.user import UserStats

HEALTHY_UTILIZATION: Final = 800_000
"""Utilization (1e6) above which stakes may not leave a Drift market. Source: insurance.md §1.4."""

VELOCITY_HEALTHY_UTILIZATION: Final = 900_000
"""The same for a Velocity market. Source: velocity/insurance.md §5.3."""


@rule
def note_before(vault_amount: int, if_shares: int, fund: InsuranceFund, facts: StakeFacts) -> None:
    """Note the figures before a change: the vault (tokens), the holder's and all shares."""
    facts.insurance_vault_amount_before = vault_amount
    facts.if_shares_before = if_shares
    facts.user_if_shares_before = fund.user_shares
    facts.total_if_shares_before = fund.total_shares


@rule
def note_after(amount: int, if_shares: int, fund: InsuranceFund, facts: StakeFacts) -> None:
    """Note the amount (tokens) and the holder's and all shares after a change."""
    facts.amount = amount
    facts.if_shares_after = if_shares
    facts.user_if_shares_after = fund.user_shares
    facts.total_if_shares_after = fund.total_shares


@rule
def rebase_and_note(
    fund_value: int, vault_amount: int, stake: InsuranceFundStake, fund: InsuranceFund, facts: StakeFacts
) -> None:
    """Rebase the fund, then the stake, and note the figures before the change; ``InvalidIFRebase``."""
    apply_rebase_to_insurance_fund(fund_value, fund)
    apply_rebase_to_insurance_fund_stake(stake, fund)
    note_before(vault_amount, checked_if_shares(stake, fund), fund, facts)


@rule
def issue_if_shares(n_shares: int, paid: int, stake: InsuranceFundStake, fund: InsuranceFund) -> None:
    """Give a stake ``n_shares`` for ``paid`` tokens; a stake without shares begins a new cost basis.

    ``CastingFailure``, ``MathError``. Source: insurance.md §4.2.
    """
    if stake.if_shares == 0:
        stake.cost_basis = to_i64(paid)
    else:
        stake.cost_basis = checked_i64(stake.cost_basis + to_i64(paid))
    stake.if_shares = stake.if_shares + n_shares
    fund.total_shares = fund.total_shares + n_shares
    fund.user_shares = fund.user_shares + n_shares


@rule
def burn_if_shares(n_shares: int, stake: InsuranceFundStake, fund: InsuranceFund) -> None:
    """Take ``n_shares`` from a stake and from its fund; ``MathError`` below zero."""
    stake.if_shares = sub_checked(stake.if_shares, n_shares)
    fund.total_shares = sub_checked(fund.total_shares, n_shares)
    fund.user_shares = sub_checked(fund.user_shares, n_shares)


@rule
def clear_withdraw_request(stake: InsuranceFundStake, now: int) -> None:
    """Nothing is requested any more, as of ``now``."""
    stake.last_withdraw_request_shares = 0
    stake.last_withdraw_request_value = 0
    stake.last_withdraw_request_ts = now


@rule
def update_user_stats_if_stake(
    fund_value: int, stake: InsuranceFundStake, user_stats: UserStats, spot_market: SpotMarket
) -> None:
    """Remember the present value (tokens) of a stake in the quote fund; other funds touch no statistics.

    ``InvalidIFRebase``, ``InvalidIFSharesDetected``, ``CastingFailure``. Source: insurance.md §3.
    """
    if spot_market.market_index != QUOTE_SPOT_MARKET_INDEX:
        return
    fund = spot_market.insurance_fund
    user_stats.if_staked_quote_asset_amount = if_shares_to_vault_amount(
        checked_if_shares(stake, fund), fund.total_shares, fund_value
    )


@rule
def calculate_requested_if_shares(
    amount: int, fund_value: int, stake: InsuranceFundStake, spot_market: SpotMarket
) -> int:
    """Shares that a request to remove ``amount`` tokens locks, priced before any rebase.

    The stake must be in the fund's base already: deliberate, only adding (or a running request) catches up.
    ``InvalidIFSharesDetected``, ``IFWithdrawRequestTooSmall``, ``InvalidIFRebase``, ``InsufficientIFShares``.
    Source: insurance.md §4.3 step 4-5; velocity/insurance.md §5.1.
    """
    fund = spot_market.insurance_fund
    n_shares = vault_amount_to_if_shares(amount, fund.total_shares, fund_value)
    if n_shares == 0:
        raise SettlementError(ErrorCode.IFWithdrawRequestTooSmall)
    if checked_if_shares(stake, fund) < n_shares:
        raise SettlementError(ErrorCode.InsufficientIFShares)
    return n_shares


@rule
def request_remove_insurance_fund_stake(
    n_shares: int,
    fund_value: int,
    vault_amount: int,
    stake: InsuranceFundStake,
    user_stats: UserStats,
    spot_market: SpotMarket,
    now: int,
    facts: StakeFacts,
) -> None:
    """Lock ``n_shares`` and freeze what they are worth now: the payout later is that or less.

    The request is stored before the rebase, which so divides it with the stake.
    ``InvalidInsuranceUnstakeSize``, ``InvalidIFRebase``, ``InvalidIFUnstakeSize``.
    Source: insurance.md §4.3; velocity/insurance.md §5.1.
    """
    fund = spot_market.insurance_fund
    stake.last_withdraw_request_shares = n_shares
    rebase_and_note(fund_value, vault_amount, stake, fund, facts)
    if stake.last_withdraw_request_shares > stake.if_shares:
        raise SettlementError(ErrorCode.InvalidInsuranceUnstakeSize)
    value = if_shares_to_vault_amount(stake.last_withdraw_request_shares, fund.total_shares, fund_value)
    # the fund always keeps one unit: deliberate, it is the program's
    stake.last_withdraw_request_value = min(value, sub_saturating(fund_value, 1))
    if stake.last_withdraw_request_value != 0 and stake.last_withdraw_request_value >= fund_value:
        raise SettlementError(ErrorCode.InvalidIFUnstakeSize)
    update_user_stats_if_stake(fund_value, stake, user_stats, spot_market)
    note_after(stake.last_withdraw_request_value, stake.if_shares, fund, facts)
    stake.last_withdraw_request_ts = now


@rule
def forfeit_if_shares(
    n_shares: int,
    fund_value: int,
    stake: InsuranceFundStake,
    user_stats: UserStats,
    spot_market: SpotMarket,
    now: int,
    facts: StakeFacts,
) -> None:
    """End a cancelled request: burn the shares it lost, to the benefit of all others. ``MathError``."""
    burn_if_shares(n_shares, stake, spot_market.insurance_fund)
    update_user_stats_if_stake(fund_value, stake, user_stats, spot_market)
    note_after(0, stake.if_shares, spot_market.insurance_fund, facts)
    facts.forfeited_shares = n_shares
    clear_withdraw_request(stake, now)


@rule
def value_requested_if_shares(
    fund_value: int, vault_amount: int, stake: InsuranceFundStake, fund: InsuranceFund, now: int, facts: StakeFacts
) -> int:
    """What the shares of a request whose cooldown is over are worth in tokens, after the rebase.

    ``TryingToRemoveLiquidityTooFast``, ``InvalidIFRebase``, ``InvalidIFUnstake``, ``InsufficientIFShares``.
    Source: insurance.md §4.5 step 1-5; velocity/insurance.md §5.3.
    """
    if seconds_until_unstaking(stake, fund, now) > 0:
        raise SettlementError(ErrorCode.TryingToRemoveLiquidityTooFast)
    rebase_and_note(fund_value, vault_amount, stake, fund, facts)
    if stake.last_withdraw_request_shares == 0:
        raise SettlementError(ErrorCode.InvalidIFUnstake)
    if stake.if_shares < stake.last_withdraw_request_shares:
        raise SettlementError(ErrorCode.InsufficientIFShares)
    facts.share_value = if_shares_to_vault_amount(stake.last_withdraw_request_shares, fund.total_shares, fund_value)
    return facts.share_value


@rule
def pay_requested_if_shares(payout: int, stake: InsuranceFundStake, fund: InsuranceFund, now: int) -> None:
    """Burn all shares of a request for a payout (tokens), and clear it. ``MathError``, ``CastingFailure``."""
    burn_if_shares(stake.last_withdraw_request_shares, stake, fund)
    stake.cost_basis = checked_i64(stake.cost_basis - to_i64(payout))
    clear_withdraw_request(stake, now)


@rule
def healthy_utilization(spot_market: SpotMarket) -> int:
    """Utilization (1e6) up to which stakes may leave.

    Drift: 80 %.
    Velocity: 90 %.
    Source: insurance.md §1.4; velocity/insurance.md §5.3.
    """
    if spot_market.rulebook == RULEBOOK_VELOCITY:
        return VELOCITY_HEALTHY_UTILIZATION
    return HEALTHY_UTILIZATION


@rule
def is_healthy_utilization(spot_market: SpotMarket) -> bool:
    """Whether stakes may leave: neither utilization nor its TWAP is too high. Interest is not accrued first.

    Source: insurance.md §4.5; ``state/spot_market.rs::is_healthy_utilization``.
    """
    most = healthy_utilization(spot_market)
    if spot_market.utilization_twap > most:
        return False
    return calculate_spot_market_utilization(spot_market) <= most
