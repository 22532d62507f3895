"""A CLI that prints one JSON event a line: its events become live events, and at the end an outcome."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, assert_never

from aqm.flow.outcome import Answer, Failure, FailureClass, Outcome, Usage
from aqm.runtimes import process
from aqm.runtimes.base import Notice, OnLive, Stop, Text, Thinking, ToolFinished, ToolStarted
from aqm.runtimes.diagnosis import Trouble, diagnose
from aqm.runtimes.lines import Lines, one_line, parse
from aqm.runtimes.process import Command, Ending, Exit

__all__ = [
    "MOST",
    "Explain",
    "Read",
    "Said",
    "count_at",
    "end_trouble",
    "ended",
    "failed",
    "how_it_ended",
    "items_at",
    "mapping_at",
    "play",
    "summary",
    "tail",
    "text_at",
]

TEXT_LIMIT = 10 * 1024 * 1024  # characters of text that are kept of one turn
_MESSAGE_LIMIT = 4_000
MOST = 2**53  # no count of tokens or seconds is larger, and no database takes any integer
_TELLING = ("file_path", "path", "command", "cmd", "pattern", "query", "url", "prompt", "description")


@dataclass(slots=True)
class Said:
    """What a CLI has said so far in this turn; its runtime's reader fills it, event by event."""

    on_live: OnLive
    final: bool = False  # its final event has come
    answer: str | None = None  # as the final event gives it; else the last message is the answer
    fields: Mapping[str, Any] | None = None
    usage: Usage = field(default_factory=Usage)
    conversation: str | None = None
    denied: list[str] = field(default_factory=list)
    trouble: Trouble | None = None
    cut: int = 0  # lines that were too long to be read
    _pieces: list[str] = field(default_factory=list)
    _message: list[str] = field(default_factory=list)
    _size: int = 0
    _fresh: bool = True

    @property
    def partial(self) -> str:
        return "".join(self._pieces)

    @property
    def last_message(self) -> str:
        return "".join(self._message)

    def begin_message(self) -> None:
        """What is said next is another message: the last one was not the answer yet."""
        self._fresh = True

    def say(self, text: str) -> None:
        if not text:
            return
        gap = "\n\n" if self._fresh and self._pieces else ""
        if self._fresh:
            self._message, self._fresh = [], False
        if self._size < TEXT_LIMIT:
            self._pieces.append(gap + text)
            self._message.append(text)
        self._size += len(text)
        self.on_live(Text(gap + text))

    def think(self, text: str) -> None:
        if text:
            self.on_live(Thinking(text))

    def start_tool(self, id: str, name: str, summary: str) -> None:
        self.on_live(ToolStarted(id, one_line(name, 80), one_line(summary)))

    def finish_tool(self, id: str, ok: bool, summary: str = "") -> None:
        self.on_live(ToolFinished(id, ok, one_line(summary)))

    def notice(self, text: str) -> None:
        self.on_live(Notice(one_line(text, 300)))

    def deny(self, tool: str) -> None:
        if tool and tool not in self.denied:
            self.denied.append(tool)


Read = Callable[[dict[str, Any]], None]
Explain = Callable[[Exit], Trouble | None]  # an end without a final event, from what it printed


def play(
    name: str,
    command: Command,
    said: Said,
    read: Read,
    stop: Stop,
    *,
    explain: Explain = lambda _: None,
    on_error_line: Callable[[str], None] | None = None,
) -> Outcome:
    """Run the command and read its events. `read` and `on_error_line` (stderr) may raise `Enough`."""

    def on_line(line: str, cut: bool) -> None:
        event = None if cut else parse(line)
        if event is not None:
            read(event)
        said.cut += cut

    errors = Lines(lambda line, _: on_error_line(line)) if on_error_line else None
    exit = process.run(command, stop, Lines(on_line), errors, said_all=lambda: said.final)
    return _outcome(name, exit, said, explain)


