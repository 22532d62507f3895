"""What a template may do before it is stopped: fuel for its work, and the size of what it wants to make."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from string import Formatter
from typing import Any

from jinja2.exceptions import SecurityError

__all__ = [
    "CALL",
    "FILTER_SIZES",
    "FUEL",
    "METHOD_SIZES",
    "MOST_CHARACTERS",
    "MOST_STEPS",
    "OPERATIONS",
    "Fuel",
    "steps",
    "weight",
]

FUEL = " fuel"  # the key in a context; no template can spell it
MOST_STEPS = 1_000_000  # of evaluated nodes, about a second's worth
MOST_CHARACTERS = 64_000_000  # of all texts that are made on the way
CALL = 10  # what a call costs, in steps
ITEM = 64  # what an item of a list weighs, in characters

_PERCENT = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d+)?(?:\.(\*|\d+))?[hlL]?(.)", re.DOTALL)


class Fuel:
    """What one rendering may still do; SecurityError when it is used up."""

    __slots__ = ("characters", "steps")

    def __init__(self) -> None:
        self.steps = MOST_STEPS
        self.characters = MOST_CHARACTERS

    def burn(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise SecurityError("it takes too many steps")

    def make(self, characters: int) -> None:
        """Pays for a text before it is made, and for the work of making it."""
        self.characters -= characters
        if self.characters < 0:
            raise SecurityError("it makes too much text")
        self.burn(1 + characters // 500)

    def pace(self, items: Iterable[Any], steps: int, characters: int) -> Iterator[Any]:
        for item in items:
            self.burn(steps)
            self.characters -= characters
            if self.characters < 0:
                raise SecurityError("it makes too much text")
            yield item

    def taken(self, result: Any) -> Any:
        """`result`, paid for; what comes bit by bit is paid for bit by bit."""
        if isinstance(result, Iterator):
            return self.pace(result, 1, 0)
        self.make(weight(result))
        return result


def weight(value: Any) -> int:
    """About how many characters `value` has when it is written out, or a number that is too large.

    The items of lists count for more: walking over them is what takes time.
    """
    total, open_ = 0, [value]
    while open_ and total <= MOST_CHARACTERS:
        match open_.pop():
            case str(text):
                total += len(text)
            case bool() | float() | None:
                total += 5
            case int(number):
                total += number.bit_length() // 3 + 1
            case list() | tuple() | set() | frozenset() as items:
                total += ITEM * (len(items) + 1)
                open_.extend(items)
            case Mapping() as mapping:
                total += 2 * ITEM * (len(mapping) + 1)
                open_.extend(mapping.keys())
                open_.extend(mapping.values())
            case range() as numbers:
                total += ITEM * len(numbers)
            case _:
                total += ITEM
    return total


def steps(value: Any) -> int:
    """A cheap measure of the work to look through `value` once."""
    if isinstance(value, str):
        return 1 + len(value) // 1_000
    return 1 + len(value) // 20 if isinstance(value, list | tuple | dict) else 1


# What growing operations will make, from their arguments -----------------------------------------


def _replaced(text: Any, old: Any = "", new: Any = "", *_: Any, **__: Any) -> int:
    text, old, new = str(text), str(old), str(new)
    times = text.count(old) if old else len(text) + 1
    return len(text) + times * len(new)


def _joined(items: Any, separator: Any = "", *_: Any, **__: Any) -> int:
    many = len(items) if hasattr(items, "__len__") else 100_000
    return weight(items) + many * len(str(separator))


def _widened(text: Any, width: Any = 80, *_: Any, **__: Any) -> int:
    return weight(text) + int(width)


def _indented(value: Any, width: Any = 4, *_: Any, **__: Any) -> int:
    text = str(value)
    deep: int = len(width) if isinstance(width, str) else int(width)
    return len(text) + (text.count("\n") + 1) * deep


def _wrapped(
    text: Any, width: Any = 79, break_long_words: Any = True, wrapstring: Any = None, *_: Any
) -> int:
    return weight(text) * (2 + len(str(wrapstring or "")))


def _as_json(value: Any, indent: Any = None) -> int:
    deep = len(indent) if isinstance(indent, str) else int(indent or 0)
    return weight(value) * (2 + 4 * max(deep, 0))


def _counted(value: Any, count: Any = 0, *_: Any, **__: Any) -> int:
    return weight(value) + 50 * int(count)


def _rounded(value: Any, precision: Any = 0, *_: Any) -> int:
    return 1 if abs(int(precision)) <= 100 else MOST_CHARACTERS + 1


def _percent(text: Any, values: Any) -> int:
    """The size of `text % values`."""
    total = len(text)
    for width, precision, kind in _PERCENT.findall(text):
        if "*" in (width, precision):
            return MOST_CHARACTERS + 1
        total += int(width[:12] or 0) + int(precision[:12] or 0)
        total += weight(values) if kind != "%" and isinstance(values, Mapping) else 0
    return total + weight(values)


def _formatted(text: str, *values: Any, **named: Any) -> int:
    """The size of `text.format(…)`."""
    total, each = len(text), weight(values) + weight(named)
    for _, name, spec, _ in Formatter().parse(text):
        if spec and ("{" in spec or re.search(r"\d{5}", spec)):
            return MOST_CHARACTERS + 1
        total += each + 10_000 if name is not None and spec else each if name is not None else 0
    return total


def _format_filter(text: Any, *values: Any, **named: Any) -> int:
    return _percent(str(text), named or values)


FILTER_SIZES: dict[str, Callable[..., int]] = {
    "batch": _counted,
    "center": _widened,
    "format": _format_filter,
    "indent": _indented,
    "join": _joined,
    "replace": _replaced,
    "round": _rounded,
    "slice": _counted,
    "tojson": _as_json,
    "wordwrap": _wrapped,
}
METHOD_SIZES: dict[str, Callable[..., int]] = {
    "center": _widened,
    "expandtabs": lambda text, size=8: len(text) + text.count("\t") * int(size),
    "format": _formatted,
    "format_map": lambda text, values: _formatted(text, **values),
    "join": lambda separator, items: _joined(items, separator),
    "ljust": _widened,
    "replace": _replaced,
    "rjust": _widened,
    "zfill": _widened,
}


def _product(left: Any, right: Any) -> int:
    if isinstance(left, int) and isinstance(right, int):
        return (left.bit_length() + right.bit_length()) // 3
    # one side is a text or a list
    times = left if isinstance(left, int) else right if isinstance(right, int) else 1
    return max(int(times), 1) * weight(right if isinstance(left, int) else left)


def _power(left: Any, right: Any) -> int:
    whole = isinstance(left, int) and isinstance(right, int)
    # numbers of more than 4,000 digits cannot be printed anyway
    return MOST_CHARACTERS + 1 if whole and left.bit_length() * abs(right) > 10_000 else 1


OPERATIONS: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], int]]] = {
    "+": (operator.add, lambda left, right: weight(left) + weight(right)),
    "*": (operator.mul, _product),
    "**": (operator.pow, _power),
    "%": (operator.mod, lambda left, right: _percent(left, right) if isinstance(left, str) else 1),
}
