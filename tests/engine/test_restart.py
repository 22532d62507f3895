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
from aqm.service.reworking import restart
from aqm.service.tasks import cancel
from aqm.storage import tables
from tests.engine.conftest import SetStage
from tests.engine.hand import Hand, fan, playing, said
from tests.engine.play import REJECTED, Stage, agent

LINE = [agent("plan", "dev"), agent("dev", "ship"), agent("ship")]
FORK = [
    agent("split", **fan("a", "b", "c")),
    agent("a", "j"),
    agent("b", "j"),
    agent("c", "j"),
    agent("j", "end", join="all"),
    agent("end"),
]


def says(*names: str) -> dict[str, Any]:
    return {name: said(f"{name}'s") for name in names}


def change(play: Stage, agents: list[dict], **more: Any) -> None:
    """The pipeline's file is edited."""
    document = {"agents": agents, **more}
    (play.project.pipelines / "default.yaml").write_text(json.dumps(document))


def again(hand: Hand, since: int | None = None, **keys: Any) -> None:
    own = "AQM_DATABASE_URL" not in hand.play.environ
    restart(hand.play.project, hand.play.task, from_stage=since, own=own, **keys)


def counted(hand: Hand) -> list[tuple[int, str]]:
    return [(number, name) for number, (name, _) in hand.places().items()]


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


def change_script(hand: Hand, agents: dict[str, Any]) -> None:
    hand.play.script.write_text(json.dumps({"pace": 0, "agents": agents}))


# Joins -------------------------------------------------------------------------------------------


def test_a_join_that_is_taken_back_opens_again_with_what_had_arrived(stage: SetStage):
    with playing(stage(FORK, says("a", "b", "c"))) as hand:
        hand.rest()
        again(hand, 5)
        assert counted(hand) == [(1, "split"), (2, "a"), (3, "b"), (4, "c"), (7, "j")]
        assert hand.input(7) == hand.input(5)
        hand.rest()
        assert counted(hand)[-2:] == [(7, "j"), (8, "end")]
        assert hand.status is TaskStatus.COMPLETED


def test_arrivals_that_are_kept_wait_at_the_join_for_the_branch_that_runs_again(stage: SetStage):
    with playing(stage(FORK, says("a", "b", "c"))) as hand:
        hand.rest()
        change_script(hand, says("a", "b") | {"c": said("new")})
        again(hand, 4)
        assert hand.branches() == {"/1.1": "parked", "/1.2": "parked", "/1.3": "live"}
        assert counted(hand) == [(1, "split"), (2, "a"), (3, "b"), (7, "c")]
        hand.step("c")
        assert hand.input(8) == "## A (a)\n\na's\n\n## B (b)\n\nb's\n\n## C (c)\n\nnew"
        hand.rest()
        assert hand.status is TaskStatus.COMPLETED


def test_a_restart_after_the_join_goes_on_in_its_branch(stage: SetStage):
    with playing(stage(FORK, says("a", "j"))) as hand:
        hand.rest()
        again(hand, 6)
        assert hand.places()[7] == ("end", "")
        assert hand.input(7) == "j's"
        assert set(hand.branches().values()) == {"merged"}


def test_a_restart_before_the_fan_out_opens_new_branches(stage: SetStage):
    with playing(stage(FORK, {})) as hand:
        hand.rest()
        again(hand)
        hand.rest()
        assert counted(hand) == list(enumerate(["split", "a", "b", "c", "j", "end"], start=7))
        assert {path: status for path, status in hand.branches().items() if path.startswith("/7.")} == {
            "/7.1": "merged",
            "/7.2": "merged",
            "/7.3": "merged",
        }
        assert {status for path, status in hand.branches().items() if path.startswith("/1.")} == {"dropped"}


def any_join(**more: Any) -> list[dict]:
    agents = [dict(each) for each in FORK]
    agents[4] = agent("j", "end", join="any", **more)
    return agents


def test_late_arrivals_stay_late_where_their_join_is_kept(stage: SetStage):
    """A late arrival was parked again, and the join opened a second time."""
    with playing(stage(any_join(), says("a", "b", "c"))) as hand:
        hand.step("split", "a", "b", "j", "c")
        hand.rest()
        again(hand, 6)
        hand.rest()
        assert hand.walked() == ["split", "a", "b", "c", "j", "end"]
        assert hand.branches() == {"/1.1": "merged", "/1.2": "late", "/1.3": "late", "/1.4": "ended"}
        assert hand.status is TaskStatus.COMPLETED


