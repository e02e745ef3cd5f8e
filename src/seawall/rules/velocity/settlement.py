"""A user's settlement in one market as an instruction of Velocity makes it: refresh and settle, or close at expiry.

Source: velocity/pools-and-fees.md §9, §10; ``instructions/keeper/settle_pnl.rs``.
"""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.lanes import rule
from seawall.rules.common.amm_refresh import update_amm
from seawall.rules.common.perp_positions import find_perp_position, has_open_order, is_isolated
from seawall.rules.common.spot_positions import find_spot_position
from seawall.rules.common.user_balances import update_spot_balances_and_cumulative_deposits
from seawall.rules.common.user_status import is_position_being_liquidated, update_last_active_slot
from seawall.rules.velocity.expiry import settle_expired_position
from seawall.rules.velocity.isolated import get_isolated_token_amount, update_isolated_balance
from seawall.rules.velocity.pnl import settle_pnl
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.exchange import State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts, SweepFacts
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
    funding_paused: bool,
    draw_for_pnl: bool,
    tokenize_surplus: bool,
    interest: InterestFacts,
    funding: FundingPaymentFacts,
    facts: SettlePnlFacts,
    sweep: SweepFacts,
) -> int:
    """Refresh the market's AMM, settle the user's P&L (quote 1e6, signed; returned), free an empty isolated position.

    It is no activity of the user's. Errors: those of ``update_amm`` and ``settle_pnl``.
    """
    market = perp_markets[market_index]
    update_amm(market, oracles[market.amm.oracle_index], state.oracle_guard_rails, now, slot)
    pnl = settle_pnl(
        user, market_index, spot_markets, perp_markets, oracles, state, now, slot, mode, margin_verdict,
        signer_is_owner, funding_paused, draw_for_pnl, tokenize_surplus, interest, funding, facts, sweep,
    )  # fmt: skip
    release_isolated_collateral(user, market_index, spot_markets[QUOTE_SPOT_MARKET_INDEX])
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
    funding_paused: bool,
    interest: InterestFacts,
    funding: FundingPaymentFacts,
    facts: SettlePnlFacts,
) -> None:
    """Close the user's position in a market in Settlement, note the user's activity, free an isolated position.

    Errors: those of ``settle_expired_position``.
    """
    settle_expired_position(
        user, market_index, spot_markets, perp_markets, oracles, state, now, funding_paused, interest, funding, facts
    )
    release_isolated_collateral(user, market_index, spot_markets[QUOTE_SPOT_MARKET_INDEX])
    update_last_active_slot(user, slot)


@rule
def release_isolated_collateral(user: User, market_index: int, quote_market: SpotMarket) -> int:
    """Move what is left of an isolated position's collateral to the user's quote balance; the tokens moved.

    Only where the position has nothing else and is not being liquidated. Source: pools-and-pnl.md §9, newer;
    ``controller/isolated_position.rs``.
    """
    row = find_perp_position(user, market_index)
    if row < 0:
        return 0
    position = user.perp_positions[row]
    if not is_isolated(position) or is_position_being_liquidated(position) or has_open_order(position):
        return 0
    if position.base_asset_amount != 0 or position.quote_asset_amount != 0:
        return 0
    tokens = get_isolated_token_amount(position, quote_market)
    if tokens == 0:
        return 0
    update_isolated_balance(tokens, BORROW, quote_market, position, False)
    quote = user.spot_positions[find_spot_position(user, QUOTE_SPOT_MARKET_INDEX)]
    update_spot_balances_and_cumulative_deposits(tokens, DEPOSIT, quote_market, quote, False, tokens)
    return tokens
