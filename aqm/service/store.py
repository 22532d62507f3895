"""A project's open database, and where its files lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqm.errors import RefusedError
from aqm.service.project import Project

if TYPE_CHECKING:
    from aqm.storage.database import Database

__all__ = ["Store", "database_url", "open_store", "refuse_team"]

LOCAL = "local"  # the name of the one project in a laptop's database


@dataclass(frozen=True, slots=True)
class Store:
    """`project_id` is the project's row; `embedded` says that this process runs its own tasks."""

    project: Project
    database: Database
    project_id: int
    embedded: bool


def refuse_team(store: Store) -> None:
    """A team's tasks are run by its workers; a process that takes them over would keep them from those."""
    if not store.embedded:
        raise RefusedError(
            "this project's tasks are in the team's database (database_url), and its workers run them.",
            cure="Unset AQM_DATABASE_URL to work here, or start a worker: python -m workers RUNTIME",
        )


def database_url(project: Project) -> str:
    return project.settings.database_url or f"sqlite:///{project.folder / 'aqm.db'}"


@contextmanager
def open_store(project: Project) -> Iterator[Store]:
    """The store, migrated on first use; raises StoreError with the cure when it cannot be used."""
    from aqm.storage import migrate, tasks
    from aqm.storage.database import Database, explained, now

    url = database_url(project)
    database = Database(url)
    try:
        with explained(str(database.url.database)):
            migrate.ensure(database)
            with database.reading() as connection:
                number = tasks.project_id(connection, LOCAL)
            if not number:
                with database.writing() as connection:
                    number = tasks.project_id(connection, LOCAL, create_at=now(connection))
            yield Store(project, database, number, project.settings.database_url is None)
    finally:
        database.close()
