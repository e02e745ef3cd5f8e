"""Who was paid from what: receipts added up by instruction and by kind of claim."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from seawall.engine.machine import Request
from seawall.engine.receipts import Receipt
from seawall.engine.venue import Venue
from seawall.lab.losses import Losses

COLUMNS = (
    "users", "pnl_pool", "fee_pool", "revenue_pool", "spot_fee_pool", "other_depositors", "other_borrowers", "dust",
)  # fmt: skip
"""Kinds of claims on a collateral vault. ``other_*``: users moved through the interest index alone."""


def kind_of(account: str) -> str:
    """The column of a transfer's account."""
    if account.startswith("user."):
        return "users"
    return account.rpartition(".")[2]


class Flows:
    """Running totals over receipts."""

    def __init__(self) -> None:
        self.carried_out: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], Receipt] = {}
        self.moved: dict[int, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        """Spot market → instruction → kind of claim → tokens; the vaults themselves under ``spot_vault``, …"""
        self.paid_out: dict[str, int] = Counter()
        self.paid_in: dict[str, int] = Counter()
        self.losses = Losses()

    def apply(self, venue: Venue, batches: Iterable[list[Request]]) -> int:
        """Apply batches, each before the next is asked for, and add their receipts; how many instructions it were."""
        count = 0
        for batch in batches:
            if batch:
                receipts = venue.apply_many(batch)
                self.add(receipts)
                count += len(receipts)
        return count

    def add(self, receipts: Sequence[Receipt]) -> None:
        """Add receipts to the totals."""
        self.losses.add(receipts)
        for receipt in receipts:
            if receipt.refusal is not None:
                at = (receipt.ix, receipt.refusal.error)
                self.refused[at] += 1
                self.examples[at] = receipt
                continue
            self.carried_out[receipt.ix] += 1
            for transfer in receipt.transfers:
                self.moved[transfer.market_index][receipt.ix][kind_of(transfer.account)] += transfer.amount
            for change in receipt.vaults:
                self.moved[change.market_index][receipt.ix][change.vault] += change.amount
            self._add_pnl(receipt)

    def _add_pnl(self, receipt: Receipt) -> None:
        for name, fields in receipt.events:
            if name == "SettlePnlRecord":
                pnl = int(fields["pnl"])
                if pnl > 0:
                    self.paid_out["winners"] += pnl
                    self.paid_out["settlements"] += 1
                elif pnl < 0:
                    self.paid_in["losers"] -= pnl
                    self.paid_in["settlements"] += 1

    def total(self, market_index: int, kind: str) -> int:
        """Tokens of a kind of claim over all instructions."""
        return sum(row[kind] for row in self.moved[market_index].values())
