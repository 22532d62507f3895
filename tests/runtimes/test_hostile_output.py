"""What a CLI prints may be anything: every runtime must bear it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aqm.flow.outcome import FAILURES, Failure, FailureClass
from tests.runtimes.bench import Bench
from tests.runtimes.dialects import DIALECTS

MakeBench = Callable[[str], Bench]
every_cli = pytest.mark.parametrize("name", [*DIALECTS, "command"])
every_stream = pytest.mark.parametrize("name", DIALECTS)


def _as_text(name: str, raw: bytes) -> list[Any]:
    """The act that prints an answer holding these bytes as they are."""
    if name == "command":
        return [["raw", raw.hex()]]
    lines = [line.encode().replace(b"@", raw) for line in DIALECTS[name].answer("x@y")]
    return [["raw", (line + b"\n").hex()] for line in lines]


@every_cli
@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b"\xc3"], ids=lambda raw: raw.hex())
def test_bytes_that_are_no_text_become_marks(name: str, raw: bytes, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(*_as_text(name, raw))
    text = here.answer().text
    assert "�" in text
    assert text.encode()  # no lone surrogate
    assert "\0" not in text + here.said


@every_stream
@pytest.mark.parametrize("escape", ["\\ud800", "\\u0000", "\\udfff\\ud800"])
def test_escapes_that_are_no_text_become_marks(name: str, escape: str, bench: MakeBench) -> None:
    here = bench(name)
    lines = [line.replace("@", escape) for line in DIALECTS[name].answer("x@y")]
    here.plays(*(["say", line] for line in lines))
    assert set(here.answer().text) == {"x", "�", "y"}
    assert set(here.said) == {"x", "�", "y"}


def test_a_script_with_unclean_text_is_cleaned_too(bench: MakeBench) -> None:
    here = bench("scripted")
    here.says("x\0y")
    assert here.answer().text == "x�y"


@every_cli
def test_terminal_escapes_are_kept_as_text(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.says("\x1b[31mred\x1b]8;;x\x07")
    assert here.answer().text == "\x1b[31mred\x1b]8;;x\x07"


@every_stream
@pytest.mark.parametrize(
    "line",
    [
        "[" * 20_000,
        '{"type":' * 20_000,
        '{"type": "result"',
        '{"type": 7}',
        '{"type": "result", "is_error": "no", "usage": [1], "result": {"a": NaN}, "stats": 3}',
        '{"type": "assistant", "message": {"content": [7, null, {"type": "text"}]}}',
        '{"type": "user", "message": {"content": "plain"}}',
        '{"type": "item.completed", "item": null}',
        '{"type": "turn.failed", "error": null}',
        '{"type": "message", "role": "assistant", "content": 9}',
        '{"type": "system", "subtype": "init", "mcp_servers": [1, {"status": "failed"}]}',
        "1e999",
        '{"n": ' + "9" * 5_000 + "}",
    ],
    ids=lambda line: line[:40],
)
def test_lines_of_any_shape_do_no_harm(name: str, line: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["say", line], *(["say", good] for good in DIALECTS[name].answer("fine")))
    outcome = here.run()
    if isinstance(outcome, Failure):  # the line was an event of this CLI's, and said so
        assert outcome.kind in FAILURES
    else:
        assert outcome.text == "fine"


@every_stream
def test_a_line_without_end_is_cut_and_told(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["flood", "x", 6], ["say", ""], *(["say", line] for line in DIALECTS[name].unfinished("but")))
    failure = here.fail(FailureClass.CRASH)
    assert "1 of its lines were too long" in failure.message
    assert failure.partial == "but"


def test_a_line_of_100_mb_keeps_both_ends_of_a_commands_answer(bench: MakeBench) -> None:
    here = bench("command")
    here.plays(["say", "begin ", {"end": ""}], ["flood", "x", 100], ["say", " end"])
    text = here.answer().text
    assert text.startswith("begin xxx")
    assert text.endswith("xxx end")
    assert "bytes cut]" in text
    assert len(text) < 10.1 * 2**20


@every_cli
def test_a_flood_is_killed_and_told(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["flood", "flood " * 1000, 2048])
    failure = here.fail(FailureClass.CRASH)
    assert "256 MB" in failure.message


@every_stream
def test_a_flood_of_lines_is_killed_and_told(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["flood", "y\n", 200])
    assert "more lines" in here.fail(FailureClass.CRASH).message
