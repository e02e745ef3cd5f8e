"""Insurance stakes, transfers of the protocol's shares, gifts to a fund."""

from typing import NoReturn

from seawall.arithmetic import EPOCH_DURATION, QUOTE_SPOT_MARKET_INDEX
from seawall.engine.gates import require_not_paused
from seawall.engine.handlers.insurance_refusals import EXPLAINERS
from seawall.engine.handlers.revenue import attempt_settle_revenue
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    AdminRemoveInsuranceFundStake,
    CancelRequestRemoveInsuranceFundStake,
    DepositIntoInsuranceFund,
    InitializeInsuranceFundStake,
    InitializeProtocolIfSharesTransferConfig,
    RemoveInsuranceFundStake,
    RequestRemoveInsuranceFundStake,
    TransferProtocolIfShares,
    UpdateProtocolIfSharesTransferConfig,
    UpdateUserQuoteAssetInsuranceStake,
)
from seawall.keys import DEFAULT_KEY, key_from_text, key_to_text
from seawall.rules.common.insurance_shares import apply_rebase_to_insurance_fund
from seawall.rules.common.insurance_stakes import (
    calculate_requested_if_shares,
    healthy_utilization,
    is_healthy_utilization,
    request_remove_insurance_fund_stake,
    update_user_stats_if_stake,
)
from seawall.rules.common.interest import calculate_spot_market_utilization
from seawall.rules.common.vaults import validate_spot_balances, validate_spot_market_vault_amount
from seawall.rules.drift.insurance import (
    add_insurance_fund_stake,
    admin_remove_insurance_fund_stake,
    cancel_request_remove_insurance_fund_stake,
    remove_insurance_fund_stake,
    transfer_protocol_insurance_fund_stake,
    update_transfer_epoch,
)
from seawall.state.enums import (
    EXCHANGE_WITHDRAW_PAUSED,
    IF_ADD,
    IF_INIT,
    IF_REMOVE,
    IF_REQUEST_REMOVE,
    STATUS_INITIALIZED,
)
from seawall.state.facts import StakeFacts
from seawall.state.insurance import InsuranceFundStake, ProtocolIfSharesTransferConfig
from seawall.state.spot_market import SpotMarket


def initialize_stake(tx: Transaction, ix: InitializeInsuranceFundStake) -> None:
    """Open an empty stake; ``AccountAlreadyInUse``, ``InsuranceFundOperationPaused``, ``UserNotFound``.

    Its base is 0, whatever the fund's: deliberate, the first stake catches up. Source: insurance.md §4.1.
    """
    authority = stake_authority(tx, ix.authority)
    tx.user_stats(authority)
    market = tx.spot_market(ix.market_index)
    tx.add_stake(InsuranceFundStake(authority=authority, market_index=ix.market_index, last_valid_ts=tx.now))
    require_insurance_operation(market, IF_INIT, "Init")


def add_stake(tx: Transaction, ix: AddInsuranceFundStake) -> None:
    """Settle revenue that is due, then buy shares.

    ``InsufficientDeposit``, ``InsuranceFundOperationPaused``, ``InvalidSpotMarketState``,
    ``IFWithdrawRequestInProgress``, the revenue settlement's errors, ``SpotMarketVaultInvariantViolated``,
    ``InvalidIFForNewStakes``, ``InvalidIFRebase``, ``TokenInsufficientFunds``. Source: insurance.md §4.2.
    """
    authority = stake_authority(tx, ix.authority)
    index = ix.market_index
    stake = tx.write_stake(authority, index)
    stats = tx.write_user_stats(authority)
    require_may_add(tx, ix, stake)
    attempt_settle_revenue(tx, index)
    market = tx.write_spot_market(index)
    vaults = tx.vaults(index)
    validate_spot_market_vault_amount(market, vaults.spot_vault)
    facts = StakeFacts()
    add_insurance_fund_stake(ix.amount, vaults.insurance_fund_vault, stake, stats, market, facts)
    emit_stake(tx, "Stake", authority, index, facts)
    tx.stake_tokens(authority, index, ix.amount)


