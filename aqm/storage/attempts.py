"""Attempts: what came of each try of a turn, and what it cost."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import BindParameter, Connection, bindparam, func, select, update

from aqm.flow.outcome import Answer, Outcome, Usage
from aqm.flow.state import AttemptStatus
from aqm.storage.statement import Statement
from aqm.storage.tables import attempts, turns
from aqm.storage.turns import stages_of

__all__ = ["Holder", "book_late", "end", "holder", "holders", "worked"]


@dataclass(frozen=True, slots=True)
class Holder:
    """A running attempt and the worker that said it runs it."""

    attempt: str
    turn: int
    task: str
    worker: str


def end(
    connection: Connection,
    attempt: str,
    status: AttemptStatus,
    outcome: Outcome,
    text: str | None,
    at: float,
    prompt: tuple[str, str] | None = None,
) -> None:
    """Record an outcome; `text` is the blob of what was said, `prompt` its hash and its parts as JSON."""
    values = {
        "attempt": attempt,
        "to": status.value,
        "at": at,
        "said": text,
        "conv": outcome.conversation,
        "refused": json.dumps(outcome.denied) if outcome.denied else None,
        "class": None if isinstance(outcome, Answer) else outcome.kind.value,
        "why": None if isinstance(outcome, Answer) else outcome.message,
        "code": None if isinstance(outcome, Answer) else outcome.exit_code,
        "sha": prompt[0] if prompt else None,
        "parts": prompt[1] if prompt else None,
        **_tokens(outcome.usage),
    }
    _END(connection, values)


def book_late(connection: Connection, attempt: str, usage: Usage, at: float) -> bool:
    """A fenced attempt's tokens and dollars: they were spent, whatever became of the outcome.
    False: they were booked before."""
    if usage == Usage():
        return False
    result = connection.execute(_LATE, {"attempt": attempt, "at": at, **_tokens(usage)})
    return bool(result.rowcount == 1)


def worked(connection: Connection, stage: int) -> float:
    """Seconds that the ended attempts of a stage took together."""
    query = (
        select(func.coalesce(func.sum(attempts.c.finished_at - attempts.c.started_at), 0.0))
        .join(turns, turns.c.id == attempts.c.turn_id)
        .where(turns.c.stage_id == stage)
    )
    return float(connection.execute(query).scalar_one())


def holder(connection: Connection, attempt: str) -> Holder | None:
    row = connection.execute(_HOLDER.where(attempts.c.id == attempt)).one_or_none()
    return None if row is None else Holder(row.id, row.turn_id, row.task_id, row.worker)


def holders(connection: Connection, task: str) -> list[Holder]:
    """The running attempts of a task."""
    ours = select(turns.c.id).where(turns.c.stage_id.in_(stages_of(task)))
    query = _HOLDER.where(
        attempts.c.turn_id.in_(ours), attempts.c.status == AttemptStatus.RUNNING.value
    ).order_by(attempts.c.turn_id)
    return [Holder(row.id, row.turn_id, row.task_id, row.worker) for row in connection.execute(query)]


def _tokens(usage: Usage) -> dict[str, float | None]:
    return {
        "i": usage.input,
        "c": usage.cached,
        "o": usage.output,
        "r": usage.reasoning,
        "usd": usage.cost_usd,
    }


_HOLDER = select(attempts.c.id, attempts.c.turn_id, attempts.c.task_id, attempts.c.worker)
_USAGE: dict[str, BindParameter[float]] = {
    "input_tokens": bindparam("i"),
    "cached_tokens": bindparam("c"),
    "output_tokens": bindparam("o"),
    "reasoning_tokens": bindparam("r"),
    "cost_usd": bindparam("usd"),
}
_END = Statement(
    update(attempts)
    .where(attempts.c.id == bindparam("attempt"), attempts.c.status == AttemptStatus.RUNNING.value)
    .values(
        status=bindparam("to"),
        finished_at=bindparam("at"),
        answer=bindparam("said"),
        conversation=bindparam("conv"),
        denied=bindparam("refused"),
        failure=bindparam("class"),
        message=bindparam("why"),
        exit_code=bindparam("code"),
        prompt_hash=func.coalesce(bindparam("sha"), attempts.c.prompt_hash),
        prompt_parts=func.coalesce(bindparam("parts"), attempts.c.prompt_parts),
        **_USAGE,
    )
)
_LATE = (
    update(attempts)
    .where(
        attempts.c.id == bindparam("attempt"),
        attempts.c.input_tokens.is_(None),
        attempts.c.cost_usd.is_(None),
    )
    .values(finished_at=func.coalesce(attempts.c.finished_at, bindparam("at")), **_USAGE)
)
