"""Warnings: what is doubtful in a pipeline that may be run."""

from __future__ import annotations

import pytest

from aqm.pipeline.advice import HostFacts
from tests.pipeline.documents import load_text, warnings_of


def warned(text: str, **options: object) -> list[tuple[str, str]]:
    warnings = load_text(text, **options).warnings
    assert all(warning.severity == "warning" for warning in warnings)
    return [(warning.at, warning.message) for warning in warnings]


@pytest.mark.parametrize(
    ("agents", "at", "message"),
    [
        (
            "{id: a, runtime: claude}, {id: b, runtime: codex}",
            "agents[1].id",
            "no task that starts at a comes to b",
        ),
        (
            "{id: a, runtime: claude, handoffs: [{to: a}]}",
            "agents[0].handoffs",
            "a hands off to itself without end",
        ),
        (
            "{id: a, runtime: claude, handoffs: [{to: b}]}, {id: b, runtime: codex, handoffs: [{to: a}]}",
            "agents[0].handoffs",
            "a → b → a is a loop without a way out",
        ),
        (
            "{id: a, runtime: command, command: [cat], gate: {}, handoffs: [{to: b}]}, "
            "{id: b, runtime: codex}",
            "agents[0].gate",
            "a runs on command, which cannot judge: codex does, or the config's gate.runtime",
        ),
        (
            "{id: s, type: session, participants: [a], gate: {}}, {id: a, runtime: command, command: [cat]}",
            "agents[0].gate",
            "a runs on command, which cannot judge: claude does, or the config's gate.runtime",
        ),
        (
            "{id: a, runtime: claude, system_prompt: '{{ inptu }}'}",
            "agents[0].system_prompt",
            "the variable 'inptu' is not known here and stays empty",
        ),
        (
            "{id: a, runtime: claude, gate: {prompt: '{{ context }}'}}",
            "agents[0].gate.prompt",
            "the variable 'context' is not known here and stays empty",
        ),
        (
            "{id: a, runtime: claude, handoffs: [{to: a, condition: x == 1, payload: '{{ context }}'}]}",
            "agents[0].handoffs[0].payload",
            "the variable 'context' is not known here and stays empty",
        ),
        (
            "{id: a, runtime: claude, system_prompt: '{{ inputs.b }}'}",
            "agents[0].system_prompt",
            "the variable 'inputs' is not known here and stays empty",
        ),
        (
            "{id: a, runtime: claude, handoffs: [{to: b}, {to: b, condition: auto}]}, {id: b, "
            "runtime: codex}",
            "agents[0].handoffs[1].condition",
            "the prompt of a never mentions HANDOFF",
        ),
        (
            "{id: s, type: session, participants: [b, c], handoffs: [{to: d, condition: auto}]}, "
            "{id: b, runtime: codex}, {id: c, runtime: codex}, {id: d, runtime: codex}",
            "agents[0].handoffs[0].condition",
            "no prompt of the participants of s mentions HANDOFF",
        ),
        (
            "{id: a, runtime: claude, claude_code_flags: [--verbose]}",
            "agents[0].claude_code_flags",
            "claude_code_flags is the old name of cli_flags",
        ),
        (
            "{id: a, runtime: gemini, cli_flags: [--debug, --yolo]}",
            "agents[0].cli_flags[1]",
            "the flag --yolo lets a do more than its permissions say",
        ),
        (
            "{id: a, runtime: claude, output: {severity: {}}, handoffs: [{to: a, condition: "
            "severtiy == low}]}",
            "agents[0].handoffs[0].condition",
            "the output of a describes no field 'severtiy'",
        ),
        (
            "{id: a, runtime: claude, handoffs: [{to: a, condition: text == done}]}",
            "agents[0].handoffs[0].condition",
            "this compares a field called 'text', not the text itself",
        ),
    ],
)
def test_what_is_doubtful_is_told_where_it_stands(agents: str, at: str, message: str) -> None:
    assert warned(f"agents: [{agents}]") == [(at, message)]


@pytest.mark.parametrize(
    "agents",
    [
        "{id: a, runtime: claude, handoffs: [{to: b}]}, {id: b, runtime: codex}",
        "{id: a, runtime: claude, system_prompt: 'Say Handoff: b', handoffs: [{to: '*', condition: auto}]}, "
        "{id: b, runtime: codex}",
        "{id: a, runtime: command, command: [x], handoffs: [{to: '*', condition: auto}]}, {id: b, "
        "runtime: codex}",
        "{id: a, runtime: claude, output: {handoff: {}}, handoffs: [{to: '*', condition: auto}]}, "
        "{id: b, runtime: codex}",
        "{id: s, type: session, participants: [b, c], summary_agent: c, handoffs: [{to: d, "
        "condition: auto}]}, "
        "{id: b, runtime: codex}, {id: c, runtime: codex, system_prompt: HANDOFF}, {id: d, runtime: codex}",
        "{id: a, runtime: claude, gate: {}, handoffs: [{to: a, condition: on_reject}]}",
        "{id: a, runtime: claude, handoffs: [{to: a, condition: n == 1}]}",
        "{id: s, type: session, participants: [b]}, {id: b, runtime: codex}",
        "{id: s, type: session, participants: [b], handoffs: [{to: b}]}, {id: b, runtime: codex, "
        "gate: {type: human}}",
        "{id: b, runtime: codex, gate: {}, handoffs: [{to: s}]}, {id: s, type: session, participants: [b]}",
        "{id: a, runtime: claude, cli_flags: [--verbose, text, '-']}",
        "{id: s, runtime: claude, handoffs: [{to: 'a, b'}]}, {id: b, runtime: claude, handoffs: [{to: a}]}, "
        "{id: a, runtime: claude, join: all, "
        "system_prompt: '{% for x in inputs %}{{ x }}{% endfor %}{{ params.y }}'}",
        "{id: s, type: session, participants: [b]}, {id: b, runtime: codex, human_input: {enabled: false}}",
    ],
)
def test_what_is_not_doubtful_is_not_told(agents: str) -> None:
    assert warned(f"agents: [{agents}]") == []


