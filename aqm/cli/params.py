"""Asking for a pipeline's params on a terminal: a value, the default, or what an agent finds out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from aqm.cli.doorway import Doorway
from aqm.cli.terminal import brief

if TYPE_CHECKING:
    from aqm.pipeline.spec import Param, Pipeline
    from aqm.runtimes.base import Host, Live, OnLive
    from aqm.service.detecting import Scout
    from aqm.service.project import Project

__all__ = ["answers"]

_LOOK = "?"  # what is typed to have a value looked up
_QUESTION, _SHOWN, _REASON = 300, 60, 300  # characters of a question, a default and a failure that are shown


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where the questions are asked, and who can look something up."""

    doorway: Doorway
    project: Project
    host: Host
    scout: Scout | None

    def say(self, text: str) -> None:
        self.doorway.err.line((text, "yellow"))


def answers(
    doorway: Doorway, project: Project, host: Host, pipeline: Pipeline | None, asked: Mapping[str, Param]
) -> dict[str, str]:
    """The values that were typed or found, of the types of their params; the rest keeps its default."""
    from aqm.service.detecting import scout_for

    desk = _Desk(doorway, project, host, scout_for(project.settings, host, pipeline))
    found = {name: _answer(desk, name, param) for name, param in asked.items()}
    return {name: value for name, value in found.items() if value is not None}


def _answer(desk: _Desk, name: str, param: Param) -> str | None:
    """The param's value; None when the default is taken."""
    looks = bool(param.auto_detect) and desk.scout is not None  # once: a second look finds nothing else
    found: str | None = None
    while True:
        words = _ask(name, param, found, looks)
        if words == _LOOK and param.auto_detect:
            if looks:
                found = _looked_up(desk, name, param)
            else:
                desk.say(_no_look(desk.scout))
            looks = False
        elif words:
            wrong = _wrong(param, words)
            if not wrong:
                return words
            desk.say(wrong)
        elif found is not None or param.default is not None or not param.required:
            return found
        else:
            desk.say("A value is needed.")


def _no_look(scout: Scout | None) -> str:
    if scout is None:
        return "No agent can look it up: set router.runtime in .aqm/config.yaml, or type the value."
    return "It was looked up already: type the value."


def _ask(name: str, param: Param, found: str | None, looks: bool) -> str:
    """What was typed, without the space around it; "" is Enter alone."""
    from aqm.pipeline.references import as_text

    question = param.prompt or (f"{name} ({param.description})" if param.description else name)
    offered = as_text(param.default) if found is None else found
    shown = [brief(question, _QUESTION)]
    shown += [f"({_LOOK} looks it up)"] if looks else []
    shown += [f"[{brief(offered, _SHOWN)}]"] if offered else []
    try:
        words = click.prompt(" ".join(shown), default="", show_default=False, err=True)
    except UnicodeDecodeError as error:
        words = error.object.decode("utf-8", "surrogateescape")  # no text, and this is said of it
    return str(words).strip()


def _wrong(param: Param, words: str) -> str:
    from aqm.pipeline.params import coerced

    try:
        coerced(param.type, words)
    except ValueError as error:
        return f"The value {error}."
    return ""


# Looking up --------------------------------------------------------------------------------------


def _looked_up(desk: _Desk, name: str, param: Param) -> str | None:
    """What the agent found. A signal ends its CLI, and the command."""
    from aqm.cli.interrupt import Interrupts
    from aqm.runtimes.base import Stop
    from aqm.service.detecting import Undetected, detect

    assert desk.scout is not None
    desk.doorway.err.line((f"{desk.scout.runtime} looks it up …", "dim"))
    stop = Stop()
    with Interrupts() as interrupts:
        interrupts.calls(lambda: stop.set("interrupted"))
        found = detect(desk.project, desk.host, desk.scout, name, param, stop, _teller(desk.doorway))
    if interrupts.caught:
        raise click.Abort
    if isinstance(found, Undetected):
        desk.say(f"{brief(found.why, _REASON)}.")
        return None
    desk.doorway.err.line("found: ", (found.value, "bold"))
    return found.value


def _teller(doorway: Doorway) -> OnLive:
    from aqm.runtimes.base import ToolStarted

    def tell(live: Live) -> None:
        if isinstance(live, ToolStarted):
            doorway.err.line((f"  · {live.name} {live.summary}".rstrip(), "dim"))

    return tell
