"""The files in a task's folder: views for people and their tools, made of the rows and never read back.

They follow the task's events. A view that cannot be written ends nothing; `rewrite` makes all of them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from aqm.engine.frozen import pipeline_of
from aqm.engine.past import Place, recent_past
from aqm.flow.chunks import chunk_id
from aqm.flow.context import context
from aqm.flow.event import Event, EventKind
from aqm.service.folder import Folder, Known, opened
from aqm.service.record import MINUTES, TOLD, Reading, additions, agent_file, head_of, shortened
from aqm.service.store import Store
from aqm.storage import blobs, chunks, lists, told
from aqm.storage.database import Connection
from aqm.storage.lists import TaskRow

__all__ = ["CHUNKS", "CONTEXT", "PAYLOAD", "Progress", "catch_up", "rewrite", "task_folder", "write_context"]

CONTEXT, PAYLOAD, CHUNKS = "context.md", "current_payload.md", "chunks.json"
SHOWN = 20  # stages in full in `context.md`
_PAGE = 100  # events

_NEW_PAYLOAD = {EventKind.STAGE_START, EventKind.ROUTED, EventKind.HUMAN_INPUT}
_NEW_CHUNKS = {EventKind.CHUNK_UPDATE, EventKind.TASK_RESTARTED}
_TOLD = TOLD | _NEW_PAYLOAD | _NEW_CHUNKS


@dataclass(slots=True)
class Progress:
    """How far a process has written a task's files; `event` is None before it has looked at them."""

    task: str
    event: int | None = None
    known: dict[str, Known] = field(default_factory=dict)


def task_folder(store: Store, task: str) -> Path:
    return store.project.folder / "tasks" / task


def catch_up(store: Store, progress: Progress) -> None:
    """Write what the task's events since then add, whoever wrote them; what cannot be written is left out."""
    while _written(store, progress):
        pass


def _written(store: Store, progress: Progress) -> bool:
    """The next events, seen as they stood at one moment; whether there are more."""
    with store.database.reading() as connection:
        row = lists.task_of(connection, store.project_id, progress.task)
        if row is None or (progress.event is not None and row.events <= progress.event):
            return False
        try:
            with _opened(store, row.id) as folder:
                folder.known = progress.known
                _write_news(connection, folder, row, progress)
        except BlockingIOError:  # somebody else writes there; the next event finds out what is missing
            return False
        except OSError:
            progress.event = row.events
        return progress.event is not None and progress.event < row.events


def _write_news(connection: Connection, folder: Folder, row: TaskRow, progress: Progress) -> None:
    reading = _reading(connection, row)
    first, since = progress.event is None, progress.event
    if since is None:  # the last event that left a mark may have left it in one of two files
        since = max(folder.newest_mark(_growing(reading), row.events) - 1, 0)
    kinds: set[EventKind] = set()
    until = min(since + _PAGE, row.events)
    for event in told.news(connection, row.id, since, until, _TOLD):
        for name, text in _grown(folder, reading, event):
            with suppress(OSError):
                folder.append(name, head_of(name, row.id), text, event.seq, row.events)
        kinds.add(event.kind)
    progress.event = until
    if first or kinds & _NEW_CHUNKS:
        with suppress(OSError):
            _write_chunks(connection, folder, row)
    if first or kinds & _NEW_PAYLOAD:
        with suppress(OSError):
            _write_payload(connection, folder, row)
    if progress.event == row.events and (row.status.ended or row.status.waits):
        with suppress(OSError):
            _write_context(connection, folder, row)


def _opened(store: Store, task: str) -> AbstractContextManager[Folder]:
    return opened(store.project.folder, "tasks", task)


def _reading(connection: Connection, row: TaskRow) -> Reading:
    return Reading(connection, row.project, row.id, pipeline_of(connection, row.project, row.frozen))


def _growing(reading: Reading) -> list[str]:
    """The files that grow by appending."""
    return [MINUTES, *(agent_file(agent) for agent in reading.pipeline.ids)]


def _grown(folder: Folder, reading: Reading, event: Event) -> Iterator[tuple[str, str]]:
    """What the event adds, by file."""
    for addition in additions(reading, event):
        if addition.file is not None:
            yield addition.file, addition.text
        else:
            yield from ((name, addition.text) for name in _growing(reading) if folder.has(name))


# Written anew --------------------------------------------------------------------------------------


def write_context(store: Store, task: str) -> None:
    """`context.md`: the task and what its stages said, older ones in a line each, so that a long task's file
    stays small; `aqm context` shows all."""
    with store.database.reading() as connection:
        row = lists.task_of(connection, store.project_id, task)
        if row is not None:
            with suppress(OSError), _opened(store, task) as folder:
                _write_context(connection, folder, row)


def _write_context(connection: Connection, folder: Folder, row: TaskRow) -> None:
    text = blobs.read(connection, row.project, row.input)
    place = Place(row.project, row.id, "", row.stages + 1, row.stages + 1)
    stages, total = recent_past(connection, place, SHOWN)
    stages = [replace(stage, text=shortened(stage.text)) if stage.text else stage for stage in stages]
    past = context("shared", SHOWN, stages, "", total=total)
    folder.replace(CONTEXT, f"# {row.id} · {row.status}\n\n{text.strip()}\n\n{past}\n")


def _write_chunks(connection: Connection, folder: Folder, row: TaskRow) -> None:
    found = chunks.listed(connection, row.id)
    if not found and not folder.has(CHUNKS):
        return
    shown = [{"id": chunk_id(each.number), "status": each.status.value, "text": each.text} for each in found]
    folder.replace(CHUNKS, json.dumps({"chunks": shown}, indent=2) + "\n")


def _write_payload(connection: Connection, folder: Folder, row: TaskRow) -> None:
    """The newest stage's input as it is, behind a line that says whose it is."""
    stage = told.stage(connection, row.id, row.stages)
    if stage is None:
        return
    text = blobs.read(connection, row.project, stage.input)
    folder.replace(
        PAYLOAD, f"<!-- {row.id} · stage {stage.number} · {stage.agent} -->\n\n{shortened(text)}\n"
    )


def rewrite(store: Store, task: str) -> None:
    """Make all of the task's files again from its rows. OSError when they cannot be written."""
    with _opened(store, task) as folder, folder.beside() as new, store.database.reading() as connection:
        row = lists.task_of(connection, store.project_id, task)
        assert row is not None
        reading = _reading(connection, row)
        for since in range(0, row.events, _PAGE):
            for event in told.news(connection, row.id, since, min(since + _PAGE, row.events), TOLD):
                for name, text in _grown(new, reading, event):
                    new.append(name, head_of(name, row.id), text, event.seq, row.events)
        _write_chunks(connection, new, row)
        _write_payload(connection, new, row)
        _write_context(connection, new, row)