def require_may_add(tx: Transaction, ix: AddInsuranceFundStake, stake: InsuranceFundStake) -> None:
    """What is asked before anything is settled for a stake.

    ``InsufficientDeposit``, ``InsuranceFundOperationPaused``, ``InvalidSpotMarketState``,
    ``IFWithdrawRequestInProgress``.
    """
    if ix.amount == 0:
        raise SettlementError(ErrorCode.InsufficientDeposit)
    market = tx.spot_market(ix.market_index)
    require_insurance_operation(market, IF_ADD, "Add")
    if market.status == STATUS_INITIALIZED:
        raise SettlementError(ErrorCode.InvalidSpotMarketState)
    if stake.last_withdraw_request_value != 0:
        refuse_request_in_progress(stake)
    require_no_request(stake)


def request_remove_stake(tx: Transaction, ix: RequestRemoveInsuranceFundStake) -> None:
    """Lock shares worth ``amount`` and freeze their value.

    ``InsuranceFundOperationPaused``, ``IFWithdrawRequestInProgress``, ``InvalidIFSharesDetected``,
    ``IFWithdrawRequestTooSmall``, ``InvalidIFRebase``, ``InsufficientIFShares``, ``InvalidInsuranceUnstakeSize``,
    ``InvalidIFUnstakeSize``. Source: insurance.md §4.3.
    """
    authority = stake_authority(tx, ix.authority)
    index = ix.market_index
    stake = tx.write_stake(authority, index)
    stats = tx.write_user_stats(authority)
    market = tx.write_spot_market(index)
    require_insurance_operation(market, IF_REQUEST_REMOVE, "RequestRemove")
    require_no_request(stake)
    vault = tx.vaults(index).insurance_fund_vault
    n_shares = calculate_requested_if_shares(ix.amount, vault, stake, market)
    facts = StakeFacts()
    request_remove_insurance_fund_stake(n_shares, vault, vault, stake, stats, market, tx.now, facts)
    emit_stake(tx, "UnstakeRequest", authority, index, facts)


def cancel_request_remove_stake(tx: Transaction, ix: CancelRequestRemoveInsuranceFundStake) -> None:
    """Take a request back; what the fund earned on its shares meanwhile is forfeited. No pause stops it.

    ``NoIFWithdrawRequestInProgress``, ``InvalidIFRebase``, ``InvalidIFUnstakeCancel``, ``InvalidIFSharesDetected``.
    Source: insurance.md §4.4.
    """
    authority = stake_authority(tx, ix.authority)
    index = ix.market_index
    stake = tx.write_stake(authority, index)
    stats = tx.write_user_stats(authority)
    market = tx.write_spot_market(index)
    requested = stake.last_withdraw_request_shares
    if requested == 0:
        raise SettlementError(ErrorCode.NoIFWithdrawRequestInProgress)
    facts = StakeFacts()
    cancel_request_remove_insurance_fund_stake(
        tx.vaults(index).insurance_fund_vault, stake, stats, market, tx.now, facts
    )
    emit_stake(tx, "UnstakeCancelRequest", authority, index, facts)
    note_forfeited(tx, facts, requested)


def note_forfeited(tx: Transaction, facts: StakeFacts, requested: int) -> None:
    """Say which part of the ``requested`` shares a cancellation burned, if any."""
    if facts.forfeited_shares > 0:
        tx.limit(
            "shares_forfeited", facts.forfeited_shares, requested,
            "the price rose since the request; the frozen value no longer buys all its shares back",
        )  # fmt: skip


