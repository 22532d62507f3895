"""What happened to a task, told once: the durable events that lists, logs and live views are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Event", "EventKind"]


class EventKind(StrEnum):
    """The words on the event stream; `data` of each is named behind it."""

    TASK_SUBMITTED = "task_submitted"
    ROUTED = "routed"  # agent: the one that begins; fallback, why
    STAGE_START = "stage_start"  # runtime, branch
    TURN_START = "turn_start"  # kind, runtime, attempt (number)
    TURN_RETRY = "turn_retry"  # class, message, delay (seconds), attempt
    TURN_COMPLETE = "turn_complete"  # kind, seconds, input, output, cost_usd, denied
    TURN_FAILED = "turn_failed"  # kind, class, message
    TURN_WAITS = "turn_waits"  # class, message, delay (seconds)
    WORKER_LOST = "worker_lost"  # attempt (number)
    GATE_VERDICT = "gate_verdict"  # approved, reason, by
    HANDOFF = "handoff"  # to, condition
    NO_HANDOFF = "no_handoff"  # conditions: those that did not match
    CONDITION_MISS = "condition_miss"  # condition, field: a comparison named a field that the answer lacks
    GATE_WAITING = "gate_waiting"  # question
    HUMAN_INPUT_WAITING = "human_input_waiting"  # question
    HUMAN_INPUT = "human_input"  # answer: its beginning
    ROUND_START = "round_start"  # round, rounds
    SPOKE = "spoke"  # round, vote
    ABSENT = "absent"  # round, class, message
    ROUND_COMPLETE = "round_complete"  # round, votes
    CONSENSUS = "consensus"  # reached, round
    CHUNK_UPDATE = "chunk_update"  # chunk, change
    JOINED = "joined"  # branches
    BRANCH_WAITS = "branch_waits"  # branch: it is parked at the agent, a join
    BRANCH_LATE = "branch_late"  # branch
    BRANCH_CANCELLED = "branch_cancelled"  # branch, reason
    STAGE_COMPLETE = "stage_complete"  # seconds
    STAGE_FAILED = "stage_failed"  # class, message
    TASK_STALLED = "task_stalled"  # class, message
    TASK_RESUMED = "pipeline_resuming"
    TASK_RESTARTED = "pipeline_restarting"  # from_stage
    PRIORITY = "priority"  # priority
    TASK_COMPLETE = "task_complete"
    TASK_FAILED = "task_failed"  # class, message
    TASK_CANCELLED = "task_cancelled"  # reason


@dataclass(frozen=True, slots=True)
class Event:
    """`seq` counts from 1 per task without gaps; `at` is seconds since the epoch on the database's clock."""

    seq: int
    at: float
    kind: EventKind
    task: str
    stage: int | None = None  # the stage's number
    agent: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
