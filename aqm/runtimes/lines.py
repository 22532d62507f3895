"""What a CLI prints, made safe: bounded lines, bounded memory, no NUL, no lone surrogate."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable
from typing import Any

__all__ = ["HeadTail", "Lines", "Pieces", "TooMuch", "clean", "one_line", "parse"]

LINE_LIMIT = 4 * 1024 * 1024  # bytes of one line that are kept
LINES_LIMIT = 1_000_000  # lines of one turn; more is a flood

_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_SPACE = re.compile(r"\s+")


class TooMuch(Exception):
    """The output has more lines than any turn needs."""


def clean(text: str) -> str:
    """`text` without what neither a database nor a JSON reader takes: NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNSAFE.sub("\ufffd", text)


def one_line(text: str, limit: int = 120) -> str:
    """The text as one short line, for a summary."""
    line = _SPACE.sub(" ", text[: limit * 8]).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


# JSON ------------------------------------------------------------------------------------------------


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None  # 1e999 is valid JSON, and infinity is not


_DECODER = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_finite)


def parse(line: str) -> dict[str, Any] | None:
    """The JSON object that the line holds, every string in it clean; None when it holds none."""
    if not line.startswith("{"):
        return None
    try:
        value, end = _DECODER.raw_decode(line)
        if line[end:].strip() or not isinstance(value, dict):
            return None
        # a clean line can only become unclean by an escape such as \ud800 or \u0000
        cleaned = _clean(value) if "\\u" in line else value
    except (ValueError, RecursionError):
        return None
    return cleaned if isinstance(cleaned, dict) else None


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


# Bytes to text ---------------------------------------------------------------------------------------


class Lines:
    """Splits a stream of bytes into lines; of a line longer than `limit` only the start is kept.

    `on_line` gets the text and whether it was cut.
    """

    def __init__(self, on_line: Callable[[str, bool], None], limit: int = LINE_LIMIT) -> None:
        self._on_line = on_line
        self._limit = limit
        self._line = bytearray()  # not a list of chunks: a CLI may write byte by byte
        self._dropped = 0
        self._count = 0

    def feed(self, chunk: bytes) -> None:
        first, *rest = chunk.split(b"\n")
        self._add(first)
        for part in rest:
            self._flush()
            self._add(part)

    def close(self) -> None:
        """The stream has ended: what is left is a line too."""
        self._flush()

    def _add(self, part: bytes) -> None:
        room = self._limit - len(self._line)
        if len(part) > room:
            self._dropped += len(part) - room
            part = part[:room]
        self._line += part

    def _flush(self) -> None:
        if not self._line:
            return
        self._count += 1
        if self._count > LINES_LIMIT:
            raise TooMuch
        text, dropped = clean(self._line.decode("utf-8", "replace")), self._dropped
        self._line, self._dropped = bytearray(), 0
        if dropped:
            self._on_line(f"{text}… [{dropped:,} bytes cut]", True)
        else:
            self._on_line(text.rstrip("\r"), False)


class Pieces:
    """Hands a stream of bytes on as clean text, as it comes."""

    def __init__(self, on_piece: Callable[[str], None]) -> None:
        self._on_piece = on_piece
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, chunk: bytes) -> None:
        self._hand_on(self._decoder.decode(chunk))

    def close(self) -> None:
        self._hand_on(self._decoder.decode(b"", final=True))

    def _hand_on(self, text: str) -> None:
        if text:
            self._on_piece(clean(text))


class HeadTail:
    """The start and the end of a stream of bytes, in little more than `cap` bytes of memory."""

    def __init__(self, cap: int) -> None:
        self._half = cap // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = self._half - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        if chunk:
            self._tail += chunk
            del self._tail[: max(0, len(self._tail) - self._half)]

    def text(self) -> str:
        """Both ends as clean text, with a mark where bytes are missing. It empties itself."""
        missing = self.total - len(self._head) - len(self._tail)
        if not missing:
            self._head += self._tail
            self._tail = bytearray()
        head = clean(self._head.decode("utf-8", "replace"))
        self._head = bytearray()
        if not missing:
            return head
        tail = clean(self._tail.decode("utf-8", "replace"))
        self._tail = bytearray()
        return f"{head}\n… [{missing:,} bytes cut]\n{tail}"
