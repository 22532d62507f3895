"""Who runs a task: this process becomes the owner of those that nobody living owns."""

from __future__ import annotations

from aqm.engine.identity import identity, life, pid_of
from aqm.errors import ConflictError
from aqm.flow.event import EventKind
from aqm.flow.state import TaskStatus, Waits
from aqm.service.project import Project
from aqm.service.store import Store, open_store, refuse_team
from aqm.service.tasks import resolve
from aqm.storage import bells, lists, owners, stages, tasks
from aqm.storage.database import Connection, now
from aqm.storage.tasks import LockedTask

__all__ = ["adopt", "holder"]

SILENCE = 3  # leases without a sign after which an owner that cannot be seen from here counts as gone


def adopt(project: Project, ref: str | None) -> tuple[str, ...]:
    """Become the owner of the task, or of all open ones whose owner is dead; gives those that are ours now.

    A stalled task tries again. ConflictError names a living owner, or says that the task has ended.
    """
    with open_store(project) as store:
        refuse_team(store)
        if ref is not None:
            task = resolve(store, ref)
            _refuse_ended(store, task)
            _adopt(store, task, refuse=True)
            return (task,)
        with store.database.reading() as connection:
            found = owners.orphans(connection, store.project_id)
        return tuple(task for task, _ in found if _adopt(store, task, refuse=False))


def holder(project: Project, ref: str) -> str:
    """Who runs the task, in words; empty when nobody living does."""
    with open_store(project) as store:
        if not store.embedded:
            return "the team's workers"
        task = resolve(store, ref)
        with store.database.reading() as connection:
            owner = owners.owner_of(connection, task)
            if _free(store, connection, task, owner):
                return ""
    assert owner is not None
    return f"process {pid_of(owner)}" if life(owner) == "alive" else "another host or container"


def _refuse_ended(store: Store, task: str) -> None:
    with store.database.reading() as connection:
        row = lists.task_of(connection, store.project_id, task)
    if row is not None and row.status.ended:
        raise ConflictError(f"{task} is {row.status} already; there is nothing to go on with.")


def _adopt(store: Store, task: str, *, refuse: bool) -> bool:
    with store.database.writing() as connection, tasks.lock(connection, task) as locked:
        if locked is None or locked.status.ended:
            return False
        if not _free(store, connection, task, locked.owner):
            if refuse:
                raise _busy(task, locked.owner or "")
            return False
        if not owners.adopt(connection, task, locked.owner, identity()):
            return False
        bells.forget(connection, task)
        if _no_host_longer(connection, locked):
            locked.recover()
            locked.rest()
            bells.at_once(connection, task)
        if locked.status is TaskStatus.IN_PROGRESS:
            locked.tell(EventKind.TASK_RESUMED)
    return True


def _no_host_longer(connection: Connection, task: LockedTask) -> bool:
    """What waited for a host tries again; whether anything did."""
    found = [stage for stage in stages.waiting(connection, task.id) if stage.waits is Waits.HOST]
    for stage in found:
        stages.change(connection, stage.id, waits=None)
        task.wait(Waits.HOST, -1)
    return bool(found)


def _free(store: Store, connection: Connection, task: str, owner: str | None) -> bool:
    if owner is None:
        return True
    match life(owner):
        case "me" | "dead":
            return True
        case "alive":
            return False
        case "elsewhere":
            quiet = now(connection) - owners.last_sign(connection, task)
            return quiet > SILENCE * store.project.settings.lease_seconds


def _busy(task: str, owner: str) -> ConflictError:
    if life(owner) == "alive":
        return ConflictError(
            f"{task} is being run by process {pid_of(owner)} on this host.",
            cure=f"Watch it with: aqm watch {task}",
        )
    return ConflictError(
        f"{task} is being run from another host or container.",
        cure="When that is gone for good, it can be resumed here after a minute or two.",
    )
