"""Closes a turn: record its outcome, decide, and open what comes next, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from aqm.engine.apply import apply
from aqm.engine.chunking import edit_chunks
from aqm.engine.frozen import pipeline_of, policy_of
from aqm.engine.scene import of_turn, stage_value
from aqm.engine.worker import AnyBell, Worker
from aqm.flow import chunks as chunk_rules
from aqm.flow.chunks import Edit
from aqm.flow.context import headline
from aqm.flow.decide import decide, repairs_output
from aqm.flow.decision import Decision, HandOff
from aqm.flow.event import Event, EventKind
from aqm.flow.outcome import Answer, Failure, FailureClass, Outcome
from aqm.flow.state import AttemptStatus, TurnKind
from aqm.flow.task import Policy, Stage, Task
from aqm.pipeline.spec import Pipeline
from aqm.storage import attempts, blobs, claims, stages, tasks
from aqm.storage.bells import Bell
from aqm.storage.blobs import Blob
from aqm.storage.claims import Running
from aqm.storage.database import Connection
from aqm.storage.tasks import LockedTask

__all__ = ["Ended", "close", "handed", "release", "spread"]

_SPEAKING = (TurnKind.WORK, TurnKind.SPEAK, TurnKind.SUMMARY)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended: with which outcome, on which prompt (its SHA-256, and as JSON what it was made
    of), run by which message. `lost` is an end that somebody else declares, because the worker is gone."""

    turn: int
    attempt: str
    outcome: Outcome
    prompt: tuple[str, str] | None = None
    message: str | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read for a decision, and what it led to."""

    pipeline: Pipeline
    policy: Policy
    said: Blob | None
    stage: Stage
    decision: Decision
    payloads: tuple[Blob, ...]
    edits: tuple[Edit, ...]


def close(worker: Worker, ended: Ended) -> bool:
    """Record and decide. False: the attempt no longer held its turn, so that only its usage was booked."""
    said = _said(ended.outcome)
    if said is not None:
        _store_large(worker, ended, [said])
    with worker.database.writing() as connection, tasks.lock_of_turn(connection, ended.turn) as task:
        running = claims.running(connection, task, ended.turn, ended.attempt) if task else None
        if task is None or running is None or task.status.ended:
            if task is not None:
                _book_late(connection, task, ended)
            return False
        decided = _decide(connection, task, running, ended, said)
        rung = _record(connection, worker, task, running, ended, decided)
        news = tuple(task.news)
    spread(worker, news, rung)
    return True


def _decide(
    connection: Connection, task: LockedTask, running: Running, ended: Ended, said: Blob | None
) -> _Read:
    """The decision, from the frozen pipeline and this stage's own texts; nothing of the history is read."""
    pipeline = pipeline_of(connection, task.project, task.frozen)
    policy = policy_of(connection, task.project, task.policy)
    stage = stage_value(connection, task, running, rejections=running.rejections)
    view = Task(task.id, task.run_stages, pipeline.params)
    decision = decide(pipeline, policy, view, stage, running.state, ended.outcome)
    edits: tuple[Edit, ...] = ()
    if isinstance(ended.outcome, Answer) and running.state.kind in _SPEAKING:
        edits = chunk_rules.edits(pipeline.agent(running.stage_agent), ended.outcome.text)
    return _Read(pipeline, policy, said, stage, decision, _payloads(decision, ended.outcome, said), edits)


def handed(connection: Connection, task: LockedTask, decision: Decision) -> tuple[Blob, ...]:
    """The payloads of a decision that no turn's answer led to, stored."""
    payloads = _payloads(decision, None, None)
    blobs.put(connection, task.project, payloads, task.at)
    return payloads


def _payloads(decision: Decision, outcome: Outcome | None, said: Blob | None) -> tuple[Blob, ...]:
    if not isinstance(decision, HandOff):
        return ()
    return tuple(_payload(arrival.payload, outcome, said) for arrival in decision.arrivals)


def _payload(text: str, outcome: Outcome | None, said: Blob | None) -> Blob:
    """Most payloads are the answer itself, which is compressed already."""
    if said is not None and isinstance(outcome, Answer) and text == outcome.text:
        return said
    return blobs.blob(text)


