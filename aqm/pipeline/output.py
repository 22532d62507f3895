"""What an agent's `output` may say: a JSON Schema, or the short form with one entry for each field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from aqm.document.validation import MOST_FAULTS
from aqm.errors import did_you_mean

__all__ = ["MOST_REFERENCES", "MOST_SCHEMAS", "Flaw", "as_json_schema", "flaws"]

MOST_SCHEMAS = 500
MOST_REFERENCES = 20  # a chain of doubled references would take time that doubles with each
TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")

_SCHEMA_WORDS = (
    "$schema",
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "enum",
    "const",
)  # no field is called like this
_LISTS_OF_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS_OF_SCHEMAS = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_SCHEMAS = (
    *("items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"),
    *("unevaluatedItems", "unevaluatedProperties"),
)
_COUNTS = (
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("minContains", "maxContains"),
)
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_TEXTS = ("title", "description", "format", "pattern", "$ref", "$schema", "$comment")
_OTHERS = (
    *("type", "required", "enum", "const", "uniqueItems", "default", "examples", "dependentRequired"),
    *("deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType"),
)
_ALL = (*_LISTS_OF_SCHEMAS, *_MAPS_OF_SCHEMAS, *_SCHEMAS, *_COUNTS, *_NUMBERS, *_TEXTS, *_OTHERS)


class Flaw(NamedTuple):
    """What is wrong at `path` inside the schema."""

    path: tuple[str | int, ...]
    message: str
    cure: str = ""


def as_json_schema(value: Mapping[str, Any]) -> dict[str, Any]:
    """`value` itself when it is a JSON Schema, else an object with its entries for required fields."""
    if _is_schema(value):
        return dict(value)
    return {
        "type": "object",
        "properties": dict(value),
        "required": list(value),
        "additionalProperties": False,
    }


def _is_schema(value: Mapping[str, Any]) -> bool:
    if isinstance(value.get("type"), str | list) or any(word in value for word in _SCHEMA_WORDS):
        return True
    # a field may be called `properties`; it is one when it is a schema itself
    properties = value.get("properties")
    return isinstance(properties, Mapping) and not isinstance(properties.get("type"), str)


def flaws(schema: Mapping[str, Any]) -> list[Flaw]:
    """All that keeps `schema` from describing an object with fields."""
    found = list(islice(_flaws(schema), MOST_FAULTS))
    if not found and not _is_usable(schema):
        found.append(Flaw((), "output is no valid JSON Schema", "try it with a JSON Schema validator"))
    return found


def _is_usable(schema: Mapping[str, Any]) -> bool:
    from jsonschema_rs import RegexOptions, validator_for  # 0.02 s, and few agents declare an output

    try:
        validator_for(dict(schema), pattern_options=RegexOptions())
    except ValueError:
        return False
    return True


def _flaws(schema: Mapping[str, Any]) -> Iterator[Flaw]:
    if schema.get("type", "object") != "object":
        yield Flaw(("type",), "output must be an object with fields", "write  type: object")
    if not schema.get("properties") and schema.get("additionalProperties") is False:
        yield Flaw((), "output names no field", "write  output: {field: {type: string}}")
    open_: list[tuple[tuple[str | int, ...], object]] = [((), schema)]
    seen = references = 0
    while open_:
        path, each = open_.pop(0)
        seen += 1
        references += isinstance(each, Mapping) and "$ref" in each
        if references > MOST_REFERENCES:
            yield Flaw(path, f"output holds more than {MOST_REFERENCES} references", "write schemas out")
            return
        if seen > MOST_SCHEMAS:
            yield Flaw((), f"output holds more than {MOST_SCHEMAS} schemas", "ask for fewer fields")
            return
        if isinstance(each, bool):
            continue
        if not isinstance(each, Mapping):
            yield Flaw(path, "a field's schema must be a mapping", "write  field: {type: string}")
            continue
        yield from _of_one(path, each, schema)
        open_.extend(_inside(path, each))


def _inside(
    path: tuple[str | int, ...], schema: Mapping[str, Any]
) -> Iterator[tuple[tuple[Any, ...], object]]:
    for word in _SCHEMAS:
        if word in schema:
            yield (*path, word), schema[word]
    for word in _MAPS_OF_SCHEMAS:
        if isinstance(schema.get(word), Mapping):
            yield from (((*path, word, key), each) for key, each in schema[word].items())
    for word in _LISTS_OF_SCHEMAS:
        if isinstance(schema.get(word), list):
            yield from (((*path, word, number), each) for number, each in enumerate(schema[word]))


def _of_one(
    path: tuple[str | int, ...], schema: Mapping[str, Any], root: Mapping[str, Any]
) -> Iterator[Flaw]:
    for word, value in schema.items():
        if word not in _ALL:
            yield Flaw(
                (*path, word), f"{word!r} is no word of JSON Schema that is checked", did_you_mean(word, _ALL)
            )
            continue
        wrong = _wrong(word, value, root)
        if wrong:
            yield Flaw((*path, word), *wrong)
    yield from _of_required(path, schema)


def _of_required(path: tuple[str | int, ...], schema: Mapping[str, Any]) -> Iterator[Flaw]:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return
    for number, name in enumerate(required):
        if isinstance(name, str) and name not in properties:
            cure = did_you_mean(name, properties)
            yield Flaw(
                (*path, "required", number), f"{name!r} is required, and no such field is described", cure
            )


def _wrong(word: str, value: object, root: Mapping[str, Any]) -> tuple[str, str] | None:
    """The message and cure for `word: value`, when it is not what JSON Schema takes."""
    match word:
        case "type":
            return _wrong_type(value)
        case "required":
            fits = isinstance(value, list) and all(isinstance(name, str) for name in value)
            return None if fits else ("required must be a list of field names", "write  required: [name, …]")
        case "enum":
            return None if isinstance(value, list) and value else ("enum must be a list of values", "")
        case "pattern":
            return _wrong_pattern(value)
        case "$ref":
            return _wrong_reference(value, root)
        case w if w in _MAPS_OF_SCHEMAS:
            return None if isinstance(value, Mapping) else (f"{w} must be a mapping", "")
        case w if w in _LISTS_OF_SCHEMAS:
            return None if isinstance(value, list) and value else (f"{w} must be a list of schemas", "")
        case w if w in _TEXTS:
            return None if isinstance(value, str) else (f"{w} must be text", "")
        case w if w in _COUNTS:
            fits = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            return None if fits else (f"{w} must be a whole number from 0", "")
        case w if w in _NUMBERS:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
            return None if fits else (f"{w} must be a number", "")
    return None


def _wrong_type(value: object) -> tuple[str, str] | None:
    names = value if isinstance(value, list) and value else [value]
    unknown = [name for name in names if name not in TYPES]
    if not unknown:
        return None
    return f"{unknown[0]!r:.80} is no type", did_you_mean(str(unknown[0]), TYPES)


def _wrong_pattern(value: object) -> tuple[str, str] | None:
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # its matching takes linear time

    if not isinstance(value, str):
        return "pattern must be text", ""
    try:
        SchemaValidator(core_schema.str_schema(pattern=value))
    except SchemaError:
        return (
            f"the pattern {value!r:.80} cannot be read",
            "use a plain regular expression without look-around",
        )
    return None


def _wrong_reference(value: object, root: Mapping[str, Any]) -> tuple[str, str] | None:
    if not isinstance(value, str) or not re.match("#(/|$)", value):
        return f"$ref cannot be {value!r:.80}", "refer inside this schema: #/$defs/name"
    found: object = root
    for step in value.split("/")[1:]:
        found = found.get(step) if isinstance(found, Mapping) else None
    return (
        None
        if isinstance(found, Mapping)
        else (f"$ref {value!r:.80} leads nowhere", "describe it under $defs")
    )
