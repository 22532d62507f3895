"""The processes of one turn as a whole: how they are held together, and how all of them end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

__all__ = ["MARK", "Protection", "Tree", "in_namespace", "kill", "marked", "protection", "sweep", "terminate"]

Protection = Literal["namespace", "group"]
MARK = "AQM_MARK"
GONE = 1.0  # seconds in which a killed process is gone, unless it hangs in the kernel

_PROC = Path("/proc")
_UNSHARE = ("--pid", "--fork", "--kill-child", "--mount-proc")

# The namespace's first process. It waits for the CLI and takes in orphans, so the CLI keeps the usual
# meaning of signals (a first process ignores TERM) and leaves no zombies. $0 is one end of a pipe whose other
# end only the worker holds: when the worker dies, however it dies, the read ends and everything is killed.
_FIRST = '{ trap "" TERM INT HUP; read -r _ <"$0"; kill -9 -1; } & "$@"; exit $?'


@dataclass(frozen=True, slots=True)
class Tree:
    """`pid` is the process that the worker started; it leads a session and a process group of its own."""

    pid: int
    protection: Protection
    mark: str


def protection() -> Protection:
    """How this host lets a turn's processes be held together; found out once per process."""
    return "namespace" if _unshare() else "group"


@cache
def _unshare() -> tuple[str, ...] | None:
    program = shutil.which("unshare")
    if program is None:
        return None
    plain, with_user = (program, *_UNSHARE), (program, "--user", "--map-current-user", *_UNSHARE)
    return next((argv for argv in (plain, with_user) if _works(argv)), None)


def _works(unshare: Sequence[str]) -> bool:
    argv = (*unshare, "/bin/sh", "-c", 'test "$$" = 1 && test -d /proc/1 && exit 42')
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 42


def in_namespace(argv: Sequence[str], lifeline: int) -> tuple[str, ...]:
    """The argv that runs `argv` in a PID namespace of its own, until `lifeline` reads its end."""
    unshare = _unshare()
    if unshare is None:
        raise OSError("this host gives no PID namespace (unshare); use the protection 'group'")
    return (*unshare, "/bin/sh", "-c", _FIRST, f"/dev/fd/{lifeline}", *argv)


def terminate(tree: Tree) -> None:
    """Ask the CLI to end; `unshare` and the namespace's first process do not heed this signal."""
    _signal_group(tree.pid, signal.SIGTERM)


def kill(tree: Tree) -> None:
    """End every process of the turn, now. The started process must not have been waited for yet."""
    first = _only_child(tree.pid) if tree.protection == "namespace" else None
    if first is None:
        _signal_group(tree.pid, signal.SIGKILL)
    else:
        with suppress(ProcessLookupError):
            os.kill(first, signal.SIGKILL)  # the kernel ends its whole namespace; unshare reaps it and ends


def _only_child(pid: int) -> int | None:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says "permission" of a group of zombies
        os.killpg(pid, number)


def marked(mark: str) -> list[int]:
    """The processes that carry the mark, wherever they went (Linux only)."""
    needle = f"{MARK}={mark}\0".encode()
    return [int(entry.name) for entry in _PROC.glob("[0-9]*") if _carries(entry, needle)]


def _carries(process: Path, needle: bytes) -> bool:
    try:
        return needle in (process / "environ").read_bytes()
    except OSError:  # it has gone, or belongs to somebody else
        return False


def sweep(mark: str) -> int:
    """Kill what still carries the mark, also in sessions of its own, and wait until it is gone; the number of
    processes killed. A killed process needs a moment to go, and may have started another before."""
    killed: set[int] = set()
    deadline = time.monotonic() + GONE
    while found := marked(mark):
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed.update(found)
        if time.monotonic() > deadline:
            break
        time.sleep(0.002)
    return len(killed)
