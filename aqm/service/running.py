"""Running tasks in this process: a worker for as long as it is entered."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from aqm.engine.embedded import Embedded
from aqm.engine.heartbeat import Heartbeat, Watchdog
from aqm.engine.identity import identity
from aqm.engine.run_turn import DRAIN
from aqm.engine.running import Running
from aqm.engine.sweep import Sweep, end_dead_attempts
from aqm.engine.window import OwnWindow
from aqm.engine.worker import Consent
from aqm.engine.worker import Worker as Hands
from aqm.errors import AqmError
from aqm.flow.event import Event, EventKind
from aqm.runtimes import RUNTIMES
from aqm.runtimes.base import Host, Live
from aqm.runtimes.private import clear_leftovers
from aqm.service.project import Project
from aqm.service.scribe import Scribe
from aqm.service.store import Store, open_store, refuse_team
from aqm.service.views import LiveLine, OnEvent, OnLiveLine
from aqm.storage import events as stored_events
from aqm.storage import lists, owners
from aqm.storage.claims import Claim
from aqm.storage.database import DatabaseError

__all__ = ["Worker"]

_NOTHING: Mapping[str, int] = {}

GRACE = 8.0  # seconds for CLIs to end: TERM, 5 s, KILL, and the turn's closing


class Worker:
    """Runs this process's tasks while it is entered. `wait` and `stop` may be called from any thread."""

    def __init__(
        self,
        project: Project,
        *,
        on_event: OnEvent,
        on_live: OnLiveLine,
        host: Host,
        since: Mapping[str, int] = _NOTHING,
    ) -> None:
        """`since` are the last events of tasks that were told already; of others, what happens now is."""
        self._project, self._host = project, host
        self._on_event, self._on_live = on_event, on_live
        self._store_door = open_store(project)
        self._changed = threading.Condition()
        self._stopped = False
        self._fault: AqmError | None = None
        self._telling = threading.Lock()
        self._told: dict[str, int] = {}
        self._since = since
        self._running = Running()

    def __enter__(self) -> Self:
        self._store: Store = self._store_door.__enter__()
        try:
            refuse_team(self._store)
        except AqmError:
            self._store_door.__exit__(None, None, None)
            raise
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
            running=self._running,
        )
        self._heartbeat = Heartbeat(self._store.database, self._running, settings.lease_seconds)
        self._watchdog = Watchdog(self._running, settings.lease_seconds)
        self._sweep = Sweep(self._hands, self._notify)
        self._scribe = Scribe(self._store)
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start(self) -> None:
        clear_leftovers(self._host)
        with self._store.database.reading() as connection:
            mine = owners.mine(connection, self._name)
        self._told.update({**mine, **self._since})  # what happened before is not news
        for task in mine:
            end_dead_attempts(self._hands, task)
            self._scribe.note(task)
        self._embedded.start(lambda: self._hands)
        for thread in (self._heartbeat, self._watchdog, self._sweep, self._hands.feed, self._scribe):
            thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
            self._running.wait_idle(GRACE)
            self._embedded.stop()
            for thread in (self._sweep, self._heartbeat, self._watchdog, self._hands.feed, self._scribe):
                thread.end()
            if self._sweep.is_alive():
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

    def wake(self) -> None:
        """Look at once for what other hands have written: an answer, an approval."""
        self._sweep.wake()

    def stop(self) -> None:
        """End this process's CLIs and put their turns back unburnt; nothing new is started."""
        self._stopped = True
        self._running.close(DRAIN)
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
            with self._telling:
                self._tell_missing(name)
            self._scribe.flush(name)

    def _tell(self, events: Sequence[Event]) -> None:
        """In the order of their numbers: a turn that this process rang may be told of by another thread
        before the closing that rang it, and then what lies between is read."""
        with self._telling:
            for event in events:
                if event.seq > self._told.setdefault(event.task, 0) + 1:
                    self._tell_missing(event.task)
                self._tell_one(event)
        for task in {event.task for event in events}:
            self._scribe.note(task)
        if any(event.kind in _RESTING for event in events):
            self._notify()

    def _tell_missing(self, task: str) -> None:
        with self._store.database.reading() as connection:
            missed = stored_events.read(connection, task, self._told.get(task, 0))
        for event in missed:
            self._tell_one(event)

    def _tell_one(self, event: Event) -> None:
        if event.seq > self._told.get(event.task, 0):
            self._told[event.task] = event.seq
            self._on_event(event)

    def _show(self, claim: Claim, live: Live) -> None:
        line = LiveLine(claim.task, claim.stage, claim.agent, claim.kind, claim.attempt, live)
        with self._telling:
            self._on_live(line)

    def _fail(self, error: AqmError) -> None:
        self._fault = self._fault or error
        self._running.close(DRAIN)
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


_RESTING = {
    EventKind.TASK_COMPLETE,
    EventKind.TASK_FAILED,
    EventKind.TASK_CANCELLED,
    EventKind.TASK_STALLED,
    EventKind.GATE_WAITING,
    EventKind.HUMAN_INPUT_WAITING,
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
