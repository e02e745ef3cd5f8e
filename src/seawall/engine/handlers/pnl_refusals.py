"""What a P&L settlement can say about itself: the pool and what it holds, what all users claim, what cut the claim.

A settlement that is refused, passed over (TrySettle) or paid in part is explained from the facts that the rule noted
on the way; quote amounts are written in whole quote units, limits in 1e6.
"""

from collections.abc import Callable
from typing import NamedTuple

from seawall.arithmetic import QUOTE_PRECISION
from seawall.engine.explain import Explainer, Explanation
from seawall.engine.receipts import Limit
from seawall.engine.transaction import Transaction
from seawall.errors import MEANING, ErrorCode, SettlementError
from seawall.instructions.pnl import SettleExpiredMarket
from seawall.keys import DEFAULT_KEY, key_to_text
from seawall.rules.common.expiry import pools_release_ts
from seawall.rules.common.margin import calculate_margin
from seawall.rules.common.perp_positions import (
    calculate_net_user_cost_basis,
    find_perp_position,
    is_perp_position_available,
)
from seawall.rules.common.price_bands import price_band_limit, price_band_spread
from seawall.state.enums import (
    MARGIN_MAINTENANCE,
    PERP_SETTLE_PNL,
    PERP_SETTLE_PNL_WITH_POSITION,
    STATUS_SETTLEMENT,
    MarketStatus,
    OracleValidity,
)
from seawall.state.facts import MarginCalculation, SettlePnlFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.user import User


class Settlement(NamedTuple):
    """A settlement that did not go as asked: whose, where, and what the rule had noted."""

    tx: Transaction
    user: User
    market: PerpMarket
    facts: SettlePnlFacts

    @property
    def name(self) -> str:
        """The market, as a reader knows it."""
        return f"perp market {self.market.market_index}"


def quote(amount: int) -> str:
    """A quote amount (1e6) in whole units, e.g. ``-12.5``."""
    whole, rest = divmod(abs(amount), QUOTE_PRECISION)
    text = f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if amount < 0 else text


# --- from the handler --------------------------------------------------------------------------------------------


def explain_settlement(
    tx: Transaction,
    user: User,
    market_index: int,
    code: ErrorCode,
    facts: SettlePnlFacts,
    tellers: "Tellers | None" = None,
) -> SettlementError:
    """The refusal ``code`` of a settlement, with its numbers; the limits that refused go to the receipt.

    ``tellers`` is what knows each refusal; Drift's where none are given.
    """
    settlement = Settlement(tx, user, tx.perp_market(market_index), facts)
    message, would_pass, limits = _explain(settlement, code, tellers or TELLERS)
    tx.limits.extend(limits)
    return SettlementError(code, message, would_pass)


def note_limits(
    tx: Transaction, user: User, market_index: int, facts: SettlePnlFacts, tellers: "Tellers | None" = None
) -> None:
    """Note on the receipt what cut a claim, or why TrySettle passed the market over."""
    claim, pnl, pools = facts.claimable_pnl, facts.pnl, facts.pools
    if facts.refused:
        code = ErrorCode(facts.refused)
        settlement = Settlement(tx, user, tx.perp_market(market_index), facts)
        message, would_pass, limits = _explain(settlement, code, tellers or TELLERS)
        note = f"perp market {market_index} was passed over, {code.name}: {message}"
        if would_pass:
            note = f"{note}; would pass: {would_pass}"
        tx.limit("settle_pnl", 0, claim or facts.unrealized_pnl, note)
        tx.limits.extend(limits)
        return
    if not facts.settled:
        return
    if 0 < claim < facts.unrealized_pnl:
        gain = claim - facts.pnl_pool_excess
        note = f"the realised gain of {quote(gain)} and the pools' excess of {quote(facts.pnl_pool_excess)} in all"
        tx.limit("claimable_pnl", claim, facts.unrealized_pnl, note)
    if 0 < pnl < claim:
        note = f"the P&L pool of perp market {market_index} held {quote(pools.pnl_pool_available)}{_waterfall(facts)}"
        tx.limit("pnl_pool", pools.pnl_pool_available, claim, f"{note}; the rest waits for losers to settle")
    elif claim < pnl < 0:
        note = "the user's quote balance and what may still be borrowed of the quote token"
        tx.limit("quote_withdrawable", pools.user_withdrawable, -claim, note)


