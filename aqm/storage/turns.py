"""Turns: opening one, and taking back those of a task that ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from aqm.flow.state import AttemptStatus, TurnKind, TurnStatus
from aqm.storage.statement import Statement
from aqm.storage.tables import attempts, stages, turns
from aqm.storage.tasks import LockedTask

if TYPE_CHECKING:
    pass

__all__ = ["NewTurn", "drop_live", "open_turn", "stages_of"]


@dataclass(frozen=True, slots=True)
class NewTurn:
    stage: int
    kind: TurnKind
    agent: str
    runtime: str
    model: str | None
    number: int = 1
    repairs: int = 0
    note: str | None = None
    parent: str | None = None


def open_turn(connection: Connection, task: LockedTask, new: NewTurn) -> int:
    """A queued turn; it is rung after this transaction."""
    values = {
        "task_id": task.id,
        "stage_id": new.stage,
        "number": new.number,
        "kind": new.kind.value,
        "repairs": new.repairs,
        "agent": new.agent,
        "runtime": new.runtime,
        "model": new.model,
        "status": TurnStatus.QUEUED.value,
        "priority": task.priority,
        "note": new.note,
        "parent": new.parent,
        "created_at": task.at,
    }
    return int(_INSERT.one(connection, values).id)


def drop_live(connection: Connection, task: str, at: float) -> None:
    """Take back every turn of a task that has not ended, and fence its attempts."""
    live = (TurnStatus.PENDING.value, TurnStatus.QUEUED.value, TurnStatus.RUNNING.value)
    connection.execute(  # in the order in which heartbeats lock them
        select(turns.c.id)
        .where(turns.c.stage_id.in_(stages_of(task)), turns.c.status.in_(live))
        .order_by(turns.c.id)
        .with_for_update()
    )
    ours = select(turns.c.id).where(turns.c.stage_id.in_(stages_of(task)))
    connection.execute(
        update(attempts)
        .where(attempts.c.turn_id.in_(ours), attempts.c.status == AttemptStatus.RUNNING.value)
        .values(status=AttemptStatus.FENCED.value, finished_at=at)
    )
    connection.execute(
        update(turns)
        .where(turns.c.stage_id.in_(stages_of(task)), turns.c.status.in_(live))
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
