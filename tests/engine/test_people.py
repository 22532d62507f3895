"""People through the engine: questions before and during the work, answers, and who of several is heard."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from aqm.errors import AqmError, ConflictError, UsageError
from aqm.flow.asking import USER_INPUT
from aqm.flow.event import EventKind
from aqm.flow.state import StageStatus, TaskStatus, TurnKind
from aqm.service.answering import answer, approve, reject, waiting
from aqm.service.reworking import restart
from aqm.service.tasks import cancel
from tests.engine.conftest import SetStage
from tests.engine.play import Stage, agent, said, walked

GATE = {"gate": {"type": "human"}}


# Questions ---------------------------------------------------------------------------------------


def test_a_person_is_asked_before_the_agent_runs_and_the_answer_is_in_its_input(stage: SetStage):
    ask = {"mode": "before", "prompt": "Which colour?"}
    play = stage([agent("dev", "ship", human_input=ask), agent("ship")], {"dev": said("done")})
    detail = play.play("paint it")
    assert detail.task.status is TaskStatus.AWAITING_HUMAN_INPUT
    assert detail.stages[0].question == "Which colour?"
    assert play.told == []
    assert answer(play.project, play.task, "blue").status is TaskStatus.IN_PROGRESS
    assert walked(play.go_on()) == ["dev", "ship"]
    assert play.prompts("dev") == [f"paint it\n\n{USER_INPUT}\nblue"]


def test_a_restart_asks_again_and_forgets_the_old_answer(stage: SetStage):
    play = stage([agent("dev", human_input="before")], {"dev": said("done")})
    play.play("paint it")
    answer(play.project, play.task, "blue")
    play.go_on()
    restart(play.project, play.task, own="AQM_DATABASE_URL" not in play.environ)
    answer(play.project, play.task, "red")
    play.go_on()
    assert play.prompts("dev")[-1] == f"paint it\n\n{USER_INPUT}\nred"


def test_questions_of_an_agent_go_back_to_it_with_all_that_was_said_so_far(stage: SetStage):
    says = [
        [
            said("My plan is X.", "HUMAN_INPUT: Which colour?"),
            said("Then Y.", "HUMAN_INPUT: How big?", "HUMAN_INPUT: How many?"),
            said("It is done."),
        ]
    ]
    play = stage([agent("dev", "ship", human_input=True), agent("ship")], {"dev": says})
    detail = play.play("paint it")
    assert detail.stages[0].question == "Which colour?"
    answer(play.project, play.task, "blue")
    detail = play.go_on()
    assert detail.task.status is TaskStatus.AWAITING_HUMAN_INPUT
    assert detail.stages[0].question == "How big?\nHow many?"
    answer(play.project, play.task, "very; ten")
    detail = play.go_on()
    assert walked(detail) == ["dev", "ship"]
    first, second, third = play.prompts("dev")
    assert first == "paint it"
    assert second.startswith("paint it")
    for told in ("My plan is X.", "Which colour?", f"{USER_INPUT}\nblue"):
        assert told in second
    for told in ("Then Y.", "Which colour?", f"{USER_INPUT}\nblue", "How many?", f"{USER_INPUT}\nvery; ten"):
        assert told in third
    assert play.prompts("ship") == ["It is done."]
    assert len(detail.stages) == 2
    assert [event.data["answer"] for event in play.happened(EventKind.HUMAN_INPUT)] == ["blue", "very; ten"]


def test_gate_before_question_before_and_questions_of_the_agent_come_one_after_another(stage: SetStage):
    agents = [agent("dev", gate={"type": "human", "when": "before"}, human_input="both")]
    play = stage(agents, {"dev": [[said("HUMAN_INPUT: Which?"), said("done")]]})
    assert play.play("t").task.status is TaskStatus.AWAITING_GATE
    approve(play.project, play.task)
    assert play.go_on().task.status is TaskStatus.AWAITING_HUMAN_INPUT
    answer(play.project, play.task, "first")
    detail = play.go_on()
    assert (detail.task.status, detail.stages[0].question) == (TaskStatus.AWAITING_HUMAN_INPUT, "Which?")
    answer(play.project, play.task, "second")
    detail = play.go_on()
    assert detail.task.status is TaskStatus.COMPLETED
    first, second = play.prompts("dev")
    assert first == f"t\n\n{USER_INPUT}\nfirst"
    assert second.startswith(first)
    assert second.index("Which?") < second.index(f"{USER_INPUT}\nsecond")
    assert len(play.happened(EventKind.GATE_VERDICT)) == 1


def test_an_answer_keeps_the_request_for_the_declared_output(stage: SetStage):
    agents = [agent("dev", human_input=True, output={"n": {"type": "integer"}})]
    play = stage(agents, {"dev": [[said("HUMAN_INPUT: Which?"), {"say": "so", "fields": {"n": 1}}]]})
    play.play()
    answer(play.project, play.task, "this")
    assert play.go_on().task.status is TaskStatus.COMPLETED
    assert [told.schema is not None for told in play.told] == [True, True]
    assert all("JSON Schema" in text for text in play.prompts("dev"))


def test_what_is_waited_for_is_shown_with_the_work(stage: SetStage):
    play = stage([agent("dev", **GATE)], {"dev": said("my work")})
    play.play()
    (wait,) = waiting(play.project, play.task)
    assert (wait.stage, wait.agent, wait.waits, wait.output) == (1, "dev", "gate", "my work")
    approve(play.project, play.task)
    assert waiting(play.project, play.task) == ()


# Too late, too early, too vague ----------------------------------------------------------------------


def test_a_second_word_is_refused_with_what_was_decided(stage: SetStage):
    play = stage([agent("dev", "ship", **GATE), agent("ship")], {})
    play.play()
    approve(play.project, play.task, reason="well done")
    for late in (
        lambda: approve(play.project, play.task),
        lambda: reject(play.project, play.task, "no"),
        lambda: reject(play.project, play.task, "no", stage=1),
    ):
        with pytest.raises(ConflictError, match=r"stage 1 \(dev\) was approved: well done"):
            late()
    play.go_on()
    with pytest.raises(ConflictError, match="is completed and waits for no approval"):
        approve(play.project, play.task)


def test_a_second_answer_is_refused_with_the_first(stage: SetStage):
    play = stage([agent("dev", human_input="before")], {})
    play.play()
    answer(play.project, play.task, "blue\nand green")
    with pytest.raises(ConflictError, match=r"waits for no answer: stage 1 \(dev\) was answered: blue"):
        answer(play.project, play.task, "red")
    play.go_on()
    assert "red" not in play.prompts("dev")[0]


def test_the_wrong_word_is_refused_and_changes_nothing(stage: SetStage):
    play = stage([agent("dev", **GATE)], {})
    play.play()
    with pytest.raises(ConflictError, match="awaiting_gate and waits for no answer"):
        answer(play.project, play.task, "blue")
    with pytest.raises(ConflictError, match="waits for no approval in stage 7"):
        approve(play.project, play.task, stage=7)
    with pytest.raises(UsageError, match="reason"):
        reject(play.project, play.task, "  ")
    assert play.detail().task.status is TaskStatus.AWAITING_GATE


def test_of_several_waiting_branches_the_stage_must_be_named(stage: SetStage):
    agents = [agent("a", handoffs=[{"to": "left, right"}]), agent("left", **GATE), agent("right", **GATE)]
    play = stage(agents, {"right": said("r")})
    assert play.play().task.status is TaskStatus.AWAITING_GATE
    with pytest.raises(UsageError, match=r"stages 2 \(left\), 3 \(right\)") as caught:
        approve(play.project, play.task)
    assert "--stage" in caught.value.cure
    assert approve(play.project, play.task, stage=3).status is TaskStatus.AWAITING_GATE
    assert approve(play.project, play.task).status is TaskStatus.COMPLETED


def test_a_gate_outranks_a_question_and_a_running_branch_outranks_both(stage: SetStage):
    agents = [
        agent("a", handoffs=[{"to": "left, right, busy"}]),
        agent("left", **GATE),
        agent("right", human_input="before"),
        agent("busy"),
    ]
    play = stage(agents, {"busy": {"fail": "cli_missing"}})
    play.begin()
    detail = play.go_on(ahead=False)
    assert detail.task.status is TaskStatus.AWAITING_GATE
    assert {one.agent: one.waits for one in detail.stages[1:]} == {
        "left": "gate",
        "right": "input",
        "busy": "host",
    }
    assert approve(play.project, play.task).status is TaskStatus.AWAITING_HUMAN_INPUT
    assert answer(play.project, play.task, "so").status is TaskStatus.IN_PROGRESS
    assert play.go_on(ahead=False).task.status is TaskStatus.STALLED


def test_a_cancelled_task_takes_no_word(stage: SetStage):
    play = stage([agent("dev", **GATE)], {})
    play.play()
    cancel(play.project, play.task)
    with pytest.raises(ConflictError, match="is cancelled and waits for no approval"):
        approve(play.project, play.task)
    assert play.detail().stages[0].status is StageStatus.DROPPED


# At once -----------------------------------------------------------------------------------------


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each gave or raised, all having begun together."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(place: int, call: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[place] = call()
        except AqmError as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def won(results: list[Any]) -> list[int]:
    for result in results:
        assert not isinstance(result, AqmError) or isinstance(result, ConflictError), result
    return [place for place, result in enumerate(results) if not isinstance(result, Exception)]


def word(play: Stage, place: int) -> Callable[[], Any]:
    if place % 2:
        return lambda: approve(play.project, play.task, reason=f"by {place}")
    return lambda: reject(play.project, play.task, f"by {place}")


def test_of_eight_verdicts_at_once_exactly_one_is_taken(stage: SetStage):
    routes = [{"to": "ship", "condition": "on_approve"}, {"to": "fix", "condition": "on_reject"}]
    play = stage([agent("dev", handoffs=routes, **GATE), agent("ship"), agent("fix")], {})
    for _ in range(20):
        play.play()
        results = at_once(*(word(play, place) for place in range(8)))
        (winner,) = won(results)
        (verdict,) = play.happened(EventKind.GATE_VERDICT)
        assert verdict.data["reason"] == f"by {winner}"
        for place in set(range(8)) - {winner}:
            assert f"by {winner}" in str(results[place])
        assert walked(play.go_on()) == ["dev", "ship" if winner % 2 else "fix"]


def test_of_eight_answers_at_once_exactly_one_is_taken(stage: SetStage):
    play = stage([agent("dev", human_input="before")], {})
    for _ in range(20):
        play.play()
        play.told.clear()
        calls = [lambda n=n: answer(play.project, play.task, f"by {n}") for n in range(8)]
        (winner,) = won(at_once(*calls))
        assert play.go_on().task.status is TaskStatus.COMPLETED
        assert play.prompts("dev") == [f"the task\n\n{USER_INPUT}\nby {winner}"]


def test_an_approval_and_a_cancel_at_once_end_in_one_of_the_two(stage: SetStage):
    play = stage([agent("dev", "ship", **GATE), agent("ship")], {})
    for _ in range(20):
        play.play()
        approved, cancelled = at_once(
            lambda: approve(play.project, play.task), lambda: cancel(play.project, play.task)
        )
        detail = play.go_on()
        assert not isinstance(cancelled, Exception)  # also of a task that goes on
        assert detail.task.status is TaskStatus.CANCELLED
        stopped = [one.status for one in detail.stages]
        if isinstance(approved, Exception):
            assert stopped == [StageStatus.DROPPED]
        else:
            assert stopped == [StageStatus.DONE, StageStatus.DROPPED]


def test_a_question_is_asked_again_at_the_next_visit(stage: SetStage):
    loop = [{"to": "dev", "condition": "stage.visits < 2"}]
    play = stage([agent("dev", human_input="before", handoffs=loop)], {"dev": [said("v1"), said("v2")]})
    play.play("t")
    answer(play.project, play.task, "one")
    assert play.go_on().task.status is TaskStatus.AWAITING_HUMAN_INPUT
    answer(play.project, play.task, "two")
    assert play.go_on().task.status is TaskStatus.COMPLETED
    assert play.prompts("dev") == [f"t\n\n{USER_INPUT}\none", f"v1\n\n{USER_INPUT}\ntwo"]
    assert [told.kind for told in play.told] == [TurnKind.WORK, TurnKind.WORK]
