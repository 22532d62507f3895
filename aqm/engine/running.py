"""The turns that this process runs now: how to stop each, and when the last heartbeat got through."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from aqm.runtimes.base import Stop

__all__ = ["Running"]


class Running:
    """Attempts by id, each with its `Stop`. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: dict[str, Stop] = {}
        self._since: dict[str, float] = {}
        self._closed = ""
        self._trouble = 0.0
        self._idle = threading.Condition(self._lock)

    def add(self, attempt: str) -> Stop:
        """Register an attempt as it is claimed; it is stopped at once when this process is ending."""
        stop = Stop()
        with self._lock:
            self._stops[attempt] = stop
            self._since[attempt] = time.monotonic()
            closed = self._closed
        if closed:
            stop.set(closed)
        return stop

    def remove(self, attempt: str) -> None:
        with self._lock:
            self._stops.pop(attempt, None)
            self._since.pop(attempt, None)
            self._idle.notify_all()

    @property
    def attempts(self) -> list[str]:
        with self._lock:
            return list(self._stops)

    def stop(self, attempts: Iterable[str], reason: str, *, grace: bool = True) -> None:
        with self._lock:
            stops = [self._stops[attempt] for attempt in attempts if attempt in self._stops]
        for stop in stops:
            stop.set(reason, grace=grace)

    def close(self, reason: str) -> None:
        """Stop everything, now and from now on."""
        with self._lock:
            self._closed = self._closed or reason
            stops = list(self._stops.values())
        for stop in stops:
            stop.set(reason)

    @property
    def closed(self) -> bool:
        return bool(self._closed)

    def beaten(self, attempts: Iterable[str], at: float) -> None:
        """A heartbeat that was sent at `at` (monotonic) renewed these."""
        with self._lock:
            for attempt in attempts:
                if attempt in self._since:
                    self._since[attempt] = at

    def trouble(self, seconds: float) -> None:
        """No heartbeat gets through: nothing is claimed for so long."""
        self._trouble = time.monotonic() + seconds

    @property
    def troubled(self) -> bool:
        return time.monotonic() < self._trouble

    def silent(self, longer_than: float) -> list[str]:
        """Attempts whose last renewal is older than so many seconds."""
        limit = time.monotonic() - longer_than
        with self._lock:
            return [attempt for attempt, at in self._since.items() if at < limit]

    def wait_idle(self, seconds: float) -> bool:
        """Until nothing runs; False when it still does after `seconds`."""
        with self._lock:
            return self._idle.wait_for(lambda: not self._stops, seconds)
