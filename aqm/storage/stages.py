"""Stages: opening one for an arrival, recording its work, closing it."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite

from aqm.flow.state import StageStatus
from aqm.storage.statement import Statement
from aqm.storage.tables import counters, stages
from aqm.storage.tasks import LockedTask

__all__ = ["close", "count_verdict", "drop_open", "open_stage", "record_output", "record_verdict"]


def open_stage(
    connection: Connection, task: LockedTask, agent: str, input: str, *, branch: str, opener: int | None
) -> tuple[int, int]:
    """A new stage for `agent` with the blob `input`; gives its id and its number."""
    visited = _VISIT[connection.dialect.name].one(
        connection, {"task_id": task.id, "branch": branch, "agent": agent}
    )
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
            "visit": visited.visits,
            "status": StageStatus.OPEN.value,
            "input": input,
        },
    )
    return opened.id, task.stages


def record_output(connection: Connection, stage: int, output: str, headline: str) -> None:
    _OUTPUT(connection, {"stage": stage, "output_": output, "headline_": headline})


def record_verdict(connection: Connection, stage: int, approved: bool, reason: str) -> None:
    _VERDICT(connection, {"stage": stage, "approved_": int(approved), "reason_": reason})


def count_verdict(connection: Connection, task: str, branch: str, agent: str, approved: bool) -> None:
    """An approval ends the row of rejections, a rejection lengthens it."""
    statement = _APPROVED if approved else _REJECTED
    statement(connection, {"t": task, "b": branch, "a": agent})


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
    )
)
_DROP = (
    update(stages)
    .where(stages.c.task_id == bindparam("task"), stages.c.status == StageStatus.OPEN.value)
    .values(status=StageStatus.DROPPED.value, finished_at=bindparam("at"))
)
_COUNTER = (
    (counters.c.task_id == bindparam("t"))
    & (counters.c.branch == bindparam("b"))
    & (counters.c.agent == bindparam("a"))
)
_APPROVED = Statement(update(counters).where(_COUNTER).values(rejections=0))
_REJECTED = Statement(update(counters).where(_COUNTER).values(rejections=counters.c.rejections + 1))


def _visit(statement: sqlite.Insert | postgresql.Insert) -> Statement:
    return Statement(
        statement.values(
            {"task_id": bindparam("task_id"), "branch": bindparam("branch"), "agent": bindparam("agent")}
            | {"visits": 1}
        )
        .on_conflict_do_update(
            index_elements=["task_id", "branch", "agent"], set_={"visits": counters.c.visits + 1}
        )
        .returning(counters.c.visits)
    )


_VISIT = {"sqlite": _visit(sqlite.insert(counters)), "postgresql": _visit(postgresql.insert(counters))}
