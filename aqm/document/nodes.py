"""The values of a YAML document, each with the place where it was written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from aqm.errors import Fault

__all__ = ["Mapping", "Node", "Place", "Plain", "Scalar", "Sequence", "kind", "plain", "text_size", "walk"]

Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written; `line` and `column` count from 1, `at` is its path in the document."""

    file: str = ""
    line: int | None = None
    column: int | None = None
    at: str = ""

    def fault(self, message: str, cure: str = "", *, severity: str = "error") -> Fault:
        return Fault(
            _cut(message, 600), self.file, self.line, self.column, self.at, _cut(cure, 300), severity
        )

    def inside(self, *keys: str | int) -> Place:
        """The same line, for a value below this one that was not written."""
        at = self.at
        for key in keys:
            step = f"[{key}]" if isinstance(key, int) else f".{_cut(key, 80)}"
            at = at + step if at else step.removeprefix(".")
        return Place(self.file, self.line, self.column, at)


def _cut(text: str, most: int) -> str:
    """What users write appears in messages, and may be long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `text` is what stands in the file, `1.10` for 1.1; `style` is YAML's, `|` for a block.

    `inserted`: the value of a param took the place of a whole `${{ params.x }}`.
    """

    value: Plain
    place: Place
    text: str = ""
    style: str = ""
    inserted: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Mapping:
    """`keys` says where each key stands."""

    entries: dict[str, Node]
    place: Place
    keys: dict[str, Place] = field(default_factory=dict)

    def get(self, key: str) -> Node | None:
        """The value of `key`; a null is as good as none."""
        node = self.entries.get(key)
        return None if isinstance(node, Scalar) and node.value is None else node

    def without(self, keys: Iterable[str]) -> Mapping:
        left = {key: node for key, node in self.entries.items() if key not in set(keys)}
        return Mapping(left, self.place, self.keys)


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> object:
    """The value alone, as lists and dictionaries."""
    match node:
        case Scalar(value=value):
            return value
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Mapping(entries=entries):
            return {key: plain(value) for key, value in entries.items()}
        case never:
            assert_never(never)


def text_size(node: Node) -> int:
    """The characters of all its keys and values."""
    match node:
        case Scalar(text=text):
            return len(text)
        case Sequence(items=items):
            return sum(map(text_size, items))
        case Mapping(entries=entries):
            return sum(len(key) + text_size(value) for key, value in entries.items())
        case never:
            assert_never(never)


def walk(node: Node, keys: Iterable[str | int]) -> tuple[Node, tuple[str | int, ...]]:
    """The node that `keys` lead to, or the last one on the way and the keys that were not written."""
    left = tuple(keys)
    while left:
        match node, left[0]:
            case Mapping(entries=entries), str(key) if key in entries:
                node = entries[key]
            case Sequence(items=items), int(index) if index < len(items):
                node = items[index]
            case _:
                return node, left
        left = left[1:]
    return node, ()


def kind(value: object) -> str:
    """What the value is, in a reader's words: `text`, `a list`, `the number 7`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return "text"
        case int() | float():
            return f"the number {value}"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
    return type(value).__name__
