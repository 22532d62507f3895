"""Branches: a stage hands over, fans out, arrives at a join; branches end, and at last the task."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aqm.engine.frozen import graph_of
from aqm.engine.opening import open_stage
from aqm.engine.scene import Scene
from aqm.flow.decision import Arrival
from aqm.flow.event import EventKind
from aqm.flow.joins import Branch, Opening, collectors, due, lineage, stuck, within
from aqm.flow.outcome import FailureClass
from aqm.flow.state import BranchStatus, TaskStatus
from aqm.pipeline.spec import Pipeline
from aqm.storage import blobs, branches, stages, turns
from aqm.storage.blobs import Blob
from aqm.storage.branches import Parked
from aqm.storage.database import Connection
from aqm.storage.tasks import LockedTask

__all__ = ["fail_branch", "hand_over", "settle"]


def hand_over(scene: Scene, arrivals: Sequence[Arrival], payloads: Sequence[Blob]) -> None:
    """The stage has ended well: its arrivals go on in its branch, or each in a new one."""
    scene.task.opened(-1)
    paths = [scene.branch] if arrivals else []
    if len(arrivals) > 1:
        targets = [arrival.agent for arrival in arrivals]
        paths = branches.open_branches(scene.connection, scene.task, scene.branch, scene.number, targets)
    for path, arrival, payload in zip(paths, arrivals, payloads, strict=True):
        scene.tell(EventKind.HANDOFF, to=arrival.agent, condition=arrival.condition)
        _arrive(scene, path, arrival.agent, payload.hash)
    if not arrivals:
        branches.end(scene.connection, scene.task.id, scene.branch, BranchStatus.ENDED)
    settle(scene)


def _arrive(scene: Scene, path: str, agent_id: str, payload: str) -> None:
    """A payload comes to an agent in the branch `path`: a stage opens, or a join waits for more."""
    task, connection = scene.task, scene.connection
    if _joins(scene, Parked(path, scene.agent_id, scene.number, payload), agent_id):
        return
    if task.run_stages >= scene.policy.max_stages:  # a hand-over to a join was let through
        _exceed(scene, agent_id, [path])
        return
    branches.move(connection, task.id, path, agent_id)
    open_stage(
        connection,
        task,
        scene.pipeline,
        scene.policy,
        agent_id,
        payload,
        branch=path,
        opener=scene.stage_id,
        message=scene.message,
    )


def _joins(scene: Scene, arrival: Parked, join: str) -> bool:
    """Whether the arrival waits at a join, or comes too late for it; else the agent's stage opens."""
    task, connection, path = scene.task, scene.connection, arrival.path
    if scene.pipeline.agent(join).join is None or not path:
        return False
    reach = graph_of(connection, task.project, task.frozen).reach
    for fanout in collectors(path, join, branches.fired(connection, task.id, path), reach):
        joined = branches.joined_before(connection, task.id, join, fanout)
        if joined is None:
            task.tell(EventKind.BRANCH_WAITS, scene.number, join, branch=path)
            branches.park(connection, task.id, arrival, join, fanout)
            return True
        into, stage = joined
        if into not in branches.seen(connection, task.id, path):
            task.tell(EventKind.BRANCH_LATE, scene.number, join, branch=path)
            branches.park(connection, task.id, arrival, join, fanout, late_for=stage)
            return True
    return False


def fail_branch(scene: Scene) -> None:
    """The stage has failed, and its branch with it; the fan-out's others may be cancelled for that."""
    scene.task.opened(-1)
    _fail(scene, scene.branch, f"{scene.agent_id} failed", by=scene.number)
    settle(scene)


def _fail(scene: Scene, path: str, reason: str, *, by: int | None = None) -> None:
    branches.end(scene.connection, scene.task.id, path, BranchStatus.FAILED)
    for step in reversed(lineage(path)):
        opener = stages.agent_of(scene.connection, scene.task.id, step.fanout)
        if scene.pipeline.agent(opener).on_branch_failure == "cancel":
            active = branches.active(scene.connection, scene.task.id)
            others = [each.path for each in active if within(each.path, step.fanout)]
            _cancel(scene, others, reason, by=by)


def _exceed(scene: Scene, agent_id: str, paths: Sequence[str]) -> None:
    """The agent would be one stage too many: the branches that came to it fail."""
    number = scene.task.run_stages + 1
    message = f"{agent_id} would be stage {number}, and max_stages is {scene.policy.max_stages}"
    scene.task.fail(FailureClass.STAGE_LIMIT.value, message)
    for path in paths:
        scene.task.tell(EventKind.BRANCH_CANCELLED, None, agent_id, branch=path, reason=message)
        _fail(scene, path, message)