def _record(
    connection: Connection,
    worker: Worker,
    task: LockedTask,
    running: Running,
    ended: Ended,
    read: _Read,
) -> list[AnyBell]:
    said = [read.said] if read.said else []
    committed = {one.hash for one in said if one.size > blobs.LARGE}  # before this transaction
    stored = [one for one in (*read.payloads, *said) if one.hash not in committed]
    blobs.put(connection, task.project, stored, task.at)
    _end_attempt(connection, task, running, ended, read)
    edit_chunks(connection, task, read.edits, running.stage, running.stage_agent)
    scene = of_turn(connection, task, read.pipeline, read.policy, running, ended.attempt, ended.message)
    apply(scene, read.stage, read.decision, read.payloads)
    task.save(connection)
    return worker.take_bells(connection, task.at, rounds=running.state.kind is TurnKind.SPEAK)


def _end_attempt(
    connection: Connection, task: LockedTask, running: Running, ended: Ended, read: _Read
) -> None:
    outcome, said = ended.outcome, read.said
    answered = isinstance(outcome, Answer)
    status = AttemptStatus.LOST if ended.lost else AttemptStatus.FAILED
    attempts.end(
        connection,
        ended.attempt,
        AttemptStatus.ANSWERED if answered else status,
        outcome,
        said.hash if said else None,
        task.at,
        ended.prompt,
    )
    task.spend(outcome.usage)
    if isinstance(outcome, Answer):
        if said is not None and _is_output(read, running):
            stages.record_output(connection, running.stage_id, said.hash, headline(outcome.text))
        task.tell(EventKind.TURN_COMPLETE, running.stage, running.agent, **_told(running, outcome, task))
    elif not ended.lost:
        told = {"class": outcome.kind.value, "message": outcome.message}
        task.tell(EventKind.TURN_FAILED, running.stage, running.agent, kind=running.state.kind.value, **told)


def _is_output(read: _Read, running: Running) -> bool:
    """Whether the answer is what the stage gives on."""
    match running.state.kind:
        case TurnKind.WORK | TurnKind.SUMMARY:
            return True
        case TurnKind.REPAIR:
            return repairs_output(read.pipeline.agent(running.stage_agent), read.stage)
        case TurnKind.GATE | TurnKind.ROUTE | TurnKind.SPEAK:
            return False
        case never:
            assert_never(never)


def _told(running: Running, answer: Answer, task: LockedTask) -> dict[str, object]:
    told: dict[str, object] = {
        "kind": running.state.kind.value,
        "seconds": round(max(task.at - running.started_at, 0.0), 3),
        "input": answer.usage.input,
        "output": answer.usage.output,
        "cost_usd": answer.usage.cost_usd,
    }
    if answer.denied:
        told["denied"] = list(answer.denied)
    return told


def _book_late(connection: Connection, task: LockedTask, ended: Ended) -> None:
    """Fenced: the outcome is not accepted, but what it used was spent."""
    usage = ended.outcome.usage
    if attempts.book_late(connection, ended.attempt, usage, task.at):
        task.spend(usage)


def release(worker: Worker, ended: Ended) -> None:
    """Put a turn back unburnt: this process is ending, and the turn is as it was before the claim."""
    with worker.database.writing() as connection, tasks.lock_of_turn(connection, ended.turn) as task:
        if task is None:
            return
        if claims.running(connection, task, ended.turn, ended.attempt) is None:
            _book_late(connection, task, ended)
            return
        usage = ended.outcome.usage
        put_back = Failure(FailureClass.CANCELLED, "put back: its worker stopped", usage=usage)
        attempts.end(connection, ended.attempt, AttemptStatus.LOST, put_back, None, task.at)
        task.spend(usage)
        claims.requeue(connection, ended.turn, ended.attempt)


def spread(worker: Worker, news: Sequence[Event], rung: Sequence[AnyBell]) -> None:
    """After the commit: ring, then tell this process's listener."""
    if rung:
        worker.window.rang(sum(isinstance(bell, Bell) for bell in rung))
        worker.ring(rung)
    if news:
        try:
            worker.on_events(news)
        except Exception:  # who listens must not end what is told of
            log.exception("A listener broke", extra={"action": "listener_broke"})


def _said(outcome: Outcome) -> Blob | None:
    text = outcome.text if isinstance(outcome, Answer) else outcome.partial
    return blobs.blob(text) if text or isinstance(outcome, Answer) else None


def _store_large(worker: Worker, ended: Ended, texts: Sequence[Blob]) -> None:
    large = [one for one in texts if one.size > blobs.LARGE]
    if not large:
        return
    with worker.database.reading() as connection:
        project = tasks.project_of_turn(connection, ended.turn)
    if project is not None:
        blobs.put_large(worker.database, project, large)
