"""Submitting a task: its pipeline is resolved, checked and frozen, and its first turn is queued."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aqm.errors import NotFoundError, PipelineError, UsageError, did_you_mean
from aqm.flow.event import EventKind
from aqm.flow.state import Priority
from aqm.service.pipelines import load_pipeline
from aqm.service.project import Project
from aqm.service.store import Store, open_store, refuse_team
from aqm.service.tasks import summary_of
from aqm.service.views import TaskSummary

if TYPE_CHECKING:
    from aqm.flow.task import Policy
    from aqm.pipeline.spec import Pipeline

__all__ = ["submit"]

_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without what is read for something else
_ID_LENGTH = 6


def submit(
    project: Project,
    text: str,
    *,
    pipeline: str | None = None,
    agent: str | None = None,
    params: Mapping[str, str] | None = None,
    priority: Priority = Priority.NORMAL,
    own: bool = False,
) -> TaskSummary:
    """Freeze the pipeline and queue its first turn. With `own` this process will run it.

    Raises PipelineError, NotFoundError (the nearest name), SettingsError; then nothing was stored.
    """
    from aqm.engine.identity import identity
    from aqm.flow.unbuilt import unbuilt

    if not text.strip():
        raise UsageError("the task's text is empty.", cure='Say what to do: aqm run "Add JWT authentication"')
    name = pipeline or project.settings.default_pipeline
    resolved = load_pipeline(project, name, params or {}).pipeline
    faults = unbuilt(resolved)
    if faults:
        raise PipelineError(faults)
    start = _start(resolved, agent)
    with open_store(project) as store:
        if own:
            refuse_team(store)
        owner = identity() if own else None
        task = _store_task(store, text, name, resolved, start, priority, owner)
        return summary_of(store, task)


def _start(pipeline: Pipeline, agent: str | None) -> str:
    from aqm.pipeline.graph import first_agent

    if agent is None:
        start = first_agent(pipeline)
        if start is None:
            raise UsageError("no agent of this pipeline's own can begin.", cure="Name one with --agent.")
        return start
    if pipeline.find(agent) is None:
        raise NotFoundError(f"no agent {agent!r} in this pipeline;", cure=did_you_mean(agent, pipeline.ids))
    return agent


def _store_task(
    store: Store,
    text: str,
    name: str,
    pipeline: Pipeline,
    start: str,
    priority: Priority,
    owner: str | None,
) -> str:
    from aqm.engine.apply import open_stage
    from aqm.engine.frozen import pack_policy
    from aqm.flow.context import headline
    from aqm.pipeline.frozen import freeze
    from aqm.storage import blobs, tasks
    from aqm.storage.database import explained, now

    said = blobs.blob(text)
    frozen = blobs.blob(freeze(pipeline).decode())
    policy = blobs.blob(pack_policy(policy_of(store.project)))
    with explained(str(store.database.url.database)), store.database.writing() as connection:
        at = now(connection)
        blobs.put(connection, store.project_id, [said, frozen, policy], at)
        new = tasks.NewTask(
            id=_new_id(connection),
            project=store.project_id,
            description=headline(text),
            pipeline=pipeline.name or name,
            priority=priority,
            input=said.hash,
            frozen=frozen.hash,
            policy=policy.hash,
            owner=owner,
        )
        task = tasks.add(connection, new, at)
        task.live_branches = 1
        task.changes["live_branches"] = 1
        task.tell(EventKind.TASK_SUBMITTED, pipeline=new.pipeline, agent=start)
        open_stage(connection, task, pipeline, start, said.hash)
        task.save(connection)
    return new.id


def policy_of(project: Project) -> Policy:
    """The limits of this project's settings, as they are frozen into a task."""
    from aqm.flow.task import Policy

    settings = project.settings
    return Policy(
        max_stages=settings.pipeline.max_stages,
        gate_runtime=settings.gate.runtime,
        gate_model=settings.gate.model,
        gate_timeout=settings.gate.timeout,
        gate_system_prompt=settings.gate.system_prompt,
        timeouts=dict(settings.timeouts),
        idle_timeouts=dict(settings.idle_timeouts),
    )


def _new_id(connection: Any) -> str:
    from aqm.storage import tasks

    while True:
        found = "T-" + "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
        if not tasks.exists(connection, found):
            return found
