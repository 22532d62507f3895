"""Fix: a child task that mends what a task has done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from aqm.errors import ConflictError, NotFoundError, PipelineError, UsageError
from aqm.flow.event import EventKind
from aqm.flow.state import Priority, TaskStatus
from aqm.service.reworking import fix, prioritise
from aqm.service.tasks import cancel
from tests.engine.conftest import SetStage
from tests.engine.hand import Hand, fan, playing, said
from tests.engine.play import Stage, agent

LINE = [agent("plan", "dev"), agent("dev")]
SAYS = {"plan": said("<plan>"), "dev": said("<dev>\nin two lines")}


@contextmanager
def mended(hand: Hand, text: str = "the tests fail", **keys: Any) -> Iterator[Hand]:
    """A hand that plays the child task."""
    own = "AQM_DATABASE_URL" not in hand.play.environ
    parent = hand.play.task
    hand.play.task = fix(hand.play.project, parent, text, own=own, **keys).id
    yield hand
    hand.play.task = parent


def change(play: Stage, agents: list[dict], **more: Any) -> None:
    document = {"agents": agents, **more}
    (play.project.pipelines / "default.yaml").write_text(json.dumps(document))


def test_the_child_is_told_what_was_asked_what_came_of_it_and_what_is_wrong(stage: SetStage):
    with playing(stage(LINE, SAYS), "write a poem", priority=Priority.HIGH) as hand:
        hand.rest()
        parent = hand.play.task
        with mended(hand, "it does not rhyme") as child:
            assert child.input(1) == (
                f"# What was asked ({parent})\n\nwrite a poem\n\n"
                "# What dev gave as the result\n\n<dev>\nin two lines\n\n"
                "# What is to be fixed\n\nit does not rhyme"
            )
            task = child.play.detail().task
            assert (task.parent, task.description) == (parent, "it does not rhyme")
            assert (task.priority, task.pipeline) == (Priority.HIGH, "default")
            assert child.told(EventKind.TASK_SUBMITTED)[0].data["parent"] == parent
            child.rest()
            assert child.walked() == ["plan", "dev"]
            assert child.status is TaskStatus.COMPLETED
        assert hand.walked() == ["plan", "dev"]


def test_the_results_are_what_the_branches_ended_with_and_not_what_was_joined(stage: SetStage):
    agents = [
        agent("split", **fan("a", "b", "c")),
        agent("a", "j"),
        agent("b", "j"),
        agent("c"),
        agent("j", join="all"),
    ]
    with playing(stage(agents, {name: said(f"<{name}>") for name in ("split", "a", "b", "c", "j")})) as hand:
        hand.rest()
        with mended(hand) as child:
            text = child.input(1)
            assert [name for name in ("split", "a", "b", "c", "j") if f"<{name}>" in text] == ["c", "j"]


def test_it_begins_at_the_agent_that_is_named(stage: SetStage):
    with playing(stage(LINE, SAYS)) as hand:
        hand.rest()
        with mended(hand, agent="dev") as child:
            child.rest()
            assert child.walked() == ["dev"]
        with pytest.raises(NotFoundError, match="dev"), mended(hand, agent="dve"):
            pass


def test_it_uses_the_pipeline_and_the_params_of_its_parent(stage: SetStage):
    def greeting(text: str) -> list[dict]:
        return [agent("a", handoffs=[{"to": "b", "payload": text}]), agent("b")]

    play = stage(greeting(""), {})
    change(play, greeting("old ${{ params.who }} ${{ params.tone }}"), params={"who": "team", "tone": "kind"})
    with playing(play, params={"who": "me"}) as hand:
        hand.rest()
        change(play, greeting("edited ${{ params.who }}"), params={"who": "team"})
        with mended(hand) as child:
            child.rest()
            assert child.input(2) == "old me kind"
        with mended(hand, params={"tone": "stern"}) as child:
            child.rest()
            assert child.input(2) == "old me stern"
            with mended(child) as grandchild:
                grandchild.rest()
                assert grandchild.input(2) == "old me stern"
        with pytest.raises(PipelineError, match="tone"), mended(hand, params={"tne": "stern"}):
            pass


def test_its_context_starts_with_what_its_parent_and_the_parents_parent_did(stage: SetStage):
    with playing(stage(LINE, SAYS)) as hand:
        hand.rest()
        first = hand.play.task
        with mended(hand) as child:
            child.step("plan")
            second = child.play.task
            assert [line for line in child.shown(2).splitlines() if line.startswith("## Stage")] == [
                f"## Stage 1 of {first} · plan · done",
                f"## Stage 2 of {first} · dev · done",
                "## Stage 1 · plan · done",
            ]
            child.rest()
            with mended(child) as grandchild:
                assert [line for line in grandchild.shown(1).splitlines() if line.startswith("## Stage")] == [
                    f"## Stage 1 of {first} · plan · done",
                    f"## Stage 2 of {first} · dev · done",
                    f"## Stage 1 of {second} · plan · done",
                    f"## Stage 2 of {second} · dev · done",
                ]


def test_what_runs_or_waits_is_refused_and_nothing_is_stored(stage: SetStage):
    with playing(stage([agent("dev", gate={"type": "human"})], {})) as hand:
        with pytest.raises(ConflictError, match="aqm cancel"), mended(hand):
            pass
        hand.rest()
        with pytest.raises(ConflictError, match="awaiting_gate"), mended(hand):
            pass
        with pytest.raises(UsageError), mended(hand, "  "):
            pass
        cancel(hand.play.project, hand.play.task)
        with mended(hand) as child:
            assert child.status is TaskStatus.IN_PROGRESS or child.status is TaskStatus.PENDING


def test_a_failed_task_can_be_fixed_with_what_it_had(stage: SetStage):
    with playing(stage(LINE, {"plan": said("<plan>"), "dev": {"fail": "crash"}})) as hand:
        hand.rest()
        with mended(hand) as child:
            assert "# What plan gave as the result\n\n<plan>" in child.input(1)


def test_a_priority_can_be_changed_until_the_task_has_ended(stage: SetStage):
    with playing(stage(LINE, {})) as hand:
        assert prioritise(hand.play.project, hand.play.task, Priority.CRITICAL).priority is Priority.CRITICAL
        hand.rest()
        with pytest.raises(ConflictError, match="completed"):
            prioritise(hand.play.project, hand.play.task, Priority.LOW)
