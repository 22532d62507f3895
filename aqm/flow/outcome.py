"""What a turn ended with: an `Answer` or a `Failure`, and every class of failure with its cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

__all__ = [
    "FAILURES",
    "STALLS",
    "Answer",
    "Failure",
    "FailureClass",
    "Outcome",
    "Remedy",
    "Treatment",
    "Usage",
]


class FailureClass(StrEnum):
    AUTH = "auth"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    CONTEXT_OVERFLOW = "context_overflow"
    MODEL_UNKNOWN = "model_unknown"
    CLI_MISSING = "cli_missing"
    CLI_TOO_OLD = "cli_too_old"
    TIMEOUT = "timeout"
    IDLE = "idle"
    CRASH = "crash"
    REFUSED_TOOL = "refused_tool"
    OUTPUT_INVALID = "output_invalid"
    UNROUTED = "unrouted"
    DISK_FULL = "disk_full"
    CANCELLED = "cancelled"
    WORKER_LOST = "worker_lost"
    POISONED = "poisoned"
    STAGE_LIMIT = "stage_limit"
    REJECTED = "rejected"
    CONDITION_ERROR = "condition_error"
    NO_CONSENSUS = "no_consensus"
    WORKER_REFUSED = "worker_refused"


class Treatment(StrEnum):
    """What the engine does of itself about a failure."""

    RETRY = "retry"  # by the agent's retry policy
    WAIT = "wait"  # the turn waits for the vendor or for a host that can; no retry is spent
    FAIL = "fail"  # trying again cannot help
    REQUEUE = "requeue"  # again at once, on a counter of its own


class Remedy(NamedTuple):
    """`who` can cure it: the author of the pipeline, the operator of the host, the vendor, or nobody."""

    treatment: Treatment
    who: str
    cure: str


STALLS = frozenset({FailureClass.CLI_MISSING, FailureClass.CLI_TOO_OLD})  # this host cannot, another may

_R, _W, _F, _Q = Treatment.RETRY, Treatment.WAIT, Treatment.FAIL, Treatment.REQUEUE

FAILURES: dict[FailureClass, Remedy] = {
    FailureClass.AUTH: Remedy(
        _F, "operator", "Log the CLI in on this host, or set its API key; then: aqm restart."
    ),
    FailureClass.RATE_LIMITED: Remedy(_W, "vendor", "It goes on by itself when the vendor's limit resets."),
    FailureClass.OVERLOADED: Remedy(_W, "vendor", "It goes on by itself when the vendor answers again."),
    FailureClass.CONTEXT_OVERFLOW: Remedy(
        _R, "author", "Show the agent less: a smaller context_window, or context_strategy: last_only."
    ),
    FailureClass.MODEL_UNKNOWN: Remedy(
        _F, "author", "Name a model that the CLI knows, or leave `model` out."
    ),
    FailureClass.CLI_MISSING: Remedy(
        _W, "operator", "Install the CLI (aqm doctor says how); then: aqm resume."
    ),
    FailureClass.CLI_TOO_OLD: Remedy(
        _W, "operator", "Update the CLI (aqm doctor says how); then: aqm resume."
    ),
    FailureClass.TIMEOUT: Remedy(
        _R, "author", "Give it longer (the agent's `timeout`, or timeouts.<runtime> in the config)."
    ),
    FailureClass.IDLE: Remedy(
        _R, "author", "It said nothing for too long: raise `idle_timeout`, or see what it waits for."
    ),
    FailureClass.CRASH: Remedy(_R, "operator", "See what the CLI printed (aqm logs); then: aqm restart."),
    FailureClass.REFUSED_TOOL: Remedy(_F, "author", "Give the agent wider `permissions`, or ask less of it."),
    FailureClass.OUTPUT_INVALID: Remedy(
        _F, "author", "The answer does not fit the agent's `output`: loosen it, or say it in the prompt."
    ),
    FailureClass.UNROUTED: Remedy(
        _F, "author", "Tell the agent in its prompt to end with a line  HANDOFF: <agent>."
    ),
    FailureClass.DISK_FULL: Remedy(_F, "operator", "Free some disk space; then: aqm restart."),
    FailureClass.CANCELLED: Remedy(_F, "nobody", "aqm restart begins it again, when it is wanted after all."),
    FailureClass.WORKER_LOST: Remedy(_Q, "operator", "Its worker went away; it is tried again elsewhere."),
    FailureClass.POISONED: Remedy(
        _F, "operator", "It took down every worker that ran it: look at the host's memory and logs."
    ),
    FailureClass.STAGE_LIMIT: Remedy(
        _F, "author", "Look for a loop without a way out, or raise pipeline.max_stages in the config."
    ),
    FailureClass.REJECTED: Remedy(
        _F, "author", "Add an on_reject handoff, raise gate.max_retries, or look at the reasons."
    ),
    FailureClass.CONDITION_ERROR: Remedy(
        _F, "author", "Guard the condition with has(output.field), or declare the field in `output`."
    ),
    FailureClass.NO_CONSENSUS: Remedy(
        _F, "author", "Raise max_rounds, ask for a majority, or set on_no_consensus."
    ),
    FailureClass.WORKER_REFUSED: Remedy(
        _F, "operator", "Allow it in .aqm/config.yaml (the message names the setting), or narrow the agent."
    ),
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and dollars of one attempt; None is "unknown", which is not 0."""

    input: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The CLI ended well: it printed its final event.

    `fields` holds the structured output where the CLI gave one; `conversation` is the CLI's own id, by
    which a later turn can go on; `denied` names the tools that were refused on the way.
    """

    text: str
    fields: Mapping[str, Any] | None = None
    usage: Usage = field(default_factory=Usage)
    conversation: str | None = None
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """The CLI did not end well. `partial` is what it had said; `resets_in` is in seconds from now."""

    kind: FailureClass
    message: str
    partial: str = ""
    usage: Usage = field(default_factory=Usage)
    conversation: str | None = None
    denied: tuple[str, ...] = ()
    resets_in: float | None = None
    exit_code: int | None = None

    @property
    def remedy(self) -> Remedy:
        return FAILURES[self.kind]


Outcome = Answer | Failure
