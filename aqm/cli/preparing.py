"""Everything that `run` looks at before a task exists: the pipeline, its params, what it may do here."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from aqm.cli.doorway import Doorway
from aqm.errors import NotFoundError, PipelineError, UsageError, did_you_mean

if TYPE_CHECKING:
    from aqm.errors import Fault
    from aqm.pipeline.resolve import Loaded
    from aqm.pipeline.spec import Param
    from aqm.service.project import Project

__all__ = ["Wish", "checked", "checked_script", "given_params", "given_text"]

_UNREACHED = "no task that starts at "  # how a warning begins that --agent makes pointless


@dataclass(frozen=True, slots=True)
class Wish:
    """What the words of a `run` ask for."""

    pipeline: str | None = None
    agent: str | None = None
    params: Mapping[str, str] | None = None
    script: Path | None = None


def given_text(words: Sequence[str], command: str, what: str) -> str:
    """The text of a command line, which is one word for the shell; `-` reads stdin."""
    if len(words) > 1:
        cure = f"Quote it: {command} {quote(' '.join(words))}"
        raise UsageError(f"{what} must be one word for the shell.", cure=cure)
    text = words[0]
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace").rstrip("\n")
    return text


def given_params(params: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for param in params:
        name, equals, value = param.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"-p {param}: a parameter is given as NAME=VALUE.")
        given[name.strip()] = value
    return given


def checked(doorway: Doorway, project: Project, wish: Wish) -> tuple[Wish, Loaded]:
    """The wish with the params that were asked for, and its pipeline; warnings are printed.

    Raises what `submit` would raise, before anybody is asked for anything or anything is stored.
    """
    from aqm.service.host import facts_of
    from aqm.service.pipelines import load_pipeline

    script = checked_script(project, wish.script)
    wish = _asked(doorway, project, wish) if doorway.asks else wish
    facts = facts_of(doorway.environ, script)
    loaded = load_pipeline(project, wish.pipeline, wish.params or {}, host=facts)
    _must_have_agent(loaded, wish)
    _warn(doorway, [warning for warning in loaded.warnings if _matters(warning, wish)])
    return wish, loaded


def _asked(doorway: Doorway, project: Project, wish: Wish) -> Wish:
    """The wish with the values of the params that have a question, or need a value."""
    from aqm.pipeline.params import to_ask
    from aqm.service.pipelines import declared_params, file_values, load_pipeline

    given = wish.params or {}
    params = to_ask(declared_params(project, wish.pipeline, given), given, file_values(project))
    loaded = None
    try:
        loaded = load_pipeline(project, wish.pipeline, given, required=False)
    except PipelineError:
        if all(param.default is not None for param in params.values()):
            raise  # else a value that is still missing may be why
    if loaded is not None:
        _must_have_agent(loaded, wish)
    if not params:
        return wish
    return replace(wish, params={**given, **_answers(doorway, project, wish, loaded, params)})


def _answers(
    doorway: Doorway, project: Project, wish: Wish, loaded: Loaded | None, params: Mapping[str, Param]
) -> dict[str, str]:
    from aqm.cli.params import answers
    from aqm.service.host import host_of

    host = host_of(doorway.environ, project.settings, wish.script)
    return answers(doorway, project, host, loaded.pipeline if loaded else None, params)


def _must_have_agent(loaded: Loaded, wish: Wish) -> None:
    """NotFoundError when the task is to start with an agent that this pipeline does not have."""
    if wish.agent is not None and loaded.pipeline.find(wish.agent) is None:
        cure = did_you_mean(wish.agent, loaded.pipeline.ids)
        raise NotFoundError(f"no agent {wish.agent!r} in this pipeline;", cure=cure)


def checked_script(project: Project, script: Path | None) -> Path | None:
    """The script that is played here, this one or the settings'; SettingsError says what is wrong in it."""
    from aqm.runtimes.script import load

    script = script or project.settings.script
    if script is not None:
        load(script)
    return script


def _matters(warning: Fault, wish: Wish) -> bool:
    return wish.agent is None or not warning.message.startswith(_UNREACHED)


def _warn(doorway: Doorway, warnings: Sequence[Fault]) -> None:
    """Each warning once, though it may hold in several places."""
    places = Counter((warning.message, warning.cure) for warning in warnings)
    for warning in warnings:
        more = places.pop((warning.message, warning.cure), 0) - 1
        if more >= 0:
            also = f" (and in {more} more places)" if more > 1 else " (and in one more place)" if more else ""
            doorway.err.line(("warning: ", "yellow"), f"{warning}{also}")
