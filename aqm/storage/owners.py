"""Owners of embedded tasks: which process alone rings, claims and sweeps a task."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from aqm.flow.state import TaskStatus, TurnStatus
from aqm.storage.tables import tasks, turns
from aqm.storage.turns import stages_of

__all__ = ["adopt", "last_sign", "mine", "orphans", "owner_of", "release", "working"]

_WORKING = [TaskStatus.PENDING.value, TaskStatus.IN_PROGRESS.value]
_OPEN = [status.value for status in TaskStatus if not status.ended]


def owner_of(connection: Connection, task: str) -> str | None:
    return connection.execute(select(tasks.c.owner).where(tasks.c.id == task)).scalar_one_or_none()


def adopt(connection: Connection, task: str, before: str | None, owner: str) -> bool:
    """Become the owner, if the owner still is `before`; of two that try, one does."""
    same = tasks.c.owner.is_(None) if before is None else tasks.c.owner == before
    result = connection.execute(update(tasks).where(tasks.c.id == task, same).values(owner=owner))
    return bool(result.rowcount == 1)


def mine(connection: Connection, owner: str) -> dict[str, int]:
    """The tasks that `owner` owns and that have not ended, each with the number of its events."""
    query = select(tasks.c.id, tasks.c.events).where(tasks.c.owner == owner, tasks.c.status.in_(_OPEN))
    return {row.id: row.events for row in connection.execute(query)}


def working(connection: Connection, owner: str) -> bool:
    """Whether one of them can go on without a person."""
    query = select(tasks.c.id).where(tasks.c.owner == owner, tasks.c.status.in_(_WORKING)).limit(1)
    return connection.execute(query).first() is not None


def orphans(connection: Connection, project: int, most: int = 1000) -> list[tuple[str, str | None]]:
    """Tasks that could go on, oldest first, each with its owner: for the hint that some wait for a worker."""
    query = (
        select(tasks.c.id, tasks.c.owner, tasks.c.created_at)
        .where(tasks.c.project_id == project, tasks.c.status.in_([*_WORKING, TaskStatus.STALLED.value]))
        .limit(most)
    )
    # sorted here: an order in the query would have it walk through all that has ended
    rows = sorted(connection.execute(query), key=lambda row: row.created_at)
    return [(row.id, row.owner) for row in rows]


def last_sign(connection: Connection, task: str) -> float:
    """When its owner was last known to act: the end of its longest lease, or its last write."""
    lease = select(func.max(turns.c.lease_until)).where(
        turns.c.stage_id.in_(stages_of(task)), turns.c.status == TurnStatus.RUNNING.value
    )
    written = select(tasks.c.updated_at).where(tasks.c.id == task)
    signs = [connection.execute(query).scalar_one_or_none() for query in (lease, written)]
    return max((float(sign) for sign in signs if sign is not None), default=0.0)


def release(connection: Connection, owner: str) -> None:
    """This process goes: its tasks belong to nobody until somebody resumes them."""
    connection.execute(update(tasks).where(tasks.c.owner == owner).values(owner=None))
