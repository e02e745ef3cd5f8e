"""What a run lost and who paid: liquidations and waterfalls of receipts added up."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from seawall.engine.receipts import Receipt, Waterfall


class Liquidated:
    """Liquidations of one kind in one market: how many, of how many accounts, what was taken over, and the fees.

    ``taken`` is base (1e9) of a perp position, else tokens of the liability or quote; ``quote`` (1e6) is a position's
    value; the fees are quote for a position, tokens of the liability for a borrow.
    """

    def __init__(self) -> None:
        self.count = 0
        self.accounts: set[str] = set()
        self.taken = 0
        self.quote = 0
        self.liquidator_fee = 0
        self.if_fee = 0


class Resolved:
    """Losses of one kind in one token.

    ``loss`` = ``insurance`` + ``fee_pool`` + ``other`` sources + ``socialised`` + ``uncovered``.
    """

    def __init__(self) -> None:
        self.count = 0
        self.loss = 0
        self.insurance = 0
        self.fee_pool = 0
        self.other = 0
        self.socialised = 0
        self.uncovered = 0

    def add(self, waterfall: Waterfall) -> None:
        """Add one loss."""
        self.count += 1
        self.loss += waterfall.loss
        self.socialised += waterfall.socialised
        self.uncovered += waterfall.uncovered
        for source in waterfall.sources:
            if source.name == "insurance_fund":
                self.insurance += source.paid
            elif source.name.endswith(".fee_pool"):
                self.fee_pool += source.paid
            else:
                self.other += source.paid


_MARKET = {
    "liquidate_perp": "market_index",
    "liquidate_spot": "liability_market_index",
    "liquidate_borrow_for_perp_pnl": "liability_market_index",
    "liquidate_perp_pnl_for_deposit": "perp_market_index",
}
"""Of each liquidation, the field that names the market of what was taken over."""


class Losses:
    """Running totals over receipts."""

    def __init__(self) -> None:
        self.liquidated: dict[tuple[str, int], Liquidated] = defaultdict(Liquidated)
        """(instruction, market of what was taken over) → totals."""
        self.resolved: dict[tuple[str, int], Resolved] = defaultdict(Resolved)
        """(kind of the loss, spot market) → totals."""

    def add(self, receipts: Iterable[Receipt]) -> None:
        """Add receipts to the totals."""
        for receipt in receipts:
            if receipt.waterfall is not None:
                self.resolved[receipt.waterfall.kind, receipt.waterfall.market_index].add(receipt.waterfall)
            if receipt.ix in _MARKET:
                for name, fields in receipt.events:
                    if name == "LiquidationRecord":
                        self._add_liquidation(receipt.ix, fields)

    def _add_liquidation(self, ix: str, fields: dict[str, Any]) -> None:
        part = fields[ix]
        taken = part["base_asset_amount"] if ix == "liquidate_perp" else _transfer(part)
        if taken == 0:
            return
        totals = self.liquidated[ix, part[_MARKET[ix]]]
        totals.count += 1
        totals.accounts.add(fields["user"])
        totals.taken += abs(taken)
        totals.quote += abs(part.get("quote_asset_amount", 0))
        totals.liquidator_fee += part.get("liquidator_fee", 0)
        totals.if_fee += part.get("if_fee", 0)

    @property
    def insurance_paid(self) -> dict[int, int]:
        """Tokens that insurance funds paid, by spot market."""
        paid: dict[int, int] = defaultdict(int)
        for (_, market_index), resolved in self.resolved.items():
            paid[market_index] += resolved.insurance
        return dict(paid)


def _transfer(part: dict[str, Any]) -> int:
    """What a liquidation of a borrow or a loss took over."""
    return int(part["liability_transfer"] if "liability_transfer" in part else part["pnl_transfer"])
