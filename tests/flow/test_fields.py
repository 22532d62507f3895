"""Fields: where they come from, what they may be, and what a declared output finds wrong with them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqm.flow.fields import fields, problems
from aqm.flow.strict_json import MAX_CHARS, clean_object, read_object


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("severity: critical", {"severity": "critical"}),
        ("Severity: Critical", {"severity": "Critical"}),
        ("**Severity:** critical", {"severity": "critical"}),
        ("**severity**: **critical**", {"severity": "critical"}),
        ("**severity: critical**", {"severity": "critical"}),
        ("- severity: `critical`", {"severity": "critical"}),
        ("* _severity_: _critical_", {"severity": "critical"}),
        ("1. severity: critical", {"severity": "critical"}),
        ("severity: low\nrisk: none\nseverity: high", {"severity": "high", "risk": "none"}),
        ("It is bad.\nseverity: critical\n", {"severity": "critical"}),
        ("note: see a: b", {"note": "see a: b"}),
        ("HANDOFF: billing", {"handoff": "billing"}),
        ("my_key-2: x", {"my_key-2": "x"}),
        ("title: Über — 用", {"title": "Über — 用"}),
        ("severity: critical.", {"severity": "critical."}),
    ],
)
def test_lines_of_prose_are_fields(text: str, found: dict[str, str]) -> None:
    assert dict(fields(text)) == found


@pytest.mark.parametrize(
    "text",
    [
        "not severity: critical",
        "> severity: critical",
        "```\nseverity: critical\n```",
        "    severity: critical",
        "`severity: critical`",
        "severity critical",
        "severity:",
        "severity*: critical",
        "severity： critical",
        "https://example.com",
        "12:30 is late",
        "std::vector",
        "C:\\temp",
        "a severity: critical",
        "| severity: critical |",
        "# severity: critical",
        "<!--\nseverity: critical\n-->",
        "<think>\n\nseverity: critical\n\n</think>",
        "\x1b[1mseverity: critical",
        "ſeverity: critical",
        "the severity is critical",
        "",
    ],
)
def test_other_lines_are_none(text: str) -> None:
    assert dict(fields(text)) == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('```JSON\n{"a": 1}\n```', {"a": 1}),
        ('~~~json\n{"a": 1}\n~~~', {"a": 1}),
        ('```json\n{"a": 1}\n```\n\nand\n\n```json\n{"a": 2}\n```\n', {"a": 2}),
        ('```json\n{"a": 1}\n```\n\n```json\n[2]\n```\n', {"a": 1}),
        ('```json\n{"a": 1}\n```\n\n```json\n{"a": \n```\n', {"a": 1}),
        ('```json\n{"a": 1}\n```\n\n```\n{"a": 2}\n```\n', {"a": 1}),
        ('```json\n{"a": 1}\n```\n\n> ```json\n> {"a": 2}\n> ```\n', {"a": 1}),
        ('- x\n\n  ```json\n  {"a": {"b": [true, null, 1.5]}}\n  ```', {"a": {"b": [True, None, 1.5]}}),
        ('a: line\n\n```json\n{"a": "block"}\n```\n\na: line', {"a": "block"}),
        ('```json\n{"a": 1', {}),
        ('{"a": 1}', {}),
        ("a: 1\n\n```json\nno\n```", {"a": "1"}),
        ('```json\n{"a": "\\u0000\\ud800b"}\n```', {"a": "\ufffd\ufffdb"}),
        ('```json\n{"a": "\\ud83d\\ude00"}\n```', {"a": "😀"}),
        ("```json\n{}\n```\n\na: 1", {}),
        ('````json\n{"a": "```"}\n````', {"a": "```"}),
    ],
)
def test_the_last_block_that_is_an_object_comes_before_lines(text: str, found: dict[str, Any]) -> None:
    assert dict(fields(text)) == found


def test_structured_output_comes_before_all() -> None:
    text = '```json\n{"a": 1}\n```\n\nb: 2'
    assert dict(fields(text, {"c": 3})) == {"c": 3}
    assert dict(fields(text, {})) == {}
    assert dict(fields(text, {"c": "x\x00y"})) == {"c": "x\ufffdy"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        (' \n{"a": 1}\n', {"a": 1}),
        ('Here:\n\n```json\n{"a": 1}\n```', {"a": 1}),
        ('Here: {"a": 1}', {}),
        ("a: 1", {}),
        ("[1]", {}),
    ],
)
def test_a_declared_output_is_json_and_never_lines(text: str, found: dict[str, Any]) -> None:
    assert dict(fields(text, declared=True)) == found


def test_fields_are_read_only_when_they_are_asked_for() -> None:
    huge = "key: value\n" * 2_000_000
    started = time.process_time()
    found = fields(huge)
    assert time.process_time() - started < 0.05
    assert isinstance(found, Mapping)


def test_a_text_too_long_to_be_read_whole_has_no_fields() -> None:
    # its last block, or last line, would be another one
    assert dict(fields('```json\n{"a": 1}\n```\n' + "b\n" * 30_000)) == {}
    assert dict(fields("a: 1\n\n" + "b\n\n" * 30_000)) == {}
    assert dict(fields('```json\n{"a": "' + "x" * MAX_CHARS + '"}\n```')) == {}


def test_at_most_two_hundred_fields_come_from_lines_and_the_last_value_still_wins() -> None:
    found = dict(fields("\n".join(f"key{n}: {n}" for n in range(300)) + "\nkey7: last\nkey299: late"))
    assert len(found) == 200
    assert found["key7"] == "last"
    assert "key299" not in found


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a":' + "[" * 40 + "]" * 40 + "}",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 1, "a": 2}',
        '{"b": {"a": 1, "a": 2}}',
        '{"a": 1,}',
        "{'a': 1}",
        '{"a": 1} and more',
        '{"a": ' + "9" * 10_000 + "}",
        '"a"',
        "null",
        "",
    ],
)
def test_what_is_no_plain_json_object_is_none(text: str) -> None:
    assert read_object(text) is None
    assert dict(fields(f"```json\n{text}\n```")) == {}


def test_a_structured_output_that_is_nested_too_deep_or_is_no_json_has_no_fields() -> None:
    deep: Any = "x"
    for _ in range(10_000):
        deep = [deep]
    assert dict(fields("", {"a": deep})) == {}
    assert clean_object({"a": float("nan")}) is None
    assert clean_object({"a": object()}) is None
    assert clean_object({"a": ({"b": (1,)},)}) == {"a": [{"b": [1]}]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
STORABLE = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), JSON, max_size=4)


@given(STORABLE)
def test_an_object_comes_back_as_it_was_said(value: dict[str, Any]) -> None:
    said = json.dumps(value, indent=2)
    assert dict(fields(f"Before.\n\n```json\n{said}\n```\n\nafter: x")) == clean_object(value)


@given(st.text(max_size=300), st.booleans())
def test_reading_never_fails_and_gives_what_json_can_hold(text: str, declared: bool) -> None:
    json.dumps(dict(fields(text, declared=declared)), allow_nan=False).encode()


SCHEMA = {
    "type": "object",
    "properties": {
        "severity": {"type": "string", "enum": ["low", "high"]},
        "score": {"type": "integer", "minimum": 0, "maximum": 10},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1, "pattern": "^[a-z]+$"}},
    },
    "required": ["severity"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"severity": "low"}, []),
        ({"severity": "high", "score": 3, "tags": ["a", "bc"]}, []),
        ({}, ["severity"]),
        ({"severity": "medium"}, ["severity"]),
        ({"severity": "low", "score": 11}, ["score"]),
        ({"severity": "low", "score": "3"}, ["score"]),
        ({"severity": "low", "tags": ["a", ""]}, ["tags.1", "tags.1"]),
        ({"severity": "low", "tags": ["A1"]}, ["tags.0"]),
        ({"severity": "low", "more": 1}, ["more"]),
        ([], ["no JSON object"]),
        (None, ["no JSON object"]),
        ("low", ["no JSON object"]),
    ],
)
def test_problems_name_the_place_and_what_is_wrong(value: object, wrong: list[str]) -> None:
    found = problems(value, SCHEMA)
    assert len(found) == len(wrong)
    assert all(place in problem for place, problem in zip(wrong, found, strict=True))


def test_problems_are_few_and_short() -> None:
    found = problems({"tags": ["X" * 10_000] * 1_000}, SCHEMA)
    assert len(found) == 10
    assert max(len(problem) for problem in found) <= 300


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"$ref": "#/$defs/nowhere"},
        {"type": "nonsense"},
        {"properties": {"a": {"pattern": "(?=a)"}}},
        {"$schema": "http://example.com/none"},
    ],
)
def test_a_schema_that_cannot_be_used_is_a_problem_and_reads_nothing_from_elsewhere(
    schema: dict[str, Any],
) -> None:
    found = problems({}, schema)
    assert len(found) == 1
    assert found[0].startswith("the schema cannot be used: ")


def test_a_schema_never_reads_a_file(tmp_path: Path) -> None:
    other = tmp_path / "schema.json"
    other.write_text('{"type": "string"}')
    assert problems({}, {"$ref": other.as_uri()})[0].startswith("the schema cannot be used: ")


def test_hostile_schemas_and_values_take_no_time() -> None:
    doubled = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    cases: list[tuple[object, dict[str, Any]]] = [
        ({"a": "a" * 5_000 + "b"}, {"properties": {"a": {"pattern": "^(a+)+$"}}}),
        ({"a": 1}, {"$defs": {**doubled, "d40": {"type": "object"}}, "$ref": "#/$defs/d0"}),
        ({"a": 1}, {"allOf": [{"$ref": "#"}]}),
        ({"a": list(range(50_000))}, {"properties": {"a": {"uniqueItems": True}}}),
    ]
    started = time.process_time()
    found = [problems(value, schema) for value, schema in cases]
    assert time.process_time() - started < 2.0
    assert [len(one) for one in found] == [1, 1, 0, 0]
