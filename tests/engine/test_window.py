"""The window of rung turns: never more than it holds, refilled when half of it is empty."""

from __future__ import annotations

from typing import Any

from aqm.engine.window import OwnWindow

NO_CONNECTION: Any = None


def room(window: OwnWindow) -> int:
    return window.room(NO_CONNECTION, "me")


def test_an_empty_window_has_room_for_all_it_holds():
    assert room(OwnWindow(16)) == 16


def test_a_window_is_refilled_in_one_go_when_half_of_it_is_empty():
    window = OwnWindow(16)
    window.rang(16)
    for _ in range(7):
        window.heard()
        assert room(window) == 0
    window.heard()
    assert room(window) == 8


def test_a_message_that_comes_twice_never_makes_more_room_than_there_is():
    window = OwnWindow(2)
    window.rang(1)
    for _ in range(3):
        window.heard()
    assert room(window) == 2
