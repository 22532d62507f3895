"""Writes a decision down, inside the transaction that closes its turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from aqm.flow.decision import Again, Decision, Fail, HandOff, Hold, Judge, Requeue
from aqm.flow.event import EventKind
from aqm.flow.gate import Verdict
from aqm.flow.judge import judge
from aqm.flow.outcome import Failure
from aqm.flow.state import StageStatus, TaskStatus, TurnKind, TurnStatus
from aqm.flow.task import Policy
from aqm.pipeline.spec import Agent, Pipeline
from aqm.storage import claims, stages, turns
from aqm.storage.blobs import Blob
from aqm.storage.claims import Running
from aqm.storage.database import Connection
from aqm.storage.tasks import LockedTask
from aqm.storage.turns import NewTurn

__all__ = ["Closing", "apply", "open_stage"]


@dataclass(frozen=True, slots=True)
class Closing:
    """What is being closed. `payloads` are the blobs of a hand-off's arrivals, stored already; `message` is
    the Celery message that ran the turn, parent of those that it opens."""

    connection: Connection
    task: LockedTask
    pipeline: Pipeline
    policy: Policy
    running: Running
    attempt: str
    payloads: tuple[Blob, ...] = ()
    message: str | None = None


def apply(closing: Closing, decision: Decision) -> None:
    match decision:
        case Again() | Hold() | Requeue():
            _requeue(closing, decision)
        case Judge():
            _judge(closing, decision)
        case HandOff():
            _hand_off(closing, decision)
        case Fail():
            _fail(closing, decision)
        case never:
            assert_never(never)


def _requeue(closing: Closing, decision: Again | Hold | Requeue) -> None:
    task, running = closing.task, closing.running
    failure = decision.failure
    place = (running.stage, running.agent)
    told = {"class": failure.kind.value, "message": failure.message, "attempt": running.attempt_number}
    match decision:
        case Again(delay=delay, strategy=strategy):
            counts = {"failures": 1}
            task.tell(EventKind.TURN_RETRY, *place, delay=delay, **told)
        case Hold(delay=delay):
            strategy, counts = running.state.strategy, {"holds": 1}
            task.tell(EventKind.TURN_WAITS, *place, delay=delay, **told)
        case Requeue():
            delay, strategy, counts = 0.0, running.state.strategy, {"losses": 1}
            task.tell(EventKind.WORKER_LOST, *place, **told)
        case never:
            assert_never(never)
    claims.requeue(
        closing.connection,
        running.turn,
        closing.attempt,
        not_before=task.at + delay if delay else 0.0,
        strategy=strategy,
        **counts,
    )
    if isinstance(decision, Hold) and decision.stalls:
        _stall(task, failure)


def _stall(task: LockedTask, failure: Failure) -> None:
    task.move(TaskStatus.STALLED)
    task.fail(failure.kind.value, failure.message)
    task.tell(EventKind.TASK_STALLED, **{"class": failure.kind.value, "message": failure.message})


def _judge(closing: Closing, decision: Judge) -> None:
    """Open a judge's turn in the same stage."""
    running = closing.running
    claims.end(closing.connection, running.turn, closing.attempt, TurnStatus.DONE)
    agent = closing.pipeline.agent(running.stage_agent)
    runtime, model = judge(closing.policy, closing.pipeline, agent)
    new = NewTurn(
        stage=running.stage_id,
        kind=TurnKind.GATE,
        agent=running.stage_agent,
        runtime=runtime,
        model=model,
        number=running.number + 1,
        repairs=running.state.repairs + 1 if decision.repair else 0,
        note=decision.repair or None,
        parent=closing.message,
    )
    turns.open_turn(closing.connection, closing.task, new)


