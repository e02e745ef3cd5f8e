"""A Drift venue becomes a Velocity venue in the middle of its history, and nobody's claim changes."""

import re
from pathlib import Path

import pytest
from support.money import ADMIN, ETH, ONE_USDC, SOL, USDC
from support.venues import ALICE, MALLORY, SOL_PERP, WholeVenue
from support.venues import small_tables as small_tables
from typer.testing import CliRunner

from seawall.audit.replay import replay_venue
from seawall.cli import app
from seawall.engine.claims import claims
from seawall.engine.machine import Machine
from seawall.engine.venue import Venue
from seawall.instructions.administration import UpdateSpotMarketIfFactor, UpdateSpotMarketPausedOperations
from seawall.instructions.amm import UpdateAmms
from seawall.instructions.deposits import Deposit, DepositIntoSpotMarketRevenuePool, Withdraw
from seawall.instructions.insurance import AddInsuranceFundStake, DepositIntoInsuranceFund
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.migration import MigrateToVelocity
from seawall.instructions.protocol_fees import SweepPerpMarketFees
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.lab.flows import Flows
from seawall.lab.luna_week import LunaWeek


@pytest.fixture
def venue() -> WholeVenue:
    """A Drift venue whose insurance fund belongs to Alice and, for shares of its own, to the protocol."""
    made = WholeVenue(insured=True)
    made.ok(AddInsuranceFundStake(authority=ALICE, market_index=USDC, amount=1_000 * ONE_USDC), ALICE)
    made.ok(DepositIntoSpotMarketRevenuePool(authority=ALICE, market_index=USDC, amount=700 * ONE_USDC), ALICE)
    made.wait(7_200)
    for market in (USDC, SOL, ETH):
        made.ok(UpdateSpotMarketCumulativeInterest(market_index=market))
    made.ok(SettleRevenueToInsuranceFund(spot_market_index=USDC))
    return made


def amounts(machine: Machine) -> dict[tuple[int, str], int]:
    """Every kind of claim with what it amounts to, without those of nothing."""
    return {(claim.market_index, claim.kind): claim.amount for claim in claims(machine.store) if claim.amount}


def test_with_ballast_no_claim_changes_at_all(venue: WholeVenue) -> None:
    before = amounts(venue.machine)
    shares = venue.machine.store.spot_markets.objects[USDC].insurance_fund
    owned = (shares.total_shares, shares.user_shares)
    venue.ok(MigrateToVelocity())
    assert amounts(venue.machine) == before
    after = venue.machine.store.spot_markets.objects[USDC].insurance_fund
    assert (after.total_shares, after.user_shares) == owned
    assert after.total_shares > after.user_shares


@pytest.mark.parametrize("pool", ["revenue_pool", "protocol_fee_pool"])
def test_paid_out_shares_move_to_the_pool_to_the_unit(venue: WholeVenue, pool: str) -> None:
    before = amounts(venue.machine)
    kind = pool.replace("_", " ")
    venue.ok(MigrateToVelocity(protocol_if_shares=pool))  # type: ignore[arg-type]
    after = amounts(venue.machine)
    gained = after[USDC, kind] - before.get((USDC, kind), 0)
    # the pool's credit and the claim that the shares were are each rounded down
    assert (
        0 < before[USDC, "insurance fund, the rest"] - gained <= 2 or gained == before[USDC, "insurance fund, the rest"]
    )
    fund = venue.machine.store.spot_markets.objects[USDC].insurance_fund
    assert fund.total_shares == fund.user_shares
    untouched = {at for at in before if "insurance" not in at[1] and at != (USDC, kind)}
    assert {at: after[at] for at in untouched} == {at: before[at] for at in untouched}


