"""A venue in a file, run as a service whose clock the test moves, with people in trouble for a keeper to find."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seawall.engine.machine import Request
from seawall.engine.receipts import Clock, Receipt
from seawall.engine.venue import Venue
from seawall.instructions.administration import UpdateSpotMarketLiquidationFee
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, Withdraw
from seawall.instructions.perp_fills import AmmFill, PlaceAndTakePerpOrder
from seawall.instructions.venue_setup import FundWallet, InitializeUser, PostOraclePrice
from seawall.keeper.liquidations import Judge
from seawall.keeper.runner import Keeper, KeeperSettings
from seawall.keys import key_to_text
from seawall.service.keeping import EmbeddedPort
from seawall.service.runtime import Service
from seawall.service.settings import Settings
from support.money import ADMIN, ONE_SOL, ONE_USDC, SOL, USDC, MoneyVenue
from support.service import key_of, secret_of, with_keys
from support.venues import SOL_PERP, WholeVenue

KEEPER, RIVAL = "@keeper", "@rival"
"""Two keepers with means of their own."""

HOUR = 3_600


def troubled(rulebook: str, **options: Any) -> WholeVenue:
    """A venue with two keepers, Erin who is eight times long, and Frank who borrowed against SOL."""
    venue = WholeVenue(insured=True, rulebook=rulebook, **options)
    # who takes over a loss for quote asks no premium: otherwise Velocity finds that it would not help
    venue.ok(UpdateSpotMarketLiquidationFee(market_index=USDC, liquidator_fee=0, if_liquidation_fee=0))
    for name, market, amount in (
        (KEEPER, USDC, 200_000 * ONE_USDC), (RIVAL, USDC, 200_000 * ONE_USDC), ("@erin", USDC, 1_000 * ONE_USDC),
        ("@frank", SOL, 10 * ONE_SOL),
    ):  # fmt: skip
        venue.ok(FundWallet(authority=name, market_index=market, amount=amount))
        venue.ok(InitializeUser(user=name), name)
        venue.ok(Deposit(user=name, market_index=market, amount=amount), name)
    order(venue, "@erin", "Long", 80)
    order(venue, "@alice", "Short", 40)
    venue.ok(Withdraw(user="@frank", market_index=USDC, amount=700 * ONE_USDC), "@frank")
    return venue


def order_of(user: str, direction: str, base: int) -> PlaceAndTakePerpOrder:
    """An order that takes whole SOL-PERP from the AMM."""
    return PlaceAndTakePerpOrder(
        user=user, market_index=SOL_PERP, direction=direction, base_asset_amount=base * 10**9,  # type: ignore[arg-type]
        immediate_or_cancel=True, fills=[AmmFill()],
    )  # fmt: skip


def order(venue: WholeVenue, user: str, direction: str, base: int) -> None:
    """Take whole SOL-PERP from the AMM, before the venue is put into a file."""
    assert venue.ok(order_of(user, direction, base)).events


class Stage:
    """A service over a venue in a file; the test moves its clock."""

    def __init__(self, service: Service, now: list[int]) -> None:
        self.service = service
        self.began = service.venue.sequence
        self._now = now

    @property
    def now(self) -> int:
        """The time."""
        return self._now[0]

    def at(self, unix_timestamp: int) -> None:
        """Set the time."""
        self._now[0] = unix_timestamp

    def do(self, instruction: Instruction, label: str = ADMIN) -> Receipt:
        """Somebody does something, which must succeed."""
        (request,) = with_keys([Request(instruction, label, Clock.at(self.now))])
        receipt = self.service.submit(request.instruction, request.signer).result(30)
        assert receipt.ok, receipt.refusal
        return receipt

    def post(self, oracle: str, price: int) -> None:
        """A new price (whole units of quote)."""
        self.do(PostOraclePrice(oracle=oracle, price=price * 10**6, conf=1_000))

    def keeper(self, label: str = KEEPER, **settings: Any) -> Keeper:
        """A keeper in this process that signs with a key."""
        return Keeper(
            EmbeddedPort(self.service, secret_of(label), ""), KeeperSettings(**{"settle_every": 0, **settings})
        )

    def receipts(self, label: str = KEEPER, after: int | None = None) -> list[Receipt]:
        """What somebody sent since the service runs (or after an instruction), carried out or refused."""
        entries, key = self.service.venue.journal.entries(self.began if after is None else after), key_of(label)
        found = (self.service.venue.receipt(entry.sequence) for entry in entries if entry.signer == key)
        return [receipt for receipt in found if receipt is not None]

    def in_trouble(self) -> list[str]:
        """Accounts that can be liquidated or are bankrupt, judged one by one."""

        def question(store: Any, tip: Any) -> list[str]:
            judge = Judge(store, self.service.time_at(tip))
            users = [store.users.read(row) for row in range(store.users.count)]
            return [
                f"{key_to_text(user.authority)}/{user.sub_account_id}"
                for user in users if judge.scopes(user) or judge.bankrupt_scopes(user)
            ]  # fmt: skip

        return self.service.look(question)


@contextmanager
def stage(path: Path, venue: WholeVenue) -> Iterator[Stage]:
    """Put a venue into a file and run it, its people with keys, from a minute after its last instruction."""
    file = path / "venue.seawall"
    with Venue.open(file) as target:
        for receipt in target.apply_many(with_keys(venue.asked)):
            assert receipt.ok, receipt.refusal
    now = [venue.now + 60]
    with Service(Settings(location=str(file)), lambda: now[0]) as service:
        yield Stage(service, now)


@contextmanager
def stage_over(venue: MoneyVenue) -> Iterator[Stage]:
    """Run a venue in memory whose state a test has made up, a second after its last instruction."""
    held = Venue()
    tables: dict[str, tuple[int, Any]] = {
        table.name: (table.count, b"".join(bytes(part) for part in table.segments()))
        for table in venue.machine.store.tables
    }
    held.store.load(tables)
    now = [venue.now + 1]
    with Service.over(held, Settings(location="memory", dev=True), lambda: now[0]) as service:
        yield Stage(service, now)