def test_late_arrivals_come_in_time_where_their_join_is_taken_back(stage: SetStage):
    with playing(stage(any_join(), says("a", "b", "c"))) as hand:
        hand.step("split", "a", "b", "j", "c")
        hand.rest()
        again(hand, 5)
        assert hand.input(7) == "## A (a)\n\na's\n\n## B (b)\n\nb's\n\n## C (c)\n\nc's"
        assert hand.places()[7] == ("j", "")
        hand.rest()
        assert hand.status is TaskStatus.COMPLETED


NESTED = [
    agent("top", **fan("mid", "other")),
    agent("mid", **fan("x", "y")),
    agent("x", "j"),
    agent("y", "j"),
    agent("j", "after", join="all"),
    agent("after", "k"),
    agent("other", "k"),
    agent("k", "end", join="all"),
    agent("end"),
]


@pytest.mark.parametrize("name", ["top", "mid", "other", "x", "y", "j", "after", "k", "end"])
def test_nested_fan_outs_go_on_from_any_stage_of_theirs(stage: SetStage, name: str):
    with playing(stage(NESTED, says(*"xy", "after", "other"))) as hand:
        hand.rest()
        since = next(number for number, each in counted(hand) if each == name)
        kept = [each for number, each in counted(hand) if number < since]
        again(hand, since)
        assert hand.walked()[: len(kept)] == kept
        hand.rest()
        assert sorted(hand.walked()) == sorted(each["id"] for each in NESTED)
        last = {each: number for number, each in counted(hand)}
        assert hand.input(last["k"]) == "## After (after)\n\nafter's\n\n## Other (other)\n\nother's"
        assert hand.input(last["j"]) == "## X (x)\n\nx's\n\n## Y (y)\n\ny's"
        assert hand.status is TaskStatus.COMPLETED


def test_a_failure_after_an_inner_join_is_remembered(stage: SetStage):
    """Its branch had fanned out before: it was set back to that, and the outer join opened without it."""
    agents = [dict(each) for each in NESTED]
    agents[6:7] = [agent("other", "more"), agent("more", "k")]
    with playing(stage(agents, {"after": {"fail": "crash"}})) as hand:
        hand.step("top", "mid", "x", "y", "j", "after", "other", "more")
        assert counted(hand)[-2:] == [(7, "after"), (8, "more")]
        again(hand, 8)
        hand.rest()
        assert hand.walked() == ["top", "mid", "other", "x", "y", "j", "after", "more"]
        assert hand.status is TaskStatus.FAILED


def test_a_branch_that_stands_still_after_an_inner_join_is_remembered(stage: SetStage):
    """It was set back to its fan-out, too, and the outer join opened before it had come."""
    agents = [dict(each) for each in NESTED]
    agents[6:7] = [agent("other", "more"), agent("more", "k")]
    nowhere = {"after": {"fail": "cli_missing"}, "more": {"fail": "cli_missing"}}
    with playing(stage(agents, nowhere)) as hand:
        hand.step("top", "mid", "x", "y", "j", "after", "other", "more")
        assert hand.status is TaskStatus.STALLED
        again(hand, 8)
        assert hand.branches()["/1.1"] == "live"
        change_script(hand, {})
        hand.step("more")
        assert "k" not in hand.walked()
        hand.rest()
        assert hand.walked()[-3:] == ["more", "k", "end"]
        assert hand.status is TaskStatus.COMPLETED


# Failures and cancelled branches -----------------------------------------------------------------


def failing(policy: str) -> list[dict]:
    agents = [dict(each) for each in FORK]
    agents[0] = agent("split", on_branch_failure=policy, **fan("a", "b", "c"))
    return agents


def test_cancelled_branches_are_taken_up_again_with_the_stage_whose_failure_had_ended_them(stage: SetStage):
    with playing(stage(failing("cancel"), {"b": {"fail": "crash"}, **says("a", "c")})) as hand:
        hand.step("split", "a", "b")
        assert hand.branches() == {"/1.1": "cancelled", "/1.2": "failed", "/1.3": "cancelled"}
        change_script(hand, says("a", "b", "c"))
        again(hand, 3)
        assert hand.branches() == {"/1.1": "parked", "/1.2": "live", "/1.3": "live"}
        hand.rest()
        assert hand.status is TaskStatus.COMPLETED
        assert hand.input(7) == "## A (a)\n\na's\n\n## B (b)\n\nb's\n\n## C (c)\n\nc's"


