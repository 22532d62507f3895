"""Whole tasks with the real claude CLI: `aqm run` in a project, as a user would."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli_real.processes import alive_with
from tests.standin.scenario import Hang, Recorded, Replies, Reply, Say, WriteFile
from tests.standin.server import StandIn

pytestmark = pytest.mark.cli

AQM = Path(sys.executable).with_name("aqm")
PIPELINE = """
apiVersion: aqm/v0.1
agents:
  - id: developer
    runtime: claude
    permissions: edit
    system_prompt: "You are the developer. Do this: {{ input }}"
    handoffs: [{to: reviewer}]
  - id: reviewer
    runtime: claude
    permissions: read
    system_prompt: "You are the reviewer. Review this: {{ input }}"
    handoffs:
      - {to: developer, condition: verdict == bad, payload: "mend: {{ output }}"}
"""


class Project:
    """A project folder in which a user types commands."""

    def __init__(self, folder: Path, standin: StandIn, environ: Mapping[str, str]) -> None:
        self.folder, self.standin, self.environ = folder, standin, environ
        pipelines = folder / ".aqm" / "pipelines"
        pipelines.mkdir(parents=True)
        (pipelines / "default.yaml").write_text(PIPELINE)

    @contextmanager
    def typing(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command while it runs; killed at the end, if it is still there."""
        with subprocess.Popen(
            [AQM, *words],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def type(self, *words: str, code: int = 0) -> str:
        with self.typing(*words) as process:
            said, _ = process.communicate(timeout=60)
        assert process.returncode == code, said
        return said

    def task(self) -> dict[str, Any]:
        (only,) = json.loads(self.type("list", "--json"))["tasks"]
        found: dict[str, Any] = json.loads(self.type("status", only["id"], "--json"))
        return found

    def clis(self) -> list[str]:
        """The agent CLIs that are alive: they alone have this home and a mark."""
        return [line for line in alive_with(f"HOME={self.environ['HOME']}") if "claude" in line]


class Team:
    """The model behind both agents: the developer writes a file, the reviewer wants it mended once."""

    def __init__(self, *, hangs: int = 0) -> None:
        self.hangs = hangs
        self.reviews = 0

    def __call__(self, request: Recorded) -> Reply:
        text = json.dumps(request.body["messages"])
        if "You are the reviewer" in text:
            self.reviews += 1
            return Say("verdict: bad" if self.reviews == 1 else "verdict: good")
        if self.hangs:
            self.hangs -= 1
            return Hang()
        if "tool_result" in text:
            return Say("written")
        return WriteFile("feature.txt", "mended" if "mend: verdict" in text else "raw")


@pytest.fixture
def project(
    vendor: Callable[[Replies], StandIn],
    environ_for: Callable[[StandIn], Mapping[str, str]],
    workspace: Path,
) -> Callable[[Team], Project]:
    def begin(team: Team) -> Project:
        standin = vendor(team)
        return Project(workspace, standin, environ_for(standin))

    return begin


def until(reached: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_task_goes_to_the_reviewer_and_back_until_the_work_is_good(
    project: Callable[[Team], Project], workspace: Path
) -> None:
    here = project(Team())
    here.type("run", "add the feature")
    task = here.task()
    assert task["status"] == "completed"
    assert [stage["agent"] for stage in task["stages"]] == ["developer", "reviewer"] * 2
    assert (workspace / "feature.txt").read_text() == "mended"
    assert here.clis() == []


def test_ctrl_c_ends_the_cli_and_resume_goes_on(project: Callable[[Team], Project]) -> None:
    here = project(Team(hangs=1))
    with here.typing("run", "add the feature") as running:
        until(lambda: here.standin.asked)
        assert here.clis()
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=20)
    assert running.returncode == 130, said
    assert here.clis() == []
    here.type("resume")
    assert here.task()["status"] == "completed"


def test_after_kill_9_no_cli_is_left_and_resume_goes_on(project: Callable[[Team], Project]) -> None:
    here = project(Team(hangs=1))
    with here.typing("run", "add the feature") as running:
        until(lambda: here.standin.asked)
        assert here.clis()
        running.kill()
    until(lambda: not here.clis(), seconds=5)
    here.type("resume")
    assert here.task()["status"] == "completed"
    assert here.clis() == []
