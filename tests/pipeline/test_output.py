"""What `output` may say: JSON Schema, its short form, and what is wrong with either."""

from __future__ import annotations

from typing import Any

import pytest

from aqm.pipeline.output import as_json_schema, flaws


def short(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


@pytest.mark.parametrize(
    ("written", "schema"),
    [
        ({"severity": {"type": "string"}}, short(severity={"type": "string"})),
        ({"b": {}, "a": {}}, short(b={}, a={})),
        ({"type": {"enum": ["bug"]}}, short(type={"enum": ["bug"]})),
        ({"properties": {"type": "array"}}, short(properties={"type": "array"})),
        ({"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"properties": {"a": {}}}, {"properties": {"a": {}}}),
        ({"$ref": "#/$defs/x", "$defs": {"x": {}}}, {"$ref": "#/$defs/x", "$defs": {"x": {}}}),
        ({"anyOf": [{}]}, {"anyOf": [{}]}),
    ],
)
def test_the_short_form_becomes_an_object_with_required_fields(
    written: dict[str, Any], schema: dict[str, Any]
) -> None:
    assert as_json_schema(written) == schema
    assert as_json_schema(schema) == schema
    assert list(as_json_schema(written).get("properties", [])) == list(schema.get("properties", []))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        short(a={"type": ["string", "null"], "enum": ["x"], "description": "d"}, b={"const": 1}),
        short(a={"type": "array", "items": {"type": "integer"}, "minItems": 1, "prefixItems": [{}]}),
        short(a={"anyOf": [{"type": "string", "pattern": "^[a-z]+$"}, {"type": "null"}]}),
        short(a=True, b={"additionalProperties": {"type": "number"}}),
        {**short(a={"$ref": "#/$defs/x"}), "$defs": {"x": {"type": "string"}}},
        {**short(a={"items": {"$ref": "#"}})},
        {"properties": {"a": {}}, "if": {"required": ["a"]}, "then": {}, "dependentRequired": {"a": ["b"]}},
    ],
)
def test_a_good_schema_has_no_flaws(schema: dict[str, Any]) -> None:
    assert flaws(schema) == []


@pytest.mark.parametrize(
    ("schema", "path", "message"),
    [
        ({"type": "array"}, ("type",), "output must be an object with fields"),
        (short(), (), "output names no field"),
        (short(a="string"), ("properties", "a"), "a field's schema must be a mapping"),
        (short(a={"type": "strin"}), ("properties", "a", "type"), "'strin' is no type"),
        (short(a={"type": []}), ("properties", "a", "type"), "[] is no type"),
        (
            short(a={"tpye": "x"}),
            ("properties", "a", "tpye"),
            "'tpye' is no word of JSON Schema that is checked",
        ),
        (short(a={"enum": []}), ("properties", "a", "enum"), "enum must be a list of values"),
        (short(a={"minimum": "1"}), ("properties", "a", "minimum"), "minimum must be a number"),
        (
            short(a={"minLength": -1}),
            ("properties", "a", "minLength"),
            "minLength must be a whole number from 0",
        ),
        (short(a={"pattern": "("}), ("properties", "a", "pattern"), "the pattern '(' cannot be read"),
        (short(a={"pattern": "(?=a)"}), ("properties", "a", "pattern"), "the pattern '(?=a)' cannot be read"),
        (short(a={"title": 1}), ("properties", "a", "title"), "title must be text"),
        (short(a={"properties": []}), ("properties", "a", "properties"), "properties must be a mapping"),
        (short(a={"anyOf": {}}), ("properties", "a", "anyOf"), "anyOf must be a list of schemas"),
        (short(a={"$ref": "http://x"}), ("properties", "a", "$ref"), "$ref cannot be 'http://x'"),
        (short(a={"$ref": "#/$defs/x"}), ("properties", "a", "$ref"), "$ref '#/$defs/x' leads nowhere"),
        (short(a={"items": {"type": "x"}}), ("properties", "a", "items", "type"), "'x' is no type"),
        (short(a={"oneOf": [{"type": "x"}]}), ("properties", "a", "oneOf", 0, "type"), "'x' is no type"),
        (
            {"properties": {"a": {}}, "required": ["b"]},
            ("required", 0),
            "'b' is required, and no such field is described",
        ),
        ({"properties": {"a": {}}, "required": "a"}, ("required",), "required must be a list of field names"),
        (short(a={"uniqueItems": "x"}), (), "output is no valid JSON Schema"),
    ],
)
def test_a_flaw_is_told_where_it_stands(schema: dict[str, Any], path: tuple[Any, ...], message: str) -> None:
    assert [(flaw.path, flaw.message) for flaw in flaws(schema)] == [(path, message)]


def test_a_schema_has_bounds() -> None:
    many = short(**{f"f{n}": {} for n in range(600)})
    assert "more than 500 schemas" in flaws(many)[0].message
    doubled = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
    schema = {**short(a={"$ref": "#/$defs/d0"}), "$defs": {**doubled, "d30": {}}}
    assert "more than 20 references" in flaws(schema)[0].message
