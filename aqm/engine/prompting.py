"""What a turn's CLI is given: a prompt made of what its branch has seen, by the kind of turn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from aqm.engine.discussion import heard
from aqm.engine.frozen import pipeline_of, policy_of
from aqm.engine.past import Place, shown_to
from aqm.engine.worker import Worker
from aqm.flow import chunks as chunk_rules
from aqm.flow.asking import answer_text
from aqm.flow.chunks import table
from aqm.flow.gate import VERDICT_SCHEMA, judge_system, judge_text, repair_text
from aqm.flow.outcome import Failure, FailureClass
from aqm.flow.prompt import (
    PromptValues,
    Rendered,
    read_names,
    render_prompt,
    repaired_text,
    with_output_request,
)
from aqm.flow.router import route_schema, route_text
from aqm.flow.session import closing_note, speaking_note, transcript
from aqm.flow.state import TurnKind
from aqm.flow.task import Policy
from aqm.pipeline.spec import Agent, McpEntry, Pipeline, Session
from aqm.pipeline.templates import TemplateError
from aqm.runtimes.base import McpServer, Permissions, Prompt
from aqm.storage import blobs, chunks, history, turns
from aqm.storage.claims import Claim
from aqm.storage.database import Connection
from aqm.storage.history import PastStage

__all__ = ["Prepared", "prepare"]

TIMEOUT, IDLE = 600.0, 300.0  # seconds, where neither agent nor config says
_ERRANDS = (TurnKind.GATE, TurnKind.ROUTE)  # turns that are about the agent, not its own


@dataclass(frozen=True, slots=True)
class Prepared:
    """`proof` is the prompt's SHA-256, and as JSON what it was made of: not the prompt itself."""

    prompt: Prompt
    proof: tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Texts:
    """What was read, the numbers and hashes it was read from, and the schema that the answer is to fit."""

    text: str
    system: str
    parts: dict[str, object]
    schema: Mapping[str, Any] | None = None
    nth: int = 1  # how many turns of this kind the stage has had, with this one


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is read from while a prompt is made."""

    connection: Connection
    claim: Claim
    pipeline: Pipeline
    policy: Policy

    def blob(self, hash: str) -> str:
        return blobs.read(self.connection, self.claim.project, hash)

    @property
    def agent(self) -> Agent:
        """Whose turn it is."""
        found = self.pipeline.agent(self.claim.agent)
        assert isinstance(found, Agent)
        return found


def prepare(worker: Worker, claim: Claim) -> Prepared | Failure:
    with worker.database.reading() as connection:
        pipeline = pipeline_of(connection, claim.project, claim.frozen)
        policy = policy_of(connection, claim.project, claim.policy)
        reading = _Reading(connection, claim, pipeline, policy)
        try:
            texts = _texts(reading)
        except TemplateError as error:
            return Failure(FailureClass.CONDITION_ERROR, f"the prompt of {claim.agent}: {error}")
    prompt = _prompt(worker, reading, texts)
    digest = hashlib.sha256(f"{texts.system}\0{texts.text}".encode("utf-8", "replace")).hexdigest()
    return Prepared(prompt, (digest, json.dumps(texts.parts, separators=(",", ":"))))


def _texts(reading: _Reading) -> _Texts:
    kind = reading.claim.kind
    match kind:
        case TurnKind.WORK:
            return _work(reading)
        case TurnKind.REPAIR:
            return _repair(reading)
        case TurnKind.GATE:
            return _judge(reading)
        case TurnKind.ROUTE:
            return _route(reading)
        case TurnKind.SPEAK | TurnKind.SUMMARY:
            return _speak(reading)
        case never:
            assert_never(never)


def _prompt(worker: Worker, reading: _Reading, texts: _Texts) -> Prompt:
    claim, policy = reading.claim, reading.policy
    agent = reading.pipeline.agent(claim.agent)
    own = agent if isinstance(agent, Agent) and claim.kind not in _ERRANDS else None
    wall = policy.timeouts.get(claim.runtime, TIMEOUT)
    idle = policy.idle_timeouts.get(claim.runtime, IDLE)
    return Prompt(
        text=texts.text,
        system=texts.system,
        workspace=worker.workspace(claim.task),
        agent=claim.agent,
        kind=claim.kind,
        visit=claim.round or claim.visit,
        attempt=claim.number + texts.nth - 1,
        model=claim.model,
        command=own.command if own else _gate_command(reading),
        permissions=_permissions(reading),
        flags=own.cli_flags if own else (),
        mcp=tuple(_server(entry) for entry in own.mcp) if own else (),
        schema=texts.schema,
        timeout=(own.timeout or wall) if own else _errand_timeout(reading, wall),
        idle_timeout=(own.idle_timeout if own else None) or idle,
        mark=claim.attempt,
    )


def _errand_timeout(reading: _Reading, wall: float) -> float:
    """A gate's command may take as long as any turn: tests do."""
    return wall if _gate_command(reading) else reading.policy.gate_timeout


