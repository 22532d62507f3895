"""How many turns may be in the broker unclaimed: a small window, so that order is decided by rows."""

from __future__ import annotations

import threading
from typing import Protocol

from aqm.storage import bells
from aqm.storage.database import Connection

__all__ = ["OwnWindow", "SharedWindow", "Window"]


class Window(Protocol):
    def room(self, connection: Connection, owner: str | None) -> int:
        """How many more turns to ring now."""
        ...

    def rang(self, number: int) -> None: ...

    def heard(self) -> None:
        """A message was taken from the broker, whatever came of it."""
        ...


class SharedWindow:
    """A team's: others ring and claim, too, so the rows are counted."""

    def __init__(self, size: int = 64) -> None:
        self._size = size

    def room(self, connection: Connection, owner: str | None) -> int:
        return max(self._size - bells.unheard(connection), 0)

    def rang(self, number: int) -> None:
        pass

    def heard(self) -> None:
        pass


class OwnWindow:
    """An embedded process's: it alone rings and hears, so it counts in memory, and refills in one go when
    half of the window is empty."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._waiting = 0

    def room(self, connection: Connection, owner: str | None) -> int:
        with self._lock:
            return self._size - self._waiting if self._waiting <= self._size // 2 else 0

    def rang(self, number: int) -> None:
        with self._lock:
            self._waiting += number

    def heard(self) -> None:
        with self._lock:
            self._waiting = max(self._waiting - 1, 0)