def explain_pools_release(tx: Transaction, market: PerpMarket) -> SettlementError:
    """Why the pools of an expired market cannot be handed over yet."""
    amm = market.amm
    duration = tx.state.settlement_duration
    last = pools_release_ts(market.expiry_ts, duration)
    if market.status != STATUS_SETTLEMENT:
        return SettlementError(
            ErrorCode.DefaultError,
            f"the market is {MarketStatus(market.status).name}, not in Settlement",
            "the same after settle_expired_market and the settlement of every position",
        )
    if amm.base_asset_amount_long or amm.base_asset_amount_short or market.number_of_users_with_base:
        open_base = f"long {amm.base_asset_amount_long}, short {amm.base_asset_amount_short}"
        tx.limit("number_of_users_with_base", 0, market.number_of_users_with_base, "positions to be closed first")
        return SettlementError(
            ErrorCode.DefaultError,
            f"{market.number_of_users_with_base} users still hold positions: {open_base}",
            "the same after settle_pnl of each of them",
        )
    basis = calculate_net_user_cost_basis(amm)
    if basis:
        tx.limit("net_user_cost_basis", 0, basis, "quote balances of users to be settled first")
        return SettlementError(
            ErrorCode.DefaultError,
            f"users without a position are still owed {quote(basis)} in all",
            "the same after settle_pnl of each of them",
        )
    if duration == 0:
        return SettlementError(ErrorCode.DefaultError, "no settlement duration is set", "the same once it is set")
    tx.limit("expiry_ts", last, tx.now, "the pools stay until then")
    return SettlementError(
        ErrorCode.DefaultError, f"the pools stay until {last}, for {last - tx.now} seconds", f"the same after {last}"
    )


def _explain(s: Settlement, code: ErrorCode, tellers: "Tellers") -> Explanation:
    teller = tellers.get(code)
    if teller is not None:
        try:
            return teller(s)
        except (SettlementError, ArithmeticError):
            # the state at the failure may not even bear a look; the meaning of the error still holds
            pass
    return MEANING[code], "", []


# --- the pools ---------------------------------------------------------------------------------------------------


def _waterfall(facts: SettlePnlFacts) -> str:
    """What moved between the pools before the winner's turn."""
    pools = facts.pools
    moves = []
    if pools.fee_pool_surplus:
        moves.append(f"{quote(pools.fee_pool_surplus)} came from a fee pool above its target")
    if pools.fee_pool_refill:
        moves.append(f"{quote(pools.fee_pool_refill)} went to a fee pool below its reserved fees")
    if pools.pnl_pool_draw:
        moves.append(f"{quote(pools.pnl_pool_draw)} were drawn on the revenue pool")
    return f" ({', '.join(moves)}; before that {quote(pools.pnl_pool_before)})" if moves else ""


def _pool_cant_settle(s: Settlement) -> Explanation:
    claim, pools = s.facts.claimable_pnl, s.facts.pools
    if claim < 0:
        limit = Limit("quote_withdrawable", pools.user_withdrawable, -claim, "quote balance and room to borrow")
        return (
            f"the loss of {quote(-claim)} would have to be borrowed, and no more of the quote token may be borrowed",
            "the same after a deposit of the user, or once others repaid or deposited",
            [limit],
        )
    held = quote(pools.pnl_pool_available)
    limit = Limit("pnl_pool", pools.pnl_pool_available, claim, f"P&L pool of {s.name}, filled by losers that settle")
    return (
        f"the P&L pool of {s.name} holds {held}{_waterfall(s.facts)}; the user claims {quote(claim)}, "
        f"all users together {quote(s.facts.net_user_pnl)}, and the pools' excess over that is "
        f"{quote(s.facts.pnl_pool_excess)}",
        "the same after settle_pnl of a user with a loss in this market",
        [limit],
    )


