"""Live text of running turns: handed to this process's listener, and written where others can tail it."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from aqm.runtimes.base import Live, Notice, Text, Thinking, ToolFinished, ToolStarted

__all__ = ["LiveFeed", "LiveFile", "pack", "tail", "unpack"]

log = logging.getLogger(__name__)

CAP = 1_000_000  # of live text per attempt, bytes in its file and characters told; the answer is a blob later
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
    """Takes one attempt's live events, and tells them coalesced to the listener and to its file.

    The file is there while the turn runs, for other processes to tail; a turn that ends before the feed has
    come round once needs none.
    """

    def __init__(self, path: Path | None, listener: Callable[[Live], None], feed: LiveFeed) -> None:
        self._path, self._listener, self._feed = path, listener, feed
        self._file: BinaryIO | None = None
        self._room = CAP
        self._heard = 0
        self._pending: list[Live] = []
        self._adding = threading.Lock()
        self._flushing = threading.Lock()

    def __call__(self, live: Live) -> None:
        with self._adding:
            shown = self._shown(live)
            if shown is None:
                return
            self._pending.append(shown)
            first = len(self._pending) == 1
        if first:
            self._feed.wake(self)

    def _shown(self, live: Live) -> Live | None:
        """A flood is cut: nobody reads it live, and a slow listener would let it pile up here."""
        if not isinstance(live, Text | Thinking):
            return live
        if self._heard > CAP:
            return None
        self._heard += len(live.text)
        if self._heard > CAP:
            return Notice("it says more than can be shown live; the log will have it")
        return live

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._flushing:
            self._tell(write=self._file is not None)
            if self._file is not None:
                self._file.close()
                self._file = None
                assert self._path is not None
                self._path.unlink(missing_ok=True)
            self._path = None

    def flush(self) -> None:
        with self._flushing:
            self._tell(write=self._path is not None)

    def _tell(self, *, write: bool) -> None:
        with self._adding:
            pending, self._pending = self._pending, []
        for live in _joined(pending):
            self._listener(live)
            if write:
                self._write(pack(live))

    def _write(self, line: bytes) -> None:
        if len(line) > self._room or self._path is None:
            return
        self._room -= len(line)
        with suppress(OSError):  # a full disk must not end a turn for the sake of its echo
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab", buffering=0)
            self._file.write(line)


class LiveFeed(threading.Thread):
    """One thread of a process that passes on what its turns say, every 20 ms while any says something."""

    def __init__(self) -> None:
        super().__init__(name="aqm-live", daemon=True)
        self._spoken: list[LiveFile] = []
        self._changed = threading.Condition()
        self._over = False

    def wake(self, file: LiveFile) -> None:
        with self._changed:
            self._spoken.append(file)
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()

    def run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._spoken or self._over)
                if self._over:
                    return
            time.sleep(COALESCE)
            with self._changed:
                spoken, self._spoken = self._spoken, []
            for file in spoken:
                self._flush(file)

    def _flush(self, file: LiveFile) -> None:
        try:
            file.flush()
        except Exception:  # one listener that breaks silences no other turn
            log.exception("Could not pass on live text", extra={"action": "live_failed"})


def _joined(pending: list[Live]) -> Iterator[Live]:
    """Pieces of text that follow each other, as one."""
    for kind, group in groupby(pending, key=type):
        if kind is Text or kind is Thinking:
            yield kind("".join(live.text for live in group if isinstance(live, Text | Thinking)))
        else:
            yield from group


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
