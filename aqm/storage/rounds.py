"""Rounds of a session: its speakers' turns, what they said, and the round that is due to be decided on."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from aqm.flow.outcome import STALLS
from aqm.flow.state import AttemptStatus, StageStatus, TurnKind, TurnStatus
from aqm.storage.tables import attempts, stages, turns

__all__ = [
    "Spoken",
    "begin",
    "last_failure",
    "live",
    "mark_due",
    "queue_next",
    "record_vote",
    "said",
    "spoke",
    "stuck",
    "take_due",
]

_ABLE = (TurnStatus.QUEUED.value, TurnStatus.RUNNING.value)
_LIVE = (TurnStatus.PENDING.value, *_ABLE)


@dataclass(frozen=True, slots=True)
class Spoken:
    """One speaker's turn that has ended; `answer` is a blob's hash, None when it was absent."""

    round: int
    agent: str
    answer: str | None
    vote: bool | None


def begin(connection: Connection, stage: int, number: int) -> None:
    connection.execute(update(stages).where(stages.c.id == stage).values(round=number))


def queue_next(connection: Connection, stage: int, number: int, parent: str | None) -> bool:
    """Queue the next pending speaker of the round; False when there is none."""
    following = (
        select(func.min(turns.c.id))
        .where(
            turns.c.stage_id == stage,
            turns.c.round == number,
            turns.c.status == TurnStatus.PENDING.value,
        )
        .scalar_subquery()
    )
    result = connection.execute(
        update(turns).where(turns.c.id == following).values(status=TurnStatus.QUEUED.value, parent=parent)
    )
    return bool(result.rowcount)


def live(connection: Connection, stage: int, number: int) -> int:
    """How many speakers of the round have not ended."""
    query = (
        select(func.count())
        .select_from(turns)
        .where(turns.c.stage_id == stage, turns.c.round == number, turns.c.status.in_(_LIVE))
    )
    return int(connection.execute(query).scalar_one())


def spoke(connection: Connection, stage: int, number: int) -> int:
    """How many spoke in the round."""
    query = (
        select(func.count())
        .select_from(turns)
        .where(
            turns.c.stage_id == stage,
            turns.c.round == number,
            turns.c.kind == TurnKind.SPEAK.value,
            turns.c.status == TurnStatus.DONE.value,
        )
    )
    return int(connection.execute(query).scalar_one())


def stuck(connection: Connection, stage: int, number: int) -> tuple[str, str] | None:
    """When all turns that could run wait for a host that can: the class and the message of that failure. Of a
    round; 0 are the turns that belong to none."""
    query = (
        select(turns.c.status, attempts.c.failure, attempts.c.message)
        .outerjoin(attempts, (attempts.c.turn_id == turns.c.id) & (attempts.c.number == turns.c.attempts))
        .where(turns.c.stage_id == stage, turns.c.round == number, turns.c.status.in_(_ABLE))
    )
    rows = connection.execute(query).all()
    waits = [row.status == TurnStatus.QUEUED.value and row.failure in STALLS for row in rows]
    return (rows[-1].failure, rows[-1].message or "") if waits and all(waits) else None


def last_failure(connection: Connection, stage: int, number: int) -> tuple[str, str]:
    """The class and the message of the last failure in the round."""
    query = (
        select(attempts.c.failure, attempts.c.message)
        .join(turns, turns.c.id == attempts.c.turn_id)
        .where(turns.c.stage_id == stage, turns.c.round == number, attempts.c.failure.is_not(None))
        .order_by(attempts.c.finished_at.desc())
        .limit(1)
    )
    row = connection.execute(query).one()
    return row.failure, row.message or ""


def record_vote(connection: Connection, stage: int, turn: int, agent: str, vote: bool) -> None:
    """The vote stands until the participant gives another one."""
    connection.execute(update(turns).where(turns.c.id == turn).values(vote=int(vote)))
    found = connection.execute(select(stages.c.votes).where(stages.c.id == stage)).scalar_one()
    votes = json.loads(found) if found else {}
    connection.execute(
        update(stages).where(stages.c.id == stage).values(votes=json.dumps({**votes, agent: vote}))
    )


def mark_due(connection: Connection, stage: int, number: int, parent: str | None) -> None:
    """The round has ended: somebody is to decide on it."""
    connection.execute(
        update(stages)
        .where(stages.c.id == stage)
        .values(round_due=number, round_rung_at=None, round_parent=parent)
    )


def take_due(connection: Connection, stage: int, number: int) -> bool:
    """Compare and set: of all that decide on this round, one does."""
    result = connection.execute(
        update(stages)
        .where(
            stages.c.id == stage,
            stages.c.status == StageStatus.OPEN.value,
            stages.c.round == number,
            stages.c.round_due == number,
        )
        .values(round_due=None)
    )
    return bool(result.rowcount == 1)


def said(connection: Connection, stage: int, before: int | None = None) -> list[Spoken]:
    """What was said so far, in the order of the turns; `before` leaves out that round and later ones."""
    query = (
        select(turns.c.round, turns.c.agent, turns.c.vote, turns.c.status, attempts.c.answer)
        .outerjoin(
            attempts,
            (attempts.c.turn_id == turns.c.id) & (attempts.c.status == AttemptStatus.ANSWERED.value),
        )
        .where(
            turns.c.stage_id == stage,
            turns.c.kind == TurnKind.SPEAK.value,
            turns.c.status.in_([TurnStatus.DONE.value, TurnStatus.FAILED.value]),
        )
        .order_by(turns.c.number)
    )
    if before is not None:
        query = query.where(turns.c.round < before)
    return [
        Spoken(
            row.round,
            row.agent,
            row.answer if row.status == TurnStatus.DONE else None,
            None if row.vote is None else bool(row.vote),
        )
        for row in connection.execute(query)
    ]
