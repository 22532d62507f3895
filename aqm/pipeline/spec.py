"""The data model of a pipeline document: agents, sessions, the document, and what becomes of it.

A document is parsed into a `Pipeline` after params, imports and `extends` are resolved; the same frozen
value is stored with each task. `None` for an optional key means its default.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from aqm.document.model import Spec
from aqm.pipeline.output import as_json_schema
from aqm.pipeline.parts import (
    CONTEXT_WORDS,
    Chunks,
    Consensus,
    ContextStrategy,
    Gate,
    Handoff,
    HumanInput,
    HumanInputForm,
    Import,
    Join,
    McpEntry,
    McpForm,
    Param,
    Retry,
    Scalar,
    Texts,
)

__all__ = [
    "ID_PATTERN",
    "Agent",
    "AnyAgent",
    "Chunks",
    "Consensus",
    "ContextStrategy",
    "Document",
    "Gate",
    "Handoff",
    "HumanInput",
    "Import",
    "McpEntry",
    "Param",
    "Permissions",
    "Pipeline",
    "Retry",
    "Session",
]

ID_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_-]*$"

Permissions = Literal["read", "edit", "run", "full"]
Seconds = Annotated[float, Field(gt=0)]


def _fields(value: Any) -> Any:
    return as_json_schema(value) if isinstance(value, dict) else value


class _Common(Spec):
    id: str = Field(
        pattern=ID_PATTERN,
        description="What other agents call it: a letter, then letters, digits, _ and -.",
        examples=["reviewer"],
    )
    name: str = Field("", description="Shown to people; the title-cased id when left out.")
    handoffs: tuple[Handoff, ...] = Field(
        (), description="Rules: who comes next, and when; without any, the branch ends here.", strict=False
    )
    gate: Gate | None = Field(None, description="A check of the work, or whether it may begin.")
    join: Join | None = Field(
        None,
        description="Collect the branches of a fan-out, and run once. all: when every branch that can still "
        "come has · any: with the first · a number: when so many have. {{ inputs.AGENT }} is what one "
        "handed on.",
    )
    on_branch_failure: Literal["wait", "cancel"] = Field(
        "wait",
        description="When one of the branches that this agent opens fails. wait: the others end, then the "
        "task fails · cancel: the others are cancelled.",
    )
    abstract: bool = Field(False, description="true: it never runs, and is only there to be extended.")
    extends: str | None = Field(
        None, description="The id of the agent whose keys this one takes over; its own keys win."
    )

    @property
    def title(self) -> str:
        return self.name or re.sub(r"[_-]+", " ", self.id).title()


class Agent(_Common):
    """One coding CLI with a prompt."""

    type: Literal["agent"] = Field("agent", description="agent: one coding CLI with a prompt.")
    runtime: str = Field(
        description="claude, gemini, codex, command, or a plug-in's name.",
        examples=["claude", "gemini", "codex", "command"],
    )
    model: str | None = Field(
        None, description="The model, as the CLI calls it; its own default when left out."
    )
    command: Texts = Field(
        (),
        description="The program and its arguments, for `runtime: command`: the prompt comes to its stdin, "
        "its stdout is the answer.",
        examples=[["./answer.sh"]],
    )
    system_prompt: str = Field(
        "",
        description="What the agent is told, a Jinja2 template. Variables: input, context, transcript, "
        "chunks, params, task, stage, inputs (of a join); output, reject_reason, gate_result of the stage "
        "before. Without {{ input }} the input is the message and this is the CLI's system prompt.",
        examples=["You are a careful reviewer.\n\n{{ input }}\n\n{{ context }}"],
    )
    context_strategy: ContextStrategy = Field(
        "both", description=f"What {{{{ context }}}} holds. {CONTEXT_WORDS}"
    )
    context_window: int = Field(
        3,
        ge=0,
        description="How many recent stages {{ context }} has in full, older ones in a line; 0: all in full.",
    )
    human_input: HumanInputForm = Field(
        None, description="When a person is asked: true (on_demand), before, on_demand, both, or a mapping."
    )
    retry: Retry = Field(
        Retry(), description="How often, and how soon, a turn is tried again when its CLI fails."
    )
    mcp: tuple[McpForm, ...] = Field(
        (),
        description="MCP servers that the CLI may use: names, or mappings.",
        examples=[["github"]],
        strict=False,
    )
    cli_flags: Texts = Field(
        (),
        description="Extra arguments of the CLI; those that widen its permissions need the project's "
        "consent.",
    )
    claude_code_flags: Texts = Field(
        (), description="The old name of cli_flags.", json_schema_extra={"deprecated": True}
    )
    permissions: Permissions | None = Field(
        None,
        description="What the CLI may do. read: look only · edit: also change files of its workspace · run: "
        "also run commands, confined to the workspace · full: everything. When left out: run; read while it "
        "speaks in a session.",
    )
    output: Annotated[dict[str, Any] | None, BeforeValidator(_fields)] = Field(
        None,
        description="The fields of the answer, for conditions to look at: a JSON Schema, or  field: {…}  "
        "for each.",
        examples=[{"severity": {"enum": ["low", "high"]}, "reason": {"type": "string"}}],
    )
    timeout: Seconds | None = Field(None, description="The most seconds that one turn may take.")
    idle_timeout: Seconds | None = Field(None, description="The most seconds that a turn may say nothing.")
    chunks: Chunks | None = Field(
        None,
        description="Tracked units of work: {{ chunks }}, and CHUNK_ADD, CHUNK_DONE, CHUNK_REMOVE lines.",
    )
    conversation: Literal["fresh", "resume"] | None = Field(
        None,
        description="fresh: each turn begins a conversation · resume: the next turn goes on with the last "
        "one. When left out: resume in sessions, repairs and replies, else fresh.",
    )
    workspace: Literal["shared", "isolated", "none"] | None = Field(
        None,
        description="Where the agent works. shared: with all others · isolated: in a copy of its own · "
        "none: in an empty folder. isolated and none have no effect yet.",
    )
    join_conflict: Literal["agent", "serialise", "human", "fail"] | None = Field(
        None,
        description="What a join does when its branches changed the same lines. agent: it resolves that · "
        "serialise: they work one after another · human: a person is asked · fail: the task fails. No "
        "effect yet.",
    )
    verify: str | None = Field(
        None,
        description="A command that a join's merged work must pass. No effect yet.",
        examples=["make test"],
    )
    artifacts: Texts = Field(
        (), description="Files to keep with the task, as globs. No effect yet.", examples=[["reports/*.md"]]
    )


class Session(_Common):
    """An agent in which participants discuss until consensus."""

    type: Literal["session"] = Field(
        "session", description="session: several agents discuss until they agree."
    )
    participants: Texts = Field(
        min_length=1, description="Ids of the agents that speak.", examples=[["architect", "security"]]
    )
    turn_order: Literal["round_robin", "moderator", "parallel"] = Field(
        "round_robin",
        description="round_robin: one after another, as listed · moderator: the summary_agent first in each "
        "round · parallel: all at once, each sees the rounds before.",
    )
    max_rounds: int = Field(10, ge=1, description="The most rounds; in a round each participant speaks once.")
    consensus: Consensus = Field(Consensus(), description="When the participants have agreed.")
    summary_agent: str | None = Field(
        None,
        description="The participant that sums up at the end; its answer is the session's output. When left "
        "out: the last message. `turn_order: moderator` and `method: moderator_decides` need it.",
    )
    chunks: Chunks | None = Field(None, description="Tracked units of work: {{ chunks }}, and CHUNK_… lines.")
    on_no_consensus: Literal["continue", "fail", "human"] = Field(
        "continue",
        description="After max_rounds without agreement. continue: the session goes on as if there was one "
        "· fail: the task fails · human: a person decides, with `aqm approve` or `aqm reject`.",
    )


AnyAgent = Agent | Session


class _Header(Spec):
    apiVersion: Literal["aqm/v0.1"] = Field(
        "aqm/v0.1", description="The version of the format; aqm/v0.1 when left out."
    )
    name: str = Field("", description="The pipeline's name, shown in lists and by the registry.")
    description: str = Field("", description="What the pipeline is for.")
    version: str = Field("", description="The pipeline's own version, as text.", examples=["1.0"])
    entry_point: Literal["first", "auto"] = Field(
        "first",
        description="Where a task starts. first: at the first agent of the file that does not only speak in "
        "sessions · auto: at one that is chosen for the task in a turn of its own.",
    )


class Document(_Header):
    """The top level of a file; what is inside these three is looked at one by one."""

    params: Any = Field(
        None,
        description="Values that the user may set; ${{ params.NAME }} stands for one, anywhere in the "
        "agents.",
    )
    imports: Any = Field(None, description="Agents of other files that this one uses.")
    agents: Any = Field(None, description="The agents, at least one.")


class Pipeline(_Header):
    """A resolved pipeline: concrete agents only, params substituted, imports merged.

    `own` holds the ids of the agents of the file itself, in file order (imported ones are not in it).
    """

    params: dict[str, Scalar | None] = Field({}, description="The values in force.")
    agents: tuple[Annotated[AnyAgent, Field(discriminator="type")], ...] = Field(min_length=1, strict=False)
    own: Texts = Field(())

    def find(self, agent_id: str) -> AnyAgent | None:
        return next((agent for agent in self.agents if agent.id == agent_id), None)

    def agent(self, agent_id: str) -> AnyAgent:
        """The agent of that id; KeyError when there is none (a frozen pipeline never asks for one)."""
        found = self.find(agent_id)
        if found is None:
            raise KeyError(agent_id)
        return found

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(agent.id for agent in self.agents)
