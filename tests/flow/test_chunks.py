"""Chunks: who may change them, how they are numbered, and how they are shown."""

from __future__ import annotations

from typing import Any

import pytest

from aqm.flow.chunks import Chunk, Edit, chunk_id, chunk_number, edits, enabled, initial, table
from aqm.flow.state import ChunkStatus
from aqm.pipeline.spec import AnyAgent
from tests.flow.deciding import pipeline

SAID = "CHUNK_DONE: C-001, c-2\nCHUNK_ADD: Write the docs\n- CHUNK_REMOVE: C-003\n> CHUNK_ADD: quoted"


def agent(chunks: object) -> AnyAgent:
    return pipeline({"id": "dev", "chunks": chunks}).agent("dev")


def session(**keys: Any) -> AnyAgent:
    meet = {"id": "meet", "type": "session", "participants": ["dev"], **keys}
    return pipeline(meet, {"id": "dev"}).agent("meet")


@pytest.mark.parametrize(
    ("chunks", "on"),
    [(None, False), ({"enabled": False, "initial": ["x"]}, False), ({"enabled": True}, True), ({}, True)],
)
def test_chunks_are_changed_only_where_they_are_enabled(chunks: object, on: bool):
    for each in (agent(chunks), session(chunks=chunks)):
        assert enabled(each) == on
        assert bool(edits(each, SAID)) == on
    assert initial(agent({"enabled": False, "initial": ["x"]})) == ()
    assert initial(agent({"initial": ["x", "y"]})) == ("x", "y")


def test_an_answer_adds_first_and_then_marks_and_removes():
    assert edits(agent({}), SAID) == (
        Edit("add", text="Write the docs"),
        Edit("done", number=1),
        Edit("done", number=2),
        Edit("remove", number=3),
    )


def test_one_answer_adds_at_most_two_hundred():
    assert len(edits(agent({}), "CHUNK_ADD: more\n" * 500)) == 200


@pytest.mark.parametrize(
    ("text", "number"),
    [("C-001", 1), ("c-1", 1), ("7", 7), (" C-1000 ", 1000), ("x", None), ("C-", None), ("C-1234567", None)],
)
def test_an_id_is_read_as_people_write_it(text: str, number: int | None):
    assert chunk_number(text) == number


def test_ids_are_dense_and_grow_beyond_three_digits():
    assert [chunk_id(number) for number in (1, 42, 999, 1000)] == ["C-001", "C-042", "C-999", "C-1000"]


def test_the_table_shows_status_and_progress_and_nothing_that_is_gone():
    chunks = [
        Chunk(1, "Schema", ChunkStatus.DONE),
        Chunk(2, "End | points\nof it", ChunkStatus.OPEN),
        Chunk(3, "gone", ChunkStatus.REMOVED),
        Chunk(4, "x" * 400, ChunkStatus.OPEN),
    ]
    shown = table(chunks).splitlines()
    assert shown[:4] == [
        "| id | status | chunk |",
        "| --- | --- | --- |",
        "| C-001 | done | Schema |",
        "| C-002 | open | End \\| points of it |",
    ]
    assert len(shown[4]) < 330
    assert shown[-1] == "1 of 3 done"
    assert table([]) == table(chunks[2:3]) == ""
