"""Fan-outs and joins: what may be open at once, and what meets again."""

from __future__ import annotations

import pytest

from aqm.pipeline.branches import Collecting, collecting, fans_out, forks, most_branches
from aqm.pipeline.spec import Agent, Gate, Handoff, Pipeline, Session


def agent(id: str, *rules: str, gate: bool = False, join: str | int | None = None) -> Agent:
    """`rules` are `condition -> target, target`, or targets alone."""
    handoffs = []
    for rule in rules:
        condition, _, targets = rule.rpartition("->")
        handoffs.append(Handoff(to=targets.strip(), condition=condition.strip() or "always"))
    return Agent(id=id, runtime="claude", handoffs=tuple(handoffs), gate=Gate() if gate else None, join=join)


def pipeline(*agents: Agent | Session) -> Pipeline:
    known = {each.id for each in agents}
    named = {name for each in agents for rule in each.handoffs for name in rule.to if name != "*"}
    named |= {name for each in agents if isinstance(each, Session) for name in each.participants}
    whole = (*agents, *(agent(name) for name in sorted(named - known)))
    return Pipeline(agents=whole, own=tuple(each.id for each in whole))


@pytest.mark.parametrize(
    ("rules", "gate", "most"),
    [
        ([], False, 0),
        (["b"], False, 1),
        (["b, c, d"], False, 3),
        (["b", "c"], False, 2),
        (["b", "b"], False, 1),
        (["on_approve -> b", "on_reject -> c"], True, 1),
        (["on_approve -> b", "on_pass -> c", "on_reject -> d"], True, 2),
        (["on_reject -> b", "auto -> c"], True, 1),
        (["k == x -> b", "k == y -> c"], False, 1),
        (["k == x -> b", "K == X -> c"], False, 2),
        (["k == x -> b", "K == y -> c"], False, 1),
        (["k == X -> b, c"], False, 2),
        (["b", "k == x -> b, c", "k == y -> b, d"], False, 2),
        (["k in [x, y] -> b", "k == y -> c"], False, 2),
        (["k == x -> b", "k != x -> c"], False, 1),
        (["k != x -> b", "k != y -> c"], False, 2),
        (["k == x -> b", "other == y -> c"], False, 2),
        (["k == x -> b", "other == y -> b"], False, 1),
        (["k == x -> b", "default -> c"], False, 1),
        (["k == x -> b", "default -> c, d"], False, 2),
        (["text.contains('x') -> b", "always -> c"], False, 2),
        (["auto -> b, c"], False, 2),
        (["auto -> *"], False, 1),
    ],
)
def test_rules_that_may_fire_together_open_branches(rules: list[str], gate: bool, most: int) -> None:
    found = pipeline(agent("a", *rules, gate=gate))
    assert most_branches(found, found.agent("a")) == most
    assert fans_out(found, found.agent("a")) is (most > 1)


def test_rules_of_one_condition_are_one_fork() -> None:
    found = forks(agent("a", "b", "on_approve -> c", "always -> d", gate=True))
    assert {condition: [rule.to for rule in rules] for condition, rules in found.items()} == {
        "always": [("b",), ("d",)],
        "on_approve": [("c",)],
    }


@pytest.mark.parametrize(
    ("agents", "fan_outs"),
    [
        ([agent("a", "b, c"), agent("b", "j"), agent("c", "j")], ("a",)),
        ([agent("a", "b, c"), agent("b", "j"), agent("c")], ()),
        ([agent("a", "b, j"), agent("b", "j")], ("a",)),
        ([agent("a", "b", "j"), agent("b", "k == x -> j")], ("a",)),
        ([agent("a", "k == x -> b", "k == y -> c"), agent("b", "j"), agent("c", "j")], ()),
        ([agent("a", "b"), agent("b", "j")], ()),
        ([agent("a", "b, c"), agent("b", "d, e"), agent("d", "j"), agent("e", "j")], ("b",)),
        ([Session(id="a", participants=("p",), handoffs=(Handoff(to="b, c"),)), agent("b", "j"),
          agent("c", "j")], ("a",)),
        ([Session(id="s", participants=("p",)), agent("p", "j, b"), agent("b", "j")], ()),
    ],
)  # fmt: skip
def test_a_join_collects_where_two_targets_can_come_to_it(
    agents: list[Agent | Session], fan_outs: tuple[str, ...]
) -> None:
    found = collecting(pipeline(*agents, agent("j", join="all")))
    assert {join: each.starts for join, each in found.items()} == {"j": fan_outs}


def test_without_a_join_nothing_is_collected() -> None:
    assert collecting(pipeline(agent("a", "b, c"))) == {}


@pytest.mark.parametrize(
    ("agents", "most"),
    [
        ([agent("a", "b, c, d"), agent("b", "j"), agent("c", "j"), agent("d")], 2),
        ([agent("a", "b, c"), agent("b", "j"), agent("c", "d, j"), agent("d", "j")], None),
        ([agent("a", "b, c"), agent("b", "j"), agent("c", "d, j"), agent("d")], 2),
        ([agent("a", "b"), agent("b", "j")], 0),
        ([agent("a", "b, c"), agent("b", "j"), agent("c", "j"), agent("j", "a", join=3)], 2),
    ],
)
def test_so_many_branches_can_come_to_a_join(agents: list[Agent | Session], most: int | None) -> None:
    found = pipeline(*agents, *([] if agents[-1].id == "j" else [agent("j", join=2)]))
    assert collecting(found)["j"].most == most


def test_only_so_many_joins_are_looked_at() -> None:
    found = pipeline(agent("a", "j, k"), agent("j", "k", join=2), agent("k", join="any"))
    assert collecting(found, limit=1) == {"j": Collecting((), 0)}
    assert collecting(found)["k"] == Collecting(("a",), 2)
