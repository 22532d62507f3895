"""Events whose parts are of other types than the vendors' own: a reader skips them, and never breaks."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aqm.runtimes import claude, codex, gemini
from aqm.runtimes.base import Prompt
from aqm.runtimes.process import Enough
from aqm.runtimes.stream import Said
from tests.runtimes.recordings import FOLDER

ODD: tuple[Any, ...] = (
    None,
    7,
    -1,
    2.5,
    True,
    "text",
    "",
    [],
    {},
    [1, None, "x"],
    {"type": 1},
    [[]],
    [{}],
    10**400,
)
READERS: dict[str, Callable[[Said], Callable[[dict[str, Any]], None]]] = {
    "claude": lambda said: claude._Reader(said, resumed=False).read,
    "gemini": lambda said: gemini._Reader(said).read,
    "codex": lambda said: codex._Reader(said, Prompt("x", Path(), schema={})).read,
}


def events(name: str) -> list[dict[str, Any]]:
    lines = [line for path in FOLDER.glob(f"{name}-*.stdout") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines if line.startswith('{"')]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in the event, with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from places(item)


def variants(event: dict[str, Any], dice: random.Random) -> Iterator[dict[str, Any]]:
    """The event with one of its parts replaced, for every part."""
    for number in range(len(list(places(event)))):
        changed = copy.deepcopy(event)
        container, key = list(places(changed))[number]
        container[key] = dice.choice(ODD)
        yield changed


@pytest.mark.parametrize("name", READERS)
def test_a_reader_bears_any_shape(name: str) -> None:
    dice = random.Random(7)
    count = 0
    for event in events(name) * 3:
        for changed in variants(event, dice):
            said = Said(lambda live: None)
            with suppress(Enough):
                READERS[name](said)(changed)
            assert isinstance(said.answer, str | None), changed
            assert isinstance(said.conversation, str | None), changed
            assert all(isinstance(tool, str) for tool in said.denied), changed
            assert (said.usage.input or 0) < 2**60, changed
            count += 1
    assert count > 500
