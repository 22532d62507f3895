"""Rule by rule: which fan-out a join collects for, and when it opens."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqm.flow.joins import (
    Branch,
    Group,
    JoinRule,
    Opening,
    Step,
    ancestors,
    collectors,
    due,
    lineage,
    order,
    seen,
    stuck,
    within,
)


def reach(**after: str) -> Mapping[str, frozenset[str]]:
    """Who can come after whom, over any number of steps; each agent's next ones are listed."""
    names = {*after, *(name for following in after.values() for name in following.split())}
    direct = {name: set(after.get(name, "").split()) for name in names}
    whole = {name: set(following) for name, following in direct.items()}
    for _ in names:
        whole = {
            name: found | {far for near in found for far in direct[near]} for name, found in whole.items()
        }
    return {name: frozenset(found) for name, found in whole.items()}


TRIO = reach(split="a b c", a="j", b="j", c="j", j="end")
ALL: dict[str, JoinRule] = {"j": "all"}


def live(path: str, agent: str) -> Branch:
    return Branch(path, agent)


def parked(path: str, join: str = "j", collects: int = 1) -> Branch:
    return Branch(path, join, join, collects)


def opened(openings: list[Opening]) -> list[tuple[str, list[str]]]:
    return [(each.group.join, [one.path for one in each.group.arrived]) for each in openings]


# Paths -------------------------------------------------------------------------------------------


def test_a_path_names_the_fan_outs_that_a_branch_came_through():
    assert lineage("") == ()
    assert lineage("/3.2/7.1") == (Step("", 3, 2), Step("/3.2", 7, 1))
    assert ancestors("") == [""]
    assert ancestors("/3.2/7.1") == ["", "/3.2", "/3.2/7.1"]
    assert [within("/3.2/7.1", fanout) for fanout in (3, 7, 2, 1)] == [True, True, False, False]


def test_branches_are_sorted_as_they_were_declared_and_not_as_text():
    paths = ["/2.10", "/2.9", "/2.2/30.1", "/2.2/4.2", "/2.1"]
    assert sorted(paths, key=order) == ["/2.1", "/2.2/4.2", "/2.2/30.1", "/2.9", "/2.10"]


def test_a_branch_has_seen_what_it_came_from_and_what_was_joined_into_that():
    merged = {"/1.1": "/1.4", "/1.2": "/1.4", "/1.3/5.1": "", "/1.4": ""}
    assert seen("/1.3", merged) == {"", "/1.3", "/1.3/5.1", "/1.4", "/1.1", "/1.2"}
    merged = {"/2.1": "/2.4", "/2.4/4.2": "/2.5"}
    assert seen("/2.4/4.3", merged) == {"", "/2.4", "/2.1", "/2.4/4.3"}
    assert seen("/2.5", merged) == {"", "/2.5", "/2.4", "/2.4/4.2", "/2.1"}
    assert seen("/2.3", merged) == {"", "/2.3"}


# Whom a join collects for ------------------------------------------------------------------------

NESTED = reach(top="mid other", mid="x y", x="j", y="j", j="end", other="end")
MEETING = reach(top="mid other", mid="x y", x="j", y="j", other="j")


@pytest.mark.parametrize(
    ("path", "fired", "graph", "expected"),
    [
        ("", {}, TRIO, []),
        ("/1.1", {1: ["a", "b"]}, TRIO, [1]),
        ("/1.1", {1: ["a", "end"]}, TRIO, []),  # one target alone can come
        ("/1.1", {1: ["j", "a"]}, TRIO, [1]),  # straight into the join counts
        ("/1.1", {1: ["j", "end"]}, TRIO, []),
        ("/1.1/2.1", {1: ["mid", "other"], 2: ["x", "y"]}, NESTED, [2]),
        ("/1.1/2.1", {1: ["mid", "other"], 2: ["x", "y"]}, MEETING, [1, 2]),  # the outermost is the first
        ("/1.2", {1: ["mid", "other"]}, MEETING, [1]),
        ("/1.4/6.1", {1: ["a", "b", "c"], 6: ["a", "b"]}, TRIO, [1, 6]),
        ("/1.3", {1: ["a"]}, TRIO, []),  # a fan-out of one is none
        ("/1.3", {}, TRIO, []),
    ],
)
def test_a_join_collects_for_the_outermost_fan_out_of_which_two_targets_can_come(
    path: str, fired: dict[int, list[str]], graph: Mapping[str, frozenset[str]], expected: list[int]
):
    assert collectors(path, "j", fired, graph) == expected


