"""A small venue with one quote market and named stakers, for tests of the insurance fund."""

from typing import Any

from seawall.engine.machine import Machine, Request
from seawall.engine.receipts import Clock, Receipt
from seawall.engine.store import Store
from seawall.instructions.administration import UpdateSpotMarketRevenueSettlePeriod
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, DepositIntoSpotMarketRevenuePool
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    CancelRequestRemoveInsuranceFundStake,
    DepositIntoInsuranceFund,
    InitializeInsuranceFundStake,
    RemoveInsuranceFundStake,
    RequestRemoveInsuranceFundStake,
)
from seawall.instructions.markets import InitializeSpotMarket
from seawall.instructions.venue_setup import Initialize, InitializeUser
from seawall.keys import key_from_text
from seawall.records import Record
from seawall.rules.common.insurance_shares import (
    apply_rebase_to_insurance_fund,
    apply_rebase_to_insurance_fund_stake,
    if_shares_to_vault_amount,
)
from seawall.state.insurance import InsuranceFundStake
from seawall.state.spot_market import InsuranceFund, SpotMarket, Vaults
from support.conserved import Watch

START = 1_700_000_000
"""An hour boundary plus 800 seconds."""

ADMIN = "@admin"


class InsuranceVenue:
    """A venue whose clock the test moves. ``wallets_tracked`` is off: tokens come from anywhere."""

    def __init__(
        self, profile: str = "documents", rulebook: str = "drift", receivable: bool = False, **market: Any
    ) -> None:
        self.machine = Machine(strict=True)
        self.watch = Watch()
        self.now = START
        self.ok(Initialize(admin=ADMIN, profile=profile, rulebook=rulebook, revenue_receivable=receivable))  # type: ignore[arg-type]
        values: dict[str, Any] = {
            "name": "USDC", "oracle": "quote", "decimals": 6, "optimal_utilization": 800_000,
            "optimal_borrow_rate": 200_000, "max_borrow_rate": 2_000_000, "initial_asset_weight": 10_000,
            "maintenance_asset_weight": 10_000, "initial_liability_weight": 10_000,
            "maintenance_liability_weight": 10_000, "if_total_factor": 120_000,
        }  # fmt: skip
        self.ok(InitializeSpotMarket(**{**values, **market}))
        self.ok(UpdateSpotMarketRevenueSettlePeriod(market_index=0, revenue_settle_period=3_600))

    def do(self, instruction: Instruction, signer: str = ADMIN) -> Receipt:
        """Carry out an instruction now; its receipt. Every token must be accounted for after it."""
        receipt = self.machine.execute(Request(instruction, signer, Clock.at(self.now)))[0]
        self.watch.after(receipt, self.machine)
        return receipt

    def ok(self, instruction: Instruction, signer: str = ADMIN) -> Receipt:
        """Carry out an instruction that must succeed."""
        receipt = self.do(instruction, signer)
        assert receipt.refusal is None, receipt.refusal
        return receipt

    def refused(self, instruction: Instruction, signer: str = ADMIN) -> str:
        """Carry out an instruction that must be refused; the error's name."""
        receipt = self.do(instruction, signer)
        assert receipt.refusal is not None
        return receipt.refusal.error

    # --- people -----------------------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        """An account and an empty stake for ``name``."""
        self.ok(InitializeUser(user=name), name)
        self.ok(InitializeInsuranceFundStake(authority=name, market_index=0), name)

    def add(self, name: str, amount: int) -> Receipt:
        """``name`` stakes."""
        return self.do(AddInsuranceFundStake(authority=name, market_index=0, amount=amount), name)

    def request(self, name: str, amount: int) -> Receipt:
        """``name`` asks to unstake."""
        return self.do(RequestRemoveInsuranceFundStake(authority=name, market_index=0, amount=amount), name)

    def cancel(self, name: str) -> Receipt:
        """``name`` takes the request back."""
        return self.do(CancelRequestRemoveInsuranceFundStake(authority=name, market_index=0), name)

    def remove(self, name: str) -> Receipt:
        """``name`` is paid out."""
        return self.do(RemoveInsuranceFundStake(authority=name, market_index=0), name)

    def deposit(self, name: str, amount: int) -> None:
        """``name`` deposits collateral (into sub-account 0, opened if missing)."""
        self.do(InitializeUser(user=name), name)
        self.ok(Deposit(user=name, market_index=0, amount=amount, reduce_only=False), name)

    def gift(self, amount: int) -> None:
        """Tokens arrive in the fund's vault from anyone."""
        self.ok(DepositIntoInsuranceFund(authority="@anyone", market_index=0, amount=amount), "@anyone")

    def revenue(self, amount: int) -> None:
        """Tokens arrive in the revenue pool."""
        self.ok(DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=0, amount=amount), "@anyone")

    # --- state ------------------------------------------------------------------------------------------------

    @property
    def market(self) -> SpotMarket:
        """The quote market."""
        return self.machine.store.spot_markets.objects[0]

    @property
    def fund(self) -> InsuranceFund:
        """Its insurance fund."""
        return self.market.insurance_fund

    @property
    def vaults(self) -> Vaults:
        """Its vaults."""
        return self.machine.store.vaults.objects[0]

    def stake(self, name: str) -> InsuranceFundStake:
        """The stored stake of ``name``."""
        table = self.machine.store.stakes
        return table.read(table.index[key_from_text(name) + b"\0\0"])

    def overwrite(self, item: Record, table: str = "spot_markets", index: int = 0) -> None:
        """Put a changed copy of a record in place: states that no instruction leads to quickly."""
        self.watch.overwritten = True
        getattr(self.machine.store, table).store(index, item.pack(), item)

    def set_insurance_vault(self, amount: int) -> None:
        """Set the tokens of the fund's vault, as a loss or a gift would."""
        vaults = self.vaults.copy()
        vaults.insurance_fund_vault = amount
        self.overwrite(vaults, "vaults")

    def set_market(self, **fields: int) -> None:
        """Set fields of the market (``insurance_fund__x`` for nested ones)."""
        market = self.market.copy()
        for name, value in fields.items():
            owner: Any = market
            *path, last = name.split("__")
            for part in path:
                owner = getattr(owner, part)
            setattr(owner, last, value)
        self.overwrite(market)

    def query(self) -> tuple[Store, Clock]:
        """What a question is asked of: the tables, and the time."""
        return self.machine.store, Clock.at(self.now)


def stake_value(stake: InsuranceFundStake, fund: InsuranceFund, value: int) -> int:
    """What a stake is worth in a fund worth ``value``, both rebased. Changes neither."""
    fund, stake = fund.copy(), stake.copy()
    apply_rebase_to_insurance_fund(value, fund)
    apply_rebase_to_insurance_fund_stake(stake, fund)
    return if_shares_to_vault_amount(stake.if_shares, fund.total_shares, value)


def stakers_own_no_more_than_the_fund(stakes: list[InsuranceFundStake], fund: InsuranceFund, value: int) -> None:
    """Σ stakes ≤ user_shares ≤ total_shares, each in the fund's base; so all values together fit the fund's."""
    assert fund.user_shares <= fund.total_shares
    owned = sum(stake.if_shares // 10 ** (fund.shares_base - stake.if_base) for stake in stakes)
    assert owned <= fund.user_shares
    assert sum(stake_value(stake, fund, value) for stake in stakes) <= value
