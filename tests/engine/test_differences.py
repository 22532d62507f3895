"""What is knowingly different from version 1: one test for each difference, and why it matters."""

from __future__ import annotations

from typing import Any

import pytest

from aqm.engine.worker import Consent
from aqm.errors import PipelineError
from aqm.flow.event import EventKind
from aqm.flow.state import StageStatus, TaskStatus, TurnKind
from aqm.service.answering import answer
from aqm.service.logs import log_entries
from aqm.service.pipelines import validate_file
from aqm.service.reworking import restart
from aqm.service.store import open_store
from tests.engine.conftest import SetStage
from tests.engine.play import APPROVED, REJECTED, agent, commanded, said, session, walked


def test_a_fan_out_is_branches_of_one_task_at_once_with_a_join(stage: SetStage):
    agents = [
        agent("split", handoffs=[{"to": "left, right"}]),
        agent("left", "end"),
        agent("right", "end"),
        agent("end", join="all"),
    ]
    play = stage(agents, {"left": said("L"), "right": said("R")})
    play.begin()
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker)
        play.hear(worker, play.rung.pop(0))
        assert len(play.rung) == 2  # both branches, before either has run
        play.run(worker)
    detail = play.detail()
    assert sorted(walked(detail)) == ["end", "left", "right", "split"]
    assert detail.task.parent is None
    (joined,) = play.prompts("end")
    assert "L" in joined
    assert "R" in joined


def test_a_comparison_looks_at_the_field_and_not_for_the_word(stage: SetStage):
    agents = [agent("a", handoffs=[{"to": "b", "condition": "severity == critical"}]), agent("b")]
    assert walked(stage(agents, {"a": said("Nothing critical.", "severity: low")}).play()) == ["a"]


@pytest.mark.parametrize(
    "text", ["I cannot VOTE: AGREE yet", "> VOTE: AGREE", "```\nVOTE: AGREE\n```", "Not VOTE: AGREE"]
)
def test_a_directive_that_is_quoted_or_negated_is_none(stage: SetStage, text: str):
    agents = [session("meet", "ann", max_rounds=1), agent("ann")]
    assert stage(agents, {"ann": {"speak": said(text)}}).play().stages[0].consensus is False


def test_a_gate_takes_the_verdict_s_shape_and_no_words(stage: SetStage):
    agents = [agent("a", gate={}, handoffs=[{"to": "b", "condition": "on_approve"}]), agent("b")]
    detail = stage(agents, {"a": {"work": said("v"), "gate": said("This cannot be approved")}}).play()
    assert walked(detail) == ["a"]
    assert detail.stages[0].gate == "rejected"


def test_a_rejection_without_a_route_fails_the_task(stage: SetStage):
    detail = stage([agent("a", gate={})], {"a": {"work": said("v"), "gate": REJECTED}}).play()
    assert detail.task.status is TaskStatus.FAILED
    assert detail.task.error
    assert "no on_reject route" in detail.task.error.message


def test_auto_without_a_target_is_repaired_once_and_then_fails(stage: SetStage):
    agents = [agent("a", handoffs=[{"to": "b", "condition": "auto"}]), agent("b")]
    detail = stage(agents, {"a": said("no idea")}).play()
    assert [attempt.kind for attempt in detail.stages[0].attempts] == ["work", "repair"]
    assert detail.task.error
    assert detail.task.error.kind == "unrouted"


def test_first_is_no_imported_agent_and_no_mere_participant(stage: SetStage):
    agents = [agent("speaker"), session("meet", "speaker", handoffs=[{"to": "helper"}])]
    top = {"imports": [{"from": "shared.yaml"}]}
    play = stage(agents, {"speaker": {"speak": said("VOTE: AGREE")}}, top=top)
    (play.project.pipelines / "shared.yaml").write_text("agents: [{id: helper, runtime: claude}]")
    assert walked(play.play()) == ["meet", "helper"]


def test_an_answer_goes_back_to_the_agent_that_asked(stage: SetStage):
    agents = [agent("a", "b", human_input=True), agent("b")]
    play = stage(agents, {"a": [[said("HUMAN_INPUT: Which?"), said("so it is")]]})
    play.play()
    answer(play.project, play.task, "this one")
    assert walked(play.go_on()) == ["a", "b"]
    assert "this one" in play.prompts("a")[1]
    assert play.prompts("b") == ["so it is"]


