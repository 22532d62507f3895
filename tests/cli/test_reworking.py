"""`fix`, `restart` and `priority`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call, Start
from tests.cli.test_answering import detail, until
from tests.cli.test_run import id_in

Ran = Callable[..., str]
PARAMS = """\
params: {tone: kind}
agents:
  - id: dev
    runtime: claude
    permissions: edit
    system_prompt: "${{ params.tone }}: {{ input }}"
    handoffs: [{to: qa}]
  - {id: qa, runtime: claude, permissions: read}
"""


@pytest.fixture
def ran(project: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """A task that has ended."""

    def ran(
        pipeline: str | None = None, says: str = "agents: {dev: {say: Built.}, qa: {say: Seen.}}\n"
    ) -> str:
        if pipeline:
            (project / ".aqm" / "pipelines" / "default.yaml").write_text(pipeline)
        (project / "says.yaml").write_text(says)
        monkeypatch.setenv("AQM_SCRIPT", str(project / "says.yaml"))
        return id_in(call("run", "Build it").stdout)

    return ran


def stages(call: Call, task: str) -> list[tuple[int, str, str]]:
    return [(stage["number"], stage["agent"], stage["status"]) for stage in detail(call, task)["stages"]]


# Restart -----------------------------------------------------------------------------------------


def test_a_failed_task_says_how_to_restart_it_and_goes_on_from_there(
    ran: Ran, call: Call, project: Path
) -> None:
    task = ran(PARAMS, "agents: {qa: {fail: auth}}\n")
    shown = call("status", task)
    assert (
        f'next:  aqm logs {task}   aqm restart {task} --from-stage 2   aqm fix {task} "WHAT"' in shown.stdout
    )
    (project / "says.yaml").write_text("agents: {qa: {say: Seen.}}\n")
    again = call("restart", task[:5], "--from-stage", "2")
    assert again.exit_code == 0
    lines = again.stdout.splitlines()
    assert lines[0] == f"{task}  Build it"
    assert lines[2:5] == ["  ↻ begins again from stage 2", "── 3 · qa (claude) ──", "Seen."]
    assert stages(call, task) == [(1, "dev", "done"), (2, "qa", "dropped"), (3, "qa", "done")]


def test_dropped_stages_are_shown_to_the_curious(ran: Ran, call: Call) -> None:
    task = ran(PARAMS)
    assert call("restart", task).exit_code == 0
    shown, whole = call("status", task).stdout, call("status", task, "-v").stdout
    assert "  2 stages that restarts have taken back: -v shows them\n" in shown
    assert "  3  dev  done" in shown
    assert "  1  dev" not in shown
    assert "  1  dev  dropped" in whole
    assert " · run 2" in shown


def test_a_restart_takes_other_params_and_the_file_as_it_is_now(ran: Ran, call: Call, project: Path) -> None:
    task = ran(PARAMS)
    assert call("restart", task, "-p", "tone=rude").exit_code == 0
    assert detail(call, task)["params"] == {"tone": "rude"}
    file = project / ".aqm" / "pipelines" / "default.yaml"
    file.write_text(PARAMS.replace("handoffs: [{to: qa}]", "handoffs: []"))
    assert call("restart", task).exit_code == 0
    assert [agent for _, agent, status in stages(call, task) if status == "done"] == ["dev", "qa"]
    assert call("restart", task, "-P", "default").exit_code == 0
    assert [agent for _, agent, status in stages(call, task) if status == "done"] == ["dev"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--from-stage", "9"], 1, "has no stage 9 that counts; it has 1, 2."),
        (["--from-stage", "0"], 2, "0 is not in the range"),
        (["-P", "defalt"], 1, "There is no pipeline 'defalt'; did you mean 'default'?"),
        (["-p", "who=me"], 1, "there is no param called 'who'"),
        (["-p", "novalue"], 2, "-p novalue: a parameter is given as NAME=VALUE."),
    ],
)
def test_what_cannot_be_restarted_is_said_and_nothing_is_changed(
    ran: Ran, call: Call, words: list[str], code: int, said: str
) -> None:
    task = ran(PARAMS)
    before = detail(call, task)
    shown = call("restart", task, *words)
    assert (shown.exit_code, shown.stdout) == (code, "")
    assert said in shown.stderr
    assert detail(call, task) == before


def test_a_file_that_asks_for_more_than_is_allowed_is_not_taken(
    ran: Ran, call: Call, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ran(PARAMS)
    monkeypatch.delenv("AQM_SCRIPT")
    file = project / ".aqm" / "pipelines" / "default.yaml"
    file.write_text(PARAMS.replace("permissions: edit", "permissions: full"))
    shown = call("restart", task, "-P", "default")
    assert shown.exit_code == 1
    assert "permissions.allow_full" in shown.stderr
    assert detail(call, task)["status"] == "completed"


def test_a_detached_restart_goes_on_in_the_background(ran: Ran, call: Call, start: Start) -> None:
    task = ran(PARAMS)
    begun = start("restart", task, "--from-stage", "2", "--detach")
    out, err = begun.communicate(timeout=20)
    assert (begun.returncode, out.decode()) == (0, f"{task}\n")
    assert f"aqm watch {task}" in err.decode()
    until(call, task, lambda shown: shown["status"] == "completed")
    assert stages(call, task)[-1] == (3, "qa", "done")


def test_a_cancelled_task_says_from_where_it_can_begin_again(ran: Ran, call: Call) -> None:
    task = ran("agents: [{id: dev, runtime: claude, permissions: edit, gate: {type: human}}]\n")
    call("cancel", task, "-r", "not now")
    shown = call("status", task).stdout
    assert "  1  dev  cancelled" in shown
    assert f"next:  aqm logs {task}   aqm restart {task} --from-stage 1" in shown
    assert call("restart", task, "--from-stage", "1").exit_code == 3


# Fix ---------------------------------------------------------------------------------------------


def test_a_fix_is_a_child_task_with_what_its_parent_did(ran: Ran, call: Call) -> None:
    parent = ran(PARAMS, "agents: {qa: {say: Seen.}}\n")
    shown = call("fix", parent[:5], "Weeks are missing.", "--agent", "qa")
    assert shown.exit_code == 0
    child = id_in(shown.stdout)
    assert shown.stdout.splitlines()[0] == f"{child}  Weeks are missing.  (fixes {parent})"
    assert stages(call, child) == [(1, "qa", "done")]
    told = detail(call, child)
    assert told["parent"] == parent
    assert told["params"] == {"tone": "kind"}
    assert f" · fixes {parent}" in call("status", child).stdout
    assert "Weeks are missing." in told["description"]


def test_a_fix_takes_its_text_from_stdin_and_prints_json(ran: Ran, call: Call) -> None:
    parent = ran(PARAMS)
    shown = call("fix", parent, "-", "-p", "tone=rude", "--json", input="Weeks\nare missing.\n")
    task = json.loads(shown.stdout)
    assert (shown.exit_code, task["status"], task["parent"]) == (0, "completed", parent)
    assert task["params"] == {"tone": "rude"}
    assert task == detail(call, task["id"])


def test_a_detached_fix_goes_on_in_the_background(ran: Ran, call: Call, start: Start) -> None:
    parent = ran(PARAMS)
    begun = start("fix", parent, "More.", "--detach", "--json")
    task: dict[str, Any] = json.loads(begun.communicate(timeout=20)[0])
    assert (begun.returncode, task["parent"]) == (0, parent)
    until(call, task["id"], lambda shown: shown["status"] == "completed")


def test_what_has_not_ended_is_not_fixed(ran: Ran, call: Call) -> None:
    task = ran("agents: [{id: dev, runtime: claude, permissions: edit, gate: {type: human}}]\n")
    for words in (["fix", task, "x"], ["restart", task]):
        shown = call(*words)
        assert (shown.exit_code, shown.stdout) == (1, "")
        assert f"{task} is awaiting_gate: only what has ended" in shown.stderr
        assert f"aqm cancel {task}" in shown.stderr


# Priority ----------------------------------------------------------------------------------------


def test_a_priority_can_be_changed_while_the_task_waits(ran: Ran, call: Call) -> None:
    task = ran("agents: [{id: dev, runtime: claude, permissions: edit, gate: {type: human}}]\n")
    assert call("priority", task[:5], "high").stdout == f"{task} priority high\n"
    assert json.loads(call("priority", task, "low", "--json").stdout)["priority"] == "low"
    assert detail(call, task)["priority"] == "low"
    shown = call("priority", task, "urgent")
    assert shown.exit_code == 2
    assert "'urgent' is not one of" in shown.stderr


def test_the_priority_of_what_has_ended_stays(ran: Ran, call: Call) -> None:
    task = ran(PARAMS)
    shown = call("priority", task, "high")
    assert shown.exit_code == 1
    assert f"{task} is completed already; nothing was changed." in shown.stderr
