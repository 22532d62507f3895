"""The scripted runtime: which answer it gives, what it does on the way, and what a bad script is told."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aqm.errors import SettingsError
from aqm.flow.outcome import Answer, Failure, FailureClass, Outcome, Usage
from aqm.flow.state import TurnKind
from aqm.runtimes import get, load
from aqm.runtimes.base import Host, Live, Notice, Prompt, Stop, Text, Thinking, ToolFinished, ToolStarted
from aqm.runtimes.script import DEMO
from aqm.runtimes.script import load as load_script


class Stage:
    """A workspace, a script, and the turns that are played on it."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / "script.yaml"
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self.host = Host(environ={}, script=self.script)
        self.live: list[Live] = []

    def play(self, agent: str = "dev", stop: Stop | None = None, **changes: Any) -> Outcome:
        prompt = Prompt("do it", self.workspace, agent=agent, mark="m", permissions="edit", timeout=10.0)
        self.live = []
        stop = Stop() if stop is None else stop
        return get("claude", self.host).run(replace(prompt, **changes), self.host, self.live.append, stop)

    def text(self, agent: str = "dev", **changes: Any) -> str:
        outcome = self.play(agent, **changes)
        assert isinstance(outcome, Answer), outcome
        return outcome.text

    def failure(self, **changes: Any) -> Failure:
        outcome = self.play(**changes)
        assert isinstance(outcome, Failure), outcome
        return outcome


@pytest.fixture
def stage(tmp_path: Path) -> Callable[[str], Stage]:
    def write(script: str) -> Stage:
        stage = Stage(tmp_path)
        stage.script.write_text(script)
        return stage

    return write


MakeStage = Callable[[str], Stage]


# Which answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("runtime", ["claude", "gemini", "codex", "command", "some-plug-in"])
def test_a_script_stands_in_for_every_runtime(runtime: str, stage: MakeStage) -> None:
    assert get(runtime, stage("agents: {dev: {say: hi}}").host) is load("scripted")


def test_answers_follow_the_visits_and_the_last_repeats(stage: MakeStage) -> None:
    here = stage("agents: {dev: [{say: one}, {say: two}]}")
    assert [here.text(visit=visit) for visit in (1, 2, 3, 9)] == ["one", "two", "two", "two"]


def test_answers_inside_a_visit_follow_the_attempts(stage: MakeStage) -> None:
    here = stage("agents: {dev: [[{fail: overloaded}, {say: better}], {say: two}]}")
    assert here.failure().kind is FailureClass.OVERLOADED
    assert here.text(attempt=2) == here.text(attempt=3) == "better"
    assert here.text(visit=2) == "two"


def test_answers_may_differ_by_kind_of_turn(stage: MakeStage) -> None:
    here = stage("agents: {dev: {work: {say: work}, gate: {verdict: rejected, reason: no tests}}}")
    assert here.text() == "work"
    verdict = here.play(kind=TurnKind.GATE)
    assert isinstance(verdict, Answer)
    assert verdict.text == '{"decision": "rejected", "reason": "no tests"}'
    assert verdict.fields == {"decision": "rejected", "reason": "no tests"}


def test_a_judge_without_a_script_approves(stage: MakeStage) -> None:
    outcome = stage("agents: {dev: {say: hi}}").play(kind=TurnKind.GATE)
    assert isinstance(outcome, Answer)
    assert outcome.fields is not None
    assert outcome.fields["decision"] == "approved"


def test_the_default_answers_for_everybody_else(stage: MakeStage) -> None:
    here = stage("default: {work: {say: fine}, gate: {verdict: rejected}}\nagents: {dev: {say: hi}}")
    assert (here.text("dev"), here.text("other")) == ("hi", "fine")
    assert '"rejected"' in here.text("dev", kind=TurnKind.GATE)


def test_without_any_answer_the_prompt_is_quoted(stage: MakeStage) -> None:
    text = stage("agents: {}").text("zed", text="Add it\n\nHANDOFF: dev\n" + "more\n" * 9)
    assert text.startswith("zed was asked:\n\n> Add it\n> HANDOFF: dev\n> more")
    assert "> … and 5 lines more" in text


def test_a_changed_script_is_read_again(stage: MakeStage) -> None:
    here = stage("agents: {dev: {say: old}}")
    assert here.text() == "old"
    here.script.write_text("agents: {dev: {say: new}}")
    assert here.text() == "new"


