"""A pipeline drawn: as text, Mermaid, Graphviz and JSON."""

import io
from typing import Any

from aqm.cli.graph import dot, graph_json, graph_lines, mermaid
from aqm.cli.terminal import Screen
from aqm.pipeline.spec import Pipeline


def pipeline(*agents: dict[str, Any], **rest: Any) -> Pipeline:
    ids = [agent["id"] for agent in agents]
    whole = [{"type": "agent", "runtime": "claude"} | agent for agent in agents]
    return Pipeline.model_validate({"agents": whole, "own": ids, **rest})


def team() -> Pipeline:
    return pipeline(
        {"id": "dev", "model": "opus", "permissions": "edit", "handoffs": [{"to": "qa", "task": "check it"}]},
        {
            "id": "qa",
            "gate": {"type": "llm", "max_retries": 1},
            "handoffs": [{"to": "dev", "condition": "on_reject"}, {"to": "ops", "condition": "env == prod"}],
        },
        {"id": "ops", "human_input": "before"},
        description="Build it.",
    )


def drawn(of: Pipeline) -> str:
    stream = io.StringIO()
    graph_lines(Screen(stream), of, "default")
    return stream.getvalue()


def test_the_text_names_agents_rules_gates_and_where_a_task_starts() -> None:
    assert drawn(team()) == (
        "default · 3 agents · starts with dev\n"
        "Build it.\n"
        "\n"
        "dev  claude opus · permissions edit\n"
        "  → qa  check it\n"
        "\n"
        "qa  claude · permissions run\n"
        "  gate: a judge, at most 1 rejection\n"
        "  → dev  when on_reject\n"
        "  → ops  when env == prod\n"
        "  otherwise ends here\n"
        "\n"
        "ops  claude · permissions run\n"
        "  asks: a person (before)\n"
        "  ends here\n"
    )


def test_mermaid_has_a_box_for_each_agent_and_a_labelled_arrow_for_each_rule() -> None:
    assert mermaid(team()).splitlines() == [
        "flowchart TD",
        '    n1["Dev<br/>claude opus"]',
        '    n2["Qa<br/>claude<br/>gate: llm"]',
        '    n3["Ops<br/>claude"]',
        "    n1 --> n2",
        '    n2 -->|"on_reject"| n1',
        '    n2 -->|"env == prod"| n3',
    ]


def test_mermaid_cannot_be_left_by_a_label_or_an_id() -> None:
    hostile = pipeline(
        {
            "id": "end",
            "name": 'x"] --> y\n<img src=x>',
            "handoffs": [{"to": "a--b", "condition": 'v == "a;`b"'}],
        },
        {"id": "a--b"},
    )
    text = mermaid(hostile)
    assert '    n1["x#34;#93; --#62; y #60;img src=x#62;<br/>claude"]' in text
    assert '    n1 -->|"v == #34;a#59;#96;b#34;"| n2' in text


def test_dot_quotes_what_is_foreign() -> None:
    text = dot(pipeline({"id": "a", "name": 'x"; rm \\', "handoffs": [{"to": "a", "condition": 'v == "w"'}]}))
    assert text.splitlines() == [
        "digraph pipeline {",
        "  node [shape=box];",
        '  "a" [label="x\\"; rm \\\\\\nclaude"];',
        '  "a" -> "a" [label="v == \\"w\\""];',
        "}",
    ]


def test_auto_to_anybody_has_an_arrow_to_each_agent() -> None:
    of = pipeline(
        {"id": "a", "handoffs": [{"to": "*", "condition": "auto"}]}, {"id": "b"}, entry_point="auto"
    )
    assert '    n1 -->|"auto"| n1\n    n1 -->|"auto"| n2' in mermaid(of)
    assert "starts with an agent chosen for the task" in drawn(of)
    assert "  → *  when auto" in drawn(of)


def test_a_session_shows_who_takes_part() -> None:
    of = pipeline({"id": "a"}, {"id": "b"})
    session = {"id": "talk", "type": "session", "participants": ["a", "b"], "max_rounds": 4}
    of = Pipeline.model_validate({"agents": [*of.agents, session], "own": ["a", "b", "talk"]})
    assert "talk  session of a, b · at most 4 rounds" in drawn(of)
    assert graph_json(of, "x")["agents"][2]["participants"] == ["a", "b"]


def test_the_json_has_the_agents_their_gates_and_their_handoffs() -> None:
    shown = graph_json(team(), "default")
    assert shown["start"] == "dev"
    assert [agent["id"] for agent in shown["agents"]] == ["dev", "qa", "ops"]
    assert shown["agents"][1]["gate"]["max_retries"] == 1
    assert shown["agents"][0]["handoffs"] == [{"to": ["qa"], "condition": "always", "task": "check it"}]


def test_a_hostile_name_or_condition_writes_no_escape() -> None:
    of = pipeline({"id": "a", "name": "\x1b[2Jx", "handoffs": [{"to": "a", "condition": 'v == "\x1b[2J"'}]})
    assert "\x1b" not in drawn(of) + mermaid(of) + dot(of)
