"""The exchange itself: authorities, fee schedules, guard rails, kind of venue. Source: ``state/state.rs``."""

from typing import Annotated

from seawall.records import Enumerated, Length, Record, key, name32, record, u8, u16, u32, u64, u128
from seawall.state.enums import RulebookKind


@record
class FeeTier(Record):
    """Taker fee, maker rebate, referrer reward and referee discount, each a fraction."""

    fee_numerator: u32
    fee_denominator: u32
    maker_rebate_numerator: u32
    maker_rebate_denominator: u32
    referrer_reward_numerator: u32
    referrer_reward_denominator: u32
    referee_fee_numerator: u32
    referee_fee_denominator: u32


@record
class OrderFillerRewardStructure(Record):
    """A filler's share of the fee, and the lower bound (quote 1e6) that time raises."""

    reward_numerator: u32
    reward_denominator: u32
    time_based_reward_lower_bound: u128


@record
class FeeStructure(Record):
    """Ten fee tiers, the filler's reward, and quote amounts (1e6).

    ``amm_fee_numerator`` and ``if_fee_numerator`` (percent) are Velocity's split of a fill's remainder.
    """

    fee_tiers: Annotated[list[FeeTier], Length(10)]
    filler_reward_structure: OrderFillerRewardStructure
    referrer_reward_epoch_upper_bound: u64
    flat_filler_fee: u64
    amm_fee_numerator: u32
    if_fee_numerator: u32


@record
class PriceDivergenceGuardRails(Record):
    """Largest admitted divergences, 1e6."""

    mark_oracle_percent_divergence: u64
    oracle_twap_5min_percent_divergence: u64


@record
class ValidityGuardRails(Record):
    """When an oracle price counts as stale (slots), uncertain (1e6) or volatile (ratio)."""

    slots_before_stale_for_amm: u64
    slots_before_stale_for_margin: u64
    confidence_interval_max_size: u64
    too_volatile_ratio: u64


@record
class OracleGuardRails(Record):
    """Guard rails for oracle prices."""

    price_divergence: PriceDivergenceGuardRails
    validity: ValidityGuardRails


@record
class State(Record):
    """The exchange-wide record. ``exchange_status`` is a set of pause bits; times are seconds.

    ``signer`` is the protocol itself: the holder of the vaults, and of the insurance shares that no staker owns.
    ``admin`` is Drift's. ``rulebook`` and what follows it is Velocity's: the role keys (the all-zero key is unset and
    never matches), the recipients of protocol fees, ``solvency_status`` (``SOLVENCY_…``), ``feature_bit_flags``
    (``FEATURE_…``), and the promotional fee tier.
    """

    admin: key
    signer: key
    perp_fee_structure: FeeStructure
    spot_fee_structure: FeeStructure
    oracle_guard_rails: OracleGuardRails
    number_of_authorities: u64
    number_of_sub_accounts: u64
    lp_cooldown_time: u64
    liquidation_margin_buffer_ratio: u32
    settlement_duration: u16
    number_of_markets: u16
    number_of_spot_markets: u16
    min_perp_auction_duration: u8
    default_market_order_time_in_force: u8
    default_spot_auction_duration: u8
    exchange_status: u8
    liquidation_duration: u8
    initial_pct_to_liquidate: u16
    max_number_of_sub_accounts: u16
    max_initialize_user_fee: u16
    rulebook: Annotated[int, Enumerated(RulebookKind)]
    cold_admin: key
    warm_admin: key
    pause_admin: key
    hot_amm_crank: key
    hot_lp_cache: key
    hot_lp_swap: key
    hot_lp_settle: key
    hot_feature_flag: key
    hot_user_flag: key
    hot_vault_deposit: key
    hot_mm_oracle_crank: key
    hot_amm_spread_adjust: key
    hot_fee_withdraw: key
    hot_account_extension: key
    hot_vamm_quote_management: key
    protocol_fee_recipient_perp: key
    protocol_fee_recipient_spot: key
    solvency_status: u8
    feature_bit_flags: u8
    promo_fee_tier: u8


@record
class VenueConfig(Record):
    """What kind of venue this is: the rulebook, the profile, and the named rules that the profile switched on.

    ``spot_fee_pool_settlement``: anyone may settle spot fee pools to revenue pools. ``admin_removes_protocol_shares``:
    the admin may cash insurance shares that the protocol owns. ``liquidation_status_cranks``: anyone may set and clear
    the status of being liquidated. ``wallets_tracked``: tokens outside the vaults are accounted too, so that a deposit
    needs a wallet that holds it. ``associated_spot_backstop``: a perp market may be backed by the revenue and insurance
    of a spot market. Velocity's: ``revenue_pool_draw_for_pnl`` and ``revenue_pool_draw_for_funding``: a perp market
    draws on the revenue pool within its period's cap; ``tokenize_spread_surplus``: the sweep moves the AMM's spread
    surplus to its fee pool; ``revenue_receivable``: revenue is booked for the insurance fund before it is paid out.
    Both behaviours: docs/rulebooks.md.
    """

    name: name32
    rulebook: name32
    profile: name32
    spot_fee_pool_settlement: bool
    admin_removes_protocol_shares: bool
    liquidation_status_cranks: bool
    wallets_tracked: bool
    associated_spot_backstop: bool
    revenue_pool_draw_for_pnl: bool
    revenue_pool_draw_for_funding: bool
    tokenize_spread_surplus: bool
    revenue_receivable: bool
