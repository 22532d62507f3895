"""Branches and sessions: what waiting together costs beside waiting once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.embedded import ENVIRON, say, work_off
from bench.project import project

__all__ = ["fan_out", "session"]

WORDS = {"runtime": "command", "permissions": "full", "system_prompt": "{{ input }}"}


def _sleeper(name: str, seconds: float, **keys: Any) -> dict[str, Any]:
    return {
        "id": name,
        "command": ["sh", "-c", f"cat >/dev/null; sleep {seconds}; echo done"],
        **WORDS,
        **keys,
    }


def fan_out() -> None:
    """W3: 8 branches of a command of 1 s, and a join."""
    names = [f"b{number}" for number in range(8)]
    branches = [_sleeper(name, 1.0, handoffs=[{"to": "join"}]) for name in names]
    agents = [_sleeper("split", 0.0, handoffs=[{"to": names}]), *branches, _sleeper("join", 0.0, join="all")]
    _measure("W3  fan-out 8 x 1 s", agents, 1.0, rounds=3)


def session() -> None:
    """W4: a parallel session of 4 speakers and 5 rounds of 0.5 s."""
    names = [f"p{number}" for number in range(4)]
    meeting = {
        "id": "meet",
        "type": "session",
        "participants": names,
        "turn_order": "parallel",
        "max_rounds": 5,
    }
    _measure("W4  session 4 x 5 x 0.5 s", [meeting, *(_sleeper(name, 0.5) for name in names)], 2.5, rounds=2)


def _measure(name: str, agents: Sequence[Mapping[str, Any]], ideal: float, rounds: int) -> None:
    with project(ENVIRON, {"default": {"agents": list(agents)}}) as made:
        took = sorted(work_off(made, 1, "group")[1] for _ in range(rounds))
    say(name, f"{took[0]:.2f} to {took[-1]:.2f} s", f"{took[0] / ideal:.2f} x ideal")
