"""`demo`: a pipeline at work, in a project that can be thrown away."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from aqm.cli.command import command
from aqm.cli.doorway import Doorway, pass_doorway

__all__ = ["demo"]

_TASK = "Add JWT authentication"
_SCRIPTED = "scripted"


@command("demo", "aqm demo", "aqm demo --runtime claude")
@click.option(
    "--runtime",
    default=_SCRIPTED,
    metavar="NAME",
    help="Let this CLI do the work; without it, a conversation that comes with aqm is played.",
)
@pass_doorway
def demo(doorway: Doorway, runtime: str) -> int:
    """See a pipeline at work, in a throw-away project.

    A planner, a developer and a reviewer add JWT authentication to a tiny program. The first version is
    rejected and goes back to the developer.
    """
    from aqm.cli.consent import consented
    from aqm.cli.preparing import Wish, checked
    from aqm.cli.run import played
    from aqm.cli.watching import finished
    from aqm.flow.state import Priority
    from aqm.runtimes import load
    from aqm.service.project import find_project, write_demo

    load(runtime)  # an unknown one is refused before anything is written
    folder = Path(tempfile.mkdtemp(prefix="aqm-demo-"))
    write_demo(folder, runtime)
    doorway = replace(doorway, environ=_own(doorway), folder=None)
    project = find_project(folder, doorway.environ)
    _introduce(doorway, folder, runtime)
    wish, loaded = checked(doorway, project, Wish())
    project = consented(doorway, project, loaded.pipeline, None)
    task, interrupted = played(doorway, project, _TASK, wish, Priority.NORMAL, doorway.out)
    doorway.out.line()
    code = finished(doorway, project, [task], interrupted, next_steps=False)
    _conclude(doorway, folder, task, interrupted)
    return code


def _own(doorway: Doorway) -> dict[str, str]:
    """The environment without our settings: a demonstration has no business in a team's database."""
    return {name: value for name, value in doorway.environ.items() if not name.startswith("AQM_")}


def _introduce(doorway: Doorway, folder: Path, runtime: str) -> None:
    doorway.out.line(
        "A planner, a developer and a reviewer work on a tiny program in ", (str(folder), "bold")
    )
    if runtime == _SCRIPTED:
        doorway.out.line(
            ("No agent CLI is called and nothing is spent: ", "yellow"),
            "this plays a conversation that comes with aqm, figures included.",
        )
    doorway.out.line()


def _conclude(doorway: Doorway, folder: Path, task: str, interrupted: bool) -> None:
    out = doorway.out
    out.line()
    out.line("What the agents made lies in  ", (str(folder), "bold"))
    out.line("The pipeline that they ran    ", (str(folder / ".aqm" / "pipelines" / "default.yaml"), "bold"))
    out.line()
    out.line("Look around:")
    out.line((f"  cd {shlex.quote(str(folder))}", "cyan"))
    if interrupted:
        out.line((f"  aqm resume {task}", "cyan"), "   goes on where it stopped")
    out.line((f"  aqm status {task}", "cyan"), "   its stages, attempts, verdicts and costs")
    out.line((f"  aqm logs {task}", "cyan"), "     what the agents said")
    out.line(("  aqm agents", "cyan"), "            who hands on to whom")
    out.line(("  aqm list", "cyan"), "              all tasks of this project")
    out.line("With a CLI of yours:          ", ("aqm demo --runtime claude", "cyan"))
    out.line("In a project of yours:        ", ("aqm init", "cyan"))
