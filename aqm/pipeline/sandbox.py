"""The Jinja2 environment of all templates: no files, no randomness, and a meter on all that can grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jinja2 import ChainableUndefined, nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import _PassArg
from jinja2.visitor import NodeTransformer

from aqm.pipeline.fuel import CALL, FILTER_SIZES, FUEL, METHOD_SIZES, OPERATIONS, Fuel, steps, weight

__all__ = ["MOST_NODES", "SandboxEnvironment"]

MOST_NODES = 20_000  # of one template

_DROPPED_FILTERS = ("random", "urlize", "xmlattr", "pprint")  # not repeatable, or not for plain text
_TEXT_METHODS = frozenset(
    name
    for name in dir(str)
    # an encoded text has methods of its own, and a translation can put much in place of little
    if not name.startswith("_") and name not in ("encode", "maketrans", "translate")
)


def _fuel(context: Context) -> Fuel:
    fuel = context.parent[FUEL]
    assert isinstance(fuel, Fuel)
    return fuel


def _first(function: Any, context: Context) -> tuple[Any, ...]:
    """What Jinja passes to `function` before its own arguments."""
    match _PassArg.from_obj(function):
        case _PassArg.context:
            return (context,)
        case _PassArg.eval_context:
            return (context.eval_ctx,)
        case _PassArg.environment:
            return (context.environment,)
    return ()


def _guarded(name: str, function: Any, sizes: Mapping[str, Callable[..., int]]) -> Any:
    @pass_context
    def guarded(context: Context, value: Any, *args: Any, **named: Any) -> Any:
        fuel = _fuel(context)
        if name in sizes:
            if isinstance(value, Iterator):
                value = list(value)
            fuel.make(sizes[name](value, *args, **named))
        fuel.burn(steps(value))
        return fuel.taken(function(*_first(function, context), value, *args, **named))

    return guarded


@pass_context
def _finalize(context: Context, value: Any) -> str:
    """What an expression prints; all printed text is paid for."""
    _fuel(context).make(weight(value))
    return str(value)


@pass_context
def _paced(context: Context, items: Iterable[Any], cost: int, characters: int) -> Iterator[Any]:
    return _fuel(context).pace(items, cost, characters)


@pass_context
def _concat(context: Context, parts: list[Any]) -> str:
    _fuel(context).make(weight(parts))
    return "".join(map(str, parts))


@pass_context
def _weighed(context: Context, value: Any) -> Any:
    _fuel(context).burn(steps(value))
    return value


@pass_context
def _paid(context: Context, value: Any) -> Any:
    return _fuel(context).taken(value)


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > 100_000:
        raise SecurityError("range() is too long")
    return numbers


class _Metered(NodeTransformer):
    """Puts a meter where the compiled template would loop, concatenate, slice or compare by itself.

    The meters' names cannot be spelled in a template.
    """

    def visit_For(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        inside = [each for part in (*node.body, *([node.test] if node.test else [])) for each in _all(part)]
        data = sum(len(each.data) for each in inside if isinstance(each, nodes.TemplateData))
        costs = [nodes.Const(len(inside) + 1), nodes.Const(data)]
        node.iter = _filtered(node.iter, " paced", costs)
        return node  # type: ignore[no-any-return]

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), " concat")

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(node, " paid") if isinstance(node.arg, nodes.Slice) else node

    def visit_Compare(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        for part in (node, *node.ops):
            if not isinstance(part.expr, nodes.Const):
                part.expr = _filtered(part.expr, " weighed")
        return node  # type: ignore[no-any-return]


def _all(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _all(child)


def _filtered(node: nodes.Expr, name: str, costs: Sequence[nodes.Expr] = ()) -> nodes.Filter:
    return nodes.Filter(node, name, list(costs), [], None, None, lineno=node.lineno)


class SandboxEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2's immutable sandbox, with a meter on everything that can grow or go on for long."""

    intercepted_binops = frozenset(OPERATIONS)

    def __init__(self) -> None:
        super().__init__(undefined=ChainableUndefined, keep_trailing_newline=True, finalize=_finalize)
        self.globals = {name: self.globals[name] for name in ("dict", "cycler", "joiner", "namespace")}
        self.globals["range"] = _range
        kept = {name: each for name, each in self.filters.items() if name not in _DROPPED_FILTERS}
        self.filters = {name: _guarded(name, each, FILTER_SIZES) for name, each in kept.items()}
        self.filters |= {" paced": _paced, " concat": _concat, " weighed": _weighed, " paid": _paid}
        self.tests = {name: _guarded(name, each, {}) for name, each in self.tests.items()}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = Parser(self, source, name, filename).parse()
        for count, node in enumerate(_all(template)):
            if count > MOST_NODES:
                raise TemplateSyntaxError("the template is too long", 1)
            self._refuse_unknown(node)
            if isinstance(node, nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends):
                raise TemplateSyntaxError("a template cannot read other files", node.lineno)
        metered: nodes.Template = _Metered().visit(template)
        return metered

    def _refuse_unknown(self, node: nodes.Node) -> None:
        """Inside an `if`, Jinja itself would wait until the template is rendered."""
        if isinstance(node, nodes.Filter) and node.name not in self.filters:
            raise TemplateSyntaxError(f"No filter named {node.name!r}", node.lineno)
        if isinstance(node, nodes.Test) and node.name not in self.tests:
            raise TemplateSyntaxError(f"No test named {node.name!r}", node.lineno)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str):
            return attr in _TEXT_METHODS
        if isinstance(obj, int | float | complex | bytes):
            return False  # to_bytes and its like
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        function, size = OPERATIONS[operator]
        _fuel(context).make(size(left, right))
        return function(left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **named: Any) -> Any:
        fuel = _fuel(__context)
        fuel.burn(CALL + weight(args) // (10 if isinstance(__obj, LoopContext) else 1_000))
        method = getattr(__obj, "__wrapped__", __obj)  # str.format comes wrapped
        owner = getattr(method, "__self__", None)
        if isinstance(owner, str):
            size = METHOD_SIZES.get(method.__name__)
            args = tuple(list(arg) if isinstance(arg, Iterator) else arg for arg in args)
            fuel.make(size(owner, *args, **named) if size else len(owner))
        return fuel.taken(super().call(__context, __obj, *args, **named))
