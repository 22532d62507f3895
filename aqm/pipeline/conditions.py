"""The conditions of handoffs: presets, comparisons of a field, and CEL expressions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, assert_never, cast, get_args

from aqm.errors import did_you_mean
from aqm.pipeline.expressions import ConditionError, check_expression, evaluate

__all__ = [
    "PRESETS",
    "Comparison",
    "Condition",
    "ConditionError",
    "Expression",
    "Facts",
    "Preset",
    "compile_condition",
    "field_of",
    "holds",
]

MOST_CHARACTERS = 1_000

Operator = Literal["==", "!=", "in"]
PresetName = Literal["always", "on_approve", "on_reject", "on_pass", "auto", "default"]
PRESETS: tuple[PresetName, ...] = get_args(PresetName)

_BARE = re.compile(r"[\w*-]+")
_WORD = r"""(?:'[^']*'|"[^"]*"|\w[\w./:@+-]*)"""
_COMPARISON = re.compile(rf"([A-Za-z_]\w*)\s*(==|!=)\s*({_WORD})")
_MEMBERSHIP = re.compile(rf"([A-Za-z_]\w*)\s+in\s*\[\s*({_WORD}(?:\s*,\s*{_WORD})*)\s*,?\s*\]")
_WORDS = re.compile(r"[A-Za-z_]\w*\s*[=!]=\s*\w+(?: +\w+)+")
_VARIABLE = re.compile(r"(?:output|gate|params|stage|task)\.")


@dataclass(frozen=True, slots=True)
class Preset:
    name: PresetName


@dataclass(frozen=True, slots=True)
class Comparison:
    """`key == word`, `key != word`, `key in [a, b]`; words are compared without case."""

    key: str
    operator: Operator
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """CEL, compiled and found well when the pipeline was checked."""

    source: str


Condition = Preset | Comparison | Expression


@dataclass(frozen=True, slots=True)
class Facts:
    """What conditions can look at; `approved` is None when no gate was asked."""

    output: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    input: str = ""
    approved: bool | None = None
    reason: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    visits: int = 1
    stages: int = 1


@lru_cache(maxsize=1024)
def compile_condition(source: str) -> Condition:
    """What `source` means; ConditionError when it means nothing."""
    text = source.strip()
    if text in PRESETS:
        return Preset(text)
    if not text:
        raise ConditionError("the condition is empty", cure="leave it out, or write  condition: always")
    if len(text) > MOST_CHARACTERS:
        raise ConditionError(f"a condition is at most {MOST_CHARACTERS} characters long, not {len(text)}")
    if _BARE.fullmatch(text):
        raise ConditionError(f"unknown condition {text[:80]!r}", cure=_nearest(text))
    comparison = _comparison(text)
    if comparison is not None:
        return comparison
    if _WORDS.fullmatch(text):
        word = text.split("=", 2)[2].strip()
        raise ConditionError("several words must stand in quotes", cure=f"write '{word}'")
    check_expression(text)
    return Expression(text)


def _nearest(word: str) -> str:
    near = did_you_mean(word, PRESETS)
    return near if near.startswith("did") else f"{near}; a field is compared like this: {word[:40]} == yes"


def _comparison(text: str) -> Comparison | None:
    found = _COMPARISON.fullmatch(text)
    if found and not _VARIABLE.match(found[3]):
        return Comparison(found[1], cast(Operator, found[2]), (_unquoted(found[3]),))
    found = _MEMBERSHIP.fullmatch(text)
    if found:
        words = re.findall(_WORD, found[2])
        if not any(_VARIABLE.match(word) for word in words):
            return Comparison(found[1], "in", tuple(_unquoted(word) for word in words))
    return None


def _unquoted(word: str) -> str:
    return (word[1:-1] if word[0] in "'\"" else word).strip()


def holds(condition: Condition, facts: Facts) -> bool:
    """Whether the rule fires for `facts`; ConditionError when an expression cannot be decided.

    `auto` and `default` do not fire by themselves: they depend on the answer's directives and on the other
    rules, which routing knows.
    """
    match condition:
        case Preset(name=name):
            return _preset_holds(name, facts.approved)
        case Comparison():
            return _comparison_holds(condition, facts.output)
        case Expression(source=source):
            return evaluate(source, _values(facts))
        case never:
            assert_never(never)


def _preset_holds(name: PresetName, approved: bool | None) -> bool:
    match name:
        case "always":
            return True
        case "on_approve":
            return approved is True
        case "on_reject":
            return approved is False
        case "on_pass":
            return approved is not False
        case "auto" | "default":
            return False
        case never:
            assert_never(never)


def field_of(comparison: Comparison, output: Mapping[str, Any]) -> str | None:
    """The field that the comparison looks at, in the answer's spelling; None when it has none."""
    if comparison.key in output:
        return comparison.key
    wanted = comparison.key.casefold()
    return next((key for key in output if key.casefold() == wanted), None)


def _comparison_holds(comparison: Comparison, output: Mapping[str, Any]) -> bool:
    key = field_of(comparison, output)
    if key is None:
        return False
    value = _as_word(output[key])
    equal = value in {word.casefold() for word in comparison.words}
    return equal != (comparison.operator == "!=")


def _as_word(value: object) -> str | None:
    """How a field's value reads; lists and mappings equal no word."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
        case str():
            return value.strip().casefold()
    return None


def _values(facts: Facts) -> dict[str, Any]:
    decision = {True: "approved", False: "rejected", None: ""}[facts.approved]
    return {
        "output": facts.output,
        "text": facts.text,
        "input": facts.input,
        "gate": {"decision": decision, "reason": facts.reason},
        "params": facts.params,
        "stage": {"visits": facts.visits},
        "task": {"stages": facts.stages},
    }
