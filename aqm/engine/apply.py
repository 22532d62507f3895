"""Writes a decision down, inside the transaction that closes its turn or takes a person's word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from aqm.engine import opening, speaking
from aqm.engine.branching import fail_branch, hand_over
from aqm.engine.scene import Scene
from aqm.flow.decision import (
    Absent,
    Again,
    Ask,
    Decision,
    Fail,
    HandOff,
    Hold,
    Judge,
    Repair,
    Requeue,
    Routed,
    Spoke,
    Work,
)
from aqm.flow.event import EventKind
from aqm.flow.state import StageStatus, TurnStatus
from aqm.flow.task import Stage
from aqm.storage import attempts, claims, stages
from aqm.storage.blobs import Blob

__all__ = ["apply"]


def apply(
    scene: Scene, stage: Stage, decision: Decision, payloads: Sequence[Blob] = (), *, by: str = ""
) -> None:
    """`payloads` are the blobs of a hand-off's arrivals, stored already; `by` is who gave a verdict."""
    match decision:
        case Again() | Hold() | Requeue():
            _requeue(scene, decision)
        case Work():
            scene.end_turn()
            scene.tell_verdict(decision.verdict, by)
            opening.work(scene, decision)
        case Judge():
            scene.end_turn()
            scene.keep_fields(decision.fields)
            opening.open_judge(scene, decision)
        case Ask():
            scene.end_turn()
            scene.tell_verdict(decision.verdict, by)
            opening.wait(scene, decision)
            scene.task.rest()
        case Repair():
            scene.end_turn()
            scene.keep_fields(decision.fields)
            scene.tell_verdict(decision.verdict, by)
            opening.open_repair(scene, decision)
        case Spoke() | Absent():
            speaking.spoke(scene, decision)
        case Routed():
            speaking.routed(scene, stage, decision)
        case HandOff():
            _hand_off(scene, decision, payloads, by)
        case Fail():
            _fail(scene, decision, by)
        case never:
            assert_never(never)


def _requeue(scene: Scene, decision: Again | Hold | Requeue) -> None:
    running, attempt = scene.turn, scene.attempt
    assert running is not None
    assert attempt is not None
    task, failure = scene.task, decision.failure
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
        scene.connection,
        running.turn,
        attempt,
        not_before=task.at + delay if delay else 0.0,
        strategy=strategy,
        **counts,
    )
    if isinstance(decision, Hold) and decision.stalls:
        opening.stall(scene)


def _hand_off(scene: Scene, decision: HandOff, payloads: Sequence[Blob], by: str) -> None:
    scene.end_turn()
    scene.tell_verdict(decision.verdict, by)
    stages.close(scene.connection, scene.stage_id, StageStatus.DONE, scene.task.at)
    scene.tell(EventKind.STAGE_COMPLETE, seconds=_seconds(scene))
    for miss in decision.misses:
        scene.tell(EventKind.CONDITION_MISS, condition=miss, field=miss.split()[0])
    if decision.unmatched:
        scene.tell(EventKind.NO_HANDOFF, conditions=list(decision.unmatched))
    hand_over(scene, decision.arrivals, payloads)


def _fail(scene: Scene, decision: Fail, by: str) -> None:
    failure = decision.failure
    told = {"class": failure.kind.value, "message": failure.message}
    scene.tell_verdict(decision.verdict, by)
    scene.end_turn(TurnStatus.FAILED)
    stages.close(
        scene.connection,
        scene.stage_id,
        StageStatus.FAILED,
        scene.task.at,
        error_class=failure.kind.value,
        error_message=failure.message,
    )
    scene.tell(EventKind.STAGE_FAILED, **told)
    scene.task.fail(failure.kind.value, failure.message)
    fail_branch(scene)


def _seconds(scene: Scene) -> float:
    """What its attempts took, not how long it waited between them."""
    running = scene.turn
    if running is None:
        return round(attempts.worked(scene.connection, scene.stage_id), 3)
    return round(running.worked + max(scene.task.at - running.started_at, 0.0), 3)
