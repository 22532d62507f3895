"""Branches: a stage hands over, fans out, arrives at a join; branches end, and at last the task."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aqm.engine.frozen import graph_of
from aqm.engine.opening import open_stage
from aqm.engine.scene import Scene
from aqm.flow.decision import Arrival
from aqm.flow.event import EventKind
from aqm.flow.joins import Branch, Opening, collector, due, lineage, stuck, within
from aqm.flow.outcome import Failure, FailureClass
from aqm.flow.state import BranchStatus, TaskStatus
from aqm.pipeline.spec import Pipeline
from aqm.storage import blobs, branches, stages, turns
from aqm.storage.blobs import Blob
from aqm.storage.branches import Parked, ancestors
from aqm.storage.database import Connection
from aqm.storage.tasks import LockedTask

__all__ = ["end_branch", "fail_branch", "hand_over", "settle"]


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
    collects = None
    if scene.pipeline.agent(agent_id).join is not None and path:
        fired = branches.fired(connection, task.id, path)
        collects = collector(path, agent_id, fired, graph_of(connection, task.project, task.frozen).reach)
    if collects is not None:
        joined = branches.joined_before(connection, task.id, agent_id, collects)
        if joined is None:
            task.tell(EventKind.BRANCH_WAITS, scene.number, agent_id, branch=path)
            branches.park(
                connection, task.id, path, agent_id, collects, scene.agent_id, scene.number, payload
            )
            return
        if not joined & set(ancestors(path)):
            task.tell(EventKind.BRANCH_LATE, scene.number, agent_id, branch=path)
            branches.be_late(connection, task.id, path, agent_id, collects, scene.number)
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


def fail_branch(scene: Scene) -> None:
    """The stage has failed, and its branch with it; the fan-out's others may be cancelled for that."""
    scene.task.opened(-1)
    branches.end(scene.connection, scene.task.id, scene.branch, BranchStatus.FAILED)
    for step in reversed(lineage(scene.branch)):
        opener = stages.agent_of(scene.connection, scene.task.id, step.fanout)
        if scene.pipeline.agent(opener).on_branch_failure == "cancel":
            _cancel(scene, step.fanout, f"{scene.agent_id} failed")
    settle(scene)


def end_branch(scene: Scene, status: BranchStatus = BranchStatus.ENDED) -> None:
    scene.task.opened(-1)
    branches.end(scene.connection, scene.task.id, scene.branch, status)
    settle(scene)


def _cancel(scene: Scene, fanout: int, reason: str, keep: Sequence[str] = ()) -> None:
    """Take back what is under way of a fan-out, but for the branches to `keep`."""
    connection, task = scene.connection, scene.task
    active = [each.path for each in branches.active(connection, task.id) if within(each.path, fanout)]
    paths = [path for path in active if path not in keep]
    open_ones = stages.open_in(connection, task.id, paths)
    turns.drop_live(connection, task.id, task.at, [stage.id for stage in open_ones])
    for stage in open_ones:
        stages.drop(connection, stage.id, task.at)
        task.opened(-1)
        if stage.waits is not None:
            task.wait(stage.waits, -1)
        task.tell(EventKind.BRANCH_CANCELLED, stage.number, stage.agent, branch=stage.branch, reason=reason)
    branches.cancel(connection, task.id, paths)


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
    if opening.cuts:
        _cancel(scene, group.fanout, "a branch failed, and the join has gone on", keep=paths)
        active = [each for each in active if not within(each.path, group.fanout) or each.path in paths]
    beside = [each for each in active if within(each.path, group.fanout) and each.path not in paths]
    arrived = branches.parked(connection, task.id, paths)
    inputs = _latest([arrived[path] for path in paths])
    if task.run_stages + 1 > scene.policy.max_stages:
        _fail_join(scene, group.join, paths)
        return
    text, packed = _collected(connection, task, scene.pipeline, inputs)
    into = parent
    if beside:
        into = branches.continue_in(connection, task, parent, group.fanout, group.join)
    newest = max(inputs, key=lambda each: each.sent)
    opened = open_stage(
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
    branches.merge(connection, task.id, paths, into, opened.number)
    if not beside:
        branches.move(connection, task.id, into, group.join)
    task.tell(EventKind.JOINED, opened.number, group.join, branches=paths)


def _fail_join(scene: Scene, join: str, paths: Sequence[str]) -> None:
    message = (
        f"{join} would be stage {scene.task.run_stages + 1}, and max_stages is {scene.policy.max_stages}"
    )
    failure = Failure(FailureClass.STAGE_LIMIT, message)
    scene.task.fail(failure.kind.value, failure.message)
    for path in paths:
        branches.end(scene.connection, scene.task.id, path, BranchStatus.FAILED)


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
