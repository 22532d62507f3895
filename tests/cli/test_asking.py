"""A task that waits asks right at the terminal that runs it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Call, Open, Terminal
from tests.cli.test_run import id_in

GATED = """\
agents:
  - id: dev
    runtime: claude
    permissions: edit
    gate: {type: human}
    handoffs:
      - {to: dev, condition: on_reject, payload: "{{ reject_reason }}"}
      - {to: qa, condition: on_approve}
  - {id: qa, runtime: claude, permissions: read}
"""
ASKED = """\
agents:
  - {id: dev, runtime: claude, permissions: edit, human_input: {mode: before, prompt: Which database?}}
"""
FANNED = """\
agents:
  - {id: plan, runtime: claude, permissions: read, handoffs: [{to: "left, right"}]}
  - id: left
    runtime: claude
    permissions: edit
    gate: {type: human, prompt: Left good?}
    handoffs: [{to: more}]
  - {id: right, runtime: claude, permissions: edit, gate: {type: human, prompt: Right good?}}
  - {id: more, runtime: claude, permissions: edit}
"""
SAYS = """\
agents:
  dev: [{say: Version one.}, {say: Version two.}]
  qa: {say: Looked at.}
  more: {say: And more.}
"""
VERDICT = "[a]pprove, [r]eject or [l]ater: "
INPUT = "your answer (Enter alone: later): "

Begin = Callable[..., Terminal]


@pytest.fixture
def begin(project: Path, terminal: Open) -> Begin:
    """A run of this pipeline on a terminal."""

    def begin(pipeline: str) -> Terminal:
        (project / ".aqm" / "pipelines" / "default.yaml").write_text(pipeline)
        (project / "says.yaml").write_text(SAYS)
        return terminal("--no-color", "run", "Build it", "--script", "says.yaml")

    return begin


def task_of(screen: Terminal) -> str:
    return id_in(screen.said)


def status(call: Call, task: str) -> str:
    return str(json.loads(call("status", task, "--json").stdout)["status"])


def test_a_gate_shows_the_work_and_the_question_and_an_approval_goes_on(begin: Begin) -> None:
    screen = begin(GATED)
    said = screen.until(VERDICT)
    assert said.endswith(
        "\n── 1 · dev waits for your approval ──\nVersion one.\n"
        "Is the work of Dev good enough to go on?\n" + VERDICT
    )
    screen.answer("a")
    assert screen.end() == 0
    after = screen.said.partition(VERDICT)[2]
    assert "  ✓ approved\n  ✓ dev · " in after
    assert "── 2 · qa (claude) ──\nLooked at.\n" in after


def test_a_rejection_asks_for_the_reason_which_goes_to_the_author(begin: Begin, call: Call) -> None:
    screen = begin(GATED)
    screen.until(VERDICT)
    screen.answer("maybe")
    screen.until("type a, r or l")
    screen.until(VERDICT, 2)
    screen.answer("r")
    screen.until("what is missing: ")
    screen.answer("")
    screen.until("a rejection needs a reason")
    screen.until(VERDICT, 3)
    screen.answer("reject")
    screen.until("what is missing: ", 2)
    screen.answer("no tests")
    screen.until(VERDICT, 4)
    assert "  ✗ rejected — no tests\n" in screen.said
    assert "── 2 · dev waits for your approval ──\nVersion two.\n" in screen.said
    screen.answer("y")
    assert screen.end() == 0
    stages = json.loads(call("status", task_of(screen), "--json").stdout)["stages"]
    assert [(stage["agent"], stage["gate"]) for stage in stages] == [
        ("dev", "rejected"),
        ("dev", "approved"),
        ("qa", None),
    ]


def test_a_question_is_answered_with_all_lines_that_were_pasted_together(begin: Begin) -> None:
    screen = begin(ASKED.replace("dev", "echo"))
    said = screen.until(INPUT)
    assert said.endswith("── 1 · echo asks you ──\nWhich database?\n" + INPUT)
    screen.answer("PostgreSQL,\nnot SQLite")
    assert screen.end() == 0
    assert "  · answered: PostgreSQL," in screen.said
    assert "> PostgreSQL,\n> not SQLite\n" in screen.said  # what the agent was given


@pytest.mark.parametrize("word", ["l", ""])
def test_later_leaves_the_task_waiting_and_says_what_to_type(begin: Begin, call: Call, word: str) -> None:
    screen = begin(GATED)
    screen.until(VERDICT)
    screen.answer(word)
    assert screen.end() == 3
    task = task_of(screen)
    assert f"next:  aqm approve {task} --stage 1 --script " in screen.said
    assert f'aqm reject {task} --stage 1 -r "WHY" --script ' in screen.said
    assert status(call, task) == "awaiting_gate"


def test_ctrl_c_at_a_question_means_later(begin: Begin, call: Call) -> None:
    screen = begin(ASKED)
    screen.until(INPUT)
    screen.interrupt()
    assert screen.end() == 3
    assert "stopping" not in screen.said
    assert "Traceback" not in screen.said
    assert f'next:  aqm human-input {task_of(screen)} "ANSWER" --stage 1' in screen.said
    assert status(call, task_of(screen)) == "awaiting_human_input"


def test_the_end_of_the_input_means_later(begin: Begin) -> None:
    screen = begin(GATED)
    screen.until(VERDICT)
    screen.press(b"\x04")
    assert screen.end() == 3


def test_what_was_typed_before_the_question_is_no_answer_to_it(
    begin: Begin, project: Path, terminal: Open
) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(GATED)
    (project / "slow.yaml").write_text("agents: {dev: {steps: [{say: I begin.}, {pause: 1}], say: Done.}}\n")
    screen = terminal("--no-color", "run", "Build it", "--script", "slow.yaml")
    screen.until("I begin.")
    screen.answer("a")
    screen.until(VERDICT)
    time.sleep(0.5)
    screen.answer("l")
    assert screen.end() == 3


def test_branches_that_wait_are_asked_one_after_the_other_and_nothing_prints_into_a_question(
    begin: Begin,
) -> None:
    screen = begin(FANNED)
    screen.until(VERDICT)
    assert "── 2 · /1.1 · left waits for your approval ──" in screen.said
    screen.answer("a")
    screen.until(VERDICT, 2)
    assert "── 3 · /1.2 · right waits for your approval ──" in screen.said
    time.sleep(1.5)  # `more` has its turn meanwhile
    screen.answer("a")
    assert screen.end() == 0
    question, _, after = screen.said.rpartition(VERDICT)
    assert "And more." not in question
    assert "And more." in after
    assert screen.said.count("waits for your approval") == 2


def test_one_branch_can_be_left_for_later_while_the_other_goes_on(begin: Begin, call: Call) -> None:
    screen = begin(FANNED)
    screen.until(VERDICT)
    screen.answer("l")
    screen.until(VERDICT, 2)
    screen.answer("a")
    assert screen.end() == 3
    stages = json.loads(call("status", task_of(screen), "--json").stdout)["stages"]
    assert [(stage["agent"], stage["waits"]) for stage in stages] == [
        ("plan", None),
        ("left", "gate"),
        ("right", None),
    ]


def test_an_answer_from_elsewhere_takes_the_question_back(begin: Begin, call: Call) -> None:
    screen = begin(GATED)
    screen.until(VERDICT)
    shown = call("approve", task_of(screen), "-r", "fine with me")
    assert shown.exit_code == 0
    assert re.fullmatch(r"T-\w{6}  approved; process \d+ will go on with it\n", shown.stdout)
    assert screen.end() == 0
    assert "stage 1 waits no longer: that was decided elsewhere" in screen.said
    assert "  ✓ approved — fine with me" in screen.said


def test_a_task_that_is_cancelled_elsewhere_takes_the_question_back(begin: Begin, call: Call) -> None:
    screen = begin(GATED)
    screen.until(VERDICT)
    assert call("cancel", task_of(screen)).exit_code == 0
    assert screen.end() == 4


def test_a_terminal_that_goes_away_leaves_the_task_waiting(begin: Begin, call: Call) -> None:
    screen = begin(GATED)
    screen.until(VERDICT)
    task = task_of(screen)
    screen.hang_up()
    assert screen.process.wait(20) in (-1, 130)
    assert status(call, task) == "awaiting_gate"


def test_a_resumed_task_asks_too(begin: Begin, call: Call, terminal: Open) -> None:
    screen = begin(GATED)
    screen.until(VERDICT)
    screen.answer("l")
    screen.end()
    again = terminal("--no-color", "resume", task_of(screen), "--script", "says.yaml")
    again.until(VERDICT)
    assert "Version one." in again.said
    again.answer("a")
    assert again.end() == 0


def test_with_json_nobody_is_asked(project: Path, terminal: Open) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(GATED)
    (project / "says.yaml").write_text(SAYS)
    screen = terminal("run", "Build it", "--script", "says.yaml", "--json")
    assert screen.end() == 3
    assert VERDICT not in screen.said


# Attached ----------------------------------------------------------------------------------------


def test_who_attaches_to_a_task_that_nobody_runs_is_asked_and_goes_on_with_it(
    begin: Begin, terminal: Open
) -> None:
    screen = begin(GATED)
    screen.until(VERDICT)
    screen.answer("l")
    screen.end()
    attached = terminal("--no-color", "attach", task_of(screen), AQM_SCRIPT="says.yaml")
    attached.until(VERDICT)
    attached.answer("a")
    assert attached.end() == 0
    assert "── 2 · qa (claude) ──\nLooked at.\n" in attached.said


def test_who_attaches_to_a_task_that_somebody_runs_answers_for_that_one(begin: Begin, terminal: Open) -> None:
    screen = begin(GATED)
    screen.until(VERDICT)
    attached = terminal("--no-color", "attach", task_of(screen)[:5])
    attached.until(VERDICT)
    attached.answer("a")
    assert attached.end() == 0
    assert "Looked at.\n" in attached.said
    assert screen.end() == 0
    assert "that was decided elsewhere" in screen.said


def test_attach_needs_a_terminal(call: Call) -> None:
    shown = call("attach", "T-ABC")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr == "error: aqm attach asks on a terminal, and this is none. Use: aqm watch T-ABC\n"
