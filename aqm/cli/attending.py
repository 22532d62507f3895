"""`watch` and `attach`: a task that another process runs, live from now on; with `attach` it asks here."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from aqm.cli.command import command
from aqm.cli.doorway import Doorway, pass_doorway
from aqm.cli.ending import INTERRUPTED
from aqm.errors import UsageError

if TYPE_CHECKING:
    from aqm.cli.following import Following
    from aqm.cli.interrupt import Interrupts
    from aqm.cli.view import View
    from aqm.cli.watching import Audience

__all__ = ["attach", "watch"]

_stage = click.option("--stage", type=click.IntRange(min=1), metavar="N", help="Only this stage.")


@command("watch", "aqm watch T-4F2A9C", "aqm watch T-4F --stage 2")
@click.argument("id")
@_stage
@pass_doorway
def watch(doorway: Doorway, id: str, stage: int | None) -> int:
    """Show a task live while another process works on it.

    Begins with the stages that are open now, and ends when the task rests, as `aqm run` does. Ctrl-C ends
    only the watching.
    """
    return _attended(doorway, id, stage, asks=False)


@command("attach", "aqm attach T-4F2A9C")
@click.argument("id")
@_stage
@pass_doorway
def attach(doorway: Doorway, id: str, stage: int | None) -> int:
    """Show a task live, and ask here when it waits for a person.

    Where nobody works on the task any more when an answer is given, this command goes on with it. Ends as
    `aqm run` does.
    """
    if not doorway.asks:
        raise UsageError("aqm attach asks on a terminal, and this is none.", cure=f"Use: aqm watch {id}")
    return _attended(doorway, id, stage, asks=True)


def _attended(doorway: Doorway, id: str, stage: int | None, *, asks: bool) -> int:
    from aqm.cli.interrupt import Interrupts
    from aqm.cli.watching import Audience, viewed
    from aqm.service.host import host_of
    from aqm.service.tasks import task_detail

    project = doorway.project()
    task = task_detail(project, id).task
    host = host_of(doorway.environ, project.settings)
    audience = Audience(doorway, project, host, doorway.out, asks)
    doorway.out.line((task.id, "bold"), f"  {task.description}")
    with Interrupts() as interrupts:
        taken = _followed(audience, task.id, viewed(audience, only=stage), interrupts)
        if taken is not None:
            return _worked(audience, task.id, interrupts, taken)
    return _rested(audience, task.id, interrupts)


def _followed(audience: Audience, task: str, view: View, interrupts: Interrupts) -> int | None:
    """Until the task rests and nothing is answered. When this process has become the owner, because nobody
    living was: the number of the last event that was shown."""
    from aqm.cli.asking import Desk
    from aqm.cli.following import Following
    from aqm.errors import ConflictError
    from aqm.service.following import follow, under_way
    from aqm.service.logs import log_entries
    from aqm.service.owning import adopt, holder

    project = audience.project
    stop = threading.Event()
    interrupts.calls(stop.set)
    view.unread = stop.set
    past, still_open = under_way(project, task)
    following: Following = Following(
        view, lambda number: log_entries(project, task, number), past=past, still_open=still_open
    )
    desk = Desk(audience.doorway, project, interrupts, view)
    seen = 0
    while True:
        seen = follow(project, task, following.on_event, following.on_live, stop, after=seen)
        if stop.is_set() or not audience.asks or not desk.ask([task]):
            view.finish()
            return None
        if not holder(project, task):
            try:
                adopt(project, task)
            except ConflictError:  # it has ended, or somebody was quicker
                continue
            view.finish()
            return seen


def _worked(audience: Audience, task: str, interrupts: Interrupts, seen: int) -> int:
    from aqm.cli.watching import finished, watched

    watched(audience, [task], interrupts, {task: seen})
    return finished(
        audience.doorway, audience.project, [task], interrupts.caught, script=audience.host.script
    )


def _rested(audience: Audience, task: str, interrupts: Interrupts) -> int:
    from aqm.cli.report import closing, rest_code
    from aqm.cli.watching import hints
    from aqm.service.tasks import task_detail

    if interrupts.caught:
        return INTERRUPTED
    detail = task_detail(audience.project, task)
    closing(audience.doorway.out, detail, hints(audience.doorway, audience.host.script))
    return rest_code(detail.task.status)
