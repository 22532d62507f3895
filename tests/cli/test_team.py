"""In a project whose tasks are in a team's database, commands write, and the team's workers go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from aqm.storage import migrate
from aqm.storage.database import Database
from tests.cli.conftest import Call, Open
from tests.cli.test_answering import detail
from tests.cli.test_run import id_in

PIPELINE = """\
agents:
  - id: dev
    runtime: claude
    permissions: edit
    gate: {type: human, when: before}
    human_input: {mode: before, prompt: Which one?}
"""


@pytest.fixture
def task(project: Path, call: Call, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A task of the team that waits at a gate."""
    database = Database(postgres_url)
    migrate.upgrade(database)
    database.close()
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(PIPELINE)
    monkeypatch.setenv("AQM_DATABASE_URL", postgres_url)
    monkeypatch.setenv("AQM_SCRIPT", str(project / "says.yaml"))
    (project / "says.yaml").write_text("agents: {dev: {say: Done.}}\n")
    shown = call("run", "Build it", "--detach")
    assert shown.exit_code == 0, shown.output
    return id_in(shown.stdout)


def test_answers_are_written_and_left_to_the_team_s_workers(task: str, call: Call) -> None:
    shown = call("approve", task)
    assert (shown.exit_code, shown.stdout) == (
        0,
        f"{task}  approved; the team's workers will go on with it\n",
    )
    assert detail(call, task)["status"] == "awaiting_human_input"
    shown = call("human-input", task, "The left one.", "--json")
    assert shown.exit_code == 0
    assert detail(call, task)["status"] == "in_progress"


def test_what_was_ended_is_begun_again_by_the_team_s_workers(task: str, call: Call) -> None:
    call("reject", task, "-r", "no")
    assert detail(call, task)["status"] == "failed"
    again = call("restart", task)
    assert (again.exit_code, again.stdout) == (0, f"{task}\n")
    assert detail(call, task)["status"] == "awaiting_gate"
    call("cancel", task)
    mended = call("fix", task, "More.")
    assert mended.exit_code == 0
    assert detail(call, mended.stdout.strip())["parent"] == task


def test_attached_to_a_team_s_task_an_answer_is_left_to_the_workers(task: str, terminal: Open) -> None:
    screen = terminal("--no-color", "attach", task)
    screen.until("[a]pprove")
    screen.answer("a")
    screen.until("your answer")
    screen.answer("The left one.")
    screen.until("answered: The left one.")
    screen.interrupt()
    assert screen.end() == 130
