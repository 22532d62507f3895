"""Errors beyond the types of values: each with its place, and every one told at once."""

from __future__ import annotations

import pytest

from tests.pipeline.documents import faults_of, load_text, said


def session(keys: str, agents: str = "{id: a, runtime: claude}, {id: b, runtime: codex}") -> str:
    return f"agents: [{{id: s, type: session, {keys}}}, {agents}]"


def agent(keys: str) -> str:
    return f"agents: [{{id: a, runtime: claude, {keys}}}, {{id: b, runtime: codex}}]"


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        # handoffs
        (
            agent("handoffs: [{to: c}]"),
            "agents[0].handoffs[0].to",
            "a hands off to 'c', and there is no such agent",
        ),
        (
            agent("handoffs: [{to: [b, c]}]"),
            "agents[0].handoffs[0].to[1]",
            "a hands off to 'c', and there is no such agent",
        ),
        (
            agent("handoffs: [{to: 'b, c'}]"),
            "agents[0].handoffs[0].to",
            "a hands off to 'c', and there is no such agent",
        ),
        (
            agent("handoffs: [{to: c, condition: auto}]"),
            "agents[0].handoffs[0].to",
            "a hands off to 'c', and there is no such agent",
        ),
        (
            agent("handoffs: [{to: '*'}]"),
            "agents[0].handoffs[0].to",
            "a hands off to '*', which only the condition auto can choose from",
        ),
        (agent("handoffs: [{to: ' , '}]"), "agents[0].handoffs[0].to", "to is empty"),
        (agent("handoffs: [{to: []}]"), "agents[0].handoffs[0].to", "to is empty"),
        (
            agent("handoffs: [{to: 7}]"),
            "agents[0].handoffs[0].to",
            "to must be an agent's id, a comma list of ids, or a list",
        ),
        (
            agent("handoffs: [{to: b, condition: on_approve}]"),
            "agents[0].handoffs[0].condition",
            "on_approve needs a gate, and a has none",
        ),
        (
            agent("handoffs: [{to: b, condition: on_reject}]"),
            "agents[0].handoffs[0].condition",
            "on_reject needs a gate, and a has none",
        ),
        (
            agent("handoffs: [{to: b, condition: n > 1}]"),
            "agents[0].handoffs[0].condition",
            "no variable called 'n'",
        ),
        (
            agent("handoffs: [{to: b, condition: params.x == 1}]"),
            "agents[0].handoffs[0].condition",
            "there is no param called 'x'",
        ),
        (
            agent("handoffs: [{to: b, condition: true}]"),
            "agents[0].handoffs[0].condition",
            "condition must be text, not true",
        ),
        (
            agent("handoffs: [{to: b, payload: '{{ x'}]"),
            "agents[0].handoffs[0].payload",
            "the template cannot be read: unexpected end of template, expected 'end of print statement'",
        ),
        # gates
        (agent("gate: {type: command}"), "agents[0].gate.run", "a gate of type command needs run"),
        (
            agent("gate: {run: make}"),
            "agents[0].gate.run",
            "run is for gates of type command, and this one is llm",
        ),
        (
            agent("gate: {type: command, run: ''}"),
            "agents[0].gate.run",
            "run must be a command line, or a list of words",
        ),
        (
            agent("gate: {type: command, run: []}"),
            "agents[0].gate.run",
            "run must be a command line, or a list of words",
        ),
        (agent("gate: {runtime: claud}"), "agents[0].gate.runtime", "unknown runtime 'claud'"),
        (
            agent("gate: {prompt: '{% if'}"),
            "agents[0].gate.prompt",
            "the template cannot be read: unexpected 'end of template'",
        ),
        (
            agent("gate: {max_retries: -1}"),
            "agents[0].gate.max_retries",
            "max_retries must be at least 0, not -1",
        ),
        # agents
        ("agents: [{id: a, runtime: claud}]", "agents[0].runtime", "unknown runtime 'claud'"),
        ("agents: [{id: a, runtime: command}]", "agents[0].command", "the runtime command needs a command"),
        (
            agent("command: [x]"),
            "agents[0].command",
            "command is for the runtime command, and a runs on claude",
        ),
        (agent("mcp: [x, {server: x}]"), "agents[0].mcp[1]", "the MCP server 'x' is listed twice"),
        (agent("mcp: ['']"), "agents[0].mcp[0]", "server is empty"),
        (
            agent("join: some"),
            "agents[0].join",
            "join must be all, any, or how many branches to wait for, from 1",
        ),
        (
            agent("join: 0"),
            "agents[0].join",
            "join must be all, any, or how many branches to wait for, from 1",
        ),
        (
            agent("join: true"),
            "agents[0].join",
            "join must be all, any, or how many branches to wait for, from 1",
        ),
        (agent("human_input: later"), "agents[0].human_input", "mode cannot be 'later'"),
        (agent("timeout: 0"), "agents[0].timeout", "timeout must be more than 0, not 0"),
        (agent("timeout: '600'"), "agents[0].timeout", "timeout must be a number, not '600'"),
        (agent("permissions: all"), "agents[0].permissions", "permissions cannot be 'all'"),
        (agent("output: {severity: {type: strin}}"), "agents[0].output.severity.type", "'strin' is no type"),
        (
            agent("output: {severity: string}"),
            "agents[0].output.severity",
            "a field's schema must be a mapping",
        ),
        (
            agent("output: {type: object, properties: {x: {type: strin}}}"),
            "agents[0].output.properties.x.type",
            "'strin' is no type",
        ),
        (agent("output: text"), "agents[0].output", "output must be a mapping, not text"),
        ("agents: [{id: 'a b', runtime: claude}]", "agents[0].id", "id cannot be 'a b'"),
        ("agents: [{id: a, type: sesion, runtime: claude}]", "agents[0].type", "type cannot be 'sesion'"),
        (
            "agents: [{id: a, runtime: claude}, {id: a, runtime: codex}]",
            "agents[1].id",
            "the id 'a' is used twice (first in line 1)",
        ),
        ("agents: []", "agents", "agents is empty"),
        ("agents: {a: {runtime: claude}}", "agents", "agents must be a list"),
        # sessions
        (session("participants: []"), "agents[0].participants", "participants is empty"),
        (session("participants: [a, a]"), "agents[0].participants[0]", "s lists 'a' twice"),
        (
            session("participants: [a, s]"),
            "agents[0].participants[1]",
            "'s' is a session, and sessions cannot speak in s",
        ),
        (
            session("participants: [a, c]"),
            "agents[0].participants[1]",
            "'c' is to speak in s, and there is no such agent",
        ),
        (
            session("participants: [z]", "{id: z, abstract: true, runtime: codex}"),
            "agents[0].participants[0]",
            "'z' is to speak in s, which is abstract",
        ),
        (
            session("participants: [a], consensus: {method: moderator_decides}"),
            "agents[0].consensus.method",
            "s has a moderator, and no summary_agent to be it",
        ),
        (
            session("participants: [a], consensus: {keyword: ' '}"),
            "agents[0].consensus.keyword",
            "the keyword is empty, and would be found in every answer",
        ),
        (
            session("participants: [a], consensus: {require_chunks_done: true}"),
            "agents[0].consensus.require_chunks_done",
            "require_chunks_done needs chunks, and s has none",
        ),
        (
            session("participants: [a], chunks: {enabled: false}, consensus: {require_chunks_done: true}"),
            "agents[0].consensus.require_chunks_done",
            "require_chunks_done needs chunks, and s has none",
        ),
        (
            session("participants: [a], max_rounds: 0"),
            "agents[0].max_rounds",
            "max_rounds must be at least 1, not 0",
        ),
        (session("participants: [a], runtime: claude"), "agents[0].runtime", "unknown key 'runtime'"),
        (
            session("participants: [a], handoffs: [{to: c}]"),
            "agents[0].handoffs[0].to",
            "s hands off to 'c', and there is no such agent",
        ),
        # the top level
        (
            "apiVersion: aqm/v2\nagents: [{id: a, runtime: claude}]",
            "apiVersion",
            "apiVersion cannot be 'aqm/v2'",
        ),
        (
            "entry_point: last\nagents: [{id: a, runtime: claude}]",
            "entry_point",
            "entry_point cannot be 'last'",
        ),
        (
            "version: 1.10\nagents: [{id: a, runtime: claude}]",
            "version",
            "version must be text, not the number 1.1",
        ),
        ("just text", "", "the document must be a mapping, not text"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(text: str, at: str, message: str) -> None:
    (fault,) = faults_of(text)
    assert (fault.at, fault.message, fault.severity) == (at, message, "error")
    assert fault.line is not None


@pytest.mark.parametrize(
    "text",
    [
        agent("handoffs: [{to: '*', condition: auto}]"),
        agent("handoffs: [{to: b, condition: on_pass}, {to: a, condition: default}]"),
        agent("gate: {}, handoffs: [{to: b, condition: on_approve}]"),
        agent("gate: {type: command, run: [make, test]}"),
        agent("join: 2, handoffs: [{to: b}]"),
        agent("timeout: 0.5, idle_timeout: 3, handoffs: [{to: b}]"),
        agent("handoffs: [{to: [b, a, b]}]"),
        "agents: [{id: a, runtime: command, command: [cat]}]",
        session("participants: [a], chunks: {}, consensus: {require_chunks_done: true}"),
        session("participants: [a], gate: {type: human}, handoffs: [{to: b, condition: on_approve}]"),
    ],
)
def test_what_is_right_passes(text: str) -> None:
    assert load_text(text).pipeline.agents


def test_a_plug_ins_runtime_is_known_when_it_is_told() -> None:
    text = "agents: [{id: a, runtime: mine, gate: {runtime: mine}}]"
    assert len(said(text)) == 2
    assert load_text(text, runtimes=("claude", "mine")).pipeline.agents


def test_targets_are_named_once_and_in_order() -> None:
    (first, _) = load_text(agent("handoffs: [{to: 'b, a, b'}]")).pipeline.agents
    assert first.handoffs[0].to == ("b", "a")


def test_all_faults_are_told_at_once_and_in_order() -> None:
    text = """
        apiVersion: v1
        params: {x: {type: int}}
        imports: [{from: nowhere.yaml}]
        agents:
        - {id: a, runtime: claud, modle: x}
        - {id: b, runtime: codex, handoffs: [{to: a, condition: on_aprove}], system_prompt: "{{"}
        - {runtime: codex}
    """
    found = [(fault.line, fault.at) for fault in faults_of(text)]
    assert found == [
        (2, "apiVersion"),
        (3, "params.x.type"),
        (4, "imports[0].from"),
        (6, "agents[0].modle"),
        (7, "agents[1].handoffs[0].condition"),
        (7, "agents[1].system_prompt"),
        (8, "agents[2].id"),
    ]


def test_a_broken_agent_is_still_known_to_the_others() -> None:
    (fault,) = faults_of("agents: [{id: a, runtime: claude, handoffs: [{to: b}]}, {id: b}]")
    assert fault.at == "agents[1].runtime"


def test_the_line_of_a_template_is_counted_inside_a_block() -> None:
    head = "agents:\n- id: a\n  runtime: claude\n"
    block = head + "  system_prompt: |\n    one\n    two {{ input it }}\n    three\n"
    (fault,) = faults_of(block)
    assert (fault.line, fault.at) == (6, "agents[0].system_prompt")
    folded = block.replace("|", ">")
    assert faults_of(folded)[0].line == 4


def test_there_is_an_end_to_the_faults() -> None:
    faults = faults_of("agents:\n" + "- {id: 1}\n" * 500)
    assert len(faults) == 101
    assert faults[-1].message == "there are more faults than these"


def test_no_message_speaks_of_a_library() -> None:
    text = """
        foo: 1
        params: {x: {type: int, default: [1]}}
        agents:
        - {id: [1], runtime: {}, handoffs: [1, {to: {}}], gate: 1, mcp: [1], output: [], join: [], retry: x,
           human_input: 3, timeout: x, cli_flags: x, chunks: 1, context_window: 1.5, artifacts: [1], type: 1}
        - {id: s, type: session, participants: x, consensus: {method: 1}, max_rounds: x, chunks: []}
        - 7
    """
    words = (
        "pydantic",
        "yaml.",
        "jinja2.",
        "input_type",
        "validation error",
        "Input should",
        "Traceback",
        "object at",
    )
    for line in said(text):
        assert not any(word in line for word in words), line