def _hand_off(closing: Closing, decision: HandOff) -> None:
    task, running, connection = closing.task, closing.running, closing.connection
    place = (running.stage, running.stage_agent)
    claims.end(connection, running.turn, closing.attempt, TurnStatus.DONE)
    _tell_verdict(closing, decision.verdict)
    stages.close(connection, running.stage_id, StageStatus.DONE, task.at)
    task.tell(EventKind.STAGE_COMPLETE, *place, seconds=_seconds(closing))
    for miss in decision.misses:
        task.tell(EventKind.CONDITION_MISS, *place, condition=miss)
    if not decision.arrivals:
        if decision.unmatched:
            task.tell(EventKind.NO_HANDOFF, *place, conditions=list(decision.unmatched))
        _end_branch(task)
        return
    task.live_branches += len(decision.arrivals) - 1
    task.changes["live_branches"] = task.live_branches
    for index, (arrival, payload) in enumerate(zip(decision.arrivals, closing.payloads, strict=True)):
        task.tell(EventKind.HANDOFF, *place, to=arrival.agent, condition=arrival.condition)
        open_stage(
            connection,
            task,
            closing.pipeline,
            arrival.agent,
            payload.hash,
            branch=_branch(running, index) if len(decision.arrivals) > 1 else running.branch,
            opener=running.stage_id,
            message=closing.message,
        )


def _branch(running: Running, index: int) -> str:
    """The path of a fan-out's branch: it begins with the path of the branch it came from."""
    return f"{running.branch}/{running.stage}.{index + 1}"


def _fail(closing: Closing, decision: Fail) -> None:
    task, running, failure = closing.task, closing.running, decision.failure
    place = (running.stage, running.stage_agent)
    told = {"class": failure.kind.value, "message": failure.message}
    _tell_verdict(closing, decision.verdict)
    claims.end(closing.connection, running.turn, closing.attempt, TurnStatus.FAILED)
    stages.close(
        closing.connection,
        running.stage_id,
        StageStatus.FAILED,
        task.at,
        error_class=failure.kind.value,
        error_message=failure.message,
    )
    task.tell(EventKind.STAGE_FAILED, *place, **told)
    task.fail(failure.kind.value, failure.message)
    _end_branch(task)


def _end_branch(task: LockedTask) -> None:
    task.live_branches -= 1
    task.changes["live_branches"] = task.live_branches
    if task.live_branches > 0:
        return
    if task.error_class is None:
        task.move(TaskStatus.COMPLETED)
        task.tell(EventKind.TASK_COMPLETE)
    else:
        task.move(TaskStatus.FAILED)
        task.tell(EventKind.TASK_FAILED, **{"class": task.error_class})


def _tell_verdict(closing: Closing, verdict: Verdict | None) -> None:
    if verdict is None:
        return
    running, connection, task = closing.running, closing.connection, closing.task
    stages.record_verdict(connection, running.stage_id, verdict.approved, verdict.reason)
    stages.count_verdict(connection, task.id, running.branch, running.stage_agent, verdict.approved)
    place = (running.stage, running.stage_agent)
    told = {"approved": verdict.approved, "reason": verdict.reason, "by": running.runtime}
    task.tell(EventKind.GATE_VERDICT, *place, **told)


def _seconds(closing: Closing) -> float:
    """What its attempts took, not how long it waited between them."""
    return round(closing.running.worked + max(closing.task.at - closing.running.started_at, 0.0), 3)


def open_stage(
    connection: Connection,
    task: LockedTask,
    pipeline: Pipeline,
    agent_id: str,
    input: str,
    *,
    branch: str = "",
    opener: int | None = None,
    message: str | None = None,
) -> None:
    """A new stage of `agent_id` and its first turn; `input` is a stored blob's hash."""
    agent = pipeline.agent(agent_id)
    assert isinstance(agent, Agent)  # sessions are refused at submission until they are built
    stage, number = stages.open_stage(connection, task, agent_id, input, branch=branch, opener=opener)
    task.tell(EventKind.STAGE_START, number, agent_id, runtime=agent.runtime, branch=branch)
    new = NewTurn(stage, TurnKind.WORK, agent_id, agent.runtime, agent.model, parent=message)
    turns.open_turn(connection, task, new)
