"""Fan-outs and joins through the engine: who arrives, when a join opens, with what, and where it goes on."""

from __future__ import annotations

import pytest

from aqm.flow.event import EventKind
from aqm.flow.state import TaskStatus
from aqm.storage import tables
from tests.engine.conftest import SetStage
from tests.engine.hand import fan, playing, said
from tests.engine.play import APPROVED, REJECTED, agent


def trio(**join: object) -> list[dict]:
    """split → a, b, c → j → end"""
    return [
        agent("split", **fan("a", "b", "c")),
        agent("a", "j"),
        agent("b", "j"),
        agent("c", "j"),
        agent("j", "end", **join),
        agent("end"),
    ]


SAYS = {name: said(f"{name}'s") for name in ("split", "a", "b", "c", "j", "end")}


def test_a_join_opens_once_when_all_branches_have_arrived(stage: SetStage):
    with playing(stage(trio(join="all"), SAYS)) as hand:
        hand.step("split", "c", "a")
        assert hand.walked() == ["split", "a", "b", "c"]
        assert hand.branches() == {"/1.1": "parked", "/1.2": "live", "/1.3": "parked"}
        hand.step("b")
        assert hand.walked() == ["split", "a", "b", "c", "j"]
        hand.rest()
        assert hand.places()[5] == ("j", "")
        assert hand.places()[6] == ("end", "")
        assert hand.status is TaskStatus.COMPLETED
        assert [event.data["branches"] for event in hand.told(EventKind.JOINED)] == [["/1.1", "/1.2", "/1.3"]]


def test_its_input_is_the_payloads_in_declared_order_whoever_came_first(stage: SetStage):
    agents = trio(join="all")
    agents[1] = agent("a", handoffs=[{"to": "j", "payload": "of a: {{ output }}"}], name="The\nfirst")
    with playing(stage(agents, SAYS)) as hand:
        hand.step("split", "c", "b", "a")
        assert hand.input(5) == "## The first (a)\n\nof a: a's\n\n## B (b)\n\nb's\n\n## C (c)\n\nc's"


def test_inputs_name_the_payloads_of_single_agents(stage: SetStage):
    agents = trio(
        join="all", system_prompt="{{ inputs.c }} then {{ inputs.a }}{{ inputs.nobody }}; {{ input[:2] }}"
    )
    with playing(stage(agents, {name: said(name) for name in "abc"})) as hand:
        hand.step("split", "a", "b", "c", "j")
        assert "> c then a; ##" in hand.said(5)


@pytest.mark.parametrize("last", ["a", "b"])
def test_of_an_agent_that_arrives_twice_the_latest_payload_counts(stage: SetStage, last: str):
    agents = [
        agent("split", **fan("a", "b")),
        agent("a", "write"),
        agent("b", "write"),
        agent("write", handoffs=[{"to": "j", "payload": "{{ input }}"}]),
        agent("j", join="all"),
    ]
    with playing(stage(agents, SAYS)) as hand:
        hand.step("split", "b" if last == "a" else "a", last, "write", "write")
        assert [event.data["branches"] for event in hand.told(EventKind.JOINED)] == [["/1.1", "/1.2"]]
        assert hand.input(6) == f"## Write (write)\n\n{last}'s"


def test_any_opens_with_the_first_and_late_arrivals_are_recorded_and_dropped(stage: SetStage):
    with playing(stage(trio(join="any"), SAYS)) as hand:
        hand.step("split", "b")
        assert hand.input(5) == "## B (b)\n\nb's"
        assert hand.places()[5] == ("j", "/1.4")
        hand.step("c", "j", "a", "end")
        assert hand.walked() == ["split", "a", "b", "c", "j", "end"]
        assert [event.data["branch"] for event in hand.told(EventKind.BRANCH_LATE)] == ["/1.3", "/1.1"]
        assert hand.branches() == {"/1.1": "late", "/1.2": "merged", "/1.3": "late", "/1.4": "ended"}
        assert hand.status is TaskStatus.COMPLETED


def test_a_number_opens_when_so_many_have_arrived(stage: SetStage):
    with playing(stage(trio(join=2), SAYS)) as hand:
        hand.step("split", "c")
        assert hand.walked() == ["split", "a", "b", "c"]
        hand.step("a")
        assert hand.input(5) == "## A (a)\n\na's\n\n## C (c)\n\nc's"


