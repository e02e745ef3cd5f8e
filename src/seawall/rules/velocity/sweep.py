"""The streaming sweep: pending fees leave the P&L pool for the protocol's pool, insurance and the AMM.

Fee values arrive in the P&L pool first, as losers settle, and are only counted in the ledger. The sweep hands out what
the pool holds beyond what users, insurance's tranche and revenue shares are owed: the protocol first, and above the
market's retention buffer insurance and then the AMM.
Source: velocity/pools-and-fees.md §6; ``controller/perp_pools.rs``.
"""

from seawall.arithmetic import sub_checked, sub_saturating
from seawall.lanes import rule
from seawall.rules.common.balances import transfer_between_pools
from seawall.rules.common.pools import (
    get_pool_token_amount,
    reset_revenue_withdraw_for_new_period,
    transfer_pool_to_revenue_pool,
)
from seawall.rules.velocity.fee_ledger import (
    consume_pending_amm_provision,
    consume_pending_if,
    consume_pending_protocol,
)
from seawall.rules.velocity.if_floor import get_bankruptcy_if_tranche_reservation, get_pending_if_fee_floor
from seawall.state.enums import PERP_SETTLE_REV_POOL
from seawall.state.facts import SweepFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket


@rule
def sweep_market_fees(
    market: PerpMarket,
    spot_market: SpotMarket,
    net_user_pnl: int,
    now: int,
    force: bool,
    tokenize_surplus: bool,
    facts: SweepFacts,
) -> None:
    """Hand out the market's pending fees as far as the P&L pool reaches; ``facts`` tells how much (quote 1e6).

    The quote market's interest is accrued by the caller. ``force`` (delisting) passes over the pause and the
    insurance floor, not over the buffer. ``tokenize_surplus``: the venue also tokenises the AMM's spread surplus, last.
    ``BlockchainClockInconsistency``, ``UnequalMarketIndexForSpotTransfer``, ``InvalidSpotMarketState``.
    Source: ``controller/perp_pools.rs::sweep_market_fees``.
    """
    # before any early end: the period is reset even where nothing is pending or the sweep is paused
    reset_revenue_withdraw_for_new_period(market, spot_market, now)
    ledger = market.fee_ledger
    facts.market_index = market.market_index
    facts.paused = not force and market.paused_operations & PERP_SETTLE_REV_POOL != 0
    if facts.paused:
        return
    pending = ledger.pending_protocol_fee + ledger.pending_if_fee + ledger.pending_amm_provision
    if tokenize_surplus:
        pending = pending + ledger.pending_amm_surplus
    if pending == 0:
        return
    # the floor counts twice: its value stays in the pool, and the counter is not drained below it
    floor = get_pending_if_fee_floor(market, force)
    head = pool_headroom(market, spot_market, net_user_pnl, force, facts)
    facts.if_floor = floor

    protocol = min(ledger.pending_protocol_fee, head)
    transfer_between_pools(protocol, spot_market, market.pnl_pool, market.protocol_fee_pool)
    consume_pending_protocol(ledger, protocol)
    # the buffer does not hold the protocol's cut back
    room = sub_saturating(head - protocol, market.fee_pool_buffer_target)
    facts.room = room

    insurance = min(sub_saturating(ledger.pending_if_fee, floor), room)
    if insurance > 0:
        transfer_pool_to_revenue_pool(insurance, spot_market, market.pnl_pool)
        consume_pending_if(ledger, insurance)
    room = room - insurance

    # what the AMM has earned was booked when it was: only the tokens move now
    provision = min(ledger.pending_amm_provision, room)
    transfer_between_pools(provision, spot_market, market.pnl_pool, market.amm.fee_pool)
    consume_pending_amm_provision(ledger, provision)
    facts.protocol_swept = protocol
    facts.if_swept = insurance
    facts.amm_provision_tokenized = provision
    if tokenize_surplus:
        tokenize_spread_surplus(market, spot_market, room - provision, facts)
    facts.swept = protocol + insurance + provision + facts.amm_surplus_tokenized > 0


@rule
def pool_headroom(
    market: PerpMarket, spot_market: SpotMarket, net_user_pnl: int, force: bool, facts: SweepFacts
) -> int:
    """What the P&L pool holds (quote 1e6) beyond what users, insurance's tranche and revenue shares are owed."""
    facts.pnl_pool = get_pool_token_amount(market.pnl_pool, spot_market)
    if net_user_pnl > 0:
        facts.reserved_for_users = net_user_pnl
    facts.reserved_for_insurance = get_bankruptcy_if_tranche_reservation(market, force)
    facts.reserved_for_revenue_share = market.pending_revenue_share
    reserved = facts.reserved_for_users + facts.reserved_for_insurance + facts.reserved_for_revenue_share
    facts.headroom = sub_saturating(facts.pnl_pool, reserved)
    return facts.headroom


@rule
def tokenize_spread_surplus(market: PerpMarket, spot_market: SpotMarket, room: int, facts: SweepFacts) -> None:
    """Move the AMM's pending spread surplus into its fee pool, up to ``room`` (quote 1e6): Seawall's, a parameter.

    It is no part of ``amm_protocol_fees_received``: no bankruptcy claws it back. Source: ``tokenize_spread_surplus``.
    """
    ledger = market.fee_ledger
    surplus = min(ledger.pending_amm_surplus, room)
    transfer_between_pools(surplus, spot_market, market.pnl_pool, market.amm.fee_pool)
    ledger.pending_amm_surplus = sub_checked(ledger.pending_amm_surplus, surplus)
    facts.amm_surplus_tokenized = surplus
