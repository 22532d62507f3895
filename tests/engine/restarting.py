"""What tests of restarts share: a fan-out with a join, and the restart itself."""

from __future__ import annotations

import json
from typing import Any

from aqm.service.reworking import restart
from tests.engine.hand import Hand, fan, said
from tests.engine.play import Stage, agent

__all__ = ["FORK", "again", "change", "change_script", "counted", "says"]

FORK = [
    agent("split", **fan("a", "b", "c")),
    agent("a", "j"),
    agent("b", "j"),
    agent("c", "j"),
    agent("j", "end", join="all"),
    agent("end"),
]


def says(*names: str) -> dict[str, Any]:
    return {name: said(f"{name}'s") for name in names}


def change(play: Stage, agents: list[dict], **more: Any) -> None:
    """The pipeline's file is edited."""
    document = {"agents": agents, **more}
    (play.project.pipelines / "default.yaml").write_text(json.dumps(document))


def again(hand: Hand, since: int | None = None, **keys: Any) -> None:
    own = "AQM_DATABASE_URL" not in hand.play.environ
    restart(hand.play.project, hand.play.task, from_stage=since, own=own, **keys)
    hand.agree()


def counted(hand: Hand) -> list[tuple[int, str]]:
    return [(number, name) for number, (name, _) in hand.places().items()]


def change_script(hand: Hand, agents: dict[str, Any]) -> None:
    hand.play.script.write_text(json.dumps({"pace": 0, "agents": agents}))
