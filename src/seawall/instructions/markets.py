"""Creating markets, and removing new ones.

An ``oracle`` is the name under which ``add_oracle`` created it; ``quote`` is the quote token's.
"""

from seawall.instructions.administration import AssetTierName, ContractTierName
from seawall.instructions.base import Instruction
from seawall.records import i64, u8, u16, u32, u64, u128


class InitializeSpotMarket(Instruction, frozen=True, kw_only=True):
    """Create the next spot market, with empty vaults. Signer: admin. Market 0 is the quote token, oracle ``quote``.

    Rates, factors and fees 1e6, weights 1e4, amounts in tokens; ``decimals`` are the token's own. Revenue settlement
    is off until ``update_spot_market_revenue_settle_period``. Source: instructions.md §3.2.
    """

    name: str
    oracle: str
    decimals: u8
    optimal_utilization: u32
    optimal_borrow_rate: u32
    max_borrow_rate: u32
    initial_asset_weight: u32
    maintenance_asset_weight: u32
    initial_liability_weight: u32
    maintenance_liability_weight: u32
    imf_factor: u32 = 0
    liquidator_fee: u32 = 0
    if_liquidation_fee: u32 = 0
    active_status: bool = True
    asset_tier: AssetTierName = "Collateral"
    scale_initial_asset_weight_start: u64 = 0
    withdraw_guard_threshold: u64 = 0
    order_tick_size: u64 = 1
    order_step_size: u64 = 1
    if_total_factor: u32 = 0


class InitializePerpMarket(Instruction, frozen=True, kw_only=True):
    """Create the next perp market around its AMM. Signer: admin.

    Reserves 1e9 (both equal), peg 1e6 (the starting price), periodicity in seconds, ratios 1e4, fees, spreads and
    factors 1e6, sizes 1e9, ticks 1e6, quote amounts 1e6. Deficits draw nothing until
    ``update_perp_market_max_imbalances``. Source: instructions.md §3.3; amm-and-funding.md §1.
    """

    market_index: u16
    name: str
    oracle: str
    amm_base_asset_reserve: u128
    amm_quote_asset_reserve: u128
    amm_periodicity: i64
    amm_peg_multiplier: u128
    contract_tier: ContractTierName = "A"
    margin_ratio_initial: u32
    margin_ratio_maintenance: u32
    liquidator_fee: u32 = 0
    if_liquidation_fee: u32 = 0
    imf_factor: u32 = 0
    active_status: bool = True
    base_spread: u32 = 0
    max_spread: u32
    max_open_interest: u128 = 0
    max_revenue_withdraw_per_period: u64 = 0
    quote_max_insurance: u64 = 0
    order_step_size: u64
    order_tick_size: u64
    min_order_size: u64
    concentration_coef_scale: u128 = 1
    curve_update_intensity: u8 = 0
    amm_jit_intensity: u8 = 0


class DeleteInitializedSpotMarket(Instruction, frozen=True, kw_only=True):
    """Remove the last spot market, which was never activated and holds nothing. Signer: admin.

    Source: instructions.md §2.9; ``admin.rs::handle_delete_initialized_spot_market``.
    """

    market_index: u16


class DeleteInitializedPerpMarket(Instruction, frozen=True, kw_only=True):
    """Remove the last perp market, which was never activated and has no users. Signer: admin.

    Source: instructions.md §2.9; ``admin.rs::handle_delete_initialized_perp_market``.
    """

    market_index: u16
