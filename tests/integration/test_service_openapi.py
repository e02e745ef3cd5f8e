"""Schemathesis asks the service everything that its OpenAPI document describes, and much that it does not."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.openapi import format as define_format
from support.service import Running, key_of, serving, whole_venue

from seawall.engine.venue import Venue
from seawall.instructions.base import instruction_types
from seawall.keys import base58
from seawall.service.app import create_app
from seawall.service.runtime import Service
from seawall.service.settings import Limits, Settings

PEOPLE = ["@admin", "@alice", "@bob", "@carol", "@dave", "@nobody"]
KEYS = [key_of(name) for name in PEOPLE]
WIDTHS = {f"{sign}{bits}": bits for sign in "iu" for bits in (8, 16, 32, 64, 128)}


def _define_formats() -> None:
    define_format("decimal", st.integers().map(str))
    define_format("u53", st.integers(0, (1 << 53) - 1).map(str))
    for name, bits in WIDTHS.items():
        # a record holds no u128 from 2^127 on
        top = 1 << (bits - 1 if name[0] == "i" or bits == 128 else bits)
        define_format(name, st.integers(-top if name[0] == "i" else 0, top - 1).map(str))
    keys = st.sampled_from(KEYS) | st.binary(min_size=32, max_size=32).map(base58)
    labels = st.sampled_from(PEOPLE) | st.text("abc-123", min_size=1).map("@{}".format)
    define_format("key", keys)
    define_format("key-or-label", keys | labels)
    define_format("account", st.tuples(keys | labels, st.integers(0, 3)).map(lambda pair: f"{pair[0]}/{pair[1]}"))
    define_format("signature", st.binary(min_size=64, max_size=64).map(base58))


_define_formats()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service in development mode over a whole venue."""
    path = tmp_path_factory.mktemp("openapi") / "venue.db"
    whole_venue(path)
    limits = Limits(rate=1_000_000, burst=1_000_000)
    with serving(Settings(location=str(path), dev=True, dashboard=False, limits=limits)) as found:
        yield found


def _document() -> dict[str, Any]:
    """The document of a service in development mode; it is the same for every venue."""
    service = Service.over(Venue(), Settings(location=":memory:", dev=True, dashboard=False))
    return create_app(service).openapi()


schema = schemathesis.openapi.from_dict(_document())


def test_every_instruction_is_a_post(running: Running) -> None:
    """The document has a POST for each instruction type, with an example and its refusals."""
    paths = httpx.get(f"{running.url}/openapi.json").json()["paths"]
    posts = {path.removeprefix("/v1/instructions/") for path, item in paths.items() if "post" in item}
    assert posts == set(instruction_types())
    for ix in posts:
        operation = paths[f"/v1/instructions/{ix}"]["post"]
        assert "signer" in operation["requestBody"]["content"]["application/json"]["example"]
        assert {"200", "400", "401", "403", "404", "409", "413", "429", "503"} <= set(operation["responses"])


YES = ("true", "1", "on", "yes", "t", "y")


@schema.parametrize()
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_schemathesis_finds_nothing(case: Any, running: Running) -> None:
    """No crash, no undescribed status, body or header; what is described passes, what is not is refused."""
    if case.operation.path == "/v1/stream":
        # the stream ends only for who does not wait
        query = dict(case.query or {})
        if str(query.get("wait", "true")).lower() in YES:
            query["wait"] = "false"
        case.query = query
    case.call_and_validate(base_url=running.url)
