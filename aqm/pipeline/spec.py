"""The data model of a pipeline document: every key, its type, its default.

A document is parsed into a `Pipeline` after params, imports and `extends` are resolved; the same frozen
value is stored with each task. `None` for an optional key means its default.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from aqm.document.model import Spec
from aqm.document.wording import OWN_SENTENCE
from aqm.pipeline.output import as_json_schema

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

ContextStrategy = Literal["none", "last_only", "own", "shared", "both"]
Permissions = Literal["read", "edit", "run", "full"]
Seconds = Annotated[float, Field(gt=0)]
Texts = Annotated[tuple[str, ...], Field(strict=False)]  # a YAML list


def _wrong(message: str, cure: str = "") -> PydanticCustomError:
    return PydanticCustomError(OWN_SENTENCE, "{message}", {"message": message, "cure": cure})


def _scalar(value: Any) -> Any:
    if value is not None and not isinstance(value, str | bool | int | float):
        raise _wrong("must be text, a number, true or false")
    return value


def _targets(value: Any) -> Any:
    """`to: a, b` is a list, too; an agent that is named twice is meant once."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",") if name.strip()]
    if not isinstance(value, list | tuple):
        raise _wrong("must be an agent's id, a comma list of ids, or a list")
    if all(isinstance(name, str) for name in value):
        value = tuple(dict.fromkeys(value))
    return value


def _human_input(value: Any) -> Any:
    match value:
        case bool():
            return {} if value else None
        case str():
            return {"mode": value}
    return value


def _mcp_entry(value: Any) -> Any:
    return {"server": value} if isinstance(value, str) else value


def _join(value: Any) -> Any:
    number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value is not None and not number and value not in ("all", "any"):
        raise _wrong("must be all, any, or how many branches to wait for, from 1")
    return value


def _command(value: Any) -> Any:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise _wrong(
        "must be a command line, or a list of words", 'write  run: make test  or  run: ["make", "test"]'
    )


def _fields(value: Any) -> Any:
    return as_json_schema(value) if isinstance(value, dict) else value


Scalar = Annotated[str | bool | int | float, Field(union_mode="left_to_right"), BeforeValidator(_scalar)]
Targets = Annotated[tuple[str, ...], BeforeValidator(_targets), Field(strict=False, min_length=1)]
Command = Annotated[str | tuple[str, ...], BeforeValidator(_command)]
Join = Annotated[Literal["all", "any"] | int, BeforeValidator(_join)]


class Param(Spec):
    """A value that the user of the pipeline may set."""

    type: Literal["string", "number", "boolean"] = Field("string", description="The type of the value.")
    default: Scalar | None = Field(None, description="Used when no value is given.")
    required: bool = Field(False, description="Refuse to run without a value.")
    description: str = Field("", description="What the value is for.")
    prompt: str = Field("", description="The question asked on a terminal when no value is given.")
    auto_detect: str = Field("", description="A question an agent answers by looking at the project.")


class Import(Spec):
    """Agents of another file; an empty `agents` imports all of them."""

    path: str = Field(alias="from", description="The file, relative to this one; it must lie in the project.")
    agents: Texts = Field((), description="The ids to import; none means all.")


class Handoff(Spec):
    """A rule: who comes next, when, with which payload."""

    to: Targets = Field(description='An agent\'s id, a comma list, a list, or "*" with `auto`.')
    condition: str = Field("always", description="A preset, `key == word`, or a CEL expression.")
    payload: str = Field("{{ output }}", description="Jinja2 template of the next agent's input.")
    task: str = Field("", description="A short label for the handoff.")


class Gate(Spec):
    """A check of the work, by a judge, a person or a command."""

    type: Literal["llm", "human", "command"] = Field("llm", description="Who decides.")
    prompt: str = Field("", description="Jinja2 template for the judge; variables: input, output.")
    model: str | None = Field(None, description="The judge's model.")
    runtime: str | None = Field(None, description="The judge's runtime.")
    run: Command | None = Field(
        None, description="The command of a `command` gate: a line for sh, or a list of words."
    )
    max_retries: int = Field(
        3, ge=0, description="Rejections since the last approval; one more fails the task."
    )
    when: Literal["after", "before"] = Field("after", description="Ask after the work, or before it.")


class HumanInput(Spec):
    """When a person is asked: before the agent runs, when it asks, or both."""

    enabled: bool = Field(True, description="false switches it off.")
    mode: Literal["before", "on_demand", "both"] = Field("on_demand", description="When the person is asked.")
    prompt: str = Field("", description="The question asked before the agent runs.")


class Retry(Spec):
    """How often, and how soon, a turn is tried again when its runtime fails."""

    max_retries: int = Field(0, ge=0, description="How often to try again.")
    backoff: float = Field(0.0, ge=0, description="Seconds before each new attempt.")
    fallback_context_strategy: ContextStrategy | None = Field(
        None, description="The context strategy of the attempts after the first."
    )


class McpEntry(Spec):
    """An MCP server; a bare name stands for `npx -y @modelcontextprotocol/server-NAME`."""

    server: str = Field(min_length=1, description="The server's name.")
    command: str | None = Field(None, description="The program; npx when left out.")
    args: Texts = Field((), description="Its arguments.")
    env: dict[str, str] = Field(
        {}, description="Its environment; $VAR and secret://NAME are expanded at start."
    )


