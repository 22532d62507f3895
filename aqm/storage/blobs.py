"""Texts by their content: each is stored once per project, compressed when that pays."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Insert, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from aqm.storage.database import Database, now
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
        connection.execute(_UPSERT[connection.dialect.name], rows)


def put_large(database: Database, project: int, texts: Iterable[Blob]) -> None:
    """Commit the large ones of `texts` in a transaction of their own."""
    large = [one for one in texts if one.size > LARGE]
    if not large:
        return
    with database.writing(durable=False) as connection:
        put(connection, project, large, now(connection))


def read(connection: Connection, project: int, hash: str) -> str:
    row = connection.execute(_READ, {"project": project, "hash": hash}).one()
    return _text(row.encoding, row.data)


def read_many(connection: Connection, project: int, hashes: Iterable[str]) -> dict[str, str]:
    wanted = sorted(set(hashes))
    if not wanted:
        return {}
    query = select(blobs.c.hash, blobs.c.encoding, blobs.c.data).where(
        blobs.c.project_id == project, blobs.c.hash.in_(wanted)
    )
    return {row.hash: _text(row.encoding, row.data) for row in connection.execute(query)}


def _text(encoding: str, data: bytes) -> str:
    plain = zlib.decompress(data) if encoding == "zlib" else bytes(data)
    return plain.decode("utf-8")


_READ = select(blobs.c.encoding, blobs.c.data).where(
    blobs.c.project_id == bindparam("project"), blobs.c.hash == bindparam("hash")
)
_UPSERT: dict[str, Insert] = {
    "sqlite": sqlite.insert(blobs).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(blobs).on_conflict_do_nothing(),
}
