"""Templates: compiled once, rendered with values that are never looked at as templates themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from aqm.errors import AqmError

if TYPE_CHECKING:
    from jinja2 import Template

    from aqm.pipeline.sandbox import SandboxEnvironment

__all__ = [
    "MOST_OUTPUT",
    "TemplateError",
    "check_template",
    "is_template",
    "render",
    "template_tokens",
    "variables",
]

MOST_OUTPUT = 10_000_000  # characters

_CURES = (
    ("expected 'end of print statement'", "close it with }}"),
    ("expected 'end of statement block'", "close it with %}"),
    ("Missing end of comment tag", "close it with #}"),
    ("No filter named", "the filters of Jinja2 are known, but for random, urlize, xmlattr and pprint"),
)
_MARKS = ("{{", "{%", "{#")


class TemplateError(AqmError):
    """The template cannot be rendered. `line` counts from 1 inside the template."""

    def __init__(self, message: str, *, line: int | None = None, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.line = line


class _Compiled(NamedTuple):
    template: Template
    variables: frozenset[str]


def is_template(source: str) -> bool:
    return any(mark in source for mark in _MARKS)


def render(source: str, values: Mapping[str, object]) -> str:
    """The text of the template; an undefined variable is empty. TemplateError when it cannot be made."""
    if not is_template(source):
        return source
    compiled = _compiled(source)
    from aqm.pipeline.fuel import FUEL, Fuel

    pieces: list[str] = []
    size = 0
    try:
        for piece in compiled.template.generate({**values, FUEL: Fuel()}):
            size += len(piece)
            if size > MOST_OUTPUT:
                raise TemplateError(
                    f"the text is longer than {MOST_OUTPUT:,} characters", cure="show less of it"
                )
            pieces.append(piece)
    except TemplateError:
        raise
    except Exception as error:
        raise TemplateError(f"the template cannot be rendered: {_reason(error)}") from None
    return "".join(pieces)


def variables(source: str) -> frozenset[str]:
    """The names that the template takes from its values. TemplateError when it cannot be read."""
    return _compiled(source).variables if is_template(source) else frozenset()


def check_template(source: str) -> None:
    """TemplateError when the template cannot be read."""
    variables(source)


def template_tokens(source: str) -> Iterator[tuple[str, str]]:
    """The kinds and texts of the template's tokens; ValueError when there is one that it cannot hold."""
    from jinja2 import TemplateSyntaxError

    try:
        for _, kind, text in _environment().lex(source):
            yield kind, text
    except TemplateSyntaxError as error:
        raise ValueError(error.message) from None


@lru_cache(maxsize=256)
def _compiled(source: str) -> _Compiled:
    from jinja2 import TemplateSyntaxError

    try:
        return _compile(source)
    except TemplateSyntaxError as error:
        message = (error.message or "it cannot be read").rstrip(".")
        cure = next((cure for part, cure in _CURES if part in message), "")
        raise TemplateError(f"the template cannot be read: {message}", line=error.lineno, cure=cure) from None
    except (RecursionError, MemoryError, SyntaxError):  # Python's own limits on nesting
        raise TemplateError("the template nests too deep", cure="split it") from None


def _compile(source: str) -> _Compiled:
    from jinja2 import Template
    from jinja2.compiler import CodeGenerator, Frame

    class Tracking(CodeGenerator):
        """Writes the code and notes which names it takes from the context."""

        def __init__(self, environment: SandboxEnvironment) -> None:
            super().__init__(environment, None, None)
            self.names: set[str] = set()

        def enter_frame(self, frame: Frame) -> None:
            super().enter_frame(frame)
            loads = frame.symbols.loads.values()
            self.names.update(name for action, name in loads if action == "resolve" and name)

    environment = _environment()
    generator = Tracking(environment)
    generator.visit(environment.parse(source))
    code = compile(generator.stream.getvalue(), "<template>", "exec")  # type: ignore[attr-defined]
    template = Template.from_code(environment, code, environment.make_globals(None))
    return _Compiled(template, frozenset(generator.names - environment.globals.keys()))


@cache
def _environment() -> SandboxEnvironment:
    from aqm.pipeline.sandbox import SandboxEnvironment

    return SandboxEnvironment()


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it calls itself without end"
    text = str(error).strip().split("\n")[0].rstrip(".")
    return (
        re.sub(r"'?jinja2\.[\w.]*?(\w+)'?( object)?", r"\1", text)
        or "it asks for something that cannot be done"
    )
