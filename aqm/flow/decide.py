"""The rule of rules: an outcome becomes a decision. Total, deterministic, and without any effect.

An agent's stage goes: gate before → question before → work → questions of its own → declared output → gate
after → handoffs. A session's: gate before → rounds → summary → gate after → handoffs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from aqm.flow.asking import asked_by, gate_question, opening_question, pauses_before
from aqm.flow.decision import (
    Absent,
    Again,
    Ask,
    Decision,
    Fail,
    HandOff,
    Hold,
    Judge,
    Repair,
    Requeue,
    Routed,
    Spoke,
    Work,
)
from aqm.flow.directives import read
from aqm.flow.fields import fields, problems
from aqm.flow.gate import Verdict, command_verdict, verdict, verdict_problem
from aqm.flow.outcome import STALLS, Answer, Failure, FailureClass, Outcome, Treatment
from aqm.flow.prompt import output_repair_text
from aqm.flow.router import chosen
from aqm.flow.routing import Said, route
from aqm.flow.state import TurnKind, Waits
from aqm.flow.task import Policy, Stage, Task, Turn
from aqm.pipeline.spec import Agent, AnyAgent, Gate, Pipeline, Retry, Session

__all__ = ["MAX_LOSSES", "begin", "decide", "judged", "repairs_output", "spoken"]

MAX_LOSSES = 3  # the third worker lost to the same turn poisons it
MAX_OUTPUT_REPAIRS = 2
HOLD_FIRST, HOLD_MOST = 15.0, 900.0  # seconds; doubled from one hold to the next
UNREADABLE = "unreadable verdict"


def begin(agent: AnyAgent, stage: Stage) -> Ask | Judge | Work:
    """What a stage does first, or next after an approval of its gate `before`."""
    gate = agent.gate
    if gate is not None and gate.when == "before" and stage.verdict is None:
        return _gate(agent, gate, stage, "")
    return _begun(agent)


def decide(
    pipeline: Pipeline, policy: Policy, task: Task, stage: Stage, turn: Turn, outcome: Outcome
) -> Decision:
    """What happens after `turn` of `stage` ended with `outcome`."""
    agent = pipeline.agent(stage.agent)
    match outcome:
        case Answer():
            return _after_answer(pipeline, policy, task, stage, turn, outcome, agent)
        case Failure():
            rejection = _rejection(turn, agent, outcome)
            if rejection is not None:
                return judged(pipeline, policy, task, stage, rejection)
            return _after_failure(pipeline, agent, turn, outcome)
        case never:
            assert_never(never)


def judged(
    pipeline: Pipeline, policy: Policy, task: Task, stage: Stage, decided: Verdict
) -> Ask | Work | Repair | HandOff | Fail:
    """What follows from a gate's verdict, whoever gave it."""
    agent = pipeline.agent(stage.agent)
    gate = agent.gate or Gate()
    if not decided.approved and stage.rejections >= gate.max_retries:
        times = stage.rejections + 1
        message = f"{agent.id} was rejected {times} {'time' if times == 1 else 'times'}: {decided.reason}"
        return Fail(Failure(FailureClass.REJECTED, message), decided)
    if gate.when == "before" and decided.approved:
        return _begun(agent, decided)
    said = Said(stage.output or "", stage.fields)
    return _within_limit(route(pipeline, agent, task, stage, said, decided), pipeline, policy, task, stage)


def spoken(
    pipeline: Pipeline, policy: Policy, task: Task, stage: Stage, text: str
) -> Judge | Ask | Repair | HandOff | Fail:
    """What follows when a session has its output."""
    agent = pipeline.agent(stage.agent)
    if agent.gate is not None and agent.gate.when == "after":
        return _gate(agent, agent.gate, stage, text)
    return _routed(pipeline, policy, task, stage, agent, Said(text))


