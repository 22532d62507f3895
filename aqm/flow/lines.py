"""One line of prose: `word: value` below the marks that Markdown puts around them."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["BLANK", "ENDS", "LONGEST", "Keyed", "keyed", "unmarked"]

BLANK = " \t"
ENDS = ".!。！"  # they end a word and leave it what it is, unlike a comma or a question mark
LONGEST = 4_000  # characters of a line that is read

# Four spaces or a tab would make the line code. All repetitions are bounded or stand at the end.
_START = r" {0,3}(?:(?:[-*+]|[0-9]{1,9}[.)]) {1,4})?(?P<open>[*_]{0,3})"
_KEYED = re.compile(
    _START + r"(?P<word>[A-Za-z][A-Za-z0-9_-]{0,63}?)(?P<shut>[*_]{0,3})[ \t]{0,3}:(?P<rest>.*)", re.ASCII
)
_MARKED = re.compile(_START + r"(?P<rest>[^ \t].*)")


@dataclass(frozen=True, slots=True)
class Keyed:
    """`spaced` says that something parted the value from the colon, as in no address and no time of day."""

    word: str
    value: str
    spaced: bool


def keyed(line: str) -> Keyed | None:
    """The line's word and value; None when it has not that shape, or is longer than is read."""
    match = _KEYED.fullmatch(line) if len(line) <= LONGEST else None
    if match is None:
        return None
    mark, word, shut, rest = match["open"], match["word"], match["shut"], match["rest"]
    closing = mark[::-1]
    inner = rest.rstrip(BLANK + ENDS)
    ahead = bool(closing) and rest.startswith(closing)  # **word:** value
    around = bool(closing) and not ahead and inner.endswith(closing)  # **word: value**
    if ahead:
        value = rest.removeprefix(closing)
    else:
        value = inner.removesuffix(closing) if around and not shut else rest
    if not (mark and (shut or ahead or around)):  # an underscore without its partner belongs to the word
        word = mark.lstrip("*") + word + shut
    return None if "*" in word else Keyed(word, value.strip(BLANK), ahead or rest[:1] in ("", *BLANK))


def unmarked(line: str) -> str:
    """The line without its list mark and the emphasis around it; code marks quote, and stay."""
    match = _MARKED.fullmatch(line) if len(line) <= LONGEST else None
    return match["rest"].rstrip(BLANK + "*_") if match else ""
