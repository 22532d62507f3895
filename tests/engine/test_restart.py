"""Restart: what is taken back, what stays, and how the task goes on from there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aqm.engine.run_turn import run_turn
from aqm.errors import ConflictError, NotFoundError, PipelineError
from aqm.flow.event import EventKind
from aqm.flow.state import TaskStatus
from aqm.service.chunks import chunk_views
from aqm.service.tasks import cancel
from aqm.storage import tables
from tests.engine.conftest import SetStage
from tests.engine.hand import fan, playing, said
from tests.engine.play import REJECTED, agent
from tests.engine.restarting import FORK, again, change, change_script, counted, says

LINE = [agent("plan", "dev"), agent("dev", "ship"), agent("ship")]


def test_a_restart_begins_anew_with_the_task_as_it_was_put(stage: SetStage):
    with playing(stage(LINE, says("plan", "dev", "ship"))) as hand:
        hand.rest()
        again(hand)
        assert hand.status is TaskStatus.IN_PROGRESS
        assert counted(hand) == [(4, "plan")]
        assert hand.input(4) == "the task"
        hand.rest()
        assert counted(hand) == [(4, "plan"), (5, "dev"), (6, "ship")]
        detail = hand.play.detail()
        assert detail.task.run == 2
        assert detail.task.status is TaskStatus.COMPLETED
        assert {row.run for row in hand.rows(tables.stages) if row.number > 3} == {2}


def test_a_restart_from_the_middle_keeps_what_was_before(stage: SetStage):
    with playing(stage(LINE, says("plan", "dev", "ship"))) as hand:
        hand.rest()
        again(hand, 2)
        assert counted(hand) == [(1, "plan"), (4, "dev")]
        assert hand.input(4) == "plan's"
        hand.rest()
        assert counted(hand) == [(1, "plan"), (4, "dev"), (5, "ship")]
        assert hand.told(EventKind.TASK_RESTARTED)[0].data == {"from_stage": 2}


@pytest.mark.parametrize("since", [0, 4, -1, 99])
def test_a_stage_that_the_task_has_not_is_refused_and_nothing_happens(stage: SetStage, since: int):
    with playing(stage(LINE, {})) as hand:
        hand.rest()
        before = hand.play.events()
        with pytest.raises(NotFoundError, match="1, 2, 3"):
            again(hand, since)
        assert hand.play.events() == before
        assert hand.status is TaskStatus.COMPLETED


def test_a_stage_that_a_restart_took_back_is_refused(stage: SetStage):
    with playing(stage(LINE, {})) as hand:
        hand.rest()
        again(hand, 2)
        hand.rest()
        with pytest.raises(NotFoundError, match="1, 4, 5"):
            again(hand, 3)


def test_a_task_that_runs_or_waits_for_a_person_is_refused(stage: SetStage):
    agents = [agent("dev", "ship", gate={"type": "human"}), agent("ship")]
    with playing(stage(agents, {})) as hand:
        with pytest.raises(ConflictError, match="aqm cancel"):
            again(hand)
        hand.rest()
        assert hand.status is TaskStatus.AWAITING_GATE
        with pytest.raises(ConflictError, match="awaiting_gate"):
            again(hand)


def test_a_failed_task_restarts_from_the_stage_that_failed(stage: SetStage):
    with playing(stage(LINE, {"dev": [{"fail": "crash"}], **says("plan")})) as hand:
        hand.rest()
        assert hand.status is TaskStatus.FAILED
        hand.play.script.write_text(json.dumps({"pace": 0, "agents": says("dev", "ship")}))
        again(hand, 2)
        assert hand.error == ""
        hand.rest()
        assert counted(hand) == [(1, "plan"), (3, "dev"), (4, "ship")]
        assert hand.status is TaskStatus.COMPLETED


def test_a_cancelled_task_goes_on_where_it_was(stage: SetStage):
    with playing(stage(FORK, says("a", "b", "c"))) as hand:
        hand.step("split", "b")
        cancel(hand.play.project, hand.play.task, "enough")
        assert hand.branches() == {"/1.1": "cancelled", "/1.2": "cancelled", "/1.3": "cancelled"}
        again(hand, 4)
        assert counted(hand) == [(1, "split"), (3, "b"), (5, "a"), (6, "c")]
        assert hand.branches() == {"/1.1": "live", "/1.2": "parked", "/1.3": "live"}
        assert hand.error == ""
        hand.rest()
        assert hand.status is TaskStatus.COMPLETED
        assert hand.input(7) == "## A (a)\n\na's\n\n## B (b)\n\nb's\n\n## C (c)\n\nc's"


def test_branches_that_a_join_cut_off_which_opens_again_are_cut_off_by_that(stage: SetStage):
    """They kept the number of the join's first stage, and a later restart took them up beside the second."""
    agents = [
        agent("split", **fan("a", "b", "c", "d")),
        agent("a", "j"),
        agent("b", "j"),
        agent("c", "j"),
        agent("d", "d2"),
        agent("d2"),
        agent("j", "end", join="any"),
        agent("end"),
    ]
    with playing(stage(agents, {"a": {"fail": "crash"}})) as hand:
        hand.step("split", "a", "b", "d")
        numbers = {name: number for number, name in counted(hand)}
        assert numbers["j"] < numbers["d2"]
        cancel(hand.play.project, hand.play.task)
        again(hand, numbers["d2"])
        hand.step("d2", "j", "end")
        assert hand.status is TaskStatus.FAILED
        again(hand, max(hand.places()))
        hand.rest()
        assert sorted(hand.walked()) == ["a", "b", "d", "d2", "end", "j", "split"]


