"""Handoffs: which rules fire, whom they lead to, and with what."""

from __future__ import annotations

from typing import Any

import pytest

from aqm.flow.decision import Fail, HandOff, Repair
from aqm.flow.gate import Verdict
from aqm.flow.outcome import Answer, FailureClass
from tests.flow.deciding import APPROVED, GATE, REJECTED, REPAIR, after, goes_to, pipeline

OTHERS = [{"id": name} for name in ("a", "b", "c")]


def rules(*handoffs: dict[str, Any], **keys: Any) -> Any:
    return pipeline({"id": "dev", "handoffs": list(handoffs), **keys}, *OTHERS)


def auto(to: str = "a, b", *more: dict[str, Any], **keys: Any) -> Any:
    return rules({"to": to, "condition": "auto"}, *more, **keys)


# Presets, comparisons, expressions -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "without", "approved", "rejected"),
    [
        ("always", True, True, True),
        ("on_approve", False, True, False),
        ("on_reject", False, False, True),
        ("on_pass", True, True, False),
    ],
)
def test_a_preset_fires_by_the_verdict(condition: str, without: bool, approved: bool, rejected: bool):
    handoff = {"to": "a", "condition": condition}
    assert bool(goes_to(after(Answer("v"), of=rules(handoff)))) == without
    gated = rules(handoff, {"to": "b"}, gate={"type": "llm"})
    assert ("a" in goes_to(after(Answer(APPROVED), of=gated, turn=GATE, output="v"))) == approved
    assert ("a" in goes_to(after(Answer(REJECTED), of=gated, turn=GATE, output="v"))) == rejected


@pytest.mark.parametrize(
    ("condition", "said", "fires"),
    [
        ("severity == critical", "severity: critical", True),
        ("severity == critical", "Severity: **Critical**", True),
        ("severity == critical", "not critical at all\nseverity: low", False),
        ("severity == critical", "> severity: critical", False),
        ("severity != critical", "severity: low", True),
        ("severity != critical", "nothing of the kind", False),
        ("severity in [high, 'very high']", "severity: Very High", True),
        ("severity in [high, medium]", "severity: low", False),
        ("done == true", '```json\n{"done": true}\n```', True),
        ("count == 3", '```json\n{"count": 3.0}\n```', True),
        ("ok == yes", "ok: no\nok: yes", True),
    ],
)
def test_a_comparison_looks_at_its_field_alone(condition: str, said: str, fires: bool):
    decision = after(Answer(said), of=rules({"to": "a", "condition": condition}))
    assert goes_to(decision) == (["a"] if fires else [])


@pytest.mark.parametrize(
    "condition",
    [
        "output.count > 3",
        "has(output.count) && output.count == 4",
        "text.contains('json')",
        "input.startsWith('the task')",
        "gate.decision == ''",
        "params.who == 'team'",
        "stage.visits == 2 && task.stages == 5",
    ],
)
def test_an_expression_sees_the_answer_the_gate_the_params_and_the_counts(condition: str):
    found = pipeline(
        {"id": "dev", "handoffs": [{"to": "a", "condition": condition}]}, *OTHERS, params={"who": "team"}
    )
    said = '```json\n{"count": 4}\n```'
    assert goes_to(after(Answer(said), of=found, number=5, visit=2)) == ["a"]


def test_an_expression_sees_the_gate_s_reason():
    condition = "gate.decision == 'rejected' && gate.reason.contains('tests')"
    gated = rules({"to": "a", "condition": condition}, gate={"type": "llm"})
    assert goes_to(after(Answer(REJECTED), of=gated, turn=GATE, output="v")) == ["a"]


@pytest.mark.parametrize("condition", ["output.missing > 3", "output.count > 'x'", "1 / output.zero == 1"])
def test_an_expression_that_cannot_be_decided_fails_the_stage_and_is_named(condition: str):
    said = '```json\n{"count": 4, "zero": 0}\n```'
    decision = after(Answer(said), of=rules({"to": "a"}, {"to": "b", "condition": condition}))
    assert isinstance(decision, Fail)
    assert decision.failure.kind is FailureClass.CONDITION_ERROR
    assert condition in decision.failure.message


def test_a_comparison_of_a_field_that_is_not_there_is_reported():
    decision = after(Answer("nothing"), of=rules({"to": "a", "condition": "ok == yes"}, {"to": "b"}))
    assert isinstance(decision, HandOff)
    assert decision.misses == ("ok == yes",)
    assert goes_to(decision) == ["b"]


