"""The one door that starts agent CLIs: bounded in time and output, and nothing of them is left behind."""

from __future__ import annotations

import errno
import os
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from aqm.runtimes import tree
from aqm.runtimes.base import Stop
from aqm.runtimes.lines import HeadTail, TooMuch
from aqm.runtimes.tree import MARK, Protection, Tree, protection

__all__ = ["Command", "Ending", "Enough", "Exit", "Sink", "find", "protection", "run"]

GRACE = 5.0  # seconds from TERM to KILL
LINGER = 15.0  # seconds of silence that a CLI may spend after its final event
GIVE_UP = 5.0  # seconds after KILL; a process that is still there hangs in the kernel
FLOOD = 256 * 1024 * 1024  # bytes of output; more is no answer
ERRORS_KEPT = 64 * 1024
_CHUNK = 64 * 1024
_PIPE_HOLDS = 1024 * 1024  # what a pipe can hold at most by default rules
_BACKGROUND = 0.5  # a turn that lasted so many seconds may have left something behind on purpose


class Ending(StrEnum):
    EXITED = "exited"
    TIMEOUT = "timeout"
    IDLE = "idle"
    STOPPED = "stopped"
    ENOUGH = "enough"  # the reader of its output has seen that it will come to nothing
    FLOOD = "flood"
    MISSING = "missing"
    UNSTARTABLE = "unstartable"
    DISK_FULL = "disk_full"


class Enough(Exception):
    """Raised by a sink: the process may end, its output is of no more use."""


class Sink(Protocol):
    """Takes a pipe's bytes as they come; `close` is called once, at their end."""

    def feed(self, chunk: bytes) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Command:
    """What to start, and its limits in seconds and bytes. `mark` must be unique to the turn."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    mark: str
    stdin: bytes = b""
    wall: float = 600.0
    idle: float = 300.0
    keep: int = ERRORS_KEPT  # of its stdout, for Exit.stdout
    protection: Protection = "group"


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
    said_all: Callable[[], bool] = bool,
) -> Exit:
    """Run the command to its end, in the calling thread; when this returns its whole tree has gone.

    `said_all` tells whether the CLI's final event has come: from then on it has only LINGER to go by itself.
    What a sink raises (but Enough) ends the tree and comes out here.
    """
    if stop:
        return Exit(Ending.STOPPED, why=stop.reason)
    lifeline = os.pipe() if command.protection == "namespace" else None
    try:
        process = _start(command, lifeline)
        if isinstance(process, Exit):
            return process
        turn = _Turn(command, process, stop, out, err, said_all)
        try:
            return turn.play()
        finally:
            turn.close()
    finally:
        for end in lifeline or ():
            os.close(end)


def find(program: str, path: str | None, cwd: Path) -> str | None:
    """Where the program is, as the CLI's own PATH and workspace say."""
    if os.sep in program:
        return shutil.which(cwd / program)
    return shutil.which(program, path=path or os.defpath)


def _start(command: Command, lifeline: tuple[int, int] | None) -> subprocess.Popen[bytes] | Exit:
    program = find(command.argv[0], command.env.get("PATH"), command.cwd)
    if program is None:
        return Exit(Ending.MISSING, why=f"there is no program {command.argv[0]!r} on this host's PATH")
    argv: tuple[str, ...] = (program, *command.argv[1:])
    try:
        if lifeline:
            argv = tree.in_namespace(argv, lifeline[0])
        return subprocess.Popen(
            argv,
            cwd=command.cwd,
            env={**command.env, MARK: command.mark},
            stdin=subprocess.PIPE if command.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            pass_fds=lifeline[:1] if lifeline else (),
        )
    except (OSError, ValueError) as error:
        return _not_started(command, error)


