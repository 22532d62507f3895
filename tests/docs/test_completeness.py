"""The reference leaves nothing out: every key with its default, every word that a user may write or read."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import BaseModel

from aqm.flow.outcome import FAILURES
from aqm.flow.state import TaskStatus
from aqm.pipeline import spec
from aqm.pipeline.conditions import PRESETS
from aqm.pipeline.expressions import MEMBERS, NAMES
from aqm.pipeline.places import GATE_VARIABLES, PAYLOAD_VARIABLES, PROMPT_VARIABLES
from aqm.runtimes import RUNTIMES, script
from aqm.service.project import templates
from aqm.settings import Settings
from tests.docs.completeness import default_of, keys_of, setting_defaults, words_of
from tests.docs.pages import names, tables, text_of

FORMAT = (
    *(
        spec.Document,
        spec.Param,
        spec.Import,
        spec.Agent,
        spec.Handoff,
        spec.Gate,
        spec.HumanInput,
        spec.Retry,
    ),
    *(spec.McpEntry, spec.Chunks, spec.Session, spec.Consensus),
)
SCRIPTS = (script.Script, script.Part, script.Reply, script.Step, script.Fail, script.Spent)
SETTINGS = setting_defaults(Settings)
KEYS = [(model, key) for model in (*FORMAT, *SCRIPTS) for key in keys_of(model)]
DIRECTIVES = ("HANDOFF", "HUMAN_INPUT", "VOTE", "CHUNK_ADD", "CHUNK_DONE", "CHUNK_REMOVE")


def row_of(table: str, key: str) -> list[str]:
    assert table in tables(), f"no page has a table behind  <!-- keys: {table} -->"
    assert key in tables()[table], f"the table of {table} has no row for {key}"
    return tables()[table][key]


def spans(page: str, words: object) -> list[str]:
    """Those of the words that the page never writes as code."""
    text = text_of(page)
    return [word for word in sorted(map(str, words)) if f"`{word}" not in text]  # type: ignore[call-overload]


def test_every_model_of_the_format_is_looked_at() -> None:
    public = {name for name in spec.__all__ if isinstance(getattr(spec, name), type)}
    assert public - {model.__name__ for model in FORMAT} == {"Pipeline"}


@pytest.mark.parametrize(
    ("model", "key"),
    KEYS,
    ids=[f"{model.__module__.split('.')[-1]}-{model.__name__}-{key}" for model, key in KEYS],
)
def test_a_key_has_its_row_with_its_default_and_its_words(model: type[BaseModel], key: str) -> None:
    field = keys_of(model)[key]
    _, type_, default, meaning = row_of(model.__name__, key)
    assert default == default_of(field)
    assert meaning
    assert [word for word in words_of(field.annotation) if f"`{word}`" not in type_ + meaning] == []


@pytest.mark.parametrize("path", SETTINGS)
def test_a_setting_has_its_row_with_its_default(path: str) -> None:
    field = SETTINGS[path]
    _, type_, default, meaning = row_of("Settings", path)
    assert default == default_of(field)
    assert meaning
    assert [word for word in words_of(field.annotation) if f"`{word}`" not in type_ + meaning] == []


def test_the_tables_list_nothing_that_is_not_there() -> None:
    known = {model.__name__: set(keys_of(model)) for model in (*FORMAT, *SCRIPTS)} | {
        "Settings": set(SETTINGS)
    }
    assert {
        name: sorted(set(rows) - known[name]) for name, rows in tables().items() if set(rows) - known[name]
    } == {}


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("reference/handoffs.md", PRESETS),
        ("reference/handoffs.md", NAMES),
        ("reference/handoffs.md", [f"{owner}.{name}" for owner, names in MEMBERS.items() for name in names]),
        ("reference/handoffs.md", PAYLOAD_VARIABLES),
        ("reference/prompts.md", PROMPT_VARIABLES),
        ("reference/gates.md", GATE_VARIABLES),
        ("reference/context.md", get_args(spec.ContextStrategy)),
        ("reference/permissions.md", get_args(spec.Permissions)),
        ("reference/directives.md", DIRECTIVES),
        ("reference/tasks.md", TaskStatus),
        ("reference/tasks.md", FAILURES),
        ("reference/agents.md", [name for name in RUNTIMES if name != "scripted"]),
        ("tutorial.md", [template.name for template in templates()]),
    ],
)
def test_a_page_names_all_its_words(page: str, words: object) -> None:
    assert spans(page, words) == []


def test_every_page_of_the_reference_has_an_example_that_can_be_run() -> None:
    pages = [page for page in names() if page.startswith("reference/")]
    assert [page for page in pages if "Stages: `" not in text_of(page)] == []
