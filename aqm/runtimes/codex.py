"""Codex CLI (`codex exec`): its command line, its events, its errors."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from aqm.flow.outcome import Failure, FailureClass, Outcome, Usage
from aqm.runtimes import mcp
from aqm.runtimes.arguments import flagged, not_prepared, toml, unknown_flag, with_system
from aqm.runtimes.base import Host, McpServer, OnLive, Permissions, Probe, Prompt, Stop
from aqm.runtimes.diagnosis import Trouble, diagnose
from aqm.runtimes.environment import environment
from aqm.runtimes.lines import clean, parse
from aqm.runtimes.presence import presence
from aqm.runtimes.private import private_folder, write_private
from aqm.runtimes.process import Command, Enough, Exit
from aqm.runtimes.stream import Explain, Said, count_at, items_at, mapping_at, play, tail, text_at
from aqm.runtimes.tree import MARK

__all__ = ["Codex"]

STDIN_LIMIT = 1_048_576  # characters
ARGUMENT_LIMIT = 100_000  # bytes; the kernel's limit for one argument is 131,072

_SANDBOXES: dict[Permissions, str] = {
    "read": "read-only",
    "edit": "workspace-write",
    "run": "workspace-write",
    "full": "danger-full-access",
}
# its sandbox would leave /tmp and TMPDIR open, which all turns of the host share
_CLOSED = ("sandbox_workspace_write.exclude_slash_tmp", "sandbox_workspace_write.exclude_tmpdir_env_var")
_TOOLS = {"command_execution": "shell", "file_change": "edit", "web_search": "web_search"}
# Its retries cannot be bounded without replacing the user's provider, so ours is to end it: at a limit it
# would wait for as long as the vendor says, and without a network for ever.
_RECONNECTING = re.compile(r"^Reconnecting\.\.\.[^(]*\(?(.*?)\)?$", re.DOTALL)
_OFFLINE_NOTICES = 2


class Codex:
    """The runtime `codex`."""

    name = "codex"
    harmless: Mapping[str, bool] = {
        "--ephemeral": False,
        "--model": True,
        "-m": True,
        "-c model_reasoning_effort": True,
        "-c model_reasoning_summary": True,
        "-c model_verbosity": True,
    }

    def confined(self, permissions: Permissions) -> bool:
        """Whether the CLI itself keeps the agent inside its workspace: the OS's sandbox does."""
        return permissions != "full"

    def probe(self, host: Host) -> Probe:
        home = Path(host.environ.get("CODEX_HOME") or Path(host.environ.get("HOME") or "/") / ".codex")
        return presence(
            host,
            "codex",
            environ=environment(host, prefixes=("OPENAI_", "CODEX_")),
            keys=("CODEX_API_KEY", "OPENAI_API_KEY"),
            files=(home / "auth.json",),
            package="@openai/codex",
            log_in="codex login, or set CODEX_API_KEY",
        )

    def run(self, prompt: Prompt, host: Host, on_live: OnLive, stop: Stop) -> Outcome:
        in_argv = len(prompt.system.encode("utf-8", "replace")) <= ARGUMENT_LIMIT
        message = clean(prompt.text if in_argv else with_system(prompt))
        if len(message) > STDIN_LIMIT:
            text = f"the prompt has {len(message):,} characters; codex takes {STDIN_LIMIT:,}"
            return Failure(FailureClass.CONTEXT_OVERFLOW, text)
        said = Said(on_live, conversation=prompt.conversation)
        with ExitStack() as stack:
            try:
                servers, secrets = _servers(mcp.with_values(prompt.mcp, host.environ))
                schema = _schema_file(prompt, host, stack)
            except (mcp.McpError, OSError) as error:
                return not_prepared(error)
            settings = {**_settings(prompt, in_argv), **servers}
            command = Command(
                argv=tuple(clean(word) for word in _argv(prompt, settings, schema)),
                cwd=prompt.workspace,
                env=environment(host, prefixes=("OPENAI_", "CODEX_"), extra=secrets),
                mark=prompt.mark,
                stdin=message.encode(),
                wall=prompt.timeout,
                idle=prompt.idle_timeout,
                protection=host.protection,
            )
            reader = _Reader(said, prompt)
            return play(
                "codex",
                command,
                said,
                reader.read,
                stop,
                explain=_explain(prompt),
                on_error_line=reader.read_error,
            )


def _argv(prompt: Prompt, settings: Mapping[str, str], schema: Path | None) -> list[str]:
    """`resume` knows fewer flags than `exec`; what both need is said as settings."""
    return [
        *("codex", "exec"),
        *(("resume",) if prompt.conversation else ()),
        *("--json", "--skip-git-repo-check"),
        *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
        *flagged("-m", prompt.model),
        *flagged("--output-schema", str(schema) if schema else None),
        *prompt.flags,
        *((prompt.conversation,) if prompt.conversation else ()),
        "-",
    ]


def _settings(prompt: Prompt, system_in_argv: bool) -> dict[str, str]:
    settings = {"approval_policy": toml("never"), "sandbox_mode": toml(_SANDBOXES[prompt.permissions])}
    if _SANDBOXES[prompt.permissions] == "workspace-write":
        settings |= dict.fromkeys(_CLOSED, "true")
    if prompt.system and system_in_argv:
        settings["developer_instructions"] = toml(clean(prompt.system))
    return settings


def _schema_file(prompt: Prompt, host: Host, stack: ExitStack) -> Path | None:
    if prompt.schema is None:
        return None
    folder = stack.enter_context(private_folder(host))
    return write_private(folder / "schema.json", json.dumps(prompt.schema))


