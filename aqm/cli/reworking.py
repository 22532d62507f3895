"""`fix`, `restart` and `priority`: doing a task better, again, or sooner."""

from __future__ import annotations

from pathlib import Path

import click

from aqm.cli.command import (
    command,
    detach_option,
    json_option,
    param_option,
    script_option,
)
from aqm.cli.doorway import Doorway, pass_doorway
from aqm.flow.state import Priority

__all__ = ["fix", "priority", "restart"]


@command(
    "fix",
    'aqm fix T-4F2A9C "The tests fail on Windows."',
    'aqm fix T-4F "Weeks are missing." --agent developer --detach',
)
@click.argument("id")
@click.argument("text", nargs=-1, required=True, metavar="TEXT")
@click.option("--agent", metavar="ID", help="Start with this agent.")
@param_option
@detach_option
@script_option
@json_option
@pass_doorway
def fix(
    doorway: Doorway,
    id: str,
    text: tuple[str, ...],
    agent: str | None,
    params: tuple[str, ...],
    detach: bool,
    script: Path | None,
    as_json: bool,
) -> int:
    """Mend what a task has done, in a task of its own.

    It has the same pipeline and params, and is given the parent's text, its results and TEXT; - reads TEXT
    from stdin. The parent must have ended. Ends as `aqm run` does.
    """
    from aqm.cli.background import detached
    from aqm.cli.going_on import is_ours, worked_on
    from aqm.cli.preparing import checked_script, given_params, given_text
    from aqm.cli.watching import progress
    from aqm.service import reworking

    words = given_text(text, f"aqm fix {id}", "The text")
    project = doorway.project()
    played = checked_script(project, script)
    own = not detach and is_ours(project)
    task = reworking.fix(project, id, words, agent=agent, params=given_params(params), own=own)
    if not own:
        return detached(doorway, project, task, script, as_json=as_json)
    progress(doorway, as_json).line((task.id, "bold"), f"  {task.description}  (fixes {task.parent})")
    return worked_on(doorway, project, task.id, 0, played, as_json=as_json)


@command(
    "restart",
    "aqm restart T-4F2A9C",
    "aqm restart T-4F --from-stage 3",
    "aqm restart T-4F --from-stage 3 -P default -p tries=2",
)
@click.argument("id")
@click.option("--from-stage", type=click.IntRange(min=1), metavar="N", help="Keep the stages before N.")
@param_option
@click.option("-P", "--pipeline", metavar="NAME", help="Take this pipeline's file as it is now.")
@detach_option
@script_option
@json_option
@pass_doorway
def restart(
    doorway: Doorway,
    id: str,
    from_stage: int | None,
    params: tuple[str, ...],
    pipeline: str | None,
    detach: bool,
    script: Path | None,
    as_json: bool,
) -> int:
    """Begin a task again, from the start or from one of its stages.

    It must have ended, or be stalled. What the dropped stages have caused is taken back. Without -P the
    pipeline stays the one that the task was submitted with. Ends as `aqm run` does.
    """
    from aqm.cli.background import detached
    from aqm.cli.going_on import is_ours, worked_on
    from aqm.cli.preparing import checked_script, given_params
    from aqm.cli.watching import progress
    from aqm.service import reworking
    from aqm.service.following import under_way

    given = given_params(params)
    project = doorway.project()
    played = checked_script(project, script)
    if pipeline is not None and played is None:
        from aqm.cli.consent import consented
        from aqm.service.pipelines import load_pipeline

        project = consented(doorway, project, load_pipeline(project, pipeline, given).pipeline, None)
    before, _ = under_way(project, id)
    own = not detach and is_ours(project)
    task = reworking.restart(project, id, from_stage=from_stage, params=given, pipeline=pipeline, own=own)
    if not own:
        return detached(doorway, project, task, script, as_json=as_json)
    progress(doorway, as_json).line((task.id, "bold"), f"  {task.description}")
    return worked_on(doorway, project, task.id, before, played, as_json=as_json)


@command("priority", "aqm priority T-4F2A9C high", "aqm priority T-4F low")
@click.argument("id")
@click.argument("level", type=click.Choice([str(level) for level in Priority]), metavar="LEVEL")
@json_option
@pass_doorway
def priority(doorway: Doorway, id: str, level: str, as_json: bool) -> None:
    """Say how soon a task comes: critical, high, normal or low.

    What runs already is left alone.
    """
    from aqm.cli.printing import print_json, task_json
    from aqm.service.reworking import prioritise

    task = prioritise(doorway.project(), id, Priority(level))
    if as_json:
        print_json(doorway.out, task_json(task))
    else:
        doorway.out.line((task.id, "bold"), f" priority {task.priority}")
