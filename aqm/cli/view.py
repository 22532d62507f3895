"""The live view: what agents say and what becomes of it, line by line, from any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import assert_never

from aqm.cli.figures import count, duration
from aqm.cli.gathering import Gathering
from aqm.cli.staging import Place, Staging
from aqm.cli.telling import ERRANDS, told
from aqm.cli.terminal import Part, Screen, cut, held_back
from aqm.flow.event import Event, EventKind
from aqm.flow.state import TurnKind
from aqm.runtimes.base import Notice, Text, Thinking, ToolFinished, ToolStarted
from aqm.service.views import LiveLine

__all__ = ["View"]

_TURN_ENDS = (EventKind.TURN_COMPLETE, EventKind.TURN_FAILED, EventKind.TURN_RETRY)
_ENDS = (EventKind.STAGE_COMPLETE, EventKind.STAGE_FAILED)
_SPEAKING = (TurnKind.SPEAK, TurnKind.SUMMARY)


@dataclass(slots=True)
class _Voice:
    """The unfinished line of one attempt; in a session `who` speaks it."""

    place: Place
    style: str = ""
    who: str = ""
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
    members: Callable[[str, str], Sequence[str]] = lambda task, agent: ()  # who speaks in a session
    unread: Callable[[], None] = lambda: None  # called once when the screen takes no more
    broken: OSError | None = None
    seen: dict[str, int] = field(default_factory=dict)  # the last event of each task
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _gathering: Gathering = field(default_factory=Gathering)
    _staging: Staging = field(default_factory=Staging)
    _waiting: list[Event | LiveLine] | None = None  # while somebody else has the screen
    _voices: dict[str, _Voice] = field(default_factory=dict)
    _named: set[str] = field(default_factory=set)  # attempts whose speaker was named
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

    @contextmanager
    def held(self) -> Iterator[None]:
        """While it is entered the screen is somebody else's; what comes is shown afterwards."""
        with self._printing():
            self._show_rest()
            self._break()
            self._waiting = []
        try:
            yield
        finally:
            with self._printing():
                came, self._waiting = self._waiting, None
                for one in came or ():
                    self.on_event(one) if isinstance(one, Event) else self.on_live(one)

    def finish(self) -> None:
        """Print what is left of unfinished lines."""
        with self._printing():
            self._show_rest()
            for attempt in list(self._voices):
                self._flush(attempt)
            self._break()

    # Events --------------------------------------------------------------------------------

    def recall(self, event: Event) -> None:
        """Know of it without a word."""
        with self._lock:
            self.seen[event.task] = event.seq
            self._staging.note(event, self.members)
            if event.kind in _ENDS:
                self._staging.close(self._staging.place(event), event.agent)

    def on_event(self, event: Event) -> None:
        with self._printing():
            self.seen[event.task] = event.seq
            if self._waiting is not None:
                self._waiting.append(event)
                return
            for one in self._gathering.add(event):
                self._show(one)

    def _show_rest(self) -> None:
        for event in self._gathering.rest():
            self._show(event)

    def _show(self, event: Event) -> None:
        staging = self._staging
        place = staging.place(event)
        known = staging.note(event, self.members)
        if self.only is not None and event.stage != self.only:
            return
        if event.kind in _TURN_ENDS or event.kind in _ENDS:
            self._finish(place, event)
        if event.kind is EventKind.TURN_START and event.data.get("kind") not in ERRANDS:
            self._head(place)
        parts = told(replace(event, data={**event.data, **known}) if known else event)
        if parts and (self.verbose or event.kind is not EventKind.NO_HANDOFF):
            self._line(place, *parts)
        if event.kind in _ENDS:
            self._close(place, event)

    def _close(self, place: Place, event: Event) -> None:
        stage = self._staging.close(place, event.agent)
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
            if self._waiting is not None:
                self._waiting.append(line)
                return
            self._show_rest()
            self._hear(line)

    def _hear(self, line: LiveLine) -> None:
        place = self._staging.hear(line)
        who = line.agent if line.kind in _SPEAKING else ""
        if not isinstance(line.live, Text | Thinking) and line.attempt in self._voices:
            self._flush(line.attempt)
        aside = self._aside(place, who)
        match line.live:
            case Text(text):
                self._say(line, _Voice(place, "", who), text)
            case Thinking(text):
                if self.verbose or self.screen.decorated:
                    self._say(line, _Voice(place, "dim", who), text)
            case ToolStarted(id, name, summary):
                self._tools[line.attempt, id] = name
                self._line(place, *aside, ("  ▸ ", "cyan"), f"{cut(name, 60)} {self._fit(summary)}".rstrip())
            case ToolFinished(id, ok, summary):
                name = self._tools.pop((line.attempt, id), "a tool")
                if not ok:
                    self._line(
                        place, *aside, (f"  ✗ {cut(name, 60)} {self._fit(summary)}".rstrip(), "yellow")
                    )
            case Notice(text):
                self._line(place, *aside, (f"  ! {self._fit(text)}", "yellow"))
            case never:
                assert_never(never)

    def _say(self, line: LiveLine, new: _Voice, text: str) -> None:
        voice = self._voices.setdefault(line.attempt, new)
        if voice.style != new.style:
            self._flush(line.attempt)
            voice = self._voices.setdefault(line.attempt, new)
        text = voice.held + text
        text = text if voice.begun else text.lstrip("\n")
        voice.begun = voice.begun or bool(text)
        voice.held = ""
        if self.screen.interactive and not self._beside and not self._staging.chorus(voice.place):
            self._stream(line.attempt, voice, text)
        else:
            whole, newline, voice.held = text.rpartition("\n")
            if newline:
                for part in whole.split("\n"):
                    self._line(voice.place, *self._lead(line.attempt, voice), (part, voice.style))

    def _stream(self, attempt: str, voice: _Voice, text: str) -> None:
        end = held_back(text)
        text, voice.held = text[:end], text[end:]
        if not text:
            return
        if self._streaming != attempt:
            self._break()
            self._head(voice.place)
        self.screen.write(*self._lead(attempt, voice), (text, voice.style))
        self._streaming = "" if text.endswith("\n") else attempt

    def _lead(self, attempt: str, voice: _Voice) -> tuple[Part, ...]:
        """Who speaks, before the first line; before each one where several speak at once."""
        if not voice.who or self._staging.chorus(voice.place):
            return self._aside(voice.place, voice.who)
        if voice.style or attempt in self._named:
            return ()
        self._named.add(attempt)
        return ((f"{voice.who}: ", "cyan"),)

    def _aside(self, place: Place, who: str) -> tuple[Part, ...]:
        return ((f"{who}: ", "cyan"),) if who and self._staging.chorus(place) else ()

    # Lines ---------------------------------------------------------------------------------

    def _finish(self, place: Place, event: Event) -> None:
        """A turn's end ends its lines; the other speakers of a session go on."""
        for attempt, voice in list(self._voices.items()):
            if voice.place == place and (event.kind in _ENDS or voice.who in ("", event.agent)):
                self._flush(attempt)

    def _flush(self, attempt: str) -> None:
        voice = self._voices.pop(attempt)
        if self._streaming == attempt:
            self._break()
        if voice.held:
            self._line(voice.place, *self._lead(attempt, voice), (voice.held, voice.style))

    def _break(self) -> None:
        if self._streaming:
            self._streaming = ""
            self.screen.line()

    def _line(self, place: Place, *parts: Part) -> None:
        self._break()
        name = self._staging.name(place, self.many) if self._beside else ""
        if name:
            self.screen.line((f"{name} │ ", "cyan"), *parts)
            return
        self._head(place)
        if place[1] and not self._staging.is_open(place) and place != self._current:
            self._current = None  # whoever speaks next says who it is
        self.screen.line(*parts)

    @property
    def _beside(self) -> bool:
        """Whether somebody else may speak between two lines, so that each must say whose it is."""
        return self.many or (self.only is None and self._staging.several)

    def _head(self, place: Place) -> None:
        if place == self._current or not self._staging.is_open(place):
            return
        self._break()
        if self._current is not None and self.screen.interactive:
            self.screen.line()
        self._current = place
        by = self._staging.by(place)
        shown = f" ({by})" if by else ""
        self.screen.line((f"── {self._staging.name(place, self.many, ' · ')}{shown} ──", "title"))

    def _fit(self, text: str) -> str:
        return cut(text, max(self.screen.width - 12, 40) if self.screen.interactive else 200)
