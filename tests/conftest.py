"""Fixtures for all tests: real servers and databases, and the walls around the pure folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.servers import MissingServer, PostgresServer, RedisServer, must_have_servers
from tests.walls import forbid_connections

PURE_FOLDERS = {"document", "flow", "pipeline"}
TESTS = Path(__file__).parent

for _name in [name for name in os.environ if name.startswith("AQM_")]:
    del os.environ[_name]  # a developer's own installation must never be what the tests write to


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis per test worker; a test that kills it starts it again."""
    try:
        server = RedisServer()
    except MissingServer as missing:
        _report(missing)
    with server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL per test worker; a test that kills it starts it again."""
    try:
        server = PostgresServer()
    except MissingServer as missing:
        _report(missing)
    with server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh, empty PostgreSQL database."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'aqm.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, empty database, once of each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))


def _report(missing: MissingServer) -> NoReturn:
    if must_have_servers():
        pytest.fail(str(missing))
    pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def _pure_folders_open_no_connection(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.path.is_relative_to(TESTS) and request.path.relative_to(TESTS).parts[0] in PURE_FOLDERS:
        forbid_connections(monkeypatch)
