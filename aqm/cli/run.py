"""`run` and `resume`: give the agents a task, and go on with those that wait."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from aqm.cli.command import command, json_option
from aqm.cli.doorway import Doorway, pass_doorway
from aqm.cli.ending import DONE
from aqm.cli.terminal import Screen
from aqm.errors import UsageError
from aqm.flow.state import Priority

if TYPE_CHECKING:
    from aqm.cli.preparing import Wish
    from aqm.pipeline.resolve import Loaded
    from aqm.runtimes.base import Host
    from aqm.service.project import Project

__all__ = ["played", "resume", "run"]

_SCRIPT = click.option(
    "--script",
    envvar="AQM_SCRIPT",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    metavar="FILE",
    help="Play the agents' answers from this file instead of calling any CLI.",
)


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
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Set a parameter.")
@click.option(
    "--priority",
    type=click.Choice([str(level) for level in Priority]),
    default=str(Priority.NORMAL),
    show_default=True,
    help="Which task comes first when several wait.",
)
@click.option("--parallel", is_flag=True, hidden=True, help="Accepted; there is nothing to switch on.")
@click.option("--detach", is_flag=True, help="Work in the background: print the task's id and return.")
@click.option("--dry-run", is_flag=True, help="Check everything and say what would run; start nothing.")
@_SCRIPT
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
    from aqm.cli.preparing import Wish, checked
    from aqm.cli.watching import finished

    wish = Wish(pipeline, agent, _given(params), script)
    words = _text(text)
    project = doorway.project()
    wish, loaded = checked(doorway, project, wish)
    if dry_run:
        return _rehearsed(doorway, project, wish, loaded, as_json)
    if script is None and project.settings.script is None:
        project = consented(doorway, project, loaded.pipeline, agent)
    if detach:
        return _detached(doorway, project, words, wish, Priority(priority), as_json)
    screen = _progress(doorway, as_json)
    task, interrupted = played(doorway, project, words, wish, Priority(priority), screen)
    return finished(doorway, project, [task], interrupted, script=script, as_json=as_json)


def _text(words: tuple[str, ...]) -> str:
    if len(words) > 1:
        cure = f"Quote it: aqm run {quote(' '.join(words))}"
        raise UsageError("The task's text must be one word for the shell.", cure=cure)
    text = words[0]
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace").rstrip("\n")
    if not text.strip():
        raise UsageError("The task has no text.", cure='Say what to do: aqm run "Add JWT authentication"')
    return text


def _given(params: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    for param in params:
        name, equals, value = param.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"-p {param}: a parameter is given as NAME=VALUE.")
        given[name.strip()] = value
    return given


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
    from aqm.cli.background import start_worker
    from aqm.cli.printing import print_json, task_json
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
    environ = dict(doorway.environ) | ({"AQM_SCRIPT": str(wish.script)} if wish.script else {})
    start_worker(project.root, task.id, environ)
    if as_json:
        print_json(doorway.out, task_json(task))
    else:
        doorway.out.line(task.id)
        doorway.err.line((f"watch it:  {doorway.hint(f'aqm logs -f {task.id}')}", "dim"))
    return DONE


def played(
    doorway: Doorway, project: Project, text: str, wish: Wish, priority: Priority, screen: Screen
) -> tuple[str, bool]:
    """Submit the task and work on it here until it rests; its id, and whether a signal ended that."""
    from aqm.cli.interrupt import Interrupts
    from aqm.cli.watching import say_resumable, watched
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
            _say_script(screen, host)
        except OSError:
            say_resumable(doorway, [task], host.script)
            raise
        if waiting:
            older = "1 older task waits" if waiting == 1 else f"{waiting} older tasks wait"
            doorway.err.line((f"{older} for a worker: {doorway.hint('aqm resume')}", "yellow"))
        watched(doorway, project, host, task.id, interrupts, screen)
    return task.id, interrupts.caught


def _progress(doorway: Doorway, as_json: bool) -> Screen:
    """Where the live view goes. With --json stdout has only the JSON: a person may still watch stderr."""
    if not as_json:
        return doorway.out
    return doorway.err if doorway.err.interactive else Screen(None)


@command("resume", "aqm resume", "aqm resume T-4F2A9C")
@click.argument("id", required=False)
@_SCRIPT
@json_option
@pass_doorway
def resume(doorway: Doorway, id: str | None, script: Path | None, as_json: bool) -> int:
    """Go on with tasks that wait for a worker: this one, or all of the project.

    Ends when they are done, or wait for something else. Ctrl-C leaves them as `aqm run` does.
    """
    from aqm.cli.interrupt import Interrupts
    from aqm.cli.preparing import checked_script
    from aqm.cli.watching import finished, watched
    from aqm.service.host import host_of
    from aqm.service.owning import adopt
    from aqm.service.tasks import task_detail

    project = doorway.project()
    host = host_of(doorway.environ, project.settings, checked_script(project, script))
    screen = _progress(doorway, as_json)
    with Interrupts() as interrupts:
        tasks = adopt(project, id)
        if not tasks:
            screen.line("No task waits for a worker.")
            return DONE
        for task in tasks:
            screen.line((task, "bold"), f"  {task_detail(project, task).task.description}")
        _say_script(screen, host)
        alone = tasks[0] if len(tasks) == 1 else None
        watched(doorway, project, host, alone, interrupts, screen)
    return finished(doorway, project, tasks, interrupts.caught, script=script, as_json=as_json)


def _say_script(screen: Screen, host: Host) -> None:
    if host.script:
        screen.line((f"No CLI is called: the answers are played from {host.script}", "yellow"))
