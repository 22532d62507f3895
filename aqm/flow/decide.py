"""The rule of rules: an outcome becomes a decision. Total, deterministic, and without any effect."""

from __future__ import annotations

from typing import assert_never

from aqm.flow.decision import Again, Decision, Fail, HandOff, Hold, Judge, Requeue
from aqm.flow.gate import Verdict, verdict, verdict_problem
from aqm.flow.outcome import Answer, Failure, FailureClass, Outcome, Treatment
from aqm.flow.routing import route
from aqm.flow.state import TurnKind
from aqm.flow.task import Policy, Stage, Task, Turn
from aqm.pipeline.spec import Agent, AnyAgent, Gate, Pipeline, Retry

__all__ = ["MAX_LOSSES", "decide"]

MAX_LOSSES = 3  # the third worker lost to the same turn poisons it
HOLD_FIRST, HOLD_MOST = 15.0, 900.0  # seconds; doubled from one hold to the next
UNREADABLE = "unreadable verdict"


def decide(
    pipeline: Pipeline, policy: Policy, task: Task, stage: Stage, turn: Turn, outcome: Outcome
) -> Decision:
    """What happens after `turn` of `stage` ended with `outcome`."""
    agent = pipeline.agent(stage.agent)
    match outcome:
        case Answer():
            decision = _after_answer(pipeline, task, stage, turn, outcome, agent)
        case Failure():
            decision = _after_failure(agent, turn, outcome)
        case never:
            assert_never(never)
    if isinstance(decision, HandOff):
        return _within_limit(decision, policy, task)
    return decision


def _after_answer(
    pipeline: Pipeline, task: Task, stage: Stage, turn: Turn, answer: Answer, agent: AnyAgent
) -> Decision:
    if turn.kind is TurnKind.GATE:
        return _after_judge(pipeline, task, stage, turn, answer, agent)
    if agent.gate is not None and agent.gate.type == "llm":
        return Judge()
    return route(pipeline, agent, task, stage, answer.text, answer.fields, None)


def _after_judge(
    pipeline: Pipeline, task: Task, stage: Stage, turn: Turn, answer: Answer, agent: AnyAgent
) -> Decision:
    found = verdict(answer.text, answer.fields)
    if found is None and turn.repairs == 0:
        return Judge(repair=verdict_problem(answer.text, answer.fields))
    decided = found or Verdict(approved=False, reason=UNREADABLE)
    if not decided.approved and stage.rejections >= _gate(agent).max_retries:
        times = stage.rejections + 1
        message = f"{agent.id} was rejected {times} {'time' if times == 1 else 'times'}: {decided.reason}"
        return Fail(Failure(FailureClass.REJECTED, message), decided)
    return route(pipeline, agent, task, stage, stage.output or "", None, decided)


def _after_failure(agent: AnyAgent, turn: Turn, failure: Failure) -> Decision:
    treatment = failure.remedy.treatment
    match treatment:
        case Treatment.RETRY:
            return _retried(agent, turn, failure)
        case Treatment.WAIT:
            stalls = failure.kind in (FailureClass.CLI_MISSING, FailureClass.CLI_TOO_OLD)
            return Hold(_hold(turn, failure), failure, stalls)
        case Treatment.REQUEUE:
            return _after_loss(agent, turn, failure)
        case Treatment.FAIL:
            return Fail(failure)
        case never:
            assert_never(never)


def _retried(agent: AnyAgent, turn: Turn, failure: Failure) -> Decision:
    policy = agent.retry if isinstance(agent, Agent) else Retry()
    if turn.failures >= policy.max_retries:
        return Fail(failure)
    return Again(policy.backoff, failure, policy.fallback_context_strategy or turn.strategy)


def _after_loss(agent: AnyAgent, turn: Turn, failure: Failure) -> Decision:
    if turn.losses + 1 < MAX_LOSSES:
        return Requeue(failure)
    message = f"{agent.id} lost {MAX_LOSSES} workers in a row; it is not tried again"
    return Fail(Failure(FailureClass.POISONED, message))


def _hold(turn: Turn, failure: Failure) -> float:
    if failure.resets_in is not None:
        return max(failure.resets_in, 1.0)
    return float(min(HOLD_FIRST * 2 ** min(turn.holds, 10), HOLD_MOST))


def _within_limit(decision: HandOff, policy: Policy, task: Task) -> Decision:
    if task.stages + len(decision.arrivals) <= policy.max_stages:
        return decision
    names = ", ".join(arrival.agent for arrival in decision.arrivals)
    message = f"{names} would be stage {task.stages + 1}, and max_stages is {policy.max_stages}"
    return Fail(Failure(FailureClass.STAGE_LIMIT, message), decision.verdict)


def _gate(agent: AnyAgent) -> Gate:
    return agent.gate or Gate()
