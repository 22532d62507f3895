"""What the reference must tell: the keys, defaults and words of the format's own models."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = ["default_of", "keys_of", "setting_defaults", "words_of"]


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys as a user writes them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def default_of(field: FieldInfo) -> str:
    """How a table shows the default: a section of keys has none of its own."""
    if field.is_required():
        return "required"
    return _shown(field.get_default(call_default_factory=True))


def _shown(value: object) -> str:
    match value:
        case BaseModel():
            return "below"
        case None:
            return "–"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
        case tuple() | list():
            return f"`[{', '.join(map(str, value))}]`"
        case dict():
            return "`{}`"
        case "":
            return '`""`'
    return f"`{value}`"


def words_of(annotation: Any) -> Iterator[str]:
    """The words that a value may be, where only some may be."""
    origin = get_origin(annotation)
    if origin is Literal:
        yield from (word for word in get_args(annotation) if isinstance(word, str))
    elif origin is Annotated:
        yield from words_of(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for each in get_args(annotation):
            yield from words_of(each)


def setting_defaults(model: type[BaseModel], above: str = "") -> dict[str, FieldInfo]:
    """Every setting by its path."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= setting_defaults(kind, f"{above}{name}.")
        else:
            found[above + name] = field
    return found