def remove_stake(tx: Transaction, ix: RemoveInsuranceFundStake) -> None:
    """Pay the pending request out.

    ``ExchangePaused``, ``InsuranceFundOperationPaused``, ``SpotMarketInsufficientDeposits``,
    ``TryingToRemoveLiquidityTooFast``, ``InvalidIFRebase``, ``InvalidIFUnstake``, ``InsufficientIFShares``,
    ``InvalidIFSharesDetected``, ``InvalidIFDetected``, ``SpotMarketVaultInvariantViolated``. Source: insurance.md §4.5.
    """
    authority = stake_authority(tx, ix.authority)
    index = ix.market_index
    stake = tx.write_stake(authority, index)
    stats = tx.write_user_stats(authority)
    market = tx.write_spot_market(index)
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    require_insurance_operation(market, IF_REMOVE, "Remove")
    require_healthy_utilization(tx, market)
    frozen_value = stake.last_withdraw_request_value
    facts = StakeFacts()
    amount = remove_insurance_fund_stake(tx.vaults(index).insurance_fund_vault, stake, stats, market, tx.now, facts)
    pay_out_stake(tx, authority, market, amount, frozen_value, facts)


def pay_out_stake(
    tx: Transaction, authority: bytes, market: SpotMarket, amount: int, frozen_value: int, facts: StakeFacts
) -> None:
    """Tell of a removal, and move its tokens; ``InvalidIFDetected``, ``SpotMarketVaultInvariantViolated``."""
    index = market.market_index
    emit_stake(tx, "Unstake", authority, index, facts)
    if frozen_value < facts.share_value:
        tx.limit(
            "last_withdraw_request_value", frozen_value, facts.share_value,
            "a request pays its value at the time it was made at most; the rest stays with the other holders",
        )  # fmt: skip
    tx.unstake_tokens(authority, index, amount)
    if tx.vaults(index).insurance_fund_vault == 0:
        raise SettlementError(
            ErrorCode.InvalidIFDetected,
            f"paying {amount} would empty the insurance fund's vault"
            if amount
            else "the insurance fund's vault is empty",
            "the same once the vault holds at least one unit more; a new request freezes less",
        )
    validate_spot_balances(market)


def refresh_stake_statistics(tx: Transaction, ix: UpdateUserQuoteAssetInsuranceStake) -> None:
    """Write the quote stake's present value into the statistics; ``InvalidIFRebase``. Source: insurance.md §4.6."""
    authority = stake_authority(tx, ix.authority)
    stake = tx.stake(authority, QUOTE_SPOT_MARKET_INDEX)
    vault = tx.vaults(QUOTE_SPOT_MARKET_INDEX).insurance_fund_vault
    update_user_stats_if_stake(vault, stake, tx.write_user_stats(authority), tx.spot_market(QUOTE_SPOT_MARKET_INDEX))


def transfer_protocol_shares(tx: Transaction, ix: TransferProtocolIfShares) -> None:
    """Hand protocol shares of the quote fund to a staker, within the epoch's allowance.

    ``DefaultError`` (fund, signer, allowance), ``InvalidIFRebase``, ``InsufficientIFShares``.
    Source: insurance.md §7.2.
    """
    index = ix.market_index
    if index != QUOTE_SPOT_MARKET_INDEX:
        raise SettlementError(ErrorCode.DefaultError, "only shares of the quote fund (market 0) can be transferred")
    config = tx.write_transfer_config()
    if tx.signer == DEFAULT_KEY or tx.signer not in config.whitelisted_signers:
        raise SettlementError(
            ErrorCode.DefaultError,
            f"{key_to_text(tx.signer)} may not transfer protocol shares",
            "a whitelisted signer; update_protocol_if_shares_transfer_config names them",
        )
    _charge_epoch(tx, config, ix.shares)
    authority = key_from_text(ix.authority)
    stake = tx.write_stake(authority, index)
    protocol_facts, target_facts = StakeFacts(), StakeFacts()
    transfer_protocol_insurance_fund_stake(
        ix.shares, tx.vaults(index).insurance_fund_vault, stake, tx.write_user_stats(authority),
        tx.write_spot_market(index), protocol_facts, target_facts,
    )  # fmt: skip
    emit_stake(tx, "UnstakeTransfer", tx.state.signer, index, protocol_facts)
    emit_stake(tx, "StakeTransfer", authority, index, target_facts)


