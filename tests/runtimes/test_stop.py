"""A Stop: set once, heard at once, and never after it was taken back."""

from __future__ import annotations

import threading

from aqm.runtimes.base import Stop


def test_the_first_reason_stays_and_grace_can_only_go() -> None:
    stop = Stop()
    assert not stop
    stop.set("cancelled")
    stop.set("watchdog", grace=False)
    stop.set("again")
    assert bool(stop)
    assert (stop.reason, stop.grace) == ("cancelled", False)


def test_every_set_is_heard_also_one_that_came_before() -> None:
    stop, heard = Stop(), []
    stop.set("early")
    stop.on_set(lambda: heard.append(stop.reason))
    stop.set("later", grace=False)
    assert heard == ["early", "early"]


def test_what_was_taken_back_is_not_called() -> None:
    stop, heard = Stop(), []
    stop.on_set(lambda: heard.append(1))
    stop.on_set(None)
    stop.set("late")
    assert heard == []


def test_taking_back_waits_for_a_call_that_is_under_way() -> None:
    """Else a late call could write into a file descriptor that is used anew."""
    stop, entered, order = Stop(), threading.Event(), []

    def slow() -> None:
        entered.set()
        threading.Event().wait(0.2)
        order.append("called")

    stop.on_set(slow)
    setter = threading.Thread(target=stop.set, args=("now",))
    setter.start()
    entered.wait(5)
    stop.on_set(None)
    order.append("taken back")
    setter.join()
    assert order == ["called", "taken back"]