def test_the_cure_of_a_variable_that_only_joins_have_says_so() -> None:
    (warning,) = warnings_of("agents: [{id: a, runtime: claude, system_prompt: '{{ inputs.b }}'}]")
    assert warning.endswith("it holds the branches' payloads of an agent with join, and a has none")


def test_with_a_router_everybody_can_be_reached() -> None:
    agents = "agents: [{id: a, runtime: claude}, {id: b, runtime: codex}]"
    assert warned("entry_point: auto\n" + agents) == []
    assert warned(agents) != []


def test_a_file_of_speakers_alone_has_no_start() -> None:
    files = {"s.yaml": "agents: [{id: s, type: session, participants: [a]}]"}
    text = "imports: [{from: s.yaml}]\nagents: [{id: a, runtime: claude}]"
    (warning,) = load_text(text, files).warnings
    assert warning.message == "no task can start here: every agent of this file only speaks in a session"


def test_old_flags_are_passed_on_as_new_ones() -> None:
    text = "agents: [{id: a, runtime: claude, cli_flags: [-x], claude_code_flags: [--debug]}]"
    (agent,) = load_text(text).pipeline.agents
    assert (agent.cli_flags, agent.claude_code_flags) == (("-x", "--debug"), ())
    inherited = """
        agents:
        - {id: base, abstract: true, runtime: claude, claude_code_flags: [--debug]}
        - {id: a, extends: base, handoffs: [{to: b}]}
        - {id: b, extends: base}
    """
    loaded = load_text(inherited)
    assert [agent.cli_flags for agent in loaded.pipeline.agents] == [("--debug",), ("--debug",)]
    assert len(loaded.warnings) == 1


def test_the_line_of_an_unknown_variable_is_counted_inside_a_block() -> None:
    text = "agents:\n- id: a\n  runtime: claude\n  system_prompt: |\n    one\n    two {{ inptu }}\n"
    (warning,) = load_text(text).warnings
    assert (warning.line, warning.cure) == (6, "did you mean 'input'?")


def test_every_warning_has_a_place_and_a_cure() -> None:
    host = HostFacts(
        lambda _: False, lambda _: False, {"claude": "npm install it", "codex": "npm install it"}
    )
    text = """
        params: {who: {required: true}}
        agents:
        - id: a
          runtime: claude
          claude_code_flags: [--dangerously-skip-permissions]
          workspace: isolated
          system_prompt: "{{ nobody }}"
          mcp: [{server: x, env: {A: $NOPE}}]
          on_branch_failure: cancel
          handoffs: [{to: a, condition: auto}]
        - {id: b, runtime: codex, join: all}
    """
    warnings = load_text(text, host=host).warnings
    assert len(warnings) == 13
    for warning in warnings:
        assert (warning.file, bool(warning.line), bool(warning.at)) == ("main.yaml", True, True), warning
        assert warning.cure, warning


def test_what_the_host_lacks_is_told() -> None:
    host = HostFacts(
        has_variable=lambda name: name == "HOME",
        has_command=lambda name: name == "node",
        missing_runtimes={"codex": "npm install -g codex"},
    )
    text = """
        agents:
        - id: a
          runtime: codex
          mcp:
          - github
          - {server: db, command: node, env: {A: "$HOME/${NOPE}", B: "secret://X", C: "$ALSO"}}
          gate: {runtime: codex}
          handoffs: [{to: b}]
        - id: b
          runtime: command
          command: [nothere, x]
          gate: {type: command, run: [nolint]}
          handoffs: [{to: c}]
        - {id: c, runtime: command, command: [./answer.sh], gate: {type: command, run: "nosuch x"}}
    """
    assert warned(text) == []
    assert warned(text, host=host) == [
        ("agents[0].runtime", "the CLI of codex is not on this host"),
        ("agents[0].mcp[0]", "the MCP server github needs 'npx', which is not on this host"),
        ("agents[0].mcp[1].env.A", "the variable $NOPE is not set"),
        ("agents[0].mcp[1].env.C", "the variable $ALSO is not set"),
        ("agents[0].gate.runtime", "the CLI of codex is not on this host"),
        ("agents[1].command[0]", "there is no command 'nothere' on this host"),
        ("agents[1].gate.run[0]", "there is no command 'nolint' on this host"),
    ]
    assert "npm install -g codex" in warnings_of(text, host=host)[0]


@pytest.mark.parametrize(
    "gate", ["{runtime: claude}", "{model: gpt-5}", "{type: human}", "{type: command, run: 'true'}"]
)
def test_a_program_whose_judge_is_named_needs_no_warning(gate: str) -> None:
    assert warned(f"agents: [{{id: a, runtime: command, command: [cat], gate: {gate}}}]") == []
