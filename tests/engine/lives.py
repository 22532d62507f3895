"""`aqm` in processes of its own, and what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from aqm.service.project import find_project
from aqm.service.store import open_store
from aqm.storage import tables

__all__ = ["alive", "aqm", "attempts_of", "tasks_of"]


def aqm(root: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "aqm.cli", *words]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AQM_")}
    return subprocess.Popen(
        command,
        cwd=root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def tasks_of(root: Path) -> list[dict[str, Any]]:
    said, _ = aqm(root, "list", "--json").communicate(timeout=60)
    return list(json.loads(said)["tasks"])


def attempts_of(root: Path) -> list[Any]:
    with open_store(find_project(root, {})) as store, store.database.reading() as connection:
        return list(connection.execute(tables.attempts.select()))


def alive(marks: set[str]) -> list[str]:
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = environ.read_bytes().decode(errors="replace")
        except OSError:
            continue
        found += [mark for mark in marks if f"AQM_MARK={mark}" in text]
    return found