def test_a_session_is_one_stage_and_its_gate_is_honoured(stage: SetStage):
    agents = [session("meet", "ann", max_rounds=5, gate={}), agent("ann")]
    says = {"ann": {"speak": said("hm")}, "meet": {"gate": APPROVED}}
    detail = stage(agents, says, config={"pipeline": {"max_stages": 1}}).play()
    assert detail.task.status is TaskStatus.COMPLETED
    assert detail.stages[0].gate == "approved"
    assert len(detail.stages[0].attempts) == 6


def test_an_unknown_key_is_refused_by_run_and_by_validate_with_the_nearest(stage: SetStage):
    play = stage([agent("a", handofs=[])], {})
    with pytest.raises(PipelineError, match=r"handofs.*handoffs"):
        play.begin()
    found = validate_file(None, play.project, "default")
    assert not found.valid
    assert "did you mean 'handoffs'" in str(found.faults[0])


def test_no_agent_may_do_more_than_the_project_has_agreed_to(stage: SetStage):
    plain = {"id": "a", "runtime": "claude"}
    play = stage([plain], {}, real=True)
    play.begin()
    with open_store(play.project) as store:
        play.run(play.worker(store, consent=Consent()))
    detail = play.detail()
    assert detail.task.error
    assert detail.task.error.kind == "worker_refused"
    assert "permissions" in detail.task.error.message


def test_stalled_means_that_nobody_here_can_run_it(stage: SetStage):
    play = stage([agent("a")], {"a": [[{"fail": "cli_missing"}, said("now")]]})
    play.begin()
    assert play.go_on(ahead=False).task.status is TaskStatus.STALLED
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker, at=0)
        play.run(worker)
    assert play.detail().task.status is TaskStatus.COMPLETED


def test_approved_and_rejected_are_events_and_no_statuses(stage: SetStage):
    assert not {"approved", "rejected"} & {status.value for status in (*TaskStatus, *StageStatus)}
    play = stage([agent("a", gate={})], {"a": {"work": said("v"), "gate": APPROVED}})
    play.play()
    assert [event.data["approved"] for event in play.happened(EventKind.GATE_VERDICT)] == [True]


def test_params_come_from_the_project_s_folder_and_not_from_beside_the_file(stage: SetStage):
    agents = [agent("a", system_prompt="${{ params.who }}: {{ input }}")]
    play = stage(agents, {}, top={"params": {"who": "nobody"}})
    (play.project.pipelines / "params.yaml").write_text("who: beside")
    (play.project.folder / "params.yaml").write_text("who: the project")
    play.play("t")
    assert play.prompts("a") == ["the project: t"]


def test_a_gate_runs_where_its_agent_does_unless_somebody_says_otherwise(stage: SetStage):
    agents = [agent("a", gate={}) | {"runtime": "gemini"}]
    detail = stage(agents, {"a": {"work": said("v"), "gate": APPROVED}}).play()
    assert [attempt.runtime for attempt in detail.stages[0].attempts] == ["gemini", "gemini"]


def test_permissions_alone_decide_what_a_cli_may_do(stage: SetStage):
    write = {"steps": [{"write": {"x.txt": "x"}}, {"say": "done"}]}
    agents = [agent("a", "b", permissions="read"), agent("b", permissions="edit")]
    detail = stage(agents, {"a": write, "b": write}).play()
    assert [one.attempts[0].denied for one in detail.stages] == [("Write",), ()]


def test_restart_with_a_pipeline_s_name_uses_that_file_as_it_is_now(stage: SetStage):
    agents = [agent("a", system_prompt="Old: {{ input }}")]
    play = stage(agents, {"a": [said("v1"), said("v2")]})
    play.play("t")
    path = play.project.pipelines / "default.yaml"
    path.write_text(path.read_text().replace("Old", "New"))
    restart(play.project, play.task, from_stage=1)
    play.go_on()
    restart(play.project, play.task, pipeline="default")
    play.go_on()
    assert play.prompts("a") == ["Old: t", "Old: t", "New: t"]


def test_the_prompt_is_given_once_on_stdin_and_nowhere_else(stage: SetStage):
    show: dict[str, Any] = commanded(
        "a", "sh", "-c", 'echo "[$*]"; cat', "sh", system_prompt="Do {{ input }} now"
    )
    play = stage([show], {}, real=True)
    play.play("my task")
    (told,) = play.told
    assert (told.text, told.system, told.kind) == ("Do my task now", "", TurnKind.WORK)
    assert [entry.text for entry in log_entries(play.project, play.task)] == ["[]\nDo my task now"]
