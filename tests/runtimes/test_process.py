"""The one subprocess door: how processes end, and that nothing of them is left, held together either way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aqm.runtimes import process, tree
from aqm.runtimes.base import Stop
from aqm.runtimes.lines import Lines
from aqm.runtimes.process import Command, Ending, Enough, Exit
from aqm.runtimes.tree import Protection
from tests.runtimes.bench import AGENT_CLI


class Runs:
    """Runs the script CLI and keeps what it printed; `mark` is on every process of it."""

    def __init__(self, tmp_path: Path, held: Protection) -> None:
        self.folder, self.held = tmp_path, held
        self.mark = uuid.uuid4().hex
        self.lines: list[str] = []

    def command(self, *acts: list[object], **changes: object) -> Command:
        env = {"PATH": os.environ["PATH"], "PLAY": json.dumps(acts)}
        settings = {"argv": (str(AGENT_CLI),), "cwd": self.folder, "env": env, "mark": self.mark}
        settings |= {"wall": 20.0, "idle": 20.0, "protection": self.held, **changes}
        return Command(**settings)  # type: ignore[arg-type]

    def run(self, *acts: list[object], stop: Stop | None = None, **changes: object) -> Exit:
        sink = Lines(lambda line, _: self.lines.append(line))
        return process.run(self.command(*acts, **changes), Stop() if stop is None else stop, sink)

    def left(self) -> list[int]:
        return tree.marked(self.mark)

    def all_gone(self) -> bool:
        """Whether nothing is left; a killed process needs a moment to go."""
        _until(lambda: not self.left(), seconds=1)
        return True


@pytest.fixture
def runs(tmp_path: Path, held: Protection) -> Iterator[Runs]:
    runs = Runs(tmp_path, held)
    yield runs
    tree.sweep(runs.mark)  # a failing test leaves nothing either


def timed(work: Callable[[], Exit]) -> tuple[Exit, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


def test_this_host_says_how_it_can_hold_processes() -> None:
    print(f"protection: {process.protection()}")
    assert process.protection() in ("namespace", "group")


def test_output_exit_code_and_stderr_come_back(runs: Runs) -> None:
    exit = runs.run(["say", "one\r\ntwo"], ["complain", "hm"], ["exit", 3])
    assert (exit.ending, exit.code, exit.stderr) == (Ending.EXITED, 3, "hm\n")
    assert runs.lines == ["one", "two"]


def test_the_last_line_needs_no_newline(runs: Runs) -> None:
    runs.run(["say", "unfinished", {"end": ""}])
    assert runs.lines == ["unfinished"]


def test_what_was_printed_just_before_the_end_is_not_lost(runs: Runs) -> None:
    for _ in range(10):
        runs.lines.clear()
        runs.run(["say", "x" * 60_000], ["exit", 0])
        assert runs.lines == ["x" * 60_000]


class Slow(Lines):
    """Looks away at first, so that the process has ended when it looks again."""

    def feed(self, chunk: bytes) -> None:
        time.sleep(0.0 if self._line else 0.5)
        super().feed(chunk)


def test_what_a_wide_pipe_still_holds_at_the_end_is_not_lost(runs: Runs) -> None:
    command = runs.command(["widen"], ["flood", "x", 1], ["exit", 0])
    process.run(command, Stop(), Slow(lambda line, _: runs.lines.append(line)))
    assert runs.lines == ["x" * 1024 * 1024]


def test_output_breaks_the_silence(runs: Runs) -> None:
    acts: list[list[object]] = [["say", "a"], ["sleep", 0.5], ["complain", "b"], ["sleep", 0.5], ["say", "c"]]
    exit = runs.run(*acts, idle=0.8)
    assert (exit.ending, runs.lines) == (Ending.EXITED, ["a", "c"])


def test_after_its_final_event_a_cli_has_only_a_little_time(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LINGER", 0.5)
    command, sink = (
        runs.command(["say", "final"], ["sleep", 60]),
        Lines(lambda line, _: runs.lines.append(line)),
    )
    exit, seconds = timed(lambda: process.run(command, Stop(), sink, said_all=lambda: bool(runs.lines)))
    assert (exit.ending, seconds < 3) == (Ending.IDLE, True)


def test_a_long_prompt_and_a_long_answer_pass_each_other(runs: Runs) -> None:
    exit = runs.run(["flood", "line\n", 4], stdin=b"p" * 3_000_000)
    assert exit.ending is Ending.EXITED
    assert set(runs.lines) == {"line"}


# The ladder ------------------------------------------------------------------------------------------


def test_a_cli_that_heeds_term_may_end_well(runs: Runs) -> None:
    exit, seconds = timed(lambda: runs.run(["on_term", "bye"], ["say", "up"], ["sleep", 60], idle=0.5))
    assert (exit.ending, exit.code) == (Ending.IDLE, 0)
    assert runs.lines == ["up", "bye"]
    assert seconds < 3


def test_a_cli_without_a_handler_dies_of_term_at_once(runs: Runs) -> None:
    exit, seconds = timed(lambda: runs.run(["sleep", 60], idle=0.5))
    assert exit.code in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert seconds < 3


def test_a_cli_that_ignores_term_is_killed_after_the_grace(runs: Runs) -> None:
    acts: list[list[object]] = [["ignore", ["SIGTERM", "SIGINT", "SIGHUP"]], ["say", "deaf"], ["sleep", 60]]
    exit, seconds = timed(lambda: runs.run(*acts, wall=1.0))
    assert exit.ending is Ending.TIMEOUT
    assert process.GRACE + 1 <= seconds < process.GRACE + 3
    assert runs.all_gone()


def test_without_grace_a_tree_is_killed_at_once(runs: Runs) -> None:
    stop = Stop()
    threading.Timer(0.5, lambda: stop.set("fenced", grace=False)).start()
    acts: list[list[object]] = [["ignore", ["SIGTERM"]], ["sleep", 60]]
    exit, seconds = timed(lambda: runs.run(*acts, stop=stop))
    assert (exit.ending, exit.why) == (Ending.STOPPED, "fenced")
    assert seconds < 2
    assert runs.all_gone()


def test_a_second_stop_can_take_the_grace_away(runs: Runs) -> None:
    stop = Stop()
    threading.Timer(0.3, lambda: stop.set("cancelled")).start()
    threading.Timer(0.8, lambda: stop.set("watchdog", grace=False)).start()
    acts: list[list[object]] = [["ignore", ["SIGTERM"]], ["sleep", 60]]
    exit, seconds = timed(lambda: runs.run(*acts, stop=stop))
    assert (exit.why, seconds < 2.5) == ("cancelled", True)


def test_a_reader_may_have_enough(runs: Runs) -> None:
    def on_line(line: str, cut: bool) -> None:
        raise Enough("it will come to nothing")

    command = runs.command(["say", "Reconnecting…"], ["sleep", 60])
    exit, seconds = timed(lambda: process.run(command, Stop(), Lines(on_line)))
    assert (exit.ending, exit.why) == (Ending.ENOUGH, "it will come to nothing")
    assert seconds < 3


def test_an_error_of_our_own_reader_comes_out_and_kills_the_tree(runs: Runs) -> None:
    def on_line(line: str, cut: bool) -> None:
        raise ZeroDivisionError

    command = runs.command(["child", 60, {"session": True}], ["say", "up"], ["sleep", 60])
    with pytest.raises(ZeroDivisionError):
        process.run(command, Stop(), Lines(on_line))
    assert runs.all_gone()


# The tree --------------------------------------------------------------------------------------------


def test_a_child_in_a_session_of_its_own_dies_with_the_turn(runs: Runs) -> None:
    acts: list[list[object]] = [["child", 60, {"session": True, "silent": True}], ["sleep", 60]]
    exit = runs.run(*acts, idle=0.6)
    assert exit.ending is Ending.IDLE
    assert runs.all_gone()


def test_a_child_in_a_session_of_its_own_dies_with_a_turn_that_ended_well(runs: Runs) -> None:
    acts: list[list[object]] = [
        ["child", 60, {"session": True, "silent": True}],
        ["sleep", 0.7],
        ["say", "ok"],
    ]
    exit, seconds = timed(lambda: runs.run(*acts))
    assert (exit.ending, exit.code, runs.lines) == (Ending.EXITED, 0, ["ok"])
    assert seconds < 3
    assert runs.all_gone()


def test_a_child_in_the_clis_own_group_dies_with_an_instant_turn(runs: Runs) -> None:
    assert runs.run(["child", 60, {"silent": True}], ["say", "ok"]).code == 0
    assert runs.all_gone()


def test_a_child_that_keeps_the_pipe_open_does_not_hold_the_turn(runs: Runs) -> None:
    exit, seconds = timed(lambda: runs.run(["child", 60, {"session": True}], ["say", "ok"]))
    assert (exit.ending, exit.code, runs.lines) == (Ending.EXITED, 0, ["ok"])
    assert seconds < 2
    assert runs.all_gone()


def test_fifty_orphans_leave_neither_processes_nor_zombies(runs: Runs) -> None:
    pids = runs.folder / "pids"
    many = {"session": True, "silent": True, "times": 50, "pid_file": str(pids)}
    runs.run(["child", 60, many], ["say", "ok"], ["sleep", 0.6])
    assert len(pids.read_text().split()) == 50
    assert runs.all_gone()
    assert _zombies_of_ours() == []


def test_many_turns_leave_no_descriptor_and_no_zombie(runs: Runs) -> None:
    runs.run(["say", "warm"])
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        runs.run(["say", "ok"], stdin=b"x")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert _zombies_of_ours() == []


def _zombies_of_ours() -> list[str]:
    me = str(os.getpid())
    states = [entry.read_text().rpartition(")")[2].split() for entry in Path("/proc").glob("[0-9]*/stat")]
    return [state[0] for state in states if state[0] == "Z" and state[1] == me]


WORKER = """
import json, sys
from pathlib import Path
from aqm.runtimes.base import Stop
from aqm.runtimes.lines import Lines
from aqm.runtimes.process import Command, run
argv, cwd, env, mark, wall = json.loads(sys.argv[1])
run(Command(tuple(argv), Path(cwd), env, mark, wall=wall, protection="namespace"), Stop(), Lines(print))
"""


@pytest.mark.parametrize("wall", [60.0, 0.5], ids=["while it runs", "while it is being ended"])
def test_a_worker_that_is_killed_leaves_nothing(wall: float, tmp_path: Path) -> None:
    if process.protection() == "group":
        pytest.skip("this host gives no PID namespace: a process group outlives a killed worker")
    runs = Runs(tmp_path, "namespace")
    started = tmp_path / "started"
    acts = [["ignore", ["SIGTERM", "SIGHUP"]], ["child", 60, {"session": True, "silent": True}]]
    command = runs.command(*acts, ["touch", str(started)], ["sleep", 60])
    given = json.dumps([command.argv, str(command.cwd), command.env, command.mark, wall])
    with subprocess.Popen([sys.executable, "-c", WORKER, given]) as worker:
        _until(started.exists)
        time.sleep(1.0)
        assert len(runs.left()) >= 3
        worker.kill()
    _until(lambda: not runs.left(), seconds=1)


def _until(reached: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_the_mark_finds_processes_wherever_they_went(runs: Runs) -> None:
    seen: list[int] = []
    timer = threading.Timer(0.6, lambda: seen.extend(runs.left()))
    timer.start()
    runs.run(["child", 60, {"session": True, "silent": True}], ["sleep", 60], idle=1.0)
    assert len(seen) >= 2


def test_many_turns_at_once_keep_apart(tmp_path: Path, held: Protection) -> None:
    turns = [Runs(tmp_path, held) for _ in range(8)]
    threads = [
        threading.Thread(target=turn.run, args=(["say", f"turn {number}"], ["sleep", 0.2]))
        for number, turn in enumerate(turns)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [turn.lines for turn in turns] == [[f"turn {number}"] for number in range(8)]


# Starting --------------------------------------------------------------------------------------------


def test_a_program_that_is_not_there_is_missing(runs: Runs) -> None:
    exit = runs.run(argv=("no-such-program",))
    assert (exit.ending, exit.code) == (Ending.MISSING, None)
    assert "'no-such-program'" in exit.why


def test_a_program_of_the_workspace_is_found_there(runs: Runs) -> None:
    script = runs.folder / "check.sh"
    script.write_text("#!/bin/sh\necho here\n")
    script.chmod(0o755)
    assert runs.run(argv=("./check.sh",)).code == 0
    assert runs.lines == ["here"]


def test_an_argument_that_is_too_long_is_named(runs: Runs) -> None:
    exit = runs.run(argv=(str(AGENT_CLI), "x" * 200_000))
    assert exit.ending is Ending.UNSTARTABLE
    assert "200,000 bytes" in exit.why
    exit = runs.run(env={"PATH": os.environ["PATH"], "HUGE": "x" * 200_000})
    assert "200,005 bytes" in exit.why


def test_an_argument_with_nul_is_named(runs: Runs) -> None:
    assert "NUL" in runs.run(argv=(str(AGENT_CLI), "a\0b")).why


def test_a_file_that_is_no_program_cannot_be_started(tmp_path: Path) -> None:
    runs = Runs(tmp_path, "group")
    nonsense = tmp_path / "nonsense"
    nonsense.write_bytes(b"\x7fELF nonsense")
    nonsense.chmod(0o755)
    exit = runs.run(argv=(str(nonsense),))
    assert exit.ending is Ending.UNSTARTABLE
    assert "cannot be started" in exit.why


def test_a_protection_that_the_host_does_not_give_is_no_silent_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_unshare", lambda: None)
    exit = Runs(tmp_path, "namespace").run(["say", "unprotected"])
    assert exit.ending is Ending.UNSTARTABLE
    assert "PID namespace" in exit.why


def test_a_host_without_pidfd_notices_the_end_too(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    exit, seconds = timed(lambda: runs.run(["say", "ok"], ["exit", 5]))
    assert (exit.code, runs.lines, seconds < 3) == (5, ["ok"], True)
    assert runs.run(["sleep", 60], idle=0.4).ending is Ending.IDLE
