"""The real claude CLI, driven by our runtime, against a stand-in for its vendor."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from aqm import runtimes
from aqm.flow.outcome import Answer, Failure, FailureClass, Outcome, Usage
from aqm.runtimes.base import Host, Live, Prompt, Stop, Text, ToolFinished, ToolStarted
from aqm.runtimes.tree import protection
from tests.cli_real.install import CLAUDE
from tests.cli_real.processes import alive_with
from tests.standin.scenario import (
    Give,
    Hang,
    Refuse,
    Replies,
    Reply,
    RunCommand,
    Say,
    Stall,
    Tokens,
    WriteFile,
)
from tests.standin.server import StandIn

pytestmark = pytest.mark.cli


class Turns:
    """Runs turns of claude on a host that talks to the stand-in, and keeps what was heard and asked."""

    def __init__(self, standin: StandIn, environ: Mapping[str, str], workspace: Path) -> None:
        self.standin = standin
        self.host = Host(environ=environ, protection=protection())
        self.prompt = Prompt(
            text="do the work",
            workspace=workspace,
            permissions="edit",
            timeout=60.0,
            mark=uuid.uuid4().hex,
        )
        self.heard: list[Live] = []
        self.seconds = 0.0

    def run(self, stop: Stop | None = None, **changes: object) -> Outcome:
        began = time.monotonic()
        outcome = runtimes.load("claude").run(
            replace(self.prompt, **changes),  # type: ignore[arg-type]
            self.host,
            self.heard.append,
            Stop() if stop is None else stop,  # an unset Stop is false
        )
        self.seconds = time.monotonic() - began
        return outcome

    def fail(self, kind: FailureClass, **changes: object) -> Failure:
        outcome = self.run(**changes)  # type: ignore[arg-type]
        assert isinstance(outcome, Failure), outcome
        assert outcome.kind is kind
        return outcome

    def answer(self, **changes: object) -> Answer:
        outcome = self.run(**changes)  # type: ignore[arg-type]
        assert isinstance(outcome, Answer), outcome
        return outcome

    def alive(self) -> list[str]:
        return alive_with(f"AQM_MARK={self.prompt.mark}")

    def asked(self, number: int = -1) -> str:
        return json.dumps(self.standin.asked[number].body)


@pytest.fixture
def claude(
    vendor: Callable[[Replies], StandIn],
    environ_for: Callable[[StandIn], Mapping[str, str]],
    workspace: Path,
) -> Callable[..., Turns]:
    def begin(*replies: Reply) -> Turns:
        standin = vendor(replies)
        return Turns(standin, environ_for(standin), workspace)

    return begin


def test_the_version_is_the_one_that_this_suite_was_written_for(claude: Callable[..., Turns]) -> None:
    probe = runtimes.load("claude").probe(claude(Say("")).host)
    assert (probe.found, probe.version) == (True, CLAUDE.version)


def test_an_answer_comes_with_its_usage_and_a_conversation_that_goes_on(claude: Callable[..., Turns]) -> None:
    turns = claude(Say("first", tokens=Tokens(input=100, output=20, cached=50)), Say("second"))
    first = turns.answer(text="remember the word tulip", system="You are terse.")
    assert first.text == "first"
    assert replace(first.usage, cost_usd=None) == Usage(input=150, cached=50, output=20, reasoning=0)
    assert "remember the word tulip" in turns.asked()
    assert "You are terse." in turns.asked()

    second = turns.answer(text="which word?", conversation=first.conversation)
    assert (second.text, second.conversation) == ("second", first.conversation)
    assert "tulip" in turns.asked()
    assert replace(second.usage, cost_usd=None) == Usage(input=12, cached=0, output=5, reasoning=0), (
        "not the sum of both"
    )


def test_a_tool_call_writes_a_file_into_the_workspace(claude: Callable[..., Turns], workspace: Path) -> None:
    turns = claude(WriteFile("hello.txt", "hello\n"), Say("written"))
    assert turns.answer(permissions="edit").text == "written"
    assert (workspace / "hello.txt").read_text() == "hello\n"
    started = next(event for event in turns.heard if isinstance(event, ToolStarted))
    finished = next(event for event in turns.heard if isinstance(event, ToolFinished))
    assert (started.name, finished.id, finished.ok) == ("Write", started.id, True)
    assert "".join(event.text for event in turns.heard if isinstance(event, Text)) == "written"


def test_an_agent_that_may_only_read_writes_nothing(claude: Callable[..., Turns], workspace: Path) -> None:
    turns = claude(WriteFile("hello.txt", "hello\n"), Say("could not"))
    assert turns.answer(permissions="read").text == "could not"
    assert list(workspace.iterdir()) == []


def test_an_agent_that_may_only_edit_runs_no_command(claude: Callable[..., Turns], workspace: Path) -> None:
    turns = claude(RunCommand("touch ran"), Say("could not"))
    turns.answer(permissions="edit")
    assert list(workspace.iterdir()) == []


def test_structured_output_is_asked_of_the_cli(claude: Callable[..., Turns]) -> None:
    schema = {"type": "object", "properties": {"verdict": {"type": "string"}}, "required": ["verdict"]}
    answer = claude(Give({"verdict": "good"}), Say("done")).answer(schema=schema)
    assert answer.fields == {"verdict": "good"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, FailureClass.AUTH),
        (429, FailureClass.RATE_LIMITED),
        (529, FailureClass.OVERLOADED),
        (500, FailureClass.OVERLOADED),
    ],
)
def test_a_refusal_is_told_at_once(claude: Callable[..., Turns], status: int, kind: FailureClass) -> None:
    turns = claude(Refuse(status, retry_after=3))
    turns.fail(kind)
    assert turns.seconds < 10
    assert len(turns.standin.asked) == 1, "the CLI's own retries are switched off: ours know more"


@pytest.fixture(params=["namespace", "group"])
def held(request: pytest.FixtureRequest) -> str:
    """How the turn's processes are held together: both ways, where this host has both."""
    if request.param == "namespace" and protection() == "group":
        pytest.skip("this host gives no PID namespace")
    return str(request.param)


@pytest.mark.parametrize("reply", [Hang(), Stall("so far")], ids=["hang", "stall"])
def test_silence_is_ended_and_leaves_no_process(
    claude: Callable[..., Turns], reply: Reply, held: Literal["namespace", "group"]
) -> None:
    turns = claude(reply)
    turns.host = replace(turns.host, protection=held)
    turns.fail(FailureClass.IDLE, idle_timeout=3.0)
    assert 3.0 <= turns.seconds <= 10.0
    assert turns.alive() == []


def test_a_cancelled_turn_ends_with_all_that_its_tools_started(
    claude: Callable[..., Turns], held: Literal["namespace", "group"]
) -> None:
    command = "setsid sleep 600 >/dev/null 2>&1 & echo in the background"
    turns, stop = claude(RunCommand(command), Hang()), Stop()
    turns.host = replace(turns.host, protection=held)
    before: list[str] = []

    def cancel() -> None:
        before.extend(turns.alive())
        stop.set("cancelled by a test")

    canceller = threading.Timer(3.0, cancel)
    canceller.start()
    turns.fail(FailureClass.CANCELLED, stop=stop, permissions="run")
    canceller.join()
    assert turns.seconds < 10.0
    assert any("sleep 600" in command for command in before), before
    assert turns.alive() == []
