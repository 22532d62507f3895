"""Claims: a turn is taken by one compare-and-set; its attempt's random id is the fence from then on."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, String, bindparam, func, insert, select, update

from aqm.flow.state import AttemptStatus, StageStatus, TurnKind, TurnStatus, Waits
from aqm.flow.task import Turn
from aqm.storage import counters
from aqm.storage import stages as stages_
from aqm.storage.statement import Statement
from aqm.storage.tables import attempts, stages, turns
from aqm.storage.tasks import LockedTask

if TYPE_CHECKING:
    from aqm.pipeline.spec import ContextStrategy

__all__ = ["Claim", "Running", "claim", "end", "requeue", "running"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A turn that is ours to run. Hashes name blobs; `stage` is the stage's number."""

    attempt: str
    number: int
    turn: int
    turn_number: int
    task: str
    project: int
    kind: TurnKind
    repairs: int
    round: int
    agent: str
    runtime: str
    model: str | None
    strategy: ContextStrategy | None
    note: str | None
    stage_id: int
    stage: int
    stage_agent: str
    branch: str
    visit: int
    opener: int | None
    input: str
    inputs: str | None
    output: str | None
    fields: str | None
    consensus: bool | None
    task_input: str
    parent: str | None
    frozen: str
    policy: str
    plain: bool  # the task is one chain of stages from the first on: no branches, no restart


@dataclass(frozen=True, slots=True)
class Running:
    """A turn as its closing finds it, still held by the attempt that closes it."""

    turn: int
    number: int
    attempt_number: int
    state: Turn
    agent: str
    runtime: str
    stage_id: int
    stage: int
    stage_agent: str
    branch: str
    visit: int
    rejections: int
    input: str
    output: str | None
    fields: str | None
    approved: bool | None
    reason: str
    round: int
    waits: Waits | None
    note: str | None
    started_at: float
    worked: float  # seconds of the stage's ended attempts


def claim(connection: Connection, task: LockedTask, turn: int, worker: str, lease: float) -> Claim | None:
    """Take a queued turn for `worker`, whose lease runs `lease` seconds. None: it is not ours to run: another
    worker has it, it was cancelled, its time has not come, or its task belongs to another process."""
    if task.status.ended or task.owner not in (None, worker):
        return None
    attempt = secrets.token_hex(16)
    taken = _CLAIM.one(connection, {"turn": turn, "to": attempt, "now": task.at, "until": task.at + lease})
    if taken is None:
        return None
    _ATTEMPT(
        connection,
        {
            "id": attempt,
            "turn_id": turn,
            "task_id": task.id,
            "project_id": task.project,
            "number": taken.attempts,
            "status": AttemptStatus.RUNNING.value,
            "worker": worker,
            "started_at": task.at,
        },
    )
    row = _STAGE.one(connection, {"stage": taken.stage_id})
    if row.waits is not None:  # it waited for a host that can, and this one tries
        stages_.change(connection, taken.stage_id, waits=None)
        task.wait(Waits(row.waits), -1)
    return Claim(
        attempt=attempt,
        number=taken.attempts,
        turn=turn,
        turn_number=taken.number,
        task=task.id,
        project=task.project,
        kind=TurnKind(taken.kind),
        repairs=taken.repairs,
        round=taken.round,
        agent=taken.agent,
        runtime=taken.runtime,
        model=taken.model,
        strategy=taken.strategy,
        note=taken.note,
        stage_id=taken.stage_id,
        stage=row.number,
        stage_agent=row.agent,
        branch=row.branch,
        visit=row.visit,
        opener=row.opener,
        input=row.input,
        inputs=row.inputs,
        output=row.output,
        fields=row.fields,
        consensus=None if row.consensus is None else bool(row.consensus),
        task_input=task.input,
        parent=task.parent,
        frozen=task.frozen,
        policy=task.policy,
        plain=task.branches == 0 and task.run == 1,
    )


def running(connection: Connection, task: LockedTask, turn: int, attempt: str) -> Running | None:
    """The turn, if `attempt` still holds it; None is the fence."""
    row = _RUNNING.one(connection, {"turn": turn, "attempt": attempt})
    if row is None:
        return None
    return Running(
        turn=row.id,
        number=row.number,
        attempt_number=row.attempts,
        state=Turn(
            kind=TurnKind(row.kind),
            repairs=row.repairs,
            failures=row.failures,
            losses=row.losses,
            holds=row.holds,
            strategy=row.strategy,
            agent=row.agent,
        ),
        agent=row.agent,
        runtime=row.runtime,
        stage_id=row.stage_id,
        stage=row.stage_number,
        stage_agent=row.stage_agent,
        branch=row.branch,
        visit=row.visit,
        rejections=counters.rejections(connection, task, row.branch, row.stage_agent)
        if row.kind == TurnKind.GATE
        else 0,
        input=row.input,
        output=row.output,
        fields=row.fields,
        approved=None if row.approved is None else bool(row.approved),
        reason=row.reason or "",
        round=row.round,
        waits=Waits(row.waits) if row.waits else None,
        note=row.note,
        started_at=row.started_at,
        worked=row.worked,
    )