def _outcome(name: str, exit: Exit, said: Said, explain: Explain) -> Outcome:
    by_itself = exit.ending in (Ending.EXITED, Ending.ENOUGH)
    if by_itself or exit.ending in (Ending.TIMEOUT, Ending.IDLE):  # it may hang after its final event
        if said.trouble:
            return failed(said.trouble, exit, said)
        if said.final:
            text = said.last_message if said.answer is None else said.answer
            return Answer(text, said.fields, said.usage, said.conversation, tuple(said.denied))
    if not by_itself:
        return failed(end_trouble(name, exit), exit, said)
    end, trouble = how_it_ended(name, exit, said.cut), explain(exit) or _of_output(exit)
    if trouble:
        return failed(trouble._replace(message=f"{trouble.message}\n({end})"), exit, said)
    printed = tail(exit.stderr) or tail(_plain(exit.stdout))
    return failed(Trouble(FailureClass.CRASH, f"{end}:\n{printed}" if printed else end), exit, said)


def _plain(stdout: str) -> str:
    """What it printed besides events."""
    return "\n".join(line for line in stdout.splitlines() if not line.startswith("{"))


def failed(trouble: Trouble, exit: Exit, said: Said) -> Failure:
    return Failure(
        trouble.kind,
        trouble.message[:_MESSAGE_LIMIT],
        said.partial,
        said.usage,
        said.conversation,
        tuple(said.denied),
        trouble.resets_in,
        exit.code,
    )


def end_trouble(name: str, exit: Exit) -> Trouble:
    """The trouble of a process that did not end by itself, or never began."""
    stopped = f"{name} was stopped: {exit.why}"
    match exit.ending:
        case Ending.TIMEOUT:
            return Trouble(FailureClass.TIMEOUT, stopped)
        case Ending.IDLE:
            return Trouble(FailureClass.IDLE, stopped)
        case Ending.STOPPED:
            return Trouble(FailureClass.CANCELLED, stopped)
        case Ending.MISSING:
            return Trouble(FailureClass.CLI_MISSING, exit.why)
        case Ending.DISK_FULL:
            return Trouble(FailureClass.DISK_FULL, exit.why)
        case Ending.UNSTARTABLE:
            return Trouble(FailureClass.CRASH, exit.why)
        case Ending.FLOOD | Ending.ENOUGH | Ending.EXITED:
            return Trouble(FailureClass.CRASH, stopped)
        case never:
            assert_never(never)


def _of_output(exit: Exit) -> Trouble | None:
    """A full disk shows in what any program prints when it fails."""
    trouble = diagnose(tail(exit.stderr), time.time()) if exit.code else None
    return trouble if trouble and trouble.kind is FailureClass.DISK_FULL else None


def how_it_ended(name: str, exit: Exit, cut: int = 0) -> str:
    lost = f"; {cut} of its lines were too long to be read" if cut else ""
    return f"{name} {ended(exit.code)} before its final event{lost}"


def ended(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):  # a real-time signal has no name
            return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


# Reading events of untrusted shape -------------------------------------------------------------------


def text_at(event: Mapping[str, Any], key: str) -> str:
    """The string under the key; "" when there is none."""
    value = event.get(key)
    return value if isinstance(value, str) else ""


def mapping_at(event: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = event.get(key)
    return value if isinstance(value, dict) else {}


def items_at(event: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The mappings in the list under the key."""
    value = event.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def count_at(event: Mapping[str, Any], key: str) -> int | None:
    value = event.get(key)
    return value if type(value) is int and 0 <= value <= MOST else None


def summary(parameters: Mapping[str, Any]) -> str:
    """The one parameter of a tool that tells most."""
    for key in _TELLING:
        if told := parameters.get(key):
            return " ".join(map(str, told)) if isinstance(told, list) else str(told)
    return next((f"{key}: {value}" for key, value in parameters.items()), "")


def tail(text: str, limit: int = 2_000) -> str:
    """The end of what was printed, from the start of a line."""
    text = text.strip()
    if len(text) <= limit:
        return text
    cut = text[-limit:]
    return "… " + cut[cut.find("\n") + 1 :]
