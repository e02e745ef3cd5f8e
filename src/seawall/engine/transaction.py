"""One instruction's view of the state: reads see the records, writes see working copies, nothing else is touched.

``commit`` packs every working copy (the range check) and hands back what changed; dropping the transaction forgets
it. Sequences passed to rules (``tx.spot_markets``, ``tx.perp_markets``, ``tx.oracles``) hold the working copy where
there is one, so that a rule reaches each record by one way only.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.permissions import holds, keys_of, role_of
from seawall.engine.receipts import Clock, Limit, Waterfall
from seawall.engine.store import Store
from seawall.engine.tables import HeldTable, Table
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import user_key
from seawall.keys import DEFAULT_KEY, key_from_text, key_to_text
from seawall.records import Record, freeze
from seawall.state.enums import USER_CLOSED
from seawall.state.exchange import State, VenueConfig
from seawall.state.insurance import InsuranceFundStake, ProtocolIfSharesTransferConfig
from seawall.state.oracle import Oracle, OraclePriceData
from seawall.state.perp_market import AssociatedSpot, PerpMarket
from seawall.state.revenue_share import ApprovedBuilder, RevenueShareEscrow
from seawall.state.spot_market import SpotMarket, Vaults
from seawall.state.user import User, UserStats, Wallet

R = TypeVar("R", bound=Record)
T = TypeVar("T")

Lane = Literal["auto", "exact", "bulk"]
"""How batches are carried out: in the exact lane, compiled, or whichever is quicker here. The outcome is the same."""

QUOTE_ORACLE_INDEX = 0
"""The oracle of the quote token: always 1 with confidence 1 and no delay."""


class Change:
    """One row that an instruction wrote: where, its bytes before (None if new) and after, and the object after.

    No object: a row of a table that holds none was given as bytes. No bytes either: the row, its table's last, was
    removed.
    """

    __slots__ = ("after", "before", "data", "index", "table")

    def __init__(self, table: "Table[Any]", index: int, before: bytes | None, data: bytes, after: Any) -> None:
        self.table = table
        self.index = index
        self.before = before
        self.data = data
        self.after = after


class Transaction:
    """The working set of one instruction."""

    def __init__(self, store: Store, clock: Clock, signer: bytes, lane: Lane = "auto", instruction: str = "") -> None:
        self.store = store
        self.instruction = instruction
        """Name of the instruction that is carried out; empty where a query only looks."""
        self.clock = clock
        self.now = clock.unix_timestamp
        self.slot = clock.slot
        self.signer = signer
        self.lane = lane
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.limits: list[Limit] = []
        self.waterfall: Waterfall | None = None
        self.results: bytes | None = None
        """What became of each account of a batch, for the journal."""
        self.spot_markets: list[SpotMarket] = list(store.spot_markets.objects)
        self.perp_markets: list[PerpMarket] = list(store.perp_markets.objects)
        self._written: dict[tuple[int, int], tuple[Table[Any], Record]] = {}
        self._read: dict[tuple[int, int], Record] = {}
        self._appended: dict[int, int] = {}
        self._new_keys: dict[tuple[int, bytes], int] = {}
        self._removed: list[Table[Any]] = []
        self._replaced: list[tuple[Table[Any], int, bytes]] = []
        self._oracles: list[OraclePriceData] | None = None
        self._before: dict[tuple[int, int], Record | None] | None = None
        """In an ``attempt``: each record written in it as it was before, None for one that was not written then."""

    # --- reading and writing rows -----------------------------------------------------------------------------

    def _held(self, table: "HeldTable[R]", index: int) -> R:
        written = self._written.get((table.number, index))
        if written is not None:
            return written[1]  # type: ignore[return-value]
        return table.objects[index]

    def _write_held(self, table: "HeldTable[R]", index: int) -> R:
        self._keep((table.number, index))
        written = self._written.get((table.number, index))
        if written is not None:
            return written[1]  # type: ignore[return-value]
        after = table.objects[index].copy()
        self._written[table.number, index] = (table, after)
        return after

    def _read_row(self, table: "Table[R]", index: int) -> R:
        at = (table.number, index)
        written = self._written.get(at)
        if written is not None:
            return written[1]  # type: ignore[return-value]
        known = self._read.get(at)
        if known is None:
            known = self._read[at] = freeze(table.read(index)) if self.store.strict else table.read(index)
        return known  # type: ignore[return-value]

    def _write_row(self, table: "Table[R]", index: int) -> R:
        at = (table.number, index)
        self._keep(at)
        written = self._written.get(at)
        if written is not None:
            return written[1]  # type: ignore[return-value]
        self._read.pop(at, None)
        after = table.read(index)
        self._written[at] = (table, after)
        return after

    def _append(self, table: "Table[R]", item: R, key: bytes | None = None) -> int:
        index = table.count + self._appended.get(table.number, 0)
        self._appended[table.number] = self._appended.get(table.number, 0) + 1
        self._keep((table.number, index))
        self._written[table.number, index] = (table, item)
        if key is not None:
            self._new_keys[table.number, key] = index
        return index

    def replace_row(self, table: "Table[Any]", index: int, data: bytes) -> None:
        """Write a row of an existing record as bytes, packed by whoever computed it. It is not read in between."""
        self._replaced.append((table, index, data))

    def _find(self, table: "Table[Any]", key: bytes) -> int | None:
        index = table.index.get(key)
        return index if index is not None else self._new_keys.get((table.number, key))

    # --- the exchange, markets, vaults ------------------------------------------------------------------------

    @property
    def config(self) -> VenueConfig:
        """What kind of venue this is."""
        return self._held(self.store.config, 0)

    def write_config(self) -> VenueConfig:
        """A working copy of what kind of venue this is."""
        return self._write_held(self.store.config, 0)

    @property
    def state(self) -> State:
        """The exchange-wide record."""
        return self._held(self.store.state, 0)

    def write_state(self) -> State:
        """A working copy of the exchange-wide record."""
        return self._write_held(self.store.state, 0)

    def create_exchange(self, config: VenueConfig, state: State) -> None:
        """Append the two singletons of a new venue."""
        self._append(self.store.config, config)
        self._append(self.store.state, state)

    def spot_market(self, index: int) -> SpotMarket:
        """Spot market ``index``; ``SpotMarketNotFound``."""
        if not 0 <= index < len(self.spot_markets):
            raise SettlementError(ErrorCode.SpotMarketNotFound, f"there is no spot market {index}")
        return self.spot_markets[index]

    def write_spot_market(self, index: int) -> SpotMarket:
        """A working copy of spot market ``index``, also in ``spot_markets``."""
        self.spot_market(index)
        market = self._write_held(self.store.spot_markets, index)
        self.spot_markets[index] = market
        return market

    def write_quote_market(self) -> SpotMarket:
        """A working copy of the quote spot market."""
        return self.write_spot_market(QUOTE_SPOT_MARKET_INDEX)

    def perp_market(self, index: int) -> PerpMarket:
        """Perp market ``index``; ``PerpMarketNotFound``."""
        if not 0 <= index < len(self.perp_markets):
            raise SettlementError(ErrorCode.PerpMarketNotFound, f"there is no perp market {index}")
        return self.perp_markets[index]

    def write_perp_market(self, index: int) -> PerpMarket:
        """A working copy of perp market ``index``, also in ``perp_markets``."""
        self.perp_market(index)
        market = self._write_held(self.store.perp_markets, index)
        self.perp_markets[index] = market
        return market

    def vaults(self, market_index: int) -> Vaults:
        """The token balances of a market's two vaults."""
        self.spot_market(market_index)
        return self._held(self.store.vaults, market_index)

    def write_vaults(self, market_index: int) -> Vaults:
        """A working copy of the token balances of a market's two vaults."""
        self.spot_market(market_index)
        return self._write_held(self.store.vaults, market_index)

    def add_spot_market(self, market: SpotMarket) -> None:
        """Append a spot market with empty vaults."""
        self._append(self.store.spot_markets, market)
        self._append(self.store.vaults, Vaults())
        self.spot_markets.append(market)

    def add_perp_market(self, market: PerpMarket) -> None:
        """Append a perp market."""
        self._append(self.store.perp_markets, market)
        self.perp_markets.append(market)

    def write_associated_spot(self, perp_market_index: int) -> AssociatedSpot:
        """A working copy of what backs a perp market; ``AssociatedSpotNotSet``."""
        for row, associated in enumerate(self.store.associated_spots.objects):
            if associated.perp_market_index == perp_market_index and associated.spot_market_index:
                return self._write_held(self.store.associated_spots, row)
        raise SettlementError(
            ErrorCode.AssociatedSpotNotSet,
            f"no spot market backs perp market {perp_market_index}",
            "the same after update_perp_market_associated_spot",
        )

    def set_associated_spot(self, associated: AssociatedSpot) -> None:
        """Set what backs a perp market, in place of what did."""
        for row, old in enumerate(self.store.associated_spots.objects):
            if old.perp_market_index == associated.perp_market_index:
                self._written[self.store.associated_spots.number, row] = (self.store.associated_spots, associated)
                return
        self._append(self.store.associated_spots, associated)

    def remove_last_spot_market(self) -> None:
        """Remove the last spot market with its vaults; nothing else of them may have been written."""
        self._removed += [self.store.spot_markets, self.store.vaults]
        self.spot_markets.pop()

    def remove_last_perp_market(self) -> None:
        """Remove the last perp market; nothing else of it may have been written."""
        self._removed.append(self.store.perp_markets)
        self.perp_markets.pop()

    # --- oracles ----------------------------------------------------------------------------------------------

    @property
    def oracles(self) -> list[OraclePriceData]:
        """Every oracle's price as this instruction sees it, by oracle index; none judged yet."""
        if self._oracles is None:
            table = self.store.oracles
            self._oracles = [price_data(oracle, i, self.slot) for i, oracle in enumerate(table.objects)]
            for number, i in self._written:
                if number == table.number and i < table.count:
                    self._oracles[i] = price_data(self._held(table, i), i, self.slot)
        return self._oracles

    def spot_oracle(self, market_index: int) -> OraclePriceData:
        """The price of a spot market's token."""
        return self.oracles[self.spot_market(market_index).oracle_index]

    def perp_oracle(self, market_index: int) -> OraclePriceData:
        """The price of a perp market's underlying."""
        return self.oracles[self.perp_market(market_index).amm.oracle_index]

    def oracle_by_name(self, name: str) -> int:
        """Index of the oracle called ``name``; ``OracleNotFound``."""
        for i, oracle in enumerate(self.store.oracles.objects):
            if oracle.name == name:
                return i
        raise SettlementError(ErrorCode.OracleNotFound, f"there is no oracle {name!r}; add_oracle creates one")

    def write_oracle(self, index: int) -> Oracle:
        """A working copy of an oracle's last post."""
        return self._write_held(self.store.oracles, index)

    def add_oracle(self, oracle: Oracle) -> int:
        """Append an oracle; its index."""
        return self._append(self.store.oracles, oracle)

    # --- accounts ---------------------------------------------------------------------------------------------

    def find_user(self, ref: str) -> int | None:
        """Row of the user account ``ref``, or None."""
        return self._find(self.store.users, user_key(ref))

    def user_index(self, ref: str) -> int:
        """Row of the user account ``ref``; ``UserNotFound``."""
        index = self.find_user(ref)
        if index is None:
            raise SettlementError(ErrorCode.UserNotFound, f"there is no user account {ref!r}")
        return index

    def user(self, ref: str) -> User:
        """The user account ``ref``, for reading; ``UserNotFound``."""
        return _open_user(self._read_row(self.store.users, self.user_index(ref)), ref)

    def write_user(self, ref: str) -> User:
        """A working copy of the user account ``ref``; ``UserNotFound``."""
        return _open_user(self._write_row(self.store.users, self.user_index(ref)), ref)

    def add_user(self, user: User) -> None:
        """Create a user account; ``AccountAlreadyInUse``."""
        key = user.authority + user.sub_account_id.to_bytes(2, "little")
        if self._find(self.store.users, key) is not None:
            raise SettlementError(ErrorCode.AccountAlreadyInUse)
        self._append(self.store.users, user, key)

    def user_stats(self, authority: bytes) -> UserStats:
        """Statistics of an authority, for reading; ``UserNotFound``."""
        return self._read_row(self.store.user_stats, self._stats_index(authority))

    def write_user_stats(self, authority: bytes) -> UserStats:
        """A working copy of an authority's statistics; ``UserNotFound``."""
        return self._write_row(self.store.user_stats, self._stats_index(authority))

    def has_user_stats(self, authority: bytes) -> bool:
        """Whether the authority is known."""
        return self._find(self.store.user_stats, authority) is not None

    def add_user_stats(self, stats: UserStats) -> None:
        """Create an authority's statistics; ``AccountAlreadyInUse``."""
        if self._find(self.store.user_stats, stats.authority) is not None:
            raise SettlementError(ErrorCode.AccountAlreadyInUse)
        self._append(self.store.user_stats, stats, stats.authority)

    def _stats_index(self, authority: bytes) -> int:
        index = self._find(self.store.user_stats, authority)
        if index is None:
            raise SettlementError(ErrorCode.UserNotFound, f"{key_to_text(authority)} has no account here")
        return index

    def stake(self, authority: bytes, market_index: int) -> InsuranceFundStake:
        """An authority's stake in a market's insurance fund, for reading; ``InsuranceFundStakeNotFound``."""
        return self._read_row(self.store.stakes, self._stake_index(authority, market_index))

    def write_stake(self, authority: bytes, market_index: int) -> InsuranceFundStake:
        """A working copy of an authority's stake; ``InsuranceFundStakeNotFound``."""
        return self._write_row(self.store.stakes, self._stake_index(authority, market_index))

    def add_stake(self, stake: InsuranceFundStake) -> None:
        """Create an insurance stake; ``AccountAlreadyInUse``."""
        key = stake.authority + stake.market_index.to_bytes(2, "little")
        if self._find(self.store.stakes, key) is not None:
            raise SettlementError(ErrorCode.AccountAlreadyInUse)
        self._append(self.store.stakes, stake, key)

    def _stake_index(self, authority: bytes, market_index: int) -> int:
        index = self._find(self.store.stakes, authority + market_index.to_bytes(2, "little"))
        if index is None:
            raise SettlementError(
                ErrorCode.InsuranceFundStakeNotFound,
                f"{key_to_text(authority)} has no stake in market {market_index}: initialize_insurance_fund_stake",
            )
        return index

    # --- revenue shares ---------------------------------------------------------------------------------------

    def has_revenue_share_escrow(self, authority: bytes) -> bool:
        """Whether the authority has an escrow for builders' and referrers' shares."""
        return self._find(self.store.revenue_share_escrows, authority) is not None

    def revenue_share_escrow(self, authority: bytes) -> RevenueShareEscrow:
        """An authority's escrow, for reading; ``UnableToLoadRevenueShareAccount``."""
        return self._read_row(self.store.revenue_share_escrows, self._escrow_index(authority))

    def write_revenue_share_escrow(self, authority: bytes) -> RevenueShareEscrow:
        """A working copy of an authority's escrow; ``UnableToLoadRevenueShareAccount``."""
        return self._write_row(self.store.revenue_share_escrows, self._escrow_index(authority))

    def add_revenue_share_escrow(self, escrow: RevenueShareEscrow) -> None:
        """Create an authority's escrow; ``AccountAlreadyInUse``."""
        if self.has_revenue_share_escrow(escrow.authority):
            raise SettlementError(ErrorCode.AccountAlreadyInUse, "the authority has a revenue share escrow already")
        self._append(self.store.revenue_share_escrows, escrow, escrow.authority)

    def _escrow_index(self, authority: bytes) -> int:
        index = self._find(self.store.revenue_share_escrows, authority)
        if index is None:
            raise SettlementError(
                ErrorCode.UnableToLoadRevenueShareAccount,
                f"{key_to_text(authority)} has no revenue share escrow",
                "the same after initialize_revenue_share_escrow",
            )
        return index

    def approved_fee(self, authority: bytes, builder: bytes) -> int:
        """What an authority allows a builder to charge (tenths of a basis point); 0 for nothing."""
        index = self._find(self.store.approved_builders, authority + builder)
        return 0 if index is None else self._read_row(self.store.approved_builders, index).max_fee_tenth_bps

    def approve_builder(self, authority: bytes, builder: bytes, max_fee_tenth_bps: int) -> None:
        """Set what an authority allows a builder to charge."""
        index = self._find(self.store.approved_builders, authority + builder)
        if index is None:
            approved = ApprovedBuilder(authority=authority, builder=builder, max_fee_tenth_bps=max_fee_tenth_bps)
            self._append(self.store.approved_builders, approved, authority + builder)
        else:
            self._write_row(self.store.approved_builders, index).max_fee_tenth_bps = max_fee_tenth_bps

    # --- Drift's protocol share transfers ---------------------------------------------------------------------

    def write_transfer_config(self) -> ProtocolIfSharesTransferConfig:
        """A working copy of the protocol share transfer configuration; ``DefaultError`` where there is none."""
        if not self.store.transfer_config.objects:
            raise SettlementError(ErrorCode.DefaultError, "no protocol share transfer configuration exists")
        return self._write_held(self.store.transfer_config, 0)

    def add_transfer_config(self, config: ProtocolIfSharesTransferConfig) -> None:
        """Create the protocol share transfer configuration; ``AccountAlreadyInUse``."""
        if self.store.transfer_config.objects:
            raise SettlementError(ErrorCode.AccountAlreadyInUse)
        self._append(self.store.transfer_config, config)

    # --- tokens -----------------------------------------------------------------------------------------------

    def receive(self, authority: bytes, market_index: int, amount: int) -> None:
        """Tokens from a wallet into the collateral vault; ``TokenInsufficientFunds`` if tracked and short."""
        self._debit_wallet(authority, market_index, amount)
        self.write_vaults(market_index).spot_vault += amount

    def send(self, authority: bytes, market_index: int, amount: int) -> None:
        """Tokens out of the collateral vault to a wallet; ``TokenInsufficientFunds`` if the vault is short."""
        vaults = self.write_vaults(market_index)
        if vaults.spot_vault < amount:
            raise SettlementError(ErrorCode.TokenInsufficientFunds, f"the vault holds {vaults.spot_vault} of {amount}")
        vaults.spot_vault -= amount
        self._credit_wallet(authority, market_index, amount)

    def receive_from_outside(self, market_index: int, amount: int) -> None:
        """Tokens from an external venue into the collateral vault."""
        self.write_vaults(market_index).spot_vault += amount

    def send_outside(self, market_index: int, amount: int) -> None:
        """Tokens out of the collateral vault to an external venue; ``TokenInsufficientFunds`` if the vault is short."""
        vaults = self.write_vaults(market_index)
        if vaults.spot_vault < amount:
            raise SettlementError(ErrorCode.TokenInsufficientFunds, f"the vault holds {vaults.spot_vault} of {amount}")
        vaults.spot_vault -= amount

    def stake_tokens(self, authority: bytes, market_index: int, amount: int) -> None:
        """Tokens from an authority's wallet into the insurance fund's vault; ``TokenInsufficientFunds``."""
        self._debit_wallet(authority, market_index, amount)
        self.write_vaults(market_index).insurance_fund_vault += amount

    def unstake_tokens(self, authority: bytes, market_index: int, amount: int) -> None:
        """Tokens out of the insurance fund's vault to an authority's wallet; ``TokenInsufficientFunds``."""
        vaults = self.write_vaults(market_index)
        if vaults.insurance_fund_vault < amount:
            raise SettlementError(ErrorCode.TokenInsufficientFunds)
        vaults.insurance_fund_vault -= amount
        self._credit_wallet(authority, market_index, amount)

    def settle_tokens_to_insurance_fund(self, market_index: int, amount: int) -> None:
        """Tokens from the collateral vault into the insurance fund's vault; ``TokenInsufficientFunds``."""
        vaults = self.write_vaults(market_index)
        if vaults.spot_vault < amount:
            raise SettlementError(ErrorCode.TokenInsufficientFunds)
        vaults.spot_vault -= amount
        vaults.insurance_fund_vault += amount

    def send_insurance_outside(self, market_index: int, amount: int) -> None:
        """Tokens out of the insurance fund's vault to an external venue; ``TokenInsufficientFunds``."""
        vaults = self.write_vaults(market_index)
        if vaults.insurance_fund_vault < amount:
            raise SettlementError(ErrorCode.TokenInsufficientFunds)
        vaults.insurance_fund_vault -= amount

    def draw_tokens_from_insurance_fund(self, market_index: int, amount: int) -> None:
        """Tokens out of the insurance fund's vault into the collateral vault; ``TokenInsufficientFunds``."""
        vaults = self.write_vaults(market_index)
        if vaults.insurance_fund_vault < amount:
            raise SettlementError(ErrorCode.TokenInsufficientFunds)
        vaults.insurance_fund_vault -= amount
        vaults.spot_vault += amount

    def fund_wallet(self, authority: bytes, market_index: int, amount: int) -> None:
        """Report tokens that reached an authority's wallet from outside."""
        self._credit_wallet(authority, market_index, amount)

    def _debit_wallet(self, authority: bytes, market_index: int, amount: int) -> None:
        if not self.config.wallets_tracked:
            return
        index = self._find(self.store.wallets, authority + market_index.to_bytes(2, "little"))
        held = 0 if index is None else self._read_row(self.store.wallets, index).amount
        if held < amount:
            raise SettlementError(
                ErrorCode.TokenInsufficientFunds,
                f"the wallet holds {held} of the {amount} tokens of market {market_index}",
            )
        if index is not None:
            self._write_row(self.store.wallets, index).amount -= amount

    def _credit_wallet(self, authority: bytes, market_index: int, amount: int) -> None:
        if not self.config.wallets_tracked:
            return
        key = authority + market_index.to_bytes(2, "little")
        index = self._find(self.store.wallets, key)
        if index is None:
            wallet = Wallet(authority=authority, market_index=market_index, amount=amount)
            self._append(self.store.wallets, wallet, key)
        else:
            self._write_row(self.store.wallets, index).amount += amount

    # --- permissions ------------------------------------------------------------------------------------------

    def require_signer(self, key: bytes, role: str) -> None:
        """``Unauthorized`` unless the signer is ``key``."""
        if self.signer != key:
            raise SettlementError(
                ErrorCode.Unauthorized, f"this needs the {role} {key_to_text(key)}, not {key_to_text(self.signer)}"
            )

    def require_admin(self) -> None:
        """``Unauthorized`` unless a key signs that holds the administrative role of this instruction."""
        self.require_role(role_of(self.state, self.instruction))

    def require_role(self, role: str) -> None:
        """``Unauthorized`` unless the signer holds a role (``engine.permissions``) or a higher one."""
        if not self.holds_role(role):
            holders = ", ".join(map(key_to_text, keys_of(self.state, role))) or "nobody: the key is unset"
            raise SettlementError(
                ErrorCode.Unauthorized, f"this needs the {role} ({holders}), not {key_to_text(self.signer)}"
            )

    def holds_role(self, role: str) -> bool:
        """Whether the signer holds a role or a higher one."""
        return holds(self.state, role, self.signer)

    def is_authority_or_delegate(self, user: User) -> bool:
        """Whether the signer may act for ``user``. A delegate equal to the all-zero key never counts."""
        return self.signer == user.authority or (user.delegate != DEFAULT_KEY and self.signer == user.delegate)

    def require_authority_or_delegate(self, user: User) -> None:
        """``Unauthorized`` unless the account's authority or delegate signs."""
        if not self.is_authority_or_delegate(user):
            self.require_signer(user.authority, "authority or delegate of the account,")

    # --- parts that may fail ----------------------------------------------------------------------------------

    def attempt(self, part: Callable[[], T]) -> T:
        """Carry out a part of the instruction wholly or not at all: what fails leaves nothing behind, and raises.

        What the part writes it must check out itself. A result that does not fit its field is refused at once
        (``CastingFailure``, ``MathError``). Oracles are judged anew, as by an instruction of its own.
        """
        appended, new_keys = dict(self._appended), dict(self._new_keys)
        events, limits = len(self.events), len(self.limits)
        self._before = {}
        self._oracles = None
        try:
            result = part()
            for at in self._before:
                self._written[at][1].pack()
            return result
        except (SettlementError, ZeroDivisionError) as error:
            self._restore(self._before)
            self._appended, self._new_keys = appended, new_keys
            del self.events[events:], self.limits[limits:]
            if isinstance(error, ZeroDivisionError):
                raise SettlementError(ErrorCode.MathError) from error
            raise
        finally:
            self._before = None

    def _keep(self, at: tuple[int, int]) -> None:
        """Before a record is written in an attempt: remember it as it is."""
        if self._before is not None and at not in self._before:
            written = self._written.get(at)
            self._before[at] = None if written is None else written[1].copy()

    def _restore(self, before: "dict[tuple[int, int], Record | None]") -> None:
        for at, record in before.items():
            table = self._written[at][0]
            if record is None:
                del self._written[at]
            else:
                self._written[at] = (table, record)
            if table is self.store.spot_markets:
                self.spot_markets[at[1]] = self._held(self.store.spot_markets, at[1])
            elif table is self.store.perp_markets:
                self.perp_markets[at[1]] = self._held(self.store.perp_markets, at[1])

    # --- what the receipt tells -------------------------------------------------------------------------------

    def emit(self, event: str, **fields: Any) -> None:
        """Record an event under the program's name with its fields."""
        self.events.append((event, fields))

    def limit(self, name: str, value: int, asked: int, note: str = "") -> None:
        """Record a cap that bound."""
        self.limits.append(Limit(name, value, asked, note))

    # --- the end ----------------------------------------------------------------------------------------------

    def commit(self) -> list[Change]:
        """Pack every working copy; the rows that differ, in order of table and index. Changes nothing yet.

        ``CastingFailure`` or ``MathError`` where a value does not fit its field.
        """
        changes: list[Change] = []
        for at in sorted(self._written):
            index = at[1]
            table, after = self._written[at]
            data = after.pack()
            before = table.row(index) if index < table.count else None
            if data != before:
                changes.append(Change(table, index, before, data, after))
        if self._replaced:
            changes += self._replacements()
            changes.sort(key=lambda change: (change.table.number, change.index))
        for table in self._removed:
            last = table.count - 1
            changes.append(Change(table, last, table.row(last), b"", None))
        return changes

    def _replacements(self) -> list[Change]:
        changes: list[Change] = []
        for table, index, data in self._replaced:
            before = table.row(index)
            if data != before:
                after = table.record.unpack(data) if isinstance(table, HeldTable) else None
                changes.append(Change(table, index, before, data, after))
        return changes


