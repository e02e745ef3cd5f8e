"""What all tests share: hypothesis must not fail because the machine is slow; the stores of a venue."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.stores import DURABLE, STORES, Place, place_in, postgres_server

settings.register_profile("seawall", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("seawall")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real PostgreSQL server: the URI of a database."""
    with postgres_server() as uri:
        yield uri


def _place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    kind = request.param
    return place_in(kind, tmp_path, request.getfixturevalue("postgres") if kind == "postgres" else None)


@pytest.fixture(params=STORES)
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place for a venue in each of the stores."""
    return _place(request, tmp_path)


@pytest.fixture(params=DURABLE)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place for a venue in each store that outlives its process."""
    return _place(request, tmp_path)


@pytest.fixture
def in_postgres(postgres: str, tmp_path: Path) -> Place:
    """A place for a venue in PostgreSQL."""
    return place_in("postgres", tmp_path, postgres)
