"""Spot markets: the collateral vault's books for one token. Source: ``state/spot_market.rs``."""

from typing import Annotated

from seawall.records import Enumerated, Record, i16, i64, name32, record, u8, u16, u32, u64, u128
from seawall.state.enums import AssetTier, MarketStatus, RulebookKind
from seawall.state.oracle import HistoricalOracleData


@record
class PoolBalance(Record):
    """A market's own claim on a collateral vault, always a deposit: ``scaled_balance`` (1e9) × deposit index.

    The two remainders are Velocity's, of its interest carve-outs: index units × 1e6, and scaled token units. Those of
    the revenue pool belong to the carve-out against the lenders, those of the protocol fee pool to the insurance cut
    against the protocol's (velocity/balances.md §4).
    """

    scaled_balance: u128
    market_index: u16
    pending_interest_split_dust: u32
    pending_interest_dust: u64


@record
class InsuranceFund(Record):
    """The share ledger of one token's insurance fund. Factors 1e6, times in seconds.

    ``total_factor`` and ``user_factor`` are Drift's, ``if_fee_factor`` is Velocity's.
    """

    total_shares: u128
    user_shares: u128
    shares_base: u128
    unstaking_period: i64
    last_revenue_settle_ts: i64
    revenue_settle_period: i64
    total_factor: u32
    user_factor: u32
    if_fee_factor: u32


@record
class SpotMarket(Record):
    """One token: totals of scaled balances (1e9), interest indices (1e10), pools, limits, rates (1e6), weights (1e4).

    ``oracle_index`` and ``spot_fee_pool_target`` are Seawall's: the first names the oracle among the venue's, the
    second is the amount (tokens) that ``settle_spot_fee_pool_to_revenue_pool`` leaves in the spot fee pool.
    ``rulebook`` and what follows it is Velocity's: its own pool and carve-out, the deposit and withdraw limiters, the
    lowest value of the insurance fund since the last settlement (tokens), and the revenue that the fund is owed but
    that still lies in this market's vault (scaled 1e9).
    """

    name: name32
    oracle_index: u16
    historical_oracle_data: HistoricalOracleData
    revenue_pool: PoolBalance
    spot_fee_pool: PoolBalance
    insurance_fund: InsuranceFund
    total_spot_fee: u128
    deposit_balance: u128
    borrow_balance: u128
    cumulative_deposit_interest: u128
    cumulative_borrow_interest: u128
    total_social_loss: u128
    total_quote_social_loss: u128
    withdraw_guard_threshold: u64
    max_token_deposits: u64
    deposit_token_twap: u64
    borrow_token_twap: u64
    utilization_twap: u64
    last_interest_ts: u64
    last_twap_ts: u64
    expiry_ts: i64
    order_step_size: u64
    order_tick_size: u64
    min_order_size: u64
    next_fill_record_id: u64
    next_deposit_record_id: u64
    initial_asset_weight: u32
    maintenance_asset_weight: u32
    initial_liability_weight: u32
    maintenance_liability_weight: u32
    imf_factor: u32
    liquidator_fee: u32
    if_liquidation_fee: u32
    optimal_utilization: u32
    optimal_borrow_rate: u32
    max_borrow_rate: u32
    decimals: u32
    market_index: u16
    orders_enabled: bool
    status: Annotated[int, Enumerated(MarketStatus)]
    asset_tier: Annotated[int, Enumerated(AssetTier)]
    paused_operations: u8
    if_paused_operations: u8
    fee_adjustment: i16
    max_token_borrows_fraction: u16
    total_swap_fee: u64
    scale_initial_asset_weight_start: u64
    min_borrow_rate: u8
    spot_fee_pool_target: u64
    rulebook: Annotated[int, Enumerated(RulebookKind)]
    pool_id: u8
    protocol_fee_pool: PoolBalance
    protocol_fee_factor: u32
    protocol_liquidation_fee: u32
    withdraw_circuit_breaker_bps: u16
    max_deposit_bps_per_day: u16
    deposit_guard_threshold: u64
    if_last_settle_vault_amount: u64
    insurance_fund_revenue_receivable_scaled: u128


@record
class Vaults(Record):
    """Tokens physically held for one spot market: the collateral vault and the insurance fund's vault."""

    spot_vault: u64
    insurance_fund_vault: u64
