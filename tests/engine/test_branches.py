"""Branches through the engine: what they see, how they fail and are cancelled, and what the task shows."""

from __future__ import annotations

import pytest

from aqm.flow.event import EventKind
from aqm.flow.state import StageStatus, TaskStatus
from aqm.service.answering import answer, approve, reject
from aqm.service.tasks import cancel
from aqm.storage import tables
from tests.engine.conftest import SetStage
from tests.engine.hand import fan, playing
from tests.engine.invariants import Rows, check_ended
from tests.engine.play import agent


def trio(join: object = "all", policy: str = "wait") -> list[dict]:
    """split → a, b → more, c → j → end"""
    return [
        agent("split", on_branch_failure=policy, **fan("a", "b", "c")),
        agent("a", "j"),
        agent("b", "more"),
        agent("c", "j"),
        agent("more", "j"),
        agent("j", "end", join=join),
        agent("end"),
    ]


CRASH = {"fail": "crash"}


# Failures ----------------------------------------------------------------------------------------


def test_after_a_failure_the_others_run_to_their_ends_and_no_join_of_all_opens(stage: SetStage):
    with playing(stage(trio(), {"a": {"fail": {"kind": "crash", "message": "a broke"}}})) as hand:
        hand.step("split", "a", "c")
        assert hand.status is TaskStatus.IN_PROGRESS
        hand.rest()
        assert hand.walked() == ["split", "a", "b", "c", "more"]
        assert hand.branches() == {"/1.1": "failed", "/1.2": "cancelled", "/1.3": "cancelled"}
        assert hand.status is TaskStatus.FAILED
        assert hand.error == "crash: a broke"
        assert [event.data["branch"] for event in hand.told(EventKind.BRANCH_CANCELLED)] == ["/1.2", "/1.3"]
        assert hand.play.events()[-1].kind is EventKind.TASK_FAILED


def test_the_first_of_several_failures_is_the_tasks(stage: SetStage):
    says = {name: {"fail": {"kind": "crash", "message": f"{name} broke"}} for name in "abc"}
    with playing(stage(trio(), says)) as hand:
        hand.step("split", "c", "a", "b")
        assert hand.error == "crash: c broke"
        assert set(hand.branches().values()) == {"failed"}


def test_a_policy_of_cancel_takes_the_other_branches_back_at_once(stage: SetStage):
    with playing(stage(trio(policy="cancel"), {"a": CRASH})) as hand:
        hand.step("split", "b", "c", "a")
        assert hand.branches() == {"/1.1": "failed", "/1.2": "cancelled", "/1.3": "cancelled"}
        assert hand.status is TaskStatus.FAILED
        assert {one.agent: one.status for one in hand.play.detail().stages} == {
            "split": StageStatus.DONE,
            "a": StageStatus.FAILED,
            "b": StageStatus.DONE,
            "c": StageStatus.DONE,
            "more": StageStatus.DROPPED,
        }
        assert [row.status for row in hand.rows(tables.turns)] == [
            "done",
            "failed",
            "done",
            "done",
            "dropped",
        ]
        assert hand.told(EventKind.BRANCH_CANCELLED)[0].data == {"branch": "/1.2", "reason": "a failed"}


def test_it_takes_back_those_that_wait_for_a_person_or_a_host(stage: SetStage):
    agents = [
        agent("split", on_branch_failure="cancel", **fan("gated", "asks", "nowhere", "a")),
        agent("gated", gate={"type": "human"}),
        agent("asks", human_input={"mode": "before", "prompt": "Which?"}),
        agent("nowhere"),
        agent("a"),
    ]
    with playing(stage(agents, {"nowhere": {"fail": "cli_missing"}, "a": CRASH})) as hand:
        hand.step("split", "gated", "nowhere", "a")
        assert hand.status is TaskStatus.FAILED
        assert hand.error.startswith("crash")
        with hand.store.database.reading() as connection:
            check_ended(Rows(connection, hand.play.task), most=20)


def test_it_takes_back_what_they_fanned_out_into_but_nothing_around_its_own_fan_out(stage: SetStage):
    agents = [
        agent("top", **fan("mid", "other")),
        agent("mid", on_branch_failure="cancel", **fan("x", "y")),
        agent("x"),
        agent("y", **fan("p", "q")),
        agent("p"),
        agent("q"),
        agent("other", "end"),
        agent("end"),
    ]
    with playing(stage(agents, {"x": CRASH})) as hand:
        hand.step("top", "mid", "y", "x")
        assert hand.status is TaskStatus.IN_PROGRESS
        dropped = {one.agent for one in hand.play.detail().stages if one.status is StageStatus.DROPPED}
        assert dropped == {"p", "q"}
        hand.rest()
        assert hand.walked()[-1] == "end"
        assert hand.status is TaskStatus.FAILED


def test_an_outer_policy_of_cancel_holds_for_failures_deep_within(stage: SetStage):
    agents = [
        agent("top", on_branch_failure="cancel", **fan("mid", "other")),
        agent("mid", **fan("x", "y")),
        agent("x"),
        agent("y"),
        agent("other"),
    ]
    with playing(stage(agents, {"x": CRASH})) as hand:
        hand.step("top", "mid", "x")
        assert hand.walked() == ["top", "mid", "x"]
        assert hand.status is TaskStatus.FAILED


