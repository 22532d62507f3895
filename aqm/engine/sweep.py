"""Finds what was forgotten: turns to ring, attempts that were taken away, workers that fell silent."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aqm.engine.advance import Ended, close, spread
from aqm.engine.heartbeat import FENCED
from aqm.engine.identity import life
from aqm.engine.worker import Worker
from aqm.flow.outcome import Failure, FailureClass
from aqm.storage import attempts, bells, leases
from aqm.storage.database import now
from aqm.storage.leases import Lease

__all__ = ["Sweep", "Watch", "end_dead_attempts"]

log = logging.getLogger(__name__)

PASS = 0.3  # seconds between two passes


@dataclass(slots=True)
class Watch:
    """Remembers since when each lease has been seen unchanged, on this process's own monotonic clock: a
    suspended laptop or a stepped clock ends nothing."""

    lease: float
    _seen: dict[Lease, float] = field(default_factory=dict)
    _last: float | None = None

    def silent(self, sight: list[Lease], at: float) -> list[Lease]:
        """Those of `sight` that have not changed for a whole lease. A gap over a third of a lease between two
        looks restarts all."""
        if self._last is None or at - self._last > self.lease / 3:
            self._seen.clear()
        self._last = at
        self._seen = {lease: self._seen.get(lease, at) for lease in sight}
        return [lease for lease, since in self._seen.items() if at - since >= self.lease]


class Sweep(threading.Thread):
    """A pass every 0.3 s, sooner when something falls due or `wake` is called."""

    def __init__(self, worker: Worker, after_pass: Callable[[], None] = lambda: None) -> None:
        super().__init__(name="aqm-sweep", daemon=True)
        self._worker, self._after_pass = worker, after_pass
        self._watch = Watch(worker.lease)
        self._wake = threading.Event()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                pause = self.sweep()
            except Exception as error:  # the next pass tries again; a store that is gone ends the leases
                log.warning("Sweep failed", extra={"action": "sweep_failed", "error": str(error)})
                pause = PASS
            self._after_pass()
            self._wake.wait(pause)
            self._wake.clear()

    def wake(self) -> None:
        self._wake.set()

    def end(self) -> None:
        self._over.set()
        self._wake.set()

    def sweep(self) -> float:
        """One pass; gives how long to wait for the next."""
        worker = self._worker
        running = worker.running.attempts
        with worker.database.reading() as connection:
            at = now(connection)
            held = leases.held(connection, running)
            due = bells.next_due(connection, worker.owner)
            unheard = bells.some_unheard(connection, worker.owner, at) or bells.rounds_due(
                connection, worker.owner, at
            )
            sight = leases.expired(connection, worker.owner)
        worker.running.stop(set(running) - held, FENCED)
        if unheard or (due is not None and due <= at):
            self._ring()
        for lease in self._watch.silent(sight, time.monotonic()):
            _end_lost(worker, lease.turn, lease.attempt)
        return PASS if due is None or due <= at else min(PASS, due - at)

    def _ring(self) -> None:
        worker = self._worker
        if worker.running.closed:
            return
        with worker.database.writing(durable=False) as connection:
            at = now(connection)
            rung = worker.take_bells(connection, at)
            again = bells.take_unheard(connection, worker.owner, at)
        spread(worker, (), [*rung, *again])


def end_dead_attempts(worker: Worker, task: str) -> None:
    """End at once what processes of this host ran that are dead; others are watched for a lease."""
    with worker.database.reading() as connection:
        found = attempts.holders(connection, task)
    for holder in found:
        if life(holder.worker) == "dead":
            _end_lost(worker, holder.turn, holder.attempt)
            if worker.live_folder is not None:  # it could not clear that away itself
                (worker.live_folder / holder.attempt).unlink(missing_ok=True)


def _end_lost(worker: Worker, turn: int, attempt: str) -> None:
    """A lost worker is an outcome like any other. One row that cannot be ended stops no other."""
    failure = Failure(FailureClass.WORKER_LOST, "its worker stopped answering")
    try:
        close(worker, Ended(turn, attempt, failure, lost=True))
    except Exception:
        log.exception("Could not end a lost attempt", extra={"action": "sweep_failed", "turn": turn})
