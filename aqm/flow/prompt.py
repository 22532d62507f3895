"""What a CLI is given to read: the agent's prompt, the payload of a handoff, and requests to answer again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from aqm.flow.quoting import fenced
from aqm.pipeline.spec import Agent, Handoff
from aqm.pipeline.templates import render, variables

__all__ = [
    "PayloadValues",
    "PromptValues",
    "Rendered",
    "handoff_repair_text",
    "output_repair_text",
    "read_names",
    "render_payload",
    "render_prompt",
    "repaired_text",
    "with_output_request",
]


@dataclass(frozen=True, slots=True)
class PromptValues:
    """The variables of a `system_prompt`. `inputs` holds what a join collected, by agent; `task` holds id,
    description and so on; `stage` number and visits; `output`, `reject_reason` and `gate_result` are those of
    the stage before."""

    input: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    context: str = ""
    transcript: str = ""
    chunks: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    stage: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""
    reject_reason: str = ""
    gate_result: str = ""


@dataclass(frozen=True, slots=True)
class PayloadValues:
    """The variables of a handoff's `payload`; `gate_result` is approved, rejected or empty."""

    output: str
    input: str
    reject_reason: str = ""
    gate_result: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """`text` is the message, `system` what is appended to the CLI's own system prompt."""

    text: str
    system: str = ""


def read_names(source: str) -> frozenset[str]:
    """The variables that a template names, so that only those need be read; cached with the template."""
    return variables(source)


def render_prompt(agent: Agent, values: PromptValues) -> Rendered:
    """A template that names `input` is the whole message; else it is the system prompt, and the input is the
    message, so that input is never lost."""
    source = agent.system_prompt
    if not source.strip():
        return Rendered(values.input)
    rendered = render(source, _values(values))
    return Rendered(rendered) if "input" in read_names(source) else Rendered(values.input, rendered)


def render_payload(handoff: Handoff, values: PayloadValues) -> str:
    """What the next agent gets as its input."""
    return render(handoff.payload, _values(values))


def _values(values: PromptValues | PayloadValues) -> dict[str, object]:
    return {each.name: getattr(values, each.name) for each in fields(values)}


def with_output_request(text: str, schema: Mapping[str, Any]) -> str:
    """The message with a request for the declared output, for a CLI that cannot be asked for it natively."""
    return f"{text}\n\n{_output_request(schema)}"


def output_repair_text(problems: Sequence[str], schema: Mapping[str, Any]) -> str:
    """The request to give the declared output again, with what was wrong with it."""
    told = fenced("\n".join(problems), "text")
    request = _output_request(schema)
    return f"Your answer lacks what was asked for:\n\n{told}\n\nGive your answer again. {request}"


def _output_request(schema: Mapping[str, Any]) -> str:
    described = fenced(json.dumps(schema, ensure_ascii=False, indent=2), "json")
    return (
        "End your answer with one fenced block marked `json` that holds one JSON object, and nothing behind "
        f"it. The object must fit this JSON Schema:\n\n{described}"
    )


def repaired_text(asked: str, said: str, request: str) -> str:
    """An agent is asked again: what it was asked, what it said, and what is wanted now."""
    return f"{asked}\n\nYou have answered this already:\n\n{fenced(said, 'text')}\n\n{request}"


def handoff_repair_text(choices: Sequence[str], invalid: Sequence[str] = ()) -> str:
    """The request to name who comes next, with the lines that named nobody."""
    told = f"These lines name no agent:\n\n{fenced(chr(10).join(invalid), 'text')}\n\n" if invalid else ""
    return (
        f"Your answer does not say who comes next. {told}Choose among: {', '.join(choices)}. "
        "Answer with one line, or with several names parted by commas:\n\nHANDOFF: <name>"
    )
