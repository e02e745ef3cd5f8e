"""What a P&L settlement of Velocity says about itself where that is not what Drift's says."""

from seawall.engine.explain import Explanation
from seawall.engine.handlers.pnl_refusals import TELLERS as SHARED_TELLERS
from seawall.engine.handlers.pnl_refusals import Settlement, Tellers, explain_pools_release, quote
from seawall.engine.receipts import Limit
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.expiry import check_pools_release
from seawall.rules.common.perp_positions import find_perp_position, is_isolated
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.velocity.isolated import CROSS, get_isolated_token_amount
from seawall.rules.velocity.margin import calculate_margin, meets_margin_requirement, scope_figures
from seawall.state.enums import MARGIN_MAINTENANCE, STATUS_SETTLEMENT
from seawall.state.facts import MarginCalculation
from seawall.state.perp_market import PerpMarket
from seawall.state.user import POSITIONS


def explain_delisting(tx: Transaction, market: PerpMarket) -> SettlementError:
    """Why a market cannot be delisted yet, its ``DefaultError`` in words."""
    try:
        check_pools_release(market, tx.state.settlement_duration, tx.now)
    except SettlementError:
        return explain_pools_release(tx, market)
    claims = market.pending_bankruptcy_claims
    if claims:
        return SettlementError(
            ErrorCode.DefaultError,
            f"{claims} bankrupt positions of the market await their resolution",
            "the same after resolve_perp_bankruptcy of each of them",
        )
    return SettlementError(
        ErrorCode.DefaultError,
        f"the AMM still has a position of {market.amm.base_asset_amount_with_amm}",
        "the same once every user's position is closed",
    )


def _own_collateral(s: Settlement) -> int | None:
    """Tokens of an isolated position's collateral; None for a cross position."""
    row = find_perp_position(s.user, s.market.market_index)
    if row < 0 or not is_isolated(s.user.perp_positions[row]):
        return None
    return get_isolated_token_amount(s.user.perp_positions[row], s.tx.spot_market(0))


def _insufficient_collateral(s: Settlement) -> Explanation:
    """Either a loss that isolated collateral does not cover, or a scope that is short of margin."""
    tx, loss = s.tx, -s.facts.claimable_pnl
    own = _own_collateral(s)
    if own is not None and loss > own:
        limit = Limit("isolated_collateral", own, loss, f"collateral of the isolated position in {s.name}")
        return (
            f"the isolated position in {s.name} has a collateral of {quote(own)} and would have to pay {quote(loss)}",
            f"the same after a deposit of {quote(loss - own)} into the position",
            [limit],
        )
    calculation = MarginCalculation()
    strict = s.market.status != STATUS_SETTLEMENT
    calculate_margin(
        s.user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, MARGIN_MAINTENANCE, MARGIN_MAINTENANCE, -1,
        MARGIN_MAINTENANCE, strict, 0, calculation,
    )  # fmt: skip
    scopes = [row for row in (CROSS, *range(POSITIONS)) if not meets_margin_requirement(calculation, row)]
    told, limits = [], []
    for row in scopes:
        have, _, need, _ = scope_figures(calculation, row)
        name = "the account's cross margin"
        if row != CROSS:
            name = f"the isolated position in perp market {s.user.perp_positions[row].market_index}"
        told.append(f"{name} has a collateral of {quote(have)} and needs {quote(need)}")
        limits.append(Limit("maintenance_margin_requirement", need, have, name))
    prices = "at the worse of price and 5-minute TWAP" if strict else "at the present price"
    return f"{'; '.join(told)}, {prices}", "the same after a deposit of what is missing, or a smaller position", limits


def _own_fee_pool(s: Settlement) -> str:
    """The AMM's tokens, which no settlement may touch."""
    held = get_pool_token_amount(s.market.amm.fee_pool, s.tx.spot_market(0))
    return f"; the {quote(held)} of the fee pool are the AMM's" if held else ""


def _pool_cant_settle(s: Settlement) -> Explanation:
    message, would_pass, limits = SHARED_TELLERS[ErrorCode.PnlPoolCantSettleUser](s)
    if s.facts.claimable_pnl <= 0:
        return message, would_pass, limits
    return _with_revenue_draw(s, message + _own_fee_pool(s), would_pass, limits)


def _with_revenue_draw(s: Settlement, message: str, would_pass: str, limits: list[Limit]) -> Explanation:
    """Where the venue lets the P&L pool draw on the revenue pool: why it did not get more there."""
    if not s.tx.config.revenue_pool_draw_for_pnl:
        return message, would_pass, limits
    claim = s.market.insurance_claim
    room = max(0, claim.max_revenue_withdraw_per_period - claim.revenue_withdraw_since_last_settle)
    held = get_pool_token_amount(s.tx.spot_market(0).revenue_pool, s.tx.spot_market(0))
    limit = Limit("max_revenue_withdraw_per_period", room, s.facts.claimable_pnl, f"revenue pool holds {quote(held)}")
    return (
        f"{message}; of the revenue pool's {quote(held)} the market may still draw {quote(room)} in this period",
        f"{would_pass}, or after the next settle_revenue_to_insurance_fund, which opens a new period",
        [*limits, limit],
    )


def _no_unsettled_pnl(s: Settlement) -> Explanation:
    """As Drift's, but that the fee pool is no part of what there is to claim."""
    facts = s.facts
    if facts.unrealized_pnl == 0:
        return SHARED_TELLERS[ErrorCode.NoUnsettledPnl](s)
    held = get_pool_token_amount(s.market.pnl_pool, s.tx.spot_market(0))
    limits = [
        Limit("realised_gain", 0, facts.unrealized_pnl, "quote less entry of the position"),
        Limit("pnl_pool_excess", facts.pnl_pool_excess, facts.unrealized_pnl, "beyond what all users claim"),
    ]
    return (
        f"nothing of the P&L of {quote(facts.unrealized_pnl)} is claimable: no gain is realised, and the P&L pool of "
        f"{s.name} holds {quote(held)}, not more than the {quote(facts.net_user_pnl)} that all users claim "
        f"together{_own_fee_pool(s)}",
        "the same after the position was reduced at a gain, or once losers filled the pool",
        limits,
    )


TELLERS: Tellers = {
    **SHARED_TELLERS,
    ErrorCode.PnlPoolCantSettleUser: _pool_cant_settle,
    ErrorCode.NoUnsettledPnl: _no_unsettled_pnl,
    ErrorCode.InsufficientCollateralForSettlingPNL: _insufficient_collateral,
    ErrorCode.InsufficientCollateral: _insufficient_collateral,
}
