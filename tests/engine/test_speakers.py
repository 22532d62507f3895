"""Speakers that fail, are limited or find no CLI, and what that does to their round."""

from __future__ import annotations

import pytest

from aqm.flow.event import EventKind
from aqm.flow.state import StageStatus, TaskStatus
from aqm.service.store import open_store
from aqm.service.tasks import cancel
from tests.engine.conftest import SetStage
from tests.engine.meeting import AGREE, TALK, heard, meeting, speak, spoken


def test_a_speaker_that_fails_after_its_retries_is_absent_for_the_round(stage: SetStage):
    says = speak(ann=AGREE, ben=[[{"fail": "crash"}], AGREE], cid=AGREE)
    play = stage(meeting(ben={"retry": {"max_retries": 1, "backoff": 60}}), says)
    detail = play.play()
    (absent,) = play.happened(EventKind.ABSENT)
    assert (absent.agent, absent.data["round"], absent.data["class"]) == ("ben", 1, "crash")
    assert spoken(play) == [(1, "ann"), (1, "cid"), (2, "ann"), (2, "ben"), (2, "cid")]
    assert (detail.stages[0].round, detail.stages[0].consensus) == (2, True)
    assert "### Ben (ben)\n\n(absent)" in heard(play, "ann", 2)


def test_a_speaker_that_is_limited_or_recovers_keeps_its_place(stage: SetStage):
    says = speak(ann=AGREE, ben=[[{"fail": "rate_limited"}, {"fail": "crash"}, AGREE]], cid=AGREE)
    play = stage(meeting(ben={"retry": {"max_retries": 1}}), says)
    play.play()
    assert spoken(play) == [(1, "ann"), (1, "ben"), (1, "cid")]
    assert play.happened(EventKind.ABSENT) == []


@pytest.mark.parametrize("order", ["round_robin", "parallel"])
def test_a_round_in_which_nobody_could_speak_fails_the_task(stage: SetStage, order: str):
    gone = {"fail": {"kind": "auth", "message": "log in"}}
    play = stage(meeting(turn_order=order), speak(ann=[TALK, gone], ben=[TALK, gone], cid=[TALK, gone]))
    detail = play.play()
    assert detail.task.status is TaskStatus.FAILED
    assert detail.task.error
    assert detail.task.error.kind == "auth"
    assert "nobody could speak in round 2" in detail.task.error.message
    assert "log in" in detail.task.error.message


def test_one_parallel_speaker_without_its_cli_stalls_the_task_when_the_others_have_spoken(stage: SetStage):
    says = speak(ann=AGREE, ben=[[{"fail": "cli_missing"}, AGREE]], cid=AGREE)
    play = stage(meeting(turn_order="parallel"), says)
    play.begin()
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker)
        ann, ben, cid = play.rung
        play.rung.clear()
        play.hear(worker, ben)
        assert play.detail().task.status is TaskStatus.IN_PROGRESS
        play.hear(worker, ann)
        assert play.detail().task.status is TaskStatus.IN_PROGRESS
        play.hear(worker, cid)
        assert play.detail().task.status is TaskStatus.STALLED
        assert play.detail().stages[0].waits == "host"
        play.due(worker, at=0)
        play.run(worker)
    detail = play.detail()
    assert detail.task.status is TaskStatus.COMPLETED
    assert detail.task.error is None
    assert spoken(play) == [(1, "ann"), (1, "cid"), (1, "ben")]


def test_a_speaker_in_order_without_its_cli_stalls_the_task(stage: SetStage):
    play = stage(meeting(), speak(ann=AGREE, ben=[[{"fail": "cli_missing"}, AGREE]], cid=AGREE))
    play.begin()
    detail = play.go_on(ahead=False)
    assert detail.task.status is TaskStatus.STALLED
    assert detail.task.error
    assert detail.task.error.kind == "cli_missing"


def test_a_cancel_in_mid_round_ends_every_speaker(stage: SetStage):
    play = stage(meeting(), speak(ann=AGREE, ben=AGREE, cid=AGREE))
    play.begin()
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker)
        play.hear(worker, play.rung.pop(0))
        cancel(play.project, play.task)
        while play.rung:
            play.hear(worker, play.rung.pop(0))
        play.run(worker)
    detail = play.detail()
    assert detail.task.status is TaskStatus.CANCELLED
    assert detail.stages[0].status is StageStatus.DROPPED
    assert spoken(play) == [(1, "ann")]
