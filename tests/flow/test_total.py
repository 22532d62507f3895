"""Whatever happens in whatever pipeline, there is one decision, and always the same one."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from aqm.flow.decide import MAX_LOSSES, begin, judged, spoken
from aqm.flow.decision import Ask, Decision, Fail, HandOff, Hold, Judge, Routed, Work
from aqm.flow.gate import Verdict
from aqm.flow.outcome import Answer, Failure, FailureClass, Outcome
from aqm.flow.state import TurnKind
from aqm.flow.task import Policy, Stage, Task, Turn
from aqm.pipeline.spec import Pipeline
from tests.flow.deciding import APPROVED, REJECTED, after, pipeline

NAMES = ["dev", "qa", "ann"]
CONDITIONS = [
    *("always", "on_pass", "auto", "default", "ok == yes", "severity in [high, low]"),
    *("output.count > 3", "text.contains('x')", "stage.visits < 2", "1 / task.stages == 0"),
]
HANDOFFS = st.lists(
    st.fixed_dictionaries(
        {"to": st.sampled_from(["qa", "dev, qa", "ann"]), "condition": st.sampled_from(CONDITIONS)},
        optional={"payload": st.sampled_from(["{{ output }}", "{{ fields.x }}", "{{ 1 / 0 }}"])},
    ),
    max_size=4,
)
GATES = st.none() | st.fixed_dictionaries(
    {"type": st.sampled_from(["llm", "human"]), "when": st.sampled_from(["before", "after"])},
    optional={"max_retries": st.integers(0, 3), "prompt": st.just("Is {{ output }} good?")},
)
COMMANDS = st.builds(
    lambda gate: gate and {**gate, "type": "command", "run": "true"}, GATES.filter(lambda gate: gate)
)
AGENTS = st.fixed_dictionaries(
    {"id": st.just("dev"), "handoffs": HANDOFFS, "gate": GATES | COMMANDS},
    optional={
        "human_input": st.sampled_from([True, "before", "both", None]),
        "output": st.just({"n": {"type": "integer"}}),
        "retry": st.fixed_dictionaries({"max_retries": st.integers(0, 3)}),
        "chunks": st.just({"enabled": True}),
    },
)
SESSIONS = st.fixed_dictionaries(
    {
        "id": st.just("dev"),
        "type": st.just("session"),
        "participants": st.just(["qa", "ann"]),
        "handoffs": HANDOFFS,
        "gate": GATES | COMMANDS,
        "summary_agent": st.sampled_from([None, "qa"]),
    }
)
SAID = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                *(APPROVED, REJECTED, "HANDOFF: qa", "HANDOFF: zebra", "HUMAN_INPUT: why?", "VOTE: AGREE"),
                *("ok: yes", "severity: high", '```json\n{"count": 4, "n": 1}\n```', "CHUNK_ADD: x", "qa"),
            ]
        ),
        max_size=4,
    ).map("\n".join),
)
FIELDS = st.sampled_from([None, {}, {"n": 1}, {"decision": "approved", "reason": ""}, {"agent": "qa"}])
OUTCOMES = st.one_of(
    st.builds(Answer, SAID, FIELDS),
    st.builds(
        Failure,
        st.sampled_from(FailureClass),
        st.text(max_size=20),
        resets_in=st.none() | st.floats(-10, 1e9),
        exit_code=st.none() | st.integers(-9, 255),
    ),
)
TURNS = st.builds(
    Turn,
    st.sampled_from(TurnKind),
    repairs=st.integers(0, 3),
    failures=st.integers(0, 5),
    losses=st.integers(0, 5),
    holds=st.integers(0, 100),
    agent=st.sampled_from(NAMES),
)
STAGES = st.fixed_dictionaries(
    {
        "number": st.integers(1, 25),
        "rejections": st.integers(0, 4),
        "visit": st.integers(1, 5),
        "output": st.none() | SAID,
        "fields": st.none() | st.just({"n": 1}),
        "verdict": st.none() | st.builds(Verdict, st.booleans(), st.just("so")),
    }
)


def made(agent: dict[str, Any]) -> Pipeline:
    return pipeline(agent, {"id": "qa"}, {"id": "ann", "retry": {"max_retries": 2}})


@given(AGENTS | SESSIONS, TURNS, STAGES, OUTCOMES)
def test_every_outcome_of_every_turn_has_one_decision(
    agent: dict[str, Any], turn: Turn, stage: dict[str, Any], outcome: Outcome
):
    of = made(agent)
    first = after(outcome, of=of, turn=turn, **stage)
    assert isinstance(first, get_args(Decision))
    assert first == after(outcome, of=made(agent), turn=turn, **stage)
    if isinstance(first, HandOff):
        assert all(arrival.agent in of.ids for arrival in first.arrivals)
        assert len({arrival.agent for arrival in first.arrivals}) == len(first.arrivals)
        assert stage["number"] + len(first.arrivals) <= Policy().max_stages or not first.arrivals
    if isinstance(first, Routed) and first.agent is not None:
        assert first.agent in of.ids


@given(AGENTS | SESSIONS, STAGES, st.booleans(), SAID)
def test_a_stage_s_beginning_a_person_s_verdict_and_a_session_s_end_have_one_too(
    agent: dict[str, Any], stage: dict[str, Any], approved: bool, text: str
):
    of = made(agent)
    value = Stage(**{"agent": "dev", "input": "the task", **stage})
    task = Task("T-1", stages=value.number)
    assert isinstance(begin(of.agent("dev"), value), Ask | Judge | Work)
    decision = judged(of, Policy(), task, value, Verdict(approved, "so"))
    assert isinstance(decision, get_args(Decision))
    if not approved and isinstance(decision, HandOff):
        assert decision.arrivals  # a rejection never ends well by itself
    assert isinstance(spoken(of, Policy(), task, value, text), get_args(Decision))


@given(AGENTS, TURNS, st.sampled_from(FailureClass))
def test_no_turn_is_tried_without_end(agent: dict[str, Any], turn: Turn, kind: FailureClass):
    of = made(agent)
    spent = Turn(turn.kind, 3, failures=99, losses=MAX_LOSSES, agent=turn.agent)
    decision = after(Failure(kind, "x"), of=of, turn=spent)
    assert not hasattr(decision, "strategy")
    if isinstance(decision, Hold):
        assert 0 < decision.delay <= 900
    elif isinstance(decision, Fail):
        assert decision.failure.remedy.cure
