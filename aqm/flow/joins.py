"""Joins: which fan-out an arrival is collected for, and when a join opens.

A branch's path names where it came from: "/3.2/7.1" is the first branch of stage 7, which the second branch
of stage 3 had come to. The trunk is "".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Branch", "Group", "Opening", "Step", "collector", "due", "lineage", "order", "stuck", "within"]

JoinRule = Literal["all", "any"] | int
Reach = Mapping[str, frozenset[str]]  # agent → the agents that one or more handoffs lead to


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: branch `index` of the fan-out of stage `fanout`, in the branch `parent`."""

    parent: str
    fanout: int
    index: int


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch that is live at `agent`, or, with `joins`, parked at that join for the fan-out `collects`."""

    path: str
    agent: str
    joins: str | None = None
    collects: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The arrivals of one fan-out at one join."""

    fanout: int
    join: str
    arrived: tuple[Branch, ...]  # in the order in which they were declared


@dataclass(frozen=True, slots=True)
class Opening:
    """A join to open. With `cuts` the branches of its fan-out that are still under way are cancelled."""

    group: Group
    cuts: bool = False


def lineage(path: str) -> tuple[Step, ...]:
    """The steps of a path, the outermost first."""
    steps: list[Step] = []
    parent = ""
    for part in path.split("/")[1:]:
        fanout, _, index = part.partition(".")
        steps.append(Step(parent, int(fanout), int(index)))
        parent = f"{parent}/{part}"
    return tuple(steps)


def order(path: str) -> tuple[tuple[int, int], ...]:
    """Sorts branches as they were declared."""
    return tuple((step.fanout, step.index) for step in lineage(path))


def within(path: str, fanout: int) -> bool:
    """Whether the branch came from that fan-out."""
    return any(step.fanout == fanout for step in lineage(path))


def collector(path: str, join: str, fired: Mapping[int, Sequence[str]], reach: Reach) -> int | None:
    """The fan-out that `join` collects for when the branch `path` arrives: the outermost one around it of
    which at least two fired targets can come to the join; None: the join opens at once.

    `fired` are the targets of the fan-outs that the path names.
    """
    for step in lineage(path):
        targets = fired.get(step.fanout, ())
        if sum(target == join or join in reach[target] for target in targets) >= 2:
            return step.fanout
    return None


def due(
    active: Iterable[Branch],
    failed: Collection[int],
    rules: Mapping[str, JoinRule],
    reach: Reach,
) -> list[Opening]:
    """The joins that open now, in the order of `rules` (the file's). `failed` are the fan-outs that have lost
    a branch: no `all` join of theirs opens, others only when enough have arrived."""
    branches = list(active)
    return [
        Opening(group, cuts=group.fanout in failed)
        for group in _groups(branches, rules)
        if _is_due(group, branches, group.fanout in failed, rules[group.join], reach)
    ]


def stuck(active: Iterable[Branch], failed: Collection[int], rules: Mapping[str, JoinRule]) -> Opening | None:
    """Of a task with only parked branches, the join that opens all the same: the first in the file whose
    fan-out lost no branch; None when there is none."""
    groups = _groups(list(active), rules)
    return next((Opening(group) for group in groups if group.fanout not in failed), None)


def _groups(branches: Sequence[Branch], rules: Mapping[str, JoinRule]) -> list[Group]:
    found: dict[tuple[int, str], list[Branch]] = {}
    for branch in branches:
        if branch.joins is not None and branch.collects is not None:
            found.setdefault((branch.collects, branch.joins), []).append(branch)
    places = {join: place for place, join in enumerate(rules)}
    return [
        Group(fanout, join, tuple(sorted(arrived, key=lambda each: order(each.path))))
        for (fanout, join), arrived in sorted(
            found.items(), key=lambda each: (places[each[0][1]], each[0][0])
        )
    ]


def _is_due(group: Group, branches: Sequence[Branch], failed: bool, rule: JoinRule, reach: Reach) -> bool:
    if rule != "all" and len(group.arrived) >= (1 if rule == "any" else rule):
        return True
    return not failed and not any(_may_come(each, group, reach) for each in branches)


def _may_come(branch: Branch, group: Group, reach: Reach) -> bool:
    """Whether a branch of the fan-out that has not arrived may still do so."""
    arrived = branch.joins == group.join and branch.collects == group.fanout
    return not arrived and within(branch.path, group.fanout) and group.join in reach[branch.agent]
