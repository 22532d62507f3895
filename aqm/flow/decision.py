"""What happens next, as a value. The engine writes it down; nothing here does anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aqm.flow.gate import Verdict
from aqm.flow.outcome import Failure
from aqm.flow.state import Waits

if TYPE_CHECKING:
    from aqm.pipeline.spec import ContextStrategy

__all__ = [
    "Absent",
    "Again",
    "Arrival",
    "Ask",
    "Decision",
    "Fail",
    "HandOff",
    "Hold",
    "Judge",
    "Repair",
    "Requeue",
    "Routed",
    "Spoke",
    "Work",
]

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A payload for an agent, and the condition that sent it."""

    agent: str
    payload: str
    condition: str


@dataclass(frozen=True, slots=True)
class Again:
    """The same turn once more after `delay` seconds; a retry of the agent's policy is spent."""

    delay: float
    failure: Failure
    strategy: ContextStrategy | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """The same turn later; nothing is spent. With `stalls` no worker can run it until a person helps."""

    delay: float
    failure: Failure
    stalls: bool = False


@dataclass(frozen=True, slots=True)
class Requeue:
    """The worker was lost: the same turn at once, on a counter of its own."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Work:
    """The agent works, or the session meets. `note` is what a person was asked and answered, as JSON;
    `verdict` that of a gate before the work."""

    note: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge's turn, or the gate's command. `repair` tells what was wrong with the last verdict; `fields`
    are the answer's, checked against its declared output."""

    repair: str = ""
    fields: Fields | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A person is asked for a verdict or an answer; the branch waits."""

    waits: Waits
    question: str
    fields: Fields | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Repair:
    """The agent is asked to answer in the agreed form; `note` is the request."""

    note: str
    fields: Fields | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Spoke:
    """A participant had its say in a round; `vote` is None when it said nothing of one."""

    vote: bool | None


@dataclass(frozen=True, slots=True)
class Absent:
    """A participant could not speak in this round."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Routed:
    """The agent that the task starts at; None: the router's answer named none, and the first one starts."""

    agent: str | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class HandOff:
    """The stage ended well. No arrival: the branch ends here.

    `misses` are comparisons that named a field the answer lacks; `unmatched` the conditions of an agent
    none of whose handoffs fired.
    """

    arrivals: tuple[Arrival, ...] = ()
    verdict: Verdict | None = None
    misses: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fail:
    """The stage failed, and its branch with it."""

    failure: Failure
    verdict: Verdict | None = None


Decision = Again | Hold | Requeue | Work | Judge | Ask | Repair | Spoke | Absent | Routed | HandOff | Fail
