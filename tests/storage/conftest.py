"""A migrated store on each kind of database, and the smallest task in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from aqm.flow.state import Priority, TurnKind
from aqm.storage import blobs, migrate, stages, tasks, turns
from aqm.storage.database import Database, now

AddTask = Callable[..., int]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    migrate.upgrade(database)
    with database.writing() as connection:
        tasks.project_id(connection, "local", create_at=now(connection))
    yield database
    database.close()


@pytest.fixture
def add_task(database: Database) -> AddTask:
    """Adds a task with one open stage; gives the id of its queued turn."""

    def add(id: str = "T-AAAAAA", owner: str | None = None, priority: Priority = Priority.NORMAL) -> int:
        text = blobs.blob("do it")
        with database.writing() as connection:
            at = now(connection)
            blobs.put(connection, 1, [text], at)
            new = tasks.NewTask(id, 1, "do it", "p", priority, text.hash, text.hash, text.hash, owner=owner)
            task = tasks.add(connection, new, at)
            stage, _, _ = stages.open_stage(connection, task, "dev", text.hash, branch="", opener=None)
            turn = turns.open_turn(connection, task, turns.NewTurn(stage, TurnKind.WORK, "dev", "x", None))
            task.save(connection)
        return turn

    return add
