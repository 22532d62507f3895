"""Running tasks in this process, and following those that another one runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from aqm.engine.embedded import Embedded
from aqm.engine.heartbeat import Heartbeat, Watchdog
from aqm.engine.identity import identity, life, pid_of
from aqm.engine.live import tail
from aqm.engine.run_turn import DRAIN
from aqm.engine.sweep import Sweep, end_dead_attempts
from aqm.engine.window import OwnWindow
from aqm.engine.worker import Consent
from aqm.engine.worker import Worker as Hands
from aqm.errors import AqmError, ConflictError
from aqm.flow.event import Event, EventKind
from aqm.flow.state import AttemptStatus, TaskStatus
from aqm.runtimes import RUNTIMES
from aqm.runtimes.base import Host, Live
from aqm.runtimes.private import clear_leftovers
from aqm.service.files import write_context
from aqm.service.project import Project
from aqm.service.store import Store, open_store
from aqm.service.tasks import resolve
from aqm.service.views import LiveLine, OnEvent, OnLiveLine
from aqm.storage import bells, lists, owners, tasks
from aqm.storage import events as stored_events
from aqm.storage.database import Connection, DatabaseError, now
from aqm.storage.turns import Claim

__all__ = ["Worker", "adopt", "follow"]

GRACE = 8.0  # seconds for CLIs to end: TERM, 5 s, KILL, and the turn's closing
SILENCE = 3  # leases without a sign after which an owner that cannot be seen from here counts as gone


class Worker:
    """Runs this process's tasks while it is entered. `wait` and `stop` may be called from any thread."""

    def __init__(
        self,
        project: Project,
        *,
        tasks: frozenset[str] | None = None,
        on_event: OnEvent,
        on_live: OnLiveLine,
        host: Host,
    ) -> None:
        self._project, self._only, self._host = project, tasks, host
        self._on_event, self._on_live = on_event, on_live
        self._store_door = open_store(project)
        self._changed = threading.Condition()
        self._stopped = False
        self._fault: AqmError | None = None
        self._telling = threading.Lock()
        self._told: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._store: Store = self._store_door.__enter__()
        self._log = _log_to(self._project)
        self._name = identity()
        settings = self._project.settings
        self._embedded = Embedded(RUNTIMES, settings.slots)
        self._hands = Hands(
            database=self._store.database,
            name=self._name,
            owner=self._name,
            host=self._host,
            workspace=lambda task: self._project.root,
            consent=Consent(
                settings.permissions.allow_full,
                settings.permissions.allow_unconfined,
                tuple(settings.flags.allow),
            ),
            lease=settings.lease_seconds,
            window=OwnWindow(2 * settings.slots),
            live_folder=self._project.folder / "live",
            ring=self._embedded.ringer,
            on_events=self._tell,
            on_live=self._show,
            on_fault=self._fail,
        )
        self._heartbeat = Heartbeat(self._store.database, self._hands.running, settings.lease_seconds)
        self._watchdog = Watchdog(self._hands.running, settings.lease_seconds)
        self._sweep = Sweep(self._hands, self._notify)
        self._start()
        return self

    def _start(self) -> None:
        clear_leftovers(self._host)
        with self._store.database.reading() as connection:
            mine = owners.mine(connection, self._name)
        for task in mine:
            end_dead_attempts(self._hands, task)
        self._embedded.start(lambda: self._hands)
        for thread in (self._heartbeat, self._watchdog, self._sweep, self._hands.feed):
            thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
            self._hands.running.wait_idle(GRACE)
            self._embedded.stop()
            for thread in (self._sweep, self._heartbeat, self._watchdog, self._hands.feed):
                thread.end()
            self._sweep.join(2)
            self._release()
        finally:
            logging.getLogger("aqm").removeHandler(self._log)
            with suppress(OSError):
                self._log.close()
            self._store_door.__exit__(kind, error, trace)

    def _release(self) -> None:
        """Leave this process's tasks to whoever resumes them; a store that cannot be written has said so, and
        an owner that is dead is found out all the same."""
        with suppress(DatabaseError), self._store.database.writing() as connection:
            owners.release(connection, self._name)

    def wait(self, task: str | None) -> None:
        """Until the task rests (it ended, waits or is stalled), or, for None, all of this process's do; at
        once after `stop`. Raises what made this worker unable to go on, such as a full disk."""
        while not self._over() and self._works(task):
            with self._changed:
                self._changed.wait(0.5)
        self._catch_up(task)
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """End this process's CLIs and put their turns back unburnt; nothing new is started."""
        self._stopped = True
        self._hands.running.close(DRAIN)
        self._notify()

    def _over(self) -> bool:
        return self._stopped or self._fault is not None

    def _works(self, task: str | None) -> bool:
        with self._store.database.reading() as connection:
            if task is None:
                return owners.working(connection, self._name)
            row = lists.task_of(connection, self._store.project_id, task)
        return row is not None and not (row.status.ended or row.status.waits)

    def _catch_up(self, task: str | None) -> None:
        """Tell what other processes wrote about the tasks: a cancel, an approval."""
        for name in [task] if task else list(self._told):
            with self._store.database.reading() as connection:
                missed = stored_events.read(connection, name, self._told.get(name, 0))
            self._tell(missed)

    def _tell(self, events: Sequence[Event]) -> None:
        with self._telling:
            for event in events:
                if event.seq > self._told.get(event.task, 0):
                    self._told[event.task] = event.seq
                    self._on_event(event)
        for task in {event.task for event in events if event.kind in _RESTING}:
            with suppress(DatabaseError):
                write_context(self._store, task)
            self._notify()

    def _show(self, claim: Claim, live: Live) -> None:
        line = LiveLine(claim.task, claim.stage, claim.agent, claim.kind, claim.attempt, live)
        with self._telling:
            self._on_live(line)

    def _fail(self, error: AqmError) -> None:
        self._fault = self._fault or error
        self._hands.running.close(DRAIN)
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