def _no_unsettled_pnl(s: Settlement) -> Explanation:
    facts = s.facts
    if facts.unrealized_pnl == 0:
        return f"the position's P&L is 0 at the price of {facts.settle_price}", "the same once it is not", []
    limits = [
        Limit("realised_gain", 0, facts.unrealized_pnl, "quote less entry of the position"),
        Limit("pnl_pool_excess", facts.pnl_pool_excess, facts.unrealized_pnl, "beyond what all users claim"),
    ]
    return (
        f"nothing of the P&L of {quote(facts.unrealized_pnl)} is claimable: no gain is realised, and the pools of "
        f"{s.name} hold nothing beyond the {quote(facts.net_user_pnl)} that all users claim together "
        f"(P&L pool {quote(facts.pools.pnl_pool_before)}, fee pool {quote(facts.pools.fee_pool_before)})",
        "the same after the position was reduced at a gain, or once losers filled the pool",
        limits,
    )


def _must_settle_own(s: Settlement) -> Explanation:
    owner = key_to_text(s.user.authority)
    if s.user.delegate != DEFAULT_KEY:
        owner = f"{owner} or {key_to_text(s.user.delegate)}"
    limit = Limit("pnl_pool_excess", s.facts.pnl_pool_excess, s.facts.claimable_pnl, "beyond what all users claim")
    return (
        f"the user would be paid {quote(s.facts.claimable_pnl)} from a pool without excess: {s.name} holds "
        f"{quote(s.facts.pools.pnl_pool_before)}, all users claim {quote(s.facts.net_user_pnl)}; "
        "then only the owner may take a gain",
        f"the same signed by {owner}",
        [limit],
    )


def _insufficient_pool(s: Settlement) -> Explanation:
    held, claim = s.facts.pools.pnl_pool_before, s.facts.claimable_pnl
    limit = Limit("pnl_pool", held, claim, f"P&L pool of {s.name}; an expired position is paid in full or not at all")
    return (
        f"the P&L pool of {s.name} holds {quote(held)}, the expired position is owed {quote(claim)}",
        "the same after the losers of this market were settled",
        [limit],
    )


# --- the user ----------------------------------------------------------------------------------------------------


def _insufficient_collateral(s: Settlement) -> Explanation:
    strict = s.market.status != STATUS_SETTLEMENT
    calculation = MarginCalculation()
    tx = s.tx
    calculate_margin(
        s.user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, MARGIN_MAINTENANCE, strict, 0, calculation
    )
    have, need = calculation.total_collateral, calculation.margin_requirement
    prices = "at the worse of price and 5-minute TWAP" if strict else "at the present price"
    return (
        f"the account has a collateral of {quote(have)} and needs {quote(need)} {prices} to settle",
        f"the same after a deposit worth {quote(max(0, need - have))} or more, or a smaller position",
        [Limit("maintenance_margin_requirement", need, have, f"collateral {prices}")],
    )


def _bankrupt(s: Settlement) -> Explanation:
    return (
        "the account is bankrupt: it has only debts",
        "the same after resolve_perp_bankruptcy or resolve_spot_bankruptcy of its debts",
        [],
    )


def _no_position(s: Settlement) -> Explanation:
    held = [p.market_index for p in s.user.perp_positions if not is_perp_position_available(p)]
    where = f"only in perp markets {held}" if held else "in no perp market"
    return f"the user has no position in {s.name}; it has one {where}", "", []


# --- prices and states -------------------------------------------------------------------------------------------


def _price_bands(s: Settlement) -> Explanation:
    price = s.tx.perp_oracle(s.market.market_index).price
    spread = price_band_spread(s.market, price)
    band = price_band_limit(s.tx.state.oracle_guard_rails)
    twap = s.market.amm.historical_oracle_data.last_oracle_price_twap_5min
    return (
        f"the price is {spread} millionths from the oracle's 5-minute TWAP of {twap}, more than {band}",
        "the same once the TWAP has caught up with the price (update_amms moves it)",
        [Limit("mark_oracle_percent_divergence", band, abs(spread), "of the price tested, 1e6")],
    )


def _stale_amm(s: Settlement) -> Explanation:
    amm = s.market.amm
    return (
        f"the AMM was last refreshed in slot {amm.last_update_slot}, this is slot {s.tx.slot}, and the price is too "
        "far from its 5-minute TWAP or too volatile to settle without (the refresh could not pay its peg change)",
        "the same once the fees of the market pay for moving the peg, or the price has calmed",
        [Limit("last_update_slot", amm.last_update_slot, s.tx.slot, "slot of the AMM's last paid refresh")],
    )


