"""Settlements of many accounts: the loops of the bulk lane over copies of the rows, compiled or in the exact lane.

Both lanes leave the same bytes, so which one runs is not part of the history. Nothing is written before the commit.
Program events, and the limits that cut single claims, are not listed: the receipt has the totals, the results each
account.
"""

from collections.abc import Callable, Iterator
from functools import partial
from struct import Struct
from typing import Any, Final

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.bulk import available, batch, kernels
from seawall.bulk.cache import is_kept
from seawall.engine.explain import Explainer
from seawall.engine.gates import require_not_paused
from seawall.engine.results import Results, encode_results, fingerprint
from seawall.engine.rulebook import Handler
from seawall.engine.store import Store
from seawall.engine.tables import Table
from seawall.engine.transaction import Transaction, price_data
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction, user_key
from seawall.instructions.batches import MAX_ACCOUNTS, SettleExpiredBatch, SettleFundingBatch, SettlePnlBatch
from seawall.keys import DEFAULT_KEY, key_to_text
from seawall.state.enums import (
    EXCHANGE_AMM_PAUSED,
    EXCHANGE_FUNDING_PAUSED,
    EXCHANGE_SETTLE_PNL_PAUSED,
    MUST_SETTLE,
    STATUS_SETTLEMENT,
    MarketStatus,
)
from seawall.state.user import User

Batch = SettlePnlBatch | SettleExpiredBatch | SettleFundingBatch

SEGMENT: Final = 4_096
"""Accounts that the exact lane holds as objects at a time."""

WORTH_COMPILING: Final = 128
"""Accounts from which on loading compiled code pays."""

_outcomes: Final = Struct("<Q?q?").iter_unpack
_NAMES: Final = {int(code): code.name for code in ErrorCode}
_AUTHORITY, _NUMBER, _DELEGATE = (
    slice(f.offset, f.offset + f.size)
    for name in ("authority", "sub_account_id", "delegate")
    for f in User.LAYOUT.fields
    if f.name == name
)


def settle_pnl_batch(tx: Transaction, ix: SettlePnlBatch) -> None:
    """Settle many users' P&L in a market, the AMM refreshed for each as ``settle_pnl`` does.

    Errors: ``ExchangePaused``, ``InvalidInstruction``, ``PerpMarketNotFound``, ``InvalidMarketStatusToSettlePnl`` (in
    Settlement). What is refused of single accounts is in the results.
    """
    accounts = open_pnl_batch(tx, ix)
    accounts.settle(kernels.settle_pnl, market_index=ix.market_index, mode=MUST_SETTLE, **_quote_numbers(tx))
    accounts.tell("SettlePnlBatchRecord", market_index=ix.market_index)


def open_pnl_batch(tx: Transaction, ix: SettlePnlBatch) -> "Accounts":
    """The accounts of a batch, once what concerns all of them is checked."""
    require_not_paused(tx, EXCHANGE_SETTLE_PNL_PAUSED)
    accounts = Accounts(tx, ix)
    if tx.perp_market(ix.market_index).status == STATUS_SETTLEMENT:
        raise SettlementError(
            ErrorCode.InvalidMarketStatusToSettlePnl,
            f"perp market {ix.market_index} is in Settlement: its positions are closed at the expiry price",
            "settle_expired_batch of the same accounts",
        )
    return accounts


def settle_expired_batch(tx: Transaction, ix: SettleExpiredBatch) -> None:
    """Close many users' positions in a market in Settlement.

    Errors: ``ExchangePaused``, ``InvalidInstruction``, ``PerpMarketNotFound``, ``PerpMarketNotInSettlement``.
    """
    accounts = open_expired_batch(tx, ix)
    accounts.settle(kernels.settle_expired_positions, market_index=ix.market_index, **_quote_numbers(tx))
    accounts.tell("SettleExpiredBatchRecord", market_index=ix.market_index)


