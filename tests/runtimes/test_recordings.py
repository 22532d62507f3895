"""Every recording of a real CLI, replayed with its exit code and stderr, becomes the outcome that it must."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from aqm.flow.outcome import Answer, Failure, FailureClass
from aqm.runtimes.base import Live, Notice, Text, Thinking, ToolFinished, ToolStarted
from tests.runtimes.bench import Bench
from tests.runtimes.recordings import FOLDER, HANGS, RECORDINGS, Recording

MakeBench = Callable[[str], Bench]
each_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)


def replay(here: Bench, recording: Recording) -> Answer | Failure:
    acts: list[list[object]] = []
    stderr = FOLDER / f"{recording.name}.stderr"
    if stderr.exists():
        acts.append(["errors", str(stderr)])
    acts.append(["file", str(FOLDER / f"{recording.name}.stdout")])
    if recording.code is HANGS:
        acts.append(["sleep", 60])
    elif recording.code < 0:
        acts.append(["die", signal.Signals(-recording.code).name])
    else:
        acts.append(["exit", recording.code])
    here.plays(*acts)
    return here.run(idle_timeout=0.7 if recording.code is HANGS else 10.0, **recording.prompt)


def live_of(name: str, here: Bench) -> list[Live]:
    replay(here, next(recording for recording in RECORDINGS if recording.name == name))
    return [event for event in here.live if not isinstance(event, Notice)]


def test_every_recording_has_an_expectation() -> None:
    assert {recording.name for recording in RECORDINGS} == {path.stem for path in FOLDER.glob("*.stdout")}


@each_recording
def test_a_recording_becomes_its_outcome(recording: Recording, bench: MakeBench) -> None:
    outcome = replay(bench(recording.runtime), recording)
    if isinstance(recording.becomes, FailureClass):
        assert isinstance(outcome, Failure), outcome
        assert outcome.kind is recording.becomes, outcome
        assert outcome.resets_in == recording.resets_in
        assert recording.message in outcome.message
        assert outcome.message.strip()
        assert outcome.exit_code == recording.code or recording.code is HANGS or outcome.exit_code == -15
    else:
        assert isinstance(outcome, Answer), outcome
        assert outcome.text == recording.becomes
        assert outcome.fields == recording.fields
        assert outcome.conversation
    if recording.usage is not None:
        assert outcome.usage == recording.usage
    assert outcome.denied == recording.denied


@pytest.mark.parametrize(
    ("name", "events"),
    [
        (
            "claude-tool-write",
            [
                Text("Writing the file."),
                ToolStarted("toolu_ec649f9a1e5b4ccd", "Write", "/workspace/t-claude/hello.txt"),
                ToolFinished(
                    "toolu_ec649f9a1e5b4ccd",
                    True,
                    "File created successfully at: /workspace/t-claude/hello.txt (file state is current in "
                    "your context — no need to Read it…",
                ),
                Text("\n\nOK from stand-in"),
            ],
        ),
        ("claude-stream-partial", [Thinking("I consider the question."), Text("Thought and answered.")]),
        ("claude-jsonschema-stream", []),  # the tool that takes the structured output is claude's own affair
        (
            "claude-bash-fail",
            [
                ToolStarted("toolu_d59c2883379a4947", "Bash", "echo out; echo err >&2; exit 3"),
                ToolFinished("toolu_d59c2883379a4947", False, "Exit code 3 out err"),
                Text("OK from stand-in"),
            ],
        ),
        (
            "gemini-tool-write",
            [
                Text("Writing the file."),
                ToolStarted("write_file__write_file_1795327814908_0", "write_file", "hello.txt"),
                ToolFinished("write_file__write_file_1795327814908_0", True),
                Text("\n\nOK from stand-in"),
            ],
        ),
        (
            "codex-json-reasoning",
            [
                Thinking("**Considering**\n\nI consider the question."),
                Text("Thought and answered."),
            ],
        ),
        (
            "codex-tool-write",
            [
                Text("Writing the file."),
                ToolStarted("item_1", "edit", "add /workspace/t-codex/hello.txt"),
                ToolFinished("item_1", True),
                Text("\n\nOK from stand-in"),
            ],
        ),
        (
            "codex-command-fail",
            [
                ToolStarted("item_0", "shell", "/bin/bash -lc 'exit 3'"),
                ToolFinished("item_0", False),
                Text("OK from stand-in"),
            ],
        ),
    ],
)
def test_a_recording_is_told_live(name: str, events: list[Live], bench: MakeBench) -> None:
    assert live_of(name, bench(name.partition("-")[0])) == events


@pytest.mark.parametrize(
    ("name", "notice"),
    [
        ("claude-err-429", "rate_limit 429: trying again (10 of 10)"),
        ("claude-permission-denied", "not permitted: Write"),
        ("gemini-err-refused", "Attempt 1 failed. Retrying with backoff..."),
        ("codex-err-500", "Reconnecting... 5/5 (We’re currently experiencing high demand"),
    ],
)
def test_what_a_cli_tries_by_itself_is_noticed(name: str, notice: str, bench: MakeBench) -> None:
    here = bench(name.partition("-")[0])
    live_of(name, here)
    assert any(notice in event.text for event in here.live if isinstance(event, Notice))


def test_codex_is_not_left_waiting_for_a_vendors_limit(bench: MakeBench) -> None:
    """It would sleep for as long as the vendor says: the recording's own end is its being killed."""
    here = bench("codex")
    recording = next(each for each in RECORDINGS if each.name == "codex-err-429long")
    outcome = replay(here, recording)
    assert isinstance(outcome, Failure)
    assert outcome.exit_code == -15, "it was asked to end, at the first sign"