def _begun(agent: AnyAgent, decided: Verdict | None = None) -> Ask | Work:
    if isinstance(agent, Agent) and pauses_before(agent):
        return Ask(Waits.INPUT, opening_question(agent), verdict=decided)
    return Work(verdict=decided)


def _gate(
    agent: AnyAgent, gate: Gate, stage: Stage, output: str, found: Mapping[str, Any] | None = None
) -> Ask | Judge:
    if gate.type == "human":
        return Ask(Waits.GATE, gate_question(agent, gate, stage.input, output), found)
    return Judge(fields=found)


# Answers -----------------------------------------------------------------------------------------


def _after_answer(
    pipeline: Pipeline,
    policy: Policy,
    task: Task,
    stage: Stage,
    turn: Turn,
    answer: Answer,
    agent: AnyAgent,
) -> Decision:
    match turn.kind:
        case TurnKind.ROUTE:
            return Routed(chosen(pipeline, answer.text, answer.fields), "the router's answer names no agent")
        case TurnKind.SPEAK:
            keyword = agent.consensus.keyword if isinstance(agent, Session) else None
            return Spoke(read(answer.text, keyword).agrees)
        case TurnKind.SUMMARY:
            return spoken(pipeline, policy, task, stage, answer.text)
        case TurnKind.GATE:
            return _after_judge(pipeline, policy, task, stage, turn, answer, agent)
        case TurnKind.WORK | TurnKind.REPAIR:
            return _after_work(pipeline, policy, task, stage, turn, answer, agent)
        case never:
            assert_never(never)


def _after_work(
    pipeline: Pipeline,
    policy: Policy,
    task: Task,
    stage: Stage,
    turn: Turn,
    answer: Answer,
    agent: AnyAgent,
) -> Decision:
    if turn.kind is TurnKind.REPAIR and not repairs_output(agent, stage):
        said = Said(stage.output or "", stage.fields, choice=answer.text)
        return _routed(pipeline, policy, task, stage, agent, said)
    if isinstance(agent, Agent):
        questions = asked_by(agent, answer.text)
        if questions and turn.kind is TurnKind.WORK:
            return Ask(Waits.INPUT, "\n".join(questions))
        if agent.output is not None:
            return _after_output(pipeline, policy, task, stage, turn, answer, agent, agent.output)
    return _checked(pipeline, policy, task, stage, agent, answer.text, None)


def repairs_output(agent: AnyAgent, stage: Stage) -> bool:
    """Whether a repair turn of this stage is about the declared output: that is checked before all else."""
    return isinstance(agent, Agent) and agent.output is not None and stage.fields is None


def _after_output(
    pipeline: Pipeline,
    policy: Policy,
    task: Task,
    stage: Stage,
    turn: Turn,
    answer: Answer,
    agent: Agent,
    schema: Mapping[str, Any],
) -> Decision:
    found = dict(fields(answer.text, answer.fields, declared=True))
    wrong = problems(found, schema)
    if not wrong:
        return _checked(pipeline, policy, task, stage, agent, answer.text, found)
    if turn.repairs < MAX_OUTPUT_REPAIRS:
        return Repair(output_repair_text(wrong, schema))
    message = f"{agent.id} did not give its declared output: {'; '.join(wrong)}"
    return Fail(Failure(FailureClass.OUTPUT_INVALID, message))


def _checked(
    pipeline: Pipeline,
    policy: Policy,
    task: Task,
    stage: Stage,
    agent: AnyAgent,
    text: str,
    found: Mapping[str, Any] | None,
) -> Decision:
    if agent.gate is not None and agent.gate.when == "after":
        return _gate(agent, agent.gate, stage, text, found)
    return _routed(pipeline, policy, task, stage, agent, Said(text, found))


def _routed(
    pipeline: Pipeline, policy: Policy, task: Task, stage: Stage, agent: AnyAgent, said: Said
) -> Repair | HandOff | Fail:
    decision = route(pipeline, agent, task, stage, said, stage.verdict)
    return _within_limit(decision, pipeline, policy, task, stage)


