"""A pipeline drawn as Mermaid and as Graphviz."""

from aqm.cli.diagram import dot, mermaid
from tests.cli.test_graph import council, pipeline, team, wide


def test_mermaid_has_a_box_for_each_agent_and_a_labelled_arrow_for_each_rule() -> None:
    assert mermaid(team()).splitlines() == [
        "flowchart TD",
        '    n0(("task"))',
        "    n0 --> n1",
        '    n1["Dev<br/>claude opus"]',
        '    n2["Qa<br/>claude<br/>gate: a judge"]',
        '    n3["Ops<br/>claude<br/>asks a person (before)"]',
        "    n1 --> n2",
        '    n2 -->|"on_reject"| n1',
        '    n2 -->|"env == prod"| n3',
    ]


def test_mermaid_draws_branches_thick_and_a_join_as_a_funnel() -> None:
    lines = mermaid(wide()).splitlines()
    assert (
        '    n4[\\"Sum<br/>claude<br/>join: opens when all have come<br/>gate: a command: make test"/]'
        in lines
    )
    assert lines[-5:] == [
        '    n1 ==>|"on_pass"| n2',
        '    n1 ==>|"on_pass"| n3',
        "    n2 --> n4",
        "    n3 --> n4",
        '    n4 -->|"auto"| n1',
    ]


def test_mermaid_draws_a_session_with_its_speakers() -> None:
    lines = mermaid(council()).splitlines()
    assert '    n3{{"Board<br/>session, at most 6 rounds<br/>gate: a person, before it runs"}}' in lines
    assert '    n3 -. "summary" .- n1' in lines
    assert "    n3 -.- n2" in lines


def test_a_router_is_drawn_as_a_choice() -> None:
    of = pipeline(
        {"id": "a", "handoffs": [{"to": "*", "condition": "auto"}]}, {"id": "b"}, entry_point="auto"
    )
    drawn = mermaid(of)
    assert '    n0{"chosen for the task"}\n    n0 -.-> n1\n    n0 -.-> n2' in drawn
    assert '    n1 -->|"auto"| n1\n    n1 -->|"auto"| n2' in drawn
    assert '  "the start" -> "b" [style=dashed];' in dot(of)


def test_mermaid_cannot_be_left_by_a_label_or_an_id() -> None:
    hostile = pipeline(
        {
            "id": "end",
            "name": 'x"] --> y\n<img src=x>',
            "model": 'm"/]',
            "gate": {"type": "command", "run": 'echo "];`'},
            "handoffs": [{"to": "a--b", "condition": 'v == "a;`b"'}],
        },
        {"id": "a--b"},
    )
    text = mermaid(hostile)
    assert (
        '    n1["x#34;#93; --#62; y #60;img src=x#62;<br/>claude m#34;/#93;<br/>gate: a command: echo' in text
    )
    assert " #34;#93;#59;#96;" in text
    assert '    n1 -->|"v == #34;a#59;#96;b#34;"| n2' in text


def test_dot_quotes_what_is_foreign() -> None:
    text = dot(pipeline({"id": "a", "name": 'x"; rm \\', "handoffs": [{"to": "a", "condition": 'v == "w"'}]}))
    assert text.splitlines() == [
        "digraph pipeline {",
        "  node [shape=box];",
        '  "the start" [label="task", shape=circle];',
        '  "the start" -> "a";',
        '  "a" [label="x\\"; rm \\\\\\nclaude"];',
        '  "a" -> "a" [label="v == \\"w\\""];',
        "}",
    ]


def test_dot_draws_branches_joins_and_sessions() -> None:
    branches = dot(wide()).splitlines()
    assert '  "split" -> "left" [label="on_pass", style=bold];' in branches
    assert any(line.startswith('  "sum"') and line.endswith("shape=invtrapezium];") for line in branches)
    session = dot(council()).splitlines()
    assert any(line.startswith('  "board" [label="Board') and "shape=hexagon" in line for line in session)
    assert '  "board" -> "chair" [style=dotted, dir=none, label="summary"];' in session


def test_no_drawing_holds_an_escape() -> None:
    of = pipeline({"id": "a", "name": "\x1b[2Jx", "handoffs": [{"to": "a", "condition": 'v == "\x1b[2J"'}]})
    assert "\x1b" not in mermaid(of) + dot(of)
