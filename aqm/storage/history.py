"""What a branch did before a stage: bounded reads, whatever the history's length."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from aqm.flow.state import StageStatus
from aqm.storage.tables import stages

__all__ = ["PastStage", "ancestors", "count_before", "stages_before"]


_STATUS = {status.value: status for status in StageStatus}
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


def ancestors(branch: str) -> list[str]:
    """The paths of a branch and of all that it came from, the trunk first: "/5.1/7.2" came from "/5.1"."""
    parts = branch.split("/")[1:]
    return ["/".join(["", *parts[:length]]) if length else "" for length in range(len(parts) + 1)]


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
        select(
            stages.c.number,
            stages.c.agent,
            stages.c.status,
            stages.c.headline,
            stages.c.output,
            stages.c.approved,
            stages.c.reason,
        )
        .where(*_seen(task, branch, number, agent))
        .order_by(stages.c.number.desc())
    )
    if most is not None:
        query = query.limit(most)
    rows = [
        PastStage(number, agent_id, _STATUS[status], headline, output, _TRUTH[approved], reason or "")
        for number, agent_id, status, headline, output, approved, reason in connection.execute(query)
    ]
    return rows[::-1]


def count_before(
    connection: Connection, task: str, branch: str, number: int, agent: str | None = None
) -> int:
    """How many there are; asked only when a context says how many it leaves out."""
    query = select(func.count()).select_from(stages).where(*_seen(task, branch, number, agent))
    return int(connection.execute(query).scalar_one())


def _seen(task: str, branch: str | None, number: int, agent: str | None) -> list[ColumnElement[bool]]:
    seen = [
        stages.c.task_id == task,
        stages.c.number < number,
        stages.c.status != StageStatus.DROPPED.value,
    ]
    if branch is not None:
        seen.append(stages.c.branch.in_(ancestors(branch)))
    if agent is not None:
        seen.append(stages.c.agent == agent)
    return seen
