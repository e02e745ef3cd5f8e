"""Staking in the insurance fund, which stakers own whole.

Opening a stake, and giving tokens to a fund's vault, are as under Drift. A gift to a fund without shares becomes
ballast, which nobody can withdraw; any other raises the price of all shares.
"""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, div_ceil
from seawall.engine.explain import Explainer, Explanation
from seawall.engine.gates import require_not_paused
from seawall.engine.handlers.insurance import (
    emit_stake,
    note_forfeited,
    pay_out_stake,
    require_healthy_utilization,
    require_insurance_operation,
    require_may_add,
    require_no_request,
    stake_authority,
)
from seawall.engine.handlers.insurance_refusals import fund_value, stored_stake
from seawall.engine.handlers.velocity.revenue import attempt_settle_revenue, require_market_withdraw
from seawall.engine.receipts import Limit
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    CancelRequestRemoveInsuranceFundStake,
    RemoveInsuranceFundStake,
    RequestRemoveInsuranceFundStake,
    UpdateUserQuoteAssetInsuranceStake,
)
from seawall.keys import key_from_text
from seawall.rules.common.insurance_stakes import (
    calculate_requested_if_shares,
    request_remove_insurance_fund_stake,
    update_user_stats_if_stake,
)
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.rules.velocity.insurance import (
    add_insurance_fund_stake,
    cancel_request_remove_insurance_fund_stake,
    remove_insurance_fund_stake,
)
from seawall.rules.velocity.receivable import get_insurance_fund_nav
from seawall.state.enums import EXCHANGE_WITHDRAW_PAUSED, IF_REMOVE, IF_REQUEST_REMOVE
from seawall.state.facts import StakeFacts
from seawall.state.spot_market import SpotMarket


def add_stake(tx: Transaction, ix: AddInsuranceFundStake) -> None:
    """Settle revenue that is due, then buy whole shares; what they do not cost stays in the wallet.

    ``InsufficientDeposit``, ``InsuranceFundOperationPaused``, ``InvalidSpotMarketState``,
    ``IFWithdrawRequestInProgress``, the revenue settlement's errors, ``SpotMarketVaultInvariantViolated``,
    ``InvalidIFForNewStakes``, ``InvalidIFRebase``, ``IFDepositMintsZeroShares``, ``TokenInsufficientFunds``.
    Source: velocity/insurance.md §4; ``if_staker.rs::handle_add_insurance_fund_stake``.
    """
    authority = stake_authority(tx, ix.authority)
    index = ix.market_index
    stake = tx.write_stake(authority, index)
    stats = tx.write_user_stats(authority)
    require_may_add(tx, ix, stake)
    market, nav, vault = _settled_fund(tx, index)
    facts = StakeFacts()
    charge = add_insurance_fund_stake(ix.amount, nav, vault, stake, stats, market, facts)
    emit_stake(tx, "Stake", authority, index, facts)
    if charge < ix.amount:
        tx.limit("whole_shares", charge, ix.amount, "only whole shares are sold; the rest stays in the wallet")
    tx.stake_tokens(authority, index, charge)


def _settled_fund(tx: Transaction, market_index: int) -> tuple[SpotMarket, int, int]:
    """Settle revenue that is due: the market after it, what its fund is worth, and its vault; the vault check."""
    attempt_settle_revenue(tx, market_index)
    market = tx.write_spot_market(market_index)
    vaults = tx.vaults(market_index)
    validate_spot_market_vault_amount(market, vaults.spot_vault)
    return market, get_insurance_fund_nav(market, vaults.insurance_fund_vault), vaults.insurance_fund_vault


def request_remove_stake(tx: Transaction, ix: RequestRemoveInsuranceFundStake) -> None:
    """Settle revenue that is due, then lock shares worth ``amount`` and freeze their value.

    While withdraws are paused the revenue cannot settle, and the request is refused; with the parameter
    ``revenue_receivable`` the booked revenue prices it. ``ExchangePaused``, ``InsuranceFundOperationPaused``,
    ``MarketWithdrawPaused``, ``IFWithdrawRequestInProgress``, the revenue settlement's errors,
    ``InvalidIFSharesDetected``, ``IFWithdrawRequestTooSmall``, ``InvalidIFRebase``, ``InsufficientIFShares``,
    ``InvalidInsuranceUnstakeSize``, ``InvalidIFUnstakeSize``. Source: velocity/insurance.md §5.1.
    """
    authority = stake_authority(tx, ix.authority)
    index = ix.market_index
    stake = tx.write_stake(authority, index)
    stats = tx.write_user_stats(authority)
    if not tx.config.revenue_receivable:
        require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    require_insurance_operation(tx.spot_market(index), IF_REQUEST_REMOVE, "RequestRemove")
    if not tx.config.revenue_receivable:
        require_market_withdraw(tx, index)
    require_no_request(stake)
    market, nav, vault = _settled_fund(tx, index)
    n_shares = calculate_requested_if_shares(ix.amount, nav, stake, market)
    facts = StakeFacts()
    request_remove_insurance_fund_stake(n_shares, nav, vault, stake, stats, market, tx.now, facts)
    emit_stake(tx, "UnstakeRequest", authority, index, facts)


