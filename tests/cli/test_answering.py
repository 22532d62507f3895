"""`approve`, `reject` and `human-input`, from another shell than the one that ran the task."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call, Open, Start
from tests.cli.test_asking import ASKED, FANNED, GATED, SAYS, VERDICT, Begin, begin
from tests.cli.test_run import id_in

__all__ = ["begin"]

Waiting = Callable[[str], str]
SLOW = """\
agents:
  - {id: plan, runtime: claude, permissions: read, handoffs: [{to: "left, right"}]}
  - {id: left, runtime: claude, permissions: edit, gate: {type: human}, handoffs: [{to: more}]}
  - {id: right, runtime: claude, permissions: edit}
  - {id: more, runtime: claude, permissions: edit}
"""


@pytest.fixture
def waits(project: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """A task of this pipeline that waits, and nobody runs it."""

    def waits(pipeline: str) -> str:
        (project / ".aqm" / "pipelines" / "default.yaml").write_text(pipeline)
        (project / "says.yaml").write_text(SAYS)
        monkeypatch.setenv("AQM_SCRIPT", str(project / "says.yaml"))
        shown = call("run", "Build it")
        assert shown.exit_code == 3, shown.output
        return id_in(shown.stdout)

    return waits


def detail(call: Call, task: str) -> Any:
    return json.loads(call("status", task, "--json").stdout)


def until(call: Call, task: str, found: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + 20
    while not found(shown := detail(call, task)):
        assert time.monotonic() < deadline, shown
        time.sleep(0.1)
    return shown


# The command goes on -----------------------------------------------------------------------------


def test_an_approval_goes_on_with_the_task_and_shows_it(waits: Waiting, call: Call) -> None:
    task = waits(GATED)
    shown = call("approve", task[:5], "-r", "well done")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == f"{task}  approved"
    assert "── 1 · dev (claude) ──" in lines
    assert "  ✓ approved — well done" in lines
    assert lines[lines.index("── 2 · qa (claude) ──") + 1] == "Looked at."
    assert lines[-2].startswith(f"{task} completed · 2 stages")


def test_a_rejection_goes_back_to_the_author_and_the_task_waits_again(waits: Waiting, call: Call) -> None:
    task = waits(GATED)
    shown = call("reject", task, "-r", "no tests")
    assert shown.exit_code == 3
    assert "  ✗ rejected — no tests" in shown.stdout
    assert "Version two." in shown.stdout
    assert f"next:  aqm approve {task} --stage 2" in shown.stdout


def test_a_rejection_that_no_rule_takes_up_fails_the_task(waits: Waiting, call: Call) -> None:
    task = waits(GATED.replace("condition: on_reject", "condition: on_approve"))
    shown = call("reject", task, "-r", "not today")
    assert shown.exit_code == 1
    assert "error: rejected" in shown.stdout
    assert f"aqm restart {task} --from-stage 1" in shown.stdout


def test_a_rejection_needs_a_reason(waits: Waiting, call: Call) -> None:
    task = waits(GATED)
    shown = call("reject", task)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert "a rejection needs a reason" in shown.stderr
    assert detail(call, task)["status"] == "awaiting_gate"


@pytest.mark.parametrize("stdin", [False, True])
def test_a_question_is_answered_in_words_or_from_stdin(waits: Waiting, call: Call, stdin: bool) -> None:
    task = waits(ASKED.replace("dev", "echo"))
    words = ["-"] if stdin else ["PostgreSQL\nand Redis"]
    shown = call("human-input", task, *words, input="PostgreSQL\nand Redis\n" if stdin else None)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"{task}  answered\n")
    assert "> PostgreSQL\n> and Redis\n" in shown.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["  "], 2, "the answer is empty."),
        (["two", "words"], 2, "Quote it: aqm human-input {task} 'two words'"),
        (["x", "--stage", "9"], 1, "waits for no answer in stage 9"),
        (["x", "--script", "none.yaml"], 2, "does not exist"),
    ],
)
def test_an_answer_that_is_none_changes_nothing(
    waits: Waiting, call: Call, words: Sequence[str], code: int, said: str
) -> None:
    task = waits(ASKED)
    shown = call("human-input", task, *words)
    assert (shown.exit_code, shown.stdout) == (code, "")
    assert said.format(task=task) in shown.stderr
    assert detail(call, task)["status"] == "awaiting_human_input"


def test_an_approval_is_no_answer_to_a_question(waits: Waiting, call: Call) -> None:
    task = waits(ASKED)
    shown = call("approve", task)
    assert shown.exit_code == 1
    assert f"{task} is awaiting_human_input and waits for no approval" in shown.stderr


def test_with_json_stdout_has_the_task_as_it_rests(waits: Waiting, call: Call) -> None:
    task = waits(GATED)
    shown = call("approve", task, "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == detail(call, task)


# Several branches --------------------------------------------------------------------------------


def test_of_several_branches_that_wait_one_must_be_named(waits: Waiting, call: Call) -> None:
    task = waits(FANNED)
    shown = call("approve", task)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert f"several branches of {task} wait: stages 2 (left), 3 (right)." in shown.stderr
    assert "--stage N" in shown.stderr
    one = call("approve", task, "--stage", "2")
    assert one.exit_code == 3
    assert "And more." in one.stdout
    other = call("approve", task)  # only one is left
    assert other.exit_code == 0


def test_an_approval_while_another_branch_runs_is_left_to_who_runs_it(
    project: Path, call: Call, start: Start
) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(SLOW)
    (project / "slow.yaml").write_text("agents: {right: {delay: 4, say: Late.}, more: {say: And more.}}\n")
    runs = start("run", "Build it", "--script", "slow.yaml")
    task = _first_task(call)
    until(call, task, lambda shown: any(stage["waits"] == "gate" for stage in shown["stages"]))
    assert detail(call, task)["status"] == "in_progress"
    shown = call("approve", task)
    assert shown.exit_code == 0
    assert re.fullmatch(rf"{task}  approved; process {runs.pid} will go on with it\n", shown.stdout)
    out, err = runs.communicate(timeout=20)
    assert (runs.returncode, err) == (0, b"")
    assert b"approved\n" in out
    assert out.index(b"And more.") < out.index(b"Late.")


def _first_task(call: Call) -> str:
    deadline = time.monotonic() + 20
    while not (tasks := json.loads(call("list", "--json").stdout)["tasks"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return str(tasks[0]["id"])


# Two at once, and too late -----------------------------------------------------------------------


def test_who_comes_too_late_is_told_what_was_decided(waits: Waiting, call: Call) -> None:
    task = waits(GATED)
    call("reject", task, "--stage", "1", "-r", "no tests")
    shown = call("approve", task, "--stage", "1")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert "waits for no approval in stage 1: stage 1 (dev) was rejected: no tests." in shown.stderr


def test_of_two_decisions_at_once_one_counts(waits: Waiting, call: Call, start: Start) -> None:
    task = waits(GATED)
    both = [start("approve", task, "--stage", "1"), start("reject", task, "--stage", "1", "-r", "no")]
    said = [one.communicate(timeout=30) for one in both]
    codes = [one.returncode for one in both]
    loser = 1 if codes[0] in (0, 3) else 0
    assert codes[loser] == 1, said
    assert codes[1 - loser] == (0 if loser == 1 else 3), said
    assert said[loser][0] == b""
    decided = b"approved" if loser == 1 else b"rejected: no"
    assert b"stage 1 (dev) was " + decided in said[loser][1]
    assert detail(call, task)["stages"][0]["gate"] == ("approved" if loser == 1 else "rejected")


# Owners that are gone ----------------------------------------------------------------------------


def test_a_killed_owner_s_task_is_taken_over_by_the_next_answer(begin: Begin, call: Call) -> None:
    screen = begin(GATED)
    screen.until(VERDICT)
    os.kill(screen.process.pid, signal.SIGKILL)
    screen.process.wait(20)
    task = id_in(screen.said)
    shown = call("approve", task, "--script", "says.yaml")
    assert shown.exit_code == 0
    assert "Looked at." in shown.stdout


def test_a_detached_task_that_waits_is_gone_on_with_by_the_answer(
    waits: Waiting, call: Call, start: Start
) -> None:
    waits(GATED)
    begun = start("run", "Again", "--detach")
    task = id_in(begun.communicate(timeout=20)[0].decode())
    until(call, task, lambda shown: shown["status"] == "awaiting_gate")
    shown = call("approve", task)
    assert shown.exit_code == 0, shown.output


def test_an_answer_that_comes_just_as_the_owner_leaves_is_not_forgotten(
    waits: Waiting, call: Call, start: Start
) -> None:
    """The worker leaves when its task rests; whoever answers in that moment leaves it to the worker."""
    waits(GATED)
    for _ in range(3):
        runs = start("run", "Once more")
        task = _newest(call)
        until(call, task, lambda shown: shown["status"] == "awaiting_gate")
        shown = call("approve", task)
        assert shown.exit_code == 0, shown.output
        runs.communicate(timeout=20)
        assert runs.returncode in (0, 3)
        until(call, task, lambda shown: shown["status"] == "completed")


def _newest(call: Call) -> str:
    deadline = time.monotonic() + 20
    while True:
        tasks = json.loads(call("list", "--search", "Once more", "--json").stdout)["tasks"]
        if tasks and tasks[0]["status"] != "completed":
            return str(tasks[0]["id"])
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ctrl_c_while_it_goes_on_leaves_the_task_resumable(
    waits: Waiting, project: Path, terminal: Open
) -> None:
    task = waits(GATED)
    (project / "hang.yaml").write_text("agents: {qa: {steps: [{say: I begin.}, {pause: 60}]}}\n")
    screen = terminal("--no-color", "approve", task, "--script", "hang.yaml")
    screen.until("I begin.")
    screen.interrupt()
    assert screen.end() == 130
    assert f"stopped; it can go on with:  aqm resume {task} --script " in screen.said
