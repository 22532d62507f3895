"""Text becomes a tree of nodes: the YAML that we take, within bounds, and a fault for all the rest."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from aqm.document.nodes import Mapping, Node, Place, Plain, Scalar, Sequence
from aqm.errors import PipelineError

if TYPE_CHECKING:
    from yaml.error import MarkedYAMLError
    from yaml.events import Event, ScalarEvent

__all__ = ["MOST_ALIASES", "MOST_BYTES", "MOST_DEPTH", "MOST_VALUES", "is_text", "parse", "value_of"]

MOST_BYTES = 256 * 1024
MOST_DEPTH = 20
MOST_ALIASES = 50
MOST_VALUES = 20_000  # counted after aliases are expanded
LONG = 200  # so many characters of a text count as one value more
MOST_DIGITS = 18  # a longer number stays text: it would not come back from JSON everywhere

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_BASED = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_UNFIT = re.compile("[\x00\ud800-\udfff]")  # no database and no CLI takes them
_TAG = "tag:yaml.org,2002:"

_CURES = (
    ("mapping values are not allowed", "check the indentation, and put quotes round text that holds ': '"),
    ("character that cannot start any token", "indent with spaces, and put quotes round text like @x or `x`"),
    ("tab character", "indent with spaces, not with tabs"),
    ("did not find expected", "check the indentation and the brackets of the lines above"),
    ("could not find expected ':'", "a key needs a colon and a space"),
    ("unexpected end of stream", "close the quote"),
)


def is_text(text: str) -> bool:
    """Whether every database and every CLI can take it."""
    return not _UNFIT.search(text)


def parse(text: str, file: str = "") -> Node:
    """The document in `text`; PipelineError with the one fault that stopped the reading."""
    start = Place(file, 1, 1)
    if len(text) > MOST_BYTES or len(text.encode("utf-8", "replace")) > MOST_BYTES:
        _refuse(start, f"the file is larger than {MOST_BYTES // 1024} KB", "split it, and use imports")
    if unfit := _UNFIT.search(text):
        line = text.count("\n", 0, unfit.start()) + 1
        _refuse(Place(file, line), f"the character {unfit[0]!r} is not text", "save the file as UTF-8")
    import yaml  # 20 ms that only readers of documents pay

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(file).build(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        _refuse(_place_of(error, file), _sentence(error), _cure(str(error.problem)))
    except yaml.YAMLError as error:
        # a reader's error names no line
        reason = str(getattr(error, "reason", "it cannot be read"))
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        _refuse(Place(file, line), f"this is not valid YAML: {reason}", "save the file as plain UTF-8 text")


def _refuse(place: Place, message: str, cure: str = "") -> NoReturn:
    raise PipelineError([place.fault(message, cure)])


def _place_of(error: MarkedYAMLError, file: str) -> Place:
    mark = error.problem_mark or error.context_mark
    return Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)


def _sentence(error: MarkedYAMLError) -> str:
    problem = str(error.problem or "it cannot be read").strip().rstrip(".")
    return f"this is not valid YAML: {problem}"


def _cure(problem: str) -> str:
    return next((cure for start, cure in _CURES if start in problem), "")


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come; `key` is a key that waits for its value."""

    place: Place
    anchor: str | None
    entries: dict[str, Node] | None = None  # None: a list
    items: list[Node] = field(default_factory=list)
    keys: dict[str, Place] = field(default_factory=dict)
    merged: list[Node] = field(default_factory=list)
    key: str | None = None
    size: int = 1

    @property
    def next_at(self) -> str:
        """The path of the next value."""
        step: str | int = len(self.items) if self.entries is None else self.key or ""
        return self.place.inside(step).at if step != "" else self.place.at


