"""What a user could settle of a perp P&L now, what caps it, and why not more."""

import msgspec

from seawall.engine.gates import require_not_paused
from seawall.engine.handlers.pnl import check_quote_vault, settle_market
from seawall.engine.handlers.velocity.pnl import settle_market as settle_market_of_velocity
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import user_key
from seawall.rules.common.perp_positions import calculate_position_pnl, find_perp_position
from seawall.rules.common.pnl import MARGIN_NOT_JUDGED
from seawall.rules.common.user_status import is_being_liquidated
from seawall.state.enums import EXCHANGE_SETTLE_PNL_PAUSED, RULEBOOK_VELOCITY, STATUS_SETTLEMENT, TRY_SETTLE
from seawall.state.facts import SettlePnlFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.user import PerpPosition


class ClaimablePnl(msgspec.Struct, frozen=True, kw_only=True):
    """A user's P&L in one market and its way to the quote balance; all amounts quote 1e6, signed.

    ``unrealized_pnl`` at ``price`` → ``claimable_pnl`` (a gain: at most ``realized_gain`` plus ``pnl_pool_excess``) →
    ``payable_pnl`` (a gain: at most ``pnl_pool_available``, what the P&L pool holds when it is the user's turn; a loss:
    at most ``user_withdrawable``). ``refusal`` names the error that a settlement now would meet, and ``reasons`` say
    what cuts the amount.
    """

    market_index: int
    price: int
    unrealized_pnl: int
    realized_gain: int
    pnl_pool_excess: int
    claimable_pnl: int
    pnl_pool_available: int
    user_withdrawable: int
    payable_pnl: int
    net_user_pnl: int
    owner_must_sign: bool
    refusal: str
    reasons: list[str]


def claimable_pnl(store: Store, clock: Clock, user: str, market_index: int) -> ClaimablePnl:
    """What ``settle_pnl`` signed by the owner would do, with everything that caps it. Changes nothing.

    ``UserNotFound``, ``PerpMarketNotFound``, ``UserHasNoPositionInMarket``.
    """
    tx = Transaction(store, clock, user_key(user)[:32])
    account = tx.write_user(user)
    tx.write_quote_market()
    market = tx.write_perp_market(market_index)
    index = find_perp_position(account, market_index)
    if index < 0:
        raise SettlementError(
            ErrorCode.UserHasNoPositionInMarket, f"the user has no position in perp market {market_index}"
        )
    position = account.perp_positions[index]
    base = position.base_asset_amount
    velocity, noted = tx.state.rulebook == RULEBOOK_VELOCITY, SettlePnlFacts()
    try:
        require_not_paused(tx, EXCHANGE_SETTLE_PNL_PAUSED)
        if velocity:
            facts = settle_market_of_velocity(tx, account, market_index, TRY_SETTLE, MARGIN_NOT_JUDGED, noted)
        else:
            facts = settle_market(tx, account, market_index, TRY_SETTLE, MARGIN_NOT_JUDGED)
        if facts.refused == 0:
            check_quote_vault(tx)
            if not facts.settled:
                # nothing but orders was left in an expired market
                facts = _unsettled(tx, position, market)
        refusal = ErrorCode(facts.refused).name if facts.refused else ""
        reasons = [f"{limit.name}: {limit.note}" for limit in tx.limits]
    except SettlementError as error:
        # Velocity refuses TrySettle too, once the pools moved: what they had to give was noted until then
        facts = noted if noted.claimable_pnl else _unsettled(tx, position, market)
        refusal = error.code.name
        reasons = [str(error)]
    others_may = facts.pnl_pool_excess > 0 or (base == 0 and is_being_liquidated(account))
    owner_must_sign = facts.claimable_pnl > 0 and not others_may and market.status != STATUS_SETTLEMENT
    return _answer(position, facts, owner_must_sign, refusal, reasons)


def _unsettled(tx: Transaction, position: PerpPosition, market: PerpMarket) -> SettlePnlFacts:
    expired = market.status == STATUS_SETTLEMENT
    price = market.expiry_price if expired else tx.perp_oracle(market.market_index).price
    pnl = calculate_position_pnl(position, price)
    return SettlePnlFacts(market_index=market.market_index, settle_price=price, unrealized_pnl=pnl)


def _answer(
    position: PerpPosition, facts: SettlePnlFacts, owner_must_sign: bool, refusal: str, reasons: list[str]
) -> ClaimablePnl:
    # what was settled left the position's quote, and funding that was due came in before
    realized = position.quote_asset_amount + facts.pnl - position.quote_entry_amount
    return ClaimablePnl(
        market_index=facts.market_index,
        price=facts.settle_price,
        unrealized_pnl=facts.unrealized_pnl,
        realized_gain=max(0, realized),
        pnl_pool_excess=facts.pnl_pool_excess,
        claimable_pnl=facts.claimable_pnl,
        pnl_pool_available=facts.pools.pnl_pool_available,
        user_withdrawable=facts.pools.user_withdrawable,
        payable_pnl=facts.pnl,
        net_user_pnl=facts.net_user_pnl,
        owner_must_sign=owner_must_sign,
        refusal=refusal,
        reasons=reasons,
    )
