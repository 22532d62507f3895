"""Live text arrives whole, in order and coalesced, and can be tailed by another process."""

from __future__ import annotations

import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from aqm.engine.live import CAP, LiveFile, pack, tail, unpack
from aqm.runtimes.base import Live, Notice, Text, Thinking, ToolFinished, ToolStarted

LIVES = st.one_of(
    st.builds(Text, st.text()),
    st.builds(Thinking, st.text()),
    st.builds(ToolStarted, st.text(), st.text(), st.text()),
    st.builds(ToolFinished, st.text(), st.booleans(), st.text()),
    st.builds(Notice, st.text()),
)


@given(LIVES)
def test_every_event_survives_its_line(live: Live):
    line = pack(live)
    assert line.count(b"\n") == 1
    assert unpack(line) == live


@given(st.binary(max_size=200))
def test_a_line_that_is_no_event_is_nothing(line: bytes):
    assert unpack(line) is None or line.startswith(b"{")


def test_pieces_of_text_travel_together_and_in_order(tmp_path: Path):
    heard: list[Live] = []
    with LiveFile(tmp_path / "a", heard.append) as live:
        for n in range(1000):
            live(Text(f"{n} "))
        live(ToolStarted("1", "Write", "x.py"))
        live(Text("end"))
    text = "".join(one.text for one in heard if isinstance(one, Text))
    assert text == "".join(f"{n} " for n in range(1000)) + "end"
    assert len(heard) < 200
    assert isinstance(heard[-2], ToolStarted)


def test_a_single_piece_is_heard_within_a_moment_without_another_one_behind_it(tmp_path: Path):
    heard: list[Live] = []
    with LiveFile(None, heard.append) as live:
        live(Text("a"))
        live(Text("b"))
        deadline = time.monotonic() + 2
        while len(heard) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert heard == [Text("a"), Text("b")]


def test_another_process_tails_what_is_there_so_far(tmp_path: Path):
    path = tmp_path / "a"
    with LiveFile(path, lambda live: None) as live:
        live(Notice("one"))
        first = list(tail(path, 0))
        live(Notice("two"))
        rest = list(tail(path, first[-1][1]))
    assert [one.text for one, _ in first + rest] == ["one", "two"]
    assert not path.exists()


def test_a_half_written_line_waits_for_its_end(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(pack(Notice("one")) + pack(Notice("two"))[:-3])
    assert [one for one, _ in tail(path, 0)] == [Notice("one")]


def test_the_file_never_grows_over_its_cap(tmp_path: Path):
    path = tmp_path / "a"
    with LiveFile(path, lambda live: None) as live:
        for _ in range(30):
            live(Notice("x" * 100_000))
        assert path.stat().st_size <= CAP


def test_a_folder_that_cannot_be_written_does_not_end_the_turn(tmp_path: Path):
    heard: list[Live] = []
    (tmp_path / "file").write_text("")
    with LiveFile(tmp_path / "file" / "a", heard.append) as live:
        live(Notice("one"))
    assert heard == [Notice("one")]