# What else is undone -----------------------------------------------------------------------------


def test_chunk_changes_of_what_is_taken_back_are_undone(stage: SetStage):
    chunks = {"enabled": True, "initial": ["first"]}
    plain = {"enabled": True}
    agents = [
        agent("plan", "dev", chunks=chunks),
        agent("dev", "ship", chunks=plain),
        agent("ship", chunks=plain),
    ]
    lines = {
        "plan": said("CHUNK_ADD: second"),
        "dev": said("CHUNK_DONE: C-001\nCHUNK_ADD: third"),
        "ship": said("CHUNK_REMOVE: C-001\nCHUNK_DONE: C-002"),
    }
    with playing(stage(agents, lines)) as hand:
        hand.rest()
        project, task = hand.play.project, hand.play.task
        assert [(one.id, one.status) for one in chunk_views(project, task)] == [
            ("C-002", "done"),
            ("C-003", "open"),
        ]
        again(hand, 3)
        change_script(hand, says("ship"))
        hand.rest()
        assert [(one.id, one.status) for one in chunk_views(project, task)] == [
            ("C-001", "done"),
            ("C-002", "open"),
            ("C-003", "open"),
        ]
        again(hand, 2)
        assert [(one.id, one.status) for one in chunk_views(project, task)] == [
            ("C-001", "open"),
            ("C-002", "open"),
        ]
        hand.step("dev")


def test_chunk_changes_of_a_cancelled_stage_before_it_are_undone_too(stage: SetStage):
    agents = [
        agent("split", **fan("a", "b")),
        agent("a", chunks={"enabled": True}, gate={"type": "llm"}),
        agent("b"),
    ]
    with playing(stage(agents, {"a": said("CHUNK_ADD: one")})) as hand:
        hand.step("split", "a")
        cancel(hand.play.project, hand.play.task)
        assert len(chunk_views(hand.play.project, hand.play.task)) == 1
        again(hand, 3)
        assert counted(hand) == [(1, "split"), (4, "a"), (5, "b")]
        assert chunk_views(hand.play.project, hand.play.task) == ()


def test_what_is_taken_back_is_shown_to_nobody(stage: SetStage):
    agents = [agent("plan", "dev"), agent("dev", system_prompt="<{{ context }}>")]
    with playing(stage(agents, says("plan"))) as hand:
        hand.rest()
        change_script(hand, {"plan": said("another")})
        again(hand)
        hand.rest()
        text = hand.said(4)
        assert "another" in text
        assert "plan's" not in text
        assert "Stage 1" not in text


def test_visits_and_rejections_are_counted_anew(stage: SetStage):
    rules = [{"to": "dev", "condition": "on_reject"}]
    agents = [
        agent(
            "dev",
            gate={"type": "llm", "max_retries": 2},
            handoffs=rules,
            system_prompt="visit {{ stage.visits }}{{ input[:0] }}",
        )
    ]
    with playing(stage(agents, {"dev": {"gate": REJECTED}})) as hand:
        hand.rest()
        assert hand.walked() == ["dev"] * 3
        again(hand, 2)
        assert [(row.visits, row.rejections) for row in hand.rows(tables.counters)] == [(2, 1)]
        hand.rest()
        assert counted(hand) == [(1, "dev"), (4, "dev"), (5, "dev")]
        assert "visit 3" in hand.said(5)
        assert hand.status is TaskStatus.FAILED


def test_rejections_in_a_branch_beside_are_not_counted_for_this_one(stage: SetStage):
    """Counted anew, they were, because both branches had been joined since."""
    rules = [
        {"to": "w", "condition": "stage.visits < 2"},
        {"to": "j", "condition": "stage.visits == 2"},
        {"to": "end", "condition": "stage.visits > 2"},
    ]
    agents = [
        agent("split", **fan("a", "b")),
        agent("a", "w"),
        agent("b", "w"),
        agent("w", gate={"type": "llm", "max_retries": 9}, handoffs=rules),
        agent("j", "w", join="all"),
        agent("end"),
    ]
    with playing(stage(agents, {"w": {"work": said("w"), "gate": REJECTED}})) as hand:
        hand.rest()
        before = [tuple(row) for row in hand.rows(tables.counters)]
        assert [row[1:5] for row in before if row[2] == "w"] == [
            ("", "w", 1, 3),
            ("/1.1", "w", 2, 2),
            ("/1.2", "w", 2, 2),
        ]
        again(hand, max(hand.places()))
        assert [tuple(row) for row in hand.rows(tables.counters)] == before


