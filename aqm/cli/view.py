"""The live view: what agents say and what becomes of it, line by line, from any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import assert_never

from aqm.cli.figures import count, duration
from aqm.cli.telling import ERRANDS, told
from aqm.cli.terminal import Part, Screen, cut, held_back
from aqm.flow.event import Event, EventKind
from aqm.runtimes.base import Notice, Text, Thinking, ToolFinished, ToolStarted
from aqm.service.views import LiveLine

__all__ = ["View"]

Place = tuple[str, int]  # task and stage
_ENDS = (EventKind.TURN_COMPLETE, EventKind.TURN_FAILED, EventKind.TURN_RETRY, EventKind.STAGE_COMPLETE)


@dataclass(slots=True)
class _Stage:
    agent: str
    tokens: int | None = None
    rejected: bool = False


@dataclass(slots=True)
class _Voice:
    """The unfinished line of one attempt."""

    place: Place
    style: str = ""
    held: str = ""
    begun: bool = False  # whether it has said anything but empty lines


@dataclass(slots=True)
class View:
    """One agent at work: its text streams as it comes. Several: whole lines, each with its agent before it.

    Where no terminal reads along, lines are always whole. `many` tells tasks apart (`aqm resume`).
    """

    screen: Screen
    verbose: bool = False
    many: bool = False
    only: int | None = None  # the one stage that is shown
    unread: Callable[[], None] = lambda: None  # called once when the screen takes no more
    broken: OSError | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stages: dict[Place, _Stage] = field(default_factory=dict)  # open ones
    _closed: set[Place] = field(default_factory=set)
    _agents: dict[Place, str] = field(default_factory=dict)
    _voices: dict[str, _Voice] = field(default_factory=dict)
    _tools: dict[tuple[str, str], str] = field(default_factory=dict)
    _current: Place | None = None  # whose heading stands last
    _streaming: str = ""  # the attempt in whose line the cursor is

    @contextmanager
    def _printing(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except OSError as error:  # a closed pipe, a full disk
                if not self.broken:
                    self.broken = error
                    self.unread()

    # Events --------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        if self.only is not None and event.stage != self.only:
            return
        with self._printing():
            place = (event.task, event.stage or 0)
            self._agents[place] = event.agent or self._agents.get(place, "")
            if event.kind is EventKind.STAGE_START:
                self._stages[place] = _Stage(event.agent)
            if event.kind is EventKind.TURN_START:
                self._begin(place, event)
            if event.kind in _ENDS:
                self._finish(place)
            if event.kind is EventKind.TURN_COMPLETE:
                self._count(place, event)
            if event.kind is EventKind.GATE_VERDICT and place in self._stages:
                self._stages[place].rejected = not event.data.get("approved")
            parts = told(event)
            if parts and (self.verbose or event.kind is not EventKind.NO_HANDOFF):
                self._line(place, *parts)
            if event.kind in (EventKind.STAGE_COMPLETE, EventKind.STAGE_FAILED):
                self._close(place, event)

    def _begin(self, place: Place, event: Event) -> None:
        self._stages.setdefault(place, _Stage(event.agent))
        if event.data.get("kind") not in ERRANDS:
            self._head(place, str(event.data.get("runtime") or ""))

    def _count(self, place: Place, event: Event) -> None:
        known = [event.data[key] for key in ("input", "output") if event.data.get(key) is not None]
        stage = self._stages.get(place)
        if stage and known:
            stage.tokens = (stage.tokens or 0) + sum(known)

    def _close(self, place: Place, event: Event) -> None:
        stage = self._stages.pop(place, _Stage(event.agent))
        self._closed.add(place)
        failed = event.kind is EventKind.STAGE_FAILED
        facts = [event.agent or stage.agent]
        if event.data.get("seconds") is not None:
            facts.append(duration(float(event.data["seconds"])))
        if stage.tokens is not None:
            facts.append(f"{count(stage.tokens)} tokens")
        mark: Part = ("  · ", "dim") if stage.rejected else ("  ✓ ", "green")
        mark = ("  ✗ ", "red") if failed else mark
        self._line(place, mark, (" · ".join(facts), "red" if failed else "dim"))

    # Live text -----------------------------------------------------------------------------

    def on_live(self, line: LiveLine) -> None:
        hidden = line.kind in ERRANDS and not self.verbose
        if hidden or (self.only is not None and line.stage != self.only):
            return
        with self._printing():
            place = (line.task, line.stage)
            if place not in self._closed:
                self._stages.setdefault(place, _Stage(line.agent))
            if not isinstance(line.live, Text | Thinking) and line.attempt in self._voices:
                self._flush(line.attempt)
            match line.live:
                case Text(text):
                    self._say(line, place, text, "")
                case Thinking(text):
                    if self.verbose or self.screen.decorated:
                        self._say(line, place, text, "dim")
                case ToolStarted(id, name, summary):
                    self._tools[line.attempt, id] = name
                    self._line(place, ("  ▸ ", "cyan"), f"{cut(name, 60)} {self._fit(summary)}".rstrip())
                case ToolFinished(id, ok, summary):
                    name = self._tools.pop((line.attempt, id), "a tool")
                    if not ok:
                        self._line(place, (f"  ✗ {cut(name, 60)} {self._fit(summary)}".rstrip(), "yellow"))
                case Notice(text):
                    self._line(place, (f"  ! {self._fit(text)}", "yellow"))
                case never:
                    assert_never(never)

    def _say(self, line: LiveLine, place: Place, text: str, style: str) -> None:
        voice = self._voices.setdefault(line.attempt, _Voice(place, style))
        if voice.style != style:
            self._flush(line.attempt)
            voice = self._voices.setdefault(line.attempt, _Voice(place, style))
        text = voice.held + text
        text = text if voice.begun else text.lstrip("\n")
        voice.begun = voice.begun or bool(text)
        voice.held = ""
        if self.screen.interactive and not self._beside:
            self._stream(line.attempt, voice, text)
        else:
            whole, newline, voice.held = text.rpartition("\n")
            if newline:
                for part in whole.split("\n"):
                    self._line(place, (part, style))

    def _stream(self, attempt: str, voice: _Voice, text: str) -> None:
        end = held_back(text)
        text, voice.held = text[:end], text[end:]
        if not text:
            return
        if self._streaming != attempt:
            self._break()
            self._head(voice.place)
        self.screen.write((text, voice.style))
        self._streaming = "" if text.endswith("\n") else attempt

    # Lines ---------------------------------------------------------------------------------

    def finish(self) -> None:
        """Print what is left of unfinished lines."""
        with self._printing():
            for attempt in list(self._voices):
                self._flush(attempt)
            self._break()

    def _finish(self, place: Place) -> None:
        for attempt in [attempt for attempt, voice in self._voices.items() if voice.place == place]:
            self._flush(attempt)

    def _flush(self, attempt: str) -> None:
        voice = self._voices.pop(attempt)
        if self._streaming == attempt:
            self._break()
        if voice.held:
            self._line(voice.place, (voice.held, voice.style))

    def _break(self) -> None:
        if self._streaming:
            self._streaming = ""
            self.screen.line()

    def _line(self, place: Place, *parts: Part) -> None:
        self._break()
        name = self._name(place) if self._beside else ""
        if name:
            self.screen.line((f"{name} │ ", "cyan"), *parts)
            return
        self._head(place)
        self.screen.line(*parts)

    @property
    def _beside(self) -> bool:
        """Whether somebody else may speak between two lines, so that each must say whose it is."""
        return self.many or len(self._stages) > 1

    def _head(self, place: Place, runtime: str = "") -> None:
        if place == self._current or place not in self._stages:
            return
        self._break()
        if self._current is not None and self.screen.interactive:
            self.screen.line()
        self._current = place
        by = f" ({runtime})" if runtime else ""
        self.screen.line((f"── {self._name(place, ' · ')}{by} ──", "title"))

    def _name(self, place: Place, between: str = " ") -> str:
        task, number = place
        stage = self._stages.get(place)
        agent = stage.agent if stage else self._agents.get(place, "")
        words = (task if self.many else "", str(number) if number else "", agent)  # 0 is the task itself
        return between.join(word for word in words if word)

    def _fit(self, text: str) -> str:
        return cut(text, max(self.screen.width - 12, 40) if self.screen.interactive else 200)
