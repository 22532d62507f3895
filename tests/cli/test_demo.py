"""`demo`: the first thing that somebody types."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Call


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where throw-away projects go."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return temporary


def test_the_demonstration_runs_from_plan_to_approval_and_tells_where_everything_lies(
    call: Call, folder: Path
) -> None:
    shown = call("demo")
    assert shown.exit_code == 0
    assert "No agent CLI is called and nothing is spent: this plays a conversation" in shown.stdout
    headings = [line for line in shown.stdout.splitlines() if line.startswith("──")]
    assert [re.sub(r"\W", "", heading.split("·")[1].split("(")[0]) for heading in headings] == [
        "planner",
        "developer",
        "reviewer",
        "developer",
        "reviewer",
    ]
    assert shown.stdout.count("✗ rejected") == 1
    assert shown.stdout.count("✓ approved") == 1
    (made,) = folder.iterdir()
    assert (made / "auth" / "tokens.py").exists()
    task = re.search(r"(T-\w{6}) completed", shown.stdout)
    assert task
    for words in (f"cd {made}", f"aqm status {task[1]}", f"aqm logs {task[1]}", "aqm list", "aqm init"):
        assert words in shown.stdout
    assert call("--project", str(made), "status", task[1]).exit_code == 0


def test_an_unknown_runtime_is_refused_before_anything_is_written(call: Call, folder: Path) -> None:
    shown = call("demo", "--runtime", "cluade")
    assert shown.exit_code == 1
    assert "did you mean 'claude'?" in shown.stderr
    assert list(folder.iterdir()) == []


def test_a_team_s_database_is_left_alone(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQM_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert call("demo").exit_code == 0
