"""The conservation check that tests run after every instruction."""

from collections import Counter

from seawall.audit.conservation import History, check_state
from seawall.engine.machine import Machine
from seawall.engine.receipts import Receipt


class Watch:
    """Adds up every receipt of a machine from genesis on, and looks at the whole state after each."""

    def __init__(self) -> None:
        self.history = History()
        self.overwritten = False
        """Whether the test put a record in place by hand: then only what each receipt moves can be checked."""

    def after(self, receipt: Receipt, machine: Machine) -> None:
        """Every vault covers its claims but for named roundings, every total has its parts, the receipt's transfers
        balance, and all dust is rounding or one of the program's named leaks."""
        if self.overwritten:
            moved: Counter[int] = Counter()
            for leg in receipt.transfers:
                moved[leg.market_index] += leg.amount
            for change in receipt.vaults:
                moved[change.market_index] -= change.amount if change.vault == "spot_vault" else 0
            assert not any(moved.values())
            return
        self.history.add(receipt, machine.store)
        findings = self.history.check(machine.store)
        assert findings == [], findings
        findings = check_state(machine.store, self.history).findings
        assert findings == [], findings
