"""The words of a pipeline that are understood and checked, and not acted on yet."""

from __future__ import annotations

from collections.abc import Iterator

from aqm.errors import Fault
from aqm.pipeline.spec import Agent, AnyAgent, Pipeline, Session

__all__ = ["unbuilt"]

_CURE = "it is understood and checked, but not run yet"


def unbuilt(pipeline: Pipeline) -> tuple[Fault, ...]:
    """Words that would change what happens and that the engine does not act on yet: a run is refused rather
    than done otherwise than written."""
    faults = [] if pipeline.entry_point == "first" else [Fault("entry_point: auto", cure=_CURE)]
    for agent in pipeline.agents:
        at = f"agent {agent.id}"
        faults += [Fault(word, at=at, cure=_CURE) for word in _words(agent)]
    return tuple(faults)


def _words(agent: AnyAgent) -> Iterator[str]:
    if isinstance(agent, Session):
        yield "type: session"
    else:
        yield from _agent_words(agent)
    if agent.gate is not None and agent.gate.type != "llm":
        yield f"gate type {agent.gate.type}"
    if agent.join is not None:
        yield "join"
    for handoff in agent.handoffs:
        if handoff.condition == "auto" or "*" in handoff.to:
            yield "condition: auto"
        if len(handoff.to) > 1:
            yield "a handoff to several agents"


def _agent_words(agent: Agent) -> Iterator[str]:
    if agent.human_input is not None and agent.human_input.enabled:
        yield "human_input"
    if agent.output is not None:
        yield "output"
    if agent.chunks is not None and agent.chunks.enabled:
        yield "chunks"
    if agent.conversation == "resume":
        yield "conversation: resume"
    if agent.workspace in ("isolated", "none"):
        yield f"workspace: {agent.workspace}"
    if agent.verify is not None:
        yield "verify"
