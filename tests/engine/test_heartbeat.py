"""Who renews a lease, who is told that it lost one, and who acts when no renewal gets through."""

from __future__ import annotations

import time

from aqm.engine.heartbeat import FENCED, SILENT, Heartbeat, Watchdog
from aqm.engine.running import Running
from aqm.flow.state import TaskStatus
from aqm.service.store import open_store
from aqm.storage import claims, tasks
from tests.engine.conftest import SetStage
from tests.engine.play import agent

LEASE = 0.6


def wait_for_reason(stop, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while not stop.reason and time.monotonic() < deadline:
        time.sleep(0.005)
    return str(stop.reason)


def test_the_watchdog_kills_without_grace_what_nobody_could_renew_before_its_lease_is_over():
    running = Running()
    began = time.monotonic()
    stop = running.add("a")
    watchdog = Watchdog(running, LEASE)
    watchdog.start()
    try:
        assert wait_for_reason(stop, 5) == SILENT
    finally:
        watchdog.end()
    assert 0.8 * LEASE <= time.monotonic() - began < 5
    assert not stop.grace
    assert running.troubled


def test_the_watchdog_leaves_alone_what_is_renewed():
    running = Running()
    stop = running.add("a")
    watchdog = Watchdog(running, LEASE)
    watchdog.start()
    try:
        for _ in range(20):
            running.beaten(["a"], time.monotonic())
            time.sleep(LEASE / 10)
        assert not stop
    finally:
        watchdog.end()


def test_a_beat_renews_what_is_held_and_stops_what_was_taken_away(stage: SetStage):
    play = stage([agent("a")], {})
    play.begin()
    running = Running()
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker)
        with store.database.writing() as connection, tasks.lock(connection, play.task) as task:
            assert task
            claim = claims.claim(connection, task, play.rung[0].turn, worker.name, LEASE)
            task.move(TaskStatus.IN_PROGRESS)
        assert claim
        mine, taken = running.add(claim.attempt), running.add("taken away")
        Heartbeat(store.database, running, LEASE).beat()
        assert not mine
        assert taken.reason == FENCED
        assert running.silent(LEASE) == []
