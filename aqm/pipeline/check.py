"""What must be right in a pipeline beyond the types of its values: every error, with its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import assert_never

from aqm.document.nodes import Place, Plain
from aqm.document.validation import MOST_FAULTS
from aqm.errors import Fault, did_you_mean
from aqm.pipeline import output
from aqm.pipeline.conditions import Comparison, ConditionError, Expression, Preset, compile_condition
from aqm.pipeline.expressions import check_expression
from aqm.pipeline.places import template_place, templates_of
from aqm.pipeline.sources import Sources
from aqm.pipeline.spec import Agent, AnyAgent, Gate, Handoff, Session
from aqm.pipeline.templates import TemplateError, check_template

__all__ = ["RUNTIMES", "check"]

RUNTIMES = ("claude", "gemini", "codex", "command")


def check(
    agents: Sequence[AnyAgent],
    sources: Sources,
    runtimes: Collection[str] = RUNTIMES,
    params: Mapping[str, Plain] | None = None,
) -> list[Fault]:
    """All errors of the agents; the ids of agents that are broken otherwise count as known."""
    known = _Known(sources, frozenset(agent.id for agent in agents) | sources.ids, tuple(runtimes), params)
    faults = (fault for agent in agents for fault in _of_any(agent, known))
    return list(islice(faults, MOST_FAULTS))


def _of_any(agent: AnyAgent, known: _Known) -> Iterator[Fault]:
    yield from _of_handoffs(agent, known)
    yield from _of_gate(agent, known)
    yield from _of_templates(agent, known)
    match agent:
        case Agent():
            yield from _of_agent(agent, known)
        case Session():
            yield from _of_session(agent, known)
        case never:
            assert_never(never)


@dataclass(frozen=True, slots=True)
class _Known:
    sources: Sources
    ids: frozenset[str]
    runtimes: tuple[str, ...]
    params: Mapping[str, Plain] | None

    def place(self, agent: AnyAgent, *path: str | int) -> Place:
        return self.sources.place(agent.id, *path)

    def wrong_name(self, name: str) -> tuple[str, str] | None:
        """Why no agent of that name can be meant, and the cure."""
        if name in self.sources.abstract:
            return "which is abstract", f"name an agent that extends {name}"
        if name not in self.ids and self.sources.complete:
            return "and there is no such agent", _near(name, self.ids - self.sources.abstract)
        return None


def _near(name: str, ids: Collection[str]) -> str:
    return did_you_mean(name, ids) or f"add an agent called {name}"


# Handoffs and their conditions -------------------------------------------------------------------


def _of_handoffs(agent: AnyAgent, known: _Known) -> Iterator[Fault]:
    for number, handoff in enumerate(agent.handoffs):
        for name in handoff.to:
            place = known.sources.item_place(agent.id, "handoffs", number, "to", value=name)
            yield from _of_target(agent, handoff, name, place, known)
        place = known.place(agent, "handoffs", number, "condition")
        yield from _of_condition(agent, handoff, place, known)


def _of_target(agent: AnyAgent, handoff: Handoff, name: str, place: Place, known: _Known) -> Iterator[Fault]:
    if name == "*":
        if handoff.condition.strip() != "auto":
            said = f"{agent.id} hands off to '*', which only the condition auto can choose from"
            yield place.fault(said, "write  condition: auto  or name the agents")
        return
    wrong = known.wrong_name(name)
    if wrong is not None:
        yield place.fault(f"{agent.id} hands off to {name!r}, {wrong[0]}", wrong[1])


def _of_condition(agent: AnyAgent, handoff: Handoff, place: Place, known: _Known) -> Iterator[Fault]:
    try:
        condition = compile_condition(handoff.condition)
    except ConditionError as error:
        yield place.fault(error.message, error.cure)
        return
    match condition:
        case Preset(name="on_approve" | "on_reject" as name) if agent.gate is None:
            yield place.fault(f"{name} needs a gate, and {agent.id} has none", f"add a gate to {agent.id}")
        case Expression(source=source):
            yield from _of_param_names(source, place, known)
        case Preset() | Comparison():
            pass
        case never:
            assert_never(never)


def _of_param_names(source: str, place: Place, known: _Known) -> Iterator[Fault]:
    if known.params is None:
        return
    for owner, name in sorted(check_expression(source).members):
        if owner == "params" and name not in known.params:
            cure = did_you_mean(name, known.params) or "declare it under params:"
            yield place.fault(f"there is no param called {name!r}", cure)


# Gates, templates --------------------------------------------------------------------------------


def _of_gate(agent: AnyAgent, known: _Known) -> Iterator[Fault]:
    gate = agent.gate
    if gate is None:
        return
    if gate.type == "command" and gate.run is None:
        place = known.place(agent, "gate", "run")
        yield place.fault("a gate of type command needs run", "write  run: make test")
    if gate.type != "command" and gate.run is not None:
        place = known.place(agent, "gate", "run")
        yield place.fault(
            f"run is for gates of type command, and this one is {gate.type}", "add  type: command"
        )
    yield from _of_gate_runtime(agent, gate, known)


def _of_gate_runtime(agent: AnyAgent, gate: Gate, known: _Known) -> Iterator[Fault]:
    if gate.runtime is not None and gate.runtime not in known.runtimes:
        place = known.place(agent, "gate", "runtime")
        yield place.fault(f"unknown runtime {gate.runtime!r}", did_you_mean(gate.runtime, known.runtimes))


def _of_templates(agent: AnyAgent, known: _Known) -> Iterator[Fault]:
    for template in templates_of(agent):
        try:
            check_template(template.source)
        except TemplateError as error:
            yield template_place(known.sources, agent, template, error.line).fault(error.message, error.cure)


# Agents ------------------------------------------------------------------------------------------


def _of_agent(agent: Agent, known: _Known) -> Iterator[Fault]:
    if agent.runtime not in known.runtimes:
        place = known.place(agent, "runtime")
        yield place.fault(f"unknown runtime {agent.runtime!r}", did_you_mean(agent.runtime, known.runtimes))
    if agent.runtime == "command" and not agent.command:
        place = known.place(agent, "command")
        yield place.fault("the runtime command needs a command", 'write  command: ["./answer.sh"]')
    if agent.runtime != "command" and agent.command:
        place = known.place(agent, "command")
        said = f"command is for the runtime command, and {agent.id} runs on {agent.runtime}"
        yield place.fault(said, "write  runtime: command  or remove it")
    yield from _of_mcp(agent, known)
    yield from _of_output(agent, known)


def _of_mcp(agent: Agent, known: _Known) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, entry in enumerate(agent.mcp):
        if entry.server in seen:
            place = known.place(agent, "mcp", number)
            yield place.fault(f"the MCP server {entry.server!r} is listed twice", "remove one, or rename it")
        seen.add(entry.server)


def _of_output(agent: Agent, known: _Known) -> Iterator[Fault]:
    if agent.output is None:
        return
    for flaw in output.flaws(agent.output):
        path = flaw.path
        if path[:1] == ("properties",) and known.sources.node(agent.id, "output", "properties") is None:
            path = path[1:]  # the short form
        yield known.place(agent, "output", *path).fault(flaw.message, flaw.cure)


# Sessions ----------------------------------------------------------------------------------------


def _of_session(session: Session, known: _Known) -> Iterator[Fault]:
    seen: set[str] = set()
    for name in session.participants:
        place = known.sources.item_place(session.id, "participants", value=name)
        if name in seen:
            yield place.fault(f"{session.id} lists {name!r} twice", "name each participant once")
        elif name in known.sources.sessions:
            yield place.fault(
                f"{name!r} is a session, and sessions cannot speak in {session.id}", "name agents"
            )
        else:
            wrong = known.wrong_name(name)
            if wrong is not None:
                yield place.fault(f"{name!r} is to speak in {session.id}, {wrong[0]}", wrong[1])
        seen.add(name)
    yield from _of_summary_agent(session, known)
    yield from _of_consensus(session, known)


def _of_summary_agent(session: Session, known: _Known) -> Iterator[Fault]:
    name = session.summary_agent
    if name is not None and name not in session.participants:
        place = known.place(session, "summary_agent")
        said = f"the summary_agent {name!r} is not a participant of {session.id}"
        yield place.fault(said, did_you_mean(name, session.participants))
    if name is None:
        path = _moderated_by(session)
        if path is not None:
            said = f"{session.id} has a moderator, and no summary_agent to be it"
            yield known.place(session, *path).fault(said, "add  summary_agent:  with one of the participants")


def _moderated_by(session: Session) -> tuple[str, ...] | None:
    if session.turn_order == "moderator":
        return ("turn_order",)
    return ("consensus", "method") if session.consensus.method == "moderator_decides" else None


def _of_consensus(session: Session, known: _Known) -> Iterator[Fault]:
    consensus = session.consensus
    if not consensus.keyword.strip():
        place = known.place(session, "consensus", "keyword")
        yield place.fault(
            "the keyword is empty, and would be found in every answer", "write  keyword: 'VOTE: AGREE'"
        )
    has_chunks = session.chunks is not None and session.chunks.enabled
    if consensus.require_chunks_done and not has_chunks:
        place = known.place(session, "consensus", "require_chunks_done")
        yield place.fault(
            f"require_chunks_done needs chunks, and {session.id} has none", "add  chunks: {enabled: true}"
        )
