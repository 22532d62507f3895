"""The statuses of tasks, stages, turns and attempts, and the moves between them that are allowed."""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "TASK_MOVES",
    "TURN_MOVES",
    "AttemptStatus",
    "Priority",
    "StageStatus",
    "TaskStatus",
    "TurnKind",
    "TurnStatus",
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


TASK_MOVES: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.PENDING: frozenset(
        {TaskStatus.IN_PROGRESS, TaskStatus.STALLED, TaskStatus.CANCELLED, TaskStatus.FAILED}
        | {TaskStatus.AWAITING_GATE, TaskStatus.AWAITING_HUMAN_INPUT}
    ),
    TaskStatus.IN_PROGRESS: frozenset(set(TaskStatus) - {TaskStatus.PENDING, TaskStatus.IN_PROGRESS}),
    TaskStatus.AWAITING_GATE: frozenset(
        {TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED}
    ),
    TaskStatus.AWAITING_HUMAN_INPUT: frozenset(
        {TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED}
    ),
    TaskStatus.STALLED: frozenset({TaskStatus.IN_PROGRESS, TaskStatus.FAILED, TaskStatus.CANCELLED}),
    # a restart opens an ended task again
    TaskStatus.COMPLETED: frozenset({TaskStatus.IN_PROGRESS}),
    TaskStatus.FAILED: frozenset({TaskStatus.IN_PROGRESS}),
    TaskStatus.CANCELLED: frozenset({TaskStatus.IN_PROGRESS}),
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
