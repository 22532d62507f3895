"""The runtime that plays a script instead of calling a CLI: for demonstrations, rehearsals and tests."""

from __future__ import annotations

import errno
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from aqm.errors import AqmError
from aqm.flow.outcome import Answer, Failure, FailureClass, Outcome, Usage
from aqm.flow.state import TurnKind
from aqm.runtimes.base import Host, OnLive, Permissions, Probe, Prompt, Stop
from aqm.runtimes.diagnosis import Trouble
from aqm.runtimes.lines import clean
from aqm.runtimes.script import DEMO, Reply, Script, Step, load, reply_for
from aqm.runtimes.stream import Said

__all__ = ["Scripted"]

_WORD = re.compile(r"\s*\S+\s*$|\s*\S+")
_WORDS_A_PIECE = 4
_ECHOED_LINES = 6
_FOR_EVER = 10**9


class Scripted:
    """The runtime `scripted`; it stands in for every other one when the host has a script."""

    name = "scripted"
    harmless: Mapping[str, bool] = {}

    def confined(self, permissions: Permissions) -> bool:
        """It starts nothing, and writes only into the workspace."""
        return True

    def probe(self, host: Host) -> Probe:
        path = host.script or DEMO
        try:
            load(path)
        except AqmError as error:
            return Probe(found=False, path=str(path), cure=str(error))
        return Probe(found=True, version="script", path=str(path), logged_in=True)

    def run(self, prompt: Prompt, host: Host, on_live: OnLive, stop: Stop) -> Outcome:
        script = load(host.script or DEMO)
        reply = reply_for(script, prompt.agent, prompt.kind, prompt.visit, prompt.attempt)
        play = _Play(prompt, script, Said(on_live), stop)
        try:
            return play.outcome(reply or _unscripted(prompt))
        finally:
            stop.on_set(None)


class _End(Exception):
    def __init__(self, kind: FailureClass, message: str) -> None:
        self.trouble = Trouble(kind, message)


