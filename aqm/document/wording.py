"""What a validation error means, as one sentence of ours and a cure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel

from aqm.document.nodes import kind
from aqm.errors import did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["OWN_SENTENCE", "keys_of", "sentence"]

OWN_SENTENCE = "own_sentence"  # the type of errors whose message one of our validators wrote
_YES, _NO = ("yes", "on", "y", "true"), ("no", "off", "n", "false")
_QUOTED = re.compile(r"'([^']*)'")


def sentence(error: ErrorDetails, name: str, model: type[BaseModel]) -> tuple[str, str]:
    """The message and the cure for the value called `name`."""
    value, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "missing":
            return f"{name} is missing", f"add it: {_described(model, error['loc']) or name}"
        case "extra_forbidden":
            word = str(error["loc"][-1])
            return f"unknown key {word!r}", did_you_mean(word, keys_of(model, error["loc"][:-1]))
        case "literal_error":
            known = _QUOTED.findall(str(context.get("expected", "")))
            return f"{name} cannot be {_shown(value)}", did_you_mean(str(value), known)
        case "string_type":
            return f"{name} must be text, not {kind(value)}", _quoted(value, name)
        case "bool_type":
            return f"{name} must be true or false, not {_shown(value)}", _boolean(value)
        case "int_type" | "int_from_float":
            return f"{name} must be a whole number, not {_shown(value)}", ""
        case "float_type":
            return f"{name} must be a number, not {_shown(value)}", ""
        case "tuple_type" | "list_type":
            return f"{name} must be a list, not {kind(value)}", "write its items in [ ], or each after a -"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{name} must be a mapping, not {kind(value)}", "write it as  key: value  lines"
        case "too_short" | "string_too_short":
            return f"{name} is empty", "give at least one" if error["type"] == "too_short" else ""
        case "string_pattern_mismatch":
            return f"{name} cannot be {_shown(value)}", _described(model, error["loc"])
    return _of_bounds(error["type"], name, value, context)


def _of_bounds(type_: str, name: str, value: object, context: Mapping[str, Any]) -> tuple[str, str]:
    match type_:
        case "greater_than_equal":
            return f"{name} must be at least {context['ge']:g}, not {value}", ""
        case "greater_than":
            return f"{name} must be more than {context['gt']:g}, not {value}", ""
        case "less_than_equal":
            return f"{name} must be at most {context['le']:g}, not {value}", ""
        case t if t == OWN_SENTENCE:
            return f"{name} {context['message']}", str(context.get("cure", ""))
    return f"{name} cannot be {_shown(value)}", ""


def _described(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """What the field at `loc` says about itself, without its capital and its full stop."""
    words = [index for index, step in enumerate(loc) if isinstance(step, str)]
    above, name = loc[: words[-1]], str(loc[words[-1]])
    fields = [_fields(each).get(name) for each in _models_at(model, above)]
    said = next((field.description for field in fields if field and field.description), "")
    return said[:1].lower() + said[1:].rstrip(".")


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "…")
    return kind(value)


def _quoted(value: object, name: str) -> str:
    if name == "id":
        return "begin it with a letter"
    if isinstance(value, bool):
        return f'put it in quotes: "{str(value).lower()}"'
    return f'put it in quotes: "{value}"' if isinstance(value, int | float) else ""


def _boolean(value: object) -> str:
    word = str(value).lower()
    return "write true" if word in _YES else "write false" if word in _NO else ""


def keys_of(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that a mapping at `loc` below `model` takes."""
    return [key for found in _models_at(model, loc) for key in _fields(found)]


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[type[BaseModel]]:
    models = [model]
    for step in loc:
        if isinstance(step, str):
            fields = [_fields(each)[step] for each in models if step in _fields(each)]
            models = [found for field in fields for found in _models_in(field.annotation)]
    return models


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, tuple, list) or hasattr(annotation, "__metadata__"):
        return [model for part in get_args(annotation) for model in _models_in(part)]
    return []
