"""A venue with USDC, SOL and one perp market, and a mix of instructions for it: the load of crash tests and benchmarks.

Everything follows from numbers: the same number always asks for the same thing, so that a test knows what a venue was
asked without keeping it.
"""

import random
from collections.abc import Iterator
from typing import Literal

from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, Withdraw
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.markets import InitializePerpMarket, InitializeSpotMarket
from seawall.instructions.perp_fills import AmmFill, FillPerpOrder, ReservePerpOrder
from seawall.instructions.pnl import SettlePnl
from seawall.instructions.venue_setup import AddOracle, Initialize, InitializeUser, PostOraclePrice

ADMIN = "@admin"
START = 1_700_000_000
SOL_PRICE = 100_000_000

Asked = tuple[Instruction, str]
"""An instruction and its signer."""


def genesis() -> list[Asked]:
    """The exchange, an oracle, two spot markets and a perp market."""
    rates = {"optimal_utilization": 800_000, "optimal_borrow_rate": 200_000, "max_borrow_rate": 2_000_000}
    full = dict.fromkeys(
        (
            "initial_asset_weight",
            "maintenance_asset_weight",
            "initial_liability_weight",
            "maintenance_liability_weight",
        ),
        10_000,
    )
    sol = {"initial_asset_weight": 8_000, "maintenance_asset_weight": 9_000}
    sol |= {"initial_liability_weight": 12_000, "maintenance_liability_weight": 11_000}
    asked: list[Instruction] = [
        Initialize(admin=ADMIN),
        AddOracle(name="SOL", price=SOL_PRICE, conf=1),
        InitializeSpotMarket(
            name="USDC",
            oracle="quote",
            decimals=6,
            withdraw_guard_threshold=10**18,
            **full,
            **rates,
            if_total_factor=1000,
        ),
        InitializeSpotMarket(name="SOL", oracle="SOL", decimals=9, withdraw_guard_threshold=10**18, **sol, **rates),
        InitializePerpMarket(
            market_index=0,
            name="SOL-PERP",
            oracle="SOL",
            amm_base_asset_reserve=10**15,
            amm_quote_asset_reserve=10**15,
            amm_periodicity=3600,
            amm_peg_multiplier=SOL_PRICE,
            margin_ratio_initial=1_000,
            margin_ratio_maintenance=500,
            max_spread=50_000,
            base_spread=500,
            order_step_size=10**7,
            order_tick_size=100,
            min_order_size=10**7,
        ),
    ]
    return [(instruction, ADMIN) for instruction in asked]


def accounts(count: int, first: int = 0) -> Iterator[Asked]:
    """``count`` accounts, each with 1,000 USDC."""
    for number in range(first, first + count):
        yield InitializeUser(user=f"@u{number}"), f"@u{number}"
        yield Deposit(user=f"@u{number}", market_index=0, amount=1_000_000_000), f"@u{number}"


def traffic(number: int, users: int) -> Asked:
    """Instruction ``number`` of a mixed load over accounts 0 to ``users`` − 1; a few are refused on purpose.

    Of ten instructions, four are two orders and their fills, two settle the P&L of a trader, the rest is random.
    """
    place = number % 10
    if place < 6:
        return _trade(random.Random(number - place % 3), place % 3, users)
    rng = random.Random(number)
    kind = rng.randrange(10)
    user = f"@u{rng.randrange(users)}"
    if kind < 4:
        return Deposit(user=user, market_index=rng.randrange(2), amount=rng.randint(1, 5_000_000)), user
    if kind < 7:
        return Withdraw(user=user, market_index=0, amount=rng.randint(1, 3_000_000)), user
    if kind == 7:
        return PostOraclePrice(oracle="SOL", price=SOL_PRICE + rng.randint(-100_000, 100_000), conf=1), ADMIN
    if kind == 8:
        return UpdateSpotMarketCumulativeInterest(market_index=rng.randrange(2)), user
    return Withdraw(user=user, market_index=0, amount=1 << 60), user


def _trade(rng: random.Random, step: int, users: int) -> Asked:
    """One trader's order, its fill against the AMM, and the settlement of the trader's P&L."""
    user = f"@u{rng.randrange(users)}"
    size = rng.randint(1, 50) * 10**7
    side: Literal["Long", "Short"] = "Long" if rng.random() < 0.5 else "Short"
    limit = SOL_PRICE * 11 // 10 if side == "Long" else SOL_PRICE * 9 // 10
    if step == 0:
        reserve = ReservePerpOrder(user=user, market_index=0, direction=side, base_asset_amount=size)
        return reserve, user
    if step == 1:
        fill = FillPerpOrder(
            user=user, market_index=0, direction=side, base_asset_amount=size, price=limit, order_slot=START,
            fills=[AmmFill()],
        )  # fmt: skip
        return fill, ADMIN
    return SettlePnl(user=user, market_index=0), user
