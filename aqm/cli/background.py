"""The worker that goes on when the command has returned: `run --detach`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["start_worker"]


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