def _charge_epoch(tx: Transaction, config: ProtocolIfSharesTransferConfig, shares: int) -> None:
    try:
        update_transfer_epoch(config, shares, tx.now)
    except SettlementError as error:
        left = max(0, config.max_transfer_per_epoch - config.current_epoch_transfer)
        tx.limit("max_transfer_per_epoch", left, shares, f"the next epoch begins after {config.next_epoch_ts}")
        passing = min(left - 1, _protocol_shares(tx))
        ways = [f"at most {passing} shares"] if passing > 0 else []
        if shares < config.max_transfer_per_epoch:
            ways.append(f"the same after time {config.next_epoch_ts}")
        raise SettlementError(
            error.code,
            f"{shares} shares are not below the {left} that may still be transferred in this epoch",
            ", or ".join(ways) or "a larger max_transfer_per_epoch",
        ) from None


def _protocol_shares(tx: Transaction) -> int:
    """Shares of the quote fund that the protocol owns, as a transfer finds them: rebased."""
    fund = tx.spot_market(QUOTE_SPOT_MARKET_INDEX).insurance_fund.copy()
    apply_rebase_to_insurance_fund(tx.vaults(QUOTE_SPOT_MARKET_INDEX).insurance_fund_vault, fund)
    return fund.total_shares - fund.user_shares


def initialize_transfer_config(tx: Transaction, ix: InitializeProtocolIfSharesTransferConfig) -> None:
    """Open the transfer configuration; ``AccountAlreadyInUse``. Source: insurance.md §7.2."""
    tx.require_admin()
    tx.add_transfer_config(ProtocolIfSharesTransferConfig(next_epoch_ts=tx.now + EPOCH_DURATION))


def update_transfer_config(tx: Transaction, ix: UpdateProtocolIfSharesTransferConfig) -> None:
    """Set the whitelist, the allowance, or both. Source: insurance.md §7.2."""
    tx.require_admin()
    config = tx.write_transfer_config()
    if ix.whitelisted_signers is not None:
        room = len(config.whitelisted_signers)
        if len(ix.whitelisted_signers) > room:
            raise SettlementError(ErrorCode.InvalidInstruction, f"at most {room} signers may transfer shares")
        signers = [key_from_text(text) for text in ix.whitelisted_signers]
        config.whitelisted_signers = signers + [DEFAULT_KEY] * (room - len(signers))
    if ix.max_transfer_per_epoch is not None:
        config.max_transfer_per_epoch = ix.max_transfer_per_epoch


def admin_remove_stake(tx: Transaction, ix: AdminRemoveInsuranceFundStake) -> None:
    """Pay protocol shares out to the admin's wallet.

    ``UnsupportedInstruction`` without the parameter, ``InsufficientIFShares``, ``InvalidIFDetected``.
    Source: insurance.md §7.1.
    """
    if not tx.config.admin_removes_protocol_shares:
        raise SettlementError(
            ErrorCode.UnsupportedInstruction,
            "this venue runs without the parameter admin_removes_protocol_shares, as the program does",
            "a venue with that parameter",
        )
    tx.require_admin()
    index = ix.market_index
    facts = StakeFacts()
    amount = admin_remove_insurance_fund_stake(
        ix.shares, tx.vaults(index).insurance_fund_vault, tx.write_spot_market(index), facts
    )
    emit_stake(tx, "Unstake", tx.state.admin, index, facts)
    tx.unstake_tokens(tx.state.admin, index, amount)


def deposit_into_insurance_fund(tx: Transaction, ix: DepositIntoInsuranceFund) -> None:
    """Give tokens to a fund; ``InsufficientDeposit``, ``TokenInsufficientFunds``. Source: insurance.md §5.2."""
    authority = key_from_text(ix.authority)
    tx.require_signer(authority, "payer")
    if ix.amount == 0:
        raise SettlementError(ErrorCode.InsufficientDeposit)
    tx.stake_tokens(authority, ix.market_index, ix.amount)


