"""Creating a Velocity venue: the exchange with its role keys, and its markets."""

from seawall.engine.explain import Explainer
from seawall.engine.handlers import markets
from seawall.engine.handlers import venue_setup as drift
from seawall.engine.handlers.velocity.fee_parameters import default_velocity_fee_structure
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction
from seawall.instructions.markets import InitializePerpMarket, InitializeSpotMarket
from seawall.instructions.venue_setup import Initialize
from seawall.keys import DEFAULT_KEY
from seawall.state.enums import FEATURE_ISOLATED_POSITIONS, RULEBOOK_VELOCITY
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import PoolBalance, SpotMarket

DEFAULT_REVENUE_SETTLE_PERIOD = 3_600
DEFAULT_FEE_POOL_BUFFER_TARGET = 250_000_000
DEFAULT_FUNDING_CLAMP_THRESHOLD = 5
DEFAULT_FUNDING_RAMP_SLOPE = 1_000_000
IMMEDIATE_FILLS_OF_THIS_SLOT = -1


def initialize(tx: Transaction, ix: Initialize) -> None:
    """Create the exchange with Velocity's defaults; the admin becomes cold and warm admin, no other key is set.

    ``AccountAlreadyInUse`` on a second call. Source: velocity/protocol-fees-and-roles.md §4; spec README (profiles).
    """
    drift.initialize(tx, ix)
    documents = ix.profile == "documents"
    config, state = tx.config, tx.write_state()
    config.spot_fee_pool_settlement = False
    config.admin_removes_protocol_shares = False
    config.revenue_pool_draw_for_pnl = drift.given(ix.revenue_pool_draw_for_pnl, documents)
    config.revenue_pool_draw_for_funding = drift.given(ix.revenue_pool_draw_for_funding, documents)
    config.tokenize_spread_surplus = drift.given(ix.tokenize_spread_surplus, documents)
    config.revenue_receivable = ix.revenue_receivable
    state.rulebook = RULEBOOK_VELOCITY
    state.cold_admin = state.warm_admin = state.admin
    state.admin = DEFAULT_KEY
    state.perp_fee_structure = default_velocity_fee_structure()
    if drift.given(ix.isolated_positions, documents):
        state.feature_bit_flags = FEATURE_ISOLATED_POSITIONS


def initialize_spot_market(tx: Transaction, ix: InitializeSpotMarket) -> None:
    """Create a spot market; ``if_total_factor`` is its ``if_fee_factor``, the protocol's factor starts at 0.

    Errors as in Drift.
    """
    markets.initialize_spot_market(tx, ix)
    market = tx.write_spot_market(len(tx.spot_markets) - 1)
    fund = market.insurance_fund
    fund.if_fee_factor = fund.total_factor
    fund.total_factor = fund.user_factor = 0
    fund.revenue_settle_period = DEFAULT_REVENUE_SETTLE_PERIOD
    become_velocity_spot_market(market)


def become_velocity_spot_market(market: SpotMarket) -> None:
    """Put a spot market under Velocity, with an empty protocol fee pool."""
    market.rulebook = RULEBOOK_VELOCITY
    market.protocol_fee_pool = PoolBalance(market_index=market.market_index)


def initialize_perp_market(tx: Transaction, ix: InitializePerpMarket) -> None:
    """Create a perp market with Velocity's defaults. Errors as in Drift."""
    markets.initialize_perp_market(tx, ix)
    market = tx.write_perp_market(ix.market_index)
    become_velocity_perp_market(market)


def become_velocity_perp_market(market: PerpMarket) -> None:
    """Put a perp market under Velocity: an empty fee ledger and protocol pool, the default buffer and dead zone."""
    market.rulebook = RULEBOOK_VELOCITY
    market.protocol_fee_pool = PoolBalance(market_index=market.quote_spot_market_index)
    market.fee_pool_buffer_target = DEFAULT_FEE_POOL_BUFFER_TARGET
    market.funding_clamp_threshold = DEFAULT_FUNDING_CLAMP_THRESHOLD
    market.funding_ramp_slope = DEFAULT_FUNDING_RAMP_SLOPE
    market.amm.oracle_slot_delay_override = IMMEDIATE_FILLS_OF_THIS_SLOT
    market.amm.last_cumulative_funding_rate_long = market.amm.cumulative_funding_rate_long
    market.amm.last_cumulative_funding_rate_short = market.amm.cumulative_funding_rate_short


HANDLERS: dict[type[Instruction], Handler] = {
    Initialize: initialize,
    InitializeSpotMarket: initialize_spot_market,
    InitializePerpMarket: initialize_perp_market,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