class _Builder:
    """Builds nodes from the parser's events, with a list for a stack: no text can nest us too deep."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Node, int] | None] = {}  # None: its value is still open
        self.aliases = 0
        self.values = 0
        self.root: Node | None = None

    def build(self, events: Iterator[Event]) -> Node:
        documents = 0
        for event in events:
            name = type(event).__name__
            if name == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    _refuse(self._at(event), "a file holds one document", "remove the line ---")
            elif name.endswith(("MappingStartEvent", "SequenceStartEvent")):
                self._begin(event, is_mapping=name == "MappingStartEvent")
            elif name.endswith(("MappingEndEvent", "SequenceEndEvent")):
                self._end()
            elif name == "ScalarEvent":
                self._scalar(event)  # type: ignore[arg-type]
            elif name == "AliasEvent":
                self._alias(event)
        if self.root is None or (isinstance(self.root, Scalar) and self.root.value is None):
            _refuse(Place(self.file, 1, 1), "the file is empty", "write at least `agents:` with one agent")
        return self.root

    def _at(self, event: Event) -> Place:
        mark: Any = event.start_mark
        at = self.open[-1].next_at if self.open else ""
        return Place(self.file, mark.line + 1, mark.column + 1, at)

    def _begin(self, event: Event, *, is_mapping: bool) -> None:
        place = self._at(event)
        if len(self.open) >= MOST_DEPTH:
            _refuse(place, f"the document nests deeper than {MOST_DEPTH} levels", "")
        self._refuse_as_key(place)
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", _TAG + ("map" if is_mapping else "seq")):
            _refuse_tag(place, str(tag))
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = None
        self.open.append(_Open(place, anchor, {} if is_mapping else None))
        self._count(place, 1)

    def _end(self) -> None:
        done = self.open.pop()
        node: Node
        if done.entries is None:
            node = Sequence(tuple(done.items), done.place)
        else:
            entries, keys = _with_merged(done)
            node = Mapping(entries, done.place, keys)
        self._add(node, done.anchor, done.size)

    def _scalar(self, event: ScalarEvent) -> None:
        place = self._at(event)
        node = _resolved(event, place)
        if self.open and self.open[-1].entries is not None and self.open[-1].key is None:
            self._key(node, quoted=bool(event.style))
            return
        size = 1 + len(node.text) // LONG
        self._count(place, size)
        self._add(node, event.anchor, size)

    def _alias(self, event: Event) -> None:
        place = self._at(event)
        anchor = str(getattr(event, "anchor", ""))
        self.aliases += 1
        if self.aliases > MOST_ALIASES:
            _refuse(place, f"the file uses more than {MOST_ALIASES} aliases (*{anchor})", "write values out")
        if anchor not in self.anchors:
            _refuse(place, f"*{anchor} names no anchor", f"write &{anchor} before the value that it repeats")
        known = self.anchors[anchor]
        if known is None:
            _refuse(place, f"*{anchor} stands inside the value that it repeats", "")
        node, size = known
        self._refuse_as_key(place)
        self._count(place, size)
        self._add(node, None, size)

    def _key(self, node: Scalar, *, quoted: bool) -> None:
        parent = self.open[-1]
        assert parent.entries is not None
        key = node.value
        if key == "<<" and not quoted:
            parent.key = "<<"
            return
        if not isinstance(key, str):
            _refuse(node.place, f"a key must be text, not {node.text or 'nothing'}", "put it in quotes")
        place = Place(self.file, node.place.line, node.place.column, parent.place.inside(key).at)
        if key in parent.keys:
            first = parent.keys[key].line
            _refuse(place, f"the key {key!r} is written twice (first in line {first})", "remove one")
        parent.keys[key] = place
        parent.key = key

    def _refuse_as_key(self, place: Place) -> None:
        if self.open and self.open[-1].entries is not None and self.open[-1].key is None:
            _refuse(place, "a key must be text", "put {{ … }} and [ … ] in quotes")

    def _count(self, place: Place, size: int) -> None:
        self.values += size
        if self.values > MOST_VALUES:
            said = f"the document holds more than {MOST_VALUES} values, counting aliases and long texts"
            _refuse(place, said, "split it, and use imports")

    def _add(self, node: Node, anchor: str | None, size: int) -> None:
        if anchor:
            self.anchors[anchor] = (node, size)
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        parent.size += size
        if parent.entries is None:
            parent.items.append(node)
        elif parent.key == "<<" and "<<" not in parent.keys:
            parent.merged.append(_mergeable(node))
            parent.key = None
        else:
            assert parent.key is not None
            parent.entries[parent.key] = node
            parent.key = None


def _mergeable(node: Node) -> Node:
    items = node.items if isinstance(node, Sequence) else (node,)
    if not all(isinstance(item, Mapping) for item in items):
        _refuse(node.place, "<< takes over mappings only", "write <<: *name, where &name marks a mapping")
    return node


def _with_merged(done: _Open) -> tuple[dict[str, Node], dict[str, Place]]:
    """The entries with those of `<<` under them; an earlier mapping wins over a later one."""
    entries: dict[str, Node] = dict(done.entries or {})
    keys = dict(done.keys)
    for node in done.merged:
        for source in node.items if isinstance(node, Sequence) else (node,):
            assert isinstance(source, Mapping)
            entries = {**source.entries, **entries}
            keys = {**source.keys, **keys}
    return entries, keys


def _refuse_tag(place: Place, tag: str) -> NoReturn:
    shown = tag.replace(_TAG, "!!") if tag.startswith(_TAG) else tag
    _refuse(place, f"the tag {shown} is not allowed", "write plain text, numbers, lists and mappings")


def _resolved(event: ScalarEvent, place: Place) -> Scalar:
    text, style = event.value, event.style or ""
    if not is_text(text):
        _refuse(place, "the text holds a NUL or half a character", "remove the escape")
    value: Plain = text
    tag = event.tag
    if tag in (None, "!"):
        if event.implicit[0]:
            value = value_of(text)
    elif tag != _TAG + "str":
        value = _tagged(place, str(tag), text)
    return Scalar(value, place, text, style)


def _tagged(place: Place, tag: str, text: str) -> Plain:
    """The value of `!!int 5` and its like; other tags are refused."""
    types: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (int, float),
        "bool": (bool,),
        "null": (type(None),),
    }
    wanted = types.get(tag.removeprefix(_TAG))
    value = value_of(text)
    if wanted is None or (isinstance(value, bool) and bool not in wanted) or not isinstance(value, wanted):
        _refuse_tag(place, tag)
    return value


def value_of(text: str) -> Plain:
    """An unquoted scalar: only `true` and `false` are booleans, and dates stay text."""
    if text in _NULLS:
        return None
    if text in ("true", "false"):
        return text == "true"
    if len(text) <= MOST_DIGITS + 1:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _BASED.fullmatch(text):
            return int(text, 0)
    if len(text) <= 40 and _DECIMAL.fullmatch(text):
        value = float(text)
        if math.isfinite(value) and not _INTEGER.fullmatch(text):
            return value
    return text
