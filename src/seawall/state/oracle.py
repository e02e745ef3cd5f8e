"""Oracle prices as instructions see them, and the oracle history that markets keep."""

from typing import Annotated

from seawall.records import Enumerated, Record, i64, name32, record, u32, u64
from seawall.state.enums import OracleValidity


@record
class HistoricalOracleData(Record):
    """What a market remembers of its oracle. Prices and TWAPs 1e6, delay in slots, ts in unix seconds."""

    last_oracle_price: i64
    last_oracle_conf: u64
    last_oracle_delay: i64
    last_oracle_price_twap: i64
    last_oracle_price_twap_5min: i64
    last_oracle_price_twap_ts: i64


@record
class Oracle(Record):
    """The last posted price of an oracle: price, conf and twap (the oracle's own ema) 1e6; slots as posted."""

    name: name32
    price: i64
    conf: u64
    valid_slot: u64
    twap: i64
    num: u32
    num_qt: u32


@record
class OraclePriceData(Record):
    """An oracle as one instruction sees it: price and confidence 1e6, delay in slots.

    ``validity`` is the class that the first question of the instruction got; every later question about the same
    oracle gets it back (``state/oracle_map.rs``). It starts at 0 (not judged) in every instruction.
    """

    price: i64
    confidence: u64
    delay: i64
    has_sufficient_number_of_data_points: bool
    validity: Annotated[int, Enumerated(OracleValidity)]
    twap: i64
