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
from aqm.pipeline.graph import endless_loops, first_agent, reachable
from aqm.pipeline.idle import idle_words
from aqm.pipeline.models import COMMAND, model_runtime, runtime_of_model
from aqm.pipeline.places import Template, template_place, templates_of
from aqm.pipeline.sources import Sources
from aqm.pipeline.spec import Agent, AnyAgent, Pipeline, Session
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
    warnings += idle_words(pipeline, sources)
    for agent in pipeline.agents:
        warnings += _of_auto(pipeline, agent, sources)
        warnings += _of_judge(pipeline, agent, sources)
        warnings += _of_templates(agent, sources)
        warnings += _of_comparisons(agent, sources)
        if isinstance(agent, Agent):
            warnings += _of_flags(agent, sources)
            warnings += _of_host(agent, sources, host) if host else []
        warnings += _of_gate(agent, sources, host) if host else []
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


def _of_templates(agent: AnyAgent, sources: Sources) -> Iterator[Fault]:
    for template in templates_of(agent):
        for name in sorted(variables(template.source) - template.variables):
            before = re.split(rf"\b{name}\b", template.source)[0]
            place = template_place(sources, agent, template, before.count("\n") + 1)
            said = f"the variable {name!r} is not known here and stays empty"
            yield _warning(place, said, _cure_of(name, agent, template))


def _cure_of(name: str, agent: AnyAgent, template: Template) -> str:
    if name == "inputs" and template.path == ("system_prompt",):
        return f"it holds the branches' payloads of an agent with join, and {agent.id} has none"
    return did_you_mean(name, template.variables)


def _of_auto(pipeline: Pipeline, agent: AnyAgent, sources: Sources) -> Iterator[Fault]:
    """An agent that nobody told how to choose may not do so."""
    numbers = [number for number, each in enumerate(agent.handoffs) if each.condition.strip() == "auto"]
    who = [agent] if isinstance(agent, Agent) else _last_speakers(pipeline, agent)
    if not numbers or any(_knows_handoffs(each) for each in who):
        return
    place = sources.place(agent.id, "handoffs", numbers[0], "condition")
    said = (
        f"the prompt of {who[0].id} never mentions HANDOFF"
        if len(who) == 1
        else (f"no prompt of the participants of {agent.id} mentions HANDOFF")
    )
    yield _warning(place, said, "ask it to end with a line such as  HANDOFF: agent")


def _of_judge(pipeline: Pipeline, agent: AnyAgent, sources: Sources) -> Iterator[Fault]:
    """A command is no model: who judges its work instead must not come as a surprise."""
    gate = agent.gate
    if gate is None or gate.type != "llm" or gate.runtime or runtime_of_model(gate.model):
        return
    own = agent if isinstance(agent, Agent) else pipeline.agent(agent.participants[0])
    if isinstance(own, Agent) and own.runtime == COMMAND:
        judge = model_runtime(pipeline, agent)
        said = f"{own.id} runs on command, which cannot judge: {judge} does, or the config's gate.runtime"
        yield _warning(sources.place(agent.id, "gate"), said, f"name the judge: gate: {{runtime: {judge}}}")


def _last_speakers(pipeline: Pipeline, session: Session) -> list[Agent]:
    names = [session.summary_agent] if session.summary_agent else session.participants
    return [each for each in map(pipeline.agent, names) if isinstance(each, Agent)]


def _knows_handoffs(agent: Agent) -> bool:
    fields = (agent.output or {}).get("properties") or {}
    return (
        agent.runtime == "command"  # a program knows without being told
        or "handoff" in agent.system_prompt.casefold()
        or any(name.casefold() == "handoff" for name in fields)
    )


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
    if agent.runtime == "command":
        yield from _of_command(agent.command[0], sources.place(agent.id, "command", 0), host)
    for number, entry in enumerate(agent.mcp):
        command = entry.command or "npx"
        if _lacks(command, host):
            place = sources.place(agent.id, "mcp", number, "command")
            said = f"the MCP server {entry.server} needs {command!r}, which is not on this host"
            yield _warning(place, said, "install it, or check PATH")
        for key, value in entry.env.items():
            place = sources.place(agent.id, "mcp", number, "env", key)
            yield from _of_variables(value, place, host)


def _of_gate(agent: AnyAgent, sources: Sources, host: HostFacts) -> Iterator[Fault]:
    gate = agent.gate
    if gate is None:
        return
    if gate.runtime is not None and gate.type == "llm":
        yield from _of_runtime(gate.runtime, sources.place(agent.id, "gate", "runtime"), host)
    if isinstance(gate.run, tuple):
        yield from _of_command(gate.run[0], sources.place(agent.id, "gate", "run", 0), host)


def _of_command(name: str, place: Place, host: HostFacts) -> Iterator[Fault]:
    if _lacks(name, host):
        yield _warning(place, f"there is no command {name!r} on this host", "install it, or check PATH")


def _lacks(name: str, host: HostFacts) -> bool:
    """A path such as `./answer.sh` is looked for where the agent will work, which is not here."""
    is_relative = "/" in name and not name.startswith("/")
    return not is_relative and not host.has_command(name)


def _of_variables(value: str, place: Place, host: HostFacts) -> Iterator[Fault]:
    for match in _VARIABLE.finditer(value):
        name = match[1] or match[2]
        if not host.has_variable(name):
            yield _warning(place, f"the variable ${name} is not set", "set it where the worker starts")


def _of_runtime(runtime: str, place: Place, host: HostFacts) -> Iterator[Fault]:
    if runtime in host.missing_runtimes:
        yield _warning(place, f"the CLI of {runtime} is not on this host", host.missing_runtimes[runtime])
