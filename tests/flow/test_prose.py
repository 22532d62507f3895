"""Prose: which lines of a Markdown text speak, compared with what a reader of Markdown shows of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from aqm.flow.prose import MAX_CHARS, MAX_LINES, Fence, _parse, read_prose

SAID = "VOTE: AGREE"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\nb", ("a", "b")),
        ("a\r\nb\r\n", ("a", "b")),
        ("- a\n- **b**\n  c", ("- a", "- **b**", "  c")),
        ("# a\nb\n---\nc", ("b", "---", "c")),
        ("> a\nb\n\nc", ("c",)),
        ("- a\n  - b\n- c", ("- a", "- c")),
        ("| a |\n|---|\n| b |\n\nc", ("c",)),
        ("<div>\na\n\nb\n\n</div>\n\nc", ("c",)),
        ("<T>\n\na\n\nb", ("a", "b")),
        ("a <b\nc\n> d", ("a <b", "c")),
        ("a `b\nc\nd` e", ("a `b", "d` e")),
        ("a `b` c\nd\n`e`", ("a `b` c", "d", "`e`")),
        ("a <b> c\nd\n<e>", ("a <b> c", "d", "<e>")),
        ("a <!-- x --> b\nc\n-> d", ("a <!-- x --> b", "c", "-> d")),
        ("[a]: b\nc", ()),
        ("", ()),
        ("\n \n\t\n", ()),
    ],
)
def test_the_lines_that_speak(text: str, lines: tuple[str, ...]) -> None:
    assert read_prose(text).lines == lines


def test_fences_are_found_with_their_info_wherever_they_stand_outside_quotes() -> None:
    text = "```JSON  x\n{}\n```\n\n- a\n\n  ~~~\n  b\n  ~~~\n\n> ```json\n> c\n> ```\n\n```json\nopen"
    assert read_prose(text).fences == (Fence("json", "{}\n"), Fence("", "b\n"), Fence("json", "open\n"))


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("```json\n{}\n```", True),
        ("\n\n~~~\n{}\n~~~\n\n", True),
        ("a\n```\n{}\n```", False),
        ("```\n{}\n```\na", False),
        ("```\n{}\n```\n```\n{}\n```", False),
        ("- ```\n  {}\n  ```", False),
        ("> a\n\n```\n{}\n```", False),
        ("```\n{}\n```\n> a", False),
        ("```\n{}\n```\n\n---", False),
        ("```\n{}\n```\n<!-- a -->", False),
        ("a", False),
        ("", False),
    ],
)
def test_a_fence_is_alone_when_nothing_else_is_said(text: str, alone: bool) -> None:
    assert read_prose(text).alone is alone


def test_what_lies_beyond_the_bounds_is_not_read() -> None:
    long = read_prose("a\n\n" + "b" * MAX_CHARS + "\n\nc")
    assert (long.lines, long.cut) == (("a",), True)
    many = read_prose("a\n\n" + "b\n\n" * MAX_LINES)
    assert many.cut
    assert len(many.lines) < MAX_LINES
    assert read_prose("a\n" * (MAX_LINES - 1)).cut is False


def test_a_bound_never_makes_a_hidden_line_speak() -> None:
    filling = "\n\nb" * MAX_LINES
    assert SAID not in read_prose(f"<think>\n\n{SAID}{filling}\n\n</think>").lines
    assert read_prose(f"`open\n{SAID}\n" + "b\n" * MAX_LINES + "shut`").lines == ()
    assert read_prose(SAID + " " * MAX_CHARS + "not").lines == ()


def test_a_text_on_which_the_reader_of_markdown_fails_says_nothing() -> None:
    def fail(*_: object) -> bool:
        raise IndexError

    broken = MarkdownIt("commonmark")
    broken.block.ruler.at("paragraph", fail)
    assert _parse(broken, "a") == []
    assert (
        read_prose(">* <?\n>").lines == ()
    )  # this fails in markdown-it-py 4.3 without the end of its last line


# An independent look: the inline parser of the same library, which our reading does not use.
_SHOWN = MarkdownIt("commonmark", {"maxNesting": 50}).enable(["table", "strikethrough"])


def _shown_lines(text: str) -> Iterator[str]:
    """The lines that the rendered text shows, without those in quotes, tables and inner lists."""
    around: list[Token] = []
    for token in _SHOWN.parse(text):
        if token.nesting == 1:
            around.append(token)
        elif token.nesting == -1:
            around.pop()
        elif token.type == "inline" and _speaks([one.type for one in around], around[-1]):
            yield from _segments(token.children or [])


def _speaks(types: list[str], parent: Token) -> bool:
    lists = sum(name.endswith("_list_open") for name in types)
    is_line = parent.type == "paragraph_open" or parent.markup in ("-", "=")
    return is_line and lists <= 1 and "blockquote_open" not in types


def _segments(children: list[Token]) -> Iterator[str]:
    line, depth = "", 0
    for child in children:
        depth += child.nesting if child.type.startswith(("link", "s_")) else 0
        if child.type in ("softbreak", "hardbreak") and depth == 0:
            yield line
            line = ""
        elif child.type == "text" and depth == 0:
            line += child.content
        elif not child.type.startswith(("em_", "strong_")):
            line += "\0"
    yield line


_PIECES = st.sampled_from(
    [SAID] * 6
    + ["\n"] * 8
    + ["\n\n"] * 3
    + ["> ", ">", "- ", "* ", "1. ", "  ", "   ", "    ", "\t", "```", "````", "~~~", "```json", "`", "``"]
    + ["<!--", "-->", "<div>", "</div>", "<pre>", "</pre>", '<a href="', '">', "<x>", "</x>", "<b", ">", "<?"]
    + ["?>", "<![CDATA[", "]]>", "[", "](u)", "]", "]: ", '"', "'", "(", ")", "text", "text ", "# ", "---"]
    + ["===", "|", "|-", "-|-", "\\", "~~", "**", "_", "*", "&amp;", "<http://a", "![", "[a]: b ", "\\`"]
)


@settings(max_examples=300)
@given(st.lists(_PIECES, max_size=30).map("".join))
@example("<!--\n```\n-->\n\n```\nVOTE: AGREE\n```")
@example("- ```\n  a\n```\nVOTE: AGREE\n```")
@example('<a f=">\nVOTE: AGREE\n">')
@example("<a title='`'> `\nVOTE: AGREE\n`")
@example("\\` `\nVOTE: AGREE\n`")
def test_nothing_speaks_that_a_reader_of_markdown_would_not_show_as_a_line(text: str) -> None:
    text = f"{text}\n"
    speaking = [line for line in read_prose(text).lines if line.strip() == SAID]
    shown = [line for line in _shown_lines(text) if line.strip() == SAID]
    assert len(speaking) <= len(shown)
