"""Live text arrives whole, in order and coalesced, and can be tailed by another process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqm.engine.live import CAP, LiveFeed, LiveFile, pack, tail, unpack
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


@pytest.fixture
def feed() -> Iterator[LiveFeed]:
    feed = LiveFeed()
    feed.start()
    yield feed
    feed.end()
    feed.join()


def wait_for(truth: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not truth():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_pieces_of_text_travel_together_and_in_order(tmp_path: Path, feed: LiveFeed):
    heard: list[Live] = []
    with LiveFile(tmp_path / "a", heard.append, feed) as live:
        for n in range(1000):
            live(Text(f"{n} "))
        live(ToolStarted("1", "Write", "x.py"))
        live(Text("end"))
    text = "".join(one.text for one in heard if isinstance(one, Text))
    assert text == "".join(f"{n} " for n in range(1000)) + "end"
    assert len(heard) < 200
    assert isinstance(heard[-2], ToolStarted)


def test_a_single_piece_is_heard_soon_without_another_one_behind_it(tmp_path: Path, feed: LiveFeed):
    heard: list[Live] = []
    with LiveFile(None, heard.append, feed) as live:
        live(Text("a"))
        wait_for(lambda: heard == [Text("a")])
        live(Text("b"))
        live(Text("c"))
        wait_for(lambda: heard == [Text("a"), Text("bc")])


def test_another_process_tails_what_is_there_so_far(tmp_path: Path, feed: LiveFeed):
    path = tmp_path / "a"
    with LiveFile(path, lambda live: None, feed) as live:
        live(Notice("one"))
        wait_for(path.exists)
        wait_for(lambda: list(tail(path, 0)))
        first = list(tail(path, 0))
        live(Notice("two"))
        wait_for(lambda: list(tail(path, first[-1][1])))
        rest = list(tail(path, first[-1][1]))
    assert [one.text for one, _ in first + rest] == ["one", "two"]
    assert not path.exists()


def test_a_half_written_line_waits_for_its_end(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(pack(Notice("one")) + pack(Notice("two"))[:-3])
    assert [one for one, _ in tail(path, 0)] == [Notice("one")]


def test_the_file_never_grows_over_its_cap(tmp_path: Path, feed: LiveFeed):
    path = tmp_path / "a"
    with LiveFile(path, lambda live: None, feed) as live:
        for _ in range(30):
            live(Notice("x" * 100_000))
        wait_for(path.exists)
        live.flush()
        assert path.stat().st_size <= CAP


def test_a_folder_that_cannot_be_written_does_not_end_the_turn(tmp_path: Path, feed: LiveFeed):
    heard: list[Live] = []
    (tmp_path / "file").write_text("")
    with LiveFile(tmp_path / "file" / "a", heard.append, feed) as live:
        live(Notice("one"))
        wait_for(lambda: heard)
    assert heard == [Notice("one")]


def test_a_turn_that_ends_at_once_touches_no_disk(tmp_path: Path, feed: LiveFeed):
    heard: list[Live] = []
    with LiveFile(tmp_path / "live" / "a", heard.append, feed) as live:
        live(Text("ok"))
    assert heard == [Text("ok")]
    assert not (tmp_path / "live").exists()


def test_a_listener_that_breaks_silences_no_other_turn(tmp_path: Path, feed: LiveFeed, caplog):
    def broken(live: Live) -> None:
        raise ValueError

    heard: list[Live] = []
    with LiveFile(None, heard.append, feed) as other:
        mute = LiveFile(None, broken, feed)
        mute(Text("a"))
        wait_for(lambda: caplog.records)
        other(Text("b"))
        wait_for(lambda: heard)


def test_a_flood_is_cut_with_a_word_about_it(feed: LiveFeed):
    heard: list[Live] = []
    with LiveFile(None, heard.append, feed) as live:
        for _ in range(50):
            live(Text("x" * 100_000))
        live(ToolStarted("1", "Write"))
    text = sum(len(one.text) for one in heard if isinstance(one, Text))
    assert text <= CAP
    assert [type(one) for one in heard if not isinstance(one, Text)] == [Notice, ToolStarted]
