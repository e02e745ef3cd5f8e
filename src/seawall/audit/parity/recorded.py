"""A recorded state: accounts and vaults of the real program, loaded into the engine's tables and compared with them."""

import json
from collections.abc import Iterator
from typing import Any

from seawall.audit.parity.unmodelled import reason
from seawall.engine.store import Store
from seawall.engine.tables import Table
from seawall.errors import SettlementError
from seawall.keys import key_from_text
from seawall.records import Record, flatten, from_json, set_path
from seawall.state.exchange import State, VenueConfig
from seawall.state.insurance import InsuranceFundStake, ProtocolIfSharesTransferConfig
from seawall.state.oracle import Oracle
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket, Vaults
from seawall.state.user import User, UserStats, Wallet

RECORDS: dict[str, type[Record]] = {
    "State": State,
    "SpotMarket": SpotMarket,
    "PerpMarket": PerpMarket,
    "User": User,
    "UserStats": UserStats,
    "InsuranceFundStake": InsuranceFundStake,
    "ProtocolIfSharesTransferConfig": ProtocolIfSharesTransferConfig,
}


class UnreadableError(Exception):
    """A recorded file cannot be read; the message says where and why."""


MALFORMED = (ArithmeticError, AttributeError, LookupError, SettlementError, TypeError, ValueError)
"""What reading data of another shape than a recording's can raise."""


