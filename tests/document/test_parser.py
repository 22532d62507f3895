"""YAML as we take it: its values, its places, and one fault for everything else."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aqm.document.nodes import Mapping, Scalar, plain, walk
from aqm.document.parser import MOST_ALIASES, MOST_BYTES, MOST_DEPTH, MOST_VALUES, parse
from aqm.errors import Fault, PipelineError


def fault(text: str) -> Fault:
    with pytest.raises(PipelineError) as caught:
        parse(text, "f.yaml")
    (found,) = caught.value.faults
    return found


def faults(text: str) -> tuple[Fault, ...]:
    try:
        plain(parse(text, "f.yaml"))
    except PipelineError as error:
        return error.faults
    return ()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        *[(word, word) for word in ("yes", "no", "on", "off", "y", "n", "True", "FALSE", "Yes")],
        *[(word, None) for word in ("null", "~", "Null", "NULL")],
        ("'null'", "null"),
        ("7", 7),
        ("-7", -7),
        ("0x1f", 31),
        ("0o17", 15),
        ("007", "007"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("123456789012345678901234", "123456789012345678901234"),
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("'7'", "7"),
        ("!!str 7", "7"),
        ("!!int 7", 7),
        ("!!float 1.5", 1.5),
        ("!!bool true", True),
        ("! 7", 7),
    ],
)
def test_a_scalar_is_what_it_looks_like(written: str, value: object) -> None:
    found = plain(parse(f"a: {written}"))
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


def test_a_scalar_remembers_how_it_was_written() -> None:
    node, _ = walk(parse("version: 1.10"), ["version"])
    assert isinstance(node, Scalar)
    assert (node.value, node.text) == (1.1, "1.10")


def test_every_value_knows_its_line_column_and_path() -> None:
    root = parse(
        "agents:\n  - id: a\n    handoffs:\n      - {to: b,\n         task: ü, payload: x}\n", "f.yaml"
    )
    node, left = walk(root, ["agents", 0, "handoffs", 0, "payload"])
    assert left == ()
    assert (node.place.file, node.place.line, node.place.column) == ("f.yaml", 5, 28)
    assert node.place.at == "agents[0].handoffs[0].payload"


def test_a_key_knows_its_place_too() -> None:
    root = parse("a:\n  - 1\nb: 2\n", "f.yaml")
    assert isinstance(root, Mapping)
    assert [(key, place.line, place.at) for key, place in root.keys.items()] == [("a", 1, "a"), ("b", 3, "b")]


def test_an_alias_stands_where_its_anchor_was_written() -> None:
    root = parse("a: &x\n  k: 1\nb: *x\n", "f.yaml")
    assert plain(root) == {"a": {"k": 1}, "b": {"k": 1}}
    assert walk(root, ["b", "k"])[0].place.line == 2


def test_merged_keys_lie_under_written_ones() -> None:
    text = "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\nx: {<<: [*one, *two], c: 3}\ny: {<<: *two}\n"
    found = plain(parse(text))
    assert isinstance(found, dict)
    assert (found["x"], found["y"]) == ({"a": 1, "b": 1, "c": 3}, {"b": 2, "c": 2})


def test_a_quoted_merge_key_is_a_key() -> None:
    assert plain(parse("'<<': 1")) == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", (1, 1, ""), "the file is empty"),
        ("# nothing\n", (1, 1, ""), "the file is empty"),
        ("null", (1, 1, ""), "the file is empty"),
        ("a: 1\nb: 2\na: 3", (3, 1, "a"), "the key 'a' is written twice (first in line 1)"),
        ("a: {b: 1, b: 2}", (1, 11, "a.b"), "the key 'b' is written twice (first in line 1)"),
        ("a: !!python/name:os.system x", (1, 4, "a"), "the tag !!python/name:os.system is not allowed"),
        ("a: !!binary aGk=", (1, 4, "a"), "the tag !!binary is not allowed"),
        ("a: !secret x", (1, 4, "a"), "the tag !secret is not allowed"),
        ("a: !!set {x}", (1, 4, "a"), "the tag !!set is not allowed"),
        ("a: !!int x", (1, 4, "a"), "the tag !!int is not allowed"),
        ("a: !!int true", (1, 4, "a"), "the tag !!int is not allowed"),
        ("a\n--- \nb", (2, 1, ""), "a file holds one document"),
        ("1: a", (1, 1, ""), "a key must be text, not 1"),
        ("true: a", (1, 1, ""), "a key must be text, not true"),
        ("[a]: b", (1, 1, ""), "a key must be text"),
        ("a: {{ x }}", (1, 5, "a"), "a key must be text"),
        ("a: &x [*x]", (1, 8, "a[0]"), "*x stands inside the value that it repeats"),
        ("a: *x", (1, 4, "a"), "*x names no anchor"),
        ("<<: 1", (1, 5, "<<"), "<< takes over mappings only"),
        ('a: "\\0"', (1, 4, "a"), "the text holds a NUL or half a character"),
        ("a\nb: \x00", (2, None, ""), "the character '\\x00' is not text"),
        ("a: \ud800", (1, None, ""), "the character '\\ud800' is not text"),
        ("a: b: c", (1, 5, ""), "this is not valid YAML: mapping values are not allowed in this context"),
        ("a:\n\tb: 1", (2, 1, ""), "this is not valid YAML: found character that cannot start any token"),
        ("a: [1", (2, 1, ""), "this is not valid YAML: did not find expected ',' or ']'"),
        ("a: 'x", (1, 6, ""), "this is not valid YAML: found unexpected end of stream"),
        ("a: \x07", (1, None, ""), "this is not valid YAML: control characters are not allowed"),
    ],
)
def test_what_we_do_not_take_is_one_fault_with_its_place(
    text: str, place: tuple[int | None, int | None, str], message: str
) -> None:
    found = fault(text)
    assert (found.message, (found.line, found.column, found.at)) == (message, place)
    assert (found.file, found.severity) == ("f.yaml", "error")


def test_the_bounds_are_where_they_are_said_to_be() -> None:
    parse("a: " + "[" * (MOST_DEPTH - 1) + "]" * (MOST_DEPTH - 1))
    assert "nests deeper than 20 levels" in fault("a: " + "[" * MOST_DEPTH + "]" * MOST_DEPTH).message
    parse("a: &x 1\nb: [" + "*x, " * MOST_ALIASES + "]")
    assert "more than 50 aliases" in fault("a: &x 1\nb: [" + "*x, " * (MOST_ALIASES + 1) + "]").message
    parse("[" + "a," * (MOST_VALUES - 1) + "]")
    assert "more than 20000 values" in fault("[" + "a," * MOST_VALUES + "]").message
    parse("a: " + "x" * (MOST_BYTES - 3))
    parse(f"a: &x {'x' * 100_000}\nb: [{'*x, ' * 30}]")
    assert "counting aliases and long texts" in fault(f"a: &x {'x' * 100_000}\nb: [{'*x, ' * 45}]").message
    assert "larger than 256 KB" in fault("a: " + "x" * (MOST_BYTES - 2)).message
    assert "larger than 256 KB" in fault("a: " + "ü" * (MOST_BYTES // 2)).message


def test_aliases_count_as_often_as_they_are_used() -> None:
    text = "a: &a [" + "x," * 1_000 + "]\nb: [" + "*a, " * 19 + "]"
    assert "more than 20000 values" in fault(text).message


@given(st.text())
@example("? ")
@example("- - - &a\n- *a")
@example("<<: &a [*a]")
@example("&a <<: {x: 1}")
def test_any_text_is_a_document_or_a_fault(text: str) -> None:
    assert all(str(each).startswith("f.yaml:") for each in faults(text))


PLAIN = ("a", "b: ", "- ", "\n", "  ", ",", "# c\n", "true", "1", "~", "\t", "\u2028")
BRACKETS = ("[", "]", "{", "}", "'", '"', "|\n", ">-\n")
RARE = ("&x ", "*x", "<<: ", "? ", ": ", "!!str ", "!x ", "---\n", "...\n", "%YAML 1.2\n")
YAML = st.lists(st.sampled_from((*PLAIN, *BRACKETS, *RARE)), max_size=40).map("".join)


@given(YAML)
def test_any_scrap_of_yaml_is_a_document_or_a_fault(text: str) -> None:
    assert all(each.message for each in faults(text))
