"""Claude Code (`claude -p`): its command line, its events, its errors."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from aqm.flow.outcome import FailureClass, Outcome, Usage
from aqm.runtimes import mcp
from aqm.runtimes.arguments import flagged, not_prepared, unknown_flag
from aqm.runtimes.base import Host, OnLive, Permissions, Probe, Prompt, Stop
from aqm.runtimes.diagnosis import Trouble, diagnose, resets_in
from aqm.runtimes.environment import environment
from aqm.runtimes.lines import clean
from aqm.runtimes.presence import presence
from aqm.runtimes.private import private_folder, write_private
from aqm.runtimes.process import Command, Exit
from aqm.runtimes.stream import (
    MOST,
    Explain,
    Said,
    count_at,
    items_at,
    mapping_at,
    play,
    summary,
    tail,
    text_at,
)

__all__ = ["Claude"]

_BASE = ("claude", "-p", "--output-format", "stream-json", "--verbose", "--include-partial-messages")
# The files of the repository being worked on must not start commands or redirect the key: no project
# settings, no MCP servers but ours. Its CLAUDE.md is only text, and comes in by --add-dir.
_RESTRICTED = ("--setting-sources", "user", "--strict-mcp-config", "--add-dir", ".")
_DEFAULTS = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",  # the queue waits for the vendor, not a slot
    "CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1",
}
# "@/etc/passwd" in a text from elsewhere would be read and sent, whatever the permissions say
_ALWAYS = {"CLAUDE_CODE_DISABLE_FILE_MENTIONS": "1"}
_MODES: dict[Permissions, tuple[str, ...]] = {
    "read": ("--permission-mode", "dontAsk", "--tools", "Read,Grep,Glob"),
    "edit": ("--permission-mode", "acceptEdits", "--tools", "Read,Edit,Write,NotebookEdit,Grep,Glob"),
    "run": ("--permission-mode", "acceptEdits"),
    "full": ("--permission-mode", "bypassPermissions"),
}
_UNWRAP = re.compile(r"</?tool_use_error>")
_ERRORS = {
    "authentication_failed": FailureClass.AUTH,
    "oauth_org_not_allowed": FailureClass.AUTH,
    "billing_error": FailureClass.AUTH,
    "rate_limit": FailureClass.RATE_LIMITED,
    "server_error": FailureClass.OVERLOADED,
    "overloaded": FailureClass.OVERLOADED,
    "model_not_found": FailureClass.MODEL_UNKNOWN,
}


class Claude:
    """The runtime `claude`."""

    name = "claude"
    # Flags that leave the permissions as they are, and whether a value follows. Any other needs consent.
    harmless: Mapping[str, bool] = {
        "--autocompact": True,
        "--disable-slash-commands": False,
        "--disallowedTools": True,
        "--disallowed-tools": True,
        "--effort": True,
        "--fallback-model": True,
        "--max-budget-usd": True,
        "--max-turns": True,
        "--model": True,
        "--no-session-persistence": False,
        "--restricted": False,
        "--safe-mode": False,
        "--verbose": False,
    }

    def confined(self, permissions: Permissions) -> bool:
        """Whether the CLI itself keeps the agent inside its workspace."""
        return permissions in ("read", "edit")

    def probe(self, host: Host) -> Probe:
        return presence(
            host,
            "claude",
            environ=environment(host, prefixes=("ANTHROPIC_", "CLAUDE_")),
            keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
            files=_credential_files(host),
            package="@anthropic-ai/claude-code",
            log_in="claude setup-token, or set ANTHROPIC_API_KEY",
        )

    def run(self, prompt: Prompt, host: Host, on_live: OnLive, stop: Stop) -> Outcome:
        said = Said(on_live, conversation=prompt.conversation)
        with ExitStack() as stack:
            try:
                argv = (*_BASE, *_RESTRICTED, *_options(prompt), *_files(prompt, host, stack), *prompt.flags)
            except (mcp.McpError, OSError) as error:
                return not_prepared(error)
            command = Command(
                argv=tuple(clean(word) for word in argv),
                cwd=prompt.workspace,
                env=environment(
                    host,
                    prefixes=("ANTHROPIC_", "CLAUDE_"),
                    names=("IS_SANDBOX",),
                    defaults=_DEFAULTS,
                    extra=_ALWAYS,
                ),
                mark=prompt.mark,
                stdin=_stdin(prompt.text),
                wall=prompt.timeout,
                idle=prompt.idle_timeout,
                protection=host.protection,
            )
            reader = _Reader(said, resumed=prompt.conversation is not None)
            return play("claude", command, said, reader.read, stop, explain=_explain(prompt))


def _stdin(text: str) -> bytes:
    # a text that begins with a slash would be taken for a command of the CLI
    return clean(f"\n{text}" if text.startswith("/") else text).encode()


def _options(prompt: Prompt) -> list[str]:
    words = list(_MODES[prompt.permissions])
    allowed = ["Bash"] if prompt.permissions == "run" else []
    allowed += [f"mcp__{_tool_word(server.name)}" for server in prompt.mcp]
    if allowed:
        words += ["--allowedTools", ",".join(allowed)]
    words += flagged("--model", prompt.model)
    words += flagged("--resume", prompt.conversation)
    if prompt.schema is not None:
        words += ["--json-schema", json.dumps(prompt.schema)]
    return words


def _tool_word(server: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", server)


def _files(prompt: Prompt, host: Host, stack: ExitStack) -> list[str]:
    """What may not stand in argv, where every user of the host could read it."""
    if not prompt.system and not prompt.mcp:
        return []
    folder = stack.enter_context(private_folder(host))
    words: list[str] = []
    if prompt.system:
        path = write_private(folder / "system.md", prompt.system)
        # a resumed conversation would go on with the system prompt it began with
        words += ["--append-system-prompt-file", str(path), "--system-prompt-snapshot", "off"]
    if prompt.mcp:
        servers = mcp.as_json(mcp.with_values(prompt.mcp, host.environ))
        path = write_private(folder / "mcp.json", json.dumps({"mcpServers": servers}))
        words += ["--mcp-config", str(path)]
    return words


def _credential_files(host: Host) -> tuple[Path, ...]:
    home = host.environ.get("HOME", "")
    folder = Path(host.environ.get("CLAUDE_CONFIG_DIR") or f"{home}/.claude")
    return (folder / ".credentials.json",)


# Events ----------------------------------------------------------------------------------------------


class _Reader:
    def __init__(self, said: Said, *, resumed: bool) -> None:
        self.said, self.resumed = said, resumed
        self.message = ""  # the id of the message that streams
        self.streamed: set[str] = set()  # ids of messages whose text has been said piece by piece
        self.tools: dict[str, str] = {}
        self.error = ""  # the class that the CLI gave to what the API complained of last
        self.limit_resets: float | None = None

    def read(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "system":
                self._system(event)
            case "stream_event" if not event.get("parent_tool_use_id"):
                self._stream(mapping_at(event, "event"))
            case "assistant":
                self._assistant(event)
            case "user":
                self._tool_results(mapping_at(event, "message"))
            case "rate_limit_event":
                self._rate_limit(mapping_at(event, "rate_limit_info"))
            case "result":
                self._result(event)

    def _system(self, event: dict[str, Any]) -> None:
        match event.get("subtype"):
            case "init":
                self.said.conversation = text_at(event, "session_id") or self.said.conversation
                for server in items_at(event, "mcp_servers"):
                    if server.get("status") == "failed":
                        self.said.notice(f"the MCP server {server.get('name')} did not start")
            case "api_retry":
                again = f"trying again ({event.get('attempt')} of {event.get('max_retries')})"
                self.said.notice(f"{event.get('error')} {event.get('error_status') or ''}: {again}")
            case "permission_denied":
                self.said.deny(text_at(event, "tool_name"))
                self.said.notice(f"not permitted: {text_at(event, 'tool_name')}")

    def _stream(self, event: Mapping[str, Any]) -> None:
        match event.get("type"):
            case "message_start":
                self.message = text_at(mapping_at(event, "message"), "id")
                self.said.begin_message()
            case "content_block_delta":
                delta = mapping_at(event, "delta")
                self.said.think(text_at(delta, "thinking"))
                if piece := text_at(delta, "text"):
                    self.said.say(piece)
                self.streamed.add(self.message)

    def _assistant(self, event: dict[str, Any]) -> None:
        self.error = text_at(event, "error")
        if self.error:  # its text is the API's complaint, not the agent's; the result repeats it
            return
        message = mapping_at(event, "message")
        known = event.get("parent_tool_use_id") or text_at(message, "id") in self.streamed
        for block in items_at(message, "content"):
            if block.get("type") == "tool_use" and block.get("name") != "StructuredOutput":
                id, name = text_at(block, "id"), text_at(block, "name")
                self.tools[id] = name
                self.said.start_tool(id, name, summary(mapping_at(block, "input")))
            elif not known:
                self.said.think(text_at(block, "thinking"))
                self.said.begin_message()
                self.said.say(text_at(block, "text"))

    def _tool_results(self, message: Mapping[str, Any]) -> None:
        for block in items_at(message, "content"):
            if block.get("type") == "tool_result":
                id, failed = text_at(block, "tool_use_id"), bool(block.get("is_error"))
                if id not in self.tools:  # the structured output: a tool to claude, an answer to us
                    continue
                told = _UNWRAP.sub("", _text_of(block))
                if failed and told.startswith("Error: No such tool available"):
                    self.said.deny(self.tools[id])
                self.said.finish_tool(id, not failed, told)

    def _rate_limit(self, info: Mapping[str, Any]) -> None:
        resets = count_at(info, "resetsAt")
        if info.get("status") == "rejected" and resets:
            self.limit_resets = max(0.0, resets - time.time())

    def _result(self, event: dict[str, Any]) -> None:
        said = self.said
        said.final = True
        said.conversation = text_at(event, "session_id") or said.conversation
        said.usage = _sum(said.usage, _usage(event, self.resumed))
        for denial in items_at(event, "permission_denials"):
            said.deny(text_at(denial, "tool_name"))
        if event.get("is_error"):
            trouble = _trouble(event, self.error)
            limited = trouble.kind is FailureClass.RATE_LIMITED and self.limit_resets is not None
            said.trouble = trouble._replace(resets_in=self.limit_resets) if limited else trouble
            return
        said.trouble = None
        said.answer = text_at(event, "result")
        fields = event.get("structured_output")
        said.fields = fields if isinstance(fields, dict) else None


def _text_of(block: Mapping[str, Any]) -> str:
    """A tool's result: a text, or blocks of which some are texts."""
    parts = [text_at(part, "text") for part in items_at(block, "content")]
    return " ".join(parts) or text_at(block, "content")


