"""Which process this is, and whether another one still lives.

An identity is `machine boot pid start`: a pid alone is given out again, a pid with its start time is not. The
boot names the PID namespace too, because a container sees other pids on the same boot.
"""

from __future__ import annotations

import os
import socket
import sys
from functools import cache
from pathlib import Path
from typing import Literal

__all__ = ["Life", "identity", "life", "pid_of"]

Life = Literal["me", "alive", "dead", "elsewhere"]


def identity() -> str:
    """This process. It changes after a fork, so it is asked, not kept."""
    pid = os.getpid()
    return f"{_machine()} {_boot()} {pid} {_start(pid)}"


def life(owner: str) -> Life:
    """What became of the process that called itself `owner`; `elsewhere` cannot be seen from here."""
    if owner == identity():
        return "me"
    parts = owner.split(" ")
    if len(parts) != 4 or parts[0] != _machine():
        return "elsewhere"
    _, boot, pid, start = parts
    if boot.partition("/")[0] != _boot().partition("/")[0]:
        return "dead"
    if boot != _boot():
        return "elsewhere"
    return "alive" if start and _start(int(pid)) == start else "dead"


def pid_of(owner: str) -> str:
    """The pid in an identity, to tell a person."""
    parts = owner.split(" ")
    return parts[2] if len(parts) == 4 else "?"


@cache
def _machine() -> str:
    """An id of this host that outlives a change of its name."""
    try:
        return Path("/etc/machine-id").read_text().strip() or socket.gethostname()
    except OSError:
        return socket.gethostname()


@cache
def _boot() -> str:
    """An id of this boot of this host, and of the PID namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return _sysctl_boot()


def _sysctl_boot() -> str:
    import subprocess

    try:
        said = subprocess.run(
            ["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return "-"
    return said.stdout.strip() or "-"


def _start(pid: int) -> str:
    """When a process started, in the kernel's own words; "" when there is none (a zombie is none)."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return ""
        rest = stat.rpartition(")")[2].split()
        return "" if rest[0] in "ZX" else rest[19]
    return _ps_start(pid)


def _ps_start(pid: int) -> str:
    import subprocess

    try:
        said = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=5,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip().replace(" ", "_")
