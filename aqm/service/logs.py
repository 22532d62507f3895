"""What a task's agents said, attempt by attempt."""

from __future__ import annotations

from collections.abc import Iterator

from aqm.errors import NotFoundError
from aqm.flow.state import AttemptStatus, TurnKind
from aqm.service.project import Project
from aqm.service.store import open_store
from aqm.service.tasks import resolve
from aqm.service.views import LogEntry

__all__ = ["log_entries"]

_SPOKEN = (TurnKind.SPEAK, TurnKind.SUMMARY)


def log_entries(project: Project, ref: str, stage: int | None = None) -> Iterator[LogEntry]:
    """In order; the text of one is read when it is asked for, so that a long task needs little memory."""
    from aqm.storage import blobs, lists

    with open_store(project) as store:
        task = resolve(store, ref)
        with store.database.reading() as connection:
            stages = lists.stages_of(connection, task)
            tries = lists.attempts_of(connection, task, stage)
        by_number = {one.number: one for one in stages}
        if stage is not None and stage not in by_number:
            raise NotFoundError(f"{task} has no stage {stage};", cure=f"it has stages 1 to {len(stages)}.")
        for attempt in tries:
            text = ""
            if attempt.answer is not None:
                with store.database.reading() as connection:
                    text = blobs.read(connection, store.project_id, attempt.answer)
            elif attempt.status is AttemptStatus.RUNNING:
                text = _so_far(project, attempt.id)
            yield LogEntry(
                stage=attempt.stage,
                agent=attempt.agent,
                kind=attempt.kind,
                attempt=attempt.id,
                number=attempt.number,
                status=attempt.status,
                text=text,
                failure=attempt.failure,
                message=attempt.message,
                branch=by_number[attempt.stage].branch,
                session=by_number[attempt.stage].agent if attempt.kind in _SPOKEN else "",
                round=attempt.round,
            )


def _so_far(project: Project, attempt: str) -> str:
    """The text that a running attempt has written to its live file."""
    from aqm.engine.live import tail
    from aqm.runtimes.base import Text

    path = project.folder / "live" / attempt
    return "".join(live.text for live, _ in tail(path, 0) if isinstance(live, Text))
