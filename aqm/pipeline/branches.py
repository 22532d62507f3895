"""Which agents fan out, and which of the fan-outs a join collects for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, assert_never

from aqm.pipeline.conditions import Comparison, Condition, Expression, Preset, PresetName, compile_condition
from aqm.pipeline.graph import ANY, only_speaking, reach, targets
from aqm.pipeline.spec import AnyAgent, Handoff, Pipeline

__all__ = ["Collecting", "Rules", "collecting", "fans_out", "forks", "most_branches"]

Rules = tuple[Handoff, ...]
_Rule = tuple[Condition, frozenset[str]]


def forks(agent: AnyAgent) -> dict[str, Rules]:
    """The rules by condition, in declared order: those of one condition fire together or not at all."""
    found: defaultdict[str, list[Handoff]] = defaultdict(list)
    for handoff in agent.handoffs:
        found[handoff.condition.strip()].append(handoff)
    return {condition: tuple(rules) for condition, rules in found.items()}


def most_branches(pipeline: Pipeline, agent: AnyAgent, among: frozenset[str] | None = None) -> int:
    """The most agents (of `among`) that the rules of `agent` may open at once; never too few."""
    everybody = frozenset(pipeline.ids) if among is None else among
    rules = [
        (compile_condition(each.condition), everybody if ANY in each.to else everybody.intersection(each.to))
        for each in agent.handoffs
    ]
    verdicts = (None,) if agent.gate is None else (True, False)
    last = _joined(named for condition, named in rules if condition == Preset("default"))
    return max(len(last), *(_most(rules, verdict) for verdict in verdicts))


def fans_out(pipeline: Pipeline, agent: AnyAgent) -> bool:
    return most_branches(pipeline, agent) > 1


@dataclass(frozen=True, slots=True)
class Collecting:
    """What a join collects: `starts` are the agents whose fan-outs have two targets that can come to it.

    `most` are the branches that can come; None where one of them may fan out again on its way.
    """

    starts: tuple[str, ...] = ()
    most: int | None = 0


def collecting(pipeline: Pipeline, limit: int | None = None) -> dict[str, Collecting]:
    """What the joins, the first `limit` of them, collect."""
    joins = [agent.id for agent in pipeline.agents if agent.join is not None][:limit]
    if not joins:
        return {}
    after, speakers = reach(pipeline), only_speaking(pipeline)
    agents = {agent.id: agent for agent in pipeline.agents}
    fanning = [each for each in pipeline.agents if each.id not in speakers and fans_out(pipeline, each)]
    found: dict[str, Collecting] = {}
    known: dict[frozenset[str], tuple[str, ...]] = {}  # joins of one loop have the same agents before them
    for join in joins:
        coming = frozenset({join, *(name for name in after if join in after[name])})
        if coming not in known:
            known[coming] = tuple(each.id for each in fanning if most_branches(pipeline, each, coming) > 1)
        ways = _Ways(pipeline, agents, coming)
        found[join] = Collecting(known[coming], _most_arrivals(ways, join, known[coming]))
    return found


class _Ways(NamedTuple):
    pipeline: Pipeline
    agents: Mapping[str, AnyAgent]
    coming: frozenset[str]  # the agents that can come to a join, and the join

    def width(self, name: str) -> int:
        return most_branches(self.pipeline, self.agents[name], self.coming)

    def next(self, name: str) -> set[str]:
        return {to for each in self.agents[name].handoffs for to in targets(self.pipeline, each)}


def _most_arrivals(ways: _Ways, join: str, starts: tuple[str, ...]) -> int | None:
    seen = {join}
    open_ = list(starts)
    while open_:
        new = ways.next(open_.pop()) & ways.coming - seen
        if not new.isdisjoint(starts):
            return None  # a branch comes to where it may fan out again
        seen |= new
        open_ += new
    return max(map(ways.width, starts), default=0)


def _most(rules: list[_Rule], approved: bool | None) -> int:
    free = _joined(named for condition, named in rules if _may_fire(condition, approved))
    by_field: defaultdict[str, list[tuple[Comparison, frozenset[str]]]] = defaultdict(list)
    for condition, named in rules:
        if isinstance(condition, Comparison):
            by_field[condition.key.casefold()].append((condition, named))
    compared = sum(_most_of_field(each, free) for each in by_field.values())
    everybody = _joined(named for condition, named in rules if condition != Preset("default"))
    return min(len(free) + compared, len(everybody))


def _may_fire(condition: Condition, approved: bool | None) -> bool:
    """Whether a rule that looks at no single field may fire after that verdict."""
    match condition:
        case Preset(name=name):
            return _preset_may_fire(name, approved)
        case Expression():
            return True
        case Comparison():
            return False
        case never:
            assert_never(never)


def _preset_may_fire(name: PresetName, approved: bool | None) -> bool:
    match name:
        case "always":
            return True
        case "on_approve":
            return approved is True
        case "on_reject":
            return approved is False
        case "on_pass" | "auto":
            return approved is not False
        case "default":
            return False
        case never:
            assert_never(never)


def _most_of_field(rules: list[tuple[Comparison, frozenset[str]]], free: frozenset[str]) -> int:
    """A field has one value: the most targets that one may open, besides those that are open anyway."""
    values = {word.casefold() for comparison, _ in rules for word in comparison.words} | {None}
    return max(
        len(_joined(named for comparison, named in rules if _equals(comparison, value)) - free)
        for value in values
    )


def _equals(comparison: Comparison, value: str | None) -> bool:
    """`value` None stands for any other word."""
    equal = value in {word.casefold() for word in comparison.words}
    return equal != (comparison.operator == "!=")


def _joined(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
