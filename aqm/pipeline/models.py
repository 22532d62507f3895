"""Whose a model is: the CLI that a model's name belongs to, and the runtime that stands in for a command."""

from __future__ import annotations

from aqm.pipeline.spec import Agent, AnyAgent, Pipeline

__all__ = ["COMMAND", "model_runtime", "runtime_of_model"]

COMMAND = "command"
FALLBACK = "claude"
_FAMILIES = {
    "claude": ("claude-",),
    "gemini": ("gemini-",),
    "codex": ("gpt-", "codex-", "o1", "o3", "o4"),
}


def runtime_of_model(model: str | None) -> str | None:
    """The CLI that a model's name belongs to, or None when the name does not tell."""
    for runtime, prefixes in _FAMILIES.items():
        if model and model.lower().startswith(prefixes):
            return runtime
    return None


def model_runtime(pipeline: Pipeline, agent: AnyAgent) -> str:
    """The agent's own runtime, a session's first participant's. A `command` is no model that could be asked:
    then the first agent's that has one, else claude."""
    first = agent if isinstance(agent, Agent) else pipeline.agent(agent.participants[0])
    runtimes = [each.runtime for each in (first, *pipeline.agents) if isinstance(each, Agent)]
    return next((runtime for runtime in runtimes if runtime != COMMAND), FALLBACK)
