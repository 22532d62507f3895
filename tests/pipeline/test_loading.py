"""Loading as a whole: any text is a pipeline or faults of ours, and it costs little."""

from __future__ import annotations

import subprocess
import sys
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from aqm.errors import Fault, PipelineError
from aqm.pipeline.frozen import freeze, thaw
from aqm.pipeline.spec import Agent, Session
from tests.pipeline.documents import load_text

KEYS = st.sampled_from(
    sorted(
        {
            *Agent.model_fields,
            *Session.model_fields,
            "from",
            "to",
            "condition",
            "payload",
            "server",
            "enabled",
        }
    )
)
WORDS = st.sampled_from(
    [
        "a",
        "b",
        "s",
        "claude",
        "session",
        "auto",
        "on_approve",
        "*",
        "{{ input }}",
        "{{",
        "x == 1",
        "output.x > 1",
    ]
)
REFERENCES = st.sampled_from(
    ["${{ params.x }}", "a ${{ params.x }}", "${{ params.nope }}", "${{ params.y }}"]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), WORDS, REFERENCES)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=8,
)
AGENTS = st.builds(
    lambda id, extra: {"id": id, "runtime": "claude", **extra},
    st.sampled_from(["a", "b", "s"]),
    st.dictionaries(KEYS, VALUES, max_size=5),
)
SECTIONS = st.dictionaries(
    st.sampled_from(["params", "imports", "name", "entry_point", "apiVersion"]), VALUES
)


def faults_of_document(text: str) -> tuple[Fault, ...]:
    try:
        pipeline = load_text(text).pipeline
    except PipelineError as error:
        return error.faults
    assert thaw(freeze(pipeline)) == pipeline
    return ()


@settings(max_examples=300)
@given(st.lists(AGENTS, min_size=1, max_size=4), SECTIONS)
def test_any_document_is_a_pipeline_or_faults_with_places(
    agents: list[object], sections: dict[str, object]
) -> None:
    document = {"params": {"x": 1, "y": "{{ y }}'"}, **sections, "agents": agents}
    for fault in faults_of_document(as_flow(document)):
        assert (fault.file, fault.line, bool(fault.message)) == ("main.yaml", 1, True)
        assert "pydantic" not in str(fault)


@given(st.text())
def test_any_text_is_a_pipeline_or_faults(text: str) -> None:
    assert all(fault.message for fault in faults_of_document(text))


def as_flow(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {as_flow(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(as_flow(each) for each in value) + "]"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case None:
            return "null"
        case bool():
            return str(value).lower()
    return str(value)


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_model_costs_pydantic_alone() -> None:
    heavy = {"yaml", "jinja2", "cel", "jsonschema_rs", "sqlalchemy", "celery"}
    assert modules_after("import aqm.pipeline.spec, aqm.pipeline.frozen") & heavy == set()
    assert modules_after("import aqm.pipeline.resolve, aqm.pipeline.templates, aqm.settings") & heavy == set()


def test_cel_is_loaded_by_those_who_use_it_alone() -> None:
    start = "from tests.pipeline.documents import load_text\n"
    plain = "load_text(\"agents: [{id: a, runtime: claude, handoffs: [{to: a, condition: 'x == 1'}]}]\")"
    assert "cel" not in modules_after(start + plain)
    assert "cel" in modules_after(start + plain.replace("x == 1", "output.x > 1"))


def test_a_small_pipeline_loads_in_a_few_milliseconds() -> None:
    text = """
        params: {model: m}
        agents:
        - id: dev
          runtime: claude
          model: "${{ params.model }}"
          system_prompt: "Do {{ input }}"
          handoffs: [{to: rev}]
        - id: rev
          runtime: codex
          system_prompt: "Look at {{ input }}"
          gate: {prompt: "Good? {{ output }}"}
          handoffs: [{to: dev, condition: on_reject, payload: "{{ reject_reason }}"}]
    """
    load_text(text)
    begun = time.process_time()
    for _ in range(20):
        load_text(text)
    assert (time.process_time() - begun) / 20 < 0.02
