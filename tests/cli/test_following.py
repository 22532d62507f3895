"""Following a task: everything is told, in order, and once."""

import io

import pytest

from aqm.cli.following import Following, missing
from aqm.cli.terminal import Screen
from aqm.cli.view import View
from aqm.flow.event import Event, EventKind
from aqm.flow.state import AttemptStatus, TurnKind
from aqm.runtimes.base import Text
from aqm.service.views import LiveLine, LogEntry


@pytest.mark.parametrize(
    ("told", "answer", "rest"),
    [
        ("", "all of it", "all of it"),
        ("all of", "all of it", " it"),
        ("all of it", "all of it", ""),
        ("first I look.\n\nall", "all of it", " of it"),
        ("first I look.\n\nall of it", "all of it", ""),
        ("first I lo", "all of it", "\n\nall of it"),
        ("something", "", ""),
        ("aa", "aaab", "ab"),
    ],
)
def test_what_is_missing_of_an_answer(told: str, answer: str, rest: str) -> None:
    assert missing(told, answer) == rest


class Show:
    def __init__(self, *entries: LogEntry) -> None:
        self.stream = io.StringIO()
        self.following = Following(
            View(Screen(self.stream)), lambda stage: [e for e in entries if e.stage == stage]
        )

    def event(self, what: EventKind, stage: int, **data: object) -> None:
        self.following.on_event(Event(1, 0.0, what, "T-1", stage, "dev", data))

    def live(self, text: str, attempt: str) -> None:
        self.following.on_live(LiveLine("T-1", 1, "dev", TurnKind.WORK, attempt, Text(text)))

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def entry(
    text: str, attempt: str = "a1", stage: int = 1, status: AttemptStatus = AttemptStatus.ANSWERED
) -> LogEntry:
    return LogEntry(stage, "dev", TurnKind.WORK, attempt, 1, status, text)


def test_a_turn_that_had_ended_before_is_told_from_the_logs() -> None:
    show = Show(entry("done"))
    show.event(EventKind.TURN_START, 1, kind="work", runtime="claude")
    show.event(EventKind.TURN_COMPLETE, 1, kind="work")
    assert show.lines == ["── 1 · dev (claude) ──", "done"]


def test_the_end_of_a_text_that_polling_missed_comes_before_the_turn_s_end() -> None:
    show = Show(entry("one two three"))
    show.event(EventKind.TURN_START, 1, kind="work", runtime="claude")
    show.live("one tw", "a1")
    show.event(EventKind.TURN_COMPLETE, 1, kind="work", denied=["Bash"])
    show.live("o three", "a1")
    assert show.lines == ["── 1 · dev (claude) ──", "one two three", "  ! tools refused: Bash"]


def test_a_turn_that_runs_is_left_to_polling() -> None:
    show = Show(
        entry("failed", "a1", status=AttemptStatus.FAILED),
        entry("so far", "a2", status=AttemptStatus.RUNNING),
    )
    show.event(EventKind.TURN_START, 1, kind="work", runtime="claude")
    show.event(EventKind.TURN_FAILED, 1, **{"class": "crash", "message": "boom"})
    show.live("so far\n", "a2")
    assert show.lines == ["── 1 · dev (claude) ──", "failed", "  ✗ crash — boom", "so far"]
