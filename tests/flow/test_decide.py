"""Every outcome leads to a decision: tables of cases, and that the rule is total and deterministic."""

from __future__ import annotations

from typing import Any

import pytest

from aqm.flow.decide import MAX_LOSSES
from aqm.flow.decision import Again, Ask, Decision, Fail, HandOff, Hold, Judge, Repair, Requeue
from aqm.flow.gate import Verdict
from aqm.flow.outcome import FAILURES, Answer, Failure, FailureClass, Outcome, Treatment
from aqm.flow.state import TurnKind
from aqm.flow.task import Policy, Turn
from tests.flow.deciding import APPROVED, GATE, REJECTED, pipeline
from tests.flow.deciding import after as decided

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


def after(outcome: Outcome, **keys: Any) -> Decision:
    return decided(outcome, **{"of": LINE, **keys})


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


def test_a_fan_out_wider_than_allowed_fails_with_the_limit_named():
    wide = pipeline({"id": "dev", "handoffs": [{"to": ["a", "b", "c"]}]}, *({"id": name} for name in "abc"))
    decision = after(Answer("v"), of=wide, policy=Policy(fan_out=2))
    assert isinstance(decision, Fail)
    assert "limits.fan_out is 2" in decision.failure.message
    assert isinstance(after(Answer("v"), of=wide, policy=Policy(fan_out=3)), HandOff)


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


# A gate's command ----------------------------------------------------------------------------------

TESTED = pipeline(
    {
        "id": "dev",
        "retry": {"max_retries": 1},
        "gate": {"type": "command", "run": "make test", "max_retries": 1},
        "handoffs": [{"to": "qa", "condition": "on_approve"}, {"to": "dev", "condition": "on_reject"}],
    },
    {"id": "qa"},
)


def command_ends(code: int | None, printed: str = "", *, stderr: str = "", **keys: Any) -> Decision:
    message = f"sh ended with exit code {code}" + (f":\n{stderr or printed}" if stderr or printed else "")
    failure = Failure(FailureClass.CRASH, message, partial=printed, exit_code=code)
    return after(failure, of=TESTED, turn=GATE, output="v", **keys)


def verdict_of(decision: Decision) -> Verdict | None:
    assert isinstance(decision, HandOff | Fail), decision
    return decision.verdict


def test_a_gate_s_command_that_exits_0_approves_whatever_it_prints():
    decision = after(Answer("0 passed, all is rejected"), of=TESTED, turn=GATE, output="v")
    assert verdict_of(decision) == Verdict(True, "")


def test_a_gate_s_command_that_exits_with_a_code_rejects_with_what_it_printed():
    assert verdict_of(command_ends(3, "1 failed")) == Verdict(False, "1 failed")
    assert verdict_of(command_ends(3, "1 failed", stderr="make: *** 3")) == Verdict(
        False, "1 failed\nmake: *** 3"
    )
    assert verdict_of(command_ends(3)) == Verdict(False, "exit code 3")
    long = verdict_of(command_ends(1, "x" * 3_000 + "the end"))
    assert long
    assert (len(long.reason), long.reason[-7:]) == (2_000, "the end")


def test_a_gate_s_command_that_was_ended_has_not_judged():
    for failure in (
        Failure(FailureClass.TIMEOUT, "x"),
        Failure(FailureClass.CRASH, "x", exit_code=-9),
        Failure(FailureClass.CRASH, "x"),
    ):
        assert isinstance(after(failure, of=TESTED, turn=GATE, output="v"), Again)
        last = Turn(TurnKind.GATE, failures=1)
        assert isinstance(after(failure, of=TESTED, turn=last, output="v"), Fail)


def test_a_crash_of_a_judge_is_no_rejection():
    crash = Failure(FailureClass.CRASH, "x", exit_code=1)
    decision = after(crash, of=GATED, turn=GATE, output="v")
    assert isinstance(decision, Fail)
    assert decision.failure.kind is FailureClass.CRASH


def test_a_script_rehearses_a_command_s_verdict():
    said = Answer("", {"decision": "rejected", "reason": "1 failed"})
    assert verdict_of(after(said, of=TESTED, turn=GATE, output="v")) == Verdict(False, "1 failed")
    odd = after(Answer("", {"decision": "perhaps"}), of=TESTED, turn=GATE, output="v")
    assert verdict_of(odd) == Verdict(False, "unreadable verdict")


