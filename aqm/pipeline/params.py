"""The params of a pipeline: what is declared, which values are in force, and what still needs asking."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aqm.document.nodes import Mapping as MappingNode
from aqm.document.nodes import Node, Place, Plain, Scalar, kind
from aqm.document.parser import is_text, parse, value_of
from aqm.document.validation import MOST_FAULTS, validate
from aqm.errors import Fault, PipelineError, did_you_mean
from aqm.pipeline.references import REFERENCE, as_text
from aqm.pipeline.spec import Param

__all__ = [
    "Declared",
    "Values",
    "coerced",
    "in_force",
    "read_params",
    "read_values",
    "to_ask",
    "unknown_names",
]

COMMAND_LINE = "-p"  # where a fault of a value given there is said to be

_NAME = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True, slots=True)
class Declared:
    """A param of one file, and where it is declared."""

    name: str
    param: Param
    place: Place


@dataclass(frozen=True, slots=True)
class Values:
    """The values that were given from outside: on the command line as text, and in `.aqm/params.yaml`."""

    given: Mapping[str, str]
    file: Mapping[str, Any]

    def __contains__(self, name: str) -> bool:
        return name in self.given or name in self.file


def read_values(text: str, file: str) -> dict[str, Scalar]:
    """The values of a params file, by name. PipelineError when it is not a mapping of plain values."""
    if not re.search(r"^\s*[^#\s]", text, re.MULTILINE):
        return {}
    node = parse(text, file)
    if not isinstance(node, MappingNode):
        raise PipelineError([node.place.fault("the file must be a mapping", "write  name: value  lines")])
    faults = [
        each.place.fault(f"the value of {name!r} must be text, a number, true or false")
        for name, each in node.entries.items()
        if not isinstance(each, Scalar)
    ]
    if faults:
        raise PipelineError(faults)
    return {
        name: each
        for name, each in node.entries.items()
        if isinstance(each, Scalar) and each.value is not None
    }


def read_params(node: Node | None) -> tuple[dict[str, Declared], list[Fault]]:
    """The `params` section of a file."""
    if node is None:
        return {}, []
    if not isinstance(node, MappingNode):
        return {}, [node.place.fault("params must be a mapping", "write  name: default  lines")]
    declared: dict[str, Declared] = {}
    faults: list[Fault] = []
    for name, each in node.entries.items():
        place = node.keys.get(name, each.place)
        if len(faults) >= MOST_FAULTS:
            break
        if not _NAME.fullmatch(name):
            cure = "start with a letter or _, then letters, digits, _ and -"
            faults.append(place.fault(f"a param cannot be called {name!r}", cure))
            continue
        param, wrong = _read(each)
        faults += wrong
        # a broken one is declared, too, so that references to it are not called unknown
        declared[name] = Declared(name, param or Param(), place)
    return declared, faults


def _read(node: Node) -> tuple[Param | None, list[Fault]]:
    default: Node | None = node
    if isinstance(node, MappingNode):
        param, faults = validate(Param, node)
        if param is None:
            return None, faults
        default = node.get("default")
        if default is None:
            return param, []
    else:
        param, faults = Param(), []
    if not isinstance(default, Scalar):
        said = "a param must be text, a number, true or false, or a mapping with its default"
        return None, [node.place.fault(said, "write  name: value")]
    if isinstance(default.value, str) and REFERENCE.search(default.value):
        return None, [default.place.fault("a param cannot refer to another one", "write its value")]
    if not (isinstance(node, MappingNode) and node.get("type")):
        param = param.model_copy(update={"type": _type_of(default.value)})
    try:
        value = coerced(param.type, default)
    except ValueError as error:
        return None, [default.place.fault(f"the default {error}", "change the type or the default")]
    return param.model_copy(update={"default": value}), faults


def _type_of(value: Plain) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "string"


def coerced(type_: str, given: object) -> Plain:
    """`given` as a value of that type; ValueError says what it must be."""
    quoted = isinstance(given, Scalar) and bool(given.style)
    match given:
        case Scalar(text=text):
            pass
        case str() | int() | float():
            text = as_text(given)
        case _:
            raise ValueError(f"must be a {type_}, not {kind(given)}")
    if not is_text(text):
        raise ValueError("holds a NUL or half a character")
    match type_:
        case "number":
            value = value_of(text.strip())
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"must be a number, not {text[:60]!r}")
            return value
        case "boolean":
            if text.strip().lower() not in ("true", "false"):
                raise ValueError(f"must be true or false, not {text[:60]!r}")
            return text.strip().lower() == "true"
    if isinstance(given, Scalar) and given.value is None and not quoted:
        return None
    return text


def in_force(declared: Mapping[str, Declared], values: Values) -> tuple[dict[str, Plain], list[Fault]]:
    """The value of each declared param: the command line's, the file's, the default, or ""."""
    found: dict[str, Plain] = {}
    faults: list[Fault] = []
    for name, each in declared.items():
        found[name] = "" if each.param.default is None else each.param.default
        if name not in values:
            continue
        given: object = values.given[name] if name in values.given else values.file[name]
        try:
            found[name] = coerced(each.param.type, given)
        except ValueError as error:
            faults.append(_place_of(name, values).fault(f"the value of {name!r} {error}"))
    return found, faults


def _place_of(name: str, values: Values) -> Place:
    if name in values.given:
        return Place(COMMAND_LINE, at=name)
    given = values.file[name]
    return given.place if isinstance(given, Scalar) else Place(at=f"params.{name}")


def unknown_names(declared: Iterable[str], values: Values) -> tuple[list[Fault], list[Fault]]:
    """Errors for the command line, and warnings for a file, which may serve other pipelines as well."""
    known = tuple(declared)
    faults = [
        Place(COMMAND_LINE, at=name).fault(
            f"there is no param called {name!r}", did_you_mean(name, known) or "this pipeline has no params"
        )
        for name in values.given
        if name not in known
    ]
    warnings = []
    for name in values.file:
        near = did_you_mean(name, [one for one in known if one not in values])
        if name not in known and near.startswith("did"):
            place = _place_of(name, replace(values, given={}))
            warnings.append(place.fault(f"there is no param called {name!r}", near, severity="warning"))
    return faults, warnings


def to_ask(
    params: Mapping[str, Param], given: Collection[str], file: Collection[str] = ()
) -> dict[str, Param]:
    """The params to be asked for, before defaults apply: those with a question, and required ones."""
    return {
        name: param
        for name, param in params.items()
        if name not in given
        and name not in file
        and (param.prompt or param.auto_detect or (param.required and param.default is None))
    }
