"""Conditions: what their texts mean, when they hold, and what is refused."""

from __future__ import annotations

import time
from collections import ChainMap
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aqm.pipeline.conditions import (
    PRESETS,
    Comparison,
    ConditionError,
    Expression,
    Facts,
    Preset,
    compile_condition,
    field_of,
    holds,
)

FACTS = Facts(
    output={"severity": "High", "n": 3, "ok": True, "l": [1, 2], "F": 1.0, "none": None, "d": {"x": 1}},
    text="All DONE",
    input="the task",
    approved=False,
    reason="no tests",
    params={"limit": 3},
    visits=2,
    stages=5,
)


def held(source: str, facts: Facts = FACTS) -> bool:
    return holds(compile_condition(source), facts)


def refusal(source: str) -> ConditionError:
    with pytest.raises(ConditionError) as caught:
        compile_condition(source)
    return caught.value


@pytest.mark.parametrize(
    ("source", "condition"),
    [
        *[(name, Preset(name)) for name in PRESETS],
        (" always\n", Preset("always")),
        ("severity == critical", Comparison("severity", "==", ("critical",))),
        ("severity=='critical'", Comparison("severity", "==", ("critical",))),
        ('severity != "very high"', Comparison("severity", "!=", ("very high",))),
        ("severity in [\"high\", 'medium', low]", Comparison("severity", "in", ("high", "medium", "low"))),
        ("severity in [high,]", Comparison("severity", "in", ("high",))),
        ("version == 1.5", Comparison("version", "==", ("1.5",))),
        ("path == src/a.py", Comparison("path", "==", ("src/a.py",))),
        ("state == ''", Comparison("state", "==", ("",))),
        ("output.n > 2", Expression("output.n > 2")),
        ("output.severity == 'high'", Expression("output.severity == 'high'")),
        ("gate.decision == gate.reason", Expression("gate.decision == gate.reason")),
    ],
)
def test_a_text_is_a_preset_a_comparison_or_an_expression(source: str, condition: Any) -> None:
    assert compile_condition(source) == condition


@pytest.mark.parametrize(
    ("name", "approved", "rejected", "ungated"),
    [
        ("always", True, True, True),
        ("on_approve", True, False, False),
        ("on_reject", False, True, False),
        ("on_pass", True, False, True),
        ("auto", False, False, False),
        ("default", False, False, False),
    ],
)
def test_presets_look_at_the_verdict(name: str, approved: bool, rejected: bool, ungated: bool) -> None:
    found = [held(name, Facts(approved=verdict)) for verdict in (True, False, None)]
    assert found == [approved, rejected, ungated]


@pytest.mark.parametrize(
    ("source", "holds_"),
    [
        ("severity == high", True),
        ("severity == HIGH", True),
        ("Severity == high", True),
        ("severity == 'high '", True),
        ("severity == hig", False),
        ("severity != low", True),
        ("severity != high", False),
        ("severity in [low, high]", True),
        ("severity in [low]", False),
        ("missing == x", False),
        ("missing != x", False),
        ("missing in [x]", False),
        ("n == 3", True),
        ("n == 3.0", False),
        ("F == 1", True),
        ("f == 1", True),
        ("ok == true", True),
        ("ok == True", True),
        ("ok == yes", False),
        ("none == null", True),
        ("l == 1", False),
        ("l != 1", True),
        ("d == x", False),
    ],
)
def test_a_comparison_compares_words_without_case(source: str, holds_: bool) -> None:
    assert isinstance(compile_condition(source), Comparison)
    assert held(source) is holds_


def test_the_field_is_found_in_the_answers_spelling() -> None:
    comparison = Comparison("severity", "==", ("x",))
    assert field_of(comparison, {"Severity": "x"}) == "Severity"
    assert field_of(comparison, {"SEVERITY": 1, "severity": 2}) == "severity"
    assert field_of(comparison, {"other": 1}) is None


@pytest.mark.parametrize(
    ("source", "holds_"),
    [
        ("output.n > 2", True),
        ("output.n == 3.0", True),
        ("output['n'] == 3", True),
        ("output.d.x == 1", True),
        ("has(output.zzz)", False),
        ("has(output.zzz) && output.zzz == 1", False),
        ("text.contains('DONE')", True),
        ("input.startsWith('the')", True),
        ("text.matches('^All [A-Z]+$')", True),
        ("gate.decision == 'rejected' && gate.reason != ''", True),
        ("params.limit >= stage.visits && task.stages == 5", True),
        ("output.l.exists(x, x == 2)", True),
        ("output.l.all(x, output.l.exists(y, y >= x))", True),
        ("output.l.filter(x, x > 1).size() == 1", True),
        ("output.l.map(x, x)[0] == 1", True),
        ("size(text) > 3 // a comment with foo in it", True),
        ("text == 'x' || 'foo(bar)' != \"baz\"", True),
        ("r'\\' == 'a'", False),
        ("2 in output.l", True),
        ("(true)", True),
        ("output.l.exists(text, text == 1)", True),
    ],
)
def test_an_expression_sees_what_the_page_says(source: str, holds_: bool) -> None:
    assert held(source) is holds_


def test_the_decision_is_empty_without_a_gate() -> None:
    assert held("gate.decision == ''", Facts())


