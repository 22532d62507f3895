"""Asking once for what a pipeline's agents may do on this host, before any of them is started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from aqm.cli.doorway import Doorway
from aqm.errors import RefusedError
from aqm.pipeline.graph import reachable
from aqm.pipeline.spec import Agent, Pipeline

if TYPE_CHECKING:
    from aqm.runtimes.consent import Refusal
    from aqm.service.project import Project
    from aqm.settings import Settings

__all__ = ["consented", "refusals"]


def refusals(pipeline: Pipeline, settings: Settings, start: str | None) -> Iterator[tuple[str, Refusal]]:
    """Agents that the settings do not let run, each with the first reason."""
    from aqm.runtimes.consent import consent

    used = reachable(pipeline) if start is None else _reachable_from(pipeline, start)
    for agent in pipeline.agents:
        if agent.id not in used or not isinstance(agent, Agent):
            continue
        refusal = consent(
            agent.runtime,
            agent.permissions or "run",
            agent.cli_flags,
            allow_full=settings.permissions.allow_full,
            allow_unconfined=settings.permissions.allow_unconfined,
            allowed_flags=settings.flags.allow,
        )
        if refusal:
            yield agent.id, refusal


def _reachable_from(pipeline: Pipeline, start: str) -> frozenset[str]:
    """As if the file began with that agent."""
    begun = pipeline.model_copy(update={"own": (start,), "entry_point": "first"})
    return reachable(begun) | {start}


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
