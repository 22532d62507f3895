"""Which turns are to be rung: rows are the queue, and only a small window of them is in the broker.

`rung_at` is the outbox: a queued turn without it is still to be rung, one with it was rung and not claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from sqlalchemy import (
    ClauseElement,
    Connection,
    Integer,
    Select,
    bindparam,
    case,
    func,
    select,
    update,
)

from aqm.flow.state import TurnStatus
from aqm.storage.statement import Statement
from aqm.storage.tables import stages, tasks, turns
from aqm.storage.turns import stages_of

__all__ = [
    "Bell",
    "RoundBell",
    "at_once",
    "forget",
    "next_due",
    "rounds_due",
    "some_unheard",
    "take",
    "take_rounds",
    "take_unheard",
    "unheard",
]

RING_AGAIN = 5.0  # seconds after which an unheard bell is rung again; doubled each time
RING_MOST = 120.0


@dataclass(frozen=True, slots=True)
class Bell:
    """A turn to ring on its runtime's queue; `parent` is the message that opened it. Speakers of a round have
    its number."""

    turn: int
    task: str
    runtime: str
    priority: int
    parent: str | None
    stage: int = 0
    round: int = 0


@dataclass(frozen=True, slots=True)
class RoundBell:
    """A session's round that has ended: ring whoever decides on it."""

    stage: int
    round: int
    task: str
    priority: int
    parent: str | None


def take(connection: Connection, owner: str | None, most: int, at: float) -> list[Bell]:
    """Mark as rung the next turns, at most so many, and give them; ring them after the commit.

    Only the tasks of `owner`; None is the team's. A row that another transaction holds is left to it, so that
    ringing never waits for a task's lock.
    """
    if most <= 0:
        return []
    return _bells(connection, _TAKE_OWN if owner else _TAKE_TEAM, owner, {"now": at, "most": most})


def unheard(connection: Connection) -> int:
    """How many turns were rung and not claimed."""
    return int(_UNHEARD.one(connection, {}).number)


def take_unheard(connection: Connection, owner: str | None, at: float) -> list[Bell]:
    """Bells rung long ago and not heard: the message was lost, or every slot is busy. Ring them again."""
    return _bells(connection, _AGAIN_OWN if owner else _AGAIN_TEAM, owner, {"now": at})


def some_unheard(connection: Connection, owner: str | None, at: float) -> bool:
    """Whether `take_unheard` would find any; a read, so that an idle sweep writes nothing."""
    statement = _SILENT_OWN if owner else _SILENT_TEAM
    values = {"now": at, "owner": owner} if owner else {"now": at}
    return statement.one(connection, values) is not None


def forget(connection: Connection, task: str) -> None:
    """Nobody heard what was rung for this task: its owner died, or its messages are gone."""
    connection.execute(
        update(turns)
        .where(turns.c.stage_id.in_(stages_of(task)), turns.c.status == TurnStatus.QUEUED.value)
        .values(rung_at=None, rings=0)
    )
    connection.execute(
        update(stages)
        .where(stages.c.task_id == task, stages.c.round_due.is_not(None))
        .values(round_rung_at=None)
    )


def take_rounds(connection: Connection, owner: str | None, at: float) -> list[RoundBell]:
    """Mark as rung the rounds that have ended and were not rung, or not heard for long; and give them."""
    due = _rounds(owner, at).with_for_update(skip_locked=True, of=stages).cte("due")
    ring = (
        update(stages)
        .where(stages.c.id.in_(select(due.c.id)))
        .values(round_rung_at=at)
        .returning(stages.c.id, stages.c.round_due, stages.c.task_id, stages.c.round_parent)
    )
    rows = connection.execute(ring).all()
    return [RoundBell(row.id, row.round_due, row.task_id, 0, row.round_parent) for row in rows]


def rounds_due(connection: Connection, owner: str | None, at: float) -> bool:
    """Whether `take_rounds` would find any."""
    return connection.execute(_rounds(owner, at).limit(1)).first() is not None


