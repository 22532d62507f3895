"""Looking a param's value up: who is asked, with what, and which answers are values."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aqm.pipeline.spec import Param, Pipeline
from aqm.runtimes.base import Host, Live, Stop, ToolStarted
from aqm.runtimes.tree import marked, protection
from aqm.service.detecting import Detected, Scout, Undetected, detect, scout_for
from aqm.service.pipelines import load_pipeline
from aqm.service.project import Project, create_project, find_project
from tests.runtimes.dialects import DIALECTS

BIN = Path(__file__).parents[1] / "bin"
CLAUDE = Scout("claude")
LANGUAGE = Param(auto_detect="Which language?", description="the main one")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project", {})


def configured(project: Project, config: str) -> Project:
    (project.folder / "config.yaml").write_text(config)
    return find_project(project.root, {})


def pipeline(project: Project, agents: str) -> Pipeline:
    (project.pipelines / "p.yaml").write_text(f"agents:\n{agents}")
    return load_pipeline(project, "p", {}).pipeline


def scripted(project: Project, reply: Mapping[str, Any]) -> Host:
    file = project.root / "script.yaml"
    file.write_text(json.dumps({"agents": {"language": {"route": dict(reply)}}}))
    return Host({}, script=file)


def playing(tmp_path: Path, *play: list[Any]) -> Host:
    """A host whose `claude` does that."""
    environ = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PLAY": json.dumps(play),
        "PLAY_LOG": str(tmp_path / "log"),
    }
    return Host(environ, ("PLAY", "PLAY_LOG"), protection())


def look(project: Project, host: Host, param: Param = LANGUAGE, scout: Scout = CLAUDE) -> object:
    return detect(project, host, scout, "language", param, Stop(), lambda _: None)


# Who is asked ------------------------------------------------------------------------------------

CODER = "- {id: a, runtime: codex, model: m}\n"
SHELL = "- {id: s, runtime: command, command: [cat]}\n"
TALK = "- {id: talk, type: session, participants: [b]}\n- {id: b, runtime: gemini}\n"


@pytest.mark.parametrize(
    ("config", "agents", "scout"),
    [
        ("", CODER + TALK, Scout("codex", "m")),
        ("", TALK, Scout("gemini")),
        ("", SHELL + CODER, Scout("codex", "m")),
        ("", SHELL, None),
        ("router: {runtime: claude}\n", CODER, Scout("claude")),
        ("router: {runtime: command}\n", SHELL, None),
        ("router: {runtime: command}\n", CODER, Scout("codex", "m")),
    ],
)
def test_the_config_s_router_is_asked_or_what_the_first_own_agent_is(
    project: Project, config: str, agents: str, scout: Scout | None
) -> None:
    project = configured(project, config)
    assert scout_for(project.settings, Host({}), pipeline(project, agents)) == scout


def test_an_imported_agent_is_asked_after_the_own_ones(project: Project) -> None:
    (project.pipelines / "lib.yaml").write_text("agents: [{id: first, runtime: gemini}]\n")
    (project.pipelines / "p.yaml").write_text("imports: [{from: lib.yaml}]\nagents:\n" + CODER)
    found = load_pipeline(project, "p", {}).pipeline
    assert scout_for(project.settings, Host({}), found) == Scout("codex", "m")
    (project.pipelines / "p.yaml").write_text("imports: [{from: lib.yaml}]\nagents:\n" + SHELL)
    assert scout_for(project.settings, Host({}), load_pipeline(project, "p", {}).pipeline) == Scout("gemini")


def test_a_script_plays_everybody_and_without_a_pipeline_only_the_config_can_name_one(
    project: Project,
) -> None:
    assert scout_for(project.settings, Host({}, script=Path("s")), None) == Scout("scripted")
    assert scout_for(project.settings, Host({}), None) is None
    assert scout_for(configured(project, "router: {runtime: codex}").settings, Host({}), None) == Scout(
        "codex"
    )


# What it is asked --------------------------------------------------------------------------------


def test_it_is_asked_in_the_project_and_may_only_read(project: Project, tmp_path: Path) -> None:
    host = playing(tmp_path, *(["say", line] for line in DIALECTS["claude"].tool_call()))
    seen: list[Live] = []
    scout = Scout("claude", "small")
    assert detect(project, host, scout, "language", LANGUAGE, Stop(), seen.append) == Detected("Done.")
    given = json.loads((tmp_path / "log").read_text())
    assert "the parameter `language`" in given["stdin"]
    assert "the main one\nWhich language?" in given["stdin"]
    assert "It must be text of at most 200 characters" in given["stdin"]
    assert given["env"]["PWD"] == str(project.root)
    words = dict(pairwise(given["argv"]))
    assert (words["--model"], words["--tools"]) == ("small", "Read,Grep,Glob")
    assert [live.summary for live in seen if isinstance(live, ToolStarted)] == ["a.txt"]


def test_a_question_is_text_and_no_format_or_template(project: Project, tmp_path: Path) -> None:
    asked = "Is it {name} or {{ params.x }} or %s?"
    look(project, playing(tmp_path), Param(auto_detect=asked))
    assert asked in json.loads((tmp_path / "log").read_text())["stdin"]


# What is a value ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("Rust", "Rust"),
        ("\n  Rust \n\n", "Rust"),
        ("`Rust`", "Rust"),
        ("**Rust**", "Rust"),
        ('"Rust"', "Rust"),
        ("```text\nRust\n```", "Rust"),
        ("'a' and 'b'", "'a' and 'b'"),
        ("`", "`"),
        ("Objective-C++ & co.", "Objective-C++ & co."),
        ("\x1b[31mRu\x07st\x1b[0m", "Rust"),
        ("\x1b]0;title\x07Rust", "Rust"),
        ("R\u202eu\u200bst", "Rust"),
        ("a\tb", "a b"),
        ("{{ input }}", "{{ input }}"),
        ("x" * 200, "x" * 200),
    ],
)
def test_the_one_line_of_an_answer_is_the_value(project: Project, said: str, value: str) -> None:
    assert look(project, scripted(project, {"say": said})) == Detected(value)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("It is\nRust", "claude answered with more than the bare value"),
        ("a\x0bb", "claude answered with more than the bare value"),
        ("x" * 201, "claude answered with more than 200 characters"),
        ("Rust" + " " * 20_000 + "or so", "claude answered with more than the bare value"),
        ("unknown", "claude could not tell"),
        ("Unknown.\nThere are no files.", "claude could not tell"),
        ("```\n```", "claude could not tell"),
        ("\u200b", "claude could not tell"),
    ],
)
def test_anything_else_is_said_to_be_none(project: Project, said: str, why: str) -> None:
    assert look(project, scripted(project, {"say": said})) == Undetected(why)


@pytest.mark.parametrize(
    ("kind", "said", "found"),
    [
        ("number", "12", Detected("12")),
        ("boolean", "`True`", Detected("True")),
        ("number", "twelve", "it must be a number, not 'twelve'"),
        ("boolean", "yes", "it must be true or false, not 'yes'"),
    ],
)
def test_a_value_must_fit_the_type(project: Project, kind: str, said: str, found: object) -> None:
    param = Param.model_validate({"auto_detect": "?", "type": kind})
    expected = (
        found
        if isinstance(found, Detected)
        else Undetected(f"claude found a value that does not fit: {found}")
    )
    assert look(project, scripted(project, {"say": said}), param) == expected


# What goes wrong ---------------------------------------------------------------------------------


def test_a_cli_that_is_not_there_or_has_no_adapter_is_told(project: Project) -> None:
    missing = look(project, Host({"PATH": "/nowhere"}))
    assert isinstance(missing, Undetected)
    assert missing.why.startswith("claude did not look it up: ")
    strange = look(project, Host({}), scout=Scout("cluade"))
    assert strange == Undetected(
        "cluade cannot look it up: there is no runtime called 'cluade'; did you mean 'claude'?"
    )


def test_a_runtime_that_cannot_be_kept_to_reading_needs_consent(project: Project) -> None:
    refused = look(project, Host({}), scout=Scout("command"))
    assert isinstance(refused, Undetected)
    assert "permissions.allow_unconfined" in refused.why


def test_the_settings_limits_of_time_hold(project: Project, tmp_path: Path) -> None:
    host = playing(tmp_path, ["sleep", 30])
    found = look(configured(project, "timeouts: {claude: 0.3}\n"), host)
    assert found == Undetected(
        "claude did not look it up: claude was stopped: it ran longer than its 0.3 seconds"
    )
    found = look(configured(project, "idle_timeouts: {claude: 0.3}\n"), host)
    assert found == Undetected(
        "claude did not look it up: claude was stopped: it printed nothing for 0.3 seconds"
    )


def test_a_stop_ends_it_and_leaves_nothing_behind(project: Project, tmp_path: Path) -> None:
    events = DIALECTS["claude"].tool_call()
    host = playing(
        tmp_path,
        ["child", 30, {"session": True, "silent": True}],
        *(["say", line] for line in events[:2]),
        ["sleep", 30],
    )
    stop = Stop()
    found = detect(project, host, CLAUDE, "language", LANGUAGE, stop, lambda _: stop.set("enough"))
    assert found == Undetected("claude did not look it up: claude was stopped: enough")
    assert marked(json.loads((tmp_path / "log").read_text())["env"]["AQM_MARK"]) == []
