"""What the pages tell readers to type exists: commands, their flags and arguments, and variables."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from aqm.cli.app import COMMANDS, aqm
from aqm.settings import Settings
from tests.docs.completeness import setting_defaults
from tests.docs.pages import Block, Words, blocks, names, parts, text_of
from tests.docs.rehearsal import typed

_SPAN = re.compile(r"`(aqm [^`]+)`")
_FLAG = re.compile(r"`(--?[A-Za-z][\w-]*)")
_VARIABLE = re.compile(r"\bAQM_[A-Z_]+[A-Z]\b")
_ELSEWHERE = {"|", ">", ">>", "<", "&&", "||", ";", "&"}
_TOLD = [name for section in COMMANDS.values() for name in section]


def _lines() -> Iterator[tuple[str, str]]:
    """Every command that stands on a page, with its place; in prose it may go without its arguments."""
    for block in blocks("console"):
        for line in typed(block):
            yield block.place, line
    for page in names():
        for part in parts(page):
            if isinstance(part, Words):
                yield from ((part.place, f"{span} …") for span in _SPAN.findall(part.text))


def _calls(line: str) -> Iterator[list[str]]:
    """The calls of `aqm` in a line of the shell."""
    lexer = shlex.shlex(line.replace("\\|", "|"), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in _ELSEWHERE:
            if words[:1] == ["aqm"]:
                yield words[1:]
            words = []
        else:
            words.append(word)


def problem(words: list[str]) -> str:
    """Why `aqm` would not take these words; empty when it would. `…` stands for whatever is left out."""
    complete = "…" not in words
    command: click.Command = aqm
    context = click.Context(aqm, info_name="aqm")
    rest = [word for word in words if word != "…"]
    while True:
        try:
            values, rest, _ = command.make_parser(context).parse_args(rest)
        except click.UsageError as error:
            return error.format_message()
        wrong = next(filter(None, (_wrong(each, values, complete) for each in command.params)), "")
        if wrong or not isinstance(command, click.Group):
            return wrong or (f"it takes no {rest[0]!r}" if rest else "")
        if not rest:
            return ""
        found = command.get_command(context, rest[0])
        if found is None:
            return f"there is no command {rest[0]!r}"
        command, context, rest = found, click.Context(found, parent=context, info_name=rest[0]), rest[1:]


def _wrong(parameter: click.Parameter, values: dict[str, object], complete: bool) -> str:
    value = values.get(parameter.name or "")
    given = value if isinstance(value, str | tuple | list) else None
    if complete and parameter.required and not given:
        return f"{parameter.name} is missing"
    if isinstance(parameter.type, click.Choice) and isinstance(given, str):
        return "" if given in parameter.type.choices or given.isupper() else f"{given!r} is no choice"
    return ""


LINES = list(dict.fromkeys(_lines()))


def test_the_pages_have_commands() -> None:
    assert len(LINES) >= 40


@pytest.mark.parametrize(("place", "line"), LINES, ids=[f"{place} {line}" for place, line in LINES])
def test_a_command_can_be_typed_as_it_is_written(place: str, line: str) -> None:
    assert [found for words in _calls(line) if (found := problem(words))] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("aqm run 'x' --priority high", ""),
        ("aqm run 'x' --bogus", "No such option"),
        ("aqm run", "text is missing"),
        ("aqm run … --detach", ""),
        ("aqm rum 'x'", "there is no command 'rum'"),
        ("aqm run 'x' --priority urgent", "'urgent' is no choice"),
        ("aqm schema x", "it takes no 'x'"),
        ("aqm --project shop list > tasks.txt", ""),
    ],
)
def test_what_cannot_be_typed_is_found(line: str, found: str) -> None:
    (words,) = _calls(line)
    assert problem(words).startswith(found)
    assert bool(problem(words)) == bool(found)


@pytest.mark.parametrize("name", _TOLD)
def test_the_table_of_commands_has_it_with_all_its_flags(name: str) -> None:
    rows = [line for line in text_of("commands.md").splitlines() if line.startswith(f"| `aqm {name}")]
    assert rows, f"commands.md has no row that begins with  | `aqm {name}"
    command = aqm.get_command(click.Context(aqm), name)
    assert command is not None
    inside = list(command.commands.values()) if isinstance(command, click.Group) else []
    options = [
        each
        for one in (command, *inside)
        for each in one.params
        if isinstance(each, click.Option) and not each.hidden
    ]
    flags = {max(each.opts, key=len) for each in options}
    assert sorted(flag for flag in flags if not any(f"`{flag}" in row for row in rows)) == []
    told = {flag for row in rows for flag in _FLAG.findall(row)}
    assert sorted(told - {flag for each in options for flag in each.opts}) == []


def test_every_variable_that_is_named_is_one() -> None:
    known = {"AQM_" + path.replace(".", "__").upper() for path in setting_defaults(Settings)}
    found = {(page, name) for page in names() for name in _VARIABLE.findall(text_of(page))}
    spoken = {"AQM_TIMEOUTS__CLAUDE", "AQM_IDLE_TIMEOUTS__CODEX"}
    assert sorted((page, name) for page, name in found if name not in known | spoken) == []


def test_a_console_block_types_something() -> None:
    assert [block.place for block in blocks("console") if not typed(block)] == []
    assert all(isinstance(block, Block) for block in blocks())
