"""Leases: the heartbeat that renews them, and the watch that ends those whose worker fell silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from aqm.flow.state import TurnStatus
from aqm.storage.database import now
from aqm.storage.tables import tasks, turns

__all__ = ["Lease", "beat", "expired", "held"]


@dataclass(frozen=True, slots=True)
class Lease:
    """One sight of a running turn. The same (turn, attempt, beat) seen for a whole lease means that its
    worker is silent."""

    turn: int
    attempt: str
    beat: int
    task: str


def beat(connection: Connection, attempts: Sequence[str], lease: float) -> set[str]:
    """Renew these attempts' leases; gives those that are still held. The others are fenced."""
    if not attempts:
        return set()
    ours = (
        select(turns.c.id)
        .where(turns.c.attempt.in_(attempts), turns.c.status == TurnStatus.RUNNING.value)
        .order_by(turns.c.id)
        .with_for_update()
        .cte("ours")
    )
    statement = (
        update(turns)
        .where(turns.c.id.in_(select(ours.c.id)))
        .values(beat=turns.c.beat + 1, lease_until=now(connection) + lease)
        .returning(turns.c.attempt)
    )
    return set(connection.execute(statement).scalars())


def held(connection: Connection, attempts: Sequence[str]) -> set[str]:
    """Which of these attempts still hold their turns. A read: it decides no write."""
    if not attempts:
        return set()
    query = select(turns.c.attempt).where(
        turns.c.attempt.in_(attempts), turns.c.status == TurnStatus.RUNNING.value
    )
    return set(connection.execute(query).scalars())


def expired(connection: Connection, owner: str | None, most: int = 500) -> list[Lease]:
    """Running turns whose lease has run out, or that never had one; to be watched, not yet ended."""
    query = (
        select(turns.c.id, turns.c.attempt, turns.c.beat, turns.c.task_id)
        .join(tasks, tasks.c.id == turns.c.task_id)
        .where(
            turns.c.status == TurnStatus.RUNNING.value,
            (turns.c.lease_until < bindparam("now")) | turns.c.lease_until.is_(None),
            tasks.c.owner == owner if owner else tasks.c.owner.is_(None),
        )
        .order_by(turns.c.lease_until)
        .limit(most)
    )
    rows = connection.execute(query, {"now": now(connection)})
    return [Lease(row.id, row.attempt, row.beat, row.task_id) for row in rows]
