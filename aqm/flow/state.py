"""The statuses of tasks, stages, turns and attempts, and the moves between them that are allowed."""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "TASK_MOVES",
    "TURN_MOVES",
    "AttemptStatus",
    "BranchStatus",
    "ChunkStatus",
    "Priority",
    "StageStatus",
    "TaskStatus",
    "TurnKind",
    "TurnStatus",
    "Waits",
    "resting",
]


class TaskStatus(StrEnum):
    PENDING = "pending"  # submitted; no turn was claimed yet
    IN_PROGRESS = "in_progress"
    AWAITING_GATE = "awaiting_gate"  # a person must approve or reject
    AWAITING_HUMAN_INPUT = "awaiting_human_input"
    STALLED = "stalled"  # no worker serves a runtime it needs, or its CLI is missing
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in _ENDED

    @property
    def waits(self) -> bool:
        return self in _WAITING


_ENDED = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED})
_WAITING = frozenset({TaskStatus.AWAITING_GATE, TaskStatus.AWAITING_HUMAN_INPUT, TaskStatus.STALLED})


class StageStatus(StrEnum):
    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"  # a restart or a cancel took it back


class Waits(StrEnum):
    """What an open stage waits for instead of a turn."""

    GATE = "gate"  # a person's verdict
    INPUT = "input"  # a person's answer
    HOST = "host"  # a host that can run it


class BranchStatus(StrEnum):
    LIVE = "live"
    PARKED = "parked"  # arrived at a join that is not open yet
    FORKED = "forked"  # it fanned out itself
    MERGED = "merged"  # a join went on with it
    LATE = "late"  # it arrived at a join that had gone on without it
    ENDED = "ended"
    FAILED = "failed"
    CANCELLED = "cancelled"  # with the task, or because another branch failed; a restart takes it up again
    DROPPED = "dropped"  # a restart took it back


class ChunkStatus(StrEnum):
    OPEN = "open"
    DONE = "done"
    REMOVED = "removed"
    DROPPED = "dropped"  # a restart took back the stage that added it


class TurnStatus(StrEnum):
    PENDING = "pending"  # it exists, and its turn to be queued has not come
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"


class AttemptStatus(StrEnum):
    RUNNING = "running"
    ANSWERED = "answered"
    FAILED = "failed"
    LOST = "lost"  # its worker went away
    FENCED = "fenced"  # it came too late: the turn had been taken from it


class TurnKind(StrEnum):
    WORK = "work"
    GATE = "gate"
    REPAIR = "repair"
    ROUTE = "route"
    SPEAK = "speak"
    SUMMARY = "summary"


class Priority(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 comes first; stored, so that rows sort by it."""
        return list(Priority).index(self)


_REOPENED = frozenset({TaskStatus.IN_PROGRESS, TaskStatus.AWAITING_GATE, TaskStatus.AWAITING_HUMAN_INPUT})

TASK_MOVES: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.PENDING: frozenset(
        {TaskStatus.IN_PROGRESS, TaskStatus.STALLED, TaskStatus.CANCELLED, TaskStatus.FAILED}
        | {TaskStatus.AWAITING_GATE, TaskStatus.AWAITING_HUMAN_INPUT}
    ),
    TaskStatus.IN_PROGRESS: frozenset(set(TaskStatus) - {TaskStatus.PENDING, TaskStatus.IN_PROGRESS}),
    TaskStatus.AWAITING_GATE: frozenset(set(TaskStatus) - {TaskStatus.PENDING, TaskStatus.AWAITING_GATE}),
    TaskStatus.AWAITING_HUMAN_INPUT: frozenset(
        set(TaskStatus) - {TaskStatus.PENDING, TaskStatus.AWAITING_HUMAN_INPUT}
    ),
    TaskStatus.STALLED: frozenset(set(TaskStatus) - {TaskStatus.PENDING, TaskStatus.STALLED}),
    # a restart opens an ended task again
    TaskStatus.COMPLETED: _REOPENED,
    TaskStatus.FAILED: _REOPENED,
    TaskStatus.CANCELLED: _REOPENED,
}

TURN_MOVES: dict[TurnStatus, frozenset[TurnStatus]] = {
    TurnStatus.PENDING: frozenset({TurnStatus.QUEUED, TurnStatus.DROPPED}),
    TurnStatus.QUEUED: frozenset({TurnStatus.RUNNING, TurnStatus.DROPPED, TurnStatus.FAILED}),
    TurnStatus.RUNNING: frozenset(
        {TurnStatus.DONE, TurnStatus.FAILED, TurnStatus.DROPPED, TurnStatus.QUEUED}
    ),
    TurnStatus.DONE: frozenset({TurnStatus.DROPPED}),
    TurnStatus.FAILED: frozenset({TurnStatus.DROPPED}),
    TurnStatus.DROPPED: frozenset(),
}


def resting(live: int, gates: int, inputs: int, hosts: int) -> TaskStatus:
    """The status of a task with so many open stages, of which so many wait: it is in progress while any
    branch runs."""
    if live > gates + inputs + hosts:
        return TaskStatus.IN_PROGRESS
    if gates:
        return TaskStatus.AWAITING_GATE
    return TaskStatus.AWAITING_HUMAN_INPUT if inputs else TaskStatus.STALLED
