"""A pipeline drawn: as text and as JSON."""

import io
from typing import Any

import pytest

from aqm.cli.graph import graph_json, graph_lines
from aqm.cli.terminal import Screen
from aqm.pipeline.spec import Pipeline


def pipeline(*agents: dict[str, Any], **rest: Any) -> Pipeline:
    ids = [agent["id"] for agent in agents]
    whole = [agent if "type" in agent else {"type": "agent", "runtime": "claude"} | agent for agent in agents]
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


def wide() -> Pipeline:
    return pipeline(
        {
            "id": "split",
            "on_branch_failure": "cancel",
            "handoffs": [
                {"to": "left", "condition": "on_pass", "task": "the left half"},
                {"to": "right", "condition": "on_pass"},
            ],
        },
        {"id": "left", "handoffs": [{"to": "sum"}]},
        {"id": "right", "handoffs": [{"to": "sum"}]},
        {
            "id": "sum",
            "join": "all",
            "gate": {"type": "command", "run": ["make", "test"]},
            "handoffs": [{"to": "split", "condition": "auto"}],
        },
    )


def council() -> Pipeline:
    board = {
        "id": "board",
        "type": "session",
        "participants": ["chair", "dev"],
        "turn_order": "moderator",
        "max_rounds": 6,
        "summary_agent": "chair",
        "consensus": {"method": "moderator_decides", "keyword": "DONE", "require_chunks_done": True},
        "chunks": {"initial": ["Schema", "Endpoints"]},
        "on_no_consensus": "human",
        "gate": {"type": "human", "when": "before"},
    }
    dev = {"id": "dev", "output": {"type": "object", "properties": {"severity": {}}}}
    return pipeline({"id": "chair"}, dev, board)


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
        "  rules that fire together open branches at once\n"
        "\n"
        "ops  claude · permissions run\n"
        "  asks: a person (before)\n"
        "  ends here\n"
    )


def test_a_fan_out_is_a_fork_and_its_join_says_what_it_waits_for() -> None:
    assert drawn(wide()) == (
        "default · 4 agents · starts with split\n"
        "\n"
        "split  claude · permissions run\n"
        "  ⇉ 2 branches at once  when on_pass\n"
        "    ├→ left  the left half\n"
        "    └→ right\n"
        "  otherwise ends here\n"
        "  its branches meet at sum\n"
        "  when one of its branches fails, the others are cancelled\n"
        "\n"
        "left  claude · permissions run\n"
        "  → sum\n"
        "\n"
        "right  claude · permissions run\n"
        "  → sum\n"
        "\n"
        "sum  claude · permissions run\n"
        "  joins: the branches of split, opens when all have come\n"
        "  gate: a command: make test, at most 3 rejections\n"
        "  → split  as its answer says (auto)\n"
    )


@pytest.mark.parametrize(
    ("join", "said"),
    [
        ("any", "opens with the first that comes"),
        (1, "opens with the first that comes"),
        (2, "opens when 2 have come"),
    ],
)
def test_a_join_says_when_it_opens(join: str | int, said: str) -> None:
    of = pipeline({"id": "a", "handoffs": [{"to": "b, c"}]}, {"id": "b", "handoffs": [{"to": "c"}]},
                  {"id": "c", "join": join})  # fmt: skip
    assert f"  joins: the branches of a, {said}\n" in drawn(of)


def test_a_join_without_a_fan_out_opens_at_once() -> None:
    of = pipeline({"id": "a", "handoffs": [{"to": "b"}]}, {"id": "b", "join": "all"})
    assert "  joins: nothing: no fan-out leads here by two branches, so it opens at once\n" in drawn(of)


def test_rules_that_may_fire_together_are_told() -> None:
    of = pipeline({"id": "a", "handoffs": [{"to": "b"}, {"to": "c", "condition": "k == x"}]}, {"id": "b"},
                  {"id": "c"})  # fmt: skip
    told = "  rules that fire together open branches at once\n"
    assert told in drawn(of)
    assert told not in drawn(wide()) + drawn(council())


def test_auto_to_anybody_says_that_the_answer_chooses() -> None:
    of = pipeline(
        {"id": "a", "handoffs": [{"to": "*", "condition": "auto"}]}, {"id": "b"}, entry_point="auto"
    )
    assert "starts with an agent chosen for the task (else a)" in drawn(of)
    assert "  → any agent  as its answer says (auto)" in drawn(of)
    shown = graph_json(of, "x")
    assert (shown["start"], shown["router"]) == (None, {"choices": ("a", "b"), "fallback": "a"})