def _permissions(reading: _Reading) -> Permissions:
    agent = reading.pipeline.agent(reading.claim.agent)
    if reading.claim.kind in _ERRANDS:
        return "run" if _gate_command(reading) else "read"
    assert isinstance(agent, Agent)
    speaks = reading.claim.kind in (TurnKind.SPEAK, TurnKind.SUMMARY)
    return agent.permissions or ("read" if speaks else "run")


def _gate_command(reading: _Reading) -> tuple[str, ...]:
    """The argv of a gate's command: a line is one for sh, and was never a template."""
    gate = reading.pipeline.agent(reading.claim.stage_agent).gate
    if reading.claim.kind is not TurnKind.GATE or gate is None or gate.type != "command" or gate.run is None:
        return ()
    return ("sh", "-c", gate.run) if isinstance(gate.run, str) else tuple(gate.run)


def _server(entry: McpEntry) -> McpServer:
    """A bare name is the reference server of that name, started by npx."""
    if entry.command is None:
        package = f"@modelcontextprotocol/server-{entry.server}"
        return McpServer(entry.server, "npx", ("-y", package, *entry.args), entry.env)
    return McpServer(entry.server, entry.command, entry.args, entry.env)


# An agent's own turns ----------------------------------------------------------------------------


def _work(reading: _Reading) -> _Texts:
    claim, agent = reading.claim, reading.agent
    parts: dict[str, object] = {"input": claim.input}
    rendered = render_prompt(agent, _values(reading, agent, parts))
    text = rendered.text
    if claim.note:
        parts["note"] = hashlib.sha256(claim.note.encode()).hexdigest()
        text = f"{text}\n\n{answer_text(claim.note, reading.blob(claim.output) if claim.output else '')}"
    return _asked(reading, agent, Rendered(text, rendered.system), parts)


def _repair(reading: _Reading) -> _Texts:
    """The agent's prompt, what it answered, and what is wanted of it."""
    claim, agent = reading.claim, reading.agent
    parts: dict[str, object] = {"input": claim.input, "output": claim.output, "repair": claim.note}
    rendered = render_prompt(agent, _values(reading, agent, parts))
    said = reading.blob(claim.output) if claim.output else ""
    text = repaired_text(rendered.text, said, claim.note or "")
    return _asked(reading, agent, Rendered(text, rendered.system), parts)


def _asked(reading: _Reading, agent: Agent, rendered: Rendered, parts: dict[str, object]) -> _Texts:
    """With the request for the declared output, natively and in words, as long as it is wanted."""
    claim = reading.claim
    schema = agent.output if claim.fields is None else None
    text = rendered.text
    if schema is not None and claim.kind is TurnKind.WORK:
        text = with_output_request(text, schema)
    nth = 1
    if claim.turn_number > 1:
        nth += turns.same_before(reading.connection, claim.stage_id, claim.turn_number, claim.kind)
    return _Texts(text, rendered.system, parts, schema, nth)


