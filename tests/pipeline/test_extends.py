"""`extends`: what is taken over, how far up, and what a broken chain says."""

from __future__ import annotations

from typing import Any

from tests.pipeline.documents import load_text, said


def agents_of(text: str) -> dict[str, Any]:
    return {agent.id: agent for agent in load_text(text).pipeline.agents}


def test_keys_are_taken_over_any_number_of_levels_and_the_child_wins() -> None:
    levels = "\n".join(f"- {{id: l{n}, abstract: true, extends: l{n - 1}}}" for n in range(1, 40))
    found = agents_of(
        "agents:\n- {id: l0, abstract: true, runtime: codex, model: m, retry: {max_retries: 2, backoff: 3}}\n"
        + levels
        + "\n- {id: a, extends: l39, model: mine, retry: {max_retries: 5}}\n"
    )
    agent = found["a"]
    assert (agent.runtime, agent.model) == ("codex", "mine")
    assert (agent.retry.max_retries, agent.retry.backoff) == (
        5,
        0.0,
    )  # shallow: the whole mapping is the child's
    assert (agent.abstract, agent.extends) == (False, None)
    assert list(found) == ["a"]


def test_null_puts_the_default_in_place_of_what_was_taken_over() -> None:
    found = agents_of(
        """
        agents:
        - {id: base, abstract: true, runtime: codex, gate: {type: human}, context_window: 9}
        - {id: a, extends: base, gate: null, context_window: null}
        """
    )
    assert (found["a"].gate, found["a"].context_window) == (None, 3)


def test_an_agent_that_is_not_abstract_can_be_extended_and_stays() -> None:
    found = agents_of(
        "agents: [{id: a, runtime: codex, handoffs: [{to: b}]}, {id: b, extends: a, handoffs: []}]"
    )
    assert [found[name].runtime for name in ("a", "b")] == ["codex", "codex"]


def test_a_session_can_be_extended() -> None:
    found = agents_of(
        """
        agents:
        - {id: talk, abstract: true, type: session, max_rounds: 3, participants: [x]}
        - {id: a, extends: talk}
        - {id: x, runtime: codex}
        """
    )
    assert (found["a"].type, found["a"].max_rounds) == ("session", 3)


def test_a_fault_points_to_the_line_where_the_value_was_written() -> None:
    found = said(
        "agents:\n- id: base\n  abstract: true\n  runtime: codex\n  context_window: x\n"
        "- {id: a, extends: base}\n- {id: b, extends: base}\n"
    )
    assert found == [
        "main.yaml:5:19 agents[0].context_window: context_window must be a whole number, not 'x'"
    ]


def test_a_missing_key_is_missing_where_the_child_stands() -> None:
    found = said("agents:\n- {id: base, abstract: true, model: m}\n- {id: a, extends: base}\n")
    assert [each.split(":")[1:4] for each in found] == [
        ["3", "3 agents[1].runtime", " runtime is missing; add it"]
    ]


def test_a_circle_is_named_once() -> None:
    found = said(
        "agents:\n- {id: a, extends: b, runtime: codex}\n- {id: b, extends: c, runtime: codex}\n"
        "- {id: c, extends: a, runtime: codex}\n"
    )
    assert found == [
        "main.yaml:2:20 agents[0].extends: agents extend each other in a circle:"
        " a extends b extends c extends a; remove one extends"
    ]
    assert "a extends a" in said("agents: [{id: a, extends: a, runtime: codex}]")[0]


def test_an_unknown_parent_is_named_with_the_nearest() -> None:
    found = said(
        "agents:\n- {id: base, abstract: true, runtime: codex}\n- {id: a, extends: bsae, runtime: codex}\n"
    )
    assert found == [
        "main.yaml:3:20 agents[1].extends: a extends 'bsae', and there is no such agent; did you mean 'base'?"
    ]
    abstract = "agents:\n- {id: x, runtime: codex}\n- {id: a, abstract: true, extends: ghost}\n"
    assert "a extends 'ghost'" in said(abstract)[0]


def test_an_abstract_agent_may_be_incomplete_but_not_misspelt() -> None:
    good = "agents: [{id: x, runtime: codex}, {id: a, abstract: true}]"
    assert load_text(good).pipeline.ids == ("x",)
    assert said("agents: [{id: x, runtime: codex}, {id: a, abstract: true, modle: m}]") == [
        "main.yaml:1:59 agents[1].modle: unknown key 'modle'; did you mean 'model'?"
    ]


def test_only_abstract_agents_are_no_pipeline() -> None:
    assert said("agents: [{id: a, abstract: true, runtime: codex}]") == [
        "main.yaml:1:10 agents[0]: every agent is abstract, so there is none to run; add one that "
        "extends them"
    ]


def test_the_parent_may_come_later() -> None:
    found = agents_of("agents: [{id: a, extends: z}, {id: z, abstract: true, runtime: codex}]")
    assert found["a"].runtime == "codex"
