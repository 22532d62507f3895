"""What a person says to a task that waits: approve, reject, or answer a question."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aqm.errors import ConflictError, UsageError
from aqm.flow.event import EventKind
from aqm.flow.state import Waits
from aqm.service.project import Project
from aqm.service.store import open_store
from aqm.service.tasks import resolve, summary_of
from aqm.service.views import TaskSummary, Waiting

if TYPE_CHECKING:
    from aqm.flow.event import Event
    from aqm.storage.database import Connection
    from aqm.storage.stages import OpenStage
    from aqm.storage.tasks import LockedTask

__all__ = ["answer", "approve", "reject", "waiting"]

_MISSING = {Waits.GATE: "no approval", Waits.INPUT: "no answer"}
_DECIDED = {Waits.GATE: EventKind.GATE_VERDICT, Waits.INPUT: EventKind.HUMAN_INPUT}


def waiting(project: Project, ref: str) -> tuple[Waiting, ...]:
    """What the task waits for a person to say, by stage; nothing when it waits for nobody."""
    from aqm.storage import blobs, stages

    with open_store(project) as store:
        task = resolve(store, ref)
        with store.database.reading() as connection:
            found = [stage for stage in stages.waiting(connection, task) if stage.waits is not Waits.HOST]
            return tuple(
                Waiting(
                    stage.number,
                    stage.agent,
                    stage.branch,
                    stage.waits or Waits.INPUT,
                    stage.question,
                    blobs.read(connection, store.project_id, stage.output) if stage.output else "",
                )
                for stage in found
            )


def approve(project: Project, ref: str, *, stage: int | None = None, reason: str = "") -> TaskSummary:
    """Approve what the task waits for. ConflictError says what was decided before."""
    return _judge(project, ref, stage, approved=True, reason=reason)


def reject(project: Project, ref: str, reason: str, *, stage: int | None = None) -> TaskSummary:
    """Reject it; the reason is what the author gets to see."""
    if not reason.strip():
        raise UsageError("a rejection needs a reason.", cure='Say what is missing: -r "no tests"')
    return _judge(project, ref, stage, approved=False, reason=reason)


def answer(project: Project, ref: str, text: str, *, stage: int | None = None) -> TaskSummary:
    """Answer the question that the task waits with."""
    from aqm.engine.answering import give_input

    if not text.strip():
        raise UsageError("the answer is empty.", cure='Say something: aqm human-input ID "blue"')
    return _say(
        project, ref, stage, Waits.INPUT, lambda held, task, found: give_input(held, task, found, text)
    )


def _judge(project: Project, ref: str, stage: int | None, *, approved: bool, reason: str) -> TaskSummary:
    from aqm.engine.answering import give_verdict
    from aqm.flow.gate import Verdict

    verdict = Verdict(approved, reason.strip())
    return _say(
        project, ref, stage, Waits.GATE, lambda held, task, found: give_verdict(held, task, found, verdict)
    )


def _say(
    project: Project,
    ref: str,
    number: int | None,
    waits: Waits,
    say: Callable[[Connection, LockedTask, OpenStage], None],
) -> TaskSummary:
    from aqm.storage import tasks

    with open_store(project) as store:
        task = resolve(store, ref)
        with store.database.writing() as connection, tasks.lock(connection, task) as locked:
            assert locked is not None
            say(connection, locked, _chosen(connection, locked, number, waits))
        return summary_of(store, task)


def _chosen(connection: Connection, task: LockedTask, number: int | None, waits: Waits) -> OpenStage:
    """The stage that is meant. Of two that answer at once, one finds it waiting."""
    from aqm.storage import stages

    found = [stage for stage in stages.waiting(connection, task.id) if stage.waits is waits]
    meant = [stage for stage in found if number is None or stage.number == number]
    if not meant:
        raise _nothing(connection, task, number, waits)
    if len(meant) > 1:
        places = ", ".join(f"{stage.number} ({stage.agent})" for stage in meant)
        raise UsageError(
            f"several branches of {task.id} wait: stages {places}.", cure="Say which one: --stage N"
        )
    return meant[0]


def _nothing(connection: Connection, task: LockedTask, number: int | None, waits: Waits) -> ConflictError:
    """Why there is nothing to say; with what was decided, when somebody else was first."""
    from aqm.storage import events

    where = f" in stage {number}" if number is not None else ""
    said = f"{task.id} is {task.status} and waits for {_MISSING[waits]}{where}"
    decided = events.last(connection, task.id, _DECIDED[waits], number)
    told = f": stage {decided.stage} ({decided.agent}) was {_told(decided)}" if decided else ""
    return ConflictError(f"{said}{told}.", cure=f"See how it stands: aqm status {task.id}")


def _told(decided: Event) -> str:
    if decided.kind is EventKind.HUMAN_INPUT:
        return f"answered: {decided.data['answer']}"
    verdict = "approved" if decided.data["approved"] else "rejected"
    return f"{verdict}: {decided.data['reason']}" if decided.data["reason"] else verdict
