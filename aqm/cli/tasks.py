"""`status`, `list` and `cancel`: what became of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote

import click

from aqm.cli.command import command, json_option
from aqm.cli.doorway import Doorway, pass_doorway
from aqm.flow.state import TaskStatus

__all__ = ["cancel", "listing", "status"]

_FIRST = 'aqm run "Add JWT authentication"'
_LIMIT = 20  # tasks of a page
_RECENT = 10  # tasks that `status` shows without an id


@command("status", "aqm status", "aqm status T-4F2A9C", "aqm status T-4F --json")
@click.argument("id", required=False)
@json_option
@pass_doorway
def status(doorway: Doorway, id: str | None, as_json: bool) -> None:
    """Show one task with its stages, or how things stand.

    ID is a task's id, or a beginning of it that no other has.
    """
    from aqm.cli.detail import task_lines
    from aqm.cli.printing import detail_json, print_json
    from aqm.service.tasks import task_detail

    if id is None:
        _overview(doorway, as_json)
        return
    detail = task_detail(doorway.project(), id)
    if as_json:
        print_json(doorway.out, detail_json(detail))
    else:
        task_lines(doorway.out, detail, doorway.hint, verbose=doorway.verbose)


def _overview(doorway: Doorway, as_json: bool) -> None:
    from aqm.cli.printing import page_json, print_json
    from aqm.cli.report import task_table
    from aqm.service.tasks import open_tasks, task_page

    project = doorway.project()
    page = task_page(project, status=None, pipeline=None, search=None, limit=_RECENT, after=None)
    if as_json:
        print_json(doorway.out, page_json(page))
        return
    waiting = open_tasks(project)
    doorway.out.line((str(project.root), "bold"))
    if not page.tasks:
        doorway.out.line(f"No tasks yet. Give the agents one: {doorway.hint(_FIRST)}")
        return
    task_table(doorway.out, page.tasks)
    if page.next:
        doorway.out.line((f"more:  {doorway.hint('aqm list')}", "dim"))
    if waiting:
        doorway.out.line((f"{_waiting(waiting)} {doorway.hint('aqm resume')}", "yellow"))


def _waiting(number: int) -> str:
    return "1 task waits for a worker:" if number == 1 else f"{number} tasks wait for a worker:"


@command("list", "aqm list", "aqm list --filter failed --search login", "aqm list --limit 5 --json")
@click.option(
    "--filter",
    "filter_",
    type=click.Choice([str(word) for word in TaskStatus]),
    metavar="STATUS",
    help=f"Only tasks in this status: {', '.join(TaskStatus)}.",
)
@click.option("--pipeline", metavar="NAME", help="Only tasks of this pipeline.")
@click.option("--search", metavar="TEXT", help="Only tasks whose text has this in it.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=_LIMIT,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@click.option("--after", metavar="CURSOR", help="Go on behind an earlier page: its `next`.")
@json_option
@pass_doorway
def listing(
    doorway: Doorway,
    filter_: str | None,
    pipeline: str | None,
    search: str | None,
    limit: int,
    after: str | None,
    as_json: bool,
) -> None:
    """List tasks, newest first."""
    from aqm.service.tasks import task_page

    wanted = TaskStatus(filter_) if filter_ else None
    page = task_page(
        doorway.project(), status=wanted, pipeline=pipeline, search=search, limit=limit, after=after
    )
    if as_json:
        from aqm.cli.printing import page_json, print_json

        print_json(doorway.out, page_json(page))
        return
    if not page.tasks:
        narrowed = any((filter_, pipeline, search, after))
        none = f"No tasks yet. Give the agents one: {doorway.hint(_FIRST)}"
        doorway.out.line("No task matches." if narrowed else none)
        return
    from aqm.cli.report import task_table

    task_table(doorway.out, page.tasks)
    if page.next:
        asked = {"--filter": filter_, "--pipeline": pipeline, "--search": search}
        asked["--limit"] = str(limit) if limit != _LIMIT else None
        more = doorway.hint(f"aqm list{_repeated(asked)} --after {page.next}")
        doorway.out.line((f"more:  {more}", "dim"))


def _repeated(options: Mapping[str, str | None]) -> str:
    """Options as they are to be typed again."""
    return "".join(f" {name} {quote(value)}" for name, value in options.items() if value is not None)


@command("cancel", "aqm cancel T-4F2A9C", 'aqm cancel T-4F -r "no longer needed"')
@click.argument("id")
@click.option("-r", "--reason", default="", metavar="TEXT", help="Why; it is shown with the task.")
@json_option
@pass_doorway
def cancel(doorway: Doorway, id: str, reason: str, as_json: bool) -> None:
    """End a task that is not done; its agents are stopped."""
    from aqm.cli.printing import print_json, task_json
    from aqm.service.tasks import cancel as cancel_task

    task = cancel_task(doorway.project(), id, reason)
    if as_json:
        print_json(doorway.out, task_json(task))
    else:
        doorway.out.line((task.id, "bold"), f" {task.status}")
