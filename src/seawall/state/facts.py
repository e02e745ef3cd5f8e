"""Facts: what a rule noted down while it worked, from which the handler builds the events.

A rule that can make something happen that an event tells of takes a facts record and fills it in; the handler hands in
a fresh one and reads it afterwards. Facts are scratch paper: they are never stored.
"""

from seawall.records import Record, i64, i128, record, u16, u64, u128


@record
class InterestFacts(Record):
    """Interest accrued in a spot market: the values right after the update."""

    accrued: bool
    market_index: u16
    deposit_balance: u128
    cumulative_deposit_interest: u128
    borrow_balance: u128
    cumulative_borrow_interest: u128


@record
class FundingPaymentFacts(Record):
    """A position settled its funding: the payment (quote 1e6) and the rates before and after (1e9)."""

    settled: bool
    market_index: u16
    funding_payment: i64
    base_asset_amount: i64
    user_last_cumulative_funding: i64
    amm_cumulative_funding_long: i128
    amm_cumulative_funding_short: i128


@record
class RevenueSettleFacts(Record):
    """Revenue settled to an insurance fund: amount, the vaults before (tokens), shares as the event tells them."""

    settled: bool
    amount: u64
    vault_amount_before: u64
    insurance_vault_amount_before: u64
    total_if_shares_before: u128
    total_if_shares_after: u128
