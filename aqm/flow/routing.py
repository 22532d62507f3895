"""Which handoffs fire: the rules of an agent, its answer and the verdict become arrivals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aqm.flow.decision import Arrival, Fail, HandOff, Repair
from aqm.flow.directives import ANYBODY, read
from aqm.flow.fields import fields
from aqm.flow.gate import Verdict
from aqm.flow.outcome import Failure, FailureClass
from aqm.flow.prompt import PayloadValues, handoff_repair_text, render_payload
from aqm.flow.task import Stage, Task
from aqm.pipeline.conditions import Comparison, ConditionError, Facts, compile_condition, field_of, holds
from aqm.pipeline.spec import AnyAgent, Handoff, Pipeline
from aqm.pipeline.templates import TemplateError

__all__ = ["Said", "route"]

AUTO = "auto"
_FIELD = "handoff"  # the field that counts like HANDOFF: lines


@dataclass(frozen=True, slots=True)
class Said:
    """An answer as handoffs look at it. `fields` are those of a declared output; `choice` is the answer to
    the request to name who comes next."""

    text: str
    fields: Mapping[str, Any] | None = None
    choice: str | None = None


@dataclass(frozen=True, slots=True)
class _Fired:
    """The rules that fire, each with its targets; and what could not be decided."""

    rules: tuple[tuple[Handoff, tuple[str, ...]], ...]
    misses: tuple[str, ...] = ()
    unrouted: tuple[str, ...] | None = None  # lines that named nobody, when an `auto` rule found no target


def route(
    pipeline: Pipeline,
    agent: AnyAgent,
    task: Task,
    stage: Stage,
    said: Said,
    verdict: Verdict | None,
) -> HandOff | Repair | Fail:
    """The arrivals that the agent's handoffs send on, in declared order and each agent once."""
    facts = Facts(
        output=fields(said.text) if said.fields is None else said.fields,
        text=said.text,
        input=stage.input,
        approved=verdict.approved if verdict else None,
        reason=verdict.reason if verdict else "",
        params=task.params,
        visits=stage.visit,
        stages=task.stages,
    )
    try:
        fired = _fired(pipeline, agent, facts, said)
        if fired.unrouted is not None:
            return _unrouted(pipeline, agent, said, fired.unrouted, verdict)
        arrivals = _arrivals(fired, facts)
    except ConditionError as error:
        return Fail(Failure(FailureClass.CONDITION_ERROR, str(error)), verdict)
    except TemplateError as error:
        message = f"a payload of {agent.id} cannot be rendered: {error}"
        return Fail(Failure(FailureClass.CONDITION_ERROR, message), verdict)
    if not arrivals and verdict is not None and not verdict.approved:
        message = f"{agent.id} was rejected, and no on_reject route: {verdict.reason}"
        return Fail(Failure(FailureClass.REJECTED, message), verdict)
    unmatched = () if arrivals else tuple(handoff.condition for handoff in agent.handoffs)
    return HandOff(arrivals, verdict, fired.misses, unmatched)


def _fired(pipeline: Pipeline, agent: AnyAgent, facts: Facts, said: Said) -> _Fired:
    rules: list[tuple[Handoff, tuple[str, ...]]] = []
    misses: list[str] = []
    unrouted: tuple[str, ...] | None = None
    for handoff in agent.handoffs:
        condition = compile_condition(handoff.condition)
        if isinstance(condition, Comparison) and field_of(condition, facts.output) is None:
            misses.append(handoff.condition)
        if handoff.condition.strip() == AUTO and facts.approved is not False:
            found, invalid = _named(pipeline, handoff, facts, said)
            if found:
                rules.append((handoff, found))
            else:
                unrouted = invalid
        elif holds(condition, facts):
            rules.append((handoff, handoff.to))
    if rules and unrouted is not None and any(handoff.condition.strip() == AUTO for handoff, _ in rules):
        unrouted = None  # of two `auto` rules one has found its target
    if not rules and (unrouted is None or said.choice is not None):  # asked in vain: the default is left
        rules = [(each, each.to) for each in agent.handoffs if each.condition.strip() == "default"]
        unrouted = None if rules else unrouted
    return _Fired(tuple(rules), tuple(misses), unrouted)


def _named(
    pipeline: Pipeline, handoff: Handoff, facts: Facts, said: Said
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The targets that the answer names, all of them valid, or none; and the lines that named nobody."""
    allowed = pipeline.ids if ANYBODY in handoff.to else handoff.to
    spoken = read(said.text if said.choice is None else said.choice)
    lists = spoken.handoffs
    targets: list[str] = []
    invalid = [line for line in spoken.invalid if "HANDOFF" in line.upper()]
    if not lists and not invalid and said.choice is None:
        lists = _in_field(facts.output)
    for names in lists:
        if all(name in allowed for name in names):
            targets += names
        else:
            invalid.append(f"HANDOFF: {', '.join(names)}")
    return tuple(dict.fromkeys(targets)), tuple(invalid)


def _in_field(found: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    key = next((name for name in found if name.casefold() == _FIELD), None)
    value = found[key] if key is not None else None
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        return ()
    names = tuple(name.strip() for name in value if name.strip())
    return (names,) if names else ()


def _unrouted(
    pipeline: Pipeline, agent: AnyAgent, said: Said, invalid: tuple[str, ...], verdict: Verdict | None
) -> Repair | Fail:
    choices = _choices(pipeline, agent)
    if said.choice is None:
        return Repair(handoff_repair_text(choices, invalid), said.fields, verdict)
    message = f"{agent.id} was asked who comes next, and named none of: {', '.join(choices)}"
    return Fail(Failure(FailureClass.UNROUTED, message), verdict)


def _choices(pipeline: Pipeline, agent: AnyAgent) -> tuple[str, ...]:
    rules = [handoff for handoff in agent.handoffs if handoff.condition.strip() == AUTO]
    named = [name for rule in rules for name in (pipeline.ids if ANYBODY in rule.to else rule.to)]
    return tuple(dict.fromkeys(named))


def _arrivals(fired: _Fired, facts: Facts) -> tuple[Arrival, ...]:
    arrivals: dict[str, Arrival] = {}
    for handoff, targets in fired.rules:
        payload = render_payload(handoff, _values(facts))
        for target in targets:
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
