"""How we call a CLI: one file a runtime, one subprocess door (`process`)."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from aqm.errors import NotFoundError, did_you_mean

if TYPE_CHECKING:
    from aqm.runtimes.base import Host, Runtime

__all__ = ["RUNTIMES", "SCRIPTED", "get", "load"]

# name → where its class is; loaded when first used. A new runtime is one file and one line here.
RUNTIMES: dict[str, str] = {
    "claude": "aqm.runtimes.claude:Claude",
    "codex": "aqm.runtimes.codex:Codex",
    "command": "aqm.runtimes.command:Command",
    "gemini": "aqm.runtimes.gemini:Gemini",
    "scripted": "aqm.runtimes.scripted:Scripted",
}
SCRIPTED = "scripted"


@cache
def load(name: str) -> Runtime:
    """The runtime of that name, whatever the host's script says."""
    if name not in RUNTIMES:
        others = [known for known in RUNTIMES if known != SCRIPTED]
        raise NotFoundError(f"there is no runtime called {name!r}", cure=did_you_mean(name, others))
    module, _, kind = RUNTIMES[name].partition(":")
    return cast("Runtime", getattr(import_module(module), kind)())


def get(name: str, host: Host) -> Runtime:
    """The runtime that runs turns of `name` on this host: the scripted one when the host has a script."""
    if host.script is not None:
        return load(SCRIPTED)
    return load(name)
