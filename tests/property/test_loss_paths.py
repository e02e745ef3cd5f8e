"""Whatever is lost: the sources pay in order, no cap is exceeded, and every unit of the loss is somebody's."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.losses import BANKRUPT, LossVenue, source
from support.money import SOL, USDC
from support.trading import PERP

from seawall.audit.conservation import History, check_state
from seawall.engine.attribution import attribute
from seawall.engine.receipts import Receipt

amounts = st.one_of(st.integers(0, 50), st.integers(0, 10**6), st.sampled_from([0, 1, 2]))
FEW = settings(max_examples=40, deadline=None)


def check_receipt(venue: LossVenue, receipt: Receipt, before: tuple[str, int]) -> bool:
    """What holds of every attempt; whether it was carried out. ``before``: the root, and the insurance used so far."""
    root, used = before
    claim = venue.perp.insurance_claim
    if receipt.refusal is not None:
        assert venue.machine.store.root() == root
        assert receipt.refusal.message
        return False
    found = receipt.waterfall
    assert found is not None
    assert found.loss == found.paid + found.socialised + found.uncovered
    for one in found.sources:
        assert one.cap is not None and 0 <= one.paid <= one.cap.value
    insurance = source(found, "insurance_fund")
    if found.perp_market_index is not None:
        assert claim.quote_settled_insurance == used + insurance.paid <= claim.quote_max_insurance
    assert insurance.paid < max(insurance.held, 1)
    if found.socialised or found.uncovered:
        # nobody is asked while a source before could still pay
        for one in found.sources:
            assert one.cap is not None and one.paid == one.cap.value
    shares = attribute(venue.machine.store, found)
    assert sum(b.share for b in shares.bearers) + shares.index_rounding + shares.claims_rounding == found.socialised
    assert sum(b.share for b in shares.insurers) + shares.insurers_rounding == shares.insured == insurance.paid
    assert all(b.share >= 0 for b in [*shares.bearers, *shares.insurers])
    # rounded up per unit of base or of the index; each claim by itself loses or gains less than a unit
    assert shares.index_rounding <= 0
    assert abs(shares.claims_rounding) <= len(shares.bearers) and abs(shares.insurers_rounding) <= len(shares.insurers)
    moved = sum(leg.amount for leg in receipt.transfers if leg.market_index == found.market_index)
    kept = [c.amount for c in receipt.vaults if (c.market_index, c.vault) == (found.market_index, "spot_vault")]
    assert moved == sum(kept)
    assert check_state(venue.machine.store).findings == []
    history = History()
    history.add(receipt, venue.machine.store)
    assert history.findings == []
    return True


@FEW
@given(loss=st.integers(1, 10**6), vault=amounts, allowance=amounts, fees=amounts)
def test_a_perp_bankruptcy_is_paid_by_insurance_then_fees_then_everybody(
    loss: int, vault: int, allowance: int, fees: int
) -> None:
    """Insurance is drawn before the fee pool, that before anyone is socialised; paid + socialised is the loss."""
    venue = LossVenue()
    if vault:
        venue.insure("@staker", USDC, vault)
    venue.allow(allowance + 5, settled=5)
    venue.fill_fee_pool(fees)
    venue.owe_perp(loss)
    before = venue.machine.store.root(), 5
    assert check_receipt(venue, venue.resolve_perp(), before)
    # once is enough
    before = venue.machine.store.root(), venue.perp.insurance_claim.quote_settled_insurance
    assert not check_receipt(venue, venue.resolve_perp(), before)


@FEW
@given(
    loss=st.integers(1, 10**6),
    vault=amounts,
    deposits=st.lists(st.integers(1, 10**6), min_size=1, max_size=4),
    index=st.integers(10**9, 10**11),
)
def test_a_spot_bankruptcy_is_paid_by_insurance_then_every_deposit(
    loss: int, vault: int, deposits: list[int], index: int
) -> None:
    """Insurance first; the rest cuts every deposit; a loss above all deposits is refused and changes nothing."""
    venue = LossVenue(positions=False)
    venue.change_market(SOL, cumulative_deposit_interest=index)
    for number, amount in enumerate(deposits):
        venue.open(f"@d{number}")
        venue.deposit(f"@d{number}", SOL, amount)
    if vault:
        venue.insure("@staker", SOL, vault)
    venue.change_vaults(SOL, spot_vault=venue.vault(SOL) + loss)
    venue.owe_spot(SOL, loss)
    before = venue.machine.store.root(), 0
    carried_out = check_receipt(venue, venue.resolve_spot(SOL), before)
    if loss <= max(vault - 1, 0):
        assert carried_out
    if carried_out:
        assert venue.user(BANKRUPT).status == 0


@FEW
@given(
    excess=st.integers(-3, 10**6),
    period=amounts,
    lifetime=amounts,
    vault=amounts,
    pool=st.one_of(st.just(0), st.integers(0, 5_000)),
    earned=st.integers(-(10**6), 3),
)
def test_a_deficit_draws_within_every_cap_and_never_while_the_pool_can_pay(
    excess: int, period: int, lifetime: int, vault: int, pool: int, earned: int
) -> None:
    """A draw needs an AMM in the red, a pool without a token and an excess; no cap is exceeded, none is left unused."""
    venue = LossVenue(positions=False)
    if vault:
        venue.insure("@staker", USDC, vault)
    venue.owe_perp(-10_000 - excess, "@long")
    venue.change_perp(unrealized_pnl_max_imbalance=10_000, total_fee_minus_distributions=earned)
    venue.change_perp(**{"pnl_pool.scaled_balance": pool})
    venue.change_market(USDC, deposit_balance=venue.market(USDC).deposit_balance + pool)
    venue.change_vaults(USDC, spot_vault=venue.vault(USDC) + (pool + 999) // 1_000)
    venue.change_claim(
        max_revenue_withdraw_per_period=period, quote_max_insurance=lifetime + 9, quote_settled_insurance=9
    )
    before = venue.machine.store.root(), 9
    carried_out = check_receipt(venue, venue.resolve_deficit(), before)
    assert carried_out == (earned < 0 and pool < 1_000 and min(excess, period, lifetime, vault - 1) > 0)
    if carried_out:
        assert venue.perp.insurance_claim.revenue_withdraw_since_last_settle == min(excess, period, lifetime, vault - 1)
        assert venue.machine.store.perp_markets.objects[PERP].amm.total_fee_minus_distributions > earned
