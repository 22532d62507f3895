"""What may reach a terminal: the one choke point for foreign text, and the screens that commands print on."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TextIO

__all__ = ["Part", "Screen", "brief", "cut", "decorated", "held_back", "quiet_streams", "safe"]

# A part of a line: its text, or its text and style. The text is made safe when it is printed.
Part = str | tuple[str, str]

_SEQUENCES = (
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, modes
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c)"  # OSC, DCS, …
    "|\x1b[ -/]*[0-OQ-WYZ\\\\`-~]"  # what else ESC opens
)
_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_LINES = (0x2028, 0x2029)  # some terminals break lines here, so a line could pose as ours
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "title": "1;36"}
_LONGEST = 300  # characters of an unfinished sequence that are waited for
_PLAIN_WIDTH = 100_000  # what is piped is never cut


def safe(text: str) -> str:
    """`text` without anything that a terminal would act on: only newlines and tabs stay of the controls."""
    return _sequences().sub("", text).translate(_replacements())


def held_back(text: str) -> int:
    """Where the sequence begins that `text`, a piece of a stream, leaves unfinished; else its length."""
    start = text.rfind("\x1b")
    if start < 0 or len(text) - start > _LONGEST or _sequences().match(text, start):
        return len(text)
    return start


@cache
def _sequences() -> re.Pattern[str]:
    return re.compile(_SEQUENCES)


@cache
def _replacements() -> dict[int, str | None]:
    """Lone surrogates, which cannot be encoded, become the replacement character; the rest goes."""
    controls = {*range(0x20), *range(0x7F, 0xA0), *_BIDI, *_LINES} - {ord("\n"), ord("\t")}
    gone: dict[int, str | None] = dict.fromkeys(controls)
    return gone | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def cut(text: str, width: int) -> str:
    """The first line of `text`, at most `width` characters."""
    line = " ".join(safe(text).split("\n", 1)[0].split())
    return line if len(line) <= width else line[: max(width - 1, 0)] + "…"


def brief(text: str, width: int) -> str:
    """All lines of a message as one, at most `width` characters: what follows a colon stands behind it."""
    first, *more = [" ".join(line.split()) for line in safe(text).split("\n") if line.strip()] or [""]
    if not more:
        return cut(first.removesuffix(":"), width)
    between = " " if first.endswith(":") else " · "
    return cut(first + between + " · ".join(more), width)


def decorated(stream: TextIO, environ: Mapping[str, str], color: bool) -> bool:
    """Whether colours may be written: a terminal that knows them, and nobody said no."""
    allowed = color and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return allowed and stream.isatty()


def quiet_streams() -> None:
    """Let characters that the terminal's encoding lacks be replaced instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="replace")


@dataclass(slots=True)
class Screen:
    """A stream to print on, or none. All text passes `safe` here; styles are ours alone."""

    stream: TextIO | None
    decorated: bool = False

    @property
    def interactive(self) -> bool:
        return self.stream is not None and self.stream.isatty()

    @property
    def width(self) -> int:
        from shutil import get_terminal_size

        return get_terminal_size().columns if self.interactive else _PLAIN_WIDTH

    def paint(self, part: Part) -> str:
        text, style = part if isinstance(part, tuple) else (part, "")
        text = safe(text)
        if not (self.decorated and style and text):
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def write(self, *parts: Part) -> None:
        """Print without a newline, at once."""
        if self.stream is not None:
            self.stream.write("".join(self.paint(part) for part in parts))
            self.stream.flush()

    def line(self, *parts: Part) -> None:
        self.write(*parts, "\n")

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[Part]]) -> None:
        """Aligned columns; on a terminal the last one gives way, so that a row stays one line."""
        from rich.cells import cell_len

        lines = [[(head, "bold") for head in heads], *([_cell(part) for part in row] for row in rows)]
        widths = [max(cell_len(text) for text, _ in column) for column in zip(*lines, strict=True)]
        widths[-1] = max(self.width - sum(widths[:-1]) - 2 * len(widths[:-1]), 8)
        for line in lines:
            self.write(*_spaced(line, widths), "\n")


def _cell(part: Part) -> tuple[str, str]:
    text, style = part if isinstance(part, tuple) else (part, "")
    return " ".join(safe(text).split()), style


def _spaced(line: Sequence[tuple[str, str]], widths: Sequence[int]) -> Iterator[Part]:
    from rich.cells import cell_len, set_cell_size

    for (text, style), width in zip(line[:-1], widths, strict=False):
        yield text, style
        yield " " * (width - cell_len(text) + 2)
    text, style = line[-1]
    fits = cell_len(text) <= widths[-1]
    yield (text if fits else set_cell_size(text, widths[-1] - 1) + "…"), style
