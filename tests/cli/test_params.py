"""Params on the command line: asked for on a terminal, looked up by an agent, or refused."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from aqm.runtimes.tree import marked
from tests.cli.conftest import Call, Open, Terminal
from tests.runtimes.dialects import DIALECTS

BIN = Path(__file__).parents[1] / "bin"


def declare(project: Path, params: str, agents: str = "agents: [{id: dev, runtime: claude}]\n") -> None:
    """The project's pipeline with these params."""
    (project / ".aqm" / "pipelines" / "default.yaml").write_text(f"params:\n  {params}\n{agents}")


def values(said: str) -> dict[str, str]:
    """The params that a dry run has told at its end."""
    plain = re.sub("\x1b[^m]*m", "", said)
    return dict(re.findall(r"^(\w+) = (.*)$", plain, re.MULTILINE))


def rehearsed(screen: Terminal) -> dict[str, str]:
    assert screen.end() == 0, screen.said
    return values(screen.said)


# On a terminal -----------------------------------------------------------------------------------


def test_params_with_a_question_and_those_that_lack_a_value_are_asked_for(
    terminal: Open, call: Call, project: Path, script: Path
) -> None:
    params = "who: {prompt: Who is it for, default: all}\n  what: {required: true}\n  not: asked"
    declare(project, params)
    screen = terminal("run", "x", "--script", str(script))
    screen.until("Who is it for [all]:")
    screen.answer("")
    screen.until("what:")
    screen.answer("cake")
    assert screen.end() == 0
    task = re.findall(r"T-\w{6}", screen.said)[0]
    assert "who = all\n  what = cake\n  not = asked" in call("status", task).stdout


def test_what_was_given_is_not_asked_for(terminal: Open, project: Path) -> None:
    declare(project, "a: {prompt: A, default: 1}\n  b: {prompt: B}\n  c: {required: true}\n  d: {prompt: D}")
    (project / ".aqm" / "params.yaml").write_text("a: 5\nb: from the file\nc: from the file\n")
    screen = terminal("run", "x", "--dry-run", "-p", "b=from the line", "-p", "d=")
    assert rehearsed(screen) == {"a": "5", "b": "from the line", "c": "from the file", "d": ""}


def test_a_value_of_the_wrong_type_is_said_and_asked_for_again(terminal: Open, project: Path) -> None:
    declare(project, "n: {prompt: How many, default: 3}\n  b: {type: boolean, required: true}")
    screen = terminal("run", "x", "--dry-run")
    screen.until("How many [3]:")
    screen.answer("some")
    screen.until("The value must be a number, not 'some'.")
    screen.answer("7")
    screen.until("b:")
    screen.answer("yes")
    screen.until("The value must be true or false, not 'yes'.")
    screen.answer(" true ")
    assert rehearsed(screen) == {"n": "7", "b": "True"}


def test_what_is_no_text_is_asked_for_again(terminal: Open, project: Path) -> None:
    declare(project, "who: {prompt: Who}")
    screen = terminal("run", "x", "--dry-run", LC_ALL="C.UTF-8")
    screen.until("Who:")
    os.write(screen.master, b"\xff\xfe\n")
    screen.until("half a character")
    screen.answer("me")
    assert rehearsed(screen) == {"who": "me"}


def test_a_required_param_takes_no_empty_answer_and_another_one_does(terminal: Open, project: Path) -> None:
    declare(project, "free: {prompt: Anything}\n  must: {required: true, description: a name}")
    screen = terminal("run", "x", "--dry-run")
    screen.until("Anything:")
    screen.answer("")
    screen.until("must (a name):")
    screen.answer("")
    screen.until("A value is needed.")
    screen.answer("x")
    assert rehearsed(screen) == {"free": "", "must": "x"}


def test_a_pipeline_that_is_faulty_without_the_value_is_asked_for_it(terminal: Open, project: Path) -> None:
    agents = "agents: [{id: dev, runtime: '${{ params.engine }}'}]\n"
    declare(project, "engine: {required: true, prompt: Which CLI}", agents)
    screen = terminal("run", "x", "--dry-run")
    screen.until("Which CLI:")
    screen.answer("codex")
    assert rehearsed(screen) == {"engine": "codex"}


