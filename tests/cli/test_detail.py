"""`status`, `logs` and their JSON for tasks with sessions, branches and people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call
from tests.cli.test_run import id_in

PIPELINE = """\
agents:
  - id: council
    type: session
    participants: [architect, security]
    summary_agent: architect
    max_rounds: 3
    handoffs: [{to: "left, right"}]
  - {id: architect, runtime: claude, permissions: read}
  - {id: security, runtime: claude, permissions: read}
  - {id: left, runtime: claude, permissions: edit, handoffs: [{to: merge}]}
  - id: right
    runtime: claude
    permissions: edit
    gate: {type: human, prompt: "Is it right?"}
    handoffs: [{to: merge}]
  - {id: merge, runtime: claude, permissions: edit, join: all, human_input: {mode: before, prompt: Where?}}
"""
SAYS = """\
agents:
  architect:
    speak: [{say: JWT.}, {fail: crash}, {say: "VOTE: AGREE"}]
    summary: {say: JWT it is.}
  security: {speak: [{say: "VOTE: AGREE"}, {say: "VOTE: DISAGREE"}, {say: "VOTE: AGREE"}]}
  left: {say: Left.}
  right: {say: Right.}
  merge: {say: Merged.}
"""


@pytest.fixture
def task(project: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> str:
    """A task that waits at the gate of its second branch."""
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(PIPELINE)
    (project / "says.yaml").write_text(SAYS)
    monkeypatch.setenv("AQM_SCRIPT", str(project / "says.yaml"))
    shown = call("run", "Build it")
    assert shown.exit_code == 3, shown.output
    return id_in(shown.stdout)


def detail(call: Call, task: str) -> Any:
    return json.loads(call("status", task, "--json").stdout)


def test_a_detail_shows_rounds_branches_questions_and_what_to_type(task: str, call: Call) -> None:
    lines = [line.rstrip() for line in call("status", task).stdout.splitlines()]
    at = lines.index("     round 1: architect, security ✓")
    assert lines[at + 1 : at + 5] == [
        "     round 2: architect absent (crash), security ✗",
        "     round 3: architect ✓, security ✓",
        "     consensus after 3 rounds",
        "     summary: architect",
    ]
    assert any(line.startswith("  2  left  /1.1  done") for line in lines)
    at = next(n for n, line in enumerate(lines) if line.startswith("  3  right  /1.2  open"))
    assert lines[at + 1 : at + 5] == [
        "     Right.",
        "     ? Is it right?",
        f"       aqm approve {task} --stage 3",
        f'       aqm reject {task} --stage 3 -r "WHY"',
    ]
    assert "  …  left /1.1 waits at merge" in lines
    assert lines[-1] == f"next:  aqm attach {task}   aqm logs {task}   aqm cancel {task}"


def test_a_join_names_what_it_brought_together(task: str, call: Call) -> None:
    assert call("approve", task).exit_code == 3
    shown = call("status", task).stdout
    assert "     ⇥ joined left, right\n     ? Where?\n" in shown
    assert f'       aqm human-input {task} "ANSWER" --stage 4\n' in shown
    assert "waits at" not in shown


def test_the_json_of_a_detail_has_waits_rounds_votes_and_branches(task: str, call: Call) -> None:
    shown = detail(call, task)
    council, left, right = shown["stages"]
    assert (council["round"], council["consensus"], council["branch"]) == (3, True, "")
    said = [(a["kind"], a["agent"], a["round"], a["vote"], a["failure"]) for a in council["attempts"]]
    assert said == [
        ("speak", "architect", 1, None, None),
        ("speak", "security", 1, True, None),
        ("speak", "architect", 2, None, "crash"),
        ("speak", "security", 2, False, None),
        ("speak", "architect", 3, True, None),
        ("speak", "security", 3, True, None),
        ("summary", "architect", None, None, None),
    ]
    assert (left["branch"], left["waits"], left["question"], left["round"]) == ("/1.1", None, None, None)
    assert (right["branch"], right["waits"], right["question"]) == ("/1.2", "gate", "Is it right?")
    assert (right["consensus"], right["joined"], right["cancelled"]) == (None, [], False)
    assert shown["parked"] == [{"branch": "/1.1", "at": "merge"}]
    call("approve", task)
    assert detail(call, task)["stages"][3]["joined"] == ["/1.1", "/1.2"]


def test_logs_show_who_spoke_in_which_round_and_branch(task: str, call: Call) -> None:
    lines = call("logs", task).stdout.splitlines()
    assert [line for line in lines if line.startswith("──")] == [
        "── 1 · council · round 1 · architect ──",
        "── 1 · council · round 1 · security ──",
        "── 1 · council · round 2 · architect ──",
        "── 1 · council · round 2 · security ──",
        "── 1 · council · round 3 · architect ──",
        "── 1 · council · round 3 · security ──",
        "── 1 · council · summary · architect ──",
        "── 2 · left · /1.1 ──",
        "── 3 · right · /1.2 ──",
    ]
    entries = json.loads(call("logs", task, "--json").stdout)["entries"]
    assert [(e["session"], e["round"], e["branch"]) for e in entries[5:8]] == [
        ("council", 3, ""),
        ("council", None, ""),
        (None, None, "/1.1"),
    ]


def test_a_task_with_branches_that_wait_can_be_cancelled(task: str, call: Call) -> None:
    assert call("cancel", task).stdout == f"{task} cancelled\n"
    shown = detail(call, task)
    assert [(stage["agent"], stage["status"], stage["cancelled"]) for stage in shown["stages"]] == [
        ("council", "done", False),
        ("left", "done", False),
        ("right", "dropped", True),
    ]
    assert shown["parked"] == []
    late = call("approve", task)
    assert late.exit_code == 1
    assert f"{task} is cancelled and waits for no approval" in late.stderr


def test_watching_a_task_that_rests_says_how_and_ends_as_it_does(task: str, call: Call) -> None:
    shown = call("watch", task[:5])
    assert shown.exit_code == 3
    assert shown.stdout.startswith(f"{task}  Build it\n── 3 · right (claude) ──\nRight.\n")
    assert "council" not in shown.stdout
    assert f"next:  aqm approve {task} --stage 3" in shown.stdout
    call("approve", task)
    call("human-input", task, "Here.")
    over = call("watch", task)
    assert over.exit_code == 0
    assert [line.split(" · ")[0] for line in over.stdout.splitlines()[:2]] == [
        f"{task}  Build it",
        f"{task} completed",
    ]
