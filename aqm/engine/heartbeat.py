"""One thread renews the leases of all turns of this process; another kills them when none gets through."""

from __future__ import annotations

import logging
import threading
import time

from aqm.engine.running import Running
from aqm.storage import leases
from aqm.storage.database import Database

__all__ = ["Heartbeat", "Watchdog"]

log = logging.getLogger(__name__)

FENCED = "fenced"
SILENT = "no heartbeat got through"


class Heartbeat(threading.Thread):
    """Renews every third of a lease, in one statement; an attempt that does not come back is fenced."""

    def __init__(self, database: Database, running: Running, lease: float) -> None:
        super().__init__(name="aqm-heartbeat", daemon=True)
        self._database, self._running, self._lease = database, running, lease
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(self._lease / 3):
            try:
                self.beat()
            except Exception as error:  # the watchdog acts when this goes on for too long
                log.warning("Heartbeat failed", extra={"action": "beat_failed", "error": str(error)})

    def beat(self) -> None:
        attempts = self._running.attempts
        if not attempts:
            return
        sent = time.monotonic()
        with self._database.writing(durable=False) as connection:
            held = leases.beat(connection, attempts, self._lease)
        self._running.beaten(held, sent)
        self._running.stop(set(attempts) - held, FENCED)

    def end(self) -> None:
        self._end.set()


class Watchdog(threading.Thread):
    """Never touches the database: it kills a CLI tree, without grace, whose lease nobody could renew for 0.8
    of its length, so that it is gone before another worker may start the turn."""

    def __init__(self, running: Running, lease: float) -> None:
        super().__init__(name="aqm-watchdog", daemon=True)
        self._running, self._lease = running, lease
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(self._lease / 30):
            silent = self._running.silent(0.8 * self._lease)
            if silent:
                log.warning("Killed turns that lost their lease", extra={"action": "self_fence"})
                self._running.trouble(self._lease)
                self._running.stop(silent, SILENT, grace=False)

    def end(self) -> None:
        self._end.set()
