"""Branches: what fan-outs opened, where each is, and what joins made of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from aqm.flow import joins
from aqm.flow.joins import Branch, lineage
from aqm.flow.state import BranchStatus
from aqm.storage.tables import branches
from aqm.storage.tasks import LockedTask

__all__ = [
    "Parked",
    "active",
    "cancel",
    "cancel_active",
    "continue_in",
    "end",
    "failed",
    "fired",
    "fork",
    "joined_before",
    "merge",
    "move",
    "open_branches",
    "park",
    "parked",
    "seen",
]

_ACTIVE = (BranchStatus.LIVE.value, BranchStatus.PARKED.value)


@dataclass(frozen=True, slots=True)
class Parked:
    """An arrival at a join: the payload's hash, who sent it, and in which stage."""

    path: str
    sender: str
    sent: int
    payload: str


def seen(connection: Connection, task: str, path: str) -> set[str]:
    """The branches whose past the branch `path` has seen."""
    query = select(branches.c.path, branches.c.merged_into).where(
        branches.c.task_id == task, branches.c.merged_into.is_not(None)
    )
    return joins.seen(path, {row.path: row.merged_into for row in connection.execute(query)})


def open_branches(
    connection: Connection, task: LockedTask, parent: str, fanout: int, targets: Sequence[str]
) -> list[str]:
    """A branch for each target of a fan-out; their paths. The branch that fans out goes on in them."""
    paths = [f"{parent}/{fanout}.{index}" for index in range(1, len(targets) + 1)]
    rows = [
        _row(task.id, path, fanout, agent=target, target=target)
        for path, target in zip(paths, targets, strict=True)
    ]
    connection.execute(insert(branches), rows)
    fork(connection, task.id, parent)
    task.branches += len(rows)
    task.changes["branches"] = task.branches
    return paths


def continue_in(connection: Connection, task: LockedTask, parent: str, fanout: int, join: str) -> str:
    """A new branch of the fan-out, in which a join goes on while others of it are still under way."""
    query = (
        select(func.count())
        .select_from(branches)
        .where(branches.c.task_id == task.id, branches.c.fanout == fanout)
    )
    path = f"{parent}/{fanout}.{int(connection.execute(query).scalar_one()) + 1}"
    connection.execute(insert(branches), [_row(task.id, path, fanout, agent=join, continues=join)])
    task.branches += 1
    task.changes["branches"] = task.branches
    return path


def _row(task: str, path: str, fanout: int, **values: str | None) -> dict[str, Any]:
    row = {"task_id": task, "path": path, "fanout": fanout, "status": BranchStatus.LIVE.value}
    return {**row, "target": None, "continues": None, **values}


def fork(connection: Connection, task: str, path: str) -> None:
    _change(connection, task, [path], status=BranchStatus.FORKED.value)


def move(connection: Connection, task: str, path: str, agent: str) -> None:
    """The branch has come to `agent`; the trunk has no row, and nothing happens."""
    if path:
        _change(connection, task, [path], agent=agent, status=BranchStatus.LIVE.value)


def park(
    connection: Connection,
    task: str,
    arrival: Parked,
    join: str,
    collects: int,
    *,
    late_for: int | None = None,
) -> None:
    """It has arrived at a join; too late, if the join had opened stage `late_for` without it."""
    status = BranchStatus.PARKED if late_for is None else BranchStatus.LATE
    _change(
        connection,
        task,
        [arrival.path],
        status=status.value,
        agent=join,
        joins=join,
        collects=collects,
        sender=arrival.sender,
        sent=arrival.sent,
        payload=arrival.payload,
        closed_by=late_for,
    )


def end(connection: Connection, task: str, path: str, status: BranchStatus) -> None:
    if path:
        _change(connection, task, [path], status=status.value)


def merge(connection: Connection, task: str, paths: Sequence[str], into: str, stage: int) -> None:
    """The join's stage `stage` goes on in `into` with what these branches have done."""
    _change(
        connection,
        task,
        paths,
        status=BranchStatus.MERGED.value,
        merged_into=into,
        closed_by=stage,
    )


def cancel(connection: Connection, task: str, paths: Sequence[str], by: int | None = None) -> None:
    """Take branches back, because of what stage `by` is or did."""
    _change(connection, task, paths, status=BranchStatus.CANCELLED.value, closed_by=by)


def cancel_active(connection: Connection, task: str) -> None:
    """Take back all that is live or parked."""
    cancel(connection, task, [each.path for each in active(connection, task)])


def _change(connection: Connection, task: str, paths: Sequence[str], **values: Any) -> None:
    connection.execute(
        update(branches).where(branches.c.task_id == task, branches.c.path.in_(paths)).values(**values)
    )


# Looked at by decisions --------------------------------------------------------------------------


def active(connection: Connection, task: str) -> list[Branch]:
    """The branches that are live or parked."""
    query = select(
        branches.c.path, branches.c.agent, branches.c.status, branches.c.joins, branches.c.collects
    ).where(branches.c.task_id == task, branches.c.status.in_(_ACTIVE))
    return [
        Branch(row.path, row.agent, row.joins, row.collects)
        if row.status == BranchStatus.PARKED
        else Branch(row.path, row.agent)
        for row in connection.execute(query)
    ]


def parked(connection: Connection, task: str, paths: Sequence[str]) -> dict[str, Parked]:
    query = select(branches.c.path, branches.c.sender, branches.c.sent, branches.c.payload).where(
        branches.c.task_id == task, branches.c.path.in_(paths)
    )
    return {
        row.path: Parked(row.path, row.sender, row.sent, row.payload) for row in connection.execute(query)
    }


def fired(connection: Connection, task: str, path: str) -> Mapping[int, Sequence[str]]:
    """The targets of the fan-outs that a path names, in declared order."""
    fanouts = [step.fanout for step in lineage(path)]
    query = select(branches.c.fanout, branches.c.target).where(
        branches.c.task_id == task,
        branches.c.fanout.in_(fanouts),
        branches.c.target.is_not(None),
    )
    found: dict[int, list[str]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.fanout].append(row.target)
    return found


def failed(connection: Connection, task: str) -> frozenset[int]:
    """The fan-outs that have lost a branch."""
    query = select(branches.c.path).where(
        branches.c.task_id == task, branches.c.status == BranchStatus.FAILED.value
    )
    paths = connection.execute(query).scalars()
    return frozenset(step.fanout for path in paths for step in lineage(path))


def joined_before(connection: Connection, task: str, join: str, fanout: int) -> tuple[str, int] | None:
    """The branch in which the join has gone on for that fan-out, and the number of its stage; None when it
    has not opened for it."""
    query = select(branches.c.merged_into, branches.c.closed_by).where(
        branches.c.task_id == task,
        branches.c.joins == join,
        branches.c.collects == fanout,
        branches.c.status == BranchStatus.MERGED.value,
    )
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else (row.merged_into, row.closed_by)
