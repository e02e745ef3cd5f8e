"""A user's settlement in one market as an instruction makes it: refresh, settle, activity; or closing at expiry.

Handlers call it for one account, bulk loops for many. Source: pools-and-pnl.md §5, §7; ``instructions/keeper.rs``.
"""

from seawall.lanes import rule
from seawall.rules.common.amm_refresh import update_amm
from seawall.rules.common.user_status import update_last_active_slot
from seawall.rules.drift.expiry import settle_expired_position
from seawall.rules.drift.pnl import settle_pnl
from seawall.state.exchange import State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User


@rule
def refresh_and_settle_pnl(
    user: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    slot: int,
    mode: int,
    margin_verdict: int,
    signer_is_owner: bool,
    interest: InterestFacts,
    funding: FundingPaymentFacts,
    facts: SettlePnlFacts,
) -> int:
    """Refresh the market's AMM, settle the user's P&L (quote 1e6, signed; returned), note the user's activity.

    Errors: those of ``update_amm`` and ``settle_pnl``.
    """
    market = perp_markets[market_index]
    update_amm(market, oracles[market.amm.oracle_index], state.oracle_guard_rails, now, slot)
    pnl = settle_pnl(
        user, market_index, spot_markets, perp_markets, oracles, state, now, slot, mode, margin_verdict,
        signer_is_owner, interest, funding, facts,
    )  # fmt: skip
    update_last_active_slot(user, slot)
    return pnl


@rule
def close_expired_position(
    user: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    slot: int,
    interest: InterestFacts,
    funding: FundingPaymentFacts,
    facts: SettlePnlFacts,
) -> None:
    """Close the user's position in a market in Settlement, note the user's activity.

    Errors: those of ``settle_expired_position``.
    """
    settle_expired_position(
        user, market_index, spot_markets, perp_markets, oracles, state, now, interest, funding, facts
    )
    update_last_active_slot(user, slot)
