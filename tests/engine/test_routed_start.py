"""`entry_point: auto`: a routing turn chooses where the task starts."""

from __future__ import annotations

from typing import Any

import pytest

from aqm.flow.event import EventKind
from aqm.flow.state import TaskStatus, TurnKind
from aqm.service.answering import approve
from tests.engine.conftest import SetStage
from tests.engine.play import agent, said, session, walked

TOP = {"entry_point": "auto"}
TEAM = [
    agent("dev", "qa", system_prompt="You write code. {{ input }}"),
    agent("qa", system_prompt="You test. {{ input }} {{ stage.visits }}"),
    session("meet", "ann"),
    agent("ann"),
]


def routes(reply: Any) -> dict[str, Any]:
    return {"dev": {"route": reply, "work": said("dev's")}, "ann": {"speak": said("VOTE: AGREE")}}


@pytest.mark.parametrize(
    ("reply", "walk"),
    [
        ({"fields": {"agent": "qa"}}, ["qa"]),
        (said('{"agent": "qa"}'), ["qa"]),
        (said("qa"), ["qa"]),
        (said("I think:", "HANDOFF: qa"), ["qa"]),
        (said("dev"), ["dev", "qa"]),
        (said("meet"), ["meet"]),
    ],
)
def test_the_router_s_choice_begins(stage: SetStage, reply: dict, walk: list[str]):
    play = stage(TEAM, routes(reply), top=TOP)
    detail = play.play("test it")
    assert walked(detail) == walk
    assert detail.task.status is TaskStatus.COMPLETED
    (event,) = play.happened(EventKind.ROUTED)
    assert (event.agent, event.data["fallback"]) == (walk[0], False)
    assert detail.stages[0].attempts[0].kind == "route"
    (asked,) = play.prompts("dev", TurnKind.ROUTE)
    for told in ("test it", "- id: meet", "You write code."):
        assert told in asked
    assert "- id: ann" not in asked


def test_the_chosen_agent_is_visited_for_the_first_time_and_gets_the_task(stage: SetStage):
    play = stage(TEAM, routes(said("qa")), top=TOP)
    play.play("test it")
    assert play.prompts("qa") == ["You test. test it 1"]


def test_the_agent_that_was_not_chosen_was_not_visited(stage: SetStage):
    agents = [agent("dev", system_prompt="{{ input }} {{ stage.visits }}"), agent("qa", "dev")]
    play = stage(agents, routes(said("qa")), top=TOP)
    assert walked(play.play()) == ["qa", "dev"]
    assert play.prompts("dev")[0].endswith(" 1")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (said("somebody good"), "names no agent"),
        (said("ann"), "names no agent"),
        ({"fail": "crash"}, "the router failed: crash"),
        ({"fail": "auth"}, "the router failed: auth"),
    ],
)
def test_without_a_choice_the_first_agent_begins_and_it_is_recorded(stage: SetStage, reply: dict, why: str):
    play = stage(TEAM, routes(reply), top=TOP)
    detail = play.play()
    assert walked(detail) == ["dev", "qa"]
    assert detail.task.status is TaskStatus.COMPLETED
    (event,) = play.happened(EventKind.ROUTED)
    assert (event.agent, event.data["fallback"]) == ("dev", True)
    assert why in event.data["why"]


def test_a_named_agent_needs_no_router(stage: SetStage):
    play = stage(TEAM, routes(said("dev")), top=TOP)
    assert walked(play.play(agent="qa")) == ["qa"]
    assert play.prompts("dev", TurnKind.ROUTE) == []


def test_the_router_runs_where_the_config_says(stage: SetStage):
    play = stage(TEAM, routes(said("qa")), top=TOP, config={"router": {"runtime": "codex"}})
    assert play.play().stages[0].attempts[0].runtime == "codex"


def test_the_chosen_agent_s_gate_and_question_come_before_its_work(stage: SetStage):
    first = agent("dev", gate={"type": "human", "when": "before"}, human_input="before")
    play = stage([first, agent("qa")], {"dev": {"route": said("dev")}}, top=TOP)
    assert play.play().task.status is TaskStatus.AWAITING_GATE
    approve(play.project, play.task)
    assert play.go_on().task.status is TaskStatus.AWAITING_HUMAN_INPUT


def test_a_router_without_its_cli_stalls_the_task(stage: SetStage):
    play = stage(TEAM, routes({"fail": "cli_missing"}), top=TOP)
    play.begin()
    assert play.go_on(ahead=False).task.status is TaskStatus.STALLED


def test_the_routing_turn_is_no_stage_of_its_own(stage: SetStage):
    play = stage(TEAM, routes(said("qa")), top=TOP, config={"pipeline": {"max_stages": 1}})
    detail = play.play()
    assert detail.task.status is TaskStatus.COMPLETED
    assert len(detail.stages) == 1
