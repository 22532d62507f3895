"""Chunks: rows of a task, changed one by one under its lock, so that parallel edits lose nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, case, func, insert, select, update

from aqm.flow.chunks import Chunk
from aqm.flow.state import ChunkStatus
from aqm.storage.tables import chunks

__all__ = ["add", "listed", "mark_done", "open_ones", "remove", "take_back"]

BY_HAND = 0  # the stage of what a person did
_SHOWN = (ChunkStatus.OPEN.value, ChunkStatus.DONE.value)


def add(connection: Connection, task: str, texts: Sequence[str], stage: int | None, at: float) -> list[int]:
    """Add chunks; their numbers, which go on from the highest there ever was."""
    if not texts:
        return []
    query = select(func.coalesce(func.max(chunks.c.number), 0)).where(chunks.c.task_id == task)
    first = int(connection.execute(query).scalar_one()) + 1
    rows = [
        {
            "task_id": task,
            "number": number,
            "text": text,
            "status": ChunkStatus.OPEN.value,
            "stage": stage,
            "created_at": at,
            "updated_at": at,
        }
        for number, text in enumerate(texts, start=first)
    ]
    connection.execute(insert(chunks), rows)
    return [int(str(row["number"])) for row in rows]


def mark_done(connection: Connection, task: str, number: int, stage: int | None, at: float) -> bool:
    """False when there is no such open chunk."""
    result = connection.execute(
        update(chunks)
        .where(chunks.c.task_id == task, chunks.c.number == number, chunks.c.status == ChunkStatus.OPEN.value)
        .values(status=ChunkStatus.DONE.value, done_stage=stage or BY_HAND, updated_at=at)
    )
    return bool(result.rowcount)


def remove(connection: Connection, task: str, number: int, stage: int | None, at: float) -> bool:
    """False when there is no such chunk, or it was removed before."""
    result = connection.execute(
        update(chunks)
        .where(chunks.c.task_id == task, chunks.c.number == number, chunks.c.status.in_(_SHOWN))
        .values(status=ChunkStatus.REMOVED.value, removed_stage=stage or BY_HAND, updated_at=at)
    )
    return bool(result.rowcount)


def listed(connection: Connection, task: str) -> list[Chunk]:
    """Those that are open or done, by number."""
    query = (
        select(chunks.c.number, chunks.c.text, chunks.c.status)
        .where(chunks.c.task_id == task, chunks.c.status.in_(_SHOWN))
        .order_by(chunks.c.number)
    )
    return [Chunk(row.number, row.text, ChunkStatus(row.status)) for row in connection.execute(query)]


def open_ones(connection: Connection, task: str) -> int:
    query = (
        select(func.count())
        .select_from(chunks)
        .where(chunks.c.task_id == task, chunks.c.status == ChunkStatus.OPEN.value)
    )
    return int(connection.execute(query).scalar_one())


def take_back(connection: Connection, task: str, numbers: Collection[int], at: float) -> None:
    """Undo what the stages of these numbers did to the chunks."""
    ours = chunks.c.task_id == task
    before = case((chunks.c.done_stage.is_not(None), ChunkStatus.DONE.value), else_=ChunkStatus.OPEN.value)
    connection.execute(
        update(chunks)
        .where(ours, chunks.c.removed_stage.in_(numbers))
        .values(status=before, removed_stage=None, updated_at=at)
    )
    connection.execute(
        update(chunks)
        .where(ours, chunks.c.done_stage.in_(numbers), chunks.c.status == ChunkStatus.DONE.value)
        .values(status=ChunkStatus.OPEN.value, done_stage=None, updated_at=at)
    )
    connection.execute(
        update(chunks)
        .where(ours, chunks.c.stage.in_(numbers))
        .values(status=ChunkStatus.DROPPED.value, updated_at=at)
    )
