"""The conservation check that tests run after every instruction."""

from seawall.audit.conservation import History, check_state
from seawall.engine.machine import Machine
from seawall.engine.receipts import Receipt


class Watch:
    """Adds up every receipt of a machine from genesis on, and looks at the whole state after each."""

    def __init__(self) -> None:
        self.history = History()

    def after(self, receipt: Receipt, machine: Machine) -> None:
        """Every vault covers its claims but for named roundings, every total has its parts, the receipt's transfers
        balance, and all dust is rounding or one of the program's named leaks."""
        self.history.add(receipt, machine.store)
        assert self.history.check(machine.store) == []
        assert check_state(machine.store, self.history).findings == []
