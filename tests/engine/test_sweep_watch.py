"""When a lease counts as silent: only after this sweeper itself has watched it for a whole lease."""

from __future__ import annotations

from aqm.engine.sweep import Watch
from aqm.storage.leases import Lease

SEEN = Lease(turn=1, attempt="a", beat=7, task="T-1")
BEATEN = Lease(turn=1, attempt="a", beat=8, task="T-1")


def looks(watch: Watch, *moments: float, lease: Lease = SEEN) -> list[Lease]:
    found: list[Lease] = []
    for moment in moments:
        found = watch.silent([lease], moment)
    return found


def test_a_lease_is_not_ended_at_first_sight():
    assert looks(Watch(3), 100) == []


def test_a_lease_unchanged_for_its_whole_length_is_silent():
    assert looks(Watch(3), 0, 1, 2, 3) == [SEEN]


def test_a_beat_in_between_starts_the_watch_again():
    watch = Watch(3)
    looks(watch, 0, 1, 2)
    assert looks(watch, 3, 4, 5, lease=BEATEN) == []
    assert looks(watch, 6, lease=BEATEN) == [BEATEN]


def test_a_suspended_laptop_ends_nothing_when_it_wakes():
    watch = Watch(3)
    looks(watch, 0, 1)
    assert looks(watch, 3600) == []
    assert looks(watch, 3601, 3602) == []
    assert looks(watch, 3603) == [SEEN]


def test_a_lease_that_went_out_of_sight_is_watched_anew():
    watch = Watch(3)
    looks(watch, 0, 1)
    watch.silent([], 2)
    assert looks(watch, 3) == []
