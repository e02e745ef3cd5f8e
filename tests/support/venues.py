"""A whole venue: three tokens, two perp markets, stakes, five accounts with money, every wallet tracked."""

from collections.abc import Iterator
from copy import copy
from typing import Any

import pytest

from seawall.engine import tables
from seawall.engine.machine import Machine, Request
from seawall.engine.receipts import Clock, Receipt
from seawall.engine.store import Store
from seawall.instructions.administration import (
    UpdateInitialPctToLiquidate,
    UpdateInsuranceFundUnstakingPeriod,
    UpdateLiquidationDuration,
    UpdateLiquidationMarginBufferRatio,
    UpdatePerpAuctionDuration,
    UpdatePerpLiquidationFee,
    UpdatePerpMarketMaxImbalances,
    UpdateSpotMarketIfFactor,
    UpdateSpotMarketLiquidationFee,
    UpdateSpotMarketRevenueSettlePeriod,
    UpdateStateSettlementDuration,
)
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, DepositIntoSpotMarketRevenuePool
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    InitializeInsuranceFundStake,
    InitializeProtocolIfSharesTransferConfig,
    UpdateProtocolIfSharesTransferConfig,
)
from seawall.instructions.markets import InitializePerpMarket
from seawall.instructions.pnl import DepositIntoPerpMarketFeePool
from seawall.instructions.revenue_share import ChangeApprovedBuilder, InitializeRevenueShareEscrow
from seawall.instructions.roles import (
    UpdateFeatureBitFlags,
    UpdateHotAdmin,
    UpdatePauseAdmin,
    UpdateProtocolFeeRecipient,
    UpdateWarmAdmin,
)
from seawall.instructions.user_settings import UpdateUserMarginTradingEnabled
from seawall.instructions.venue_setup import FundWallet, InitializeUser, PostOraclePrice
from seawall.keys import key_from_text
from seawall.records import freeze
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.perp_market import PerpMarket
from support.conserved import Watch
from support.invariants import Step, before, check_step
from support.money import ADMIN, ETH, ONE_ETH, ONE_SOL, ONE_USDC, SOL, USDC, MoneyVenue

SOL_PERP, ETH_PERP = 0, 1
ONE_BASE = 10**9
STEP = 10**7
"""The smallest perp size: a hundredth of a base unit."""

ALICE, ALICE_1, BOB, CAROL, DAVE = "@alice", "@alice/1", "@bob", "@carol", "@dave"
PEOPLE = (ALICE, ALICE_1, BOB, CAROL, DAVE)
"""Bob was referred by Alice, Dave is the one who fills and cranks."""
AUTHORITIES = (ALICE, BOB, CAROL, DAVE)
MALLORY = "@mallory"
"""Nobody's authority or delegate, and without an account."""
DESK = "@desk"
"""May hand out protocol-owned insurance shares; under Velocity it holds the hot keys."""
WARM, GUARD, TREASURY = "@warm", "@guard", "@treasury"
"""Under Velocity: the warm admin, the pause admin, and whom protocol fees are paid to."""

WALLET = {USDC: 10**13, SOL: 10**14, ETH: 10**12}
"""What each wallet holds before anything is deposited (tokens)."""

DEPOSITS = (
    (ALICE, USDC, 50_000 * ONE_USDC),
    (BOB, USDC, 20_000 * ONE_USDC),
    (BOB, SOL, 100 * ONE_SOL),
    (CAROL, ETH, 10 * ONE_ETH),
    (DAVE, USDC, 1_000 * ONE_USDC),
)


@pytest.fixture(autouse=True, scope="module")
def small_tables() -> Iterator[None]:
    """Tables grow by 64 rows, so that a fresh venue costs milliseconds: for modules that import this."""
    patch = pytest.MonkeyPatch()
    patch.setattr(tables, "CHUNK_ROWS", 64)
    yield
    patch.undo()


def authority(user: str) -> str:
    """The owner of an account."""
    return user.partition("/")[0]


