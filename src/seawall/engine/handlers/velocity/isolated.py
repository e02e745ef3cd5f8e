"""Collateral of isolated positions: deposit, transfer, withdraw; and a margin ratio for one position."""

from seawall.engine.explain import Explainer
from seawall.engine.gates import is_paused, require_not_paused
from seawall.engine.handlers.deposits import emit_deposit
from seawall.engine.handlers.velocity.isolated_refusals import explain_isolated
from seawall.engine.interest import emit_interest
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.isolated import (
    DepositIntoIsolatedPerpPosition,
    TransferIsolatedPerpPositionDeposit,
    UpdateUserPerpPositionCustomMarginRatio,
    WithdrawFromIsolatedPerpPosition,
)
from seawall.rules.common.perp_positions import force_get_perp_position_index
from seawall.rules.common.vaults import validate_max_token_deposits, validate_spot_market_vault_amount
from seawall.rules.velocity.isolated_transfers import (
    deposit_into_isolated_perp_position,
    transfer_isolated_perp_position_deposit,
    withdraw_from_isolated_perp_position,
)
from seawall.state.enums import (
    EXCHANGE_DEPOSIT_PAUSED,
    EXCHANGE_FUNDING_PAUSED,
    EXCHANGE_WITHDRAW_PAUSED,
    FEATURE_ISOLATED_POSITIONS,
)
from seawall.state.facts import InterestFacts


def require_isolated_positions(tx: Transaction) -> None:
    """``IsolatedPositionDisabled`` while the venue's feature bit is off. Source: velocity/isolated.md §1."""
    if tx.state.feature_bit_flags & FEATURE_ISOLATED_POSITIONS == 0:
        raise SettlementError(
            ErrorCode.IsolatedPositionDisabled,
            "this venue has isolated positions switched off",
            "the same after the cold admin switches them on: update_feature_bit_flags, IsolatedPositions",
        )


def deposit_into_isolated(tx: Transaction, ix: DepositIntoIsolatedPerpPosition) -> None:
    """Tokens from the signer's wallet into the collateral of an isolated position.

    Errors in order: ``IsolatedPositionDisabled``, ``ExchangePaused``, those of the rule
    ``deposit_into_isolated_perp_position``, ``TokenInsufficientFunds``, ``SpotMarketVaultInvariantViolated``,
    ``MaxDeposit``.
    """
    user = tx.write_user(ix.user)
    tx.require_authority_or_delegate(user)
    require_isolated_positions(tx)
    require_not_paused(tx, EXCHANGE_DEPOSIT_PAUSED)
    market = tx.write_spot_market(ix.spot_market_index)
    tx.perp_market(ix.perp_market_index)
    facts = InterestFacts()
    try:
        deposit_into_isolated_perp_position(
            user, ix.spot_market_index, ix.perp_market_index, ix.amount, tx.spot_markets, tx.perp_markets, tx.oracles,
            tx.state, tx.now, tx.slot, is_paused(tx, EXCHANGE_FUNDING_PAUSED), facts,
        )  # fmt: skip
        emit_interest(tx, facts)
        tx.receive(tx.signer, ix.spot_market_index, ix.amount)
        emit_deposit(tx, user, market, "Deposit", ix.amount, "None")
        validate_spot_market_vault_amount(market, tx.vaults(ix.spot_market_index).spot_vault)
        validate_max_token_deposits(market)
    except SettlementError as error:
        raise explain_isolated(tx, error, ix, user) from None


def transfer_isolated_deposit(tx: Transaction, ix: TransferIsolatedPerpPositionDeposit) -> None:
    """Tokens between cross margin and the collateral of an isolated position; no event tells of it.

    Errors in order: ``IsolatedPositionDisabled``, ``ExchangePaused``, those of the rule
    ``transfer_isolated_perp_position_deposit``, ``SpotMarketVaultInvariantViolated``.
    """
    user = tx.write_user(ix.user)
    tx.require_authority_or_delegate(user)
    require_isolated_positions(tx)
    require_not_paused(tx, EXCHANGE_DEPOSIT_PAUSED)
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    market = tx.write_spot_market(ix.spot_market_index)
    tx.perp_market(ix.perp_market_index)
    facts = InterestFacts()
    try:
        transfer_isolated_perp_position_deposit(
            user, ix.spot_market_index, ix.perp_market_index, ix.amount, tx.spot_markets, tx.perp_markets, tx.oracles,
            tx.state, tx.now, tx.slot, is_paused(tx, EXCHANGE_FUNDING_PAUSED), facts,
        )  # fmt: skip
        emit_interest(tx, facts)
        validate_spot_market_vault_amount(market, tx.vaults(ix.spot_market_index).spot_vault)
    except SettlementError as error:
        raise explain_isolated(tx, error, ix, user) from None


def withdraw_from_isolated(tx: Transaction, ix: WithdrawFromIsolatedPerpPosition) -> None:
    """Tokens out of the collateral of an isolated position into the authority's wallet.

    A market above its deposit cap refuses withdrawals from isolated positions too: deliberate, it is the program's.
    Errors in order: ``IsolatedPositionDisabled``, ``ExchangePaused``, those of the rule
    ``withdraw_from_isolated_perp_position``, ``TokenInsufficientFunds``, ``SpotMarketVaultInvariantViolated``,
    ``MaxDeposit``.
    """
    user = tx.write_user(ix.user)
    tx.require_signer(user.authority, "authority of the account,")
    require_isolated_positions(tx)
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    market = tx.write_spot_market(ix.spot_market_index)
    tx.perp_market(ix.perp_market_index)
    facts = InterestFacts()
    try:
        withdraw_from_isolated_perp_position(
            user, ix.spot_market_index, ix.perp_market_index, ix.amount, tx.spot_markets, tx.perp_markets, tx.oracles,
            tx.state, tx.now, tx.slot, is_paused(tx, EXCHANGE_FUNDING_PAUSED), facts,
        )  # fmt: skip
        emit_interest(tx, facts)
        emit_deposit(tx, user, market, "Withdraw", ix.amount, "None")
        tx.send(user.authority, ix.spot_market_index, ix.amount)
        validate_spot_market_vault_amount(market, tx.vaults(ix.spot_market_index).spot_vault)
        validate_max_token_deposits(market)
    except SettlementError as error:
        raise explain_isolated(tx, error, ix, user) from None


def update_position_margin_ratio(tx: Transaction, ix: UpdateUserPerpPositionCustomMarginRatio) -> None:
    """Set the margin ratio of one position; any value. ``MaxNumberOfPositions`` without a free row."""
    user = tx.write_user(ix.user)
    tx.require_signer(user.authority, "authority of the account,")
    tx.perp_market(ix.perp_market_index)
    row = force_get_perp_position_index(user, ix.perp_market_index)
    user.perp_positions[row].max_margin_ratio = ix.margin_ratio


HANDLERS: dict[type[Instruction], Handler] = {
    DepositIntoIsolatedPerpPosition: deposit_into_isolated,
    TransferIsolatedPerpPositionDeposit: transfer_isolated_deposit,
    WithdrawFromIsolatedPerpPosition: withdraw_from_isolated,
    UpdateUserPerpPositionCustomMarginRatio: update_position_margin_ratio,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
