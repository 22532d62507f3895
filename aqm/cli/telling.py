"""What each durable event is called on a terminal: one line, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aqm.cli.figures import duration
from aqm.cli.terminal import Part, brief
from aqm.flow.event import Event, EventKind
from aqm.flow.outcome import FAILURES, FailureClass
from aqm.flow.state import TurnKind

__all__ = ["ERRANDS", "LINES", "told"]

Data = Mapping[str, Any]

# Turns that are not the agent's own work; what they say is shown with --verbose only.
ERRANDS = {
    TurnKind.GATE: "judges the work",
    TurnKind.ROUTE: "chooses who starts",
    TurnKind.REPAIR: "is asked to answer in the agreed form",
}
_REASON = 300  # characters of a reason or message that a line shows


def told(event: Event) -> tuple[Part, ...]:
    """The line's parts, indented under the stage's heading; empty when there is nothing to tell."""
    return LINES[event.kind](event.data)


def _nothing(_: Data) -> tuple[Part, ...]:
    return ()


def _short(data: Data, key: str) -> str:
    return brief(str(data.get(key) or ""), _REASON)


def _names(value: object) -> str:
    """One name or several: `to` and `conditions` come as either."""
    return ", ".join(str(name) for name in value) if isinstance(value, (list, tuple)) else str(value)


def _why(data: Data) -> str:
    kind, message = str(data.get("class") or ""), _short(data, "message")
    return " — ".join(part for part in (kind, message) if part)


def _turn_start(data: Data) -> tuple[Part, ...]:
    errand = ERRANDS.get(TurnKind(data.get("kind", TurnKind.WORK)))
    return ((f"  · {data.get('runtime', '')} {errand}", "dim"),) if errand else ()


def _turn_complete(data: Data) -> tuple[Part, ...]:
    denied = data.get("denied")
    return ((f"  ! tools refused: {_names(denied)}", "yellow"),) if denied else ()


def _turn_retry(data: Data) -> tuple[Part, ...]:
    """The failure before it has been told."""
    return ((f"  ↻ tries again{_in(data)}", "yellow"),)


def _in(data: Data) -> str:
    delay = float(data.get("delay") or 0)
    return f" in {duration(delay)}" if delay else ""


def _turn_waits(data: Data) -> tuple[Part, ...]:
    """Only the vendor's own waits end by themselves; the failure before it has been told."""
    vendor = FAILURES[FailureClass(data["class"])].who == "vendor" if data.get("class") else False
    return ((f"  … tries again{_in(data)}", "yellow"),) if vendor else ()


def _gate_verdict(data: Data) -> tuple[Part, ...]:
    reason = _short(data, "reason")
    why = f" — {reason}" if reason else ""
    return (("  ✓ approved", "green"), why) if data.get("approved") else (("  ✗ rejected", "red"), why)


def _handoff(data: Data) -> tuple[Part, ...]:
    condition = str(data.get("condition") or "always")
    why = "" if condition == "always" else f" ({condition})"
    return ((f"  → {_names(data.get('to', ''))}{why}", "dim"),)


def _no_handoff(data: Data) -> tuple[Part, ...]:
    conditions = data.get("conditions")
    return ((f"  · no handoff matched: {_names(conditions)}", "dim"),) if conditions else ()


def _condition_miss(data: Data) -> tuple[Part, ...]:
    text = f"  ! {_short(data, 'condition')}: the answer has no field {_short(data, 'field')!r}"
    return ((text, "yellow"),)


LINES: dict[EventKind, Callable[[Data], tuple[Part, ...]]] = {
    EventKind.TASK_SUBMITTED: _nothing,
    EventKind.STAGE_START: _nothing,  # the heading comes with its first turn
    EventKind.TURN_START: _turn_start,
    EventKind.TURN_RETRY: _turn_retry,
    EventKind.TURN_COMPLETE: _turn_complete,
    EventKind.TURN_FAILED: lambda data: ((f"  ✗ {_why(data)}", "red"),),
    EventKind.TURN_WAITS: _turn_waits,
    EventKind.WORKER_LOST: lambda data: (("  ↻ its worker went away; it is tried again", "yellow"),),
    EventKind.GATE_VERDICT: _gate_verdict,
    EventKind.HANDOFF: _handoff,
    EventKind.NO_HANDOFF: _no_handoff,
    EventKind.CONDITION_MISS: _condition_miss,
    EventKind.STAGE_COMPLETE: _nothing,  # the view adds what it counted
    EventKind.STAGE_FAILED: _nothing,
    EventKind.TASK_STALLED: lambda data: (("  … stalled", "yellow"),),
    EventKind.TASK_RESUMED: lambda data: (("  · goes on", "dim"),),
    EventKind.TASK_COMPLETE: _nothing,  # how a task ended is said by the command, in its last lines
    EventKind.TASK_FAILED: _nothing,
    EventKind.TASK_CANCELLED: _nothing,
}
