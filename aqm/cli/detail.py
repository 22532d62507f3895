"""One task in detail, as people read it: its stages, what went wrong in them, and what waits for whom."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from aqm.cli.figures import clock, duration, spent
from aqm.cli.report import (
    Hint,
    answers,
    asks_person,
    because,
    error_lines,
    error_reason,
    next_line,
    next_steps,
    status_part,
)
from aqm.cli.terminal import Part, Screen, brief, cut
from aqm.flow.state import AttemptStatus, StageStatus, TurnKind
from aqm.service.views import AttemptView, StageView, TaskDetail, TaskSummary

__all__ = ["task_lines"]

Line = tuple[Part, ...]

_STYLES = {
    StageStatus.OPEN: "cyan",
    StageStatus.DONE: "green",
    StageStatus.FAILED: "red",
    StageStatus.DROPPED: "dim",
}
_SPOKEN = (TurnKind.SPEAK, TurnKind.SUMMARY)


def task_lines(screen: Screen, detail: TaskDetail, hint: Hint, *, verbose: bool = False) -> None:
    """What a restart has dropped is shown to the curious."""
    task = detail.task
    screen.line((task.id, "bold"), "  ", status_part(task), f"  {cut(detail.text, 200)}")
    facts = [f"pipeline {task.pipeline}", f"priority {task.priority}", f"since {clock(task.created_at)}"]
    if task.parent:
        facts.append(f"fixes {task.parent}")
    if task.run > 1:
        facts.append(f"run {task.run}")
    screen.line((" · ".join([*facts, *spent(task.usage)]), "dim"))
    for name, value in detail.params.items():
        screen.line((f"  {name} = {value}", "dim"))
    places = {stage.branch: stage.agent for stage in detail.stages if not _dropped(stage)}
    shown = [stage for stage in detail.stages if verbose or not _dropped(stage)]
    for stage in shown:
        _stage_lines(screen, task, stage, places, hint)
    hidden = len(detail.stages) - len(shown)
    if hidden:
        what = "stage that a restart has" if hidden == 1 else "stages that restarts have"
        screen.line((f"  {hidden} {what} taken back: -v shows them", "dim"))
    for path, join in detail.parked:
        screen.line((f"  …  {places.get(path, '')} {path} waits at {join}", "dim"))
    error_lines(screen, detail)
    if detail.folder.exists():
        screen.line((f"files: {detail.folder}", "dim"))
    next_line(screen, next_steps(detail), hint)


def _dropped(stage: StageView) -> bool:
    """A restart took it back; what was open when a task was cancelled is still worth a line."""
    return stage.status is StageStatus.DROPPED and not stage.cancelled


def _stage_lines(
    screen: Screen, task: TaskSummary, stage: StageView, places: Mapping[str, str], hint: Hint
) -> None:
    facts: list[str] = []
    if stage.attempts:
        facts.append(duration(sum(_seconds(attempt) for attempt in stage.attempts)))
    facts += spent(stage.usage)
    status = "cancelled" if stage.cancelled else str(stage.status)
    head: list[Part] = [f"  {stage.number}  ", (stage.agent, "bold"), "  "]
    head += [(f"{stage.branch}  ", "dim")] if stage.branch else []
    screen.line(*head, (status, _STYLES[stage.status]), (f"  {' · '.join(facts)}", "dim"))
    if stage.joined:
        names = dict.fromkeys(places.get(path, path) for path in stage.joined)
        screen.line((f"     ⇥ joined {', '.join(names)}", "dim"))
    if stage.headline:
        screen.line((f"     {cut(stage.headline, min(screen.width, 120) - 6)}", "dim"))
    for line in (*_rounds(stage), *_troubles(stage), *_question(task, stage, hint)):
        screen.line(*line)


def _seconds(attempt: AttemptView) -> float:
    """How long an attempt took, so far while it runs; the time between attempts is nobody's work."""
    running = attempt.status is AttemptStatus.RUNNING
    until = attempt.finished_at or (time.time() if running else attempt.started_at)
    return max(until - attempt.started_at, 0)


def _question(task: TaskSummary, stage: StageView, hint: Hint) -> Iterator[Line]:
    if asks_person(stage):
        yield (("     ? ", "yellow"), brief(stage.question, 300))
        for words in answers(task, stage):
            yield (f"       {hint(words)}",)


# Sessions ----------------------------------------------------------------------------------------


def _rounds(stage: StageView) -> Iterator[Line]:
    """A line for each round: who spoke, and who agreed in it."""
    said: dict[int, dict[str, AttemptView]] = {}
    for attempt in stage.attempts:
        if attempt.kind is TurnKind.SPEAK:
            said.setdefault(attempt.round, {})[attempt.agent] = attempt  # the last one counts
    for number, speakers in said.items():
        words = [_speaker(name, attempt) for name, attempt in speakers.items()]
        yield (f"     round {number}: {', '.join(words)}",)
    if stage.consensus is not None:
        rounds = "1 round" if stage.round == 1 else f"{stage.round} rounds"
        style = "green" if stage.consensus else "yellow"
        yield ((f"     {'consensus' if stage.consensus else 'no consensus'} after {rounds}", style),)
    summary: Sequence[str] = [one.agent for one in stage.attempts if one.kind is TurnKind.SUMMARY]
    if summary:
        yield (f"     summary: {summary[-1]}",)


def _speaker(name: str, attempt: AttemptView) -> str:
    if attempt.status is AttemptStatus.RUNNING:
        return f"{name} …"
    if attempt.status is not AttemptStatus.ANSWERED:
        return f"{name} absent ({attempt.failure or attempt.status})"
    return name + {True: " ✓", False: " ✗", None: ""}[attempt.vote]


# Troubles ----------------------------------------------------------------------------------------


def _troubles(stage: StageView) -> Iterator[Line]:
    """What a reader asks about after the status: the verdict, attempts that failed, the error."""
    if stage.gate == "approved":
        yield (("     ✓ approved", "green"), because(stage.gate_reason))
    elif stage.gate:
        yield ((f"     ✗ {stage.gate}", "red"), because(stage.gate_reason))
    for attempt in stage.attempts:
        if _went_wrong(attempt, stage):
            yield (("     ↻ ", "yellow"), _attempt(attempt))
        if attempt.denied:
            yield ((f"     ! tools refused: {', '.join(attempt.denied)}", "yellow"),)
    if stage.error:
        yield ((f"     ✗ {stage.error.kind}", "red"), error_reason(stage.error))


def _went_wrong(attempt: AttemptView, stage: StageView) -> bool:
    """What was taken back from a stage that was dropped came to its end as it was meant to."""
    taken_back = attempt.status is AttemptStatus.FENCED and stage.status is StageStatus.DROPPED
    return not taken_back and attempt.status not in (AttemptStatus.ANSWERED, AttemptStatus.RUNNING)


def _attempt(attempt: AttemptView) -> str:
    who = f"{attempt.agent}, " if attempt.kind in _SPOKEN else ""
    head = f"attempt {attempt.number} ({who}{attempt.kind}, {attempt.runtime}): "
    if attempt.status is AttemptStatus.LOST and attempt.message:
        return head + brief(attempt.message, 300)  # its class says no more than that it was stopped
    return head + (attempt.failure or str(attempt.status)) + because(attempt.message)
