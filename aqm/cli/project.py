"""`init`: a new project."""

from __future__ import annotations

from pathlib import Path

import click

from aqm.cli.command import command
from aqm.cli.doorway import Doorway, pass_doorway

__all__ = ["init"]


@command("init", "aqm init", "aqm init --template solo", "aqm init --path ~/work/shop --yes")
@click.option(
    "--path",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="The project's folder; the current one when left out.",
)
@click.option("--template", metavar="NAME", help="The pipeline to begin with (default: default).")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@pass_doorway
def init(doorway: Doorway, path: Path, template: str | None, yes: bool) -> None:
    """Set a project up: .aqm/ with a pipeline to edit.

    What is there already stays as it is; only the schema for editors becomes that of this version. In a
    project that has a default pipeline, --template NAME adds the template as a pipeline of that name.
    """
    from aqm.service.project import installed_runtime, write_project

    fresh = not (path / ".aqm" / "pipelines" / "default.yaml").exists()
    if template is None:
        template = _chosen(doorway) if fresh and doorway.asks and not yes else "default"
    pipeline = "default" if fresh else template
    written = write_project(path, doorway.environ, template=template, pipeline=pipeline)
    if not written:
        doorway.out.line(f"{path.resolve()} is an aqm project already; nothing was changed.")
        return
    for file in written:
        doorway.out.line(("  wrote ", "green"), str(file))
    if any(file.stem == pipeline for file in written):
        _runtime(doorway, installed_runtime(doorway.environ))
        _next(doorway, path, pipeline)


def _runtime(doorway: Doorway, runtime: str | None) -> None:
    if runtime:
        doorway.out.line(f"Its agents use {runtime}; `aqm doctor` says whether that is ready.")
    else:
        doorway.out.line("Its agents use claude, which is not on this host: `aqm doctor` says how to get it.")


def _chosen(doorway: Doorway) -> str:
    """Ask which template; Enter takes the first."""
    from aqm.service.project import templates

    known = templates()
    doorway.out.table(("TEMPLATE", "WHAT IT DOES"), [((one.name, "bold"), one.about) for one in known])
    names = click.Choice([one.name for one in known])
    answer: str = click.prompt("Which one", type=names, default=known[0].name, show_choices=False)
    return answer


def _next(doorway: Doorway, path: Path, pipeline: str) -> None:
    file = path / ".aqm" / "pipelines" / f"{pipeline}.yaml"
    which = "" if pipeline == "default" else f"--pipeline {pipeline} "
    where = "" if path.resolve() == Path.cwd() else f"cd {path} && "
    doorway.out.line(f"next:  edit {file}")
    doorway.out.line(f'       {where}aqm run {which}"Add JWT authentication"')