# What happens in a turn ------------------------------------------------------------------------------


def test_steps_are_told_live_in_their_order(stage: MakeStage) -> None:
    here = stage(
        """
        agents:
          dev:
            steps:
              - {think: "Hm."}
              - {say: "I begin.\\n"}
              - {tool: Bash, summary: pytest, ok: false, result: "1 failed"}
              - {write: {src/app.py: "x = 1"}}
              - {notice: "a retry"}
            say: "Done.\\n"
        """
    )
    assert here.text() == "Done."
    assert here.live == [
        Thinking("Hm."),
        Text("I begin."),
        ToolStarted("tool-1", "Bash", "pytest"),
        ToolFinished("tool-1", False, "1 failed"),
        ToolStarted("tool-2", "Write", "src/app.py"),
        ToolFinished("tool-2", True),
        Notice("a retry"),
        Text("\n\nDone."),
    ]
    assert (here.workspace / "src/app.py").read_text() == "x = 1"


def test_the_last_message_of_the_steps_is_the_answer(stage: MakeStage) -> None:
    assert stage("agents: {dev: {steps: [{say: one}, {say: two}]}}").text() == "two"


def test_usage_fields_denials_and_conversation(stage: MakeStage) -> None:
    here = stage(
        "agents: {dev: {fields: {a: [1]}, usage: {input: 5, cost_usd: 0.5}, denied: [Bash], conversation: c}}"
    )
    outcome = here.play()
    assert isinstance(outcome, Answer)
    assert outcome == Answer('{"a": [1]}', {"a": [1]}, Usage(input=5, cost_usd=0.5), "c", ("Bash",))


def test_a_conversation_goes_on(stage: MakeStage) -> None:
    here = stage("agents: {dev: {say: hi}}")
    first, again = here.play(), here.play(conversation="before")
    assert (first.conversation, again.conversation) == ("script-dev-m", "before")


@pytest.mark.parametrize("kind", list(FailureClass))
def test_any_failure_can_be_played(kind: FailureClass, stage: MakeStage) -> None:
    here = stage(
        f"agents: {{dev: {{steps: [{{say: half}}], fail: {{kind: {kind}, message: so, resets_in: 7}}}}}}"
    )
    failure = here.failure()
    assert (failure.kind, failure.message, failure.partial, failure.resets_in) == (kind, "so", "half", 7.0)


def test_text_comes_in_pieces_at_its_pace(stage: MakeStage) -> None:
    here = stage("pace: 0.05\nagents: {dev: {say: 'one two three four five six seven eight nine ten'}}")
    began = time.monotonic()
    assert here.text() == "one two three four five six seven eight nine ten"
    assert [event.text for event in here.live if isinstance(event, Text)] == [
        "one two three four",
        " five six seven eight",
        " nine ten",
    ]
    assert 0.15 <= time.monotonic() - began < 1


def test_pieces_lose_no_character(stage: MakeStage) -> None:
    here = stage('pace: 0.001\nagents: {dev: {say: "  a  b\\n\\n  c\\td e f  "}}')
    assert here.text() == "  a  b\n\n  c\td e f  "


@pytest.mark.parametrize("reply", ["{hang: true}", "{delay: 60}", "{steps: [{tool: Bash, takes: 60}]}"])
def test_silence_in_a_script_is_ended_like_a_processs(reply: str, stage: MakeStage) -> None:
    here = stage(f"agents: {{dev: {reply}}}")
    began = time.monotonic()
    assert here.failure(idle_timeout=0.2).kind is FailureClass.IDLE
    assert here.failure(timeout=0.2).kind is FailureClass.TIMEOUT
    stop = Stop()
    threading.Timer(0.2, stop.set, ["enough"]).start()
    failure = here.failure(stop=stop)
    assert (failure.kind, "enough" in failure.message) == (FailureClass.CANCELLED, True)
    assert time.monotonic() - began < 2


def test_words_reset_the_silence(stage: MakeStage) -> None:
    here = stage("agents: {dev: {steps: [{say: a}, {pause: 0.2, say: b}, {pause: 0.2, say: c}]}}")
    assert here.text(idle_timeout=0.3) == "c"


def test_a_reader_writes_nothing(stage: MakeStage) -> None:
    here = stage("agents: {dev: {steps: [{write: {a.txt: x}}], say: done}}")
    outcome = here.play(permissions="read")
    assert outcome.denied == ("Write",)
    assert list(here.workspace.iterdir()) == []


