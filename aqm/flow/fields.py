"""What conditions can look at: the fields of an answer, and what keeps them from a declared `output`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from aqm.flow.lines import Keyed, keyed
from aqm.flow.prose import lines_of, read_prose
from aqm.flow.strict_json import MAX_DEPTH, clean_object, read_object

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

__all__ = ["fields", "problems"]

_MOST = 200  # fields read from lines
_MOST_BLOCKS = 20  # fenced blocks that are tried, from the last
_MOST_PROBLEMS = 10
_MOST_REFERENCES = 20  # a chain of doubled references would take time that doubles with each
_SHOWN = 300  # characters of a problem


def fields(
    text: str, structured: Mapping[str, Any] | None = None, declared: bool = False
) -> Mapping[str, Any]:
    """The fields of an answer, first that applies: the CLI's structured output, the last fenced `json` block
    that is an object, lines `key: value`. A `declared` output may be the whole answer, and is never in lines.

    The text is read when a field is first asked for, because most pipelines never ask.
    """
    if structured is not None:
        return clean_object(structured) or {}
    return _Fields(text, declared)


class _Fields(Mapping[str, Any]):
    def __init__(self, text: str, declared: bool) -> None:
        self._text = text
        self._declared = declared

    @cached_property
    def _read(self) -> dict[str, Any]:
        found = read_object(self._text) if self._declared else None
        if found is None:
            found = _last_block(self._text)
        if found is None:
            found = {} if self._declared else _lines(self._text)
        return found

    def __getitem__(self, name: str) -> Any:
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def __repr__(self) -> str:
        return f"fields({self._read!r})"


def _last_block(text: str) -> dict[str, Any] | None:
    if "json" not in text and "JSON" not in text:
        return None
    prose = read_prose(text)
    if prose.cut:
        return None  # an earlier block would stand in for the last one
    blocks = [fence.text for fence in prose.fences if fence.info == "json"]
    found = (read_object(block) for block in reversed(blocks[-_MOST_BLOCKS:]))
    return next((block for block in found if block is not None), None)


def _lines(text: str) -> dict[str, Any]:
    if not any(_field(line) for line in lines_of(text)):
        return {}
    prose = read_prose(text)
    found: dict[str, Any] = {}
    for line in () if prose.cut else prose.lines:
        field = _field(line)
        if field and (field.word.lower() in found or len(found) < _MOST):
            found[field.word.lower()] = _unmarked(field.value)
    return found


def _field(line: str) -> Keyed | None:
    found = keyed(line)
    return found if found and found.spaced and found.value else None


def _unmarked(value: str) -> str:
    """The value without emphasis or code marks around it."""
    for mark in ("***", "**", "*", "__", "_", "`"):
        if len(value) > 2 * len(mark) and value.startswith(mark) and value.endswith(mark):
            return value[len(mark) : -len(mark)]
    return value


def problems(value: object, schema: Mapping[str, Any]) -> list[str]:
    """What keeps the value from being what the JSON Schema describes, at most ten; none when it fits.

    Patterns are matched in linear time, and references to other documents are refused.
    """
    from jsonschema_rs import RegexOptions, validator_for  # 0.02 s, and few agents declare an output

    clean = clean_object(value) if isinstance(value, Mapping) else None
    if clean is None:
        return [f"the answer is no JSON object, or nested deeper than {MAX_DEPTH}"]
    if _references(schema) > _MOST_REFERENCES:
        return [f"the schema holds more than {_MOST_REFERENCES} references"]
    try:
        validator = validator_for(dict(schema), pattern_options=RegexOptions(), retriever=_refuse)
        return [_told(error) for error in islice(validator.iter_errors(clean), _MOST_PROBLEMS)]
    except ValueError as error:
        return [f"the schema cannot be used: {error!s:.{_SHOWN}}"]


def _told(error: ValidationError) -> str:
    place = ".".join(str(step) for step in error.instance_path)
    return f"{place or 'the object'}: {error.message}"[:_SHOWN]


def _references(schema: object) -> int:
    if isinstance(schema, Mapping):
        return ("$ref" in schema) + sum(_references(each) for each in schema.values())
    if isinstance(schema, list | tuple):
        return sum(_references(each) for each in schema)
    return 0


def _refuse(uri: str) -> NoReturn:
    raise ValueError("references to other documents are not read")