def end(connection: Connection, turn: int, attempt: str, status: TurnStatus) -> None:
    """Close a turn that `attempt` holds."""
    _END(connection, {"turn": turn, "held": attempt, "to": status.value})


def requeue(
    connection: Connection,
    turn: int,
    attempt: str,
    *,
    not_before: float = 0.0,
    failures: int = 0,
    losses: int = 0,
    holds: int = 0,
    strategy: ContextStrategy | None = None,
) -> None:
    """Put a turn that `attempt` holds back into the queue; the numbers are added to its counters."""
    _REQUEUE(
        connection,
        {
            "turn": turn,
            "held": attempt,
            "after": not_before,
            "f": failures,
            "l": losses,
            "h": holds,
            "s": strategy,
        },
    )


_CLAIM = Statement(
    update(turns)
    .where(
        turns.c.id == bindparam("turn"),
        turns.c.status == TurnStatus.QUEUED.value,
        turns.c.not_before <= bindparam("now"),
    )
    .values(
        status=TurnStatus.RUNNING.value,
        attempt=bindparam("to"),
        attempts=turns.c.attempts + 1,
        lease_until=bindparam("until"),
        beat=turns.c.beat + 1,
        rung_at=None,
        rings=0,
    )
    .returning(
        turns.c.stage_id,
        turns.c.number,
        turns.c.kind,
        turns.c.repairs,
        turns.c.round,
        turns.c.agent,
        turns.c.runtime,
        turns.c.model,
        turns.c.strategy,
        turns.c.note,
        turns.c.attempts,
    )
)
_ATTEMPT = Statement(
    insert(attempts).values(
        {
            name: bindparam(name)
            for name in (
                "id",
                "turn_id",
                "task_id",
                "project_id",
                "number",
                "status",
                "worker",
                "started_at",
            )
        }
    )
)
_STAGE = Statement(
    select(
        stages.c.number,
        stages.c.agent,
        stages.c.branch,
        stages.c.visit,
        stages.c.opener,
        stages.c.input,
        stages.c.inputs,
        stages.c.output,
        stages.c.fields,
        stages.c.waits,
        stages.c.consensus,
    ).where(stages.c.id == bindparam("stage"))
)
_HELD = (
    (turns.c.id == bindparam("turn"))
    & (turns.c.attempt == bindparam("held"))
    & (turns.c.status == TurnStatus.RUNNING.value)
)
_END = Statement(update(turns).where(_HELD).values(status=bindparam("to"), attempt=None, lease_until=None))
_REQUEUE = Statement(
    update(turns)
    .where(_HELD)
    .values(
        status=TurnStatus.QUEUED.value,
        attempt=None,
        lease_until=None,
        rung_at=None,
        rings=0,
        not_before=bindparam("after"),
        failures=turns.c.failures + bindparam("f"),
        losses=turns.c.losses + bindparam("l"),
        holds=turns.c.holds + bindparam("h"),
        strategy=func.coalesce(bindparam("s", type_=String), turns.c.strategy),
    )
)
_OF_STAGE = turns.alias("of_stage")
_WORKED = (  # what the attempts of the stage took before this one: it has few
    select(func.coalesce(func.sum(attempts.c.finished_at - attempts.c.started_at), 0.0))
    .join(_OF_STAGE, _OF_STAGE.c.id == attempts.c.turn_id)
    .where(_OF_STAGE.c.stage_id == turns.c.stage_id)
    .correlate(turns)
    .scalar_subquery()
)
_RUNNING = Statement(
    select(
        turns.c.id,
        turns.c.number,
        turns.c.attempts,
        turns.c.kind,
        turns.c.repairs,
        turns.c.failures,
        turns.c.losses,
        turns.c.holds,
        turns.c.strategy,
        turns.c.agent,
        turns.c.runtime,
        turns.c.stage_id,
        stages.c.number.label("stage_number"),
        stages.c.agent.label("stage_agent"),
        stages.c.branch,
        stages.c.visit,
        stages.c.input,
        stages.c.output,
        stages.c.fields,
        stages.c.approved,
        stages.c.reason,
        stages.c.waits,
        turns.c.round,
        turns.c.note,
        _WORKED.label("worked"),
        attempts.c.started_at,
    )
    .join(stages, stages.c.id == turns.c.stage_id)
    .join(attempts, attempts.c.id == turns.c.attempt)
    .where(
        turns.c.id == bindparam("turn"),
        turns.c.attempt == bindparam("attempt"),
        turns.c.status == TurnStatus.RUNNING.value,
        stages.c.status == StageStatus.OPEN.value,
    )
)
