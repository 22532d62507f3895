"""What an agent of a task is told of the past."""

from __future__ import annotations

from aqm.errors import NotFoundError, did_you_mean
from aqm.service.project import Project
from aqm.service.store import open_store
from aqm.service.tasks import resolve

__all__ = ["task_context"]


def task_context(project: Project, ref: str, agent: str | None = None) -> str:
    """The task's history in full; with `agent` what that agent would be shown now, by its strategy."""
    from aqm.engine.frozen import pipeline_of
    from aqm.engine.past import Place, shown_to, whole_past
    from aqm.flow.context import context
    from aqm.pipeline.spec import Agent
    from aqm.storage import lists

    with open_store(project) as store:
        task = resolve(store, ref)
        with store.database.reading() as connection:
            row = lists.task_of(connection, store.project_id, task)
            assert row is not None
            place = Place(row.project, task, "", row.stages + 1, row.stages + 1)
            if agent is None:
                return context("shared", 0, whole_past(connection, place), "")
            pipeline = pipeline_of(connection, row.project, row.frozen)
            found = pipeline.find(agent)
            if not isinstance(found, Agent):
                raise NotFoundError(
                    f"no agent {agent!r} in the pipeline of {task};", cure=did_you_mean(agent, pipeline.ids)
                )
            return shown_to(connection, place, found, found.context_strategy)[0]
