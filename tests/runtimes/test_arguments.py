"""What each CLI is started with: flags, files, variables."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aqm.flow.outcome import FailureClass
from aqm.runtimes.base import McpServer
from tests.runtimes.bench import Bench

MakeBench = Callable[[str], Bench]
LAB = McpServer(
    "lab", "lab-server", ("--fast",), {"TOKEN": "${LAB_TOKEN}", "PLAIN": "p", "KEY": "secret://LAB_KEY"}
)


def argv(here: Bench, **changes: Any) -> list[str]:
    here.says("fine")
    here.answer(**changes)
    given: list[str] = here.given["argv"][1:]
    return given


def after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def settings(words: list[str]) -> dict[str, Any]:
    """codex's `-c key=value`, as TOML reads them."""
    pairs = [words[place + 1] for place, word in enumerate(words) if word == "-c"]
    return tomllib.loads("\n".join(pairs))


# claude ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "words"),
    [
        ("read", ["--permission-mode", "dontAsk", "--tools", "Read,Grep,Glob"]),
        ("edit", ["--permission-mode", "acceptEdits", "--tools", "Read,Edit,Write,NotebookEdit,Grep,Glob"]),
        ("run", ["--permission-mode", "acceptEdits", "--allowedTools", "Bash"]),
        ("full", ["--permission-mode", "bypassPermissions"]),
    ],
)
def test_claude_is_given_its_permission_mode(permissions: str, words: list[str], bench: MakeBench) -> None:
    given = argv(bench("claude"), permissions=permissions)
    start = given.index("--permission-mode")
    assert given[start:] == words


def test_claude_takes_nothing_that_could_start_commands_from_the_repository(bench: MakeBench) -> None:
    here = bench("claude")
    given = argv(here)
    assert after(given, "--setting-sources") == "user"
    assert "--strict-mcp-config" in given
    env = here.given["env"]
    assert env["CLAUDE_CODE_DISABLE_FILE_MENTIONS"] == "1", "@/etc/passwd in a text would be read"


def test_claudes_own_retries_and_updates_are_off_unless_the_operator_says_otherwise(bench: MakeBench) -> None:
    here = bench("claude")
    argv(here)
    assert here.given["env"]["CLAUDE_CODE_MAX_RETRIES"] == "0"
    assert here.given["env"]["DISABLE_AUTOUPDATER"] == "1"
    here.set(CLAUDE_CODE_MAX_RETRIES="4")
    argv(here)
    assert here.given["env"]["CLAUDE_CODE_MAX_RETRIES"] == "4"


def test_claude_model_conversation_schema_and_flags(bench: MakeBench) -> None:
    here = bench("claude")
    schema = {"type": "object"}
    given = argv(here, model="opus", conversation="c-1", schema=schema, flags=("--max-turns", "3"))
    assert after(given, "--model") == "opus"
    assert after(given, "--resume") == "c-1"
    assert json.loads(after(given, "--json-schema")) == schema
    assert given[-2:] == ["--max-turns", "3"]


@pytest.mark.parametrize(("name", "first"), [("claude", "\n/help"), ("gemini", "Message:\n/help")])
def test_a_message_is_never_a_command_of_the_cli(name: str, first: str, bench: MakeBench) -> None:
    here = bench(name)
    argv(here, text="/help me")
    assert here.given["stdin"].startswith(first)


def _private_files(here: Bench) -> list[Path]:
    return [path for path in here.log.parent.rglob("*") if path.name.startswith("aqm-turn-")]


def test_claude_reads_system_text_and_servers_from_private_files_that_are_gone_afterwards(
    bench: MakeBench,
) -> None:
    here = bench("claude")
    here.set(LAB_TOKEN="t0p$HOME", LAB_KEY="k")
    given = argv(here, system="be brief", mcp=(LAB,))
    assert "t0p" not in json.dumps(given)
    assert "t0p" not in json.dumps(here.given["env"])
    assert after(given, "--system-prompt-snapshot") == "off"
    assert after(given, "--allowedTools") == "Bash,mcp__lab"
    files = {Path(path).name: text for path, text in here.given["files"].items()}
    assert files["system.md"] == {"text": "be brief", "mode": "600", "folder": "700"}
    assert json.loads(files["mcp.json"]["text"]) == {
        "mcpServers": {
            "lab": {
                "command": "lab-server",
                "args": ["--fast"],
                "env": {"TOKEN": "t0p$HOME", "PLAIN": "p", "KEY": "k"},
            }
        }
    }
    assert _private_files(here) == []


