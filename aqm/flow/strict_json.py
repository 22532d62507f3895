"""JSON that an answer holds: an object, by the letter of the standard, bounded and clean, or nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["MAX_CHARS", "MAX_DEPTH", "clean_object", "read_object"]

MAX_CHARS = 256_000
MAX_DEPTH = 32

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # no database takes them


def read_object(text: str) -> dict[str, Any] | None:
    """The object that is the whole text. With a name that stands twice it is none: readers differ on
    which counts."""
    if len(text) > MAX_CHARS:
        return None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_each_once,
        )
    except (ValueError, RecursionError):
        return None
    return clean_object(value) if isinstance(value, dict) else None


def clean_object(value: Mapping[str, Any]) -> dict[str, Any] | None:
    """A copy that any database takes; None when it is nested deeper than 32, or holds what JSON cannot."""
    try:
        return {_clean(str(name)): _copy(each, 1) for name, each in value.items()}
    except ValueError:
        return None


def _copy(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, float):
        return _finite(value)
    if value is None or isinstance(value, bool | int):
        return value
    if depth >= MAX_DEPTH or not isinstance(value, Mapping | list | tuple):
        raise ValueError
    if isinstance(value, Mapping):
        return {_clean(str(name)): _copy(each, depth + 1) for name, each in value.items()}
    return [_copy(each, depth + 1) for each in value]


def _clean(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _finite(number: float) -> float:
    if not math.isfinite(number):  # NaN, or 1e999
        raise ValueError
    return number