def test_a_number_that_cannot_be_reached_opens_with_what_there_is(stage: SetStage):
    agents = trio(join=3)
    agents[2] = agent("b")
    with playing(stage(agents, SAYS)) as hand:
        hand.step("split", "a", "c")
        assert hand.input(5) == "## A (a)\n\na's\n\n## C (c)\n\nc's"
        assert hand.places()[5] == ("j", "/1.4")  # b still runs, but cannot come


def test_a_late_arrival_at_the_stage_limit_is_dropped_and_fails_nothing(stage: SetStage):
    play = stage(trio(join="any"), SAYS, config={"pipeline": {"max_stages": 6}})
    with playing(play) as hand:
        hand.step("split", "a", "j", "end", "b", "c")
        assert hand.walked() == ["split", "a", "b", "c", "j", "end"]
        assert hand.status is TaskStatus.COMPLETED


def test_a_join_counts_as_one_stage_of_the_limit(stage: SetStage):
    play = stage(trio(join="all"), SAYS, config={"pipeline": {"max_stages": 5}})
    with playing(play) as hand:
        hand.step("split", "a", "b", "c")
        assert hand.walked()[-1] == "j"
        hand.rest()
        assert hand.status is TaskStatus.FAILED
        assert hand.error == "stage_limit: end would be stage 6, and max_stages is 5"


def test_a_join_beyond_the_stage_limit_fails_the_task(stage: SetStage):
    play = stage(trio(join="all"), SAYS, config={"pipeline": {"max_stages": 4}})
    with playing(play) as hand:
        hand.step("split", "a", "b", "c")
        assert hand.walked() == ["split", "a", "b", "c"]
        assert hand.status is TaskStatus.FAILED
        assert hand.error == "stage_limit: j would be stage 5, and max_stages is 4"
        assert set(hand.branches().values()) == {"failed"}


def test_a_join_that_opens_at_once_keeps_to_the_stage_limit(stage: SetStage):
    agents = [agent("split", **fan("a", "b")), agent("a", "j"), agent("b"), agent("j", join="all")]
    with playing(stage(agents, SAYS, config={"pipeline": {"max_stages": 3}})) as hand:
        hand.step("split", "a", "b")
        assert hand.walked() == ["split", "a", "b"]
        assert hand.error == "stage_limit: j would be stage 4, and max_stages is 3"


def test_a_fan_out_straight_into_a_join_opens_it_at_once_when_nobody_else_can_come(stage: SetStage):
    agents = [agent("split", **fan("j", "a")), agent("a"), agent("j", join="all")]
    with playing(stage(agents, SAYS)) as hand:
        hand.step("split")
        assert hand.places() == {1: ("split", ""), 2: ("j", "/1.1"), 3: ("a", "/1.2")}
        hand.rest()
        assert hand.status is TaskStatus.COMPLETED


def test_a_fan_out_straight_into_a_join_waits_for_those_who_can_come(stage: SetStage):
    agents = [agent("split", **fan("j", "a", "b")), agent("a", "j"), agent("b", "j"), agent("j", join="all")]
    with playing(stage(agents, SAYS)) as hand:
        hand.step("split", "b", "a")
        assert hand.input(4) == "## Split (split)\n\nsplit's\n\n## A (a)\n\na's\n\n## B (b)\n\nb's"


def test_a_fan_out_into_nothing_but_joins_goes_on(stage: SetStage):
    agents = [agent("split", **fan("j", "k")), agent("j", "k", join="all"), agent("k", join="all")]
    with playing(stage(agents, SAYS)) as hand:
        hand.rest()
        assert hand.walked() == ["split", "j", "k"]
        assert hand.input(3) == "## J (j)\n\nj's\n\n## Split (split)\n\nsplit's"
        assert hand.status is TaskStatus.COMPLETED


def test_a_join_outside_a_fan_out_opens_at_once(stage: SetStage):
    agents = [agent("a", "j"), agent("j", "end", join="all"), agent("end")]
    with playing(stage(agents, SAYS)) as hand:
        hand.rest()
        assert hand.walked() == ["a", "j", "end"]
        assert hand.input(2) == "a's"


