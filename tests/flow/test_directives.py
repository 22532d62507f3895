"""Directives: what counts, what only looks like one, and what reading costs."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqm.flow.directives import Directives, read

CORPUS = Path(__file__).parent / "corpus"


def _corpus(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CORPUS / name).read_text().splitlines()]


def _accepted(directives: Directives) -> dict[str, Any]:
    """All that would do something."""
    found = json.loads(json.dumps(asdict(directives)))
    return {name: said for name, said in found.items() if said and name != "invalid"}


FORGED = _corpus("forged.jsonl")
WITHDRAWN = _corpus("withdrawn.jsonl")
GENUINE = _corpus("genuine.jsonl")


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len({json.dumps(case) for case in FORGED}) >= 300
    assert len({json.dumps(case) for case in GENUINE}) >= 100


@pytest.mark.parametrize("why", sorted({case["why"] for case in FORGED}))
def test_no_forgery_is_accepted(why: str) -> None:
    cases = [case for case in FORGED if case["why"] == why]
    accepted = [case["text"] for case in cases if _accepted(read(case["text"], case.get("keyword")))]
    assert accepted == []


def test_every_genuine_directive_is_accepted() -> None:
    for case in GENUINE:
        found = json.loads(json.dumps(asdict(read(case["text"], case.get("keyword")))))
        assert {name: said for name, said in found.items() if said} == case["says"], case["text"]


def test_a_vote_that_is_not_the_keyword_takes_an_agreement_back() -> None:
    for case in WITHDRAWN:
        assert _accepted(read(case["text"])) == {"votes": [False]}, case["text"]
        assert read(f"VOTE: AGREE\n\n{case['text']}").agrees is False, case["text"]


@pytest.mark.parametrize("case", GENUINE, ids=lambda case: ascii(case["text"])[:40])
def test_what_counts_no_longer_counts_once_it_is_quoted(case: dict[str, Any]) -> None:
    text, keyword = case["text"].replace("\r\n", "\n"), case.get("keyword")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    assert _accepted(read(f"{fence}\n{text}\n{fence}", keyword)) == {}
    assert _accepted(read("\n".join(f"> {line}" for line in text.split("\n")), keyword)) == {}
    assert _accepted(read("\n".join(f"    {line}" for line in text.split("\n")), keyword)) == {}
    assert _accepted(read("\n".join(f"so: {line}" for line in text.split("\n")), keyword)) == {}


def test_the_targets_are_each_named_once_in_order() -> None:
    assert read("HANDOFF: b, a\nHANDOFF: a, c").targets == ("b", "a", "c")
    assert read("nothing").targets == ()


def test_the_last_vote_decides() -> None:
    assert read("VOTE: DISAGREE\nVOTE: AGREE").agrees is True
    assert read("VOTE: AGREE\nVOTE: no").agrees is False
    assert read("nothing").agrees is None


def test_a_line_that_is_no_list_is_named_for_the_repair() -> None:
    found = read("HANDOFF: good because it works\n- CHUNK_DONE: all of them\n" + "HANDOFF: " + "x y " * 200)
    assert found.invalid[:2] == ("HANDOFF: good because it works", "- CHUNK_DONE: all of them")
    assert len(found.invalid[2]) == 200
    assert _accepted(found) == {}


@pytest.mark.parametrize("keyword", ["", "***", "*", "...", "  "])
def test_a_keyword_that_says_nothing_agrees_with_nothing(keyword: str) -> None:
    assert read("\n\n***\n...\n  \n`\n- \n", keyword).votes == ()


def test_at_most_a_thousand_directives_are_read() -> None:
    assert len(read("HUMAN_INPUT: why?\n" * 1_500).questions) == 1_000


HOSTILE = {
    "one word": "a" * 1_000_000,
    "stars": "*" * 1_000_000,
    "a directive that goes on": "VOTE: AGREE " * 90_000,
    "short lines": "a\n" * 500_000,
    "a custom keyword's start": "**" * 500_000,
    "backticks": "VOTE: AGREE\n" + "`" * 1_000_000,
    "spread backticks": "VOTE: AGREE\n" + "` `` " * 200_000,
    "brackets": "VOTE: AGREE\n" + "[" * 1_000_000,
    "tags": "VOTE: AGREE\n" + "<a " * 330_000,
    "quotes in a tag": "VOTE: AGREE\n<a " + "\"'" * 500_000,
    "tildes": "VOTE: AGREE\n" + "~~a" * 330_000,
    "nested elements": "VOTE: AGREE\n" + "<a>\n\n" * 100_000 + "</a>\n\n" * 100_000,
    "elements on one line": "VOTE: AGREE\n" + "<a>" * 160_000 + "</a>" * 160_000,
    "nested quotes": "VOTE: AGREE\n" + ">" * 1_000_000,
    "lazy quotes": "VOTE: AGREE\n" + "> " * 9 + "a\n" + "a\n" * 490_000,
    "nested lists": "VOTE: AGREE\n" + "- " * 500_000,
    "list items": "VOTE: AGREE\n" + "-\n" * 500_000,
    "open fences": "VOTE: AGREE\n" + "- ```\n" * 160_000,
    "tables": "VOTE: AGREE\n" + "a|b\n-|-\n\n" * 110_000,
    "definitions": "VOTE: AGREE\n" + "[a]: b\n" * 140_000,
    "blanks": "VOTE: AGREE\n" + " " * 1_000_000,
    "commas": "HANDOFF: " + "a," * 500_000,
    "escapes": "VOTE: AGREE\n" + "\x1b[" * 500_000,
    "colons": "VOTE" + ":" * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_million_hostile_characters_are_read_in_linear_time(name: str) -> None:
    started = time.process_time()
    read(HOSTILE[name], keyword="DONE" if "keyword" in name else None)
    assert time.process_time() - started < 3.0  # most take 0.1 s; what is not linear takes minutes


LINE = st.sampled_from(
    [
        "HANDOFF: qa",
        "VOTE: AGREE",
        "HUMAN_INPUT: why?",
        "CHUNK_ADD: x",
        "CHUNK_DONE: C-001",
        "CHUNK_REMOVE: C-1",
    ]
)
PROSE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(PROSE, LINE, PROSE)
def test_a_directive_behind_other_text_is_none(before: str, line: str, after: str) -> None:
    assert _accepted(read(f"x{before} {line}{after}".replace("\n", " "))) == {}


@given(PROSE.filter(lambda text: "~~~" not in text), LINE, PROSE)
def test_a_fence_hides_whatever_it_holds(before: str, line: str, after: str) -> None:
    inside = "\n".join([before, line, after]).replace("~~~", "")
    assert _accepted(read(f"~~~\n{inside}\n~~~")) == {}


@given(PROSE, LINE)
def test_what_was_accepted_before_stays_so_when_more_is_said(text: str, line: str) -> None:
    plain = re.sub(r"[^\w ]", "", text)
    assert _accepted(read(f"{line}\n\nso {plain}")) == _accepted(read(line))
    assert _accepted(read(f"so {plain}\n\n{line}")) == _accepted(read(line))


@given(st.text(max_size=400), st.none() | st.text(max_size=20))
def test_reading_never_fails_and_never_changes_its_mind(text: str, keyword: str | None) -> None:
    assert read(text, keyword) == read(text, keyword)
