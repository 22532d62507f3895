"""A task's events: numbered without gaps, because they are written under its lock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from aqm.flow.event import Event, EventKind
from aqm.storage.statement import Statement
from aqm.storage.tables import events

__all__ = ["append", "last", "read"]

_INSERT = Statement(insert(events).values({column.name: bindparam(column.name) for column in events.c}))
_READ = (
    select(events)
    .where(events.c.task_id == bindparam("task"), events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(bindparam("most"))
)


def append(connection: Connection, news: Sequence[Event]) -> None:
    rows = [
        {
            "task_id": event.task,
            "seq": event.seq,
            "at": event.at,
            "kind": event.kind.value,
            "stage": event.stage,
            "agent": event.agent,
            "data": json.dumps(event.data, ensure_ascii=False, separators=(",", ":")),
        }
        for event in news
    ]
    if rows:
        _INSERT.many(connection, rows)


def read(connection: Connection, task: str, after: int = 0, most: int = 1000) -> list[Event]:
    """The next events of a task after number `after`, oldest first."""
    rows = connection.execute(_READ, {"task": task, "after": after, "most": most})
    return [_event(row) for row in rows]


def last(connection: Connection, task: str, kind: EventKind, stage: int | None = None) -> Event | None:
    """The newest event of that kind, or the newest of stage number `stage`."""
    query = select(events).where(events.c.task_id == task, events.c.kind == kind.value)
    if stage is not None:
        query = query.where(events.c.stage == stage)
    row = connection.execute(query.order_by(events.c.seq.desc()).limit(1)).one_or_none()
    return None if row is None else _event(row)


def _event(row: Any) -> Event:
    return Event(
        seq=row.seq,
        at=row.at,
        kind=EventKind(row.kind),
        task=row.task_id,
        stage=row.stage,
        agent=row.agent,
        data=json.loads(row.data),
    )
