"""Reading tasks for people: lists paged by key, and one task in detail."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from aqm.flow.outcome import Usage
from aqm.flow.state import AttemptStatus, Priority, StageStatus, TaskStatus, TurnKind, Waits
from aqm.storage.tables import attempts, branches, stages, tasks, turns

__all__ = [
    "AttemptRow",
    "Filter",
    "StageRow",
    "TaskRow",
    "attempts_of",
    "page",
    "results_of",
    "stages_of",
    "task_of",
]


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as it is stored; hashes name blobs."""

    id: str
    project: int
    run: int
    status: TaskStatus
    priority: Priority
    description: str
    pipeline: str
    parent: str | None
    owner: str | None
    input: str
    frozen: str
    sources: str | None
    stages: int
    events: int
    error_class: str | None
    error_message: str | None
    usage: Usage
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class StageRow:
    id: int
    number: int
    agent: str
    branch: str
    status: StageStatus
    output: str | None
    headline: str
    approved: bool | None
    reason: str
    error_class: str | None
    error_message: str | None
    finished_at: float | None
    waits: Waits | None
    question: str
    round: int
    consensus: bool | None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    id: str
    turn: int
    stage: int
    agent: str
    kind: TurnKind
    round: int
    vote: bool | None
    runtime: str
    number: int
    status: AttemptStatus
    started_at: float
    finished_at: float | None
    failure: str
    message: str
    answer: str | None
    denied: tuple[str, ...]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tasks a list shows; `after` is the key (created_at, id) of the last one of the page before."""

    status: TaskStatus | None = None
    pipeline: str | None = None
    search: str | None = None
    after: tuple[float, str] | None = None


def page(connection: Connection, project: int, wanted: Filter, limit: int) -> list[TaskRow]:
    """Newest first."""
    query = _TASK.where(tasks.c.project_id == project)
    if wanted.status is not None:
        query = query.where(tasks.c.status == wanted.status.value)
    if wanted.pipeline is not None:
        query = query.where(tasks.c.pipeline == wanted.pipeline)
    if wanted.search:
        query = query.where(tasks.c.description.icontains(wanted.search, autoescape=True))
    if wanted.after is not None:
        at, last = wanted.after
        query = query.where((tasks.c.created_at < at) | ((tasks.c.created_at == at) & (tasks.c.id < last)))
    query = query.order_by(tasks.c.created_at.desc(), tasks.c.id.desc()).limit(limit)
    return [_task(row) for row in connection.execute(query)]


def task_of(connection: Connection, project: int, task: str) -> TaskRow | None:
    row = connection.execute(_TASK.where(tasks.c.project_id == project, tasks.c.id == task)).one_or_none()
    return None if row is None else _task(row)


def stages_of(connection: Connection, task: str) -> list[StageRow]:
    query = (
        select(
            stages.c.id,
            stages.c.number,
            stages.c.agent,
            stages.c.branch,
            stages.c.status,
            stages.c.output,
            stages.c.headline,
            stages.c.approved,
            stages.c.reason,
            stages.c.error_class,
            stages.c.error_message,
            stages.c.finished_at,
            stages.c.waits,
            stages.c.question,
            stages.c.round,
            stages.c.consensus,
        )
        .where(stages.c.task_id == task)
        .order_by(stages.c.number)
    )
    return [
        StageRow(
            id=row.id,
            number=row.number,
            agent=row.agent,
            branch=row.branch,
            status=StageStatus(row.status),
            output=row.output,
            headline=row.headline,
            approved=None if row.approved is None else bool(row.approved),
            reason=row.reason or "",
            error_class=row.error_class,
            error_message=row.error_message,
            finished_at=row.finished_at,
            waits=Waits(row.waits) if row.waits else None,
            question=row.question or "",
            round=row.round,
            consensus=None if row.consensus is None else bool(row.consensus),
        )
        for row in connection.execute(query)
    ]


def results_of(connection: Connection, task: str) -> list[tuple[str, str]]:
    """What the task's branches ended with, in the order of their stages: agent and blob. A stage that handed
    on is no result; where none ended well, the last output is."""
    query = (
        select(
            stages.c.number, stages.c.id, stages.c.opener, stages.c.agent, stages.c.output, stages.c.status
        )
        .where(stages.c.task_id == task, stages.c.status != StageStatus.DROPPED.value)
        .order_by(stages.c.number)
    )
    rows = list(connection.execute(query))
    openers = {row.opener for row in rows}
    sent = set(connection.execute(select(branches.c.sent).where(branches.c.task_id == task)).scalars())
    done = [row for row in rows if row.output and row.status == StageStatus.DONE]
    ends = [row for row in done if row.id not in openers and row.number not in sent]
    ends = ends or [row for row in rows if row.output][-1:]
    return [(row.agent, row.output) for row in ends]


def attempts_of(connection: Connection, task: str, stage: int | None = None) -> list[AttemptRow]:
    """In the order in which they were made: by stage, turn and number."""
    query = (
        select(
            attempts,
            turns.c.kind,
            turns.c.round,
            turns.c.vote,
            turns.c.runtime,
            turns.c.agent,
            stages.c.number.label("stage_number"),
        )
        .join(turns, turns.c.id == attempts.c.turn_id)
        .join(stages, stages.c.id == turns.c.stage_id)
        .where(stages.c.task_id == task)
        .order_by(stages.c.number, turns.c.number, attempts.c.number)
    )
    if stage is not None:
        query = query.where(stages.c.number == stage)
    return [_attempt(row) for row in connection.execute(query)]


def _attempt(row: Row[Any]) -> AttemptRow:
    return AttemptRow(
        id=row.id,
        turn=row.turn_id,
        stage=row.stage_number,
        agent=row.agent,
        kind=TurnKind(row.kind),
        round=row.round,
        vote=None if row.vote is None else bool(row.vote),
        runtime=row.runtime,
        number=row.number,
        status=AttemptStatus(row.status),
        started_at=row.started_at,
        finished_at=row.finished_at,
        failure=row.failure or "",
        message=row.message or "",
        answer=row.answer,
        denied=tuple(json.loads(row.denied)) if row.denied else (),
        usage=Usage(
            row.input_tokens, row.cached_tokens, row.output_tokens, row.reasoning_tokens, row.cost_usd
        ),
    )


_PRIORITIES: Sequence[Priority] = list(Priority)
_TASK: Select[Any] = select(tasks)


def _task(row: Row[Any]) -> TaskRow:
    known = row.usage_known > 0
    return TaskRow(
        id=row.id,
        project=row.project_id,
        run=row.run,
        status=TaskStatus(row.status),
        priority=_PRIORITIES[row.priority],
        description=row.description,
        pipeline=row.pipeline,
        parent=row.parent,
        owner=row.owner,
        input=row.input,
        frozen=row.frozen,
        sources=row.sources,
        stages=row.stages,
        events=row.events,
        error_class=row.error_class,
        error_message=row.error_message,
        usage=Usage(
            input=row.input_tokens if known else None,
            cached=row.cached_tokens if known else None,
            output=row.output_tokens if known else None,
            reasoning=row.reasoning_tokens if known else None,
            cost_usd=row.cost_usd if row.cost_known else None,
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
