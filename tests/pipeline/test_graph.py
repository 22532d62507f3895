"""Who can come after whom: the first agent, reachable ones, and loops without a way out."""

from __future__ import annotations

import time

import pytest

from aqm.pipeline.graph import (
    endless_loops,
    first_agent,
    only_speaking,
    participants_only,
    reach,
    reachable,
)
from aqm.pipeline.spec import Agent, Gate, Handoff, Pipeline, Session


def agent(id: str, *rules: str, gate: bool = False) -> Agent:
    """`rules` are `condition -> target, target`, or targets alone."""
    handoffs = []
    for rule in rules:
        condition, _, targets = rule.rpartition("->")
        handoffs.append(Handoff(to=targets.strip(), condition=condition.strip() or "always"))
    return Agent(id=id, runtime="claude", handoffs=tuple(handoffs), gate=Gate() if gate else None)


def pipeline(*agents: Agent | Session, own: tuple[str, ...] | None = None) -> Pipeline:
    return Pipeline(agents=agents, own=own if own is not None else tuple(each.id for each in agents))


def session(id: str, *participants: str, to: str = "") -> Session:
    return Session(id=id, participants=participants, handoffs=(Handoff(to=to),) if to else ())


def test_the_first_agent_is_the_files_own_and_no_mere_participant() -> None:
    assert first_agent(pipeline(agent("a"), agent("b"))) == "a"
    assert first_agent(pipeline(agent("a"), agent("b"), own=("b",))) == "b"
    assert first_agent(pipeline(agent("a"), session("s", "a"))) == "s"
    assert first_agent(pipeline(agent("a", "s"), session("s", "a"))) == "a"
    assert first_agent(pipeline(agent("a"), session("s", "a", to="a"))) == "a"
    assert first_agent(pipeline(agent("a"), session("s", "a"), own=("a",))) is None


def test_a_pure_participant_has_no_handoffs_and_nobody_names_it() -> None:
    found = participants_only(
        pipeline(agent("a"), agent("b", "s"), agent("c"), agent("d", "c"), session("s", "a", "b", "c"))
    )
    assert found == {"a"}


def test_only_those_speak_alone_whom_no_task_comes_to() -> None:
    found = pipeline(session("s", "a", "b", "c", to="c"), agent("a"), agent("b", "s"), agent("c"))
    assert only_speaking(found) == {"a", "b"}


def test_a_session_reaches_its_speakers_but_not_where_they_would_hand_off() -> None:
    found = pipeline(session("s", "a"), agent("a", "b"), agent("b"))
    assert reachable(found) == {"s", "a"}


@pytest.mark.parametrize(
    ("agents", "found"),
    [
        ([agent("a", "b"), agent("b")], {"a": "b", "b": ""}),
        ([agent("a", "a")], {"a": "a"}),
        ([agent("a", "b"), agent("b", "a", "c"), agent("c")], {"a": "abc", "b": "abc", "c": ""}),
        ([agent("a", "b, c"), agent("b", "d"), agent("c", "d"), agent("d")],
         {"a": "bcd", "b": "d", "c": "d", "d": ""}),
        ([agent("d", "c"), agent("c", "b", "d"), agent("b", "a"), agent("a", "b")],
         {"d": "abcd", "c": "abcd", "b": "ab", "a": "ab"}),
        ([agent("a", "auto -> *"), agent("b")], {"a": "ab", "b": ""}),
        ([session("s", "p", to="a"), agent("a"), agent("p", "s")], {"s": "a", "a": "", "p": "sa"}),
    ],
)  # fmt: skip
def test_an_agent_reaches_whom_handoffs_lead_to(agents: list[Agent | Session], found: dict[str, str]) -> None:
    assert reach(pipeline(*agents)) == {name: frozenset(names) for name, names in found.items()}


def test_dense_pipelines_are_walked_in_no_time() -> None:
    begun = time.process_time()
    everybody = reach(pipeline(*(agent(f"a{n}", "auto -> *") for n in range(400))))
    assert {len(names) for names in everybody.values()} == {400}
    later = [agent(f"a{n}", ",".join(f"a{m}" for m in range(n + 1, 300))) for n in range(299)]
    assert len(reach(pipeline(*later, agent("a299")))["a0"]) == 299
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("agents", "loops"),
    [
        ([agent("a", "b"), agent("b")], []),
        ([agent("a", "a")], [("a",)]),
        ([agent("a", "b"), agent("b", "a")], [("a", "b")]),
        ([agent("a", "b"), agent("b", "n == 1 -> a")], []),
        ([agent("a", "b"), agent("b", "n == 1 -> a", "default -> c"), agent("c")], []),
        ([agent("a", "b"), agent("b", "n == 1 -> a", "default -> a")], [("a", "b")]),
        ([agent("a", "b"), agent("b", "on_reject -> a", gate=True)], []),
        ([agent("a", "b"), agent("b", "on_reject -> a", "on_approve -> c", gate=True), agent("c")], []),
        ([agent("a", "b"), agent("b", "on_approve -> a", gate=True)], [("a", "b")]),
        (
            [
                agent("c"),
                agent("b", "n == 1 -> c", "default -> b"),
                agent("a", "default -> a", "n == 1 -> b"),
            ],
            [],
        ),
        ([agent("a", "b, c"), agent("b", "a"), agent("c")], [("a", "b")]),
        ([agent("a", "auto -> b, c"), agent("b", "a"), agent("c")], []),
        ([agent("a", "auto -> b"), agent("b", "a")], [("a", "b")]),
        ([agent("a", "auto -> *"), agent("b")], []),
        ([agent("a", "b"), agent("b", "c"), agent("c", "b")], [("b", "c")]),
        ([agent("a", "a"), agent("b", "b")], [("a",), ("b",)]),
        ([session("s", "a", to="b"), agent("a"), agent("b", "s")], [("s", "b")]),
    ],
)
def test_a_loop_is_endless_when_no_agent_in_it_can_leave(
    agents: list[Agent | Session], loops: list[tuple[str, ...]]
) -> None:
    assert endless_loops(pipeline(*agents)) == loops


def test_long_chains_take_no_time() -> None:
    many = [agent(f"a{n}", f"a{n + 1}") for n in range(3_000)]
    chain = pipeline(*many, agent("a3000"))
    begun = time.process_time()
    assert endless_loops(chain) == []
    assert len(reachable(chain)) == 3_001
    assert len(endless_loops(pipeline(*many, agent("a3000", "a0")))[0]) == 3_001
    assert time.process_time() - begun < 1
