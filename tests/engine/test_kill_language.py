"""A run with a session, a fan-out, a join and a command gate, killed with -9 at any moment, is finished by
`aqm resume`: each turn answers once, the join opens once, each round is decided once."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aqm.flow.event import EventKind
from aqm.service.project import find_project
from aqm.service.tasks import events, task_detail
from tests.engine.lives import alive, aqm, attempts_of, tasks_of

AGENT = """#!/bin/sh
echo "$AQM_MARK" >> "{ledger}"
cat > /dev/null
sleep 0.08
echo "$1 answers"
[ "$2" ] && echo "$2"
exit 0
"""
STAGES = ["meet", "split", "left", "right", "end"]
ROUNDS = 4  # of each of six tests


def project(root: Path, order: str) -> Path:
    program = root / "agent.sh"
    program.write_text(AGENT.format(ledger=root / "ledger"))
    program.chmod(0o755)

    def agent(id: str, *words: str, **keys: Any) -> dict[str, Any]:
        return {"id": id, "runtime": "command", "command": [str(program), id, *words], **keys}

    speaker = {"permissions": "run"}
    agents = [
        {
            "id": "meet",
            "type": "session",
            "participants": ["p", "q"],
            "turn_order": order,
            "max_rounds": 2,
            "summary_agent": "p",
            "handoffs": [{"to": "split"}],
        },
        agent("p", **speaker),
        agent("q", "VOTE: AGREE", **speaker),
        agent("split", handoffs=[{"to": "left, right"}]),
        agent("left", handoffs=[{"to": "end"}]),
        agent("right", handoffs=[{"to": "end"}]),
        agent("end", join="all", gate={"type": "command", "run": "sleep 0.05; true"}),
    ]
    folder = root / ".aqm" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text(json.dumps({"agents": agents}))
    (root / ".aqm" / "config.yaml").write_text("permissions: {allow_unconfined: true}\nlease_seconds: 60\n")
    return root


@pytest.mark.parametrize("order", ["round_robin", "parallel"])
@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_with_9_at_any_moment_is_finished_by_resume(order: str, seed: int, tmp_path: Path):
    chance = random.Random(seed)
    for turn in range(ROUNDS):
        root = tmp_path / str(turn)
        root.mkdir()
        lives(project(root, order), [chance.uniform(0.4, 2.2), chance.uniform(0.4, 1.5)])


def lives(root: Path, ends: list[float]) -> None:
    """Run, be killed, be resumed and killed again, and be resumed to the end."""
    for number, after in enumerate(ends):
        running = aqm(root, "resume" if number else "run", *([] if number else ["go"]))
        time.sleep(after)
        running.send_signal(signal.SIGKILL)
        running.communicate()
    if not tasks_of(root):
        return  # it was killed before the task was accepted: nothing was promised
    said, _ = aqm(root, "resume").communicate(timeout=50)
    (task,) = tasks_of(root)
    assert task["status"] == "completed", said.decode()
    check(root, task["id"])


def check(root: Path, task: str) -> None:
    made = find_project(root, {})
    detail = task_detail(made, task)
    assert sorted(stage.agent for stage in detail.stages) == sorted(STAGES)
    assert [stage.agent for stage in detail.stages][-1] == "end"
    answered = [row.turn_id for row in attempts_of(root) if row.status == "answered"]
    assert (
        len(answered) == len(set(answered)) == 2 * 2 + 1 + 3 + 2
    )  # speakers, summary, branches, the gated join
    told = Counter(event.kind for event in events(made, task))
    assert told[EventKind.JOINED] == 1
    assert told[EventKind.ROUND_COMPLETE] == 2
    assert told[EventKind.TASK_COMPLETE] == 1
    numbers = [event.seq for event in events(made, task)]
    assert numbers == list(range(1, len(numbers) + 1))
    ledger = (root / "ledger").read_text().split()
    assert set(ledger) <= {row.id for row in attempts_of(root)}
    assert max(Counter(ledger).values()) == 1
    assert alive(set(ledger)) == []
