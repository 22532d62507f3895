"""Opens stages and their turns: an agent's work, a session's rounds, a judge, a person's question."""

from __future__ import annotations

from typing import assert_never

from aqm.engine.scene import Scene
from aqm.flow import chunks as chunk_rules
from aqm.flow.decide import begin
from aqm.flow.decision import Ask, Judge, Repair, Work
from aqm.flow.event import EventKind
from aqm.flow.judge import judge
from aqm.flow.router import router
from aqm.flow.session import speakers
from aqm.flow.state import TurnKind, TurnStatus, Waits
from aqm.flow.task import Policy, Stage
from aqm.pipeline.spec import Agent, Pipeline, Session
from aqm.storage import blobs, chunks, rounds, stages, turns
from aqm.storage.database import Connection
from aqm.storage.tasks import LockedTask
from aqm.storage.turns import NewTurn

__all__ = [
    "open_judge",
    "open_repair",
    "open_round",
    "open_routed",
    "open_stage",
    "open_summary",
    "stall",
    "start",
    "wait",
    "work",
]


def start(scene: Scene, input: str, visit: int) -> None:
    """What a stage that has just been opened does first; `input` is its blob's hash."""
    agent = scene.agent
    text = ""
    if agent.gate is not None and agent.gate.when == "before":
        text = blobs.read(scene.connection, scene.task.project, input)
    first = begin(agent, Stage(scene.number, agent.id, text, branch=scene.branch, visit=visit))
    match first:
        case Work():
            work(scene, first)
        case Judge():
            open_judge(scene, first)
        case Ask():
            wait(scene, first)
        case never:
            assert_never(never)


def open_stage(
    connection: Connection,
    task: LockedTask,
    pipeline: Pipeline,
    policy: Policy,
    agent_id: str,
    input: str,
    *,
    branch: str = "",
    opener: int | None = None,
    inputs: str | None = None,
    message: str | None = None,
) -> Scene:
    """A new stage of `agent_id`, and what it begins with; `input` is a stored blob's hash, `inputs` what a
    join collected."""
    agent = pipeline.agent(agent_id)
    stage, number, visit = stages.open_stage(
        connection, task, agent_id, input, branch=branch, opener=opener, inputs=inputs
    )
    runtime = agent.runtime if isinstance(agent, Agent) else "session"
    task.tell(EventKind.STAGE_START, number, agent_id, runtime=runtime, branch=branch)
    scene = Scene(connection, task, pipeline, policy, stage, number, agent_id, branch, message=message)
    start(scene, input, visit)
    return scene


def open_routed(
    connection: Connection,
    task: LockedTask,
    pipeline: Pipeline,
    policy: Policy,
    fallback: str,
    input: str,
) -> None:
    """A task's first stage, whose agent a routing turn chooses; `fallback` when it chooses none."""
    stage, number, _ = stages.open_stage(connection, task, fallback, input, branch="", opener=None)
    runtime = router(policy, pipeline)
    task.tell(EventKind.STAGE_START, number, fallback, runtime=runtime, branch="", routed=True)
    turns.open_turn(connection, task, NewTurn(stage, TurnKind.ROUTE, fallback, runtime, None))


# Turns -------------------------------------------------------------------------------------------


def work(scene: Scene, decision: Work) -> None:
    """The agent's own turn, or a session's first round."""
    agent = scene.agent
    if isinstance(agent, Session):
        _add_chunks(scene)
        open_round(scene, agent, 1)
        return
    if not decision.note:
        _add_chunks(scene)
    new = NewTurn(
        scene.stage_id,
        TurnKind.WORK,
        agent.id,
        agent.runtime,
        agent.model,
        number=_next_number(scene),
        note=decision.note or None,
        parent=scene.message,
    )
    turns.open_turn(scene.connection, scene.task, new)


def _next_number(scene: Scene) -> int:
    if scene.turn is not None:
        return scene.turn.number + 1
    return turns.newest(scene.connection, scene.stage_id)[0] + 1


def _add_chunks(scene: Scene) -> None:
    """The chunks that exist from the start, the first time that the agent or session comes on."""
    texts = chunk_rules.initial(scene.agent)
    task = scene.task
    if not texts or turns.worked_before(scene.connection, task.id, scene.agent_id, scene.number):
        return
    for number in chunks.add(scene.connection, task.id, texts, scene.number, task.at):
        scene.tell(EventKind.CHUNK_UPDATE, chunk=chunk_rules.chunk_id(number), change="added")


