"""`run` and `resume`: give the agents a task, and go on with those that wait."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aqm.cli.command import command, detach_option, json_option, param_option, script_option
from aqm.cli.doorway import Doorway, pass_doorway
from aqm.cli.ending import DONE
from aqm.cli.terminal import Screen
from aqm.errors import UsageError
from aqm.flow.state import Priority

if TYPE_CHECKING:
    from aqm.cli.preparing import Wish
    from aqm.pipeline.resolve import Loaded
    from aqm.service.project import Project

__all__ = ["played", "resume", "run"]


@command(
    "run",
    'aqm run "Add JWT authentication"',
    'aqm run "Fix the login bug" --agent developer --priority high',
    "aqm run - < issue.md",
    'aqm run "Add a health endpoint" --pipeline review-loop -p standard="It has tests." --detach',
)
@click.argument("text", nargs=-1, required=True, metavar="TEXT")
@click.option("--agent", metavar="ID", help="Start with this agent.")
@click.option("--pipeline", metavar="NAME", help="This pipeline instead of the default one.")
@param_option
@click.option(
    "--priority",
    type=click.Choice([str(level) for level in Priority]),
    default=str(Priority.NORMAL),
    show_default=True,
    help="Which task comes first when several wait.",
)
@click.option("--parallel", is_flag=True, hidden=True, help="Accepted; there is nothing to switch on.")
@detach_option
@click.option("--dry-run", is_flag=True, help="Check everything and say what would run; start nothing.")
@script_option
@json_option
@pass_doorway
def run(
    doorway: Doorway,
    text: tuple[str, ...],
    agent: str | None,
    pipeline: str | None,
    params: tuple[str, ...],
    priority: str,
    parallel: bool,
    detach: bool,
    dry_run: bool,
    script: Path | None,
    as_json: bool,
) -> int:
    """Give the agents a task and watch them.

    TEXT says what to do; - reads it from stdin. Ctrl-C stops the agents and leaves the task so that
    `aqm resume` can go on with it. Ends with 0 when the task is completed, 1 when it failed, 3 when it
    waits, 4 when it was cancelled.
    """
    from aqm.cli.consent import consented
    from aqm.cli.preparing import Wish, checked, given_params
    from aqm.cli.watching import finished, progress

    if parallel:
        doorway.err.line(("--parallel: branches, and tasks, run in parallel anyway.", "dim"))
    wish = Wish(pipeline, agent, given_params(params), script)
    words = _text(text)
    project = doorway.project()
    wish, loaded = checked(doorway, project, wish)
    if dry_run:
        return _rehearsed(doorway, project, wish, loaded, as_json)
    if script is None and project.settings.script is None:
        project = consented(doorway, project, loaded.pipeline, agent)
    if detach:
        return _detached(doorway, project, words, wish, Priority(priority), as_json)
    screen = progress(doorway, as_json)
    asks = doorway.asks and not as_json
    task, interrupted = played(doorway, project, words, wish, Priority(priority), screen, asks=asks)
    return finished(doorway, project, [task], interrupted, script=script, as_json=as_json)


def _text(words: tuple[str, ...]) -> str:
    from aqm.cli.preparing import given_text

    text = given_text(words, "aqm run", "The task's text")
    if not text.strip():
        raise UsageError("The task has no text.", cure='Say what to do: aqm run "Add JWT authentication"')
    return text


def _rehearsed(doorway: Doorway, project: Project, wish: Wish, loaded: Loaded, as_json: bool) -> int:
    from aqm.cli.consent import refusals
    from aqm.cli.graph import graph_json, graph_lines
    from aqm.cli.printing import print_json

    name = wish.pipeline or project.settings.default_pipeline
    pipeline = loaded.pipeline
    if as_json:
        print_json(doorway.out, graph_json(pipeline, name) | {"params": dict(pipeline.params)})
        return DONE
    graph_lines(doorway.out, pipeline, name)
    doorway.out.line()
    for key, value in pipeline.params.items():
        doorway.out.line((f"{key} = {value}", "dim"))
    if wish.script is None and project.settings.script is None:
        for agent, refusal in refusals(pipeline, project.settings, wish.agent):
            doorway.out.line(
                (f"consent needed: {refusal.setting}", "yellow"), f" ({agent}: {refusal.message})"
            )
    doorway.out.line("Nothing was started.")
    return DONE


def _detached(
    doorway: Doorway, project: Project, text: str, wish: Wish, priority: Priority, as_json: bool
) -> int:
    from aqm.cli.background import detached
    from aqm.service.submission import submit

    task = submit(
        project,
        text,
        pipeline=wish.pipeline,
        agent=wish.agent,
        params=wish.params or {},
        priority=priority,
        own=False,
    )
    return detached(doorway, project, task, wish.script, as_json=as_json)


def played(
    doorway: Doorway,
    project: Project,
    text: str,
    wish: Wish,
    priority: Priority,
    screen: Screen,
    *,
    asks: bool = False,
) -> tuple[str, bool]:
    """Submit the task and work on it here until it rests; its id, and whether a signal ended that."""
    from aqm.cli.interrupt import Interrupts
    from aqm.cli.watching import Audience, say_resumable, say_script, watched
    from aqm.service.host import host_of
    from aqm.service.submission import submit
    from aqm.service.tasks import open_tasks

    host = host_of(doorway.environ, project.settings, wish.script)
    waiting = open_tasks(project)
    with Interrupts() as interrupts:
        task = submit(
            project,
            text,
            pipeline=wish.pipeline,
            agent=wish.agent,
            params=wish.params or {},
            priority=priority,
            own=True,
        )
        try:
            screen.line((task.id, "bold"), f"  {task.description}")
            say_script(screen, host)
        except OSError:
            say_resumable(doorway, [task], host.script)
            raise
        if waiting:
            older = "1 older task waits" if waiting == 1 else f"{waiting} older tasks wait"
            doorway.err.line((f"{older} for a worker: {doorway.hint('aqm resume')}", "yellow"))
        watched(Audience(doorway, project, host, screen, asks), [task.id], interrupts, {task.id: 0})
    return task.id, interrupts.caught


@command("resume", "aqm resume", "aqm resume T-4F2A9C")
@click.argument("id", required=False)
@script_option
@json_option
@pass_doorway
def resume(doorway: Doorway, id: str | None, script: Path | None, as_json: bool) -> int:
    """Go on with tasks that wait for a worker: this one, or all of the project.

    Ends when they are done, or wait for something else. Ctrl-C leaves them as `aqm run` does.
    """
    from aqm.cli.interrupt import Interrupts
    from aqm.cli.preparing import checked_script
    from aqm.cli.watching import Audience, finished, progress, say_script, watched
    from aqm.service.host import host_of
    from aqm.service.owning import adopt
    from aqm.service.tasks import task_detail

    project = doorway.project()
    host = host_of(doorway.environ, project.settings, checked_script(project, script))
    screen = progress(doorway, as_json)
    with Interrupts() as interrupts:
        tasks = adopt(project, id)
        if not tasks:
            screen.line("No task waits for a worker.")
            return DONE
        for task in tasks:
            screen.line((task, "bold"), f"  {task_detail(project, task).task.description}")
        say_script(screen, host)
        audience = Audience(doorway, project, host, screen, doorway.asks and not as_json)
        watched(audience, tasks, interrupts)
    return finished(doorway, project, tasks, interrupts.caught, script=script, as_json=as_json)
