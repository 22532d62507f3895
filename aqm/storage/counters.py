"""What decisions count instead of reading the history: visits and rejections, by branch and agent.

A row counts what happened in its own branch; a branch sees the rows of those that it came from and of those
that a join put into it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from aqm.storage import branches
from aqm.storage.statement import Statement
from aqm.storage.tables import counters
from aqm.storage.tasks import LockedTask

__all__ = ["Count", "count_verdict", "recount", "rejections", "unvisit", "visit"]


class Count:
    """One row, as a restart counts it anew."""

    __slots__ = ("judged", "rejections", "visits")

    def __init__(self) -> None:
        self.visits = self.rejections = self.judged = 0


def visit(connection: Connection, task: LockedTask, branch: str, agent: str) -> int:
    """Count one visit more; how many the branch has seen."""
    key = {"task_id": task.id, "branch": branch, "agent": agent}
    own = _VISIT[connection.dialect.name].one(connection, key)
    if not task.branches:
        return int(own.visits)
    query = select(func.sum(counters.c.visits)).where(*_seen(connection, task, branch, agent))
    return int(connection.execute(query).scalar_one())


def unvisit(connection: Connection, task: str, branch: str, agent: str) -> None:
    """The visit was another agent's."""
    connection.execute(
        update(counters)
        .where(counters.c.task_id == task, counters.c.branch == branch, counters.c.agent == agent)
        .values(visits=counters.c.visits - 1)
    )


def rejections(connection: Connection, task: LockedTask, branch: str, agent: str) -> int:
    """The agent's rejections since its last approval, as the branch has seen them: those of the newest
    verdict."""
    query = (
        select(counters.c.rejections)
        .where(*_seen(connection, task, branch, agent), counters.c.judged > 0)
        .order_by(counters.c.judged.desc())
        .limit(1)
    )
    return int(connection.execute(query).scalar_one_or_none() or 0)


def count_verdict(
    connection: Connection, task: LockedTask, branch: str, agent: str, stage: int, approved: bool
) -> None:
    """An approval ends the row of rejections, a rejection lengthens it."""
    count = 0 if approved else rejections(connection, task, branch, agent) + 1
    key = {"task_id": task.id, "branch": branch, "agent": agent, "rejections": count, "judged": stage}
    _VERDICT[connection.dialect.name](connection, key)


def recount(connection: Connection, task: str, counts: dict[tuple[str, str], Count]) -> None:
    """Replace all rows of a task: a restart took stages back."""
    connection.execute(delete(counters).where(counters.c.task_id == task))
    rows = [
        {
            "task_id": task,
            "branch": branch,
            "agent": agent,
            "visits": count.visits,
            "rejections": count.rejections,
            "judged": count.judged,
        }
        for (branch, agent), count in counts.items()
    ]
    if rows:
        connection.execute(insert(counters), rows)


def _seen(connection: Connection, task: LockedTask, branch: str, agent: str) -> list[ColumnElement[bool]]:
    paths = branches.seen(connection, task.id, branch) if task.branches else {branch}
    return [counters.c.task_id == task.id, counters.c.agent == agent, counters.c.branch.in_(paths)]


_KEY = ["task_id", "branch", "agent"]
_NAMED: dict[str, Any] = {name: bindparam(name) for name in _KEY}


def _visit(statement: sqlite.Insert | postgresql.Insert) -> Statement:
    return Statement(
        statement.values(_NAMED | {"visits": 1})
        .on_conflict_do_update(index_elements=_KEY, set_={"visits": counters.c.visits + 1})
        .returning(counters.c.visits)
    )


def _verdict(statement: sqlite.Insert | postgresql.Insert) -> Statement:
    values: dict[str, Any] = {"rejections": bindparam("rejections"), "judged": bindparam("judged")}
    return Statement(
        statement.values(_NAMED | values).on_conflict_do_update(
            index_elements=_KEY, set_={name: getattr(statement.excluded, name) for name in values}
        )
    )


_VISIT = {"sqlite": _visit(sqlite.insert(counters)), "postgresql": _visit(postgresql.insert(counters))}
_VERDICT = {"sqlite": _verdict(sqlite.insert(counters)), "postgresql": _verdict(postgresql.insert(counters))}
