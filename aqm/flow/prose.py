"""What a Markdown answer says itself: its lines of plain prose and its fenced blocks, without what it quotes.

CommonMark's own reader finds the blocks, so that a fence inside a list, a quote that goes on without its mark
or a comment over many lines is taken as every reader of Markdown takes it. On top of that, nothing counts
that stands between a tag and its closing tag (`<think>` … `</think>`), or inside a link, a code span or a tag
that began on an earlier line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["MAX_CHARS", "MAX_LINES", "Fence", "Prose", "lines_of", "read_prose"]

# What lies beyond is not read, nor the paragraph at the cut: a bound can hide a line, and never forge one.
MAX_CHARS = 2_000_000
MAX_LINES = 20_000
_DEEPEST = 8  # blocks nested deeper than this are skipped

_CODE_SPAN = re.compile(r"(?<![`\\])(`{1,3})(?!`)[^`]+\1(?!`)")
_TAG = re.compile(r"</?[a-zA-Z](?:[^<>`\"']|\"[^<>`\"]*\"|'[^<>`']*')*>|<!--[^<>`-]*-->")
_LINK = re.compile(r"\[[^\[\]<`]*\]")
_STRUCK = re.compile(r"~~[^~]+~~")
_OPENS = re.compile(r"`|~~|\[|<[a-zA-Z/!?]")
_CLOSES = re.compile(r"`|~~|\]|>")
_DEFINES = re.compile(r"[ \t*+0-9.)-]*\[")
_ELEMENT = re.compile(r"<(?P<shut>/?)(?P<name>[a-zA-Z][a-zA-Z0-9_-]{0,40})(?=[\s/>]|$)|<!--|-->")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block outside quotes; `info` is the word behind its opening mark, in lower case."""

    info: str
    text: str


@dataclass(frozen=True, slots=True)
class Prose:
    """`lines` stand in paragraphs, at most one list deep, each as it was written. `alone` says that a single
    fenced block is the whole text; `cut` that the text was longer than is read."""

    lines: tuple[str, ...] = ()
    fences: tuple[Fence, ...] = ()
    alone: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines `start` to `end`, the last not included. Only a paragraph at most one list deep `speaks`; the
    others are there for their tags."""

    start: int
    end: int
    speaks: bool


def read_prose(text: str) -> Prose:
    lines = lines_of(text)
    cut = len(lines) < text.count("\n") + 1 or len(text) > MAX_CHARS
    tokens = _tokens("\n".join(lines))
    blocks = [block for block in _blocks(tokens) if not (cut and block.end >= len(lines))]
    hidden = _enclosed(lines, blocks, cut)
    spoken = tuple(
        lines[number]
        for block in blocks
        if block.speaks
        for number in _own_lines(lines, block)
        if not hidden[number]
    )
    fences = tuple(Fence(_first_word(token.info), token.content) for token in tokens if token.type == "fence")
    return Prose(spoken, fences, alone=len(tokens) == len(fences) == 1, cut=cut)


def lines_of(text: str) -> list[str]:
    """The lines that are read. Only `\\n` and `\\r\\n` end one: the other separators of Unicode could show a
    line that is none."""
    return text[:MAX_CHARS].replace("\r\n", "\n").split("\n", MAX_LINES)[:MAX_LINES]


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt  # 0.04 s, and most answers never need it

    reader = MarkdownIt("commonmark", {"maxNesting": _DEEPEST})
    reader.enable("table")  # the cells of a table are no lines of prose
    reader.disable("reference")
    _parse(reader, "> a\n")  # its rules are compiled at first use, which two threads must not do at once
    return reader


def _tokens(text: str) -> list[Token]:
    """The blocks of the text, each with its place; of a block quote only its start."""
    kept: list[Token] = []
    quotes = 0
    for token in _parse(_reader(), text):
        if not quotes:
            kept.append(token)
        if token.type.startswith("blockquote"):
            quotes += token.nesting
    return kept


def _parse(reader: MarkdownIt, text: str) -> list[Token]:
    """A fault of the reader must not stop a task: of what it cannot read, nothing counts. One was found: with
    no end to the last line, it fails on a quoted list item that opens a processing instruction.
    """
    tokens: list[Token] = []
    try:
        reader.block.parse(text + "\n", reader, {}, tokens)
    except (IndexError, RuntimeError):
        return []
    return tokens


def _first_word(info: str) -> str:
    return (info.lower().split() or [""])[0]


def _blocks(tokens: Iterable[Token]) -> Iterator[_Block]:
    lists = 0
    for token in tokens:
        if token.type.endswith("_list_open") or token.type.endswith("_list_close"):
            lists += token.nesting
        elif token.map and token.type == "html_block":
            yield _Block(token.map[0], token.map[1], speaks=False)
        elif token.map and _is_paragraph(token):
            yield _Block(token.map[0], token.map[1], speaks=lists <= 1)


def _is_paragraph(token: Token) -> bool:
    """A line over a row of `---` or `===` is a heading to Markdown, and a line of prose to who wrote it."""
    return token.type == "paragraph_open" or (token.type == "heading_open" and token.markup in ("-", "="))


def _enclosed(lines: Sequence[str], blocks: Iterable[_Block], cut: bool) -> list[bool]:
    """For each line whether it stands between a tag and its closing tag on a later line, or in a comment."""
    opened: dict[str, list[int]] = {}
    depth = [0] * (len(lines) + 1)
    for block in blocks:
        for number in range(block.start, block.end):
            for tag in _ELEMENT.finditer(lines[number]):
                starts = opened.setdefault((tag["name"] or "").lower(), [])
                if tag.group() != "-->" and not tag["shut"]:
                    starts.append(number)
                elif starts and (start := starts.pop()) < number:
                    depth[start + 1] += 1
                    depth[number] -= 1
    if cut:  # the closing tags may be in what is not read
        for start in (number for starts in opened.values() for number in starts):
            depth[start + 1] += 1
    return [inside > 0 for inside in accumulate(depth)]


def _own_lines(lines: Sequence[str], block: _Block) -> Iterator[int]:
    """The lines of a paragraph, without those that a link, code span or tag may enclose which an earlier line
    left open and a later one can close; none of a paragraph that may define links, which nobody sees."""
    numbers = range(block.start, block.end)
    if _DEFINES.match(lines[block.start]) and any("]:" in lines[number] for number in numbers):
        return
    last = max((number for number in numbers if _CLOSES.search(lines[number])), default=-1)
    left_open = False
    for number in numbers:
        if not (left_open and number < last):
            yield number
        left_open = left_open or _leaves_open(lines[number])


def _leaves_open(line: str) -> bool:
    if _OPENS.search(line) is None:
        return False
    rest = _CODE_SPAN.sub(" ", line)
    rest = _STRUCK.sub(" ", _LINK.sub(" ", _TAG.sub(" ", rest)))
    return _OPENS.search(rest) is not None