def open_expired_batch(tx: Transaction, ix: SettleExpiredBatch) -> "Accounts":
    """The accounts of a batch, once what concerns all of them is checked."""
    require_not_paused(tx, EXCHANGE_SETTLE_PNL_PAUSED)
    accounts = Accounts(tx, ix)
    status = tx.perp_market(ix.market_index).status
    if status != STATUS_SETTLEMENT:
        raise SettlementError(
            ErrorCode.PerpMarketNotInSettlement,
            f"perp market {ix.market_index} is {MarketStatus(status).name}, not in Settlement",
            "settle_pnl_batch of the same accounts",
        )
    require_not_paused(tx, EXCHANGE_AMM_PAUSED)
    return accounts


def settle_funding_batch(tx: Transaction, ix: SettleFundingBatch) -> None:
    """Settle the funding of all positions of many users. Errors: ``ExchangePaused``, ``InvalidInstruction``."""
    require_not_paused(tx, EXCHANGE_FUNDING_PAUSED)
    accounts = Accounts(tx, ix)
    accounts.settle(kernels.settle_funding, slot=tx.slot)
    accounts.tell("SettleFundingBatchRecord")


def _quote_numbers(tx: Transaction) -> dict[str, int]:
    return {"quote_vault": tx.vaults(QUOTE_SPOT_MARKET_INDEX).spot_vault, "now": tx.now, "slot": tx.slot}


class Accounts:
    """The accounts of a batch in the order in which they are settled, and what becomes of them."""

    def __init__(self, tx: Transaction, ix: Batch) -> None:
        """``InvalidInstruction`` for no account, too many, or one twice."""
        self.tx = tx
        self.keys: list[bytes] = []
        """Of accounts given by name: how they are found."""
        self.rows: list[int | None] = []
        """Where each account lies; None for one that does not exist."""
        if ix.users is None:
            held = tx.store.users.count
            if ix.first >= held:
                raise _invalid(f"there are {held} accounts: none lies at row {ix.first}", "a row that exists")
            count = held - ix.first if ix.count is None else ix.count
            _require_bounded(count)
            self.rows = list(range(ix.first, min(held, ix.first + count)))
        else:
            if ix.first or ix.count is not None:
                raise _invalid("accounts are given by row or by name, not both", "one of the two")
            _require_bounded(len(ix.users))
            self.keys = [user_key(ref) for ref in ix.users]
            if len(set(self.keys)) < len(self.keys):
                raise _invalid("an account is listed twice", "each account once")
            self.rows = [tx.store.users.index.get(key) for key in self.keys]
        self.users: list[bytes] = []
        """The rows of the accounts that exist, as they were."""
        self.outcomes: Iterator[tuple[int, bool, int, bool]] = iter(())
        """Of the accounts that exist: the error's code plus one (0: none), whether it settled, the amount."""

    def settle(self, loop: batch.Loop, **numbers: int) -> None:
        """Run a loop over copies of the accounts and of everything they share; what it changed is to be committed."""
        tx, store = self.tx, self.tx.store
        present = [row for row in self.rows if row is not None]
        self.users = [store.users.row(row) for row in present]
        segments = [bytearray().join(self.users[i : i + SEGMENT]) for i in range(0, len(present), SEGMENT)]
        tables = copied_tables(store, segments, tx.slot)
        compiled = _is_compiled(tx, loop, len(present))
        owned = [i for i, row in enumerate(self.users) if is_owner(row, tx.signer)]
        result = batch.run(loop, tables, compiled=compiled, owned=owned, after=None, **numbers)
        self.outcomes = _outcomes(b"".join(result.outcomes))
        size = store.users.row_size
        after = (bytes(rows[at : at + size]) for rows in tables.users for at in range(0, len(rows), size))
        for row, data in zip(present, after, strict=True):
            tx.replace_row(store.users, row, data)
        for table, rows in ((store.spot_markets, tables.spot_markets), (store.perp_markets, tables.perp_markets)):
            for index in range(table.count):
                tx.replace_row(table, index, bytes(rows[index * table.row_size : (index + 1) * table.row_size]))

    def settle_each(self, one: Callable[[str], tuple[bool, int]]) -> None:
        """Settle every account by ``one``, which takes its name and tells whether it settled, and the amount.

        For settlements that touch more than a loop can save: the exact lane alone, each account an attempt. Events and
        limits of single accounts are not listed.
        """
        tx = self.tx
        present = [row for row in self.rows if row is not None]
        self.users = [tx.store.users.row(row) for row in present]
        events, limits = len(tx.events), len(tx.limits)
        outcomes: list[tuple[int, bool, int, bool]] = []
        for user in self.users:
            name = f"{key_to_text(user[_AUTHORITY])}/{int.from_bytes(user[_NUMBER], 'little')}"
            try:
                settled, amount = tx.attempt(partial(one, name))
            except SettlementError as error:
                outcomes.append((int(error.code) + 1, False, 0, False))
            else:
                outcomes.append((0, settled, amount, False))
            del tx.events[events:], tx.limits[limits:]
        self.outcomes = iter(outcomes)

    def tell(self, event: str, **fields: Any) -> None:
        """The results to the journal, and their totals to the receipt."""
        results = self._results()
        data = encode_results(results)
        self.tx.results = data
        self.tx.emit(
            event,
            ts=self.tx.now,
            **fields,
            accounts=len(results.row),
            settled=sum(results.settled),
            amount=sum(amount for amount in results.amount if amount is not None),
            refused=results.refused(),
            results_sha256=fingerprint(data),
        )

    def _results(self) -> Results:
        results = Results(self.rows, [], [], [], [])
        users, outcomes = iter(self.users), self.outcomes
        missing = (int(ErrorCode.UserNotFound) + 1, False, 0, False)
        for i, row in enumerate(self.rows):
            user = self.keys[i] if row is None else next(users)
            number = user[32:34] if row is None else user[_NUMBER]
            error, settled, amount, _ = missing if row is None else next(outcomes)
            results.user.append(f"{key_to_text(user[_AUTHORITY])}/{int.from_bytes(number, 'little')}")
            results.settled.append(settled)
            results.amount.append(None if error else amount)
            results.error.append(_NAMES[error - 1] if error else None)
        return results