def _values(reading: _Reading, agent: Agent, parts: dict[str, object]) -> PromptValues:
    """The variables that the agent's template names; nothing else is read."""
    connection, claim = reading.connection, reading.claim
    names = read_names(agent.system_prompt)
    past = _before(reading) if names & {"output", "reject_reason", "gate_result"} else None
    return PromptValues(
        input=reading.blob(claim.input),
        inputs=_inputs(reading) if "inputs" in names else {},
        context=_context(reading, agent, parts) if "context" in names else "",
        transcript=transcript(heard(connection, reading.pipeline, claim)) if "transcript" in names else "",
        chunks=table(chunks.listed(connection, claim.task)) if "chunks" in names else "",
        params=reading.pipeline.params,
        task=_task(reading) if "task" in names else {},
        stage={"number": claim.stage, "visits": claim.visit},
        output=reading.blob(past.output) if past and past.output and "output" in names else "",
        reject_reason=past.reason if past and past.approved is False else "",
        gate_result=_decision(past),
    )


def _inputs(reading: _Reading) -> dict[str, str]:
    """What a join collected, by agent."""
    packed = reading.claim.inputs
    return {agent: reading.blob(payload) for agent, payload in json.loads(packed)} if packed else {}


def _task(reading: _Reading) -> dict[str, str]:
    return {"id": reading.claim.task, "description": reading.blob(reading.claim.task_input)}


def _before(reading: _Reading) -> PastStage | None:
    """The stage that handed over to this one."""
    opener = reading.claim.opener
    return None if opener is None else history.stage_of(reading.connection, opener)


def _decision(past: PastStage | None) -> str:
    if past is None or past.approved is None:
        return ""
    return "approved" if past.approved else "rejected"


def _context(reading: _Reading, agent: Agent, parts: dict[str, object]) -> str:
    claim = reading.claim
    strategy = claim.strategy or agent.context_strategy
    place = Place(
        claim.project, claim.task, claim.branch, claim.stage, claim.visit, claim.plain, claim.parent
    )
    text, full = shown_to(reading.connection, place, agent, strategy)
    parts["context"] = {"strategy": strategy, "full": full}
    return text


# Errands -----------------------------------------------------------------------------------------


def _judge(reading: _Reading) -> _Texts:
    claim = reading.claim
    gate = reading.pipeline.agent(claim.stage_agent).gate
    assert gate is not None
    output = reading.blob(claim.output) if claim.output else ""
    parts: dict[str, object] = {"input": claim.input, "output": claim.output, "repair": claim.note}
    nth = claim.repairs + 1
    if gate.type == "command":
        return _Texts(output, "", parts, nth=nth)
    text = judge_text(gate, reading.blob(claim.input), output)
    if claim.note:
        text = f"{text}\n\n{repair_text(claim.note)}"
    return _Texts(text, judge_system(reading.policy.gate_system_prompt), parts, VERDICT_SCHEMA, nth)


def _route(reading: _Reading) -> _Texts:
    claim = reading.claim
    text = route_text(reading.pipeline, reading.blob(claim.input))
    return _Texts(text, "", {"input": claim.input}, route_schema(reading.pipeline))


# Sessions ----------------------------------------------------------------------------------------


def _speak(reading: _Reading) -> _Texts:
    """A participant's prompt, the discussion so far unless the prompt names it, and the rules."""
    claim, agent = reading.claim, reading.agent
    session = reading.pipeline.agent(claim.stage_agent)
    assert isinstance(session, Session)
    parts: dict[str, object] = {"input": claim.input, "round": claim.round}
    rendered = render_prompt(agent, _values(reading, agent, parts))
    told = [rendered.text]
    names = read_names(agent.system_prompt)
    if chunk_rules.enabled(session) and "chunks" not in names:
        listed = table(chunks.listed(reading.connection, claim.task))
        told += [f"# The chunks\n\n{listed}"] if listed else []
    if "transcript" not in names:
        messages = heard(reading.connection, reading.pipeline, claim)
        told += [f"# The discussion so far\n\n{transcript(messages)}"] if messages else []
    if claim.kind is TurnKind.SUMMARY:
        told.append(closing_note(session, claim.consensus is True))
    else:
        told.append(speaking_note(session, claim.round))
    return _Texts("\n\n".join(told), rendered.system, parts)