@pytest.mark.parametrize("name", ["claude", "gemini", "codex"])
@pytest.mark.parametrize("value", ["$MISSING", "secret://MISSING", "x-${AQM_TOKEN}"])
def test_a_server_without_its_secret_is_not_started(name: str, value: str, bench: MakeBench) -> None:
    here = bench(name)
    here.set(AQM_TOKEN="ours")
    failure = here.fail(FailureClass.AUTH, mcp=(McpServer("lab", "x", (), {"TOKEN": value}),))
    assert "the MCP server 'lab' needs" in failure.message
    assert not here.log.exists()


@pytest.mark.parametrize("name", ["claude", "gemini", "codex"])
def test_a_servers_variable_must_have_a_name(name: str, bench: MakeBench) -> None:
    servers = (McpServer("lab", "x", (), {"A; touch /tmp/x;": "1"}),)
    assert "no valid name" in bench(name).fail(FailureClass.AUTH, mcp=servers).message


# gemini ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "mode"), [("read", "default"), ("edit", "auto_edit"), ("run", "yolo"), ("full", "yolo")]
)
def test_gemini_is_given_its_approval_mode(permissions: str, mode: str, bench: MakeBench) -> None:
    assert after(argv(bench("gemini"), permissions=permissions), "--approval-mode") == mode


def test_gemini_model_conversation_and_flags(bench: MakeBench) -> None:
    here = bench("gemini")
    given = argv(here, model="gemini-2.5-pro", conversation="c-1", flags=("--debug",))
    assert given[:4] == ["-p", "", "-o", "stream-json"]
    assert (after(given, "-m"), after(given, "--resume"), given[-1]) == ("gemini-2.5-pro", "c-1", "--debug")
    assert here.given["env"]["GEMINI_CLI_NO_RELAUNCH"] == "true"
    assert here.given["env"]["NODE_COMPILE_CACHE"].endswith("/home/.cache/aqm/node")


def test_gemini_starts_no_server_that_the_repository_names(bench: MakeBench) -> None:
    here = bench("gemini")
    assert after(argv(here), "--allowed-mcp-server-names") == f"none-{here.prompt.mark}"
    here.set(LAB_TOKEN="t", LAB_KEY="k")
    assert after(argv(here, mcp=(LAB,)), "--allowed-mcp-server-names") == "lab"


def test_gemini_servers_come_in_a_home_of_the_turns_own(bench: MakeBench, tmp_path: Path) -> None:
    here = bench("gemini")
    state = tmp_path / "home" / ".gemini"
    state.mkdir()
    (state / "oauth_creds.json").write_text("log-in")
    (state / "settings.json").write_text('{"ui": {"theme": "x"}, "mcpServers": {"mine": {"command": "m"}}}')
    here.set(LAB_TOKEN="t", LAB_KEY="k")
    argv(here, mcp=(LAB,))
    files = {Path(path).name: text["text"] for path, text in here.given["files"].items()}
    assert files["oauth_creds.json"] == "log-in"
    shown = json.loads(files["settings.json"])
    assert (shown["ui"], set(shown["mcpServers"])) == ({"theme": "x"}, {"mine", "lab"})
    assert shown["mcpServers"]["lab"]["env"]["TOKEN"] == "t"
    assert json.loads((state / "settings.json").read_text())["mcpServers"].keys() == {"mine"}
    assert _private_files(here) == []


def test_what_gemini_writes_into_the_turns_home_comes_home(bench: MakeBench, tmp_path: Path) -> None:
    here = bench("gemini")
    here.set(LAB_TOKEN="t", LAB_KEY="k")
    state = tmp_path / "home" / ".gemini"
    state.mkdir()
    (state / "projects.json").write_text("old")
    here.plays(
        ["replace", "$GEMINI_CLI_HOME/.gemini/projects.json", "new"],
        ["replace", "$GEMINI_CLI_HOME/.gemini/tmp/chat.jsonl", "said"],
        ["say", '{"type": "result", "status": "success"}'],
    )
    here.answer(mcp=(LAB,))
    assert (state / "projects.json").read_text() == "new"
    assert (state / "tmp" / "chat.jsonl").read_text() == "said"


