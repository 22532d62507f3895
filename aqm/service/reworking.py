"""Doing a task again, or better: restart it from a stage, or fix its result in a child task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aqm.errors import ConflictError, NotFoundError, UsageError, did_you_mean
from aqm.flow.state import Priority, TaskStatus
from aqm.service.pipelines import load_pipeline, pack_sources, resolve_sources
from aqm.service.project import Project
from aqm.service.store import Store, open_store, refuse_team
from aqm.service.submission import Wanted, policy_of, start_of, store_task
from aqm.service.tasks import resolve, summary_of
from aqm.service.views import TaskSummary

if TYPE_CHECKING:
    from aqm.engine.restarting import Plan
    from aqm.pipeline.resolve import Loaded
    from aqm.pipeline.spec import Pipeline
    from aqm.storage.database import Connection
    from aqm.storage.lists import TaskRow
    from aqm.storage.tasks import LockedTask

__all__ = ["fix", "prioritise", "restart"]

_NOTHING: Mapping[str, str] = {}


def fix(
    project: Project,
    ref: str,
    text: str,
    *,
    agent: str | None = None,
    params: Mapping[str, str] = _NOTHING,
    own: bool = False,
) -> TaskSummary:
    """A child task that mends what the task has done: with its pipeline and params, but for those given.

    ConflictError when the task has not ended.
    """
    from aqm.engine.identity import identity
    from aqm.storage import blobs, lists

    if not text.strip():
        raise UsageError("there is nothing to fix.", cure='Say what: aqm fix ID "The tests fail on Windows"')
    with open_store(project) as store:
        if own:
            refuse_team(store)
        parent = resolve(store, ref)
        row = _row(store, parent)
        if not row.status.ended:
            raise ConflictError(
                f"{parent} is {row.status}: only what has ended can be fixed.",
                cure=f"Wait for it, or end it: aqm cancel {parent}",
            )
        pipeline, sources = _pipeline_for(store, row, params)
        with store.database.reading() as connection:
            description = blobs.read(connection, row.project, row.input)
            results = [
                (agent_id, blobs.read(connection, row.project, output))
                for agent_id, output in lists.results_of(connection, parent)
            ]
        wanted = Wanted(
            _fix_input(parent, description, results, text),
            row.pipeline,
            pipeline,
            start_of(pipeline, agent),
            row.priority,
            owner=identity() if own else None,
            sources=sources,
            parent=parent,
            description=text,
        )
        return summary_of(store, store_task(store, wanted))


def _fix_input(parent: str, description: str, results: list[tuple[str, str]], text: str) -> str:
    parts = [f"# What was asked ({parent})", description.strip()]
    for agent, result in results:
        parts += [f"# What {agent} gave as the result", result.strip()]
    return "\n\n".join([*parts, "# What is to be fixed", text.strip()])


def _pipeline_for(store: Store, row: TaskRow, params: Mapping[str, str]) -> tuple[Pipeline, str | None]:
    """The task's pipeline, with other params resolved again from its sources; and these."""
    from aqm.engine.frozen import pipeline_of
    from aqm.storage import blobs

    with store.database.reading() as connection:
        pipeline = pipeline_of(connection, row.project, row.frozen)
        sources = blobs.read(connection, row.project, row.sources) if row.sources else None
    if not params:
        return pipeline, sources
    if sources is None:
        raise ConflictError(
            f"{row.id} was submitted by an older version, which did not keep its files.",
            cure="Run the task again: aqm run",
        )
    loaded = resolve_sources(sources, params)
    return loaded.pipeline, pack_sources(loaded)


