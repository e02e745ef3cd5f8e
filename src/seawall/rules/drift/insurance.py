"""The drift rulebook's insurance stakes: stake, request, cancel, remove, and transfers of the protocol's shares.

Each flow notes the figures of its event in a ``StakeFacts``: «before» is after the rebase and before the change.
Source: insurance.md §3, §4, §7; ``controller/insurance.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    EPOCH_DURATION,
    QUOTE_SPOT_MARKET_INDEX,
    checked_i64,
    checked_u64,
    sub_checked,
    sub_saturating,
    to_i64,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.insurance_shares import (
    apply_rebase_to_insurance_fund,
    apply_rebase_to_insurance_fund_stake,
    calculate_if_shares_lost,
    checked_if_shares,
    get_protocol_shares,
    if_shares_to_vault_amount,
    seconds_until_unstaking,
    vault_amount_to_if_shares,
)
from seawall.rules.common.interest import calculate_spot_market_utilization
from seawall.state.facts import StakeFacts
from seawall.state.insurance import InsuranceFundStake, ProtocolIfSharesTransferConfig
from seawall.state.spot_market import InsuranceFund, SpotMarket
from seawall.state.user import UserStats

HEALTHY_UTILIZATION: Final = 800_000
"""Utilization (1e6) above which stakes may not leave. Source: insurance.md §1.4."""


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
def update_user_stats_if_stake(
    vault_amount: int, stake: InsuranceFundStake, user_stats: UserStats, spot_market: SpotMarket
) -> None:
    """Remember the present value (tokens) of a stake in the quote fund; other funds touch no statistics.

    ``InvalidIFRebase``, ``InvalidIFSharesDetected``, ``CastingFailure``. Source: insurance.md §3.
    """
    if spot_market.market_index != QUOTE_SPOT_MARKET_INDEX:
        return
    fund = spot_market.insurance_fund
    user_stats.if_staked_quote_asset_amount = if_shares_to_vault_amount(
        checked_if_shares(stake, fund), fund.total_shares, vault_amount
    )


@rule
def add_insurance_fund_stake(
    amount: int,
    vault_amount: int,
    stake: InsuranceFundStake,
    user_stats: UserStats,
    spot_market: SpotMarket,
    facts: StakeFacts,
) -> None:
    """Buy shares for ``amount`` tokens with the vault as it is before they arrive.

    An amount worth less than a share buys none and is taken all the same: deliberate, it is the program's.
    ``InvalidIFForNewStakes``, ``InvalidIFRebase``, ``MathError``, ``CastingFailure``. Source: insurance.md §4.2.
    """
    fund = spot_market.insurance_fund
    if vault_amount == 0 and fund.total_shares != 0:
        raise SettlementError(ErrorCode.InvalidIFForNewStakes)
    apply_rebase_to_insurance_fund(vault_amount, fund)
    apply_rebase_to_insurance_fund_stake(stake, fund)
    note_before(vault_amount, checked_if_shares(stake, fund), fund, facts)
    n_shares = vault_amount_to_if_shares(amount, fund.total_shares, vault_amount)
    if stake.if_shares == 0:
        stake.cost_basis = to_i64(amount)
    else:
        stake.cost_basis = checked_i64(stake.cost_basis + to_i64(amount))
    stake.if_shares = stake.if_shares + n_shares
    fund.total_shares = fund.total_shares + n_shares
    fund.user_shares = fund.user_shares + n_shares
    update_user_stats_if_stake(checked_u64(vault_amount + amount), stake, user_stats, spot_market)
    note_after(amount, stake.if_shares, fund, facts)


@rule
def calculate_requested_if_shares(
    amount: int, vault_amount: int, stake: InsuranceFundStake, spot_market: SpotMarket
) -> int:
    """Shares that a request to remove ``amount`` tokens locks, priced before any rebase.

    The stake must be in the fund's base already: deliberate, only adding (or a running request) catches up.
    ``InvalidIFSharesDetected``, ``IFWithdrawRequestTooSmall``, ``InvalidIFRebase``, ``InsufficientIFShares``.
    Source: insurance.md §4.3 step 4-5.
    """
    fund = spot_market.insurance_fund
    n_shares = vault_amount_to_if_shares(amount, fund.total_shares, vault_amount)
    if n_shares == 0:
        raise SettlementError(ErrorCode.IFWithdrawRequestTooSmall)
    if checked_if_shares(stake, fund) < n_shares:
        raise SettlementError(ErrorCode.InsufficientIFShares)
    return n_shares


@rule
def request_remove_insurance_fund_stake(
    n_shares: int,
    vault_amount: int,
    stake: InsuranceFundStake,
    user_stats: UserStats,
    spot_market: SpotMarket,
    now: int,
    facts: StakeFacts,
) -> None:
    """Lock ``n_shares`` and freeze what they are worth now: the payout later is that or less.

    ``InvalidInsuranceUnstakeSize``, ``InvalidIFRebase``, ``InvalidIFUnstakeSize``. Source: insurance.md §4.3.
    """
    fund = spot_market.insurance_fund
    stake.last_withdraw_request_shares = n_shares
    apply_rebase_to_insurance_fund(vault_amount, fund)
    apply_rebase_to_insurance_fund_stake(stake, fund)
    note_before(vault_amount, checked_if_shares(stake, fund), fund, facts)
    if stake.last_withdraw_request_shares > stake.if_shares:
        raise SettlementError(ErrorCode.InvalidInsuranceUnstakeSize)
    value = if_shares_to_vault_amount(stake.last_withdraw_request_shares, fund.total_shares, vault_amount)
    # the fund always keeps one unit: deliberate, it is the program's
    stake.last_withdraw_request_value = min(value, sub_saturating(vault_amount, 1))
    if stake.last_withdraw_request_value != 0 and stake.last_withdraw_request_value >= vault_amount:
        raise SettlementError(ErrorCode.InvalidIFUnstakeSize)
    update_user_stats_if_stake(vault_amount, stake, user_stats, spot_market)
    note_after(stake.last_withdraw_request_value, stake.if_shares, fund, facts)
    stake.last_withdraw_request_ts = now


@rule
def cancel_request_remove_insurance_fund_stake(
    vault_amount: int,
    stake: InsuranceFundStake,
    user_stats: UserStats,
    spot_market: SpotMarket,
    now: int,
    facts: StakeFacts,
) -> None:
    """Withdraw a request; the shares that its frozen value no longer buys are burned for everybody's benefit.

    ``InvalidIFRebase``, ``InvalidIFUnstakeCancel``, ``InvalidIFSharesDetected``, ``MathError``.
    Source: insurance.md §4.4.
    """
    fund = spot_market.insurance_fund
    apply_rebase_to_insurance_fund(vault_amount, fund)
    apply_rebase_to_insurance_fund_stake(stake, fund)
    note_before(vault_amount, checked_if_shares(stake, fund), fund, facts)
    if stake.last_withdraw_request_shares == 0:
        raise SettlementError(ErrorCode.InvalidIFUnstakeCancel)
    shares_lost = calculate_if_shares_lost(
        stake.last_withdraw_request_shares, stake.last_withdraw_request_value, fund.total_shares, vault_amount
    )
    stake.if_shares = sub_checked(stake.if_shares, shares_lost)
    fund.total_shares = sub_checked(fund.total_shares, shares_lost)
    fund.user_shares = sub_checked(fund.user_shares, shares_lost)
    update_user_stats_if_stake(vault_amount, stake, user_stats, spot_market)
    note_after(0, stake.if_shares, fund, facts)
    facts.forfeited_shares = shares_lost
    stake.last_withdraw_request_shares = 0
    stake.last_withdraw_request_value = 0
    stake.last_withdraw_request_ts = now


@rule
def is_healthy_utilization(spot_market: SpotMarket) -> bool:
    """Whether stakes may leave: utilization and its TWAP are at most 80 %. Interest is not accrued first.

    Source: insurance.md §4.5; ``state/spot_market.rs::is_healthy_utilization``.
    """
    if spot_market.utilization_twap > HEALTHY_UTILIZATION:
        return False
    return calculate_spot_market_utilization(spot_market) <= HEALTHY_UTILIZATION


@rule
def remove_insurance_fund_stake(
    vault_amount: int,
    stake: InsuranceFundStake,
    user_stats: UserStats,
    spot_market: SpotMarket,
    now: int,
    facts: StakeFacts,
) -> int:
    """Carry out the pending request: burn its shares; returns the payout in tokens, at most the frozen value.

    ``TryingToRemoveLiquidityTooFast``, ``InvalidIFRebase``, ``InvalidIFUnstake``, ``InsufficientIFShares``,
    ``InvalidIFSharesDetected``, ``MathError``. Source: insurance.md §4.5.
    """
    fund = spot_market.insurance_fund
    if seconds_until_unstaking(stake, fund, now) > 0:
        raise SettlementError(ErrorCode.TryingToRemoveLiquidityTooFast)
    apply_rebase_to_insurance_fund(vault_amount, fund)
    apply_rebase_to_insurance_fund_stake(stake, fund)
    note_before(vault_amount, checked_if_shares(stake, fund), fund, facts)
    n_shares = stake.last_withdraw_request_shares
    if n_shares == 0:
        raise SettlementError(ErrorCode.InvalidIFUnstake)
    if stake.if_shares < n_shares:
        raise SettlementError(ErrorCode.InsufficientIFShares)
    amount = if_shares_to_vault_amount(n_shares, fund.total_shares, vault_amount)
    # evaluated for its failures alone: deliberate, it is the program's
    calculate_if_shares_lost(n_shares, stake.last_withdraw_request_value, fund.total_shares, vault_amount)
    withdraw_amount = min(amount, stake.last_withdraw_request_value)
    stake.if_shares = sub_checked(stake.if_shares, n_shares)
    stake.cost_basis = checked_i64(stake.cost_basis - to_i64(withdraw_amount))
    fund.total_shares = sub_checked(fund.total_shares, n_shares)
    fund.user_shares = sub_checked(fund.user_shares, n_shares)
    stake.last_withdraw_request_shares = 0
    stake.last_withdraw_request_value = 0
    stake.last_withdraw_request_ts = now
    # the shares' full value leaves the statistics, not the payout: deliberate, it is the program's
    update_user_stats_if_stake(sub_checked(vault_amount, amount), stake, user_stats, spot_market)
    note_after(withdraw_amount, stake.if_shares, fund, facts)
    facts.share_value = amount
    return withdraw_amount


@rule
def admin_remove_insurance_fund_stake(
    n_shares: int, vault_amount: int, spot_market: SpotMarket, facts: StakeFacts
) -> int:
    """Burn shares that the protocol owns; returns their value in tokens. No request, no cooldown.

    ``InsufficientIFShares``. Source: insurance.md §7.1; a library step of the program without an instruction.
    """
    fund = spot_market.insurance_fund
    apply_rebase_to_insurance_fund(vault_amount, fund)
    protocol_shares = get_protocol_shares(fund)
    note_before(vault_amount, protocol_shares, fund, facts)
    if protocol_shares < n_shares:
        raise SettlementError(ErrorCode.InsufficientIFShares)
    amount = if_shares_to_vault_amount(n_shares, fund.total_shares, vault_amount)
    fund.total_shares = sub_checked(fund.total_shares, n_shares)
    note_after(amount, get_protocol_shares(fund), fund, facts)
    return amount


@rule
def update_transfer_epoch(config: ProtocolIfSharesTransferConfig, n_shares: int, now: int) -> None:
    """Charge ``n_shares`` to the epoch's allowance, in a new epoch if one has begun; ``DefaultError``.

    The allowance is never used up wholly: deliberate, the comparison is strict. Source: insurance.md §7.2.
    """
    if now > config.next_epoch_ts:
        epochs = (now - config.next_epoch_ts) // EPOCH_DURATION + 1
        config.next_epoch_ts = checked_i64(config.next_epoch_ts + EPOCH_DURATION * epochs)
        config.current_epoch_transfer = 0
    if n_shares >= sub_saturating(config.max_transfer_per_epoch, config.current_epoch_transfer):
        raise SettlementError(ErrorCode.DefaultError)
    config.current_epoch_transfer = config.current_epoch_transfer + n_shares


@rule
def transfer_protocol_insurance_fund_stake(
    n_shares: int,
    vault_amount: int,
    target: InsuranceFundStake,
    target_stats: UserStats,
    spot_market: SpotMarket,
    protocol_facts: StakeFacts,
    target_facts: StakeFacts,
) -> None:
    """Hand shares that the protocol owns to a staker. The target is not rebased: deliberate, it is the program's.

    ``InvalidIFRebase``, ``InsufficientIFShares``. Source: insurance.md §7.2.
    """
    fund = spot_market.insurance_fund
    apply_rebase_to_insurance_fund(vault_amount, fund)
    protocol_shares = get_protocol_shares(fund)
    note_before(vault_amount, protocol_shares, fund, protocol_facts)
    note_before(vault_amount, checked_if_shares(target, fund), fund, target_facts)
    if protocol_shares < n_shares:
        raise SettlementError(ErrorCode.InsufficientIFShares)
    fund.user_shares = fund.user_shares + n_shares
    target.if_shares = target.if_shares + n_shares
    update_user_stats_if_stake(vault_amount, target, target_stats, spot_market)
    amount = if_shares_to_vault_amount(n_shares, fund.total_shares, vault_amount)
    note_after(amount, get_protocol_shares(fund), fund, protocol_facts)
    note_after(amount, target.if_shares, fund, target_facts)
