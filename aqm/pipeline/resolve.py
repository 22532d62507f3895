"""A document becomes a pipeline: params, imports, `extends`, validation; or all of its faults at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aqm.document.nodes import Mapping as MappingNode
from aqm.document.nodes import Plain, Scalar, Sequence
from aqm.document.validation import place_of, validate
from aqm.errors import Fault, PipelineError, did_you_mean
from aqm.pipeline.advice import HostFacts, advice
from aqm.pipeline.check import RUNTIMES, check
from aqm.pipeline.extends import Extension
from aqm.pipeline.imports import File, Files, Written
from aqm.pipeline.params import Values, unknown_names
from aqm.pipeline.sources import Sources
from aqm.pipeline.spec import Agent, AnyAgent, Document, Param, Pipeline, Session

__all__ = ["Loaded", "load"]

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline that may be run, once `missing` params have values.

    `texts` are the files that it was made of, by path, the document first; `params` is what they declare.
    """

    pipeline: Pipeline
    warnings: tuple[Fault, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Param] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def load(
    path: str,
    read: Callable[[str], str],
    *,
    given: Mapping[str, str] = _NOTHING,
    file_values: Mapping[str, Any] = _NOTHING,
    runtimes: Collection[str] = RUNTIMES,
    host: HostFacts | None = None,
) -> Loaded:
    """The pipeline in the file `path`, or PipelineError with every fault that was found.

    `path` and the paths that `read` is asked for are POSIX paths relative to the project's folder, without
    `..`; no import leads out of it. `read` returns a file's text. It raises FileNotFoundError,
    IsADirectoryError, PermissionError (also for a symbolic link that leads out of the project) or
    UnicodeDecodeError, which become faults. `given` are the values of the command line, as text;
    `file_values` those of the params file (see `read_values`).
    """
    values = Values(given, file_values)
    files = Files(read, values)
    main = files.open(path)
    faults, warnings = files.faults, files.warnings
    declared = _declared(main, files)
    if not any(fault.at == "params" for fault in faults) and path in files.texts:
        wrong, doubtful = unknown_names(declared, values)
        faults += wrong
        warnings += doubtful
    agents, sources = _agents(main, files, faults, warnings)
    faults += check(agents, sources, runtimes, main.values)
    if faults or main.header is None:
        raise PipelineError(_in_order(faults, files))
    pipeline = _pipeline(main.header, agents, main, files)
    missing = tuple(
        name
        for name, param in declared.items()
        if param.required and param.default is None and name not in values
    )
    warnings += _missing_warnings(missing, files)
    warnings += advice(pipeline, sources, host)
    return Loaded(pipeline, tuple(_in_order(warnings, files)), files.texts, declared, missing)


def _declared(main: File, files: Files) -> dict[str, Param]:
    """All params, the document's own first; where two files have one of a name, the document's counts."""
    found: dict[str, Param] = {}
    for file in (main, *files.known.values()):
        for name, each in file.params.items():
            found.setdefault(name, each.param)
    return found


def _missing_warnings(missing: tuple[str, ...], files: Files) -> list[Fault]:
    places = {name: each.place for file in files.known.values() for name, each in file.params.items()}
    cure = "give one with  -p {0}=…  or in .aqm/params.yaml"
    return [
        places[name].fault(f"the param {name!r} has no value", cure.format(name), severity="warning")
        for name in missing
    ]


def _in_order(faults: list[Fault], files: Files) -> list[Fault]:
    order = {path: number for number, path in enumerate(files.known)}
    unique = dict.fromkeys(faults)
    return sorted(unique, key=lambda fault: (order.get(fault.file, -1), fault.line or 0, fault.column or 0))


def _pipeline(header: Document, agents: list[AnyAgent], main: File, files: Files) -> Pipeline:
    params: dict[str, Plain] = {}
    for file in (main, *files.known.values()):
        params = {**file.values, **params}
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


