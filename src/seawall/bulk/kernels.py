"""Loops over accounts: each account as an instruction of its own, in order, refused or done wholly.

A loop saves what its rules may write (its write set, the ``saved_…`` parameters), and puts it back where an account
fails. It returns the index at which it stopped: ``end``, or that of an account which the exact lane has to take over.
Into the ``after_…`` parameters, where they have rows, it writes the shared rows as they were after each account.
The parameters' names say where they come from (``batch``).
"""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.bulk.loops import attempt, loop, restore, save, unfit
from seawall.records import Record, i64, record, u64
from seawall.rules.common.pnl import MARGIN_NOT_JUDGED
from seawall.rules.common.settlement import settle_funding_payments, validate_user_open
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.rules.drift.settlement import close_expired_position, refresh_and_settle_pnl
from seawall.state.enums import ORACLE_UNKNOWN
from seawall.state.exchange import State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, SettlePnlFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import POSITIONS, User


@record
class Outcome(Record):
    """What became of an account: the number of its error (0: none), whether it settled, the amount (quote 1e6).

    ``signer_is_owner`` is given: whether the account's authority or delegate signed.
    """

    error: u64
    settled: bool
    amount: i64
    signer_is_owner: bool


@record
class Scratch(Record):
    """The facts of one account's settlement."""

    interest: InterestFacts
    funding: FundingPaymentFacts
    facts: SettlePnlFacts


@loop
def settle_pnl(
    users: list[User],
    outcomes: list[Outcome],
    first: int,
    end: int,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    quote_vault: int,
    now: int,
    slot: int,
    mode: int,
    scratch: Scratch,
    blank: list[Scratch],
    saved_users: list[User],
    saved_spot_markets: list[SpotMarket],
    saved_perp_markets: list[PerpMarket],
    after_spot_markets: list[SpotMarket],
    after_perp_markets: list[PerpMarket],
) -> int:
    """Settle the P&L of users ``first`` to ``end`` − 1 in one market; as ``SettlePnl`` does."""
    quote = spot_markets[QUOTE_SPOT_MARKET_INDEX]
    market = perp_markets[market_index]
    for i in range(first, end):
        user = users[i]
        save(saved_users, 0, user)
        save(saved_spot_markets, 0, quote)
        save(saved_perp_markets, 0, market)
        restore(scratch, blank, 0)
        # an instruction judges each oracle anew
        for j in range(len(oracles)):
            oracles[j].validity = ORACLE_UNKNOWN
        error = attempt(validate_user_open, user)
        if error == 0:
            error = attempt(
                refresh_and_settle_pnl, user, market_index, spot_markets, perp_markets, oracles, state, now, slot,
                mode, MARGIN_NOT_JUDGED, outcomes[i].signer_is_owner, scratch.interest, scratch.funding, scratch.facts,
            )  # fmt: skip
        if error == 0:
            error = attempt(validate_spot_market_vault_amount, quote, quote_vault)
        if error == 0:
            error = first_unfit(user, quote, market)
        if error != 0:
            restore(user, saved_users, 0)
            restore(quote, saved_spot_markets, 0)
            restore(market, saved_perp_markets, 0)
            if error < 0:
                return i
        note(outcomes[i], error, scratch.facts)
        if i < len(after_perp_markets):
            save(after_spot_markets, i, quote)
            save(after_perp_markets, i, market)
    return end


