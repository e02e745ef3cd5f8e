"""Settling a user's perp P&L into the quote balance: the one place that has the order of checks.

The market must have been refreshed (``update_amm``) before. A settlement that cannot be made is an error in mode
MustSettle; in TrySettle it ends with success, and whatever was changed until then stays: interest, funding, and from
the pools on also what moved between fee pool, P&L pool and revenue pool.
Source: pools-and-pnl.md §5; margin.md §8; ``controller/pnl.rs::settle_pnl``.
"""

from typing import Final

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_validation import validate_perp_market
from seawall.rules.common.funding import settle_funding_payment
from seawall.rules.common.margin import meets_settle_pnl_maintenance_margin_requirement
from seawall.rules.common.oracles import (
    ACTION_SETTLE_PNL,
    cached_perp_oracle_validity,
    is_oracle_valid_for_action,
)
from seawall.rules.common.perp_positions import (
    calculate_net_user_pnl,
    calculate_position_pnl,
    find_perp_position,
    get_claimable_pnl,
    validate_perp_position,
)
from seawall.rules.common.pnl import (
    AMM_NOT_UPDATED,
    INSUFFICIENT_COLLATERAL,
    MARGIN_NOT_JUDGED,
    NOT_REFUSED,
    book_position_pnl,
    book_quote_pnl,
    excess_over_net_user_pnl,
    get_quote_token_amount,
    note_settlement,
    refusal_of_market_state,
    refusal_of_oracle_validity,
    refusal_of_settlement,
    stop,
)
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.common.price_bands import is_price_divergence_ok_for_settle_pnl, validate_market_within_price_band
from seawall.rules.common.user_status import is_bankrupt, is_being_liquidated
from seawall.rules.drift.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.rules.drift.pools import update_pool_balances
from seawall.state.exchange import OracleGuardRails, State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User

FEE_POOL_EXCESS_DENOMINATOR: Final = 5
"""A fifth of the fee pool counts as excess of the P&L pool."""


@rule
def settle_pnl(
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
    """Settle the user's P&L in a market at the oracle price; the amount (quote 1e6, signed), 0 where TrySettle stopped.

    ``margin_verdict`` is whether the user meets the strict maintenance requirement (1, 0, or ``MARGIN_NOT_JUDGED``);
    ``signer_is_owner`` whether authority or delegate signs. In both modes: ``UserBankrupt``, ``PriceBandsBreached``,
    ``UserHasNoPositionInMarket``, the pools' errors, ``InvalidAmmDetected``, ``InvalidPositionDelta``,
    ``InvalidPerpPositionDetected``. By mode: the errors of ``stop``.
    """
    if is_bankrupt(user):
        raise SettlementError(ErrorCode.UserBankrupt)
    spot_market = spot_markets[QUOTE_SPOT_MARKET_INDEX]
    market = perp_markets[market_index]
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, interest)
    oracle = oracles[market.amm.oracle_index]
    price = oracle.price
    validate_market_within_price_band(market, state.oracle_guard_rails, price)
    index = find_perp_position(user, market_index)
    if index < 0:
        raise SettlementError(ErrorCode.UserHasNoPositionInMarket)
    position = user.perp_positions[index]
    settle_funding_payment(user, position, market, funding)

    facts.market_index = market_index
    facts.settle_price = price
    facts.unrealized_pnl = calculate_position_pnl(position, price)
    if facts.unrealized_pnl < 0:
        if margin_verdict == MARGIN_NOT_JUDGED:
            meets = meets_settle_pnl_maintenance_margin_requirement(user, spot_markets, perp_markets, oracles, state)
        else:
            meets = margin_verdict != 0
        if not meets:
            return stop(INSUFFICIENT_COLLATERAL, mode, facts)
    refused = refusal_of_stale_price(market, oracle, state.oracle_guard_rails, slot)
    if refused == NOT_REFUSED:
        refused = refusal_of_market_state(market, position)
    if refused != NOT_REFUSED:
        return stop(refused, mode, facts)

    pnl = claim_from_pools(user, position, market, spot_market, price, now, facts)
    refused = refusal_of_settlement(position, pnl, is_being_liquidated(user), signer_is_owner, facts)
    if refused != NOT_REFUSED:
        return stop(refused, mode, facts)
    book_quote_pnl(user, spot_market, pnl)
    book_position_pnl(user, position, market, pnl)
    validate_perp_market(market)
    validate_perp_position(position, market)
    note_settlement(position, pnl, facts)
    return pnl


# --- the checks before the pools ---------------------------------------------------------------------------------


@rule
def refusal_of_stale_price(market: PerpMarket, oracle: OraclePriceData, rails: OracleGuardRails, slot: int) -> int:
    """Step 7: without a fresh AMM the oracle must be valid, near its 5-minute TWAP and calm; the refusal, or 0.

    A market whose curve never moves is not asked. The class of the oracle is the one that this instruction got first.
    """
    amm = market.amm
    fresh = amm.last_oracle_valid and amm.last_update_slot == slot
    if amm.curve_update_intensity == 0 or fresh:
        return NOT_REFUSED
    validity = cached_perp_oracle_validity(market, oracle, rails.validity)
    if is_oracle_valid_for_action(validity, ACTION_SETTLE_PNL) and is_price_divergence_ok_for_settle_pnl(
        market, oracle.price
    ):
        return NOT_REFUSED
    if not amm.last_oracle_valid:
        # the class found is reported even where only the divergence failed: deliberate, it is the program's
        return refusal_of_oracle_validity(validity)
    if amm.last_update_slot != slot:
        return AMM_NOT_UPDATED
    return NOT_REFUSED


# --- the claim and the pools -------------------------------------------------------------------------------------


@rule
def calculate_pnl_pool_excess(market: PerpMarket, spot_market: SpotMarket, net_user_pnl: int) -> int:
    """What pool and a fifth of the fee pool hold beyond the net P&L of all users (1e6); 0 if they do not.

    Source: pools-and-pnl.md §5 step 10; ``math/amm.rs::calculate_net_user_pnl`` and its use in ``controller/pnl.rs``.
    """
    fee_pool = get_pool_token_amount(market.amm.fee_pool, spot_market)
    available = get_pool_token_amount(market.pnl_pool, spot_market) + fee_pool // FEE_POOL_EXCESS_DENOMINATOR
    return excess_over_net_user_pnl(available, net_user_pnl)


@rule
def claim_from_pools(
    user: User,
    position: PerpPosition,
    market: PerpMarket,
    spot_market: SpotMarket,
    price: int,
    now: int,
    facts: SettlePnlFacts,
) -> int:
    """Steps 10 to 12: the user's claim, and what the pools settle of it (1e6, signed). The pools have changed after."""
    net_user_pnl = calculate_net_user_pnl(market.amm, price)
    excess = calculate_pnl_pool_excess(market, spot_market, net_user_pnl)
    claimable = get_claimable_pnl(position, price, excess)
    facts.net_user_pnl = net_user_pnl
    facts.pnl_pool_excess = excess
    facts.claimable_pnl = claimable
    user_tokens = get_quote_token_amount(user, spot_market)
    return update_pool_balances(market, spot_market, user_tokens, claimable, now, facts.pools)
