"""The canvas: what is published for bells, and that a chord's body is a bell like any other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from celery import Celery
from celery.canvas import _chord, group

from aqm.engine.canvas import CONDUCT, RUN_TURN, canvas, root_id
from aqm.engine.embedded import Embedded
from aqm.engine.worker import AnyBell, Worker
from aqm.flow.state import TaskStatus
from aqm.runtimes import RUNTIMES
from aqm.service.store import open_store
from aqm.storage.bells import Bell, RoundBell
from aqm.storage.database import now
from tests.engine.play import agent, play_in

APP = Celery("aqm", broker="memory://", set_as_current=False)


def bell(turn: int, parent: str | None = "m-1", **keys: int) -> Bell:
    return Bell(turn, "T-AAAAAA", "claude", 2, parent, **keys)


def test_one_turn_is_a_message_that_is_linked_to_the_task_s_first_one():
    (signature,) = canvas(APP, [bell(7)])
    assert (signature.task, signature.args) == (RUN_TURN, (7,))
    assert signature.options["root_id"] == root_id("T-AAAAAA")
    assert signature.options["parent_id"] == "m-1"


def test_the_branches_of_a_fan_out_are_a_group():
    (signature,) = canvas(APP, [bell(7, stage=2), bell(8, stage=3)])
    assert isinstance(signature, group)
    assert [each.args for each in signature.tasks] == [(7,), (8,)]


def test_turns_of_other_tasks_or_other_openers_are_no_group():
    others = [bell(7), bell(8, parent="m-2"), Bell(9, "T-BBBBBB", "claude", 2, None)]
    assert [signature.task for signature in canvas(APP, others)] == [RUN_TURN] * 3


def test_the_speakers_of_a_parallel_round_are_a_chord_whose_body_decides_on_the_round():
    (signature,) = canvas(APP, [bell(7, stage=5, round=2), bell(8, stage=5, round=2)])
    assert isinstance(signature, _chord)
    assert (signature.body.task, signature.body.args) == (CONDUCT, (5, 2))
    assert signature.body.options["queue"] == "aqm.control"


def test_a_round_that_has_ended_rings_the_control_queue():
    (signature,) = canvas(APP, [RoundBell(5, 2, "T-AAAAAA", 2, "m-9")])
    assert (signature.task, signature.args) == (CONDUCT, (5, 2))
    assert signature.options["root_id"] == root_id("T-AAAAAA")


def test_a_parallel_session_goes_on_by_its_chords_alone_when_the_plain_bells_are_lost(tmp_path: Path):
    meeting = {"id": "m", "type": "session", "participants": ["a", "b"], "turn_order": "parallel"}
    play = play_in(tmp_path, [{**meeting, "max_rounds": 3}, agent("a"), agent("b")], {})
    task = play.begin()
    embedded = Embedded(RUNTIMES, 4)

    def ring(bells: Sequence[AnyBell]) -> None:
        embedded.ringer([each for each in bells if isinstance(each, Bell)])

    with open_store(play.project) as store:
        worker: Worker = play.worker(store, ring=ring)
        embedded.start(lambda: worker)
        try:
            with store.database.writing() as connection:
                rung = worker.take_bells(connection, now(connection))
            ring(rung)
            until = time.monotonic() + 20
            while play.detail().task.status is not TaskStatus.COMPLETED and time.monotonic() < until:
                time.sleep(0.05)
        finally:
            embedded.stop()
    assert play.task == task
    assert play.detail().task.status is TaskStatus.COMPLETED
    assert play.detail().stages[0].round == 3
