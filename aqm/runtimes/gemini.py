"""Gemini CLI (`gemini -p`): its command line, its events, its errors."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from aqm.flow.outcome import Failure, FailureClass, Outcome, Usage
from aqm.runtimes import mcp
from aqm.runtimes.arguments import flagged, not_prepared, unknown_flag, with_system
from aqm.runtimes.base import Host, McpServer, OnLive, Permissions, Probe, Prompt, Stop
from aqm.runtimes.diagnosis import Trouble, by_status, diagnose, resets_in
from aqm.runtimes.environment import environment
from aqm.runtimes.gemini_home import home_with_servers
from aqm.runtimes.gemini_workspace import KEPT_EMPTY, commands_in
from aqm.runtimes.lines import clean, one_line
from aqm.runtimes.presence import presence
from aqm.runtimes.private import private_folder
from aqm.runtimes.process import Command, Enough, Exit
from aqm.runtimes.stream import Explain, Said, count_at, mapping_at, play, summary, tail, text_at

__all__ = ["Gemini"]

STDIN_LIMIT = 8 * 1024 * 1024  # bytes; it silently cuts what is longer

_BASE = ("gemini", "-p", "", "-o", "stream-json")  # "-p" only says "headless": the message is on stdin
_TRUST = "GEMINI_CLI_TRUST_WORKSPACE"
_DEFAULTS = {"GEMINI_CLI_NO_RELAUNCH": "true", _TRUST: "true", **dict.fromkeys(KEPT_EMPTY, "")}
_MODES: dict[Permissions, str] = {"read": "default", "edit": "auto_edit", "run": "yolo", "full": "yolo"}
_REFUSED_TOOLS = ("tool_not_registered", "policy_violation", "permission_denied", "path_not_in_workspace")
_ATTEMPT = re.compile(r"^Attempt (\d+) failed(?: with (?:status )?(\d{3}))?")
_ATTEMPTS = 3  # of its own, before the queue takes over
_DOLLAR = re.compile(r"\$[\w{]")
_CODES = {41: FailureClass.AUTH}
_CODE = re.compile(r'"code":\s*(\d{3})\b')


class Gemini:
    """The runtime `gemini`."""

    name = "gemini"
    harmless: Mapping[str, bool] = {
        "--debug": False,
        "-d": False,
        "--model": True,
        "-m": True,
        "--sandbox": False,
        "-s": False,
        "--screen-reader": False,
    }

    def confined(self, permissions: Permissions) -> bool:
        """Whether the CLI itself keeps the agent inside its workspace."""
        return permissions in ("read", "edit")

    def probe(self, host: Host) -> Probe:
        return presence(
            host,
            "gemini",
            environ=_environment(host),
            keys=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
            files=(_state(host) / "oauth_creds.json", _state(host) / "gemini-credentials.json"),
            package="@google/gemini-cli",
            log_in="start gemini once, or set GEMINI_API_KEY",
        )

    def run(self, prompt: Prompt, host: Host, on_live: OnLive, stop: Stop) -> Outcome:
        message = _stdin(with_system(prompt))
        if len(message) > STDIN_LIMIT:
            text = f"the prompt has {len(message):,} bytes; gemini reads only {STDIN_LIMIT:,}"
            return Failure(FailureClass.CONTEXT_OVERFLOW, text)
        if refusal := _hostile(prompt, host):
            return refusal
        said = Said(on_live, conversation=prompt.conversation)
        with ExitStack() as stack:
            try:
                home = _own_home(prompt, host, stack)
            except (mcp.McpError, OSError) as error:
                return not_prepared(error)
            command = Command(
                argv=tuple(clean(word) for word in (*_BASE, *_options(prompt), *prompt.flags)),
                cwd=prompt.workspace,
                env=_environment(host, home),
                mark=prompt.mark,
                stdin=message,
                wall=prompt.timeout,
                idle=prompt.idle_timeout,
                protection=host.protection,
            )
            reader = _Reader(said)
            return play(
                "gemini",
                command,
                said,
                reader.read,
                stop,
                explain=_explain(prompt),
                on_error_line=reader.read_error,
            )


def _hostile(prompt: Prompt, host: Host) -> Failure | None:
    """A repository whose settings would start commands before any permission is asked."""
    if host.environ.get(_TRUST) == "true":  # the operator has said so; we only say it where he has not
        return None
    commands = commands_in(prompt.workspace)
    if not commands:
        return None
    text = (
        f"the workspace's .gemini/settings.json starts commands by itself ({', '.join(commands)}), and "
        f"gemini cannot be told to leave them out: remove them, or set {_TRUST}=true for this worker"
    )
    return Failure(FailureClass.WORKER_REFUSED, text)


def _stdin(text: str) -> bytes:
    # a text that begins with a slash would be run as a command of the CLI
    return clean(f"Message:\n{text}" if text.lstrip().startswith("/") else text).encode()


def _options(prompt: Prompt) -> list[str]:
    servers = ",".join(server.name for server in prompt.mcp)
    return [
        *("--approval-mode", _MODES[prompt.permissions]),
        # servers that the workspace's own settings name must not start: none is called like the mark
        *("--allowed-mcp-server-names", servers or f"none-{prompt.mark}"),
        *flagged("-m", prompt.model),
        *flagged("--resume", prompt.conversation),
    ]


def _environment(host: Host, home: Path | None = None) -> dict[str, str]:
    defaults = dict(_DEFAULTS)
    cache = Path(host.environ.get("XDG_CACHE_HOME") or _home(host) / ".cache")
    defaults["NODE_COMPILE_CACHE"] = str(cache / "aqm" / "node")
    extra = {"GEMINI_CLI_HOME": str(home)} if home else {}
    return environment(host, prefixes=("GEMINI_", "GOOGLE_"), defaults=defaults, extra=extra)


def _home(host: Host) -> Path:
    return Path(host.environ.get("HOME") or "/")


def _state(host: Host) -> Path:
    return Path(host.environ.get("GEMINI_CLI_HOME") or _home(host)) / ".gemini"


def _own_home(prompt: Prompt, host: Host, stack: ExitStack) -> Path | None:
    """A home for this turn, where the agent has MCP servers: gemini reads them from its settings only."""
    if not prompt.mcp:
        return None
    servers = mcp.with_values(prompt.mcp, host.environ)
    for server in servers:
        _refuse_dollars(server)
    folder = stack.enter_context(private_folder(host))
    return stack.enter_context(home_with_servers(_state(host), folder, mcp.as_json(servers)))


def _refuse_dollars(server: McpServer) -> None:
    """Gemini expands its settings again, and twice: a secret with a dollar sign would come out changed."""
    for key, value in server.env.items():
        if _DOLLAR.search(value):
            raise mcp.McpError(
                f"gemini cannot hand {key} to {server.name!r}: it would expand its dollar sign"
            )


# Events ----------------------------------------------------------------------------------------------


class _Reader:
    def __init__(self, said: Said) -> None:
        self.said = said
        self.tools: dict[str, str] = {}

    def read(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "init":
                self.said.conversation = text_at(event, "session_id") or self.said.conversation
            case "message" if event.get("role") == "assistant":
                self.said.say(text_at(event, "content"))
            case "tool_use":
                id, name = text_at(event, "tool_id"), text_at(event, "tool_name")
                self.tools[id] = name
                self.said.begin_message()
                self.said.start_tool(id, name, summary(mapping_at(event, "parameters")))
            case "tool_result":
                self._tool_result(event)
            case "error":
                self.said.notice(text_at(event, "message"))
            case "result":
                self._result(event)

    def _tool_result(self, event: dict[str, Any]) -> None:
        id, error = text_at(event, "tool_id"), mapping_at(event, "error")
        if error.get("type") in _REFUSED_TOOLS:
            self.said.deny(self.tools.get(id, id))
        told = text_at(error, "message") or text_at(event, "output")
        self.said.finish_tool(id, event.get("status") == "success", told)

    def _result(self, event: dict[str, Any]) -> None:
        said = self.said
        said.final = True
        said.usage = _usage(mapping_at(event, "stats"))
        if event.get("status") != "success":
            said.trouble = _trouble(text_at(mapping_at(event, "error"), "message"))

    def read_error(self, line: str) -> None:
        """It would wait up to minutes between attempts of its own; a slot must not."""
        if attempt := _ATTEMPT.match(line):
            status = int(attempt[2]) if attempt[2] else None
            self.said.notice(line)
            if status == 429 or int(attempt[1]) >= _ATTEMPTS:
                kind = by_status(status) or FailureClass.OVERLOADED
                message = _readable(line[line.find("{") :]) if "{" in line else one_line(line, 300)
                self.said.trouble = Trouble(kind, message, resets_in(line, time.time()))
                raise Enough


def _usage(stats: Mapping[str, Any]) -> Usage:
    read, written = count_at(stats, "input_tokens"), count_at(stats, "output_tokens")
    total = count_at(stats, "total_tokens")
    known = None not in (read, written, total)
    thought = (total or 0) - (read or 0) - (written or 0)  # its stats leave the thinking out
    return Usage(read, count_at(stats, "cached"), written, max(0, thought) if known else None)


# Errors ----------------------------------------------------------------------------------------------


def _trouble(raw: str) -> Trouble:
    code = _CODE.search(raw)
    status = int(code[1]) if code else None
    trouble = diagnose(raw, time.time(), status=status if status != 400 else None)
    message = _readable(raw)
    return trouble._replace(message=message) if trouble else Trouble(FailureClass.CRASH, message)


def _readable(raw: str) -> str:
    """The API's own words out of `[API Error: {"error": {"message": …}}]`."""
    inner = raw.removeprefix("[API Error: ").removesuffix("]")
    with suppress(ValueError, AttributeError, RecursionError):
        return clean(str(json.loads(inner)["error"]["message"]))
    return inner or "gemini gave no reason"


def _explain(prompt: Prompt) -> Explain:
    def explain(exit: Exit) -> Trouble | None:
        complaint = tail(exit.stderr)
        if exit.code in _CODES:
            return Trouble(_CODES[exit.code], complaint)
        if "Error resuming session" in complaint:
            return Trouble(FailureClass.CRASH, f"this host has no conversation {prompt.conversation}")
        if flag := unknown_flag("gemini", exit.stderr[:500], prompt.flags):
            return flag
        status = next((code for code in (401, 403, 429, 500, 503, 529) if code % 256 == exit.code), None)
        kind = by_status(status)
        return Trouble(kind, complaint) if kind else None

    return explain
