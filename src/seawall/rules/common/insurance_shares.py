"""Shares of an insurance fund: pricing, rebasing, what a cancelled request forfeits. Source: insurance.md §2.

Every share is a proportional claim on the fund's vault. ``PROP`` is the floor of value × numerator / denominator, so
that every rounding stays with those who keep their shares.
"""

from typing import Final

from seawall.arithmetic import checked_i64, log10_floor, pow10, proportion, sub_checked, to_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.insurance import InsuranceFundStake
from seawall.state.spot_market import InsuranceFund

SHARE_PRICE_PRECISION: Final = 1_000_000


@rule
def vault_amount_to_if_shares(amount: int, total_if_shares: int, vault_balance: int) -> int:
    """Shares that ``amount`` tokens buy: ⌊amount·shares/vault⌋; an empty fund sells them one to one.

    ``InvalidIFSharesDetected``: shares exist while the vault is empty.
    Source: insurance.md §2.1; ``math/insurance.rs::vault_amount_to_if_shares``.
    """
    if vault_balance > 0:
        return proportion(amount, total_if_shares, vault_balance)
    if total_if_shares != 0:
        raise SettlementError(ErrorCode.InvalidIFSharesDetected)
    return amount


@rule
def if_shares_to_vault_amount(n_shares: int, total_if_shares: int, vault_balance: int) -> int:
    """Tokens (u64) that ``n_shares`` are worth: ⌊vault·n/shares⌋; 0 while no shares exist.

    ``InvalidIFSharesDetected``: more shares than exist; ``CastingFailure`` beyond u64.
    Source: insurance.md §2.2; ``math/insurance.rs::if_shares_to_vault_amount``.
    """
    if n_shares > total_if_shares:
        raise SettlementError(ErrorCode.InvalidIFSharesDetected)
    if total_if_shares > 0:
        return to_u64(proportion(vault_balance, n_shares, total_if_shares))
    return 0


@rule
def calculate_share_price(total_if_shares: int, vault_balance: int) -> int:
    """Tokens a share (1e6), rounded down; 0 while no shares exist. Source: insurance.md §10.1."""
    if total_if_shares > 0:
        return vault_balance * SHARE_PRICE_PRECISION // total_if_shares
    return 0


@rule
def calculate_rebase_info(total_if_shares: int, vault_balance: int) -> tuple[int, int]:
    """Decimal digits a rebase removes and their power of ten, for a vault that holds something.

    It takes a hundred shares a token to remove the first digit. ``MathError`` for an empty vault.
    Source: insurance.md §2.3; ``math/insurance.rs::calculate_rebase_info``.
    """
    if vault_balance == 0:
        raise SettlementError(ErrorCode.MathError)
    expo_diff = log10_floor(total_if_shares // 10 // vault_balance)
    return expo_diff, pow10(expo_diff)


@rule
def apply_rebase_to_insurance_fund(vault_balance: int, fund: InsuranceFund) -> None:
    """Remove decimal digits from a fund whose shares outnumber its tokens; nothing while the vault is empty.

    A vault that holds tokens while no shares exist becomes the protocol's: deliberate, it is the program's.
    Source: insurance.md §2.3; ``controller/insurance.rs::apply_rebase_to_insurance_fund``.
    """
    if vault_balance == 0:
        return
    if vault_balance < fund.total_shares:
        expo_diff, rebase_divisor = calculate_rebase_info(fund.total_shares, vault_balance)
        fund.total_shares = fund.total_shares // rebase_divisor
        fund.user_shares = fund.user_shares // rebase_divisor
        fund.shares_base = fund.shares_base + expo_diff
    if fund.total_shares == 0:
        fund.total_shares = vault_balance


@rule
def apply_rebase_to_insurance_fund_stake(stake: InsuranceFundStake, fund: InsuranceFund) -> None:
    """Bring a stake's share figures to the fund's base, rounded down; ``InvalidIFRebase`` for a stake ahead of it.

    The frozen request value and the cost basis stay as they are: deliberate, they are tokens.
    Source: insurance.md §2.4; ``controller/insurance.rs::apply_rebase_to_insurance_fund_stake``.
    """
    if stake.if_base == fund.shares_base:
        return
    if stake.if_base > fund.shares_base:
        raise SettlementError(ErrorCode.InvalidIFRebase)
    rebase_divisor = pow10(fund.shares_base - stake.if_base)
    stake.if_base = fund.shares_base
    stake.if_shares = stake.if_shares // rebase_divisor
    stake.last_withdraw_request_shares = stake.last_withdraw_request_shares // rebase_divisor


@rule
def validate_stake_base(stake: InsuranceFundStake, fund: InsuranceFund) -> None:
    """``InvalidIFRebase`` unless the stake's figures are in the fund's base. Source: insurance.md §1.2."""
    if stake.if_base != fund.shares_base:
        raise SettlementError(ErrorCode.InvalidIFRebase)


@rule
def checked_if_shares(stake: InsuranceFundStake, fund: InsuranceFund) -> int:
    """The stake's shares; ``InvalidIFRebase`` in another base than the fund's. Source: insurance.md §1.2."""
    validate_stake_base(stake, fund)
    return stake.if_shares


@rule
def get_protocol_shares(fund: InsuranceFund) -> int:
    """Shares that no staker owns; ``MathError`` if stakers own more than exist. Source: insurance.md §1.1."""
    return sub_checked(fund.total_shares, fund.user_shares)


@rule
def shares_not_bought_back(
    last_withdraw_request_shares: int, last_withdraw_request_value: int, total_if_shares: int, vault_balance: int
) -> int:
    """Shares of a request that its frozen value (tokens) would not buy back, had both left the fund before.

    0 when the price has not risen since the request. ``MathError``, ``InvalidIFSharesDetected`` for a frozen value or
    request beyond the fund. Source: insurance.md §2.5; ``math/insurance.rs::calculate_if_shares_lost``.
    """
    amount = if_shares_to_vault_amount(last_withdraw_request_shares, total_if_shares, vault_balance)
    if amount <= last_withdraw_request_value:
        return 0
    shares_without_request = sub_checked(total_if_shares, last_withdraw_request_shares)
    vault_without_request = sub_checked(vault_balance, last_withdraw_request_value)
    bought_back = vault_amount_to_if_shares(last_withdraw_request_value, shares_without_request, vault_without_request)
    if bought_back > last_withdraw_request_shares:
        raise SettlementError(ErrorCode.InvalidIFSharesDetected)
    return last_withdraw_request_shares - bought_back


@rule
def seconds_until_unstaking(stake: InsuranceFundStake, fund: InsuranceFund, now: int) -> int:
    """Seconds until a pending request may be removed (0: now). Source: insurance.md §4.5."""
    waited = checked_i64(now - stake.last_withdraw_request_ts)
    if waited < fund.unstaking_period:
        return fund.unstaking_period - waited
    return 0
