"""Tasks: look at them, cancel one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aqm.errors import ConflictError, NotFoundError, UsageError, did_you_mean
from aqm.flow.event import Event, EventKind
from aqm.flow.outcome import FAILURES, FailureClass, Usage
from aqm.flow.state import BranchStatus, StageStatus, TaskStatus
from aqm.service.project import Project
from aqm.service.store import Store, open_store
from aqm.service.views import AttemptView, StageView, TaskDetail, TaskError, TaskPage, TaskSummary

if TYPE_CHECKING:
    from aqm.storage.lists import AttemptRow, StageRow, TaskRow
    from aqm.storage.restarts import BranchRow

__all__ = [
    "cancel",
    "events",
    "open_tasks",
    "participants",
    "resolve",
    "summary_of",
    "task_detail",
    "task_id",
    "task_page",
]


def task_id(project: Project, ref: str) -> str:
    """The whole id of the task that `ref` begins; NotFoundError when there is none or more than one."""
    with open_store(project) as store:
        return resolve(store, ref)


def resolve(store: Store, ref: str) -> str:
    from aqm.storage import lists, tasks

    wanted = ref.strip().upper()
    if not wanted.strip("T-"):
        raise UsageError("a task's id is missing.", cure="aqm list shows them; a unique beginning will do.")
    if not wanted.startswith("T-"):
        wanted = f"T-{wanted}"
    with store.database.reading() as connection:
        found = tasks.find_ids(connection, store.project_id, wanted)
        if len(found) == 1 or wanted in found:
            return wanted if wanted in found else found[0]
        if found:
            raise NotFoundError(f"{ref} begins several tasks: {', '.join(found)}.", cure="Type more of it.")
        recent = lists.page(connection, store.project_id, lists.Filter(), 50)
    known = [row.id for row in recent]
    if not known:
        raise NotFoundError(f"no task {ref}; this project has none yet.", cure="Start one with: aqm run TEXT")
    raise NotFoundError(f"no task {ref};", cure=did_you_mean(wanted, known))


def task_page(
    project: Project,
    *,
    status: TaskStatus | None = None,
    pipeline: str | None = None,
    search: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> TaskPage:
    """Newest first; `after` is the `next` of the page before."""
    from aqm.storage import lists

    wanted = lists.Filter(status, pipeline, search, _cursor(after) if after else None)
    with open_store(project) as store, store.database.reading() as connection:
        rows = lists.page(connection, store.project_id, wanted, limit + 1)
    more = len(rows) > limit
    rows = rows[:limit]
    following = f"{rows[-1].created_at!r}~{rows[-1].id}" if more else None
    return TaskPage(tuple(_summary(row) for row in rows), following)


def _cursor(text: str) -> tuple[float, str]:
    at, _, task = text.partition("~")
    try:
        return float(at), task
    except ValueError:
        raise UsageError(
            f"{text!r} is no cursor.", cure="Use the `next` of the page before, as it was printed."
        ) from None


def task_detail(project: Project, ref: str) -> TaskDetail:
    from aqm.engine.frozen import pipeline_of
    from aqm.storage import blobs, lists, restarts

    with open_store(project) as store:
        found = resolve(store, ref)
        with store.database.reading() as connection:
            row = lists.task_of(connection, store.project_id, found)
            assert row is not None
            stages = lists.stages_of(connection, found)
            tries = lists.attempts_of(connection, found)
            text = blobs.read(connection, store.project_id, row.input)
            pipeline = pipeline_of(connection, store.project_id, row.frozen)
            paths = restarts.branch_rows(connection, found)
    joined = _joined(paths)
    by_stage: dict[int, list[AttemptRow]] = defaultdict(list)
    for attempt in tries:
        by_stage[attempt.stage].append(attempt)
    return TaskDetail(
        task=_summary(row),
        text=text,
        params=dict(pipeline.params),
        stages=tuple(_stage(stage, by_stage[stage.number], joined.get(stage.number, ())) for stage in stages),
        waits_for=_waits_for(row, embedded=store.embedded),
        folder=project.folder / "tasks" / row.id,
        parked=tuple(
            (each.path, each.joins) for each in paths if each.joins and each.status is BranchStatus.PARKED
        ),
    )


def _joined(paths: Sequence[BranchRow]) -> dict[int, list[str]]:
    """The branches that each join has brought together, by the number of its stage."""
    found: dict[int, list[str]] = defaultdict(list)
    for row in paths:
        if row.status is BranchStatus.MERGED and row.closed_by is not None:
            found[row.closed_by].append(row.path)
    return found


def participants(project: Project, ref: str, session: str) -> tuple[str, ...]:
    """Who speaks in a session of the task's pipeline; nobody when there is none of that name."""
    from aqm.engine.frozen import pipeline_of
    from aqm.pipeline.spec import Session
    from aqm.storage import lists

    with open_store(project) as store:
        task = resolve(store, ref)
        with store.database.reading() as connection:
            row = lists.task_of(connection, store.project_id, task)
            assert row is not None
            found = pipeline_of(connection, store.project_id, row.frozen).find(session)
    return found.participants if isinstance(found, Session) else ()