def emit_stake(tx: Transaction, action: str, authority: bytes, market_index: int, facts: StakeFacts) -> None:
    """InsuranceFundStakeRecord of a change of shares."""
    tx.emit(
        "InsuranceFundStakeRecord",
        ts=tx.now,
        user_authority=key_to_text(authority),
        action=action,
        amount=facts.amount,
        market_index=market_index,
        insurance_vault_amount_before=facts.insurance_vault_amount_before,
        if_shares_before=facts.if_shares_before,
        user_if_shares_before=facts.user_if_shares_before,
        total_if_shares_before=facts.total_if_shares_before,
        if_shares_after=facts.if_shares_after,
        user_if_shares_after=facts.user_if_shares_after,
        total_if_shares_after=facts.total_if_shares_after,
    )


def stake_authority(tx: Transaction, text: str) -> bytes:
    """The authority of a stake, which must sign."""
    authority = key_from_text(text)
    tx.require_signer(authority, "authority of the stake")
    return authority


def require_insurance_operation(market: SpotMarket, bit: int, name: str) -> None:
    """``InsuranceFundOperationPaused`` while the market's insurance operation is paused."""
    if market.if_paused_operations & bit != 0:
        raise SettlementError(
            ErrorCode.InsuranceFundOperationPaused,
            f"the insurance operation {name} is paused in spot market {market.market_index}",
            "update_spot_market_if_paused_operations resumes it",
        )


def require_no_request(stake: InsuranceFundStake) -> None:
    """``IFWithdrawRequestInProgress`` while shares are requested.

    A frozen value alone does not stop a new request: deliberate, it is the program's.
    """
    if stake.last_withdraw_request_shares != 0:
        refuse_request_in_progress(stake)


def refuse_request_in_progress(stake: InsuranceFundStake) -> NoReturn:
    """``IFWithdrawRequestInProgress``, with what is requested."""
    raise SettlementError(
        ErrorCode.IFWithdrawRequestInProgress,
        f"a request for {stake.last_withdraw_request_shares} shares, worth {stake.last_withdraw_request_value} "
        f"when it was made at {stake.last_withdraw_request_ts}, is pending",
        "the same after cancel_request_remove_insurance_fund_stake or remove_insurance_fund_stake",
    )


def require_healthy_utilization(tx: Transaction, market: SpotMarket) -> None:
    """``SpotMarketInsufficientDeposits`` while too much of the market's deposits is lent out."""
    if is_healthy_utilization(market):
        return
    utilization = calculate_spot_market_utilization(market)
    most = healthy_utilization(market)
    note = f"utilization {utilization}, its TWAP {market.utilization_twap} (1e6)"
    tx.limit("healthy_utilization", most, max(utilization, market.utilization_twap), note)
    raise SettlementError(
        ErrorCode.SpotMarketInsufficientDeposits,
        f"stakes may leave while utilization and its TWAP are at most {most}; now: {note}",
        "the same once borrows were repaid or deposits made, and the TWAP has followed",
    )


__all__ = ["EXPLAINERS", "HANDLERS", "emit_stake"]

HANDLERS: dict[type[Instruction], Handler] = {
    InitializeInsuranceFundStake: initialize_stake,
    AddInsuranceFundStake: add_stake,
    RequestRemoveInsuranceFundStake: request_remove_stake,
    CancelRequestRemoveInsuranceFundStake: cancel_request_remove_stake,
    RemoveInsuranceFundStake: remove_stake,
    UpdateUserQuoteAssetInsuranceStake: refresh_stake_statistics,
    TransferProtocolIfShares: transfer_protocol_shares,
    InitializeProtocolIfSharesTransferConfig: initialize_transfer_config,
    UpdateProtocolIfSharesTransferConfig: update_transfer_config,
    AdminRemoveInsuranceFundStake: admin_remove_stake,
    DepositIntoInsuranceFund: deposit_into_insurance_fund,
}
