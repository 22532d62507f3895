"""What a turn's CLI is given: the agent's prompt, rendered from what its branch has seen."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from aqm.engine.frozen import pipeline_of, policy_of
from aqm.engine.past import Place, shown_to
from aqm.engine.worker import Worker
from aqm.flow.gate import VERDICT_SCHEMA, judge_system, judge_text, repair_text
from aqm.flow.outcome import Failure, FailureClass
from aqm.flow.prompt import PromptValues, read_names, render_prompt
from aqm.flow.state import TurnKind
from aqm.flow.task import Policy
from aqm.pipeline.spec import Agent, McpEntry, Pipeline
from aqm.pipeline.templates import TemplateError
from aqm.runtimes.base import McpServer, Prompt
from aqm.storage import blobs, history
from aqm.storage.claims import Claim
from aqm.storage.database import Connection
from aqm.storage.history import PastStage

__all__ = ["Prepared", "prepare"]

TIMEOUT, IDLE = 600.0, 300.0  # seconds, where neither agent nor config says


@dataclass(frozen=True, slots=True)
class Prepared:
    """`proof` is the prompt's SHA-256, and as JSON what it was made of: not the prompt itself."""

    prompt: Prompt
    proof: tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Texts:
    """What was read, and the numbers and hashes it was read from."""

    text: str
    system: str
    parts: dict[str, object]


def prepare(worker: Worker, claim: Claim) -> Prepared | Failure:
    with worker.database.reading() as connection:
        pipeline = pipeline_of(connection, claim.project, claim.frozen)
        policy = policy_of(connection, claim.project, claim.policy)
        agent = pipeline.agent(claim.agent)
        assert isinstance(agent, Agent)
        try:
            if claim.kind is TurnKind.GATE:
                texts = _judge(connection, claim, agent, policy)
            else:
                texts = _work(connection, claim, agent, pipeline)
        except TemplateError as error:
            return Failure(FailureClass.CONDITION_ERROR, f"the prompt of {agent.id}: {error}")
    prompt = _prompt(worker, claim, agent, policy, texts)
    digest = hashlib.sha256(f"{texts.system}\0{texts.text}".encode("utf-8", "replace")).hexdigest()
    return Prepared(prompt, (digest, json.dumps(texts.parts, separators=(",", ":"))))


def _prompt(worker: Worker, claim: Claim, agent: Agent, policy: Policy, texts: _Texts) -> Prompt:
    judges = claim.kind is TurnKind.GATE
    wall = policy.timeouts.get(claim.runtime, TIMEOUT)
    return Prompt(
        text=texts.text,
        system=texts.system,
        workspace=worker.workspace(claim.task),
        agent=claim.agent,
        kind=claim.kind,
        visit=claim.visit,
        attempt=claim.number,
        model=claim.model,
        command=() if judges else agent.command,
        permissions="read" if judges else agent.permissions or "run",
        flags=() if judges else agent.cli_flags,
        mcp=() if judges else tuple(_server(entry) for entry in agent.mcp),
        schema=VERDICT_SCHEMA if judges else None,
        timeout=policy.gate_timeout if judges else agent.timeout or wall,
        idle_timeout=agent.idle_timeout or policy.idle_timeouts.get(claim.runtime, IDLE),
        mark=claim.attempt,
    )


def _server(entry: McpEntry) -> McpServer:
    """A bare name is the reference server of that name, started by npx."""
    if entry.command is None:
        package = f"@modelcontextprotocol/server-{entry.server}"
        return McpServer(entry.server, "npx", ("-y", package, *entry.args), entry.env)
    return McpServer(entry.server, entry.command, entry.args, entry.env)


def _judge(connection: Connection, claim: Claim, agent: Agent, policy: Policy) -> _Texts:
    assert agent.gate is not None
    assert claim.output is not None
    texts = blobs.read_many(connection, claim.project, [claim.input, claim.output])
    text = judge_text(agent.gate, texts[claim.input], texts[claim.output])
    if claim.note:
        text = f"{text}\n\n{repair_text(claim.note)}"
    parts: dict[str, object] = {"input": claim.input, "output": claim.output, "repair": claim.note}
    return _Texts(text, judge_system(policy.gate_system_prompt), parts)


def _work(connection: Connection, claim: Claim, agent: Agent, pipeline: Pipeline) -> _Texts:
    names = read_names(agent.system_prompt)
    parts: dict[str, object] = {"input": claim.input}
    past = _before(connection, claim) if names & {"output", "reject_reason", "gate_result"} else None
    rejected = past is not None and past.approved is False
    values = PromptValues(
        input=blobs.read(connection, claim.project, claim.input),
        context=_context(connection, claim, agent, parts) if "context" in names else "",
        params=pipeline.params,
        task=_task(connection, claim) if "task" in names else {},
        stage={"number": claim.stage, "visits": claim.visit},
        output=_output(connection, claim, past) if past and "output" in names else "",
        reject_reason=past.reason if past and rejected else "",
        gate_result=_decision(past),
    )
    rendered = render_prompt(agent, values)
    return _Texts(rendered.text, rendered.system, parts)


def _task(connection: Connection, claim: Claim) -> dict[str, str]:
    return {"id": claim.task, "description": blobs.read(connection, claim.project, claim.task_input)}


def _before(connection: Connection, claim: Claim) -> PastStage | None:
    found = history.stages_before(connection, claim.task, claim.branch, claim.stage, 1)
    return found[-1] if found else None


def _output(connection: Connection, claim: Claim, past: PastStage) -> str:
    return blobs.read(connection, claim.project, past.output) if past.output else ""


def _decision(past: PastStage | None) -> str:
    if past is None or past.approved is None:
        return ""
    return "approved" if past.approved else "rejected"


def _context(connection: Connection, claim: Claim, agent: Agent, parts: dict[str, object]) -> str:
    strategy = claim.strategy or agent.context_strategy
    place = Place(claim.project, claim.task, claim.branch, claim.stage, claim.visit)
    text, full = shown_to(connection, place, agent, strategy)
    parts["context"] = {"strategy": strategy, "full": full}
    return text
