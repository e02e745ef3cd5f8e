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
from seawall.rules.common.balances import get_signed_token_amount, get_token_amount, update_spot_position_balance
from seawall.rules.common.funding import settle_funding_payment
from seawall.rules.common.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.rules.common.margin import meets_settle_pnl_maintenance_margin_requirement
from seawall.rules.common.oracles import (
    ACTION_SETTLE_PNL,
    cached_oracle_validity,
    is_oracle_valid_for_action,
    perp_confidence_multiplier,
)
from seawall.rules.common.perp_positions import (
    calculate_net_user_pnl,
    calculate_position_pnl,
    find_perp_position,
    get_claimable_pnl,
    update_quote_asset_amount,
    update_settled_pnl,
    validate_perp_position,
)
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.common.price_bands import is_price_divergence_ok_for_settle_pnl, validate_market_within_price_band
from seawall.rules.common.spot_positions import find_spot_position
from seawall.rules.common.user_status import is_bankrupt, is_being_liquidated
from seawall.rules.drift.pools import update_pool_balances
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    MUST_SETTLE,
    ORACLE_INSUFFICIENT_DATA_POINTS,
    ORACLE_NON_POSITIVE,
    ORACLE_STALE_FOR_AMM,
    ORACLE_STALE_FOR_MARGIN,
    ORACLE_TOO_UNCERTAIN,
    ORACLE_TOO_VOLATILE,
    PERP_SETTLE_PNL,
    PERP_SETTLE_PNL_WITH_POSITION,
    STATUS_ACTIVE,
    STATUS_REDUCE_ONLY,
)
from seawall.state.exchange import OracleGuardRails, State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User

MARGIN_NOT_JUDGED: Final = -1
"""The margin verdict of a settlement whose caller has not judged the user: it is judged when it matters."""

FEE_POOL_EXCESS_DENOMINATOR: Final = 5
"""A fifth of the fee pool counts as excess of the P&L pool."""

# the numbers of the errors that a mode decides about (`errors.py`; a test holds the two equal)
NOT_REFUSED: Final = 0
INSUFFICIENT_COLLATERAL: Final = 6_095
AMM_NOT_UPDATED: Final = 6_096
INVALID_STATUS: Final = 6_158
NO_UNSETTLED_PNL: Final = 6_259
POOL_CANT_SETTLE: Final = 6_260
MUST_SETTLE_OWN: Final = 6_093
NON_POSITIVE: Final = 6_261
TOO_VOLATILE: Final = 6_262
TOO_UNCERTAIN: Final = 6_263
STALE_FOR_MARGIN: Final = 6_264
INSUFFICIENT_DATA_POINTS: Final = 6_265
STALE_FOR_AMM: Final = 6_266


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
    refused = refusal_of_settlement(user, position, pnl, signer_is_owner, facts)
    if refused != NOT_REFUSED:
        return stop(refused, mode, facts)
    book_user_pnl(user, position, market, spot_market, pnl)
    validate_perp_market(market)
    validate_perp_position(position, market)
    facts.settled = True
    facts.pnl = pnl
    facts.base_asset_amount = position.base_asset_amount
    facts.quote_asset_amount_after = position.quote_asset_amount
    facts.quote_entry_amount = position.quote_entry_amount
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
    twap = amm.historical_oracle_data.last_oracle_price_twap
    multiplier = perp_confidence_multiplier(market.contract_tier)
    validity = cached_oracle_validity(amm.oracle_index, oracle, twap, rails.validity, multiplier)
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


@rule
def refusal_of_oracle_validity(validity: int) -> int:
    """The error number of an oracle class. The program panics on a Valid one, which has none: ``FailedUnwrap``."""
    if validity == ORACLE_NON_POSITIVE:
        return NON_POSITIVE
    if validity == ORACLE_TOO_VOLATILE:
        return TOO_VOLATILE
    if validity == ORACLE_TOO_UNCERTAIN:
        return TOO_UNCERTAIN
    if validity == ORACLE_STALE_FOR_MARGIN:
        return STALE_FOR_MARGIN
    if validity == ORACLE_INSUFFICIENT_DATA_POINTS:
        return INSUFFICIENT_DATA_POINTS
    if validity == ORACLE_STALE_FOR_AMM:
        return STALE_FOR_AMM
    raise SettlementError(ErrorCode.FailedUnwrap)


@rule
def refusal_of_market_state(market: PerpMarket, position: PerpPosition) -> int:
    """Steps 8 and 9: pauses and status; the refusal, or 0. An open position needs an Active market."""
    if market.paused_operations & PERP_SETTLE_PNL != 0:
        return INVALID_STATUS
    if position.base_asset_amount != 0:
        if market.paused_operations & PERP_SETTLE_PNL_WITH_POSITION != 0 or market.status != STATUS_ACTIVE:
            return INVALID_STATUS
    elif market.status != STATUS_ACTIVE and market.status != STATUS_REDUCE_ONLY:
        return INVALID_STATUS
    return NOT_REFUSED


