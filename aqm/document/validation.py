"""A node becomes a model, or every fault that keeps it from being one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from aqm.document.nodes import Mapping, Node, Place, Scalar, Sequence, plain, walk
from aqm.document.wording import sentence
from aqm.errors import Fault

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["MOST_FAULTS", "place_of", "validate"]

MOST_FAULTS = 100  # more help nobody, and finding the nearest names for them takes time

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]


def validate(model: type[Model], node: Node) -> tuple[Model | None, list[Fault]]:
    """The model of what `node` says, or None and all that is wrong with it."""
    try:
        return model.model_validate(plain(node)), []
    except ValidationError as error:
        as_text = _with_inserted_text(node, error)
        if as_text is not None:
            return validate(model, as_text)
        return None, [_fault(each, model, node) for each in error.errors(include_url=False)[:MOST_FAULTS]]


def _with_inserted_text(node: Node, error: ValidationError) -> Node | None:
    """The node with params written as text where only text will do; None when there are none."""
    found: Node | None = None
    for each in error.errors(include_url=False):
        inner, left = walk(node, each["loc"])
        number = isinstance(inner, Scalar) and inner.inserted and not isinstance(inner.value, str)
        if each["type"] == "string_type" and number and not left:
            assert isinstance(inner, Scalar)
            found = _put(found or node, each["loc"], replace(inner, value=inner.text))
    return found


def _put(node: Node, path: Path, new: Node) -> Node:
    if not path:
        return new
    match node, path[0]:
        case Mapping(entries=entries), str(key):
            return replace(node, entries={**entries, key: _put(entries[key], path[1:], new)})
        case Sequence(items=items), int(index):
            below = _put(items[index], path[1:], new)
            return replace(node, items=(*items[:index], below, *items[index + 1 :]))
    return node


def _fault(error: ErrorDetails, model: type[BaseModel], node: Node) -> Fault:
    loc = error["loc"]
    place = _key_place(node, loc) if error["type"] == "extra_forbidden" else place_of(node, *loc)
    message, cure = sentence(error, _name(loc, node), model)
    return place.fault(message, cure)


def _name(loc: Path, node: Node) -> str:
    words = [index for index, step in enumerate(loc) if isinstance(step, str)]
    if not words:
        return Place(at=node.place.at).inside(*loc).at or "the document"
    return Place().inside(*loc[words[-1] :]).at


def _key_place(node: Node, loc: Path) -> Place:
    parent, _ = walk(node, loc[:-1])
    if isinstance(parent, Mapping):
        return parent.keys.get(str(loc[-1]), parent.place)
    return parent.place


def place_of(node: Node, *path: str | int) -> Place:
    """Where the value at `path` below `node` is written; what was left out is where it would stand."""
    found, left = walk(node, path)
    if isinstance(found, Scalar):
        return found.place  # a short form: `to: a, b` has no items of its own
    return found.place.inside(*left)
