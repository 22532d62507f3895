"""Files that only one turn's CLI may read, and that are gone after it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aqm.runtimes.base import Host

__all__ = ["clear_leftovers", "private_folder", "write_private"]

_PREFIX = "aqm-turn-"


@contextmanager
def private_folder(host: Host) -> Iterator[Path]:
    """A folder (0700) for one turn; its name tells whose it is, so that a killed worker's can be cleared."""
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=host.environ.get("TMPDIR")))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_private(path: Path, text: str) -> Path:
    """Write the text to a new file (0600)."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "replace"))
    return path


def clear_leftovers(host: Host) -> int:
    """Remove the folders of workers that are gone; how many. A worker does this when it starts."""
    parent = Path(host.environ.get("TMPDIR") or tempfile.gettempdir())
    stale = [folder for folder in parent.glob(f"{_PREFIX}*") if not _owner_lives(folder)]
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
    return len(stale)


def _owner_lives(folder: Path) -> bool:
    pid = folder.name.removeprefix(_PREFIX).split("-")[0]
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