# --- the claim and the pools -------------------------------------------------------------------------------------


@rule
def calculate_pnl_pool_excess(market: PerpMarket, spot_market: SpotMarket, net_user_pnl: int) -> int:
    """What pool and a fifth of the fee pool hold beyond the net P&L of all users (1e6); 0 if they do not.

    Source: pools-and-pnl.md §5 step 10; ``math/amm.rs::calculate_net_user_pnl`` and its use in ``controller/pnl.rs``.
    """
    fee_pool = get_pool_token_amount(market.amm.fee_pool, spot_market)
    available = get_pool_token_amount(market.pnl_pool, spot_market) + fee_pool // FEE_POOL_EXCESS_DENOMINATOR
    if net_user_pnl >= available:
        return 0
    if net_user_pnl > 0:
        return available - net_user_pnl
    return available


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
    quote = user.spot_positions[find_spot_position(user, QUOTE_SPOT_MARKET_INDEX)]
    tokens = get_token_amount(quote.scaled_balance, spot_market, quote.balance_type)
    user_tokens = get_signed_token_amount(tokens, quote.balance_type)
    return update_pool_balances(market, spot_market, user_tokens, claimable, now, facts.pools)


@rule
def refusal_of_settlement(
    user: User, position: PerpPosition, pnl: int, signer_is_owner: bool, facts: SettlePnlFacts
) -> int:
    """Steps 13 and 14, after the pools were served: nothing to settle, or not for this signer; the refusal, or 0.

    Others may settle a winner only while the pool has an excess, or when no position is left and the user is being
    liquidated.
    """
    if facts.claimable_pnl == 0:
        return NO_UNSETTLED_PNL
    if pnl == 0:
        return POOL_CANT_SETTLE
    if pnl < 0 or facts.pnl_pool_excess > 0 or signer_is_owner:
        return NOT_REFUSED
    if position.base_asset_amount == 0 and is_being_liquidated(user):
        return NOT_REFUSED
    return MUST_SETTLE_OWN


@rule
def book_user_pnl(user: User, position: PerpPosition, market: PerpMarket, spot_market: SpotMarket, pnl: int) -> None:
    """Steps 15 and 16: the counter-entry of the pools on the user's quote balance and position.

    ``cumulative_deposits`` is not touched: deliberate, it is the program's.
    """
    quote = user.spot_positions[find_spot_position(user, QUOTE_SPOT_MARKET_INDEX)]
    direction = BORROW
    if pnl > 0:
        direction = DEPOSIT
    update_spot_position_balance(abs(pnl), direction, spot_market, quote, False)
    update_quote_asset_amount(position, market, -pnl)
    update_settled_pnl(user, position, pnl)


# --- what the mode decides ---------------------------------------------------------------------------------------


@rule
def stop(refused: int, mode: int, facts: SettlePnlFacts) -> int:
    """End a settlement that cannot be made: an error in MustSettle, noted and 0 settled in TrySettle."""
    if mode == MUST_SETTLE:
        raise_refusal(refused)
    facts.refused = refused
    return 0


@rule
def raise_refusal(refused: int) -> None:
    """Raise the error that a number stands for."""
    if refused == INSUFFICIENT_COLLATERAL:
        raise SettlementError(ErrorCode.InsufficientCollateralForSettlingPNL)
    if refused == AMM_NOT_UPDATED:
        raise SettlementError(ErrorCode.AMMNotUpdatedInSameSlot)
    if refused == INVALID_STATUS:
        raise SettlementError(ErrorCode.InvalidMarketStatusToSettlePnl)
    if refused == NO_UNSETTLED_PNL:
        raise SettlementError(ErrorCode.NoUnsettledPnl)
    if refused == POOL_CANT_SETTLE:
        raise SettlementError(ErrorCode.PnlPoolCantSettleUser)
    if refused == MUST_SETTLE_OWN:
        raise SettlementError(ErrorCode.UserMustSettleTheirOwnPositiveUnsettledPNL)
    if refused == NON_POSITIVE:
        raise SettlementError(ErrorCode.OracleNonPositive)
    if refused == TOO_VOLATILE:
        raise SettlementError(ErrorCode.OracleTooVolatile)
    if refused == TOO_UNCERTAIN:
        raise SettlementError(ErrorCode.OracleTooUncertain)
    if refused == STALE_FOR_MARGIN:
        raise SettlementError(ErrorCode.OracleStaleForMargin)
    if refused == INSUFFICIENT_DATA_POINTS:
        raise SettlementError(ErrorCode.OracleInsufficientDataPoints)
    raise SettlementError(ErrorCode.OracleStaleForAMM)
