"""Bytes to lines and text: bounds, marks, nothing unclean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqm.runtimes.lines import HeadTail, Lines, Pieces, TooMuch, clean, one_line, parse


def lines_of(*chunks: bytes, limit: int = 1000) -> list[tuple[str, bool]]:
    got: list[tuple[str, bool]] = []
    lines = Lines(lambda line, cut: got.append((line, cut)), limit)
    for chunk in chunks:
        lines.feed(chunk)
    lines.close()
    return got


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_lines_do_not_depend_on_how_the_bytes_come(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    assert lines_of(*chunks) == lines_of(whole) == lines_of(*(bytes([byte]) for byte in whole))


@given(st.lists(st.text(alphabet=st.characters(blacklist_characters="\n\r\0", codec="utf-8"), min_size=1)))
def test_what_was_a_line_comes_out_as_one(texts: list[str]) -> None:
    assert lines_of("\n".join(texts).encode()) == [(text, False) for text in texts]


def test_a_line_over_the_limit_keeps_its_start_and_the_next_is_whole() -> None:
    assert lines_of(b"x" * 7, b"x" * 7 + b"\nshort\n", limit=10) == [
        ("xxxxxxxxxx… [4 bytes cut]", True),
        ("short", False),
    ]


def test_a_line_of_exactly_the_limit_is_whole() -> None:
    assert lines_of(b"x" * 10 + b"\n", limit=10) == [("x" * 10, False)]


def test_more_lines_than_any_turn_needs_are_too_much() -> None:
    lines = Lines(lambda line, cut: None)
    with pytest.raises(TooMuch):
        lines.feed(b"y\n" * 1_000_001)


@given(st.binary(), st.integers(min_value=2, max_value=30))
def test_head_and_tail_stay_in_their_cap(data: bytes, cap: int) -> None:
    kept = HeadTail(cap)
    for start in range(0, len(data), 7):
        kept.add(data[start : start + 7])
    half = cap // 2
    text = kept.text()
    if len(data) <= 2 * half:
        assert text == clean(data.decode("utf-8", "replace"))
    else:
        head = clean(data[:half].decode("utf-8", "replace"))
        tail = clean(data[-half:].decode("utf-8", "replace"))
        assert text == f"{head}\n… [{len(data) - 2 * half:,} bytes cut]\n{tail}"


@given(st.text(), st.integers(min_value=1, max_value=5))
def test_pieces_make_up_the_text_however_they_are_cut(text: str, size: int) -> None:
    got: list[str] = []
    pieces = Pieces(got.append)
    data = text.encode("utf-8", "surrogatepass")
    for start in range(0, len(data), size):
        pieces.feed(data[start : start + size])
    pieces.close()
    assert "".join(got) == clean(data.decode("utf-8", "replace"))


@given(st.text(alphabet=st.characters(), max_size=50))
def test_clean_text_can_be_stored_anywhere(text: str) -> None:
    cleaned = clean(text)
    assert "\0" not in cleaned
    assert cleaned.encode().decode() == cleaned
    assert len(cleaned) == len(text)


def test_clean_keeps_what_is_clean() -> None:
    assert clean("ä\x1b[0m\n\N{ROCKET}") == "ä\x1b[0m\n\N{ROCKET}"
    assert clean("\0a\ud800b\udfff") == "�a�b�"


@pytest.mark.parametrize("line", ["", "[1]", "7", "null", "{", '{"a": 1} x', '{"a":' * 5000, " {}", "text"])
def test_what_is_no_object_is_no_event(line: str) -> None:
    assert parse(line) is None


def test_numbers_that_json_cannot_hold_are_none() -> None:
    assert parse('{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5}') == {
        "a": None,
        "b": None,
        "c": None,
        "d": 1.5,
    }


def test_escapes_are_cleaned_wherever_they_hide() -> None:
    event = parse('{"k\\u0000": ["\\ud800", {"x": "\\ud83d\\ude80"}]}')
    assert event == {"k�": ["�", {"x": "\N{ROCKET}"}]}


@given(st.dictionaries(st.text(alphabet=st.characters(codec="utf-8")), st.integers() | st.booleans()))
def test_an_event_is_read_as_it_was_written(event: dict[str, object]) -> None:
    written = json.dumps(event)
    assert parse(written) == {clean(key): value for key, value in event.items()}


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\n  b\tc ", "a b c"), ("x" * 200, "x" * 119 + "…"), ("", ""), ("\x1b[31mred", "\x1b[31mred")],
)
def test_a_summary_is_one_short_line(text: str, line: str) -> None:
    assert one_line(text) == line
