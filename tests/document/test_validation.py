"""A model's errors become sentences with a place and a cure, and never a library's words."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from aqm.document.model import Spec
from aqm.document.nodes import Scalar, walk
from aqm.document.parser import parse
from aqm.document.validation import MOST_FAULTS, place_of, validate


class Inner(Spec):
    level: Literal["low", "high"] = Field("low", description="How much.")
    count: int = Field(0, ge=0, le=9)


class Outer(Spec):
    name: str = Field(description="What it is called.")
    ratio: float = Field(1.0, gt=0)
    ready: bool = False
    inner: Inner | None = None
    many: tuple[Inner, ...] = Field((), strict=False)
    words: tuple[str, ...] = Field((), strict=False, min_length=1)
    key: str = Field("a", pattern="^[a-z]+$", description="Small letters.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "f:1:1 name: name is missing; add it: what it is called"),
        ("name: a\nnmae: b", "f:2:1 nmae: unknown key 'nmae'; did you mean 'name'?"),
        ("name: a\ninner: {lvl: low}", "f:2:9 inner.lvl: unknown key 'lvl'; did you mean 'level'?"),
        (
            "name: a\nmany:\n- count: 1\n  cuont: 1",
            "f:4:3 many[0].cuont: unknown key 'cuont'; did you mean 'count'?",
        ),
        ("name: 7", 'f:1:7 name: name must be text, not the number 7; put it in quotes: "7"'),
        ("name: true", 'f:1:7 name: name must be text, not true; put it in quotes: "true"'),
        ("name: [a]", "f:1:7 name: name must be text, not a list"),
        ("name: a\nready: yes", "f:2:8 ready: ready must be true or false, not 'yes'; write true"),
        ("name: a\nready: Off", "f:2:8 ready: ready must be true or false, not 'Off'; write false"),
        ("name: a\nready: 1", "f:2:8 ready: ready must be true or false, not the number 1"),
        ("name: a\nratio: x", "f:2:8 ratio: ratio must be a number, not 'x'"),
        ("name: a\nratio: 0", "f:2:8 ratio: ratio must be more than 0, not 0"),
        ("name: a\ninner: {count: -1}", "f:2:16 inner.count: count must be at least 0, not -1"),
        ("name: a\ninner: {count: 10}", "f:2:16 inner.count: count must be at most 9, not 10"),
        (
            "name: a\ninner: {count: 1.5}",
            "f:2:16 inner.count: count must be a whole number, not the number 1.5",
        ),
        ("name: a\ninner: {level: hihg}", "f:2:16 inner.level: level cannot be 'hihg'; did you mean 'high'?"),
        (
            "name: a\ninner: x",
            "f:2:8 inner: inner must be a mapping, not text; write it as  key: value  lines",
        ),
        (
            "name: a\nmany: {}",
            "f:2:7 many: many must be a list, not a mapping; write its items in [ ], or each after a -",
        ),
        (
            "name: a\nmany: [x]",
            "f:2:8 many[0]: many[0] must be a mapping, not text; write it as  key: value  lines",
        ),
        ("name: a\nwords: []", "f:2:8 words: words is empty; give at least one"),
        (
            "name: a\nwords: [a, 1]",
            'f:2:12 words[1]: words[1] must be text, not the number 1; put it in quotes: "1"',
        ),
        ("name: a\nkey: A", "f:2:6 key: key cannot be 'A'; small letters"),
    ],
)
def test_an_error_is_one_sentence_with_its_place_and_cure(text: str, said: str) -> None:
    found, faults = validate(Outer, parse(text, "f"))
    assert found is None
    assert [str(fault) for fault in faults] == [said]


def test_all_errors_are_told_at_once() -> None:
    _, faults = validate(Outer, parse("ready: 1\nratio: x\nfoo: 1", "f"))
    assert sorted(fault.at for fault in faults) == ["foo", "name", "ratio", "ready"]


def test_there_is_an_end_to_the_errors() -> None:
    _, faults = validate(Outer, parse("{name: a, " + ", ".join(f"k{n}: 1" for n in range(200)) + "}", "f"))
    assert len(faults) == MOST_FAULTS


def test_null_is_as_good_as_nothing() -> None:
    found, _ = validate(Outer, parse("{name: a, ratio: null, inner: null, words: ~}", "f"))
    assert found == Outer(name="a")


def test_an_inserted_number_is_text_where_text_is_wanted() -> None:
    root = parse("name: a\nratio: 2", "f")
    ratio, _ = walk(root, ["ratio"])
    assert isinstance(ratio, Scalar)
    for inserted, name in ((True, "1.10"), (False, None)):
        scalar = Scalar(1.1, ratio.place, "1.10", inserted=inserted)
        found, _ = validate(Outer, type(root)({"name": scalar, "ratio": ratio}, root.place))
        assert (found.name if found else None) == name


def test_what_was_left_out_would_stand_in_its_mapping() -> None:
    root = parse("a:\n  b: {c: 1}", "f")
    place = place_of(root, "a", "b", "d", 0, "e")
    assert (place.line, place.column, place.at) == (2, 6, "a.b.d[0].e")
