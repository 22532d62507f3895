"""Whole tasks through the engine, on SQLite and PostgreSQL: who comes next, with what, and how it ends."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from aqm.engine.run_turn import run_turn
from aqm.errors import NotFoundError, PipelineError
from aqm.flow.event import EventKind
from aqm.flow.state import AttemptStatus, StageStatus, TaskStatus
from aqm.service.logs import log_entries
from aqm.service.store import open_store
from aqm.service.tasks import cancel, task_page
from aqm.storage import blobs, tables
from tests.engine.conftest import SetStage
from tests.engine.play import APPROVED, REJECTED, agent

LINE = [agent("plan", "dev"), agent("dev", "ship"), agent("ship")]
ROUTES = [{"to": "ship", "condition": "on_approve"}, {"to": "dev", "condition": "on_reject"}]
GATED = [agent("dev", gate={"type": "llm"}, handoffs=ROUTES), agent("ship")]


def walked(detail) -> list[str]:
    return [stage.agent for stage in detail.stages]


def said(words: str) -> dict:
    return {"say": words}


def test_a_task_walks_through_its_agents_and_completes(stage: SetStage):
    play = stage(LINE, {"plan": said("a plan"), "dev": said("code"), "ship": said("shipped")})
    detail = play.play()
    assert walked(detail) == ["plan", "dev", "ship"]
    assert detail.task.status is TaskStatus.COMPLETED
    assert [one.headline for one in detail.stages] == ["a plan", "code", "shipped"]
    assert [entry.text for entry in log_entries(play.project, play.task)] == ["a plan", "code", "shipped"]


def test_its_events_are_numbered_without_gaps_and_end_with_the_end(stage: SetStage):
    play = stage(LINE, {})
    play.play()
    events = play.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[0].kind is EventKind.TASK_SUBMITTED
    assert events[-1].kind is EventKind.TASK_COMPLETE


def test_a_rejection_sends_the_work_back_until_it_is_approved(stage: SetStage):
    says = {"dev": {"work": [said("v1"), said("v2")], "gate": [REJECTED, APPROVED]}, "ship": said("ok")}
    detail = stage(GATED, says).play()
    assert walked(detail) == ["dev", "dev", "ship"]
    assert [one.gate for one in detail.stages] == ["rejected", "approved", ""]
    assert detail.task.status is TaskStatus.COMPLETED


def test_too_many_rejections_fail_the_task_with_the_reason(stage: SetStage):
    agents = [agent("dev", gate={"max_retries": 1}, handoffs=ROUTES), agent("ship")]
    detail = stage(agents, {"dev": {"work": said("v"), "gate": REJECTED}}).play()
    assert walked(detail) == ["dev", "dev"]
    assert detail.task.status is TaskStatus.FAILED
    assert detail.task.error
    assert detail.task.error.kind == "rejected"
    assert "no tests" in detail.task.error.message
    assert detail.task.error.cure


def test_an_approval_ends_the_row_of_rejections(stage: SetStage):
    back = [{"to": "dev", "condition": "on_approve"}, {"to": "dev", "condition": "on_reject"}]
    agents = [agent("dev", gate={"max_retries": 1}, handoffs=back)]
    verdicts = [REJECTED, APPROVED, REJECTED, APPROVED, REJECTED, REJECTED]
    detail = stage(agents, {"dev": {"work": said("v"), "gate": verdicts}}).play()
    assert len(detail.stages) == 6
    assert detail.task.status is TaskStatus.FAILED


def test_an_unreadable_verdict_is_asked_for_once_more(stage: SetStage):
    says = {"dev": {"work": said("v"), "gate": [[said("Looks approved to me!"), APPROVED]]}}
    play = stage(GATED, {**says, "dev": {"work": said("v"), "gate": said("This cannot be approved")}})
    detail = play.play()
    assert [attempt.kind for attempt in detail.stages[0].attempts] == ["work", "gate", "gate"]
    assert detail.stages[0].gate_reason == "unreadable verdict"


def test_a_failure_is_retried_by_the_policy_and_then_fails_the_task(stage: SetStage):
    agents = [agent("dev", retry={"max_retries": 2, "backoff": 60})]
    detail = stage(agents, {"dev": {"fail": "crash"}}).play()
    assert [attempt.status for attempt in detail.stages[0].attempts] == [AttemptStatus.FAILED] * 3
    assert [attempt.number for attempt in detail.stages[0].attempts] == [1, 2, 3]
    assert detail.task.status is TaskStatus.FAILED
    assert detail.task.error
    assert detail.task.error.kind == "crash"


def test_a_retry_that_succeeds_goes_on(stage: SetStage):
    agents = [agent("dev", "ship", retry={"max_retries": 1}), agent("ship")]
    detail = stage(agents, {"dev": [[{"fail": "crash"}, said("second")]]}).play()
    assert walked(detail) == ["dev", "ship"]
    assert detail.task.status is TaskStatus.COMPLETED


def test_a_rate_limit_is_waited_for_and_spends_no_retry(stage: SetStage):
    play = stage([agent("dev")], {"dev": [[{"fail": "rate_limited"}, {"fail": "overloaded"}, said("now")]]})
    detail = play.play()
    assert detail.task.status is TaskStatus.COMPLETED
    assert len([event for event in play.events() if event.kind is EventKind.TURN_WAITS]) == 2


def test_a_missing_cli_stalls_the_task_and_tells_how_to_go_on(stage: SetStage):
    detail = stage([agent("dev")], {"dev": {"fail": "cli_missing"}}).play()
    assert detail.task.status is TaskStatus.STALLED
    assert detail.waits_for
    assert detail.task.error
    assert "aqm resume" in detail.task.error.cure


def test_a_loop_ends_at_the_stage_limit(stage: SetStage):
    play = stage([agent("a", "b"), agent("b", "a")], {}, config={"pipeline": {"max_stages": 7}})
    detail = play.play()
    assert len(detail.stages) == 7
    assert detail.task.error
    assert detail.task.error.kind == "stage_limit"


def test_rules_that_fire_together_open_branches_and_the_task_waits_for_all(stage: SetStage):
    handoffs = [{"to": "left"}, {"to": "right", "condition": "on_pass"}]
    agents = [agent("split", handoffs=handoffs), agent("left", "end"), agent("right"), agent("end")]
    detail = stage(agents, {}).play()
    assert sorted(walked(detail)) == ["end", "left", "right", "split"]
    assert {one.agent: one.branch for one in detail.stages} == {
        "split": "",
        "left": "/1.1",
        "right": "/1.2",
        "end": "/1.1",
    }
    assert detail.task.status is TaskStatus.COMPLETED


def test_a_failed_branch_fails_the_task_after_the_others_have_ended(stage: SetStage):
    handoffs = [{"to": "left"}, {"to": "right", "condition": "on_pass"}]
    agents = [agent("split", handoffs=handoffs), agent("left"), agent("right", "end"), agent("end")]
    detail = stage(agents, {"left": {"fail": "crash"}}).play()
    assert {one.agent: one.status for one in detail.stages} == {
        "split": StageStatus.DONE,
        "left": StageStatus.FAILED,
        "right": StageStatus.DONE,
        "end": StageStatus.DONE,
    }
    assert detail.task.status is TaskStatus.FAILED


def test_what_an_agent_says_reaches_the_next_one_as_it_was(stage: SetStage):
    hostile = "{{ params }} <b>[/red]\x1b[31m {% raw %} $HOME `id`"
    play = stage([agent("a", "b"), agent("b")], {"a": said(hostile)})
    play.play()
    texts = [entry.text for entry in log_entries(play.project, play.task)]
    assert texts[0] == hostile


def test_the_params_of_the_command_line_reach_the_prompt(stage: SetStage, tmp_path):
    agents = [
        agent("a", "b", handoffs=[{"to": "b", "payload": "${{ params.who }}: {{ output }}"}]),
        agent("b"),
    ]
    play = stage(agents, {"a": said("hello")})
    document = play.project.pipelines / "default.yaml"
    document.write_text(document.read_text().replace('{"agents"', '{"params": {"who": "team"}, "agents"'))
    detail = play.play(params={"who": "me"})
    assert detail.params == {"who": "me"}
    with open_store(play.project) as store, store.database.reading() as connection:
        inputs = list(connection.execute(select(tables.stages.c.input).order_by(tables.stages.c.number)))
        assert blobs.read(connection, store.project_id, inputs[1].input) == "me: hello"


def test_an_unknown_agent_or_param_is_refused_and_leaves_no_task(stage: SetStage):
    play = stage(LINE, {})
    with pytest.raises(NotFoundError, match="plan"):
        play.begin(agent="plam")
    with pytest.raises(PipelineError, match="who"):
        play.begin(params={"who": "x"})
    assert task_page(play.project).tasks == ()


def test_a_cancelled_task_is_not_run_on_and_keeps_what_it_has(stage: SetStage):
    play = stage(LINE, {})
    play.begin()
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker)
        run_turn(worker, play.rung.pop(0).turn)
        late = play.rung.pop(0)
        cancel(play.project, play.task, "enough")
        run_turn(worker, late.turn)
        play.run(worker)
    detail = play.detail()
    assert detail.task.status is TaskStatus.CANCELLED
    assert [(one.agent, one.status) for one in detail.stages] == [
        ("plan", StageStatus.DONE),
        ("dev", StageStatus.DROPPED),
    ]
    assert play.events()[-1].kind is EventKind.TASK_CANCELLED
    with open_store(play.project) as store, store.database.reading() as connection:
        statuses = connection.execute(select(tables.turns.c.status)).scalars()
        assert sorted(statuses) == ["done", "dropped"]


def test_the_same_message_twice_runs_its_turn_once(stage: SetStage):
    play = stage(LINE, {})
    play.begin()
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker)
        while play.rung:
            bell = play.rung.pop(0)
            for _ in range(3):
                run_turn(worker, bell.turn)
    detail = play.detail()
    assert detail.task.status is TaskStatus.COMPLETED
    assert [len(one.attempts) for one in detail.stages] == [1, 1, 1]


def test_usage_is_the_sum_over_all_attempts(stage: SetStage):
    usage = {"input": 10, "output": 3, "cost_usd": 0.5}
    agents = [agent("a", "b", retry={"max_retries": 1}), agent("b")]
    says = {"a": [[{"fail": "crash", "usage": usage}, {"say": "x", "usage": usage}]], "b": said("y")}
    detail = stage(agents, says).play()
    assert (detail.task.usage.input, detail.task.usage.output, detail.task.usage.cost_usd) == (20, 6, 1.0)
    assert detail.stages[1].usage.input is None


@pytest.mark.parametrize(
    ("config", "keys", "ends"),
    [
        ({"timeouts": {"claude": 0.2}}, {}, "timeout"),
        ({"idle_timeouts": {"claude": 0.2}}, {}, "idle"),
        ({"timeouts": {"claude": 60}}, {"timeout": 0.2}, "timeout"),
    ],
)
def test_a_turn_has_the_time_that_its_agent_or_else_the_config_gives_it(
    stage: SetStage, config: dict, keys: dict, ends: str
):
    play = stage([agent("a", **keys)], {"a": {"steps": [{"pause": 30}]}}, config=config)
    detail = play.play()
    assert detail.task.error
    assert detail.task.error.kind == ends
