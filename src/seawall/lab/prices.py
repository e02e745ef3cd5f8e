"""Price series: oracle rounds as (unix seconds, price in 1e6)."""

from collections.abc import Iterator
from csv import DictReader
from importlib.resources import files
from typing import NamedTuple

AVAX_LUNA_WEEK = "avax_usd_2022-05-07_14.csv"
"""AVAX/USD, 7 to 14 May 2022; source and licence in ``seawall/data/README.md``."""


LUNA_CRASH = "luna_usd_2022-05_1min.csv"
"""LUNA/USD, 9 to 11 May 2022, by the minute; source in ``seawall/data/README.md``."""


class Round(NamedTuple):
    """One oracle round: when, and the price (1e6)."""

    unix_timestamp: int
    price: int


def price_from_text(text: str) -> int:
    """A decimal price as an integer in 1e6, digits beyond the sixth cut off; no float is involved."""
    whole, _, fraction = text.partition(".")
    return int(whole) * 1_000_000 + int(fraction[:6].ljust(6, "0") or 0)


def bundled_rounds(name: str) -> Iterator[Round]:
    """The rounds of a series that comes with the package, in order of time."""
    with files("seawall").joinpath("data", name).open(encoding="utf-8") as file:
        for row in DictReader(file):
            yield Round(int(row["unix_timestamp"]), price_from_text(row["price"]))
