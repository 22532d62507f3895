"""Plays a task by hand: a test says whose turn comes next, and looks at the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, select

from aqm.engine.past import Place, shown_to
from aqm.engine.run_turn import run_turn
from aqm.engine.worker import Worker
from aqm.flow.event import EventKind
from aqm.flow.state import StageStatus, TaskStatus
from aqm.pipeline.spec import Agent
from aqm.service.store import Store, open_store
from aqm.storage import blobs, tables
from tests.engine.invariants import Rows, check_ended, check_running
from tests.engine.play import Stage

__all__ = ["Hand", "fan", "playing", "said"]


def said(words: str) -> dict[str, str]:
    return {"say": words}


def fan(*to: str, **keys: Any) -> dict[str, Any]:
    """One rule that fans out."""
    return {"handoffs": [{"to": list(to), **keys}]}


@dataclass
class Hand:
    play: Stage
    store: Store
    worker: Worker

    def step(self, *agents: str) -> None:
        """Run the next turn of each of these agents, one after the other."""
        for agent in agents:
            self.play.due(self.worker, at=0)
            turn = self.turn_of(agent)
            self.play.rung[:] = [bell for bell in self.play.rung if getattr(bell, "turn", None) != turn]
            run_turn(self.worker, turn, "message")

    def turn_of(self, agent: str) -> int:
        """The agent's next turn, by its id."""
        query = (
            select(tables.turns.c.id)
            .join(tables.stages, tables.stages.c.id == tables.turns.c.stage_id)
            .where(
                tables.turns.c.task_id == self.play.task,
                tables.stages.c.agent == agent,
                tables.turns.c.status == "queued",
            )
            .order_by(tables.turns.c.id)
        )
        with self.store.database.reading() as connection:
            found = connection.execute(query).scalars().first()
        assert found is not None, f"no turn of {agent} is queued: {self.walked()}"
        return int(found)

    def rest(self) -> None:
        """Run all that is left, and see that the rows agree."""
        self.play.run(self.worker)
        self.agree()

    def agree(self) -> None:
        """What must hold of the task's rows does."""
        with self.store.database.reading() as connection:
            rows = Rows(connection, self.play.task)
        if rows.task.status in ("completed", "failed"):
            check_ended(rows, most=20)
        else:
            check_running(rows)

    @property
    def status(self) -> TaskStatus:
        return self.play.detail().task.status

    @property
    def error(self) -> str:
        found = self.play.detail().task.error
        return f"{found.kind}: {found.message}" if found else ""

    def walked(self) -> list[str]:
        """The agents of the stages that count, in order."""
        return [one.agent for one in self.play.detail().stages if one.status is not StageStatus.DROPPED]

    def places(self) -> dict[int, tuple[str, str]]:
        """The agent and the branch of each stage that counts."""
        found = self.play.detail().stages
        return {one.number: (one.agent, one.branch) for one in found if one.status is not StageStatus.DROPPED}

    def rows(self, table: Table) -> list[Any]:
        order = [column for column in table.primary_key.columns]
        with self.store.database.reading() as connection:
            query = select(table).where(table.c.task_id == self.play.task).order_by(*order)
            return list(connection.execute(query))

    def branches(self) -> dict[str, str]:
        """The status of each branch, by its path."""
        return {row.path: row.status for row in self.rows(tables.branches)}

    def input(self, number: int) -> str:
        """What stage `number` was given."""
        row = next(row for row in self.rows(tables.stages) if row.number == number)
        with self.store.database.reading() as connection:
            return blobs.read(connection, self.store.project_id, row.input)

    def said(self, number: int) -> str:
        row = next(row for row in self.rows(tables.stages) if row.number == number)
        with self.store.database.reading() as connection:
            return blobs.read(connection, self.store.project_id, row.output)

    def shown(self, number: int) -> str:
        """What stage `number` sees of the past: all of it, in full."""
        row = next(row for row in self.rows(tables.stages) if row.number == number)
        parent = self.play.detail().task.parent
        place = Place(row.project_id, self.play.task, row.branch, number, row.visit, parent=parent)
        reader = Agent(id=row.agent, runtime="claude", context_window=0)
        with self.store.database.reading() as connection:
            return shown_to(connection, place, reader, "shared")[0]

    def told(self, kind: EventKind) -> list[Any]:
        return [event for event in self.play.events() if event.kind is kind]


@contextmanager
def playing(play: Stage, text: str = "the task", **keys: Any) -> Iterator[Hand]:
    """With a task begun."""
    play.begin(text, **keys)
    with open_store(play.project) as store:
        yield Hand(play, store, play.worker(store))