def _rounds(owner: str | None, at: float) -> Select[tuple[int]]:
    return (
        select(stages.c.id)
        .join(tasks, tasks.c.id == stages.c.task_id)
        .where(
            stages.c.round_due.is_not(None),
            stages.c.round_rung_at.is_(None) | (stages.c.round_rung_at < at - RING_AGAIN),
            tasks.c.owner == owner if owner else tasks.c.owner.is_(None),
        )
    )


def at_once(connection: Connection, task: str) -> None:
    """A task's queued turns wait for their time no longer."""
    connection.execute(
        update(turns)
        .where(turns.c.stage_id.in_(stages_of(task)), turns.c.status == TurnStatus.QUEUED.value)
        .values(not_before=0.0)
    )


def next_due(connection: Connection, owner: str | None) -> float | None:
    """When the next turn that waits for its time is to be rung."""
    statement = _DUE_OWN if owner else _DUE_TEAM
    return cast("float | None", statement.one(connection, {"owner": owner} if owner else {}).due)


def _bells(
    connection: Connection, statement: Statement, owner: str | None, values: Mapping[str, object]
) -> list[Bell]:
    rows = statement(connection, {**values, "owner": owner} if owner else values)
    bells = [Bell(*row) for row in rows]
    return sorted(bells, key=lambda bell: (bell.priority, bell.turn))


def _waiting(own: bool) -> Select[tuple[int]]:
    """Queued turns of tasks that are ours."""
    return (
        select(turns.c.id)
        .join(tasks, tasks.c.id == turns.c.task_id)
        .where(
            turns.c.status == TurnStatus.QUEUED.value,
            tasks.c.owner == bindparam("owner") if own else tasks.c.owner.is_(None),
        )
    )


def _take(own: bool) -> ClauseElement:
    due = (
        _waiting(own)
        .where(turns.c.rung_at.is_(None), turns.c.not_before <= bindparam("now"))
        .order_by(turns.c.priority, turns.c.id)
        .limit(bindparam("most", type_=Integer))
    )
    return _ring(due)


def _unheard(own: bool) -> Select[tuple[int]]:
    patience = case(*((turns.c.rings <= n, RING_AGAIN * 2**n) for n in range(6)), else_=RING_MOST)
    return _waiting(own).where(turns.c.rung_at + patience < bindparam("now")).limit(100)


def _ring(due: Select[tuple[int]]) -> ClauseElement:
    chosen = due.with_for_update(skip_locked=True, of=turns).cte("chosen")
    return (
        update(turns)
        .where(turns.c.id.in_(select(chosen.c.id)))
        .values(rung_at=bindparam("now"), rings=turns.c.rings + 1)
        .returning(
            turns.c.id,
            turns.c.task_id,
            turns.c.runtime,
            turns.c.priority,
            turns.c.parent,
            turns.c.stage_id,
            turns.c.round,
        )
    )


def _due(own: bool) -> ClauseElement:
    waiting = _waiting(own).where(turns.c.rung_at.is_(None)).subquery()
    return select(func.min(turns.c.not_before).label("due")).where(turns.c.id.in_(select(waiting.c.id)))


_TAKE_OWN, _TAKE_TEAM = Statement(_take(own=True)), Statement(_take(own=False))
_UNHEARD = Statement(
    select(func.count().label("number"))
    .select_from(turns)
    .where(turns.c.status == TurnStatus.QUEUED.value, turns.c.rung_at.is_not(None))
)
_SILENT_OWN, _SILENT_TEAM = Statement(_unheard(own=True)), Statement(_unheard(own=False))
_AGAIN_OWN, _AGAIN_TEAM = Statement(_ring(_unheard(own=True))), Statement(_ring(_unheard(own=False)))
_DUE_OWN, _DUE_TEAM = Statement(_due(own=True)), Statement(_due(own=False))