# When it opens -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "active", "expected"),
    [
        ("all", [parked("/1.1"), live("/1.2", "b")], []),
        ("all", [parked("/1.1"), parked("/1.2")], [("j", ["/1.1", "/1.2"])]),
        ("all", [parked("/1.10"), parked("/1.9")], [("j", ["/1.9", "/1.10"])]),
        ("all", [parked("/1.1"), live("/1.2", "end")], [("j", ["/1.1"])]),  # that one cannot come any more
        ("all", [parked("/1.1"), live("/9.2", "a")], [("j", ["/1.1"])]),  # one of another fan-out
        ("all", [parked("/1.1"), live("/1.2/5.1", "a")], []),  # one that fanned out on the way
        ("all", [parked("/1.1"), live("", "a")], [("j", ["/1.1"])]),
        ("all", [live("/1.1", "a"), live("/1.2", "b")], []),
        ("any", [parked("/1.1"), live("/1.2", "b")], [("j", ["/1.1"])]),
        (2, [parked("/1.1"), live("/1.2", "b")], []),
        (2, [parked("/1.1"), parked("/1.2"), live("/1.3", "c")], [("j", ["/1.1", "/1.2"])]),
        (3, [parked("/1.1"), parked("/1.2")], [("j", ["/1.1", "/1.2"])]),  # no more can come
        (1, [parked("/1.1"), live("/1.2", "b")], [("j", ["/1.1"])]),
        ("all", [], []),
    ],
)
def test_a_join_opens_when_enough_have_arrived_or_none_can_still_come(
    rule: JoinRule, active: list[Branch], expected: list[tuple[str, list[str]]]
):
    found = due(active, (), {"j": rule}, TRIO)
    assert opened(found) == expected
    assert all(each.cuts == () for each in found)


def test_a_branch_that_may_loop_back_to_the_join_is_waited_for():
    graph = reach(split="a b", a="check", b="j", check="a j")
    assert due([parked("/1.2"), live("/1.1", "check")], (), ALL, graph) == []


def test_a_branch_parked_elsewhere_is_waited_for_if_it_may_go_on_to_this_join():
    graph = reach(split="a b c", a="j", b="k", c="k", k="j")
    rules: dict[str, JoinRule] = {"j": "all", "k": "all"}
    active = [parked("/1.1"), parked("/1.2", "k"), live("/1.3", "c")]
    assert due(active, (), rules, graph) == []
    assert opened(due([*active[:2], parked("/1.3", "k")], (), rules, graph)) == [("k", ["/1.2", "/1.3"])]


def test_two_joins_of_one_fan_out_open_in_the_order_of_the_file():
    graph = reach(split="a b c d", a="j", b="j", c="k", d="k")
    active = [parked("/1.4", "k"), parked("/1.1"), parked("/1.3", "k"), parked("/1.2")]
    forwards = due(active, (), {"j": "all", "k": "all"}, graph)
    assert opened(forwards) == [("j", ["/1.1", "/1.2"]), ("k", ["/1.3", "/1.4"])]
    assert due(active, (), {"k": "all", "j": "all"}, graph) == forwards[::-1]


def test_one_join_collects_for_each_fan_out_by_itself():
    active = [parked("/1.1/5.2", collects=5), parked("/2.1", collects=2), parked("/1.1/5.1", collects=5)]
    found = due([*active, live("/2.2", "a")], (), ALL, TRIO)
    assert found == [Opening(Group(5, "j", (active[2], active[0])))]


# Failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "active", "expected"),
    [
        ("all", [parked("/1.1"), parked("/1.2")], None),
        ("any", [parked("/1.1"), live("/1.2", "b")], ("/1.2",)),
        ("any", [parked("/1.1"), live("/1.2", "end"), live("/1.3/4.1", "c")], ("/1.3/4.1",)),
        (2, [parked("/1.1"), live("/1.2", "b")], None),
        (2, [parked("/1.1")], None),  # no more can come, and too few did
        (2, [parked("/1.1"), parked("/1.2"), live("/9.1", "a")], ()),
    ],
)
def test_after_a_failed_branch_a_join_opens_only_when_enough_have_arrived_and_cuts_off_the_others(
    rule: JoinRule, active: list[Branch], expected: tuple[str, ...] | None
):
    found = due(active, {1}, {"j": rule}, TRIO)
    assert [each.cuts for each in found] == ([] if expected is None else [expected])


