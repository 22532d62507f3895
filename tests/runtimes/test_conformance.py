"""What every runtime must do, whichever CLI it calls."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from aqm.flow.outcome import FAILURES, Failure, FailureClass
from aqm.runtimes import RUNTIMES, load
from aqm.runtimes.base import Host, Stop, Text, ToolFinished, ToolStarted
from tests.runtimes.bench import AGENT_CLI, Bench
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


# Hostile output --------------------------------------------------------------------------------------


def _as_text(name: str, raw: bytes) -> list[Any]:
    """The act that prints an answer holding these bytes as they are."""
    if name == "command":
        return [["raw", raw.hex()]]
    lines = [line.encode().replace(b"@", raw) for line in DIALECTS[name].answer("x@y")]
    return [["raw", (line + b"\n").hex()] for line in lines]


@every_cli
@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b"\xc3"], ids=lambda raw: raw.hex())
def test_bytes_that_are_no_text_become_marks(name: str, raw: bytes, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(*_as_text(name, raw))
    text = here.answer().text
    assert "�" in text
    assert text.encode()  # no lone surrogate
    assert "\0" not in text + here.said


@every_stream
@pytest.mark.parametrize("escape", ["\\ud800", "\\u0000", "\\udfff\\ud800"])
def test_escapes_that_are_no_text_become_marks(name: str, escape: str, bench: MakeBench) -> None:
    here = bench(name)
    lines = [line.replace("@", escape) for line in DIALECTS[name].answer("x@y")]
    here.plays(*(["say", line] for line in lines))
    assert set(here.answer().text) == {"x", "�", "y"}
    assert set(here.said) == {"x", "�", "y"}


def test_a_script_with_unclean_text_is_cleaned_too(bench: MakeBench) -> None:
    here = bench("scripted")
    here.says("x\0y")
    assert here.answer().text == "x�y"


@every_cli
def test_terminal_escapes_are_kept_as_text(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.says("\x1b[31mred\x1b]8;;x\x07")
    assert here.answer().text == "\x1b[31mred\x1b]8;;x\x07"


@every_stream
@pytest.mark.parametrize(
    "line",
    [
        "[" * 20_000,
        '{"type":' * 20_000,
        '{"type": "result"',
        '{"type": 7}',
        '{"type": "result", "is_error": "no", "usage": [1], "result": {"a": NaN}, "stats": 3}',
        '{"type": "assistant", "message": {"content": [7, null, {"type": "text"}]}}',
        '{"type": "user", "message": {"content": "plain"}}',
        '{"type": "item.completed", "item": null}',
        '{"type": "turn.failed", "error": null}',
        '{"type": "message", "role": "assistant", "content": 9}',
        '{"type": "system", "subtype": "init", "mcp_servers": [1, {"status": "failed"}]}',
        "1e999",
        '{"n": ' + "9" * 5_000 + "}",
    ],
    ids=lambda line: line[:40],
)
def test_lines_of_any_shape_do_no_harm(name: str, line: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["say", line], *(["say", good] for good in DIALECTS[name].answer("fine")))
    outcome = here.run()
    if isinstance(outcome, Failure):  # the line was an event of this CLI's, and said so
        assert outcome.kind in FAILURES
    else:
        assert outcome.text == "fine"


@every_stream
def test_a_line_without_end_is_cut_and_told(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["flood", "x", 6], ["say", ""], *(["say", line] for line in DIALECTS[name].unfinished("but")))
    failure = here.fail(FailureClass.CRASH)
    assert "1 of its lines were too long" in failure.message
    assert failure.partial == "but"


def test_a_line_of_100_mb_keeps_both_ends_of_a_commands_answer(bench: MakeBench) -> None:
    here = bench("command")
    here.plays(["say", "begin ", {"end": ""}], ["flood", "x", 100], ["say", " end"])
    text = here.answer().text
    assert text.startswith("begin xxx")
    assert text.endswith("xxx end")
    assert "bytes cut]" in text
    assert len(text) < 10.1 * 2**20


@every_cli
def test_a_flood_is_killed_and_told(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["flood", "flood " * 1000, 2048])
    failure = here.fail(FailureClass.CRASH)
    assert "256 MB" in failure.message


@every_stream
def test_a_flood_of_lines_is_killed_and_told(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["flood", "y\n", 200])
    assert "more lines" in here.fail(FailureClass.CRASH).message


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


# Presence ----------------------------------------------------------------------------------------------


@every_runtime
def test_a_probe_finds_what_is_there(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["say", f"{name}-cli 1.22.333 (Build)"])
    probe = load(name).probe(here.host)
    assert probe.found
    if name in DIALECTS:
        assert (probe.version, probe.path) == ("1.22.333", str(AGENT_CLI.with_name(name)))


@every_stream
def test_a_probe_says_how_to_get_what_is_missing(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.set(PATH="/nowhere")
    probe = load(name).probe(here.host)
    assert not probe.found
    assert probe.cure.startswith("Install it: npm install -g @")


@every_stream
def test_a_probe_of_a_broken_cli_shows_what_it_said(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["complain", "wants node >= 22"], ["exit", 1])
    probe = load(name).probe(here.host)
    assert (probe.found, probe.version) == (True, "")
    assert "wants node >= 22" in probe.cure


@every_stream
def test_a_probe_tells_whether_there_is_a_credential(name: str, bench: MakeBench) -> None:
    here = bench(name)
    here.plays(["say", "1.0.0"])
    assert load(name).probe(here.host).logged_in in (False, None)
    keys = {"claude": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY", "codex": "CODEX_API_KEY"}
    here.set(**{keys[name]: "secret"})
    assert load(name).probe(here.host).logged_in is True


def test_the_log_holds_what_was_given(bench: MakeBench) -> None:
    here = bench("claude")
    here.says("fine")
    here.answer()
    assert json.loads(here.log.read_text())["argv"][0].endswith("claude")
