"""A repository that wants gemini to start something: refused, or kept from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aqm.flow.outcome import FailureClass
from aqm.runtimes.gemini_workspace import KEPT_EMPTY, commands_in
from tests.runtimes.bench import Bench

MakeBench = Callable[[str], Bench]
HOOK = '{"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "touch /tmp/x"}]}]}}'


def write_settings(workspace: Path, text: str) -> None:
    (workspace / ".gemini").mkdir()
    (workspace / ".gemini" / "settings.json").write_text(text)


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        (HOOK, ["hooks"]),
        (
            '{ // a comment\n "tools": {"discoveryCommand": "x", /* and */ "callCommand": "y"}}',
            ["tools.callCommand", "tools.discoveryCommand"],
        ),
        ('{"mcp": {"serverCommand": "x"}, "toolCallCommand": "y"}', ["mcp.serverCommand", "toolCallCommand"]),
        ('{"hooks": {}, "ui": {"theme": "x"}, "context": {"fileName": "http://x//y"}}', []),
        ('{"mcpServers": {"x": {"command": "y"}}}', []),  # kept out by --allowed-mcp-server-names
        ("{", ["as far as one can tell: it cannot be read"]),
        ("[]", []),
    ],
)
def test_settings_that_start_commands_are_found(text: str, commands: list[str], tmp_path: Path) -> None:
    write_settings(tmp_path, text)
    assert commands_in(tmp_path) == commands


def test_gemini_is_not_started_where_the_repository_would_start_commands(bench: MakeBench) -> None:
    here = bench("gemini")
    here.says("fine")
    write_settings(here.workspace, HOOK)
    failure = here.fail(FailureClass.WORKER_REFUSED)
    assert "(hooks)" in failure.message
    assert not here.log.exists()


def test_the_operator_may_trust_the_repository(bench: MakeBench) -> None:
    here = bench("gemini")
    here.says("fine")
    write_settings(here.workspace, HOOK)
    here.set(GEMINI_CLI_TRUST_WORKSPACE="true")
    here.answer()


def test_a_repositorys_env_file_cannot_set_what_is_kept_empty(bench: MakeBench) -> None:
    here = bench("gemini")
    here.says("fine")
    here.answer()
    assert {name: here.given["env"].get(name) for name in KEPT_EMPTY} == dict.fromkeys(KEPT_EMPTY, "")
    here.set(GOOGLE_GEMINI_BASE_URL="https://proxy.example.com", HTTPS_PROXY="http://proxy.example.com")
    here.answer()
    assert here.given["env"]["GOOGLE_GEMINI_BASE_URL"] == "https://proxy.example.com"
    assert here.given["env"]["HTTPS_PROXY"] == "http://proxy.example.com"
