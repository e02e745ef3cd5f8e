"""Why a deficit or a bankruptcy was not resolved, with the numbers, from the facts that the rules noted on the way."""

from seawall.arithmetic import I64_MAX
from seawall.engine.explain import Explanation
from seawall.engine.handlers.pnl_refusals import quote
from seawall.engine.receipts import Limit
from seawall.engine.transaction import Transaction
from seawall.errors import MEANING, ErrorCode, SettlementError
from seawall.instructions.solvency import ResolvePerpBankruptcy, ResolveSpotBankruptcy
from seawall.rules.common.perp_positions import has_open_order
from seawall.rules.common.price_bands import price_band_limit, price_band_spread
from seawall.rules.common.user_status import is_bankrupt
from seawall.state.enums import DEPOSIT, MarketStatus
from seawall.state.facts import BankruptcyFacts, PnlDeficitFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.user import User

# --- deficits --------------------------------------------------------------------------------------------------


def explain_deficit(tx: Transaction, market: PerpMarket, code: ErrorCode, facts: PnlDeficitFacts) -> SettlementError:
    """The refusal ``code`` of a draw on insurance, with its numbers; the limits that refused go to the receipt."""
    return refusal(tx, code, deficit_explanation(tx, market, code, facts))


def refusal(tx: Transaction, code: ErrorCode, explanation: Explanation) -> SettlementError:
    """The refusal ``code`` with its explanation; the limits that refused go to the receipt."""
    message, would_pass, limits = explanation
    tx.limits.extend(limits)
    return SettlementError(code, message, would_pass)


def deficit_explanation(tx: Transaction, market: PerpMarket, code: ErrorCode, facts: PnlDeficitFacts) -> Explanation:
    """What the refusal ``code`` of a draw on insurance says, what would pass, and the limits that refused."""
    name = f"perp market {market.market_index}"
    claim = market.insurance_claim
    if code == ErrorCode.NoAmmPerpPnlDeficit:
        earned = facts.total_fee_minus_distributions
        limit = Limit("total_fee_minus_distributions", -1, earned, "only an AMM in the red may draw on insurance")
        return (
            f"the AMM of {name} has {quote(earned)} left of what it earned: it has no deficit",
            "the same once total_fee_minus_distributions is negative",
            [limit],
        )
    if code == ErrorCode.SufficientPerpPnlPool:
        limit = Limit("pnl_pool", 0, facts.pnl_pool, "insurance is drawn only when the P&L pool is empty")
        return (
            f"the P&L pool of {name} still holds {quote(facts.pnl_pool)}",
            "the same after settle_pnl of winners has emptied the pool to the last unit",
            [limit],
        )
    if code == ErrorCode.PerpPnlDeficitBelowThreshold:
        return _no_excess(name, market, facts)
    if code == ErrorCode.MaxRevenueWithdrawPerPeriodReached:
        drawn, cap = claim.revenue_withdraw_since_last_settle, claim.max_revenue_withdraw_per_period
        limit = Limit("max_revenue_withdraw_per_period", cap, drawn, "drawn from revenue and insurance in this period")
        return (
            f"{name} has drawn {quote(drawn)} in this period and may draw {quote(cap)}; "
            f"{quote(facts.excess_user_pnl)} are asked for",
            "the same after a revenue settlement and then a settle_pnl in this market: only that starts a new period",
            [limit],
        )
    if code == ErrorCode.MaxIFWithdrawReached:
        used, cap = claim.quote_settled_insurance, claim.quote_max_insurance
        limit = Limit("quote_max_insurance", cap, used, "insurance that the market has used in its lifetime")
        return (
            f"{name} has used {quote(used)} of the {quote(cap)} of insurance it may ever use",
            "the same after the admin raises quote_max_insurance (update_perp_market_max_imbalances)",
            [limit],
        )
    if code == ErrorCode.NoIFWithdrawAvailable:
        limit = Limit("insurance_fund_vault", 0, facts.excess_user_pnl, "the insurance fund keeps one unit")
        return "the insurance fund of spot market 0 is empty", "the same once it holds more than one unit", [limit]
    return _unfit_price(tx, name, market, code)


def _no_excess(name: str, market: PerpMarket, facts: PnlDeficitFacts) -> Explanation:
    allowed = market.unrealized_pnl_max_imbalance
    if allowed == 0:
        return (
            f"{name} has no unrealized_pnl_max_imbalance: it may never draw on insurance",
            "the same after the admin sets one (update_perp_market_max_imbalances)",
            [],
        )
    limit = Limit(
        "unrealized_pnl_max_imbalance", allowed, facts.net_user_pnl, "net gain of all users at the AMM's price"
    )
    return (
        f"all users of {name} together gained {quote(facts.net_user_pnl)}, and {quote(allowed)} are admitted",
        f"the same once they gained more than {quote(allowed)}",
        [limit],
    )