def _servers(servers: tuple[McpServer, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Settings that start the servers, and the variables with their secrets.

    A server's variables go through codex's environment under names of ours and are kept from the agent's
    shell; a shell around the server gives them their own names back. So no value stands in an argv or file.
    """
    tables: list[str] = []
    secrets: dict[str, str] = {}
    for number, server in enumerate(servers):
        renamed = {f"MCP_VALUE_{number}_{key}": key for key in server.env}
        secrets |= {ours: server.env[key] for ours, key in renamed.items()}
        tables.append(f"{toml(server.name)}={_table(server, renamed)}")
    if not tables:
        return {}, {}
    settings = {"mcp_servers": "{" + ",".join(tables) + "}"}
    if secrets:
        settings["shell_environment_policy.exclude"] = '["MCP_VALUE_*"]'
    return settings, secrets


def _table(server: McpServer, renamed: Mapping[str, str]) -> str:
    words = [server.command, *server.args]
    if renamed:
        exports = "".join(f'export {key}="${ours}"; unset {ours}; ' for ours, key in renamed.items())
        words = ["/bin/sh", "-c", f'{exports}exec "$0" "$@"', *words]
    names = ",".join(toml(name) for name in (MARK, *renamed))
    args = ",".join(toml(clean(word)) for word in words[1:])
    approval = 'default_tools_approval_mode="approve"'  # the author has named the server; nobody can be asked
    return f"{{command={toml(clean(words[0]))},args=[{args}],env_vars=[{names}],{approval}}}"


# Events ----------------------------------------------------------------------------------------------


class _Reader:
    def __init__(self, said: Said, prompt: Prompt) -> None:
        self.said, self.prompt = said, prompt
        self.started: set[str] = set()
        self.offline = 0

    def read(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "thread.started":
                self.said.conversation = text_at(event, "thread_id") or self.said.conversation
            case "item.started" | "item.completed":
                self._item(mapping_at(event, "item"), done=event["type"] == "item.completed")
            case "error":
                self._error(text_at(event, "message"))
            case "turn.completed":
                self._completed(mapping_at(event, "usage"))
            case "turn.failed":
                self.said.final = True
                self.said.trouble = _trouble(text_at(mapping_at(event, "error"), "message"))

    def _item(self, item: Mapping[str, Any], *, done: bool) -> None:
        match item.get("type"):
            case "agent_message" if done:
                self.said.begin_message()
                self.said.say(text_at(item, "text"))
            case "reasoning" if done:
                self.said.think(text_at(item, "text"))
            case "error" if done:
                self.said.notice(text_at(item, "message"))
            case "command_execution" | "file_change" | "mcp_tool_call" | "web_search":
                self._tool(item, done)

    def _tool(self, item: Mapping[str, Any], done: bool) -> None:
        id = text_at(item, "id")
        if id not in self.started:
            self.started.add(id)
            self.said.start_tool(id, _tool_name(item), _tool_summary(item))
        if done:
            ok = item.get("status", "completed") == "completed"
            self.said.finish_tool(id, ok, text_at(item, "aggregated_output"))

    def _error(self, message: str) -> None:
        self.said.notice(message)
        reconnecting = _RECONNECTING.match(message)
        if not reconnecting:
            return
        trouble = _trouble(reconnecting[1])
        self.offline += "waiting for network" in message
        passing = trouble.kind in (FailureClass.OVERLOADED, FailureClass.CRASH)
        if not passing or self.offline >= _OFFLINE_NOTICES:
            self.said.trouble = trouble
            raise Enough

    def read_error(self, line: str) -> None:
        """Its events do not tell of an edit that its sandbox refused; its log does."""
        if "patch rejected" in line and "rejected by user approval settings" in line:
            self.said.deny(_TOOLS["file_change"])

    def _completed(self, usage: Mapping[str, Any]) -> None:
        said = self.said
        said.final = True
        if self.prompt.conversation is None:  # of a resumed conversation it tells the sum of all its turns
            said.usage = Usage(
                count_at(usage, "input_tokens"),
                count_at(usage, "cached_input_tokens"),
                count_at(usage, "output_tokens"),
                count_at(usage, "reasoning_output_tokens"),
            )
        if self.prompt.schema is not None:
            said.fields = parse(said.last_message.strip())


def _tool_name(item: Mapping[str, Any]) -> str:
    kind = text_at(item, "type")
    if kind == "mcp_tool_call":
        return f"{text_at(item, 'server')}.{text_at(item, 'tool')}"
    return _TOOLS.get(kind, kind)


def _tool_summary(item: Mapping[str, Any]) -> str:
    if changes := items_at(item, "changes"):
        return ", ".join(f"{text_at(file, 'kind')} {text_at(file, 'path')}" for file in changes)
    return text_at(item, "command") or text_at(item, "query")


# Errors ----------------------------------------------------------------------------------------------


def _trouble(message: str) -> Trouble:
    return diagnose(message, time.time()) or Trouble(FailureClass.CRASH, message or "codex gave no reason")


def _explain(prompt: Prompt) -> Explain:
    def explain(exit: Exit) -> Trouble | None:
        complaint = tail(exit.stderr)
        if "no rollout found" in complaint:
            return Trouble(FailureClass.CRASH, f"this host has no conversation {prompt.conversation}")
        return unknown_flag("codex", complaint, prompt.flags)

    return explain
