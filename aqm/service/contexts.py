"""What happened in a task, in full, and what an agent of it is told of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aqm.errors import NotFoundError, did_you_mean
from aqm.service.project import Project
from aqm.service.store import open_store
from aqm.service.tasks import resolve

if TYPE_CHECKING:
    from aqm.engine.past import Place
    from aqm.flow.context import Past
    from aqm.pipeline.spec import Agent, Pipeline, Session
    from aqm.storage.database import Connection
    from aqm.storage.lists import TaskRow

__all__ = ["TaskContext", "task_context"]


@dataclass(frozen=True, slots=True)
class TaskContext:
    """`unwritten` says why the task's folder could not be made again, or is empty."""

    task: str
    text: str
    unwritten: str = ""


def task_context(project: Project, ref: str, agent: str | None = None) -> TaskContext:
    """The task's history in full, its folder being made again; with `agent` what that agent would be shown
    now, by its strategy, or a session's minutes."""
    from aqm.engine.frozen import pipeline_of
    from aqm.pipeline.spec import Session
    from aqm.service.files import rewrite
    from aqm.storage import lists

    with open_store(project) as store:
        task = resolve(store, ref)
        with store.database.reading() as connection:
            row = lists.task_of(connection, store.project_id, task)
            assert row is not None
            if agent is not None:
                pipeline = pipeline_of(connection, row.project, row.frozen)
                found = pipeline.find(agent)
                if found is None:
                    raise NotFoundError(
                        f"no agent {agent!r} in the pipeline of {task};",
                        cure=did_you_mean(agent, pipeline.ids),
                    )
                if isinstance(found, Session):
                    return TaskContext(task, _sessions(connection, row, pipeline, found))
                return TaskContext(task, _shown(connection, row, pipeline, found))
            text = _whole(connection, row)
        try:
            rewrite(store, task)
        except OSError as error:
            return TaskContext(task, text, error.strerror or str(error))
        return TaskContext(task, text)


# All of it -----------------------------------------------------------------------------------------


def _whole(connection: Connection, row: TaskRow) -> str:
    """All stages of all branches that count, those of the tasks that this one fixes before them."""
    from aqm.flow.context import context
    from aqm.storage import lists

    past = _history(connection, row)
    parent = row.parent
    while parent is not None:
        older = lists.task_of(connection, row.project, parent)
        if older is None:
            break
        past = [*(replace(stage, task=parent) for stage in _history(connection, older)), *past]
        parent = older.parent
    return context("shared", 0, past, "")


def _history(connection: Connection, row: TaskRow) -> list[Past]:
    """The stages, sessions with their minutes."""
    from aqm.engine.frozen import pipeline_of
    from aqm.engine.past import whole_past
    from aqm.flow.quoting import fenced

    pipeline = pipeline_of(connection, row.project, row.frozen)
    told = []
    for stage in whole_past(connection, _next(row)):
        minutes = _minutes(connection, row, pipeline, stage.number)
        if minutes:
            result = fenced((stage.text or "").strip(), "text")
            minutes += f"\n\n## Result\n\n{result}" if stage.text and not minutes.endswith(result) else ""
        told.append(replace(stage, text=minutes) if minutes else stage)
    return told


def _minutes(connection: Connection, row: TaskRow, pipeline: Pipeline, number: int) -> str:
    """The discussion of stage `number`; nothing when it is not a session's."""
    from aqm.flow.session import Message, transcript
    from aqm.storage import blobs, rounds, told

    stage = told.stage(connection, row.id, number)
    if stage is None or not stage.round:
        return ""
    said = rounds.said(connection, stage.id)
    texts = blobs.read_many(connection, row.project, [each.answer for each in said if each.answer])
    messages = []
    for each in said:
        found = pipeline.find(each.agent)  # after a restart with another file it may be gone
        name = found.title if found else each.agent
        messages.append(
            Message(each.round, each.agent, name, texts[each.answer] if each.answer else None, each.vote)
        )
    return transcript(messages)


def _next(row: TaskRow) -> Place:
    from aqm.engine.past import Place

    return Place(row.project, row.id, "", row.stages + 1, row.stages + 1, parent=row.parent)


# As one agent sees it ------------------------------------------------------------------------------


def _sessions(connection: Connection, row: TaskRow, pipeline: Pipeline, session: Session) -> str:
    """The minutes of all its stages that count."""
    from aqm.storage import history

    parts = []
    for stage in history.stages_before(connection, row.id, None, row.stages + 1, None, session.id):
        minutes = _minutes(connection, row, pipeline, stage.number) or "(nobody has spoken)"
        parts += [f"# Stage {stage.number} · {session.id} · {stage.status}", minutes]
    return "\n\n".join(parts)


def _shown(connection: Connection, row: TaskRow, pipeline: Pipeline, agent: Agent) -> str:
    """In the newest branch that the agent is in, alone or as a participant; while it is at work, what that
    began with, and what its session has said since."""
    from aqm.engine.past import shown_to
    from aqm.pipeline.spec import Session
    from aqm.storage import told

    places = [agent.id]
    places += [
        each.id for each in pipeline.agents if isinstance(each, Session) and agent.id in each.participants
    ]
    newest = told.newest_of(connection, row.id, places)
    place = _next(row)
    if newest is not None:
        number = newest.number if newest.open else place.number
        place = replace(place, branch=newest.branch, number=number)
    text = shown_to(connection, place, agent, agent.context_strategy)[0]
    if newest is not None and newest.open:
        minutes = _minutes(connection, row, pipeline, newest.number)
        text = f"{text}\n\n# The discussion so far\n\n{minutes}".lstrip() if minutes else text
    return text
