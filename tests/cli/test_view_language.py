"""The live view of sessions, fan-outs, joins and people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from aqm.flow.event import Event, EventKind
from aqm.flow.state import TurnKind
from aqm.runtimes.base import Text, ToolStarted
from aqm.service.views import LiveLine
from tests.cli.test_view import Show

SPEAKERS = ("architect", "security")


class Session(Show):
    """Stage 1 is a session of architect and security."""

    def __init__(self, terminal: bool = False, **options: Any) -> None:
        super().__init__(terminal, members=lambda task, agent: SPEAKERS, **options)
        self.event(EventKind.STAGE_START, 1, "council", runtime="session", branch="")

    def round(self, number: int) -> None:
        self.event(EventKind.ROUND_START, 1, "council", round=number, rounds=4)

    def begins(self, who: str, kind: TurnKind = TurnKind.SPEAK) -> None:
        self.event(EventKind.TURN_START, 1, who, kind=kind.value, runtime="claude")

    def says(self, who: str, text: str, kind: TurnKind = TurnKind.SPEAK) -> None:
        self.live(Text(text), 1, who, kind)

    def spoke(self, who: str, vote: bool | None = None) -> None:
        self.event(EventKind.TURN_COMPLETE, 1, who, kind="speak")
        self.event(EventKind.SPOKE, 1, who, round=1, vote=vote)

    def live(self, live: Any, stage: int = 1, agent: str = "dev", kind: TurnKind = TurnKind.WORK) -> None:
        self.view.on_live(LiveLine("T-1", stage, agent, kind, f"{stage}-{agent}-{kind}", live))


def test_a_session_is_told_by_rounds_speakers_votes_and_consensus() -> None:
    show = Session()
    show.round(1)
    for who, text, vote in (("architect", "I propose JWT.\n\nMore.", None), ("security", "Fine.\n", True)):
        show.begins(who)
        show.says(who, text)
        show.spoke(who, vote)
    votes = {"security": True, "architect": True}  # as they came
    show.event(EventKind.ROUND_COMPLETE, 1, "council", round=1, votes=votes, chunks_open=0)
    show.event(EventKind.CONSENSUS, 1, "council", reached=True, round=1)
    show.begins("architect", TurnKind.SUMMARY)
    show.says("architect", "JWT it is.\n", TurnKind.SUMMARY)
    show.event(EventKind.TURN_COMPLETE, 1, "architect", kind="summary", input=10, output=5)
    show.event(EventKind.STAGE_COMPLETE, 1, "council", seconds=1.0)
    assert show.lines == [
        "── 1 · council (session of architect, security) ──",
        "── Round 1 ──",
        "architect: I propose JWT.",
        "",
        "More.",
        "security: Fine.",
        "  ✓ architect  ✓ security",
        "  consensus after 1 round",
        "── Summary ──",
        "architect: JWT it is.",
        "  ✓ council · 1.0 s · 15 tokens",
    ]


def test_speakers_at_once_are_named_on_each_line_until_the_round_is_over() -> None:
    show = Session(terminal=True)
    show.round(1)
    show.begins("architect")
    show.begins("security")
    show.says("architect", "One ")
    show.says("security", "Two\nThree")
    show.live(ToolStarted("t", "Read", "app.py"), 1, "architect", TurnKind.SPEAK)
    show.says("architect", "and more\n")
    show.spoke("architect")
    show.says("security", " lines\n")
    show.spoke("security")
    plain = _plain(show)
    assert plain[2:] == [
        "security: Two",
        "architect: One ",
        "architect:   ▸ Read app.py",
        "architect: and more",
        "security: Three lines",
    ]
    show.round(2)
    show.begins("architect")
    show.says("architect", "Streams")
    assert _plain(show)[-1] == "architect: Streams"


def _plain(show: Show) -> list[str]:
    return re.sub("\x1b\\[[0-9;]*m", "", show.text).splitlines()


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        (EventKind.SPOKE, {"vote": False}, "  ✗ dev disagrees"),
        (EventKind.ABSENT, {"round": 2, "class": "crash"}, "  – dev is absent in this round"),
        (EventKind.CONSENSUS, {"reached": False, "round": 3}, "  no consensus after 3 rounds"),
        (EventKind.ROUND_COMPLETE, {"votes": {"a": True, "b": False}}, "  ✓ a"),
        (
            EventKind.ROUND_COMPLETE,
            {"votes": {"a": True}, "chunks_open": 2},
            "  ✓ a  · 2 chunks still open",
        ),
        (EventKind.CHUNK_UPDATE, {"chunk": "C-001", "change": "done"}, "  · C-001 done"),
        (EventKind.GATE_WAITING, {"question": "Good?"}, "  ? waits for an approval: Good?"),
        (EventKind.HUMAN_INPUT_WAITING, {"question": "Which one?"}, "  ? asks: Which one?"),
        (EventKind.HUMAN_INPUT, {"answer": "The left one."}, "  · answered: The left one."),
        (EventKind.BRANCH_WAITS, {"branch": "/1.1"}, "  … waits at dev for the other branches"),
        (EventKind.BRANCH_LATE, {"branch": "/1.1"}, "  · too late for dev, which has gone on"),
        (EventKind.BRANCH_CANCELLED, {"reason": "qa failed"}, "  ✗ dev is cancelled — qa failed"),
        (EventKind.TASK_RESTARTED, {"from_stage": 3}, "  ↻ begins again from stage 3"),
        (EventKind.PRIORITY, {"priority": "high"}, "  · priority high"),
        (EventKind.TURN_START, {"kind": "gate", "runtime": "command"}, "  · the gate's command runs"),
        (EventKind.ROUTED, {"fallback": False}, "  → dev starts"),
        (
            EventKind.ROUTED,
            {"fallback": True, "why": "no agent"},
            "  ! the router chose nobody: dev, the first one, starts — no agent",
        ),
    ],
)
def test_the_words_of_the_language(kind: EventKind, data: dict[str, Any], line: str) -> None:
    show = Show()
    show.start()
    show.event(kind, **data)
    show.view.finish()
    assert show.lines[-1] == line


# Branches ----------------------------------------------------------------------------------------


def fan_out(show: Show, targets: Sequence[str], opener: int = 1) -> None:
    """The hand-offs of one moment, as they are told: each with what it opens."""
    for place, target in enumerate(targets, 1):
        tell = show.event if place == 1 else show.also
        tell(EventKind.HANDOFF, opener, "plan", to=target, condition="always")
        branch = f"/{opener}.{place}" if len(targets) > 1 else ""
        show.also(EventKind.STAGE_START, opener + place, target, runtime="claude", branch=branch)


def test_a_fan_out_is_one_line_and_its_stages_are_told_apart() -> None:
    show = Show()
    show.start(1, "plan")
    show.event(EventKind.STAGE_COMPLETE, 1, "plan", seconds=1.0)
    fan_out(show, ["left", "right"])
    show.event(EventKind.TURN_START, 2, "left", kind="work", runtime="claude")
    show.live(Text("Hello\n"), 2, "left")
    assert show.lines[1:] == [
        "  ✓ plan · 1.0 s",
        "  → left, right (2 branches)",
        "── 2 · left (claude) ──",
        "2 left │ Hello",
    ]


def test_a_hand_off_to_one_is_told_as_soon_as_its_stage_opens() -> None:
    show = Show()
    show.start(1, "plan")
    fan_out(show, ["next"])
    assert show.lines[-1] == "  → next"


def test_a_join_names_whose_branches_it_has_brought_together() -> None:
    show = Show()
    show.start(1, "plan")
    show.event(EventKind.STAGE_COMPLETE, 1, "plan", seconds=1.0)
    fan_out(show, ["left", "right"])
    for stage, agent in ((2, "left"), (3, "right")):
        show.event(EventKind.STAGE_COMPLETE, stage, agent, seconds=1.0)
        show.also(EventKind.HANDOFF, stage, agent, to="merge", condition="always")
        show.also(EventKind.BRANCH_WAITS, stage, "merge", branch=f"/1.{stage - 1}")
    show.also(EventKind.STAGE_START, 4, "merge", runtime="claude", branch="")
    show.also(EventKind.JOINED, 4, "merge", branches=["/1.1", "/1.2"])
    show.event(EventKind.TURN_START, 4, "merge", kind="work", runtime="claude")
    assert show.lines[3:] == [
        "  ✓ left · 1.0 s",
        "  → merge",
        "  … waits at merge for the other branches",
        "  ✓ right · 1.0 s",
        "  → merge",
        "── 4 · merge (claude) ──",
        "  ⇥ joined left, right",
    ]


def test_a_cancelled_branch_leaves_the_other_one_alone_on_the_screen() -> None:
    show = Show(terminal=True)
    show.start(1, "left")
    show.start(2, "right")
    show.event(EventKind.BRANCH_CANCELLED, 1, "left", branch="/1.1", reason="right failed")
    show.live(Text("Hel"), 2, "right")
    assert show.text.endswith("Hel")  # it streams again


def test_a_routed_task_gets_its_heading_when_the_agent_is_known() -> None:
    show = Show()
    show.event(EventKind.STAGE_START, 1, "dev", runtime="gemini", branch="", routed=True)
    show.event(EventKind.TURN_START, 1, "dev", kind="route", runtime="gemini")
    show.event(EventKind.TURN_COMPLETE, 1, "dev", kind="route")
    show.event(EventKind.ROUTED, 1, "qa", fallback=False)
    show.event(EventKind.TURN_START, 1, "qa", kind="work", runtime="claude")
    assert show.lines == ["  · gemini chooses who starts", "  → qa starts", "── 1 · qa (claude) ──"]


def test_what_comes_while_somebody_else_has_the_screen_is_shown_afterwards() -> None:
    show = Show()
    show.start()
    with show.view.held():
        show.live(Text("Hello\n"))
        show.event(EventKind.STAGE_COMPLETE, seconds=1.0)
        assert show.lines == ["── 1 · dev (claude) ──"]
    assert show.lines[1:] == ["Hello", "  ✓ dev · 1.0 s"]


def test_what_happened_before_is_known_without_a_word() -> None:
    past = [
        Event(1, 0.0, EventKind.STAGE_START, "T-2", 1, "plan", {"runtime": "claude", "branch": ""}),
        Event(2, 0.0, EventKind.STAGE_COMPLETE, "T-2", 1, "plan", {"seconds": 1.0}),
        Event(3, 0.0, EventKind.STAGE_START, "T-2", 2, "council", {"runtime": "session", "branch": ""}),
    ]
    show = Show(members=lambda task, agent: SPEAKERS)
    for event in past:
        show.view.recall(event)
    assert show.lines == []
    assert show.view.seen == {"T-2": 3}
    show.view.on_event(Event(4, 1.0, EventKind.ROUND_START, "T-2", 2, "council", {"round": 3, "rounds": 4}))
    assert show.lines == ["── 2 · council (session of architect, security) ──", "── Round 3 ──"]


def test_a_restart_closes_what_was_open() -> None:
    show = Show()
    show.start(1, "left")
    show.start(2, "right")
    show.event(EventKind.TASK_RESTARTED, None, "", from_stage=1)
    show.event(EventKind.STAGE_START, 3, "left", runtime="claude", branch="")
    show.event(EventKind.TURN_START, 3, "left", kind="work", runtime="claude")
    show.live(Text("Anew\n"), 3, "left")
    assert show.lines[-3:] == ["  ↻ begins again from stage 1", "── 3 · left (claude) ──", "Anew"]
