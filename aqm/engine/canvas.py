"""How decisions become Celery: the only place that makes its signatures.

| opened | canvas |
|---|---|
| one turn | `run_turn.si(turn)`, `root_id` the task's first message, `parent_id` the message that opened it |

Chains, groups and chords of branches and rounds have their place here.
"""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid4, uuid5

from celery import Celery
from celery.canvas import Signature

from aqm.storage.bells import Bell

__all__ = ["RUN_TURN", "queue_of", "root_id", "turn_signature"]

RUN_TURN = "aqm.run_turn"


def queue_of(runtime: str, prefix: str = "") -> str:
    return f"{prefix}aqm.{runtime}"


def root_id(task: str) -> str:
    """The id of a task's first message: the same whoever rings it."""
    return str(uuid5(NAMESPACE_URL, f"aqm:{task}"))


def turn_signature(app: Celery, bell: Bell, prefix: str = "") -> Signature:
    """One turn, linked to its task's tree so that monitors show a task as one."""
    root = root_id(bell.task)
    return app.signature(
        RUN_TURN,
        args=(bell.turn,),
        immutable=True,
        task_id=root if bell.parent is None else str(uuid4()),
        root_id=root,
        parent_id=bell.parent,
        queue=queue_of(bell.runtime, prefix),
        priority=bell.priority * 3,
    )
