"""The JSON Schema of the documents that users write, short forms included, for editors."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from aqm.pipeline.spec import Agent, Document, Import, Param, Session

__all__ = ["json_schema"]

_Schema = dict[str, Any]

_SCALAR: _Schema = {"type": ["string", "number", "boolean"]}
_TEXTS: _Schema = {"type": "array", "items": {"type": "string"}}
_REFERENCE: _Schema = {"$ref": "#/$defs/Reference"}
_NULL: _Schema = {"type": "null"}

# The keys that take more than the model that they become: (definition, key) → its schema.
_SHORT_FORMS: dict[tuple[str, str], _Schema] = {
    ("Handoff", "to"): {"anyOf": [{"type": "string", "minLength": 1}, {**_TEXTS, "minItems": 1}]},
    ("Gate", "run"): {"anyOf": [{"type": "string", "minLength": 1}, {**_TEXTS, "minItems": 1}]},
    ("Agent", "human_input"): {
        "anyOf": [
            {"type": "boolean"},
            {"enum": ["before", "on_demand", "both"]},
            {"$ref": "#/$defs/HumanInput"},
        ]
    },
    ("Agent", "mcp"): {
        "type": "array",
        "items": {"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/McpEntry"}]},
    },
    ("Param", "default"): _SCALAR,
}
for _name in ("Agent", "Session"):
    _SHORT_FORMS[(_name, "join")] = {"anyOf": [{"enum": ["all", "any"]}, {"type": "integer", "minimum": 1}]}


def json_schema() -> _Schema:
    """What a pipeline file may say, as JSON Schema 2020-12."""
    models = [(model, "validation") for model in (Agent, Session, Import, Param, Document)]
    _, made = models_json_schema(models)  # type: ignore[arg-type]
    definitions = {name: _definition(name, each) for name, each in made["$defs"].items()}
    top = definitions.pop("Document")
    definitions |= _agent_definitions(definitions)
    definitions["Reference"] = {
        "description": "The value of a param, with the type that the param has.",
        "type": "string",
        "pattern": r"^\s*\$\{\{\s*params\.[A-Za-z_][A-Za-z0-9_-]*\s*\}\}\s*$",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "aqm pipeline",
        **top,
        "description": "A team of agents and how they hand work on to each other.",
        "properties": {**top["properties"], **_sections(top["properties"])},
        "required": ["agents"],
        "$defs": dict(sorted(definitions.items())),
    }


def _sections(properties: _Schema) -> _Schema:
    """`params`, `imports` and `agents`, which the model of the top level leaves open."""
    param = {"anyOf": [_SCALAR, {"$ref": "#/$defs/Param"}, _NULL]}
    params = {"type": ["object", "null"], "additionalProperties": param}
    imports = {"type": ["array", "null"], "items": {"$ref": "#/$defs/Import"}}
    agents = {"type": "array", "items": {"$ref": "#/$defs/AnyAgent"}, "minItems": 1}
    sections: dict[str, _Schema] = {"params": params, "imports": imports, "agents": agents}
    return {name: {"description": properties[name]["description"], **each} for name, each in sections.items()}


def _definition(name: str, schema: _Schema) -> _Schema:
    required = schema.get("required", [])
    properties = {
        key: _property(_SHORT_FORMS.get((name, key), each), each, key not in required)
        for key, each in schema["properties"].items()
    }
    found: _Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if "description" in schema:
        found["description"] = schema["description"]
    if required:
        found["required"] = list(required)
    return found


def _property(schema: _Schema, made: _Schema, is_optional: bool) -> _Schema:
    """`schema` with what `made` says about it, open to null where the key may be left out."""
    bare = {
        key: each for key, each in schema.items() if key not in ("title", "default", "description", "anyOf")
    }
    choices = [each for each in schema.get("anyOf", [bare]) if each != _NULL]
    if any("enum" in each or each.get("type") in ("integer", "number", "boolean") for each in choices):
        choices = [*choices, _REFERENCE]
    if is_optional:
        choices = [*choices, _NULL]
    said = {key: made[key] for key in ("description",) if key in made}
    if made.get("default") not in (None, "", [], {}):
        said["default"] = made["default"]
    return {**said, **choices[0]} if len(choices) == 1 else {**said, "anyOf": choices}


def _agent_definitions(definitions: dict[str, _Schema]) -> dict[str, _Schema]:
    """Agents and sessions; one that extends another may leave out what it takes over, also its `type`."""
    agent, session = definitions["Agent"], definitions["Session"]
    own = {"required": ["id"]}
    is_session = {"properties": {"type": {"const": "session"}}, "required": ["type"]}
    takes_over = {"required": ["extends"]}
    extending = {
        **agent,
        **own,
        "description": "An agent or session that takes over the keys of another.",
        "properties": {**session["properties"], **agent["properties"], "type": _type("agent", "session")},
    }
    inherited = {
        "anyOf": [takes_over, {"properties": {"abstract": {"const": True}}, "required": ["abstract"]}]
    }
    return {
        "Agent": {**agent, "properties": {**agent["properties"], "type": _type("agent")}},
        "Session": {**session, "properties": {**session["properties"], "type": {"const": "session"}}},
        "PartialAgent": extending,
        "AnyAgent": {
            "type": "object",
            "if": inherited,
            "then": {"$ref": "#/$defs/PartialAgent"},
            "else": {
                "if": is_session,
                "then": {"$ref": "#/$defs/Session"},
                "else": {"$ref": "#/$defs/Agent"},
            },
        },
    }


def _type(*names: str) -> _Schema:
    return {"description": "agent when left out.", "enum": [*names, None]}
