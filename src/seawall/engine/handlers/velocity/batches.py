"""Settlements of many accounts under Velocity.

A settlement also pays builders and referrers, whose accounts lie anywhere: the exact lane does them, account by
account. Funding is settled by Drift's loop, whose rules both rulebooks share.
"""

from functools import partial

from seawall.engine.explain import Explainer
from seawall.engine.handlers.batches import open_expired_batch, open_pnl_batch
from seawall.engine.handlers.velocity.pnl import settle_account
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction
from seawall.instructions.batches import SettleExpiredBatch, SettlePnlBatch


def settle_pnl_batch(tx: Transaction, ix: SettlePnlBatch) -> None:
    """Settle many users' P&L in a market, each as ``settle_pnl`` does.

    Errors: ``ExchangePaused``, ``InvalidInstruction``, ``PerpMarketNotFound``, ``InvalidMarketStatusToSettlePnl`` (in
    Settlement). What is refused of single accounts is in the results.
    """
    accounts = open_pnl_batch(tx, ix)
    accounts.settle_each(partial(_settle, tx, ix.market_index))
    accounts.tell("SettlePnlBatchRecord", market_index=ix.market_index)


def settle_expired_batch(tx: Transaction, ix: SettleExpiredBatch) -> None:
    """Close many users' positions in a market in Settlement.

    Errors: ``ExchangePaused``, ``InvalidInstruction``, ``PerpMarketNotFound``, ``PerpMarketNotInSettlement``.
    """
    accounts = open_expired_batch(tx, ix)
    accounts.settle_each(partial(_settle, tx, ix.market_index))
    accounts.tell("SettleExpiredBatchRecord", market_index=ix.market_index)


def _settle(tx: Transaction, market_index: int, user: str) -> tuple[bool, int]:
    facts = settle_account(tx, user, market_index)
    return facts.settled, facts.pnl


HANDLERS: dict[type[Instruction], Handler] = {
    SettlePnlBatch: settle_pnl_batch,
    SettleExpiredBatch: settle_expired_batch,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
