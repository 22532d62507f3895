"""CEL expressions of conditions: what they may name, how deep they may nest, and running them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aqm.errors import AqmError, did_you_mean

if TYPE_CHECKING:
    from cel import Program

__all__ = ["MEMBERS", "NAMES", "ConditionError", "Names", "check_expression", "evaluate"]

MOST_NESTED = 2
MOST_WORK = 3_000_000  # about a microsecond each: a macro's items times the text they may search
MOST_TEXT = 1_000_000

NAMES = ("output", "text", "input", "gate", "params", "stage", "task")
MEMBERS = {"gate": ("decision", "reason"), "stage": ("visits",), "task": ("stages",)}
_FUNCTIONS = ("size", "int", "uint", "double", "string", "duration", "timestamp", "type", "dyn", "has")
_METHODS = ("size", "contains", "startsWith", "endsWith", "matches")
_MACROS = ("all", "exists", "exists_one", "existsOne", "filter", "map")
_KEYWORDS = ("true", "false", "null", "in")

_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*)
    |(?P<string>[bB]?[rR](?:'[^'\n]*'|"[^"\n]*")
      |[bB]?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][0-9A-Za-z.]*)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)


class ConditionError(AqmError):
    """The condition cannot be read, or cannot be decided."""


@dataclass(frozen=True, slots=True)
class Names:
    """What an expression refers to: the variables, and the first member of each (`params.x`)."""

    variables: frozenset[str] = frozenset()
    members: frozenset[tuple[str, str]] = frozenset()
    nested: int = 0  # how often lists are walked over inside each other


@dataclass(slots=True)
class _Scan:
    """Walks over the tokens once; `scopes` has one entry for each bracket that is open."""

    tokens: list[str]
    scopes: list[tuple[str, str]] = field(default_factory=list)  # the macro and the name it binds, or two ""
    variables: set[str] = field(default_factory=set)
    members: set[tuple[str, str]] = field(default_factory=set)
    nested: int = 0

    def at(self, index: int) -> str:
        return self.tokens[index] if 0 <= index < len(self.tokens) else ""

    def run(self) -> Names:
        for index, token in enumerate(self.tokens):
            if token in ("(", "[", "{"):
                self._open(index)
            elif token in (")", "]", "}"):
                if self.scopes:
                    self.scopes.pop()
            elif token == "in" and self.scopes:
                depth = sum(1 for name, _ in self.scopes if name)
                self.nested = max(self.nested, depth + 1 if depth else 0)  # it walks over a list, too
            elif token == "+" and any(macro == "map" for macro, _ in self.scopes):
                raise ConditionError("map() may only pick values, not build new ones with +")
            elif _is_name(token):
                self._name(index, token)
        return Names(frozenset(self.variables), frozenset(self.members), self.nested)

    def _open(self, index: int) -> None:
        macro = self.at(index - 1) if self.at(index) == "(" and self.at(index - 2) == "." else ""
        bound = self.at(index + 1) if macro in _MACROS else ""
        self.scopes.append((macro, bound) if bound else ("", ""))
        depth = sum(1 for name, _ in self.scopes if name)
        self.nested = max(self.nested, depth)
        if depth > MOST_NESTED:
            raise ConditionError(f"all(), exists(), filter() and map() may nest {MOST_NESTED} deep at most")

    def _name(self, index: int, name: str) -> None:
        is_called = self.at(index + 1) == "("
        if self.at(index - 1) == ".":
            self._member(index, name, is_called)
        elif is_called:
            if name not in _FUNCTIONS:
                raise ConditionError(f"no function called {name!r}", cure=did_you_mean(name, _FUNCTIONS))
        elif name not in _KEYWORDS and all(name != bound for _, bound in self.scopes):
            if name not in NAMES:
                raise ConditionError(f"no variable called {name!r}", cure=_cure(name))
            self.variables.add(name)

    def _member(self, index: int, name: str, is_called: bool) -> None:
        if is_called:
            known = (*_METHODS, *_MACROS)
            if name not in known:
                raise ConditionError(f"no function called {name!r}", cure=did_you_mean(name, known))
            return
        owner = self.at(index - 2)
        if not _ends_value(owner):
            raise ConditionError("a name cannot begin with a dot", cure=f"write {name}")
        if owner in self.variables and self.at(index - 3) != ".":
            members: tuple[str, ...] = MEMBERS.get(owner, (name,))
            if name not in members:
                raise ConditionError(f"{owner} has no {name!r}", cure=did_you_mean(name, members))
            self.members.add((owner, name))


def _is_name(token: str) -> bool:
    return token[0] == "_" or (token[0].isalpha() and token[-1] not in "'\"")


def _ends_value(token: str) -> bool:
    return token != "" and (
        token in (")", "]", "}") or token[-1] in "'\"" or token[-1].isalnum() or token[-1] == "_"
    )


def _cure(name: str) -> str:
    near = did_you_mean(name, NAMES)
    if near.startswith("did"):
        return near
    return f"a field is written output.{name}, and a word in quotes: '{name}'"


def _tokens(source: str) -> Iterator[str]:
    for match in _TOKEN.finditer(source):
        if match.lastgroup != "skip":
            yield match[0]


def check_expression(source: str) -> Names:
    """What `source` refers to; ConditionError when it may not or cannot be run."""
    names = _names(source)
    _program(source)
    return names


@lru_cache(maxsize=512)
def _names(source: str) -> Names:
    return _Scan(list(_tokens(source))).run()


@lru_cache(maxsize=512)
def _program(source: str) -> Program:
    from cel import compile as compile_cel  # 0.2 s, paid by pipelines that use CEL

    try:
        return compile_cel(source)
    except (ValueError, RecursionError) as error:
        raise ConditionError(f"the condition {_short(source)} cannot be read: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """The parser's first sentence, with the column but without its picture of the source."""
    found = re.search(r"ERROR: <input>:\d+:(\d+): (?:Syntax error: )?([^\n]*)", str(error))
    if not found:
        return "it is no CEL expression"
    reason = re.sub(r" expecting \{.*", "", found[2]).replace("'<EOF>'", "end")
    return f"{reason} at character {found[1]}"


