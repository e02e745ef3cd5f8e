"""What a refused insurance instruction can say: the shares, the vault, the end of the cooldown."""

from seawall.arithmetic import div_ceil
from seawall.engine.explain import Explainer, Explanation
from seawall.engine.receipts import Limit
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    AdminRemoveInsuranceFundStake,
    CancelRequestRemoveInsuranceFundStake,
    RemoveInsuranceFundStake,
    RequestRemoveInsuranceFundStake,
    TransferProtocolIfShares,
    UpdateUserQuoteAssetInsuranceStake,
)
from seawall.keys import key_from_text
from seawall.rules.common.insurance_shares import get_protocol_shares, vault_amount_to_if_shares
from seawall.rules.velocity.receivable import get_insurance_fund_nav
from seawall.state.insurance import InsuranceFundStake

Stakes = (
    AddInsuranceFundStake
    | RequestRemoveInsuranceFundStake
    | CancelRequestRemoveInsuranceFundStake
    | RemoveInsuranceFundStake
    | TransferProtocolIfShares
)


def stored_stake(tx: Transaction, authority: str, market_index: int) -> InsuranceFundStake:
    """The stake as it was before the refused instruction touched it."""
    table = tx.store.stakes
    return table.read(table.index[key_from_text(authority) + market_index.to_bytes(2, "little")])


def fund_value(tx: Transaction, market_index: int) -> int:
    """Tokens that all shares of a fund are worth together. (Drift never has a receivable.)"""
    return get_insurance_fund_nav(tx.spot_market(market_index), tx.vaults(market_index).insurance_fund_vault)


def _too_fast(tx: Transaction, ix: RemoveInsuranceFundStake) -> Explanation:
    fund = tx.spot_market(ix.market_index).insurance_fund
    requested = stored_stake(tx, ix.authority, ix.market_index).last_withdraw_request_ts
    ends = requested + fund.unstaking_period
    limit = Limit("unstaking_period", fund.unstaking_period, tx.now - requested, f"the cooldown ends at {ends}")
    return (
        f"the cooldown of {fund.unstaking_period} seconds ends at {ends}, in {ends - tx.now} seconds",
        f"the same from time {ends} on",
        [limit],
    )


def _nothing_requested(tx: Transaction, ix: RemoveInsuranceFundStake) -> Explanation:
    stake = stored_stake(tx, ix.authority, ix.market_index)
    if stake.last_withdraw_request_shares != 0:
        return (
            f"a rebase of the fund rounded the requested {stake.last_withdraw_request_shares} shares to 0",
            "a new request_remove_insurance_fund_stake",
            [],
        )
    return "no request is pending", "request_remove_insurance_fund_stake, then the cooldown", []


def _insufficient_shares(
    tx: Transaction,
    ix: RequestRemoveInsuranceFundStake
    | RemoveInsuranceFundStake
    | TransferProtocolIfShares
    | AdminRemoveInsuranceFundStake,
) -> Explanation:
    fund = tx.spot_market(ix.market_index).insurance_fund
    if isinstance(ix, TransferProtocolIfShares | AdminRemoveInsuranceFundStake):
        owned = get_protocol_shares(fund)
        limit = Limit("protocol_shares", owned, ix.shares, "shares that no staker owns")
        return f"the protocol owns {owned} shares, {ix.shares} were asked", f"at most {owned} shares", [limit]
    stake = stored_stake(tx, ix.authority, ix.market_index)
    value = fund_value(tx, ix.market_index)
    if isinstance(ix, RemoveInsuranceFundStake):
        asked = stake.last_withdraw_request_shares
        passing = "a new, smaller request"
    else:
        asked = vault_amount_to_if_shares(ix.amount, fund.total_shares, value)
        most = _largest_request(stake.if_shares, fund.total_shares, value)
        passing = f"an amount of at most {most} tokens" if most > 0 else "the same after add_insurance_fund_stake"
    limit = Limit("if_shares", stake.if_shares, asked, "shares of the stake")
    return f"the stake has {stake.if_shares} shares, {asked} were asked", passing, [limit]


def _largest_request(if_shares: int, total_shares: int, vault: int) -> int:
    """Tokens that lock as many shares as a stake may ask for: those it has, and fewer than all there are; 0: none."""
    n_shares = min(if_shares, total_shares - 1)
    if n_shares <= 0 or vault == 0:
        return 0
    # what the shares are worth, rounded up, unless that is one share too many
    most = min(div_ceil(n_shares * vault, total_shares), ((n_shares + 1) * vault - 1) // total_shares)
    return most if vault_amount_to_if_shares(most, total_shares, vault) > 0 else 0


def _too_small(tx: Transaction, ix: RequestRemoveInsuranceFundStake) -> Explanation:
    fund = tx.spot_market(ix.market_index).insurance_fund
    if fund.total_shares == 0:
        return "the fund has no shares", "", []
    least = div_ceil(fund_value(tx, ix.market_index), fund.total_shares)
    return (
        f"{ix.amount} tokens are less than one share, which costs {least}",
        f"an amount of at least {max(least, 1)}",
        [Limit("one_share", least, ix.amount, "tokens that one share is worth, rounded up")],
    )


def _other_base(tx: Transaction, ix: Stakes | UpdateUserQuoteAssetInsuranceStake) -> Explanation:
    index = 0 if isinstance(ix, UpdateUserQuoteAssetInsuranceStake) else ix.market_index
    stake = stored_stake(tx, ix.authority, index)
    base = tx.spot_market(index).insurance_fund.shares_base
    return (
        f"the stake's shares are in base {stake.if_base}, the fund's in base {base}",
        "the same after add_insurance_fund_stake, which rebases the stake",
        [],
    )


def _empty_fund(tx: Transaction, ix: AddInsuranceFundStake) -> Explanation:
    shares = tx.spot_market(ix.market_index).insurance_fund.total_shares
    return (
        f"the insurance fund's vault is empty while {shares} shares exist: a share has no price",
        "the same once the vault holds at least one unit; deposit_into_insurance_fund gives it one",
        [],
    )


def _cancelled_nothing(tx: Transaction, ix: CancelRequestRemoveInsuranceFundStake) -> Explanation:
    requested = stored_stake(tx, ix.authority, ix.market_index).last_withdraw_request_shares
    return (
        f"a rebase of the fund rounded the requested {requested} shares to 0",
        "a new request_remove_insurance_fund_stake clears the way",
        [],
    )


EXPLAINERS: dict[ErrorCode, Explainer] = {
    ErrorCode.TryingToRemoveLiquidityTooFast: _too_fast,
    ErrorCode.InvalidIFUnstake: _nothing_requested,
    ErrorCode.InsufficientIFShares: _insufficient_shares,
    ErrorCode.IFWithdrawRequestTooSmall: _too_small,
    ErrorCode.InvalidIFRebase: _other_base,
    ErrorCode.InvalidIFForNewStakes: _empty_fund,
    ErrorCode.InvalidIFUnstakeCancel: _cancelled_nothing,
}