def open_judge(scene: Scene, decision: Judge) -> None:
    """A judge's turn in the same stage, or the gate's command."""
    agent = scene.agent
    assert agent.gate is not None
    if agent.gate.type == "command":
        runtime, model = "command", None
    else:
        runtime, model = judge(scene.policy, scene.pipeline, agent)
    repairs = scene.turn.state.repairs + 1 if scene.turn and decision.repair else 0
    new = NewTurn(
        scene.stage_id,
        TurnKind.GATE,
        agent.id,
        runtime,
        model,
        number=_next_number(scene),
        repairs=repairs,
        note=decision.repair or None,
        parent=scene.message,
    )
    turns.open_turn(scene.connection, scene.task, new)


def open_repair(scene: Scene, decision: Repair) -> None:
    """The agent is asked again, in the same stage."""
    agent = scene.agent
    if isinstance(agent, Session):  # whoever wrote its output is asked
        said = [each.agent for each in rounds.said(scene.connection, scene.stage_id) if each.answer]
        agent = scene.pipeline.agent(agent.summary_agent or said[-1])
    assert isinstance(agent, Agent)
    repairs = scene.turn.state.repairs + 1 if scene.turn and scene.turn.state.kind is not TurnKind.GATE else 1
    new = NewTurn(
        scene.stage_id,
        TurnKind.REPAIR,
        agent.id,
        agent.runtime,
        agent.model,
        number=_next_number(scene),
        repairs=repairs,
        note=decision.note,
        parent=scene.message,
    )
    turns.open_turn(scene.connection, scene.task, new)


# Sessions ----------------------------------------------------------------------------------------


def open_round(scene: Scene, session: Session, number: int) -> None:
    """The turns of a round: one speaks after the other, or all at once."""
    order = speakers(session)
    rounds.begin(scene.connection, scene.stage_id, number)
    scene.tell(EventKind.ROUND_START, round=number, rounds=session.max_rounds)
    first = _next_number(scene) if number == 1 else turns.newest(scene.connection, scene.stage_id)[0] + 1
    for place, name in enumerate(order):
        agent = scene.pipeline.agent(name)
        assert isinstance(agent, Agent)
        at_once = place == 0 or session.turn_order == "parallel"
        new = NewTurn(
            scene.stage_id,
            TurnKind.SPEAK,
            name,
            agent.runtime,
            agent.model,
            number=first + place,
            round=number,
            status=TurnStatus.QUEUED if at_once else TurnStatus.PENDING,
            parent=scene.message,
        )
        turns.open_turn(scene.connection, scene.task, new)


def open_summary(scene: Scene, session: Session) -> None:
    assert session.summary_agent is not None
    agent = scene.pipeline.agent(session.summary_agent)
    assert isinstance(agent, Agent)
    new = NewTurn(
        scene.stage_id,
        TurnKind.SUMMARY,
        agent.id,
        agent.runtime,
        agent.model,
        number=turns.newest(scene.connection, scene.stage_id)[0] + 1,
        parent=scene.message,
    )
    turns.open_turn(scene.connection, scene.task, new)


# Waiting -----------------------------------------------------------------------------------------


def wait(scene: Scene, decision: Ask) -> None:
    """A person is asked; the branch rests until the answer."""
    scene.keep_fields(decision.fields)
    stages.change(scene.connection, scene.stage_id, waits=decision.waits.value, question=decision.question)
    scene.task.wait(decision.waits)
    kind = EventKind.GATE_WAITING if decision.waits is Waits.GATE else EventKind.HUMAN_INPUT_WAITING
    scene.tell(kind, question=decision.question)


def stall(scene: Scene) -> None:
    """The branch waits for a host that can, if all that is left to run does: parallel speakers may go on."""
    task, turn = scene.task, scene.turn
    failure = rounds.stuck(scene.connection, scene.stage_id, turn.round) if turn else None
    if turn is None or failure is None:
        return
    if turn.waits is None:
        stages.change(scene.connection, scene.stage_id, waits=Waits.HOST.value)
        task.wait(Waits.HOST)
    task.fail(*failure)
    task.rest()
