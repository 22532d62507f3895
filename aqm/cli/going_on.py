"""After a person's word: who works on the task goes on with it, or this command does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aqm.cli.doorway import Doorway
from aqm.cli.ending import DONE

if TYPE_CHECKING:
    from aqm.service.project import Project
    from aqm.service.views import TaskSummary

__all__ = ["gone_on", "is_ours", "worked_on"]


def gone_on(
    doorway: Doorway,
    project: Project,
    task: TaskSummary,
    done: str,
    before: int,
    script: Path | None,
    *,
    as_json: bool,
) -> int:
    """Become the task's owner and work on it until it rests, unless somebody living is; `before` is how many
    events it had when the command began."""
    from aqm.cli.watching import progress
    from aqm.errors import ConflictError
    from aqm.service.owning import adopt, holder

    who = holder(project, task.id)
    screen = progress(doorway, as_json)
    if not who and not task.status.ended:
        try:
            adopt(project, task.id)
        except ConflictError:  # taken, or ended, just now
            who = holder(project, task.id)
    if who:
        return _left_to(doorway, project, task.id, f"{done}; {who} will go on with it", as_json=as_json)
    screen.line((task.id, "bold"), f"  {done}")
    return worked_on(doorway, project, task.id, before, script, as_json=as_json)


def is_ours(project: Project) -> bool:
    """Whether commands of this project run its tasks; a team's are left to the team's workers."""
    return project.settings.database_url is None


def worked_on(
    doorway: Doorway, project: Project, task: str, before: int, script: Path | None, *, as_json: bool
) -> int:
    """Work on a task that is this process's, and say how it rests."""
    from aqm.cli.interrupt import Interrupts
    from aqm.cli.watching import Audience, finished, progress, say_script, watched
    from aqm.service.host import host_of

    host = host_of(doorway.environ, project.settings, script)
    screen = progress(doorway, as_json)
    say_script(screen, host)
    audience = Audience(doorway, project, host, screen, doorway.asks and not as_json)
    with Interrupts() as interrupts:
        watched(audience, [task], interrupts, {task: before})
    return finished(doorway, project, [task], interrupts.caught, script=script, as_json=as_json)


def _left_to(doorway: Doorway, project: Project, task: str, said: str, *, as_json: bool) -> int:
    from aqm.cli.printing import detail_json, print_json
    from aqm.service.tasks import task_detail

    if as_json:
        print_json(doorway.out, detail_json(task_detail(project, task)))
    else:
        doorway.out.line((task, "bold"), f"  {said}")
        doorway.err.line((f"watch it:  {doorway.hint(f'aqm watch {task}')}", "dim"))
    return DONE
