"""Sessions: who speaks in a round, what each is given, and what a round's end means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aqm.flow.directives import AGREE
from aqm.flow.quoting import fenced
from aqm.pipeline.spec import Session

__all__ = [
    "Message",
    "NextRound",
    "NoConsensus",
    "Nobody",
    "Outcome",
    "Over",
    "after_round",
    "closing_note",
    "consents",
    "keyword",
    "speakers",
    "speaking_note",
    "transcript",
]


@dataclass(frozen=True, slots=True)
class Message:
    """What a participant said in a round; `vote` is None when it said nothing of one, `text` None when it
    was absent."""

    round: int
    agent: str
    name: str
    text: str | None
    vote: bool | None = None


@dataclass(frozen=True, slots=True)
class NextRound:
    number: int


@dataclass(frozen=True, slots=True)
class Over:
    """The discussion is over, with consensus or, where that may be, without."""

    consensus: bool


@dataclass(frozen=True, slots=True)
class NoConsensus:
    """The rounds are used up: `human` leaves it to a person, else the session fails."""

    human: bool


@dataclass(frozen=True, slots=True)
class Nobody:
    """Nobody could speak in the round."""


_CHUNKS = (
    "\n\nThe work is tracked in chunks. Lines that change them:\n\n"
    "    CHUNK_ADD: <what is to be done>\n    CHUNK_DONE: C-001\n    CHUNK_REMOVE: C-001"
)

Outcome = NextRound | Over | NoConsensus | Nobody


def speakers(session: Session) -> tuple[str, ...]:
    """Who speaks in a round, in order: with a moderator that one first."""
    if session.turn_order != "moderator" or session.summary_agent is None:
        return session.participants
    rest = [name for name in session.participants if name != session.summary_agent]
    return (session.summary_agent, *rest)


def keyword(session: Session) -> str:
    return session.consensus.keyword or AGREE


def consents(session: Session, votes: Mapping[str, bool], *, chunks_open: int = 0) -> bool:
    """Whether the standing votes are a consensus."""
    rule = session.consensus
    if rule.require_chunks_done and chunks_open:
        return False
    if rule.method == "moderator_decides":
        return votes.get(session.summary_agent or "") is True
    agreed = sum(votes.get(name) is True for name in session.participants)
    if rule.require == "majority":
        return 2 * agreed > len(session.participants)
    return agreed == len(session.participants)


def after_round(
    session: Session, number: int, spoke: int, votes: Mapping[str, bool], *, chunks_open: int = 0
) -> Outcome:
    """What follows when round `number` has ended, in which so many participants spoke."""
    if spoke == 0:
        return Nobody()
    if consents(session, votes, chunks_open=chunks_open):
        return Over(consensus=True)
    if number < session.max_rounds:
        return NextRound(number + 1)
    if session.on_no_consensus == "continue":
        return Over(consensus=False)
    return NoConsensus(human=session.on_no_consensus == "human")


# What is read and shown --------------------------------------------------------------------------


def transcript(messages: Sequence[Message]) -> str:
    """The discussion as Markdown, a heading per round; what was said stands fenced, so that no participant
    can speak for another one."""
    parts: list[str] = []
    shown = 0
    for message in messages:
        if message.round != shown:
            shown = message.round
            parts.append(f"## Round {shown}")
        vote = {True: " · agrees", False: " · disagrees", None: ""}[message.vote]
        head = f"### {' '.join(message.name.split())} ({message.agent}){vote}"
        said = "(absent)" if message.text is None else fenced(message.text.strip(), "text")
        parts += [head, said]
    return "\n\n".join(parts)


def speaking_note(session: Session, number: int) -> str:
    """What a speaker is told of the rules, behind its prompt."""
    rule = session.consensus
    who = "all participants" if rule.require == "all" else "more than half of the participants"
    if rule.method == "moderator_decides":
        who = f"the moderator ({session.summary_agent})"
    chunks = " and all chunks are done" if rule.require_chunks_done else ""
    note = _CHUNKS if session.chunks is not None and session.chunks.enabled else ""
    return (
        f"This is round {number} of at most {session.max_rounds} of a discussion between "
        f"{', '.join(session.participants)}. It ends when {who} agreed{chunks}. To agree, put this on a line "
        f"of its own:\n\n    {keyword(session)}\n\n"
        f"To take an agreement back:\n\n    VOTE: DISAGREE{note}"
    )


def closing_note(session: Session, consensus: bool) -> str:
    """What the summary agent is told, behind its prompt."""
    how = "ended in consensus" if consensus else f"ended without consensus after {session.max_rounds} rounds"
    return f"The discussion {how}. Write its result: it is all that those who go on with the task are given."
