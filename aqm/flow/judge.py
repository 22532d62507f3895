"""Who judges: the runtime and the model of a gate's turn."""

from __future__ import annotations

from aqm.flow.task import Policy
from aqm.pipeline.spec import Agent, AnyAgent, Pipeline

__all__ = ["judge", "runtime_of_model"]

_FAMILIES = {
    "claude": ("claude-",),
    "gemini": ("gemini-",),
    "codex": ("gpt-", "codex-", "o1", "o3", "o4"),
}


def judge(policy: Policy, pipeline: Pipeline, agent: AnyAgent) -> tuple[str, str | None]:
    """`gate.runtime`, else the runtime that owns the name of `gate.model`, else the config's, else the
    agent's own; a session's is its first participant's."""
    gate = agent.gate
    model = gate.model if gate else None
    named = (gate.runtime if gate else None) or runtime_of_model(model)
    if named is None:
        named = policy.gate_runtime or runtime_of_model(policy.gate_model)
    runtime = named or _own(pipeline, agent)
    return runtime, model or _fitting(policy.gate_model, runtime)


def runtime_of_model(model: str | None) -> str | None:
    """The CLI that a model's name belongs to, or None when the name does not tell."""
    for runtime, prefixes in _FAMILIES.items():
        if model and model.lower().startswith(prefixes):
            return runtime
    return None


def _fitting(model: str | None, runtime: str) -> str | None:
    """The config's model, unless it belongs to another CLI than the one that judges."""
    return model if runtime_of_model(model) in (None, runtime) else None


def _own(pipeline: Pipeline, agent: AnyAgent) -> str:
    if isinstance(agent, Agent):
        return agent.runtime
    return _own(pipeline, pipeline.agent(agent.participants[0]))
