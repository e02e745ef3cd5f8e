"""The end of a perp market under Velocity: closing every position at the last price, the last sweep, handing over.

Source: velocity/pools-and-fees.md §10; ``controller/pnl.rs``, ``instructions/admin/market_settlement.rs``.
"""

from typing import Final

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, checked_i64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.expiry import (
    book_expired_pnl,
    cancel_position_orders,
    check_pools_release,
    close_position_at_expiry_price,
    note_expired_position,
    release_pools,
)
from seawall.rules.common.funding import settle_funding_payment
from seawall.rules.common.margin import meets_maintenance_margin_requirement
from seawall.rules.common.perp_positions import find_perp_position
from seawall.rules.common.user_status import is_bankrupt
from seawall.rules.velocity.fee_ledger import accrue_fill_fees
from seawall.rules.velocity.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.rules.velocity.pools import update_pnl_pool_and_position_balance
from seawall.rules.velocity.sweep import sweep_market_fees
from seawall.state.enums import PERP_SETTLE_PNL, PERP_SETTLE_PNL_WITH_POSITION, STATUS_SETTLEMENT
from seawall.state.exchange import State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts, SweepFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User

FEE_DENOMINATOR: Final = 100


@rule
def settle_expired_position(
    user: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    funding_paused: bool,
    interest: InterestFacts,
    funding: FundingPaymentFacts,
    facts: SettlePnlFacts,
) -> int:
    """Close the user's position at the expiry price and settle all of it; the amount (quote 1e6, signed).

    No position is a success. ``UserBankrupt``, ``InsufficientCollateralForSettlingPNL`` (forgiven to a gain without a
    position), ``PerpMarketNotInSettlement``, ``InvalidMarketStatusToSettlePnl`` (paused),
    ``PerpMarketSettlementBufferNotReached``, ``InsufficientPerpPnlPool`` (a winner is paid in full or not at all),
    ``InsufficientCollateral`` (isolated), ``UnableToSettleExpiredUserPosition``.
    Source: velocity/pools-and-fees.md §10.
    """
    if is_bankrupt(user):
        raise SettlementError(ErrorCode.UserBankrupt)
    index = find_perp_position(user, market_index)
    if index < 0:
        return 0
    position = user.perp_positions[index]
    gain = position.base_asset_amount == 0 and position.quote_asset_amount > 0
    if not gain and not meets_maintenance_margin_requirement(user, spot_markets, perp_markets, oracles, state):
        raise SettlementError(ErrorCode.InsufficientCollateralForSettlingPNL)
    spot_market = spot_markets[QUOTE_SPOT_MARKET_INDEX]
    market = perp_markets[market_index]
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, funding_paused, interest)
    settle_funding_payment(user, position, market, funding)
    cancel_position_orders(position)
    check_settlement(position, market, state.settlement_duration, now)
    note_expired_position(position, market, spot_market, facts)
    accrue_expiry_fee(market, state, close_position_at_expiry_price(position, market, state, facts))
    pnl = update_pnl_pool_and_position_balance(market, spot_market, user, position, position.quote_asset_amount)
    book_expired_pnl(user, position, market, pnl, facts)
    return pnl


@rule
def check_settlement(position: PerpPosition, market: PerpMarket, settlement_duration: int, now: int) -> None:
    """Whether positions of the market may be closed now.

    ``PerpMarketNotInSettlement``, ``InvalidMarketStatusToSettlePnl``, ``PerpMarketSettlementBufferNotReached``.
    """
    if market.status != STATUS_SETTLEMENT:
        raise SettlementError(ErrorCode.PerpMarketNotInSettlement)
    paused = market.paused_operations & PERP_SETTLE_PNL != 0
    if position.base_asset_amount != 0 and market.paused_operations & PERP_SETTLE_PNL_WITH_POSITION != 0:
        paused = True
    if paused:
        raise SettlementError(ErrorCode.InvalidMarketStatusToSettlePnl)
    if now <= checked_i64(market.expiry_ts + settlement_duration):
        raise SettlementError(ErrorCode.PerpMarketSettlementBufferNotReached)


@rule
def accrue_expiry_fee(market: PerpMarket, state: State, fee: int) -> None:
    """The fee of a closing at expiry (quote 1e6) is insurance's and the protocol's; the AMM gets none of it."""
    insurance = fee * state.perp_fee_structure.if_fee_numerator // FEE_DENOMINATOR
    accrue_fill_fees(market.fee_ledger, fee, fee - insurance, insurance, 0)


@rule
def settle_expired_market_pools_to_revenue_pool(
    market: PerpMarket,
    spot_market: SpotMarket,
    settlement_duration: int,
    now: int,
    tokenize_surplus: bool,
    sweep: SweepFacts,
) -> int:
    """Sweep the market a last time by force, hand what its pools still hold to the revenue pool, delist it.

    Returns the tokens handed over: also the sweep's buffer and what the pool could not pay of pending fees.
    ``DefaultError`` as in ``check_pools_release``, while a bankruptcy awaits its resolution, or while the AMM has a
    position; ``UnsettledRevenueShareOnDelist``; ``SpotMarketVaultInvariantViolated``.
    Source: velocity/pools-and-fees.md §10.
    """
    check_pools_release(market, settlement_duration, now)
    if market.pending_bankruptcy_claims != 0 or market.amm.base_asset_amount_with_amm != 0:
        raise SettlementError(ErrorCode.DefaultError)
    if market.pending_revenue_share != 0:
        raise SettlementError(ErrorCode.UnsettledRevenueShareOnDelist)
    sweep_market_fees(market, spot_market, 0, now, True, tokenize_surplus, sweep)
    return release_pools(market, spot_market)
