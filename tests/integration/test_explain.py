"""``seawall explain``: a borrower goes bankrupt in a stored venue, and everybody can see who paid."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from support.money import ONE_SOL, ONE_USDC, SOL, USDC, MoneyVenue
from support.velocity_losses import OTHER, VelocityLossVenue
from typer.testing import CliRunner

from seawall import Venue
from seawall.audit.replay import replay_venue
from seawall.cli import app
from seawall.cli.explain import print_waterfall
from seawall.engine.attribution import attribute
from seawall.engine.receipts import Receipt
from seawall.instructions.administration import UpdateInitialPctToLiquidate
from seawall.instructions.base import Instruction
from seawall.instructions.insurance import AddInsuranceFundStake, InitializeInsuranceFundStake
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.liquidation import LiquidateSpot
from seawall.instructions.solvency import ResolveSpotBankruptcy
from seawall.instructions.venue_setup import PostOraclePrice


class StoredVenue(MoneyVenue):
    """``MoneyVenue`` in a database."""

    def __init__(self, path: Path) -> None:
        self.stored = Venue.open(path)
        super().__init__()

    def do(self, instruction: Instruction, signer: str = "@admin") -> Receipt:
        """Apply an instruction; its receipt is durable."""
        return self.stored.apply(instruction, signer, self.clock)


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, dict[str, int]]:
    """A venue in which @borrower borrowed 3 of 20 SOL against 1,000 USDC, and SOL then rose from 100 to 880.

    Its path, and the sequence numbers of the resolution and of a refusal.
    """
    path = tmp_path / "venue.seawall"
    venue = StoredVenue(path)
    with venue.stored:
        venue.open("@a", "@b", "@borrower", "@liquidator", "@staker")
        for name, market, tokens in (
            ("@a", SOL, 12 * ONE_SOL), ("@b", SOL, 8 * ONE_SOL), ("@borrower", USDC, 1_000 * ONE_USDC),
            ("@liquidator", USDC, 10**6 * ONE_USDC),
        ):  # fmt: skip
            assert venue.deposit(name, market, tokens).ok
        venue.ok(InitializeInsuranceFundStake(authority="@staker", market_index=SOL), "@staker")
        venue.ok(AddInsuranceFundStake(authority="@staker", market_index=SOL, amount=ONE_SOL), "@staker")
        venue.ok(UpdateInitialPctToLiquidate(initial_pct_to_liquidate=10_000))
        assert venue.withdraw("@borrower", SOL, 3 * ONE_SOL).ok
        resolve = ResolveSpotBankruptcy(user="@borrower", liquidator="@liquidator", market_index=SOL)
        refused = venue.do(resolve, "@liquidator")
        for price in range(130, 900, 30):
            venue.now += 3_600
            venue.ok(PostOraclePrice(oracle="SOL", price=price * 10**6))
            venue.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL))
        liquidation = LiquidateSpot(
            user="@borrower", liquidator="@liquidator", asset_market_index=USDC, liability_market_index=SOL,
            liquidator_max_liability_transfer=5 * ONE_SOL,
        )  # fmt: skip
        venue.ok(liquidation, "@liquidator")
        resolved = venue.ok(resolve, "@liquidator")
        venue.ok(PostOraclePrice(oracle="SOL", price=10**8))
    return path, {"refused": refused.sequence, "resolved": resolved.sequence}


def test_the_waterfall_for_people(stored: tuple[Path, dict[str, int]]) -> None:
    path, at = stored
    result = CliRunner().invoke(app, ["explain", str(path), str(at["resolved"])], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    for text in ("resolve_spot_bankruptcy", "A borrow that its owner cannot repay", "insurance_fund", "socialised"):
        assert text in result.output
    assert "0.999999999" in result.output and "every deposit" in result.output


def test_the_complete_form_sums_to_the_loss(stored: tuple[Path, dict[str, int]]) -> None:
    path, at = stored
    result = CliRunner().invoke(app, ["explain", str(path), str(at["resolved"]), "--json"])
    told = json.loads(result.output)
    waterfall, shares = told["receipt"]["waterfall"], told["attribution"]
    paid = sum(source["paid"] for source in waterfall["sources"])
    assert paid == ONE_SOL - 1
    assert paid + waterfall["socialised"] == waterfall["loss"] > ONE_SOL
    bearers = [share for _, _, share in shares["bearers"]]
    assert len(bearers) == 2 and bearers[0] * 2 in range(bearers[1] * 3 - 3, bearers[1] * 3 + 4)  # 12 SOL and 8 SOL
    assert sum(bearers) + shares["index_rounding"] + shares["claims_rounding"] == waterfall["socialised"]
    assert sum(share for _, _, share in shares["insurers"]) + shares["insurers_rounding"] == paid
    with Venue.open(path, read_only=True) as venue:
        receipt = venue.receipt(at["resolved"])
        assert receipt is not None and receipt.waterfall is not None
        assert receipt.waterfall.loss == waterfall["loss"]


def test_an_estate_is_told_before_the_sources() -> None:
    """Velocity: what was recovered, set off and forfeited, then who paid; and what ended without a loss."""
    venue = VelocityLossVenue()
    venue.owe_perp(1_000)
    venue.claim(300)
    venue.fund("pnl_pool", 100, OTHER)
    told = drawn(venue, venue.resolve_perp())
    for text in (
        "the estate: 0.000100 USDC recovered", "perp_market.1.pnl_pool → user.", "0.000100 USDC of its deposit set off",
        "0.000200 USDC of a claim that no pool could", "1. perp_market.0.pending_if_fee", "4. perp_market.0.fee_pool",
        "5. every open position bears 0.000900",
    ):  # fmt: skip
        assert text in told
    venue = VelocityLossVenue()
    venue.owe_perp(100)
    venue.deposit("@bankrupt", SOL, ONE_SOL)
    venue.latch()
    told = drawn(venue, venue.resolve_perp())
    assert "Nothing is lost in perp market 0" in told and "no longer bankrupt" in told and "Waterfall" not in told


def drawn(venue: VelocityLossVenue, receipt: Receipt) -> str:
    """What ``explain`` prints of a receipt's waterfall."""
    assert receipt.waterfall is not None
    console = Console(width=200, record=True, file=StringIO())
    store = venue.machine.store
    print_waterfall(console, store, receipt.waterfall, attribute(store, receipt.waterfall), 0)
    return console.export_text()


def test_what_is_no_loss_says_so(stored: tuple[Path, dict[str, int]]) -> None:
    path, at = stored
    runner = CliRunner()
    refused = runner.invoke(app, ["explain", str(path), str(at["refused"])], env={"COLUMNS": "200"})
    assert refused.exit_code == 0 and "UserNotBankrupt" in refused.output
    assert "still has a deposit in spot market 0" in refused.output
    assert "no loss was resolved here" in runner.invoke(app, ["explain", str(path), "2"]).output
    beyond = runner.invoke(app, ["explain", str(path), "999"])
    assert beyond.exit_code == 2 and "there is no instruction 999" in beyond.output


def test_the_history_is_accounted_for(stored: tuple[Path, dict[str, int]]) -> None:
    path, _ = stored
    done = replay_venue(path)
    assert done.findings == [] and done.reworded == []
