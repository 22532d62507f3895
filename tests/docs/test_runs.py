"""The examples that come with a script walk through the stages that the page tells, in the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.rehearsal import Example, examples, rehearse, without_order

EXAMPLES = examples()


def at(example: Example) -> str:
    return example.script.place


def as_written(path: str) -> list[str]:
    return [", ".join(name.strip() for name in group.split(",")) for group in path.split("→")]


@pytest.mark.parametrize("example", EXAMPLES, ids=at)
def test_an_example_with_a_script_tells_its_stages(example: Example) -> None:
    assert example.stages, f"{example.script.place}: write  Stages: `a → b`  below it"


@pytest.mark.parametrize("example", EXAMPLES, ids=at)
def test_an_example_runs_as_the_page_tells(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = rehearse(example, tmp_path, monkeypatch)
    assert without_order(example.stages, played.stages) == as_written(example.stages), played.printed
    assert played.status == example.status, played.printed
    if example.speakers:
        assert without_order(example.speakers, played.speakers) == as_written(example.speakers)


@pytest.mark.parametrize(
    ("path", "walked", "told"),
    [
        ("a → b", ["a", "b"], ["a", "b"]),
        ("a → b, c → d", ["a", "c", "b", "d"], ["a", "b, c", "d"]),
        ("a → b", ["a", "b", "c"], ["a", "b", "c"]),
        ("a → b, c", ["a", "b", "d"], ["a", "b, d"]),
        ("a → b → c", ["a", "b"], ["a", "b", ""]),
    ],
)
def test_names_between_commas_may_come_in_any_order(path: str, walked: list[str], told: list[str]) -> None:
    assert without_order(path, walked) == told
