"""Who judges: the runtime and the model of a gate's turn."""

from __future__ import annotations

from aqm.flow.task import Policy
from aqm.pipeline.models import model_runtime, runtime_of_model
from aqm.pipeline.spec import AnyAgent, Pipeline

__all__ = ["judge"]


def judge(policy: Policy, pipeline: Pipeline, agent: AnyAgent) -> tuple[str, str | None]:
    """`gate.runtime`, else the runtime that owns the name of `gate.model`, else the config's, else the
    agent's own, or what stands in for a command."""
    gate = agent.gate
    model = gate.model if gate else None
    named = (gate.runtime if gate else None) or runtime_of_model(model)
    if named is None:
        named = policy.gate_runtime or runtime_of_model(policy.gate_model)
    runtime = named or model_runtime(pipeline, agent)
    return runtime, model or _fitting(policy.gate_model, runtime)


def _fitting(model: str | None, runtime: str) -> str | None:
    """The config's model, unless it belongs to another CLI than the one that judges."""
    return model if runtime_of_model(model) in (None, runtime) else None
