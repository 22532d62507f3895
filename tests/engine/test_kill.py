"""A run that is killed with -9 at any moment is finished by `aqm resume`, and no turn's outcome counts twice.

The agents write a ledger outside the database: one line a start, with the mark that their attempt gave them.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.engine.lives import alive, aqm, attempts_of, tasks_of

AGENT = """#!/bin/sh
echo "$AQM_MARK" >> "{ledger}"
cat > /dev/null
sleep {seconds}
if [ "$1" = flaky ] && [ ! -e "{flag}" ]; then touch "{flag}"; exit 3; fi
echo "$1 answers"
"""
ROUNDS = 5  # of each of ten tests


def project(root: Path, seconds: float = 0.12) -> Path:
    program = root / "agent.sh"
    program.write_text(AGENT.format(ledger=root / "ledger", flag=root / "flag", seconds=seconds))
    program.chmod(0o755)
    agents: list[dict[str, Any]] = [
        {"id": "a", "command": [str(program), "a"], "handoffs": [{"to": "b"}]},
        {
            "id": "b",
            "command": [str(program), "flaky"],
            "retry": {"max_retries": 1, "backoff": 0.4},
            "handoffs": [{"to": "c"}],
        },
        {"id": "c", "command": [str(program), "c"]},
    ]
    for one in agents:
        one["runtime"] = "command"
    folder = root / ".aqm" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text(json.dumps({"agents": agents}))
    (root / ".aqm" / "config.yaml").write_text("permissions: {allow_unconfined: true}\nlease_seconds: 60\n")
    return root


@pytest.mark.parametrize("seed", range(10))
def test_a_run_killed_with_9_at_any_moment_is_finished_by_resume(seed: int, tmp_path: Path):
    chance = random.Random(seed)
    for turn in range(ROUNDS):
        root = tmp_path / str(turn)
        root.mkdir()
        one_life_and_another(project(root), chance.uniform(0.35, 2.2))


def one_life_and_another(root: Path, after: float) -> None:
    running = aqm(root, "run", "go")
    time.sleep(after)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    if not tasks_of(root):
        return  # it was killed before the task was accepted: nothing was promised
    resumed = aqm(root, "resume")
    said, _ = resumed.communicate(timeout=50)  # a dead owner is not waited for: less than a lease
    (task,) = tasks_of(root)
    assert task["status"] == "completed", said.decode()
    check_the_ledger(root)


def check_the_ledger(root: Path) -> None:
    ledger = (root / "ledger").read_text().split()
    attempts = attempts_of(root)
    recorded = {row.id for row in attempts}
    assert set(ledger) <= recorded
    assert max(Counter(ledger).values()) == 1
    answered = [row for row in attempts if row.status == "answered"]
    assert {row.id for row in answered} <= set(ledger)
    assert len(answered) == len({row.turn_id for row in answered}) == 3
    numbers: dict[int, list[int]] = {}
    for row in attempts:
        numbers.setdefault(row.turn_id, []).append(row.number)
    assert all(sorted(some) == list(range(1, len(some) + 1)) for some in numbers.values())
    deadline = time.monotonic() + 2
    while alive(set(ledger)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if sys.platform == "linux":
        assert alive(set(ledger)) == []


def test_a_stalled_task_is_finished_by_resume_once_its_cli_is_there(tmp_path: Path):
    root = project(tmp_path)
    program = root / "agent.sh"
    program.rename(root / "elsewhere.sh")
    said, _ = (run := aqm(root, "run", "go")).communicate(timeout=60)
    assert run.returncode == 3, said.decode()
    assert tasks_of(root)[0]["status"] == "stalled"
    assert "aqm resume" in said.decode()
    (root / "elsewhere.sh").rename(program)
    said, _ = (resume := aqm(root, "resume")).communicate(timeout=60)
    assert resume.returncode == 0, said.decode()


def test_a_task_that_another_process_runs_is_not_taken_over(tmp_path: Path):
    root = project(tmp_path, seconds=2)
    running = aqm(root, "run", "go")
    while not (root / "ledger").exists():
        time.sleep(0.02)
    (task,) = tasks_of(root)
    said, _ = (resume := aqm(root, "resume", task["id"])).communicate(timeout=60)
    assert resume.returncode == 1
    assert f"process {running.pid}" in said.decode()
    running.communicate(timeout=60)
    assert running.returncode == 0
    check_the_ledger(root)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_agents_and_burns_no_attempt(number: signal.Signals, tmp_path: Path):
    root = project(tmp_path, seconds=1)
    running = aqm(root, "run", "go")
    while not (root / "ledger").exists():
        time.sleep(0.02)
    running.send_signal(number)
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 130, said.decode()
    assert "aqm resume" in said.decode()
    assert alive(set((root / "ledger").read_text().split())) == []
    said, _ = (resume := aqm(root, "resume")).communicate(timeout=60)
    assert resume.returncode == 0, said.decode()
    check_the_ledger(root)


def test_a_cancel_from_another_terminal_ends_the_agent_and_the_run(tmp_path: Path):
    root = project(tmp_path, seconds=30)
    running = aqm(root, "run", "go")
    while not (root / "ledger").exists():
        time.sleep(0.02)
    (task,) = tasks_of(root)
    cancelled = aqm(root, "cancel", task["id"], "-r", "enough")
    cancelled.communicate(timeout=30)
    assert cancelled.returncode == 0
    said, _ = running.communicate(timeout=8)
    assert running.returncode == 4, said.decode()
    assert "enough" in said.decode()
    assert alive(set((root / "ledger").read_text().split())) == []
    assert {row.status for row in attempts_of(root)} == {"fenced"}


def test_a_task_can_wait_for_its_retry_in_one_process_and_be_finished_in_another(tmp_path: Path):
    root = project(tmp_path)
    document = root / ".aqm" / "pipelines" / "default.yaml"
    document.write_text(document.read_text().replace('"backoff": 0.4', '"backoff": 3'))
    running = aqm(root, "run", "go")
    while not (root / "flag").exists():
        time.sleep(0.02)
    time.sleep(0.5)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    said, _ = (resumed := aqm(root, "resume")).communicate(timeout=50)
    assert resumed.returncode == 0, said.decode()
    check_the_ledger(root)


def test_a_task_that_rests_leaves_its_context_in_its_folder(tmp_path: Path):
    root = project(tmp_path)
    (run := aqm(root, "run", "go")).communicate(timeout=60)
    assert run.returncode == 0
    (task,) = tasks_of(root)
    text = (root / ".aqm" / "tasks" / task["id"] / "context.md").read_text()
    assert text.startswith(f"# {task['id']} · completed\n\ngo\n")
    assert [line for line in text.splitlines() if "answers" in line] == [
        "a answers",
        "flaky answers",
        "c answers",
    ]