def test_a_session_shows_who_speaks_when_and_what_ends_it() -> None:
    assert drawn(council()).split("\n\n")[3] == (
        "board  session of chair, dev · at most 6 rounds\n"
        "  speak: chair first in each round, then the others\n"
        "  agreed: when chair says so with the line 'DONE', and all chunks are done, else a person decides\n"
        "  summary: chair\n"
        "  chunks: Schema, Endpoints\n"
        "  gate: a person, before it runs, at most 3 rejections\n"
        "  ends here\n"
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "  speak: one after another\n  agreed: when all vote so, else it goes on all the same\n"),
        ({"turn_order": "parallel"}, "  speak: all at once, each sees the rounds before\n"),
        ({"consensus": {"require": "majority"}}, "  agreed: when more than half vote so, else"),
        ({"consensus": {"keyword": "OK"}}, "  agreed: when all vote so with the line 'OK', else"),
        ({"on_no_consensus": "fail"}, "  agreed: when all vote so, else the task fails\n"),
        ({"chunks": {"enabled": True}}, "  chunks: none at first\n"),
        ({"max_rounds": 1}, "session of dev · at most 1 round\n"),
    ],
)
def test_a_session_shows_what_differs(keys: dict[str, Any], said: str) -> None:
    assert said in drawn(
        pipeline({"id": "s", "type": "session", "participants": ["dev"], **keys}, {"id": "dev"})
    )


def test_who_only_speaks_does_not_end_anything() -> None:
    chair, dev, board = drawn(council()).split("\n\n")[1:]
    assert chair.endswith("\n  only speaks in sessions")
    assert dev.endswith("\n  only speaks in sessions")
    assert board.endswith("\n  ends here\n")


def test_what_an_agent_asks_and_answers_is_shown() -> None:
    fields = {"type": "object", "properties": {"severity": {}, "reason": {}}}
    text = drawn(
        pipeline({"id": "a", "human_input": {"mode": "both", "prompt": "Which scope?"}, "output": fields})
    )
    assert "  asks: a person (both): Which scope?\n  output: severity, reason\n" in text


def test_the_json_has_the_agents_their_gates_and_their_handoffs() -> None:
    shown = graph_json(team(), "default")
    assert (shown["start"], shown["router"]) == ("dev", None)
    assert [agent["id"] for agent in shown["agents"]] == ["dev", "qa", "ops"]
    dev, qa, ops = shown["agents"]
    assert qa["gate"]["max_retries"] == 1
    assert dev["handoffs"] == [
        {"to": ["qa"], "condition": "always", "payload": "{{ output }}", "task": "check it"}
    ]
    assert (dev["session"], dev["human_input"], dev["chunks"], dev["join"]) == (None, None, None, None)
    assert ops["human_input"]["mode"] == "before"


def test_the_json_has_fan_outs_joins_and_sessions() -> None:
    split, *_, last = graph_json(wide(), "x")["agents"]
    assert (split["fans_out"], split["on_branch_failure"]) == (True, "cancel")
    assert (last["join"], last["collects_from"], last["fans_out"]) == ("all", ["split"], False)
    _, dev, board = graph_json(council(), "x")["agents"]
    assert board["participants"] == ["chair", "dev"]
    assert board["session"]["consensus"]["keyword"] == "DONE"
    assert board["session"]["on_no_consensus"] == "human"
    assert board["chunks"]["initial"] == ["Schema", "Endpoints"]
    assert board["runtime"] is None
    assert dev["output"] == {"type": "object", "properties": {"severity": {}}}


def test_a_pipeline_without_a_start_names_none() -> None:
    of = Pipeline.model_validate({"agents": [{"type": "agent", "id": "a", "runtime": "claude"}], "own": []})
    assert graph_json(of, "x")["start"] is None
    assert "starts with the agent that --agent names" in drawn(of)


def test_hostile_texts_write_no_escape_and_no_line_of_their_own() -> None:
    bad = "\x1b[2J\nends here"
    of = pipeline(
        {
            "id": "a",
            "name": bad,
            "model": bad,
            "human_input": {"mode": "before", "prompt": bad},
            "gate": {"model": bad},
            "handoffs": [{"to": "b, s", "condition": f'v == "{bad}"', "task": bad}],
            "chunks": {"initial": [bad]},
            "output": {"type": "object", "properties": {bad: {}}},
        },
        {"id": "b"},
        {"id": "s", "type": "session", "participants": ["b"], "consensus": {"keyword": bad}},
    )
    text = drawn(of)
    assert "\x1b" not in text
    assert not any(line.startswith("ends here") for line in text.splitlines())
