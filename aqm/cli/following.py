"""A task that another process runs, told from its first stage on or from now on, and nothing of it twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from aqm.cli.view import View
from aqm.flow.event import Event, EventKind
from aqm.flow.state import AttemptStatus
from aqm.runtimes.base import Text
from aqm.service.views import LiveLine, LogEntry

__all__ = ["Following", "missing"]

_ENDS = (EventKind.TURN_COMPLETE, EventKind.TURN_FAILED, EventKind.WORKER_LOST)


@dataclass(slots=True)
class Following:
    """Hands a view what is followed. Text is polled while a turn runs, so its end, or all of a quick turn,
    may be missed: what is missing comes from the logs when the turn has ended.
    """

    view: View
    entries: Callable[[int], Iterable[LogEntry]]  # what the attempts of a stage said
    past: int = 0  # events up to this one are only told of stages that are still open
    still_open: Collection[int] = ()
    _told: dict[str, str] = field(default_factory=lambda: defaultdict(str))  # by attempt
    _ended: set[str] = field(default_factory=set)

    def on_live(self, line: LiveLine) -> None:
        if line.attempt in self._ended:
            return
        if isinstance(line.live, Text):
            self._told[line.attempt] += line.live.text
        self.view.on_live(line)

    def on_event(self, event: Event) -> None:
        if event.seq <= self.past and event.stage not in self.still_open:
            self.view.recall(event)
            return
        if event.kind in _ENDS and event.stage is not None:
            for entry in self.entries(event.stage):
                if entry.status is not AttemptStatus.RUNNING and entry.attempt not in self._ended:
                    self._complete(event.task, entry)
        self.view.on_event(event)

    def _complete(self, task: str, entry: LogEntry) -> None:
        self._ended.add(entry.attempt)
        rest = missing(self._told.pop(entry.attempt, ""), entry.text)
        if rest:
            line = LiveLine(task, entry.stage, entry.agent, entry.kind, entry.attempt, Text(rest))
            self.view.on_live(line)


def missing(told: str, answer: str) -> str:
    """What of the answer was not told. Before the answer an agent may have said other things."""
    if answer in told:
        return ""
    for length in range(min(len(told), len(answer)), 0, -1):
        if told.endswith(answer[:length]):
            return answer[length:]
    return f"\n\n{answer}" if told else answer
