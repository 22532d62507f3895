"""`logs` and `context`: what agents said, and what they are told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from aqm.cli.command import command, json_option
from aqm.cli.doorway import Doorway, pass_doorway
from aqm.cli.ending import INTERRUPTED
from aqm.cli.terminal import Part, Screen

if TYPE_CHECKING:
    from aqm.service.project import Project
    from aqm.service.views import LogEntry

__all__ = ["context", "logs"]


@command("logs", "aqm logs T-4F2A9C", "aqm logs T-4F --stage 2", "aqm logs T-4F -f")
@click.argument("id")
@click.option("-f", "--follow", is_flag=True, help="Go on while the task runs; Ctrl-C ends it.")
@click.option("--stage", type=click.IntRange(min=1), metavar="N", help="Only this stage.")
@json_option
@pass_doorway
def logs(doorway: Doorway, id: str, follow: bool, stage: int | None, as_json: bool) -> int | None:
    """Show what the agents of a task said, attempt by attempt."""
    from aqm.cli.printing import log_json, print_json
    from aqm.service.logs import log_entries

    if follow and as_json:
        raise click.UsageError("--follow and --json do not go together")
    project = doorway.project()
    entries = log_entries(project, id, stage)
    if as_json:
        print_json(doorway.out, {"entries": [log_json(entry) for entry in entries]})
        return None
    if follow:
        return _followed(doorway, project, id, stage)
    for entry in entries:
        _entry_lines(doorway.out, entry)
    return None


def _entry_lines(screen: Screen, entry: LogEntry) -> None:
    session = entry.session
    facts = [str(entry.stage), session or entry.agent, *([entry.branch] if entry.branch else [])]
    if entry.kind != "work":
        facts.append(f"round {entry.round}" if entry.kind == "speak" else str(entry.kind))
    facts += [entry.agent] if session else []
    if entry.number > 1:
        facts.append(f"attempt {entry.number}")
    screen.line((f"── {' · '.join(facts)} ──", "title"))
    text = entry.text.rstrip("\n")
    if text:
        screen.line(text)
    if entry.failure:
        why: Part = f" — {entry.message}" if entry.message else ""
        screen.line((f"  ✗ {entry.failure}", "red"), why)
    elif entry.status == "running":
        screen.line(("  … still at it", "dim"))


def _followed(doorway: Doorway, project: Project, id: str, stage: int | None) -> int | None:
    from aqm.cli.following import Following
    from aqm.cli.interrupt import Interrupts
    from aqm.cli.report import closing
    from aqm.cli.view import View
    from aqm.service.following import follow
    from aqm.service.logs import log_entries
    from aqm.service.tasks import participants, task_detail

    stop = threading.Event()
    view = View(
        doorway.out,
        verbose=doorway.verbose,
        only=stage,
        members=lambda task, session: participants(project, task, session),
        unread=stop.set,
    )
    following = Following(view, lambda number: log_entries(project, id, number))
    with Interrupts() as interrupts:
        interrupts.calls(stop.set)
        follow(project, id, following.on_event, following.on_live, stop)
    view.finish()
    if interrupts.caught:
        return INTERRUPTED
    closing(doorway.out, task_detail(project, id), doorway.hint)
    return None


@command("context", "aqm context T-4F2A9C", "aqm context T-4F --agent reviewer")
@click.argument("id")
@click.option("--agent", metavar="ID", help="As this agent would see it now; a session's minutes.")
@json_option
@pass_doorway
def context(doorway: Doorway, id: str, agent: str | None, as_json: bool) -> None:
    """Show all that happened in a task, or what an agent of it is told of that.

    Without --agent the files in the task's folder are made again.
    """
    from aqm.service.contexts import task_context

    told = task_context(doorway.project(), id, agent)
    if as_json:
        from aqm.cli.printing import print_json

        print_json(doorway.out, {"task": told.task, "agent": agent, "context": told.text})
    elif told.text.strip():
        doorway.out.line(told.text.rstrip("\n"))
    else:
        doorway.err.line(("nothing so far", "dim"))
    if told.unwritten:
        doorway.err.line((f"the files in the task's folder could not be written: {told.unwritten}", "yellow"))
