"""Settling a user's perp P&L under Velocity: into the quote balance, or into an isolated position's own collateral.

The market must have been refreshed before. In TrySettle a settlement that cannot be made ends with success and what
was changed until then stays: interest, funding. Once the pools moved, the mode is MustSettle: a sweep is not half done.
Source: velocity/pools-and-fees.md §9; velocity/isolated.md §4; ``controller/pnl.rs::settle_pnl``.
"""

from typing import Final

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, sub_checked
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_validation import validate_perp_market
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.funding import settle_funding_payment
from seawall.rules.common.margin import meets_settle_pnl_maintenance_margin_requirement
from seawall.rules.common.oracles import (
    cached_perp_oracle_validity,
)
from seawall.rules.common.perp_positions import (
    calculate_net_user_pnl,
    calculate_position_pnl,
    find_perp_position,
    get_claimable_pnl,
    is_isolated,
    validate_perp_position,
)
from seawall.rules.common.pnl import (
    INSUFFICIENT_COLLATERAL,
    MARGIN_NOT_JUDGED,
    NO_POSITION,
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
from seawall.rules.common.price_bands import validate_market_within_price_band
from seawall.rules.common.user_status import is_bankrupt, is_being_liquidated
from seawall.rules.velocity.attestation import is_sample_attested
from seawall.rules.velocity.drain_price import refusal_of_unattested_sample
from seawall.rules.velocity.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.rules.velocity.isolated import get_isolated_token_amount, update_isolated_balance
from seawall.rules.velocity.pools import update_pool_balances
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    MUST_SETTLE,
    ORACLE_INSUFFICIENT_DATA_POINTS,
    ORACLE_STALE_FOR_MARGIN,
)
from seawall.state.exchange import OracleGuardRails, State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts, SweepFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User

MAX_TVL_LOSS: Final = 10
"""Tokens by which the quote market's deposits less borrows may fall in a settlement: roundings, no more."""


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
    funding_paused: bool,
    draw_for_pnl: bool,
    tokenize_surplus: bool,
    interest: InterestFacts,
    funding: FundingPaymentFacts,
    facts: SettlePnlFacts,
    sweep: SweepFacts,
) -> int:
    """Settle the user's P&L in a market at the oracle price; the amount (quote 1e6, signed), 0 where TrySettle stopped.

    ``margin_verdict`` is whether the user meets the strict maintenance requirement in all scopes (1, 0, or
    ``MARGIN_NOT_JUDGED``); ``signer_is_owner`` whether authority or delegate signs; ``draw_for_pnl`` and
    ``tokenize_surplus`` are the venue's parameters. In both modes: ``UserBankrupt``, ``PriceBandsBreached``, the pools'
    errors, ``InsufficientCollateralForSettlingPNL`` (isolated collateral short), ``InvalidAmmDetected``,
    ``InvalidPositionDelta``, ``InvalidPerpPositionDetected``, ``MathError``, ``DefaultError`` (the quote market's net
    deposits changed). By mode: the errors of ``stop``.
    """
    if is_bankrupt(user):
        raise SettlementError(ErrorCode.UserBankrupt)
    spot_market = spot_markets[QUOTE_SPOT_MARKET_INDEX]
    market = perp_markets[market_index]
    update_spot_market_cumulative_interest_without_oracle(spot_market, now, funding_paused, interest)
    tvl_before = get_total_value_locked(spot_market)
    deposit_balance = spot_market.deposit_balance
    borrow_balance = spot_market.borrow_balance
    price = oracles[market.amm.oracle_index].price
    facts.market_index = market_index
    facts.settle_price = price
    validate_market_within_price_band(market, state.oracle_guard_rails, price)
    index = find_perp_position(user, market_index)
    refused = refusal_before_pools(
        user, index, market, spot_markets, perp_markets, oracles, state, slot, margin_verdict, signer_is_owner, funding,
        facts,
    )  # fmt: skip
    if refused != NOT_REFUSED:
        return stop(refused, mode, facts)

    position = user.perp_positions[index]
    pnl = claim_from_pools(
        user, position, market, spot_market, price, now, draw_for_pnl, tokenize_surplus, facts, sweep
    )
    if spot_market.deposit_balance != deposit_balance or spot_market.borrow_balance != borrow_balance:
        mode = MUST_SETTLE
    refused = refusal_of_settlement(position, pnl, is_being_liquidated(user), signer_is_owner, facts)
    if refused != NOT_REFUSED:
        return stop(refused, mode, facts)
    book_user_pnl(user, position, spot_market, pnl)
    book_position_pnl(user, position, market, pnl)
    validate_perp_market(market)
    validate_perp_position(position, market)
    note_settlement(position, pnl, facts)
    # unsigned: an increase fails too; deliberate, it is the program's
    if sub_checked(tvl_before, get_total_value_locked(spot_market)) > MAX_TVL_LOSS:
        raise SettlementError(ErrorCode.DefaultError)
    return pnl


