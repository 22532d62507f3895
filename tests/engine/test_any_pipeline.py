"""Random small pipelines, their bells heard in any order and again: the task ends, and its rows agree."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from aqm.engine.worker import Worker
from aqm.errors import PipelineError
from aqm.service.reworking import restart
from aqm.service.store import Store, open_store
from tests.engine.invariants import Rows, check_ended, check_running
from tests.engine.play import APPROVED, REJECTED, Stage, play_in

MOST = 30  # stages
CONDITIONS = ("always", "go == x", "go != x", "on_pass", "stage.visits < 3", "default")
QUICK = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


FAILS = {"fail": "crash"}
SAYS = st.sampled_from([*[{"say": "go: x"}] * 9, *[{"say": "go: y"}] * 6, FAILS])
VERDICTS = st.sampled_from([APPROVED, REJECTED])
JOINS = st.sampled_from([None, "all", None, "all", "any", 2, 3])


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Agents, and what they say. The first one fans out."""
    names = [f"a{number}" for number in range(draw(st.integers(4, 8)))]
    agents, says = [], {}
    for number, name in enumerate(names):
        later = names[number + 1 :]
        wanted = names if not later or draw(st.integers(0, 5)) == 5 else later  # few go back
        targets = st.lists(st.sampled_from(wanted), min_size=1, max_size=3, unique=True)
        rule = st.fixed_dictionaries({"to": targets, "condition": st.sampled_from(CONDITIONS)})
        agent: dict[str, Any] = {"id": name, "runtime": "claude", "permissions": "edit"}
        agent["handoffs"] = draw(st.lists(rule, min_size=int(bool(later)), max_size=2 if later else 0))
        agent["join"] = draw(JOINS)
        agent["on_branch_failure"] = draw(st.sampled_from(["wait", "wait", "cancel"]))
        says[name] = {"work": draw(st.lists(SAYS, min_size=1, max_size=3))}
        if draw(st.integers(0, 5)) == 5:
            agent["gate"] = {"type": "llm", "max_retries": 1}
            agent["handoffs"].append({"to": draw(targets), "condition": "on_reject"})
            says[name]["gate"] = draw(st.lists(VERDICTS, min_size=1, max_size=3))
        agents.append(agent)
    fan = st.lists(st.sampled_from(names[1:]), min_size=2, max_size=3, unique=True)
    agents[0] |= {"handoffs": [{"to": draw(fan)}], "join": None}
    says["a0"] = {"work": {"say": "go: x"}}
    return agents, says


class House:
    """One project, in which one pipeline after the other is played."""

    def __init__(self, play: Stage, store: Store) -> None:
        self.play, self.store = play, store
        self.worker: Worker = play.worker(store)

    def begin(self, agents: list[dict[str, Any]], says: dict[str, Any]) -> None:
        (self.play.project.pipelines / "default.yaml").write_text(json.dumps({"agents": agents}))
        self.play.script.write_text(json.dumps({"pace": 0, "agents": says}))
        self.play.rung.clear()
        try:
            self.play.begin()
        except PipelineError as error:
            note(str(error))
            assume(False)

    def rows(self) -> Rows:
        with self.store.database.reading() as connection:
            return Rows(connection, self.play.task)

    def end(self, chance: random.Random) -> Rows:
        """Hear bells in any order, some of them twice, until none is left."""
        heard = []
        for _ in range(1000):
            self.play.due(self.worker, at=0)
            if not self.play.rung:
                return self.rows()
            bell = self.play.rung.pop(chance.randrange(len(self.play.rung)))
            heard.append(bell)
            self.play.hear(self.worker, bell)
            if chance.random() < 0.3:
                self.play.hear(self.worker, chance.choice(heard))
            if chance.random() < 0.3:
                self.checked(check_running)
        raise AssertionError("the task does not end")

    def checked(self, check: Any, **keys: Any) -> None:
        rows = self.rows()
        try:
            check(rows, **keys)
        except AssertionError:
            note(repr(rows))
            raise


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    root: Path = tmp_path_factory.mktemp("house")
    play = play_in(root, [], {}, environ={"PATH": "/usr/bin"}, config={"pipeline": {"max_stages": MOST}})
    with open_store(play.project) as store:
        yield House(play, store)


@QUICK
@given(pipelines(), st.integers(0, 2**32))
def test_any_pipeline_ends_with_rows_that_agree(house: House, made: Any, seed: int):
    house.begin(*made)
    house.end(random.Random(seed))
    house.checked(check_ended, most=MOST)


@QUICK
@given(pipelines(), st.integers(0, 2**32))
def test_any_task_that_has_ended_can_be_restarted_from_any_stage(house: House, made: Any, seed: int):
    chance = random.Random(seed)
    house.begin(*made)
    house.end(chance)
    for _ in range(2):
        rows = house.rows()
        number = chance.choice([stage.number for stage in rows.counted])
        note(f"restart from {number} of\n{rows!r}")
        restart(house.play.project, house.play.task, from_stage=number, own=True)
        house.end(chance)
        house.checked(check_ended, most=MOST)


def calm(made: tuple[list[dict[str, Any]], dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Joins of all, no gates, and nobody fails."""
    agents, says = made
    for agent in agents:
        agent.pop("gate", None)
        agent["join"] = agent["join"] and "all"
        agent["handoffs"] = [rule for rule in agent["handoffs"] if rule.get("condition") != "on_reject"]
        says[agent["id"]] = {
            "work": [reply for reply in replies(says, agent) if reply != FAILS] or {"say": "x"}
        }
    return agents, says


def replies(says: dict[str, Any], agent: dict[str, Any]) -> list[Any]:
    found = says[agent["id"]]["work"]
    return found if isinstance(found, list) else [found]


@QUICK
@given(pipelines().map(calm), st.integers(0, 2**32))
def test_where_joins_wait_for_all_the_order_of_bells_decides_nothing(house: House, made: Any, seed: int):
    seen = []
    for chance in (random.Random(seed), random.Random(seed + 1)):
        house.begin(*made)
        rows = house.end(chance)
        note(repr(rows))
        assume(rows.task.error_class != "stage_limit")
        seen.append((rows.task.status, sorted(stage.agent for stage in rows.stages)))
    assert seen[0] == seen[1]
    assert seen[0][0] == "completed"
