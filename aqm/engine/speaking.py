"""Closes the turns that are no agent's own work: a speaker's in a session, and the router's."""

from __future__ import annotations

from aqm.engine import opening
from aqm.engine.scene import Scene
from aqm.flow.decision import Absent, Routed, Spoke
from aqm.flow.event import EventKind
from aqm.flow.state import TurnStatus
from aqm.flow.task import Stage
from aqm.storage import counters, rounds, stages

__all__ = ["routed", "spoke"]


def spoke(scene: Scene, decision: Spoke | Absent) -> None:
    """Record what the speaker did, and let the next one speak; the last one marks the round as due."""
    turn = scene.turn
    assert turn is not None
    connection, place = scene.connection, (turn.stage, turn.agent)
    if isinstance(decision, Spoke):
        scene.end_turn()
        if decision.vote is not None:
            rounds.record_vote(connection, scene.stage_id, turn.turn, turn.agent, decision.vote)
        scene.task.tell(EventKind.SPOKE, *place, round=turn.round, vote=decision.vote)
    else:
        scene.end_turn(TurnStatus.FAILED)
        failure = decision.failure
        told = {"class": failure.kind.value, "message": failure.message}
        scene.task.tell(EventKind.ABSENT, *place, round=turn.round, **told)
    if rounds.queue_next(connection, scene.stage_id, turn.round, scene.message):
        return
    if rounds.live(connection, scene.stage_id, turn.round) == 0:
        rounds.mark_due(connection, scene.stage_id, turn.round, scene.message)
    else:
        opening.stall(scene)


def routed(scene: Scene, stage: Stage, decision: Routed) -> None:
    """The task's first stage becomes that of the agent which the router has chosen."""
    scene.end_turn()
    agent_id = decision.agent or scene.agent_id
    scene.task.tell(
        EventKind.ROUTED,
        scene.number,
        agent_id,
        fallback=decision.agent is None,
        why="" if decision.agent else decision.why,
    )
    visit = stage.visit
    if agent_id != scene.agent_id:
        counters.unvisit(scene.connection, scene.task.id, scene.branch, scene.agent_id)
        visit = counters.visit(scene.connection, scene.task, scene.branch, agent_id)
        stages.change(scene.connection, scene.stage_id, agent=agent_id, visit=visit)
    found = Scene(
        scene.connection,
        scene.task,
        scene.pipeline,
        scene.policy,
        scene.stage_id,
        scene.number,
        agent_id,
        scene.branch,
        message=scene.message,
    )
    assert scene.turn is not None
    opening.start(found, scene.turn.input, visit)
    scene.task.rest()
