"""Facts: what a rule noted down while it worked, from which the handler builds the events.

A rule that can make something happen that an event tells of takes a facts record and fills it in; the handler hands in
a fresh one and reads it afterwards. Facts are scratch paper: they are never stored.
"""

from typing import Annotated, Final

from seawall.records import Length, Record, i8, i64, i128, record, u8, u16, u32, u64, u128


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
class IsolatedMargin(Record):
    """What an isolated position owes and owns by itself, quote 1e6; all 0 for a row that is none.

    ``total_collateral_buffer`` (≤ 0) and the requirement with buffer are built only where there is a buffer.
    Source: velocity/isolated.md §5; ``state/margin_calculation.rs::IsolatedMarginCalculation``.
    """

    is_isolated: bool
    total_collateral: i128
    total_collateral_buffer: i128
    margin_requirement: u128
    margin_requirement_plus_buffer: u128


@record
class MarginCalculation(Record):
    """What an account owes and owns: quote 1e6; the requirement with buffer is built only where there is a buffer.

    ``tracked_market_type`` (0 none, 1 spot, 2 perp) and ``tracked_market_index`` ask for that market's part of the
    requirement. Velocity: these figures are cross margin's; ``isolated`` has one entry a row of the perp positions,
    ``total_collateral_buffer`` (≤ 0) what the buffer takes off negative contributions, and
    ``ignore_invalid_deposit_oracles`` asks that what an invalid price values counts for nothing.
    Source: margin.md §1; velocity/isolated.md §5; ``state/margin_calculation.rs``.
    """

    total_collateral: i128
    margin_requirement: u128
    margin_requirement_plus_buffer: u128
    margin_buffer: u128
    num_spot_liabilities: u8
    num_perp_liabilities: u8
    all_oracles_valid: bool
    with_perp_isolated_liability: bool
    with_spot_isolated_liability: bool
    tracked_market_type: u8
    tracked_market_index: u16
    tracked_market_margin_requirement: u128
    total_collateral_buffer: i128
    all_deposit_oracles_valid: bool
    all_liability_oracles_valid: bool
    ignore_invalid_deposit_oracles: bool
    isolated: Annotated[list[IsolatedMargin], Length(8)]


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
class CurveFacts(Record):
    """The AMM's curve was changed: the curve before and after, the cost (quote 1e6) and the market's books then."""

    updated: bool
    market_index: u16
    record_id: u64
    peg_multiplier_before: u128
    base_asset_reserve_before: u128
    quote_asset_reserve_before: u128
    sqrt_k_before: u128
    peg_multiplier_after: u128
    base_asset_reserve_after: u128
    quote_asset_reserve_after: u128
    sqrt_k_after: u128
    base_asset_amount_long: u128
    base_asset_amount_short: u128
    base_asset_amount_with_amm: i128
    total_fee: i128
    total_fee_minus_distributions: i128
    adjustment_cost: i128
    oracle_price: i64
    fill_record: u128
    number_of_users: u32


@record
class FundingRateFacts(Record):
    """A market's funding rate was updated: rates 1e9, TWAPs 1e6, revenue quote 1e6; ``curve``: the k change with it.

    The next three are Velocity's (quote 1e6): what the AMM owed, what of it exceeds what it may pay, and what the
    revenue pool added to that.
    """

    updated: bool
    market_index: u16
    record_id: u64
    funding_rate: i64
    funding_rate_long: i128
    funding_rate_short: i128
    cumulative_funding_rate_long: i128
    cumulative_funding_rate_short: i128
    oracle_price_twap: i64
    mark_price_twap: u64
    period_revenue: i64
    base_asset_amount_with_amm: i128
    funding_owed: u64
    funding_shortfall: u64
    revenue_pool_draw: u64
    curve: CurveFacts


