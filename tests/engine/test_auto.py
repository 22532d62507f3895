"""Agents that choose who comes next, through the engine."""

from __future__ import annotations

from typing import Any

import pytest

from aqm.flow.event import EventKind
from aqm.flow.state import TaskStatus, TurnKind
from tests.engine.conftest import SetStage
from tests.engine.play import APPROVED, REJECTED, agent, said, walked

PROMPT = "Route {{ input }}, end with HANDOFF."


def triage(to: str = "billing, tech", *more: dict[str, Any], **keys: Any) -> list[dict[str, Any]]:
    handoffs = [{"to": to, "condition": "auto"}, *more]
    who = agent("triage", system_prompt=PROMPT, **{**keys, "handoffs": handoffs})
    return [who, agent("billing"), agent("tech"), agent("other")]


def test_the_answer_s_line_says_who_comes_next(stage: SetStage):
    play = stage(triage(), {"triage": said("It is about money.", "HANDOFF: billing")})
    detail = play.play()
    assert walked(detail) == ["triage", "billing"]
    assert play.prompts("billing") == ["It is about money.\nHANDOFF: billing"]
    (event,) = play.happened(EventKind.HANDOFF)
    assert event.data == {"to": "billing", "condition": "auto"}


def test_several_names_open_a_branch_each(stage: SetStage):
    detail = stage(triage("*"), {"triage": said("HANDOFF: billing, tech")}).play()
    assert sorted(walked(detail)[1:]) == ["billing", "tech"]
    assert [one.branch for one in detail.stages[1:]] == ["/1.1", "/1.2"]


def test_nobody_named_is_asked_once_with_the_choices_and_the_work_stays_the_payload(stage: SetStage):
    says = {"triage": {"work": said("my findings", "HANDOFF: zebra"), "repair": said("HANDOFF: tech")}}
    play = stage(triage(), says)
    detail = play.play("t")
    assert walked(detail) == ["triage", "tech"]
    assert [attempt.kind for attempt in detail.stages[0].attempts] == ["work", "repair"]
    (asked,) = play.prompts("triage", TurnKind.REPAIR)
    assert asked.startswith("Route t, end with HANDOFF.")
    for told in ("my findings", "HANDOFF: zebra", "Choose among: billing, tech."):
        assert told in asked
    assert play.prompts("tech") == ["my findings\nHANDOFF: zebra"]
    assert detail.stages[0].headline == "my findings"


def test_nobody_named_twice_fails_the_task(stage: SetStage):
    play = stage(triage(), {"triage": {"work": said("no idea"), "repair": said("still none")}})
    detail = play.play()
    assert detail.task.error
    assert detail.task.error.kind == "unrouted"
    assert "billing, tech" in detail.task.error.message
    assert len(play.told) == 2


def test_nobody_named_twice_goes_to_the_default_where_there_is_one(stage: SetStage):
    agents = triage("billing, tech", {"to": "other", "condition": "default"})
    play = stage(agents, {"triage": {"work": said("no idea"), "repair": said("still none")}})
    assert walked(play.play()) == ["triage", "other"]
    assert play.prompts("other") == ["no idea"]


@pytest.mark.parametrize(("verdict", "goes"), [(APPROVED, "tech"), (REJECTED, "other")])
def test_a_rejection_leaves_the_choice_unread(stage: SetStage, verdict: dict, goes: str):
    agents = triage("billing, tech", {"to": "other", "condition": "on_reject"}, gate={})
    play = stage(agents, {"triage": {"work": said("HANDOFF: tech"), "gate": verdict}})
    assert walked(play.play()) == ["triage", goes]


def test_a_request_to_choose_asks_for_no_declared_output(stage: SetStage):
    agents = triage(output={"n": {"type": "integer"}})
    says = {"triage": {"work": {"say": "x", "fields": {"n": 1}}, "repair": said("HANDOFF: tech")}}
    play = stage(agents, says)
    assert walked(play.play()) == ["triage", "tech"]
    schemas = {told.kind: told.schema for told in play.told if told.agent == "triage"}
    assert schemas[TurnKind.WORK] is not None
    assert schemas[TurnKind.REPAIR] is None
    assert "JSON Schema" not in play.prompts("triage", TurnKind.REPAIR)[0]


def test_a_repair_that_crashes_is_tried_again_by_the_agent_s_policy(stage: SetStage):
    says = {"triage": {"work": said("no idea"), "repair": [[{"fail": "crash"}, said("HANDOFF: tech")]]}}
    assert walked(stage(triage(retry={"max_retries": 1}), says).play()) == ["triage", "tech"]
    detail = stage(triage(), says).play()
    assert detail.task.status is TaskStatus.FAILED
