"""What a project must have agreed to: the whole table, and what counts as a widening flag."""

from __future__ import annotations

import pytest

from aqm.runtimes.base import Permissions
from aqm.runtimes.consent import confined, consent, widening

FULL, UNCONFINED = "permissions.allow_full", "permissions.allow_unconfined"


@pytest.mark.parametrize(
    ("runtime", "permissions", "needs"),
    [
        ("claude", "read", None),
        ("claude", "edit", None),
        ("claude", "run", UNCONFINED),
        ("claude", "full", FULL),
        ("gemini", "read", None),
        ("gemini", "edit", None),
        ("gemini", "run", UNCONFINED),
        ("gemini", "full", FULL),
        ("codex", "read", None),
        ("codex", "edit", None),
        ("codex", "run", None),
        ("codex", "full", FULL),
        ("command", "read", UNCONFINED),
        ("command", "edit", UNCONFINED),
        ("command", "run", UNCONFINED),
        ("command", "full", FULL),
        ("scripted", "run", None),
    ],
)
def test_what_needs_consent(runtime: str, permissions: Permissions, needs: str | None) -> None:
    refusal = consent(runtime, permissions, ())
    assert (refusal.setting if refusal else None) == needs
    assert confined(runtime, permissions) == (needs is None)
    if refusal:
        assert f"{needs}: true" in refusal.message, "the message must name the setting"
        assert consent(runtime, permissions, (), allow_full=True) is None
        allowed = consent(runtime, permissions, (), allow_unconfined=True)
        assert (allowed is None) == (needs == UNCONFINED)


@pytest.mark.parametrize(
    ("runtime", "flags"),
    [
        ("claude", ["--dangerously-skip-permissions"]),
        ("claude", ["--mcp-config", "evil.json"]),
        ("claude", ["--settings=evil.json"]),
        ("claude", ["--add-dir", "/"]),
        ("claude", ["--allowedTools", "Bash"]),
        ("claude", ["--permission-mode=bypassPermissions"]),
        ("claude", ["--setting-sources", "project"]),
        ("claude", ["--not-invented-yet"]),
        ("gemini", ["--yolo"]),
        ("gemini", ["-y"]),
        ("gemini", ["--approval-mode", "yolo"]),
        ("gemini", ["--include-directories", "/"]),
        ("codex", ["--dangerously-bypass-approvals-and-sandbox"]),
        ("codex", ["-s", "danger-full-access"]),
        ("codex", ["-c", "sandbox_mode=danger-full-access"]),
        ("codex", ["--config", "mcp_servers.x.command=sh"]),
        ("codex", ["--add-dir", "/"]),
    ],
)
def test_a_flag_that_widens_is_refused_until_it_is_allowed(runtime: str, flags: list[str]) -> None:
    refusal = consent(runtime, "read", flags)
    assert refusal is not None
    assert refusal.setting == "flags.allow"
    named = widening(runtime, flags)
    assert consent(runtime, "read", flags, allowed_flags=named) is None
    assert named[0] in refusal.message


@pytest.mark.parametrize(
    ("runtime", "flags"),
    [
        ("claude", ["--max-turns", "3", "--effort=high", "--disallowedTools", "WebFetch"]),
        ("gemini", ["--debug", "-m", "gemini-2.5-pro"]),
        ("codex", ["--ephemeral", "-c", "model_reasoning_effort=high"]),
    ],
)
def test_a_flag_that_changes_no_permission_needs_no_consent(runtime: str, flags: list[str]) -> None:
    assert consent(runtime, "read", flags) is None


def test_a_flag_cannot_hide_as_the_value_of_another() -> None:
    assert widening("gemini", ["-m", "--yolo"]) == ("--yolo",)
    assert widening("claude", ["--model", "--effort", "--add-dir"]) == ("--add-dir",)


def test_a_loose_word_is_no_value() -> None:
    assert widening("claude", ["--verbose", "do something else"]) == ("do something else",)


def test_allowing_a_flag_allows_no_other() -> None:
    flags = ["--add-dir", "/data", "--settings", "x"]
    refusal = consent("claude", "read", flags, allowed_flags=["--add-dir", "/data"])
    assert refusal is not None
    assert refusal.value == "[--settings]"


def test_allowing_c_allows_every_setting_of_codex() -> None:
    assert consent("codex", "read", ["-c", "a=1", "-c", "b=2"], allowed_flags=["-c"]) is None
    refusal = consent("codex", "read", ["-c", "a=1", "-c", "b=2"], allowed_flags=["-c a"])
    assert refusal is not None
    assert refusal.value == "[-c b]"
