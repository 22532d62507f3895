"""The live view: what a reader sees of agents at work."""

import errno
import io
import threading
from typing import Any

import pytest

from aqm.cli.telling import LINES
from aqm.cli.terminal import Screen
from aqm.cli.view import View
from aqm.flow.event import Event, EventKind
from aqm.flow.state import TurnKind
from aqm.runtimes.base import Live, Notice, Text, Thinking, ToolFinished, ToolStarted
from aqm.service.views import LiveLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Show:
    """A view with a screen that can be read back."""

    def __init__(self, terminal: bool = False, **options: Any) -> None:
        self.stream = Terminal() if terminal else io.StringIO()
        self.view = View(Screen(self.stream, decorated=terminal), **options)
        self.seq = 0
        self.at = 0.0

    def event(self, what: EventKind, stage: int | None = 1, agent: str = "dev", /, **data: Any) -> None:
        self.at += 1
        self.also(what, stage, agent, **data)

    def also(self, what: EventKind, stage: int | None = 1, agent: str = "dev", /, **data: Any) -> None:
        """At the same moment as the event before."""
        self.seq += 1
        self.view.on_event(Event(self.seq, self.at, what, "T-1", stage, agent, data))

    def live(self, live: Live, stage: int = 1, agent: str = "dev", kind: TurnKind = TurnKind.WORK) -> None:
        self.view.on_live(LiveLine("T-1", stage, agent, kind, f"{stage}-{kind}", live))

    def start(self, stage: int = 1, agent: str = "dev", runtime: str = "claude") -> None:
        self.event(EventKind.STAGE_START, stage, agent)
        self.event(EventKind.TURN_START, stage, agent, kind="work", runtime=runtime, attempt=1)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def test_every_kind_of_event_has_its_words() -> None:
    assert set(LINES) == set(EventKind)


@pytest.mark.parametrize("kind", list(EventKind))
def test_an_event_without_data_is_told_too(kind: EventKind) -> None:
    show = Show()
    show.event(kind)
    show.view.finish()


def test_a_stage_has_a_heading_its_text_and_a_summary() -> None:
    show = Show()
    show.start(2, "developer")
    show.live(Text("Done.\n"), 2, "developer")
    show.event(EventKind.TURN_COMPLETE, 2, "developer", kind="work", input=1200, output=300)
    show.event(EventKind.TURN_COMPLETE, 2, "developer", kind="gate", input=100, output=None)
    show.event(EventKind.STAGE_COMPLETE, 2, "developer", seconds=12.4)
    assert show.lines == ["── 2 · developer (claude) ──", "Done.", "  ✓ developer · 12 s · 1.6k tokens"]


def test_tokens_that_nobody_knows_are_not_shown_as_none() -> None:
    show = Show()
    show.start()
    show.event(EventKind.TURN_COMPLETE, input=None, output=None)
    show.event(EventKind.STAGE_COMPLETE, seconds=1.0)
    assert show.lines[-1] == "  ✓ dev · 1.0 s"


def test_without_a_terminal_there_is_no_escape_and_lines_are_whole() -> None:
    show = Show()
    show.start()
    for piece in ("one ", "t", "wo\nthr", "ee"):
        show.live(Text(piece))
    assert show.lines == ["── 1 · dev (claude) ──", "one two"]
    show.view.finish()
    assert show.lines[-1] == "three"
    assert "\x1b" not in show.text


def test_on_a_terminal_text_streams_as_it_comes() -> None:
    show = Show(terminal=True)
    show.start()
    show.live(Text("one "))
    assert show.text.endswith("one ")
    show.live(Text("two"))
    assert show.text.endswith("one two")
    show.event(EventKind.GATE_VERDICT, approved=True, reason="")
    assert "one two\n" in show.text


def test_a_sequence_split_over_two_pieces_leaves_nothing_behind() -> None:
    show = Show(terminal=True)
    show.start()
    for piece in ("a\x1b", "[31mb\x1b]8;;http", "://x\x1b\\c"):
        show.live(Text(piece))
    assert show.text.endswith("abc")


def test_agents_at_work_side_by_side_are_told_apart_on_each_line() -> None:
    show = Show(terminal=True)
    show.start(2, "api")
    show.start(3, "ui")
    show.live(Text("from a"), 2, "api")
    show.live(Text("from b\n"), 3, "ui")
    show.live(Text("pi\n"), 2, "api")
    show.event(EventKind.STAGE_COMPLETE, 2, "api", seconds=1.0)
    plain = show.text.replace("\x1b[36m", "").replace("\x1b[0m", "")
    assert "3 ui │ from b\n2 api │ from api\n" in plain


