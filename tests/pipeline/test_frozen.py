"""The frozen pipeline: the same bytes for the same pipeline, and the same pipeline from the bytes."""

from __future__ import annotations

import json

import pytest

from aqm.pipeline.frozen import FrozenError, freeze, thaw
from tests.pipeline.documents import load_text

TEXT = """
    name: tëam 😀
    params: {a: 1, b: 1.5, c: true, d: "", e: x}
    agents:
    - id: a
      runtime: command
      command: [cat]
      system_prompt: "{{ input }} \\u2028 <b>"
      human_input: both
      output: {reason: {type: string}, decision: {enum: [yes, no]}}
      gate: {type: command, run: [make, test]}
      mcp: [github, {server: x, env: {B: b, A: a}}]
      retry: {backoff: 2}
      timeout: 3
      join: 2
      handoffs: [{to: [s, a], condition: "default"}]
    - {id: s, type: session, participants: [a], gate: {type: command, run: make test}, join: any, chunks: {}}
"""


def test_a_pipeline_comes_back_as_it_was() -> None:
    pipeline = load_text(TEXT).pipeline
    again = thaw(freeze(pipeline))
    assert again == pipeline
    assert [type(agent) for agent in again.agents] == [type(agent) for agent in pipeline.agents]
    assert again.agent("a").gate.run == ("make", "test")
    assert again.agent("s").gate.run == "make test"
    assert [type(value) for value in again.params.values()] == [int, float, bool, str, str]


def test_the_same_pipeline_has_the_same_bytes() -> None:
    assert freeze(load_text(TEXT).pipeline) == freeze(load_text(TEXT).pipeline)
    assert freeze(thaw(freeze(load_text(TEXT).pipeline))) == freeze(load_text(TEXT).pipeline)
    assert freeze(load_text(TEXT.replace("timeout: 3", "timeout: 4")).pipeline) != freeze(
        load_text(TEXT).pipeline
    )


def test_the_authors_order_of_fields_is_kept() -> None:
    again = thaw(freeze(load_text(TEXT).pipeline))
    assert list(again.agent("a").output["properties"]) == ["reason", "decision"]
    assert list(again.agent("a").mcp[1].env) == ["B", "A"]


def test_every_default_is_written_out() -> None:
    frozen = json.loads(freeze(load_text("agents: [{id: a, runtime: claude}]").pipeline))
    assert frozen["format"] == 1
    (agent,) = frozen["pipeline"]["agents"]
    assert (agent["context_strategy"], agent["context_window"], agent["retry"]["max_retries"]) == (
        "both",
        3,
        0,
    )


def test_bytes_without_a_key_that_came_later_take_its_default() -> None:
    frozen = json.loads(freeze(load_text("agents: [{id: a, runtime: claude}]").pipeline))
    del frozen["pipeline"]["agents"][0]["artifacts"]
    assert thaw(json.dumps(frozen).encode()).agent("a").artifacts == ()


def test_another_format_is_told_by_its_number() -> None:
    frozen = freeze(load_text(TEXT).pipeline).replace(b'"format":1', b'"format":2')
    with pytest.raises(FrozenError, match="has format 2, and this aqm reads format 1"):
        thaw(frozen)


@pytest.mark.parametrize(
    "frozen",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"format": 2, "pipeline": {}}',
        b'{"format": 1, "pipeline": {"foo": 1}}',
        b"\xff",
    ],
)
def test_bytes_that_are_no_pipeline_say_what_to_do(frozen: bytes) -> None:
    with pytest.raises(FrozenError) as caught:
        thaw(frozen)
    assert caught.value.cure == "Use the version of aqm that the task was submitted with."
