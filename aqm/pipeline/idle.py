"""Words that have no effect where they stand: warnings, each with its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from aqm.document.nodes import Place
from aqm.document.validation import MOST_FAULTS
from aqm.errors import Fault
from aqm.pipeline.branches import collecting, fans_out
from aqm.pipeline.graph import only_speaking, reachable
from aqm.pipeline.sources import Sources
from aqm.pipeline.spec import Agent, AnyAgent, Gate, Pipeline, Session
from aqm.pipeline.templates import is_template, variables

__all__ = ["idle_words"]

_LATER = "it is checked, and takes effect in a later version"
_AT_SESSIONS = ("handoffs", "gate", "join", "chunks")  # what a session has, too


def idle_words(pipeline: Pipeline, sources: Sources) -> Iterator[Fault]:
    speakers = only_speaking(pipeline)
    taking_part = {
        name for each in pipeline.agents if isinstance(each, Session) for name in each.participants
    }
    for agent in pipeline.agents:
        if agent.id in speakers:
            yield from _of_speaker(agent, sources)
        else:
            yield from _of_branches(pipeline, agent, sources)
        if isinstance(agent, Agent):
            yield from _not_yet(agent, agent.id in taking_part, sources)
        else:
            yield from _of_session(agent, sources)
        if agent.gate is not None:
            yield from _of_gate(agent, agent.gate, sources)
    yield from _of_joins(pipeline, speakers, sources)


def _warning(place: Place, message: str, cure: str) -> Fault:
    return place.fault(message, cure, severity="warning")


# What only speaks in sessions --------------------------------------------------------------------


def _of_speaker(agent: AnyAgent, sources: Sources) -> Iterator[Fault]:
    for key in _written(agent):
        count = "count" if key.endswith("s") else "counts"
        said = f"{agent.id} only speaks in sessions, where its {key} {count} for nothing"
        cure = f"remove it, or write the {key} at the session" if key in _AT_SESSIONS else "remove it"
        yield _warning(sources.place(agent.id, key), said, cure)


def _written(agent: AnyAgent) -> Iterator[str]:
    if agent.handoffs:
        yield "handoffs"
    if agent.gate is not None:
        yield "gate"
    if agent.join is not None:
        yield "join"
    if agent.chunks is not None and agent.chunks.enabled:
        yield "chunks"
    if isinstance(agent, Agent) and agent.human_input is not None and agent.human_input.enabled:
        yield "human_input"
    if isinstance(agent, Agent) and agent.output is not None:
        yield "output"


# What is understood and not acted on yet ---------------------------------------------------------


def _not_yet(agent: Agent, takes_part: bool, sources: Sources) -> Iterator[Fault]:
    if agent.workspace in ("isolated", "none"):
        said = f"workspace: {agent.workspace} has no effect yet"
        yield _warning(sources.place(agent.id, "workspace"), said, _LATER)
    if agent.conversation == "resume" and not takes_part:
        said = "conversation: resume has no effect yet"
        yield _warning(sources.place(agent.id, "conversation"), said, _LATER)
    for key in ("join_conflict", "verify", "artifacts"):
        if getattr(agent, key):
            yield _warning(sources.place(agent.id, key), f"{key} has no effect yet", _LATER)


# Gates and sessions ------------------------------------------------------------------------------


def _of_gate(agent: AnyAgent, gate: Gate, sources: Sources) -> Iterator[Fault]:
    judged = {"llm": "", "human": "a person decides", "command": "a command decides"}[gate.type]
    for key in ("model", "runtime"):
        if judged and getattr(gate, key) is not None:
            said = f"the {key} of a gate is the judge's, and here {judged}"
            yield _warning(sources.place(agent.id, "gate", key), said, "remove it, or write  type: llm")
    if gate.type == "command" and gate.prompt:
        said = "a command is not told the gate's prompt"
        yield _warning(sources.place(agent.id, "gate", "prompt"), said, "remove it, or write  type: llm")
    if isinstance(gate.run, str) and is_template(gate.run):
        said = "run is no template: the shell gets what stands in {{ }} as it is"
        yield _warning(
            sources.place(agent.id, "gate", "run"), said, "look at the files in the workspace instead"
        )
    if gate.when == "before" and "output" in variables(gate.prompt):
        said = f"output is empty in a gate that decides before {agent.id} works"
        yield _warning(sources.place(agent.id, "gate", "prompt"), said, "use input, or write  when: after")


def _of_session(session: Session, sources: Sources) -> Iterator[Fault]:
    consensus = session.consensus
    if consensus.method == "moderator_decides" and consensus.require == "majority":
        said = f"require: majority is for votes, and in {session.id} the moderator decides"
        place = sources.place(session.id, "consensus", "require")
        yield _warning(place, said, "remove it, or write  method: vote")


# Fan-outs and joins ------------------------------------------------------------------------------


def _of_branches(pipeline: Pipeline, agent: AnyAgent, sources: Sources) -> Iterator[Fault]:
    if agent.on_branch_failure == "cancel" and not fans_out(pipeline, agent):
        said = (
            f"on_branch_failure is for agents that open branches, and {agent.id} never hands off to several"
        )
        cure = "write it at the agent that does, or remove it"
        yield _warning(sources.place(agent.id, "on_branch_failure"), said, cure)


def _of_joins(pipeline: Pipeline, speakers: Collection[str], sources: Sources) -> Iterator[Fault]:
    reached = reachable(pipeline)
    for join, found in collecting(pipeline, MOST_FAULTS).items():
        if join in speakers or join not in reached:
            continue  # it counts for nothing for another reason, which was said
        place = sources.place(join, "join")
        if not found.starts:
            said = f"no two branches of a fan-out can come to {join}, so its join opens at once"
            yield _warning(place, said, "hand off to several agents that lead here, or remove it")
            continue
        wanted = pipeline.agent(join).join
        if isinstance(wanted, int) and found.most is not None and wanted > found.most:
            said = f"{join} waits for {wanted} branches, and at most {found.most} can come to it"
            yield _warning(place, said, "write  join: all  or a smaller number")
