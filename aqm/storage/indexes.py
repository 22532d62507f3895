"""The partial indexes of the tables: what is live is looked for among few rows, however many have ended.

Only migrations need them by name, so only they import this.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, text

from aqm.storage.tables import metadata, stages, tasks, turns

__all__ = ["metadata"]


def _partial(name: str, condition: str, *columns: Column[object]) -> None:
    Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


_partial("ix_tasks_owner", "owner is not null", tasks.c.owner)
_partial("ix_turns_due", "status = 'queued' and rung_at is null", turns.c.priority, turns.c.id)
_partial("ix_turns_rung", "status = 'queued' and rung_at is not null", turns.c.rung_at)
_partial("ix_turns_running", "status = 'running'", turns.c.lease_until)
_partial("ix_stages_due", "round_due is not null", stages.c.round_due)
_partial("ix_stages_waits", "waits is not null", stages.c.task_id, stages.c.number)
