"""The end of a round is decided once, whatever becomes of the messages that ring for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from aqm.engine.advance import Ended, close
from aqm.engine.conduct import conduct
from aqm.engine.run_turn import run_turn
from aqm.engine.sweep import Sweep
from aqm.engine.worker import Worker
from aqm.flow.event import EventKind
from aqm.flow.outcome import Failure, FailureClass
from aqm.flow.state import TaskStatus
from aqm.service.store import open_store
from aqm.service.tasks import cancel
from aqm.storage import blobs, claims, tables, tasks
from aqm.storage.bells import RING_AGAIN, Bell, RoundBell
from tests.engine.conftest import SetStage
from tests.engine.play import Stage, agent, said, session, walked

TALK, AGREE = said("Not yet."), said("VOTE: AGREE")
LOST = Failure(FailureClass.WORKER_LOST, "its worker stopped answering")


def duo(**keys: Any) -> list[dict[str, Any]]:
    keys = {"max_rounds": 3, "handoffs": [{"to": "next"}], **keys}
    return [session("meet", "ann", "ben", **keys), agent("ann"), agent("ben"), agent("next")]


@contextmanager
def begun(play: Stage) -> Iterator[Worker]:
    play.begin()
    with open_store(play.project) as store:
        yield play.worker(store)


def until_round_ends(play: Stage, worker: Worker) -> RoundBell:
    """Let all speak, and give the bell for the round's end."""
    play.due(worker)
    while True:
        bell = play.rung.pop(0)
        if isinstance(bell, RoundBell):
            return bell
        play.hear(worker, bell)


def rounds(play: Stage) -> list[int]:
    return [event.data["round"] for event in play.happened(EventKind.ROUND_COMPLETE)]


@pytest.mark.parametrize("order", ["round_robin", "parallel"])
def test_a_round_is_decided_once_however_often_it_is_rung(stage: SetStage, order: str):
    play = stage(duo(turn_order=order), {"ann": {"speak": TALK}, "ben": {"speak": TALK}})
    with begun(play) as worker:
        bell = until_round_ends(play, worker)
        for _ in range(3):
            conduct(worker, bell.stage, bell.round, "message")
        assert rounds(play) == [1]
        speakers = [each for each in play.rung if isinstance(each, Bell)]
        assert len(speakers) == (2 if order == "parallel" else 1)
        play.run(worker)
        conduct(worker, bell.stage, bell.round, "very late")
    assert rounds(play) == [1, 2, 3]
    assert walked(play.detail()) == ["meet", "next"]


def test_a_round_that_is_not_over_or_not_there_is_not_decided(stage: SetStage):
    play = stage(duo(), {"ann": {"speak": TALK}, "ben": {"speak": TALK}})
    with begun(play) as worker:
        play.due(worker)
        first = play.rung.pop(0)
        assert isinstance(first, Bell)
        conduct(worker, first.stage, 1, "too early")
        play.hear(worker, first)
        conduct(worker, first.stage, 1, "too early")
        conduct(worker, first.stage, 2, "far too early")
        conduct(worker, 999_999, 1, "forged")
        assert rounds(play) == []
        play.run(worker)
    assert rounds(play) == [1, 2, 3]


