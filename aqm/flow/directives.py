"""The lines of an answer that are meant for us: handoffs, questions, votes and chunk changes.

A directive stands at the start of a line of plain prose (`prose.py` says what that is), after at most three
spaces, one list mark and emphasis marks; four spaces or a tab make the line code. Its word and its colon are
plain ASCII, in any case of letters. A line with control characters, or longer than 4,000 characters, is none.

These rules keep quoted and echoed text from counting. They do not stop an agent that was talked into writing
a directive of its own: what a directive may do is limited by the pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aqm.flow.lines import BLANK, ENDS, keyed, unmarked
from aqm.flow.prose import lines_of, read_prose
from aqm.pipeline.spec import ID_PATTERN

__all__ = ["AGREE", "ANYBODY", "Directives", "read"]

AGREE = "VOTE: AGREE"
ANYBODY = "*"

_MOST = 1_000  # directives that are read; a task has no use for more
_SHOWN = 200  # characters of an invalid line
_EMPHASIS = "*_`"
_WORDS = frozenset({"HANDOFF", "HUMAN_INPUT", "VOTE", "CHUNK_ADD", "CHUNK_DONE", "CHUNK_REMOVE"})

_AGENT = re.compile(ID_PATTERN)
_CHUNK = re.compile(r"[Cc]-([0-9]{1,6})")
# C0 and C1 (with ESC, DEL and a lone CR), line separators, bidirectional overrides, half characters.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PLACEHOLDER = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\{{1,2}[^{}]*\}{1,2}")

_Found = tuple[str, Any]  # the directive's word, and what it says


@dataclass(frozen=True, slots=True)
class Directives:
    """What an answer asks for, in the order of its lines.

    A vote is True for the keyword, and False for any other `VOTE:`, which takes an agreement back. `invalid`
    holds the lines whose list is none, so that a repair can name them.
    """

    handoffs: tuple[tuple[str, ...], ...] = ()
    questions: tuple[str, ...] = ()
    votes: tuple[bool, ...] = ()
    chunk_adds: tuple[str, ...] = ()
    chunk_dones: tuple[str, ...] = ()
    chunk_removes: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The agents that the handoffs name, each once, in order."""
        return tuple(dict.fromkeys(target for targets in self.handoffs for target in targets))

    @property
    def agrees(self) -> bool | None:
        """The last vote; None when there was none."""
        return self.votes[-1] if self.votes else None


def read(text: str, keyword: str | None = None) -> Directives:
    """The directives of an answer; `keyword` is the line that agrees in its session."""
    agree = _vote_of(keyword or AGREE)
    if not any(_directive(line, agree) for line in lines_of(text)):
        return Directives()  # most answers have none, and need no reading of their Markdown
    spoken = read_prose(text).lines
    found = [directive for line in spoken if (directive := _directive(line, agree))][:_MOST]
    return Directives(
        handoffs=tuple(_of("HANDOFF", found)),
        questions=tuple(_of("HUMAN_INPUT", found)),
        votes=tuple(_of("VOTE", found)),
        chunk_adds=tuple(_of("CHUNK_ADD", found)),
        chunk_dones=tuple(chunk for chunks in _of("CHUNK_DONE", found) for chunk in chunks),
        chunk_removes=tuple(chunk for chunks in _of("CHUNK_REMOVE", found) for chunk in chunks),
        invalid=tuple(_of("", found)),
    )


def _of(word: str, found: Iterable[_Found]) -> Iterable[Any]:
    return (said for name, said in found if name == word)


def _directive(line: str, agree: str) -> _Found | None:
    """What the line says, with an empty word for a list that is none; None when it is no directive."""
    found = keyed(line)
    word = found.word.upper() if found else ""
    if found is None or word not in _WORDS:
        return ("VOTE", True) if _same(_vote_of(line), agree) else None
    if _CONTROL.search(line):
        return None
    match word:
        case "VOTE":
            vote = _vote_of(line)
            return (word, _same(vote, agree)) if vote else None
        case "HUMAN_INPUT" | "CHUNK_ADD":
            return (word, found.value) if _says_something(found.value) else None
        case "HANDOFF":
            said = _agents(found.value)
        case _:
            said = _chunks(found.value)
    return (word, said) if said else ("", line.strip()[:_SHOWN])


def _says_something(value: str) -> bool:
    """No placeholder such as `<question>`, which stands in an echoed instruction."""
    return any(character.isalnum() for character in value) and not _PLACEHOLDER.fullmatch(value)


def _agents(value: str) -> tuple[str, ...] | None:
    agents = [item if item == ANYBODY else item.strip("*") for item in _items(value)]
    return tuple(agents) if all(item == ANYBODY or _AGENT.fullmatch(item) for item in agents) else None


def _chunks(value: str) -> tuple[str, ...] | None:
    """Ids as they are written in the table: `c-1` is C-001."""
    matches = [_CHUNK.fullmatch(item.strip(_EMPHASIS)) for item in _items(value)]
    chunks = [f"C-{int(match[1]):03d}" for match in matches if match]
    return tuple(chunks) if len(chunks) == len(matches) else None


def _items(value: str) -> list[str]:
    bare = value.rstrip(BLANK + ENDS + ",;")
    return [item.strip(BLANK).strip("`") for item in bare.split(",")]


def _vote_of(line: str) -> str:
    """A line as votes are compared: without its marks, its last punctuation and needless blanks."""
    found = keyed(line)
    if not found or found.word.upper() != "VOTE":
        return _words(unmarked(line))
    value = found.value.rstrip(BLANK + ENDS).strip(BLANK + "*_")
    if len(value) > 2 and value[0] == value[-1] == "`":
        value = value[1:-1]
    words = _words(value)
    return f"VOTE: {words}" if words else ""


def _words(text: str) -> str:
    return " ".join(word for word in re.split(r"[ \t]", text.rstrip(BLANK + "*_" + ENDS)) if word)


def _same(vote: str, agree: str) -> bool:
    """Letter by letter in either case: case folding would take look-alikes such as ſ and K for s and K."""
    return len(vote) == len(agree) > 0 and all(
        letter in (wanted, wanted.lower(), wanted.upper()) for letter, wanted in zip(vote, agree, strict=True)
    )
