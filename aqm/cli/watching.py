"""A worker in this process, watched until its tasks rest: the heart of every command that runs tasks."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aqm.cli.asking import Desk
from aqm.cli.doorway import Doorway
from aqm.cli.ending import CANCELLED, DONE, FAILED, INTERRUPTED, WAITS
from aqm.cli.interrupt import Interrupts
from aqm.cli.report import closing, rest_code
from aqm.cli.terminal import Screen
from aqm.cli.view import View

if TYPE_CHECKING:
    from aqm.runtimes.base import Host
    from aqm.service.project import Project
    from aqm.service.views import TaskSummary

__all__ = ["Audience", "finished", "hints", "progress", "say_resumable", "say_script", "viewed", "watched"]

_WORST = (FAILED, WAITS, CANCELLED, DONE)
_RUNS = ("aqm approve", "aqm reject", "aqm human-input", "aqm resume", "aqm restart", "aqm fix")
_BEGINNING: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Audience:
    """Who watches: on which screen, and whether a person can be asked there."""

    doorway: Doorway
    project: Project
    host: Host
    screen: Screen
    asks: bool = False


def watched(
    audience: Audience,
    tasks: Sequence[str],
    interrupts: Interrupts,
    since: Mapping[str, int] = _BEGINNING,
) -> None:
    """Work on `tasks` until they rest or a signal stops it; asks for what they wait for, where that can be.

    `since` are the events that were there before the command; without them, what happens from now on is told.
    """
    from aqm.service.running import Worker

    view = viewed(audience, many=len(tasks) > 1)
    desk = Desk(audience.doorway, audience.project, interrupts, view)
    alone = tasks[0] if len(tasks) == 1 else None
    for task in tasks:
        _recall(audience.project, view, task, since.get(task))
    working = True
    while working:
        with Worker(
            audience.project,
            on_event=view.on_event,
            on_live=view.on_live,
            host=audience.host,
            since=dict(view.seen),
        ) as worker:
            view.unread = worker.stop  # nobody reads: the agents are not paid to talk to a closed pipe
            interrupts.calls(worker.stop)
            worker.wait(alone)
            while audience.asks and not interrupts.caught and desk.ask(tasks):
                worker.wake()
                worker.wait(alone)
        stopped = interrupts.caught or view.broken is not None
        working = not stopped and _goes_on(audience.project, tasks)
    view.finish()
    if view.broken:
        say_resumable(audience.doorway, _left(audience.project, tasks), audience.host.script)
        raise view.broken


def viewed(audience: Audience, *, many: bool = False, only: int | None = None) -> View:
    from aqm.service.tasks import participants

    return View(
        audience.screen,
        verbose=audience.doorway.verbose,
        many=many,
        only=only,
        members=lambda task, session: participants(audience.project, task, session),
    )


def _recall(project: Project, view: View, task: str, since: int | None) -> None:
    """What happened before is not shown, but known: which sessions are open, which branch is whose."""
    from aqm.service.following import under_way
    from aqm.service.tasks import events

    last = under_way(project, task)[0] if since is None else since
    seen = view.seen[task] = 0
    while seen < last and (past := events(project, task, seen)):
        for event in past:
            if event.seq <= last:
                view.recall(event)
        seen = past[-1].seq


def _goes_on(project: Project, tasks: Sequence[str]) -> bool:
    """Whether somebody has answered just when this process had no more to do: then it goes on here."""
    from aqm.errors import ConflictError
    from aqm.service.owning import adopt

    found = False
    for task in _left(project, tasks):
        if not task.status.waits:
            try:
                adopt(project, task.id)
            except ConflictError:
                continue
            found = True
    return found


def _left(project: Project, tasks: Sequence[str]) -> list[TaskSummary]:
    from aqm.service.tasks import task_detail

    found = [task_detail(project, task).task for task in tasks]
    return [task for task in found if not task.status.ended]


# The end -----------------------------------------------------------------------------------------


def finished(
    doorway: Doorway,
    project: Project,
    tasks: Sequence[str],
    interrupted: bool,
    *,
    script: Path | None = None,
    as_json: bool = False,
    next_steps: bool = True,
) -> int:
    """Say how each task rests, and what can be typed next; the exit code."""
    from aqm.cli.printing import detail_json, print_json
    from aqm.service.tasks import task_detail

    details = [task_detail(project, task) for task in tasks]
    hint = hints(doorway, script) if next_steps and not interrupted else None
    try:
        for detail in details:
            if as_json:
                print_json(doorway.out, detail_json(detail))
            else:
                closing(doorway.out, detail, hint)
    finally:  # said also when nobody reads stdout any more
        if interrupted:
            say_resumable(doorway, [detail.task for detail in details], script)
    if interrupted:
        return INTERRUPTED
    codes = {rest_code(detail.task.status) for detail in details}
    return next((code for code in _WORST if code in codes), DONE)


def hints(doorway: Doorway, script: Path | None) -> Callable[[str], str]:
    """How a command is to be typed from here: what goes on with the task plays the same script."""
    played = f" --script {shlex.quote(str(script))}" if script else ""

    def hint(words: str) -> str:
        return doorway.hint(f"{words}{played}" if words.startswith(_RUNS) else words)

    return hint


def say_resumable(doorway: Doorway, tasks: Sequence[TaskSummary], script: Path | None) -> None:
    """What to type so that tasks go on which were left as they are."""
    for task in tasks:
        if not task.status.ended:
            again = hints(doorway, script)(f"aqm resume {task.id}")
            doorway.err.line(("stopped; it can go on with:  ", "yellow"), (again, "bold"))


def say_script(screen: Screen, host: Host) -> None:
    if host.script:
        screen.line((f"No CLI is called: the answers are played from {host.script}", "yellow"))


def progress(doorway: Doorway, as_json: bool) -> Screen:
    """Where the live view goes. With --json stdout has only the JSON: a person may still watch stderr."""
    if not as_json:
        return doorway.out
    return doorway.err if doorway.err.interactive else Screen(None)
