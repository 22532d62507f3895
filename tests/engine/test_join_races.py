"""Two workers at one fan-out, on PostgreSQL: whoever comes first, the join opens once and the task ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from aqm.engine.run_turn import run_turn
from aqm.errors import ConflictError
from aqm.flow.state import TaskStatus
from aqm.service.store import open_store
from aqm.service.tasks import cancel
from tests.engine.hand import Hand, fan, playing
from tests.engine.invariants import Rows, check_ended, check_running
from tests.engine.play import Stage, agent, play_in

FORK = [
    agent("split", **fan("a", "b")),
    agent("a", "j"),
    agent("b", "j"),
    agent("j", join="all"),
]


@pytest.fixture
def play(tmp_path: Path, postgres_url: str) -> Callable[..., Stage]:
    environ = {"PATH": "/usr/bin:/bin", "AQM_DATABASE_URL": postgres_url}
    return lambda agents, says: play_in(tmp_path, agents, says, environ=environ)


def at_once(*acts: Callable[[threading.Barrier], None]) -> None:
    """Do all in threads of their own; each waits at the barrier once."""
    barrier = threading.Barrier(len(acts), timeout=20)
    faults: list[BaseException] = []

    def act(what: Callable[[threading.Barrier], None]) -> None:
        try:
            what(barrier)
        except BaseException as error:
            faults.append(error)
            barrier.abort()

    threads = [threading.Thread(target=act, args=(each,)) for each in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not faults, faults


def turn(hand: Hand, store: Any, name: str) -> Callable[[threading.Barrier], None]:
    """The next turn of an agent, which waits at the barrier before it is closed."""
    number = hand.turn_of(name)

    def run(barrier: threading.Barrier) -> None:
        waits = iter([barrier.wait])

        def hear(*_: Any) -> None:
            for wait in waits:
                wait()

        run_turn(hand.play.worker(store, on_live=hear), number, "message")

    return run


def rows(hand: Hand) -> Rows:
    with hand.store.database.reading() as connection:
        return Rows(connection, hand.play.task)


def test_the_last_two_branches_of_a_fan_out_may_end_at_the_same_moment(play: Callable[..., Stage]):
    scene = play(FORK, {})
    with ExitStack() as stack:
        stores = [stack.enter_context(open_store(scene.project)) for _ in "ab"]
        hand = stack.enter_context(playing(scene))
        for _ in range(50):
            scene.begin()
            hand.step("split")
            at_once(*(turn(hand, store, name) for store, name in zip(stores, "ab", strict=True)))
            found = rows(hand)
            assert [stage.agent for stage in found.counted] == ["split", "a", "b", "j"]
            check_running(found)
        hand.step("j")
        check_ended(rows(hand), most=20)


def test_a_task_may_be_cancelled_at_the_moment_in_which_its_last_branch_ends(play: Callable[..., Stage]):
    scene = play(FORK, {})
    with open_store(scene.project) as store:
        for _ in range(15):
            with playing(scene) as hand:
                hand.step("split", "a")

                def stop(
                    barrier: threading.Barrier, project: Any = scene.project, task: str = scene.task
                ) -> None:
                    barrier.wait()
                    cancel(project, task)

                at_once(turn(hand, store, "b"), stop)
                found = rows(hand)
                assert found.task.status == "cancelled"
                check_running(found)
                assert {each.status for each in found.turns} <= {"done", "dropped"}
                assert {each.status for each in found.branches} <= {"cancelled", "merged"}


def test_a_branch_may_end_at_the_moment_in_which_another_ones_failure_cancels_it(play: Callable[..., Stage]):
    agents = [agent("split", on_branch_failure="cancel", **fan("a", "b")), *FORK[1:]]
    scene = play(agents, {"a": {"steps": [{"say": "so"}], "fail": "crash"}})
    with ExitStack() as stack:
        stores = [stack.enter_context(open_store(scene.project)) for _ in "ab"]
        for _ in range(15):
            with playing(scene) as hand:
                hand.step("split")
                at_once(*(turn(hand, store, name) for store, name in zip(stores, "ab", strict=True)))
                assert hand.status is TaskStatus.FAILED
                assert "j" not in hand.walked()
                check_ended(rows(hand), most=20)


def test_of_two_who_cancel_at_once_one_is_told_that_it_was_too_late(play: Callable[..., Stage]):
    scene = play(FORK, {})
    for _ in range(10):
        with playing(scene) as hand:
            hand.step("split")
            told: list[str] = []

            def stop(barrier: threading.Barrier, told: list[str] = told, task: str = scene.task) -> None:
                barrier.wait()
                try:
                    cancel(scene.project, task)
                except ConflictError:
                    told.append("late")

            at_once(stop, stop)
            assert told == ["late"]
            check_running(rows(hand))