def _bad_oracle(s: Settlement) -> Explanation:
    oracle = s.tx.perp_oracle(s.market.market_index)
    history = s.market.amm.historical_oracle_data
    name = OracleValidity(oracle.validity).name
    return (
        f"the oracle is {name}: price {oracle.price}, confidence {oracle.confidence}, {oracle.delay} slots old, 1-hour "
        f"TWAP {history.last_oracle_price_twap}, 5-minute TWAP {history.last_oracle_price_twap_5min}",
        "the same with a fresh price near its TWAPs",
        [],
    )


def _invalid_status(s: Settlement) -> Explanation:
    status = MarketStatus(s.market.status).name
    paused = s.market.paused_operations
    if paused & PERP_SETTLE_PNL:
        return f"SettlePnl is paused in {s.name}", "the same once it is resumed", []
    index = find_perp_position(s.user, s.market.market_index)
    if index >= 0 and s.user.perp_positions[index].base_asset_amount:
        if paused & PERP_SETTLE_PNL_WITH_POSITION:
            return (
                f"SettlePnlWithPosition is paused in {s.name} and the position is open",
                "the same after the position was closed, or once it is resumed",
                [],
            )
        return (
            f"{s.name} is {status}; an open position settles only in an Active market",
            "the same after the position was closed, or after settle_expired_market once it has expired",
            [],
        )
    return f"{s.name} is {status}; P&L settles in Active and ReduceOnly markets", "", []


def _buffer_not_reached(s: Settlement) -> Explanation:
    last = s.market.expiry_ts + s.tx.state.settlement_duration
    return (
        f"expired positions are settled after {last} (expiry plus settlement duration), "
        f"in {last + 1 - s.tx.now} seconds",
        f"the same from {last + 1} on",
        [Limit("expiry_ts", last, s.tx.now, "settlement_duration after expiry_ts")],
    )


Tellers = dict[ErrorCode, Callable[[Settlement], Explanation]]
"""What tells of each refusal of a settlement."""

TELLERS: Tellers = {
    ErrorCode.PnlPoolCantSettleUser: _pool_cant_settle,
    ErrorCode.NoUnsettledPnl: _no_unsettled_pnl,
    ErrorCode.UserMustSettleTheirOwnPositiveUnsettledPNL: _must_settle_own,
    ErrorCode.InsufficientPerpPnlPool: _insufficient_pool,
    ErrorCode.InsufficientCollateralForSettlingPNL: _insufficient_collateral,
    ErrorCode.UserBankrupt: _bankrupt,
    ErrorCode.UserHasNoPositionInMarket: _no_position,
    ErrorCode.PriceBandsBreached: _price_bands,
    ErrorCode.AMMNotUpdatedInSameSlot: _stale_amm,
    ErrorCode.OracleNonPositive: _bad_oracle,
    ErrorCode.OracleTooVolatile: _bad_oracle,
    ErrorCode.OracleTooUncertain: _bad_oracle,
    ErrorCode.OracleStaleForMargin: _bad_oracle,
    ErrorCode.OracleInsufficientDataPoints: _bad_oracle,
    ErrorCode.OracleStaleForAMM: _bad_oracle,
    ErrorCode.InvalidMarketStatusToSettlePnl: _invalid_status,
    ErrorCode.PerpMarketSettlementBufferNotReached: _buffer_not_reached,
}


# --- market expiry -----------------------------------------------------------------------------------------------


def _no_expiry(tx: Transaction, ix: SettleExpiredMarket) -> Explanation:
    return (
        f"perp market {ix.market_index} has no expiry",
        "the same after update_perp_market_expiry, once the expiry has passed",
        [],
    )


def _not_expired(tx: Transaction, ix: SettleExpiredMarket) -> Explanation:
    expiry = tx.perp_market(ix.market_index).expiry_ts
    return (
        f"perp market {ix.market_index} expires at {expiry}, in {expiry - tx.now} seconds",
        f"the same from {expiry} on",
        [Limit("expiry_ts", expiry, tx.now, "the market's expiry")],
    )


EXPLAINERS: dict[ErrorCode, Explainer] = {
    ErrorCode.MarketSettlementAttemptOnActiveMarket: _no_expiry,
    ErrorCode.MarketSettlementAttemptTooEarly: _not_expired,
}
