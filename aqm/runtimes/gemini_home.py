"""A home of gemini's for one turn: the user's own, but for settings that name the agent's MCP servers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aqm.runtimes.private import write_private

__all__ = ["home_with_servers"]

_SETTINGS = "settings.json"


@contextmanager
def home_with_servers(state: Path, folder: Path, servers: Mapping[str, object]) -> Iterator[Path]:
    """`folder` becomes a home whose `.gemini` links to everything in `state` (log-in, conversations).

    System-wide settings would do too, but gemini takes them only from files that belong to root.
    """
    state.mkdir(parents=True, exist_ok=True)
    own = folder / ".gemini"
    own.mkdir(mode=0o700)
    for name in ("tmp", "history"):  # so that conversations begun in this turn lie in the user's home
        (state / name).mkdir(exist_ok=True)
    for entry in state.iterdir():
        if entry.name != _SETTINGS:
            (own / entry.name).symlink_to(entry)
    write_private(own / _SETTINGS, json.dumps(_with(_read(state / _SETTINGS), servers)))
    try:
        yield folder
    finally:
        _bring_home(own, state)


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _with(settings: dict[str, Any], servers: Mapping[str, object]) -> dict[str, Any]:
    known = settings.get("mcpServers")
    return {**settings, "mcpServers": {**(known if isinstance(known, dict) else {}), **servers}}


def _bring_home(own: Path, state: Path) -> None:
    """What gemini wrote anew (it replaces files rather than write into them) goes where it belongs."""
    for entry in own.iterdir():
        if entry.is_file() and not entry.is_symlink() and entry.name != _SETTINGS:
            shutil.copyfile(entry, state / f"{entry.name}.aqm")
            (state / f"{entry.name}.aqm").replace(state / entry.name)
