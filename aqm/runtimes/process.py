"""The one door that starts agent CLIs: bounded in time and output, and nothing of them is left behind."""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from aqm.runtimes import tree
from aqm.runtimes.base import Stop
from aqm.runtimes.lines import HeadTail, TooMuch
from aqm.runtimes.spawn import Command, Ending, NotStarted, start
from aqm.runtimes.tree import Tree, protection

__all__ = ["Command", "Ending", "Enough", "Exit", "Sink", "protection", "run"]

GRACE = 5.0  # seconds from TERM to KILL
LINGER = 15.0  # seconds of silence that a CLI may spend after its final event
GIVE_UP = 5.0  # seconds after KILL; a process that is still there hangs in the kernel
FLOOD = 256 * 1024 * 1024  # bytes of output; more is no answer
ERRORS_KEPT = 64 * 1024
_CHUNK = 64 * 1024
_PIPE_HOLDS = 1024 * 1024  # what a pipe can hold at most by default rules
_BACKGROUND = 0.5  # a turn that lasted so many seconds may have left something behind on purpose


class Enough(Exception):
    """Raised by a sink: the process may end, its output is of no more use."""


class Sink(Protocol):
    """Takes a pipe's bytes as they come; `close` is called once, at their end."""

    def feed(self, chunk: bytes) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Exit:
    """How it ended. `code` is None when it never ran or never went; `why` says more for a person."""

    ending: Ending
    code: int | None = None
    stdout: str = ""
    stderr: str = ""
    why: str = ""


def run(
    command: Command,
    stop: Stop,
    out: Sink,
    err: Sink | None = None,
    *,
    said_all: Callable[[], bool] = lambda: False,
) -> Exit:
    """Run the command to its end, in the calling thread; when this returns its whole tree has gone.

    `said_all` tells whether the CLI's final event has come: from then on it has only LINGER to go by itself.
    What a sink raises (but Enough) ends the tree and comes out here.
    """
    if stop:
        return Exit(Ending.STOPPED, why=stop.reason)
    lifeline: tuple[int, ...] = ()
    try:
        lifeline = _pipe() if command.protection == "namespace" else ()
        process = start(command, lifeline)
        turn = _Turn(command, process, stop, out, err, said_all)
        try:
            return turn.play()
        finally:
            turn.close()
    except NotStarted as reason:
        return Exit(reason.ending, why=str(reason))
    finally:
        for end in lifeline:
            os.close(end)