def _short(source: str) -> str:
    return repr(source if len(source) <= 80 else source[:77] + "…")


def evaluate(source: str, values: Mapping[str, Any]) -> bool:
    """What the expression says of `values`; ConditionError when it says nothing."""
    names = _names(source)
    shown = {name: _bounded(values[name]) for name in names.variables}
    _refuse_endless(source, names, shown)
    try:
        result = _program(source).execute(shown)
    except ConditionError:
        raise
    except Exception as error:
        raise ConditionError(f"the condition {_short(source)} cannot be decided: {_failure(error)}") from None
    if not isinstance(result, bool):
        raise ConditionError(f"the condition {_short(source)} gives {_kind(result)}, not true or false")
    return result


def _failure(error: Exception) -> str:
    match error:
        case KeyError():
            return f"there is no {error.args[0] if error.args else '?'!s}"
        case TypeError():
            return "it compares or combines values of different types"
        case OverflowError():
            return "a number is too large"
        case ZeroDivisionError():
            return "it divides by zero"
    return str(error).split(". ")[0].rstrip(".")


def _kind(value: object) -> str:
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return names.get(type(value), "nothing" if value is None else "something else")


def _bounded(value: Any) -> Any:
    """A long text is looked at by its first and its last half million characters."""
    if isinstance(value, Mapping):
        return dict(value)  # CEL reads no other mappings
    if isinstance(value, str) and len(value) > MOST_TEXT:
        return value[: MOST_TEXT // 2] + "\n" + value[-MOST_TEXT // 2 :]
    return value


def _refuse_endless(source: str, names: Names, values: Mapping[str, Any]) -> None:
    if not names.nested:
        return
    longest, characters = _size(list(values.values()))
    items = max(longest * (source.count("+") + 1), source.count(","))
    if items**names.nested * (1 + characters // 1_000) > MOST_WORK:
        raise ConditionError(f"the condition {_short(source)} would look at too many values")


def _size(values: list[Any]) -> tuple[int, int]:
    """The longest list or mapping among `values`, and all their characters."""
    longest = characters = 0
    while values:
        value = values.pop()
        match value:
            case str():
                characters += len(value)
            case list() | tuple():
                longest = max(longest, len(value))
                values.extend(value)
            case Mapping():
                longest = max(longest, len(value))
                values.extend(value.values())
    return longest, characters