def _cancel(scene: Scene, paths: Sequence[str], reason: str, *, by: int | None) -> None:
    """Take back branches that are under way, because of what stage `by` is or did."""
    connection, task = scene.connection, scene.task
    open_ones = stages.open_in(connection, task.id, paths)
    turns.drop_live(connection, task.id, task.at, [stage.id for stage in open_ones])
    for stage in open_ones:
        stages.drop(connection, stage.id, task.at)
        task.opened(-1)
        if stage.waits is not None:
            task.wait(stage.waits, -1)
        task.tell(EventKind.BRANCH_CANCELLED, stage.number, stage.agent, branch=stage.branch, reason=reason)
    branches.cancel(connection, task.id, paths, by)


# Joins -------------------------------------------------------------------------------------------


def settle(scene: Scene) -> None:
    """Open the joins that are due; when nothing is under way any more, end the task."""
    task = scene.task
    if task.branches:
        _open_joins(scene)
    if task.live_branches > 0:
        task.rest()
        return
    if task.error_class is None:
        task.move(TaskStatus.COMPLETED)
        task.tell(EventKind.TASK_COMPLETE)
    else:
        task.move(TaskStatus.FAILED)
        task.tell(EventKind.TASK_FAILED, **{"class": task.error_class})


def _open_joins(scene: Scene) -> None:
    connection, task = scene.connection, scene.task
    graph = graph_of(connection, task.project, task.frozen)
    while True:
        active = branches.active(connection, task.id)
        if not any(each.joins for each in active):
            return
        failed = branches.failed(connection, task.id)
        opening = next(iter(due(active, failed, graph.joins, graph.reach)), None)
        if opening is None and task.live_branches == 0:
            opening = stuck(active, failed, graph.joins)
            if opening is None:
                _abandon(scene, active)
                return
        if opening is None:
            return
        _open(scene, opening, active)


def _abandon(scene: Scene, active: Sequence[Branch]) -> None:
    """What is parked waits for nothing any more: a branch of its fan-out has failed."""
    for each in active:
        scene.task.tell(
            EventKind.BRANCH_CANCELLED,
            None,
            each.agent,
            branch=each.path,
            reason="another branch failed, so the join does not open",
        )
    branches.cancel(scene.connection, scene.task.id, [each.path for each in active])


def _open(scene: Scene, opening: Opening, active: Sequence[Branch]) -> None:
    """The join goes on with what has arrived: in the branch that fanned out when nothing else of the fan-out
    is under way, else in a new one beside the others."""
    connection, task, group = scene.connection, scene.task, opening.group
    paths = [each.path for each in group.arrived]
    parent = next(step.parent for step in lineage(paths[0]) if step.fanout == group.fanout)
    if task.run_stages >= scene.policy.max_stages:
        _exceed(scene, group.join, paths)
        return
    number = task.stages + 1
    if opening.cuts:
        _cancel(scene, opening.cuts, f"a branch failed, and {group.join} goes on", by=number)
    arrived = branches.parked(connection, task.id, paths)
    inputs = _latest([arrived[path] for path in paths])
    newest = max(inputs, key=lambda each: each.sent)
    text, packed = _collected(connection, task, scene.pipeline, inputs)
    gone = {*paths, *opening.cuts}
    if any(within(each.path, group.fanout) and each.path not in gone for each in active):
        into = branches.continue_in(connection, task, parent, group.fanout, group.join)
    else:
        into = parent
        branches.move(connection, task.id, into, group.join)
    branches.merge(connection, task.id, paths, into, number)
    task.tell(EventKind.JOINED, number, group.join, branches=paths)
    open_stage(
        connection,
        task,
        scene.pipeline,
        scene.policy,
        group.join,
        text,
        branch=into,
        opener=stages.id_of(connection, task.id, newest.sent),
        inputs=packed,
        message=scene.message,
    )


def _latest(arrived: Sequence[Parked]) -> list[Parked]:
    """One input per agent, the latest; in declared order."""
    newest: dict[str, Parked] = {}
    for each in arrived:
        known = newest.get(each.sender)
        if known is None or each.sent > known.sent:
            newest[each.sender] = each
    return [each for each in arrived if newest[each.sender] is each]


def _collected(
    connection: Connection, task: LockedTask, pipeline: Pipeline, inputs: Sequence[Parked]
) -> tuple[str, str]:
    """The join's input, stored: the payloads, each under a heading with its agent's name; and, as JSON, whose
    they are."""
    texts = blobs.read_many(connection, task.project, [each.payload for each in inputs])
    parts = [
        f"## {' '.join(pipeline.agent(each.sender).title.split())} ({each.sender})\n\n{texts[each.payload]}"
        for each in inputs
    ]
    packed = blobs.blob("\n\n".join(parts))
    blobs.put(connection, task.project, [packed], task.at)
    return packed.hash, json.dumps([[each.sender, each.payload] for each in inputs])