class WholeVenue(MoneyVenue):
    """SOL-PERP moves its curve with full intensity, ETH-PERP never. The AMM takes an order at once.

    With ``insured`` a fifth of all interest and a part of what is liquidated go to insurance and liquidators. A venue
    of ``rulebook`` velocity has keys for its roles, recipients of its fees, and a protocol that takes its part.
    """

    def __init__(
        self,
        profile: str = "documents",
        guard: int = 10**18,
        auction: int = 0,
        insured: bool = False,
        rulebook: str = "drift",
        **config: Any,
    ) -> None:
        self.extra_slots = 0
        self.asked: list[Request] = []
        """Everything that was asked and became part of the history."""
        super().__init__(guard, profile=profile, wallets_tracked=True, rulebook=rulebook, **config)
        self._open_perp_markets()
        self.ok(UpdatePerpAuctionDuration(min_perp_auction_duration=auction))
        self.ok(UpdateStateSettlementDuration(settlement_duration=3_600))
        for market in (USDC, SOL, ETH):
            self.ok(UpdateSpotMarketRevenueSettlePeriod(market_index=market, revenue_settle_period=3_600))
            self.ok(UpdateInsuranceFundUnstakingPeriod(market_index=market, insurance_fund_unstaking_period=3_600))
        if insured:
            self._insure()
        self._invite_people()
        if self.is_velocity:
            self.give_out_roles()
        else:
            self.ok(InitializeProtocolIfSharesTransferConfig())
            self.ok(UpdateProtocolIfSharesTransferConfig(whitelisted_signers=[DESK], max_transfer_per_epoch=10**12))
        self.ok(DepositIntoPerpMarketFeePool(market_index=SOL_PERP, amount=500 * ONE_USDC))

    def _open_perp_markets(self) -> None:
        for index, name, depth, price, intensity in (
            (SOL_PERP, "SOL", 100_000 * ONE_BASE, 100_000_000, 100),
            (ETH_PERP, "ETH", 5_000 * ONE_BASE, 2_000_000_000, 0),
        ):
            self.ok(
                InitializePerpMarket(
                    market_index=index,
                    name=f"{name}-PERP",
                    oracle=name,
                    contract_tier="A" if intensity else "B",
                    amm_base_asset_reserve=depth,
                    amm_quote_asset_reserve=depth,
                    amm_periodicity=3_600,
                    amm_peg_multiplier=price,
                    base_spread=500,
                    max_spread=50_000,
                    margin_ratio_initial=1_000,
                    margin_ratio_maintenance=500,
                    order_step_size=STEP,
                    order_tick_size=100,
                    min_order_size=STEP,
                    curve_update_intensity=intensity,
                )
            )
            self.ok(
                UpdatePerpMarketMaxImbalances(
                    market_index=index,
                    unrealized_max_imbalance=10**9,
                    max_revenue_withdraw_per_period=250 * ONE_USDC,
                    quote_max_insurance=10**9,
                )
            )

    def _insure(self) -> None:
        self.ok(UpdateLiquidationMarginBufferRatio(liquidation_margin_buffer_ratio=200))
        self.ok(UpdateInitialPctToLiquidate(initial_pct_to_liquidate=2_000))
        self.ok(UpdateLiquidationDuration(liquidation_duration=150))
        protocol = {"protocol_liquidation_fee": 2_500} if self.is_velocity else {}
        for market in (USDC, SOL, ETH):
            factor = {"user_if_factor": 100_000, "total_if_factor": 200_000}
            if self.is_velocity:
                factor = {"if_fee_factor": 200_000, "protocol_fee_factor": 50_000}
            self.ok(UpdateSpotMarketIfFactor(spot_market_index=market, **factor))
            # under Velocity quote pays for a loss only where the liquidators' part of both stays within the buffer
            fee = 0 if self.is_velocity and market == USDC else 10_000
            fees = {"liquidator_fee": fee, "if_liquidation_fee": 5_000, **protocol}
            self.ok(UpdateSpotMarketLiquidationFee(market_index=market, **fees))
        for market in (SOL_PERP, ETH_PERP):
            fees = {"liquidator_fee": 10_000, "if_liquidation_fee": 10_000, **protocol}
            self.ok(UpdatePerpLiquidationFee(market_index=market, **fees))

    def _invite_people(self) -> None:
        for name in (*AUTHORITIES, ADMIN):
            for market, amount in WALLET.items():
                self.ok(FundWallet(authority=name, market_index=market, amount=amount))
        for user in PEOPLE:
            self.ok(InitializeUser(user=user, referrer=ALICE if user == BOB else None), authority(user))
            self.ok(UpdateUserMarginTradingEnabled(user=user, margin_trading_enabled=True), authority(user))
        for user, market, amount in DEPOSITS:
            self.ok(Deposit(user=user, market_index=market, amount=amount), user)
        for name in AUTHORITIES:
            self.ok(InitializeInsuranceFundStake(authority=name, market_index=USDC), name)
        self.ok(AddInsuranceFundStake(authority=DAVE, market_index=USDC, amount=2_000 * ONE_USDC), DAVE)
        self.ok(DepositIntoSpotMarketRevenuePool(authority=DAVE, market_index=USDC, amount=100 * ONE_USDC), DAVE)

    def give_out_roles(self) -> None:
        """Keys for the roles of a Velocity venue and the wallets of its protocol; every authority pays its builders."""
        self.ok(UpdateWarmAdmin(warm_admin=WARM))
        self.ok(UpdatePauseAdmin(pause_admin=GUARD))
        for role in ("FeeWithdraw", "FeatureFlag", "AmmCrank", "VaultDeposit", "MmOracleCrank", "AmmSpreadAdjust"):
            self.ok(UpdateHotAdmin(role=role, key=DESK))  # type: ignore[arg-type]
        for market_type in ("perp", "spot"):
            self.ok(UpdateProtocolFeeRecipient(market_type=market_type, recipient=TREASURY))  # type: ignore[arg-type]
        for feature in ("BuilderCodes", "IsolatedPositions", "VammMakerRebate", "MmOracleUpdate"):
            self.ok(UpdateFeatureBitFlags(feature=feature, enable=True))  # type: ignore[arg-type]
        for market, amount in WALLET.items():
            for name in (WARM, DESK):
                self.ok(FundWallet(authority=name, market_index=market, amount=amount))
        for owner in (ALICE, BOB, CAROL):
            self.ok(InitializeRevenueShareEscrow(authority=owner), owner)
            self.ok(ChangeApprovedBuilder(authority=owner, builder=DAVE, max_fee_tenth_bps=50), owner)

    # --- acting -----------------------------------------------------------------------------------------------

    @property
    def is_velocity(self) -> bool:
        """Whether the venue runs by the rulebook velocity by now."""
        return self.machine.store.state.objects[0].rulebook == RULEBOOK_VELOCITY

    @property
    def clock(self) -> Clock:
        """The present."""
        return Clock(self.now, self.now * 5 // 2 + self.extra_slots)

    def do(self, instruction: Instruction, signer: str = ADMIN) -> Receipt:
        """Carry out an instruction now; its receipt. Every token must be accounted for after it."""
        return self.step(instruction, signer).receipt

    def step(self, instruction: Instruction, signer: str = ADMIN) -> Step:
        """Carry out an instruction now; everything that came of it, on which all invariants were checked."""
        old = before(self.machine)
        request = Request(instruction, signer, self.clock)
        receipt, changes = self.machine.execute(request)
        step = Step(instruction, signer, receipt, changes)
        if receipt.sequence == 0:
            assert self.machine.store.root() == old.root
            return step
        self.asked.append(request)
        self.watch.after(receipt, self.machine)
        check_step(old, step, self.machine)
        return step

    def attempt(self, instruction: Instruction, signer: str) -> Receipt:
        """What an instruction would do now. Changes nothing."""
        return self.machine.attempt(instruction, signer, key_from_text(signer), self.clock)[0]

    def wait(self, seconds: int, refresh: bool = True) -> None:
        """Let time pass; the oracles post their prices again unless told otherwise."""
        self.now += seconds
        if refresh:
            for oracle in self.machine.store.oracles.objects[1:]:
                if oracle.price > 0:
                    self.ok(PostOraclePrice(oracle=oracle.name, price=oracle.price))

    def twin(self) -> "WholeVenue":
        """The same venue at the same time, that from now on goes its own way."""
        other = copy(self)
        other.machine, other.asked = copied(self.machine), []
        other.watch = Watch()
        other.watch.overwritten = True
        return other

    # --- state ------------------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The tables."""
        return self.machine.store

    def perp(self, index: int) -> PerpMarket:
        """A stored perp market."""
        return self.store.perp_markets.objects[index]

    def price(self, oracle: str) -> int:
        """An oracle's last price."""
        return next(o.price for o in self.store.oracles.objects if o.name == oracle)


def copied(machine: Machine) -> Machine:
    """A machine in the same state that goes its own way."""
    twin = Machine(strict=True)
    tables: dict[str, tuple[int, Any]] = {
        table.name: (table.count, b"".join(bytes(part) for part in table.segments())) for table in machine.store.tables
    }
    twin.store.load(tables)
    for table in twin.store.tables:
        for held in getattr(table, "objects", []):
            freeze(held)
    twin.sequence, twin.effects = machine.sequence, machine.effects
    return twin
