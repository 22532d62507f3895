"""The JSON Schema for editors: it takes what the loader takes, short forms and nulls included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aqm.document.nodes import plain
from aqm.document.parser import parse
from aqm.pipeline.schema import json_schema
from aqm.pipeline.spec import Agent, Session
from tests.pipeline.documents import load_text


def fits(document: object) -> bool:
    from jsonschema_rs import Draft202012Validator

    return Draft202012Validator(json_schema()).is_valid(document)


def with_agent(**keys: Any) -> dict[str, Any]:
    return {"agents": [{"id": "a", "runtime": "claude", **keys}]}


def test_it_is_a_schema_of_2020_12() -> None:
    from jsonschema_rs import meta

    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert meta.is_valid(schema)
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("model", [Agent, Session])
def test_null_is_accepted_for_every_optional_key(model: type[Agent] | type[Session]) -> None:
    required = (
        {"id": "a", "runtime": "claude"}
        if model is Agent
        else {"id": "a", "type": "session", "participants": ["b"]}
    )
    optional = [name for name in model.model_fields if name not in required]
    assert len(optional) > 5
    for name in optional:
        assert fits({"agents": [{**required, name: None}]}), name
    top = {"apiVersion": None, "name": None, "params": None, "imports": None, "entry_point": None}
    assert fits({**top, **with_agent()})
    assert not fits({"agents": None})


def keys_in(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that the schema lets a document have, wherever it stands, and what is said of it."""
    for word, inner in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if word == "properties":
            for key, each in inner.items():
                yield f"{path}.{key}", each
                yield from keys_in(each, f"{path}.{key}")
        elif word == "additionalProperties" and isinstance(inner, dict) and "anyOf" in inner:
            yield f"{path}.*", inner
        elif word in ("if", "then", "examples", "default"):
            continue  # conditions name keys that are described elsewhere
        elif isinstance(inner, dict | list):
            yield from keys_in(inner, f"{path}.{word}" if isinstance(word, str) else path)


KEYS = dict(keys_in(json_schema()))


def test_the_keys_of_all_levels_are_looked_at() -> None:
    assert {
        ".apiVersion",
        ".params.*",
        ".$defs.Param.auto_detect",
        ".$defs.Import.from",
        ".$defs.Handoff.payload",
        ".$defs.Gate.when",
        ".$defs.HumanInput.mode",
        ".$defs.Retry.backoff",
        ".$defs.McpEntry.env",
        ".$defs.Chunks.initial",
        ".$defs.Consensus.require_chunks_done",
        ".$defs.Session.type",
        ".$defs.PartialAgent.participants",
    } <= KEYS.keys()


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_described(key: str) -> None:
    said = KEYS[key].get("description", "")
    assert len(said.split()) >= 3, said
    assert said.endswith("."), said


@pytest.mark.parametrize("key", KEYS)
def test_every_word_that_a_key_takes_is_explained(key: str) -> None:
    choices = [KEYS[key], *KEYS[key].get("anyOf", [])]
    words = [word for each in choices for word in each.get("enum", []) if isinstance(word, str)]
    assert [word for word in words if word not in KEYS[key]["description"]] == []


@pytest.mark.parametrize("key", [key for key, each in KEYS.items() if "examples" in each])
def test_every_example_fits(key: str) -> None:
    from jsonschema_rs import Draft202012Validator

    validator = Draft202012Validator({"$defs": json_schema()["$defs"], **KEYS[key]})
    assert all(validator.is_valid(example) for example in KEYS[key]["examples"])


def test_the_keys_that_nobody_knows_by_heart_have_examples() -> None:
    exemplified = {key.rsplit(".", 1)[-1] for key, each in KEYS.items() if "examples" in each}
    assert {"runtime", "condition", "to", "payload", "run", "output", "mcp", "env", "from"} <= exemplified


