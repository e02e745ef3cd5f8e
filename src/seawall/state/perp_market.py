"""Perp markets and their AMM. Source: ``state/perp_market.rs``. LP shares are out of scope and left out."""

from typing import Annotated

from seawall.records import Enumerated, Record, i8, i16, i32, i64, i128, name32, record, u8, u16, u32, u64, u128
from seawall.state.enums import ContractTier, MarketStatus, RulebookKind
from seawall.state.oracle import HistoricalOracleData
from seawall.state.spot_market import PoolBalance


@record
class AMM(Record):
    """The virtual AMM: reserves 1e9, peg 1e6, prices and TWAPs 1e6, spreads 1e6, funding rates 1e9, fees in quote 1e6.

    ``base_asset_amount_with_amm`` is the users' net position (positive when users are net long).
    ``oracle_index`` is Seawall's: the oracle among the venue's. What follows ``reference_price_offset`` is Velocity's
    and the newest Drift's: the AMM's own funding checkpoint (1e9), spread adjustments (percent), the deadband of the
    reference price offset (percent), staleness overrides (slots), the market maker's oracle price (1e6, 0 unset), and
    the oracle sample that the last refresh found valid.
    """

    oracle_index: u16
    historical_oracle_data: HistoricalOracleData
    fee_pool: PoolBalance
    base_asset_reserve: u128
    quote_asset_reserve: u128
    concentration_coef: u128
    min_base_asset_reserve: u128
    max_base_asset_reserve: u128
    sqrt_k: u128
    peg_multiplier: u128
    terminal_quote_asset_reserve: u128
    base_asset_amount_long: i128
    base_asset_amount_short: i128
    base_asset_amount_with_amm: i128
    max_open_interest: u128
    quote_asset_amount: i128
    quote_entry_amount_long: i128
    quote_entry_amount_short: i128
    quote_break_even_amount_long: i128
    quote_break_even_amount_short: i128
    last_funding_rate: i64
    last_funding_rate_long: i64
    last_funding_rate_short: i64
    last_24h_avg_funding_rate: i64
    total_fee: i128
    total_mm_fee: i128
    total_exchange_fee: u128
    total_fee_minus_distributions: i128
    total_fee_withdrawn: u128
    total_liquidation_fee: u128
    cumulative_funding_rate_long: i128
    cumulative_funding_rate_short: i128
    total_social_loss: u128
    ask_base_asset_reserve: u128
    ask_quote_asset_reserve: u128
    bid_base_asset_reserve: u128
    bid_quote_asset_reserve: u128
    last_oracle_normalised_price: i64
    last_oracle_reserve_price_spread_pct: i64
    last_bid_price_twap: u64
    last_ask_price_twap: u64
    last_mark_price_twap: u64
    last_mark_price_twap_5min: u64
    last_update_slot: u64
    last_oracle_conf_pct: u64
    net_revenue_since_last_funding: i64
    last_funding_rate_ts: i64
    funding_period: i64
    order_step_size: u64
    order_tick_size: u64
    min_order_size: u64
    volume_24h: u64
    long_intensity_volume: u64
    short_intensity_volume: u64
    last_trade_ts: i64
    mark_std: u64
    oracle_std: u64
    last_mark_price_twap_ts: i64
    base_spread: u32
    max_spread: u32
    long_spread: u32
    short_spread: u32
    long_intensity_count: u32
    short_intensity_count: u32
    max_fill_reserve_fraction: u16
    max_slippage_ratio: u16
    curve_update_intensity: u8
    amm_jit_intensity: u8
    last_oracle_valid: bool
    net_unsettled_funding_pnl: i64
    reference_price_offset: i32
    last_cumulative_funding_rate_long: i64
    last_cumulative_funding_rate_short: i64
    last_funding_oracle_twap: i64
    amm_spread_adjustment: i8
    amm_inventory_spread_adjustment: i8
    reference_price_offset_deadband_pct: u8
    oracle_slot_delay_override: i8
    oracle_low_risk_slot_delay_override: i8
    mm_oracle_price: i64
    mm_oracle_slot: u64
    mm_oracle_sequence_id: u64
    attested_oracle_price: i64
    attested_oracle_confidence: u64
    attested_oracle_slot: u64


