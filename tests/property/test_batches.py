"""A batch is its single instructions, and both lanes are the same."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from support.batches import BTC_PERP, KEEPER, SOL_PERP, after, clone, crowded, execute, one_by_one, told

from seawall.audit.conservation import check_state
from seawall.bulk import available, unavailable_reason
from seawall.engine.handlers.batches import Batch
from seawall.engine.machine import Machine
from seawall.engine.receipts import encode_receipt
from seawall.instructions.batches import SettleExpiredBatch, SettleFundingBatch, SettlePnlBatch

COUNT = 300
EXPIRED = BTC_PERP
KINDS: dict[str, Batch] = {
    "pnl": SettlePnlBatch(market_index=SOL_PERP),
    "pnl where the curve moves": SettlePnlBatch(market_index=BTC_PERP),
    "expired": SettleExpiredBatch(market_index=EXPIRED),
    "funding": SettleFundingBatch(),
}
needs_compiler = pytest.mark.skipif(not available(), reason=str(unavailable_reason()))


@cache
def base(expired: bool) -> Machine:
    """The crowd that all tests start from."""
    return crowded(COUNT, expired=EXPIRED if expired else None)


def start(kind: str) -> Machine:
    """The crowd for a kind of batch."""
    return base(kind == "expired")


NAMES = [f"@u{number}" for number in range(COUNT)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_single_instructions(kind: str) -> None:
    """The state root after a batch is that after single instructions of the same signer at the same time, in order;
    every account has the same error, or settles the same amount. Some fail, the keeper's own accounts are among them,
    and afterwards every token is where the totals say."""
    ix = KINDS[kind]
    single, many = clone(start(kind)), clone(start(kind))
    expected = one_by_one(single, ix, NAMES)
    receipt = execute(many, ix, KEEPER, after())
    assert receipt.ok, receipt.refusal
    assert told(many.results) == expected
    assert many.store.root() == single.store.root()
    assert many.store.root() != start(kind).store.root()
    assert {became.error for became in expected} > {None, "UserNotFound"} or kind == "funding"
    assert check_state(many.store).findings == check_state(start(kind).store).findings == []


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_both_lanes_give_the_same_bytes(kind: str) -> None:
    """Receipt, results, effects and state root do not tell which lane did it."""
    exact, bulk = clone(start(kind)), clone(start(kind), "bulk")
    receipts = [execute(machine, KINDS[kind], KEEPER, after()) for machine in (exact, bulk)]
    assert encode_receipt(receipts[0]) == encode_receipt(receipts[1])
    assert exact.results == bulk.results
    assert exact.effects == bulk.effects
    assert exact.store.root() == bulk.store.root()


@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    numbers=st.lists(st.integers(0, COUNT + 5), min_size=1, max_size=25, unique=True),
)
def test_whatever_the_order(kind: str, numbers: list[int]) -> None:
    """Accounts are settled in the order in which they are listed, also those that do not exist; what the earlier ones
    leave in the pools the later ones find there."""
    users = [f"@u{number}" for number in numbers]
    ix = KINDS[kind]
    single, many = clone(start(kind)), clone(start(kind))
    expected = one_by_one(single, ix, users)
    given = {} if isinstance(ix, SettleFundingBatch) else {"market_index": ix.market_index}
    receipt = execute(many, type(ix)(users=users, **given), KEEPER, after())
    assert receipt.ok, receipt.refusal
    assert told(many.results) == expected
    assert many.store.root() == single.store.root()


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, COUNT - 1), max_size=4, unique=True).map(sorted))
def test_however_it_is_cut(cuts: list[int]) -> None:
    """Ranges one after the other do what one batch over all of them does."""
    whole, cut = clone(base(False)), clone(base(False))
    assert execute(whole, SettlePnlBatch(market_index=SOL_PERP), KEEPER, after()).ok
    for first, end in zip([0, *cuts], [*cuts, COUNT], strict=True):
        ix = SettlePnlBatch(market_index=SOL_PERP, first=first, count=end - first)
        assert execute(cut, ix, KEEPER, after()).ok
    assert cut.store.root() == whole.store.root()
