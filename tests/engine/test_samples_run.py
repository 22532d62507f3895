"""The good samples, each run to its end with scripted agents: the stages that the format promises."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aqm.flow.state import TaskStatus
from aqm.service.answering import answer, approve, reject
from tests.engine.conftest import SetStage
from tests.engine.play import APPROVED, REJECTED, Stage, said, walked

GOOD = Path(__file__).parents[1] / "samples" / "good"
AGREE = {"speak": said("VOTE: AGREE")}


@dataclass(frozen=True)
class Run:
    """What the agents and the people say, and the stages that follow; in `ends` how it ends instead."""

    walk: str
    says: Mapping[str, Any] = field(default_factory=dict)
    people: Sequence[str] = ()
    ends: TaskStatus = TaskStatus.COMPLETED


RUNS = {
    "01-minimal": [Run("solo")],
    "02-linear-three-runtimes": [Run("outline build check")],
    "05-params-shorthand": [Run("a")],
    "07-params-prompt-autodetect": [Run("a")],
    "08-imports-selected": [Run("dev sec_reviewer")],
    "10-extends-abstract": [
        Run("judge judge done", {"judge": {"work": said("v"), "gate": [REJECTED, APPROVED]}}),
        Run("judge judge judge judge", {"judge": {"gate": REJECTED}}, ends=TaskStatus.FAILED),
    ],
    "12-gate-llm-loop": [
        Run("dev rev dev rev ship", {"rev": {"work": said("r"), "gate": [REJECTED, APPROVED]}}),
        Run("dev rev dev rev dev rev", {"rev": {"gate": REJECTED}}, ends=TaskStatus.FAILED),
    ],
    "13-gate-human": [
        Run("draft publish", people=["yes"]),
        Run("draft draft publish", people=["no", "yes"]),
    ],
    "15-fanout-static": [Run("split left right third")],
    "17-auto-handoff": [
        Run("triage tech", {"triage": said("HANDOFF: tech")}),
        Run("triage billing", {"triage": {"work": said("hm"), "repair": said("HANDOFF: billing")}}),
    ],
    "18-expressions": [
        Run("classify page", {"classify": said("severity: Critical")}),
        Run("classify queue", {"classify": said("severity: medium")}),
        Run("classify drop", {"classify": said("**severity:** low")}),
        Run("classify", {"classify": said("It is critical.")}),
    ],
    "19-session-vote": [
        Run("meet impl", {"arch": AGREE, "sec": {"speak": [said("hm"), said("VOTE: AGREE")]}})
    ],
    "21-session-moderator": [Run("board minutes", {"chair": AGREE, "dev": {"speak": said("no")}})],
    "22-session-chunks": [
        Run("sprint", {"pm": AGREE, "dev": {"speak": said("CHUNK_DONE: C-001, C-002", "VOTE: AGREE")}})
    ],
    "24-context-strategies": [Run("s1 s2 s3 s4 s5")],
    "25-human-input-forms": [
        Run("q1 q2 q3 q4 q5 q6", people=["blue", "three", "four"]),
        Run(
            "q1 q2 q3 q4 q5 q6",
            {
                "q2": [[said("HUMAN_INPUT: sure?"), said("then so")]],
                "q4": [[said("HUMAN_INPUT: sure?"), said("then so")]],
                "q5": said("HUMAN_INPUT: nobody hears this"),
            },
            people=["blue", "two", "three", "four", "four again"],
        ),
    ],
    "26-retry": [
        Run("a b c", {"a": [[{"fail": "crash"}, {"fail": "crash"}, said("at last")]]}),
        Run("a b", {"b": {"fail": "crash"}}, ends=TaskStatus.FAILED),
    ],
    "27-mcp-forms": [Run("tools")],
    "27b-gate-max-retries-zero": [
        Run("a", {"a": {"gate": APPROVED}}),
        Run("a", {"a": {"gate": REJECTED}}, ends=TaskStatus.FAILED),
    ],
    "30-jinja-logic": [Run("a b")],
    "35-everything": [
        Run(
            "plan council make make release",
            {
                "plan": {"work": said("a plan"), "speak": said("DONE"), "summary": said("so be it")},
                "make": {"work": said("v"), "gate": [REJECTED, APPROVED]},
            },
            people=["the scope", "yes"],
        )
    ],
}


def runs() -> list[Any]:
    return [
        pytest.param(name, run, id=f"{name}-{number}")
        for name, several in RUNS.items()
        for number, run in enumerate(several)
    ]


def speak_up(play: Stage, word: str) -> None:
    """What a person says: yes, no, or an answer."""
    gate = play.detail().task.status is TaskStatus.AWAITING_GATE
    if gate and word == "no":
        reject(play.project, play.task, "not yet")
    elif gate:
        approve(play.project, play.task)
    else:
        answer(play.project, play.task, word)


def test_every_good_sample_has_a_run():
    assert sorted(path.stem for path in GOOD.glob("*.yaml")) == sorted(RUNS)


@pytest.mark.parametrize(("name", "run"), runs())
def test_a_sample_takes_the_stages_that_it_promises(stage: SetStage, name: str, run: Run):
    play = stage([], run.says)
    shutil.copytree(GOOD / "shared", play.project.pipelines / "shared")
    shutil.copy(GOOD / f"{name}.yaml", play.project.pipelines / "default.yaml")
    play.play()
    for word in run.people:
        assert play.detail().task.status.waits
        speak_up(play, word)
        play.go_on()
    detail = play.detail()
    assert detail.task.status is run.ends
    assert walked(detail) == run.walk.split()


def test_a_rejection_s_payload_reaches_its_next_visit(stage: SetStage):
    run = RUNS["12-gate-llm-loop"][0]
    play = stage([], run.says)
    shutil.copy(GOOD / "12-gate-llm-loop.yaml", play.project.pipelines / "default.yaml")
    play.play("t")
    assert play.prompts("dev")[1].startswith("Code: Why: no tests (rejected)\nWas: ")
