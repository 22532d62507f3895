"""Looking up a param's value: an agent CLI is asked about the project, and its answer is a value, no more."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never
from uuid import uuid4

from aqm.errors import NotFoundError
from aqm.flow.outcome import Answer, Failure
from aqm.flow.state import TurnKind
from aqm.pipeline.params import coerced
from aqm.pipeline.spec import Agent, Param, Pipeline
from aqm.runtimes import SCRIPTED, get
from aqm.runtimes.base import Host, OnLive, Prompt, Stop
from aqm.runtimes.consent import consent
from aqm.service.project import Project

if TYPE_CHECKING:
    from aqm.settings import Settings

__all__ = ["MOST", "Detected", "Scout", "Undetected", "detect", "scout_for"]

MOST = 200  # characters of a value
_READABLE = 10_000  # characters of an answer; a longer one is no value, whatever it says
_COMMAND = "command"  # this runtime is no agent that could be asked
_NONE = "unknown"

_ASKED = """\
A value is needed for the parameter `{name}` of the project in the current folder.
{about}
Look into the project's files as far as you must; change nothing. Answer with the bare value alone, on one
line: no sentence, no quotes, no Markdown. It must be {kind}. If the project does not tell, answer: {none}
"""
_KINDS = {"string": f"text of at most {MOST} characters", "number": "a number", "boolean": "true or false"}

_SEQUENCES = re.compile(  # a terminal's, as a whole; other controls go one by one
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"
)
_MARKS = ("**", "`", '"', "'")


@dataclass(frozen=True, slots=True)
class Scout:
    """Who is asked."""

    runtime: str
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Detected:
    value: str  # one line that the param's type takes


@dataclass(frozen=True, slots=True)
class Undetected:
    """`why` is a sentence without its full stop."""

    why: str


def scout_for(settings: Settings, host: Host, pipeline: Pipeline | None) -> Scout | None:
    """The config's `router.runtime`, else the pipeline's first agent that is a CLI, its own ones first; None
    when nobody can be asked. A script plays everybody."""
    if host.script is not None:
        return Scout(SCRIPTED)
    if settings.router.runtime not in (None, _COMMAND):
        return Scout(str(settings.router.runtime))
    agents = pipeline.agents if pipeline is not None else ()  # its own come first
    clis = (agent for agent in agents if isinstance(agent, Agent) and agent.runtime != _COMMAND)
    return next((Scout(agent.runtime, agent.model) for agent in clis), None)


def detect(
    project: Project, host: Host, scout: Scout, name: str, param: Param, stop: Stop, on_live: OnLive
) -> Detected | Undetected:
    """Ask the scout what `auto_detect` asks. It may only read, and `stop` ends its CLI."""
    try:
        refused = _refusal(project, host, scout)
        runtime = get(scout.runtime, host)
    except NotFoundError as error:
        return Undetected(f"{scout.runtime} cannot look it up: {error.message}; {error.cure}")
    if refused:
        return Undetected(refused)
    outcome = runtime.run(_prompt(project, scout, name, param), host, on_live, stop)
    match outcome:
        case Answer(text=text):
            return _value(text, param, scout)
        case Failure(message=message):
            return Undetected(f"{scout.runtime} did not look it up: {message}")
        case never:
            assert_never(never)


def _refusal(project: Project, host: Host, scout: Scout) -> str:
    """What is merely read needs no consent, unless the runtime does not say that it can be kept to that."""
    if host.script is not None:
        return ""
    settings = project.settings.permissions
    refusal = consent(
        scout.runtime,
        "read",
        (),
        allow_full=settings.allow_full,
        allow_unconfined=settings.allow_unconfined,
    )
    return refusal.message if refusal else ""


def _prompt(project: Project, scout: Scout, name: str, param: Param) -> Prompt:
    about = "\n".join(text for text in (param.description, param.auto_detect) if text)
    kind = _KINDS[param.type]
    settings = project.settings
    return Prompt(
        text=_ASKED.format(name=name, about=f"\n{about}\n", kind=kind, none=_NONE),
        workspace=project.root,
        agent=name,
        kind=TurnKind.ROUTE,
        model=scout.model,
        permissions="read",
        timeout=settings.timeout_for(scout.runtime),
        idle_timeout=settings.idle_timeout_for(scout.runtime),
        mark=uuid4().hex,
    )


# The answer --------------------------------------------------------------------------------------


def _value(text: str, param: Param, scout: Scout) -> Detected | Undetected:
    lines = _bare_lines(text[: _READABLE + 1])
    if not lines or lines[0].lower().rstrip(".") == _NONE:
        return Undetected(f"{scout.runtime} could not tell")
    if len(lines) > 1 or len(text) > _READABLE:
        return Undetected(f"{scout.runtime} answered with more than the bare value")
    if len(lines[0]) > MOST:
        return Undetected(f"{scout.runtime} answered with more than {MOST} characters")
    try:
        coerced(param.type, lines[0])
    except ValueError as error:
        return Undetected(f"{scout.runtime} found a value that does not fit: it {error}")
    return Detected(lines[0])


def _bare_lines(text: str) -> list[str]:
    """Its lines without fences, decoration, and whatever is not to be seen."""
    lines = [_visible(line) for line in _SEQUENCES.sub("", text).splitlines()]
    return [bare for line in lines if not line.startswith("```") and (bare := _undecorated(line))]


def _visible(line: str) -> str:
    kept = (char for char in line.replace("\t", " ") if not unicodedata.category(char).startswith("C"))
    return "".join(kept).strip()


def _undecorated(line: str) -> str:
    for mark in _MARKS:
        inner = line.removeprefix(mark).removesuffix(mark)
        if len(inner) == len(line) - 2 * len(mark) and mark not in inner:
            line = inner.strip()
    return line
