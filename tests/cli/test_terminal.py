"""Foreign text reaches the terminal as text, whatever is in it."""

import io

import pytest

from aqm.cli.terminal import Screen, brief, cut, held_back, safe

HOSTILE = [
    "\x1b[31mred",
    "\x1b[2J",
    "\x1b[H",
    "\x1b[1;1H",
    "\x1b[?25l",
    "\x1b[?1049h",
    "\x1b[6n",
    "\x1b[c",
    "\x1b[>c",
    "\x1b[21t",
    "\x1b[38;5;196m",
    "\x1b[38;2;1;2;3m",
    "\x1b[ q",
    "\x1b[!p",
    "\x1bc",
    "\x1b7\x1b8",
    "\x1bM",
    "\x1bD",
    "\x1b#8",
    "\x1b(0",
    "\x1b%G",
    "\x1b=",
    "\x1b]0;title\x07",
    "\x1b]2;title\x1b\\",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]52;c;ZWNobyBoaQ==\x07",
    "\x1b]52;c;?\x1b\\",
    "\x1b]1337;File=inline=1:AAAA\x07",
    "\x1b]9;notice\x07",
    "\x1b]50;font\x07",
    "\x1b]4;1;rgb:ff/00/00\x1b\\",
    "\x1bP+q544e\x1b\\",
    "\x1bPq#0;2;0;0;0\x1b\\",
    "\x1bXsos\x1b\\",
    "\x1b^privacy\x1b\\",
    "\x1b_Gf=100;AAAA\x1b\\",
    "\x9b31mred",
    "\x9d0;title\x9c",
    "\x90q\x9c",
    "\x1b]0;never ended",
    "\x1b\x1b[31m",
    "\x1b",
    "\x1b[",
    "\x07\x08\x0b\x0c\x0e\x0f\x7f",
    "over\rwritten",
    "\u202eevil\u202c",
    "\u2066isolated\u2069",
    "\u200fmark",
    "one\u2028two",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_control_character_survives(text: str) -> None:
    cleaned = safe(f"before {text}\nafter")
    controls = [char for char in cleaned.replace("\n", "") if ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0]
    assert controls == []
    assert not set(cleaned) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u2028")
    assert cleaned.startswith("before ")
    assert cleaned.endswith("\nafter")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_screen_that_is_decorated_writes_no_escape_of_anybody_else(text: str) -> None:
    stream = io.StringIO()
    Screen(stream, decorated=True).line((text, "red"), text)
    assert stream.getvalue().replace("\x1b[31m", "", 1).replace("\x1b[0m", "", 1).count("\x1b") == 0


def test_whole_sequences_go_with_their_parameters() -> None:
    assert safe("a\x1b[38;5;196mb\x1b]8;;http://x\x1b\\c\x1b]8;;\x1b\\d\x1b(0e") == "abcde"


def test_newlines_tabs_and_the_scripts_of_the_world_stay() -> None:
    text = "one\n\ttwo – 日本語 עברית 👩‍💻 [/markup] [red]x[/red] :smile:"
    assert safe(text) == text


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    assert safe("a\udc80b") == "a\ufffdb"


def test_an_unfinished_sequence_at_the_end_is_held_back() -> None:
    assert held_back("text \x1b[3") == 5
    assert held_back("text \x1b") == 5
    assert held_back("text \x1b[31m") == len("text \x1b[31m")
    assert held_back("plain") == 5
    assert held_back("\x1b]" + "x" * 1000) == 1002  # nobody waits for ever


def test_cut_gives_one_line_of_at_most_so_many_characters() -> None:
    assert cut("one  two\nthree", 20) == "one two"
    assert cut("abcdef", 4) == "abc…"


def test_a_plain_screen_writes_markup_as_it_is_and_no_escapes() -> None:
    stream = io.StringIO()
    Screen(stream).line(("[bold]x[/bold] [/markup]", "red"))
    assert stream.getvalue() == "[bold]x[/bold] [/markup]\n"


def test_a_table_is_aligned_and_keeps_wide_characters_in_their_columns() -> None:
    stream = io.StringIO()
    Screen(stream).table(("A", "B"), [("日本", "one"), ("x", "two\nthree \x1b[2J[/b]")])
    assert stream.getvalue() == "A     B\n日本  one\nx     two three [/b]\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sh ended with exit code 7:\nboom", "sh ended with exit code 7: boom"),
        ("it ended:\n\n  one\n\ntwo\n", "it ended: one · two"),
        ("it ended\nlater", "it ended · later"),
        ("it ended:\n \n", "it ended"),
        ("a" * 30, "a" * 19 + "…"),
        ("", ""),
        ("x\x1b[2J:\ny", "x: y"),
    ],
)
def test_a_message_of_several_lines_is_told_in_one(text: str, shown: str) -> None:
    assert brief(text, 31 if "\n" in text else 20) == shown