class _Turn:
    """One running process: its pipes, its clocks, its end. One thread drives it; a Stop may wake it."""

    def __init__(
        self,
        command: Command,
        process: subprocess.Popen[bytes],
        stop: Stop,
        out: Sink,
        err: Sink | None,
        said_all: Callable[[], bool],
    ) -> None:
        self.command, self.process, self.stop, self.said_all = command, process, stop, said_all
        self.tree = Tree(process.pid, command.protection, command.mark)
        self.kept_out, self.kept_err = HeadTail(command.keep), HeadTail(ERRORS_KEPT)
        self.todo: dict[int, Callable[[int], None]] = {}
        self.poll = select.poll()
        self.unsent = memoryview(command.stdin)
        self.began = self.heard = time.monotonic()
        self.ending, self.why = Ending.EXITED, ""
        self.kill_at: float | None = None  # set once it has been asked to end
        self.leave_at: float | None = None  # set once it has been killed
        self.gone = self.deaf = False
        self.wake_end = -1
        self.own: list[int] = []  # file descriptors besides the process's own pipes
        assert process.stdout is not None
        assert process.stderr is not None
        self.sinks = {
            process.stdout.fileno(): (self.kept_out, out),
            process.stderr.fileno(): (self.kept_err, err),
        }

    @property
    def total(self) -> int:
        return self.kept_out.total + self.kept_err.total

    def _open(self) -> None:
        for fd in self.sinks:
            self._watch(fd, select.POLLIN, self._read)
        self._watch_exit()
        wake_read, self.wake_end = _pipe()
        self.own += (wake_read, self.wake_end)
        os.set_blocking(self.wake_end, False)
        self._watch(wake_read, select.POLLIN, self._woken)
        self.stop.on_set(self._wake)
        if self.process.stdin:
            fd = self.process.stdin.fileno()
            self._watch(fd, select.POLLOUT, self._write)
            self._write(fd)  # a short prompt fits the pipe: done before any wait

    def _watch(self, fd: int, events: int, what: Callable[[int], None]) -> None:
        os.set_blocking(fd, False)
        self.poll.register(fd, events)
        self.todo[fd] = what

    def _unwatch(self, fd: int) -> None:
        if self.todo.pop(fd, None):
            self.poll.unregister(fd)

    def _watch_exit(self) -> None:
        try:
            fd = os.pidfd_open(self.process.pid)
        except (AttributeError, OSError):  # macOS, an old kernel, or a seccomp filter
            fd, its_end = _pipe()
            threading.Thread(target=_tell_exit, args=(self.process.pid, its_end), daemon=True).start()
        self.own.append(fd)
        self.poll.register(fd, select.POLLIN)
        self.todo[fd] = self._exited

    # What the loop waits for ---------------------------------------------------------------------

    def play(self) -> Exit:
        self._open()
        while not self.gone and (self.leave_at is None or time.monotonic() < self.leave_at):
            for fd, _ in self.poll.poll(self._patience()):
                if fd in self.todo:
                    self.todo[fd](fd)
            self._mind_limits(time.monotonic())
        for fd, (_, sink) in self.sinks.items():
            self._drain(fd)
            self._hand_on(sink)
        self._sweep()
        code = self.process.returncode
        return Exit(self.ending, code, self.kept_out.text(), self.kept_err.text(), self.why)

    def _read(self, fd: int) -> None:
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self._unwatch(fd)
            return
        self.heard = time.monotonic()
        kept, sink = self.sinks[fd]
        kept.add(chunk)
        self._hand_on(sink, chunk)
        if self.total > FLOOD:
            self._flood(f"it printed more than {FLOOD // 2**20} MB")

    def _drain(self, fd: int) -> None:
        """Read what the pipe still holds; no more, for something else may go on writing into it."""
        before, limit = -1, self.total + _PIPE_HOLDS
        while fd in self.todo and before < self.total < limit:
            before = self.total
            self._read(fd)

    def _hand_on(self, sink: Sink | None, chunk: bytes | None = None) -> None:
        """Feed the sink, or close it."""
        if sink is None or self.deaf:
            return
        try:
            if chunk is None:
                sink.close()
            else:
                sink.feed(chunk)
        except Enough as enough:
            self.deaf = True
            self._end(Ending.ENOUGH, str(enough))
        except TooMuch:
            self._flood("it printed more lines than any turn needs")

    def _flood(self, why: str) -> None:
        self.deaf = True
        self._end(Ending.FLOOD, why, grace=False)

    def _write(self, fd: int) -> None:
        try:
            while self.unsent:
                self.unsent = self.unsent[os.write(fd, self.unsent[: 16 * _CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            pass  # it does not want to read all of it; whether that matters shows in its answer
        self._unwatch(fd)
        if self.process.stdin:
            self.process.stdin.close()

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            os.write(self.wake_end, b"!")

    def _woken(self, fd: int) -> None:
        with suppress(BlockingIOError):
            os.read(fd, 64)

    def _exited(self, fd: int) -> None:
        self._unwatch(fd)
        if self.command.protection == "group":
            tree.kill(self.tree)  # what it left in its group; it is not waited for yet, so the id is ours
        self.process.wait()
        self.gone = True

    # Limits --------------------------------------------------------------------------------------

    def _patience(self) -> int:
        """Milliseconds until the next limit, rounded up."""
        if self.leave_at is not None:
            until = self.leave_at
        elif self.kill_at is not None:
            until = self.kill_at
        else:
            until = min(self.began + self.command.wall, self.heard + self._idle())
        return max(0, min(int((until - time.monotonic()) * 1000) + 1, 3_600_000))

    def _idle(self) -> float:
        return min(self.command.idle, LINGER) if self.said_all() else self.command.idle

    def _mind_limits(self, now: float) -> None:
        if self.gone or self.leave_at is not None:
            return
        if self.stop:
            self._end(Ending.STOPPED, self.stop.reason, grace=self.stop.grace)
        elif self.kill_at is None and now - self.began >= self.command.wall:
            self._end(Ending.TIMEOUT, f"it ran longer than its {self.command.wall:g} seconds")
        elif self.kill_at is None and now - self.heard >= self._idle():
            self._end(Ending.IDLE, f"it printed nothing for {self._idle():g} seconds")
        if self.kill_at is not None and now >= self.kill_at:
            self._kill()

    def _end(self, ending: Ending, why: str, *, grace: bool = True) -> None:
        """Begin the end, for the first reason that comes: TERM now and KILL after the grace, or KILL now."""
        if self.kill_at is None:
            self.ending, self.why = ending, why
            self.kill_at = time.monotonic() + GRACE
            if grace and not self.gone:
                tree.terminate(self.tree)
        if not grace:
            self._kill()

    def _kill(self) -> None:
        if self.leave_at is None and not self.gone:
            tree.kill(self.tree)
            self.leave_at = time.monotonic() + GIVE_UP

    def _sweep(self) -> None:
        """Without a namespace, look for what has left the process group; not after every instant turn,
        for a look at all processes costs milliseconds."""
        if self.command.protection == "namespace":
            return
        suspicious = self.kill_at is not None or any(fd in self.todo for fd in self.sinks)
        if suspicious or time.monotonic() - self.began > _BACKGROUND:
            tree.sweep(self.command.mark)

    def close(self) -> None:
        """Let go of everything; a tree that still lives is killed (a sink has raised)."""
        self.stop.on_set(None)
        if not self.gone:
            self.kill_at = 0.0
            tree.kill(self.tree)
            self._sweep()
            _wait_aside(self.process)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
        for fd in self.own:
            os.close(fd)


def _pipe() -> tuple[int, int]:
    try:
        return os.pipe()
    except OSError as error:
        raise NotStarted(Ending.UNSTARTABLE, f"this process can open no pipe: {error.strerror}") from None


def _tell_exit(pid: int, pipe_end: int) -> None:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    os.close(pipe_end)


def _wait_aside(process: subprocess.Popen[bytes]) -> None:
    """Wait for a killed process; one that hangs in the kernel is waited for in a thread of its own."""
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, daemon=True).start()