@record
class RevenueSettleFacts(Record):
    """Revenue settled to an insurance fund: amount, the vaults before (tokens), shares as the event tells them.

    The rest says what the amount was cut from (tokens): the pool, the depositors' claim, half of it where the claim was
    smaller than the pool (``claim_bound``), and, with stakers, a tenth and the APR cap with what it was taken of.
    """

    settled: bool
    revenue_pool: u128
    depositors_claim: i64
    claim_bound: bool
    available: u128
    has_stakers: bool
    tenth: u128
    apr_base: u64
    apr_cap: u128
    amount: u64
    vault_amount_before: u64
    insurance_vault_amount_before: u64
    total_if_shares_before: u128
    total_if_shares_after: u128


@record
class StakeFacts(Record):
    """A change of insurance shares: tokens it was worth, the fund's vault (tokens) and all shares before and after.

    ``forfeited_shares`` and ``share_value`` tell what a removal or cancellation left to the other holders.
    """

    amount: u64
    insurance_vault_amount_before: u64
    if_shares_before: u128
    user_if_shares_before: u128
    total_if_shares_before: u128
    if_shares_after: u128
    user_if_shares_after: u128
    total_if_shares_after: u128
    forfeited_shares: u128
    share_value: u64


@record
class PoolUpdateFacts(Record):
    """What ``update_pool_balances`` moved and what bound it (quote tokens 1e6), step by step.

    ``revenue_pool_transfer`` is positive into the revenue pool. ``pnl_pool_available`` is what a winner could be paid,
    ``user_withdrawable`` what a loser could pay. ``pnl_to_fee_pool`` is the AMM's part of a loss. ``pnl_pool_draw`` is
    what the P&L pool drew on the revenue pool for a winner (Velocity).
    """

    fee_pool_before: u128
    pnl_pool_before: u128
    fee_pool_surplus: u128
    fee_pool_refill: u128
    revenue_pool_transfer: i128
    pnl_pool_available: u128
    user_withdrawable: u128
    pnl_to_fee_pool: u128
    pnl_pool_draw: u128


@record
class SweepFacts(Record):
    """A fee sweep of a Velocity market (quote 1e6): what left the P&L pool, and what held the rest back.

    ``headroom`` is the pool less what is reserved, for the protocol; ``room`` what of it lies above the retention
    buffer after the protocol's cut, for insurance and the AMM. ``if_floor`` is what insurance's counter keeps.
    """

    swept: bool
    paused: bool
    market_index: u16
    if_swept: u128
    protocol_swept: u128
    amm_provision_tokenized: u128
    amm_surplus_tokenized: u128
    pnl_pool: u128
    reserved_for_users: u128
    reserved_for_insurance: u128
    reserved_for_revenue_share: u128
    headroom: u128
    room: u128
    if_floor: u128


@record
class SettlePnlFacts(Record):
    """A settlement of P&L: what the event tells, and what the claim was cut from (quote 1e6).

    ``refused`` is the number of the error that a settlement in TrySettle stopped at, 0 if it did not.
    """

    settled: bool
    refused: u16
    market_index: u16
    pnl: i64
    base_asset_amount: i64
    quote_asset_amount_after: i64
    quote_entry_amount: i64
    settle_price: i64
    unrealized_pnl: i128
    claimable_pnl: i128
    net_user_pnl: i128
    pnl_pool_excess: i128
    pools: PoolUpdateFacts


@record
class PnlDeficitFacts(Record):
    """A draw of a perp market on insurance (quote 1e6): the deficit, then each cap as it stood, then what was drawn.

    ``excess_user_pnl`` is what all users gained beyond the market's allowance, ``period_room`` and ``insurance_room``
    what the period and the market's lifetime still admit, ``insurance_available`` what the fund can part with.
    Velocity's: ``net_user_pnl_at_twap`` is what the P&L pool must be short of, ``vault_payment`` what of the draw the
    fund's vault pays; the receivable pays the rest.
    """

    total_fee_minus_distributions: i128
    pnl_pool: u128
    net_user_pnl_at_twap: i128
    net_user_pnl: i128
    excess_user_pnl: i128
    period_room: i128
    insurance_room: u64
    insurance_available: u64
    drawn: u64
    vault_payment: u64


