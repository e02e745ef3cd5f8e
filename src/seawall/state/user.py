"""User accounts and their statistics. Source: ``state/user.rs``. Order slots and LP shares are left out."""

from typing import Annotated, Final

from seawall.records import Enumerated, Length, Record, i64, key, name32, record, u8, u16, u32, u64
from seawall.state.enums import BalanceType

POSITIONS: Final = 8
"""Spot slots and perp slots of one account."""


@record
class SpotPosition(Record):
    """A user's claim on (Deposit) or debt to (Borrow) a collateral vault: scaled_balance 1e9, the rest in tokens."""

    scaled_balance: u64
    open_bids: i64
    open_asks: i64
    cumulative_deposits: i64
    market_index: u16
    balance_type: Annotated[int, Enumerated(BalanceType)]
    open_orders: u8


@record
class PerpPosition(Record):
    """A perp position: base 1e9 (positive long), quote figures 1e6, funding rate 1e9, orders in base.

    The last three are Velocity's: the collateral of an isolated position (a deposit in the quote market, scaled 1e9),
    its flags (``POSITION_…``), and the position's own margin ratio (1e4).
    """

    last_cumulative_funding_rate: i64
    base_asset_amount: i64
    quote_asset_amount: i64
    quote_break_even_amount: i64
    quote_entry_amount: i64
    open_bids: i64
    open_asks: i64
    settled_pnl: i64
    market_index: u16
    open_orders: u8
    isolated_position_scaled_balance: u64
    position_flag: u8
    max_margin_ratio: u16


@record
class User(Record):
    """One sub-account: 8 spot and 8 perp slots, lifetime totals (quote 1e6), status bits, margin settings (1e4).

    ``address`` is the name that events use for the account; ``idle`` and the order book's own fields are the venue's.
    """

    authority: key
    sub_account_id: u16
    address: key
    delegate: key
    spot_positions: Annotated[list[SpotPosition], Length(POSITIONS)]
    perp_positions: Annotated[list[PerpPosition], Length(POSITIONS)]
    total_deposits: u64
    total_withdraws: u64
    total_social_loss: u64
    settled_perp_pnl: i64
    cumulative_spot_fees: i64
    cumulative_perp_funding: i64
    liquidation_margin_freed: u64
    last_active_slot: u64
    max_margin_ratio: u32
    next_liquidation_id: u16
    status: u8
    is_margin_trading_enabled: bool
    idle: bool
    pool_id: u8
    name: name32


@record
class UserFees(Record):
    """Lifetime fee figures of an authority, quote 1e6."""

    total_fee_paid: u64
    total_fee_rebate: u64
    total_token_discount: u64
    total_referee_discount: u64
    total_referrer_reward: u64
    current_epoch_referrer_reward: u64


@record
class UserStats(Record):
    """Statistics of an authority over all its sub-accounts: volumes (quote 1e6), fees, insurance stake.

    The last three are Velocity's: rewards as a builder (quote 1e6), whether a vault program owns the accounts (such a
    beneficiary forfeits revenue shares), and whether the referrer's reward is the accelerated one.
    """

    authority: key
    referrer: key
    fees: UserFees
    next_epoch_ts: i64
    maker_volume_30d: u64
    taker_volume_30d: u64
    filler_volume_30d: u64
    last_maker_volume_30d_ts: i64
    last_taker_volume_30d_ts: i64
    last_filler_volume_30d_ts: i64
    if_staked_quote_asset_amount: u64
    number_of_sub_accounts: u16
    number_of_sub_accounts_created: u16
    is_referrer: bool
    disable_update_perp_bid_ask_twap: bool
    total_builder_reward: u64
    is_vault_owned: bool
    is_accelerated_referrer: bool


@record
class Wallet(Record):
    """Tokens that an authority holds outside the venue's vaults, where the venue tracks them."""

    authority: key
    market_index: u16
    amount: u64