class _Play:
    """One turn being played: it keeps the clocks that a process would be held to."""

    def __init__(self, prompt: Prompt, script: Script, said: Said, stop: Stop) -> None:
        self.prompt, self.pace, self.said, self.stop = prompt, script.pace, said, stop
        self.woken = threading.Event()
        self.began = self.heard = time.monotonic()
        self.tools = 0
        stop.on_set(self.woken.set)

    def outcome(self, reply: Reply) -> Outcome:
        conversation = reply.conversation or self.prompt.conversation
        self.said.conversation = conversation or f"script-{self.prompt.agent}-{self.prompt.mark}"
        self.said.usage = Usage(**reply.usage.model_dump())
        try:
            return self._play(reply)
        except _End as end:
            return self._failure(end.trouble)

    def _play(self, reply: Reply) -> Outcome:
        self._wait(_FOR_EVER if reply.hang else reply.delay)
        for step in reply.steps:
            self._step(step)
        for tool in reply.denied:
            self.said.deny(tool)
        if reply.fail:
            trouble = Trouble(reply.fail.kind, clean(reply.fail.message), reply.fail.resets_in)
            return self._failure(trouble)
        fields = _fields(reply)
        text = self._last_words(reply, fields)
        said = self.said
        return Answer(text, fields, said.usage, said.conversation, tuple(said.denied))

    def _last_words(self, reply: Reply, fields: Mapping[str, object] | None) -> str:
        if reply.say is not None:
            self._say(reply.say)
        elif fields is not None:
            self._say(json.dumps(fields, ensure_ascii=False))
        elif not self.said.last_message:
            self._say(_echo(self.prompt))
        return self.said.last_message

    def _failure(self, trouble: Trouble) -> Failure:
        said = self.said
        return Failure(
            trouble.kind,
            trouble.message,
            said.partial,
            said.usage,
            said.conversation,
            tuple(said.denied),
            trouble.resets_in,
        )

    # Steps -----------------------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        self._wait(step.pause)
        for piece in self._pieces(step.think):
            self.said.think(piece)
        if step.say:
            self._say(step.say)
        if step.tool:
            self._tool(step)
        for path, text in step.write.items():
            self._write(path, text, shown=not step.tool)
        if step.notice:
            self.said.notice(clean(step.notice))

    def _say(self, text: str) -> None:
        self.said.begin_message()
        for piece in self._pieces(text.strip("\n")):
            self.said.say(piece)

    def _pieces(self, text: str) -> Iterator[str]:
        if not text:
            return
        if not self.pace:
            self._wait(0)
            yield clean(text)
            self._heard()
            return
        words = _WORD.findall(clean(text))
        for start in range(0, len(words), _WORDS_A_PIECE):
            self._wait(self.pace)
            yield "".join(words[start : start + _WORDS_A_PIECE])
            self._heard()

    def _tool(self, step: Step) -> None:
        id = self._tool_id()
        self.said.start_tool(id, clean(step.tool), clean(step.summary))
        self._heard()
        self._wait(step.takes)
        self.said.finish_tool(id, step.ok, clean(step.result))
        self._heard()

    def _write(self, path: str, text: str, *, shown: bool) -> None:
        id = self._tool_id()
        if shown:
            self.said.start_tool(id, "Write", path)
        allowed = self.prompt.permissions != "read"
        if allowed:
            _write_file(self.prompt.workspace, path, text)
        else:
            self.said.deny("Write")
            self.said.notice(f"not permitted: Write {path}")
        if shown:
            self.said.finish_tool(id, allowed, "" if allowed else "the agent may only read")
        self._heard()

    def _tool_id(self) -> str:
        self.tools += 1
        return f"tool-{self.tools}"

    # Time ------------------------------------------------------------------------------------------

    def _heard(self) -> None:
        self.heard = time.monotonic()

    def _wait(self, seconds: float) -> None:
        """Let time pass; a stop or a limit ends the turn as it would end a process."""
        now = time.monotonic()
        wall, idle = self.began + self.prompt.timeout, self.heard + self.prompt.idle_timeout
        until = min(now + seconds, wall, idle)
        if until > now:
            self.woken.wait(until - now)
        if self.stop:
            raise _End(FailureClass.CANCELLED, f"the script was stopped: {self.stop.reason}")
        if until == wall:
            raise _End(FailureClass.TIMEOUT, f"it ran longer than its {self.prompt.timeout:g} seconds")
        if until == idle:
            raise _End(FailureClass.IDLE, f"it said nothing for {self.prompt.idle_timeout:g} seconds")


def _write_file(workspace: Path, path: str, text: str) -> None:
    """Write into the workspace, and nowhere else: a link may not lead out of it."""
    root = workspace.resolve()
    target = (root / path).resolve()
    if not target.is_relative_to(root):
        raise _End(FailureClass.CRASH, f"the script may not write {path}: it leads out of the workspace")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(clean(text), encoding="utf-8")
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = FailureClass.DISK_FULL if full else FailureClass.CRASH
        raise _End(kind, f"the script cannot write {path}: {error.strerror}") from None


# What the script leaves open ---------------------------------------------------------------------------


def _unscripted(prompt: Prompt) -> Reply:
    if prompt.kind is TurnKind.GATE:
        return Reply(verdict="approved", reason="The script raises no objection.")
    return Reply()


def _fields(reply: Reply) -> Mapping[str, object] | None:
    if reply.verdict:
        return {"decision": reply.verdict, "reason": reply.reason}
    return reply.fields


def _echo(prompt: Prompt) -> str:
    """What was asked, quoted: a quoted line is nobody's directive."""
    asked = [line for line in clean(prompt.text).splitlines() if line.strip()]
    quoted = [f"> {line}" for line in asked[:_ECHOED_LINES]]
    more = [f"> … and {len(asked) - _ECHOED_LINES} lines more"] if len(asked) > _ECHOED_LINES else []
    name = prompt.agent or "This agent"
    return "\n".join([f"{name} was asked:", "", *quoted, *more, "", "The script has no answer to it."])