def test_what_a_kept_failure_cancelled_stays_so(stage: SetStage):
    """It was taken up again beside a join that had gone on without it, and the join opened a second time."""
    agents = [
        agent("top", **fan("mid", "other")),
        agent("mid", on_branch_failure="cancel", **fan("c", "d")),
        agent("c", "j"),
        agent("d", "j"),
        agent("other", "j"),
        agent("j", "end", join="any"),
        agent("end"),
    ]
    with playing(stage(agents, {"c": {"fail": "crash"}})) as hand:
        hand.step("top", "mid", "c", "other", "j", "end")
        assert counted(hand)[-2:] == [(6, "j"), (7, "end")]
        again(hand, 7)
        hand.rest()
        assert hand.walked() == ["top", "mid", "other", "c", "j", "end"]
        assert hand.status is TaskStatus.FAILED


def test_a_join_that_a_kept_failure_cancelled_stays_so_with_what_it_had_collected(stage: SetStage):
    """What it had collected was parked again, and the join opened."""
    agents = [
        agent("top", **fan("mid", "other")),
        agent("mid", on_branch_failure="cancel", **fan("x", "y", "z")),
        agent("x", "j"),
        agent("y", "j"),
        agent("z", "j"),
        agent("j", join=2),
        agent("other", "more"),
        agent("more"),
    ]
    with playing(stage(agents, {"z": {"fail": "crash"}})) as hand:
        hand.step("top", "mid", "x", "y", "z", "other")
        last, (name, _) = list(hand.places().items())[-1]
        assert name == "more"
        hand.step("more")
        before = hand.branches()
        again(hand, last)
        hand.rest()
        assert hand.branches() == before
        assert hand.walked() == ["top", "mid", "other", "x", "y", "z", "more"]
        assert hand.status is TaskStatus.FAILED


def test_a_join_that_opened_before_a_branch_failed_may_not_open_again(stage: SetStage):
    """The failure is kept, so nothing is left to do: the task, which had been cancelled, fails at once."""
    agents = [
        agent("split", **fan("a", "b", "c")),
        agent("a", "j"),
        agent("b", "j"),
        agent("c"),
        agent("j", join="all"),
    ]
    with playing(stage(agents, {"c": {"fail": "crash"}})) as hand:
        hand.step("split", "a", "b", "c")
        cancel(hand.play.project, hand.play.task)
        again(hand, 5)
        assert hand.status is TaskStatus.FAILED
        assert hand.error.startswith("crash")
        again(hand, 4)
        change_script(hand, {})
        hand.rest()
        assert hand.status is TaskStatus.COMPLETED


def test_branches_that_were_cut_off_by_a_kept_join_stay_so(stage: SetStage):
    """They were taken up again beside the join, and it, gone on in the trunk, opened a second time."""
    with playing(stage(any_join(), {"a": {"fail": "crash"}})) as hand:
        hand.step("split", "a", "b")
        assert hand.branches() == {"/1.1": "failed", "/1.2": "merged", "/1.3": "cancelled"}
        hand.rest()
        assert hand.places()[6] == ("end", "")
        again(hand, 6)
        hand.rest()
        assert hand.walked() == ["split", "a", "b", "j", "end"]
        assert hand.status is TaskStatus.FAILED
        change_script(hand, {})
        again(hand, 2)
        hand.rest()
        assert sorted(hand.walked()) == ["a", "b", "c", "end", "j", "split"]
        assert hand.status is TaskStatus.COMPLETED


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
    rules = [{"to": "w", "condition": "stage.visits < 2"}, {"to": "j", "condition": "stage.visits >= 2"}]
    agents = [
        agent("split", **fan("a", "b")),
        agent("a", "w"),
        agent("b", "w"),
        agent("w", gate={"type": "llm", "max_retries": 9}, handoffs=rules),
        agent("j", "end", join="all"),
        agent("end"),
    ]
    with playing(stage(agents, {"w": {"work": said("w"), "gate": REJECTED}})) as hand:
        hand.rest()
        before = [tuple(row) for row in hand.rows(tables.counters)]
        assert [row[1:5] for row in before if row[2] == "w"] == [("/1.1", "w", 2, 2), ("/1.2", "w", 2, 2)]
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
