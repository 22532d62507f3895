"""A task's chunks, looked at and changed by a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aqm.errors import ConflictError, NotFoundError, UsageError
from aqm.service.project import Project
from aqm.service.store import open_store
from aqm.service.tasks import resolve
from aqm.service.views import ChunkView

if TYPE_CHECKING:
    from aqm.flow.chunks import Edit

__all__ = ["add_chunk", "chunk_views", "finish_chunks", "remove_chunks"]


def chunk_views(project: Project, ref: str) -> tuple[ChunkView, ...]:
    """Those that are open or done, by number."""
    from aqm.flow.chunks import chunk_id
    from aqm.storage import chunks

    with open_store(project) as store:
        task = resolve(store, ref)
        with store.database.reading() as connection:
            found = chunks.listed(connection, task)
    return tuple(ChunkView(chunk_id(each.number), each.status.value, each.text) for each in found)


def add_chunk(project: Project, ref: str, text: str) -> str:
    """The new chunk's id."""
    from aqm.flow.chunks import Edit

    if not text.strip():
        raise UsageError("the chunk's text is empty.", cure='Say what is to be done: "Write the schema"')
    return _edit(project, ref, [Edit("add", text=" ".join(text.split()))])[0]


def finish_chunks(project: Project, ref: str, ids: Sequence[str]) -> list[str]:
    """Mark chunks as done; those that were done before stay so."""
    from aqm.flow.chunks import Edit

    return _edit(project, ref, [Edit("done", number=number) for number in _numbers(project, ref, ids)])


def remove_chunks(project: Project, ref: str, ids: Sequence[str]) -> list[str]:
    from aqm.flow.chunks import Edit

    return _edit(project, ref, [Edit("remove", number=number) for number in _numbers(project, ref, ids)])


def _numbers(project: Project, ref: str, ids: Sequence[str]) -> list[int]:
    """The chunks' numbers; NotFoundError, before anything is changed, for one that there is not."""
    from aqm.flow.chunks import chunk_id, chunk_number

    known = [each.id for each in chunk_views(project, ref)]
    numbers = []
    for text in ids:
        number = chunk_number(text)
        if number is None or chunk_id(number) not in known:
            shown = ", ".join(known) or "none"
            raise NotFoundError(f"there is no chunk {text};", cure=f"known: {shown}.")
        numbers.append(number)
    return numbers


def _edit(project: Project, ref: str, edits: Sequence[Edit]) -> list[str]:
    from aqm.engine.chunking import edit_chunks
    from aqm.storage import tasks

    with open_store(project) as store:
        task = resolve(store, ref)
        with store.database.writing() as connection, tasks.lock(connection, task) as locked:
            assert locked is not None
            if locked.status.ended:
                raise ConflictError(
                    f"{task} is {locked.status}; its chunks stay as they are.",
                    cure=f"Go on with it: aqm restart {task}, or aqm fix {task} TEXT",
                )
            return edit_chunks(connection, locked, edits, None)
