"""A pipeline as a Mermaid flowchart and as a Graphviz graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from aqm.cli.graph import asked, facts_of, gate_of, join_of, routed
from aqm.cli.terminal import cut, safe
from aqm.pipeline.branches import forks
from aqm.pipeline.graph import first_agent, targets
from aqm.pipeline.spec import AnyAgent, Pipeline, Session

__all__ = ["dot", "mermaid"]

Shape = Literal["agent", "session", "join"]

_MERMAID: dict[Shape, tuple[str, str]] = {"agent": ("[", "]"), "session": ("{{", "}}"), "join": ("[\\", "/]")}
_DOT: dict[Shape, str] = {"agent": "", "session": ", shape=hexagon", "join": ", shape=invtrapezium"}


@dataclass(frozen=True, slots=True)
class _Arrow:
    """`forks`: it is one of several branches that open at once."""

    start: str
    target: str
    label: str = ""
    forks: bool = False


def _arrows(pipeline: Pipeline) -> Iterator[_Arrow]:
    for agent in pipeline.agents:
        for condition, rules in forks(agent).items():
            label = "" if condition == "always" else cut(condition, 60)
            ways = dict.fromkeys(name for handoff in rules for name in targets(pipeline, handoff))
            for target in ways:
                yield _Arrow(agent.id, target, label, len(ways) > 1 and condition != "auto")


def _speakers(pipeline: Pipeline) -> Iterator[tuple[str, str, str]]:
    """Participant, session, and the participant's part in it."""
    for agent in pipeline.agents:
        if isinstance(agent, Session):
            for name in agent.participants:
                yield name, agent.id, "summary" if name == agent.summary_agent else ""


def _shape(agent: AnyAgent) -> Shape:
    if isinstance(agent, Session):
        return "session"
    return "agent" if agent.join is None else "join"


def _label(pipeline: Pipeline, agent: AnyAgent) -> list[str]:
    """The lines in an agent's shape."""
    kind = facts_of(pipeline, agent)[0]
    if isinstance(agent, Session):
        kind = f"session, at most {agent.max_rounds} rounds"
    join = [f"join: opens {join_of(agent)}"] if agent.join is not None else []
    human = asked(agent)
    asks = [f"asks a person ({human.mode})"] if human else []
    gate = [f"gate: {gate_of(agent.gate)}"] if agent.gate else []
    return [" ".join(safe(agent.title).split()), kind, *join, *asks, *gate]


def _starts(pipeline: Pipeline) -> tuple[str, ...]:
    first = first_agent(pipeline)
    return routed(pipeline) or ((first,) if first else ())


# Mermaid ---------------------------------------------------------------------------------------


def mermaid(pipeline: Pipeline) -> str:
    """Agents are numbered, for ids such as `end` or `x--y` mean something to Mermaid."""
    numbers = {agent.id: f"n{number}" for number, agent in enumerate(pipeline.agents, start=1)}
    lines = ["flowchart TD"]
    if pipeline.entry_point == "auto":
        lines.append('    n0{"chosen for the task"}')
        lines += [f"    n0 -.-> {numbers[name]}" for name in _starts(pipeline)]
    else:
        lines.append('    n0(("task"))')
        lines += [f"    n0 --> {numbers[name]}" for name in _starts(pipeline)]
    for agent in pipeline.agents:
        text = "<br/>".join(_entities(line) for line in _label(pipeline, agent))
        before, after = _MERMAID[_shape(agent)]
        lines.append(f'    {numbers[agent.id]}{before}"{text}"{after}')
    for name, session, part in _speakers(pipeline):
        line = f'-. "{part}" .-' if part else "-.-"
        lines.append(f"    {numbers[session]} {line} {numbers[name]}")
    for arrow in _arrows(pipeline):
        line = "==>" if arrow.forks else "-->"
        label = f'|"{_entities(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {numbers[arrow.start]} {line}{label} {numbers[arrow.target]}")
    return "\n".join(lines)


def _entities(text: str) -> str:
    """`text` as Mermaid's own entities where a character could end the label or start markup."""
    return "".join(
        char if char.isalnum() or char in " _-.,:=!()/" or ord(char) > 127 else f"#{ord(char)};"
        for char in text
    )


# Graphviz --------------------------------------------------------------------------------------


def dot(pipeline: Pipeline) -> str:
    lines = ["digraph pipeline {", "  node [shape=box];"]
    # a space keeps our own start apart from every agent's id
    if pipeline.entry_point == "auto":
        lines.append('  "the start" [label="chosen for the task", shape=diamond];')
        lines += [f'  "the start" -> "{name}" [style=dashed];' for name in _starts(pipeline)]
    else:
        lines.append('  "the start" [label="task", shape=circle];')
        lines += [f'  "the start" -> "{name}";' for name in _starts(pipeline)]
    for agent in pipeline.agents:
        text = "\\n".join(_quoted(line) for line in _label(pipeline, agent))
        lines.append(f'  "{agent.id}" [label="{text}"{_DOT[_shape(agent)]}];')
    for name, session, part in _speakers(pipeline):
        label = f', label="{part}"' if part else ""
        lines.append(f'  "{session}" -> "{name}" [style=dotted, dir=none{label}];')
    for arrow in _arrows(pipeline):
        said = [f'label="{_quoted(arrow.label)}"'] if arrow.label else []
        said += ["style=bold"] if arrow.forks else []
        attributes = f" [{', '.join(said)}]" if said else ""
        lines.append(f'  "{arrow.start}" -> "{arrow.target}"{attributes};')
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
