"""Parameter updates. All are signed by the admin, emit no event and accrue no interest. Source: instructions.md §2.9.

Updates of a market are refused for a delisted one (``MarketDelisted``) before anything else is looked at.
"""

from typing import Literal

import msgspec

from seawall.instructions.base import Instruction, Key
from seawall.records import i16, i64, u8, u16, u32, u64, u128

Status = Literal[
    "Initialized",
    "Active",
    "FundingPaused",
    "AmmPaused",
    "FillPaused",
    "WithdrawPaused",
    "ReduceOnly",
    "Settlement",
    "Delisted",
]
"""Status of a market by name; the four «…Paused» ones are deprecated and cannot be set."""

AssetTierName = Literal["Collateral", "Protected", "Cross", "Isolated", "Unlisted"]
ContractTierName = Literal["A", "B", "C", "Speculative", "HighlySpeculative", "Isolated"]


# --- the exchange ----------------------------------------------------------------------------------------------


class UpdateAdmin(Instruction, frozen=True, kw_only=True):
    """Hand the exchange to another admin. Source: instructions.md §2.9."""

    admin: Key


class UpdateExchangeStatus(Instruction, frozen=True, kw_only=True):
    """Set the exchange's pause bits, any byte. Source: instructions.md §1.1; ``handle_update_exchange_status``."""

    exchange_status: u8


class UpdateStateSettlementDuration(Instruction, frozen=True, kw_only=True):
    """Set how long an expired market's positions may settle before its pools are swept (seconds)."""

    settlement_duration: u16


class UpdateLiquidationMarginBufferRatio(Instruction, frozen=True, kw_only=True):
    """Set the margin buffer (1e4) that a liquidation restores."""

    liquidation_margin_buffer_ratio: u32


class UpdateLiquidationDuration(Instruction, frozen=True, kw_only=True):
    """Set the slots over which a liquidation may grow to the whole position."""

    liquidation_duration: u8


class UpdateInitialPctToLiquidate(Instruction, frozen=True, kw_only=True):
    """Set the share (1e4) of the margin shortage that a liquidation may free at once."""

    initial_pct_to_liquidate: u16


class UpdatePerpAuctionDuration(Instruction, frozen=True, kw_only=True):
    """Set how many slots an order must be old before the AMM fills it (0: at once).

    Source: ``admin.rs::handle_update_perp_auction_duration``; amm-and-funding.md §3.5 step 11.
    """

    min_perp_auction_duration: u8


class PriceDivergenceRails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Largest admitted divergences, 1e6."""

    mark_oracle_percent_divergence: u64
    oracle_twap_5min_percent_divergence: u64


class ValidityRails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an oracle price counts as stale (slots), uncertain (1e6) or volatile (ratio)."""

    slots_before_stale_for_amm: u64
    slots_before_stale_for_margin: u64
    confidence_interval_max_size: u64
    too_volatile_ratio: u64


class GuardRails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All guard rails for oracle prices."""

    price_divergence: PriceDivergenceRails
    validity: ValidityRails


class UpdateOracleGuardRails(Instruction, frozen=True, kw_only=True):
    """Replace the guard rails for oracle prices. Source: margin.md §7."""

    oracle_guard_rails: GuardRails


class FeeTierParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Taker fee, maker rebate, referrer reward and referee discount of one tier, each a fraction."""

    fee_numerator: u32 = 0
    fee_denominator: u32 = 100_000
    maker_rebate_numerator: u32 = 0
    maker_rebate_denominator: u32 = 100_000
    referrer_reward_numerator: u32 = 0
    referrer_reward_denominator: u32 = 100
    referee_fee_numerator: u32 = 0
    referee_fee_denominator: u32 = 100


class FillerRewardParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A filler's share of the fee, and the lower bound (quote 1e6) that time raises."""

    reward_numerator: u32
    reward_denominator: u32
    time_based_reward_lower_bound: u128


class FeeStructureParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to ten fee tiers (the others charge nothing), the filler's reward, and quote amounts (1e6).

    ``amm_fee_numerator`` and ``if_fee_numerator`` (percent) are Velocity's split of what is left of a fill's fee; the
    protocol has the rest.
    """

    fee_tiers: list[FeeTierParams]
    filler_reward_structure: FillerRewardParams
    referrer_reward_epoch_upper_bound: u64
    flat_filler_fee: u64
    amm_fee_numerator: u32 = 0
    if_fee_numerator: u32 = 0


class UpdatePerpFeeStructure(Instruction, frozen=True, kw_only=True):
    """Replace the fee schedule of perp markets. Source: fees.md §1."""

    fee_structure: FeeStructureParams


class UpdateSpotFeeStructure(Instruction, frozen=True, kw_only=True):
    """Replace the fee schedule of spot markets. Source: fees.md §1."""

    fee_structure: FeeStructureParams


# --- spot markets ----------------------------------------------------------------------------------------------


class UpdateSpotMarketIfFactor(Instruction, frozen=True, kw_only=True):
    """Set what is carved out of deposit interest (1e6). Signer: admin.

    Drift: the insurance part and the stakers' part of it, ``user_if_factor`` ≤ ``total_if_factor`` ≤ 1. Velocity: the
    insurance fund's and the protocol's part, ``if_fee_factor`` + ``protocol_fee_factor`` < 1. Both of a rulebook's pair
    must be given, and none of the other's. Source: insurance.md §8; velocity/balances.md §14.
    """

    spot_market_index: u16
    user_if_factor: u32 | None = None
    total_if_factor: u32 | None = None
    if_fee_factor: u32 | None = None
    protocol_fee_factor: u32 | None = None


class UpdateSpotMarketRevenueSettlePeriod(Instruction, frozen=True, kw_only=True):
    """Set how often revenue may settle to the insurance fund (seconds, positive)."""

    market_index: u16
    revenue_settle_period: i64


class UpdateInsuranceFundUnstakingPeriod(Instruction, frozen=True, kw_only=True):
    """Set the cooldown between requesting and removing a stake (seconds)."""

    market_index: u16
    insurance_fund_unstaking_period: i64


class UpdateSpotMarketIfPausedOperations(Instruction, frozen=True, kw_only=True):
    """Set the pause bits of a fund: Init 1, Add 2, RequestRemove 4, Remove 8."""

    market_index: u16
    paused_operations: u8


class UpdateSpotMarketPausedOperations(Instruction, frozen=True, kw_only=True):
    """Set the pause bits of a spot market: UpdateCumulativeInterest 1, Fill 2, Withdraw 4, Liquidation 8."""

    market_index: u16
    paused_operations: u8


class UpdateSpotMarketLiquidationFee(Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Set what a liquidator and the insurance fund take of a liquidated debt (1e6), and what the protocol takes.

    Drift knows no protocol part. Source: instructions.md §2.9; velocity/protocol-fees-and-roles.md §5.
    """

    market_index: u16
    liquidator_fee: u32
    if_liquidation_fee: u32
    protocol_liquidation_fee: u32 = 0


class UpdateSpotMarketMarginWeights(Instruction, frozen=True, kw_only=True):
    """Set how an asset and a debt count in margin (1e4), and the factor for size (1e6)."""

    market_index: u16
    initial_asset_weight: u32
    maintenance_asset_weight: u32
    initial_liability_weight: u32
    maintenance_liability_weight: u32
    imf_factor: u32 = 0


class UpdateSpotMarketBorrowRate(Instruction, frozen=True, kw_only=True):
    """Set the borrow-rate curve (1e6 a year); ``min_borrow_rate`` (half percents) stays where not given."""

    market_index: u16
    optimal_utilization: u32
    optimal_borrow_rate: u32
    max_borrow_rate: u32
    min_borrow_rate: u8 | None = None


class UpdateSpotMarketMaxTokenDeposits(Instruction, frozen=True, kw_only=True):
    """Set the deposit cap (tokens; 0: none)."""

    market_index: u16
    max_token_deposits: u64


class UpdateSpotMarketAssetTier(Instruction, frozen=True, kw_only=True):
    """Set the asset tier; a token that counts as collateral must be Collateral or Protected."""

    market_index: u16
    asset_tier: AssetTierName


class UpdateSpotMarketScaleInitialAssetWeightStart(Instruction, frozen=True, kw_only=True):
    """Set the deposits (quote 1e6) above which the initial asset weight shrinks (0: never)."""

    market_index: u16
    scale_initial_asset_weight_start: u64


class UpdateWithdrawGuardThreshold(Instruction, frozen=True, kw_only=True):
    """Set the tokens below which withdrawals and borrows are not limited."""

    market_index: u16
    withdraw_guard_threshold: u64


class UpdateSpotMarketStatus(Instruction, frozen=True, kw_only=True):
    """Set the status of a spot market, none of the deprecated ones."""

    market_index: u16
    status: Status


