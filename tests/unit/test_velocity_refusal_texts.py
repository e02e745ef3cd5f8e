"""Refusals of a Velocity venue tell the numbers and what would pass."""

import pytest
from support.money import ADMIN, ETH, ONE_USDC, SOL, USDC
from support.venues import ALICE, BOB, CAROL, DAVE, DESK, ETH_PERP, MALLORY, ONE_BASE, SOL_PERP, WholeVenue
from support.venues import small_tables as small_tables

from seawall.engine.receipts import Refusal
from seawall.instructions.administration import UpdateExchangeStatus
from seawall.instructions.associated_spot import ResolveWithAssociatedSpot, UpdatePerpMarketAssociatedSpot
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, DepositIntoSpotMarketVault, Withdraw
from seawall.instructions.isolated import DepositIntoIsolatedPerpPosition, TransferIsolatedPerpPositionDeposit
from seawall.instructions.liquidation import LiquidatePerpPnlForDeposit
from seawall.instructions.perp_fills import AmmFill, MatchFill, PlaceAndTakePerpOrder, ReservePerpOrder
from seawall.instructions.pnl import SettlePnl


@pytest.fixture
def venue() -> WholeVenue:
    """A Velocity venue with money in it."""
    return WholeVenue(insured=True, rulebook="velocity", associated_spot_backstop=True)


def refusal(venue: WholeVenue, instruction: Instruction, signer: str) -> Refusal:
    """Why an instruction was refused."""
    said = venue.do(instruction, signer).refusal
    assert said is not None
    return said


def take(user: str, market: int, base: int, **more: object) -> PlaceAndTakePerpOrder:
    return PlaceAndTakePerpOrder(
        user=user, market_index=market, direction="Long", base_asset_amount=base, immediate_or_cancel=True,
        fills=[AmmFill()], **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_regr_only_positions_that_exist_are_listed(venue: WholeVenue) -> None:
    """Empty rows bear the number 0 and are no positions in market 0."""
    venue.ok(take(BOB, SOL_PERP, ONE_BASE), BOB)
    liquidation = LiquidatePerpPnlForDeposit(
        user=BOB, liquidator=DAVE, perp_market_index=ETH_PERP, spot_market_index=USDC, liquidator_max_pnl_transfer=1
    )
    for instruction in (SettlePnl(user=BOB, market_index=ETH_PERP), liquidation):
        said = refusal(venue, instruction, DAVE)
        assert (said.error, "only in perp markets [0]" in said.message) == ("UserHasNoPositionInMarket", True)


def test_a_pause_names_the_byte_and_its_bits(venue: WholeVenue) -> None:
    venue.ok(UpdateExchangeStatus(exchange_status=1 + 32))
    said = refusal(venue, Deposit(user=ALICE, market_index=USDC, amount=1), ALICE)
    assert said.message == "exchange_status is 33: the pause bits 1 are set"
    assert said.would_pass == "the same after update_exchange_status without the bits 1"


def test_roundings_that_raise_net_deposits_are_told(venue: WholeVenue) -> None:
    """Paying back a whole debt of quote from isolated collateral may count for a token more than it was."""
    venue.ok(Withdraw(user=CAROL, market_index=USDC, amount=10 * ONE_USDC), CAROL)
    at = {"user": CAROL, "perp_market_index": SOL_PERP}
    venue.ok(DepositIntoIsolatedPerpPosition(**at, amount=10 * ONE_USDC), CAROL)
    said = refusal(venue, TransferIsolatedPerpPositionDeposit(**at, amount=-10 * ONE_USDC), CAROL)
    assert said.error == "MathError"
    assert said.message.startswith("roundings would raise the deposits less the borrows of spot market 0 from ")
    assert said.would_pass
    said = refusal(venue, TransferIsolatedPerpPositionDeposit(**at, amount=0), CAROL)
    assert (said.message, said.would_pass) == ("the amount is 0", "an amount other than 0")


def test_a_fill_beyond_the_bands_tells_price_and_average(venue: WholeVenue) -> None:
    order = {"market_index": ETH_PERP, "base_asset_amount": ONE_BASE}
    venue.ok(ReservePerpOrder(user=CAROL, direction="Short", **order), CAROL)
    fills: list[AmmFill | MatchFill] = [MatchFill(maker=CAROL, price=2_600_000_000, base_asset_amount=ONE_BASE)]
    limit = {"price": 2_700_000_000, "order_type": "Limit"}
    said = refusal(venue, PlaceAndTakePerpOrder(user=ALICE, direction="Long", fills=fills, **order, **limit), ADMIN)
    assert said.error == "PriceBandsBreached"
    assert "an oracle price of 2000000000 and a 5-minute TWAP of 2000000000" in said.message
    assert "update_amms" in said.would_pass


def test_a_gift_that_no_index_can_show_says_so(venue: WholeVenue) -> None:
    said = refusal(venue, DepositIntoSpotMarketVault(market_index=ETH, amount=0), DESK)
    assert said.would_pass == "an amount that raises the deposit index 10000000000 (1e10) of spot market 2"


def test_a_builders_fee_names_the_field_that_may_be_lower(venue: WholeVenue) -> None:
    said = refusal(venue, take(ALICE, SOL_PERP, ONE_BASE, builder=DAVE, builder_fee_tenth_bps=51), ALICE)
    assert (said.error, said.would_pass) == ("InvalidBuilderFee", "builder_fee_tenth_bps up to 50")


def test_a_vault_that_would_be_short_tells_by_how_much(venue: WholeVenue) -> None:
    """A vault from which tokens were lost refuses every deposit, and says what is missing."""
    store = venue.machine.store.vaults
    held = store.objects[SOL].copy()
    held.spot_vault -= 7
    venue._store("vaults", SOL, held)
    receipt = venue.attempt(Deposit(user=BOB, market_index=SOL, amount=5), BOB)
    assert receipt.refusal is not None and receipt.refusal.error == "SpotMarketVaultInvariantViolated"
    assert receipt.refusal.message.endswith(": 7 short")
    assert receipt.limits[0].name == "spot_vault"


def test_nobody_is_asked_for_up_to_nothing(venue: WholeVenue) -> None:
    """A backstop without a market says so; see ``test_associated_spot`` for what it may draw."""
    ix = ResolveWithAssociatedSpot(perp_market_index=SOL_PERP, token_amount=1, quote_amount=1)
    said = refusal(venue, ix, ADMIN)
    assert said.error == "AssociatedSpotNotSet" and "update_perp_market_associated_spot" in said.would_pass
    assert refusal(venue, UpdatePerpMarketAssociatedSpot(
        perp_market_index=SOL_PERP, spot_market_index=SOL, max_withdraw_per_period=1, period=0
    ), ADMIN).would_pass == "both markets have been active, and period > 0"  # fmt: skip
    assert refusal(venue, ix, MALLORY).error == "Unauthorized"
