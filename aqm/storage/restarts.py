"""Taking stages back: what a restart reads of a task, and marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from aqm.flow.outcome import FailureClass
from aqm.flow.state import BranchStatus, StageStatus
from aqm.storage.tables import branches, stages

__all__ = ["BranchRow", "StageRow", "branch_rows", "drop_stages", "set_branch", "stage_rows"]


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage that counts; `cancelled` was under way when the task or its branch was cancelled. `joined` was
    opened by a join."""

    id: int
    number: int
    agent: str
    branch: str
    opener: int | None
    open: bool
    cancelled: bool
    joined: bool
    waits: str | None
    input: str
    approved: bool | None
    error_class: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class BranchRow:
    """`closed_by` is the stage of the join that went on with it or without, or whose failure cancelled it."""

    path: str
    fanout: int
    target: str | None
    continues: str | None
    status: BranchStatus
    joins: str | None
    sender: str | None
    sent: int | None
    merged_into: str | None
    closed_by: int | None


def stage_rows(connection: Connection, task: str) -> list[StageRow]:
    """The stages that no restart has dropped, by number."""
    cancelled = stages.c.error_class == FailureClass.CANCELLED.value
    query = (
        select(stages)
        .where(stages.c.task_id == task, (stages.c.status != StageStatus.DROPPED.value) | cancelled)
        .order_by(stages.c.number)
    )
    return [
        StageRow(
            row.id,
            row.number,
            row.agent,
            row.branch,
            row.opener,
            row.status == StageStatus.OPEN,
            row.status == StageStatus.DROPPED,
            row.inputs is not None,
            row.waits,
            row.unanswered or row.input,
            None if row.approved is None else bool(row.approved),
            row.error_class if row.status == StageStatus.FAILED else None,
            row.error_message,
        )
        for row in connection.execute(query)
    ]


def branch_rows(connection: Connection, task: str) -> list[BranchRow]:
    query = (
        select(branches)
        .where(branches.c.task_id == task, branches.c.status != BranchStatus.DROPPED.value)
        .order_by(branches.c.fanout, branches.c.path)
    )
    return [
        BranchRow(
            row.path,
            row.fanout,
            row.target,
            row.continues,
            BranchStatus(row.status),
            row.joins,
            row.sender,
            row.sent,
            row.merged_into,
            row.closed_by,
        )
        for row in connection.execute(query)
    ]


def drop_stages(connection: Connection, ids: Sequence[int], at: float) -> None:
    connection.execute(
        update(stages)
        .where(stages.c.id.in_(ids))
        .values(
            status=StageStatus.DROPPED.value,
            error_class=None,
            error_message=None,
            waits=None,
            round_due=None,
            finished_at=at,
        )
    )


def set_branch(connection: Connection, task: str, path: str, status: BranchStatus) -> None:
    """The branch is so again; one that is parked keeps its payload."""
    values: dict[str, object] = {"status": status.value, "closed_by": None, "merged_into": None}
    if status is BranchStatus.PARKED:
        values["agent"] = branches.c.joins
    else:
        values |= {"joins": None, "collects": None, "sender": None, "sent": None, "payload": None}
    connection.execute(
        update(branches).where(branches.c.task_id == task, branches.c.path == path).values(**values)
    )