def restart(
    project: Project,
    ref: str,
    *,
    from_stage: int | None = None,
    params: Mapping[str, str] = _NOTHING,
    pipeline: str | None = None,
    own: bool = False,
) -> TaskSummary:
    """Take the stages from `from_stage` on back (all of them when it is None) and go on from there.

    With `pipeline` the file of that name counts as it is now, else the one that the task was submitted with.
    Raises ConflictError unless the task has ended or is stalled, NotFoundError for a stage that it has not.
    """
    from aqm.engine.frozen import pack_policy
    from aqm.engine.identity import identity
    from aqm.engine.restarting import plan, restart
    from aqm.pipeline.frozen import freeze
    from aqm.storage import blobs, owners, tasks

    with open_store(project) as store:
        if own:
            refuse_team(store)
        task = resolve(store, ref)
        row = _row(store, task)
        loaded = load_pipeline(project, pipeline, params) if pipeline is not None else None
        found, sources = _found(store, row, params, loaded)
        with store.database.writing() as connection, tasks.lock(connection, task) as locked:
            assert locked is not None
            _refuse_running(locked)
            what = plan(connection, task, from_stage or 1)
            _refuse(locked, what, from_stage)
            _refuse_unknown(found, what)
            rules = policy_of(project)
            packed = [
                blobs.blob(freeze(found).decode()),
                blobs.blob(pack_policy(rules)),
                *([blobs.blob(sources)] if sources else []),
            ]
            blobs.put(connection, row.project, packed, locked.at)
            locked.frozen, locked.policy = packed[0].hash, packed[1].hash
            locked.changes.update(frozen=locked.frozen, policy=locked.policy)
            if sources:
                locked.changes["sources"] = packed[2].hash
            if pipeline is not None:
                locked.changes["pipeline"] = found.name or pipeline
            if own:
                owners.adopt(connection, task, locked.owner, identity())
            restart(connection, locked, found, rules, what)
        return summary_of(store, task)


def _row(store: Store, task: str) -> TaskRow:
    from aqm.storage import lists

    with store.database.reading() as connection:
        row = lists.task_of(connection, store.project_id, task)
    assert row is not None
    return row


def _found(
    store: Store, row: TaskRow, params: Mapping[str, str], loaded: Loaded | None
) -> tuple[Pipeline, str | None]:
    if loaded is not None:
        return loaded.pipeline, pack_sources(loaded)
    return _pipeline_for(store, row, params)


def _refuse_running(task: LockedTask) -> None:
    if not task.status.ended and task.status is not TaskStatus.STALLED:
        raise ConflictError(
            f"{task.id} is {task.status}: only what has ended or is stalled can be restarted.",
            cure=f"End it first: aqm cancel {task.id}",
        )


def _refuse(task: LockedTask, what: Plan, from_stage: int | None) -> None:
    numbers = [stage.number for stage in (*what.kept, *what.dropped)]
    if from_stage is not None and from_stage not in numbers:
        known = ", ".join(map(str, sorted(numbers)[-10:]))
        raise NotFoundError(f"{task.id} has no stage {from_stage} that counts;", cure=f"it has {known}.")
    if not what.reopened and not what.parked:
        raise ConflictError(f"from stage {from_stage} on there is nothing to do in {task.id}.")


def _refuse_unknown(pipeline: Pipeline, what: Plan) -> None:
    """The pipeline of now must have the agents that the task goes on with."""
    for agent in sorted(what.agents):
        if pipeline.find(agent) is None:
            raise NotFoundError(
                f"the task goes on with {agent!r}, which this pipeline does not have;",
                cure=did_you_mean(agent, pipeline.ids),
            )
    for agent in sorted(what.joins):
        if pipeline.agent(agent).join is None:
            raise ConflictError(
                f"branches of the task wait at {agent!r}, which is no join in this pipeline.",
                cure="Restart from an earlier stage, before they came there.",
            )


def prioritise(project: Project, ref: str, priority: Priority) -> TaskSummary:
    """Say how soon the task's turns come, compared with other tasks'; what runs already is left alone."""
    from aqm.flow.event import EventKind
    from aqm.storage import tasks, turns

    with open_store(project) as store:
        task = resolve(store, ref)
        with store.database.writing() as connection, tasks.lock(connection, task) as locked:
            assert locked is not None
            if locked.status.ended:
                raise ConflictError(f"{task} is {locked.status} already; nothing was changed.")
            _set_priority(connection, locked, priority)
            turns.reprioritise(connection, task, priority.rank)
            locked.tell(EventKind.PRIORITY, priority=priority.value)
        return summary_of(store, task)


def _set_priority(connection: Connection, task: LockedTask, priority: Priority) -> None:
    task.priority = priority.rank
    task.changes["priority"] = priority.rank