def _usage(event: dict[str, Any], resumed: bool) -> Usage:
    usage = mapping_at(event, "usage")
    fresh, cached = count_at(usage, "input_tokens"), count_at(usage, "cache_read_input_tokens")
    parts = (fresh, cached, count_at(usage, "cache_creation_input_tokens"))
    return Usage(
        input=None if fresh is None else sum(part or 0 for part in parts),
        cached=cached,
        output=count_at(usage, "output_tokens"),
        reasoning=count_at(mapping_at(usage, "output_tokens_details"), "thinking_tokens"),
        cost_usd=_cost(event, resumed),
    )


def _cost(event: dict[str, Any], resumed: bool) -> float | None:
    """This run's dollars: `total_cost_usd` counts the whole of a resumed conversation."""
    models = event.get("model_usage_since_last_result")
    if isinstance(models, dict):
        shares = [share for share in models.values() if isinstance(share, dict)]
        if any(share.get("costBasis") == "unknown" for share in shares):
            return None
        return round(sum(_number(share.get("costUSD")) or 0.0 for share in shares), 9)
    return None if resumed else _number(event.get("total_cost_usd"))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > MOST:
        return None
    return float(value)


def _sum(one: Usage, other: Usage) -> Usage:
    """A run can print several results, each for what came since the one before."""

    def add(a: float | None, b: float | None) -> Any:
        return b if a is None else a if b is None else a + b

    return Usage(
        add(one.input, other.input),
        add(one.cached, other.cached),
        add(one.output, other.output),
        add(one.reasoning, other.reasoning),
        add(one.cost_usd, other.cost_usd),
    )


