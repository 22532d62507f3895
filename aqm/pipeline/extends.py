"""`extends`: an agent takes over the keys of its parent, its parent's parent, and so on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aqm.document.nodes import Mapping as MappingNode
from aqm.document.nodes import Place, Scalar
from aqm.errors import Fault, did_you_mean
from aqm.pipeline.imports import Written

__all__ = ["Extension"]

_OWN_KEYS = ("id", "abstract", "extends")  # never taken over


@dataclass(slots=True)
class Extension:
    """Merges each agent with its ancestors once.

    `scope(file)` are the agents that a file can name; where they are not `complete`, an unknown parent may be
    one of the rest.
    """

    scope: Callable[[str], Mapping[str, Written]]
    complete: bool = True
    faults: list[Fault] = field(default_factory=list)
    done: dict[Place, MappingNode] = field(default_factory=dict)  # by where the agent stands

    def merged(self, agent: Written) -> MappingNode:
        """The agent's keys over those of its ancestors; `extends` is gone."""
        for each in reversed(self._chain(agent)):
            self.done[each.node.place] = self._over_parent(each)
        return self.done[agent.node.place]

    def _over_parent(self, agent: Written) -> MappingNode:
        node = agent.node
        assert isinstance(node, MappingNode)
        name = _parent(node)
        if name is None:
            return node
        own = {key: each for key, each in node.entries.items() if key != "extends"}
        parent = self.scope(agent.file).get(name)
        above = self.done.get(parent.node.place) if parent else None
        if above is None:  # unknown, or a circle: both were reported
            return MappingNode(own, node.place, node.keys)
        taken = above.without(_OWN_KEYS)
        return MappingNode({**taken.entries, **own}, node.place, {**above.keys, **node.keys})

    def _chain(self, agent: Written) -> list[Written]:
        """The agent and those of its ancestors that are not merged yet, youngest first."""
        chain: list[Written] = []
        seen: set[Place] = set()
        current: Written | None = agent
        while current is not None and current.node.place not in self.done:
            if current.node.place in seen:
                self._circle([*chain, current])
                break
            chain.append(current)
            seen.add(current.node.place)
            current = self._parent_of(current)
        return chain

    def _parent_of(self, agent: Written) -> Written | None:
        if not isinstance(agent.node, MappingNode):
            return None
        name = _parent(agent.node)
        if name is None:
            return None
        known = self.scope(agent.file)
        if name not in known and not self.complete:
            return None
        if name not in known:
            said = f"{agent.id or 'the agent'} extends {name!r}, and there is no such agent"
            cure = (
                did_you_mean(name, [one for one in known if one != agent.id]) or f"add an agent called {name}"
            )
            self.faults.append(agent.node.entries["extends"].place.fault(said, cure))
            return None
        parent = known[name]
        return parent if isinstance(parent.node, MappingNode) else None

    def _circle(self, steps: list[Written]) -> None:
        last = steps[-1]
        steps = steps[next(index for index, each in enumerate(steps) if each.node.place == last.node.place) :]
        names = " extends ".join(each.id for each in steps)
        assert isinstance(last.node, MappingNode)
        place = last.node.entries["extends"].place
        self.faults.append(
            place.fault(f"agents extend each other in a circle: {names}", "remove one extends")
        )


def _parent(node: MappingNode) -> str | None:
    each = node.entries.get("extends")
    return each.value if isinstance(each, Scalar) and isinstance(each.value, str) else None
