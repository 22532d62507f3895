"""Asking once for what a pipeline's agents may do on this host, before any of them is started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from aqm.cli.doorway import Doorway
from aqm.errors import RefusedError
from aqm.pipeline.graph import first_agent, participants_only, reach
from aqm.pipeline.spec import Agent, Permissions, Pipeline, Session

if TYPE_CHECKING:
    from aqm.runtimes.consent import Refusal
    from aqm.service.project import Project
    from aqm.settings import Settings

__all__ = ["consented", "refusals"]


def refusals(pipeline: Pipeline, settings: Settings, start: str | None) -> Iterator[tuple[str, Refusal]]:
    """Whom the settings do not let run: agents, and the commands of gates; each with the first reason."""
    from aqm.runtimes.consent import consent

    for who, runtime, permissions, flags in _asked_for(pipeline, start):
        refusal = consent(
            runtime,
            permissions,
            flags,
            allow_full=settings.permissions.allow_full,
            allow_unconfined=settings.permissions.allow_unconfined,
            allowed_flags=settings.flags.allow,
        )
        if refusal:
            yield who, refusal


def _asked_for(
    pipeline: Pipeline, start: str | None
) -> Iterator[tuple[str, str, Permissions, tuple[str, ...]]]:
    """What the agents that a task can come to are started with, by how they are used. Without `permissions` a
    speaker may only read, so an agent that also works by itself counts with both."""
    working = _working(pipeline, start)
    speaking = {
        name
        for agent in pipeline.agents
        if agent.id in working and isinstance(agent, Session)
        for name in agent.participants
    }
    for agent in pipeline.agents:
        if isinstance(agent, Agent):
            if agent.id in working:
                yield agent.id, agent.runtime, agent.permissions or "run", agent.cli_flags
            if agent.id in speaking:
                yield agent.id, agent.runtime, agent.permissions or "read", agent.cli_flags
        if agent.id in working and agent.gate is not None and agent.gate.type == "command":
            yield f"the gate of {agent.id}", "command", "run", ()


def _working(pipeline: Pipeline, start: str | None) -> frozenset[str]:
    """The agents that have stages of their own in some task."""
    first = start or first_agent(pipeline)
    if start is None and (pipeline.entry_point == "auto" or first is None):
        return frozenset(pipeline.ids) - participants_only(pipeline)
    assert first is not None
    return reach(pipeline)[first] | {first}


def consented(doorway: Doorway, project: Project, pipeline: Pipeline, start: str | None) -> Project:
    """The project, with settings that let the pipeline's agents run: asked for once, and written down.

    Where nobody can be asked, RefusedError names the setting.
    """
    from aqm.service.allowance import allow
    from aqm.service.project import find_project

    while True:
        refused = next(refusals(pipeline, project.settings, start), None)
        if refused is None:
            return project
        agent, refusal = refused
        if not doorway.asks:
            raise RefusedError(f"{agent}: {refusal.message}.")  # it names the setting
        doorway.err.line((f"{agent}: ", "bold"), f"{refusal.message}.")
        if not click.confirm("Allow this for the project, from now on?", err=True):
            raise RefusedError("It was not allowed; nothing was started.")
        allow(project, refusal.setting, refusal.value)
        project = find_project(project.root, doorway.environ)
