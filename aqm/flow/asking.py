"""What a person is asked, and how the answer reaches the agent."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aqm.flow.directives import read
from aqm.flow.quoting import fenced
from aqm.pipeline.spec import Agent, AnyAgent, Gate
from aqm.pipeline.templates import render

__all__ = [
    "USER_INPUT",
    "answer_text",
    "answered",
    "asked_by",
    "gate_question",
    "opening_question",
    "pauses_before",
    "with_answer",
]

USER_INPUT = "--- User Input ---"


def pauses_before(agent: Agent) -> bool:
    """Whether a person is asked before the agent runs."""
    human = agent.human_input
    return human is not None and human.enabled and human.mode in ("before", "both")


def asked_by(agent: Agent, answer: str) -> tuple[str, ...]:
    """The questions in an agent's answer, if it may ask any."""
    human = agent.human_input
    if human is None or not human.enabled or human.mode == "before":
        return ()
    return read(answer).questions


def opening_question(agent: Agent) -> str:
    human = agent.human_input
    if human is not None and human.prompt.strip():
        return human.prompt
    return f"What should {agent.title} know before it begins?"


def gate_question(agent: AnyAgent, gate: Gate, input: str, output: str) -> str:
    """What a person who is to approve is shown, besides the work itself."""
    if gate.prompt.strip():
        return render(gate.prompt, {"input": input, "output": output}).strip()
    if gate.when == "before":
        return f"May {agent.title} begin?"
    return f"Is the work of {agent.title} good enough to go on?"


def with_answer(input: str, answer: str) -> str:
    """An agent's input with what a person answered before it runs."""
    return f"{input}\n\n{USER_INPUT}\n{answer}"


def answered(note: str | None, question: str, answer: str) -> str:
    """The note of the next work turn: all that was asked and answered in this stage."""
    told = json.loads(note) if note else []
    return json.dumps([*told, {"question": question, "answer": answer}], ensure_ascii=False)


def answer_text(note: str, output: str) -> str:
    """What is put behind the agent's prompt when a person has answered its questions."""
    told: Sequence[dict[str, str]] = json.loads(note)
    parts = ["You have worked on this before, and asked. What you said last:", fenced(output, "text")]
    for each in told:
        parts += [f"You asked:\n\n{fenced(each['question'], 'text')}"]
        parts += [f"{USER_INPUT}\n{each['answer']}"]
    return "\n\n".join([*parts, "Go on with it."])