@record
class BankruptcyFacts(Record):
    """A debt that its owner cannot pay, in tokens of the market: who paid what, and what was spread over the others.

    ``insurance_room`` is what the perp market may still draw (spot: no such cap). ``cumulative_delta`` is the change of
    the indices that spreads ``socialized_loss``: funding rates (1e9) or the deposit index (1e10).

    The rest is Velocity's. ``outcome`` is a ``BANKRUPTCY_…`` constant, ``row`` the scope (−1 cross), ``still_bankrupt``
    whether it stays latched. The estate (quote 1e6): what was ``recovered`` of claims on other markets, what deposits
    ``set_off``, what claims were ``forfeited``. Then what each further source had and paid: pending insurance fees, the
    AMM's provision not yet tokenised (its tokens: ``fee_pool``), within ``amm_backstop``, and the revenue pool.
    ``receivable`` is what of the fund is not in its vault, ``vault_payment`` what must leave the vault.
    """

    liquidation_id: u16
    loss: u128
    insurance_available: u64
    insurance_room: u64
    insurance_payment: u64
    fee_pool: u128
    fee_pool_payment: u128
    socialized_loss: u128
    cumulative_delta: u128
    quote_social_loss: u64
    outcome: u8
    row: i8
    still_bankrupt: bool
    recovered: u128
    set_off: u128
    forfeited: u128
    pending_if_fee: u128
    pending_if_payment: u128
    pending_amm_provision: u128
    untokenized_payment: u128
    amm_backstop: u128
    revenue_pool: u128
    revenue_pool_payment: u128
    receivable: u64
    vault_payment: u64


BANKRUPTCY_RESOLVED: Final = 0
BANKRUPTCY_UNLATCHED: Final = 1
"""There was something to seize yet: the flag was wrong, and ordinary liquidation goes on."""
BANKRUPTCY_COVERED_BY_SET_OFF: Final = 2
"""The account's own deposit paid the whole debt."""


@record
class LiquidationFacts(Record):
    """A liquidation: what the event tells, and what its size was cut from.

    ``recorded``: the event is due; ``exited``: the account left liquidation. Margin figures quote 1e6, those without
    ``plus_buffer`` of the first calculation. ``max_pct_to_liquidate`` 1e4. ``to_cover`` would cover the whole
    shortage, ``allowed`` is what of it may go now, ``implied`` what the asset pays for, ``held`` all there is: base
    (1e9) of a perp position, else tokens (or quote) of the liability. Prices and ``if_rate`` 1e6, transfers in tokens
    or quote. Velocity's: the protocol's rate and fee beside insurance's, the ramped ``liquidator_rate`` (1e6), and
    whether the account's isolated position was liquidated rather than its cross margin.
    """

    recorded: bool
    exited: bool
    bankrupt: bool
    liquidation_id: u16
    margin_requirement: u128
    total_collateral: i128
    margin_shortage: u128
    margin_freed: u64
    max_pct_to_liquidate: u128
    to_cover: u128
    allowed: u128
    implied: u128
    held: u128
    if_rate: u32
    oracle_price: i64
    asset_price: i64
    liability_price: i64
    base_asset_amount: i64
    quote_asset_amount: i64
    liquidator_fee: u64
    if_fee: u64
    fill_record_id: u64
    asset_transfer: u128
    liability_transfer: u128
    protocol_rate: u32
    protocol_fee: u64
    liquidator_rate: u32
    isolated: bool


@record
class AssociatedSpotFacts(Record):
    """A draw on an associated spot market: what there was (tokens, the rest quote 1e6), and who gave how many tokens.

    ``value`` is what the oracle says that the tokens are worth.
    """

    period_room: u64
    revenue_pool: u128
    insurance_available: u64
    value: i128
    revenue_payment: u64
    insurance_payment: u64