@pytest.mark.parametrize("join", ["any", 2])
def test_a_join_that_has_enough_goes_on_after_a_failure_and_cuts_the_late_ones_off(
    stage: SetStage, join: object
):
    agents = trio(join)
    agents[0] = agent("split", **fan("a", "b", "c", "x"))
    agents += [agent("x", "y"), agent("y")]
    with playing(stage(agents, {"a": CRASH})) as hand:
        hand.step("split", "a", "c")
        if join == 2:
            assert "j" not in hand.walked()
            hand.step("b", "more")
            assert hand.branches()["/1.2"] == hand.branches()["/1.3"] == "merged"
        else:
            assert hand.branches()["/1.2"] == "cancelled"
            assert hand.told(EventKind.BRANCH_CANCELLED)[0].data["reason"] == "a branch failed, and j goes on"
        assert hand.branches()["/1.4"] == "live"  # it could never have come to the join
        hand.rest()
        assert {"end", "y"} <= set(hand.walked())
        assert hand.status is TaskStatus.FAILED
        assert hand.error.startswith("crash")


def test_a_join_of_a_number_that_failures_keep_from_its_number_never_opens(stage: SetStage):
    with playing(stage(trio(3), {"a": CRASH})) as hand:
        hand.rest()
        assert "j" not in hand.walked()
        assert hand.status is TaskStatus.FAILED


def test_a_failure_after_the_join_has_gone_on_does_not_stop_it(stage: SetStage):
    with playing(stage(trio("any"), {"more": CRASH})) as hand:
        hand.step("split", "a", "c", "b", "more", "j", "end")
        assert hand.walked() == ["split", "a", "b", "c", "j", "more", "end"]
        assert hand.status is TaskStatus.FAILED


def test_a_failure_deep_within_keeps_the_outer_join_from_opening(stage: SetStage):
    agents = [
        agent("top", **fan("mid", "other")),
        agent("mid", **fan("x", "y")),
        agent("x", "j"),
        agent("y"),
        agent("other", "j"),
        agent("j", join="all"),
    ]
    with playing(stage(agents, {"y": CRASH})) as hand:
        hand.step("top", "mid", "y")
        hand.rest()
        assert hand.walked() == ["top", "mid", "other", "x", "y"]
        assert hand.status is TaskStatus.FAILED


def test_a_failure_in_one_fan_out_leaves_the_joins_of_another_alone(stage: SetStage):
    agents = [
        agent("top", **fan("mid", "other")),
        agent("mid", **fan("x", "y")),
        agent("x", "j"),
        agent("y", "j"),
        agent("j", "end", join="all"),
        agent("end"),
        agent("other"),
    ]
    with playing(stage(agents, {"other": CRASH})) as hand:
        hand.step("top", "other")
        hand.rest()
        assert hand.walked()[-2:] == ["j", "end"]
        assert hand.status is TaskStatus.FAILED


# Cancelling the task -----------------------------------------------------------------------------


def test_cancelling_a_task_takes_back_all_branches_and_leaves_nothing_open(stage: SetStage):
    agents = trio()
    agents[3] = agent("c", "j", gate={"type": "human"})
    with playing(stage(agents, {})) as hand:
        hand.step("split", "a", "b", "c")
        cancel(hand.play.project, hand.play.task, "enough")
        assert hand.status is TaskStatus.CANCELLED
        assert set(hand.branches().values()) == {"cancelled"}
        assert {one.status for one in hand.play.detail().stages} == {StageStatus.DONE, StageStatus.DROPPED}
        assert all(one.waits is None for one in hand.play.detail().stages)
        before = hand.play.events()
        hand.rest()
        assert hand.play.events() == before


# What the task shows -----------------------------------------------------------------------------


def test_a_task_is_in_progress_while_any_branch_runs_and_else_waits_for_the_most_urgent(stage: SetStage):
    agents = [
        agent("split", **fan("gated", "asks", "nowhere", "runs")),
        agent("gated", gate={"type": "human"}),
        agent("asks", human_input={"mode": "before", "prompt": "Which?"}),
        agent("nowhere"),
        agent("runs"),
    ]
    with playing(stage(agents, {"nowhere": {"fail": "cli_missing"}})) as hand:
        project, task = hand.play.project, hand.play.task
        hand.step("split", "gated", "nowhere")
        assert hand.status is TaskStatus.IN_PROGRESS
        hand.step("runs")
        assert hand.status is TaskStatus.AWAITING_GATE
        approve(project, task)
        assert hand.status is TaskStatus.AWAITING_HUMAN_INPUT
        answer(project, task, "that one")
        assert hand.status is TaskStatus.IN_PROGRESS
        hand.step("asks")
        assert hand.status is TaskStatus.STALLED
        hand.play.script.write_text('{"pace": 0}')
        hand.step("nowhere")
        assert hand.status is TaskStatus.COMPLETED
        assert hand.error == ""


def test_a_rejection_by_a_person_in_one_branch_leaves_the_others_waiting(stage: SetStage):
    agents = [
        agent("split", **fan("a", "b")),
        agent(
            "a",
            gate={"type": "human"},
            handoffs=[{"to": "j", "condition": "on_approve"}, {"to": "a", "condition": "on_reject"}],
        ),
        agent("b", gate={"type": "human"}, handoffs=[{"to": "j", "condition": "on_approve"}]),
        agent("j", join="all"),
    ]
    with playing(stage(agents, {})) as hand:
        project, task = hand.play.project, hand.play.task
        hand.step("split", "a", "b")
        reject(project, task, "no", stage=2)
        assert hand.status is TaskStatus.IN_PROGRESS
        hand.step("a")
        assert hand.status is TaskStatus.AWAITING_GATE
        approve(project, task, stage=3)
        assert hand.status is TaskStatus.AWAITING_GATE
        approve(project, task)
        hand.step("j")
        assert hand.status is TaskStatus.COMPLETED