@rule
def get_total_value_locked(spot_market: SpotMarket) -> int:
    """Tokens deposited less tokens borrowed; ``MathError`` below zero. Source: velocity/balances.md §12."""
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    return sub_checked(deposits, get_token_amount(spot_market.borrow_balance, spot_market, BORROW))


# --- the checks before the pools ---------------------------------------------------------------------------------


@rule
def refusal_before_pools(
    user: User,
    index: int,
    market: PerpMarket,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    slot: int,
    margin_verdict: int,
    signer_is_owner: bool,
    funding: FundingPaymentFacts,
    facts: SettlePnlFacts,
) -> int:
    """Steps 4 to 8: settle the funding of the user's row ``index`` (−1: none), then why nothing is settled, or 0.

    Source: velocity/pools-and-fees.md §9.
    """
    if index < 0:
        return NO_POSITION
    position = user.perp_positions[index]
    settle_funding_payment(user, position, market, funding)
    facts.unrealized_pnl = calculate_position_pnl(position, facts.settle_price)
    if facts.unrealized_pnl < 0:
        if margin_verdict == MARGIN_NOT_JUDGED:
            meets = meets_settle_pnl_maintenance_margin_requirement(user, spot_markets, perp_markets, oracles, state)
        else:
            meets = margin_verdict != 0
        if not meets:
            return INSUFFICIENT_COLLATERAL
    refused = refusal_of_stale_price(
        market, oracles[market.amm.oracle_index], state.oracle_guard_rails, slot, facts.unrealized_pnl, signer_is_owner
    )
    if refused != NOT_REFUSED:
        return refused
    return refusal_of_market_state(market, position)


@rule
def refusal_of_stale_price(
    market: PerpMarket,
    oracle: OraclePriceData,
    rails: OracleGuardRails,
    slot: int,
    unrealized_pnl: int,
    signer_is_owner: bool,
) -> int:
    """Step 7: whether the price may be settled at; the refusal, or 0.

    A loss at an unattested price that is stale for margin, or from too few data points, only its owner may settle.
    """
    refused = refusal_of_unattested_sample(market, oracle, rails, slot)
    if refused != NOT_REFUSED or unrealized_pnl >= 0 or signer_is_owner:
        return refused
    amm = market.amm
    if amm.curve_update_intensity == 0 or is_sample_attested(amm, oracle, slot):
        return NOT_REFUSED
    validity = cached_perp_oracle_validity(market, oracle, rails.validity)
    if validity == ORACLE_STALE_FOR_MARGIN or validity == ORACLE_INSUFFICIENT_DATA_POINTS:
        return refusal_of_oracle_validity(validity)
    return NOT_REFUSED


# --- the claim and the pools -------------------------------------------------------------------------------------


@rule
def claim_from_pools(
    user: User,
    position: PerpPosition,
    market: PerpMarket,
    spot_market: SpotMarket,
    price: int,
    now: int,
    draw_for_pnl: bool,
    tokenize_surplus: bool,
    facts: SettlePnlFacts,
    sweep: SweepFacts,
) -> int:
    """Steps 9 and 10: the user's claim, and what the pools settle of it (1e6, signed). The pools have changed after.

    Only the P&L pool counts as available: the fee pool is the AMM's.
    """
    net_user_pnl = calculate_net_user_pnl(market.amm, price)
    excess = excess_over_net_user_pnl(get_pool_token_amount(market.pnl_pool, spot_market), net_user_pnl)
    claimable = get_claimable_pnl(position, price, excess)
    facts.net_user_pnl = net_user_pnl
    facts.pnl_pool_excess = excess
    facts.claimable_pnl = claimable
    if is_isolated(position):
        tokens = get_isolated_token_amount(position, spot_market)
    else:
        tokens = get_quote_token_amount(user, spot_market)
    return update_pool_balances(
        market,
        spot_market,
        tokens,
        claimable,
        net_user_pnl,
        now,
        draw_for_pnl,
        tokenize_surplus,
        facts.pools,
        sweep,
    )


@rule
def book_user_pnl(user: User, position: PerpPosition, spot_market: SpotMarket, pnl: int) -> None:
    """Step 14: credit a gain to the user's quote balance, or debit a loss; an isolated position has its own.

    ``InsufficientCollateralForSettlingPNL`` where isolated collateral does not cover a loss.
    """
    if not is_isolated(position):
        book_quote_pnl(user, spot_market, pnl)
        return
    if pnl < -get_isolated_token_amount(position, spot_market):
        raise SettlementError(ErrorCode.InsufficientCollateralForSettlingPNL)
    direction = BORROW
    if pnl > 0:
        direction = DEPOSIT
    update_isolated_balance(abs(pnl), direction, spot_market, position, False)
