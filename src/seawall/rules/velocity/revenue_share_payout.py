"""Paying builders and referrers what they are owed: from the P&L pool, after users and insurance's tranche.

A row is paid whole or not at all, so that the order of the rows decides nothing but who is served first.
Source: velocity/pools-and-fees.md §12; ``controller/revenue_share.rs``.
"""

from typing import Final

from seawall.arithmetic import checked_u64, sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.expiry import pools_release_ts
from seawall.rules.common.perp_positions import calculate_net_user_cost_basis, calculate_net_user_pnl
from seawall.rules.common.pools import get_pool_token_amount, pay_user_from_pool
from seawall.rules.velocity.if_floor import get_bankruptcy_if_tranche_reservation
from seawall.rules.velocity.revenue_share import is_completed_row, is_free_row, is_referral_row
from seawall.state.enums import STATUS_DELISTED, STATUS_SETTLEMENT
from seawall.state.perp_market import PerpMarket
from seawall.state.revenue_share import RevenueShareRow
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

ROW_UNPAID: Final = 0
"""The P&L pool does not hold the whole claim beyond its reserve."""
ROW_PAID: Final = 1
ROW_FORFEITED: Final = 2
"""The beneficiary's accounts are owned by a vault: the claim is given up, the tokens stay in the pool."""

STILL_PAYABLE: Final = 0
NO_REACHABLE_BENEFICIARY: Final = 1
NO_BENEFICIARY_ACCOUNT: Final = 2
POOL_EXHAUSTED: Final = 3


@rule
def revenue_share_reserve(market: PerpMarket, price: int) -> int:
    """What a payout must leave in the P&L pool (quote 1e6): the users' net P&L at ``price`` and insurance's tranche.

    Not what revenue shares are owed: that is what is paid. ``InvalidOracle`` unless the price (1e6) is positive.
    """
    net_user_pnl = calculate_net_user_pnl(market.amm, price)
    reservation = get_bankruptcy_if_tranche_reservation(market, False)
    if net_user_pnl > 0:
        return net_user_pnl + reservation
    return reservation


@rule
def is_row_due(row: RevenueShareRow, market: PerpMarket) -> bool:
    """Whether a row of the market may be paid: a referrer's at any time, a builder's once completed.

    A market in Settlement waits for nobody's completion.
    """
    if is_free_row(row) or row.market_index != market.market_index or row.fees_accrued == 0:
        return False
    return is_referral_row(row) or is_completed_row(row) or market.status == STATUS_SETTLEMENT


@rule
def settle_revenue_share_row(
    row: RevenueShareRow,
    market: PerpMarket,
    spot_market: SpotMarket,
    reserve: int,
    vault_owned: bool,
    beneficiary: User,
) -> int:
    """Pay a row that is due, if the P&L pool holds all of it beyond ``reserve`` (quote 1e6): a ``ROW_…`` outcome.

    A vault-owned beneficiary forfeits, which is asked only of a row that could be paid: deliberate, it is the
    program's. A referrer's row stays in use, a builder's is free again. ``InvalidSpotMarketState``.
    """
    amount = row.fees_accrued
    if amount > sub_saturating(get_pool_token_amount(market.pnl_pool, spot_market), reserve):
        return ROW_UNPAID
    if vault_owned:
        clear_row(row, market, False)
        return ROW_FORFEITED
    pay_user_from_pool(amount, spot_market, market.pnl_pool, beneficiary)
    clear_row(row, market, is_referral_row(row))
    return ROW_PAID


@rule
def clear_row(row: RevenueShareRow, market: PerpMarket, keep: bool) -> None:
    """Nothing is owed in a row any more; unless kept, it is free. The market's counter falls along, not below 0."""
    market.pending_revenue_share = sub_saturating(market.pending_revenue_share, row.fees_accrued)
    row.fees_accrued = 0
    if not keep:
        row.bit_flags = 0
        row.fee_tenth_bps = 0


@rule
def forfeit_reason(
    row: RevenueShareRow,
    market: PerpMarket,
    spot_market: SpotMarket,
    reachable: bool,
    has_account: bool,
    settlement_duration: int,
    now: int,
) -> int:
    """Why a row of a market that is winding down can never be paid: one of the reasons above, or ``STILL_PAYABLE``.

    A beneficiary may open an account until the last second in which the pools must stay. A pool is exhausted for good
    once the AMM and all users are settled. Source: velocity/pools-and-fees.md §12.
    """
    if market.status != STATUS_SETTLEMENT and market.status != STATUS_DELISTED:
        return STILL_PAYABLE
    if not reachable:
        return NO_REACHABLE_BENEFICIARY
    if not has_account:
        if now > pools_release_ts(market.expiry_ts, settlement_duration):
            return NO_BENEFICIARY_ACCOUNT
        return STILL_PAYABLE
    final = market.amm.base_asset_amount_with_amm == 0 and calculate_net_user_cost_basis(market.amm) == 0
    if final and get_pool_token_amount(market.pnl_pool, spot_market) < row.fees_accrued:
        return POOL_EXHAUSTED
    return STILL_PAYABLE


@rule
def check_forfeit_row(row: RevenueShareRow, market: PerpMarket) -> None:
    """A row that may be asked about: ``RevenueShareOrderMarketMismatch``, ``RevenueShareOrderHasNoFeesAccrued``."""
    if is_free_row(row) or row.fees_accrued == 0:
        raise SettlementError(ErrorCode.RevenueShareOrderHasNoFeesAccrued)
    if row.market_index != market.market_index:
        raise SettlementError(ErrorCode.RevenueShareOrderMarketMismatch)


@rule
def add_reward(total: int, amount: int) -> int:
    """A beneficiary's lifetime rewards (quote 1e6) with one more; ``MathError`` beyond u64."""
    return checked_u64(total + amount)
