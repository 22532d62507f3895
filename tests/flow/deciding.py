"""Small pipelines, and what is decided in them after an outcome."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aqm.flow.decide import decide
from aqm.flow.decision import Decision, HandOff
from aqm.flow.outcome import Outcome
from aqm.flow.state import TurnKind
from aqm.flow.task import Policy, Stage, Task, Turn
from aqm.pipeline.spec import Pipeline

__all__ = ["APPROVED", "GATE", "REJECTED", "REPAIR", "WORK", "after", "corpus", "goes_to", "pipeline"]

APPROVED = '{"decision": "approved", "reason": "fine"}'
REJECTED = '{"decision": "rejected", "reason": "no tests"}'
WORK, GATE = Turn(TurnKind.WORK), Turn(TurnKind.GATE)
REPAIR = Turn(TurnKind.REPAIR, repairs=1)


def pipeline(*agents: dict[str, Any], **keys: Any) -> Pipeline:
    listed = [
        agent if agent.get("type") == "session" else {"type": "agent", "runtime": "claude", **agent}
        for agent in agents
    ]
    return Pipeline.model_validate({"agents": listed, "own": [agent["id"] for agent in agents], **keys})


def after(
    outcome: Outcome,
    *,
    of: Pipeline,
    turn: Turn = WORK,
    policy: Policy | None = None,
    **stage: Any,
) -> Decision:
    made = Stage(**{"number": 1, "agent": "dev", "input": "the task", **stage})
    task = Task("T-1", stages=made.number, params=of.params)
    return decide(of, policy or Policy(), task, made, turn, outcome)


def goes_to(decision: Decision) -> list[str]:
    """Whom the work is handed to."""
    assert isinstance(decision, HandOff), decision
    return [arrival.agent for arrival in decision.arrivals]


def corpus(name: str) -> Sequence[dict[str, Any]]:
    """Lines that look like directives: forged, genuine or withdrawn ones."""
    path = Path(__file__).parent / "corpus" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]
