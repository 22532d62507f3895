"""Who is on: the stages that a live view shows, and in sessions who speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aqm.flow.event import Event, EventKind
from aqm.flow.state import TurnKind
from aqm.service.views import LiveLine

__all__ = ["Place", "Stage", "Staging"]

Place = tuple[str, int]  # task and stage; stage 0 is the task itself
Members = Callable[[str, str], Sequence[str]]
_ALL_OVER = (
    EventKind.TASK_COMPLETE,
    EventKind.TASK_FAILED,
    EventKind.TASK_CANCELLED,
    EventKind.TASK_RESTARTED,
)


@dataclass(slots=True)
class Stage:
    """`by` is whose work it is: a runtime, or a session's participants. `chorus`: several speak at once."""

    agent: str
    by: str = ""
    members: tuple[str, ...] = ()
    tokens: int | None = None
    rejected: bool = False
    speaking: set[str] = field(default_factory=set)
    chorus: bool = False


@dataclass(slots=True)
class Staging:
    _open: dict[Place, Stage] = field(default_factory=dict)
    _closed: set[Place] = field(default_factory=set)
    _agents: dict[Place, str] = field(default_factory=dict)
    _branches: dict[tuple[str, str], str] = field(default_factory=dict)  # the agent that a branch is at

    @property
    def several(self) -> bool:
        return len(self._open) > 1

    def place(self, event: Event) -> Place:
        """The router's turn is nobody's stage yet."""
        routes = event.kind is EventKind.ROUTED or event.data.get("kind") == TurnKind.ROUTE
        return event.task, 0 if routes else event.stage or 0

    def is_open(self, place: Place) -> bool:
        return place in self._open

    def chorus(self, place: Place) -> bool:
        return place in self._open and self._open[place].chorus

    def by(self, place: Place) -> str:
        return self._open[place].by if place in self._open else ""

    def name(self, place: Place, many: bool, between: str = " ") -> str:
        task, number = place
        agent = self._open[place].agent if place in self._open else self._agents.get(place, "")
        words = (task if many else "", str(number) if number else "", agent)
        return between.join(word for word in words if word)

    def hear(self, line: LiveLine) -> Place:
        """Where something is said; the beginning of that stage may have been missed."""
        place = (line.task, 0 if line.kind is TurnKind.ROUTE else line.stage)
        if place[1] and place not in self._closed:
            self._open.setdefault(place, Stage(line.agent))
        return place

    def close(self, place: Place, agent: str) -> Stage:
        self._closed.add(place)
        return self._open.pop(place, Stage(agent))

    # Events --------------------------------------------------------------------------------

    def note(self, event: Event, members: Members) -> Mapping[str, Any]:
        """Keep up with what has happened; gives what the event's data are called on a screen."""
        place = (event.task, event.stage or 0)
        kind = event.kind
        if kind in _ALL_OVER:
            for one in [one for one in self._open if one[0] == event.task]:
                self.close(one, "")
        elif kind is EventKind.BRANCH_CANCELLED and event.stage is not None:
            self.close(place, event.agent)
            self._agents[place] = event.agent
        elif kind in (EventKind.STAGE_START, EventKind.ROUTED):
            self._begin(place, event, members)
        elif kind is EventKind.JOINED:
            return {"branches": self._joined(event)}
        elif kind is EventKind.ROUND_COMPLETE:
            return {"votes": self._in_order(place, event.data.get("votes") or {})}
        elif event.stage is not None:
            self._agents.setdefault(place, event.agent)
            self._go_on(place, event)
        return {}

    def _begin(self, place: Place, event: Event, members: Members) -> None:
        if event.data.get("routed"):
            return  # whose stage it is, the router decides
        by = str(event.data.get("runtime") or "")
        speakers = tuple(members(event.task, event.agent)) if by == "session" else ()
        by = f"session of {', '.join(speakers)}" if speakers else by
        self._open[place] = Stage(event.agent, by, speakers)
        self._agents[place] = event.agent
        self._branches[event.task, str(event.data.get("branch") or "")] = event.agent

    def _joined(self, event: Event) -> list[str]:
        paths = [str(path) for path in event.data.get("branches") or ()]
        return list(dict.fromkeys(self._branches.get((event.task, path), path) for path in paths))

    def _in_order(self, place: Place, votes: Mapping[str, bool]) -> dict[str, bool]:
        """As the participants are listed, not as they voted."""
        members = self._open[place].members if place in self._open else ()
        return {name: votes[name] for name in (*members, *votes) if name in votes}

    def _go_on(self, place: Place, event: Event) -> None:
        if event.kind is EventKind.TURN_START and event.data.get("kind") != TurnKind.ROUTE:
            self._open.setdefault(place, Stage(event.agent))
        stage = self._open.get(place)
        if stage is None:
            return
        if event.kind is EventKind.TURN_START:
            _start(stage, event)
        elif event.kind is EventKind.TURN_COMPLETE:
            known = [event.data[key] for key in ("input", "output") if event.data.get(key) is not None]
            stage.tokens = (stage.tokens or 0) + sum(known) if known else stage.tokens
        elif event.kind in (EventKind.SPOKE, EventKind.ABSENT, EventKind.WORKER_LOST):
            stage.speaking.discard(event.agent)
        elif event.kind is EventKind.ROUND_START:
            stage.chorus = False
        elif event.kind is EventKind.GATE_VERDICT:
            stage.rejected = not event.data.get("approved")


def _start(stage: Stage, event: Event) -> None:
    kind = event.data.get("kind", TurnKind.WORK)
    if kind == TurnKind.SPEAK:
        stage.speaking.add(event.agent)
        stage.chorus = stage.chorus or len(stage.speaking) > 1
    elif kind == TurnKind.SUMMARY:
        stage.chorus = False
    elif kind == TurnKind.WORK and not stage.by:
        stage.by = str(event.data.get("runtime") or "")
