"""Bringing a database to this version's schema, and refusing one that is newer than the code."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from sqlalchemy import Connection, text

from aqm.errors import StoreError
from aqm.storage.database import Database, store_error

__all__ = ["HEAD", "current", "ensure", "scripts", "upgrade"]

HEAD = "0002"  # the newest revision in migrations/; a test compares them


def ensure(database: Database) -> None:
    """Migrate a SQLite database on first use, under a file lock; a server's must be migrated already."""
    if not database.sqlite:
        _require_head(current(database))
        return
    path = Path(database.url.database or "")
    if path.exists() and current(database) == HEAD:
        return
    with _only_one(path):
        found = current(database)
        _refuse_unknown(found)
        if found != HEAD:
            upgrade(database)


def current(database: Database) -> str | None:
    """The revision the database is at, or None when it is empty."""
    try:
        with database.reading() as connection:
            return _revision(connection)
    except Exception as error:
        raise store_error(error, str(database.url.database)) from error


def upgrade(database: Database) -> None:
    """Run the migrations that are missing."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar_one_or_none()


def _require_head(found: str | None) -> None:
    _refuse_unknown(found)
    if found != HEAD:
        raise StoreError(
            f"the database is at schema {found or 'nothing'}, this version needs {HEAD}.",
            cure="Migrate it with: aqm db upgrade",
        )


def _refuse_unknown(found: str | None) -> None:
    if found is not None and found > HEAD:
        raise StoreError(
            f"the database has schema {found}, newer than this version's {HEAD}.",
            cure="Install the version of aqm that made it, or a newer one.",
        )


def scripts() -> Path:
    """The migrations: inside the package when installed, beside it in a checkout."""
    packed = Path(str(resources.files("aqm"))) / "migrations"
    return packed if packed.is_dir() else Path(__file__).parents[2] / "migrations"


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    lock = path.with_name(path.name + ".lock")
    try:
        handle = lock.open("w")
    except OSError as error:
        raise store_error(error, str(path)) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
