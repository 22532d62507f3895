"""Which turns are rung, in which order, and that an unheard bell is rung again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import update

from aqm.flow.state import Priority, TaskStatus
from aqm.storage import bells, claims, tables, tasks
from aqm.storage.database import Database, now
from tests.storage.conftest import AddTask


def take(database: Database, owner: str | None = None, most: int = 16) -> list[int]:
    with database.writing() as connection:
        return [bell.turn for bell in bells.take(connection, owner, most, now(connection))]


def test_a_turn_is_rung_once(database: Database, add_task: AddTask):
    turn = add_task()
    assert take(database) == [turn]
    assert take(database) == []


def test_the_more_urgent_comes_first_and_then_the_older(database: Database, add_task: AddTask):
    low = add_task("T-1", priority=Priority.LOW)
    first = add_task("T-2")
    second = add_task("T-3")
    critical = add_task("T-4", priority=Priority.CRITICAL)
    assert take(database) == [critical, first, second, low]


def test_at_most_so_many_are_rung_and_those_unheard_are_counted(database: Database, add_task: AddTask):
    turn_ids = [add_task(f"T-{n}") for n in range(5)]
    assert take(database, most=2) == turn_ids[:2]
    assert take(database, most=0) == []
    with database.writing() as connection, tasks.lock_of_turn(connection, turn_ids[0]) as task:
        assert task
        assert bells.unheard(connection) == 2
        claims.claim(connection, task, turn_ids[0], "w", 30)
        assert bells.unheard(connection) == 1
    assert take(database, most=2) == turn_ids[2:4]


def test_only_the_owner_rings_its_tasks(database: Database, add_task: AddTask):
    mine = add_task("T-1", owner="me")
    add_task("T-2", owner="other")
    team = add_task("T-3")
    assert take(database, "me") == [mine]
    assert take(database) == [team]


def test_a_turn_of_a_stalled_task_is_rung_so_that_a_host_that_can_goes_on(
    database: Database, add_task: AddTask
):
    turn = add_task()
    with database.writing() as connection, tasks.lock(connection, "T-AAAAAA") as task:
        assert task
        task.move(TaskStatus.STALLED)
    assert take(database) == [turn]


def test_a_turn_that_waits_for_its_time_is_announced(database: Database, add_task: AddTask):
    add_task()
    with database.writing() as connection:
        at = now(connection) + 50
        connection.execute(update(tables.turns).values(not_before=at))
    assert take(database) == []
    with database.reading() as connection:
        assert bells.next_due(connection, None) == at


def test_a_bell_that_nobody_heard_is_rung_again_after_a_growing_while(database: Database, add_task: AddTask):
    turn = add_task()
    take(database)

    def again(seconds: float) -> list[int]:
        with database.writing() as connection:
            at = now(connection) + seconds
            return [bell.turn for bell in bells.take_unheard(connection, None, at)]

    assert again(1) == []
    assert again(11) == [turn]
    assert again(25) == []
    assert again(40) == [turn]


def test_two_that_ring_at_once_ring_each_turn_once(database: Database, add_task: AddTask):
    turn_ids = {add_task(f"T-{n}") for n in range(20)}
    with ThreadPoolExecutor(4) as pool:
        rung = [turn for some in pool.map(lambda _: take(database, most=100), range(4)) for turn in some]
    rung += take(database, most=100)
    assert sorted(rung) == sorted(turn_ids)