def test_a_script_cannot_write_through_a_link_out_of_the_workspace(stage: MakeStage) -> None:
    here = stage("agents: {dev: {steps: [{write: {out/a.txt: x}}]}}")
    outside = here.script.parent / "outside"
    outside.mkdir()
    (here.workspace / "out").symlink_to(outside)
    assert "out of the workspace" in here.failure().message
    assert list(outside.iterdir()) == []


def test_a_script_that_cannot_write_fails(stage: MakeStage) -> None:
    here = stage("agents: {dev: {steps: [{write: {a/b.txt: x}}]}}")
    (here.workspace / "a").write_text("a file, no folder")
    assert "cannot write a/b.txt" in here.failure().message


def test_a_turn_of_a_script_costs_little(stage: MakeStage) -> None:
    here, turns = stage("agents: {dev: {say: hi}}"), 200
    here.text()
    began = time.process_time()
    for _ in range(turns):
        here.text()
    assert (time.process_time() - began) / turns < 0.001


# Bad scripts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("agents:\n  dev:\n    say: [1\n", "script.yaml:4:1: this is no YAML"),
        ("agents:\n  dev:\n    - sya: hi\n", "script.yaml:3:12 agents.dev[0].sya: a script has no key 'sya'"),
        ("agents:\n  dev:\n    - sya: hi\n", "did you mean 'say'?"),
        (
            "agents:\n  dev:\n    delay: soon\n",
            "script.yaml:3:12 agents.dev.delay: Input should be a valid number",
        ),
        ("agents:\n  dev:\n    gate: {verdict: maybe}\n", "script.yaml:3:21 agents.dev.gate.verdict:"),
        ("agents:\n  dev: {fail: {kind: tired}}\n", "script.yaml:2:22 agents.dev.fail.kind:"),
        ("agents:\n  dev:\n    steps: [{write: {../x: y}}]\n", "the path must lie inside the workspace"),
        ("agents:\n  dev:\n    steps: [{write: {/etc/x: y}}]\n", "the path must lie inside the workspace"),
        ("pace: -1\n", "script.yaml:1:7 pace:"),
        ("- a list\n", "script.yaml:1:1"),
        ("speed: 1\n", "a script has no key 'speed' here"),
    ],
)
def test_a_bad_script_is_told_with_its_place(script: str, complaint: str, stage: MakeStage) -> None:
    here = stage(script)
    with pytest.raises(SettingsError) as caught:
        here.play()
    assert complaint in str(caught.value)
    assert "pydantic" not in str(caught.value)
    probe = load("scripted").probe(here.host)
    assert (probe.found, complaint in probe.cure) == (False, True)


def test_a_script_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere.yaml cannot be read: No such file"):
        load_script(tmp_path / "nowhere.yaml")


# The demonstration -----------------------------------------------------------------------------------


def test_without_a_script_the_demonstration_is_played(tmp_path: Path) -> None:
    host = Host(environ={})
    assert load_script(DEMO).pace > 0

    def play(agent: str, kind: TurnKind = TurnKind.WORK, visit: int = 1) -> Answer:
        prompt = Prompt("Add JWT authentication", tmp_path, agent=agent, kind=kind, visit=visit, timeout=30.0)
        outcome = get("scripted", host).run(prompt, host, live.append, Stop())
        assert isinstance(outcome, Answer), outcome
        return outcome

    live: list[Live] = []
    began = time.monotonic()
    play("planner")
    play("developer")
    play("reviewer")
    first = play("reviewer", TurnKind.GATE)
    assert first.fields is not None
    assert first.fields["decision"] == "rejected"
    assert "dev-secret" in first.fields["reason"]
    assert _its_tests(tmp_path) == "2 passed"
    play("developer", visit=2)
    play("reviewer", visit=2)
    second = play("reviewer", TurnKind.GATE, visit=2)
    assert second.fields is not None
    assert second.fields["decision"] == "approved"
    assert time.monotonic() - began < 20
    assert _its_tests(tmp_path) == "4 passed", "the code that it shows must work"
    kinds = {type(event) for event in live}
    assert kinds == {Text, Thinking, ToolStarted, ToolFinished}


def _its_tests(folder: Path) -> str:
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "tests"]
    env = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.splitlines()[-1].partition(" in ")[0]