def _agents(
    main: File, files: Files, faults: list[Fault], warnings: list[Fault]
) -> tuple[list[AnyAgent], Sources]:
    written = list({id(each): each for each in (*main.agents, *main.imported)}.values())
    scopes: dict[str, Mapping[str, Written]] = {}

    def scope(path: str) -> Mapping[str, Written]:
        if path not in scopes:
            scopes[path] = {**main.visible, **files.known[path].visible}
        return scopes[path]

    extension = Extension(scope)
    agents: list[AnyAgent] = []
    nodes: dict[str, MappingNode] = {}
    for each in written:
        if not isinstance(each.node, MappingNode):
            what = each.node.place.at or "an agent"
            kind = "a list" if isinstance(each.node, Sequence) else "text"
            faults.append(
                each.node.place.fault(f"{what} must be a mapping, not {kind}", "write  id:  and  runtime:")
            )
            continue
        node = _with_old_names(extension.merged(each), warnings)
        if each.is_abstract:
            faults += _unknown_keys(node)
            continue
        if each.id in nodes:
            faults += _double(nodes[each.id], node)
        nodes.setdefault(each.id, node)
        agent, wrong = _agent(node)
        faults += wrong
        agents += [agent] if agent else []
    faults += extension.faults
    return agents, _sources(main, written, nodes)


def _sources(main: File, written: list[Written], nodes: dict[str, MappingNode]) -> Sources:
    top = main.agents[0].node.place if main.agents else None
    sources = Sources(
        agents=nodes,
        ids=frozenset(each.id for each in written if each.id),
        abstract=frozenset(each.id for each in written if each.is_abstract) - nodes.keys(),
        sessions=frozenset(name for name, node in nodes.items() if _type_of(node) == "session"),
        imported=frozenset(main.named),
    )
    return replace(sources, top=top) if top else sources


def _type_of(node: MappingNode) -> object:
    each = node.get("type")
    return each.value if isinstance(each, Scalar) else None


def _agent(node: MappingNode) -> tuple[AnyAgent | None, list[Fault]]:
    node = node.without(["abstract"]) if _is_false(node) else node
    model: type[Agent] | type[Session] = Session if _type_of(node) == "session" else Agent
    type_ = node.get("type")
    if isinstance(type_, Scalar) and type_.value not in ("agent", "session"):
        cure = did_you_mean(str(type_.value), ("agent", "session"))
        return None, [type_.place.fault(f"type cannot be {type_.text!r}", cure)]
    agent, faults = validate(model, node)
    if agent is None:
        return None, faults
    return agent, []


def _is_false(node: MappingNode) -> bool:
    each = node.entries.get("abstract")
    return isinstance(each, Scalar) and each.value is False


def _unknown_keys(node: MappingNode) -> list[Fault]:
    """An abstract agent is looked at through those that extend it; only its keys must be known."""
    known = {*Agent.model_fields, *Session.model_fields}
    return [
        node.keys.get(key, node.place).fault(f"unknown key {key!r}", did_you_mean(key, known))
        for key in node.entries
        if key not in known
    ]


def _double(first: MappingNode, second: MappingNode) -> list[Fault]:
    """Two files have an agent of one id; inside one file that was said already."""
    here, there = place_of(second, "id"), place_of(first, "id")
    if here.file == there.file:
        return []
    said = f"the id {plain_id(second)} is used twice (also in {there.file}, line {there.line})"
    return [here.fault(said, "import only the agents that you need, or rename one")]


def plain_id(node: MappingNode) -> str:
    each = node.entries.get("id")
    return repr(each.value) if isinstance(each, Scalar) else "''"


def _with_old_names(node: MappingNode, warnings: list[Fault]) -> MappingNode:
    """`claude_code_flags` is what `cli_flags` was once called."""
    old = node.get("claude_code_flags")
    if old is None:
        return node.without(["claude_code_flags"])
    place = node.keys.get("claude_code_flags", old.place)
    message = "claude_code_flags is the old name of cli_flags"
    warnings.append(place.fault(message, "rename it", severity="warning"))
    new = node.get("cli_flags")
    if not isinstance(old, Sequence) or not (new is None or isinstance(new, Sequence)):
        return node  # validation says what is wrong with it
    flags = Sequence((*(new.items if new else ()), *old.items), old.place)
    rest = node.without(["claude_code_flags"])
    return MappingNode({**rest.entries, "cli_flags": flags}, rest.place, rest.keys)
