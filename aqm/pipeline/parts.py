"""The parts of agents and sessions: handoffs, gates, params and the rest, key by key."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from aqm.document.model import Spec
from aqm.document.wording import OWN_SENTENCE

__all__ = [
    "CONTEXT_WORDS",
    "Chunks",
    "Consensus",
    "ContextStrategy",
    "Gate",
    "Handoff",
    "HumanInput",
    "HumanInputForm",
    "Import",
    "Join",
    "McpEntry",
    "McpForm",
    "Param",
    "Retry",
    "Scalar",
    "Texts",
]

ContextStrategy = Literal["none", "last_only", "own", "shared", "both"]
CONTEXT_WORDS = (
    "none: nothing · last_only: the output of the stage before · own: this agent's earlier outputs · "
    "shared: the task's history · both: shared, then own."
)
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
        raise _wrong(
            "must be all, any, or how many branches to wait for, from 1", "write  join: all  or  join: 2"
        )
    return value


def _command(value: Any) -> Any:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise _wrong(
        "must be a command line, or a list of words", 'write  run: make test  or  run: ["make", "test"]'
    )


Scalar = Annotated[str | bool | int | float, Field(union_mode="left_to_right"), BeforeValidator(_scalar)]
Targets = Annotated[tuple[str, ...], BeforeValidator(_targets), Field(strict=False, min_length=1)]
Command = Annotated[str | tuple[str, ...], BeforeValidator(_command)]
Join = Annotated[Literal["all", "any"] | int, BeforeValidator(_join)]


class Param(Spec):
    """A value that the user of the pipeline may set."""

    type: Literal["string", "number", "boolean"] = Field(
        "string", description="The type of the value: string (text), number, or boolean (true or false)."
    )
    default: Scalar | None = Field(
        None, description="Used when no value is given; its type is the param's, when there is no `type`."
    )
    required: bool = Field(False, description="true: `aqm run` refuses to start without a value.")
    description: str = Field("", description="What the value is for.")
    prompt: str = Field(
        "",
        description="The question asked on a terminal when no value is given.",
        examples=["Which framework do you use?"],
    )
    auto_detect: str = Field(
        "",
        description="A question that an agent answers by looking at the project when no value is given.",
        examples=["Print the name of the web framework of this project, and nothing else."],
    )


class Import(Spec):
    """Agents of another file; an empty `agents` imports all of them."""

    path: str = Field(
        alias="from",
        description="The file, relative to this one; it must lie in the project.",
        examples=["shared/reviewers.yaml"],
    )
    agents: Texts = Field((), description="The ids to import; left out or empty: all.")


class Handoff(Spec):
    """A rule: who comes next, when, with which payload."""

    to: Targets = Field(
        description='An agent\'s id, a comma list, a list, or "*" with `auto`.',
        examples=["reviewer", "frontend, backend", "*"],
    )
    condition: str = Field(
        "always",
        description="When the rule fires; all that fire together open parallel branches. always · "
        "on_approve, on_reject: the gate's verdict · on_pass: no gate, or approved · auto: the answer's "
        "`HANDOFF: agent` lines choose from `to` · default: when no other rule fires · `key == word`, `key "
        "!= word`, `key in [a, b]`: a field of the answer · anything else is CEL over output, text, input, "
        "gate, params, stage.visits, task.stages.",
        examples=["severity == high", "kind in [bug, regression]", "stage.visits < 3"],
    )
    payload: str = Field(
        "{{ output }}",
        description="The next agent's input, a Jinja2 template. Variables: output, input, reject_reason, "
        "gate_result, fields, params.",
        examples=["{{ input }}\n\nRejected: {{ reject_reason }}"],
    )
    task: str = Field("", description="A short label for the handoff, shown to people.")


class Gate(Spec):
    """A check of the work, by a judge, a person or a command."""

    type: Literal["llm", "human", "command"] = Field(
        "llm",
        description="Who decides. llm: a judge, in a turn of its own · human: a person, with `aqm approve` "
        "or `aqm reject` · command: `run`, whose exit code 0 approves.",
    )
    prompt: str = Field(
        "",
        description="What must be met, a Jinja2 template. Variables: input, output.",
        examples=["Approve only if the change has tests.\n\n{{ output }}"],
    )
    model: str | None = Field(None, description="The judge's model; its name can choose the runtime, too.")
    runtime: str | None = Field(
        None,
        description="The judge's runtime; when left out that of `model`, then the settings', then the "
        "agent's.",
        examples=["claude", "gemini", "codex"],
    )
    run: Command | None = Field(
        None,
        description="The command of a `command` gate, run in the workspace: a line for sh, or a list of "
        "words. It is no template.",
        examples=["make test", ["pytest", "-q"]],
    )
    max_retries: int = Field(
        3, ge=0, description="Rejections since the last approval that are sent back; one more fails the task."
    )
    when: Literal["after", "before"] = Field(
        "after", description="after: the work is checked · before: whether the agent may begin is asked."
    )


class HumanInput(Spec):
    """When a person is asked: before the agent runs, when it asks, or both."""

    enabled: bool = Field(True, description="false: nobody is asked.")
    mode: Literal["before", "on_demand", "both"] = Field(
        "on_demand",
        description="before: a person is asked before the agent runs · on_demand: when its answer has "
        "`HUMAN_INPUT: question` lines; it then goes on with the replies · both: both.",
    )
    prompt: str = Field(
        "",
        description="The question that is asked before the agent runs.",
        examples=["What should the change leave alone?"],
    )


class Retry(Spec):
    """How often, and how soon, a turn is tried again when its runtime fails."""

    max_retries: int = Field(0, ge=0, description="How often a turn is tried again.")
    backoff: float = Field(0.0, ge=0, description="Seconds before each new attempt.")
    fallback_context_strategy: ContextStrategy | None = Field(
        None,
        description="The context_strategy of the attempts after the first; the agent's when left out. "
        + CONTEXT_WORDS,
    )


class McpEntry(Spec):
    """An MCP server; a bare name stands for `npx -y @modelcontextprotocol/server-NAME`."""

    server: str = Field(min_length=1, description="The server's name.", examples=["github", "filesystem"])
    command: str | None = Field(
        None, description="The program; when left out: npx -y @modelcontextprotocol/server-NAME."
    )
    args: Texts = Field((), description="The program's arguments.")
    env: dict[str, str] = Field(
        {},
        description="The program's environment. $VAR, ${VAR} and secret://NAME are looked up when it "
        "starts, and never stored.",
        examples=[{"GITHUB_TOKEN": "$GITHUB_TOKEN"}],
    )


class Chunks(Spec):
    """Tracked units of work."""

    enabled: bool = Field(True, description="false: there are none.")
    initial: Texts = Field(
        (), description="Chunks that exist from the start.", examples=[["Schema", "Endpoints", "Tests"]]
    )


class Consensus(Spec):
    """When a session's participants have agreed."""

    method: Literal["vote", "moderator_decides"] = Field(
        "vote",
        description="vote: the participants · moderator_decides: the summary_agent alone.",
    )
    keyword: str = Field(
        "VOTE: AGREE", description="The line of an answer that agrees.", examples=["VOTE: AGREE"]
    )
    require: Literal["all", "majority"] = Field(
        "all", description="all: every participant must agree · majority: more than half."
    )
    require_chunks_done: bool = Field(
        False, description="true: all chunks must be done, too; the session needs `chunks`."
    )


HumanInputForm = Annotated[HumanInput | None, BeforeValidator(_human_input)]
McpForm = Annotated[McpEntry, BeforeValidator(_mcp_entry)]
