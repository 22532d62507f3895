"""A team on one Redis and one PostgreSQL: a project whose agents are programs, and worker processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aqm.flow.state import TaskStatus
from aqm.service.project import Project, find_project
from aqm.service.store import open_store
from aqm.service.tasks import task_page
from aqm.storage import tables

__all__ = ["Team"]


@dataclass
class Team:
    root: Path
    environ: Mapping[str, str]
    agents: Sequence[Mapping[str, Any]]
    project: Project = field(init=False)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        folder = self.root / ".aqm" / "pipelines"
        folder.mkdir(parents=True)
        (folder / "default.yaml").write_text(json.dumps({"agents": list(self.agents)}))
        self.project = find_project(self.root, self.environ)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "workers", *(words or ("command", "--slots", "2"))]
        with (self.root / f"worker{len(self.started)}.log").open("wb") as log:
            process = subprocess.Popen(command, env=self.environ, cwd=self.root, stdout=log, stderr=log)
        self.started.append(process)
        return process

    def kill(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()

    def wait(self, until: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not until():
            logs = "".join(path.read_text() for path in self.root.glob("worker*.log"))
            assert time.monotonic() < deadline, logs[-3000:]
            time.sleep(0.1)

    def wait_until_completed(self, number: int, seconds: float = 60) -> None:
        self.wait(lambda: self.completed() >= number, seconds)

    def completed(self) -> int:
        return len(task_page(self.project, status=TaskStatus.COMPLETED, limit=200).tasks)

    def rows(self, table: Any) -> list[Any]:
        with open_store(self.project) as store, store.database.reading() as connection:
            return list(connection.execute(table.select()))

    def attempts(self) -> list[Any]:
        return self.rows(tables.attempts)
