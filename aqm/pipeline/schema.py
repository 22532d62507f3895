"""The JSON Schema of the documents that users write, short forms included, for editors."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from aqm.pipeline.conditions import PRESETS
from aqm.pipeline.spec import Agent, Document, Import, Param, Session

__all__ = ["json_schema"]

_Schema = dict[str, Any]

_SCALAR: _Schema = {"type": ["string", "number", "boolean"]}
_TEXTS: _Schema = {"type": "array", "items": {"type": "string"}}
_REFERENCE: _Schema = {"$ref": "#/$defs/Reference"}
_NULL: _Schema = {"type": "null"}
_TYPES = {
    "agent": "agent: one coding CLI with a prompt.",
    "session": "session: several agents discuss until they agree.",
}


def _saying(properties: _Schema) -> _Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _demand(properties: _Schema, key: str) -> _Schema:
    """Where `properties` are said, `key` must be, too."""
    return {"if": _saying(properties), "then": {"required": [key]}}


# What a key says about itself, whatever it takes.
_SAID = ("description", "default", "examples", "deprecated")

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
    # the presets are offered; a bare word that is none of them is a slip of the pen
    ("Handoff", "condition"): {"anyOf": [{"enum": list(PRESETS)}, {"type": "string", "pattern": r"[^\w*-]"}]},
    ("Consensus", "keyword"): {"type": "string", "pattern": r"\S"},
}
for _name in ("Agent", "Session"):
    _SHORT_FORMS[(_name, "join")] = {"anyOf": [{"enum": ["all", "any"]}, {"type": "integer", "minimum": 1}]}


# What one key asks of another, besides their types: definition → the conditions.
_DEMANDS: dict[str, list[_Schema]] = {
    "Gate": [_demand({"type": {"const": "command"}}, "run")],
    "Agent": [_demand({"runtime": {"const": "command"}}, "command")],
    "Session": [
        _demand({"turn_order": {"const": "moderator"}}, "summary_agent"),
        _demand({"consensus": _saying({"method": {"const": "moderator_decides"}})}, "summary_agent"),
    ],
}


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
        "$comment": "Written by aqm; `aqm schema` prints that of the version at hand.",
        "title": "aqm pipeline",
        **top,
        "description": "A team of agents and how they hand work on to each other.",
        "properties": {**top["properties"], **_sections(top["properties"])},
        "required": ["agents"],
        "$defs": dict(sorted(definitions.items())),
    }


def _sections(properties: _Schema) -> _Schema:
    """`params`, `imports` and `agents`, which the model of the top level leaves open."""
    param = {
        "description": "A param: its default, or a mapping that says more about it.",
        "anyOf": [_SCALAR, {"$ref": "#/$defs/Param"}, _NULL],
        "examples": ["gpt-5", {"type": "string", "required": True, "prompt": "Which framework?"}],
    }
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
    if name in _DEMANDS:
        found["allOf"] = _DEMANDS[name]
    return found


def _property(schema: _Schema, made: _Schema, is_optional: bool) -> _Schema:
    """`schema` with what `made` says about it, open to null where the key may be left out."""
    bare = {key: each for key, each in schema.items() if key not in _SAID and key not in ("title", "anyOf")}
    choices = [each for each in schema.get("anyOf", [bare]) if each != _NULL]
    if any("enum" in each or each.get("type") in ("integer", "number", "boolean") for each in choices):
        choices = [*choices, _REFERENCE]
    if is_optional:
        choices = [*choices, _NULL]
    said: _Schema = {key: made[key] for key in _SAID if key in made}
    if said.get("default") in (None, "", [], {}):
        said.pop("default", None)
    return {**said, **choices[0]} if len(choices) == 1 else {**said, "anyOf": choices}


def _agent_definitions(definitions: dict[str, _Schema]) -> dict[str, _Schema]:
    """Agents and sessions; one that extends another may leave out what it takes over, also its `type`."""
    agent, session = definitions["Agent"], definitions["Session"]
    is_session = _saying({"type": {"const": "session"}})
    extending: _Schema = {
        "type": "object",
        "description": "An agent or session that takes over the keys of another, or is there to be extended.",
        "properties": {**session["properties"], **agent["properties"], "type": _type("agent", "session")},
        "additionalProperties": False,
        "required": ["id"],
    }
    takes_over = {"required": ["extends"]}
    inherited = {
        "anyOf": [takes_over, {"properties": {"abstract": {"const": True}}, "required": ["abstract"]}]
    }
    return {
        "Agent": {**agent, "properties": {**agent["properties"], "type": _type("agent")}},
        "Session": {
            **session,
            "properties": {
                **session["properties"],
                "type": {"description": _TYPES["session"], "const": "session"},
            },
        },
        "PartialAgent": extending,
        "AnyAgent": {
            "type": "object",
            "description": "An agent, or a session of agents; the first one is where a task starts.",
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
    said = " · ".join(_TYPES[name] for name in names)
    return {"description": f"{said} agent when left out.", "enum": [*names, None]}
