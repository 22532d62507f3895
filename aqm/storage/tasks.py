"""Tasks: adding one, and the lock under which everything about it is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from aqm.flow.event import Event, EventKind
from aqm.flow.outcome import STALLS, Usage
from aqm.flow.state import TASK_MOVES, Priority, TaskStatus, Waits, resting
from aqm.storage import events
from aqm.storage.database import now
from aqm.storage.statement import Statement
from aqm.storage.tables import projects, stages, tasks, turns

__all__ = [
    "LockedTask",
    "NewTask",
    "add",
    "find_ids",
    "lock",
    "lock_of_stage",
    "lock_of_turn",
    "project_id",
    "project_of_turn",
]

_COLUMNS = (
    tasks.c.id,
    tasks.c.project_id,
    tasks.c.run,
    tasks.c.status,
    tasks.c.priority,
    tasks.c.owner,
    tasks.c.frozen,
    tasks.c.policy,
    tasks.c.stages,
    tasks.c.run_stages,
    tasks.c.live_branches,
    tasks.c.waiting_gates,
    tasks.c.waiting_inputs,
    tasks.c.waiting_hosts,
    tasks.c.branches,
    tasks.c.events,
    tasks.c.error_class,
    tasks.c.error_message,
    tasks.c.input,
    tasks.c.parent,
)
_LOCK = Statement(select(*_COLUMNS).where(tasks.c.id == bindparam("task")).with_for_update())
_LOCK_OF_TURN = Statement(
    select(*_COLUMNS)
    .where(tasks.c.id == select(turns.c.task_id).where(turns.c.id == bindparam("turn")).scalar_subquery())
    .with_for_update()
)
_LOCK_OF_STAGE = Statement(
    select(*_COLUMNS)
    .where(tasks.c.id == select(stages.c.task_id).where(stages.c.id == bindparam("stage")).scalar_subquery())
    .with_for_update()
)


@dataclass(frozen=True, slots=True)
class NewTask:
    """What a submission stores; the texts themselves are blobs already."""

    id: str
    project: int
    description: str
    pipeline: str
    priority: Priority
    input: str
    frozen: str
    policy: str
    sources: str | None = None
    parent: str | None = None
    owner: str | None = None


@dataclass(slots=True)
class LockedTask:
    """A task whose row this transaction holds. Changes and events gather here and are written once."""

    id: str
    project: int
    run: int
    status: TaskStatus
    priority: int
    owner: str | None
    frozen: str
    policy: str
    stages: int
    run_stages: int
    live_branches: int
    events: int
    input: str
    at: float
    waiting: dict[Waits, int] = field(default_factory=dict)  # open stages by what they wait for
    branches: int = 0
    parent: str | None = None
    error_class: str | None = None
    error_message: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)  # what is added to the sums
    news: list[Event] = field(default_factory=list)
    written: int = 0

    def move(self, status: TaskStatus) -> None:
        """Go to `status`; a move that the table does not allow is a bug of ours."""
        if status is self.status:
            return
        if status not in TASK_MOVES[self.status]:
            raise AssertionError(f"task {self.id} cannot go from {self.status} to {status}")
        self.status = status
        self.changes["status"] = status.value
        self.changes["finished_at"] = self.at if status.ended else None

    def opened(self, number: int) -> None:
        """So many stages more, or fewer, are open."""
        self.live_branches += number
        self.changes["live_branches"] = self.live_branches

    def wait(self, waits: Waits, number: int = 1) -> None:
        """So many open stages more, or fewer, wait for that."""
        self.waiting[waits] = self.waiting.get(waits, 0) + number
        self.changes[_WAITING[waits]] = self.waiting[waits]

    def rest(self) -> None:
        """Take the status that the open stages make; a task that nobody has begun stays pending."""
        waiting = [self.waiting.get(waits, 0) for waits in Waits]
        status = resting(self.live_branches, *waiting)
        stalls = status is TaskStatus.STALLED and self.status is not status
        if self.status is not TaskStatus.PENDING or status is not TaskStatus.IN_PROGRESS:
            self.move(status)
        if stalls:
            told = {"class": self.error_class, "message": self.error_message}
            self.tell(EventKind.TASK_STALLED, **told)

    def ended(self) -> None:
        """Nothing of it is open any more."""
        self.opened(-self.live_branches)
        for waits, number in self.waiting.items():
            self.wait(waits, -number)

    def fail(self, error_class: str, message: str) -> None:
        """What the task will show as its error; the first one stays, but for that of a stall."""
        if self.error_class is None or self.error_class in _PASSING:
            self.error_class, self.error_message = error_class, message
            self.changes.update(error_class=error_class, error_message=message)

    def recover(self, *, always: bool = False) -> None:
        """The stall is over, unless something else waits for a host; or, after a restart, whatever the error
        was."""
        passed = self.error_class in _PASSING and not self.waiting.get(Waits.HOST)
        if self.error_class is not None and (always or passed):
            self.error_class = self.error_message = None
            self.changes.update(error_class=None, error_message=None)

    def tell(self, kind: EventKind, stage: int | None = None, agent: str = "", /, **data: object) -> None:
        self.events += 1
        self.news.append(Event(self.events, self.at, kind, self.id, stage, agent, data))
        self.changes["events"] = self.events

    def spend(self, usage: Usage) -> None:
        """Book what an attempt used; also that of one whose outcome was not accepted."""
        booked = {
            "input_tokens": usage.input,
            "cached_tokens": usage.cached,
            "output_tokens": usage.output,
            "reasoning_tokens": usage.reasoning,
            "cost_usd": usage.cost_usd,
        }
        for column, amount in booked.items():
            if amount:
                self.spent[column] = self.spent.get(column, 0) + amount
        if usage.input is not None or usage.output is not None:
            self.spent["usage_known"] = 1
        if usage.cost_usd is not None:
            self.spent["cost_known"] = 1

    def save(self, connection: Connection) -> None:
        """Write what has gathered since the last save."""
        events.append(connection, self.news[self.written :])
        self.written = len(self.news)
        if self.changes or self.spent:
            statement = _update(tuple(sorted(self.changes)), tuple(sorted(self.spent)))
            statement(connection, {**self.changes, **self.spent, "task": self.id, "now": self.at})
            self.changes.clear()
            self.spent.clear()


_PASSING = frozenset(kind.value for kind in STALLS)
_WAITING = {
    Waits.GATE: "waiting_gates",
    Waits.INPUT: "waiting_inputs",
    Waits.HOST: "waiting_hosts",
}


@cache
def _update(changed: tuple[str, ...], added: tuple[str, ...]) -> Statement:
    """The update of just these columns: a handful of combinations occur."""
    values: dict[str, Any] = {name: bindparam(name) for name in changed}
    sums = {name: tasks.c[name] + bindparam(name) for name in added}
    statement = update(tasks).where(tasks.c.id == bindparam("task"))
    return Statement(statement.values({**values, **sums, "updated_at": bindparam("now")}))


@contextmanager
def lock(connection: Connection, task: str) -> Iterator[LockedTask | None]:
    """Hold the task's row; what was changed on it is written at the end of the block."""
    yield from _hold(connection, _LOCK, {"task": task})


