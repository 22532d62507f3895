"""A pipeline as text, Mermaid, Graphviz and JSON: who hands on to whom, and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

from aqm.cli.terminal import Part, Screen, cut, safe
from aqm.pipeline.graph import first_agent, targets
from aqm.pipeline.spec import Agent, AnyAgent, Gate, Handoff, Pipeline, Session

__all__ = ["dot", "graph_json", "graph_lines", "mermaid"]


def _entry(pipeline: Pipeline) -> str:
    """In a sentence: which agent a task starts at."""
    if pipeline.entry_point == "auto":
        return "an agent chosen for the task"
    return first_agent(pipeline) or "the agent that --agent names"


def _gate(gate: Gate) -> str:
    before = ", before it runs" if gate.when == "before" else ""
    match gate.type:
        case "llm":
            who = gate.model or gate.runtime
            by = f"a judge ({who})" if who else "a judge"
            again = "rejection" if gate.max_retries == 1 else "rejections"
            return f"{by}{before}, at most {gate.max_retries} {again}"
        case "human":
            return f"a person{before}"
        case "command":
            run = gate.run if isinstance(gate.run, str) else " ".join(gate.run or ())
            return f"a command{before}: {cut(run, 60)}"
        case never:
            assert_never(never)


def _facts(agent: AnyAgent) -> list[str]:
    match agent:
        case Session():
            facts = [f"session of {', '.join(agent.participants)}", f"at most {agent.max_rounds} rounds"]
        case Agent():
            model = f" {agent.model}" if agent.model else ""
            facts = [f"{agent.runtime}{model}", f"permissions {agent.permissions or 'run'}"]
        case never:
            assert_never(never)
    return [*facts, f"joins {agent.join}"] if agent.join else facts


# For people ------------------------------------------------------------------------------------


def graph_lines(screen: Screen, pipeline: Pipeline, name: str) -> None:
    many = "agent" if len(pipeline.agents) == 1 else "agents"
    screen.line((name, "bold"), f" · {len(pipeline.agents)} {many} · starts with {_entry(pipeline)}")
    if pipeline.description:
        screen.line((cut(pipeline.description, 200), "dim"))
    for agent in pipeline.agents:
        screen.line()
        screen.line((agent.id, "title"), (f"  {' · '.join(_facts(agent))}", "dim"))
        for parts in _rules(agent):
            screen.line(*parts)


def _rules(agent: AnyAgent) -> Iterator[tuple[Part, ...]]:
    human = getattr(agent, "human_input", None)
    if human is not None and human.enabled:
        yield ("  asks: ", (f"a person ({human.mode})", "yellow"))
    if agent.gate:
        yield ("  gate: ", (_gate(agent.gate), "yellow"))
    for handoff in agent.handoffs:
        label = f"  {cut(handoff.task, 60)}" if handoff.task else ""
        yield ("  → ", (", ".join(handoff.to), "bold"), _when(handoff), (label, "dim"))
    if not agent.handoffs:
        yield (("  ends here", "dim"),)
    elif not _always_goes_on(agent):
        yield (("  otherwise ends here", "dim"),)


def _always_goes_on(agent: AnyAgent) -> bool:
    conditions = {handoff.condition for handoff in agent.handoffs}
    if conditions & {"always", "auto", "default"}:
        return True
    return "on_reject" in conditions and bool(conditions & {"on_approve", "on_pass"})


def _when(handoff: Handoff) -> Part:
    return "" if handoff.condition == "always" else (f"  when {cut(handoff.condition, 80)}", "green")


# For programs ----------------------------------------------------------------------------------


def graph_json(pipeline: Pipeline, name: str) -> dict[str, Any]:
    return {
        "pipeline": name,
        "description": pipeline.description,
        "entry_point": pipeline.entry_point,
        "start": None if pipeline.entry_point == "auto" else _entry(pipeline),
        "agents": [_agent_json(agent) for agent in pipeline.agents],
    }


def _agent_json(agent: AnyAgent) -> dict[str, Any]:
    worker = isinstance(agent, Agent)
    return {
        "id": agent.id,
        "name": agent.title,
        "type": agent.type,
        "runtime": agent.runtime if isinstance(agent, Agent) else None,
        "model": agent.model if isinstance(agent, Agent) else None,
        "permissions": (agent.permissions or "run") if isinstance(agent, Agent) else None,
        "participants": [] if worker else list(getattr(agent, "participants", ())),
        "join": agent.join,
        "gate": agent.gate and agent.gate.model_dump(mode="json"),
        "handoffs": [
            {"to": list(handoff.to), "condition": handoff.condition, "task": handoff.task}
            for handoff in agent.handoffs
        ],
    }


def _edges(pipeline: Pipeline) -> Iterator[tuple[str, str, str]]:
    """From, to, label."""
    for agent in pipeline.agents:
        for handoff in agent.handoffs:
            label = "" if handoff.condition == "always" else cut(handoff.condition, 60)
            for target in targets(pipeline, handoff):
                yield agent.id, target, label


def _label(agent: AnyAgent) -> list[str]:
    """The lines in an agent's box."""
    gate = [f"gate: {agent.gate.type}"] if agent.gate else []
    return [" ".join(safe(agent.title).split()), _facts(agent)[0], *gate]


def mermaid(pipeline: Pipeline) -> str:
    """Agents are numbered, for ids such as `end` or `x--y` mean something to Mermaid."""
    numbers = {agent.id: f"n{number}" for number, agent in enumerate(pipeline.agents, start=1)}
    lines = ["flowchart TD"]
    for agent in pipeline.agents:
        text = "<br/>".join(_entities(line) for line in _label(agent))
        lines.append(f'    {numbers[agent.id]}["{text}"]')
    for start, target, label in _edges(pipeline):
        arrow = f'-->|"{_entities(label)}"|' if label else "-->"
        lines.append(f"    {numbers[start]} {arrow} {numbers[target]}")
    return "\n".join(lines)


def _entities(text: str) -> str:
    """`text` as Mermaid's own entities where a character could end the label or start markup."""
    return "".join(
        char if char.isalnum() or char in " _-.,:=!()/" or ord(char) > 127 else f"#{ord(char)};"
        for char in text
    )


def dot(pipeline: Pipeline) -> str:
    lines = ["digraph pipeline {", "  node [shape=box];"]
    for agent in pipeline.agents:
        text = "\\n".join(_quoted(line) for line in _label(agent))
        lines.append(f'  "{agent.id}" [label="{text}"];')
    for start, target, label in _edges(pipeline):
        attribute = f' [label="{_quoted(label)}"]' if label else ""
        lines.append(f'  "{start}" -> "{target}"{attribute};')
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