def test_the_stage_limit_counts_what_was_kept_and_what_is_new(stage: SetStage):
    loop = [agent("a", "b"), agent("b", "a")]
    with playing(stage(loop, {}, config={"pipeline": {"max_stages": 4}})) as hand:
        hand.rest()
        assert len(hand.places()) == 4
        again(hand, 3)
        hand.rest()
        assert [number for number, _ in counted(hand)] == [1, 2, 5, 6]
        assert "stage 5" in hand.error


# Params and pipelines ----------------------------------------------------------------------------

WITH_PARAM = {"params": {"who": "team"}}


def greeting(text: str) -> list[dict]:
    return [agent("a", "b", handoffs=[{"to": "b", "payload": text}]), agent("b")]


def test_other_params_are_put_into_the_pipeline_that_was_submitted(stage: SetStage):
    play = stage(greeting("${{ params.who }} old"), {})
    change(play, greeting("${{ params.who }} old"), **WITH_PARAM)
    with playing(play) as hand:
        hand.rest()
        assert hand.input(2) == "team old"
        change(play, greeting("${{ params.who }} edited"), **WITH_PARAM)
        again(hand, params={"who": "me"})
        hand.rest()
        assert hand.input(4) == "me old"
        again(hand)
        hand.rest()
        assert hand.input(6) == "me old"
        with pytest.raises(PipelineError, match="who"):
            again(hand, params={"wo": "me"})


def test_a_named_pipeline_is_taken_as_its_file_is_now(stage: SetStage):
    play = stage(greeting("old"), {})
    with playing(play) as hand:
        hand.rest()
        change(play, greeting("edited"))
        again(hand)
        hand.rest()
        assert hand.input(4) == "old"
        (play.project.pipelines / "other.yaml").write_text(json.dumps({"agents": greeting("new")}))
        again(hand, pipeline="other")
        hand.rest()
        assert hand.input(6) == "new"
        assert hand.play.detail().task.pipeline == "other"
        again(hand)
        hand.rest()
        assert hand.input(8) == "new"


def test_a_pipeline_without_an_agent_that_the_task_goes_on_with_is_refused(stage: SetStage):
    with playing(stage(LINE, {})) as hand:
        hand.rest()
        change(hand.play, [agent("plan"), agent("deb")])
        with pytest.raises(NotFoundError, match="deb"):
            again(hand, 2, pipeline="default")
        again(hand, 1, pipeline="default")
        hand.rest()
        assert hand.walked() == ["plan"]


def test_a_pipeline_that_lacks_what_a_fan_out_needs_is_refused(stage: SetStage):
    with playing(stage(FORK, {})) as hand:
        hand.rest()
        for missing in ("split", "a", "c", "j"):
            kept = [each for each in FORK if each["id"] != missing]
            change(hand.play, [{**each, "handoffs": []} for each in kept])
            with pytest.raises(NotFoundError, match=missing):
                again(hand, 3, pipeline="default")
        plain = [dict(each) for each in FORK]
        plain[4] = agent("j", "end")
        change(hand.play, plain)
        with pytest.raises(ConflictError, match="no join"):
            again(hand, 3, pipeline="default")
        again(hand, 6, pipeline="default")
        hand.rest()
        assert hand.status is TaskStatus.COMPLETED


# Old workers -------------------------------------------------------------------------------------


def test_the_outcome_of_a_turn_that_was_taken_back_is_not_accepted(stage: SetStage):
    usage = {"input": 10, "output": 1}
    agents = [agent("a", "b"), agent("b")]
    with playing(stage(agents, {"a": {"say": "old", "usage": usage}, "b": said("b")})) as hand:
        project, task = hand.play.project, hand.play.task

        def meanwhile(claim: Any, live: Any) -> None:
            if hand.status is TaskStatus.IN_PROGRESS and not hand.told(EventKind.TASK_RESTARTED):
                cancel(project, task)
                again(hand)

        slow = hand.play.worker(hand.store, on_live=meanwhile)
        hand.play.due(slow)
        run_turn(slow, hand.play.rung.pop(0).turn)
        assert counted(hand) == [(2, "a")]
        change_script(hand, {"a": said("new"), "b": said("b")})
        hand.rest()
        assert counted(hand) == [(2, "a"), (3, "b")]
        assert hand.input(3) == "new"
        assert {row.status for row in hand.rows(tables.attempts)} == {"fenced", "answered"}
        assert hand.play.detail().task.usage.input == 10
        assert hand.status is TaskStatus.COMPLETED