def copied_tables(store: Store, users: list[bytearray], slot: int) -> batch.Tables:
    """What loops work on: the given user rows, and copies of everything that an instruction at ``slot`` sees."""
    return batch.Tables(
        users=users,
        spot_markets=_all_rows(store.spot_markets),
        perp_markets=_all_rows(store.perp_markets),
        oracles=bytearray().join(price_data(o, i, slot).pack() for i, o in enumerate(store.oracles.objects)),
        state=_all_rows(store.state),
    )


def is_owner(user: bytes, signer: bytes) -> bool:
    """Whether the signer is authority or delegate of a user row; the all-zero key is nobody's delegate."""
    return user[_AUTHORITY] == signer or (user[_DELEGATE] == signer and signer != DEFAULT_KEY)


def _all_rows(table: "Table[Any]") -> bytearray:
    return bytearray().join(table.segments())


def _is_compiled(tx: Transaction, loop: batch.Loop, accounts: int) -> bool:
    """Whether the loop runs compiled: on demand, or where that is quicker and nobody has to wait for the compiler."""
    if tx.lane == "auto":
        return accounts >= WORTH_COMPILING and available() and is_kept(loop)
    return tx.lane == "bulk"


def _require_bounded(accounts: int) -> None:
    if not 0 < accounts <= MAX_ACCOUNTS:
        raise _invalid(f"a batch is of 1 to {MAX_ACCOUNTS} accounts, not {accounts}", "several smaller batches")


def _invalid(message: str, would_pass: str) -> SettlementError:
    return SettlementError(ErrorCode.InvalidInstruction, message, would_pass)


HANDLERS: dict[type[Instruction], Handler] = {
    SettlePnlBatch: settle_pnl_batch,
    SettleExpiredBatch: settle_expired_batch,
    SettleFundingBatch: settle_funding_batch,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
