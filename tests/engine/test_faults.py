"""Faults of ours, and stops at the wrong moment: no turn hangs, is paid twice or loses its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select, text, update

from aqm.engine import advance
from aqm.engine.heartbeat import SILENT
from aqm.engine.run_turn import DRAIN, run_turn
from aqm.engine.running import Running
from aqm.errors import RefusedError
from aqm.flow.event import Event, EventKind
from aqm.flow.state import TaskStatus
from aqm.service.owning import adopt
from aqm.service.store import open_store
from aqm.service.submission import submit
from aqm.service.tasks import task_page
from aqm.storage import tables
from tests.engine.conftest import SetStage
from tests.engine.play import agent


def turn_of(store: Any) -> Any:
    with store.database.reading() as connection:
        return connection.execute(select(tables.turns)).first()


def test_a_fault_in_deciding_fails_the_turn_and_is_not_run_again(stage: SetStage, monkeypatch):
    def broken(*_: object) -> None:
        raise RecursionError("too deep")

    play = stage([agent("a")], {"a": {"say": "v"}})
    monkeypatch.setattr(advance, "_decide", broken_once(advance._decide, broken))
    detail = play.play()
    assert detail.task.status is TaskStatus.FAILED
    assert [len(one.attempts) for one in detail.stages] == [1]
    assert detail.task.error
    assert "RecursionError: too deep" in detail.task.error.message


def broken_once(real: Any, broken: Any) -> Any:
    """The first call breaks, as a hostile answer's would; the plain failure after it is decided."""
    calls: list[int] = []

    def decide(*words: Any) -> Any:
        calls.append(1)
        return broken() if len(calls) == 1 else real(*words)

    return decide


def test_a_listener_that_breaks_ends_no_turn(stage: SetStage, caplog):
    def listen(events: Sequence[Event]) -> None:
        raise ValueError("a broken screen")

    play = stage([agent("a", "b"), agent("b")], {})
    play.begin()
    with open_store(play.project) as store:
        play.run(play.worker(store, on_events=listen))
    assert play.detail().task.status is TaskStatus.COMPLETED
    assert "A listener broke" in caplog.text


@pytest.mark.parametrize("reason", [DRAIN, SILENT])
def test_an_answer_that_comes_as_the_worker_is_stopped_counts(stage: SetStage, reason: str):
    """The last live text is told when the CLI has ended: a stop that comes then finds the answer there."""
    play = stage([agent("a")], {"a": {"say": "v"}})
    play.begin()
    running = Running()
    with open_store(play.project) as store:
        worker = play.worker(
            store, running=running, on_live=lambda claim, live: running.stop([claim.attempt], reason)
        )
        play.due(worker)
        run_turn(worker, play.rung.pop(0).turn)
    detail = play.detail()
    assert [attempt.status for attempt in detail.stages[0].attempts] == ["answered"]
    assert detail.task.status is TaskStatus.COMPLETED


def test_a_turn_that_the_watchdog_ended_counts_as_lost(stage: SetStage):
    play = stage([agent("a")], {"a": {"steps": [{"pause": 30}]}})
    play.begin()
    running = Running()

    def silence(events: Sequence[Event]) -> None:
        running.stop(running.attempts, SILENT, grace=False)

    with open_store(play.project) as store:
        worker = play.worker(store, running=running, on_events=silence)
        play.due(worker)
        run_turn(worker, play.rung.pop(0).turn)
        turn = turn_of(store)
    assert (turn.status, turn.failures, turn.losses) == ("queued", 0, 1)


def test_nothing_is_claimed_while_no_heartbeat_gets_through(stage: SetStage):
    play = stage([agent("a")], {})
    play.begin()
    running = Running()
    running.trouble(60)
    with open_store(play.project) as store:
        worker = play.worker(store, running=running)
        play.due(worker)
        run_turn(worker, play.rung.pop(0).turn)
        assert turn_of(store).attempts == 0


def test_a_turn_put_back_keeps_its_fallback_strategy(stage: SetStage):
    retry = {"max_retries": 3, "fallback_context_strategy": "last_only"}
    play = stage(
        [agent("a", retry=retry)], {"a": [[{"fail": "context_overflow"}, {"steps": [{"pause": 30}]}]]}
    )
    play.begin()
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker)
        run_turn(worker, play.rung.pop(0).turn)
        assert turn_of(store).strategy == "last_only"
        worker = play.worker(store, on_events=lambda events: worker.running.close(DRAIN))
        play.due(worker)
        run_turn(worker, play.rung.pop(0).turn)
        turn = turn_of(store)
    assert (turn.status, turn.strategy, turn.attempt) == ("queued", "last_only", None)
    assert (turn.failures, turn.losses) == (1, 0)


def test_usage_that_is_booked_late_twice_is_spent_once(stage: SetStage):
    from aqm.engine.advance import Ended, close
    from aqm.flow.outcome import Answer, Usage
    from aqm.storage import claims, tasks

    play = stage([agent("a")], {})
    play.begin()
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker)
        with store.database.writing() as connection, tasks.lock(connection, play.task) as task:
            assert task
            claim = claims.claim(connection, task, play.rung[0].turn, worker.name, 30)
            task.move(TaskStatus.IN_PROGRESS)
        assert claim
        late = Ended(claim.turn, claim.attempt, Answer("v", usage=Usage(cost_usd=1.0)))
        with store.database.writing() as connection:
            connection.execute(update(tables.turns).values(attempt="another"))
        assert not close(worker, late)
        assert not close(worker, late)
    assert play.detail().task.usage.cost_usd == 1.0


def test_a_team_s_task_is_not_taken_over_by_a_laptop(stage: SetStage):
    play = stage([agent("a")], {})
    play.begin()
    with open_store(play.project) as store:
        team = not store.embedded
    if team:
        with pytest.raises(RefusedError, match="workers run them"):
            adopt(play.project, None)
    else:
        assert adopt(play.project, None) == (play.task,)


def test_a_laptop_does_not_submit_a_task_to_a_team_that_it_means_to_run_itself(stage: SetStage):
    play = stage([agent("a")], {})
    if "AQM_DATABASE_URL" in play.environ:
        with pytest.raises(RefusedError, match="workers run them"):
            submit(play.project, "go", own=True)
        assert task_page(play.project).tasks == ()
    else:
        assert submit(play.project, "go", own=True)


def test_a_fenced_turn_s_text_is_not_accepted(stage: SetStage):
    play = stage([agent("a")], {"a": {"say": "late"}})
    play.begin()
    with open_store(play.project) as store:

        def take_away(claim: object, live: object) -> None:
            with store.database.writing() as connection:
                connection.execute(text("update turns set attempt = 'another'"))

        worker = play.worker(store, on_live=take_away)
        play.due(worker)
        run_turn(worker, play.rung.pop(0).turn)
        turn = turn_of(store)
    assert (turn.status, turn.attempt) == ("running", "another")
    assert EventKind.TURN_COMPLETE not in [event.kind for event in play.events()]
