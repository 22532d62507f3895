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
from aqm.flow.state import BranchStatus, Waits
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
    opens again by itself."""

    since: int
    kept: tuple[StageRow, ...]
    dropped: tuple[StageRow, ...]
    reopened: tuple[StageRow, ...]
    parked: tuple[BranchRow, ...]
    rows: tuple[BranchRow, ...]


def plan(connection: Connection, task: str, since: int) -> Plan:
    """What `restart` from stage number `since` on would do; nothing is written."""
    stages = restarts.stage_rows(connection, task)
    dropped = tuple(stage for stage in stages if stage.number >= since or stage.cancelled)
    kept = tuple(stage for stage in stages if stage not in dropped)
    ids = {stage.id for stage in kept}
    reopened = tuple(
        stage for stage in dropped if not stage.joined and (stage.opener is None or stage.opener in ids)
    )
    rows = tuple(restarts.branch_rows(connection, task))
    numbers = {stage.number for stage in kept}
    parked = tuple(row for row in rows if _parks(row, numbers))
    return Plan(since, kept, dropped, reopened, parked, rows)


def _parks(row: BranchRow, kept: set[int]) -> bool:
    """Whether the branch stands at its join again: it was sent there by a stage that is kept, and the join's
    own stage, if there was one, is not."""
    return (
        row.joins is not None
        and row.fanout in kept
        and row.sent in kept
        and (row.merged_stage is None or row.merged_stage not in kept)
    )


def restart(connection: Connection, task: LockedTask, pipeline: Pipeline, policy: Policy, what: Plan) -> None:
    """Write it down; the caller has seen to it that the task may be restarted."""
    ids = [stage.id for stage in what.dropped]
    turns.drop_live(connection, task.id, task.at, ids)
    restarts.drop_stages(connection, ids, task.at)
    chunks.take_back(connection, task.id, what.since, task.at)
    if what.rows:
        _turn_back(connection, task, what)
    counters.recount(connection, task.id, _counts(what, connection, task.id))
    task.run += 1
    task.run_stages = len(what.kept)
    task.changes.update(run=task.run, run_stages=task.run_stages)
    _stand(task, what.kept)
    task.tell(EventKind.TASK_RESTARTED, from_stage=what.since)
    for stage in what.reopened:
        branches.move(connection, task.id, stage.branch, stage.agent)
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


def _turn_back(connection: Connection, task: LockedTask, what: Plan) -> None:
    """Set each branch to where its kept stages left it."""
    kept = {stage.number: stage for stage in what.kept}
    forks = {row.fanout for row in what.rows if row.fanout in kept}
    reopened = {stage.branch for stage in what.reopened}
    for row in what.rows:
        first = next((stage for stage in what.kept if stage.branch == row.path), None)
        if row.fanout not in kept or (row.continues is not None and first is None):
            status = BranchStatus.DROPPED
        elif row in what.parked:
            status = BranchStatus.PARKED
        elif row.merged_stage in kept:
            continue
        elif row.path in reopened:
            status = BranchStatus.LIVE
        elif any(kept[number].branch == row.path for number in forks):
            status = BranchStatus.FORKED
        else:
            continue
        restarts.set_branch(connection, task.id, row.path, status)
    restarts.unmerge(connection, task.id)
    for number in sorted(kept):
        paths = [row.path for row in what.rows if row.merged_stage == number]
        if paths:
            branches.merge(connection, task.id, paths, kept[number].branch, number)


def _counts(what: Plan, connection: Connection, task: str) -> dict[tuple[str, str], Count]:
    """Visits and rejections, counted anew from the kept stages."""
    counts: dict[tuple[str, str], Count] = {}
    for stage in what.kept:
        own = counts.setdefault((stage.branch, stage.agent), Count())
        own.visits += 1
        if stage.approved is None:
            continue
        seen = branches.paths_seen(connection, task, stage.branch)
        newest = max(
            (count for (path, agent), count in counts.items() if agent == stage.agent and path in seen),
            key=lambda count: count.judged,
        )
        own.rejections = 0 if stage.approved else newest.rejections + 1
        own.judged = stage.number
    return counts
