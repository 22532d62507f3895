"""What a runtime is: an adapter that gives a prompt to one agent CLI and tells what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from aqm.flow.outcome import Outcome
from aqm.flow.state import TurnKind

__all__ = [
    "Host",
    "Live",
    "McpServer",
    "Notice",
    "OnLive",
    "Permissions",
    "Probe",
    "Prompt",
    "Runtime",
    "Stop",
    "Text",
    "Thinking",
    "ToolFinished",
    "ToolStarted",
]

Permissions = Literal["read", "edit", "run", "full"]


@dataclass(frozen=True, slots=True)
class McpServer:
    """An MCP server as the CLI is to start it; `env` may still hold `$VAR` and `secret://NAME` references."""

    name: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a runtime is given for one turn. Times are in seconds."""

    text: str  # the message; it goes to the CLI on stdin
    workspace: Path
    agent: str = ""
    kind: TurnKind = TurnKind.WORK
    visit: int = 1  # how often the task has come to this agent, from 1
    attempt: int = 1
    system: str = ""  # appended to the CLI's own system prompt
    model: str | None = None
    command: tuple[str, ...] = ()  # argv, for the runtime `command` only
    permissions: Permissions = "run"
    flags: tuple[str, ...] = ()
    mcp: tuple[McpServer, ...] = ()
    schema: Mapping[str, Any] | None = None  # JSON Schema asked of the CLI natively, where it can
    conversation: str | None = None  # the CLI's own id of a conversation to go on with
    timeout: float = 600.0
    idle_timeout: float = 300.0
    mark: str = ""  # unique; every process of the turn carries it in its environment as AQM_MARK


# The one vocabulary of live events -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """`summary` is one short line, e.g. the file or the command."""

    id: str
    name: str
    summary: str = ""


@dataclass(frozen=True, slots=True)
class ToolFinished:
    id: str
    ok: bool
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the turn that is not the agent's text: a retry, a denial, a warning."""

    text: str


Live = Text | Thinking | ToolStarted | ToolFinished | Notice
OnLive = Callable[[Live], None]


class Stop:
    """Asks a running turn to end. Set once, by any thread; the first reason stays.

    `grace` is False when the tree must die without TERM (the watchdog's case).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason = ""
        self._grace = True
        self._wake: Callable[[], None] | None = None

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def grace(self) -> bool:
        return self._grace

    def __bool__(self) -> bool:
        return bool(self._reason)

    def set(self, reason: str, *, grace: bool = True) -> None:
        with self._lock:
            if not self._reason:
                self._reason = reason
            self._grace = self._grace and grace
            self._call()

    def on_set(self, wake: Callable[[], None] | None) -> None:
        """`wake` is called from the setting thread, at once if it was set before; None takes it back.

        It must be quick and must not touch this Stop: it runs under the lock, so that nobody calls it any
        more once None has taken it back (a late call could write into a file descriptor used anew).
        """
        with self._lock:
            self._wake = wake
            if self._reason:
                self._call()

    def _call(self) -> None:
        if self._wake:
            self._wake()


@dataclass(frozen=True, slots=True)
class Host:
    """What this host lets a runtime use, read once at the doorway.

    `environ` is the process's environment; a CLI gets only what its runtime and `pass_env` let through.
    """

    environ: Mapping[str, str]
    pass_env: tuple[str, ...] = ()
    protection: Literal["namespace", "group"] = "group"  # how a turn's process tree is held together
    script: Path | None = None  # answers for every runtime, from a file (AQM_SCRIPT)


@dataclass(frozen=True, slots=True)
class Probe:
    """What `aqm doctor` and a worker's start ask of a runtime. `cure` says how to get what is missing."""

    found: bool
    version: str = ""
    path: str = ""
    logged_in: bool | None = None  # None: cannot be told without calling the vendor
    cure: str = ""


class Runtime(Protocol):
    """One agent CLI. You can ignore the Protocol unless you want static type checking."""

    name: str

    def probe(self, host: Host) -> Probe: ...

    def run(self, prompt: Prompt, host: Host, on_live: OnLive, stop: Stop) -> Outcome:
        """Run one turn to its end. What the CLI does is a value; this raises only for our own bugs."""
        ...
