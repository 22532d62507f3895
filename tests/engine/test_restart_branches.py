"""Restart of tasks with branches: what had arrived stays, joins open again, failures are remembered."""

from __future__ import annotations

from typing import Any

import pytest

from aqm.flow.state import TaskStatus
from aqm.service.tasks import cancel
from tests.engine.conftest import SetStage
from tests.engine.hand import fan, playing, said
from tests.engine.play import agent
from tests.engine.restarting import FORK, again, change_script, counted, says

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


def test_a_join_that_failed_beside_a_branch_opens_again(stage: SetStage):
    """Its own branch kept the failure, so that the join could not."""
    with playing(stage(any_join(), {"j": {"fail": "crash"}})) as hand:
        hand.step("split", "a", "j", "b", "c")
        assert hand.branches()["/1.4"] == "failed"
        change_script(hand, {})
        again(hand, 5)
        assert hand.branches()["/1.4"] == "dropped"
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
