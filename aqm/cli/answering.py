"""`approve`, `reject` and `human-input`: a person's word, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aqm.cli.command import command, json_option, script_option, stage_option
from aqm.cli.doorway import Doorway, pass_doorway

if TYPE_CHECKING:
    from aqm.service.project import Project
    from aqm.service.views import TaskSummary

__all__ = ["approve", "human_input", "reject"]

_reason = click.option("-r", "--reason", default="", metavar="TEXT", help="Why; the author gets to see it.")


@command("approve", "aqm approve T-4F2A9C", 'aqm approve T-4F --stage 3 -r "well done"')
@click.argument("id")
@_reason
@stage_option
@script_option
@json_option
@pass_doorway
def approve(
    doorway: Doorway, id: str, reason: str, stage: int | None, script: Path | None, as_json: bool
) -> int:
    """Approve what a task waits for.

    One decision counts: who comes too late is told what was decided. When nobody works on the task any more,
    this command goes on with it, and ends as `aqm run` does.
    """
    from aqm.service import answering

    return _said(
        doorway,
        id,
        "approved",
        lambda project: answering.approve(project, id, stage=stage, reason=reason),
        script,
        as_json,
    )


@command(
    "reject", 'aqm reject T-4F2A9C -r "There are no tests."', 'aqm reject T-4F --stage 3 -r "Too expensive."'
)
@click.argument("id")
@_reason
@stage_option
@script_option
@json_option
@pass_doorway
def reject(
    doorway: Doorway, id: str, reason: str, stage: int | None, script: Path | None, as_json: bool
) -> int:
    """Reject what a task waits for, with a reason.

    The pipeline says what happens then. When nobody works on the task any more, this command goes on with it,
    and ends as `aqm run` does.
    """
    from aqm.service import answering

    return _said(
        doorway,
        id,
        "rejected",
        lambda project: answering.reject(project, id, reason, stage=stage),
        script,
        as_json,
    )


@command(
    "human-input",
    'aqm human-input T-4F2A9C "Use PostgreSQL."',
    "aqm human-input T-4F --stage 2 - < answer.md",
)
@click.argument("id")
@click.argument("text", nargs=-1, required=True, metavar="TEXT")
@stage_option
@script_option
@json_option
@pass_doorway
def human_input(
    doorway: Doorway, id: str, text: tuple[str, ...], stage: int | None, script: Path | None, as_json: bool
) -> int:
    """Answer the question that a task waits with.

    TEXT is the answer; - reads it from stdin. When nobody works on the task any more, this command goes on
    with it, and ends as `aqm run` does.
    """
    from aqm.cli.preparing import given_text
    from aqm.service import answering

    words = given_text(text, f"aqm human-input {id}", "The answer")
    return _said(
        doorway,
        id,
        "answered",
        lambda project: answering.answer(project, id, words, stage=stage),
        script,
        as_json,
    )


def _said(
    doorway: Doorway,
    id: str,
    done: str,
    say: Callable[[Project], TaskSummary],
    script: Path | None,
    as_json: bool,
) -> int:
    """Say it, then see to it that somebody goes on with the task."""
    from aqm.cli.going_on import gone_on
    from aqm.cli.preparing import checked_script
    from aqm.service.following import under_way

    project = doorway.project()
    played = checked_script(project, script)
    before, _ = under_way(project, id)
    task = say(project)
    return gone_on(doorway, project, task, done, before, played, as_json=as_json)
