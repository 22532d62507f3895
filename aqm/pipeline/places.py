"""The templates of an agent: what they are, which variables they have, and where their lines stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from aqm.document.nodes import Place, Scalar
from aqm.pipeline.sources import Sources
from aqm.pipeline.spec import Agent, AnyAgent

__all__ = [
    "GATE_VARIABLES",
    "JOIN_VARIABLES",
    "PAYLOAD_VARIABLES",
    "PROMPT_VARIABLES",
    "Template",
    "template_place",
    "templates_of",
]

GATE_VARIABLES = frozenset({"input", "output"})
PAYLOAD_VARIABLES = GATE_VARIABLES | {"reject_reason", "gate_result", "fields", "params"}
PROMPT_VARIABLES = GATE_VARIABLES | {
    *("context", "transcript", "chunks", "params", "task", "stage"),
    *("reject_reason", "gate_result"),
}
JOIN_VARIABLES = frozenset({"inputs"})  # the payload of each branch, by the agent that handed it on


class Template(NamedTuple):
    path: tuple[str | int, ...]
    source: str
    variables: frozenset[str]


def templates_of(agent: AnyAgent) -> Iterator[Template]:
    if isinstance(agent, Agent):
        names = PROMPT_VARIABLES if agent.join is None else PROMPT_VARIABLES | JOIN_VARIABLES
        yield Template(("system_prompt",), agent.system_prompt, names)
    if agent.gate is not None:
        yield Template(("gate", "prompt"), agent.gate.prompt, GATE_VARIABLES)
    for number, handoff in enumerate(agent.handoffs):
        yield Template(("handoffs", number, "payload"), handoff.payload, PAYLOAD_VARIABLES)


def template_place(sources: Sources, agent: AnyAgent, template: Template, line: int | None) -> Place:
    """The place of the template's `line`; a folded text (`>`) has lost its lines."""
    place = sources.place(agent.id, *template.path)
    node = sources.node(agent.id, *template.path)
    in_block = isinstance(node, Scalar) and node.style == "|"
    if in_block and line is not None and place.line is not None:
        return replace(place, line=place.line + line, column=None)
    return place
