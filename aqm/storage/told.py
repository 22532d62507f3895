"""What a task's events point at, looked up by their numbers: stages, also dropped ones, and what was said."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from aqm.flow.event import Event, EventKind
from aqm.flow.state import AttemptStatus, StageStatus, TurnKind
from aqm.storage.statement import Statement
from aqm.storage.tables import attempts, events, stages, turns

__all__ = ["ToldStage", "newest_of", "news", "speech", "stage"]


@dataclass(frozen=True, slots=True)
class ToldStage:
    """`input` and `output` are blobs' hashes; `round` is 0 but for a session that has begun."""

    id: int
    number: int
    agent: str
    branch: str
    visit: int
    open: bool
    input: str
    output: str | None
    round: int
    approved: bool | None
    reason: str


def news(
    connection: Connection, task: str, after: int, until: int, kinds: Collection[EventKind]
) -> list[Event]:
    """The task's events of these kinds after number `after`, up to number `until`, oldest first."""
    rows = _NEWS(connection, {"task": task, "after": after, "until": until})
    return [
        Event(row.seq, row.at, EventKind(row.kind), task, row.stage, row.agent, json.loads(row.data))
        for row in rows
        if row.kind in kinds
    ]


def stage(connection: Connection, task: str, number: int) -> ToldStage | None:
    row = _STAGE.one(connection, {"task": task, "number": number})
    return None if row is None else _told(row)


def newest_of(connection: Connection, task: str, agents: Collection[str]) -> ToldStage | None:
    """The newest stage that counts of any of these agents."""
    query = (
        select(*_COLUMNS)
        .where(
            stages.c.task_id == task,
            stages.c.agent.in_(agents),
            stages.c.status != StageStatus.DROPPED.value,
        )
        .order_by(stages.c.number.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _told(row)


def speech(connection: Connection, stage: int, round: int, agent: str) -> str | None:
    """The hash of what a participant said in that round; None when it did not speak."""
    row = _SPEECH.one(connection, {"stage": stage, "round": round, "agent": agent})
    return None if row is None else str(row.answer)


def _told(row: Any) -> ToldStage:
    return ToldStage(
        id=row.id,
        number=row.number,
        agent=row.agent,
        branch=row.branch,
        visit=row.visit,
        open=row.status == StageStatus.OPEN.value,
        input=row.input,
        output=row.output,
        round=row.round,
        approved=None if row.approved is None else bool(row.approved),
        reason=row.reason or "",
    )


_COLUMNS = (
    stages.c.id,
    stages.c.number,
    stages.c.agent,
    stages.c.branch,
    stages.c.visit,
    stages.c.status,
    stages.c.input,
    stages.c.output,
    stages.c.round,
    stages.c.approved,
    stages.c.reason,
)
_STAGE = Statement(
    select(*_COLUMNS).where(stages.c.task_id == bindparam("task"), stages.c.number == bindparam("number"))
)
_NEWS = Statement(
    select(events)
    .where(
        events.c.task_id == bindparam("task"),
        events.c.seq > bindparam("after"),
        events.c.seq <= bindparam("until"),
    )
    .order_by(events.c.seq)
)
_SPEECH = Statement(
    select(attempts.c.answer)
    .join(turns, attempts.c.turn_id == turns.c.id)
    .where(
        turns.c.stage_id == bindparam("stage"),
        turns.c.round == bindparam("round"),
        turns.c.agent == bindparam("agent"),
        turns.c.kind == TurnKind.SPEAK.value,
        attempts.c.status == AttemptStatus.ANSWERED.value,
    )
)
