"""What would have left the vault without the P&L pool: a plain ledger beside a run of the engine.

The engine pays a winner from what losers have paid in. Drift v1 paid a profit on demand, from the vault, whether or not
anybody had paid the loss. This ledger computes what that would have done to the same accounts, with the same fills, at
the same prices. All amounts are integers, quote 1e6. For account *i* at a time:

- *worth* is what the engine books for it: its tokens plus its unsettled P&L at the oracle price;
- *withdrawn* is what it took out of the engine's vault, *drawn* what it took out of the ledger's;
- *own* = worth + withdrawn − drawn is what it is worth here, and its *profit* = worth + withdrawn − brought;
- it asks for profit − drawn, if that is positive, and for no more than leaves it the Initial margin of its position;
- the ledger's vault = the engine's vault + all withdrawn − all drawn; it pays what is asked, one account after the
  other, as long as it holds anything;
- whoever is worth less than nothing owes it, and nobody pays: that is a claim on nobody, as in the engine.

*Missing* is what the vault lacks to pay every claim: the lenders' deposits, and what is left of everybody else's. The
same winners ask at the same times in the engine and here, and everything else (deposits, fees, liquidations) is the
engine's.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Standing(NamedTuple):
    """An account as the engine has it: worth and Initial margin of its position (quote 1e6), signed and not."""

    worth: int
    margin: int


class Hour(NamedTuple):
    """Both sides at a time. ``waiting``: profits that the engine has not settled. ``missing`` of the ledger's vault."""

    unix_timestamp: int
    price: int
    withdrawn: int
    vault: int
    waiting: int
    drawn: int
    ledger_vault: int
    claims: int
    missing: int


class PaidOnDemand:
    """The ledger: ``brought`` is what each trader deposited."""

    def __init__(self, brought: Mapping[str, int]) -> None:
        self.brought = dict(brought)
        self.withdrawn = dict.fromkeys(brought, 0)
        self.drawn = dict.fromkeys(brought, 0)
        self.hours: list[Hour] = []
        self.dry_at: int | None = None
        """When the vault first could not pay what was asked."""

    def own(self, account: str, standing: Standing) -> int:
        """What an account is worth in the ledger."""
        return standing.worth + self.withdrawn[account] - self.drawn[account]

    def strike(
        self, unix_timestamp: int, price: int, vault: int, lent: int, waiting: int, standings: Mapping[str, Standing]
    ) -> Hour:
        """Let every winner draw; the state after it.

        ``vault``: the engine's; ``lent``: the deposits of those who do not trade; ``standings``: of every trader.
        """
        held = vault + sum(self.withdrawn.values()) - sum(self.drawn.values())
        for account, standing in standings.items():
            own = self.own(account, standing)
            asked = min(own - self.brought[account], own - standing.margin)
            if asked <= 0:
                continue
            paid = min(asked, held)
            if paid < asked and self.dry_at is None:
                self.dry_at = unix_timestamp
            self.drawn[account] += paid
            held -= paid
        claims = lent + sum(max(0, self.own(account, standing)) for account, standing in standings.items())
        hour = Hour(
            unix_timestamp, price, sum(self.withdrawn.values()), vault, waiting, sum(self.drawn.values()), held, claims,
            max(0, claims - held),
        )  # fmt: skip
        self.hours.append(hour)
        return hour
