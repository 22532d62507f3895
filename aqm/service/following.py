"""Following a task that another process runs: its events, and the live text of its turns."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from aqm.engine.identity import life
from aqm.engine.live import tail
from aqm.errors import ConflictError
from aqm.flow.state import AttemptStatus, StageStatus
from aqm.service.project import Project
from aqm.service.store import open_store
from aqm.service.tasks import resolve
from aqm.service.views import LiveLine, OnEvent, OnLiveLine
from aqm.storage import events, lists

__all__ = ["follow", "under_way"]

UNOWNED = 5.0  # seconds


def follow(
    project: Project,
    ref: str,
    on_event: OnEvent,
    on_live: OnLiveLine,
    stop: threading.Event,
    *,
    after: int = 0,
    every: float = 0.2,
) -> int:
    """Tell a task's events after number `after`, and the live text of its running turns, until it rests or
    `stop` is set; gives the number of the last event that was told."""
    with open_store(project) as store:
        task = resolve(store, ref)
        seen, tails, owned = after, dict[str, _Tail](), time.monotonic()
        while True:
            with store.database.reading() as connection:
                row = lists.task_of(connection, store.project_id, task)
                news = events.read(connection, task, seen)
                tries = lists.attempts_of(connection, task) if news else []
            for event in news:
                seen = event.seq
                on_event(event)
            for attempt in tries:
                if attempt.status is AttemptStatus.RUNNING and attempt.id not in tails:
                    tails[attempt.id] = _Tail(project.folder / "live" / attempt.id, attempt)
            for one in tails.values():
                one.read(task, on_live)
            for attempt in tries:
                if attempt.status is not AttemptStatus.RUNNING:
                    tails.pop(attempt.id, None)
            rests = row is None or row.status.ended or row.status.waits
            if (rests and not news) or stop.is_set():
                return seen
            owned = owned if row is None or row.owner is None else time.monotonic()
            if row is not None and not news and store.embedded and _abandoned(row.owner, owned):
                raise ConflictError(f"nobody runs {task} now.", cure=f"Go on with it: aqm resume {task}")
            time.sleep(every)


def under_way(project: Project, ref: str) -> tuple[int, frozenset[int]]:
    """How many events the task has had, and which of its stages are open: what a latecomer need not be told,
    and what all the same."""
    with open_store(project) as store:
        task = resolve(store, ref)
        with store.database.reading() as connection:
            row = lists.task_of(connection, store.project_id, task)
            stages = lists.stages_of(connection, task)
    assert row is not None
    return row.events, frozenset(one.number for one in stages if one.status is StageStatus.OPEN)


def _abandoned(owner: str | None, owned: float) -> bool:
    """Its owner died, or nobody has taken it for a while: who was started to do so needs a moment."""
    if owner is None:
        return time.monotonic() - owned > UNOWNED
    return life(owner) == "dead"


@dataclass(slots=True)
class _Tail:
    """How far an attempt's live text was read."""

    path: Path
    attempt: lists.AttemptRow
    offset: int = 0

    def read(self, task: str, on_live: OnLiveLine) -> None:
        row = self.attempt
        for live, offset in tail(self.path, self.offset):
            self.offset = offset
            on_live(LiveLine(task, row.stage, row.agent, row.kind, row.id, live))