def test_gemini_cannot_be_given_a_secret_with_a_dollar_sign(bench: MakeBench) -> None:
    here = bench("gemini")
    here.set(LAB_TOKEN="pa$word", LAB_KEY="k")
    assert "dollar sign" in here.fail(FailureClass.AUTH, mcp=(LAB,)).message


def test_a_prompt_that_gemini_would_cut_fails_up_front(bench: MakeBench) -> None:
    here = bench("gemini")
    failure = here.fail(FailureClass.CONTEXT_OVERFLOW, text="ä" * (4 * 1024 * 1024 + 1))
    assert "8,388,610 bytes" in failure.message
    assert not here.log.exists()


# codex -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "sandbox"),
    [
        ("read", "read-only"),
        ("edit", "workspace-write"),
        ("run", "workspace-write"),
        ("full", "danger-full-access"),
    ],
)
def test_codex_is_given_its_sandbox_and_tmp_is_closed(
    permissions: str, sandbox: str, bench: MakeBench
) -> None:
    given = settings(argv(bench("codex"), permissions=permissions))
    assert (given["sandbox_mode"], given["approval_policy"]) == (sandbox, "never")
    closed = {"exclude_slash_tmp": True, "exclude_tmpdir_env_var": True}
    assert given.get("sandbox_workspace_write", closed) == closed
    assert ("sandbox_workspace_write" in given) == (sandbox == "workspace-write")


def test_codex_goes_on_with_a_conversation(bench: MakeBench) -> None:
    here = bench("codex")
    fresh = argv(here, model="gpt-x", flags=("--ephemeral",))
    assert fresh[:3] == ["exec", "--json", "--skip-git-repo-check"]
    assert (after(fresh, "-m"), fresh[-2:]) == ("gpt-x", ["--ephemeral", "-"])
    resumed = argv(here, conversation="c-1")
    assert resumed[:2] == ["exec", "resume"]
    assert resumed[-2:] == ["c-1", "-"]
    assert not {"-s", "-C"} & set(resumed), "resume does not know them"


@pytest.mark.parametrize(
    "text", ['"quoted" \\ back', "line\nline\ttab", "\x1b\x7f\x01", "ä \N{ROCKET}", "$HOME"]
)
def test_codex_reads_the_system_text_as_it_is(text: str, bench: MakeBench) -> None:
    assert settings(argv(bench("codex"), system=text))["developer_instructions"] == text


def test_a_system_text_too_long_for_an_argument_comes_before_the_message(bench: MakeBench) -> None:
    here = bench("codex")
    given = argv(here, system="S" * 200_000, text="the message")
    assert "developer_instructions" not in settings(given)
    assert here.given["stdin"].endswith("S\n\n---\n\nthe message")


def test_codex_structured_output_is_asked_by_file(bench: MakeBench) -> None:
    here = bench("codex")
    given = argv(here, schema={"type": "object"})
    assert json.loads(here.given["files"][after(given, "--output-schema")]["text"]) == {"type": "object"}
    assert _private_files(here) == []


def test_codex_servers_get_their_secrets_through_variables_that_the_agents_shell_does_not_see(
    bench: MakeBench,
) -> None:
    here = bench("codex")
    here.set(LAB_TOKEN="t0p", LAB_KEY="k3y")
    other = McpServer("other one", "x", (), {"TOKEN": "another"})
    given = argv(here, mcp=(LAB, other, McpServer("bare", "b")))
    assert "t0p" not in json.dumps(given)
    shown = settings(given)
    lab = shown["mcp_servers"]["lab"]
    assert lab["env_vars"] == ["AQM_MARK", "MCP_VALUE_0_TOKEN", "MCP_VALUE_0_PLAIN", "MCP_VALUE_0_KEY"]
    assert (lab["command"], lab["args"][0], lab["args"][2:]) == ("/bin/sh", "-c", ["lab-server", "--fast"])
    assert 'export TOKEN="$MCP_VALUE_0_TOKEN"' in lab["args"][1]
    assert shown["mcp_servers"]["bare"]["command"] == "b"
    assert shown["shell_environment_policy"]["exclude"] == ["MCP_VALUE_*"]
    env = here.given["env"]
    assert (env["MCP_VALUE_0_TOKEN"], env["MCP_VALUE_1_TOKEN"]) == ("t0p", "another")


