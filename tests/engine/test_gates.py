"""Gates through the engine: judges, commands and people, before and after the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aqm.flow.event import EventKind
from aqm.flow.state import TaskStatus, TurnKind
from aqm.service.answering import approve, reject
from tests.engine.conftest import SetStage
from tests.engine.play import APPROVED, REJECTED, agent, commanded, said, walked

ROUTES = [{"to": "ship", "condition": "on_approve"}, {"to": "dev", "condition": "on_reject"}]
BACK = [
    {"to": "ship", "condition": "on_approve"},
    {"to": "fix", "condition": "on_reject", "payload": "{{ reject_reason }}|{{ output }}|{{ input }}"},
]


def gated(gate: dict[str, Any], routes: Any = ROUTES, **keys: Any) -> list[dict[str, Any]]:
    return [agent("dev", gate=gate, handoffs=routes, **keys), agent("ship"), agent("fix")]


# Judges ------------------------------------------------------------------------------------------


def test_a_judge_is_given_the_task_and_the_work_and_nothing_else(stage: SetStage):
    agents = gated({"type": "llm", "prompt": "Task: {{ input }} Work: {{ output }} Good?"})
    play = stage(agents, {"dev": {"work": said("my work"), "gate": APPROVED}})
    play.play("my task")
    (asked,) = play.prompts("dev", TurnKind.GATE)
    assert "my task" in asked
    assert "my work" in asked
    assert '"decision": "approved"' in asked
    assert [told.schema is not None for told in play.told] == [False, True, False]


def test_an_approval_hands_on_the_work_and_not_the_verdict(stage: SetStage):
    play = stage(gated({}), {"dev": {"work": said("my work"), "gate": APPROVED}})
    detail = play.play()
    assert walked(detail) == ["dev", "ship"]
    assert play.prompts("ship") == ["my work"]
    (verdict,) = play.happened(EventKind.GATE_VERDICT)
    assert verdict.data == {"approved": True, "reason": "fine", "by": "claude"}


def test_a_rejection_hands_back_its_reason(stage: SetStage):
    play = stage(gated({}, BACK), {"dev": {"work": said("v1"), "gate": REJECTED}})
    detail = play.play("my task")
    assert walked(detail) == ["dev", "fix"]
    assert play.prompts("fix") == ["no tests|v1|my task"]


def test_the_next_prompt_knows_the_verdict_of_the_stage_before(stage: SetStage):
    prompt = "{{ input }}/{{ gate_result }}/{{ reject_reason }}/{{ output }}"
    agents = gated({}, system_prompt=prompt)
    says = {"dev": {"work": [said("v1"), said("v2")], "gate": [REJECTED, APPROVED]}}
    play = stage(agents, says)
    play.play("t")
    assert play.prompts("dev") == ["t///", "v1/rejected/no tests/v1"]


def test_an_unreadable_verdict_is_repaired_once_with_what_was_wrong(stage: SetStage):
    says = {"dev": {"work": said("v"), "gate": [[said("Looks fine to me!"), APPROVED]]}}
    play = stage(gated({}), says)
    detail = play.play()
    assert walked(detail) == ["dev", "ship"]
    first, second = play.prompts("dev", TurnKind.GATE)
    assert second.startswith(first)
    assert "cannot be read as a verdict" in second


def test_a_judge_that_fails_is_tried_again_by_the_agent_s_policy(stage: SetStage):
    says = {"dev": {"work": said("v"), "gate": [[{"fail": "crash"}, APPROVED]]}}
    assert walked(stage(gated({}, retry={"max_retries": 1}), says).play()) == ["dev", "ship"]


def test_a_judge_that_fails_for_good_fails_the_task_and_rejects_nothing(stage: SetStage):
    play = stage(gated({}), {"dev": {"work": said("v"), "gate": {"fail": "auth"}}})
    detail = play.play()
    assert detail.task.error
    assert detail.task.error.kind == "auth"
    assert play.happened(EventKind.GATE_VERDICT) == []


@pytest.mark.parametrize(
    ("gate", "config", "runtime"),
    [
        ({}, {}, "claude"),
        ({"runtime": "codex"}, {"gate": {"runtime": "gemini"}}, "codex"),
        ({"model": "gemini-2.5-pro"}, {"gate": {"runtime": "codex"}}, "gemini"),
        ({}, {"gate": {"runtime": "gemini"}}, "gemini"),
    ],
)
def test_a_judge_runs_where_the_gate_its_model_or_the_config_says(
    stage: SetStage, gate: dict, config: dict, runtime: str
):
    detail = stage(gated(gate), {"dev": {"work": said("v"), "gate": APPROVED}}, config=config).play()
    assert [attempt.runtime for attempt in detail.stages[0].attempts] == ["claude", runtime]


def test_a_program_s_work_is_judged_by_a_model(stage: SetStage):
    agents = [commanded("dev", "cat", gate={}, handoffs=ROUTES), agent("ship", runtime="gemini")]
    detail = stage(agents, {"dev": {"work": said("v"), "gate": APPROVED}}).play()
    assert [attempt.runtime for attempt in detail.stages[0].attempts] == ["command", "gemini"]


# Before the work -----------------------------------------------------------------------------------


def test_a_gate_before_the_work_lets_it_begin(stage: SetStage):
    agents = gated({"when": "before", "prompt": "May {{ input }} begin? {{ output }}"})
    play = stage(agents, {"dev": {"work": said("v"), "gate": APPROVED}})
    detail = play.play("my task")
    assert walked(detail) == ["dev", "ship"]
    assert [told.kind for told in play.told] == [TurnKind.GATE, TurnKind.WORK, TurnKind.WORK]
    assert "my task" in play.prompts("dev", TurnKind.GATE)[0]
    assert len(play.happened(EventKind.GATE_VERDICT)) == 1
    assert detail.stages[0].gate == "approved"


def test_a_gate_before_the_work_that_rejects_routes_without_it(stage: SetStage):
    play = stage(gated({"when": "before"}, BACK), {"dev": {"work": said("v"), "gate": REJECTED}})
    detail = play.play("my task")
    assert walked(detail) == ["dev", "fix"]
    assert play.prompts("dev") == []
    assert play.prompts("fix") == ["no tests||my task"]


def test_a_gate_before_the_work_counts_its_rejections(stage: SetStage):
    play = stage(gated({"when": "before", "max_retries": 1}), {"dev": {"gate": REJECTED}})
    detail = play.play()
    assert walked(detail) == ["dev", "dev"]
    assert detail.task.error
    assert detail.task.error.kind == "rejected"


# Commands ----------------------------------------------------------------------------------------


def by_command(run: Any, **gate: Any) -> list[dict[str, Any]]:
    tell = [{**BACK[0]}, {**BACK[1], "payload": "{{ reject_reason }}"}]
    work = commanded("dev", "sh", "-c", "cat > /dev/null; echo the work > work.txt; echo done")
    return [
        {**work, "gate": {"type": "command", "run": run, **gate}, "handoffs": tell},
        commanded("ship", "cat"),
        commanded("fix", "cat"),
    ]


@pytest.mark.parametrize("run", ["grep -q work work.txt", ["grep", "-q", "work", "work.txt"]])
def test_a_command_in_the_workspace_that_exits_0_approves(stage: SetStage, run: Any):
    play = stage(by_command(run), {}, real=True)
    detail = play.play()
    assert walked(detail) == ["dev", "ship"]
    assert detail.stages[0].gate == "approved"
    (verdict,) = play.happened(EventKind.GATE_VERDICT)
    assert verdict.data["by"] == "command"


@pytest.mark.parametrize(
    "run",
    [
        "echo 2 tests failed; echo Error 3 >&2; exit 3",
        ["sh", "-c", "echo 2 tests failed; echo Error 3 >&2; exit 3"],
    ],
)
def test_a_command_that_exits_with_a_code_rejects_with_what_it_printed(stage: SetStage, run: Any):
    play = stage(by_command(run), {}, real=True)
    detail = play.play()
    assert walked(detail) == ["dev", "fix"]
    assert detail.stages[0].gate_reason == "2 tests failed\nError 3"
    assert play.prompts("fix") == ["2 tests failed\nError 3"]


def test_a_command_s_line_is_never_a_template_and_its_input_is_the_work(stage: SetStage, tmp_path: Path):
    play = stage(by_command("cat > seen.txt; echo '{{ output }}' $(( 1 + 1 )); exit 1"), {}, real=True)
    detail = play.play()
    assert detail.stages[0].gate_reason == "{{ output }} 2"
    assert (tmp_path / "seen.txt").read_text() == "done"


def test_a_command_that_takes_too_long_is_a_failure_and_no_verdict(stage: SetStage):
    play = stage(by_command("sleep 30"), {}, real=True, config={"timeouts": {"command": 0.5}})
    detail = play.play()
    assert detail.task.error
    assert detail.task.error.kind == "timeout"
    assert play.happened(EventKind.GATE_VERDICT) == []


def test_a_command_that_is_not_there_stalls_the_task(stage: SetStage):
    detail = stage(by_command(["no-such-program"]), {}, real=True).play()
    assert detail.task.status is TaskStatus.STALLED
    assert "no-such-program" in detail.waits_for


def test_a_command_s_verdict_can_be_rehearsed_in_a_script(stage: SetStage):
    says = {"dev": {"work": said("v"), "gate": [REJECTED, APPROVED]}}
    agents = gated({"type": "command", "run": "false"})
    detail = stage(agents, says).play()
    assert walked(detail) == ["dev", "dev", "ship"]
    assert detail.stages[0].gate_reason == "no tests"


# People ------------------------------------------------------------------------------------------


def test_a_person_approves_and_the_work_goes_on(stage: SetStage):
    play = stage(gated({"type": "human", "prompt": "Is {{ output }} right?"}), {"dev": said("my work")})
    detail = play.play()
    assert detail.task.status is TaskStatus.AWAITING_GATE
    assert (detail.stages[0].waits, detail.stages[0].question) == ("gate", "Is my work right?")
    approve(play.project, play.task, reason="well done")
    detail = play.go_on()
    assert walked(detail) == ["dev", "ship"]
    assert detail.task.status is TaskStatus.COMPLETED
    assert play.prompts("ship") == ["my work"]
    (verdict,) = play.happened(EventKind.GATE_VERDICT)
    assert verdict.data == {"approved": True, "reason": "well done", "by": "a person"}


def test_a_person_rejects_until_the_limit(stage: SetStage):
    play = stage(gated({"type": "human", "max_retries": 1}), {"dev": [said("v1"), said("v2")]})
    play.play()
    assert reject(play.project, play.task, "too slow").status is TaskStatus.IN_PROGRESS
    assert play.go_on().task.status is TaskStatus.AWAITING_GATE
    assert reject(play.project, play.task, "still too slow").status is TaskStatus.FAILED
    detail = play.detail()
    assert detail.task.error
    assert "rejected 2 times: still too slow" in detail.task.error.message


def test_a_task_may_wait_for_a_person_before_anything_has_run(stage: SetStage):
    play = stage(gated({"type": "human", "when": "before"}), {"dev": said("v")})
    detail = play.play()
    assert detail.task.status is TaskStatus.AWAITING_GATE
    assert detail.stages[0].question == "May Dev begin?"
    assert play.told == []
    approve(play.project, play.task)
    detail = play.go_on()
    assert walked(detail) == ["dev", "ship"]
    assert len(play.happened(EventKind.GATE_VERDICT)) == 1


def test_a_person_s_approval_may_lead_to_a_question_of_who_comes_next(stage: SetStage):
    agents = [
        agent(
            "dev",
            handoffs=[{"to": "ship, fix", "condition": "auto"}],
            gate={"type": "human"},
            system_prompt="HANDOFF {{ input }}",
        ),
        agent("ship"),
        agent("fix"),
    ]
    play = stage(agents, {"dev": {"work": said("my work"), "repair": said("HANDOFF: fix")}})
    play.play()
    approve(play.project, play.task)
    detail = play.go_on()
    assert walked(detail) == ["dev", "fix"]
    assert play.prompts("fix") == ["my work"]
    assert len(play.happened(EventKind.GATE_VERDICT)) == 1
