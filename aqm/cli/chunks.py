"""`chunks`: a task's tracked units of work, looked at and changed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aqm.cli.command import command, command_group, json_option
from aqm.cli.doorway import Doorway, pass_doorway
from aqm.cli.terminal import Part

if TYPE_CHECKING:
    from aqm.service.project import Project

__all__ = ["chunks"]


@command_group(
    "chunks",
    "aqm chunks list T-4F2A9C",
    'aqm chunks add T-4F "Write the schema"',
    "aqm chunks done T-4F C-001 C-002",
    "aqm chunks remove T-4F C-003",
)
def chunks() -> None:
    """See and change a task's chunks, its tracked units of work."""


@command("list", "aqm chunks list T-4F2A9C", "aqm chunks list T-4F --json")
@click.argument("id")
@json_option
@pass_doorway
def _list(doorway: Doorway, id: str, as_json: bool) -> None:
    """List a task's chunks, and how many are done."""
    _shown(doorway, doorway.project(), id, as_json)


@command("add", 'aqm chunks add T-4F2A9C "Write the schema"')
@click.argument("id")
@click.argument("text", nargs=-1, required=True, metavar="TEXT")
@json_option
@pass_doorway
def _add(doorway: Doorway, id: str, text: tuple[str, ...], as_json: bool) -> None:
    """Add a chunk; TEXT says what is to be done."""
    from aqm.cli.preparing import given_text
    from aqm.service.chunks import add_chunk

    project = doorway.project()
    new = add_chunk(project, id, given_text(text, f"aqm chunks add {id}", "The chunk's text"))
    _changed(doorway, project, id, [new], "added", as_json)


@command("done", "aqm chunks done T-4F2A9C C-001", "aqm chunks done T-4F C-001 C-002")
@click.argument("id")
@click.argument("chunk", nargs=-1, required=True)
@json_option
@pass_doorway
def _done(doorway: Doorway, id: str, chunk: tuple[str, ...], as_json: bool) -> None:
    """Mark chunks as done."""
    from aqm.service.chunks import finish_chunks

    project = doorway.project()
    _changed(doorway, project, id, finish_chunks(project, id, chunk), "done", as_json)


@command("remove", "aqm chunks remove T-4F2A9C C-001")
@click.argument("id")
@click.argument("chunk", nargs=-1, required=True)
@json_option
@pass_doorway
def _remove(doorway: Doorway, id: str, chunk: tuple[str, ...], as_json: bool) -> None:
    """Take chunks off the list."""
    from aqm.service.chunks import remove_chunks

    project = doorway.project()
    _changed(doorway, project, id, remove_chunks(project, id, chunk), "removed", as_json)


for _each in (_list, _add, _done, _remove):
    chunks.add_command(_each)


def _changed(doorway: Doorway, project: Project, id: str, ids: list[str], change: str, as_json: bool) -> None:
    if as_json:
        _shown(doorway, project, id, as_json)
    elif ids:
        doorway.out.line(f"{', '.join(ids)} {change}")
    else:
        doorway.out.line("Nothing was to be changed.")


def _shown(doorway: Doorway, project: Project, id: str, as_json: bool) -> None:
    from aqm.cli.printing import print_json
    from aqm.service.chunks import chunk_views

    found = chunk_views(project, id)
    if as_json:
        listed = [{"id": each.id, "status": each.status, "text": each.text} for each in found]
        print_json(doorway.out, {"chunks": listed})
        return
    if not found:
        doorway.out.line("No chunks.")
        return
    rows: list[tuple[Part, ...]] = [
        ((each.id, "bold"), (each.status, "green" if each.status == "done" else ""), each.text)
        for each in found
    ]
    doorway.out.table(("CHUNK", "STATUS", "TEXT"), rows)
    done = sum(each.status == "done" for each in found)
    doorway.out.line((f"{done} of {len(found)} done", "dim"))