def test_eight_that_are_rung_at_once_decide_once(stage: SetStage):
    play = stage(duo(), {"ann": {"speak": TALK}, "ben": {"speak": TALK}})
    with begun(play) as worker:
        bell = until_round_ends(play, worker)
        barrier = threading.Barrier(8)

        def ring() -> None:
            barrier.wait()
            conduct(worker, bell.stage, bell.round, "message")

        threads = [threading.Thread(target=ring) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert rounds(play) == [1]
        play.run(worker)
    assert rounds(play) == [1, 2, 3]


def test_a_lost_message_is_rung_again_by_the_sweep(stage: SetStage):
    play = stage(duo(), {"ann": {"speak": TALK}, "ben": {"speak": TALK}})
    with begun(play) as worker:
        bell = until_round_ends(play, worker)
        sweep = Sweep(worker)
        sweep.sweep()
        assert play.rung == []  # it was rung a moment ago
        with worker.database.writing() as connection:
            connection.execute(
                tables.stages.update().values(round_rung_at=tables.stages.c.round_rung_at - RING_AGAIN - 1)
            )
        sweep.sweep()
        assert play.rung == [bell]
        play.run(worker)
    assert rounds(play) == [1, 2, 3]


def test_a_speaker_s_message_twice_lets_it_speak_once(stage: SetStage):
    play = stage(duo(turn_order="parallel"), {"ann": {"speak": TALK}, "ben": {"speak": TALK}})
    with begun(play) as worker:
        play.due(worker)
        ann, ben = play.rung
        play.rung.clear()
        for bell in (ann, ben, ann, ben, ben):
            assert isinstance(bell, Bell)
            run_turn(worker, bell.turn, "message")
        assert len(play.happened(EventKind.SPOKE)) == 2
        assert [type(bell) for bell in play.rung] == [RoundBell]


def test_a_pending_speaker_cannot_be_rung_before_its_turn(stage: SetStage):
    play = stage(duo(), {"ann": {"speak": TALK}, "ben": {"speak": TALK}})
    with begun(play) as worker:
        play.due(worker)
        (ann,) = play.rung
        assert isinstance(ann, Bell)
        run_turn(worker, ann.turn + 1, "forged")
        assert play.happened(EventKind.SPOKE) == []


@pytest.mark.parametrize("order", ["round_robin", "parallel"])
def test_a_worker_lost_in_mid_round_costs_nobody_a_place(stage: SetStage, order: str):
    play = stage(duo(turn_order=order, max_rounds=1), {"ann": {"speak": TALK}, "ben": {"speak": AGREE}})
    with begun(play) as worker:
        play.due(worker)
        ann = play.rung.pop(0)
        assert isinstance(ann, Bell)
        for _ in range(2):
            attempt = taken(worker, ann.turn)
            assert close(worker, Ended(ann.turn, attempt, LOST, lost=True))
        play.run(worker)
    assert sorted(event.agent for event in play.happened(EventKind.SPOKE)) == ["ann", "ben"]
    assert play.detail().task.status is TaskStatus.COMPLETED


def test_a_speaker_that_takes_every_worker_down_is_absent_and_named_when_it_was_alone(stage: SetStage):
    agents = [session("meet", "ann"), agent("ann")]
    play = stage(agents, {})
    with begun(play) as worker:
        play.due(worker)
        ann = play.rung.pop(0)
        assert isinstance(ann, Bell)
        for _ in range(3):
            close(worker, Ended(ann.turn, taken(worker, ann.turn), LOST, lost=True))
        play.run(worker)
    detail = play.detail()
    assert detail.task.error
    assert detail.task.error.kind == "poisoned"


def taken(worker: Worker, turn: int) -> str:
    """Claim the turn as a worker that then dies; its attempt."""
    with (
        worker.database.writing() as connection,
        tasks.lock_of_turn(connection, turn) as task,
    ):
        assert task is not None
        task.move(TaskStatus.IN_PROGRESS)
        claim = claims.claim(connection, task, turn, worker.name, 30.0)
    assert claim is not None
    return claim.attempt


def test_a_round_of_a_cancelled_task_is_not_decided(stage: SetStage):
    play = stage(duo(), {"ann": {"speak": TALK}, "ben": {"speak": TALK}})
    with begun(play) as worker:
        bell = until_round_ends(play, worker)
        cancel(play.project, play.task)
        conduct(worker, bell.stage, bell.round, "late")
        Sweep(worker).sweep()
        assert play.rung == []
    assert rounds(play) == []
    assert play.events()[-1].kind is EventKind.TASK_CANCELLED


def test_a_decision_and_a_cancel_at_once_leave_nothing_running(stage: SetStage):
    play = stage(duo(), {"ann": {"speak": TALK}, "ben": {"speak": TALK}})
    for _ in range(10):
        with begun(play) as worker:
            bell = until_round_ends(play, worker)
            barrier = threading.Barrier(2)

            def together(call: Callable[[], object], barrier: threading.Barrier = barrier) -> None:
                barrier.wait()
                call()

            calls: list[Callable[[], object]] = [
                partial(conduct, worker, bell.stage, bell.round, "message"),
                partial(cancel, play.project, play.task),
            ]
            threads = [threading.Thread(target=together, args=(call,)) for call in calls]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            play.run(worker)
        assert play.detail().task.status is TaskStatus.CANCELLED
        assert len(play.happened(EventKind.SPOKE)) == 2
        play.rung.clear()


def test_a_fault_in_deciding_fails_the_stage_instead_of_hanging_the_task(stage: SetStage):
    long = "x" * 600_000  # more than is remembered of what was just said
    play = stage(duo(max_rounds=1), {"ann": {"speak": TALK}, "ben": {"speak": said(long)}})
    with begun(play) as worker:
        bell = until_round_ends(play, worker)
        with worker.database.writing() as connection:
            broken = tables.blobs.c.hash == blobs.blob(long).hash
            connection.execute(tables.blobs.update().where(broken).values(encoding="zlib", data=b"broken"))
        conduct(worker, bell.stage, bell.round, "message")
    detail = play.detail()
    assert detail.task.status is TaskStatus.FAILED
    assert detail.task.error
    assert "a fault in aqm itself, after round 1" in detail.task.error.message
