"""What is doubtful in a pipeline that may be run: every warning, with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from aqm.document.nodes import Place
from aqm.errors import Fault, did_you_mean
from aqm.pipeline.conditions import Comparison, compile_condition
from aqm.pipeline.expressions import NAMES
from aqm.pipeline.flags import widening_flags
from aqm.pipeline.graph import endless_loops, first_agent, only_speaking, reachable
from aqm.pipeline.places import template_place, templates_of
from aqm.pipeline.sources import Sources
from aqm.pipeline.spec import Agent, AnyAgent, Pipeline
from aqm.pipeline.templates import variables

__all__ = ["HostFacts", "advice"]

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host has: looked up above, so that this stays pure.

    `missing_runtimes` maps the name of a runtime whose CLI is not there to what to do about it.
    """

    has_variable: Callable[[str], bool]
    has_command: Callable[[str], bool]
    missing_runtimes: Mapping[str, str] = field(default_factory=dict)


def advice(pipeline: Pipeline, sources: Sources, host: HostFacts | None = None) -> list[Fault]:
    warnings = [*_of_start(pipeline, sources), *_of_graph(pipeline, sources)]
    for agent in pipeline.agents:
        warnings += _of_templates(agent, sources)
        warnings += _of_comparisons(agent, sources)
        if isinstance(agent, Agent):
            warnings += _of_flags(agent, sources)
            warnings += _of_host(agent, sources, host) if host else []
        if host and agent.gate is not None and agent.gate.runtime is not None:
            place = sources.place(agent.id, "gate", "runtime")
            warnings += _of_runtime(agent.gate.runtime, place, host)
    return warnings


def _warning(place: Place, message: str, cure: str = "") -> Fault:
    return place.fault(message, cure, severity="warning")


def _of_start(pipeline: Pipeline, sources: Sources) -> Iterator[Fault]:
    if pipeline.entry_point == "first" and first_agent(pipeline) is None:
        said = "no task can start here: every agent of this file only speaks in a session"
        yield _warning(sources.top, said, "add the session to this file, or write  entry_point: auto")


def _of_graph(pipeline: Pipeline, sources: Sources) -> Iterator[Fault]:
    found = reachable(pipeline)
    first = first_agent(pipeline)
    for agent in pipeline.agents:
        if agent.id not in found and (agent.id in pipeline.own or agent.id in sources.imported):
            said = f"no task that starts at {first} comes to {agent.id}"
            yield _warning(sources.place(agent.id, "id"), said, f"hand off to {agent.id}, or remove it")
    for loop in endless_loops(pipeline):
        names = " → ".join((*loop, loop[0]))
        said = (
            f"{names} is a loop without a way out"
            if len(loop) > 1
            else f"{loop[0]} hands off to itself without end"
        )
        cure = "give one of its handoffs a condition that can fail"
        yield _warning(sources.place(loop[0], "handoffs"), said, cure)
    for name in sorted(only_speaking(pipeline)):
        yield from _of_speaker(pipeline.agent(name), sources)


def _of_speaker(agent: AnyAgent, sources: Sources) -> Iterator[Fault]:
    name = agent.id
    if agent.handoffs:
        yield _unused(sources.place(name, "handoffs"), name, "handoffs")
    if agent.gate is not None:
        yield _unused(sources.place(name, "gate"), name, "gate")
    if isinstance(agent, Agent) and agent.human_input is not None and agent.human_input.enabled:
        yield _unused(sources.place(name, "human_input"), name, "human_input")
    if agent.join is not None:
        yield _unused(sources.place(name, "join"), name, "join")


def _unused(place: Place, name: str, key: str) -> Fault:
    said = f"{name} only speaks in sessions, where its {key} counts for nothing"
    return _warning(place, said, f"remove it, or write the {key} at the session")


def _of_templates(agent: AnyAgent, sources: Sources) -> Iterator[Fault]:
    for template in templates_of(agent):
        for name in sorted(variables(template.source) - template.variables):
            before = re.split(rf"\b{name}\b", template.source)[0]
            place = template_place(sources, agent, template, before.count("\n") + 1)
            near = did_you_mean(name, template.variables)
            said = f"the variable {name!r} is not known here and stays empty"
            yield _warning(place, said, near)


def _of_comparisons(agent: AnyAgent, sources: Sources) -> Iterator[Fault]:
    described = agent.output if isinstance(agent, Agent) else None
    fields = (described or {}).get("properties") or {}
    for number, handoff in enumerate(agent.handoffs):
        condition = compile_condition(handoff.condition)
        if not isinstance(condition, Comparison):
            continue
        place = sources.place(agent.id, "handoffs", number, "condition")
        if fields and condition.key not in fields:
            said = f"the output of {agent.id} describes no field {condition.key!r}"
            yield _warning(place, said, did_you_mean(condition.key, fields))
        elif not fields and condition.key in NAMES:
            said = f"this compares a field called {condition.key!r}, not the {condition.key} itself"
            yield _warning(place, said, f"write  {condition.key}.contains('…')  or rename the field")


def _of_flags(agent: Agent, sources: Sources) -> Iterator[Fault]:
    for flag in widening_flags(agent.runtime, agent.cli_flags):
        said = f"the flag {flag} lets {agent.id} do more than its permissions say"
        cure = "use permissions instead, or allow it with flags.allow in .aqm/config.yaml"
        yield _warning(sources.item_place(agent.id, "cli_flags", value=flag), said, cure)


# What the host lacks -----------------------------------------------------------------------------


def _of_host(agent: Agent, sources: Sources, host: HostFacts) -> Iterator[Fault]:
    yield from _of_runtime(agent.runtime, sources.place(agent.id, "runtime"), host)
    if agent.runtime == "command" and not host.has_command(agent.command[0]):
        place = sources.place(agent.id, "command", 0)
        yield _warning(
            place, f"there is no command {agent.command[0]!r} on this host", "install it, or check PATH"
        )
    for number, entry in enumerate(agent.mcp):
        command = entry.command or "npx"
        if not host.has_command(command):
            place = sources.place(agent.id, "mcp", number, "command")
            said = f"the MCP server {entry.server} needs {command!r}, which is not on this host"
            yield _warning(place, said, "install it, or check PATH")
        for key, value in entry.env.items():
            place = sources.place(agent.id, "mcp", number, "env", key)
            yield from _of_variables(value, place, host)


def _of_variables(value: str, place: Place, host: HostFacts) -> Iterator[Fault]:
    for match in _VARIABLE.finditer(value):
        name = match[1] or match[2]
        if not host.has_variable(name):
            yield _warning(place, f"the variable ${name} is not set", "set it where the worker starts")


def _of_runtime(runtime: str, place: Place, host: HostFacts) -> Iterator[Fault]:
    if runtime in host.missing_runtimes:
        yield _warning(place, f"the CLI of {runtime} is not on this host", host.missing_runtimes[runtime])
