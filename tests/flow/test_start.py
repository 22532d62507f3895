"""Where a task starts, who judges, and which words are not run yet."""

from __future__ import annotations

from typing import Any

import pytest

from aqm.flow.judge import judge
from aqm.flow.task import Policy
from aqm.pipeline.graph import first_agent
from aqm.pipeline.spec import Pipeline


def pipeline(agents: list[dict[str, Any]], own: list[str] | None = None, **keys: Any) -> Pipeline:
    listed = [
        {"type": "agent", **({} if agent.get("type") == "session" else {"runtime": "claude"}), **agent}
        for agent in agents
    ]
    return Pipeline.model_validate({"agents": listed, "own": own or [a["id"] for a in agents], **keys})


SESSION = {"id": "meet", "type": "session", "participants": ["a", "b"]}


@pytest.mark.parametrize(
    ("agents", "own", "start"),
    [
        ([{"id": "a"}, {"id": "b"}], None, "a"),
        ([{"id": "imported"}, {"id": "a"}], ["a"], "a"),
        ([{"id": "a"}, {"id": "b"}, SESSION], None, "meet"),
        ([{"id": "a", "handoffs": [{"to": "meet"}]}, {"id": "b"}, SESSION], None, "a"),
        ([{"id": "a"}, {"id": "b"}, SESSION, {"id": "c", "handoffs": [{"to": "a"}]}], None, "a"),
    ],
)
def test_a_task_starts_at_the_first_own_agent_that_is_not_merely_a_participant(
    agents: list[dict[str, Any]], own: list[str] | None, start: str
):
    assert first_agent(pipeline(agents, own)) == start


@pytest.mark.parametrize(
    ("gate", "policy", "judged_by"),
    [
        ({}, Policy(), ("claude", None)),
        ({"runtime": "codex"}, Policy(gate_runtime="gemini"), ("codex", None)),
        ({"model": "gemini-2.5-pro"}, Policy(), ("gemini", "gemini-2.5-pro")),
        ({"model": "o4-mini"}, Policy(gate_runtime="claude"), ("codex", "o4-mini")),
        ({"model": "house-model"}, Policy(gate_runtime="gemini"), ("gemini", "house-model")),
        ({}, Policy(gate_runtime="gemini"), ("gemini", None)),
        ({}, Policy(gate_model="gpt-5"), ("codex", "gpt-5")),
        ({"runtime": "gemini"}, Policy(gate_model="gpt-5"), ("gemini", None)),
    ],
)
def test_the_judge_is_the_gate_s_then_the_model_s_then_the_config_s_then_the_agent_s_own(
    gate: dict[str, Any], policy: Policy, judged_by: tuple[str, str | None]
):
    judged = pipeline([{"id": "a", "gate": gate}])
    assert judge(policy, judged, judged.agent("a")) == judged_by


def test_a_session_s_work_is_judged_by_its_first_participant_s_runtime():
    meeting = pipeline([{"id": "a"}, {"id": "b", "runtime": "codex"}, {**SESSION, "gate": {}}])
    assert judge(Policy(), meeting, meeting.agent("meet")) == ("claude", None)