def _open_user(user: User, ref: str) -> User:
    if user.status == USER_CLOSED:
        raise SettlementError(ErrorCode.UserNotFound, f"the account {ref!r} was deleted")
    return user


def price_data(oracle: Oracle, index: int, slot: int) -> OraclePriceData:
    """An oracle's last post as an instruction at ``slot`` sees it (delay = slot − valid slot)."""
    if index == QUOTE_ORACLE_INDEX:
        data = OraclePriceData.__new__(OraclePriceData)
        data.price, data.confidence, data.delay, data.twap, data.validity = 1_000_000, 1, 0, 1_000_000, 0
        data.has_sufficient_number_of_data_points = True
        return data
    data = OraclePriceData.__new__(OraclePriceData)
    data.price, data.confidence, data.delay = oracle.price, oracle.conf, slot - oracle.valid_slot
    data.twap, data.validity = oracle.twap, 0
    # a Pyth push oracle has enough data if num_qt ≥ min(num, 3)
    data.has_sufficient_number_of_data_points = oracle.num_qt >= min(oracle.num, 3)
    return data


def signer_key(text: str) -> bytes:
    """The key of a signer given as base58 or label; ``InvalidInstruction``."""
    try:
        return key_from_text(text)
    except ValueError as error:
        raise SettlementError(ErrorCode.InvalidInstruction, f"signer: {error}") from None
