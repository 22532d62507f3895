"""Chunks through the engine: initial ones, directives of agents and sessions, people, and all at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from aqm.errors import ConflictError, NotFoundError, UsageError
from aqm.flow.event import EventKind
from aqm.flow.state import TaskStatus
from aqm.service.chunks import add_chunk, chunk_views, finish_chunks, remove_chunks
from tests.engine.conftest import SetStage
from tests.engine.play import APPROVED, REJECTED, Stage, agent, said, session, walked

TABLE = "{{ input }}\n{{ chunks }}"


def listed(play: Stage) -> list[tuple[str, str, str]]:
    return [(chunk.id, chunk.status, chunk.text) for chunk in chunk_views(play.project, play.task)]


def test_an_agent_s_lines_change_the_chunks_and_the_next_sees_the_table(stage: SetStage):
    chunks = {"enabled": True, "initial": ["Schema", "Endpoints"]}
    agents = [
        agent("dev", "qa", chunks=chunks, system_prompt=TABLE),
        agent("qa", chunks={"enabled": True}, system_prompt=TABLE),
    ]
    says = {
        "dev": said("CHUNK_DONE: C-001", "CHUNK_ADD: Docs", "> CHUNK_ADD: quoted"),
        "qa": said("CHUNK_REMOVE: C-002", "CHUNK_DONE: C-003, C-777", "CHUNK_ADD: More"),
    }
    play = stage(agents, says)
    play.play()
    assert "| C-001 | open | Schema |\n| C-002 | open | Endpoints |\n\n0 of 2 done" in play.prompts("dev")[0]
    assert "| C-001 | done | Schema |" in play.prompts("qa")[0]
    assert "1 of 3 done" in play.prompts("qa")[0]
    assert listed(play) == [
        ("C-001", "done", "Schema"),
        ("C-003", "done", "Docs"),
        ("C-004", "open", "More"),
    ]
    told = [(event.data["chunk"], event.data["change"]) for event in play.happened(EventKind.CHUNK_UPDATE)]
    assert told == [
        *(("C-001", "added"), ("C-002", "added"), ("C-003", "added"), ("C-001", "done")),
        *(("C-004", "added"), ("C-003", "done"), ("C-002", "removed")),
    ]


def test_an_agent_without_chunks_changes_none(stage: SetStage):
    agents = [agent("dev", "qa", chunks={"initial": ["Schema"]}), agent("qa", chunks={"enabled": False})]
    play = stage(agents, {"qa": said("CHUNK_DONE: C-001", "CHUNK_ADD: x")})
    play.play()
    assert listed(play) == [("C-001", "open", "Schema")]


LOOP = [{"to": "dev", "condition": "stage.visits < 3"}]
INITIAL = {"chunks": {"initial": ["Schema"]}}


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"gate": {"when": "before"}},
        {"output": {"n": {"type": "integer"}}},
    ],
)
def test_the_initial_chunks_are_added_once_however_often_the_agent_works(stage: SetStage, keys: dict):
    agents = [agent("dev", **INITIAL, system_prompt=TABLE, **{**keys, "handoffs": LOOP})]
    work = {"say": "v", "fields": {"n": 1}} if "output" in keys else said("v")
    play = stage(agents, {"dev": {"work": work, "gate": APPROVED}})
    assert len(play.play().stages) == 3
    assert listed(play) == [("C-001", "open", "Schema")]
    assert all("C-001" in text for text in play.prompts("dev"))


def test_a_visit_that_the_gate_did_not_let_begin_adds_none(stage: SetStage):
    back = [{"to": "dev", "condition": "on_reject"}]
    agents = [agent("dev", gate={"when": "before"}, **INITIAL, handoffs=back)]
    play = stage(agents, {"dev": {"work": said("v"), "gate": [REJECTED, APPROVED]}})
    play.play()
    assert listed(play) == [("C-001", "open", "Schema")]


def test_a_router_s_turn_does_not_cost_the_first_agent_its_chunks(stage: SetStage):
    play = stage([agent("dev", **INITIAL), agent("qa")], {"dev": {"route": said("dev")}}, top=AUTO)
    play.play()
    assert listed(play) == [("C-001", "open", "Schema")]


AUTO = {"entry_point": "auto"}
MEET: dict[str, Any] = {
    "consensus": {"require_chunks_done": True},
    "chunks": {"initial": ["Schema", "Endpoints"]},
    "max_rounds": 5,
}


def test_a_session_goes_on_until_all_its_chunks_are_done(stage: SetStage):
    agents = [session("meet", "ann", "ben", **MEET), agent("ann", system_prompt=TABLE), agent("ben")]
    agree = "VOTE: AGREE"
    says = {
        "ann": {"speak": [said(agree), said("CHUNK_DONE: C-001", "CHUNK_ADD: Docs"), said("ok")]},
        "ben": {"speak": [said(agree), said("CHUNK_REMOVE: C-002"), said("CHUNK_DONE: C-003")]},
    }
    play = stage(agents, says)
    detail = play.play()
    assert (detail.stages[0].round, detail.stages[0].consensus) == (3, True)
    assert [event.data["chunks_open"] for event in play.happened(EventKind.ROUND_COMPLETE)] == [2, 1, 0]
    assert "| C-002 | open |" in play.told[0].text
    assert "| C-001 | done |" in next(told.text for told in play.told if told.round == 3)


def test_chunks_that_stay_open_keep_a_session_from_consensus(stage: SetStage):
    agents = [session("meet", "ann", **{**MEET, "max_rounds": 2}), agent("ann")]
    detail = stage(agents, {"ann": {"speak": said("VOTE: AGREE")}}).play()
    assert detail.stages[0].consensus is False


def test_no_chunks_at_all_are_as_good_as_done(stage: SetStage):
    agents = [session("meet", "ann", **{**MEET, "chunks": {"enabled": True}}), agent("ann")]
    detail = stage(agents, {"ann": {"speak": said("VOTE: AGREE")}}).play()
    assert (detail.stages[0].round, detail.stages[0].consensus) == (1, True)


def test_a_summary_may_still_mark_chunks(stage: SetStage):
    agents = [session("meet", "ann", chunks={"initial": ["x"]}, summary_agent="ann"), agent("ann")]
    says = {"ann": {"speak": said("VOTE: AGREE"), "summary": said("CHUNK_DONE: C-001")}}
    play = stage(agents, says)
    play.play()
    assert listed(play) == [("C-001", "done", "x")]


def test_initial_chunks_of_a_session_are_added_once(stage: SetStage):
    loop = [{"to": "meet", "condition": "stage.visits < 2"}]
    agents = [session("meet", "ann", chunks={"initial": ["x"]}, handoffs=loop), agent("ann")]
    play = stage(agents, {"ann": {"speak": said("VOTE: AGREE")}})
    assert walked(play.play()) == ["meet", "meet"]
    assert listed(play) == [("C-001", "open", "x")]


# People ------------------------------------------------------------------------------------------


def test_people_add_finish_and_remove_chunks(stage: SetStage):
    play = stage([agent("dev", **INITIAL, gate={"type": "human"})], {})
    play.play()
    assert add_chunk(play.project, play.task, " Write\nthe docs ") == "C-002"
    assert finish_chunks(play.project, play.task, ["c-1", "2"]) == ["C-001", "C-002"]
    assert finish_chunks(play.project, play.task, ["C-001"]) == []
    assert remove_chunks(play.project, play.task, ["C-001"]) == ["C-001"]
    assert add_chunk(play.project, play.task, "again") == "C-003"
    assert listed(play) == [("C-002", "done", "Write the docs"), ("C-003", "open", "again")]


def test_what_is_not_there_or_says_nothing_is_refused_before_anything_changes(stage: SetStage):
    play = stage([agent("dev", **INITIAL, gate={"type": "human"})], {})
    play.play()
    with pytest.raises(NotFoundError, match="C-009") as caught:
        finish_chunks(play.project, play.task, ["C-001", "C-009"])
    assert "C-001" in caught.value.cure
    with pytest.raises(UsageError, match="empty"):
        add_chunk(play.project, play.task, " \n")
    assert listed(play) == [("C-001", "open", "Schema")]


def test_the_chunks_of_an_ended_task_stay_as_they_are(stage: SetStage):
    play = stage([agent("dev", **INITIAL)], {})
    assert play.play().task.status is TaskStatus.COMPLETED
    with pytest.raises(ConflictError, match="is completed"):
        add_chunk(play.project, play.task, "more")


def test_of_two_hundred_edits_by_eight_writers_none_is_lost(stage: SetStage):
    play = stage([agent("dev", gate={"type": "human"})], {})
    play.play()
    barrier = threading.Barrier(8)
    mine: list[list[str]] = [[] for _ in range(8)]

    def write(place: int) -> None:
        barrier.wait()
        for number in range(25):
            id = add_chunk(play.project, play.task, f"{place}/{number}")
            mine[place].append(id)
            if number % 2:
                finish_chunks(play.project, play.task, [id])

    threads = [threading.Thread(target=write, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = listed(play)
    assert [id for id, _, _ in found] == [f"C-{number:03d}" for number in range(1, 201)]
    assert {text: id for id, _, text in found} == {
        f"{place}/{number}": mine[place][number] for place in range(8) for number in range(25)
    }
    assert sum(status == "done" for _, status, _ in found) == 8 * 12
