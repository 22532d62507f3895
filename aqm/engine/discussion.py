"""What was said in a session, as its participants, its minutes and people are shown it."""

from __future__ import annotations

from aqm.flow.session import Message
from aqm.flow.state import TurnKind
from aqm.pipeline.spec import Pipeline, Session
from aqm.storage import blobs, rounds
from aqm.storage.claims import Claim
from aqm.storage.database import Connection

__all__ = ["heard", "minutes"]


def heard(connection: Connection, pipeline: Pipeline, claim: Claim) -> list[Message]:
    """What a speaker has heard when its turn comes; where all speak at once, the rounds before."""
    session = pipeline.find(claim.stage_agent)
    if not isinstance(session, Session):
        return []
    at_once = session.turn_order == "parallel" and claim.kind is TurnKind.SPEAK
    return minutes(connection, pipeline, claim.project, claim.stage_id, claim.round if at_once else None)


def minutes(
    connection: Connection, pipeline: Pipeline, project: int, stage: int, before: int | None = None
) -> list[Message]:
    """The messages of a session's stage; `before` leaves out that round and later ones."""
    said = rounds.said(connection, stage, before)
    texts = blobs.read_many(connection, project, [each.answer for each in said if each.answer])
    return [
        Message(
            each.round,
            each.agent,
            _name(pipeline, each.agent),
            texts[each.answer] if each.answer else None,
            each.vote,
        )
        for each in said
    ]


def _name(pipeline: Pipeline, agent: str) -> str:
    """A restart may have given the task a pipeline without this participant."""
    found = pipeline.find(agent)
    return found.title if found else agent
