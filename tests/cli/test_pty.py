"""The command line on a real terminal: colours, streaming, questions."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Call, Open


def test_a_run_is_coloured_and_agents_bring_no_escapes_of_their_own(terminal: Open, script: Path) -> None:
    screen = terminal("run", "Build it", "--script", str(script))
    assert screen.end() == 0
    assert "\x1b[1;36m── 1 · dev (claude) ──\x1b[0m\n" in screen.said
    assert "The first version. [/markup] \n" in screen.said
    assert "\x1b[31m  ✗ rejected\x1b[0m — no tests" in screen.said
    assert set(re.findall("\x1b[^m]*m", screen.said)) <= {
        f"\x1b[{code}m" for code in ("0", "1", "2", "31", "32", "33", "36", "1;36")
    }
    assert screen.said.count("\x1b") == len(re.findall("\x1b\\[[0-9;]+m", screen.said))


@pytest.mark.parametrize("words", [["--no-color"], []])
def test_colours_can_be_refused(terminal: Open, script: Path, words: list[str]) -> None:
    environ = {} if words else {"NO_COLOR": "1"}
    screen = terminal(*words, "run", "Build it", "--script", str(script), **environ)
    assert screen.end() == 0
    assert "\x1b" not in screen.said
    assert "── 1 · dev (claude) ──" in screen.said


def test_text_is_shown_while_it_comes(terminal: Open, hangs: Path) -> None:
    screen = terminal("run", "Build it", "--script", str(hangs))
    assert screen.until("I begin.")  # no newline follows, and the agent is silent from now on
    screen.process.send_signal(signal.SIGINT)
    assert screen.end() == 130
    assert "stopping; once more to leave at once" in screen.said
    assert "stopped; it can go on with:" in screen.said


def test_a_list_keeps_each_task_on_one_line(terminal: Open, call: Call, script: Path) -> None:
    call("run", "word " * 60, "--script", script)
    screen = terminal("list", COLUMNS="60")
    assert screen.end() == 0
    lines = [re.sub("\x1b[^m]*m", "", line) for line in screen.said.splitlines()]
    assert [len(line) <= 60 for line in lines] == [True, True]
    assert lines[1].endswith("…")


# Questions ---------------------------------------------------------------------------------------


def test_init_asks_which_template(terminal: Open, tmp_path: Path) -> None:
    screen = terminal("init", "--path", "new")
    screen.until("Which one")
    screen.answer("nonsense")
    screen.until("'nonsense' is not one of")
    screen.answer("solo")
    assert screen.end() == 0
    assert "name: solo" in (tmp_path / "new" / ".aqm" / "pipelines" / "default.yaml").read_text()


def test_ctrl_c_at_a_question_ends_with_130(terminal: Open, tmp_path: Path) -> None:
    screen = terminal("init", "--path", "new")
    screen.until("Which one")
    deadline = time.monotonic() + 20
    while screen.process.poll() is None:  # Python does not see one that comes just before it reads
        assert time.monotonic() < deadline, screen.said
        screen.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    assert screen.end() == 130
    assert "Traceback" not in screen.said
    assert not (tmp_path / "new").exists()


FULL = "agents: [{id: dev, runtime: command, command: [echo, done], permissions: full}]\n"


def test_consent_is_asked_once_and_written_down(terminal: Open, project: Path) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(FULL)
    config = project / ".aqm" / "config.yaml"
    before = config.read_text()
    screen = terminal("run", "x")
    screen.until("Allow this for the project")
    screen.answer("y")
    assert screen.end() == 0
    assert config.read_text().startswith(before)
    assert config.read_text().endswith("permissions:\n  allow_full: true\n")
    again = terminal("run", "x")
    assert again.end() == 0
    assert "Allow" not in again.said


def test_consent_that_is_not_given_starts_nothing(terminal: Open, call: Call, project: Path) -> None:
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(FULL)
    screen = terminal("run", "x")
    screen.until("Allow this for the project")
    screen.answer("")
    assert screen.end() == 1
    assert call("list").stdout.startswith("No tasks yet")
