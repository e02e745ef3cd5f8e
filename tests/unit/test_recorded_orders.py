"""The order book that replays recorded order lines: prices of orders, and which orders a line meets."""

from pathlib import Path
from typing import Any

import pytest

from seawall.audit.parity.orders import Line, Matching, auction_prices, limit_price, open_orders, standardize_price
from seawall.audit.parity.recorded import Recording
from seawall.audit.parity.replay import read_lines
from seawall.audit.parity.translate import translate
from seawall.instructions.perp_fills import FillPerpOrder, MatchFill, PlaceAndTakePerpOrder, ReservePerpOrder

TRACES = Path(__file__).parents[1] / "parity" / "data" / "traces"
P = 10**6


def order(**fields: Any) -> dict[str, Any]:
    return {
        "direction": "Long", "base_asset_amount": "1000", "base_asset_amount_filled": "0", "price": "0",
        "oracle_price_offset": "0", "order_type": "Limit", "slot": "100", "auction_duration": "0",
        "auction_start_price": "0", "auction_end_price": "0",
    } | fields  # fmt: skip


@pytest.mark.parametrize(("direction", "price"), [("Long", 12_300), ("Short", 12_400)])
def test_prices_are_put_on_the_tick_in_favour_of_the_book(direction: str, price: int) -> None:
    assert standardize_price(12_345, 100, direction) == price
    assert standardize_price(12_300, 100, direction) == 12_300


AUCTION = {"auction_duration": "10", "auction_start_price": str(100 * P), "auction_end_price": str(102 * P)}


@pytest.mark.parametrize(
    ("fields", "slot", "at_end", "price"),
    [
        ({}, 100, False, 0),
        ({"price": "7000"}, 100, False, 7_000),
        ({"price": "7000"} | AUCTION, 100, False, 100 * P),
        ({"price": "7000"} | AUCTION, 105, False, 101 * P),
        ({"price": "7000"} | AUCTION, 110, False, 102 * P),
        ({"price": "7000"} | AUCTION, 111, False, 7_000),
        ({"price": "7000"} | AUCTION, 111, True, 102 * P),
        ({"oracle_price_offset": "-150"}, 100, False, 50 * P - 200),
        ({"oracle_price_offset": "-60000000"}, 100, False, 100),
        ({"order_type": "Oracle", "auction_end_price": "1000", "auction_duration": "10"}, 105, False, 50 * P + 500),
    ],
)
def test_the_limit_follows_the_auction_then_the_price(
    fields: dict[str, Any], slot: int, at_end: bool, price: int
) -> None:
    assert limit_price(order(**fields), slot, 50 * P, 100, at_end=at_end) == price


@pytest.mark.parametrize(
    ("direction", "limit", "expected"),
    [
        ("Long", 0, (100 * P, 100_500_000)),
        ("Long", 90 * P, (89_550_000, 90 * P)),
        ("Long", 100_200_000, (100 * P, 100_200_000)),
        ("Long", 200 * P, (100 * P, 100_500_000)),
        ("Short", 0, (100 * P, 99_500_000)),
        ("Short", 110 * P, (110_550_000, 110 * P)),
        ("Short", 99_800_000, (100 * P, 99_800_000)),
        ("Short", 1 * P, (100 * P, 99_500_000)),
    ],
)
def test_auctions_of_market_orders_start_at_the_oracle(direction: str, limit: int, expected: tuple[int, int]) -> None:
    params = {
        "order_type": "Market", "direction": direction, "price": str(limit), "auction_duration": None,
        "auction_start_price": None, "auction_end_price": None,
    }  # fmt: skip
    assert auction_prices(params, 10, 100 * P) == expected


# --- a recording with every kind of fill -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def translated() -> list[tuple[dict[str, Any], Any]]:
    """The order lines of the recording and the engine's instruction for each."""
    lines = read_lines(TRACES / "d7_fees_filler_referrer_tiers.jsonl.gz")
    recording = Recording(next(lines))
    return [
        (line, translate(recording, line))
        for line in lines
        if line["kind"] == "ix" and (line["ix"].endswith("_order") or line["ix"] == "cancel_orders")
    ]


def test_every_recorded_fill_is_handed_on(translated: list[tuple[dict[str, Any], Any]]) -> None:
    matches = 0
    for line, result in translated:
        recorded = [e for n, e in line["events"] if n == "OrderActionRecord" and e["action"] == "Fill"]
        if not recorded:
            continue
        instruction = result[0]
        assert isinstance(instruction, PlaceAndTakePerpOrder | FillPerpOrder)
        told = [f for f in instruction.fills if f.base_asset_amount]
        assert len(told) == len(recorded)
        for fill, event in zip(told, recorded, strict=True):
            assert isinstance(fill, MatchFill) == (event["maker"] is not None)
            matches += isinstance(fill, MatchFill)
            assert fill.base_asset_amount is not None
            assert fill.base_asset_amount >= int(event["base_asset_amount_filled"])
    assert matches > 10


def test_a_fill_of_an_unknown_order_is_nothing(translated: list[tuple[dict[str, Any], Any]]) -> None:
    (nothing,) = [line for line, result in translated if result is None]
    assert nothing["ix"] == "fill_perp_order" and not nothing["changed"]


def test_resting_orders_reserve_what_was_recorded(translated: list[tuple[dict[str, Any], Any]]) -> None:
    placed = [(line, result[0]) for line, result in translated if line["ix"] == "place_perp_order"]
    assert placed
    for line, instruction in placed:
        assert isinstance(instruction, ReservePerpOrder)
        assert instruction.base_asset_amount == int(line["args"]["params"]["base_asset_amount"])


def test_orders_of_the_same_slot_never_match() -> None:
    lines = read_lines(TRACES / "d7_fees_filler_referrer_tiers.jsonl.gz")
    recording = Recording(next(lines))
    for raw in lines:
        if raw["kind"] != "ix":
            continue
        if raw["ix"] == "place_and_take_perp_order" and raw["actors"]["makers"]:
            break
        translate(recording, raw)
    line = Line(recording, raw)
    placed = line.placed_order(raw["args"]["params"])
    assert placed is not None
    (maker,) = open_orders(recording, raw, raw["actors"]["makers"][0])
    assert len(Matching(line, placed, 0, 0).crossing()) == 1
    maker["slot"] = str(line.slot)
    assert Matching(line, placed, 0, 0).crossing() == []
