"""Claims, fences and the task lock, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select, update

from aqm.flow.event import EventKind
from aqm.flow.outcome import Answer, Usage
from aqm.flow.state import AttemptStatus, TaskStatus, TurnStatus
from aqm.storage import attempts, blobs, claims, tables, tasks, turns
from aqm.storage.claims import Claim
from aqm.storage.database import Database
from tests.storage.conftest import AddTask


def claim(database: Database, turn: int, worker: str = "w", lease: float = 30) -> Claim | None:
    with database.writing() as connection, tasks.lock_of_turn(connection, turn) as task:
        assert task is not None
        found = claims.claim(connection, task, turn, worker, lease)
        if found:
            task.move(TaskStatus.IN_PROGRESS)
        return found


def status_of(database: Database, turn: int) -> str:
    with database.reading() as connection:
        query = select(tables.turns.c.status).where(tables.turns.c.id == turn)
        return str(connection.execute(query).scalar_one())


def test_of_many_workers_that_claim_one_turn_exactly_one_gets_it(database: Database, add_task: AddTask):
    turn = add_task()
    barrier = threading.Barrier(8)

    def compete(name: int) -> Claim | None:
        barrier.wait()
        return claim(database, turn, f"w{name}")

    with ThreadPoolExecutor(8) as pool:
        won = [found for found in pool.map(compete, range(8)) if found]
    assert len(won) == 1
    assert won[0].number == 1


def test_a_message_delivered_again_while_its_turn_runs_claims_nothing(database: Database, add_task: AddTask):
    turn = add_task()
    assert claim(database, turn)
    assert claim(database, turn) is None


def test_a_turn_of_another_process_s_task_is_not_claimed(database: Database, add_task: AddTask):
    turn = add_task(owner="somebody else")
    assert claim(database, turn, "me") is None
    assert claim(database, turn, "somebody else") is not None


def test_a_turn_whose_time_has_not_come_is_not_claimed(database: Database, add_task: AddTask):
    turn = add_task()
    with database.writing() as connection:
        connection.execute(update(tables.turns).values(not_before=9e12))
    assert claim(database, turn) is None


def test_an_attempt_that_lost_its_turn_no_longer_finds_it(database: Database, add_task: AddTask):
    turn = add_task()
    first = claim(database, turn)
    assert first
    with database.writing() as connection, tasks.lock_of_turn(connection, turn):
        claims.requeue(connection, turn, first.attempt, losses=1)
    second = claim(database, turn)
    assert second
    assert second.number == 2
    with database.writing() as connection, tasks.lock_of_turn(connection, turn) as task:
        assert task
        assert claims.running(connection, task, turn, first.attempt) is None
        assert claims.running(connection, task, turn, second.attempt) is not None


def test_a_fenced_attempt_can_neither_end_nor_requeue_the_turn(database: Database, add_task: AddTask):
    turn = add_task()
    first = claim(database, turn)
    assert first
    with database.writing() as connection, tasks.lock_of_turn(connection, turn):
        claims.requeue(connection, turn, first.attempt)
    assert claim(database, turn)
    with database.writing() as connection, tasks.lock_of_turn(connection, turn):
        claims.end(connection, turn, first.attempt, TurnStatus.DONE)
        claims.requeue(connection, turn, first.attempt)
    assert status_of(database, turn) == "running"


def test_a_late_attempt_s_tokens_are_booked_once(database: Database, add_task: AddTask):
    turn = add_task()
    first = claim(database, turn)
    assert first
    with database.writing() as connection, tasks.lock(connection, "T-AAAAAA") as task:
        assert task
        turns.drop_live(connection, task.id, task.at)
        usage = Usage(input=10, output=5)
        assert attempts.book_late(connection, first.attempt, usage, task.at)
        assert not attempts.book_late(connection, first.attempt, usage, task.at)
    with database.reading() as connection:
        row = connection.execute(select(tables.attempts)).one()
    assert (row.status, row.input_tokens, row.output_tokens) == (AttemptStatus.FENCED.value, 10, 5)


def test_an_ended_attempt_keeps_its_outcome(database: Database, add_task: AddTask):
    turn = add_task()
    held = claim(database, turn)
    assert held
    said = blobs.blob("done")
    with database.writing() as connection, tasks.lock_of_turn(connection, turn) as task:
        assert task
        blobs.put(connection, 1, [said], task.at)
        attempts.end(connection, held.attempt, AttemptStatus.ANSWERED, Answer("done"), said.hash, task.at)
        attempts.end(connection, held.attempt, AttemptStatus.LOST, Answer("no"), None, task.at)
    with database.reading() as connection:
        row = connection.execute(select(tables.attempts)).one()
    assert (row.status, row.answer) == ("answered", said.hash)


def test_concurrent_writers_under_the_task_lock_lose_no_event(database: Database, add_task: AddTask):
    add_task()

    def tell(number: int) -> None:
        with database.writing() as connection, tasks.lock(connection, "T-AAAAAA") as task:
            assert task
            task.tell(EventKind.CONDITION_MISS, None, "", number=number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(80)))
    with database.reading() as connection:
        seqs = list(connection.execute(select(tables.events.c.seq).order_by(tables.events.c.seq)).scalars())
        count = connection.execute(select(tables.tasks.c.events)).scalar_one()
    assert seqs == list(range(1, 81))
    assert count == 80


def test_a_move_that_the_table_does_not_allow_is_refused(database: Database, add_task: AddTask):
    add_task()
    with database.writing() as connection, tasks.lock(connection, "T-AAAAAA") as task:
        assert task
        task.move(TaskStatus.IN_PROGRESS)
        task.move(TaskStatus.COMPLETED)
        try:
            task.move(TaskStatus.STALLED)
        except AssertionError:
            refused = True
        assert refused
