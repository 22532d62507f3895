"""What a branch did before a stage: bounded reads, whatever the history's length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from aqm.flow.state import StageStatus
from aqm.storage import branches
from aqm.storage.tables import stages, tasks

__all__ = ["PastStage", "count_before", "parent_of", "stage_of", "stages_before"]


_STATUS = {status.value: status for status in StageStatus}
_PAST = (
    stages.c.number,
    stages.c.agent,
    stages.c.status,
    stages.c.headline,
    stages.c.output,
    stages.c.approved,
    stages.c.reason,
)
_TRUTH = {None: None, 0: False, 1: True}


@dataclass(frozen=True, slots=True)
class PastStage:
    """`output` is a blob's hash."""

    number: int
    agent: str
    status: StageStatus
    headline: str
    output: str | None
    approved: bool | None
    reason: str
    task: str = ""  # the task that this one fixes, where the stage is that one's


def parent_of(connection: Connection, task: str) -> str | None:
    """The task that this one fixes."""
    return connection.execute(select(tasks.c.parent).where(tasks.c.id == task)).scalar_one_or_none()


def stage_of(connection: Connection, stage: int) -> PastStage | None:
    """One stage, by its id."""
    row = connection.execute(select(*_PAST).where(stages.c.id == stage)).one_or_none()
    return None if row is None else _past(row)


def stages_before(
    connection: Connection,
    task: str,
    branch: str | None,
    number: int,
    most: int | None,
    agent: str | None = None,
) -> list[PastStage]:
    """The last `most` stages (None: all) that the branch (None: any) saw before stage `number`, oldest
    first; with `agent` only that agent's."""
    query = (
        select(*_PAST).where(*_seen(connection, task, branch, number, agent)).order_by(stages.c.number.desc())
    )
    if most is not None:
        query = query.limit(most)
    return [_past(row) for row in connection.execute(query)][::-1]


def _past(row: Any) -> PastStage:
    number, agent, status, headline, output, approved, reason = row
    return PastStage(number, agent, _STATUS[status], headline, output, _TRUTH[approved], reason or "")


def count_before(
    connection: Connection, task: str, branch: str | None, number: int, agent: str | None = None
) -> int:
    """How many there are; asked only when a context says how many it leaves out."""
    query = select(func.count()).select_from(stages).where(*_seen(connection, task, branch, number, agent))
    return int(connection.execute(query).scalar_one())


def _seen(
    connection: Connection, task: str, branch: str | None, number: int, agent: str | None
) -> list[ColumnElement[bool]]:
    seen = [
        stages.c.task_id == task,
        stages.c.number < number,
        stages.c.status != StageStatus.DROPPED.value,
    ]
    if branch is not None:
        seen.append(stages.c.branch.in_(branches.seen(connection, task, branch)))
    if agent is not None:
        seen.append(stages.c.agent == agent)
    return seen
