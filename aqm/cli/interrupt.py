"""Ctrl-C: the first one stops the worker in good order, the second one ends the process at once."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from aqm.cli.ending import INTERRUPTED

__all__ = ["Interrupts"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SAID = b"\nstopping; once more to leave at once\n"


class Interrupts:
    """While it is entered, SIGINT, SIGTERM and SIGHUP ask for a stop instead of raising.

    The handler itself takes no lock, for it may have interrupted whoever holds it: a thread calls `stop`.
    """

    def __init__(self) -> None:
        self.caught = False
        self.refused = False  # a Ctrl-C while somebody was asked: no answer, and nothing is stopped
        self._asking = False
        self._stop: Callable[[], None] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        gc.enable()  # a command that can be interrupted is one that lasts
        if threading.current_thread() is not threading.main_thread():
            return self  # handlers belong to the main thread
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a shell's background job
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def calls(self, stop: Callable[[], None]) -> None:
        """What a signal calls from now on; at once when one came already."""
        self._stop = stop
        if self.caught:
            stop()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While a person is asked something, Ctrl-C only means that there is no answer."""
        self._asking, self.refused = True, False
        try:
            yield
        finally:
            self._asking = False

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._asking and number == signal.SIGINT and not self.refused:
            self.refused = True
            return
        if self.caught:
            os._exit(INTERRUPTED)
        self.caught = True
        if number == signal.SIGINT:
            os.write(2, _SAID)
        if self._stop:
            threading.Thread(target=self._stop, name="stop", daemon=True).start()
