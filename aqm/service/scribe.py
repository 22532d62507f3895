"""One thread of a process that writes the files of its tasks: no turn waits for a file."""

from __future__ import annotations

import logging
import threading

from aqm.service.files import Progress, catch_up
from aqm.service.store import Store

__all__ = ["Scribe"]

log = logging.getLogger(__name__)

COALESCE = 0.1  # seconds: events that come closer together are written as one
PATIENCE = 10.0  # seconds for the last files


class Scribe(threading.Thread):
    """`note` says that a task has news; `flush` has them written before it returns."""

    def __init__(self, store: Store) -> None:
        super().__init__(name="aqm-files", daemon=True)
        self._store = store
        self._tasks: dict[str, Progress] = {}
        self._noted: set[str] = set()
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._over = False

    def note(self, task: str) -> None:
        with self._changed:
            self._noted.add(task)
            self._changed.notify()

    def flush(self, task: str) -> None:
        with self._changed:
            self._noted.discard(task)
        self._write(task)

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
        if self.is_alive():
            self.join(PATIENCE)

    def run(self) -> None:
        over = False
        while not over:
            with self._changed:
                self._changed.wait_for(lambda: self._noted or self._over)
                if not self._over:
                    self._changed.wait_for(lambda: self._over, COALESCE)
                over = self._over
                noted, self._noted = self._noted, set()
            for task in noted:
                self._write(task)

    def _write(self, task: str) -> None:
        with self._writing:
            progress = self._tasks.setdefault(task, Progress(task))
            try:
                catch_up(self._store, progress)
            except Exception as error:  # it ends nothing: `aqm context` can make them again
                told = {"action": "files_failed", "task": task, "error": str(error)}
                log.warning("Could not write a task's files", extra=told)
