"""Joins: which fan-out an arrival is collected for, and when a join opens.

A branch's path names where it came from: "/3.2/7.1" is the first branch of stage 7, which the second branch
of stage 3 had come to. The trunk is "".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Branch",
    "Group",
    "Opening",
    "Step",
    "ancestors",
    "collectors",
    "due",
    "lineage",
    "order",
    "seen",
    "stuck",
    "within",
]

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
    """A join to open, and the branches that would come too late and are cancelled."""

    group: Group
    cuts: tuple[str, ...] = ()


def lineage(path: str) -> tuple[Step, ...]:
    """The steps of a path, the outermost first."""
    steps: list[Step] = []
    parent = ""
    for part in path.split("/")[1:]:
        fanout, _, index = part.partition(".")
        steps.append(Step(parent, int(fanout), int(index)))
        parent = f"{parent}/{part}"
    return tuple(steps)


def ancestors(path: str) -> list[str]:
    """The paths of a branch and of all that it came from, the trunk first: "/5.1/7.2" came from "/5.1"."""
    parts = path.split("/")[1:]
    return ["/".join(["", *parts[:length]]) if length else "" for length in range(len(parts) + 1)]


def seen(path: str, merged: Mapping[str, str]) -> set[str]:
    """The branches whose past a branch has seen: its own, those it came from, and those that joins put into
    these, with what they had seen. `merged` tells in which branch a join went on with each."""
    sources: dict[str, list[str]] = {}
    for source, into in merged.items():
        sources.setdefault(into, []).append(source)
    found: set[str] = set()
    open_ = [path]
    while open_:
        new = set(ancestors(open_.pop())) - found
        found |= new
        open_ += [source for each in new for source in sources.get(each, ())]
    return found


def order(path: str) -> tuple[tuple[int, int], ...]:
    """Sorts branches as they were declared."""
    return tuple((step.fanout, step.index) for step in lineage(path))


def within(path: str, fanout: int) -> bool:
    """Whether the branch came from that fan-out."""
    return any(step.fanout == fanout for step in lineage(path))


def collectors(path: str, join: str, fired: Mapping[int, Sequence[str]], reach: Reach) -> list[int]:
    """The fan-outs around the branch `path` for which `join` collects, the outermost first: at least two of
    their fired targets can come to the join. The first counts; the next only when the branch is what the join
    went on in for the first. With none, or none left, the join opens at once.

    `fired` are the targets of the fan-outs that the path names.
    """
    return [
        step.fanout
        for step in lineage(path)
        if sum(each == join or join in reach[each] for each in fired.get(step.fanout, ())) >= 2
    ]


def due(
    active: Iterable[Branch],
    failed: Collection[int],
    rules: Mapping[str, JoinRule],
    reach: Reach,
) -> list[Opening]:
    """The joins that open now, in the order of `rules` (the file's). `failed` are the fan-outs that have lost
    a branch: no `all` join of theirs opens, others only when enough have arrived."""
    branches = sorted(active, key=lambda each: order(each.path))
    found: list[Opening] = []
    for group in _groups(branches, rules):
        coming = tuple(each.path for each in branches if _may_come(each, group, reach))
        lost = group.fanout in failed
        if _enough(group, rules[group.join]) or not (lost or coming):
            found.append(Opening(group, cuts=coming if lost else ()))
    return found


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


def _enough(group: Group, rule: JoinRule) -> bool:
    return rule != "all" and len(group.arrived) >= (1 if rule == "any" else rule)


def _may_come(branch: Branch, group: Group, reach: Reach) -> bool:
    """Whether a branch of the fan-out that has not arrived may still do so."""
    arrived = branch.joins == group.join and branch.collects == group.fanout
    return not arrived and within(branch.path, group.fanout) and group.join in reach[branch.agent]
