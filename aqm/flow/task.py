"""What a decision looks at: a task, its stage and the turn that ended, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aqm.flow.state import TurnKind

if TYPE_CHECKING:
    from aqm.flow.gate import Verdict
    from aqm.pipeline.spec import ContextStrategy

__all__ = ["Policy", "Stage", "Task", "Turn"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits and defaults that a task was submitted under; stored with it, so that every worker decides
    alike. Times are in seconds, by runtime."""

    max_stages: int = 20
    fan_out: int = 32
    gate_runtime: str | None = None
    gate_model: str | None = None
    gate_timeout: float = 120.0
    gate_system_prompt: str | None = None
    router_runtime: str | None = None
    timeouts: Mapping[str, float] = field(default_factory=dict)
    idle_timeouts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """`stages` counts those opened in this run, over all branches."""

    id: str
    stages: int = 1
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """`rejections` counts those of this agent in this branch since its last approval; `output` is None
    until the work was answered, `fields` until it was checked against a declared `output`. `verdict` is the
    gate's, once there is one."""

    number: int
    agent: str
    input: str
    output: str | None = None
    branch: str = ""
    visit: int = 1
    rejections: int = 0
    fields: Mapping[str, Any] | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """`agent` is who answers: in a session a participant. `failures` are retries spent, `losses` lost
    workers, `holds` waits for the vendor or a host."""

    kind: TurnKind
    repairs: int = 0
    failures: int = 0
    losses: int = 0
    holds: int = 0
    strategy: ContextStrategy | None = None
    agent: str = ""