class Recording:
    """The recorded accounts by label, and where each lives in the engine's tables."""

    def __init__(self, header: dict[str, Any]) -> None:
        self.store = Store()
        self.places: dict[str, tuple[Table[Any], int]] = {}
        self.authorities: dict[str, str] = {}
        self.admin = ""
        self.orders: dict[str, list[dict[str, Any]]] = {}
        """The order slots of every recorded user by its name, for ``orders.py`` alone."""
        self.oracle_names: list[str] = []
        self._load_oracles(header)
        for label, account in header["accounts"].items():
            self.add_account(label, account)
        for name, address in {"admin": self.admin, **(header.get("authorities") or {})}.items():
            self.authorities.setdefault(name, address)
        self.expected: dict[str, Record] = {}
        self._load_vaults(header["vaults"])
        _append(
            self.store.config, VenueConfig(name="parity", rulebook="drift", profile="program", wallets_tracked=True)
        )

    # --- loading ----------------------------------------------------------------------------------------------

    def _load_oracles(self, header: dict[str, Any]) -> None:
        """Oracles in the order in which markets first name them; the quote oracle comes first."""
        self._oracle_index = {"1" * 32: 0}
        _append(self.store.oracles, Oracle(name="quote", price=1_000_000, conf=1, twap=1_000_000))
        markets = [(a["type"], a["data"]) for a in header["accounts"].values()]
        addresses = [d["oracle"] for t, d in markets if t == "SpotMarket"]
        addresses += [d["amm"]["oracle"] for t, d in markets if t == "PerpMarket"]
        names = {}
        for entry, account in self._named_markets(header):
            if entry.get("oracle"):
                names[account] = entry["oracle"]
        for address in addresses:
            if address not in self._oracle_index:
                self._oracle_index[address] = len(self.store.oracles.objects)
                name = names.get(address) or self._guess_name(header, address)
                self.oracle_names.append(name)
                _append(self.store.oracles, Oracle(name=name))

    def _named_markets(self, header: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
        for entry in header.get("spot_markets", []):
            yield entry, header["accounts"][f"spot_market.{entry['index']}"]["data"]["oracle"]
        for entry in header.get("perp_markets", []):
            yield entry, header["accounts"][f"perp_market.{entry['index']}"]["data"]["amm"]["oracle"]

    @staticmethod
    def _guess_name(header: dict[str, Any], address: str) -> str:
        for account in header["accounts"].values():
            data = account["data"]
            if account["type"] == "SpotMarket" and data["oracle"] == address:
                return str(data["name"]).strip()
        for account in header["accounts"].values():
            data = account["data"]
            if account["type"] == "PerpMarket" and data["amm"]["oracle"] == address:
                return str(data["name"]).strip().removesuffix("-PERP")
        raise UnreadableError(f"no market uses the oracle {address}")

    def add_account(self, label: str, account: dict[str, Any]) -> None:
        """Load one account under its label."""
        cls = RECORDS.get(account["type"])
        if cls is None:
            raise UnreadableError(f"account {label}: unknown type {account['type']!r}")
        data = dict(account["data"])
        for field in _leaf_paths(data):
            if not _declares(cls, field) and reason(account["type"], field) is None:
                raise UnreadableError(f"account {label}: the field {field} is neither modelled nor listed")
        item = from_json(cls, data)
        table = self._table(item)
        if isinstance(item, SpotMarket):
            item.oracle_index = self._oracle_index[data["oracle"]]
            item.name = item.name.strip()
        elif isinstance(item, PerpMarket):
            item.amm.oracle_index = self._oracle_index[data["amm"]["oracle"]]
            item.name = item.name.strip()
        elif isinstance(item, User):
            item.address = key_from_text(account["pubkey"])
            self.authorities[label.removeprefix("user.").split("#")[0]] = data["authority"]
            self.orders[label.removeprefix("user.")] = [dict(order) for order in data.get("orders", [])]
        elif isinstance(item, State):
            self.admin = data["admin"]
        self.places[label] = (table, _append(table, item))

    def _table(self, item: Record) -> "Table[Any]":
        s = self.store
        if isinstance(item, State):
            return s.state
        if isinstance(item, SpotMarket):
            return s.spot_markets
        if isinstance(item, PerpMarket):
            return s.perp_markets
        if isinstance(item, User):
            return s.users
        if isinstance(item, UserStats):
            return s.user_stats
        if isinstance(item, InsuranceFundStake):
            return s.stakes
        return s.transfer_config

    def _load_vaults(self, vaults: dict[str, str]) -> None:
        for i in range(len(self.store.spot_markets.objects)):
            vault = Vaults(
                spot_vault=int(vaults.get(f"spot_vault.{i}", 0)),
                insurance_fund_vault=int(vaults.get(f"if_vault.{i}", 0)),
            )
            index = _append(self.store.vaults, vault)
            self.places[f"vaults.{i}"] = (self.store.vaults, index)
        for label, amount in vaults.items():
            kind, _, rest = label.partition(".")
            if kind == "wallet":
                name, _, market = rest.rpartition(".")
                self.set_wallet(name, int(market), int(amount))

    def set_wallet(self, name: str, market_index: int, amount: int) -> None:
        """Set the tokens that a named authority holds outside the vaults."""
        label = f"wallet.{name}.{market_index}"
        wallet = Wallet(authority=key_from_text(self.authorities[name]), market_index=market_index, amount=amount)
        if label in self.places:
            table, index = self.places[label]
            table.store(index, wallet.pack(), wallet)
        else:
            self.places[label] = (self.store.wallets, _append(self.store.wallets, wallet))

    # --- reading and overwriting ------------------------------------------------------------------------------

    def record(self, label: str) -> Record:
        """The engine's record behind a label, fresh from its row."""
        table, index = self.places[label]
        return table.read(index)  # type: ignore[no-any-return]

    def apply_fields(self, label: str, item: Record, fields: dict[str, Any]) -> None:
        """Set recorded fields on a record; fields that are not modelled must be listed."""
        name = type(item).__name__
        for path, value in fields.items():
            if not set_path(item, path, value) and reason(name, path) is None:
                raise UnreadableError(f"{label}: the field {path} is neither modelled nor listed")

    def overwrite(self, label: str, fields: dict[str, Any]) -> None:
        """Set recorded fields of an account in the engine's tables."""
        table, index = self.places[label]
        item = table.read(index)
        self.apply_fields(label, item, fields)
        table.store(index, item.pack(), item)

    def overwrite_vaults(self, vaults: dict[str, str]) -> list[str]:
        """Set recorded token balances; the labels of the places written."""
        written = []
        for label, amount in vaults.items():
            place, field = vault_place(label)
            written.append(place)
            table, index = self.places[place]
            item = table.read(index)
            setattr(item, field, int(amount))
            table.store(index, item.pack(), item)
        return written

    def user_ref(self, name: str) -> str:
        """The reference of a recorded user, ``NAME`` or ``NAME#K``."""
        base, _, number = name.partition("#")
        return f"{self.authorities[base]}/{number or 0}"

    def authority(self, name: str) -> str:
        """The authority of a recorded user."""
        return self.authorities[name.partition("#")[0]]


def vault_place(label: str) -> tuple[str, str]:
    """Where a recorded token balance lives: the label of its record, and the field."""
    kind, _, rest = label.partition(".")
    if kind == "spot_vault":
        return f"vaults.{rest}", "spot_vault"
    if kind == "if_vault":
        return f"vaults.{rest}", "insurance_fund_vault"
    return label, "amount"


def _append(table: "Table[Any]", item: Record) -> int:
    index = table.count
    table.store(index, item.pack(), item)
    return index


def _leaf_paths(data: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _leaf_paths(value, f"{prefix}.{name}" if prefix else name)
    elif isinstance(data, list) and data and isinstance(data[0], dict):
        for i, value in enumerate(data):
            yield from _leaf_paths(value, f"{prefix}.{i}")
    else:
        yield prefix


_DECLARED: dict[type[Record], set[str]] = {}


def _declares(cls: type[Record], path: str) -> bool:
    declared = _DECLARED.get(cls)
    if declared is None:
        declared = _DECLARED[cls] = {p for p, _ in flatten(cls())}
    return path in declared


def first_difference(found: Record, expected: Record) -> str | None:
    """The first field in which two records differ, with both values."""
    for (path, got), (_, wanted) in zip(flatten(found), flatten(expected), strict=True):
        if got != wanted:
            return f"{path}: {_shown(got)} instead of {_shown(wanted)}"
    return None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
