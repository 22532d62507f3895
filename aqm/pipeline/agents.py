"""The agents of a document as they will be: merged with those that they extend, and each one validated."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aqm.document.nodes import Mapping as MappingNode
from aqm.document.nodes import Place, Scalar, Sequence, kind, plain, text_size
from aqm.document.validation import MOST_FAULTS, place_of, validate
from aqm.errors import Fault, did_you_mean
from aqm.pipeline.extends import Extension
from aqm.pipeline.imports import File, Files, Written
from aqm.pipeline.sources import Sources
from aqm.pipeline.spec import Agent, AnyAgent, Session

__all__ = ["MOST_TEXT", "build_agents"]

MOST_TEXT = 4_000_000


def build_agents(main: File, files: Files) -> tuple[list[AnyAgent], Sources]:
    """The agents of the document and of its imports, and where they are written; faults go to `files`."""
    written = list({id(each): each for each in (*main.agents, *main.imported)}.values())
    extension = Extension(_scope(main, files), files.complete)
    agents: list[AnyAgent] = []
    nodes: dict[str, MappingNode] = {}
    size = 0
    for each in written:
        if len(files.faults) + len(extension.faults) > MOST_FAULTS:
            break
        if not isinstance(each.node, MappingNode):
            files.faults.append(_no_mapping(each))
            continue
        node = _with_old_names(extension.merged(each), files.warnings)
        size += text_size(node)
        if size > MOST_TEXT:
            files.faults.append(_too_much(node))
            break
        if each.is_abstract:
            files.faults += _unknown_keys(node)
            continue
        if each.id and each.id in nodes:
            files.faults += _double(nodes[each.id], node)
        nodes.setdefault(each.id, node)
        agent, faults = _agent(node)
        files.faults += faults
        agents += [agent] if agent else []
    files.faults += extension.faults
    if written and all(each.is_abstract for each in written):
        said = "every agent is abstract, so there is none to run"
        files.faults.append(written[0].node.place.fault(said, "add one that extends them"))
    return agents, _sources(main, files, written, nodes)


def _scope(main: File, files: Files) -> Callable[[str], Mapping[str, Written]]:
    """The agents that a file can name: its own and its imports', then those of the document."""
    scopes: dict[str, Mapping[str, Written]] = {}

    def scope(path: str) -> Mapping[str, Written]:
        if path not in scopes:
            scopes[path] = {**main.visible, **files.known[path].visible}
        return scopes[path]

    return scope


def _too_much(node: MappingNode) -> Fault:
    said = f"the agents hold more than {MOST_TEXT:,} characters, counting what they take over"
    return node.place.fault(said, "write long texts in fewer agents")


def _no_mapping(agent: Written) -> Fault:
    place = agent.node.place
    said = f"{place.at or 'an agent'} must be a mapping, not {kind(plain(agent.node))}"
    return place.fault(said, "write  id:  and  runtime:")


def _sources(main: File, files: Files, written: list[Written], nodes: dict[str, MappingNode]) -> Sources:
    return Sources(
        top=main.agents[0].node.place if main.agents else Place(main.path),
        agents=nodes,
        ids=frozenset(each.id for each in written if each.id),
        abstract=frozenset(each.id for each in written if each.is_abstract) - nodes.keys(),
        sessions=frozenset(name for name, node in nodes.items() if _type_of(node) == "session"),
        imported=frozenset(main.named),
        complete=files.complete,
    )


def _type_of(node: MappingNode) -> object:
    each = node.get("type")
    return each.value if isinstance(each, Scalar) else None


def _agent(node: MappingNode) -> tuple[AnyAgent | None, list[Fault]]:
    type_ = node.get("type")
    if isinstance(type_, Scalar) and type_.value not in ("agent", "session"):
        cure = did_you_mean(str(type_.value), ("agent", "session"))
        return None, [type_.place.fault(f"type cannot be {type_.text!r}", cure)]
    return validate(Session, node) if _type_of(node) == "session" else validate(Agent, node)


def _unknown_keys(node: MappingNode) -> list[Fault]:
    """An abstract agent is looked at through those that extend it; only its keys must be known."""
    known = {*Agent.model_fields, *Session.model_fields}
    return [
        node.keys.get(key, node.place).fault(f"unknown key {key!r}", did_you_mean(key, known))
        for key in [key for key in node.entries if key not in known][:MOST_FAULTS]
    ]


def _double(first: MappingNode, second: MappingNode) -> list[Fault]:
    """Two files have an agent of one id; inside one file that was said already."""
    here, there = place_of(second, "id"), place_of(first, "id")
    if here.file == there.file:
        return []
    said = f"the id {_id(second)} is used twice (also in {there.file}, line {there.line})"
    return [here.fault(said, "import only the agents that you need, or rename one")]


def _id(node: MappingNode) -> str:
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
