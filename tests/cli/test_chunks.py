"""`chunks`: a task's units of work, changed by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.test_run import id_in

PIPELINE = """\
agents:
  - id: dev
    runtime: claude
    permissions: edit
    gate: {type: human}
    chunks: {initial: [Write the tests, "Read [/b]\\e[2J"]}
"""


@pytest.fixture
def task(project: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> str:
    """A task that waits, with two chunks."""
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(PIPELINE)
    (project / "says.yaml").write_text("agents: {dev: {say: Done.}}\n")
    monkeypatch.setenv("AQM_SCRIPT", str(project / "says.yaml"))
    return id_in(call("run", "Build it").stdout)


def listed(call: Call, task: str) -> list[tuple[str, str]]:
    found = json.loads(call("chunks", "list", task, "--json").stdout)["chunks"]
    return [(each["id"], each["status"]) for each in found]


def test_chunks_are_listed_with_how_many_are_done(task: str, call: Call) -> None:
    assert call("chunks", "done", task, "C-001").stdout == "C-001 done\n"
    lines = call("chunks", "list", task[:5]).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["CHUNK", "STATUS"],
        ["C-001", "done"],
        ["C-002", "open"],
        ["1", "of"],
    ]
    assert lines[2].endswith("Read [/b]")
    assert lines[3] == "1 of 2 done"


def test_chunks_are_added_finished_and_removed(task: str, call: Call) -> None:
    assert call("chunks", "add", task, "Write it down").stdout == "C-003 added\n"
    assert call("chunks", "add", task, "-", input="Read it\n").stdout == "C-004 added\n"
    assert call("chunks", "done", task, "c-001", "C-003").stdout == "C-001, C-003 done\n"
    assert call("chunks", "remove", task, "C-002").stdout == "C-002 removed\n"
    assert listed(call, task) == [("C-001", "done"), ("C-003", "done"), ("C-004", "open")]
    assert call("chunks", "done", task, "C-001").stdout == "Nothing was to be changed.\n"


def test_with_json_a_change_prints_the_list(task: str, call: Call) -> None:
    shown = json.loads(call("chunks", "add", task, "More", "--json").stdout)
    assert [each["id"] for each in shown["chunks"]] == ["C-001", "C-002", "C-003"]
    assert shown["chunks"][2] == {"id": "C-003", "status": "open", "text": "More"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["done", "{task}", "C-009"], 1, "there is no chunk C-009; known: C-001, C-002."),
        (["done", "{task}", "C-001", "nonsense"], 1, "there is no chunk nonsense"),
        (["add", "{task}", "  "], 2, "the chunk's text is empty"),
        (["add", "{task}", "two", "words"], 2, "Quote it: aqm chunks add"),
        (["done", "{task}"], 2, "Missing argument"),
        (["list", "T-ZZZZZZ"], 1, "no task T-ZZZZZZ"),
        (["lst", "{task}"], 2, "No such command 'lst'"),
    ],
)
def test_what_is_no_chunk_changes_none(
    task: str, call: Call, words: Sequence[str], code: int, said: str
) -> None:
    shown = call("chunks", *(word.format(task=task) for word in words))
    assert (shown.exit_code, shown.stdout) == (code, "")
    assert said in shown.stderr
    assert listed(call, task) == [("C-001", "open"), ("C-002", "open")]


def test_the_chunks_of_what_has_ended_stay(task: str, call: Call) -> None:
    call("approve", task)
    shown = call("chunks", "done", task, "C-001")
    assert shown.exit_code == 1
    assert f"{task} is completed; its chunks stay as they are." in shown.stderr


def test_a_task_without_chunks_says_so(call: Call, script: Path) -> None:
    task = id_in(call("run", "x", "--script", script).stdout)
    assert call("chunks", "list", task).stdout == "No chunks.\n"


@pytest.mark.parametrize("name", ["list", "add", "done", "remove"])
def test_each_has_examples(call: Call, name: str) -> None:
    shown = call("chunks", name, "--help")
    assert f"aqm chunks {name} T-4F2A9C" in shown.output
