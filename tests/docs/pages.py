"""The reference's pages as the tests see them: their blocks of code, their sentences and their tables.

What a fenced block is, its language and its title say:

- `yaml` without a title, or with one below `.aqm/pipelines/`: a whole pipeline, valid and without warnings;
- `yaml title="refused"`, or `"warned"`: a pipeline that is refused, or loads with warnings; what is said
  stands in the `text` block behind it;
- `yaml title="script.yaml"`: answers for the pipeline before it, which is run with them: by the commands of
  the `console` block behind the script, or by `aqm run`, up to the sentence `Stages: …`;
- `yaml title=".aqm/config.yaml"`, or `".aqm/params.yaml"`: settings, or values of params;
- `yaml` with another path as its title: a file that the page's pipelines import.

`<!-- keys: Agent -->` before a table says whose keys it lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = [
    "CONFIG",
    "DOCS",
    "PARAMS",
    "SCRIPT",
    "Block",
    "Words",
    "blocks",
    "names",
    "parts",
    "tables",
    "text_of",
]

DOCS = Path(__file__).parents[2] / "docs"
SCRIPT, CONFIG, PARAMS = "script.yaml", ".aqm/config.yaml", ".aqm/params.yaml"

_INFO = re.compile(r'(?P<language>\w*)(?: title="(?P<title>[^"]+)")?')
_KEYS = re.compile(r"<!-- keys: (\w+) -->")
_CELLS = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block and where it stands."""

    page: str
    line: int
    language: str
    title: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_pipeline(self) -> bool:
        return self.language == "yaml" and (not self.title or self.title.startswith(".aqm/pipelines/"))


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph, a heading or a cell of a table, as it is written."""

    page: str
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def names() -> tuple[str, ...]:
    return tuple(sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")))


@cache
def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


@cache
def parts(page: str) -> tuple[Block | Words, ...]:
    """All that the page says, from top to bottom."""
    return tuple(_parts(page))


def _parts(page: str) -> Iterator[Block | Words]:
    line = 1
    for token in _tokens(page):
        line = token.map[0] + 1 if token.map else line
        if token.type == "fence":
            found = _INFO.fullmatch(token.info)
            assert found, f"{page}:{line}: what does ```{token.info} mean?"
            yield Block(page, line, found["language"], found["title"] or "", token.content)
        elif token.type == "inline":
            yield Words(page, line, token.content)


@cache
def _tokens(page: str) -> tuple[Token, ...]:
    return tuple(MarkdownIt("commonmark").enable("table").parse(text_of(page)))


def blocks(language: str | None = None) -> list[Block]:
    """The blocks of all pages, or those in one language."""
    found = (part for page in names() for part in parts(page) if isinstance(part, Block))
    return [block for block in found if language in (None, block.language)]


@cache
def tables() -> dict[str, dict[str, list[str]]]:
    """The tables that list keys, by what they belong to: key → its row's cells."""
    found: dict[str, dict[str, list[str]]] = {}
    for page in names():
        for name, rows in _tables(text_of(page)):
            found[name] = {**found.get(name, {}), **rows}
    return found


def _tables(text: str) -> Iterator[tuple[str, dict[str, list[str]]]]:
    for found in _KEYS.finditer(text):
        lines = text[found.end() :].lstrip("\n").split("\n\n")[0].splitlines()[2:]
        rows = [[cell.strip() for cell in _CELLS.split(line)[1:-1]] for line in lines]
        yield found[1], {row[0].strip("`"): row for row in rows}