@pytest.mark.parametrize(
    "keys",
    [
        {"human_input": True},
        {"human_input": False},
        {"human_input": "before"},
        {"human_input": {"mode": "both"}},
        {"mcp": ["x", {"server": "y", "command": None}]},
        {"handoffs": [{"to": "a, b"}, {"to": ["a"]}, {"to": "*", "condition": "auto"}]},
        {"gate": {"run": "make"}},
        {"gate": {"run": ["make", "test"]}},
        {"join": "all"},
        {"join": 2},
        {"output": {"field": {"type": "string"}}},
        {"context_window": "${{ params.n }}"},
        {"permissions": "${{params.p}}"},
        {"type": "agent"},
        {"type": None},
        {"claude_code_flags": ["x"]},
        {"timeout": 1.5},
        {"runtime": "command", "command": ["x"]},
        {"gate": {"type": "command", "run": "make"}},
        {"gate": {"type": "${{ params.gate }}"}},
        {
            "handoffs": [
                {"to": "a", "condition": " on_reject "},
                {"to": "a", "condition": "${{ params.when }}"},
            ]
        },
    ],
)
def test_short_forms_and_references_fit(keys: dict[str, Any]) -> None:
    assert fits(with_agent(**keys))


@pytest.mark.parametrize(
    "keys",
    [
        {"human_input": "later"},
        {"mcp": [{"command": "x"}]},
        {"handoffs": [{"to": []}]},
        {"handoffs": {"to": "a"}},
        {"gate": {"type": "robot"}},
        {"join": 0},
        {"context_window": -1},
        {"context_window": "3"},
        {"permissions": "all"},
        {"participants": ["a"]},
        {"foo": 1},
        {"id": "a b"},
        {"timeout": 0},
        {"model": 7},
        {"runtime": "command"},
        {"gate": {"type": "command"}},
        {"handoffs": [{"to": "a", "condition": "on_aprove"}]},
    ],
)
def test_wrong_forms_do_not_fit(keys: dict[str, Any]) -> None:
    assert not fits(with_agent(**keys))


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("agents: [{id: a, runtime: claude}]", True),
        ("agents: [{id: a}]", False),
        ("agents: [{id: a, extends: b}]", True),
        ("agents: [{id: a, extends: b, max_rounds: 3, model: x}]", True),
        ("agents: [{id: a, abstract: true}]", True),
        ("agents: [{id: a, abstract: false}]", False),
        ("agents: [{id: a, type: session}]", False),
        ("agents: [{id: a, type: session, participants: [b]}]", True),
        ("agents: [{id: a, type: session, participants: [b], runtime: claude}]", False),
        ("agents: [{id: a, type: session, participants: [b], turn_order: moderator}]", False),
        (
            "agents: [{id: a, type: session, participants: [b], turn_order: moderator, summary_agent: b}]",
            True,
        ),
        (
            "agents: [{id: a, type: session, participants: [b], consensus: {method: moderator_decides}}]",
            False,
        ),
        ("agents: [{id: a, type: session, participants: [b], consensus: {keyword: ' '}}]", False),
        ("agents: [{id: a, type: session, extends: b, turn_order: moderator}]", True),
        ("agents: [{id: a, extends: b, runtime: command}]", True),
        (
            "params: {a: 1, b: x, c: true, d: null, e: {type: number, default: 1}}\nagents: [{id: "
            "a, runtime: x}]",
            True,
        ),
        ("params: {a: [1]}\nagents: [{id: a, runtime: x}]", False),
        ("params: {a: {type: int}}\nagents: [{id: a, runtime: x}]", False),
        ("imports: [{from: x.yaml}, {from: y.yaml, agents: [a]}]\nagents: [{id: a, runtime: x}]", True),
        ("imports: [{path: x.yaml}]\nagents: [{id: a, runtime: x}]", False),
        ("foo: 1\nagents: [{id: a, runtime: x}]", False),
        ("agents: []", False),
        ("- {id: a, runtime: x}", False),
    ],
)
def test_documents_fit_or_not(text: str, verdict: bool) -> None:
    assert fits(plain(parse(text))) is verdict


def test_null_loads_wherever_the_schema_takes_it() -> None:
    nulls = ", ".join(f"{name}: null" for name in Agent.model_fields if name not in ("id", "runtime"))
    top = "apiVersion: null\nname: null\nparams: null\nimports: null\n"
    text = f"{top}agents: [{{id: a, runtime: claude, {nulls}}}]"
    assert load_text(text).pipeline.agent("a") == load_text(
        "agents: [{id: a, runtime: claude}]"
    ).pipeline.agent("a")