def test_text_before_a_tool_is_shown_before_the_tool() -> None:
    show = Show()
    show.start()
    show.live(Text("I look."))
    show.live(ToolStarted("t", "Read", "src/app.py"))
    show.live(ToolFinished("t", True))
    assert show.lines[1:] == ["I look.", "  ▸ Read src/app.py"]


def test_empty_lines_between_a_tool_and_the_text_are_left_out() -> None:
    show = Show()
    show.start()
    show.live(ToolStarted("t", "Read", "src/app.py"))
    show.live(Text("\n\n"))
    show.live(Text("\nNow I know.\n\nAll of it.\n"))
    assert show.lines[1:] == ["  ▸ Read src/app.py", "Now I know.", "", "All of it."]


def test_a_rejected_stage_gets_no_tick_though_it_is_complete() -> None:
    show = Show()
    show.start()
    show.event(EventKind.GATE_VERDICT, approved=False, reason="no tests")
    show.event(EventKind.STAGE_COMPLETE, seconds=1.0)
    assert show.lines[1:] == ["  ✗ rejected — no tests", "  · dev · 1.0 s"]


def test_handoffs_that_did_not_match_are_told_to_the_curious() -> None:
    for verbose in (False, True):
        show = Show(verbose=verbose)
        show.start()
        show.event(EventKind.NO_HANDOFF, conditions=["on_reject"])
        assert ("  · no handoff matched: on_reject" in show.lines) is verbose


def test_a_tool_that_fails_is_named_and_one_that_succeeds_is_silent() -> None:
    show = Show()
    show.start()
    show.live(ToolStarted("t", "Bash", "make\ntest"))
    show.live(ToolFinished("t", False, "exit 2"))
    assert show.lines[1:] == ["  ▸ Bash make", "  ✗ Bash exit 2"]


def test_thinking_is_for_terminals_and_for_the_curious() -> None:
    for options, shown in (({}, False), ({"verbose": True}, True), ({"terminal": True}, True)):
        show = Show(**options)
        show.start()
        show.live(Thinking("hmm\n"))
        assert ("hmm" in show.text) is shown


def test_thinking_is_dim_and_apart_from_the_text() -> None:
    show = Show(terminal=True)
    show.start()
    show.live(Thinking("hmm"))
    show.live(Text("Yes."))
    assert show.text.endswith("\x1b[2mhmm\x1b[0m\nYes.")


def test_what_a_judge_says_is_shown_only_when_asked_for() -> None:
    for verbose in (False, True):
        show = Show(verbose=verbose)
        show.start()
        show.live(Text('{"decision": "approved"}\n'), kind=TurnKind.GATE)
        assert ("decision" in show.text) is verbose


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        (EventKind.GATE_VERDICT, {"approved": True, "reason": ""}, "  ✓ approved"),
        (EventKind.GATE_VERDICT, {"approved": False, "reason": "no tests"}, "  ✗ rejected — no tests"),
        (
            EventKind.TURN_RETRY,
            {"class": "crash", "message": "boom", "delay": 3.0, "attempt": 2},
            "  ↻ tries again in 3.0 s",
        ),
        (
            EventKind.TURN_WAITS,
            {"class": "rate_limited", "message": "enough", "delay": 90.0},
            "  … tries again in 1 min 30 s",
        ),
        (EventKind.HANDOFF, {"to": ["a", "b"], "condition": "always"}, "  → a, b (2 branches)"),
        (EventKind.HANDOFF, {"to": "a", "condition": "on_reject"}, "  → a (on_reject)"),
        (EventKind.TURN_COMPLETE, {"denied": ["Bash", "Write"]}, "  ! tools refused: Bash, Write"),
        (EventKind.TURN_START, {"kind": "gate", "runtime": "gemini"}, "  · gemini judges the work"),
    ],
)
def test_the_words_of_events(kind: EventKind, data: dict[str, Any], line: str) -> None:
    show = Show()
    show.start()
    show.event(kind, **data)
    show.view.finish()
    assert show.lines[-1] == line