@pytest.mark.parametrize("words", [["--agent", "deb"], ["-p", "hwo=me"], ["-p", "n=many"]])
def test_nothing_is_asked_for_when_the_command_is_wrong_anyhow(
    terminal: Open, project: Path, words: list[str]
) -> None:
    declare(project, "who: {prompt: Who}\n  must: {required: true}\n  n: 1")
    screen = terminal("run", "x", *words)
    assert screen.end() == 1
    assert "error:" in screen.said
    assert "Who" not in screen.said


def test_a_pipeline_s_questions_bring_no_escapes_of_their_own(terminal: Open, project: Path) -> None:
    declare(project, 'who: {prompt: "Who\\e[2J\\nis it", default: "a\\e]0;b\\ab"}')
    screen = terminal("run", "x", "--dry-run")
    screen.until("Who · is it [ab]:")
    screen.answer("")
    assert screen.end() == 0
    assert "\x1b[2J" not in screen.said
    assert "\x1b]0" not in screen.said


# Looked up ---------------------------------------------------------------------------------------

LOOKS = "language: {auto_detect: Which language is it written in, default: Go}"


def answering(tmp_path: Path, reply: object, name: str = "language") -> str:
    """A script in which an agent that is asked for the param gives this reply."""
    file = tmp_path / "answers.yaml"
    file.write_text(json.dumps({"agents": {name: {"route": reply}}}))
    return str(file)


@pytest.mark.parametrize(
    ("typed", "value"), [(["?", ""], "Rust"), (["?", "C++"], "C++"), ([""], "Go"), (["Perl"], "Perl")]
)
def test_what_an_agent_found_is_shown_and_taken_or_changed(
    terminal: Open, project: Path, tmp_path: Path, typed: list[str], value: str
) -> None:
    declare(project, LOOKS)
    reply = {"steps": [{"tool": "Read", "summary": "Cargo.toml"}], "say": "Rust"}
    screen = terminal("run", "x", "--dry-run", "--script", answering(tmp_path, reply))
    screen.until("language (? looks it up) [Go]:")
    for words in typed:
        screen.answer(words)
        if words == "?":
            screen.until("· Read Cargo.toml")
            screen.until("language [Rust]:")
    assert rehearsed(screen) == {"language": value}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ({"say": "I think that it is\nRust."}, "scripted answered with more than the bare value."),
        ({"say": "unknown"}, "scripted could not tell."),
        ({"fail": {"kind": "auth", "message": "not\nlogged in"}}, "did not look it up: not · logged in."),
    ],
)
def test_a_look_that_found_nothing_is_told_in_a_sentence_and_the_person_is_asked(
    terminal: Open, project: Path, tmp_path: Path, reply: object, why: str
) -> None:
    declare(project, LOOKS)
    screen = terminal("run", "x", "--dry-run", "--script", answering(tmp_path, reply))
    screen.until("[Go]:")
    screen.answer("?")
    screen.until(why)
    screen.until("language [Go]:")
    screen.answer("?")
    screen.until("It was looked up already: type the value.")
    screen.answer("")
    assert rehearsed(screen) == {"language": "Go"}


def test_a_found_value_is_only_a_value_whatever_it_says(
    terminal: Open, project: Path, tmp_path: Path
) -> None:
    agents = "agents: [{id: dev, runtime: claude, system_prompt: 'In ${{ params.language }}: {{ input }}'}]\n"
    declare(project, LOOKS, agents)
    reply = {"say": "\x1b[2J{{ input }}\x1b]0;x\x07 ${{ params.language }}"}
    screen = terminal("run", "x", "--dry-run", "--script", answering(tmp_path, reply))
    screen.until("[Go]:")
    screen.answer("?")
    screen.until("found:")
    screen.until("language [")
    screen.answer("")
    assert rehearsed(screen) == {"language": "{{ input }} ${{ params.language }}"}
    assert "\x1b[2J" not in screen.said
    assert "inserted as text" in screen.said


def test_a_pipeline_without_an_agent_that_could_look_says_what_to_set(terminal: Open, project: Path) -> None:
    declare(project, LOOKS, "agents: [{id: dev, runtime: command, command: [cat]}]\n")
    screen = terminal("run", "x", "--dry-run")
    screen.until("language [Go]:")
    screen.answer("?")
    screen.until("No agent can look it up: set router.runtime in .aqm/config.yaml, or type the value.")
    screen.answer("")
    assert rehearsed(screen) == {"language": "Go"}


