"""A CLI that is missing stalls what needs it and nothing else, until there is one."""

from __future__ import annotations

from typing import Any

import pytest

from aqm.flow.event import EventKind
from aqm.flow.state import StageStatus, TaskStatus, Waits
from aqm.service.owning import adopt
from aqm.service.store import open_store
from tests.engine.conftest import SetStage
from tests.engine.play import Stage, agent, said, session, walked

MISSING = {"fail": {"kind": "cli_missing", "message": "install claude"}}
LATER = [[MISSING, said("now")]]


def resumed(play: Stage) -> Any:
    """`aqm resume` where the task is this process's; a team's workers try by themselves."""
    if "AQM_DATABASE_URL" not in play.environ:
        adopt(play.project, play.task)
        return play.go_on(ahead=False)
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker, at=0)
        play.run(worker, ahead=False)
    return play.detail()


def test_a_branch_that_stalls_lets_the_others_end_and_then_goes_on(stage: SetStage):
    agents = [
        agent("split", handoffs=[{"to": "left, right"}]),
        agent("left", "end"),
        agent("right", "more"),
        agent("more", "end"),
        agent("end", join="all"),
    ]
    play = stage(agents, {"left": LATER})
    play.begin()
    detail = play.go_on(ahead=False)
    assert detail.task.status is TaskStatus.STALLED
    assert detail.task.error
    assert (detail.task.error.kind, detail.waits_for) == ("cli_missing", "install claude")
    (event,) = play.happened(EventKind.TASK_STALLED)
    assert event.data == {"class": "cli_missing", "message": "install claude"}
    assert {one.agent: one.status for one in detail.stages} == {
        "split": StageStatus.DONE,
        "left": StageStatus.OPEN,
        "right": StageStatus.DONE,
        "more": StageStatus.DONE,
    }
    detail = resumed(play)
    assert detail.task.status is TaskStatus.COMPLETED
    assert detail.task.error is None
    assert walked(detail).count("end") == 1


def test_the_task_is_in_progress_while_another_branch_runs(stage: SetStage):
    agents = [agent("split", handoffs=[{"to": "left, right"}]), agent("left"), agent("right")]
    play = stage(agents, {"left": LATER})
    play.begin()
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker)
        play.hear(worker, play.rung.pop(0))
        left, right = play.rung
        play.rung.clear()
        play.hear(worker, left)
        assert play.detail().task.status is TaskStatus.IN_PROGRESS
        assert play.happened(EventKind.TASK_STALLED) == []
        play.hear(worker, right)
    assert play.detail().task.status is TaskStatus.STALLED


@pytest.mark.parametrize("order", ["round_robin", "parallel"])
def test_a_speaker_that_stalls_keeps_its_place_in_the_round(stage: SetStage, order: str):
    agents = [session("meet", "ann", "ben", turn_order=order), agent("ann"), agent("ben")]
    agree = said("VOTE: AGREE")
    says = {"ann": {"speak": [[MISSING, agree]]}, "ben": {"speak": agree}}
    play = stage(agents, says)
    play.begin()
    detail = play.go_on(ahead=False)
    assert (detail.task.status, detail.stages[0].waits) == (TaskStatus.STALLED, Waits.HOST)
    detail = resumed(play)
    assert detail.task.status is TaskStatus.COMPLETED
    assert (detail.stages[0].round, detail.stages[0].waits) == (1, None)
    assert play.happened(EventKind.ABSENT) == []


@pytest.mark.parametrize("kind", ["gate", "repair", "summary"])
def test_a_judge_a_repair_or_a_summary_may_stall_as_well(stage: SetStage, kind: str):
    yes = {"verdict": "approved", "reason": "fine"}
    agents = {
        "gate": [agent("a", "b", gate={}), agent("b")],
        "repair": [agent("a", handoffs=[{"to": "b", "condition": "auto"}]), agent("b")],
        "summary": [session("m", "a", summary_agent="a", handoffs=[{"to": "b"}]), agent("a"), agent("b")],
    }
    last = {"gate": yes, "repair": said("HANDOFF: b"), "summary": said("so")}[kind]
    play = stage(
        agents[kind], {"a": {"speak": said("VOTE: AGREE"), "work": said("v"), kind: [[MISSING, last]]}}
    )
    play.begin()
    assert play.go_on(ahead=False).task.status is TaskStatus.STALLED
    detail = resumed(play)
    assert detail.task.status is TaskStatus.COMPLETED
    assert walked(detail)[-1] == "b"