def test_what_only_a_person_can_cure_does_not_promise_to_try_again() -> None:
    show = Show()
    show.start()
    show.event(EventKind.TURN_WAITS, **{"class": "cli_missing", "message": "none", "delay": 15.0})
    assert show.lines == ["── 1 · dev (claude) ──"]


def test_markup_and_escapes_of_agents_are_printed_as_text() -> None:
    show = Show()
    show.start()
    show.live(Text("[/markup] \x1b[2Jx\n"))
    show.live(Notice("[bold]\x1b]52;c;AAAA\x07careful"))
    show.event(EventKind.GATE_VERDICT, approved=False, reason="\x1b[31m[/red]")
    assert show.lines[1:] == ["[/markup] x", "  ! [bold]careful", "  ✗ rejected — [/red]"]


def test_a_heading_comes_even_when_the_beginning_was_missed() -> None:
    show = Show()
    show.live(Text("still here\n"), 4, "tester")
    assert show.lines == ["── 4 · tester ──", "still here"]


def test_a_late_line_of_a_closed_stage_does_not_open_it_again() -> None:
    show = Show()
    show.start()
    show.event(EventKind.STAGE_COMPLETE, seconds=1.0)
    show.live(Text("late\n"))
    show.start(2, "qa")
    show.live(Text("hi\n"), 2, "qa")
    assert show.lines[-3:] == ["late", "── 2 · qa (claude) ──", "hi"]


def test_only_one_stage_can_be_watched() -> None:
    show = Show(only=2)
    show.start(1, "dev")
    show.start(2, "qa")
    show.live(Text("one\n"), 1, "dev")
    show.live(Text("two\n"), 2, "qa")
    assert show.lines == ["── 2 · qa (claude) ──", "two"]


def test_several_tasks_are_told_apart() -> None:
    show = Show(many=True)
    show.start()
    assert show.lines == ["── T-1 · 1 · dev (claude) ──"]


def test_a_reader_who_left_is_noticed_once_and_breaks_nothing() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    told: list[int] = []
    view = View(Screen(Closed()), unread=lambda: told.append(1))
    for seq in range(3):
        view.on_event(Event(seq, 0.0, EventKind.TURN_START, "T-1", 1, "dev", {"runtime": "claude"}))
    assert told == [1]
    assert view.broken


def test_lines_of_many_threads_stay_whole() -> None:
    show = Show()
    show.start(1, "a")
    show.start(2, "b")

    def talk(stage: int, agent: str) -> None:
        for number in range(200):
            show.live(Text(f"{agent}{number} "), stage, agent)
            show.live(Text("end\n"), stage, agent)

    threads = [threading.Thread(target=talk, args=place) for place in ((1, "a"), (2, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spoken = show.lines[2:]
    assert len(spoken) == 400
    assert all(line in {f"1 a │ a{n} end", f"2 b │ b{n} end"} for n, line in _numbered(spoken))


def _numbered(lines: list[str]) -> list[tuple[int, str]]:
    return [(int(line.split("│ ")[1].split()[0][1:]), line) for line in lines]


def test_with_several_tasks_every_line_has_its_task_and_the_agent_that_is_done_is_still_named() -> None:
    show = Show(many=True)
    show.event(EventKind.TASK_RESUMED, None, "")
    show.start()
    show.live(Text("Hello\n"))
    show.event(EventKind.STAGE_COMPLETE, seconds=1.0)
    show.event(EventKind.HANDOFF, to="qa")
    show.view.finish()
    assert show.lines == [
        "T-1 │   · goes on",
        "── T-1 · 1 · dev (claude) ──",
        "T-1 1 dev │ Hello",
        "T-1 1 dev │   ✓ dev · 1.0 s",
        "T-1 1 dev │   → qa",
    ]


def test_with_several_tasks_text_does_not_stream_without_its_name() -> None:
    show = Show(terminal=True, many=True)
    show.start()
    show.live(Text("Hel"))
    assert "Hel" not in show.text
    show.live(Text("lo\n"))
    assert show.text.endswith("T-1 1 dev │ \x1b[0mHello\n")


def test_a_screen_that_is_full_breaks_the_view_as_a_reader_who_left_does() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    view = View(Screen(Full()))
    view.on_event(Event(1, 0.0, EventKind.TURN_START, "T-1", 1, "dev", {"runtime": "claude"}))
    view.finish()
    assert view.broken is not None
    assert view.broken.errno == errno.ENOSPC
