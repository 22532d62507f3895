"""Two worker processes on one Redis and one PostgreSQL: every turn runs, and none of them twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aqm.flow.state import TaskStatus
from aqm.service.project import Project, find_project
from aqm.service.store import open_store
from aqm.service.submission import submit
from aqm.service.tasks import task_page
from aqm.storage import migrate, tables
from aqm.storage.database import Database

AGENT = """#!/bin/sh
echo "$AQM_MARK" >> "{ledger}"
cat > /dev/null
sleep 0.05
echo done
"""
StartWorker = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def environ(tmp_path: Path, redis_url: str, postgres_url: str) -> dict[str, str]:
    database = Database(postgres_url)
    migrate.upgrade(database)
    database.close()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AQM_DATABASE_URL": postgres_url,
        "AQM_BROKER_URL": redis_url,
        "AQM_LEASE_SECONDS": "2",
        "AQM_PERMISSIONS__ALLOW_UNCONFINED": "true",
    }


@pytest.fixture
def team(tmp_path: Path, environ: dict[str, str]) -> Project:
    program = tmp_path / "agent.sh"
    program.write_text(AGENT.format(ledger=tmp_path / "ledger"))
    program.chmod(0o755)
    agents: list[dict[str, Any]] = [
        {"id": name, "runtime": "command", "command": [str(program)], "handoffs": [{"to": after}]}
        for name, after in (("a", "b"), ("b", "c"))
    ]
    agents.append({"id": "c", "runtime": "command", "command": [str(program)]})
    folder = tmp_path / ".aqm" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text(json.dumps({"agents": agents}))
    return find_project(tmp_path, environ)


@pytest.fixture
def start_worker(environ: dict[str, str], tmp_path: Path) -> Iterator[StartWorker]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "workers", "command", "--slots", "2"]
        with (tmp_path / f"worker{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=log, stderr=log)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_until_completed(team: Project, number: int, seconds: float, root: Path) -> None:
    deadline = time.monotonic() + seconds
    while len(task_page(team, status=TaskStatus.COMPLETED, limit=200).tasks) < number:
        logs = "".join(path.read_text() for path in root.glob("worker*.log"))
        assert time.monotonic() < deadline, logs[-3000:]
        time.sleep(0.2)


def attempts_of(team: Project) -> list[Any]:
    with open_store(team) as store, store.database.reading() as connection:
        return list(connection.execute(tables.attempts.select()))


def test_two_workers_share_the_turns_and_run_each_once(
    team: Project, start_worker: StartWorker, tmp_path: Path
):
    for _ in range(12):
        submit(team, "go")
    start_worker()
    start_worker()
    wait_until_completed(team, 12, 60, tmp_path)
    attempts = attempts_of(team)
    ledger = (tmp_path / "ledger").read_text().split()
    assert sorted(ledger) == sorted(row.id for row in attempts)
    assert Counter(row.status for row in attempts) == {"answered": 36}
    assert len({row.worker for row in attempts}) == 2


def test_what_a_killed_worker_ran_is_run_again_by_the_other(
    team: Project, start_worker: StartWorker, tmp_path: Path
):
    first = start_worker()
    start_worker()
    for _ in range(12):
        submit(team, "go")
    while not (tmp_path / "ledger").exists():
        time.sleep(0.01)
    time.sleep(0.2)
    first.kill()
    wait_until_completed(team, 12, 60, tmp_path)
    attempts = attempts_of(team)
    ledger = (tmp_path / "ledger").read_text().split()
    assert set(ledger) <= {row.id for row in attempts}
    assert max(Counter(ledger).values()) == 1
    answered = [row.turn_id for row in attempts if row.status == "answered"]
    assert sorted(answered) == sorted(set(answered))
    assert len(answered) == 36


def test_a_stopped_worker_puts_its_turns_back_unburnt(
    team: Project, start_worker: StartWorker, tmp_path: Path
):
    program = tmp_path / "agent.sh"
    program.write_text(program.read_text().replace("sleep 0.05", "sleep 30"))
    worker = start_worker()
    submit(team, "go")
    while not (tmp_path / "ledger").exists():
        time.sleep(0.01)
    worker.terminate()
    assert worker.wait(20) == 0
    with open_store(team) as store, store.database.reading() as connection:
        (turn,) = connection.execute(tables.turns.select())
    assert (turn.status, turn.failures, turn.losses, turn.attempt) == ("queued", 0, 0, None)