def test_all_rules_that_match_fire_and_each_target_counts_once_in_order():
    found = rules(
        {"to": "c, a", "condition": "on_pass", "payload": "first"},
        {"to": ["a", "b"], "payload": "second"},
        {"to": "b", "condition": "default"},
    )
    decision = after(Answer("v"), of=found)
    assert goes_to(decision) == ["c", "a", "b"]
    assert isinstance(decision, HandOff)
    assert [arrival.payload for arrival in decision.arrivals] == ["first", "first", "second"]


def test_the_default_fires_when_no_other_rule_does():
    found = rules({"to": "a", "condition": "ok == yes"}, {"to": "b", "condition": "default"})
    assert goes_to(after(Answer("ok: yes"), of=found)) == ["a"]
    assert goes_to(after(Answer("ok: no"), of=found)) == ["b"]


def test_the_default_also_takes_a_rejection():
    found = rules({"to": "a", "condition": "on_approve"}, {"to": "b", "condition": "default"}, gate={})
    assert goes_to(after(Answer(REJECTED), of=found, turn=GATE, output="v")) == ["b"]


def test_a_branch_whose_rules_do_not_match_ends_well_and_lists_them():
    found = rules({"to": "a", "condition": "ok == yes"}, {"to": "b", "condition": "output.size() > 9"})
    decision = after(Answer("ok: no"), of=found)
    assert isinstance(decision, HandOff)
    assert (decision.arrivals, decision.unmatched) == ((), ("ok == yes", "output.size() > 9"))


# Payloads ----------------------------------------------------------------------------------------


def test_a_payload_knows_the_output_the_input_the_verdict_the_fields_and_the_params():
    names = ("output", "input", "reject_reason", "gate_result", "fields.n", "params.who", "nothing")
    payload = "|".join(f"{{{{ {name} }}}}" for name in names)
    gated = pipeline(
        {"id": "dev", "gate": {}, "handoffs": [{"to": "a", "payload": payload}]},
        *OTHERS,
        params={"who": "team"},
    )
    for verdict, told in ((REJECTED, "no tests|rejected"), (APPROVED, "|approved")):
        decision = after(Answer(verdict), of=gated, turn=GATE, output="n: 7")
        assert isinstance(decision, HandOff)
        assert decision.arrivals[0].payload == f"n: 7|the task|{told}|7|team|"


def test_a_payload_that_cannot_be_rendered_fails_the_stage_and_says_so():
    decision = after(Answer("v"), of=rules({"to": "a", "payload": "{{ 1 / 0 }}"}))
    assert isinstance(decision, Fail)
    assert "payload of dev" in decision.failure.message


# auto --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "to", "chosen"),
    [
        ("HANDOFF: a", "a, b", ["a"]),
        ("handoff: b, a", "a, b", ["b", "a"]),
        ("**HANDOFF: a**\n- HANDOFF: b.", "a, b", ["a", "b"]),
        ("HANDOFF: a\nHANDOFF: a", "a, b", ["a"]),
        ("HANDOFF: c", "*", ["c"]),
        ("HANDOFF: dev", "*", ["dev"]),
        ("HANDOFF: zebra\nHANDOFF: a", "a, b", ["a"]),
        ('```json\n{"handoff": "a"}\n```', "a, b", ["a"]),
        ('```json\n{"handoff": "a, b"}\n```', "a, b", ["a", "b"]),
        ('```json\n{"Handoff": ["b", "a"]}\n```', "a, b", ["b", "a"]),
        ('HANDOFF: b\n```json\n{"handoff": "a"}\n```', "a, b", ["b"]),
    ],
)
def test_auto_goes_where_the_answer_says(said: str, to: str, chosen: list[str]):
    assert goes_to(after(Answer(said), of=auto(to))) == chosen


NAMES_NOBODY = [
    "nothing of the kind",
    "HANDOFF: zebra",
    "HANDOFF: a, zebra",
    "HANDOFF: c",
    "HANDOFF: A",
    "HANDOFF: good because it works",
    "HANDOFF:",
    "HANDOFF: *",
    "> HANDOFF: a",
    "so HANDOFF: a",
    '```json\n{"handoff": "zebra"}\n```',
    '```json\n{"handoff": 7}\n```',
    '```json\n{"handoff": []}\n```',
    '```json\n{"handoff": {"to": "a"}}\n```',
    'HANDOFF: zebra\n```json\n{"handoff": "a"}\n```',
]


