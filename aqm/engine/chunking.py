"""Changes of chunks, written one by one under the task's lock, each told as it happens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from aqm.flow.chunks import Edit, chunk_id
from aqm.flow.event import EventKind
from aqm.storage import chunks
from aqm.storage.database import Connection
from aqm.storage.tasks import LockedTask

__all__ = ["edit_chunks"]


def edit_chunks(
    connection: Connection, task: LockedTask, edits: Iterable[Edit], stage: int | None, agent: str = ""
) -> list[str]:
    """Make these changes, by the stage of that number or, for None, by a person; gives the chunks changed.
    What cannot be changed, such as a chunk that is not there, is left out."""
    changed: list[str] = []
    for edit in edits:
        numbers = _edited(connection, task, edit, stage)
        for number in numbers:
            told = {"add": "added", "done": "done", "remove": "removed"}[edit.kind]
            task.tell(EventKind.CHUNK_UPDATE, stage, agent, chunk=chunk_id(number), change=told)
        changed += [chunk_id(number) for number in numbers]
    return changed


def _edited(connection: Connection, task: LockedTask, edit: Edit, stage: int | None) -> list[int]:
    match edit.kind:
        case "add":
            return chunks.add(connection, task.id, [edit.text], stage, task.at)
        case "done":
            done = chunks.mark_done(connection, task.id, edit.number, stage, task.at)
            return [edit.number] if done else []
        case "remove":
            gone = chunks.remove(connection, task.id, edit.number, stage, task.at)
            return [edit.number] if gone else []
        case never:
            assert_never(never)
