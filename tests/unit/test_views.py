"""The index beside the journal: flows of stakes, and receipts between two times."""

import pytest

from seawall.engine.machine import Request
from seawall.engine.receipts import Clock
from seawall.engine.venue import Venue
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit
from seawall.instructions.insurance import AddInsuranceFundStake, InitializeInsuranceFundStake
from seawall.service.views import OUTSIDE, Flow, Views
from tests.support.load import START, accounts, genesis


def indexed(*asked: tuple[Instruction, str, int]) -> Views:
    """The index of a venue with three accounts that then got these instructions, each some seconds after the start."""
    venue = Venue()
    first = [Request(instruction, signer, Clock.at(START)) for instruction, signer in (*genesis(), *accounts(3))]
    later = [Request(instruction, signer, Clock.at(START + after)) for instruction, signer, after in asked]
    receipts = venue.apply_many([*first, *later])
    assert all(receipt.ok for receipt in receipts), [receipt.refusal for receipt in receipts if not receipt.ok]
    views = Views(venue.journal)
    views.catch_up(venue.sequence)
    return views


def test_regr_a_stake_is_a_flow_into_the_insurance_fund() -> None:
    """A stake moves nothing on the collateral vault; it used to be missing from the flows."""
    views = indexed(
        (InitializeInsuranceFundStake(authority="@u0", market_index=0), "@u0", 10),
        (AddInsuranceFundStake(authority="@u0", market_index=0, amount=5_000_000), "@u0", 20),
    )
    flows = views.flows(0, START, START + 100)
    assert Flow(OUTSIDE, "insurance_fund", "add_insurance_fund_stake", 5_000_000) in flows


def deposit(amount: int) -> Deposit:
    return Deposit(user="@u1", market_index=0, amount=amount)


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        (None, None, 3), (5, None, 3), (6, None, 2), (None, 5, 1), (None, 4, 0), (5, 9, 2), (6, 8, 0), (9, 9, 1),
        (99, None, 0),
    ],
)  # fmt: skip
def test_receipts_between_two_times_both_included(since: int | None, until: int | None, found: int) -> None:
    views = indexed((deposit(1), "@u1", 5), (deposit(2), "@u1", 9), (deposit(3), "@u1", 12))
    ends = {
        "since": START + 1 if since is None else START + since,
        "until": None if until is None else START + until,
    }
    for more in ({"account": "@u1/0"}, {"signer": "@u1"}, {"ix": "deposit"}, {}):
        rows = views.receipts(**ends, **more)  # type: ignore[arg-type]
        assert len(rows) == found, more
        assert [row.sequence for row in rows] == sorted((row.sequence for row in rows), reverse=True)


def test_the_last_instruction_at_or_before_a_time() -> None:
    views = indexed((deposit(1), "@u1", 5), (deposit(2), "@u1", 5), (deposit(3), "@u1", 9))
    assert views.last_at(START - 1) == 0
    assert views.last_at(START + 8) == views.sequence - 1
    assert views.last_at(START + 9) == views.last_at(1 << 62) == views.sequence
