"""Reading what a person types, while something else may put an end to the question."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress

__all__ = ["forget_typed", "typed"]

_LOOK = 0.3  # seconds between two looks whether the question still stands
_PASTED = 0.05  # seconds: lines that come closer together were pasted, and belong together
_MOST = 65_536


def forget_typed() -> None:
    """What was typed before the question was there is no answer to it."""
    import termios

    with suppress(termios.error, OSError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def typed(over: Callable[[], bool], *, lines: bool = False) -> str | None:
    """The line, or with `lines` all that were pasted together; None when `over` says so first, or at the end
    of the input (Ctrl-D)."""
    found = _line(over)
    while lines and found and found.endswith("\n") and _ready(_PASTED):
        more = _read()
        if not more:
            break
        found += more
    return found.strip() if found else None


def _line(over: Callable[[], bool]) -> str:
    while not over():
        if _ready(_LOOK):
            return "" if over() else _read()
    return ""


def _ready(seconds: float) -> bool:
    try:
        return bool(select.select([sys.stdin.fileno()], [], [], seconds)[0])
    except (OSError, ValueError):
        return True  # reading it will tell


def _read() -> str:
    """A terminal gives one line at a time, when Enter is typed."""
    try:
        return os.read(sys.stdin.fileno(), _MOST).decode("utf-8", "replace")
    except OSError:  # the terminal is gone
        return ""
