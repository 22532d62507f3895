"""Submitting a task: its pipeline is resolved, checked and frozen, and its first turn is queued."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aqm.errors import NotFoundError, UsageError, did_you_mean
from aqm.flow.event import EventKind
from aqm.flow.state import Priority
from aqm.service.pipelines import load_pipeline, pack_sources
from aqm.service.project import Project
from aqm.service.store import Store, open_store, refuse_team
from aqm.service.tasks import summary_of
from aqm.service.views import TaskSummary

if TYPE_CHECKING:
    from aqm.flow.task import Policy
    from aqm.pipeline.spec import Pipeline

__all__ = ["Wanted", "policy_of", "start_of", "store_task", "submit"]

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

    if not text.strip():
        raise UsageError("the task's text is empty.", cure='Say what to do: aqm run "Add JWT authentication"')
    name = pipeline or project.settings.default_pipeline
    loaded = load_pipeline(project, name, params or {})
    resolved, sources = loaded.pipeline, pack_sources(loaded)
    start = start_of(resolved, agent)
    with open_store(project) as store:
        if own:
            refuse_team(store)
        wanted = Wanted(
            text, name, resolved, start, priority, owner=identity() if own else None, sources=sources
        )
        return summary_of(store, store_task(store, wanted))


def start_of(pipeline: Pipeline, agent: str | None) -> str | None:
    """The agent that a task starts at; None where a router chooses it."""
    from aqm.pipeline.graph import first_agent

    if agent is not None:
        if pipeline.find(agent) is None:
            cure = did_you_mean(agent, pipeline.ids)
            raise NotFoundError(f"no agent {agent!r} in this pipeline;", cure=cure)
        return agent
    if pipeline.entry_point == "auto":
        return None
    start = first_agent(pipeline)
    if start is None:
        raise UsageError("no agent of this pipeline's own can begin.", cure="Name one with --agent.")
    return start


@dataclass(frozen=True, slots=True)
class Wanted:
    """A task to be stored. `name` is how its pipeline was asked for; without `start` a router chooses."""

    text: str
    name: str
    pipeline: Pipeline
    start: str | None
    priority: Priority
    owner: str | None = None
    sources: str | None = None
    parent: str | None = None
    description: str = ""


def store_task(store: Store, wanted: Wanted) -> str:
    """Freeze what it needs and queue its first turn; the new task's id."""
    from aqm.engine.frozen import pack_policy
    from aqm.engine.opening import open_routed, open_stage
    from aqm.flow.context import headline
    from aqm.flow.router import candidates
    from aqm.pipeline.frozen import freeze
    from aqm.pipeline.graph import first_agent
    from aqm.storage import blobs, tasks
    from aqm.storage.database import explained, now

    pipeline = wanted.pipeline
    rules = policy_of(store.project)
    said = blobs.blob(wanted.text)
    frozen = blobs.blob(freeze(pipeline).decode())
    policy = blobs.blob(pack_policy(rules))
    sources = blobs.blob(wanted.sources) if wanted.sources else None
    packed = [said, frozen, policy, *([sources] if sources else [])]
    with explained(str(store.database.url.database)), store.database.writing() as connection:
        at = now(connection)
        blobs.put(connection, store.project_id, packed, at)
        new = tasks.NewTask(
            id=_new_id(connection),
            project=store.project_id,
            description=headline(wanted.description or wanted.text),
            pipeline=pipeline.name or wanted.name,
            priority=wanted.priority,
            input=said.hash,
            frozen=frozen.hash,
            policy=policy.hash,
            sources=sources.hash if sources else None,
            parent=wanted.parent,
            owner=wanted.owner,
        )
        task = tasks.add(connection, new, at)
        start = wanted.start or first_agent(pipeline) or candidates(pipeline)[0].id
        told = {"pipeline": new.pipeline, "agent": start}
        task.tell(EventKind.TASK_SUBMITTED, **told | ({"parent": wanted.parent} if wanted.parent else {}))
        if wanted.start is None:
            open_routed(connection, task, pipeline, rules, start, said.hash)
        else:
            open_stage(connection, task, pipeline, rules, start, said.hash)
        task.rest()
        task.save(connection)
    return new.id


def policy_of(project: Project) -> Policy:
    """The limits of this project's settings, as they are frozen into a task."""
    from aqm.flow.task import Policy

    settings = project.settings
    return Policy(
        max_stages=settings.pipeline.max_stages,
        fan_out=settings.limits.fan_out,
        gate_runtime=settings.gate.runtime,
        gate_model=settings.gate.model,
        gate_timeout=settings.gate.timeout,
        gate_system_prompt=settings.gate.system_prompt,
        router_runtime=settings.router.runtime,
        timeouts=dict(settings.timeouts),
        idle_timeouts=dict(settings.idle_timeouts),
    )


def _new_id(connection: Any) -> str:
    from aqm.storage import tasks

    while True:
        found = "T-" + "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
        if not tasks.exists(connection, found):
            return found