@record
class InsuranceClaim(Record):
    """What a perp market has drawn and may draw from the revenue pool and the insurance fund (quote 1e6).

    ``revenue_withdraw_since_last_settle`` is positive for money drawn into the market, negative for money sent out.
    """

    revenue_withdraw_since_last_settle: i64
    max_revenue_withdraw_per_period: u64
    quote_max_insurance: u64
    quote_settled_insurance: u64
    last_revenue_withdraw_ts: i64


@record
class FeeLedger(Record):
    """What a Velocity market's fees came to and what of them still lies in its P&L pool, all quote 1e6.

    ``pending_amm_provision`` never exceeds ``amm_protocol_fees_received``. ``pending_amm_surplus`` is Seawall's (the
    parameter ``tokenize_spread_surplus``): spread surplus booked to the AMM and not yet moved to its fee pool.
    Source: velocity/pools-and-fees.md §1; ``state/perp_market.rs::FeeLedger``.
    """

    total_exchange_fee: u128
    total_liquidation_fee: u128
    pending_protocol_fee: u128
    pending_if_fee: u128
    amm_protocol_fees_received: u128
    pending_amm_provision: u128
    pending_amm_surplus: u128


@record
class PerpMarket(Record):
    """One perpetual contract: AMM, P&L pool, insurance claim, margin ratios (1e4), caps (quote 1e6).

    ``rulebook`` and what follows it is Velocity's: the fee ledger and the protocol's pool, the retention buffer (quote
    1e6), claims of builders and referrers (quote 1e6), latched bankruptcies, the floor of the insurance cut (1e6; 0
    means 1000, the largest u32 off), the taker add-on (tenths of a basis point), the funding dead zone (threshold in
    basis points, slope 1e6).
    """

    name: name32
    amm: AMM
    pnl_pool: PoolBalance
    insurance_claim: InsuranceClaim
    unrealized_pnl_max_imbalance: u64
    expiry_ts: i64
    expiry_price: i64
    next_fill_record_id: u64
    next_funding_rate_record_id: u64
    next_curve_record_id: u64
    imf_factor: u32
    unrealized_pnl_imf_factor: u32
    liquidator_fee: u32
    if_liquidation_fee: u32
    margin_ratio_initial: u32
    margin_ratio_maintenance: u32
    unrealized_pnl_initial_asset_weight: u32
    unrealized_pnl_maintenance_asset_weight: u32
    number_of_users_with_base: u32
    number_of_users: u32
    market_index: u16
    status: Annotated[int, Enumerated(MarketStatus)]
    contract_tier: Annotated[int, Enumerated(ContractTier)]
    paused_operations: u8
    quote_spot_market_index: u16
    fee_adjustment: i16
    rulebook: Annotated[int, Enumerated(RulebookKind)]
    pool_id: u8
    fee_ledger: FeeLedger
    protocol_fee_pool: PoolBalance
    fee_pool_buffer_target: u64
    pending_revenue_share: u64
    pending_bankruptcy_claims: u16
    bankruptcy_if_floor_pct: u32
    protocol_liquidation_fee: u32
    taker_fee_addon_tenth_bps: u16
    funding_clamp_threshold: u32
    funding_ramp_slope: u32
    disable_formulaic_k_update: bool


@record
class AssociatedSpot(Record):
    """Seawall's own: the spot market that backs a perp market, and what it may pay (quote 1e6, times in seconds).

    Only where the venue has ``associated_spot_backstop``; kept beside the perp markets, one row a backed market.
    """

    perp_market_index: u16
    spot_market_index: u16
    max_withdraw_per_period: u64
    period: i64
    period_start_ts: i64
    withdrawn_in_period: u64
    total_withdrawn: u64