def test_fields_may_be_any_mapping() -> None:
    facts = Facts(output=ChainMap({"n": 1}), params=MappingProxyType({"x": 1}))
    assert held("output.n == params.x", facts)
    assert held("n == 1", facts)


@pytest.mark.parametrize(
    ("source", "message", "cure"),
    [
        ("on_aprove", "unknown condition 'on_aprove'", "did you mean 'on_approve'?"),
        ("flag", "unknown condition 'flag'", "a field is compared like this: flag == yes"),
        ("true", "unknown condition 'true'", "known: always"),
        ("", "the condition is empty", "leave it out"),
        ("n > 2", "no variable called 'n'", "a field is written output.n"),
        ("output.severity == critical", "no variable called 'critical'", "a word in quotes: 'critical'"),
        ("severity == output.x", "no variable called 'severity'", "a field is written output.severity"),
        ("severity == very high", "several words must stand in quotes", "write 'very high'"),
        ("txt.contains('a')", "no variable called 'txt'", "did you mean 'text'?"),
        ("foo(1) == 1", "no function called 'foo'", "known: "),
        ("text.upper() == 'A'", "no function called 'upper'", "known: "),
        ("text.start_with('A')", "no function called 'start_with'", "did you mean 'startsWith'?"),
        ("stage.vists > 1", "stage has no 'vists'", "did you mean 'visits'?"),
        ("gate.reson == ''", "gate has no 'reson'", "did you mean 'reason'?"),
        ("output.l.exists(x, x == y)", "no variable called 'y'", ""),
        ("output.l.exists(x, x == 2) && x == 1", "no variable called 'x'", ""),
        ("output.l.exists(x, output.l.all(y, output.l.exists(z, true)))", "may nest 2 deep at most", ""),
        ("output.l.map(x, x + x).size() == 1", "map() may only pick values", ""),
        (".text == 'a' || true", "a name cannot begin with a dot", "write text"),
        ("output.n > 2 + ", "cannot be read: mismatched input end at character 15", ""),
        ("a" * 1001, "at most 1000 characters long, not 1001", ""),
        ("output.x == '" + "a" * 1000 + "'", "at most 1000 characters long", ""),
    ],
)
def test_what_means_nothing_is_refused_with_a_cure(source: str, message: str, cure: str) -> None:
    error = refusal(source)
    assert message in error.message
    assert cure in error.cure


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("output.zzz == 1", "the condition 'output.zzz == 1' cannot be decided: there is no zzz"),
        ("params.zzz == 1", "the condition 'params.zzz == 1' cannot be decided: there is no zzz"),
        ("output.n + 1", "the condition 'output.n + 1' gives a number, not true or false"),
        ("output.l[0]", "gives a number"),
        ("(text)", "gives text"),
        ("output.n > 'a'", "it compares or combines values of different types"),
        ("1 / 0 == 1", "it divides by zero"),
        ("9223372036854775807 + output.n > 0", "a number is too large"),
        ("output.l[7] == 1", "cannot be decided"),
        ("int(text) == 1", "cannot be decided"),
        ("text.matches('(')", "cannot be decided"),
        ("output.d", "gives a mapping"),
    ],
)
def test_what_cannot_be_decided_names_the_expression(source: str, message: str) -> None:
    condition = Expression(source)
    with pytest.raises(ConditionError) as caught:
        holds(condition, FACTS)
    assert message in str(caught.value)


def test_a_macro_over_too_much_is_refused_and_not_run() -> None:
    facts = Facts(output={"l": list(range(5_000))}, text="x" * 100_000)
    for source in (
        "output.l.exists(x, output.l.exists(y, x + y == -1))",
        "output.l.all(x, output.l.all(y, text.contains('y') || true))",
        "output.l.all(x, x in output.l)",
        "(output.l + output.l + output.l).all(x, (output.l + output.l).all(y, true))",
    ):
        begun = time.process_time()
        with pytest.raises(ConditionError, match="would look at too many values"):
            held(source, facts)
        assert time.process_time() - begun < 1


def test_a_long_text_is_looked_at_by_its_ends() -> None:
    facts = Facts(text="BEGIN" + "x" * 3_000_000 + "END")
    assert held("text.startsWith('BEGIN') && text.endsWith('END')", facts)
    assert held("size(text) > 900000 && size(text) < 1100000", facts)


NAMES = ("output", "text", "params", "x", "exists", "map", "has", "size", "true", "null", "in")
SIGNS = (".", "(", ")", "[", "]", "{", "}", "==", "+", "&&", "||", "!", "?", ":", ",", " ", "//", "\n", "-")
VALUES = ("'a'", '"', "'", "1", "9" * 30, "r'", "'''")
WORDS = st.sampled_from((*NAMES, *SIGNS, *VALUES))


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=25).map("".join)))
@example("(" * 500)
@example("-" * 999)
@example("!" * 999 + "x")
@example("[" * 400 + "1" + "]" * 400 + " == 1")
@example("true?" * 150 + "true" + ":true" * 150)
@example("'\ud800' == text")
def test_any_text_is_a_condition_or_an_error_of_ours(source: str) -> None:
    assert message_of(source) != ""


def message_of(source: str) -> str | None:
    try:
        held(source)
    except ConditionError as error:
        return error.message
    return None
