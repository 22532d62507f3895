"""Stages: opening one for an arrival, recording its work, closing it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from aqm.flow.outcome import FailureClass
from aqm.flow.state import StageStatus, Waits
from aqm.storage import counters
from aqm.storage.statement import Statement
from aqm.storage.tables import stages
from aqm.storage.tasks import LockedTask

__all__ = [
    "OpenStage",
    "agent_of",
    "change",
    "close",
    "drop",
    "drop_open",
    "id_of",
    "open_in",
    "open_one",
    "open_stage",
    "record_output",
    "record_verdict",
    "waiting",
]


@dataclass(frozen=True, slots=True)
class OpenStage:
    """An open stage as a decision needs it; hashes name blobs. `turns` is the number of its newest turn."""

    id: int
    number: int
    agent: str
    branch: str
    visit: int
    input: str
    output: str | None
    fields: str | None
    approved: bool | None
    reason: str
    waits: Waits | None
    question: str
    round: int
    round_due: int | None
    votes: dict[str, bool]
    consensus: bool | None


def open_stage(
    connection: Connection,
    task: LockedTask,
    agent: str,
    input: str,
    *,
    branch: str,
    opener: int | None,
    inputs: str | None = None,
) -> tuple[int, int, int]:
    """A new stage for `agent` with the blob `input`; gives its id, its number and the agent's visits."""
    visit = counters.visit(connection, task, branch, agent)
    task.stages += 1
    task.run_stages += 1
    task.changes.update(stages=task.stages, run_stages=task.run_stages)
    opened = _INSERT.one(
        connection,
        {
            "task_id": task.id,
            "project_id": task.project,
            "number": task.stages,
            "run": task.run,
            "agent": agent,
            "branch": branch,
            "opener": opener,
            "visit": visit,
            "status": StageStatus.OPEN.value,
            "input": input,
            "inputs": inputs,
        },
    )
    task.opened(1)
    return opened.id, task.stages, visit


def open_one(connection: Connection, stage: int) -> OpenStage | None:
    """The stage, if it is open."""
    row = connection.execute(_OPEN.where(stages.c.id == stage)).one_or_none()
    return None if row is None else _open(row)


def waiting(connection: Connection, task: str) -> list[OpenStage]:
    """The task's stages that wait for something, in the order of their numbers."""
    query = _OPEN.where(stages.c.task_id == task, stages.c.waits.is_not(None)).order_by(stages.c.number)
    return [_open(row) for row in connection.execute(query)]


def open_in(connection: Connection, task: str, branches: Sequence[str]) -> list[OpenStage]:
    """The open stages of these branches."""
    query = _OPEN.where(stages.c.task_id == task, stages.c.branch.in_(branches)).order_by(stages.c.number)
    return [_open(row) for row in connection.execute(query)]


def agent_of(connection: Connection, task: str, number: int) -> str:
    query = select(stages.c.agent).where(stages.c.task_id == task, stages.c.number == number)
    return str(connection.execute(query).scalar_one())


def id_of(connection: Connection, task: str, number: int) -> int:
    query = select(stages.c.id).where(stages.c.task_id == task, stages.c.number == number)
    return int(connection.execute(query).scalar_one())


def _open(row: Any) -> OpenStage:
    return OpenStage(
        id=row.id,
        number=row.number,
        agent=row.agent,
        branch=row.branch,
        visit=row.visit,
        input=row.input,
        output=row.output,
        fields=row.fields,
        approved=None if row.approved is None else bool(row.approved),
        reason=row.reason or "",
        waits=Waits(row.waits) if row.waits else None,
        question=row.question or "",
        round=row.round,
        round_due=row.round_due,
        votes=json.loads(row.votes) if row.votes else {},
        consensus=None if row.consensus is None else bool(row.consensus),
    )


def change(connection: Connection, stage: int, **values: Any) -> None:
    """Set columns of an open stage; for what is not on every turn's path."""
    statement = update(stages).where(stages.c.id == stage, stages.c.status == StageStatus.OPEN.value)
    connection.execute(statement.values(**values))


def record_output(connection: Connection, stage: int, output: str, headline: str) -> None:
    _OUTPUT(connection, {"stage": stage, "output_": output, "headline_": headline})


def record_verdict(connection: Connection, stage: int, approved: bool, reason: str) -> None:
    _VERDICT(connection, {"stage": stage, "approved_": int(approved), "reason_": reason})


def close(
    connection: Connection,
    stage: int,
    status: StageStatus,
    at: float,
    *,
    error_class: str | None = None,
    error_message: str | None = None,
) -> None:
    _CLOSE(
        connection,
        {
            "stage": stage,
            "to": status.value,
            "at": at,
            "class": error_class,
            "message": error_message,
        },
    )


def drop(connection: Connection, stage: int, at: float) -> None:
    """Cancel one open stage; its class tells a restart that it is to be taken up again."""
    change(connection, stage, finished_at=at, **_CANCELLED)


def drop_open(connection: Connection, task: str, at: float) -> None:
    """End every open stage of a task that was cancelled."""
    connection.execute(_DROP, {"task": task, "at": at})


_INSERT = Statement(
    insert(stages)
    .values(
        {
            name: bindparam(name)
            for name in (
                "task_id",
                "project_id",
                "number",
                "run",
                "agent",
                "branch",
                "opener",
                "visit",
                "status",
                "input",
                "inputs",
            )
        }
    )
    .returning(stages.c.id)
)
_OUTPUT = Statement(
    update(stages)
    .where(stages.c.id == bindparam("stage"))
    .values(output=bindparam("output_"), headline=bindparam("headline_"))
)
_VERDICT = Statement(
    update(stages)
    .where(stages.c.id == bindparam("stage"))
    .values(approved=bindparam("approved_"), reason=bindparam("reason_"))
)
_CLOSE = Statement(
    update(stages)
    .where(stages.c.id == bindparam("stage"), stages.c.status == StageStatus.OPEN.value)
    .values(
        status=bindparam("to"),
        finished_at=bindparam("at"),
        error_class=bindparam("class"),
        error_message=bindparam("message"),
        waits=None,
    )
)
_CANCELLED = {
    "status": StageStatus.DROPPED.value,
    "error_class": FailureClass.CANCELLED.value,
    "waits": None,
    "round_due": None,
}
_DROP = (
    update(stages)
    .where(stages.c.task_id == bindparam("task"), stages.c.status == StageStatus.OPEN.value)
    .values(finished_at=bindparam("at"), **_CANCELLED)
)
_OPEN = select(
    stages.c.id,
    stages.c.number,
    stages.c.agent,
    stages.c.branch,
    stages.c.visit,
    stages.c.input,
    stages.c.output,
    stages.c.fields,
    stages.c.approved,
    stages.c.reason,
    stages.c.waits,
    stages.c.question,
    stages.c.round,
    stages.c.round_due,
    stages.c.votes,
    stages.c.consensus,
).where(stages.c.status == StageStatus.OPEN.value)