def events(project: Project, ref: str, after: int = 0) -> tuple[Event, ...]:
    """The task's events after number `after`, oldest first, at most 1,000."""
    from aqm.storage import events as stored

    with open_store(project) as store:
        found = resolve(store, ref)
        with store.database.reading() as connection:
            return tuple(stored.read(connection, found, after))


def open_tasks(project: Project) -> int:
    """How many tasks could go on if somebody ran them here: their owner is dead, or they have none."""
    from aqm.engine.identity import life
    from aqm.storage import owners

    with open_store(project) as store, store.database.reading() as connection:
        found = owners.orphans(connection, store.project_id)
    return sum(1 for _, owner in found if owner is None or life(owner) == "dead")


def cancel(project: Project, ref: str, reason: str = "") -> TaskSummary:
    """End a task now: its turns are taken back, and whoever runs one of them kills its CLI."""
    from aqm.storage import branches, stages, tasks, turns

    with open_store(project) as store:
        found = resolve(store, ref)
        with store.database.writing() as connection, tasks.lock(connection, found) as task:
            assert task is not None
            if task.status.ended:
                raise ConflictError(f"{found} is {task.status} already; nothing was changed.")
            turns.drop_live(connection, found, task.at)
            stages.drop_open(connection, found, task.at)
            branches.cancel_active(connection, found)
            task.ended()
            task.move(TaskStatus.CANCELLED)
            task.fail(FailureClass.CANCELLED.value, reason or "cancelled")
            task.tell(EventKind.TASK_CANCELLED, reason=reason)
        return summary_of(store, found)


def summary_of(store: Store, task: str) -> TaskSummary:
    from aqm.storage import lists

    with store.database.reading() as connection:
        row = lists.task_of(connection, store.project_id, task)
    assert row is not None
    return _summary(row)


def _summary(row: TaskRow) -> TaskSummary:
    return TaskSummary(
        id=row.id,
        status=row.status,
        description=row.description,
        pipeline=row.pipeline,
        priority=row.priority,
        created_at=row.created_at,
        updated_at=row.updated_at,
        parent=row.parent,
        error=_error(row.error_class, row.error_message),
        stages=row.stages,
        usage=row.usage,
        run=row.run,
    )


def _error(kind: str | None, message: str | None) -> TaskError | None:
    if kind is None:
        return None
    return TaskError(kind, message or "", FAILURES[FailureClass(kind)].cure)


def _stage(row: StageRow, tries: Sequence[AttemptRow], joined: Sequence[str]) -> StageView:
    return StageView(
        number=row.number,
        agent=row.agent,
        branch=row.branch,
        status=row.status,
        gate="" if row.approved is None else ("approved" if row.approved else "rejected"),
        gate_reason=row.reason,
        headline=row.headline,
        started_at=min((attempt.started_at for attempt in tries), default=None),
        finished_at=row.finished_at,
        usage=_sum([attempt.usage for attempt in tries]),
        attempts=tuple(_attempt(attempt) for attempt in tries),
        error=None if row.status is StageStatus.DROPPED else _error(row.error_class, row.error_message),
        waits=row.waits,
        question=row.question,
        round=row.round,
        consensus=row.consensus,
        joined=tuple(joined),
        cancelled=row.status is StageStatus.DROPPED and row.error_class == FailureClass.CANCELLED,
    )


def _attempt(row: AttemptRow) -> AttemptView:
    return AttemptView(
        number=row.number,
        turn=row.turn,
        kind=row.kind,
        runtime=row.runtime,
        status=row.status,
        started_at=row.started_at,
        finished_at=row.finished_at,
        failure=row.failure,
        message=row.message,
        usage=row.usage,
        denied=row.denied,
        agent=row.agent,
        round=row.round,
        vote=row.vote,
    )


def _sum(usages: Sequence[Usage]) -> Usage:
    def total(name: str) -> Any:
        known = [getattr(usage, name) for usage in usages if getattr(usage, name) is not None]
        return sum(known) if known else None

    return Usage(*(total(name) for name in ("input", "cached", "output", "reasoning", "cost_usd")))


def _waits_for(row: TaskRow, *, embedded: bool) -> str:
    from aqm.engine.identity import life

    if row.status is TaskStatus.STALLED:
        return row.error_message or "it waits for a worker"
    if row.status.ended or row.status.waits:
        return ""
    if embedded and (row.owner is None or life(row.owner) == "dead"):
        return f"it waits for a worker: aqm resume {row.id}"
    return ""
