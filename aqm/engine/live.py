"""Live text of running turns: handed to this process's listener, and written where others can tail it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from aqm.runtimes.base import Live, Notice, Text, Thinking, ToolFinished, ToolStarted

__all__ = ["LiveFile", "pack", "tail", "unpack"]

CAP = 1_000_000  # bytes of live text kept per attempt; the whole answer is a blob later
COALESCE = 0.02  # seconds: pieces of text that come closer together travel as one
_KINDS: dict[str, Callable[..., Live]] = {
    "text": Text,
    "thinking": Thinking,
    "tool": ToolStarted,
    "tool_end": ToolFinished,
    "notice": Notice,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def pack(live: Live) -> bytes:
    """One line of JSON."""
    fields = {"kind": _NAMES[type(live)], **asdict(live)}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def unpack(line: bytes) -> Live | None:
    """What `pack` wrote; None for a line that was cut."""
    try:
        fields = json.loads(line)
        return _KINDS[fields.pop("kind")](**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class LiveFile:
    """Takes one attempt's live events; coalesces its text; removes its file at the end."""

    def __init__(self, path: Path | None, listener: Callable[[Live], None]) -> None:
        self._path, self._listener = path, listener
        self._file: BinaryIO | None = None
        self._room = CAP
        self._lock = threading.Lock()
        self._held: Text | Thinking | None = None
        self._pieces: list[str] = []
        self._since = 0.0
        self._timer: threading.Timer | None = None

    def __call__(self, live: Live) -> None:
        with self._lock:
            if isinstance(live, Text | Thinking):
                self._gather(live)
                return
            self._flush()
            self._emit(live)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._flush()
            if self._file:
                self._file.close()
                self._file = None
        if self._path:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _gather(self, live: Text | Thinking) -> None:
        """The first piece after a pause goes out at once; those that follow closely wait a moment."""
        if self._held is not None and type(self._held) is not type(live):
            self._flush()
        now = time.monotonic()
        if self._held is None and now - self._since > COALESCE:
            self._since = now
            self._emit(live)
            return
        self._held = live
        self._pieces.append(live.text)
        if self._timer is None:
            self._timer = threading.Timer(COALESCE, self._late)
            self._timer.daemon = True
            self._timer.start()

    def _late(self) -> None:
        with self._lock:
            self._timer = None
            self._flush()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held is None:
            return
        whole = type(self._held)("".join(self._pieces))
        self._held, self._pieces = None, []
        self._since = time.monotonic()
        self._emit(whole)

    def _emit(self, live: Live) -> None:
        self._listener(live)
        if self._path is None:
            return
        line = pack(live)
        if len(line) > self._room:
            return
        self._room -= len(line)
        with suppress(OSError):  # a full disk must not end a turn for the sake of its echo
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab", buffering=0)
            self._file.write(line)


def tail(path: Path, offset: int) -> Iterator[tuple[Live, int]]:
    """The live events written after `offset`, each with the offset behind it."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except OSError:
        return
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        offset += len(line)
        live = unpack(line)
        if live is not None:
            yield live, offset
