"""The protocol's withdrawals of its own pools."""

from seawall.engine.explain import Explainer, Explanation
from seawall.engine.interest import accrue
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.protocol_fees import WithdrawProtocolFeesPerp, WithdrawProtocolFeesSpot
from seawall.keys import DEFAULT_KEY, key_from_text, key_to_text
from seawall.rules.velocity.protocol_fees import withdraw_protocol_fees
from seawall.state.spot_market import PoolBalance


def withdraw_spot(tx: Transaction, ix: WithdrawProtocolFeesSpot) -> None:
    """Pay the spot recipient out of a spot market's pool.

    ``Unauthorized``, ``InvalidProtocolFeeRecipient``, ``InsufficientProtocolFees``, ``SpotMarketInsufficientDeposits``,
    ``SpotMarketVaultInvariantViolated``.
    """
    tx.require_admin()
    recipient = _recipient(ix.recipient, tx.state.protocol_fee_recipient_spot, "spot")
    pool = tx.write_spot_market(ix.market_index).protocol_fee_pool
    _withdraw(tx, ix.market_index, pool, ix.amount, recipient, perp_market_index=None)


def withdraw_perp(tx: Transaction, ix: WithdrawProtocolFeesPerp) -> None:
    """Pay the perp recipient out of a perp market's pool; ``DefaultError`` where the pool is not in its quote market.

    Errors otherwise as for spot.
    """
    tx.require_admin()
    recipient = _recipient(ix.recipient, tx.state.protocol_fee_recipient_perp, "perp")
    market = tx.write_perp_market(ix.market_index)
    if market.protocol_fee_pool.market_index != market.quote_spot_market_index:
        raise SettlementError(ErrorCode.DefaultError)
    pool = market.protocol_fee_pool
    _withdraw(tx, market.quote_spot_market_index, pool, ix.amount, recipient, perp_market_index=ix.market_index)


def _recipient(asked: str | None, configured: bytes, kind: str) -> bytes:
    """The configured recipient; ``InvalidProtocolFeeRecipient`` where there is none, or another was asked for."""
    if configured == DEFAULT_KEY:
        raise SettlementError(
            ErrorCode.InvalidProtocolFeeRecipient,
            f"no recipient of {kind} protocol fees is set",
            "the same after update_protocol_fee_recipient by the cold admin",
        )
    if asked is not None and key_from_text(asked) != configured:
        raise SettlementError(
            ErrorCode.InvalidProtocolFeeRecipient,
            f"{kind} protocol fees go to {key_to_text(configured)}, not to {asked}",
            f"recipient {key_to_text(configured)}",
        )
    return configured


def _withdraw(
    tx: Transaction, spot_index: int, pool: PoolBalance, amount: int, recipient: bytes, perp_market_index: int | None
) -> None:
    market = tx.write_spot_market(spot_index)
    accrue(tx, spot_index, with_oracle=False)
    withdrawn = withdraw_protocol_fees(amount, market, pool, tx.vaults(spot_index).spot_vault)
    if withdrawn < amount:
        tx.limit("protocol_fee_pool", withdrawn, amount, "a withdrawal is cut to what the pool holds")
    tx.send(recipient, spot_index, withdrawn)
    tx.emit(
        "ProtocolFeeWithdrawRecord",
        ts=tx.now,
        market_index=spot_index if perp_market_index is None else perp_market_index,
        is_perp=perp_market_index is not None,
        spot_market_index=spot_index,
        amount=withdrawn,
        recipient_token_account=key_to_text(recipient),
    )


def _explain_empty_pool(tx: Transaction, ix: WithdrawProtocolFeesPerp | WithdrawProtocolFeesSpot) -> Explanation:
    if ix.amount == 0:
        return "the amount is 0", "an amount of at least 1", []
    if isinstance(ix, WithdrawProtocolFeesPerp):
        pending = tx.perp_market(ix.market_index).fee_ledger.pending_protocol_fee
        return (
            f"the protocol fee pool of perp market {ix.market_index} is empty; {pending} are pending in its P&L pool",
            "the same after sweep_perp_market_fees moved something",
            [],
        )
    return f"the protocol fee pool of spot market {ix.market_index} is empty", "the same once interest came in", []


HANDLERS: dict[type[Instruction], Handler] = {
    WithdrawProtocolFeesPerp: withdraw_perp,
    WithdrawProtocolFeesSpot: withdraw_spot,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {ErrorCode.InsufficientProtocolFees: _explain_empty_pool}
