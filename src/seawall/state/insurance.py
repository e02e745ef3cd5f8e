"""Insurance-fund stakes. Source: ``state/insurance_fund_stake.rs``; insurance.md §1.2, §1.3."""

from typing import Annotated

from seawall.records import Length, Record, i64, key, record, u16, u64, u128


@record
class InsuranceFundStake(Record):
    """One staker's shares in one fund, in the stake's own base; a pending request locks shares at a frozen value."""

    authority: key
    if_shares: u128
    last_withdraw_request_shares: u128
    if_base: u128
    last_valid_ts: i64
    last_withdraw_request_value: u64
    last_withdraw_request_ts: i64
    cost_basis: i64
    market_index: u16


@record
class ProtocolIfSharesTransferConfig(Record):
    """Who may hand protocol-owned insurance shares to a staker, and how many an epoch."""

    whitelisted_signers: Annotated[list[bytes], Length(4)]
    max_transfer_per_epoch: u128
    current_epoch_transfer: u128
    next_epoch_ts: i64
