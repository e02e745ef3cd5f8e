"""The drift rulebook's insurance stakes: stake, cancel, remove, and transfers of the protocol's shares.

What both rulebooks have of it is in ``rules.common.insurance_stakes``.
Source: insurance.md §3, §4, §7; ``controller/insurance.rs``.
"""

from seawall.arithmetic import EPOCH_DURATION, checked_i64, checked_u64, sub_checked, sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.insurance_shares import (
    apply_rebase_to_insurance_fund,
    checked_if_shares,
    get_protocol_shares,
    if_shares_to_vault_amount,
    shares_not_bought_back,
    vault_amount_to_if_shares,
)
from seawall.rules.common.insurance_stakes import (
    forfeit_if_shares,
    issue_if_shares,
    note_after,
    note_before,
    pay_requested_if_shares,
    rebase_and_note,
    update_user_stats_if_stake,
    value_requested_if_shares,
)
from seawall.state.facts import StakeFacts
from seawall.state.insurance import InsuranceFundStake, ProtocolIfSharesTransferConfig
from seawall.state.spot_market import SpotMarket
from seawall.state.user import UserStats


@rule
def calculate_if_shares_lost(
    last_withdraw_request_shares: int, last_withdraw_request_value: int, total_if_shares: int, vault_balance: int
) -> int:
    """Shares that cancelling a request forfeits: what its frozen value (tokens) would no longer buy back.

    A sole holder loses all that was requested. ``MathError``, ``InvalidIFSharesDetected``.
    Source: insurance.md §2.5; ``math/insurance.rs::calculate_if_shares_lost``.
    """
    return shares_not_bought_back(
        last_withdraw_request_shares, last_withdraw_request_value, total_if_shares, vault_balance
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
    rebase_and_note(vault_amount, vault_amount, stake, fund, facts)
    n_shares = vault_amount_to_if_shares(amount, fund.total_shares, vault_amount)
    issue_if_shares(n_shares, amount, stake, fund)
    update_user_stats_if_stake(checked_u64(vault_amount + amount), stake, user_stats, spot_market)
    note_after(amount, stake.if_shares, fund, facts)


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
    rebase_and_note(vault_amount, vault_amount, stake, fund, facts)
    if stake.last_withdraw_request_shares == 0:
        raise SettlementError(ErrorCode.InvalidIFUnstakeCancel)
    shares_lost = calculate_if_shares_lost(
        stake.last_withdraw_request_shares, stake.last_withdraw_request_value, fund.total_shares, vault_amount
    )
    forfeit_if_shares(shares_lost, vault_amount, stake, user_stats, spot_market, now, facts)


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
    amount = value_requested_if_shares(vault_amount, vault_amount, stake, fund, now, facts)
    # evaluated for its failures alone: deliberate, it is the program's
    calculate_if_shares_lost(
        stake.last_withdraw_request_shares, stake.last_withdraw_request_value, fund.total_shares, vault_amount
    )
    withdraw_amount = min(amount, stake.last_withdraw_request_value)
    pay_requested_if_shares(withdraw_amount, stake, fund, now)
    # the shares' full value leaves the statistics, not the payout: deliberate, it is the program's
    update_user_stats_if_stake(sub_checked(vault_amount, amount), stake, user_stats, spot_market)
    note_after(withdraw_amount, stake.if_shares, fund, facts)
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
