"""Texts by their content: each is stored once per project, compressed when that pays."""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import BindParameter, Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from aqm.storage.database import Database, now
from aqm.storage.statement import Statement
from aqm.storage.tables import blobs

__all__ = ["LARGE", "Blob", "blob", "put", "put_large", "read", "read_many"]

LARGE = 64_000  # bytes; a larger text is committed before the transaction that refers to it
_COMPRESS_FROM = 512


@dataclass(frozen=True, slots=True)
class Blob:
    """A text that is ready to be stored; made outside the transaction, because compressing takes time."""

    hash: str
    size: int
    encoding: str
    data: bytes


def blob(text: str) -> Blob:
    plain = text.encode("utf-8", "replace")
    digest = hashlib.sha256(plain).hexdigest()
    if len(plain) < LARGE:
        _recent.keep(digest, plain.decode())
    if len(plain) >= _COMPRESS_FROM:
        packed = zlib.compress(plain, 1)
        if len(packed) < len(plain) * 0.9:
            return Blob(digest, len(plain), "zlib", packed)
    return Blob(digest, len(plain), "plain", plain)


def put(connection: Connection, project: int, texts: Iterable[Blob], at: float) -> None:
    """Store what is not there yet, in the order of the hashes so that two writers never wait crosswise."""
    rows = [
        {
            "project_id": project,
            "hash": one.hash,
            "size": one.size,
            "encoding": one.encoding,
            "data": one.data,
            "created_at": at,
        }
        for one in sorted(set(texts), key=lambda one: one.hash)
    ]
    if rows:
        _UPSERT[connection.dialect.name].many(connection, rows)


def put_large(database: Database, project: int, texts: Iterable[Blob]) -> None:
    """Commit the large ones of `texts` in a transaction of their own."""
    large = [one for one in texts if one.size > LARGE]
    if not large:
        return
    with database.writing(durable=False) as connection:
        put(connection, project, large, now(connection))


def read(connection: Connection, project: int, hash: str) -> str:
    return read_many(connection, project, [hash])[hash]


def read_many(connection: Connection, project: int, hashes: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for hash in set(hashes):
        text = _recent.get(hash)
        if text is None:
            row = _READ.one(connection, {"project": project, "hash": hash})
            text = _text(row.encoding, row.data)
            _recent.keep(hash, text)
        found[hash] = text
    return found


class _Recent:
    """Texts that this process has just written or read: what one turn said, the next one is given. They are
    named by their content, so that none is ever stale."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, hash: str) -> str | None:
        with self._lock:
            text = self._texts.get(hash)
            if text is not None:
                self._texts.move_to_end(hash)
        return text

    def keep(self, hash: str, text: str) -> None:
        if len(text) > self._most // 8:
            return
        with self._lock:
            if hash in self._texts:
                return
            self._texts[hash] = text
            self._held += len(text)
            while self._held > self._most:
                _, oldest = self._texts.popitem(last=False)
                self._held -= len(oldest)


_recent = _Recent(4_000_000)  # characters


def _text(encoding: str, data: bytes) -> str:
    plain = zlib.decompress(data) if encoding == "zlib" else bytes(data)
    return plain.decode("utf-8")


_READ = Statement(
    select(blobs.c.encoding, blobs.c.data).where(
        blobs.c.project_id == bindparam("project"), blobs.c.hash == bindparam("hash")
    )
)
_ROW: dict[str, BindParameter[object]] = {column.name: bindparam(column.name) for column in blobs.c}
_UPSERT = {
    "sqlite": Statement(sqlite.insert(blobs).values(_ROW).on_conflict_do_nothing()),
    "postgresql": Statement(postgresql.insert(blobs).values(_ROW).on_conflict_do_nothing()),
}
