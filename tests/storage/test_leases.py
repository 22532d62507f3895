"""Heartbeats renew what is held and nothing else."""

from __future__ import annotations

from sqlalchemy import select, update

from aqm.storage import claims, leases, tables, tasks
from aqm.storage.database import Database, now
from tests.storage.conftest import AddTask
from tests.storage.test_turns import claim


def test_a_beat_renews_the_lease_of_what_is_held_and_names_the_rest_by_silence(
    database: Database, add_task: AddTask
):
    first, second, third = add_task("T-1"), add_task("T-2"), add_task("T-3")
    held, lost = claim(database, first, lease=1), claim(database, second, lease=1)
    assert claim(database, third, lease=1)
    assert held
    assert lost
    with database.writing() as connection, tasks.lock_of_turn(connection, second):
        claims.requeue(connection, second, lost.attempt)
    with database.writing() as connection:
        assert leases.beat(connection, [held.attempt, lost.attempt], 500) == {held.attempt}
        until = connection.execute(
            select(tables.turns.c.lease_until).where(tables.turns.c.id == first)
        ).scalar_one()
        assert until > now(connection) + 400
        others = select(tables.turns.c.lease_until).where(tables.turns.c.id == third)
        assert connection.execute(others).scalar_one() < now(connection) + 400
    with database.reading() as connection:
        assert leases.held(connection, [held.attempt, lost.attempt]) == {held.attempt}


def test_a_running_turn_that_never_had_a_lease_is_seen_as_expired(database: Database, add_task: AddTask):
    turn = add_task()
    assert claim(database, turn)
    with database.writing() as connection:
        connection.execute(update(tables.turns).values(lease_until=None))
    with database.reading() as connection:
        assert [lease.turn for lease in leases.expired(connection, None)] == [turn]


def test_a_lease_that_runs_is_not_expired(database: Database, add_task: AddTask):
    turn = add_task()
    assert claim(database, turn)
    with database.reading() as connection:
        assert leases.expired(connection, None) == []
