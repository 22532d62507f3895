"""`run` and `resume`: give the agents a task, and go on with those that wait."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aqm.cli.command import command, json_option
from aqm.cli.doorway import Doorway, pass_doorway
from aqm.cli.ending import DONE
from aqm.errors import UsageError
from aqm.flow.state import Priority

if TYPE_CHECKING:
    from aqm.cli.terminal import Screen
    from aqm.service.project import Project

__all__ = ["resume", "run"]

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
    'aqm run "Translate the docs" --pipeline triage -p language=de --detach',
)
@click.argument("text")
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
@click.option("--parallel", is_flag=True, hidden=True, help="Accepted; branches always run in parallel.")
@click.option("--detach", is_flag=True, help="Work in the background: print the task's id and return.")
@click.option("--dry-run", is_flag=True, help="Check everything and say what would run; start nothing.")
@_SCRIPT
@json_option
@pass_doorway
def run(
    doorway: Doorway,
    text: str,
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
    """Give the agents a task and watch them. TEXT says what to do; - reads it from stdin.

    Ctrl-C stops the agents and leaves the task so that `aqm resume` can go on with it.
    """
    from aqm.cli.preparing import Plan, prepared
    from aqm.service.tasks import open_tasks, submit

    project = doorway.project()
    given = _given(params)
    plan = prepared(doorway, project, Plan(pipeline, agent, given, script))
    words = _text(text)
    if dry_run:
        ...
    waiting = open_tasks(project)
    raise NotImplementedError


def _text(text: str) -> str:
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