@contextmanager
def lock_of_turn(connection: Connection, turn: int) -> Iterator[LockedTask | None]:
    """The same for the task of a turn."""
    yield from _hold(connection, _LOCK_OF_TURN, {"turn": turn})


@contextmanager
def lock_of_stage(connection: Connection, stage: int) -> Iterator[LockedTask | None]:
    """The same for the task of a stage."""
    yield from _hold(connection, _LOCK_OF_STAGE, {"stage": stage})


def _hold(connection: Connection, query: Statement, values: dict[str, Any]) -> Iterator[LockedTask | None]:
    row = query.one(connection, values)
    if row is None:
        yield None
        return
    task = LockedTask(
        id=row.id,
        project=row.project_id,
        run=row.run,
        status=TaskStatus(row.status),
        priority=row.priority,
        owner=row.owner,
        frozen=row.frozen,
        policy=row.policy,
        stages=row.stages,
        run_stages=row.run_stages,
        live_branches=row.live_branches,
        events=row.events,
        input=row.input,
        at=now(connection),
        waiting={waits: getattr(row, column) for waits, column in _WAITING.items()},
        branches=row.branches,
        parent=row.parent,
        error_class=row.error_class,
        error_message=row.error_message,
    )
    yield task
    task.save(connection)


def add(connection: Connection, new: NewTask, at: float) -> LockedTask:
    """Insert a task; the caller opens its first stage and saves it."""
    values = {
        "id": new.id,
        "project_id": new.project,
        "status": TaskStatus.PENDING.value,
        "priority": new.priority.rank,
        "description": new.description,
        "pipeline": new.pipeline,
        "parent": new.parent,
        "input": new.input,
        "frozen": new.frozen,
        "policy": new.policy,
        "sources": new.sources,
        "owner": new.owner,
        "created_at": at,
        "updated_at": at,
    }
    connection.execute(insert(tasks).values(**values))
    return LockedTask(
        id=new.id,
        project=new.project,
        run=1,
        status=TaskStatus.PENDING,
        priority=new.priority.rank,
        owner=new.owner,
        frozen=new.frozen,
        policy=new.policy,
        stages=0,
        run_stages=0,
        live_branches=0,
        events=0,
        input=new.input,
        at=at,
        parent=new.parent,
    )


def exists(connection: Connection, task: str) -> bool:
    return connection.execute(select(tasks.c.id).where(tasks.c.id == task)).first() is not None


def find_ids(connection: Connection, project: int, prefix: str, most: int = 10) -> list[str]:
    """Ids that start with `prefix`, at most `most` of them."""
    query = (
        select(tasks.c.id)
        .where(tasks.c.project_id == project, tasks.c.id >= prefix, tasks.c.id < prefix + "\U0010ffff")
        .order_by(tasks.c.id)
        .limit(most)
    )
    return list(connection.execute(query).scalars())


def project_of_turn(connection: Connection, turn: int) -> int | None:
    query = select(tasks.c.project_id).join(turns, turns.c.task_id == tasks.c.id).where(turns.c.id == turn)
    return connection.execute(query).scalar_one_or_none()


def project_id(connection: Connection, name: str, *, create_at: float | None = None) -> int:
    """The project's number; with `create_at` it is added when it is new."""
    found = connection.execute(select(projects.c.id).where(projects.c.name == name)).scalar_one_or_none()
    if found is not None or create_at is None:
        return int(found or 0)
    result = connection.execute(insert(projects).values(name=name, created_at=create_at))
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])