# Errors ----------------------------------------------------------------------------------------------


def _trouble(event: dict[str, Any], error: str) -> Trouble:
    errors = event.get("errors")
    listed = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
    message = text_at(event, "result") or listed or text_at(event, "subtype")
    if event.get("subtype") == "error_max_structured_output_retries":
        return Trouble(FailureClass.OUTPUT_INVALID, message)
    if event.get("terminal_reason") == "prompt_too_long":
        return Trouble(FailureClass.CONTEXT_OVERFLOW, message)
    if event.get("subtype") in ("error_max_turns", "error_max_budget_usd", "error_during_execution"):
        return Trouble(FailureClass.CRASH, message)
    status = count_at(event, "api_error_status")
    if status is None and error in _ERRORS:
        return Trouble(_ERRORS[error], message, resets_in(message, time.time()))
    return diagnose(message, time.time(), status=status) or Trouble(FailureClass.CRASH, message)


def _explain(prompt: Prompt) -> Explain:
    def explain(exit: Exit) -> Trouble | None:
        complaint = tail(exit.stderr)
        if "No conversation found" in complaint:
            return Trouble(FailureClass.CRASH, f"this host has no conversation {prompt.conversation}")
        if "cannot be used with root" in complaint:
            return Trouble(
                FailureClass.WORKER_REFUSED,
                "claude does not take `permissions: full` as root: run the worker as another user, or, where "
                "the host itself is a sandbox, set IS_SANDBOX=1 for it",
            )
        return unknown_flag("claude", complaint, prompt.flags)

    return explain
