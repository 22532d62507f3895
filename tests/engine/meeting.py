"""A session of three, what it says, and what each of them has heard."""

from __future__ import annotations

from typing import Any

from aqm.flow.event import EventKind
from tests.engine.play import Stage, agent, said, session

__all__ = ["AGREE", "ROUTES", "TALK", "TRIO", "heard", "meeting", "speak", "spoken"]

AGREE, TALK = said("Yes.", "VOTE: AGREE"), said("Not yet.")
TRIO = ("ann", "ben", "cid")
ROUTES = [{"to": "next", "condition": "on_approve"}, {"to": "other", "condition": "on_reject"}]


def meeting(*, prompt: str = "", **keys: Any) -> list[dict[str, Any]]:
    keys = {"handoffs": [{"to": "next"}], **keys}
    speakers = [agent(name, system_prompt=prompt, **keys.pop(name, {})) for name in TRIO]
    return [session("meet", *TRIO, **keys), *speakers, agent("next"), agent("other")]


def speak(**says: Any) -> dict[str, Any]:
    return {name: {"speak": replies} for name, replies in says.items()}


def spoken(play: Stage) -> list[tuple[int, str]]:
    """Who spoke, by round, in order."""
    return [(event.data["round"], event.agent) for event in play.happened(EventKind.SPOKE)]


def heard(play: Stage, agent: str, round: int) -> str:
    """What the speaker was given in that round."""
    (text,) = [told.text for told in play.told if (told.agent, told.round) == (agent, round)]
    return text
