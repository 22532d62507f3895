"""Where the values of a resolved pipeline were written, so that a fault can point there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aqm.document.nodes import Mapping as MappingNode
from aqm.document.nodes import Node, Place, Scalar, Sequence, walk
from aqm.document.validation import place_of

__all__ = ["Sources"]


@dataclass(frozen=True, slots=True)
class Sources:
    """`agents` are the nodes after `extends`; `ids` has every id that was written, also of broken agents."""

    top: Place = field(default_factory=Place)
    agents: Mapping[str, MappingNode] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()
    abstract: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    complete: bool = True  # False: a file could not be read, so that unknown ids prove nothing
    imported: frozenset[str] = frozenset()  # the ids that an import names

    def place(self, agent_id: str, *path: str | int) -> Place:
        node = self.agents.get(agent_id)
        return self.top if node is None else place_of(node, *path)

    def node(self, agent_id: str, *path: str | int) -> Node | None:
        """The node at exactly that path; None when it was left out."""
        if agent_id not in self.agents:
            return None
        node, left = walk(self.agents[agent_id], path)
        return None if left else node

    def item_place(self, agent_id: str, *path: str | int, value: str) -> Place:
        """The place of the item that says `value` in the list at `path`, or of the list."""
        node = self.node(agent_id, *path)
        if isinstance(node, Sequence):
            for item in node.items:
                if isinstance(item, Scalar) and item.value == value:
                    return item.place
        return self.place(agent_id, *path)
