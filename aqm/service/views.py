"""What a front door is given: frozen views of tasks, ready to print or to send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from aqm.errors import Fault
    from aqm.flow.event import Event
    from aqm.flow.outcome import Usage
    from aqm.flow.state import AttemptStatus, Priority, StageStatus, TaskStatus, TurnKind, Waits
    from aqm.runtimes.base import Live

__all__ = [
    "AttemptView",
    "Check",
    "ChunkView",
    "LiveLine",
    "LogEntry",
    "OnEvent",
    "OnLiveLine",
    "PipelineView",
    "StageView",
    "TaskDetail",
    "TaskError",
    "TaskPage",
    "TaskSummary",
    "Validation",
    "Waiting",
]


@dataclass(frozen=True, slots=True)
class TaskError:
    kind: str  # printed as `class`
    message: str
    cure: str


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """One row of a list. Times are seconds since the epoch; `description` is the task's text, cut at 200."""

    id: str
    status: TaskStatus
    description: str
    pipeline: str
    priority: Priority
    created_at: float
    updated_at: float
    parent: str | None
    error: TaskError | None
    stages: int  # how many were opened
    usage: Usage  # the sum over all attempts
    run: int = 1


@dataclass(frozen=True, slots=True)
class TaskPage:
    tasks: tuple[TaskSummary, ...]
    next: str | None  # the cursor of the next page


@dataclass(frozen=True, slots=True)
class AttemptView:
    number: int
    turn: int
    kind: TurnKind
    runtime: str
    status: AttemptStatus
    started_at: float
    finished_at: float | None
    failure: str  # the failure's class, or ""
    message: str
    usage: Usage
    denied: tuple[str, ...] = ()
    agent: str = ""  # in a session the one who speaks
    round: int = 0
    vote: bool | None = None


@dataclass(frozen=True, slots=True)
class StageView:
    number: int
    agent: str
    branch: str
    status: StageStatus
    gate: str  # approved, rejected or ""
    gate_reason: str
    headline: str
    started_at: float | None
    finished_at: float | None
    usage: Usage
    attempts: tuple[AttemptView, ...]
    error: TaskError | None = None
    waits: Waits | None = None
    question: str = ""
    round: int = 0  # a session's
    consensus: bool | None = None  # a session's end
    joined: tuple[str, ...] = ()  # the branches that a join has brought together
    cancelled: bool = False  # it was open when the task or its branch was cancelled


@dataclass(frozen=True, slots=True)
class ChunkView:
    id: str  # C-001
    status: str  # open or done
    text: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a stage waits for a person to say: a verdict on `output`, or an answer to the question."""

    stage: int
    agent: str
    branch: str
    waits: Waits
    question: str
    output: str


@dataclass(frozen=True, slots=True)
class TaskDetail:
    task: TaskSummary
    text: str  # the whole description
    params: dict[str, object]
    stages: tuple[StageView, ...]
    waits_for: str  # why it rests, in a sentence, or ""
    folder: Path
    parked: tuple[tuple[str, str], ...] = ()  # branches that wait at a join: path and join


@dataclass(frozen=True, slots=True)
class LiveLine:
    """A live event of a running turn, with its place."""

    task: str
    stage: int
    agent: str
    kind: TurnKind
    attempt: str
    live: Live


OnLiveLine = Callable[[LiveLine], None]
OnEvent = Callable[["Event"], None]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one attempt said: whole once it ended, so far while it runs."""

    stage: int
    agent: str
    kind: TurnKind
    attempt: str
    number: int
    status: AttemptStatus
    text: str
    failure: str = ""
    message: str = ""
    branch: str = ""
    session: str = ""  # the session that the agent speaks in
    round: int = 0


@dataclass(frozen=True, slots=True)
class PipelineView:
    name: str
    file: Path
    default: bool


@dataclass(frozen=True, slots=True)
class Validation:
    """The verdict on one file; it is valid when no fault is an error."""

    file: str
    faults: tuple[Fault, ...]

    @property
    def valid(self) -> bool:
        return not any(fault.severity == "error" for fault in self.faults)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `aqm doctor`."""

    name: str
    state: Literal["ok", "missing", "warning"]
    detail: str
    cure: str = ""
