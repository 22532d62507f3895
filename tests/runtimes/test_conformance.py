"""What every runtime must do, whichever CLI it calls."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest

from aqm.flow.outcome import FailureClass
from aqm.runtimes import RUNTIMES, load
from aqm.runtimes.base import Host, Stop, Text, ToolFinished, ToolStarted
from tests.runtimes.bench import Bench
from tests.runtimes.dialects import DIALECTS

CLIS = [*DIALECTS, "command"]  # they start a process
EVERY = [*CLIS, "scripted"]

every_runtime = pytest.mark.parametrize("name", EVERY)
every_cli = pytest.mark.parametrize("name", CLIS)
every_stream = pytest.mark.parametrize("name", DIALECTS)
MakeBench = Callable[[str], Bench]


def test_every_runtime_is_in_this_suite() -> None:
    assert set(RUNTIMES) == set(EVERY)


@every_runtime
def test_a_runtime_has_the_name_it_is_found_by(name: str) -> None:
    assert load(name).name == name


@every_runtime
def test_an_answer_is_handed_on_live_and_whole(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.says("Grüß Gott\n\n\N{ROCKET} and\ttabs")
    assert here.answer().text == "Grüß Gott\n\n\N{ROCKET} and\ttabs"
    assert here.said == "Grüß Gott\n\n\N{ROCKET} and\ttabs"


@every_stream
def test_a_tool_call_is_told_and_the_answer_is_the_last_message(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(*(["say", line] for line in DIALECTS[name].tool_call()))
    assert here.answer().text == "Done."
    assert [event for event in here.live if not isinstance(event, Text)] == [
        ToolStarted("t1", "shell" if name == "codex" else "Write", "a.txt"),
        ToolFinished("t1", True, "written"),
    ]
    assert here.said == "Writing.\n\nDone."


@every_stream
def test_exit_code_0_without_the_final_event_is_a_failure(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(*(["say", line] for line in DIALECTS[name].unfinished("half of it")))
    failure = here.fail(FailureClass.CRASH)
    assert failure.message == f"{name} ended with exit code 0 before its final event"
    assert (failure.partial, failure.exit_code) == ("half of it", 0)


@every_cli
def test_a_crash_shows_the_exit_code_and_the_end_of_stderr(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["complain", "first\nsegmentation violated"], ["exit", 7])
    failure = here.fail(FailureClass.CRASH)
    assert failure.exit_code == 7
    assert "exit code 7" in failure.message
    assert "segmentation violated" in failure.message


@every_cli
def test_a_cli_that_is_killed_has_crashed(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["die", "SIGKILL"])
    assert "was killed by SIGKILL" in here.fail(FailureClass.CRASH).message


@every_cli
def test_a_full_disk_is_told_apart(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["complain", "write: No space left on device"], ["exit", 1])
    here.fail(FailureClass.DISK_FULL)


@every_cli
def test_a_missing_cli_is_told_apart(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.set(PATH="/nowhere")
    changes = {"command": ("no-such-program",)} if name == "command" else {}
    failure = here.fail(FailureClass.CLI_MISSING, **changes)
    assert "PATH" in failure.message


@every_cli
def test_a_workspace_that_is_gone_is_named(name: str, bench: MakeBench) -> None:
    here = bench(name)
    gone = here.workspace / "gone"
    assert str(gone) in here.fail(FailureClass.CRASH, workspace=gone).message


# Limits and stops ------------------------------------------------------------------------------------


@every_runtime
def test_silence_ends_the_turn(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.hangs(after="so far")
    began = time.monotonic()
    failure = here.fail(FailureClass.IDLE, idle_timeout=0.6)
    assert 0.6 <= time.monotonic() - began < 4
    assert failure.partial == "so far"
    assert "0.6 seconds" in failure.message


@every_runtime
def test_the_wall_clock_ends_the_turn(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.hangs(after="so far")
    began = time.monotonic()
    failure = here.fail(FailureClass.TIMEOUT, timeout=0.7)
    assert 0.7 <= time.monotonic() - began < 4
    assert failure.partial == "so far"


@every_runtime
def test_a_stop_ends_the_turn_at_once_and_gives_its_reason(name: str, bench: MakeBench) -> None:
    here, stop = bench(name), Stop()
    here.hangs(after="so far")
    timer = threading.Timer(0.5, stop.set, ["the user cancelled it"])
    timer.start()
    began = time.monotonic()
    failure = here.fail(FailureClass.CANCELLED, stop=stop)
    timer.join()
    assert time.monotonic() - began < 3
    assert "the user cancelled it" in failure.message
    assert failure.partial == "so far"


@every_runtime
def test_a_turn_that_was_stopped_before_it_began_never_begins(name: str, bench: MakeBench) -> None:
    here, stop = bench(name), Stop()
    here.says("too late")
    stop.set("drained")
    assert "drained" in here.fail(FailureClass.CANCELLED, stop=stop).message
    assert not here.log.exists()


@every_runtime
def test_a_stop_that_comes_after_the_turn_hits_nothing(name: str, bench: MakeBench) -> None:
    here, stop = bench(name), Stop()
    here.says("done")
    here.answer(stop=stop)
    stop.set("late")  # must neither raise nor write into a file descriptor that is used anew


@every_stream
def test_a_cli_that_hangs_after_its_final_event_has_answered(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(*(["say", line] for line in DIALECTS[name].answer("the answer")), ["sleep", 60])
    began = time.monotonic()
    assert here.answer(idle_timeout=0.5).text == "the answer"
    assert time.monotonic() - began < 4


# Input -------------------------------------------------------------------------------------------------


@every_cli
def test_a_prompt_of_300_kb_arrives_whole_and_never_in_argv(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.says("read")
    text = "PROMPT " + "ä" * 150_000
    here.answer(text=text)
    assert here.given["stdin"] == text
    assert not any("PROMPT" in word for word in here.given["argv"])


@every_cli
def test_a_prompt_that_nobody_reads_does_not_hang(name: str, bench: MakeBench) -> None:
    here = bench(name)
    acts = [["say", "done"]] if name == "command" else [["say", x] for x in DIALECTS[name].answer("done")]
    here.plays(["close_input"], *acts, deaf=True)
    assert here.answer(text="x" * 1_000_000).text.strip() == "done"


@every_cli
def test_a_prompt_is_cleaned_before_it_is_sent(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.says("read")
    here.answer(text="a\0b\ud800c")
    assert here.given["stdin"] == "a�b�c"


@every_cli
def test_the_system_text_arrives_apart_from_the_message(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.says("read")
    here.answer(text="the message", system="SYSTEM: be brief")
    stdin, argv = here.given["stdin"], here.given["argv"]
    if name in ("gemini", "command"):  # they take no system prompt
        assert stdin == "SYSTEM: be brief\n\n---\n\nthe message"
    else:
        assert stdin == "the message"
    assert any("SYSTEM" in word for word in argv) == (name == "codex")


@every_cli
def test_the_environment_is_an_allow_list(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.says("fine")
    wanted = {"PATH", "HOME", "LC_ALL", "HTTPS_PROXY", "no_proxy", "NODE_EXTRA_CA_CERTS", "XDG_CACHE_HOME"}
    here.set(**dict.fromkeys(wanted - {"PATH", "HOME"}, "x"), AWS_SECRET_ACCESS_KEY="no", MY_TOKEN="no")
    here.set(AQM_TOKEN="no", AQM_DATABASE_URL="no", AQM_BROKER_URL="no", SSH_AUTH_SOCK="no")
    here.answer()
    env = here.given["env"]
    assert wanted <= env.keys()
    assert not {name for name, value in env.items() if value == "no"}
    assert env["AQM_MARK"] == here.prompt.mark


@every_cli
def test_a_project_can_let_more_through_but_never_our_own_secrets(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.says("fine")
    passed = ("PLAY", "PLAY_LOG", "MY_TOKEN", "AQM_TOKEN")
    environ = {**here.host.environ, "MY_TOKEN": "yes", "AQM_TOKEN": "no"}
    here.host = Host(environ=environ, pass_env=passed, protection="group")
    here.answer()
    assert here.given["env"]["MY_TOKEN"] == "yes"
    assert "AQM_TOKEN" not in here.given["env"]


@pytest.mark.parametrize(
    ("name", "variable"),
    [("claude", "ANTHROPIC_API_KEY"), ("gemini", "GEMINI_API_KEY"), ("codex", "OPENAI_API_KEY")],
)
def test_a_cli_gets_its_own_key_and_no_other(name: str, variable: str, bench: MakeBench) -> None:
    here = bench(name)
    here.says("fine")
    keys = ("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY")
    here.set(**dict.fromkeys(keys, "secret"))
    here.answer()
    assert [key for key in keys if key in here.given["env"]] == [variable]


@every_cli
def test_the_workspace_is_where_it_works(name: str, bench: MakeBench) -> None:
    here = bench(name)
    acts = [["touch", "here.txt"]]
    said = ["done"] if name == "command" else DIALECTS[name].answer("done")
    here.plays(*acts, *(["say", line] for line in said))
    here.answer()
    assert (here.workspace / "here.txt").exists()


def test_the_log_holds_what_was_given(bench: MakeBench) -> None:
    here = bench("claude")
    here.says("fine")
    here.answer()
    assert json.loads(here.log.read_text())["argv"][0].endswith("claude")
