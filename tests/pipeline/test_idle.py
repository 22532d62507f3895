"""Warnings about words that have no effect where they stand."""

from __future__ import annotations

import pytest

from tests.pipeline.documents import load_text

FORK = "{id: a, runtime: claude, handoffs: [{to: 'b, c'}]}, {id: b, runtime: codex, handoffs: [{to: j}]}, "


@pytest.mark.parametrize(
    ("agents", "at", "message"),
    [
        # what only speaks
        (
            "{id: s, type: session, participants: [b]}, {id: b, runtime: codex, gate: {type: human}}",
            "agents[1].gate",
            "b only speaks in sessions, where its gate counts for nothing",
        ),
        (
            "{id: s, type: session, participants: [b]}, {id: b, runtime: codex, human_input: true}",
            "agents[1].human_input",
            "b only speaks in sessions, where its human_input counts for nothing",
        ),
        (
            "{id: s, type: session, participants: [b]}, {id: b, runtime: codex, join: all}",
            "agents[1].join",
            "b only speaks in sessions, where its join counts for nothing",
        ),
        (
            "{id: s, type: session, participants: [b]}, {id: b, runtime: codex, handoffs: [{to: s}]}",
            "agents[1].handoffs",
            "b only speaks in sessions, where its handoffs count for nothing",
        ),
        (
            "{id: s, type: session, participants: [b]}, {id: b, runtime: codex, output: {x: {}}}",
            "agents[1].output",
            "b only speaks in sessions, where its output counts for nothing",
        ),
        (
            "{id: s, type: session, participants: [b]}, {id: b, runtime: codex, chunks: {}}",
            "agents[1].chunks",
            "b only speaks in sessions, where its chunks count for nothing",
        ),
        # not yet
        (
            "{id: a, runtime: claude, conversation: resume}",
            "agents[0].conversation",
            "conversation: resume has no effect yet",
        ),
        (
            "{id: a, runtime: claude, workspace: isolated}",
            "agents[0].workspace",
            "workspace: isolated has no effect yet",
        ),
        (
            "{id: a, runtime: claude, workspace: none}",
            "agents[0].workspace",
            "workspace: none has no effect yet",
        ),
        ("{id: a, runtime: claude, verify: make}", "agents[0].verify", "verify has no effect yet"),
        (
            "{id: a, runtime: claude, artifacts: ['*.md']}",
            "agents[0].artifacts",
            "artifacts has no effect yet",
        ),
        (
            "{id: a, runtime: claude, join_conflict: human}",
            "agents[0].join_conflict",
            "join_conflict has no effect yet",
        ),
        # gates and sessions
        (
            "{id: a, runtime: claude, gate: {type: human, model: opus}}",
            "agents[0].gate.model",
            "the model of a gate is the judge's, and here a person decides",
        ),
        (
            "{id: a, runtime: claude, gate: {type: command, run: make, runtime: codex}}",
            "agents[0].gate.runtime",
            "the runtime of a gate is the judge's, and here a command decides",
        ),
        (
            "{id: a, runtime: claude, gate: {type: command, run: make, prompt: Look.}}",
            "agents[0].gate.prompt",
            "a command is not told the gate's prompt",
        ),
        (
            "{id: a, runtime: claude, gate: {type: command, run: 'check {{ output }}'}}",
            "agents[0].gate.run",
            "run is no template: the shell gets what stands in {{ }} as it is",
        ),
        (
            "{id: a, runtime: claude, gate: {when: before, prompt: '{{ output }}'}}",
            "agents[0].gate.prompt",
            "output is empty in a gate that decides before a works",
        ),
        (
            "{id: s, type: session, participants: [b], summary_agent: b, "
            "consensus: {method: moderator_decides, "
            "require: majority}}, {id: b, runtime: codex}",
            "agents[0].consensus.require",
            "require: majority is for votes, and in s the moderator decides",
        ),
        # fan-outs and joins
        (
            "{id: a, runtime: claude, on_branch_failure: cancel, handoffs: [{to: b}]}, {id: b, "
            "runtime: codex}",
            "agents[0].on_branch_failure",
            "on_branch_failure is for agents that open branches, and a never hands off to several",
        ),
        (
            "{id: a, runtime: claude, handoffs: [{to: b}]}, {id: b, runtime: codex, join: all}",
            "agents[1].join",
            "no two branches of a fan-out can come to b, so its join opens at once",
        ),
        (
            FORK + "{id: c, runtime: codex, handoffs: [{to: j}]}, {id: j, runtime: codex, join: 3}",
            "agents[3].join",
            "j waits for 3 branches, and at most 2 can come to it",
        ),
    ],
)
def test_a_word_without_effect_is_told_where_it_stands(agents: str, at: str, message: str) -> None:
    (warning,) = load_text(f"agents: [{agents}]").warnings
    assert (warning.at, warning.message, warning.severity) == (at, message, "warning")
    assert (warning.file, warning.line, bool(warning.column)) == ("main.yaml", 1, True)
    assert warning.cure


@pytest.mark.parametrize(
    "agents",
    [
        "{id: a, runtime: claude, conversation: fresh, workspace: shared, on_branch_failure: wait}",
        "{id: s, type: session, participants: [b]}, {id: b, runtime: codex, conversation: resume}",
        "{id: s, type: session, participants: [b], handoffs: [{to: b}]}, {id: b, runtime: codex, "
        "output: {x: {}}}",
        "{id: s, type: session, participants: [b]}, {id: b, runtime: codex, chunks: {enabled: false}}",
        "{id: a, runtime: claude, gate: {type: command, run: ['echo', '{{ x }}']}}",
        "{id: a, runtime: claude, gate: {type: human, prompt: 'All well?', when: before}}",
        "{id: a, runtime: claude, gate: {when: before, prompt: '{{ input }}', model: m, runtime: claude}}",
        FORK + "{id: c, runtime: codex, handoffs: [{to: j}]}, {id: j, runtime: codex, join: 2}",
        FORK + "{id: c, runtime: codex, handoffs: [{to: j}]}, {id: j, runtime: codex, join: any}",
        "{id: a, runtime: claude, on_branch_failure: cancel, handoffs: [{to: b}, {to: c, "
        "condition: x == 1}]}, "
        "{id: b, runtime: codex}, {id: c, runtime: codex}",
    ],
)
def test_a_word_with_effect_is_not_told(agents: str) -> None:
    assert load_text(f"agents: [{agents}]").warnings == ()


def test_what_no_task_comes_to_is_told_once() -> None:
    text = "agents: [{id: a, runtime: claude}, {id: b, runtime: codex, join: all}]"
    (warning,) = load_text(text).warnings
    assert warning.message == "no task that starts at a comes to b"


def test_a_session_cannot_take_what_a_speaker_answers_or_asks() -> None:
    text = "agents: [{id: s, type: session, participants: [b]}, {id: b, runtime: codex, human_input: true}]"
    (warning,) = load_text(text).warnings
    assert warning.cure == "remove it"
