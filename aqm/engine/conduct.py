"""Decides what follows a session's round. Nobody else does: of all that are rung for a round, one sets it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from aqm.engine.advance import handed, spread
from aqm.engine.apply import apply
from aqm.engine.frozen import pipeline_of, policy_of
from aqm.engine.opening import open_round, open_summary, wait
from aqm.engine.scene import Scene, of_stage, stage_value
from aqm.engine.worker import Worker
from aqm.flow.context import headline
from aqm.flow.decide import spoken
from aqm.flow.decision import Ask, Fail
from aqm.flow.event import EventKind
from aqm.flow.outcome import Failure, FailureClass
from aqm.flow.session import NextRound, Nobody, NoConsensus, Over, after_round
from aqm.flow.state import Waits
from aqm.flow.task import Task
from aqm.pipeline.spec import Session
from aqm.storage import chunks, rounds, stages, tasks
from aqm.storage.database import OperationalError
from aqm.storage.stages import OpenStage

__all__ = ["close_session", "conduct"]

log = logging.getLogger(__name__)

_Decide = Callable[[Scene, OpenStage, int], None]


def conduct(worker: Worker, stage: int, number: int, message: str | None = None) -> None:
    """Decide on round `number` of the stage; nothing when that was done, or the stage is over. A fault of
    ours in deciding fails the stage plainly: rung again, it would only happen again."""
    try:
        _conduct(worker, stage, number, message, _decide)
    except OperationalError:
        raise  # the store cannot be written: the sweep rings again
    except Exception as error:
        log.exception("A round could not be decided", extra={"action": "conduct_broke", "stage": stage})
        why = f"a fault in aqm itself, after round {number}: {type(error).__name__}: {error}"[:2000]

        def give_up(scene: Scene, _: OpenStage, __: int) -> None:
            _failed(scene, FailureClass.CRASH, why)

        _conduct(worker, stage, number, message, give_up)


def _conduct(worker: Worker, stage: int, number: int, message: str | None, decide: _Decide) -> None:
    with (
        worker.database.writing() as connection,
        tasks.lock_of_stage(connection, stage) as task,
    ):
        if task is None or task.status.ended or task.owner not in (None, worker.name):
            return
        found = stages.open_one(connection, stage)
        if found is None or not rounds.take_due(connection, stage, number):
            return  # another one was rung for the same round
        pipeline = pipeline_of(connection, task.project, task.frozen)
        policy = policy_of(connection, task.project, task.policy)
        decide(of_stage(connection, task, pipeline, policy, found, message), found, number)
        task.save(connection)
        rung = worker.take_bells(connection, task.at)
        news = tuple(task.news)
    spread(worker, news, rung)


def _decide(scene: Scene, stage: OpenStage, number: int) -> None:
    session = scene.agent
    assert isinstance(session, Session)
    connection = scene.connection
    left = chunks.open_ones(connection, scene.task.id) if session.consensus.require_chunks_done else 0
    spoke = rounds.spoke(connection, stage.id, number)
    votes = {name: agrees for name, agrees in stage.votes.items() if name in session.participants}
    scene.tell(EventKind.ROUND_COMPLETE, round=number, votes=votes, chunks_open=left)
    match after_round(session, number, spoke, votes, chunks_open=left):
        case NextRound(number=following):
            open_round(scene, session, following)
        case Over(consensus=reached):
            _conclude(scene, session, number, reached)
        case NoConsensus(human=True):
            scene.tell(EventKind.CONSENSUS, reached=False, round=number)
            stages.change(connection, stage.id, consensus=0)
            question = (
                f"{session.id} ended without consensus after {number} rounds. "
                "Shall the task go on with what was said?"
            )
            wait(scene, Ask(Waits.GATE, question))
            scene.task.rest()
        case NoConsensus():
            stages.change(connection, stage.id, consensus=0)
            scene.tell(EventKind.CONSENSUS, reached=False, round=number)
            message = f"{session.id} came to no consensus in {number} rounds"
            _failed(scene, FailureClass.NO_CONSENSUS, message)
        case Nobody():
            found, why = rounds.last_failure(connection, stage.id, number)
            kind = FailureClass(found)
            if kind is FailureClass.WORKER_LOST:
                kind = FailureClass.POISONED  # a loss that was not tried again
            _failed(scene, kind, f"nobody could speak in round {number} of {session.id}: {why}")


def _conclude(scene: Scene, session: Session, number: int, reached: bool) -> None:
    stages.change(scene.connection, scene.stage_id, consensus=int(reached))
    scene.tell(EventKind.CONSENSUS, reached=reached, round=number)
    close_session(scene, session)


def close_session(scene: Scene, session: Session) -> None:
    """The discussion is over: the summary, or, without one, its last message is the output."""
    if session.summary_agent is not None:
        open_summary(scene, session)
        return
    last = _last_answer(scene)
    found = stages.open_one(scene.connection, scene.stage_id)
    assert found is not None
    value = stage_value(scene.connection, scene.task, found, rejections=0)
    text = scene.read(last) if last else ""
    if last:
        stages.record_output(scene.connection, scene.stage_id, last, headline(text))
    view = Task(scene.task.id, scene.task.run_stages, scene.pipeline.params)
    decision = spoken(scene.pipeline, scene.policy, view, value, text)
    apply(scene, value, decision, handed(scene.connection, scene.task, decision))


def _last_answer(scene: Scene) -> str | None:
    answers: Sequence[str | None] = [each.answer for each in rounds.said(scene.connection, scene.stage_id)]
    return next((answer for answer in reversed(answers) if answer is not None), None)


def _failed(scene: Scene, kind: FailureClass, message: str) -> None:
    found = stages.open_one(scene.connection, scene.stage_id)
    assert found is not None
    value = stage_value(scene.connection, scene.task, found, rejections=0)
    apply(scene, value, Fail(Failure(kind, message)))
