"""Which processes are still alive, found by a variable in their environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["alive_with"]


def alive_with(variable: str) -> list[str]:
    """The command lines of the living processes that were given `variable` (`NAME=value`)."""
    if sys.platform != "linux":
        listing = subprocess.run(["ps", "-axEww"], capture_output=True, text=True, check=True).stdout
        return [line for line in listing.splitlines() if variable in line.split()]
    return [
        _read(folder / "cmdline").replace("\0", " ")
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and variable in _read(folder / "environ").split("\0")
    ]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:  # it ended while we looked
        return ""
