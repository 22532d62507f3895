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
Line = tuple[Part, ...]

# Turns that are not the agent's own work; what they say is shown with --verbose only.
ERRANDS = {
    TurnKind.GATE: "judges the work",
    TurnKind.ROUTE: "chooses who starts",
    TurnKind.REPAIR: "is asked to answer in the agreed form",
}
_REASON = 300  # characters of a reason or message that a line shows


def told(event: Event) -> Line:
    """The line's parts, indented under the stage's heading; empty when there is nothing to tell."""
    return LINES[event.kind](event)


def _nothing(_: Event) -> Line:
    return ()


def _short(data: Data, key: str) -> str:
    return brief(str(data.get(key) or ""), _REASON)


def _names(value: object) -> str:
    """One name or several: `to` and `conditions` come as either."""
    return ", ".join(str(name) for name in value) if isinstance(value, (list, tuple)) else str(value)


def _because(data: Data, key: str) -> str:
    reason = _short(data, key)
    return f" — {reason}" if reason else ""


# Turns -------------------------------------------------------------------------------------------


def _turn_start(event: Event) -> Line:
    kind, runtime = TurnKind(event.data.get("kind", TurnKind.WORK)), event.data.get("runtime", "")
    if kind is TurnKind.SUMMARY:
        return (("── Summary ──", "title"),)
    if kind is TurnKind.GATE and runtime == "command":
        return (("  · the gate's command runs", "dim"),)
    errand = ERRANDS.get(kind)
    return ((f"  · {runtime} {errand}", "dim"),) if errand else ()


def _turn_complete(event: Event) -> Line:
    denied = event.data.get("denied")
    return ((f"  ! tools refused: {_names(denied)}", "yellow"),) if denied else ()


def _turn_failed(event: Event) -> Line:
    kind = str(event.data.get("class") or "")
    why = " — ".join(part for part in (kind, _short(event.data, "message")) if part)
    return ((f"  ✗ {why}", "red"),)


def _turn_retry(event: Event) -> Line:
    """The failure before it has been told."""
    return ((f"  ↻ tries again{_in(event.data)}", "yellow"),)


def _in(data: Data) -> str:
    delay = float(data.get("delay") or 0)
    return f" in {duration(delay)}" if delay else ""


def _turn_waits(event: Event) -> Line:
    """Only the vendor's own waits end by themselves; the failure before it has been told."""
    kind = event.data.get("class")
    vendor = FAILURES[FailureClass(kind)].who == "vendor" if kind else False
    return ((f"  … tries again{_in(event.data)}", "yellow"),) if vendor else ()


# Where the work goes -----------------------------------------------------------------------------


def _routed(event: Event) -> Line:
    if event.data.get("fallback"):
        why = _because(event.data, "why")
        return ((f"  ! the router chose nobody: {event.agent}, the first one, starts", "yellow"), why)
    return ((f"  → {event.agent} starts", "dim"),)


def _gate_verdict(event: Event) -> Line:
    why = _because(event.data, "reason")
    return (("  ✓ approved", "green"), why) if event.data.get("approved") else (("  ✗ rejected", "red"), why)


def _handoff(event: Event) -> Line:
    """Several targets are the branches of a fan-out."""
    to, condition = event.data.get("to", ""), str(event.data.get("condition") or "always")
    facts = [] if condition == "always" else [condition]
    facts += [f"{len(to)} branches"] if isinstance(to, (list, tuple)) and len(to) > 1 else []
    how = f" ({', '.join(facts)})" if facts else ""
    return ((f"  → {_names(to)}{how}", "dim"),)


def _no_handoff(event: Event) -> Line:
    conditions = event.data.get("conditions")
    return ((f"  · no handoff matched: {_names(conditions)}", "dim"),) if conditions else ()


def _condition_miss(event: Event) -> Line:
    missing = f"the answer has no field {_short(event.data, 'field')!r}"
    return ((f"  ! {_short(event.data, 'condition')}: {missing}", "yellow"),)


def _joined(event: Event) -> Line:
    return ((f"  ⇥ joined {_names(event.data.get('branches', ''))}", "dim"),)


def _branch_waits(event: Event) -> Line:
    return ((f"  … waits at {event.agent} for the other branches", "dim"),)


def _branch_late(event: Event) -> Line:
    return ((f"  · too late for {event.agent}, which has gone on", "dim"),)