class Chunks(Spec):
    """Tracked units of work."""

    enabled: bool = Field(True, description="false switches them off.")
    initial: Texts = Field((), description="Chunks that exist from the start.")


class Consensus(Spec):
    """When a session's participants have agreed."""

    method: Literal["vote", "moderator_decides"] = Field("vote", description="Who decides.")
    keyword: str = Field("VOTE: AGREE", description="The directive line that agrees.")
    require: Literal["all", "majority"] = Field("all", description="How many must agree.")
    require_chunks_done: bool = Field(False, description="Also wait until all chunks are done.")


class _Common(Spec):
    id: str = Field(
        pattern=ID_PATTERN, description="What other agents call it: a letter, then letters, digits, _ and -."
    )
    name: str = Field("", description="Shown to people; the title-cased id when left out.")
    handoffs: tuple[Handoff, ...] = Field((), description="Who comes next.", strict=False)
    gate: Gate | None = Field(None, description="A check after (or before) the work.")
    join: Join | None = Field(None, description="Wait for a fan-out's branches: all, any, or so many.")
    on_branch_failure: Literal["wait", "cancel"] = Field(
        "wait", description="What the branches of this agent's fan-out do when one of them fails."
    )
    abstract: bool = Field(False, description="Only there to be extended.")
    extends: str | None = Field(None, description="The id of the agent whose keys this one takes over.")

    @property
    def title(self) -> str:
        return self.name or re.sub(r"[_-]+", " ", self.id).title()


class Agent(_Common):
    """One coding CLI with a prompt."""

    type: Literal["agent"] = "agent"
    runtime: str = Field(description="claude, gemini, codex, command, or a plug-in's name.")
    model: str | None = Field(None, description="The CLI's own default when left out.")
    command: Texts = Field((), description="argv, for `runtime: command`.")
    system_prompt: str = Field("", description="Jinja2 template; see the variables in the format page.")
    context_strategy: ContextStrategy = Field("both", description="What {{ context }} holds.")
    context_window: int = Field(3, ge=0, description="Recent stages shown in full; 0 shows all in full.")
    human_input: Annotated[HumanInput | None, BeforeValidator(_human_input)] = Field(
        None, description="true, a mode, or a mapping."
    )
    retry: Retry = Field(Retry(), description="What to do after a runtime failure.")
    mcp: tuple[Annotated[McpEntry, BeforeValidator(_mcp_entry)], ...] = Field(
        (), description="MCP servers: names, or mappings.", strict=False
    )
    cli_flags: Texts = Field((), description="Extra arguments of the CLI.")
    claude_code_flags: Texts = Field((), description="Deprecated name of cli_flags.")
    permissions: Permissions | None = Field(
        None, description="read, edit, run or full; run when left out, read for speakers, judges and routers."
    )
    output: Annotated[dict[str, Any] | None, BeforeValidator(_fields)] = Field(
        None, description="JSON Schema of the answer's fields, or  field: {…}  for each."
    )
    timeout: Seconds | None = Field(None, description="Wall-clock limit of one turn, in seconds.")
    idle_timeout: Seconds | None = Field(None, description="Silence limit of one turn, in seconds.")
    chunks: Chunks | None = Field(None, description="Chunk directives outside sessions.")
    conversation: Literal["fresh", "resume"] | None = Field(
        None, description="Whether the CLI's conversation goes on at the agent's next turn."
    )
    workspace: Literal["shared", "isolated", "none"] | None = Field(None, description="Where it works.")
    join_conflict: Literal["agent", "serialise", "human", "fail"] | None = Field(
        None, description="What a join does when its branches changed the same lines."
    )
    verify: str | None = Field(None, description="A command that a join's merged work must pass.")
    artifacts: Texts = Field((), description="Files to keep with the task, as globs.")


class Session(_Common):
    """An agent in which participants discuss until consensus."""

    type: Literal["session"] = "session"
    participants: Texts = Field(min_length=1, description="Ids of the agents that speak.")
    turn_order: Literal["round_robin", "moderator", "parallel"] = Field(
        "round_robin", description="Who speaks when."
    )
    max_rounds: int = Field(10, ge=1, description="The most rounds.")
    consensus: Consensus = Field(Consensus(), description="When they have agreed.")
    summary_agent: str | None = Field(None, description="The participant whose summary is the output.")
    chunks: Chunks | None = Field(None, description="Tracked units of work of the session.")
    on_no_consensus: Literal["continue", "fail", "human"] = Field(
        "continue", description="What to do after max_rounds."
    )


AnyAgent = Agent | Session


class _Header(Spec):
    apiVersion: Literal["aqm/v0.1"] = Field("aqm/v0.1", description="The version of the format.")
    name: str = Field("", description="Shown in lists and by the registry.")
    description: str = Field("", description="What the pipeline is for.")
    version: str = Field("", description="The pipeline's own version.")
    entry_point: Literal["first", "auto"] = Field("first", description="Where a task starts.")


class Document(_Header):
    """The top level of a file; what is inside these three is looked at one by one."""

    params: Any = Field(None, description="Values that the user of the pipeline may set.")
    imports: Any = Field(None, description="Agents of other files.")
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
