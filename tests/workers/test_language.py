"""Sessions, fan-outs and joins on real workers, Redis and PostgreSQL; also when a worker is killed."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from aqm.flow.event import EventKind
from aqm.flow.state import TaskStatus
from aqm.service.answering import approve
from aqm.service.submission import submit
from aqm.service.tasks import events, task_detail
from aqm.storage import migrate, tables
from aqm.storage.database import Database
from tests.workers.team import Team

SetTeam = Callable[[Sequence[Mapping[str, Any]]], Team]
SPEAKERS = ("ann", "ben", "cid", "dee")


@pytest.fixture
def team(tmp_path: Path, redis_url: str, postgres_url: str) -> Iterator[SetTeam]:
    database = Database(postgres_url)
    migrate.upgrade(database)
    database.close()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AQM_DATABASE_URL": postgres_url,
        "AQM_BROKER_URL": redis_url,
        "AQM_LEASE_SECONDS": "2",
        "AQM_PERMISSIONS__ALLOW_UNCONFINED": "true",
    }
    teams: list[Team] = []

    def make(agents: Sequence[Mapping[str, Any]]) -> Team:
        teams.append(Team(tmp_path, environ, agents))
        return teams[-1]

    yield make
    for each in teams:
        each.kill()


def program(id: str, line: str, **keys: Any) -> dict[str, Any]:
    return {"id": id, "runtime": "command", "command": ["sh", "-c", line], **keys}


def speakers(seconds: float = 0.1) -> list[dict[str, Any]]:
    """Each notes its attempt, takes a while and says how much of the discussion it has heard."""
    line = (
        f'echo "$AQM_MARK" >> "$HOME/ledger"; heard=$(grep -c "^### "); sleep {seconds}; echo "heard $heard"'
    )
    return [program(name, line) for name in SPEAKERS]


def session(order: str = "parallel", **keys: Any) -> dict[str, Any]:
    return {
        "id": "meet",
        "type": "session",
        "participants": list(SPEAKERS),
        "turn_order": order,
        "max_rounds": 3,
        **keys,
    }


def assert_twelve_turns(team: Team, task: str) -> None:
    """Each spoke once in each round, and no attempt's program ran twice."""
    attempts = team.attempts()
    answered = Counter(row.turn_id for row in attempts if row.status == "answered")
    turns = [row for row in team.rows(tables.turns) if row.task_id == task and row.kind == "speak"]
    assert Counter((row.round, row.agent) for row in turns) == {
        (n, name): 1 for n in (1, 2, 3) for name in SPEAKERS
    }
    assert all(answered[row.id] == 1 for row in turns)
    ledger = Counter((team.root / "ledger").read_text().split())
    assert max(ledger.values()) == 1
    assert set(ledger) <= {row.id for row in attempts}
    kinds = Counter(event.kind for event in events(team.project, task))
    assert kinds[EventKind.ROUND_COMPLETE] == 3
    assert kinds[EventKind.ROUND_START] == 3


@pytest.mark.parametrize("order", ["parallel", "round_robin"])
def test_a_session_is_shared_by_two_workers(team: SetTeam, order: str):
    found = team([session(order), *speakers()])
    found.start()
    found.start()
    task = submit(found.project, "talk").id
    found.wait_until_completed(1)
    assert_twelve_turns(found, task)
    detail = task_detail(found.project, task)
    assert (detail.stages[0].round, detail.stages[0].consensus) == (3, False)
    assert detail.stages[0].headline == ("heard 8" if order == "parallel" else "heard 11")


def test_a_worker_killed_in_mid_round_costs_nobody_a_word(team: SetTeam):
    found = team([session(), *speakers(0.5)])
    first = found.start()
    found.start()
    task = submit(found.project, "talk").id
    ledger = found.root / "ledger"
    found.wait(lambda: ledger.exists() and len(ledger.read_text().split()) >= 6)  # in the second round
    first.kill()
    found.wait_until_completed(1)
    assert_twelve_turns(found, task)


def test_a_fan_out_meets_in_its_join_on_two_workers(team: SetTeam):
    branches = ("left", "middle", "right")
    split = program("split", "cat", handoffs=[{"to": ", ".join(branches)}])
    sides = [
        program(name, f"cat > /dev/null; sleep 0.2; echo {name} is done", handoffs=[{"to": "end"}])
        for name in branches
    ]
    found = team([split, *sides, program("end", "grep -c 'is done'", join="all")])
    found.start()
    found.start()
    tasks = [submit(found.project, "go").id for _ in range(5)]
    found.wait_until_completed(5)
    for task in tasks:
        stages = task_detail(found.project, task).stages
        assert Counter(stage.agent for stage in stages) == {
            "split": 1,
            "end": 1,
            **dict.fromkeys(branches, 1),
        }
        assert stages[-1].headline == "3"


def test_a_worker_whose_slots_are_all_busy_decides_on_rounds_all_the_same(team: SetTeam):
    slow = program("slow", 'cat > /dev/null; touch "$HOME/busy"; sleep 120')
    found = team([session(), *speakers(0), slow])
    found.start("command", "--slots", "1")
    submit(found.project, "take your time", agent="slow")
    found.wait(lambda: (found.root / "busy").exists())
    found.start("command", "--slots", "2", "--no-control")
    task = submit(found.project, "talk").id
    found.wait_until_completed(1)
    assert_twelve_turns(found, task)


def test_decisions_can_be_left_to_a_worker_of_their_own(team: SetTeam):
    found = team([session(), *speakers(0)])
    found.start("command", "--slots", "4", "--no-control")
    task = submit(found.project, "talk").id
    found.wait(lambda: sum(e.kind is EventKind.SPOKE for e in events(found.project, task)) == 4)
    time.sleep(1.5)
    assert not any(e.kind is EventKind.ROUND_COMPLETE for e in events(found.project, task))
    found.start("control", "--slots", "1")
    found.wait_until_completed(1)
    assert_twelve_turns(found, task)


def test_a_person_s_word_sets_a_team_s_task_going_again(team: SetTeam):
    gate = {"type": "human"}
    found = team([program("dev", "cat", gate=gate, handoffs=[{"to": "ship"}]), program("ship", "cat")])
    found.start()
    task = submit(found.project, "go").id
    found.wait(lambda: task_detail(found.project, task).task.status is TaskStatus.AWAITING_GATE)
    approve(found.project, task)
    found.wait_until_completed(1)
    assert [stage.agent for stage in task_detail(found.project, task).stages] == ["dev", "ship"]


def test_a_stopped_worker_leaves_at_once_and_its_speakers_are_put_back(team: SetTeam):
    found = team([session(), *speakers(30)])
    worker = found.start()
    submit(found.project, "talk")
    found.wait(lambda: (found.root / "ledger").exists())
    worker.terminate()
    assert worker.wait(20) == 0
    turns = found.rows(tables.turns)
    assert {(row.status, row.losses, row.failures) for row in turns} == {("queued", 0, 0)}