def test_a_failure_in_another_fan_out_stops_no_join():
    assert opened(due([parked("/1.1"), parked("/1.2")], {2, 7}, ALL, TRIO)) == [("j", ["/1.1", "/1.2"])]


# Only parked branches ----------------------------------------------------------------------------

CIRCLE = reach(split="a b", a="j", b="k", j="k", k="j")


def test_of_joins_that_wait_for_each_other_the_first_in_the_file_opens():
    active = [parked("/1.1"), parked("/1.2", "k")]
    for rules in ({"j": "all", "k": "all"}, {"k": "all", "j": "all"}):
        assert due(active, (), rules, CIRCLE) == []
        found = stuck(active, (), rules)
        assert found is not None
        assert found.group.join == next(iter(rules))


def test_one_whose_fan_out_lost_a_branch_does_not():
    active = [parked("/1.1"), parked("/2.1", "k", 2)]
    rules: dict[str, JoinRule] = {"j": "all", "k": "all"}
    found = stuck(active, {1}, rules)
    assert found is not None
    assert found.group == Group(2, "k", (active[1],))
    assert stuck(active, {1, 2}, rules) is None
    assert stuck([], (), rules) is None


# Whatever is under way ---------------------------------------------------------------------------

NAMES = ("a", "b", "c", "j", "k", "end")


@st.composite
def situations(draw: st.DrawFn):
    """A graph, rules, and branches of nested fan-outs, parked or live, as they can be at one time."""
    after = {name: " ".join(draw(st.lists(st.sampled_from(NAMES), max_size=3))) for name in NAMES}
    graph = reach(**after)
    rule = st.sampled_from(["all", "any", 1, 2, 3])
    joins = draw(st.permutations(["j", "k"]))
    rules = {name: draw(rule) for name in joins}
    paths = {f"/1.{index}" for index in range(1, draw(st.integers(2, 4)) + 1)}
    for fanout in (5, 6):
        if draw(st.booleans()):
            parent = draw(st.sampled_from(sorted(paths)))
            paths = paths - {parent} | {f"{parent}/{fanout}.{index}" for index in (1, 2)}
    active = []
    for path in sorted(paths):
        match draw(st.sampled_from(["live", "parked", "parked", "gone"])):
            case "live":
                active.append(live(path, draw(st.sampled_from(NAMES))))
            case "parked":
                fanout = draw(st.sampled_from([step.fanout for step in lineage(path)]))
                active.append(parked(path, draw(st.sampled_from(joins)), fanout))
    failed = draw(st.frozensets(st.sampled_from([1, 5, 6])))
    return active, failed, rules, graph


@given(situations(), st.integers(0, 1000))
def test_what_opens_does_not_depend_on_the_order_in_which_it_is_looked_at(situation, seed: int):
    active, failed, rules, graph = situation
    mixed = random.Random(seed).sample(active, len(active))
    assert due(mixed, failed, rules, graph) == due(active, failed, rules, graph)
    assert stuck(mixed, failed, rules) == stuck(active, failed, rules)


@given(situations())
def test_what_opens_are_whole_groups_of_arrivals_each_once(situation):
    active, failed, rules, graph = situation
    found = due(active, failed, rules, graph)
    assert len({(each.group.fanout, each.group.join) for each in found}) == len(found)
    for each in found:
        group = each.group
        mine = [one for one in active if one.joins == group.join and one.collects == group.fanout]
        assert sorted(mine, key=lambda one: order(one.path)) == list(group.arrived)
        wanted = {"all": len(active) + 1, "any": 1}.get(rules[group.join], rules[group.join])
        coming = {
            one.path
            for one in active
            if one not in mine and within(one.path, group.fanout) and group.join in graph[one.agent]
        }
        if group.fanout in failed:
            assert len(mine) >= wanted
            assert set(each.cuts) == coming
        else:
            assert len(mine) >= wanted or not coming
            assert each.cuts == ()


@given(situations())
def test_with_nothing_but_arrivals_and_no_failure_some_join_always_opens(situation):
    active, _, rules, graph = situation
    arrivals = [each for each in active if each.joins is not None]
    if arrivals:
        assert due(arrivals, (), rules, graph) or stuck(arrivals, (), rules)
