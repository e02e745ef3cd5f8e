"""Why Velocity refused a deficit or a bankruptcy, where its reasons are others than Drift's."""

from seawall.engine.explain import Explanation
from seawall.engine.handlers.pnl_refusals import quote
from seawall.engine.handlers.solvency_refusals import (
    deficit_explanation,
    explanation_of_bankruptcy,
    refusal,
    where_debts_are,
)
from seawall.engine.receipts import Limit
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.solvency import ResolvePerpBankruptcy, ResolveSpotBankruptcy
from seawall.rules.common.perp_positions import find_perp_position, has_open_order, is_isolated
from seawall.rules.velocity.bankruptcy_predicates import is_realizable_deposit, is_settled_debt
from seawall.rules.velocity.isolated import CROSS, scope_of
from seawall.state.facts import BankruptcyFacts, PnlDeficitFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.user import User

# --- deficits --------------------------------------------------------------------------------------------------


def explain_deficit(tx: Transaction, market: PerpMarket, code: ErrorCode, facts: PnlDeficitFacts) -> SettlementError:
    """The refusal ``code`` of a draw on insurance, with its numbers; the limits that refused go to the receipt."""
    return refusal(tx, code, _deficit(tx, market, code, facts))


def _deficit(tx: Transaction, market: PerpMarket, code: ErrorCode, facts: PnlDeficitFacts) -> Explanation:
    name = f"perp market {market.market_index}"
    claim, amm = market.insurance_claim, market.amm
    if code == ErrorCode.SufficientPerpPnlPool:
        gain = facts.net_user_pnl_at_twap
        limit = Limit("net_user_pnl", gain, facts.pnl_pool, "insurance is drawn only for what the P&L pool lacks")
        return (
            f"the P&L pool of {name} holds {quote(facts.pnl_pool)}, and all users together gained {quote(gain)} at "
            "the oracle's 5-minute TWAP",
            f"the same once they gained more than {quote(facts.pnl_pool)}, or the pool has paid winners",
            [limit],
        )
    if code == ErrorCode.MaxRevenueWithdrawPerPeriodReached:
        drawn, cap = claim.revenue_withdraw_since_last_settle, claim.max_revenue_withdraw_per_period
        limit = Limit("max_revenue_withdraw_per_period", cap, drawn, "drawn on insurance in this period")
        return (
            f"{name} has drawn {quote(drawn)} in this period and may draw {quote(cap)}; "
            f"{quote(facts.excess_user_pnl)} are asked for",
            "the same after the next revenue settlement of spot market 0, which begins a period",
            [limit],
        )
    if code == ErrorCode.BlockchainClockInconsistency:
        return f"the clock says {tx.now}, before the last revenue settlement or the last draw of {name}", "", []
    if code == ErrorCode.AMMNotUpdatedInSameSlot:
        return (
            f"the AMM of {name} was last refreshed in slot {amm.last_update_slot}, and this is slot {tx.slot}",
            "update_amms for this market in the same slot, then the same",
            [],
        )
    if code == ErrorCode.InvalidOracle and amm.curve_update_intensity > 0:
        price = tx.perp_oracle(market.market_index).price
        return (
            f"the last refresh of the AMM of {name} used a price of {amm.attested_oracle_price} "
            f"({'valid' if amm.last_oracle_valid else 'not valid'}), and the oracle now says {price}",
            "update_amms for this market at a valid price, then the same",
            [],
        )
    return deficit_explanation(tx, market, code, facts)


# --- bankruptcies ----------------------------------------------------------------------------------------------


def explain_bankruptcy(
    tx: Transaction, ix: ResolvePerpBankruptcy | ResolveSpotBankruptcy, code: ErrorCode, facts: BankruptcyFacts
) -> SettlementError:
    """The refusal ``code`` of a resolution, with its numbers; the limits that refused go to the receipt."""
    return refusal(tx, code, _bankruptcy(tx, ix, code, facts))


def _bankruptcy(
    tx: Transaction, ix: ResolvePerpBankruptcy | ResolveSpotBankruptcy, code: ErrorCode, facts: BankruptcyFacts
) -> Explanation:
    user = tx.user(ix.user)
    if code == ErrorCode.UserNotBankrupt:
        row = CROSS
        if isinstance(ix, ResolvePerpBankruptcy):
            row = scope_of(user, ix.market_index)
        return _not_bankrupt(tx, user, row)
    if code == ErrorCode.UserBankrupt:
        return f"the liquidator {ix.liquidator} is bankrupt itself", "another liquidator", []
    if code == ErrorCode.PerpBankruptcyMustPrecedeSpot:
        return f"{ix.user} still has perp debts, and perp losses are resolved first", where_debts_are(user), []
    if code == ErrorCode.InvalidPerpPositionToLiquidate:
        row = find_perp_position(user, ix.market_index)
        claim = user.perp_positions[row].quote_asset_amount if row >= 0 else 0
        owed = f": the market owes it {quote(claim)}" if claim > 0 else ""
        return f"{ix.user} owes nothing in perp market {ix.market_index}{owed}", where_debts_are(user), []
    if code == ErrorCode.CantResolvePerpBankruptcy:
        left = facts.socialized_loss
        message = (
            f"nobody has an open position in perp market {ix.market_index}, so there is nobody to share the "
            f"{quote(left)} of {quote(facts.loss)} that insurance and the AMM did not pay"
        )
        would_pass = "the same once positions are open, or once insurance can pay all of it"
        return message, would_pass, [Limit("open_interest", 0, left, "base that a loss can be spread over")]
    return explanation_of_bankruptcy(tx, ix, code, facts)


def _not_bankrupt(tx: Transaction, user: User, row: int) -> Explanation:
    """What a scope has besides debts."""
    if row != CROSS:
        return _isolated_not_bankrupt(user, row)
    for spot in user.spot_positions:
        if is_realizable_deposit(spot, tx.spot_markets):
            return f"the account still has a deposit in spot market {spot.market_index}", "", []
    total = 0
    for perp in user.perp_positions:
        if is_isolated(perp):
            continue
        total += perp.quote_asset_amount
        where = f"in perp market {perp.market_index}"
        if perp.base_asset_amount:
            return f"the account still has a position {where}", f"the same after liquidate_perp {where}", []
        if has_open_order(perp):
            return f"the account still has open orders {where}", "", []
    if total > 0:
        return f"the account is still owed {quote(total)} by perp markets, its perp debts deducted", "", []
    return "the account has no debts", "", []


def _isolated_not_bankrupt(user: User, row: int) -> Explanation:
    position = user.perp_positions[row]
    where = f"the isolated position in perp market {position.market_index}"
    if position.isolated_position_scaled_balance > 0:
        return f"{where} still has collateral", "the same after liquidate_perp_pnl_for_deposit has taken it", []
    if not is_settled_debt(position):
        figures = f"base {position.base_asset_amount}, quote {position.quote_asset_amount}"
        return f"{where} is not just a debt: {figures}", "", []
    return f"{where} is bankrupt", "", []
