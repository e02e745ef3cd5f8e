"""The fee sweep: the instruction, its event, and what held the rest of a market's pending fees back."""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.explain import Explainer
from seawall.engine.gates import require_not_paused, require_perp_market_valid
from seawall.engine.handlers.pnl_refusals import quote
from seawall.engine.interest import accrue
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction
from seawall.instructions.protocol_fees import SweepPerpMarketFees
from seawall.rules.common.perp_positions import calculate_net_user_pnl
from seawall.rules.velocity.drain_price import get_pnl_pool_drain_reserve_price
from seawall.rules.velocity.sweep import sweep_market_fees
from seawall.state.enums import EXCHANGE_ALL_PAUSED
from seawall.state.facts import SweepFacts
from seawall.state.perp_market import PerpMarket


def sweep(tx: Transaction, ix: SweepPerpMarketFees) -> None:
    """Accrue quote interest, then sweep at the price that the users' claims are reserved at.

    A sweep that moves nothing is a success; its receipt tells why. Errors: ``MarketDelisted``, ``ExchangePaused`` (all
    of it), ``PriceBandsBreached``, ``AMMNotUpdatedInSameSlot``, the oracle's, ``InvalidOracle``,
    ``BlockchainClockInconsistency``.
    """
    require_perp_market_valid(tx, ix.market_index)
    require_not_paused(tx, EXCHANGE_ALL_PAUSED)
    market = tx.write_perp_market(ix.market_index)
    spot_market = tx.write_quote_market()
    accrue(tx, QUOTE_SPOT_MARKET_INDEX, False)
    oracle = tx.perp_oracle(ix.market_index)
    price = get_pnl_pool_drain_reserve_price(market, oracle, tx.state.oracle_guard_rails, tx.slot)
    net_user_pnl = calculate_net_user_pnl(market.amm, price)
    facts = SweepFacts()
    sweep_market_fees(market, spot_market, net_user_pnl, tx.now, False, tx.config.tokenize_spread_surplus, facts)
    emit_sweep(tx, facts)
    note_sweep_limits(tx, market, facts)


def emit_sweep(tx: Transaction, facts: SweepFacts) -> None:
    """PerpMarketFeeSweepRecord, where anything was swept; the tokenised surplus, Seawall's own, only where it was."""
    if not facts.swept:
        return
    surplus = {"amm_surplus_tokenized": facts.amm_surplus_tokenized} if facts.amm_surplus_tokenized else {}
    tx.emit(
        "PerpMarketFeeSweepRecord",
        ts=tx.now,
        market_index=facts.market_index,
        if_swept=facts.if_swept,
        protocol_swept=facts.protocol_swept,
        amm_provision_tokenized=facts.amm_provision_tokenized,
        **surplus,
    )


def note_sweep_limits(tx: Transaction, market: PerpMarket, facts: SweepFacts) -> None:
    """Note on the receipt why fees still pend: the pause, what is reserved of the pool, the floor, the buffer."""
    ledger = market.fee_ledger
    amm_pending = ledger.pending_amm_provision
    if tx.config.tokenize_spread_surplus:
        amm_pending += ledger.pending_amm_surplus
    left = ledger.pending_protocol_fee + ledger.pending_if_fee + amm_pending
    if left == 0:
        return
    name = f"perp market {market.market_index}"
    if facts.paused:
        tx.limit(
            "settle_rev_pool", 0, left, f"SettleRevPool is paused in {name}; fees keep pending until it is resumed"
        )
        return
    pool = (
        f"the P&L pool of {name} held {quote(facts.pnl_pool)}; reserved: {quote(facts.reserved_for_users)} for the "
        f"users' net P&L, {quote(facts.reserved_for_insurance)} for insurance in a bankruptcy, "
        f"{quote(facts.reserved_for_revenue_share)} for builders and referrers"
    )
    if ledger.pending_protocol_fee:
        asked = facts.protocol_swept + ledger.pending_protocol_fee
        tx.limit("pnl_pool", facts.protocol_swept, asked, f"the protocol's cut: {pool}")
    if ledger.pending_if_fee:
        _note_insurance(tx, market, facts, pool)
    if amm_pending:
        got = facts.amm_provision_tokenized + facts.amm_surplus_tokenized
        tx.limit("fee_pool_buffer_target", got, got + amm_pending, f"the AMM's part: {pool}{_buffer(market)}")


def _note_insurance(tx: Transaction, market: PerpMarket, facts: SweepFacts, pool: str) -> None:
    """What bound insurance's cut: what its counter keeps, or what the pool could give."""
    pending = market.fee_ledger.pending_if_fee
    if pending <= facts.if_floor:
        if market.pending_bankruptcy_claims:
            note = f"{market.pending_bankruptcy_claims} bankrupt positions await their resolution: all of it stays"
        else:
            note = f"the standing floor of {quote(facts.if_floor)}: bankruptcies draw on it first"
        tx.limit("bankruptcy_if_floor", facts.if_swept, facts.if_swept + pending, f"insurance's cut: {note}")
        return
    note = f"insurance's cut: {pool}{_buffer(market)}"
    tx.limit("fee_pool_buffer_target", facts.if_swept, facts.if_swept + pending, note)


def _buffer(market: PerpMarket) -> str:
    return f"; above that a buffer of {quote(market.fee_pool_buffer_target)} stays"


HANDLERS: dict[type[Instruction], Handler] = {SweepPerpMarketFees: sweep}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