_RESTING = {
    EventKind.TASK_COMPLETE,
    EventKind.TASK_FAILED,
    EventKind.TASK_CANCELLED,
    EventKind.TASK_STALLED,
}


class _LogFile(logging.FileHandler):
    """A log that cannot be written is silent: what matters is raised where it happened."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def _log_to(project: Project) -> logging.Handler:
    """Warnings of this process go to a file: a live view is no place for them."""
    handler = _LogFile(project.folder / "aqm.log", delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(name)s %(message)s"))
    handler.setLevel(logging.WARNING)
    logger = logging.getLogger("aqm")
    logger.addHandler(handler)
    logger.propagate = False
    return handler


# Owning ------------------------------------------------------------------------------------------


def adopt(project: Project, ref: str | None) -> tuple[str, ...]:
    """Become the owner of the task, or of all open ones whose owner is dead; gives those that are ours now.

    A stalled task tries again. ConflictError names a living owner, or says that the task has ended.
    """
    with open_store(project) as store:
        if ref is not None:
            task = resolve(store, ref)
            _refuse_ended(store, task)
            _adopt(store, task, refuse=True)
            return (task,)
        with store.database.reading() as connection:
            found = owners.orphans(connection, store.project_id)
        return tuple(task for task, _ in found if _adopt(store, task, refuse=False))


def _refuse_ended(store: Store, task: str) -> None:
    with store.database.reading() as connection:
        row = lists.task_of(connection, store.project_id, task)
    if row is not None and row.status.ended:
        raise ConflictError(f"{task} is {row.status} already; there is nothing to go on with.")


def _adopt(store: Store, task: str, *, refuse: bool) -> bool:
    with store.database.writing() as connection, tasks.lock(connection, task) as locked:
        if locked is None or locked.status.ended:
            return False
        if not _free(store, connection, task, locked.owner):
            if refuse:
                raise _busy(task, locked.owner or "")
            return False
        if not owners.adopt(connection, task, locked.owner, identity()):
            return False
        bells.forget(connection, task)
        if locked.status is TaskStatus.STALLED:
            locked.move(TaskStatus.IN_PROGRESS)
            locked.recover()
            bells.at_once(connection, task)
        if locked.status is TaskStatus.IN_PROGRESS:
            locked.tell(EventKind.TASK_RESUMED)
    return True


def _free(store: Store, connection: Connection, task: str, owner: str | None) -> bool:
    if owner is None:
        return True
    match life(owner):
        case "me" | "dead":
            return True
        case "alive":
            return False
        case "elsewhere":
            quiet = now(connection) - owners.last_sign(connection, task)
            return quiet > SILENCE * store.project.settings.lease_seconds


def _busy(task: str, owner: str) -> ConflictError:
    if life(owner) == "alive":
        return ConflictError(
            f"{task} is being run by process {pid_of(owner)} on this host.",
            cure=f"Watch it with: aqm logs -f {task}",
        )
    return ConflictError(
        f"{task} is being run from another host or container.",
        cure="When that is gone for good, it can be resumed here after a minute or two.",
    )


# Following ---------------------------------------------------------------------------------------


def follow(
    project: Project,
    ref: str,
    on_event: OnEvent,
    on_live: OnLiveLine,
    stop: threading.Event,
    *,
    every: float = 0.2,
) -> None:
    """Tell a task's events, and the live text of its running turns, until it rests or `stop` is set."""
    with open_store(project) as store:
        task = resolve(store, ref)
        seen, tails = 0, dict[str, _Tail]()
        while True:
            with store.database.reading() as connection:
                row = lists.task_of(connection, store.project_id, task)
                news = stored_events.read(connection, task, seen)
                tries = lists.attempts_of(connection, task) if news else []
            for event in news:
                seen = event.seq
                on_event(event)
            for attempt in tries:
                if attempt.status is AttemptStatus.RUNNING and attempt.id not in tails:
                    tails[attempt.id] = _Tail(project.folder / "live" / attempt.id, attempt)
            for one in tails.values():
                one.read(task, on_live)
            rests = row is None or row.status.ended or row.status.waits
            if (rests and not news) or stop.is_set():
                return
            time.sleep(every)


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