class UpdateSpotMarketExpiry(Instruction, frozen=True, kw_only=True):
    """Let a spot market expire at a later time; it becomes ReduceOnly at once."""

    market_index: u16
    expiry_ts: i64


class UpdateSpotMarketFeeAdjustment(Instruction, frozen=True, kw_only=True):
    """Raise or lower a spot market's fees by up to 100 percent."""

    market_index: u16
    fee_adjustment: i16


# --- perp markets ----------------------------------------------------------------------------------------------


class UpdatePerpLiquidationFee(Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """Set what a liquidator and the insurance fund take of a liquidated position (1e6), and what the protocol takes.

    Drift knows no protocol part. Source: instructions.md §2.9; velocity/protocol-fees-and-roles.md §5.
    """

    market_index: u16
    liquidator_fee: u32
    if_liquidation_fee: u32
    protocol_liquidation_fee: u32 = 0


class UpdatePerpMarketMarginRatio(Instruction, frozen=True, kw_only=True):
    """Set the margin ratios (1e4)."""

    market_index: u16
    margin_ratio_initial: u32
    margin_ratio_maintenance: u32


class UpdatePerpMarketImfFactor(Instruction, frozen=True, kw_only=True):
    """Set how margin grows with the size of a position and of unsettled P&L (1e6)."""

    market_index: u16
    imf_factor: u32
    unrealized_pnl_imf_factor: u32


class UpdatePerpMarketUnrealizedAssetWeight(Instruction, frozen=True, kw_only=True):
    """Set how unsettled profit counts in margin (1e4)."""

    market_index: u16
    unrealized_initial_asset_weight: u32
    unrealized_maintenance_asset_weight: u32


class UpdatePerpMarketMaxImbalances(Instruction, frozen=True, kw_only=True):
    """Set what users may be owed before insurance is drawn, and what may be drawn (quote 1e6).

    Source: solvency.md §1.3.
    ``unrealized_max_imbalance`` is the market's ``unrealized_pnl_max_imbalance``, under the program's argument name.
    """

    market_index: u16
    unrealized_max_imbalance: u64
    max_revenue_withdraw_per_period: u64
    quote_max_insurance: u64


class UpdatePerpMarketContractTier(Instruction, frozen=True, kw_only=True):
    """Set the contract tier; the insurance caps already granted stay as they are."""

    market_index: u16
    contract_tier: ContractTierName


class UpdatePerpMarketStatus(Instruction, frozen=True, kw_only=True):
    """Set the status: Initialized, Active or ReduceOnly."""

    market_index: u16
    status: Status


class UpdatePerpMarketExpiry(Instruction, frozen=True, kw_only=True):
    """Let a perp market expire at a later time; it becomes ReduceOnly at once."""

    market_index: u16
    expiry_ts: i64


class UpdatePerpMarketPausedOperations(Instruction, frozen=True, kw_only=True):
    """Set the pause bits of a perp market: UpdateFunding 1, AmmFill 2, Fill 4, SettlePnl 8, SettlePnlWithPosition 16,
    Liquidation 32."""

    market_index: u16
    paused_operations: u8


class UpdatePerpMarketFundingPeriod(Instruction, frozen=True, kw_only=True):
    """Set how often funding is updated (seconds, not negative)."""

    market_index: u16
    funding_period: i64


class UpdatePerpMarketFeeAdjustment(Instruction, frozen=True, kw_only=True):
    """Raise or lower a perp market's fees by up to 100 percent."""

    market_index: u16
    fee_adjustment: i16


class UpdatePerpMarketCurveUpdateIntensity(Instruction, frozen=True, kw_only=True):
    """Set how eagerly the AMM moves its peg and depth (0 to 200; 0: never)."""

    market_index: u16
    curve_update_intensity: u8


class UpdateAmmJitIntensity(Instruction, frozen=True, kw_only=True):
    """Set how eagerly the AMM joins makers' fills (0 to 200)."""

    market_index: u16
    amm_jit_intensity: u8


class UpdatePerpMarketMaxSpread(Instruction, frozen=True, kw_only=True):
    """Set the AMM's largest spread (1e6): at least its base spread, at most the initial margin ratio."""

    market_index: u16
    max_spread: u32


class UpdatePerpMarketMaxOpenInterest(Instruction, frozen=True, kw_only=True):
    """Cap a perp market's open interest (base 1e9; 0: no cap).

    Source: ``admin.rs::handle_update_perp_market_max_open_interest``.
    """

    market_index: u16
    max_open_interest: u128
