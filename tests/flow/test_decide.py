"""Every outcome leads to a decision: tables of cases, and that the rule is total and deterministic."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqm.flow.decide import MAX_LOSSES, decide
from aqm.flow.decision import Again, Decision, Fail, HandOff, Hold, Judge, Requeue
from aqm.flow.outcome import FAILURES, Answer, Failure, FailureClass, Outcome, Treatment
from aqm.flow.state import TurnKind
from aqm.flow.task import Policy, Stage, Task, Turn
from aqm.pipeline.spec import Pipeline

APPROVED = '{"decision": "approved", "reason": "fine"}'
REJECTED = '{"decision": "rejected", "reason": "no tests"}'
WORK, GATE = Turn(TurnKind.WORK), Turn(TurnKind.GATE)


def pipeline(*agents: dict[str, Any]) -> Pipeline:
    listed = [{"type": "agent", "runtime": "claude", **agent} for agent in agents]
    return Pipeline.model_validate({"agents": listed, "own": [agent["id"] for agent in agents]})


LINE = pipeline({"id": "dev", "handoffs": [{"to": "qa"}]}, {"id": "qa"})
GATED = pipeline(
    {
        "id": "dev",
        "gate": {"max_retries": 2},
        "handoffs": [
            {"to": "qa", "condition": "on_approve"},
            {"to": "dev", "condition": "on_reject", "payload": "fix: {{ reject_reason }}"},
        ],
    },
    {"id": "qa"},
)


def after(
    outcome: Outcome,
    *,
    of: Pipeline = LINE,
    turn: Turn = WORK,
    policy: Policy | None = None,
    **stage: Any,
) -> Decision:
    made = Stage(**{"number": 1, "agent": "dev", "input": "the task", **stage})
    return decide(of, policy or Policy(), Task("T-1", stages=made.number), made, turn, outcome)


def test_an_answer_is_handed_to_the_next_agent():
    decision = after(Answer("v1"))
    assert isinstance(decision, HandOff)
    assert [(arrival.agent, arrival.payload) for arrival in decision.arrivals] == [("qa", "v1")]


def test_an_agent_without_handoffs_ends_its_branch_well():
    assert after(Answer("v1"), agent="qa") == HandOff()


def test_the_work_of_a_gated_agent_is_judged_first():
    assert after(Answer("v1"), of=GATED) == Judge()


def test_an_approval_goes_on_with_the_work_that_was_judged():
    decision = after(Answer(APPROVED), of=GATED, turn=GATE, output="v1")
    assert isinstance(decision, HandOff)
    assert [(arrival.agent, arrival.payload) for arrival in decision.arrivals] == [("qa", "v1")]
    assert decision.verdict
    assert decision.verdict.approved


def test_a_rejection_sends_the_work_back_with_the_reason():
    decision = after(Answer(REJECTED), of=GATED, turn=GATE, output="v1")
    assert isinstance(decision, HandOff)
    assert [(arrival.agent, arrival.payload) for arrival in decision.arrivals] == [("dev", "fix: no tests")]


@pytest.mark.parametrize(("rejections", "fails"), [(0, False), (1, False), (2, True), (3, True)])
def test_one_rejection_more_than_allowed_fails_the_stage(rejections: int, fails: bool):
    decision = after(Answer(REJECTED), of=GATED, turn=GATE, output="v1", rejections=rejections)
    assert isinstance(decision, Fail) == fails
    if isinstance(decision, Fail):
        assert decision.failure.kind is FailureClass.REJECTED
        assert "no tests" in decision.failure.message


def test_a_rejection_without_a_route_fails_instead_of_completing():
    no_route = pipeline(
        {"id": "dev", "gate": {}, "handoffs": [{"to": "qa", "condition": "on_approve"}]}, {"id": "qa"}
    )
    decision = after(Answer(REJECTED), of=no_route, turn=GATE, output="v1")
    assert isinstance(decision, Fail)
    assert decision.failure.message.startswith("dev was rejected, and no on_reject route")


@pytest.mark.parametrize(
    "said",
    [
        "This cannot be approved",
        "approved",
        "I have not yet approved this",
        f"Sure! {APPROVED}",
        '{"decision": "approved"}',
        '{"decision": "Approved!", "reason": ""}',
        "",
    ],
)
def test_what_is_no_verdict_is_repaired_once_and_then_a_rejection(said: str):
    first = after(Answer(said), of=GATED, turn=GATE, output="v1")
    assert isinstance(first, Judge)
    assert first.repair
    second = after(Answer(said), of=GATED, turn=Turn(TurnKind.GATE, repairs=1), output="v1")
    assert isinstance(second, HandOff)
    assert second.verdict
    assert (second.verdict.approved, second.verdict.reason) == (False, "unreadable verdict")


@pytest.mark.parametrize(
    "kind", [kind for kind in FailureClass if FAILURES[kind].treatment is Treatment.RETRY]
)
def test_a_failure_that_may_pass_is_retried_by_the_agent_s_policy(kind: FailureClass):
    policy = {"max_retries": 2, "backoff": 7, "fallback_context_strategy": "last_only"}
    patient = pipeline({"id": "dev", "retry": policy})
    decision = after(Failure(kind, "x"), of=patient, turn=Turn(TurnKind.WORK, failures=1))
    assert isinstance(decision, Again)
    assert (decision.delay, decision.strategy) == (7, "last_only")
    assert isinstance(after(Failure(kind, "x"), of=patient, turn=Turn(TurnKind.WORK, failures=2)), Fail)
    assert isinstance(after(Failure(kind, "x")), Fail)


@pytest.mark.parametrize(
    "kind", [kind for kind in FailureClass if FAILURES[kind].treatment is Treatment.FAIL]
)
def test_a_failure_that_cannot_pass_is_not_retried(kind: FailureClass):
    assert isinstance(
        after(Failure(kind, "x"), of=pipeline({"id": "dev", "retry": {"max_retries": 9}})), Fail
    )


def test_a_rate_limit_waits_until_the_vendor_s_time_and_spends_nothing():
    decision = after(Failure(FailureClass.RATE_LIMITED, "x", resets_in=321))
    assert isinstance(decision, Hold)
    assert (decision.delay, decision.stalls) == (321, False)


def test_an_overload_without_a_time_waits_longer_each_time_up_to_a_limit():
    delays = []
    for holds in range(12):
        decision = after(Failure(FailureClass.OVERLOADED, "x"), turn=Turn(TurnKind.WORK, holds=holds))
        assert isinstance(decision, Hold)
        delays.append(decision.delay)
    assert delays == sorted(delays)
    assert delays[0] == 15
    assert delays[-1] == 900


def test_a_missing_cli_stalls_the_task():
    decision = after(Failure(FailureClass.CLI_MISSING, "x"))
    assert isinstance(decision, Hold)
    assert decision.stalls


def test_a_lost_worker_is_no_retry_until_it_is_poison():
    for losses in range(MAX_LOSSES - 1):
        turn = Turn(TurnKind.WORK, failures=9, losses=losses)
        assert isinstance(after(Failure(FailureClass.WORKER_LOST, "x"), turn=turn), Requeue)
    decision = after(Failure(FailureClass.WORKER_LOST, "x"), turn=Turn(TurnKind.WORK, losses=MAX_LOSSES - 1))
    assert isinstance(decision, Fail)
    assert decision.failure.kind is FailureClass.POISONED


def test_a_stage_more_than_allowed_fails_with_the_limit_named():
    decision = after(Answer("v"), number=20)
    assert isinstance(decision, Fail)
    assert decision.failure.kind is FailureClass.STAGE_LIMIT
    assert "max_stages is 20" in decision.failure.message
    assert isinstance(after(Answer("v"), number=19), HandOff)
    assert after(Answer("v"), number=20, agent="qa") == HandOff()


FIELDS = pipeline(
    {
        "id": "dev",
        "handoffs": [
            {"to": "a", "condition": "severity == critical"},
            {"to": "b", "condition": 'severity in ["high", "medium"]'},
            {"to": "c", "condition": "output.count > 3"},
            {"to": "d", "condition": "default"},
        ],
    },
    *({"id": name} for name in "abcd"),
)


@pytest.mark.parametrize(
    ("said", "goes_to"),
    [
        ("severity: critical\ncount: 1", ["a"]),
        ("Severity: **HIGH**\ncount: 1", ["b"]),
        ('It is not critical.\n```json\n{"severity": "low", "count": 4}\n```', ["c"]),
        ('```json\n{"severity": "critical", "count": 4}\n```', ["a", "c"]),
        ('not critical at all\n```json\n{"severity": "low", "count": 1}\n```', ["d"]),
    ],
)
def test_conditions_compare_fields_and_default_fires_when_nothing_else_does(said: str, goes_to: list[str]):
    decision = after(Answer(said), of=FIELDS)
    if isinstance(decision, Fail):  # the lines give text, and text is not compared with 3
        assert decision.failure.kind is FailureClass.CONDITION_ERROR
        assert "output.count > 3" in decision.failure.message
        return
    assert isinstance(decision, HandOff)
    assert [arrival.agent for arrival in decision.arrivals] == goes_to


def test_a_missing_field_of_a_comparison_is_false_and_reported():
    line = pipeline({"id": "dev", "handoffs": [{"to": "qa", "condition": "ok == yes"}]}, {"id": "qa"})
    assert after(Answer("nothing"), of=line) == HandOff(misses=("ok == yes",), unmatched=("ok == yes",))


def test_an_agent_that_two_rules_name_gets_one_arrival():
    twice = pipeline(
        {"id": "dev", "handoffs": [{"to": "qa"}, {"to": "qa", "condition": "on_pass"}]}, {"id": "qa"}
    )
    decision = after(Answer("v"), of=twice)
    assert isinstance(decision, HandOff)
    assert len(decision.arrivals) == 1


def test_what_an_agent_says_is_never_template_source():
    decision = after(Answer("{{ params }} {% for x in range(9) %}x{% endfor %}"))
    assert isinstance(decision, HandOff)
    assert decision.arrivals[0].payload == "{{ params }} {% for x in range(9) %}x{% endfor %}"


OUTCOMES = st.one_of(
    st.builds(Answer, st.one_of(st.text(), st.sampled_from([APPROVED, REJECTED, "severity: high"]))),
    st.builds(Failure, st.sampled_from(FailureClass), st.text()),
)
TURNS = st.builds(
    Turn,
    st.sampled_from([TurnKind.WORK, TurnKind.GATE]),
    repairs=st.integers(0, 2),
    failures=st.integers(0, 5),
    losses=st.integers(0, 5),
    holds=st.integers(0, 100),
)


@given(OUTCOMES, TURNS, st.sampled_from([LINE, GATED, FIELDS]), st.integers(1, 30), st.integers(0, 9))
def test_every_outcome_of_every_turn_has_one_decision(
    outcome: Outcome, turn: Turn, of: Pipeline, number: int, rejections: int
):
    first = after(outcome, of=of, turn=turn, number=number, rejections=rejections, output="v")
    assert isinstance(first, get_args(Decision))
    assert first == after(outcome, of=of, turn=turn, number=number, rejections=rejections, output="v")
