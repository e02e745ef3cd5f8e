"""What a refused deposit, withdrawal, transfer or swap can say: the cap and what it leaves, the margin that is short.

Token amounts are raw tokens of the market, quote amounts 1e6.
"""

from seawall.arithmetic import MARGIN_PRECISION, pow10
from seawall.engine.explain import Explainer, Explanation
from seawall.engine.queries.margin import Trial
from seawall.engine.receipts import Limit
from seawall.engine.transaction import Transaction
from seawall.engine.withdrawals import calculate_margin, markets_of
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, DepositIntoSpotMarketRevenuePool, Swap, TransferDeposit, Withdraw
from seawall.instructions.spot_fills import FillSpotOrder
from seawall.rules.common.balances import get_spot_balance, get_token_amount
from seawall.rules.common.spot_margin import signed_token_amount
from seawall.rules.common.spot_operations import spot_operation_paused
from seawall.rules.common.spot_positions import find_spot_position
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    MARGIN_INITIAL,
    RULEBOOK_VELOCITY,
    SPOT_WITHDRAW,
    STATUS_REDUCE_ONLY,
    VELOCITY_SPOT_WITHDRAW,
    MarketStatus,
)
from seawall.state.facts import MarginCalculation
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

TRIED = (
    ErrorCode.DailyWithdrawLimit,
    ErrorCode.InsufficientCollateral,
    ErrorCode.SpotMarketInsufficientDeposits,
)
"""Refusals of which a smaller amount may be the cure."""


def explain_withdrawal(
    tx: Transaction, error: SettlementError, user: User, ref: str, market_index: int, amount: int, transfer: bool
) -> SettlementError:
    """A refused withdrawal or transfer with its numbers: what bound, and the largest amount that passes.

    ``user`` is the account as it stood when the rule failed; the limits go to the receipt.
    """
    if error.code not in TRIED:
        return error
    try:
        trial = Trial(tx.store, tx.clock, ref, market_index, transfer)
        code, limits = trial.refusal(amount)
        if code != error.code.name:
            return error
        message = _shortage(tx, user) if error.code == ErrorCode.InsufficientCollateral else ""
        message = message or "; ".join(limit.note for limit in limits)
        largest = trial.largest()
    except (SettlementError, ArithmeticError):
        # the state may not even bear a look; the meaning of the error still holds
        return error
    tx.limits.extend(limits)
    would_pass = f"at most {largest} tokens now" if largest > 0 else "no amount now"
    return SettlementError(error.code, message, would_pass)


def explain_swap(tx: Transaction, error: SettlementError, user: User) -> SettlementError:
    """A swap that leaves the account short of margin, with its numbers."""
    if error.code != ErrorCode.InsufficientCollateral:
        return error
    return SettlementError(error.code, _shortage(tx, user), "the same with less in, more out, or more collateral")


def _shortage(tx: Transaction, user: User) -> str:
    """The strict Initial margin of an account as it stands in ``tx``; its shortage goes to the receipt."""
    calculation = MarginCalculation()
    calculate_margin(user, markets_of(tx), MARGIN_INITIAL, True, calculation)
    required, collateral = calculation.margin_requirement, calculation.total_collateral
    note = f"strict Initial margin would ask for {required}, the collateral would be {collateral} (quote 1e6)"
    tx.limit("margin_requirement", collateral, required, note)
    return f"{note}: {required - collateral} short"


# --- refusals that the code alone leads to -----------------------------------------------------------------------


def _capped_market(
    tx: Transaction, ix: Deposit | DepositIntoSpotMarketRevenuePool | Swap | FillSpotOrder
) -> tuple[SpotMarket, int]:
    """The market whose cap refused, and the tokens that were to enter it."""
    if isinstance(ix, Swap):
        return tx.spot_market(ix.out_market_index), ix.amount_out
    if isinstance(ix, FillSpotOrder):
        return tx.spot_market(ix.market_index), ix.base_asset_amount
    return tx.spot_market(ix.market_index), ix.amount


def _max_deposit(tx: Transaction, ix: Deposit | DepositIntoSpotMarketRevenuePool | Swap | FillSpotOrder) -> Explanation:
    market, amount = _capped_market(tx, ix)
    cap = market.max_token_deposits
    after = get_token_amount(market.deposit_balance, market, DEPOSIT)
    limit = Limit("max_token_deposits", cap, after, f"tokens that spot market {market.market_index} may hold")
    message = f"spot market {market.market_index} may hold {cap} tokens and would hold {after}"
    if isinstance(ix, FillSpotOrder):
        return message, "the same once others withdrew or the admin raises the cap", [limit]
    owed = 0 if isinstance(ix, DepositIntoSpotMarketRevenuePool) else _owed_before(tx, ix.user, market)
    if owed > 0 and isinstance(ix, Deposit) and (ix.reduce_only or market.status == STATUS_REDUCE_ONLY):
        amount = min(amount, owed)
    room = _room_below_cap(market, amount, owed)
    passing = f"at most {room} tokens now" if room else "no deposit until others withdrew or the admin raises the cap"
    return message, passing, [limit]