@pytest.mark.parametrize("said", NAMES_NOBODY)
def test_auto_that_names_nobody_is_asked_once_with_the_choices_and_then_fails(said: str):
    first = after(Answer(said), of=auto())
    assert isinstance(first, Repair)
    assert "Choose among: a, b." in first.note
    second = after(Answer(said), of=auto(), turn=REPAIR, output="the work")
    assert isinstance(second, Fail)
    assert second.failure.kind is FailureClass.UNROUTED
    assert "a, b" in second.failure.message


def test_the_request_names_the_lines_that_named_nobody_once():
    decision = after(Answer("HANDOFF: good because it works\nHANDOFF: zebra"), of=auto())
    assert isinstance(decision, Repair)
    assert decision.note.count("good because it works") == 1
    assert decision.note.count("HANDOFF: zebra") == 1


def test_the_repair_only_chooses_and_the_work_stays_the_payload():
    decision = after(Answer("Sorry.\nHANDOFF: b"), of=auto(), turn=REPAIR, output="the work")
    assert goes_to(decision) == ["b"]
    assert isinstance(decision, HandOff)
    assert decision.arrivals[0].payload == "the work"


def test_every_agent_can_be_chosen_with_a_star_and_no_other():
    decision = after(Answer("HANDOFF: zebra"), of=auto("*"))
    assert isinstance(decision, Repair)
    assert "Choose among: dev, a, b, c." in decision.note


def test_auto_does_not_choose_after_a_rejection():
    gated = auto("a, b", {"to": "c", "condition": "on_reject"}, gate={})
    assert goes_to(after(Answer(REJECTED), of=gated, turn=GATE, output="HANDOFF: a")) == ["c"]
    alone = auto("a, b", gate={})
    decision = after(Answer(REJECTED), of=alone, turn=GATE, output="HANDOFF: a")
    assert isinstance(decision, Fail)
    assert decision.failure.kind is FailureClass.REJECTED


def test_auto_chooses_after_an_approval_and_keeps_the_verdict_through_its_repair():
    gated = auto("a, b", gate={})
    assert goes_to(after(Answer(APPROVED), of=gated, turn=GATE, output="HANDOFF: a")) == ["a"]
    first = after(Answer(APPROVED), of=gated, turn=GATE, output="the work")
    assert isinstance(first, Repair)
    assert first.verdict == Verdict(True, "fine")
    done = after(
        Answer("HANDOFF: b"), of=gated, turn=REPAIR, output="the work", verdict=Verdict(True, "fine")
    )
    assert goes_to(done) == ["b"]


def test_auto_and_other_rules_fire_together():
    found = auto("a, b", {"to": "c", "condition": "always"})
    assert goes_to(after(Answer("HANDOFF: a"), of=found)) == ["a", "c"]
    assert isinstance(after(Answer("no idea"), of=found), Repair)


def test_of_two_autos_one_may_find_its_target():
    found = auto("a", {"to": "b", "condition": "auto"})
    assert goes_to(after(Answer("HANDOFF: b"), of=found)) == ["b"]


def test_a_default_takes_what_auto_could_not_place_after_it_was_asked():
    found = auto("a, b", {"to": "c", "condition": "default"})
    assert goes_to(after(Answer("HANDOFF: a"), of=found)) == ["a"]
    assert isinstance(after(Answer("no idea"), of=found), Repair)
    assert goes_to(after(Answer("still none"), of=found, turn=REPAIR, output="v")) == ["c"]


# Rejections --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition", ["on_reject", "always", "default", "gate.decision == 'rejected'", "ok == no"]
)
def test_a_rejection_goes_where_a_rule_sends_it(condition: str):
    found = rules({"to": "a", "condition": condition}, gate={})
    assert goes_to(after(Answer(REJECTED), of=found, turn=GATE, output="ok: no")) == ["a"]


@pytest.mark.parametrize("condition", ["on_approve", "on_pass", "auto", "ok == yes"])
def test_a_rejection_without_a_route_fails(condition: str):
    found = rules({"to": "a", "condition": condition}, gate={})
    decision = after(Answer(REJECTED), of=found, turn=GATE, output="ok: no\nHANDOFF: a")
    assert isinstance(decision, Fail)
    assert decision.failure.kind is FailureClass.REJECTED
    assert "no on_reject route: no tests" in decision.failure.message
