"""A bankrupt estate pays first: claims on other markets are recovered, deposits set off, what nobody can pay forfeited.

Source: velocity/solvency.md §5.2 C-G; ``controller/liquidation/estate.rs``.
"""

from seawall.arithmetic import sub_saturating
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.perp_positions import update_quote_asset_amount, update_settled_pnl
from seawall.rules.common.pools import get_pool_token_amount, update_pnl_pool_and_user_balance
from seawall.rules.common.spot_positions import find_spot_position
from seawall.rules.velocity.bankruptcy_predicates import is_settled_positive_claim
from seawall.rules.velocity.fee_ledger import accrue_forfeited_claim_to_if
from seawall.rules.velocity.interest import update_spot_market_cumulative_interest_without_oracle
from seawall.state.enums import DEPOSIT
from seawall.state.facts import BankruptcyFacts, InterestFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import POSITIONS, User


@rule
def get_deposit_token_amount(user: User, spot_market: SpotMarket) -> int:
    """Tokens of the user's deposit in a market; 0 for a borrow, or where there is no position."""
    row = find_spot_position(user, spot_market.market_index)
    if row < 0 or user.spot_positions[row].balance_type != DEPOSIT:
        return 0
    return get_token_amount(user.spot_positions[row].scaled_balance, spot_market, DEPOSIT)


@rule
def settle_with_pnl_pool(user: User, row: int, market: PerpMarket, quote_market: SpotMarket, amount: int) -> None:
    """Settle ``amount`` (quote 1e6, signed as P&L) of a closed position between its market's pool and the user."""
    position = user.perp_positions[row]
    update_pnl_pool_and_user_balance(market, quote_market, user, amount)
    update_quote_asset_amount(position, market, -amount)
    update_settled_pnl(user, position, amount)


@rule
def recover_claims(
    user: User,
    cap: int,
    quote_market: SpotMarket,
    perp_markets: list[PerpMarket],
    now: int,
    funding_paused: bool,
    interest: InterestFacts,
    facts: BankruptcyFacts,
) -> None:
    """Collect up to ``cap`` (quote 1e6) of the claims that other markets' P&L pools can pay, in the order of the rows.

    The tokens become the user's quote deposit. Interest accrues first, and only where something may be collected.
    Source: velocity/solvency.md §5.2 C.
    """
    if cap <= 0:
        return
    update_spot_market_cumulative_interest_without_oracle(quote_market, now, funding_paused, interest)
    for row in range(POSITIONS):
        position = user.perp_positions[row]
        if cap > facts.recovered and is_settled_positive_claim(position):
            market = perp_markets[position.market_index]
            funded = min(position.quote_asset_amount, get_pool_token_amount(market.pnl_pool, quote_market))
            amount = min(funded, cap - facts.recovered)
            if amount > 0:
                settle_with_pnl_pool(user, row, market, quote_market, amount)
                facts.recovered += amount


@rule
def set_off_deposit(user: User, row: int, market: PerpMarket, quote_market: SpotMarket, facts: BankruptcyFacts) -> None:
    """The user's quote deposit pays the debt of a cross position as far as it reaches, into the market's P&L pool.

    Interest has accrued. Source: velocity/solvency.md §5.2 D.
    """
    debt = -user.perp_positions[row].quote_asset_amount
    amount = min(get_deposit_token_amount(user, quote_market), debt)
    if amount > 0:
        settle_with_pnl_pool(user, row, market, quote_market, -amount)
        facts.set_off = amount


@rule
def forfeit_claims(
    user: User, budget: int, quote_market: SpotMarket, perp_markets: list[PerpMarket], facts: BankruptcyFacts
) -> None:
    """Give up to ``budget`` (quote 1e6) of the claims that no pool can pay to their own markets' insurance.

    Insurance gets a claim, not cash: what it pays now does not shrink. The claims are those of cross margin even where
    an isolated position is bankrupt: deliberate, it is the program's. Source: velocity/solvency.md §5.2 G.
    """
    for row in range(POSITIONS):
        position = user.perp_positions[row]
        if budget > facts.forfeited and is_settled_positive_claim(position):
            market = perp_markets[position.market_index]
            funded = get_pool_token_amount(market.pnl_pool, quote_market)
            amount = min(sub_saturating(position.quote_asset_amount, funded), budget - facts.forfeited)
            if amount > 0:
                update_quote_asset_amount(position, market, -amount)
                accrue_forfeited_claim_to_if(market.fee_ledger, amount)
                facts.forfeited += amount
