"""What people read about tasks: the table, the detail, and the last lines of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from aqm.cli.ending import CANCELLED, DONE, FAILED, WAITS
from aqm.cli.figures import ago, clock, duration, spent
from aqm.cli.terminal import Part, Screen, brief, cut
from aqm.flow.state import AttemptStatus, StageStatus, TaskStatus
from aqm.service.views import AttemptView, StageView, TaskDetail, TaskError, TaskSummary

__all__ = ["closing", "rest_code", "task_lines", "task_table"]

Hint = Callable[[str], str]  # the words of a command → how it is to be typed here

_TASK_STYLES = {
    TaskStatus.COMPLETED: "green",
    TaskStatus.FAILED: "red",
    TaskStatus.CANCELLED: "dim",
    TaskStatus.IN_PROGRESS: "cyan",
    TaskStatus.PENDING: "",
    TaskStatus.AWAITING_GATE: "yellow",
    TaskStatus.AWAITING_HUMAN_INPUT: "yellow",
    TaskStatus.STALLED: "yellow",
}
_STAGE_STYLES = {
    StageStatus.OPEN: "cyan",
    StageStatus.DONE: "green",
    StageStatus.FAILED: "red",
    StageStatus.DROPPED: "dim",
}
_CODES = {
    TaskStatus.COMPLETED: DONE,
    TaskStatus.FAILED: FAILED,
    TaskStatus.CANCELLED: CANCELLED,
    TaskStatus.AWAITING_GATE: WAITS,
    TaskStatus.AWAITING_HUMAN_INPUT: WAITS,
    TaskStatus.STALLED: WAITS,
    TaskStatus.PENDING: WAITS,
    TaskStatus.IN_PROGRESS: WAITS,
}


def rest_code(status: TaskStatus) -> int:
    """The exit code of a command that leaves a task in this status."""
    return _CODES[status]


def _status(task: TaskSummary) -> tuple[str, str]:
    return str(task.status), _TASK_STYLES[task.status]


# The table -------------------------------------------------------------------------------------


def task_table(screen: Screen, tasks: Sequence[TaskSummary]) -> None:
    now = time.time()
    heads = ("ID", "STATUS", "PIPELINE", "STAGES", "UPDATED", "TASK")
    rows = [
        (
            (task.id, "bold"),
            _status(task),
            task.pipeline,
            str(task.stages),
            ago(task.updated_at, now),
            task.description,
        )
        for task in tasks
    ]
    screen.table(heads, rows)


# The detail ------------------------------------------------------------------------------------


def task_lines(screen: Screen, detail: TaskDetail, hint: Hint) -> None:
    task = detail.task
    screen.line((task.id, "bold"), "  ", _status(task), f"  {cut(detail.text, 200)}")
    facts = [f"pipeline {task.pipeline}", f"priority {task.priority}", f"since {clock(task.created_at)}"]
    if task.parent:
        facts.append(f"fixes {task.parent}")
    if task.run > 1:
        facts.append(f"run {task.run}")
    screen.line((" · ".join([*facts, *spent(task.usage)]), "dim"))
    for name, value in detail.params.items():
        screen.line((f"  {name} = {value}", "dim"))
    for stage in detail.stages:
        _stage_lines(screen, stage)
    _error_lines(screen, detail)
    if detail.folder.exists():
        screen.line((f"files: {detail.folder}", "dim"))
    _next_line(screen, _next(task), hint)


def _stage_lines(screen: Screen, stage: StageView) -> None:
    facts: list[str] = []
    if stage.attempts:
        facts.append(duration(sum(_seconds(attempt) for attempt in stage.attempts)))
    facts += spent(stage.usage)
    branch = f" [{stage.branch}]" if stage.branch else ""
    head: list[Part] = [f"  {stage.number}  ", (stage.agent, "bold"), branch, "  "]
    head += [(str(stage.status), _STAGE_STYLES[stage.status]), (f"  {' · '.join(facts)}", "dim")]
    screen.line(*head)
    if stage.headline:
        screen.line((f"     {cut(stage.headline, min(screen.width, 120) - 6)}", "dim"))
    for line in _troubles(stage):
        screen.line(*line)


def _seconds(attempt: AttemptView) -> float:
    """How long an attempt took, so far while it runs; the time between attempts is nobody's work."""
    running = attempt.status is AttemptStatus.RUNNING
    until = attempt.finished_at or (time.time() if running else attempt.started_at)
    return max(until - attempt.started_at, 0)


