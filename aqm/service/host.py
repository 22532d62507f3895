"""This host as runtimes and the validator see it, made of the environment that the doorway read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aqm.runtimes.base import Host

if TYPE_CHECKING:
    from aqm.pipeline.advice import HostFacts
    from aqm.settings import Settings

__all__ = ["facts_of", "host_of"]

_CLIS = ("claude", "codex", "gemini")  # runtimes whose program has their name


def host_of(environ: Mapping[str, str], settings: Settings, script: Path | None = None) -> Host:
    """What turns may use here; a script, this one or the settings', is played instead of every CLI."""
    from aqm.runtimes.process import protection

    return Host(environ, tuple(settings.pass_env), protection(), script or settings.script)


def facts_of(environ: Mapping[str, str], script: Path | None = None) -> HostFacts:
    """What a pipeline may miss on this host; with a script, no CLI is missed."""
    from aqm.pipeline.advice import HostFacts

    path = environ.get("PATH", "")

    def has_command(name: str) -> bool:
        return shutil.which(name, path=path) is not None

    missing = {name: "aqm doctor says how to install it" for name in _CLIS if not has_command(name)}
    return HostFacts(environ.__contains__, has_command, {} if script else missing)