def cancel_request_remove_stake(tx: Transaction, ix: CancelRequestRemoveInsuranceFundStake) -> None:
    """Settle revenue that is due, then take a request back; what the fund earned on its shares is forfeited.

    No pause stops it. ``NoIFWithdrawRequestInProgress``, the revenue settlement's errors,
    ``SpotMarketVaultInvariantViolated``, ``InvalidIFRebase``, ``InvalidIFSharesDetected``.
    Source: velocity/insurance.md §5.2.
    """
    authority = stake_authority(tx, ix.authority)
    index = ix.market_index
    stake = tx.write_stake(authority, index)
    stats = tx.write_user_stats(authority)
    requested = stake.last_withdraw_request_shares
    if requested == 0:
        raise SettlementError(ErrorCode.NoIFWithdrawRequestInProgress)
    market, nav, vault = _settled_fund(tx, index)
    facts = StakeFacts()
    cancel_request_remove_insurance_fund_stake(nav, vault, stake, stats, market, tx.now, facts)
    emit_stake(tx, "UnstakeCancelRequest", authority, index, facts)
    note_forfeited(tx, facts, requested)


def remove_stake(tx: Transaction, ix: RemoveInsuranceFundStake) -> None:
    """Pay the pending request out. Revenue settles first only with the parameter ``revenue_receivable``.

    ``ExchangePaused``, ``InsuranceFundOperationPaused``, ``SpotMarketInsufficientDeposits``,
    ``TryingToRemoveLiquidityTooFast``, ``InvalidIFRebase``, ``InvalidIFUnstake``, ``InsufficientIFShares``,
    ``InvalidIFSharesDetected``, ``InvalidIFUnstakeSize``, ``InvalidIFDetected``, ``SpotMarketVaultInvariantViolated``.
    Source: velocity/insurance.md §5.3.
    """
    authority = stake_authority(tx, ix.authority)
    index = ix.market_index
    stake = tx.write_stake(authority, index)
    stats = tx.write_user_stats(authority)
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    market = tx.write_spot_market(index)
    require_insurance_operation(market, IF_REMOVE, "Remove")
    require_healthy_utilization(tx, market)
    receivable = tx.config.revenue_receivable
    if receivable:
        market, nav, vault = _settled_fund(tx, index)
    else:
        nav = vault = tx.vaults(index).insurance_fund_vault
    frozen_value = stake.last_withdraw_request_value
    facts = StakeFacts()
    try:
        payout = remove_insurance_fund_stake(nav, vault, stake, stats, market, tx.now, receivable, facts)
    except SettlementError as error:
        if error.code != ErrorCode.InvalidIFUnstakeSize:
            raise
        raise SettlementError(
            error.code,
            f"the payout is {min(facts.share_value, frozen_value)}, the insurance fund's vault holds {vault}",
            "the same once revenue that the fund is owed has reached its vault; a part is never paid",
        ) from None
    pay_out_stake(tx, authority, market, payout, frozen_value, facts)


def refresh_stake_statistics(tx: Transaction, ix: UpdateUserQuoteAssetInsuranceStake) -> None:
    """Write the quote stake's present value into its owner's statistics. Signer: anyone. ``InvalidIFRebase``.

    Source: velocity/insurance.md §1.3, §3.5.
    """
    authority = key_from_text(ix.authority)
    stake = tx.stake(authority, QUOTE_SPOT_MARKET_INDEX)
    value = fund_value(tx, QUOTE_SPOT_MARKET_INDEX)
    update_user_stats_if_stake(value, stake, tx.write_user_stats(authority), tx.spot_market(QUOTE_SPOT_MARKET_INDEX))


def _mints_nothing(tx: Transaction, ix: AddInsuranceFundStake) -> Explanation:
    """The fund is rebased by now, as the refused stake would have found it."""
    shares = tx.spot_market(ix.market_index).insurance_fund.total_shares
    least = div_ceil(fund_value(tx, ix.market_index), shares)
    return (
        f"{ix.amount} tokens are less than one share, which costs {least}",
        f"an amount of at least {least}",
        [Limit("one_share", least, ix.amount, "tokens that one share costs, rounded up")],
    )


def _nothing_requested(tx: Transaction, ix: RemoveInsuranceFundStake) -> Explanation:
    requested = stored_stake(tx, ix.authority, ix.market_index).last_withdraw_request_shares
    if requested == 0:
        return "no request is pending", "request_remove_insurance_fund_stake, then the cooldown", []
    return (
        f"a rebase of the fund rounded the requested {requested} shares to 0",
        "cancel_request_remove_insurance_fund_stake, which forfeits nothing then",
        [],
    )


HANDLERS: dict[type[Instruction], Handler] = {
    AddInsuranceFundStake: add_stake,
    RequestRemoveInsuranceFundStake: request_remove_stake,
    CancelRequestRemoveInsuranceFundStake: cancel_request_remove_stake,
    RemoveInsuranceFundStake: remove_stake,
    UpdateUserQuoteAssetInsuranceStake: refresh_stake_statistics,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {
    ErrorCode.IFDepositMintsZeroShares: _mints_nothing,
    ErrorCode.InvalidIFUnstake: _nothing_requested,
}