def _not_started(command: Command, error: OSError | ValueError) -> Exit:
    program, number = command.argv[0], getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return Exit(Ending.DISK_FULL, why=f"the disk is full: {program} cannot be started")
    if not command.cwd.is_dir():
        return Exit(Ending.UNSTARTABLE, why=f"the workspace {command.cwd} is not there")
    if number == errno.E2BIG:
        size = max(len(os.fsencode(word)) for word in command.argv)
        why = f"an argument of {program} is too long for this system ({size:,} bytes)"
    elif isinstance(error, ValueError):
        why = f"an argument of {program} holds a NUL"
    else:
        why = f"{program} cannot be started: {error.strerror or error}"
    return Exit(Ending.UNSTARTABLE, why=why)


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
        self.sinks: dict[int, tuple[HeadTail, Sink | None]] = {}
        self.todo: dict[int, Callable[[int], None]] = {}
        self.poll = select.poll()
        self.unsent = memoryview(command.stdin)
        self.began = self.heard = time.monotonic()
        self.ending, self.why = Ending.EXITED, ""
        self.kill_at: float | None = None  # set once it has been asked to end
        self.leave_at: float | None = None  # set once it has been killed
        self.gone = self.deaf = self.swept = False
        self.own: list[int] = []  # file descriptors besides the process's own pipes
        self._open(out, err)

    def _open(self, out: Sink, err: Sink | None) -> None:
        process = self.process
        assert process.stdout and process.stderr  # both are pipes
        for pipe, kept, sink in ((process.stdout, self.kept_out, out), (process.stderr, self.kept_err, err)):
            self.sinks[pipe.fileno()] = (kept, sink)
            self._watch(pipe.fileno(), select.POLLIN, self._read)
        self.wake_read, self.wake_write = os.pipe()
        self.own += (self.wake_read, self.wake_write)
        os.set_blocking(self.wake_write, False)
        self._watch(self.wake_read, select.POLLIN, self._woken)
        self._watch_exit()
        self.stop.on_set(self._wake)
        if process.stdin:
            self._watch(process.stdin.fileno(), select.POLLOUT, self._write)
            self._write(process.stdin.fileno())  # a short prompt fits the pipe: done before any wait

    def _watch(self, fd: int, events: int, what: Callable[[int], None]) -> None:
        os.set_blocking(fd, False)
        self.poll.register(fd, events)
        self.todo[fd] = what

    def _unwatch(self, fd: int) -> None:
        if self.todo.pop(fd, None):
            self.poll.unregister(fd)

    def _watch_exit(self) -> None:
        try:
            pidfd = os.pidfd_open(self.process.pid)
        except (AttributeError, OSError):  # macOS, an old kernel, or a seccomp filter
            fd, self_end = os.pipe()
            self.own.append(fd)
            threading.Thread(target=_tell_exit, args=(self.process.pid, self_end), daemon=True).start()
        else:
            fd = pidfd
            self.own.append(fd)
        self.poll.register(fd, select.POLLIN)
        self.todo[fd] = self._exited

    # What the loop waits for ---------------------------------------------------------------------

    def play(self) -> Exit:
        while not self.gone:
            for fd, _ in self.poll.poll(self._patience()):
                what = self.todo.get(fd)
                if what:
                    what(fd)
            self._mind_limits(time.monotonic())
            if self.leave_at is not None and time.monotonic() >= self.leave_at:
                break
        self._finish()
        return Exit(
            self.ending, self.process.returncode, self.kept_out.text(), self.kept_err.text(), self.why
        )

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
        if sink and not self.deaf:
            self._feed(sink, chunk)
        if self.kept_out.total + self.kept_err.total > FLOOD:
            self._flood(f"it printed more than {FLOOD // 2**20} MB")

    def _feed(self, sink: Sink, chunk: bytes) -> None:
        try:
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
            os.write(self.wake_write, b"!")

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
            if grace:
                tree.terminate(self.tree)
        if not grace:
            self._kill()

    def _kill(self) -> None:
        if self.leave_at is None and not self.gone:
            tree.kill(self.tree)
            self.leave_at = time.monotonic() + GIVE_UP

    # The end -------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Read what is still in the pipes, and see to it that nothing of the tree stays."""
        for fd, (_, sink) in self.sinks.items():
            limit = self.kept_out.total + self.kept_err.total + _PIPE_HOLDS
            while fd in self.todo and self.kept_out.total + self.kept_err.total < limit:
                before = self.kept_out.total + self.kept_err.total
                self._read(fd)
                if self.kept_out.total + self.kept_err.total == before:
                    break
            if sink and not self.deaf:
                with suppress(Enough, TooMuch):
                    sink.close()
        self._sweep()

    def _sweep(self) -> None:
        """Without a namespace, look for what has left the process group; not after every instant turn,
        for a look at all processes costs milliseconds."""
        suspicious = self.kill_at is not None or any(fd in self.todo for fd in self.sinks)
        if self.command.protection == "group" and not self.swept:
            self.swept = True
            if suspicious or time.monotonic() - self.began > _BACKGROUND:
                tree.sweep(self.command.mark)

    def close(self) -> None:
        """Let go of everything; a tree that still lives (a sink has raised) is killed."""
        self.stop.on_set(None)
        if not self.gone:
            self.kill_at = self.kill_at or 0.0
            tree.kill(self.tree)
            self._sweep()
            _wait_aside(self.process)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        for fd in self.own:
            os.close(fd)


def _tell_exit(pid: int, pipe_end: int) -> None:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    os.close(pipe_end)


def _wait_aside(process: subprocess.Popen[bytes]) -> None:
    """Wait for a killed process; one that hangs in the kernel is waited for in a thread of its own."""
    try:
        process.wait(GIVE_UP)
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, daemon=True).start()
