"""Creating a Velocity venue: the exchange with its role keys, and its markets."""

from seawall.engine.explain import Explainer
from seawall.engine.handlers import markets
from seawall.engine.handlers import venue_setup as drift
from seawall.engine.handlers.migration import become_velocity_perp_market, become_velocity_spot_market
from seawall.engine.handlers.velocity.fee_parameters import default_velocity_fee_structure
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction
from seawall.instructions.markets import InitializePerpMarket, InitializeSpotMarket
from seawall.instructions.venue_setup import Initialize
from seawall.keys import DEFAULT_KEY
from seawall.state.enums import FEATURE_ISOLATED_POSITIONS, RULEBOOK_VELOCITY

DEFAULT_REVENUE_SETTLE_PERIOD = 3_600


def initialize(tx: Transaction, ix: Initialize) -> None:
    """Create the exchange with Velocity's defaults; the admin becomes cold and warm admin, no other key is set.

    ``AccountAlreadyInUse`` on a second call. Source: velocity/protocol-fees-and-roles.md §4; spec README (profiles).
    """
    drift.initialize(tx, ix)
    documents = ix.profile == "documents"
    config, state = tx.write_config(), tx.write_state()
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


def initialize_perp_market(tx: Transaction, ix: InitializePerpMarket) -> None:
    """Create a perp market with Velocity's defaults. Errors as in Drift."""
    markets.initialize_perp_market(tx, ix)
    market = tx.write_perp_market(ix.market_index)
    become_velocity_perp_market(market)


HANDLERS: dict[type[Instruction], Handler] = {
    Initialize: initialize,
    InitializeSpotMarket: initialize_spot_market,
    InitializePerpMarket: initialize_perp_market,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
