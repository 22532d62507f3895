"""Chunks: tracked units of work, changed by directives, shown as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aqm.flow.directives import read
from aqm.flow.state import ChunkStatus
from aqm.pipeline.spec import Agent, AnyAgent, Chunks

__all__ = ["Chunk", "Edit", "chunk_id", "chunk_number", "edits", "enabled", "initial", "table"]

_SHOWN = 300  # characters of a chunk's text in the table
_MOST = 200  # chunks that one answer may add


@dataclass(frozen=True, slots=True)
class Chunk:
    number: int
    text: str
    status: ChunkStatus


@dataclass(frozen=True, slots=True)
class Edit:
    """A change that an answer asks for: a new text, or a chunk's number."""

    kind: Literal["add", "done", "remove"]
    text: str = ""
    number: int = 0


def chunk_id(number: int) -> str:
    return f"C-{number:03d}"


def chunk_number(text: str) -> int | None:
    """The number in an id such as C-001, c-1 or 1; None when it is none."""
    digits = text.strip().upper().removeprefix("C-")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 6 else None


def enabled(agent: AnyAgent) -> bool:
    """Whether the agent's answers, or a session's, may change chunks."""
    return agent.chunks is not None and agent.chunks.enabled


def initial(agent: AnyAgent) -> tuple[str, ...]:
    chunks = agent.chunks or Chunks(enabled=False)
    return chunks.initial if chunks.enabled else ()


def edits(agent: AnyAgent, answer: str) -> tuple[Edit, ...]:
    """What an answer in a stage of `agent` changes: additions first, then what is done, then removals."""
    if not enabled(agent):
        return ()
    spoken = read(answer, None if isinstance(agent, Agent) else agent.consensus.keyword)
    numbers = {chunk: chunk_number(chunk) or 0 for chunk in (*spoken.chunk_dones, *spoken.chunk_removes)}
    return (
        *(Edit("add", text=text) for text in spoken.chunk_adds[:_MOST]),
        *(Edit("done", number=numbers[chunk]) for chunk in spoken.chunk_dones),
        *(Edit("remove", number=numbers[chunk]) for chunk in spoken.chunk_removes),
    )


def table(chunks: Sequence[Chunk]) -> str:
    """The Markdown that `{{ chunks }}` holds; empty without chunks."""
    shown = [chunk for chunk in chunks if chunk.status in (ChunkStatus.OPEN, ChunkStatus.DONE)]
    if not shown:
        return ""
    done = sum(chunk.status is ChunkStatus.DONE for chunk in shown)
    rows = [f"| {chunk_id(chunk.number)} | {chunk.status} | {_cell(chunk.text)} |" for chunk in shown]
    head = ["| id | status | chunk |", "| --- | --- | --- |"]
    return "\n".join([*head, *rows, "", f"{done} of {len(shown)} done"])


def _cell(text: str) -> str:
    flat = " ".join(text.split())
    flat = flat if len(flat) <= _SHOWN else flat[: _SHOWN - 1] + "…"
    return flat.replace("\\", "\\\\").replace("|", "\\|")