def test_a_join_that_one_branch_alone_can_reach_opens_at_once_in_it(stage: SetStage):
    agents = [agent("split", **fan("a", "b")), agent("a", "j"), agent("b"), agent("j", join="all")]
    with playing(stage(agents, SAYS)) as hand:
        hand.step("split", "a")
        assert hand.places()[4] == ("j", "/1.1")


def test_a_branch_that_ends_elsewhere_brings_no_payload(stage: SetStage):
    agents = trio(join="all")
    agents[2] = agent("b", handoffs=[{"to": "j", "condition": "go == on"}])
    with playing(stage(agents, SAYS)) as hand:
        hand.step("split", "a", "c")
        assert "j" not in hand.walked()
        hand.step("b")
        assert hand.input(5) == "## A (a)\n\na's\n\n## C (c)\n\nc's"


def test_branches_that_meet_without_a_join_run_once_each(stage: SetStage):
    with playing(stage(trio(), SAYS)) as hand:
        hand.rest()
        assert sorted(hand.walked()) == ["a", "b", "c", "end", "end", "end", "j", "j", "j", "split"]
        assert hand.status is TaskStatus.COMPLETED


def test_a_join_in_a_loop_collects_each_fan_out_anew(stage: SetStage):
    rules = [
        {"to": "split", "condition": "on_reject", "payload": "{{ reject_reason }}"},
        {"to": "end", "condition": "on_approve"},
    ]
    agents = trio(join="all")
    agents[4] = agent("j", join="all", gate={"type": "llm"}, handoffs=rules)
    says = {**SAYS, "j": {"work": said("j's"), "gate": [REJECTED, REJECTED, APPROVED]}}
    with playing(stage(agents, says)) as hand:
        hand.rest()
        assert hand.walked() == [*["split", "a", "b", "c", "j"] * 3, "end"]
        assert hand.input(6) == "no tests"
        assert {hand.places()[number] for number in (5, 10, 15)} == {("j", "")}
        assert [event.data["branches"] for event in hand.told(EventKind.JOINED)] == [
            [f"/{fanout}.{index}" for index in (1, 2, 3)] for fanout in (1, 6, 11)
        ]
        assert hand.status is TaskStatus.COMPLETED


def test_rejections_of_a_join_in_a_loop_are_counted_until_they_are_too_many(stage: SetStage):
    rules = [{"to": "split", "condition": "on_reject"}, {"to": "end", "condition": "on_approve"}]
    agents = trio(join="all")
    agents[4] = agent("j", join="all", gate={"type": "llm", "max_retries": 1}, handoffs=rules)
    says = {**SAYS, "j": {"work": said("j's"), "gate": REJECTED}}
    with playing(stage(agents, says)) as hand:
        hand.rest()
        assert hand.walked() == ["split", "a", "b", "c", "j"] * 2
        assert hand.error == "rejected: j was rejected 2 times: no tests"


def test_a_fan_out_after_a_join_that_went_on_beside_others_is_joined_again(stage: SetStage):
    """The join of a number went on in a branch of its own while another still ran, and fanned out again: its
    second fan-out was taken for the first, and the join opened once for each arrival."""
    agents = [
        agent("split", **fan("a", "b", "slow")),
        agent("a", "j"),
        agent("b", "j"),
        agent("slow", "j"),
        agent("j", join=2, handoffs=[{"to": "split", "condition": "stage.visits == 1"}]),
    ]
    with playing(stage(agents, SAYS)) as hand:
        hand.step("split", "a", "b", "j", "split")
        paths = {path for _, path in hand.places().values() if path.startswith("/1.4/")}
        assert paths == {"/1.4/6.1", "/1.4/6.2", "/1.4/6.3"}
        hand.step("slow")  # that of the first fan-out comes too late
        hand.step("a", "b")
        assert hand.walked().count("j") == 2
        assert [len(event.data["branches"]) for event in hand.told(EventKind.JOINED)] == [2, 2]
        hand.rest()
        assert hand.walked().count("j") == 2
        assert hand.status is TaskStatus.COMPLETED