def test_factors_pause_bits_and_keys_carry_over(venue: WholeVenue) -> None:
    venue.ok(UpdateSpotMarketIfFactor(spot_market_index=SOL, user_if_factor=0, total_if_factor=1_000_000))
    venue.ok(UpdateSpotMarketPausedOperations(market_index=ETH, paused_operations=1 + 4 + 8))
    venue.ok(MigrateToVelocity(amm_fee_numerator=25, if_fee_numerator=50))
    store = venue.machine.store
    state = store.state.objects[0]
    assert state.cold_admin == state.warm_admin != bytes(32) == state.admin
    assert (state.perp_fee_structure.amm_fee_numerator, state.perp_fee_structure.if_fee_numerator) == (25, 50)
    assert store.spot_markets.objects[USDC].insurance_fund.if_fee_factor == 200_000
    assert store.spot_markets.objects[SOL].insurance_fund.if_fee_factor == 999_999
    assert store.spot_markets.objects[ETH].paused_operations == 1 + 8 + 16
    perp = store.perp_markets.objects[SOL_PERP]
    assert perp.fee_ledger.amm_protocol_fees_received == 500 * ONE_USDC
    assert store.config.objects[0].rulebook == "velocity"


def test_the_venue_goes_on_under_the_other_rulebook(venue: WholeVenue) -> None:
    assert venue.refused(SweepPerpMarketFees(market_index=SOL_PERP)) == "UnsupportedInstruction"
    venue.ok(MigrateToVelocity())
    venue.ok(UpdateAmms(market_indexes=[SOL_PERP]))
    venue.ok(SweepPerpMarketFees(market_index=SOL_PERP))
    venue.ok(Deposit(user=ALICE, market_index=USDC, amount=ONE_USDC), ALICE)
    venue.ok(Withdraw(user=ALICE, market_index=USDC, amount=ONE_USDC), ALICE)
    venue.ok(DepositIntoInsuranceFund(authority=ALICE, market_index=USDC, amount=ONE_USDC), ALICE)
    assert venue.refused(MigrateToVelocity()) == "UnsupportedInstruction"


@pytest.mark.parametrize(
    ("instruction", "signer", "error"),
    [
        (MigrateToVelocity(), MALLORY, "Unauthorized"),
        (MigrateToVelocity(amm_fee_numerator=60, if_fee_numerator=41), ADMIN, "InvalidFeeStructure"),
    ],
)
def test_a_refused_migration_changes_nothing(
    venue: WholeVenue, instruction: MigrateToVelocity, signer: str, error: str
) -> None:
    before = venue.machine.store.root()
    assert venue.refused(instruction, signer) == error
    assert venue.machine.store.root() == before


def test_a_migrated_venue_is_found_again_and_audited(tmp_path: Path) -> None:
    """Days of the LUNA week under Drift, the migration by the command, days under Velocity, then closed and audited."""
    path = tmp_path / "week.seawall"
    week, flows = LunaWeek(), Flows()
    with Venue.open(path) as stored:
        flows.apply(stored, [week.genesis()])
        for number in range(120):
            flows.apply(stored, week.round(stored, number))
        at = stored.tip.unix_timestamp
    run = CliRunner().invoke(app, ["migrate", str(path), "--at", str(at)])
    assert run.exit_code == 0, run.output
    for before, after in re.findall(r"│\s+(-?[\d,.]+) │\s+(-?[\d,.]+) │", run.output):
        assert before == after
    assert "follows the rulebook velocity" in run.output
    week.rulebook = "velocity"
    with Venue.open(path) as stored:
        assert stored.store.config.objects[0].rulebook == "velocity"
        for number in range(120, 200):
            flows.apply(stored, week.round(stored, number))
        assert flows.carried_out["sweep_perp_market_fees"] > 0
        root = stored.root()
    done = replay_venue(path)
    assert not done.findings and done.root == root


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["migrate", str(tmp_path / "none")])
    assert run.exit_code == 2 and "there is no venue" in run.output
    path = tmp_path / "v"
    with Venue.open(path):
        pass
    run = CliRunner().invoke(app, ["migrate", str(path)])
    assert run.exit_code == 2 and "the venue is empty" in run.output
    path = tmp_path / "w"
    with Venue.open(path) as stored:
        Flows().apply(stored, [LunaWeek().genesis()])
    run = CliRunner().invoke(app, ["migrate", str(path), "--signer", "@mallory"])
    assert run.exit_code == 1 and "Unauthorized" in run.output
    run = CliRunner().invoke(app, ["migrate", str(path), "--dry-run"])
    assert run.exit_code == 0 and "nothing has changed" in run.output