def _after_judge(
    pipeline: Pipeline,
    policy: Policy,
    task: Task,
    stage: Stage,
    turn: Turn,
    answer: Answer,
    agent: AnyAgent,
) -> Decision:
    commands = agent.gate is not None and agent.gate.type == "command"
    if commands and answer.fields is None:  # a script's rehearsal of a command may give a verdict
        return judged(pipeline, policy, task, stage, Verdict(approved=True, reason=""))
    found = verdict(answer.text, answer.fields)
    if found is None and turn.repairs == 0 and not commands:
        return Judge(repair=verdict_problem(answer.text, answer.fields))
    return judged(pipeline, policy, task, stage, found or Verdict(approved=False, reason=UNREADABLE))


def _rejection(turn: Turn, agent: AnyAgent, failure: Failure) -> Verdict | None:
    """A gate's command that ended with an exit code of its own has judged."""
    commands = turn.kind is TurnKind.GATE and agent.gate is not None and agent.gate.type == "command"
    return command_verdict(failure) if commands else None


# Failures ----------------------------------------------------------------------------------------


def _after_failure(pipeline: Pipeline, agent: AnyAgent, turn: Turn, failure: Failure) -> Decision:
    who = pipeline.find(turn.agent) or agent
    treatment = failure.remedy.treatment
    decision: Again | Requeue | Fail
    match treatment:
        case Treatment.RETRY:
            decision = _retried(who, turn, failure)
        case Treatment.WAIT:
            return Hold(_hold(turn, failure), failure, failure.kind in STALLS)
        case Treatment.REQUEUE:
            decision = _after_loss(who, turn, failure)
        case Treatment.FAIL:
            decision = Fail(failure)
        case never:
            assert_never(never)
    if isinstance(decision, Fail) and turn.kind is TurnKind.SPEAK:
        return Absent(decision.failure)
    if isinstance(decision, Fail) and turn.kind is TurnKind.ROUTE:
        return Routed(None, f"the router failed: {failure.kind.value}")
    return decision


def _retried(agent: AnyAgent, turn: Turn, failure: Failure) -> Again | Fail:
    policy = agent.retry if isinstance(agent, Agent) else Retry()
    if turn.failures >= policy.max_retries:
        return Fail(failure)
    return Again(policy.backoff, failure, policy.fallback_context_strategy or turn.strategy)


def _after_loss(agent: AnyAgent, turn: Turn, failure: Failure) -> Requeue | Fail:
    if turn.losses + 1 < MAX_LOSSES:
        return Requeue(failure)
    message = f"{agent.id} lost {MAX_LOSSES} workers in a row; it is not tried again"
    return Fail(Failure(FailureClass.POISONED, message))


def _hold(turn: Turn, failure: Failure) -> float:
    if failure.resets_in is not None:
        return max(failure.resets_in, 1.0)
    return float(min(HOLD_FIRST * 2 ** min(turn.holds, 10), HOLD_MOST))


def _within_limit(
    decision: Repair | HandOff | Fail, pipeline: Pipeline, policy: Policy, task: Task, stage: Stage
) -> Repair | HandOff | Fail:
    if not isinstance(decision, HandOff):
        return decision
    opened = [arrival.agent for arrival in decision.arrivals]
    if len(opened) > policy.fan_out:
        message = f"{stage.agent} hands over to {len(opened)} at once, and limits.fan_out is {policy.fan_out}"
        return Fail(Failure(FailureClass.STAGE_LIMIT, message), decision.verdict)
    if stage.branch or len(opened) > 1:  # in a branch a join mostly waits, or has gone on
        opened = [name for name in opened if pipeline.agent(name).join is None]
    if task.stages + len(opened) <= policy.max_stages:
        return decision
    names = ", ".join(opened)
    message = f"{names} would be stage {task.stages + 1}, and max_stages is {policy.max_stages}"
    return Fail(Failure(FailureClass.STAGE_LIMIT, message), decision.verdict)
