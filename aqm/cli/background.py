"""The worker that goes on when the command has returned: `run --detach`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aqm.cli.doorway import Doorway
    from aqm.service.project import Project
    from aqm.service.views import TaskSummary

__all__ = ["detached", "start_worker"]


def detached(
    doorway: Doorway, project: Project, task: TaskSummary, script: Path | None, *, as_json: bool
) -> int:
    """Leave the task to a worker in the background; its id is printed."""
    from aqm.cli.ending import DONE
    from aqm.cli.printing import print_json, task_json

    environ = dict(doorway.environ) | ({"AQM_SCRIPT": str(script)} if script else {})
    if project.settings.database_url is None:  # else the team's workers run it
        start_worker(project.root, task.id, environ)
    if as_json:
        print_json(doorway.out, task_json(task))
    else:
        doorway.out.line(task.id)
        doorway.err.line((f"watch it:  {doorway.hint(f'aqm watch {task.id}')}", "dim"))
    return DONE


def start_worker(root: Path, task: str, environ: Mapping[str, str]) -> Path:
    """Start `aqm resume TASK` in a session of its own; where it writes what it has to say.

    `-P` keeps modules of the project's own (a `click.py` beside the sources) from being taken for ours.
    """
    log = root / ".aqm" / "tasks" / task / "worker.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "aqm.cli", "resume", task],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=root,
            env=dict(environ),
            start_new_session=True,
        )
    return log
