"""Declared outputs through the engine: asked for, checked, repaired, and looked at by conditions."""

from __future__ import annotations

from typing import Any

from aqm.flow.state import TaskStatus, TurnKind
from aqm.service.answering import approve
from tests.engine.conftest import SetStage
from tests.engine.play import APPROVED, agent, said, walked

SEVERITY = {"severity": {"enum": ["low", "high"]}}
ROUTES = [
    {"to": "page", "condition": "severity == high", "payload": "{{ fields.severity }}: {{ output }}"},
    {"to": "queue", "condition": "default"},
]


def classify(**keys: Any) -> list[dict[str, Any]]:
    who = agent("classify", **{"output": SEVERITY, "handoffs": ROUTES, **keys})
    return [who, agent("page"), agent("queue")]


def test_it_is_asked_for_natively_and_in_words_and_read_from_the_block(stage: SetStage):
    play = stage(classify(), {"classify": said("Bad.", "", "```json", '{"severity": "high"}', "```")})
    assert walked(play.play()) == ["classify", "page"]
    first = play.told[0]
    assert first.schema["required"] == ["severity"]
    assert '"severity"' in first.text
    assert play.prompts("page")[0].startswith("high: Bad.")


def test_the_cli_s_own_structured_fields_come_first(stage: SetStage):
    says = {"classify": {"say": "It says low\nseverity: low", "fields": {"severity": "high"}}}
    assert walked(stage(classify(), says).play()) == ["classify", "page"]


def test_two_repairs_and_the_last_answer_is_the_output(stage: SetStage):
    good = {"say": "now good", "fields": {"severity": "low"}}
    says = {"classify": {"work": said("severity: high"), "repair": [[said("still prose"), good]]}}
    play = stage(classify(), says)
    detail = play.play("t")
    assert walked(detail) == ["classify", "queue"]
    assert [attempt.kind for attempt in detail.stages[0].attempts] == ["work", "repair", "repair"]
    first, second = play.prompts("classify", TurnKind.REPAIR)
    assert "severity: high" in first
    assert "still prose" in second
    assert all("required" in text and text.startswith("t") for text in (first, second))
    assert [told.schema is None for told in play.told] == [False, False, False, True]
    assert play.prompts("queue") == ["now good"]
    assert detail.stages[0].headline == "now good"


def test_a_third_misfit_fails_the_task_with_what_was_wrong(stage: SetStage):
    play = stage(classify(), {"classify": {"work": said("x"), "repair": said("y")}})
    detail = play.play()
    assert detail.task.error
    assert detail.task.error.kind == "output_invalid"
    assert "severity" in detail.task.error.message
    assert len(play.told) == 3


def test_the_gate_judges_the_prose_and_the_conditions_see_the_fields(stage: SetStage):
    says = {"classify": {"work": {"say": "prose", "fields": {"severity": "high"}}, "gate": APPROVED}}
    play = stage(classify(gate={"type": "llm"}), says)
    assert walked(play.play()) == ["classify", "page"]
    assert "prose" in play.prompts("classify", TurnKind.GATE)[0]


def test_the_fields_outlast_a_person_s_pause(stage: SetStage):
    says = {"classify": {"say": "prose", "fields": {"severity": "high"}}}
    play = stage(classify(gate={"type": "human"}), says)
    play.play()
    approve(play.project, play.task)
    assert walked(play.go_on()) == ["classify", "page"]
    assert play.prompts("page") == ["high: prose"]


def test_an_expression_may_look_into_a_whole_schema(stage: SetStage):
    schema = {
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"type": "integer"}}},
        "required": ["items"],
    }
    routes = [{"to": "page", "condition": "output.items.exists(n, n > 3)"}]
    play = stage(classify(output=schema, handoffs=routes), {"classify": {"fields": {"items": [1, 4]}}})
    assert walked(play.play()) == ["classify", "page"]


def test_an_expression_that_cannot_be_decided_fails_the_task_and_is_named(stage: SetStage):
    routes = [{"to": "page", "condition": "output.nothing > 3"}]
    agents = [agent("classify", handoffs=routes), agent("page")]
    detail = stage(agents, {"classify": said("x")}).play()
    assert detail.task.status is TaskStatus.FAILED
    assert detail.task.error
    assert detail.task.error.kind == "condition_error"
    assert "output.nothing > 3" in detail.task.error.message
