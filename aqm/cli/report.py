"""What people read about tasks: the table, the last lines of a run, and what to type next."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import assert_never

from aqm.cli.ending import CANCELLED, DONE, FAILED, WAITS
from aqm.cli.figures import ago, duration, spent
from aqm.cli.terminal import Screen, brief
from aqm.flow.state import StageStatus, TaskStatus, Waits
from aqm.service.views import StageView, TaskDetail, TaskError, TaskSummary

__all__ = [
    "Hint",
    "answers",
    "asks_person",
    "because",
    "closing",
    "error_lines",
    "error_reason",
    "next_line",
    "next_steps",
    "rest_code",
    "status_part",
    "task_table",
]

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


def status_part(task: TaskSummary) -> tuple[str, str]:
    return str(task.status), _TASK_STYLES[task.status]


# The table -------------------------------------------------------------------------------------


def task_table(screen: Screen, tasks: Sequence[TaskSummary]) -> None:
    now = time.time()
    heads = ("ID", "STATUS", "PIPELINE", "STAGES", "UPDATED", "TASK")
    rows = [
        (
            (task.id, "bold"),
            status_part(task),
            task.pipeline,
            str(task.stages),
            ago(task.updated_at, now),
            task.description,
        )
        for task in tasks
    ]
    screen.table(heads, rows)


# The end of a run ------------------------------------------------------------------------------


def closing(screen: Screen, detail: TaskDetail, hint: Hint | None) -> None:
    """One line for the task, why it did not go well if it did not, and what to type next."""
    task = detail.task
    facts = [f"{task.stages} {'stage' if task.stages == 1 else 'stages'}"]
    facts += [_when(task), *spent(task.usage)]
    screen.line((task.id, "bold"), " ", status_part(task), (f" · {' · '.join(facts)}", "dim"))
    error_lines(screen, detail)
    asked = [stage for stage in detail.stages if asks_person(stage)]
    for stage in asked:
        screen.line((f"  ? {stage.number} {stage.agent}: ", "yellow"), brief(stage.question, 300))
    if hint is None:
        return
    for stage in asked:
        next_line(screen, answers(task, stage), hint)
    if not asked or not task.status.waits:
        next_line(screen, [f"aqm status {task.id}", *next_steps(detail)], hint)


def _when(task: TaskSummary) -> str:
    """How long it took. One that goes on may have lain about for days: only its beginning is sure."""
    if task.status.ended:
        return duration(task.updated_at - task.created_at)
    return f"began {ago(task.created_at, time.time())}"


def error_lines(screen: Screen, detail: TaskDetail) -> None:
    error = detail.task.error
    if error:
        screen.line(("error: ", "red"), f"{error.kind}{error_reason(error)}")
        if error.cure:
            screen.line(f"cure:  {brief(error.cure, 300)}")
    elif detail.waits_for:
        screen.line(("waits: ", "yellow"), brief(detail.waits_for, 300))


def error_reason(error: TaskError) -> str:
    """A message that says no more than the error's class is left out."""
    return because(error.message) if error.message != error.kind else ""


def because(text: str) -> str:
    return f" — {brief(text, 300)}" if text else ""


# What to type next -----------------------------------------------------------------------------


def next_line(screen: Screen, commands: Sequence[str], hint: Hint) -> None:
    screen.line((f"next:  {'   '.join(hint(words) for words in commands)}", "dim"))


def asks_person(stage: StageView) -> bool:
    return stage.waits in (Waits.GATE, Waits.INPUT)


def answers(task: TaskSummary, stage: StageView) -> list[str]:
    """What a person can say to a stage that waits."""
    if stage.waits is Waits.GATE:
        which = f"{task.id} --stage {stage.number}"
        return [f"aqm approve {which}", f'aqm reject {which} -r "WHY"']
    return [f'aqm human-input {task.id} "ANSWER" --stage {stage.number}']


def next_steps(detail: TaskDetail) -> list[str]:
    task = detail.task
    match task.status:
        case TaskStatus.COMPLETED:
            return [f"aqm logs {task.id}"]
        case TaskStatus.FAILED | TaskStatus.CANCELLED:
            return [f"aqm logs {task.id}", *_again(detail)]
        case TaskStatus.PENDING | TaskStatus.STALLED:
            return [f"aqm resume {task.id}", f"aqm cancel {task.id}"]
        case TaskStatus.IN_PROGRESS:
            return [f"aqm watch {task.id}", f"aqm resume {task.id}", f"aqm cancel {task.id}"]
        case TaskStatus.AWAITING_GATE | TaskStatus.AWAITING_HUMAN_INPUT:
            return [f"aqm attach {task.id}", f"aqm logs {task.id}", f"aqm cancel {task.id}"]
        case never:
            assert_never(never)


def _again(detail: TaskDetail) -> list[str]:
    """From the first stage that failed, or that was open when the task was cancelled."""
    task = detail.task
    broken = [stage.number for stage in detail.stages if stage.status is StageStatus.FAILED]
    broken = broken or [stage.number for stage in detail.stages if stage.cancelled]
    since = f" --from-stage {min(broken)}" if broken else ""
    again = [f"aqm restart {task.id}{since}"]
    return again if task.status is TaskStatus.CANCELLED else [*again, f'aqm fix {task.id} "WHAT"']