# A declared output ---------------------------------------------------------------------------------

DECLARED = pipeline(
    {
        "id": "dev",
        "output": {"severity": {"enum": ["low", "high"]}, "count": {"type": "integer"}},
        "handoffs": [
            {"to": "a", "condition": "severity == high"},
            {"to": "b", "condition": "output.count > 3"},
        ],
    },
    {"id": "a"},
    {"id": "b"},
)
GOOD = '{"severity": "high", "count": 4}'


@pytest.mark.parametrize(
    "answer",
    [
        Answer(GOOD),
        Answer(f"Here:\n```json\n{GOOD}\n```"),
        Answer("I think it is high.", {"severity": "high", "count": 4}),
    ],
)
def test_a_declared_output_is_read_from_the_answer_and_checked(answer: Answer):
    decision = after(answer, of=DECLARED)
    assert isinstance(decision, HandOff)
    assert [arrival.agent for arrival in decision.arrivals] == ["a", "b"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer("severity: high\ncount: 4"),
        Answer("nothing"),
        Answer('{"severity": "odd", "count": 4}'),
        Answer('{"severity": "high"}'),
        Answer('{"severity": "high", "count": 4, "more": 1}'),
        Answer(GOOD, {"severity": "high", "count": "4"}),
        Answer("", {}),
    ],
)
def test_an_output_that_does_not_fit_is_repaired_twice_and_then_fails(answer: Answer):
    for turn in (Turn(TurnKind.WORK), Turn(TurnKind.REPAIR, repairs=1)):
        decision = after(answer, of=DECLARED, turn=turn, output="v" if turn.repairs else None)
        assert isinstance(decision, Repair)
        assert "severity" in decision.note
    last = after(answer, of=DECLARED, turn=Turn(TurnKind.REPAIR, repairs=2), output="v")
    assert isinstance(last, Fail)
    assert last.failure.kind is FailureClass.OUTPUT_INVALID
    assert last.failure.message.startswith("dev did not give its declared output: ")


def test_a_repaired_output_goes_on_as_if_it_had_come_at_once():
    decision = after(Answer(GOOD), of=DECLARED, turn=Turn(TurnKind.REPAIR, repairs=2), output="v")
    assert isinstance(decision, HandOff)
    assert [arrival.payload for arrival in decision.arrivals] == [GOOD, GOOD]


def test_the_checked_fields_wait_for_the_gate():
    gated = pipeline({"id": "dev", "output": {"n": {"type": "integer"}}, "gate": {}}, {"id": "qa"})
    assert after(Answer('{"n": 1}'), of=gated) == Judge(fields={"n": 1})
    asked = pipeline({"id": "dev", "output": {"n": {"type": "integer"}}, "gate": {"type": "human"}})
    decision = after(Answer('{"n": 1}'), of=asked)
    assert isinstance(decision, Ask)
    assert decision.fields == {"n": 1}


def test_after_the_gate_the_conditions_look_at_the_checked_fields_alone():
    gated = pipeline(
        {
            "id": "dev",
            "output": {"ok": {"type": "string"}},
            "gate": {},
            "handoffs": [{"to": "a", "condition": "ok == yes"}, {"to": "b", "condition": "ok == no"}],
        },
        {"id": "a"},
        {"id": "b"},
    )
    decision = after(Answer(APPROVED), of=gated, turn=GATE, output="ok: no", fields={"ok": "yes"})
    assert isinstance(decision, HandOff)
    assert [arrival.agent for arrival in decision.arrivals] == ["a"]


def test_a_repair_behind_a_checked_output_is_about_the_handoff():
    auto = pipeline(
        {
            "id": "dev",
            "output": {"n": {"type": "integer"}},
            "handoffs": [{"to": "a, b", "condition": "auto"}],
        },
        {"id": "a"},
        {"id": "b"},
    )
    first = after(Answer('{"n": 1}'), of=auto)
    assert isinstance(first, Repair)
    assert first.fields == {"n": 1}
    turn = Turn(TurnKind.REPAIR, repairs=1)
    second = after(Answer("HANDOFF: a"), of=auto, turn=turn, output='{"n": 1}', fields={"n": 1})
    assert isinstance(second, HandOff)
    assert [(each.agent, each.payload) for each in second.arrivals] == [("a", '{"n": 1}')]
