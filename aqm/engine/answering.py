"""A person's word: a verdict on a gate, or an answer to a question; and what follows from it."""

from __future__ import annotations

from aqm.engine.advance import handed
from aqm.engine.apply import apply
from aqm.engine.conduct import close_session
from aqm.engine.frozen import pipeline_of, policy_of
from aqm.engine.scene import Scene, of_stage, stage_value
from aqm.flow.asking import answered, with_answer
from aqm.flow.context import headline
from aqm.flow.decide import judged
from aqm.flow.decision import Fail, Work
from aqm.flow.event import EventKind
from aqm.flow.gate import Verdict
from aqm.flow.outcome import Failure, FailureClass
from aqm.flow.state import Waits
from aqm.flow.task import Task
from aqm.pipeline.spec import Session
from aqm.storage import blobs, counters, stages, turns
from aqm.storage.database import Connection
from aqm.storage.stages import OpenStage
from aqm.storage.tasks import LockedTask

__all__ = ["give_input", "give_verdict"]

PERSON = "a person"


def give_verdict(connection: Connection, task: LockedTask, stage: OpenStage, verdict: Verdict) -> None:
    """Of a stage that waits for one. The caller holds the task's lock."""
    scene = _taken_up(connection, task, stage, Waits.GATE)
    session = scene.agent
    if isinstance(session, Session) and stage.consensus is False and stage.output is None:
        _without_consensus(scene, session, verdict)
    else:
        count = counters.rejections(connection, task, stage.branch, stage.agent)
        value = stage_value(connection, task, stage, rejections=count)
        view = Task(task.id, task.run_stages, scene.pipeline.params)
        decision = judged(scene.pipeline, scene.policy, view, value, verdict)
        apply(scene, value, decision, handed(connection, task, decision), by=PERSON)
    _rest(task)


def _without_consensus(scene: Scene, session: Session, verdict: Verdict) -> None:
    """The session came to no consensus, and a person says whether the task goes on all the same."""
    told = {"approved": verdict.approved, "reason": verdict.reason, "by": PERSON}
    scene.tell(EventKind.GATE_VERDICT, **told)
    if verdict.approved:
        close_session(scene, session)
        return
    found = stages.open_one(scene.connection, scene.stage_id)
    assert found is not None
    value = stage_value(scene.connection, scene.task, found, rejections=0)
    message = f"{session.id} came to no consensus: {verdict.reason}"
    apply(scene, value, Fail(Failure(FailureClass.NO_CONSENSUS, message)))


def give_input(connection: Connection, task: LockedTask, stage: OpenStage, text: str) -> None:
    """The answer to a stage's question: it goes to the agent that asked, or that has yet to begin."""
    scene = _taken_up(connection, task, stage, Waits.INPUT)
    scene.tell(EventKind.HUMAN_INPUT, answer=headline(text))
    number, note = turns.newest(connection, stage.id)
    value = stage_value(connection, task, stage, rejections=0)
    if stage.output is None:  # it has not worked yet
        whole = blobs.blob(with_answer(value.input, text))
        blobs.put(connection, task.project, [whole], task.at)
        stages.change(connection, stage.id, input=whole.hash, unanswered=stage.input)
        apply(scene, value, Work())
    else:
        told = note if number and note and note.startswith("[") else None
        apply(scene, value, Work(answered(told, stage.question, text)))
    _rest(task)


def _taken_up(connection: Connection, task: LockedTask, stage: OpenStage, waits: Waits) -> Scene:
    """The stage waits no longer."""
    stages.change(connection, stage.id, waits=None)
    task.wait(waits, -1)
    pipeline = pipeline_of(connection, task.project, task.frozen)
    policy = policy_of(connection, task.project, task.policy)
    return of_stage(connection, task, pipeline, policy, stage)


def _rest(task: LockedTask) -> None:
    if not task.status.ended:
        task.rest()
