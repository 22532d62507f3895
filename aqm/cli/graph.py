"""A pipeline as text and as JSON: who hands on to whom, when, and what meets again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, assert_never

from aqm.cli.terminal import Part, Screen, cut
from aqm.pipeline.branches import Rules, collecting, fans_out, forks, most_branches
from aqm.pipeline.graph import first_agent, participants_only, targets
from aqm.pipeline.spec import Agent, AnyAgent, Chunks, Consensus, Gate, HumanInput, Pipeline, Session

__all__ = ["asked", "facts_of", "gate_of", "graph_json", "graph_lines", "join_of", "routed"]

_TAKES_TURNS = {
    "round_robin": "one after another",
    "moderator": "{0} first in each round, then the others",
    "parallel": "all at once, each sees the rounds before",
}
_UNAGREED = {"continue": "it goes on all the same", "fail": "the task fails", "human": "a person decides"}


def routed(pipeline: Pipeline) -> tuple[str, ...]:
    """The agents that `entry_point: auto` chooses from; none when a task starts with the first one."""
    if pipeline.entry_point == "first":
        return ()
    speakers = participants_only(pipeline)
    return tuple(name for name in pipeline.ids if name not in speakers)


def _entry(pipeline: Pipeline) -> str:
    """In a sentence: which agent a task starts at."""
    first = first_agent(pipeline)
    if pipeline.entry_point == "auto":
        return "an agent chosen for the task" + (f" (else {first})" if first else "")
    return first or "the agent that --agent names"


def facts_of(pipeline: Pipeline, agent: AnyAgent) -> list[str]:
    match agent:
        case Session():
            rounds = "round" if agent.max_rounds == 1 else "rounds"
            return [f"session of {', '.join(agent.participants)}", f"at most {agent.max_rounds} {rounds}"]
        case Agent():
            model = f" {cut(agent.model, 60)}" if agent.model else ""
            return [f"{agent.runtime}{model}", f"permissions {permissions(pipeline, agent)}"]
        case never:
            assert_never(never)


def gate_of(gate: Gate) -> str:
    """Who or what decides, and when."""
    before = ", before it runs" if gate.when == "before" else ""
    match gate.type:
        case "llm":
            who = " ".join(each for each in (gate.runtime, gate.model) if each)
            return (f"a judge ({cut(who, 60)})" if who else "a judge") + before
        case "human":
            return f"a person{before}"
        case "command":
            run = gate.run if isinstance(gate.run, str) else " ".join(gate.run or ())
            return f"a command{before}: {cut(run, 60)}"
        case never:
            assert_never(never)


def permissions(pipeline: Pipeline, agent: Agent) -> str:
    """What the agent may do; who only speaks in sessions reads, unless it says more."""
    return agent.permissions or ("read" if agent.id in participants_only(pipeline) else "run")


def asked(agent: AnyAgent) -> HumanInput | None:
    """When the agent asks a person; None when it never does."""
    human = agent.human_input if isinstance(agent, Agent) else None
    return human if human is not None and human.enabled else None


def join_of(agent: AnyAgent) -> str:
    """When the join opens, or ""."""
    match agent.join:
        case None:
            return ""
        case "all":
            return "when all have come"
        case "any" | 1:
            return "with the first that comes"
        case number:
            return f"when {number} have come"


# For people ------------------------------------------------------------------------------------


def graph_lines(screen: Screen, pipeline: Pipeline, name: str) -> None:
    many = "agent" if len(pipeline.agents) == 1 else "agents"
    screen.line((name, "bold"), f" · {len(pipeline.agents)} {many} · starts with {_entry(pipeline)}")
    if pipeline.description:
        screen.line((cut(pipeline.description, 200), "dim"))
    collects = {join: each.starts for join, each in collecting(pipeline).items()}
    for agent in pipeline.agents:
        screen.line()
        screen.line((agent.id, "title"), (f"  {' · '.join(facts_of(pipeline, agent))}", "dim"))
        for parts in _lines(pipeline, agent, collects):
            screen.line(*parts)


def _lines(
    pipeline: Pipeline, agent: AnyAgent, collects: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[Part, ...]]:
    if agent.join is not None:
        yield _join(agent, collects[agent.id])
    if isinstance(agent, Session):
        yield from _session(agent)
    yield from _chunks(agent.chunks)
    human = asked(agent)
    if human is not None:
        question = f": {cut(human.prompt, 80)}" if human.prompt and human.mode != "on_demand" else ""
        yield ("  asks: ", (f"a person ({human.mode}){question}", "yellow"))
    if isinstance(agent, Agent) and agent.output is not None:
        yield ("  output: ", (cut(_fields(agent.output), 120), "cyan"))
    if agent.gate:
        again = "rejection" if agent.gate.max_retries == 1 else "rejections"
        most = f"at most {agent.gate.max_retries} {again}"
        yield ("  gate: ", (f"{gate_of(agent.gate)}, {most}", "yellow"))
    for condition, rules in forks(agent).items():
        yield from _rule(condition, rules)
    yield from _after_rules(pipeline, agent, collects)


def _join(agent: AnyAgent, starts: tuple[str, ...]) -> tuple[Part, ...]:
    if not starts:
        return (
            "  joins: ",
            ("nothing: no fan-out leads here by two branches, so it opens at once", "yellow"),
        )
    return ("  joins: ", (f"the branches of {' or '.join(starts)}", "cyan"), f", opens {join_of(agent)}")


def _session(session: Session) -> Iterator[tuple[Part, ...]]:
    turns = _TAKES_TURNS[session.turn_order].format(session.summary_agent)
    yield ("  speak: ", (turns, "cyan"))
    yield ("  agreed: ", (_agreed(session), "cyan"), f", else {_UNAGREED[session.on_no_consensus]}")
    if session.summary_agent:
        yield ("  summary: ", (session.summary_agent, "cyan"))


def _agreed(session: Session) -> str:
    consensus = session.consensus
    line = (
        ""
        if consensus.keyword.strip() == Consensus().keyword
        else f" with the line {cut(consensus.keyword, 60)!r}"
    )
    chunks = ", and all chunks are done" if consensus.require_chunks_done else ""
    match consensus.method, consensus.require:
        case "moderator_decides", _:
            return f"when {session.summary_agent} says so{line}{chunks}"
        case _, "majority":
            return f"when more than half vote so{line}{chunks}"
        case _:
            return f"when all vote so{line}{chunks}"


def _chunks(chunks: Chunks | None) -> Iterator[tuple[Part, ...]]:
    if chunks is not None and chunks.enabled:
        first = cut(", ".join(chunks.initial), 120) or "none at first"
        yield ("  chunks: ", (first, "cyan"))


def _fields(schema: Mapping[str, Any]) -> str:
    properties = schema.get("properties")
    return ", ".join(properties) if isinstance(properties, dict) and properties else "as its schema says"


def _rule(condition: str, rules: Rules) -> Iterator[tuple[Part, ...]]:
    """The rules of one condition: an arrow, or a fork when they open several branches."""
    labels: dict[str, str] = {}
    for handoff in rules:
        for name in handoff.to:
            labels.setdefault(name, handoff.task)
    if condition == "auto":
        names = "any agent" if "*" in labels else ", ".join(labels)
        yield ("  → ", (names, "bold"), ("  as its answer says (auto)", "green"), _label(rules[0].task))
    elif len(labels) == 1:
        (name,) = labels
        yield ("  → ", (name, "bold"), _when(condition), _label(labels[name]))
    else:
        yield ("  ⇉ ", (f"{len(labels)} branches at once", "cyan"), _when(condition))
        for number, name in enumerate(labels, start=1):
            mark = "    ├→ " if number < len(labels) else "    └→ "
            yield (mark, (name, "bold"), _label(labels[name]))


def _after_rules(
    pipeline: Pipeline, agent: AnyAgent, collects: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[Part, ...]]:
    if not agent.handoffs:
        yield (
            (
                "  only speaks in sessions" if agent.id in participants_only(pipeline) else "  ends here",
                "dim",
            ),
        )
    elif not _always_goes_on(agent):
        yield (("  otherwise ends here", "dim"),)
    if most_branches(pipeline, agent) > _widest_fork(pipeline, agent):
        yield (("  rules that fire together open branches at once", "cyan"),)
    joined = [join for join, starts in collects.items() if agent.id in starts]
    if joined:
        yield ("  its branches meet at ", (", ".join(joined), "bold"))
    if agent.on_branch_failure == "cancel" and fans_out(pipeline, agent):
        yield (("  when one of its branches fails, the others are cancelled", "yellow"),)


def _widest_fork(pipeline: Pipeline, agent: AnyAgent) -> int:
    ways = (
        {name for handoff in rules for name in targets(pipeline, handoff)} for rules in forks(agent).values()
    )
    return max(map(len, ways), default=0)


def _always_goes_on(agent: AnyAgent) -> bool:
    conditions = {handoff.condition.strip() for handoff in agent.handoffs}
    if conditions & {"always", "auto", "default"}:
        return True
    return "on_reject" in conditions and bool(conditions & {"on_approve", "on_pass"})


def _when(condition: str) -> Part:
    return "" if condition == "always" else (f"  when {cut(condition, 80)}", "green")


def _label(task: str) -> Part:
    return (f"  {cut(task, 60)}" if task else "", "dim")


# For programs ----------------------------------------------------------------------------------


def graph_json(pipeline: Pipeline, name: str) -> dict[str, Any]:
    collects = {join: each.starts for join, each in collecting(pipeline).items()}
    is_routed = pipeline.entry_point == "auto"
    return {
        "pipeline": name,
        "description": pipeline.description,
        "entry_point": pipeline.entry_point,
        "start": None if is_routed else first_agent(pipeline),
        "router": {"choices": routed(pipeline), "fallback": first_agent(pipeline)} if is_routed else None,
        "agents": [_agent_json(pipeline, agent, collects.get(agent.id)) for agent in pipeline.agents],
    }


def _agent_json(pipeline: Pipeline, agent: AnyAgent, collects: tuple[str, ...] | None) -> dict[str, Any]:
    worker = agent if isinstance(agent, Agent) else None
    session = agent if isinstance(agent, Session) else None
    human = asked(agent)
    return {
        "id": agent.id,
        "name": agent.title,
        "type": agent.type,
        "runtime": worker and worker.runtime,
        "model": worker and worker.model,
        "permissions": worker and permissions(pipeline, worker),
        "output": worker and worker.output,
        "human_input": human and human.model_dump(mode="json"),
        "chunks": agent.chunks and agent.chunks.model_dump(mode="json"),
        "participants": list(session.participants) if session else [],
        "session": session and _session_json(session),
        "gate": agent.gate and agent.gate.model_dump(mode="json"),
        "join": agent.join,
        "collects_from": None if collects is None else list(collects),
        "fans_out": fans_out(pipeline, agent),
        "on_branch_failure": agent.on_branch_failure,
        "handoffs": [handoff.model_dump(mode="json") for handoff in agent.handoffs],
    }


def _session_json(session: Session) -> dict[str, Any]:
    keys = {"participants", "turn_order", "max_rounds", "consensus", "summary_agent", "on_no_consensus"}
    return session.model_dump(mode="json", include=keys)
