"""Texts are stored once, as they were."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from aqm.storage import blobs, tables
from aqm.storage.database import Database, now


def count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.blobs)).scalar_one())


def test_the_same_text_is_stored_once_whoever_writes_it_first(database: Database):
    texts = [blobs.blob(f"text {n}") for n in range(10)]

    def write(turn: int) -> None:
        some = texts if turn % 2 else list(reversed(texts))
        with database.writing() as connection:
            blobs.put(connection, 1, some, now(connection))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(16)))
    assert count(database) == 10


def test_a_long_text_comes_back_as_it_was_and_takes_less_room(database: Database):
    text = "wörter und mehr\n" * 5000
    packed = blobs.blob(text)
    assert len(packed.data) < len(text) / 10
    blobs.put_large(database, 1, [packed])
    with database.reading() as connection:
        assert blobs.read(connection, 1, packed.hash) == text
        assert blobs.read_many(connection, 1, [packed.hash]) == {packed.hash: text}


@given(st.text())
def test_any_text_has_one_hash_and_the_size_of_its_bytes(text: str):
    packed = blobs.blob(text)
    assert packed == blobs.blob(text)
    assert packed.size == len(text.encode("utf-8", "replace"))