@loop
def settle_expired_positions(
    users: list[User],
    outcomes: list[Outcome],
    first: int,
    end: int,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    quote_vault: int,
    now: int,
    slot: int,
    scratch: Scratch,
    blank: list[Scratch],
    saved_users: list[User],
    saved_spot_markets: list[SpotMarket],
    saved_perp_markets: list[PerpMarket],
    after_spot_markets: list[SpotMarket],
    after_perp_markets: list[PerpMarket],
) -> int:
    """Close the positions of users ``first`` to ``end`` − 1 in a market in Settlement; as ``SettlePnl`` does there."""
    quote = spot_markets[QUOTE_SPOT_MARKET_INDEX]
    market = perp_markets[market_index]
    for i in range(first, end):
        user = users[i]
        save(saved_users, 0, user)
        save(saved_spot_markets, 0, quote)
        save(saved_perp_markets, 0, market)
        restore(scratch, blank, 0)
        for j in range(len(oracles)):
            oracles[j].validity = ORACLE_UNKNOWN
        error = attempt(validate_user_open, user)
        if error == 0:
            error = attempt(
                close_expired_position, user, market_index, spot_markets, perp_markets, oracles, state, now, slot,
                scratch.interest, scratch.funding, scratch.facts,
            )  # fmt: skip
        if error == 0:
            error = attempt(validate_spot_market_vault_amount, quote, quote_vault)
        if error == 0:
            error = first_unfit(user, quote, market)
        if error != 0:
            restore(user, saved_users, 0)
            restore(quote, saved_spot_markets, 0)
            restore(market, saved_perp_markets, 0)
            if error < 0:
                return i
        note(outcomes[i], error, scratch.facts)
        if i < len(after_perp_markets):
            save(after_spot_markets, i, quote)
            save(after_perp_markets, i, market)
    return end


@loop
def settle_funding(
    users: list[User],
    outcomes: list[Outcome],
    first: int,
    end: int,
    perp_markets: list[PerpMarket],
    slot: int,
    scratch: Scratch,
    blank: list[Scratch],
    saved_users: list[User],
    saved_perp_markets: list[PerpMarket],
    after_perp_markets: list[PerpMarket],
) -> int:
    """Settle the funding of users ``first`` to ``end`` − 1 in all their markets; as ``SettleFundingPayment`` does."""
    for i in range(first, end):
        user = users[i]
        outcome = outcomes[i]
        save(saved_users, 0, user)
        restore(scratch, blank, 0)
        positions = user.perp_positions
        for k in range(POSITIONS):
            if positions[k].base_asset_amount != 0 and positions[k].market_index < len(perp_markets):
                save(saved_perp_markets, k, perp_markets[positions[k].market_index])
        error = attempt(validate_user_open, user)
        if error == 0:
            error = attempt(settle_funding_payments, user, perp_markets, slot, scratch.funding)
        for k in range(POSITIONS):
            if error == 0 and positions[k].base_asset_amount != 0:
                error = unfit(perp_markets[positions[k].market_index])
        if error == 0:
            error = unfit(user)
        if error != 0:
            restore(user, saved_users, 0)
            for k in range(POSITIONS):
                if positions[k].base_asset_amount != 0 and positions[k].market_index < len(perp_markets):
                    restore(perp_markets[positions[k].market_index], saved_perp_markets, k)
            if error < 0:
                return i
            outcome.error = error
        else:
            note_funding(outcome, user, saved_users[0])
        for k in range(POSITIONS):
            at, index = i * POSITIONS + k, positions[k].market_index
            if at < len(after_perp_markets) and positions[k].base_asset_amount != 0 and index < len(perp_markets):
                save(after_perp_markets, at, perp_markets[index])
    return end


@loop
def first_unfit(user: User, quote: SpotMarket, market: PerpMarket) -> int:
    """What a commit of the three would refuse first, in the order of the tables."""
    error = unfit(quote)
    if error == 0:
        error = unfit(market)
    if error == 0:
        error = unfit(user)
    return error


@loop
def note(outcome: Outcome, error: int, facts: SettlePnlFacts) -> None:
    """Write down what became of an account; a settlement that TrySettle stopped has amount 0."""
    outcome.error = error
    if error == 0 and facts.settled:
        outcome.settled = True
        outcome.amount = facts.pnl


@loop
def note_funding(outcome: Outcome, user: User, before: User) -> None:
    """Write down what funding an account paid or got; settled if any of its positions' rates had moved."""
    for k in range(POSITIONS):
        was = before.perp_positions[k]
        if user.perp_positions[k].last_cumulative_funding_rate != was.last_cumulative_funding_rate:
            outcome.settled = True
    outcome.amount = user.cumulative_perp_funding - before.cumulative_perp_funding