def test_a_prompt_that_codex_would_refuse_fails_up_front(bench: MakeBench) -> None:
    here = bench("codex")
    assert "1,048,577" in here.fail(FailureClass.CONTEXT_OVERFLOW, text="x" * 1_048_577).message
    assert not here.log.exists()


# command ---------------------------------------------------------------------------------------------


def test_a_command_is_run_as_it_is_written(bench: MakeBench) -> None:
    here = bench("command")
    given = argv(here, command=(*here.prompt.command, "a b", "$HOME", "*"))
    assert given == ["a b", "$HOME", "*"]


def test_a_command_that_fails_keeps_what_it_printed(bench: MakeBench) -> None:
    here = bench("command")
    here.plays(["say", "3 tests failed"], ["exit", 1])
    failure = here.fail(FailureClass.CRASH)
    assert (failure.partial, failure.exit_code) == ("3 tests failed", 1)
    assert "3 tests failed" in failure.message


def test_an_agent_without_a_command_is_told(bench: MakeBench) -> None:
    assert "has no `command`" in bench("command").fail(FailureClass.CRASH, command=()).message


@pytest.mark.parametrize("name", ["claude", "gemini", "codex"])
def test_a_flag_of_the_pipeline_that_the_cli_does_not_know_is_the_authors(
    name: str, bench: MakeBench
) -> None:
    here = bench(name)
    here.plays(["complain", "error: unknown option '--shiny'"], ["exit", 1])
    assert "cli_flags" in here.fail(FailureClass.CRASH, flags=("--shiny",)).message
    assert "this version" in here.fail(FailureClass.CLI_TOO_OLD).message


def test_claude_as_root_does_not_take_full(bench: MakeBench) -> None:
    here = bench("claude")
    said = "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons"
    here.plays(["complain", said], ["exit", 1])
    assert "IS_SANDBOX" in here.fail(FailureClass.WORKER_REFUSED, permissions="full").message


def test_claudes_limit_tells_when_it_resets(bench: MakeBench) -> None:
    here = bench("claude")
    info = {"status": "rejected", "resetsAt": int(time.time()) + 1800}
    here.plays(
        ["say", json.dumps({"type": "rate_limit_event", "rate_limit_info": info})],
        ["say", json.dumps({"type": "result", "is_error": True, "api_error_status": 429, "result": "limit"})],
        ["exit", 1],
    )
    resets = here.fail(FailureClass.RATE_LIMITED).resets_in
    assert resets is not None
    assert 1790 < resets <= 1800


def test_what_claude_says_of_a_whole_conversation_is_not_this_turns_cost(bench: MakeBench) -> None:
    here = bench("claude")
    result = {"type": "result", "result": "ok", "total_cost_usd": 0.5, "usage": {"input_tokens": 3}}
    here.plays(["say", json.dumps(result)])
    assert here.answer().usage.cost_usd == 0.5
    assert here.answer(conversation="c").usage.cost_usd is None


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (["Attempt 1 failed with status 429. Retrying with backoff..."], FailureClass.RATE_LIMITED),
        ([f"Attempt {n} failed. Retrying with backoff..." for n in (1, 2, 3)], FailureClass.OVERLOADED),
    ],
)
def test_gemini_is_not_left_waiting_for_minutes(
    lines: list[str], kind: FailureClass, bench: MakeBench
) -> None:
    here = bench("gemini")
    here.plays(*(["complain", line] for line in lines), ["sleep", 60])
    began = time.monotonic()
    assert here.fail(kind).message
    assert time.monotonic() - began < 4


def test_gemini_may_try_twice_by_itself(bench: MakeBench) -> None:
    here = bench("gemini")
    lines = [f"Attempt {n} failed with status 503. Retrying with backoff..." for n in (1, 2)]
    here.plays(
        *(["complain", line] for line in lines),
        ["say", '{"type": "message", "role": "assistant", "content": "after all"}'],
        ["say", '{"type": "result", "status": "success"}'],
    )
    assert here.answer().text == "after all"