def test_a_real_cli_is_asked_in_the_project_s_folder_and_may_only_read(
    terminal: Open, project: Path, tmp_path: Path
) -> None:
    declare(project, LOOKS)
    (project / ".aqm" / "config.yaml").write_text("pass_env: [PLAY, PLAY_LOG]\n")
    play = [["say", line] for line in DIALECTS["claude"].answer("`Rust`")]
    log = tmp_path / "log"
    path = f"{BIN}:{os.environ['PATH']}"
    screen = terminal("run", "x", "--dry-run", PATH=path, PLAY=json.dumps(play), PLAY_LOG=str(log))
    screen.until("[Go]:")
    screen.answer("?")
    screen.until("claude looks it up")
    screen.until("language [Rust]:")
    screen.answer("")
    assert rehearsed(screen) == {"language": "Rust"}
    given = json.loads(log.read_text())
    assert "Which language is it written in" in given["stdin"]
    assert given["env"]["PWD"] == str(project)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_an_agent_looks_ends_it_and_the_command_and_nothing_is_stored(
    terminal: Open, call: Call, project: Path, tmp_path: Path, number: signal.Signals
) -> None:
    declare(project, LOOKS)
    (project / ".aqm" / "config.yaml").write_text("pass_env: [PLAY, PLAY_LOG]\n")
    play = [["child", 60, {"session": True}], ["touch", str(tmp_path / "began")], ["sleep", 60]]
    log = tmp_path / "log"
    path = f"{BIN}:{os.environ['PATH']}"
    screen = terminal("run", "x", PATH=path, PLAY=json.dumps(play), PLAY_LOG=str(log))
    screen.until("[Go]:")
    screen.answer("?")
    deadline = time.monotonic() + 20
    while not (tmp_path / "began").exists():
        assert time.monotonic() < deadline, screen.said
        time.sleep(0.02)
    screen.process.send_signal(number)
    assert screen.end() == 130
    assert "Traceback" not in screen.said
    assert marked(json.loads(log.read_text())["env"]["AQM_MARK"]) == []
    assert json.loads(call("list", "--json").stdout)["tasks"] == []


# Where nobody can be asked -----------------------------------------------------------------------


def test_a_default_is_taken_and_a_value_that_lacks_is_refused_with_what_it_is_and_how_to_give_it(
    call: Call, project: Path
) -> None:
    declare(project, "who: {prompt: Who, default: all}\n  must: {required: true, description: a name}")
    shown = call("run", "x", "--dry-run")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert shown.stderr == (
        "error: .aqm/pipelines/default.yaml:3:3 params.must: the param 'must' (a name) has no value; "
        "give one with  -p must=VALUE  or in .aqm/params.yaml\n"
    )
    given = call("run", "x", "--dry-run", "-p", "must=me")
    assert values(given.stdout) == {"who": "all", "must": "me"}


def test_a_value_that_lacks_is_named_beside_what_is_wrong_without_it(call: Call, project: Path) -> None:
    agents = "agents: [{id: dev, runtime: '${{ params.engine }}'}]\n"
    declare(project, "engine: {required: true}", agents)
    shown = call("run", "x")
    assert shown.stderr.splitlines()[0].startswith(
        "error: .aqm/pipelines/default.yaml:2:3 params.engine: the param 'engine' has no value"
    )


def test_a_param_of_an_imported_file_can_be_given_and_a_slip_names_the_nearest(
    call: Call, project: Path
) -> None:
    declare(project, "own: 1", "imports: [{from: lib.yaml}]\nagents: [{id: dev, runtime: claude}]\n")
    library = project / ".aqm" / "pipelines" / "lib.yaml"
    library.write_text("params: {language: Go}\nagents: [{id: b, runtime: claude}]\n")
    shown = call("run", "x", "--dry-run", "-p", "langauge=Rust")
    assert shown.exit_code == 1
    assert "there is no param called 'langauge'; did you mean 'language'?" in shown.stderr
    given = call("run", "x", "--dry-run", "-p", "language=Rust")
    assert values(given.stdout) == {"own": "1", "language": "Rust"}
