"""What a branch sees: its own past, that of the branches it came from, and what joins put into it."""

from __future__ import annotations

from aqm.flow.event import EventKind
from aqm.flow.state import TaskStatus
from aqm.storage import tables
from tests.engine.conftest import SetStage
from tests.engine.hand import fan, playing, said
from tests.engine.play import REJECTED, agent


def test_a_branch_sees_its_own_past_and_that_before_the_fan_out_but_not_its_neighbours(stage: SetStage):
    agents = [
        agent("plan", "split"),
        agent("split", **fan("a", "b")),
        agent("a", "a2"),
        agent("a2", "j"),
        agent("b", "j"),
        agent("j", "end", join="all"),
        agent("end"),
    ]
    says = {name: said(f"<{name}>") for name in ("plan", "split", "a", "b", "a2", "j")}
    with playing(stage(agents, says)) as hand:

        def seen(name: str) -> list[str]:
            number = next(number for number, (each, _) in hand.places().items() if each == name)
            return [each for each in says if f"<{each}>" in hand.shown(number)]

        hand.step("plan", "split")
        assert seen("b") == ["plan", "split"]
        hand.step("b", "a")
        assert seen("a2") == ["plan", "split", "a"]
        hand.step("a2")
        assert seen("j") == ["plan", "split", "a", "b", "a2"]
        hand.step("j")
        assert seen("end") == ["plan", "split", "a", "b", "a2", "j"]


def test_a_branch_still_sees_what_was_joined_before_when_others_of_it_go_on_elsewhere(stage: SetStage):
    """A join that took one branch of an inner fan-out with it took the past from the others, and those came
    too late for a join that they had come from."""
    agents = [
        agent("split", **fan("a", "b", "slow")),
        agent("a", "j"),
        agent("b", "j"),
        agent("slow", handoffs=[{"to": ["k", "j"]}]),
        agent("j", join=2, handoffs=[{"to": ["quick", "rest"], "condition": "stage.visits == 1"}]),
        agent("quick", "k"),
        agent("rest", "j"),
        agent("k", join=2),
    ]
    with playing(stage(agents, {"a": said("<a>"), "b": said("<b>")})) as hand:
        hand.step("split", "a", "b", "slow", "j", "quick")
        assert hand.walked()[-1] == "k"
        hand.step("rest")
        last, (name, path) = list(hand.places().items())[-1]
        assert (name, path.startswith("/1.4/")) == ("j", True)
        assert {"<a>", "<b>"} <= set(hand.shown(last).split())
        hand.rest()
        assert hand.status is TaskStatus.COMPLETED


def test_visits_count_what_the_branch_has_seen(stage: SetStage):
    told = "{{ input[:0] }}visit {{ stage.visits }}"
    agents = [
        agent("w", handoffs=[{"to": ["a", "b"], "condition": "stage.visits == 1"}], system_prompt=told),
        agent("a", "a2"),
        agent("b", "a2"),
        agent("a2", "a3", system_prompt=told),
        agent(
            "a3",
            handoffs=[
                {"to": "a2", "condition": "stage.visits == 1"},
                {"to": "j", "condition": "stage.visits > 1"},
            ],
        ),
        agent("j", "a2last", join="all"),
        agent("a2last", "w"),
    ]
    with playing(stage(agents, {})) as hand:
        hand.rest()
        visits = [
            (row.agent, row.branch, row.visit) for row in hand.rows(tables.stages) if row.agent in ("w", "a2")
        ]
        assert sorted(visits) == [
            ("a2", "/1.1", 1),
            ("a2", "/1.1", 2),
            ("a2", "/1.2", 1),
            ("a2", "/1.2", 2),
            ("w", "", 1),
            ("w", "", 2),
        ]
        assert "visit 2" in hand.said(max(hand.places()))


def test_after_a_join_the_visits_of_all_its_branches_count(stage: SetStage):
    agents = [
        agent("split", **fan("w", "b")),
        agent("b", "w2"),
        agent("w2", "w"),
        agent("w", "j", handoffs=[{"to": "j", "condition": "stage.visits < 3"}]),
        agent("j", "w", join="all"),
    ]
    with playing(stage(agents, {})) as hand:
        hand.rest()
        visits = [row.visit for row in hand.rows(tables.stages) if row.agent == "w"]
        assert visits == [1, 1, 3]
        assert hand.status is TaskStatus.COMPLETED


def test_rejections_are_counted_by_branch(stage: SetStage):
    rules = [{"to": "w", "condition": "on_reject"}]
    agents = [
        agent("split", **fan("a", "b")),
        agent("a", "w"),
        agent("b", "w"),
        agent("w", gate={"type": "llm", "max_retries": 1}, handoffs=rules),
    ]
    with playing(stage(agents, {"w": {"work": said("w"), "gate": REJECTED}})) as hand:
        hand.step("split", "a", "b", *["w"] * 8)
        assert hand.walked().count("w") == 4
        assert set(hand.branches().values()) == {"failed"}
        assert hand.error == "rejected: w was rejected 2 times: no tests"


def test_branches_may_fan_out_at_the_same_time(stage: SetStage):
    agents = [
        agent("top", **fan("l", "r")),
        agent("l", **fan("x", "y")),
        agent("r", **fan("x", "y")),
        agent("x", "j"),
        agent("y", "j"),
        agent("j", join="all"),
    ]
    with playing(stage(agents, {})) as hand:
        hand.step("top", "l", "r", "x", "x", "y", "y")
        assert hand.walked() == ["top", "l", "r", "x", "y", "x", "y", "j"]
        joined = hand.told(EventKind.JOINED)[0].data["branches"]
        assert joined == ["/1.1/2.1", "/1.1/2.2", "/1.2/3.1", "/1.2/3.2"]
        hand.rest()
        assert hand.status is TaskStatus.COMPLETED