def _branch_cancelled(event: Event) -> Line:
    who = event.agent or str(event.data.get("branch") or "a branch")
    return ((f"  ✗ {who} is cancelled{_because(event.data, 'reason')}", "yellow"),)


# People ------------------------------------------------------------------------------------------


def _gate_waiting(event: Event) -> Line:
    question = _short(event.data, "question")
    return (("  ? waits for an approval", "yellow"), f": {question}" if question else "")


def _input_waiting(event: Event) -> Line:
    return ((f"  ? asks: {_short(event.data, 'question')}", "yellow"),)


def _human_input(event: Event) -> Line:
    return (("  · answered: ", "dim"), _short(event.data, "answer"))


# Sessions ----------------------------------------------------------------------------------------


def _round_start(event: Event) -> Line:
    return ((f"── Round {event.data.get('round', '')} ──", "title"),)


def _spoke(event: Event) -> Line:
    """Who agrees stands below the round; who does not, or not any more, is worth a line at once."""
    return ((f"  ✗ {event.agent} disagrees", "yellow"),) if event.data.get("vote") is False else ()


def _absent(event: Event) -> Line:
    return ((f"  – {event.agent} is absent in this round", "yellow"),)


def _round_complete(event: Event) -> Line:
    agreed = [name for name, vote in (event.data.get("votes") or {}).items() if vote]
    left = event.data.get("chunks_open")
    still: Line = ((f"  · {_counted(left, 'chunk')} still open", "dim"),) if left else ()
    return ((f"  {'  '.join(f'✓ {name}' for name in agreed)}", "green"), *still) if agreed else still


def _consensus(event: Event) -> Line:
    after = f"after {_counted(event.data.get('round') or 0, 'round')}"
    if event.data.get("reached"):
        return ((f"  consensus {after}", "green"),)
    return ((f"  no consensus {after}", "yellow"),)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# The task ----------------------------------------------------------------------------------------


def _chunk_update(event: Event) -> Line:
    return ((f"  · {event.data.get('chunk', 'a chunk')} {event.data.get('change', 'changed')}", "dim"),)


def _restarted(event: Event) -> Line:
    return ((f"  ↻ begins again from stage {event.data.get('from_stage', 1)}", "yellow"),)


LINES: dict[EventKind, Callable[[Event], Line]] = {
    EventKind.TASK_SUBMITTED: _nothing,
    EventKind.ROUTED: _routed,
    EventKind.STAGE_START: _nothing,  # the heading comes with its first line
    EventKind.TURN_START: _turn_start,
    EventKind.TURN_RETRY: _turn_retry,
    EventKind.TURN_COMPLETE: _turn_complete,
    EventKind.TURN_FAILED: _turn_failed,
    EventKind.TURN_WAITS: _turn_waits,
    EventKind.WORKER_LOST: lambda event: (("  ↻ its worker went away; it is tried again", "yellow"),),
    EventKind.GATE_VERDICT: _gate_verdict,
    EventKind.HANDOFF: _handoff,
    EventKind.NO_HANDOFF: _no_handoff,
    EventKind.CONDITION_MISS: _condition_miss,
    EventKind.GATE_WAITING: _gate_waiting,
    EventKind.HUMAN_INPUT_WAITING: _input_waiting,
    EventKind.HUMAN_INPUT: _human_input,
    EventKind.ROUND_START: _round_start,
    EventKind.SPOKE: _spoke,
    EventKind.ABSENT: _absent,
    EventKind.ROUND_COMPLETE: _round_complete,
    EventKind.CONSENSUS: _consensus,
    EventKind.CHUNK_UPDATE: _chunk_update,
    EventKind.JOINED: _joined,
    EventKind.BRANCH_WAITS: _branch_waits,
    EventKind.BRANCH_LATE: _branch_late,
    EventKind.BRANCH_CANCELLED: _branch_cancelled,
    EventKind.STAGE_COMPLETE: _nothing,  # the view adds what it counted
    EventKind.STAGE_FAILED: _nothing,
    EventKind.TASK_STALLED: lambda event: (("  … stalled", "yellow"),),
    EventKind.TASK_RESUMED: lambda event: (("  · goes on", "dim"),),
    EventKind.TASK_RESTARTED: _restarted,
    EventKind.PRIORITY: lambda event: ((f"  · priority {event.data.get('priority', '')}", "dim"),),
    EventKind.TASK_COMPLETE: _nothing,  # how a task ended is said by the command, in its last lines
    EventKind.TASK_FAILED: _nothing,
    EventKind.TASK_CANCELLED: _nothing,
}
