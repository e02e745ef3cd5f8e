"""All tables of a venue: its whole state."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from seawall.engine.tables import HeldTable, Table
from seawall.state.exchange import State, VenueConfig
from seawall.state.insurance import InsuranceFundStake, ProtocolIfSharesTransferConfig
from seawall.state.oracle import Oracle
from seawall.state.perp_market import AssociatedSpot, PerpMarket
from seawall.state.revenue_share import ApprovedBuilder, RevenueShareEscrow
from seawall.state.spot_market import SpotMarket, Vaults
from seawall.state.user import User, UserStats, Wallet


class Store:
    """The tables, by name and by number."""

    def __init__(self) -> None:
        self.strict = False
        self.config = HeldTable(0, "config", VenueConfig)
        self.state = HeldTable(1, "state", State)
        self.oracles = HeldTable(2, "oracles", Oracle)
        self.spot_markets = HeldTable(3, "spot_markets", SpotMarket)
        self.vaults = HeldTable(4, "vaults", Vaults)
        self.perp_markets = HeldTable(5, "perp_markets", PerpMarket)
        self.transfer_config = HeldTable(6, "transfer_config", ProtocolIfSharesTransferConfig)
        self.users = Table(7, "users", User, ("authority", "sub_account_id"))
        self.user_stats = Table(8, "user_stats", UserStats, ("authority",))
        self.stakes = Table(9, "stakes", InsuranceFundStake, ("authority", "market_index"))
        self.wallets = Table(10, "wallets", Wallet, ("authority", "market_index"))
        self.associated_spots = HeldTable(11, "associated_spots", AssociatedSpot)
        self.revenue_share_escrows = Table(12, "revenue_share_escrows", RevenueShareEscrow, ("authority",))
        self.approved_builders = Table(13, "approved_builders", ApprovedBuilder, ("authority", "builder"))

    @property
    def tables(self) -> tuple[Table, ...]:  # type: ignore[type-arg]
        """Every table in the order of its number."""
        return (
            self.config, self.state, self.oracles, self.spot_markets, self.vaults, self.perp_markets,
            self.transfer_config, self.users, self.user_stats, self.stakes, self.wallets,
            self.associated_spots, self.revenue_share_escrows, self.approved_builders,
        )  # fmt: skip

    def root(self) -> str:
        """The state root: one hash over every row of every table. It depends on the state alone, not on its history."""
        h = sha256()
        for table in self.tables:
            h.update(table.digest())
        return h.hexdigest()

    def load(self, rows: Mapping[str, tuple[int, Any]]) -> None:
        """Replace the content of every table by its rows: the count, and the bytes (kept if they are writable)."""
        for table in self.tables:
            count, data = rows[table.name]
            table.load(data, count)