def _owed_before(tx: Transaction, ref: str, market: SpotMarket) -> int:
    """Tokens that an account owed before the instruction, at the interest that it accrued."""
    user = Transaction(tx.store, tx.clock, tx.signer).user(ref)
    index = find_spot_position(user, market.market_index)
    return 0 if index < 0 else max(0, -signed_token_amount(user.spot_positions[index], market))


def _room_below_cap(market: SpotMarket, amount: int, owed: int) -> int:
    """Most tokens that could have been deposited instead of ``amount``; what is owed is repaid first and adds none."""
    precision = pow10(19 - market.decimals)
    index = market.cumulative_deposit_interest
    before = market.deposit_balance - get_spot_balance(max(0, amount - owed), market, DEPOSIT, False)
    largest = ((market.max_token_deposits + 1) * precision - 1) // index
    if before > largest:
        return 0
    return owed + ((largest - before + 1) * index - 1) // precision


def _max_borrows(tx: Transaction, ix: Deposit | DepositIntoSpotMarketRevenuePool | Swap | FillSpotOrder) -> Explanation:
    market, _ = _capped_market(tx, ix)
    cap = market.max_token_deposits * market.max_token_borrows_fraction // MARGIN_PRECISION
    borrows = get_token_amount(market.borrow_balance, market, BORROW)
    limit = Limit("max_token_borrows_fraction", cap, borrows, f"tokens of spot market {market.market_index} lent out")
    return (
        f"of spot market {market.market_index} at most {cap} tokens may be lent out, {borrows} are",
        f"a repayment that brings the borrows down to {cap}",
        [limit],
    )


def _reduce_only(tx: Transaction, ix: Withdraw | Swap) -> Explanation:
    market = tx.spot_market(ix.in_market_index if isinstance(ix, Swap) else ix.market_index)
    user = tx.user(ix.user)
    index = find_spot_position(user, market.market_index)
    held = 0 if index < 0 else signed_token_amount(user.spot_positions[index], market)
    owes = f"the account owes {-held} tokens" if held < 0 else "the account has no deposit"
    limit = Limit("deposit", max(0, held), ix.amount_in if isinstance(ix, Swap) else ix.amount, "tokens held")
    return f"a reduce-only withdrawal takes from a deposit; {owes}", "a withdrawal from a deposit", [limit]


def _withdraw_paused(tx: Transaction, ix: Withdraw | TransferDeposit | Swap) -> Explanation:
    market = tx.spot_market(ix.in_market_index if isinstance(ix, Swap) else ix.market_index)
    if spot_operation_paused(market, SPOT_WITHDRAW, VELOCITY_SPOT_WITHDRAW):
        return f"withdrawals from spot market {market.market_index} are paused", "the same once the admin resumes", []
    status = MarketStatus(market.status).name
    return (
        f"spot market {market.market_index} is {status}",
        "the same in an Active, ReduceOnly or Settlement market",
        [],
    )


def _vault_short(tx: Transaction, ix: Instruction) -> Explanation:
    """The market that failed the vault invariant, as it stood then; ``AttributeError`` where none is found short."""
    for index, market in enumerate(tx.spot_markets):
        vault = tx.vaults(index).spot_vault
        deposits = get_token_amount(market.deposit_balance, market, DEPOSIT)
        borrows = get_token_amount(market.borrow_balance, market, BORROW)
        claim = deposits - borrows
        name = f"spot market {index}"
        if vault < claim:
            limit = Limit(
                "spot_vault", vault, claim, f"tokens that the vault of {name} would hold, and the claims on it"
            )
            return (
                f"the vault of {name} would hold {vault} tokens, the claims on it would be {claim} "
                f"({deposits} deposited, {borrows} lent out): {claim - vault} short",
                f"the same once the vault of {name} covers its claims: interest of borrowers makes up for roundings",
                [limit],
            )
        reserved = _reserved(market)
        if reserved > deposits or (claim < 0 and market.rulebook == RULEBOOK_VELOCITY):
            return (
                f"of {name} {deposits} tokens would be deposited, {borrows} lent out, and {reserved} be its pools' own",
                f"the same once more is deposited in {name} than lent out and than its pools own",
                [],
            )
    raise AttributeError


def _reserved(market: SpotMarket) -> int:
    """What of the deposits the invariant keeps for the market's own pools (tokens)."""
    pools = [market.revenue_pool.scaled_balance]
    if market.rulebook == RULEBOOK_VELOCITY:
        pools += [market.protocol_fee_pool.scaled_balance, market.insurance_fund_revenue_receivable_scaled]
    return sum(get_token_amount(pool, market, DEPOSIT) for pool in pools)


EXPLAINERS: dict[ErrorCode, Explainer] = {
    ErrorCode.SpotMarketVaultInvariantViolated: _vault_short,
    ErrorCode.MaxDeposit: _max_deposit,
    ErrorCode.MaxBorrows: _max_borrows,
    ErrorCode.ReduceOnlyWithdrawIncreasedRisk: _reduce_only,
    ErrorCode.MarketWithdrawPaused: _withdraw_paused,
}
