"""What happens next, as a value. The engine writes it down; nothing here does anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqm.flow.gate import Verdict
from aqm.flow.outcome import Failure

if TYPE_CHECKING:
    from aqm.pipeline.spec import ContextStrategy

__all__ = ["Again", "Arrival", "Decision", "Fail", "HandOff", "Hold", "Judge", "Requeue"]


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
class Judge:
    """The work is done; a judge turn checks it. `repair` tells what was wrong with the last verdict."""

    repair: str = ""


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


Decision = Again | Hold | Requeue | Judge | HandOff | Fail
