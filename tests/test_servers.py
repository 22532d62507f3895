"""The servers that the other tests rely on: they are real, fresh for each test, and survive being killed."""

from __future__ import annotations

import socket

import psycopg
import pytest
import redis
import sqlalchemy as sa

from tests.servers import PostgresServer, RedisServer
from tests.walls import forbid_connections


def test_redis_refuses_writes_rather_than_forgetting_when_it_is_full(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@pytest.mark.parametrize("time", ["first", "second"])
def test_redis_is_empty_for_each_test(redis_url: str, time: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set(time, 1)


def test_redis_comes_back_on_the_same_port_without_its_data() -> None:
    with RedisServer() as server, redis.Redis.from_url(server.url, retry=None) as client:
        client.set("kept", "no")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        assert client.get("kept") is None


def test_redis_takes_another_port_when_its_own_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with _redis_on(port) as server:
            assert server.port != port


def _redis_on(port: int) -> RedisServer:
    server = RedisServer()
    server.port = port
    return server


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_has_a_database_without_tables(database_url: str, time: str) -> None:
    engine = sa.create_engine(database_url)
    assert sa.inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(sa.text("create table made (by_test int)"))
    engine.dispose()


def test_postgres_keeps_what_was_committed_before_it_was_killed() -> None:
    with PostgresServer() as server:
        dsn = server.url().replace("+psycopg", "")
        with psycopg.connect(dsn) as connection:
            connection.execute("create table kept as select 7 as number")
        server.kill()
        server.start()
        with psycopg.connect(dsn) as connection:
            assert connection.execute("select number from kept").fetchall() == [(7,)]


def test_pure_tests_cannot_open_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        forbid_connections(monkeypatch)
        with pytest.raises(pytest.fail.Exception, match="may not open connections"):
            client.connect(server.getsockname())
