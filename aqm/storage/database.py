"""The database: one door for writing transactions, one for reading, and the database's clock.

A writing transaction locks its task row first (`tasks.lock`). On SQLite that is `BEGIN IMMEDIATE`, behind a
lock of this process so that its own threads hand over without polling; a reading one can never write.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from aqm.errors import SettingsError, StoreError

__all__ = [
    "Connection",
    "Database",
    "DatabaseError",
    "OperationalError",
    "explained",
    "now",
    "store_error",
]

BUSY_MS = 30_000
_URLS = "It looks like postgresql+psycopg://user:password@host/database, or sqlite:////path/to/file."
# A server that does not answer must end a call before a lease ends. connect_timeout and the keepalives are in
# seconds, the others in milliseconds.
_POSTGRES = {
    "connect_timeout": 5,
    "application_name": "aqm",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": "-c lock_timeout=10000 -c statement_timeout=20000",
}
PAGE_SIZE = 1024  # a small page keeps what a transaction writes close to what it changed


class Database:
    """An open store. Threads may share it."""

    def __init__(self, url: str, *, pool_size: int = 20) -> None:
        self.url = _known(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self._lock = threading.Lock()
        if self.sqlite:
            self._writer = _sqlite_engine(self.url, 1, "FULL")
            self._claimer = _sqlite_engine(self.url, 1, "NORMAL")
            self._reader = _sqlite_engine(self.url, pool_size, None)
        else:
            self._writer = _server_engine(self.url, pool_size)
            self._claimer = self._writer
            self._reader = self._writer.execution_options(postgresql_readonly=True)

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """One transaction: it commits at the end, or nothing happened. `durable` survives a power cut;
        a claim need not, because an unheard claim is simply made again."""
        if not self.sqlite:
            with self._writer.begin() as connection:
                yield connection
            return
        engine = self._writer if durable else self._claimer
        with self._lock, engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot to read from; what is read here must not decide a write."""
        with self._reader.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        for engine in (self._reader, self._claimer, self._writer):
            engine.dispose()


def _known(url: str) -> URL:
    """SQLite or PostgreSQL; whatever else was given is named, without its password."""
    try:
        found = make_url(url)
    except ArgumentError:
        raise SettingsError("database_url is no database URL.", cure=_URLS) from None
    if found.get_backend_name() == "sqlite":
        return found
    if found.drivername in ("postgresql", "postgres"):
        found = found.set(drivername="postgresql+psycopg")
    if found.drivername != "postgresql+psycopg":
        raise SettingsError(f"database_url names {found.drivername!r}, which is not supported.", cure=_URLS)
    if find_spec("psycopg") is None:
        raise SettingsError("database_url needs psycopg.", cure="pip install 'aqm[postgres]'")
    return found


def now(connection: Connection) -> float:
    """The database's clock, in seconds since the epoch. SQLite's is this host's."""
    if connection.dialect.name == "sqlite":
        return time.time()
    value = connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one()
    return float(value)


def _sqlite_engine(url: URL, size: int, synchronous: str | None) -> Engine:
    """With `synchronous` its connections write; without, they cannot."""
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000, "cached_statements": 256},
    )

    @event.listens_for(engine, "connect")
    def _connected(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # the driver's own BEGIN would come too late
        cursor = raw.cursor()
        cursor.execute(f"PRAGMA page_size={PAGE_SIZE}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        cursor.execute("PRAGMA wal_autocheckpoint=10000")
        if synchronous:
            cursor.execute(f"PRAGMA synchronous={synchronous}")
        else:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if synchronous else "BEGIN")

    return engine


def _server_engine(url: URL, size: int) -> Engine:
    return create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=False,
        pool_recycle=1800,
        connect_args=_POSTGRES,
        isolation_level="READ COMMITTED",
    )


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn the driver's words about a store that cannot be opened or written into ours."""
    try:
        yield
    except (OperationalError, DBAPIError) as error:
        raise store_error(error, path) from error


def store_error(error: Exception, path: str) -> StoreError:
    said = error.strerror if isinstance(error, OSError) else str(getattr(error, "orig", None) or error)
    said = (said or type(error).__name__).strip().splitlines()[0]
    if "readonly" in said or "unable to open" in said or isinstance(error, OSError):
        cure = "Is the folder writable, and yours?"
    elif "full" in said:
        cure = "The disk is full: free some space; nothing that was confirmed is lost."
    elif "locked" in said:
        cure = "Another process holds it for very long; try again."
    else:
        cure = "aqm doctor looks at it."
    return StoreError(f"the database {path} cannot be used: {said}.", cure=cure)