def _unfit_price(tx: Transaction, name: str, market: PerpMarket, code: ErrorCode) -> Explanation:
    amm = market.amm
    if code == ErrorCode.AMMNotUpdatedInSameSlot:
        return (
            f"the AMM of {name} could not pay for moving its peg: it was last refreshed in slot {amm.last_update_slot}",
            "the same once the AMM's fees, or deposit_into_perp_market_fee_pool, pay for the move",
            [],
        )
    if code == ErrorCode.MarketActionPaused:
        status = MarketStatus(market.status).name
        return f"{name} is {status}, its expiry {market.expiry_ts}: it no longer draws", "", []
    if code == ErrorCode.PriceBandsBreached:
        spread = price_band_spread(market, tx.perp_oracle(market.market_index).price)
        widest = price_band_limit(tx.state.oracle_guard_rails)
        limit = Limit("price_band", widest, abs(spread), "distance (1e6) from the oracle's 5-minute TWAP")
        return f"the price of {name} is too far from its 5-minute TWAP", "the same once the TWAP has caught up", [limit]
    if code == ErrorCode.InvalidOracle:
        return f"the oracle price of {name} is not good enough for its AMM", "the same after a valid oracle price", []
    return MEANING[code], "", []


# --- bankruptcies ----------------------------------------------------------------------------------------------


def explain_bankruptcy(
    tx: Transaction, ix: ResolvePerpBankruptcy | ResolveSpotBankruptcy, code: ErrorCode, facts: BankruptcyFacts
) -> SettlementError:
    """The refusal ``code`` of a resolution, with its numbers; the limits that refused go to the receipt."""
    return refusal(tx, code, explanation_of_bankruptcy(tx, ix, code, facts))


def explanation_of_bankruptcy(
    tx: Transaction, ix: ResolvePerpBankruptcy | ResolveSpotBankruptcy, code: ErrorCode, facts: BankruptcyFacts
) -> Explanation:
    """What the refusal ``code`` of a resolution says, what would pass, and the limits that refused."""
    user, index = tx.user(ix.user), ix.market_index
    perp = isinstance(ix, ResolvePerpBankruptcy)
    name = f"{'perp' if perp else 'spot'} market {index}"
    if code == ErrorCode.UserNotBankrupt:
        return _not_bankrupt(user)
    if code == ErrorCode.UserIsBeingLiquidated:
        state = "bankrupt" if is_bankrupt(tx.user(ix.liquidator)) else "being liquidated"
        return f"the liquidator {ix.liquidator} is {state} itself", "another liquidator", []
    if code == ErrorCode.InvalidLiquidation:
        return f"liquidation is paused in {name}", "the same after the admin resumes it", []
    if code in (ErrorCode.UserHasNoPositionInMarket, ErrorCode.CouldNotFindSpotPosition):
        return f"{ix.user} has nothing in {name}", where_debts_are(user), []
    if code == ErrorCode.InvalidPerpPositionToLiquidate:
        return f"{ix.user} owes nothing in {name}", where_debts_are(user), []
    if code == ErrorCode.UserHasInvalidBorrow:
        return f"{ix.user} borrows nothing in {name}", where_debts_are(user), []
    if code == ErrorCode.CantResolvePerpBankruptcy:
        message = f"nobody has an open position in {name}, so there is nobody to share the loss of {quote(facts.loss)}"
        return message, "the same once positions are open; insurance alone does not do", []
    if code == ErrorCode.MathError and not perp and facts.socialized_loss:
        limit = Limit("deposits", I64_MAX, facts.socialized_loss, "tokens to be borne by depositors")
        message = f"{facts.socialized_loss} tokens are to be borne by the depositors of {name}: more than they have"
        return message, "the same once insurance or deposits have come in", [limit] if facts.loss > I64_MAX else []
    return MEANING[code], "", []


def _not_bankrupt(user: User) -> Explanation:
    """What an account has besides debts."""
    for spot in user.spot_positions:
        if spot.scaled_balance and spot.balance_type == DEPOSIT:
            return f"the account still has a deposit in spot market {spot.market_index}", "", []
    for perp in user.perp_positions:
        where = f"in perp market {perp.market_index}"
        if perp.base_asset_amount:
            return f"the account still has a position {where}", f"the same after liquidate_perp {where}", []
        if perp.quote_asset_amount > 0:
            return f"the account is still owed {quote(perp.quote_asset_amount)} {where}", "", []
        if has_open_order(perp):
            return f"the account still has open orders {where}", "", []
    return "the account has no debts", "", []


def where_debts_are(user: User) -> str:
    """Where an account has debts."""
    perps = [str(p.market_index) for p in user.perp_positions if p.quote_asset_amount < 0]
    spots = [str(p.market_index) for p in user.spot_positions if p.scaled_balance and p.balance_type != DEPOSIT]
    parts = []
    if perps:
        parts.append(f"resolve_perp_bankruptcy in perp market {', '.join(perps)}")
    if spots:
        parts.append(f"resolve_spot_bankruptcy in spot market {', '.join(spots)}")
    return " or ".join(parts)
