"""How a CLI's process is started: where its program is, and why it could not be."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from aqm.runtimes import tree
from aqm.runtimes.tree import MARK, Protection

__all__ = ["Command", "Ending", "NotStarted", "find", "start"]


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
    keep: int = 64 * 1024  # of its stdout, for Exit.stdout
    protection: Protection = "group"


def find(program: str, path: str | None, cwd: Path) -> str | None:
    """Where the program is, as the CLI's own PATH and workspace say."""
    if os.sep in program:
        return shutil.which(cwd / program)
    return shutil.which(program, path=path or os.defpath)


class NotStarted(Exception):
    """The process could not be started; the text says why."""

    def __init__(self, ending: Ending, why: str) -> None:
        self.ending = ending
        super().__init__(why)


def start(command: Command, lifeline: tuple[int, ...]) -> subprocess.Popen[bytes]:
    program = find(command.argv[0], command.env.get("PATH"), command.cwd)
    if program is None:
        raise NotStarted(Ending.MISSING, f"there is no program {command.argv[0]!r} on this host's PATH")
    argv = (program, *command.argv[1:])
    try:
        return subprocess.Popen(
            tree.in_namespace(argv, lifeline[0]) if lifeline else argv,
            cwd=command.cwd,
            env={**command.env, MARK: command.mark},
            stdin=subprocess.PIPE if command.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            pass_fds=lifeline[:1],
        )
    except ValueError:
        raise NotStarted(Ending.UNSTARTABLE, f"an argument or variable of {program} holds a NUL") from None
    except OSError as error:
        raise _refused(command, error) from None


def _refused(command: Command, error: OSError) -> NotStarted:
    program = command.argv[0]
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NotStarted(Ending.DISK_FULL, f"the disk is full: {program} cannot be started")
    if not command.cwd.is_dir():
        return NotStarted(Ending.UNSTARTABLE, f"the workspace {command.cwd} is not there")
    if error.errno == errno.E2BIG:
        words = (*command.argv, *(f"{name}={value}" for name, value in command.env.items()))
        size = max(len(os.fsencode(word)) for word in words)
        why = f"an argument or variable of {program} is too long for this system: it has {size:,} bytes"
        return NotStarted(Ending.UNSTARTABLE, why)
    return NotStarted(Ending.UNSTARTABLE, f"{program} cannot be started: {error.strerror or error}")
