"""What a decision is written on: a locked task, one of its stages, and the turn that ended, if one did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aqm.flow.event import EventKind
from aqm.flow.gate import Verdict
from aqm.flow.state import TurnStatus
from aqm.flow.task import Policy, Stage
from aqm.pipeline.spec import AnyAgent, Pipeline
from aqm.storage import blobs, claims, counters, stages
from aqm.storage.claims import Running
from aqm.storage.database import Connection
from aqm.storage.stages import OpenStage
from aqm.storage.tasks import LockedTask

__all__ = ["Scene", "of_stage", "of_turn", "stage_value"]


@dataclass(frozen=True, slots=True)
class Scene:
    """`message` is the Celery message that ran the turn, parent of those that it opens. `turn` and `attempt`
    are None when a person decided, or nobody had to. `judged`: the stage's gate has decided before."""

    connection: Connection
    task: LockedTask
    pipeline: Pipeline
    policy: Policy
    stage_id: int
    number: int
    agent_id: str
    branch: str
    turn: Running | None = None
    attempt: str | None = None
    message: str | None = None
    judged: bool = False

    @property
    def agent(self) -> AnyAgent:
        return self.pipeline.agent(self.agent_id)

    @property
    def place(self) -> tuple[int, str]:
        """The stage's number and agent, as events name it."""
        return self.number, self.agent_id

    def read(self, hash: str) -> str:
        return blobs.read(self.connection, self.task.project, hash)

    def tell(self, kind: EventKind, /, **data: object) -> None:
        self.task.tell(kind, *self.place, **data)

    def end_turn(self, status: TurnStatus = TurnStatus.DONE) -> None:
        if self.turn is not None and self.attempt is not None:
            claims.end(self.connection, self.turn.turn, self.attempt, status)

    def tell_verdict(self, verdict: Verdict | None, by: str = "") -> None:
        """Record a gate's verdict, once."""
        if verdict is None or self.judged:
            return
        stages.record_verdict(self.connection, self.stage_id, verdict.approved, verdict.reason)
        counters.count_verdict(
            self.connection, self.task, self.branch, self.agent_id, self.number, verdict.approved
        )
        who = by or (self.turn.runtime if self.turn else "a person")
        self.tell(EventKind.GATE_VERDICT, approved=verdict.approved, reason=verdict.reason, by=who)

    def keep_fields(self, fields: Mapping[str, Any] | None) -> None:
        """The declared output, checked: what handoffs look at once the gate has decided."""
        if fields is None:
            return
        packed = blobs.blob(json.dumps(fields, ensure_ascii=False))
        blobs.put(self.connection, self.task.project, [packed], self.task.at)
        stages.change(self.connection, self.stage_id, fields=packed.hash)


def of_turn(
    connection: Connection,
    task: LockedTask,
    pipeline: Pipeline,
    policy: Policy,
    running: Running,
    attempt: str,
    message: str | None,
) -> Scene:
    return Scene(
        connection,
        task,
        pipeline,
        policy,
        running.stage_id,
        running.stage,
        running.stage_agent,
        running.branch,
        running,
        attempt,
        message,
        judged=running.approved is not None,
    )


def of_stage(
    connection: Connection,
    task: LockedTask,
    pipeline: Pipeline,
    policy: Policy,
    stage: OpenStage,
    message: str | None = None,
) -> Scene:
    return Scene(
        connection,
        task,
        pipeline,
        policy,
        stage.id,
        stage.number,
        stage.agent,
        stage.branch,
        message=message,
        judged=stage.approved is not None,
    )


def stage_value(
    connection: Connection, task: LockedTask, found: OpenStage | Running, *, rejections: int
) -> Stage:
    """The stage as `flow` looks at it: its own texts are read, nothing of the history."""
    wanted = {name for name in (found.input, found.output, found.fields) if name}
    texts = blobs.read_many(connection, task.project, wanted)
    return Stage(
        number=found.stage if isinstance(found, Running) else found.number,
        agent=found.stage_agent if isinstance(found, Running) else found.agent,
        input=texts[found.input],
        output=texts[found.output] if found.output else None,
        branch=found.branch,
        visit=found.visit,
        rejections=rejections,
        fields=json.loads(texts[found.fields]) if found.fields else None,
        verdict=None if found.approved is None else Verdict(found.approved, found.reason),
    )
