"""The views of a task that lie in its folder: files for people, never read back."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from aqm.engine.past import Place, recent_past
from aqm.flow.context import context
from aqm.service.store import Store
from aqm.storage import blobs, lists

__all__ = ["task_folder", "write_context"]


SHOWN = 20  # stages in full
# What agents say may hold escapes; who prints the file must not run them.
_CONTROLS = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}


def task_folder(store: Store, task: str) -> Path:
    return store.project.folder / "tasks" / task


def write_context(store: Store, task: str) -> None:
    """`context.md`: the task and what its stages said, older ones in a line each, so that a long task's file
    stays small; `aqm context` shows all. A view that cannot be written ends nothing."""
    with store.database.reading() as connection:
        row = lists.task_of(connection, store.project_id, task)
        if row is None:
            return
        text = blobs.read(connection, row.project, row.input)
        place = Place(row.project, task, "", row.stages + 1, row.stages + 1)
        stages, total = recent_past(connection, place, SHOWN)
        past = context("shared", SHOWN, stages, "", total=total)
    whole = f"# {task} · {row.status}\n\n{text.strip()}\n\n{past}\n".translate(_CONTROLS)
    with suppress(OSError):
        _replace(task_folder(store, task) / "context.md", whole)


def _replace(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    new.write_text(text, encoding="utf-8", errors="replace")
    new.replace(path)