def test_two_joins_collect_the_same_fan_out_one_after_the_other(stage: SetStage):
    agents = [
        agent("split", **fan("a", "b", "c")),
        agent("a", "j"),
        agent("b", "j"),
        agent("c", "k"),
        agent("k", join="all"),
        agent("j", "k", join="all"),
    ]
    with playing(stage(agents, SAYS)) as hand:
        hand.step("split", "c", "a", "b", "j")
        assert hand.places() == {
            1: ("split", ""),
            2: ("a", "/1.1"),
            3: ("b", "/1.2"),
            4: ("c", "/1.3"),
            5: ("j", "/1.4"),
            6: ("k", ""),
        }
        assert hand.input(6) == "## C (c)\n\nc's\n\n## J (j)\n\nj's"
        hand.rest()
        assert hand.status is TaskStatus.COMPLETED
        into = {row.path: row.merged_into for row in hand.rows(tables.branches)}
        assert into == {"/1.1": "/1.4", "/1.2": "/1.4", "/1.3": "", "/1.4": ""}


def test_of_joins_that_wait_for_each_other_the_first_in_the_file_opens(stage: SetStage):
    agents = [
        agent("split", **fan("a", "b")),
        agent("k", join="all", handoffs=[{"to": "j", "condition": "go == on"}]),
        agent("j", join="all", handoffs=[{"to": "k"}]),
        agent("a", "j", handoffs=[{"to": "j"}, {"to": "k", "condition": "go == on"}]),
        agent("b", "k", handoffs=[{"to": "k"}, {"to": "j", "condition": "go == on"}]),
    ]
    with playing(stage(agents, SAYS)) as hand:
        hand.step("split", "a", "b")
        assert hand.walked() == ["split", "a", "b", "k"]
        hand.rest()
        assert hand.walked() == ["split", "a", "b", "k", "j", "k"]
        assert hand.status is TaskStatus.COMPLETED


def test_fan_outs_within_fan_outs_are_joined_level_by_level(stage: SetStage):
    agents = [
        agent("top", **fan("mid", "other")),
        agent("mid", **fan("low", "side")),
        agent("low", **fan("x", "y")),
        agent("x", "j1"),
        agent("y", "j1"),
        agent("j1", "j2", join="all"),
        agent("side", "j2"),
        agent("j2", "j3", join="all"),
        agent("other", "j3"),
        agent("j3", join="all"),
    ]
    with playing(stage(agents, {})) as hand:
        hand.rest()
        assert hand.walked().count("j1") == hand.walked().count("j2") == hand.walked().count("j3") == 1
        places = {name: path for name, path in hand.places().values()}
        assert (places["j1"], places["j2"], places["j3"]) == ("/1.1/2.1", "/1.1", "")
        assert hand.status is TaskStatus.COMPLETED


def test_a_join_collects_for_the_outermost_fan_out_whose_targets_can_come(stage: SetStage):
    agents = [
        agent("top", **fan("mid", "other")),
        agent("mid", **fan("x", "y")),
        agent("x", "j"),
        agent("y", "j"),
        agent("other", "j"),
        agent("j", join="all"),
    ]
    with playing(stage(agents, {name: said(name) for name in "xy"} | {"other": said("o")})) as hand:
        hand.step("top", "mid", "x", "y")
        assert "j" not in hand.walked()
        hand.step("other")
        assert hand.places()[6] == ("j", "")
        assert hand.input(6) == "## X (x)\n\nx\n\n## Y (y)\n\ny\n\n## Other (other)\n\no"


@pytest.mark.parametrize("rule", ["all", "any", 5])
def test_a_fan_out_of_eight(stage: SetStage, rule: object):
    names = [f"w{number}" for number in range(1, 9)]
    agents = [
        agent("split", **fan(*names)),
        *(agent(name, "j") for name in names),
        agent("j", join=rule),
    ]
    with playing(stage(agents, {name: said(name) for name in names})) as hand:
        hand.step("split", *reversed(names))
        hand.rest()
        assert hand.walked().count("j") == 1
        arrived = {"all": names, "any": names[-1:], 5: names[3:]}[rule]
        assert [part for part in hand.input(10).split("\n\n") if not part.startswith("##")] == arrived
        assert hand.status is TaskStatus.COMPLETED
