"""A small venue with USDC, SOL and ETH and one perp market, for tests of deposits, margin and withdrawals."""

from typing import Any

from seawall.engine.machine import Machine, Request
from seawall.engine.receipts import Clock, Receipt
from seawall.instructions.base import Instruction, user_key
from seawall.instructions.deposits import Deposit, Withdraw
from seawall.instructions.markets import InitializeSpotMarket
from seawall.instructions.venue_setup import AddOracle, Initialize, InitializeUser, PostOraclePrice
from seawall.records import Record
from seawall.state.enums import BORROW
from seawall.state.spot_market import SpotMarket
from seawall.state.user import SpotPosition, User
from support.conserved import Watch

START = 1_700_000_000
ADMIN = "@admin"
USDC, SOL, ETH = 0, 1, 2
ONE_USDC, ONE_SOL, ONE_ETH = 10**6, 10**9, 10**8

WEIGHTS = {
    "initial_asset_weight": 8_000,
    "maintenance_asset_weight": 9_000,
    "initial_liability_weight": 12_000,
    "maintenance_liability_weight": 11_000,
}
FULL = dict.fromkeys(WEIGHTS, 10_000)
RATES = {"optimal_utilization": 800_000, "optimal_borrow_rate": 200_000, "max_borrow_rate": 2_000_000}


class MoneyVenue:
    """A venue whose clock the test moves: SOL at 100, ETH at 2,000. Tokens come from anywhere, guards are wide."""

    def __init__(self, guard: int = 10**18, **config: Any) -> None:
        self.machine = Machine(strict=True)
        self.watch = Watch()
        self.now = START
        self.ok(Initialize(**{"admin": ADMIN, "profile": "program", **config}))
        self.ok(AddOracle(name="SOL", price=100_000_000))
        self.ok(AddOracle(name="ETH", price=2_000_000_000))
        guards = {"withdraw_guard_threshold": guard}
        self.ok(InitializeSpotMarket(name="USDC", oracle="quote", decimals=6, **FULL, **RATES, **guards))
        self.ok(InitializeSpotMarket(name="SOL", oracle="SOL", decimals=9, **WEIGHTS, **RATES, **guards))
        self.ok(InitializeSpotMarket(name="ETH", oracle="ETH", decimals=8, **WEIGHTS, **RATES, **guards))

    def do(self, instruction: Instruction, signer: str = ADMIN) -> Receipt:
        """Carry out an instruction now; its receipt. Every token must be accounted for after it."""
        receipt = self.machine.execute(Request(instruction, signer, self.clock))[0]
        self.watch.after(receipt, self.machine)
        return receipt

    def ok(self, instruction: Instruction, signer: str = ADMIN) -> Receipt:
        """Carry out an instruction that must succeed."""
        receipt = self.do(instruction, signer)
        assert receipt.refusal is None, receipt.refusal
        return receipt

    def refused(self, instruction: Instruction, signer: str = ADMIN) -> str:
        """Carry out an instruction that must be refused and change nothing; the error's name."""
        before = self.machine.store.root()
        receipt = self.do(instruction, signer)
        assert receipt.refusal is not None
        assert self.machine.store.root() == before
        return receipt.refusal.error

    @property
    def clock(self) -> Clock:
        """The present."""
        return Clock.at(self.now)

    # --- people -----------------------------------------------------------------------------------------------

    def open(self, *names: str) -> None:
        """Sub-account 0 of each."""
        for name in names:
            self.ok(InitializeUser(user=name), name)

    def deposit(self, name: str, market: int, amount: int, **options: Any) -> Receipt:
        """``name`` deposits."""
        return self.do(Deposit(user=name, market_index=market, amount=amount, **options), name.partition("/")[0])

    def withdraw(self, name: str, market: int, amount: int, **options: Any) -> Receipt:
        """``name`` withdraws."""
        return self.do(Withdraw(user=name, market_index=market, amount=amount, **options), name.partition("/")[0])

    def post(self, oracle: str, price: int) -> None:
        """A new price."""
        self.ok(PostOraclePrice(oracle=oracle, price=price))

    # --- state ------------------------------------------------------------------------------------------------

    def market(self, index: int) -> SpotMarket:
        """A stored spot market."""
        return self.machine.store.spot_markets.objects[index]

    def vault(self, index: int) -> int:
        """Tokens in a market's collateral vault."""
        return self.machine.store.vaults.objects[index].spot_vault

    def user(self, name: str) -> User:
        """A stored account."""
        table = self.machine.store.users
        return table.read(table.index[user_key(name)])

    def position(self, name: str, market: int) -> SpotPosition:
        """A stored spot position."""
        return next(p for p in self.user(name).spot_positions if p.market_index == market)

    def balance(self, name: str, market: int) -> int:
        """Scaled balance of an account in a market, negative for a borrow; 0 without a position."""
        for position in self.user(name).spot_positions:
            if position.market_index == market and position.scaled_balance:
                return -position.scaled_balance if position.balance_type == BORROW else position.scaled_balance
        return 0

    def change_user(self, name: str, **fields: Any) -> None:
        """Overwrite fields of an account: states that no instruction leads to quickly."""
        user = self.user(name)
        for field, value in fields.items():
            setattr(user, field, value)
        self._store("users", self.machine.store.users.index[user_key(name)], user)

    def change_market(self, index: int, **fields: Any) -> None:
        """Overwrite fields of a spot market."""
        market = self.market(index).copy()
        for field, value in fields.items():
            setattr(market, field, value)
        self._store("spot_markets", index, market)

    def _store(self, table: str, index: int, item: Record) -> None:
        self.watch.overwritten = True
        getattr(self.machine.store, table).store(index, item.pack(), item)
