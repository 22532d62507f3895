"""A document becomes a pipeline: params, imports, `extends`, validation; or all of its faults at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from aqm.document.nodes import Plain
from aqm.document.validation import MOST_FAULTS
from aqm.errors import Fault, PipelineError
from aqm.pipeline.advice import HostFacts, advice
from aqm.pipeline.agents import build_agents
from aqm.pipeline.check import RUNTIMES, check
from aqm.pipeline.imports import File, Files
from aqm.pipeline.params import Declared, Values, in_force, unknown_names
from aqm.pipeline.spec import AnyAgent, Document, Param, Pipeline

__all__ = ["Loaded", "declared", "load"]

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline that may be run, once `missing` params have values.

    `texts` are the files that it was made of, by path, the document (at `path`) first; `params` is what they
    declare, `given` and `file_values` are what was known of their values.
    """

    pipeline: Pipeline
    warnings: tuple[Fault, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Param] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    path: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    file_values: Mapping[str, Any] = field(default_factory=dict)


def load(
    path: str,
    read: Callable[[str], str],
    *,
    given: Mapping[str, str] = _NOTHING,
    file_values: Mapping[str, Any] = _NOTHING,
    runtimes: Collection[str] = RUNTIMES,
    host: HostFacts | None = None,
    required: bool = False,
) -> Loaded:
    """The pipeline in the file `path`, or PipelineError with every fault that was found.

    `path` and the paths that `read` is asked for are POSIX paths relative to the project's folder, without
    `..`; no import leads out of it. `read` returns a file's text. It raises FileNotFoundError,
    IsADirectoryError, PermissionError (also for a symbolic link that leads out of the project) or
    UnicodeDecodeError, which become faults. `given` are the values of the command line, as text;
    `file_values` those of the params file (see `read_values`). A required param without a value is a fault
    when `required` says so, else a warning.
    """
    values = Values(given, file_values)
    files = Files(read, values)
    main = files.open(path)
    faults, warnings = files.faults, files.warnings
    known = _declared(main, files)
    if files.complete:
        wrong, doubtful = unknown_names(known, values)
        faults += wrong
        warnings += doubtful
    agents, sources = build_agents(main, files)
    params = _params(main, files)
    faults += check(agents, sources, runtimes, params if files.complete else None)
    missing = tuple(
        name
        for name, param in known.items()
        if param.required and param.default is None and name not in values
    )
    lacking = _lacking(missing, files, "error" if required else "warning")
    if faults or main.header is None or (required and lacking):
        raise PipelineError(_in_order([*faults, *lacking], files))  # what lacks may be why the rest is wrong
    pipeline = _pipeline(main.header, agents, main, params)
    warnings += [*lacking, *advice(pipeline, sources, host)]
    return Loaded(
        pipeline, tuple(_in_order(warnings, files)), files.texts, known, missing, path, given, file_values
    )


def declared(
    path: str,
    read: Callable[[str], str],
    *,
    given: Mapping[str, str] = _NOTHING,
    file_values: Mapping[str, Any] = _NOTHING,
) -> dict[str, Param]:
    """The params of the file `path` and of what it imports, also where the rest is faulty: a value that is
    not known yet may be why. PipelineError for names and values from outside that are wrong in any case."""
    values = Values(given, file_values)
    files = Files(read, values)
    known = _declared(files.open(path), files)
    faults = unknown_names(known, values)[0] if files.complete else []
    for file in files.known.values():
        faults += in_force(file.params, values)[1]
    if faults:
        raise PipelineError(_in_order(faults, files))
    return known


def _declared(main: File, files: Files) -> dict[str, Param]:
    """All params, the document's own first; where two files have one of a name, the document's counts."""
    found: dict[str, Param] = {}
    for file in (main, *files.known.values()):
        for name, each in file.params.items():
            found.setdefault(name, each.param)
    return found


def _lacking(missing: tuple[str, ...], files: Files, severity: str) -> list[Fault]:
    where: dict[str, Declared] = {}
    for file in files.known.values():
        where = {**file.params, **where}  # the document's own come first
    return [_no_value(where[name], severity) for name in missing]


def _no_value(param: Declared, severity: str) -> Fault:
    about = " ".join(param.param.description.split())
    what = f" ({about})" if about else ""
    cure = f"give one with  -p {param.name}=VALUE  or in .aqm/params.yaml"
    return param.place.fault(f"the param {param.name!r}{what} has no value", cure, severity=severity)


def _in_order(faults: list[Fault], files: Files) -> list[Fault]:
    order = {path: number for number, path in enumerate(files.known)}
    unique = sorted(
        dict.fromkeys(faults),
        key=lambda fault: (order.get(fault.file, -1), fault.line or 0, fault.column or 0),
    )
    if len(unique) > MOST_FAULTS:
        more = Fault("there are more faults than these", unique[0].file, severity=unique[0].severity)
        unique = [*unique[:MOST_FAULTS], more]
    return unique


def _params(main: File, files: Files) -> dict[str, Plain]:
    found: dict[str, Plain] = {}
    for file in (main, *files.known.values()):
        for name, value in file.values.items():
            found.setdefault(name, value)
    return found


def _pipeline(header: Document, agents: list[AnyAgent], main: File, params: dict[str, Plain]) -> Pipeline:
    own = {agent.id for agent in main.agents}
    return Pipeline(
        **{
            name: getattr(header, name)
            for name in ("apiVersion", "name", "description", "version", "entry_point")
        },
        params=params,
        agents=tuple(agents),
        own=tuple(agent.id for agent in agents if agent.id in own),
    )
