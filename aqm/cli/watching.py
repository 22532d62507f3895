"""A worker in this process, watched until its tasks rest: the heart of `run`, `resume` and `demo`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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

__all__ = ["finished", "say_resumable", "watched"]

_WORST = (FAILED, WAITS, CANCELLED, DONE)


def watched(
    doorway: Doorway, project: Project, host: Host, task: str | None, interrupts: Interrupts, screen: Screen
) -> None:
    """Work on `task`, or on all open ones, until they rest or a signal stops it."""
    from aqm.service.running import Worker

    view = View(screen, verbose=doorway.verbose, many=task is None)
    with Worker(project, on_event=view.on_event, on_live=view.on_live, host=host) as worker:
        view.unread = worker.stop  # nobody reads: the agents are not paid to talk to a closed pipe
        interrupts.calls(worker.stop)
        worker.wait(task)
    view.finish()
    if view.broken:
        from aqm.service.tasks import task_detail

        left = [] if task is None else [task_detail(project, task).task]
        say_resumable(doorway, left, host.script)
        raise view.broken


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
    hint = doorway.hint if next_steps and not interrupted else None
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


def say_resumable(doorway: Doorway, tasks: Sequence[TaskSummary], script: Path | None) -> None:
    """What to type so that tasks go on which were left as they are."""
    played = f" --script {shlex.quote(str(script))}" if script else ""
    for task in tasks:
        if not task.status.ended:
            again = doorway.hint(f"aqm resume {task.id}{played}")
            doorway.err.line(("stopped; it can go on with:  ", "yellow"), (again, "bold"))
