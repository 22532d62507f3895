"""Who can come after whom: the first agent, reachable agents, and loops without a way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aqm.pipeline.spec import AnyAgent, Handoff, Pipeline, Session

__all__ = [
    "endless_loops",
    "first_agent",
    "only_speaking",
    "participants_only",
    "reach",
    "reachable",
    "targets",
]

ANY = "*"
_SURE = ("always", "on_approve", "on_pass")  # fire when all goes well; an endless rejection fails by itself


def targets(pipeline: Pipeline, handoff: Handoff) -> tuple[str, ...]:
    """The agents that the rule can lead to."""
    return pipeline.ids if ANY in handoff.to else handoff.to


def participants_only(pipeline: Pipeline) -> frozenset[str]:
    """The agents that only speak in sessions: participants without handoffs that no handoff names."""
    speakers = {
        name for agent in pipeline.agents if isinstance(agent, Session) for name in agent.participants
    }
    named = {name for agent in pipeline.agents for handoff in agent.handoffs for name in handoff.to}
    return frozenset(
        agent.id
        for agent in pipeline.agents
        if agent.id in speakers and not agent.handoffs and agent.id not in named
    )


def first_agent(pipeline: Pipeline) -> str | None:
    """Where `entry_point: first` starts: the file's first agent that is not merely a participant."""
    speakers = participants_only(pipeline)
    return next((name for name in pipeline.own if name not in speakers), None)


def only_speaking(pipeline: Pipeline) -> frozenset[str]:
    """The agents that tasks meet in sessions alone, also those that have handoffs of their own."""
    speakers = {
        name for agent in pipeline.agents if isinstance(agent, Session) for name in agent.participants
    }
    if pipeline.entry_point == "auto":
        return participants_only(pipeline)
    named = {name for names in _after(pipeline).values() for name in names}
    return frozenset(speakers - named - {first_agent(pipeline)})


def reachable(pipeline: Pipeline) -> frozenset[str]:
    """The agents that a task can come to, and those that speak in a session which it comes to."""
    first = first_agent(pipeline)
    if pipeline.entry_point == "auto" or first is None:
        return frozenset(pipeline.ids)
    after = _after(pipeline)
    found: set[str] = set()
    open_ = [first]
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_ += after[name]
    speaking = {
        name
        for agent in pipeline.agents
        if agent.id in found and isinstance(agent, Session)
        for name in agent.participants
    }
    return frozenset(found | speaking)


def reach(pipeline: Pipeline) -> Mapping[str, frozenset[str]]:
    """For each agent the agents that one or more handoffs can lead to.

    Agents that come to each other share one set, so that large pipelines take no time.
    """
    after = _after(pipeline)
    found: dict[str, frozenset[str]] = {}
    places: dict[str, int] = {}
    for members in _circling(after):
        next_ = {name for member in members for name in after[member]}
        whole = next_ & members
        # those that come to most others were found last, and mostly come to the rest of `next_`, too
        for name in sorted(next_ - members, key=places.__getitem__, reverse=True):
            if name not in whole:
                whole |= {name, *found[name]}
        found |= dict.fromkeys(members, frozenset(whole))
        places |= dict.fromkeys(members, len(places))
    return found


def _circling(after: Mapping[str, set[str]]) -> Iterator[set[str]]:
    """The agents in groups that come to each other; whom a group leads to comes before it."""
    before: dict[str, set[str]] = {name: set() for name in after}
    for name, following in after.items():
        for each in following:
            before[each].add(name)
    left = set(after)
    for start in reversed(_walked(before)):
        if start in left:
            members, open_ = {start}, [start]
            while open_:
                new = after[open_.pop()] & left - members
                members |= new
                open_ += new
            left -= members
            yield members


def _walked(following: Mapping[str, set[str]]) -> list[str]:
    """All names, each after those that a depth-first walk comes to from it."""
    done: dict[str, None] = {}
    seen: set[str] = set()
    for start in following:
        path = [(start, iter(following[start]))] if start not in seen else []
        seen.add(start)
        while path:
            name, rest = path[-1]
            new = next((each for each in rest if each not in seen), None)
            if new is None:
                done[name] = None
                path.pop()
            else:
                seen.add(new)
                path.append((new, iter(following[new])))
    return list(done)


def _after(pipeline: Pipeline) -> dict[str, set[str]]:
    everybody = set(pipeline.ids)
    return {
        agent.id: everybody & {name for handoff in agent.handoffs for name in targets(pipeline, handoff)}
        for agent in pipeline.agents
    }


def endless_loops(pipeline: Pipeline) -> list[tuple[str, ...]]:
    """Loops that go on for ever when all goes well: in each agent a rule always fires and stays inside."""
    agents = {agent.id: agent for agent in pipeline.agents}
    before: dict[str, list[str]] = {name: [] for name in agents}
    for name, following in _after(pipeline).items():
        for each in following:
            before[each].append(name)
    endless = set(agents)
    open_ = list(agents)
    while open_:
        name = open_.pop()
        if name in endless and _goes_on_to(agents[name], endless, pipeline) is None:
            endless.discard(name)
            open_ += before[name]
    return _circles(
        {name: _goes_on_to(agents[name], endless, pipeline) for name in agents if name in endless}
    )


def _goes_on_to(agent: AnyAgent, members: set[str], pipeline: Pipeline) -> str | None:
    """A member that always comes next when all goes well; None when there may be none."""
    rules = [
        (handoff.condition.strip(), [name for name in targets(pipeline, handoff) if name in members])
        for handoff in agent.handoffs
    ]
    for condition, inside in rules:
        if condition in _SURE and inside:
            return inside[0]
    if len(rules) == 1 and rules[0][0] == "auto":
        everywhere = targets(pipeline, agent.handoffs[0])
        return rules[0][1][0] if len(rules[0][1]) == len(everywhere) else None
    # `default` catches what the other rules let through, so they must all stay, too
    if any(condition == "default" for condition, _ in rules) and all(inside for _, inside in rules):
        return rules[0][1][0]
    return None


def _circles(following: Mapping[str, str | None]) -> list[tuple[str, ...]]:
    seen: set[str] = set()
    circles = []
    for start in following:
        path: list[str] = []
        name: str | None = start
        while name is not None and name not in seen:
            seen.add(name)
            path.append(name)
            name = following.get(name)
        if name in path:
            circles.append(tuple(path[path.index(str(name)) :]))
    return circles
