"""`doctor` and `runtimes`: what this host has."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, besides the system's own; empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


def program(folder: Path, name: str, says: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)


def states(call: Call) -> dict[str, tuple[str, str]]:
    checks = json.loads(call("doctor", "--json").stdout)["checks"]
    return {check["name"]: (check["state"], check["cure"]) for check in checks}


def test_without_any_cli_the_doctor_says_how_to_get_each_and_ends_with_1(call: Call, path: Path) -> None:
    shown = call("doctor")
    assert shown.exit_code == 1
    found = states(call)
    for name in ("claude", "codex", "gemini"):
        assert found[name][0] == "missing"
        assert "npm install -g" in found[name][1]
    assert found["agents"] == ("missing", "Get it as said above. Until then: aqm demo")


def test_one_cli_that_is_logged_in_is_enough(call: Call, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(path, "claude", "2.1.330 (Claude Code)")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-a-real-key")
    shown = call("doctor")
    assert shown.exit_code == 0
    assert "✓ claude     2.1.330, logged in" in shown.stdout
    assert "not-a-real-key" not in shown.output
    assert states(call)["agents"][0] == "ok"


def test_a_cli_that_is_not_logged_in_is_a_warning_with_its_cure(call: Call, path: Path) -> None:
    program(path, "claude", "2.1.330 (Claude Code)")
    assert states(call)["claude"][0] == "warning"
    assert "Log in" in states(call)["claude"][1]
    assert call("doctor").exit_code == 1


def test_a_broken_pipeline_and_an_unreachable_database_are_found(
    call: Call, path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text("agents: []\n")
    monkeypatch.setenv("AQM_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/none")
    monkeypatch.setenv("AQM_BROKER_URL", "redis://:secret@127.0.0.1:1/0")
    shown = call("doctor")
    found = states(call)
    assert {name: found[name][0] for name in ("pipelines", "database", "broker")} == {
        "pipelines": "missing",
        "database": "missing",
        "broker": "missing",
    }
    assert "secret" not in shown.output


def test_a_team_s_redis_that_answers_is_fine(
    call: Call, path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQM_BROKER_URL", redis_url)
    assert states(call)["broker"][0] == "ok"


def test_the_doctor_creates_nothing(call: Call, path: Path, project: Path) -> None:
    before = sorted(project.rglob("*"))
    call("doctor")
    assert sorted(project.rglob("*")) == before


def test_outside_a_project_the_host_is_looked_at_all_the_same(
    call: Call, path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shown = call("--project", tmp_path_factory.mktemp("bare"), "doctor")
    assert "! project    there is none here\n             Create one with: aqm init\n" in shown.stdout


def test_a_script_that_replaces_every_cli_is_pointed_out(
    call: Call, path: Path, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQM_SCRIPT", str(script))
    assert states(call)["script"][0] == "warning"


def test_the_runtimes_are_listed_with_what_each_needs(call: Call, path: Path) -> None:
    program(path, "codex", "codex-cli 0.169.0")
    lines = call("runtimes").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "RUNTIME",
        "claude",
        "codex",
        "command",
        "gemini",
        "scripted",
    ]
    found = {each["name"]: each for each in json.loads(call("runtimes", "--json").stdout)["runtimes"]}
    assert (found["codex"]["found"], found["codex"]["version"]) == (True, "0.169.0")
    assert (found["claude"]["found"], found["command"]["found"]) == (False, True)


COMMANDS = "agents: [{id: a, runtime: command, command: [echo, hi]}]\n"


def test_a_project_that_calls_no_cli_misses_none(call: Call, path: Path, project: Path) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(COMMANDS)
    shown = call("doctor")
    assert shown.exit_code == 0
    assert states(call)["agents"] == ("ok", "")
    assert "the pipelines need no agent CLI" in shown.stdout


def test_the_cli_that_the_default_pipeline_needs_must_be_there(
    call: Call, path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path, "claude", "2.1.330 (Claude Code)")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-a-real-key")
    pipelines = project / ".aqm" / "pipelines"
    (pipelines / "default.yaml").write_text("agents: [{id: a, runtime: codex}]\n")
    assert call("doctor").exit_code == 1
    assert states(call)["agents"][0] == "missing"
    (pipelines / "default.yaml").write_text(COMMANDS)
    (pipelines / "other.yaml").write_text("agents: [{id: a, runtime: codex}]\n")
    shown = call("doctor")
    assert shown.exit_code == 0
    assert states(call)["agents"][0] == "warning"
    assert "not ready: codex" in shown.stdout
