"""Turns: opening one, and taking back those of a task that ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, bindparam, func, insert, select, update

from aqm.flow.state import AttemptStatus, StageStatus, TurnKind, TurnStatus
from aqm.storage.statement import Statement
from aqm.storage.tables import attempts, stages, turns
from aqm.storage.tasks import LockedTask

__all__ = [
    "NewTurn",
    "drop_live",
    "newest",
    "open_turn",
    "reprioritise",
    "same_before",
    "stages_of",
    "worked_before",
]

_LIVE = (TurnStatus.PENDING.value, TurnStatus.QUEUED.value, TurnStatus.RUNNING.value)


@dataclass(frozen=True, slots=True)
class NewTurn:
    stage: int
    kind: TurnKind
    agent: str
    runtime: str
    model: str | None
    number: int = 1
    repairs: int = 0
    round: int = 0
    status: TurnStatus = TurnStatus.QUEUED
    note: str | None = None
    parent: str | None = None


def open_turn(connection: Connection, task: LockedTask, new: NewTurn) -> int:
    """A queued turn is rung after this transaction; a pending one when its turn comes."""
    values = {
        "task_id": task.id,
        "stage_id": new.stage,
        "number": new.number,
        "kind": new.kind.value,
        "repairs": new.repairs,
        "round": new.round,
        "agent": new.agent,
        "runtime": new.runtime,
        "model": new.model,
        "status": new.status.value,
        "priority": task.priority,
        "note": new.note,
        "parent": new.parent,
        "created_at": task.at,
    }
    return int(_INSERT.one(connection, values).id)


def newest(connection: Connection, stage: int) -> tuple[int, str | None]:
    """The number and the note of the stage's newest turn; 0 when it has none."""
    query = (
        select(turns.c.number, turns.c.note)
        .where(turns.c.stage_id == stage)
        .order_by(turns.c.number.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return (row.number, row.note) if row else (0, None)


def same_before(connection: Connection, stage: int, number: int, kind: TurnKind) -> int:
    """How many turns of that kind the stage had before turn `number`."""
    query = (
        select(func.count())
        .select_from(turns)
        .where(turns.c.stage_id == stage, turns.c.number < number, turns.c.kind == kind.value)
    )
    return int(connection.execute(query).scalar_one())


def worked_before(connection: Connection, task: str, agent: str, number: int) -> bool:
    """Whether the agent has worked, or the session met, in a stage before `number`."""
    query = (
        select(turns.c.id)
        .join(stages, stages.c.id == turns.c.stage_id)
        .where(
            stages.c.task_id == task,
            stages.c.agent == agent,
            stages.c.number < number,
            stages.c.status != StageStatus.DROPPED.value,
            turns.c.kind.in_([TurnKind.WORK.value, TurnKind.SPEAK.value]),
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None


def reprioritise(connection: Connection, task: str, rank: int) -> None:
    """The turns that are to come, and those that run and may have to come again."""
    _lock(connection, stages_of(task))
    connection.execute(
        update(turns)
        .where(turns.c.stage_id.in_(stages_of(task)), turns.c.status.in_(_LIVE))
        .values(priority=rank)
    )


def _lock(connection: Connection, theirs: Select[tuple[int]]) -> None:
    """Hold the live turns of these stages, in the order in which heartbeats lock them."""
    connection.execute(
        select(turns.c.id)
        .where(turns.c.stage_id.in_(theirs), turns.c.status.in_(_LIVE))
        .order_by(turns.c.id)
        .with_for_update()
    )


def drop_live(connection: Connection, task: str, at: float, of: Sequence[int] | None = None) -> None:
    """Take back every turn of a task, or of the stages `of`, that has not ended, and fence its attempts."""
    theirs = stages_of(task) if of is None else stages_of(task).where(stages.c.id.in_(of))
    _lock(connection, theirs)
    ours = select(turns.c.id).where(turns.c.stage_id.in_(theirs))
    connection.execute(
        update(attempts)
        .where(attempts.c.turn_id.in_(ours), attempts.c.status == AttemptStatus.RUNNING.value)
        .values(status=AttemptStatus.FENCED.value, finished_at=at)
    )
    connection.execute(
        update(turns)
        .where(turns.c.stage_id.in_(theirs), turns.c.status.in_(_LIVE))
        .values(status=TurnStatus.DROPPED.value, attempt=None, lease_until=None)
    )


def stages_of(task: str) -> Select[tuple[int]]:
    """The ids of a task's stages: turns and attempts are found through them, without an index more."""
    return select(stages.c.id).where(stages.c.task_id == task)


_INSERT = Statement(
    insert(turns)
    .values(
        {
            name: bindparam(name)
            for name in (
                "task_id",
                "stage_id",
                "number",
                "kind",
                "repairs",
                "round",
                "agent",
                "runtime",
                "model",
                "status",
                "priority",
                "note",
                "parent",
                "created_at",
            )
        }
    )
    .returning(turns.c.id)
)
