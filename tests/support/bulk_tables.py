"""Tables for bulk loops: the recorded base state of the P&L vectors, and as many random users as asked for."""

import random
from pathlib import Path
from typing import Any

from seawall.audit.parity.recorded import Recording
from seawall.audit.parity.replay import read_lines
from seawall.bulk.batch import Tables
from seawall.engine.transaction import price_data
from seawall.state.user import User

DATA = Path(__file__).resolve().parents[1] / "parity" / "data" / "vectors"
SLOT, NOW = 1_000, 1_700_000_000
ROOM = 10**20
"""What the markets' totals have above those recorded, so that random users fit in."""


def recorded_world() -> tuple[Recording, int, int]:
    """The base state of the P&L vectors, with the time and slot of the first vector."""
    lines = read_lines(DATA / "settle_pnl.jsonl.gz")
    recording = Recording(next(lines))
    vector = next(line for line in lines if line["kind"] == "vec")
    for name, post in vector["oracles"].items():
        for oracle in recording.store.oracles.objects:
            if oracle.name == name:
                oracle.price, oracle.conf, oracle.valid_slot = (int(post[k]) for k in ("price", "conf", "valid_slot"))
                oracle.twap, oracle.num, oracle.num_qt = (int(post[k]) for k in ("twap", "num", "num_qt"))
    clock = vector["clock"]
    return recording, int(clock["unix_timestamp"]), int(clock["slot"])


def random_user(rng: random.Random, spot: list[Any], perp: list[Any], positions: int) -> User:
    """A user with ``positions`` spot and perp positions; one in three is broke, deleted, bankrupt or without."""
    user = User()
    user.authority = rng.randbytes(32)
    user.address = rng.randbytes(32)
    for i in range(positions):
        slot = user.spot_positions[i]
        slot.market_index = i % len(spot)
        slot.scaled_balance = rng.randrange(1, 10**13)
        slot.balance_type = int(rng.random() < 0.2 and i > 0)
        at = user.perp_positions[i]
        at.market_index = i % len(perp)
        step = perp[at.market_index].amm.order_step_size
        at.base_asset_amount = rng.randrange(-1_000, 1_000) * step
        at.quote_asset_amount = -at.base_asset_amount * rng.randrange(90, 110) // 1_000
        at.quote_entry_amount = at.quote_break_even_amount = at.quote_asset_amount
        at.last_cumulative_funding_rate = rng.choice((0, perp[at.market_index].amm.cumulative_funding_rate_long))
    fate = rng.random()
    if fate < 0.08:
        user.status = 128
    elif fate < 0.16:
        user.status = 2
    elif fate < 0.24:
        for at in user.perp_positions:
            at.base_asset_amount = at.quote_asset_amount = 0
    elif fate < 0.36:
        user.spot_positions[0].balance_type = 1
    elif fate < 0.37:
        user.perp_positions[0].quote_asset_amount = rng.choice((2**63 - 1, -(2**63)))
    return user


def random_tables(count: int, seed: int = 1, positions: int = 2, segments: int = 2) -> tuple[Tables, int, int]:
    """Tables with ``count`` random users in some segments; the time and slot to use them at."""
    recording, now, slot = recorded_world()
    rng = random.Random(seed)
    spot = [m.copy() for m in recording.store.spot_markets.objects]
    perp = [m.copy() for m in recording.store.perp_markets.objects]
    for market in spot:
        market.deposit_balance += ROOM
        market.borrow_balance += ROOM // 10
    for contract in perp:
        contract.amm.base_asset_amount_long += ROOM
        contract.amm.base_asset_amount_short -= ROOM
        contract.amm.quote_asset_amount -= ROOM // 1_000
        contract.amm.cumulative_funding_rate_long += 10**6
        contract.number_of_users = contract.number_of_users_with_base = count + 10
    spot[0].deposit_balance += ROOM
    perp[0].pnl_pool.scaled_balance += 10**15
    oracles = [price_data(o, i, slot) for i, o in enumerate(recording.store.oracles.objects)]
    rows = [random_user(rng, spot, perp, positions).pack() for _ in range(count)]
    each = -(-count // segments)
    return (
        Tables(
            users=[bytearray(b"".join(rows[i : i + each])) for i in range(0, count, each)],
            spot_markets=bytearray(b"".join(m.pack() for m in spot)),
            perp_markets=bytearray(b"".join(m.pack() for m in perp)),
            oracles=bytearray(b"".join(o.pack() for o in oracles)),
            state=bytearray(recording.store.state.objects[0].pack()),
        ),
        now,
        slot,
    )
