"""How decisions become Celery: the only place that makes its signatures.

| opened | canvas |
|---|---|
| one turn | `run_turn.si(turn)`, `root_id` the task's first message, `parent_id` the message that opened it |
| the branches of a fan-out | `group` of these |
| the speakers of a parallel round | `chord` of these with `conduct` as its body |
| a session's round that has ended | `conduct.si(stage, round)` |

A message is a doorbell: what it names is done once, whoever rings and however often. So a chord's body is an
extra bell: the closing of the round's last turn rings `conduct`, too, and one of the two finds it due.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from uuid import NAMESPACE_URL, uuid4, uuid5

from celery import Celery, chord, group
from celery.canvas import Signature

from aqm.storage.bells import Bell, RoundBell

__all__ = ["CONDUCT", "CONTROL", "RUN_TURN", "canvas", "queue_of", "root_id", "turn_signature"]

RUN_TURN = "aqm.run_turn"
CONDUCT = "aqm.conduct"
CONTROL = "control"  # the queue of decisions that belong to no runtime


def queue_of(runtime: str, prefix: str = "") -> str:
    return f"{prefix}aqm.{runtime}"


def root_id(task: str) -> str:
    """The id of a task's first message: the same whoever rings it."""
    return str(uuid5(NAMESPACE_URL, f"aqm:{task}"))


def canvas(app: Celery, bells: Sequence[Bell | RoundBell], prefix: str = "") -> Iterator[Signature]:
    """What to publish for these bells: turns that one message opened together are a group."""
    for bell in bells:
        if isinstance(bell, RoundBell):
            yield _round_signature(app, bell, prefix)
    opened = [bell for bell in bells if isinstance(bell, Bell)]
    for _, together in groupby(opened, key=lambda bell: (bell.task, bell.parent)):
        yield _together(app, list(together), prefix)


def _together(app: Celery, bells: Sequence[Bell], prefix: str) -> Signature:
    first, *others = bells
    begun = root_id(first.task)  # of turns that open a task together, the first one's message is the root
    rest = [replace(bell, parent=bell.parent or begun) for bell in others]
    signatures = [turn_signature(app, bell, prefix) for bell in (first, *rest)]
    if len(bells) == 1:
        return signatures[0]
    if not first.round:
        return group(signatures, app=app)
    header = [signature.set(ignore_result=False) for signature in signatures]  # else the body never runs
    over = RoundBell(first.stage, first.round, first.task, first.priority, first.parent)
    return chord(header, _round_signature(app, over, prefix), app=app)


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


def _round_signature(app: Celery, bell: RoundBell, prefix: str) -> Signature:
    return app.signature(
        CONDUCT,
        args=(bell.stage, bell.round),
        immutable=True,
        task_id=str(uuid4()),
        root_id=root_id(bell.task),
        parent_id=bell.parent,
        queue=queue_of(CONTROL, prefix),
    )
