"""Brings together what is told one by one and read as one: the hand-offs of a fan-out, the last of a join."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from aqm.flow.event import Event, EventKind

__all__ = ["Gathering"]


@dataclass(slots=True)
class Gathering:
    """A fan-out is told as its hand-offs, each followed by what it opens. They wait until the events of that
    moment are over, and come out as one hand-off to all of them."""

    _pending: list[Event] = field(default_factory=list)

    def add(self, event: Event) -> list[Event]:
        """What may be shown now."""
        ready = [] if self._goes_on_with(event) else self.rest()
        if self._pending or event.kind is EventKind.HANDOFF:
            self._pending.append(event)
        else:
            ready.append(event)
        return ready

    def rest(self) -> list[Event]:
        """What is still held back."""
        pending, self._pending = self._pending, []
        handoffs = [event for event in pending if event.kind is EventKind.HANDOFF]
        joined = {
            path
            for event in pending
            if event.kind is EventKind.JOINED
            for path in event.data.get("branches", ())
        }
        others = [
            event
            for event in pending
            if event.kind is not EventKind.HANDOFF
            and not (event.kind is EventKind.BRANCH_WAITS and event.data.get("branch") in joined)
        ]
        return [*_as_one(handoffs), *others]

    def _goes_on_with(self, event: Event) -> bool:
        """Whether the event belongs to what is held back; who hands on to one agent need not wait."""
        if not self._pending:
            return True
        first = self._pending[0]
        if (event.task, event.at) != (first.task, first.at):
            return False
        if event.kind is EventKind.HANDOFF:
            return event.stage == first.stage
        if len(self._pending) == 1 and event.kind is EventKind.STAGE_START:
            newest = str(event.data.get("branch", "")).rpartition("/")[2]
            return newest.startswith(f"{first.stage}.")
        return True


def _as_one(handoffs: list[Event]) -> list[Event]:
    if len(handoffs) < 2:
        return handoffs
    conditions = {str(event.data.get("condition") or "always") for event in handoffs}
    condition = conditions.pop() if len(conditions) == 1 else "always"
    targets = [event.data.get("to", "") for event in handoffs]
    return [replace(handoffs[0], data={"to": targets, "condition": condition})]
