"""Restart: takes stages back, and opens again what kept stages had led to.

Every dropped stage whose opener is kept opens again with its old input. Arrivals from kept stages stay: their
joins open by themselves, as soon as all that can still come has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aqm.engine.branching import settle
from aqm.engine.opening import open_stage
from aqm.engine.scene import Scene
from aqm.flow.event import EventKind
from aqm.flow.joins import seen
from aqm.flow.state import BranchStatus, TaskStatus, Waits
from aqm.flow.task import Policy
from aqm.pipeline.spec import Pipeline
from aqm.storage import branches, chunks, counters, restarts, turns
from aqm.storage.counters import Count
from aqm.storage.database import Connection
from aqm.storage.restarts import BranchRow, StageRow
from aqm.storage.tasks import LockedTask

__all__ = ["Plan", "plan", "restart"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restart does: the stages it keeps, those it drops, and of these the ones that open again. A join
    opens again by itself; `parked` are the branches that stand at one again."""

    since: int
    kept: tuple[StageRow, ...]
    dropped: tuple[StageRow, ...]
    reopened: tuple[StageRow, ...]
    parked: tuple[BranchRow, ...]
    rows: tuple[BranchRow, ...]

    @property
    def agents(self) -> frozenset[str]:
        """The agents that the task goes on with; within a fan-out also those that it goes back to."""
        going_on = [*self.reopened, *(stage for stage in self.kept if stage.open)]
        found = {stage.agent for stage in going_on}
        if self.parked or any(stage.branch for stage in going_on):
            found |= {stage.agent for stage in self.kept} | self.joins
            found |= {row.target for row in self.rows if row.target is not None}
        return frozenset(found)

    @property
    def joins(self) -> frozenset[str]:
        """The joins at which branches stand."""
        return frozenset(row.joins for row in self.parked if row.joins is not None)


def plan(connection: Connection, task: str, since: int) -> Plan:
    """What `restart` from stage number `since` on would do; nothing is written."""
    stages = restarts.stage_rows(connection, task)
    rows = tuple(restarts.branch_rows(connection, task))
    kept = _kept(stages, rows, since)
    numbers = {stage.number for stage in kept}
    ids = {None, *(stage.id for stage in kept)}
    dropped = tuple(stage for stage in stages if stage.number not in numbers)
    reopened = tuple(stage for stage in dropped if not stage.joined and stage.opener in ids)
    parked = tuple(row for row in rows if row.closed_by not in numbers and _arrived(row, numbers))
    return Plan(since, kept, dropped, reopened, parked, rows)


def _kept(stages: Sequence[StageRow], rows: Sequence[BranchRow], since: int) -> tuple[StageRow, ...]:
    """The stages before `since`; of the cancelled ones among them those that a kept stage had cancelled."""
    kept = tuple(stage for stage in stages if stage.number < since)
    while True:
        numbers = {stage.number for stage in kept}
        closed = {row.path for row in rows if row.closed_by in numbers}
        left = tuple(stage for stage in kept if not stage.cancelled or stage.branch in closed)
        if len(left) == len(kept):
            return kept
        kept = left


def _arrived(row: BranchRow, kept: set[int]) -> bool:
    """Whether a stage that is kept had sent the branch to its join."""
    return row.joins is not None and row.fanout in kept and row.sent in kept


def restart(connection: Connection, task: LockedTask, pipeline: Pipeline, policy: Policy, what: Plan) -> None:
    """Write it down; the caller has seen to it that the task may be restarted."""
    ids = [stage.id for stage in what.dropped]
    turns.drop_live(connection, task.id, task.at, ids)
    restarts.drop_stages(connection, ids, task.at)
    chunks.take_back(connection, task.id, [stage.number for stage in what.dropped], task.at)
    counters.recount(connection, task.id, _counts(what))
    _turn_back(connection, task, what)
    task.run += 1
    task.run_stages = len(what.kept)
    task.changes.update(run=task.run, run_stages=task.run_stages)
    _stand(task, what.kept)
    task.move(TaskStatus.IN_PROGRESS)
    task.tell(EventKind.TASK_RESTARTED, from_stage=what.since)
    for stage in what.reopened:
        open_stage(
            connection,
            task,
            pipeline,
            policy,
            stage.agent,
            stage.input,
            branch=stage.branch,
            opener=stage.opener,
        )
    first = what.dropped[0]
    settle(Scene(connection, task, pipeline, policy, first.id, first.number, first.agent, first.branch))


def _stand(task: LockedTask, kept: Sequence[StageRow]) -> None:
    """What is open, waits and has failed among the kept stages."""
    task.ended()
    task.opened(sum(stage.open for stage in kept))
    for stage in kept:
        if stage.open and stage.waits:
            task.wait(Waits(stage.waits))
    task.recover(always=True)
    failed = next((stage for stage in kept if stage.error_class), None)
    if failed is not None:
        task.fail(failed.error_class or "", failed.error_message or "")


# Branches ----------------------------------------------------------------------------------------


def _turn_back(connection: Connection, task: LockedTask, what: Plan) -> None:
    """Set each branch to where its kept stages left it."""
    last = {stage.branch: stage for stage in what.kept}
    reopened = {stage.branch: stage.agent for stage in what.reopened}
    for row in what.rows:
        status = _status(row, what, last.get(row.path), row.path in reopened)
        if status is not None:
            restarts.set_branch(connection, task.id, row.path, status)
    for path, agent in reopened.items():
        branches.move(connection, task.id, path, agent)


def _status(row: BranchRow, what: Plan, last: StageRow | None, reopened: bool) -> BranchStatus | None:
    """What the branch is again; None: what it was. `last` is the last of its stages that is kept."""
    kept = {stage.number for stage in what.kept}
    if row.fanout not in kept or (row.continues is not None and last is None):
        return BranchStatus.DROPPED
    if row in what.parked:
        return BranchStatus.PARKED
    if row.closed_by in kept:
        return None
    if reopened or (last is not None and last.open):
        return BranchStatus.LIVE
    if last is not None and any(each.fanout == last.number for each in what.rows):
        return BranchStatus.FORKED
    return None


def _counts(what: Plan) -> dict[tuple[str, str], Count]:
    """Visits and rejections by branch and agent, counted anew from the first kept stage on."""
    counts: dict[tuple[str, str], Count] = {}
    merged: dict[str, str] = {}
    for stage in what.kept:
        if stage.joined:
            merged |= {row.path: stage.branch for row in what.rows if _merged_by(row, stage)}
        _count(counts, stage, seen(stage.branch, merged))
    return counts


def _merged_by(row: BranchRow, join: StageRow) -> bool:
    return row.closed_by == join.number and row.merged_into is not None


def _count(counts: dict[tuple[str, str], Count], stage: StageRow, paths: set[str]) -> None:
    own = counts.setdefault((stage.branch, stage.agent), Count())
    own.visits += 1
    if stage.approved is None:
        return
    newest = max(
        (count for (path, agent), count in counts.items() if agent == stage.agent and path in paths),
        key=lambda count: count.judged,
    )
    own.rejections = 0 if stage.approved else newest.rejections + 1
    own.judged = stage.number
