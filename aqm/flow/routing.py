"""Which handoffs fire: the rules of an agent, its answer and the verdict become arrivals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aqm.flow.decision import Arrival, Fail, HandOff
from aqm.flow.fields import fields
from aqm.flow.gate import Verdict
from aqm.flow.outcome import Failure, FailureClass
from aqm.flow.prompt import PayloadValues, render_payload
from aqm.flow.task import Stage, Task
from aqm.pipeline.conditions import Comparison, ConditionError, Facts, compile_condition, field_of, holds
from aqm.pipeline.spec import AnyAgent, Handoff, Pipeline
from aqm.pipeline.templates import TemplateError

__all__ = ["route"]


def route(
    pipeline: Pipeline,
    agent: AnyAgent,
    task: Task,
    stage: Stage,
    text: str,
    structured: Mapping[str, Any] | None,
    verdict: Verdict | None,
) -> HandOff | Fail:
    """The arrivals that the agent's handoffs send on, in declared order and each agent once."""
    facts = Facts(
        output=fields(text, structured),
        text=text,
        input=stage.input,
        approved=verdict.approved if verdict else None,
        reason=verdict.reason if verdict else "",
        params=task.params,
        visits=stage.visit,
        stages=task.stages,
    )
    try:
        fired, misses = _fired(agent, facts)
        arrivals = _arrivals(fired, facts, task)
    except ConditionError as error:
        return Fail(Failure(FailureClass.CONDITION_ERROR, str(error)), verdict)
    except TemplateError as error:
        message = f"a payload of {agent.id} cannot be rendered: {error}"
        return Fail(Failure(FailureClass.CONDITION_ERROR, message), verdict)
    if not arrivals and verdict is not None and not verdict.approved:
        message = f"{agent.id} was rejected, and no on_reject route: {verdict.reason}"
        return Fail(Failure(FailureClass.REJECTED, message), verdict)
    unmatched = () if arrivals else tuple(handoff.condition for handoff in agent.handoffs)
    return HandOff(arrivals, verdict, misses, unmatched)


def _fired(agent: AnyAgent, facts: Facts) -> tuple[list[Handoff], tuple[str, ...]]:
    fired: list[Handoff] = []
    misses: list[str] = []
    for handoff in agent.handoffs:
        condition = compile_condition(handoff.condition)
        if isinstance(condition, Comparison) and field_of(condition, facts.output) is None:
            misses.append(handoff.condition)
        if holds(condition, facts):
            fired.append(handoff)
    if not fired:
        fired = [handoff for handoff in agent.handoffs if handoff.condition.strip() == "default"]
    return fired, tuple(misses)


def _arrivals(fired: list[Handoff], facts: Facts, task: Task) -> tuple[Arrival, ...]:
    arrivals: dict[str, Arrival] = {}
    for handoff in fired:
        payload = render_payload(handoff, _values(facts))
        for target in handoff.to:
            arrivals.setdefault(target, Arrival(target, payload, handoff.condition))
    return tuple(arrivals.values())


def _values(facts: Facts) -> PayloadValues:
    return PayloadValues(
        output=facts.text,
        input=facts.input,
        reject_reason=facts.reason if facts.approved is False else "",
        gate_result={True: "approved", False: "rejected", None: ""}[facts.approved],
        fields=facts.output,
        params=facts.params,
    )