def _troubles(stage: StageView) -> Iterator[tuple[Part, ...]]:
    """What a reader asks about after the status: the verdict, attempts that failed, the error."""
    if stage.gate == "approved":
        yield (("     ✓ approved", "green"), _because(stage.gate_reason))
    elif stage.gate:
        yield ((f"     ✗ {stage.gate}", "red"), _because(stage.gate_reason))
    for attempt in stage.attempts:
        if _went_wrong(attempt, stage):
            yield (("     ↻ ", "yellow"), _attempt(attempt))
        if attempt.denied:
            yield ((f"     ! tools refused: {', '.join(attempt.denied)}", "yellow"),)
    if stage.error:
        yield ((f"     ✗ {stage.error.kind}", "red"), _reason(stage.error))


def _went_wrong(attempt: AttemptView, stage: StageView) -> bool:
    """What was taken back from a stage that was dropped came to its end as it was meant to."""
    taken_back = attempt.status is AttemptStatus.FENCED and stage.status is StageStatus.DROPPED
    return not taken_back and attempt.status not in (AttemptStatus.ANSWERED, AttemptStatus.RUNNING)


def _attempt(attempt: AttemptView) -> str:
    head = f"attempt {attempt.number} ({attempt.kind}, {attempt.runtime}): "
    if attempt.status is AttemptStatus.LOST and attempt.message:
        return head + brief(attempt.message, 300)  # its class says no more than that it was stopped
    return head + (attempt.failure or str(attempt.status)) + _because(attempt.message)


def _because(text: str) -> str:
    return f" — {brief(text, 300)}" if text else ""


def _reason(error: TaskError) -> str:
    """A message that says no more than the error's class is left out."""
    return _because(error.message) if error.message != error.kind else ""


def _error_lines(screen: Screen, detail: TaskDetail) -> None:
    error = detail.task.error
    if error:
        screen.line(("error: ", "red"), f"{error.kind}{_reason(error)}")
        if error.cure:
            screen.line(f"cure:  {brief(error.cure, 300)}")
    elif detail.waits_for:
        screen.line(("waits: ", "yellow"), brief(detail.waits_for, 300))


# The end of a run ------------------------------------------------------------------------------


def closing(screen: Screen, detail: TaskDetail, hint: Hint | None) -> None:
    """One line for the task, why it did not go well if it did not, and what to type next."""
    task = detail.task
    facts = [f"{task.stages} {'stage' if task.stages == 1 else 'stages'}"]
    facts += [_when(task), *spent(task.usage)]
    screen.line((task.id, "bold"), " ", _status(task), (f" · {' · '.join(facts)}", "dim"))
    _error_lines(screen, detail)
    if hint:
        _next_line(screen, [f"aqm status {task.id}", *_next(task)], hint)


def _when(task: TaskSummary) -> str:
    """How long it took. One that goes on may have lain about for days: only its beginning is sure."""
    if task.status.ended:
        return duration(task.updated_at - task.created_at)
    return f"began {ago(task.created_at, time.time())}"


def _next_line(screen: Screen, commands: Sequence[str], hint: Hint) -> None:
    screen.line((f"next:  {'   '.join(hint(words) for words in commands)}", "dim"))


def _next(task: TaskSummary) -> list[str]:
    match task.status:
        case TaskStatus.COMPLETED | TaskStatus.FAILED | TaskStatus.CANCELLED:
            return [f"aqm logs {task.id}"]
        case TaskStatus.PENDING | TaskStatus.STALLED:
            return [f"aqm resume {task.id}", f"aqm cancel {task.id}"]
        case TaskStatus.IN_PROGRESS:
            return [f"aqm logs -f {task.id}", f"aqm resume {task.id}", f"aqm cancel {task.id}"]
        case TaskStatus.AWAITING_GATE | TaskStatus.AWAITING_HUMAN_INPUT:
            return [f"aqm logs {task.id}", f"aqm cancel {task.id}"]
        case never:
            assert_never(never)
