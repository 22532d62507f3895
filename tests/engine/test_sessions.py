"""Sessions through the engine: who speaks when, what each is shown, and how a discussion ends."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from aqm.errors import ConflictError
from aqm.flow.event import EventKind
from aqm.flow.state import AttemptStatus, TaskStatus, TurnKind
from aqm.service.answering import approve, reject
from aqm.service.store import open_store
from aqm.storage import tables
from tests.engine.conftest import SetStage
from tests.engine.meeting import AGREE, ROUTES, TALK, TRIO, heard, meeting, speak, spoken
from tests.engine.play import APPROVED, REJECTED, said, walked

# Order, and what each is shown -----------------------------------------------------------------------


def test_they_speak_one_after_another_and_each_hears_all_before_it(stage: SetStage):
    says = speak(
        ann=[said("ann-1"), said("ann-2", "VOTE: AGREE")],
        ben=[said("ben-1"), said("ben-2", "VOTE: AGREE")],
        cid=[said("cid-1"), said("cid-2", "VOTE: AGREE")],
    )
    play = stage(meeting(), says)
    detail = play.play("my task")
    assert spoken(play) == [(n, name) for n in (1, 2) for name in TRIO]
    assert walked(detail) == ["meet", "next"]
    assert play.prompts("next") == ["cid-2\nVOTE: AGREE"]
    first = heard(play, "ann", 1)
    assert first.startswith("my task")
    assert "discussion so far" not in first
    assert "round 1 of at most 10" in first
    assert "ann-1" in heard(play, "ben", 1)
    assert "cid-1" not in heard(play, "ben", 1)
    last = heard(play, "cid", 2)
    for told in ("ann-1", "ben-1", "cid-1", "ann-2", "ben-2"):
        assert last.count(told) == 1
    assert "round 2 of at most 10" in last
    assert "### Ann (ann) · agrees" in last


def test_a_moderator_speaks_first_in_each_round(stage: SetStage):
    keys = {"turn_order": "moderator", "summary_agent": "ben", "max_rounds": 2}
    play = stage(meeting(**keys), {**speak(ann=TALK, ben=TALK, cid=TALK)})
    play.play()
    assert spoken(play) == [(n, name) for n in (1, 2) for name in ("ben", "ann", "cid")]


def test_in_parallel_each_hears_the_rounds_before_alone(stage: SetStage):
    says = speak(**{name: [said(f"{name}-1"), said(f"{name}-2")] for name in TRIO})
    play = stage(meeting(turn_order="parallel", max_rounds=2, summary_agent="ann"), says)
    play.begin("my task")
    with open_store(play.project) as store:
        worker = play.worker(store)
        play.due(worker)
        assert len(play.rung) == 3  # all at once
        play.run(worker)
    for name in TRIO:
        assert "-1" not in heard(play, name, 1)
        second = heard(play, name, 2)
        assert all(f"{each}-1" in second for each in TRIO)
        assert "-2" not in second
    (closing,) = play.prompts("ann", TurnKind.SUMMARY)
    assert all(f"{each}-{n}" in closing for each in TRIO for n in (1, 2))


def test_a_prompt_that_names_the_transcript_has_it_there_and_nowhere_else(stage: SetStage):
    prompt = "Task: {{ input }}\nSaid: {{ transcript }} END"
    says = speak(ann=said("ann-1"), ben=said("ben-1"), cid=AGREE)
    play = stage(meeting(prompt=prompt, max_rounds=1), says)
    play.play("t")
    text = heard(play, "cid", 1)
    assert text.count("ben-1") == 1
    assert text.index("ben-1") < text.index("END")
    assert "discussion so far" not in text


def test_speakers_and_judges_may_only_read_unless_they_say_otherwise(stage: SetStage):
    agents = meeting(max_rounds=1, gate={})
    del agents[1]["permissions"]
    write = {"steps": [{"write": {"x.txt": "x"}}, {"say": "done"}]}
    play = stage(agents, speak(ann=write, ben=write, cid=TALK))
    detail = play.play()
    denied = [attempt.denied for attempt in detail.stages[0].attempts]
    assert denied[:3] == [("Write",), (), ()]


# Votes -------------------------------------------------------------------------------------------


def test_a_vote_stands_until_it_is_taken_back(stage: SetStage):
    says = speak(
        ann=[AGREE, said("VOTE: DISAGREE"), AGREE, TALK],
        ben=[TALK, AGREE, TALK],
        cid=[TALK, AGREE, AGREE, said("VOTE: no")],
    )
    play = stage(meeting(), says)
    detail = play.play()
    assert [event.data["votes"] for event in play.happened(EventKind.ROUND_COMPLETE)] == [
        {"ann": True},
        {"ann": False, "ben": True, "cid": True},
        {"ann": True, "ben": True, "cid": True},
    ]
    assert (detail.stages[0].round, detail.stages[0].consensus) == (3, True)


def test_a_majority_is_enough_where_it_is_asked_for(stage: SetStage):
    play = stage(meeting(consensus={"require": "majority"}), speak(ann=AGREE, ben=TALK, cid=AGREE))
    detail = play.play()
    assert (detail.stages[0].round, detail.stages[0].consensus) == (1, True)


def test_only_the_moderator_decides_where_it_does(stage: SetStage):
    keys = {"consensus": {"method": "moderator_decides"}, "summary_agent": "ben", "max_rounds": 3}
    play = stage(meeting(**keys), speak(ann=AGREE, ben=[TALK, AGREE], cid=TALK))
    detail = play.play()
    assert (detail.stages[0].round, detail.stages[0].consensus) == (2, True)


def test_a_keyword_of_its_own_is_what_agrees(stage: SetStage):
    play = stage(
        meeting(consensus={"keyword": "LGTM"}, max_rounds=2),
        speak(ann=said("LGTM"), ben=said("lgtm."), cid=[AGREE, said("LGTM")]),
    )
    detail = play.play()
    assert (detail.stages[0].round, detail.stages[0].consensus) == (2, True)


# How it ends -------------------------------------------------------------------------------------


def test_the_summary_is_the_output(stage: SetStage):
    says = speak(ann=AGREE, ben=AGREE, cid=AGREE)
    says["ben"]["summary"] = said("We agreed on X.")
    play = stage(meeting(summary_agent="ben"), says)
    detail = play.play()
    assert [attempt.kind for attempt in detail.stages[0].attempts] == ["speak"] * 3 + ["summary"]
    assert play.prompts("next") == ["We agreed on X."]
    assert "ended in consensus" in play.prompts("ben", TurnKind.SUMMARY)[0]
    assert detail.stages[0].headline == "We agreed on X."


def test_a_summary_that_fails_fails_the_task(stage: SetStage):
    says = speak(ann=AGREE, ben=AGREE, cid=AGREE)
    says["ben"]["summary"] = {"fail": "crash"}
    detail = stage(meeting(summary_agent="ben"), says).play()
    assert detail.task.status is TaskStatus.FAILED
    assert detail.task.error
    assert detail.task.error.kind == "crash"


def test_without_consensus_it_goes_on_and_shows_that_there_was_none(stage: SetStage):
    says = speak(ann=TALK, ben=TALK, cid=said("The last word."))
    play = stage(meeting(max_rounds=2), says)
    detail = play.play()
    assert walked(detail) == ["meet", "next"]
    assert detail.stages[0].consensus is False
    assert play.prompts("next") == ["The last word."]
    (event,) = play.happened(EventKind.CONSENSUS)
    assert event.data == {"reached": False, "round": 2}


def test_without_consensus_it_fails_where_that_is_asked_for(stage: SetStage):
    play = stage(meeting(max_rounds=2, on_no_consensus="fail"), speak(ann=TALK, ben=TALK, cid=TALK))
    detail = play.play()
    assert walked(detail) == ["meet"]
    assert detail.task.error
    assert detail.task.error.kind == "no_consensus"
    assert detail.stages[0].consensus is False


@pytest.mark.parametrize("summary", [None, "ben"])
def test_without_consensus_a_person_may_let_it_go_on(stage: SetStage, summary: str | None):
    says = speak(ann=TALK, ben=TALK, cid=said("last word"))
    says["ben"]["summary"] = said("the summary")
    play = stage(meeting(max_rounds=1, on_no_consensus="human", summary_agent=summary), says)
    detail = play.play()
    assert detail.task.status is TaskStatus.AWAITING_GATE
    assert "without consensus after 1 rounds" in detail.stages[0].question
    approve(play.project, play.task, reason="good enough")
    with pytest.raises(ConflictError, match=r"stage 1 \(meet\) was approved: good enough"):
        reject(play.project, play.task, "no")
    detail = play.go_on()
    assert walked(detail) == ["meet", "next"]
    assert play.prompts("next") == ["the summary" if summary else "last word"]
    assert detail.stages[0].consensus is False


def test_without_consensus_a_person_may_end_it(stage: SetStage):
    play = stage(meeting(max_rounds=1, on_no_consensus="human"), speak(ann=TALK, ben=TALK, cid=TALK))
    play.play()
    assert reject(play.project, play.task, "try again").status is TaskStatus.FAILED
    detail = play.detail()
    assert detail.task.error
    assert (detail.task.error.kind, "try again" in detail.task.error.message) == ("no_consensus", True)


def test_a_person_who_lets_it_go_on_and_then_judges_is_asked_twice(stage: SetStage):
    keys = {"max_rounds": 1, "on_no_consensus": "human", "gate": {"type": "human"}, "handoffs": ROUTES}
    play = stage(meeting(**keys), speak(ann=TALK, ben=TALK, cid=TALK))
    play.play()
    assert approve(play.project, play.task).status is TaskStatus.AWAITING_GATE
    detail = play.detail()
    assert "good enough" in detail.stages[0].question
    reject(play.project, play.task, "no good")
    assert walked(play.go_on()) == ["meet", "other"]
    assert [event.data["approved"] for event in play.happened(EventKind.GATE_VERDICT)] == [True, False]


# Gates on sessions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("verdict", "goes"), [(APPROVED, "next"), (REJECTED, "other")])
def test_a_gate_judges_what_the_session_came_to(stage: SetStage, verdict: dict, goes: str):
    says = {**speak(ann=AGREE, ben=AGREE, cid=AGREE), "meet": {"gate": verdict}}
    play = stage(meeting(gate={"type": "llm"}, handoffs=ROUTES), says)
    detail = play.play()
    assert walked(detail) == ["meet", goes]
    assert "VOTE: AGREE" in play.prompts("meet", TurnKind.GATE)[0]
    assert len(play.happened(EventKind.GATE_VERDICT)) == 1


@pytest.mark.parametrize("summary", [None, "ben"])
def test_a_gate_before_a_session_is_asked_and_told_once(stage: SetStage, summary: str | None):
    says = {**speak(ann=AGREE, ben=AGREE, cid=AGREE), "meet": {"gate": APPROVED}}
    keys = {"gate": {"when": "before"}, "handoffs": ROUTES, "summary_agent": summary}
    play = stage(meeting(**keys), says)
    detail = play.play()
    assert walked(detail) == ["meet", "next"]
    assert len(play.happened(EventKind.GATE_VERDICT)) == 1


def test_a_person_judges_a_session(stage: SetStage):
    play = stage(meeting(gate={"type": "human"}, handoffs=ROUTES), speak(ann=AGREE, ben=AGREE, cid=AGREE))
    assert play.play().task.status is TaskStatus.AWAITING_GATE
    reject(play.project, play.task, "no")
    assert walked(play.go_on()) == ["meet", "other"]


def test_who_spoke_last_is_asked_who_comes_next(stage: SetStage):
    says = speak(ann=AGREE, ben=said("ben's word", "VOTE: AGREE"), cid=[[{"fail": "crash"}]])
    says["ben"]["repair"] = said("HANDOFF: other")
    keys = {"handoffs": [{"to": "next, other", "condition": "auto"}], "consensus": {"require": "majority"}}
    play = stage(meeting(**keys), says)
    detail = play.play()
    assert walked(detail) == ["meet", "other"]
    assert "ben's word" in play.prompts("ben", TurnKind.REPAIR)[0]


# Limits ------------------------------------------------------------------------------------------


def test_a_session_is_one_stage_however_long_it_talks(stage: SetStage):
    play = stage(
        meeting(max_rounds=8), speak(ann=TALK, ben=TALK, cid=TALK), config={"pipeline": {"max_stages": 2}}
    )
    detail = play.play()
    assert detail.task.status is TaskStatus.COMPLETED
    assert walked(detail) == ["meet", "next"]
    assert len(detail.stages[0].attempts) == 24


def test_participants_own_gates_questions_and_handoffs_do_not_apply(stage: SetStage):
    own = {
        "gate": {"type": "human"},
        "human_input": "both",
        "handoffs": [{"to": "other"}],
        "output": {"n": {"type": "integer"}},
    }
    play = stage(meeting(ann=own), speak(ann=said("HUMAN_INPUT: why?", "VOTE: AGREE"), ben=AGREE, cid=AGREE))
    detail = play.play()
    assert walked(detail) == ["meet", "next"]
    assert [told.schema for told in play.told] == [None] * 4


def test_each_turn_is_an_attempt_of_the_one_stage(stage: SetStage):
    play = stage(meeting(summary_agent="ann"), speak(ann=AGREE, ben=AGREE, cid=AGREE))
    detail = play.play()
    attempts = detail.stages[0].attempts
    assert [attempt.status for attempt in attempts] == [AttemptStatus.ANSWERED] * 4
    assert len({attempt.turn for attempt in attempts}) == 4
    seqs = [event.seq for event in play.events()]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_session_that_is_visited_again_begins_anew(stage: SetStage):
    loop = [{"to": "meet", "condition": "stage.visits < 2"}, {"to": "next", "condition": "default"}]
    play = stage(meeting(handoffs=loop), speak(ann=AGREE, ben=AGREE, cid=said("cid", "VOTE: AGREE")))
    detail = play.play("t")
    assert walked(detail) == ["meet", "meet", "next"]
    again = [told.text for told in play.told if told.agent == "ann"][1]
    assert again.startswith("cid\nVOTE: AGREE")
    assert "discussion so far" not in again


def test_what_each_was_given_can_be_proved_by_its_attempt(stage: SetStage):
    says = {**speak(ann=AGREE, ben=AGREE, cid=AGREE), "meet": {"gate": APPROVED}}
    play = stage(meeting(gate={}, summary_agent="ann", turn_order="parallel"), says)
    play.play()
    with open_store(play.project) as store, store.database.reading() as connection:
        proofs = list(connection.execute(select(tables.attempts.c.prompt_hash)).scalars())
    assert sorted(proofs) == sorted(told.sha for told in play.told)
    assert len(proofs) == 6
