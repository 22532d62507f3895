"""What an event adds to the files in its task's folder: the minutes of sessions, and what each agent said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aqm.flow.context import headline
from aqm.flow.event import Event, EventKind
from aqm.flow.quoting import fenced
from aqm.flow.state import TurnKind
from aqm.pipeline.spec import Pipeline, Session
from aqm.storage import blobs, told
from aqm.storage.database import Connection
from aqm.storage.told import ToldStage

__all__ = ["MINUTES", "TOLD", "Addition", "Reading", "additions", "agent_file", "head_of", "shortened"]

MINUTES = "transcript.md"
MOST = 500_000  # characters of one answer that a file holds


def shortened(text: str) -> str:
    """A text as the files hold it: all of it, unless it is huge."""
    text = text.strip()
    if len(text) <= MOST:
        return text
    return f"{text[:MOST]}\n(… and {len(text) - MOST} characters more: aqm logs shows them)"


@dataclass(frozen=True, slots=True)
class Addition:
    """A block of text for a file; for None it goes to each that is there."""

    file: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read from while a task's events are put into words."""

    connection: Connection
    project: int
    task: str
    pipeline: Pipeline

    def stage(self, event: Event) -> ToldStage:
        found = told.stage(self.connection, self.task, event.stage or 0)
        assert found is not None
        return found

    def text(self, hash: str | None) -> str:
        """Fenced, so that nobody can speak for another one."""
        said = shortened(blobs.read(self.connection, self.project, hash)) if hash else ""
        return fenced(said, "text") if said else "(no output)"

    def discusses(self, stage: ToldStage) -> bool:
        """Whether it is a session's; the pipeline may have changed since."""
        return bool(stage.round) or isinstance(self.pipeline.find(stage.agent), Session)

    def title(self, agent: str) -> str:
        found = self.pipeline.find(agent)
        return f"{' '.join(found.title.split())} ({agent})" if found else agent


def agent_file(agent: str) -> str:
    return f"agent_{agent}.md"


def head_of(file: str, task: str) -> str:
    if file == MINUTES:
        return f"# {task} · minutes"
    return f"# {task} · {file.removeprefix('agent_').removesuffix('.md')}"


def additions(reading: Reading, event: Event) -> Sequence[Addition]:
    """The same for the same event, whoever asks and whenever."""
    said = _SAID.get(event.kind)
    return said(reading, event) if said else ()


def _round_start(reading: Reading, event: Event) -> list[Addition]:
    number = event.data["round"]
    lines = [f"### Round {number} of at most {event.data['rounds']}"]
    if number == 1:
        lines.insert(0, f"## Stage {event.stage} · {reading.title(event.agent)}")
    return [Addition(MINUTES, "\n\n".join(lines))]


def _spoke(reading: Reading, event: Event) -> list[Addition]:
    stage = reading.stage(event)
    number = event.data["round"]
    text = reading.text(told.speech(reading.connection, stage.id, number, event.agent))
    vote = {True: " · agrees", False: " · disagrees", None: ""}[event.data.get("vote")]
    return [
        Addition(MINUTES, f"#### {reading.title(event.agent)}{vote}\n\n{text}"),
        _by_agent(event.agent, stage, f"{stage.agent}, round {number}{vote}", text),
    ]


def _absent(reading: Reading, event: Event) -> list[Addition]:
    stage = reading.stage(event)
    why = f"(absent: {_failure(event)})"
    return [
        Addition(MINUTES, f"#### {reading.title(event.agent)} · absent\n\n{why}"),
        _by_agent(event.agent, stage, f"{stage.agent}, round {event.data['round']} · absent", why),
    ]


def _round_complete(reading: Reading, event: Event) -> list[Addition]:
    votes = event.data.get("votes") or {}
    words = [f"{agent} {'agrees' if vote else 'disagrees'}" for agent, vote in votes.items()]
    left = event.data.get("chunks_open") or 0
    words += [f"{left} {'chunk is' if left == 1 else 'chunks are'} open"] if left else []
    stands = f": {', '.join(words)}" if words else ""
    return [Addition(MINUTES, f"Round {event.data['round']} is over{stands}.")]


def _consensus(reading: Reading, event: Event) -> list[Addition]:
    how = "Consensus" if event.data["reached"] else "No consensus"
    return [Addition(MINUTES, f"**{how}** after round {event.data['round']}.")]


def _turn_complete(reading: Reading, event: Event) -> list[Addition]:
    """A session's summary; other turns are told of when their stage ends."""
    if event.data.get("kind") != TurnKind.SUMMARY.value:
        return []
    stage = reading.stage(event)
    text = reading.text(stage.output)
    return [
        Addition(MINUTES, f"### Summary by {reading.title(event.agent)}\n\n{text}"),
        _by_agent(event.agent, stage, f"{stage.agent}, summary", text),
    ]


def _verdict(reading: Reading, event: Event) -> list[Addition]:
    """That on a session; an agent's stands with what it said."""
    if not reading.discusses(reading.stage(event)):
        return []
    return [Addition(MINUTES, _gate(bool(event.data["approved"]), str(event.data["reason"])))]


def _stage_complete(reading: Reading, event: Event) -> list[Addition]:
    stage = reading.stage(event)
    if reading.discusses(stage):
        return [Addition(MINUTES, f"Stage {stage.number} is done.")]
    return [_work(reading, event, stage, "done")]


def _stage_failed(reading: Reading, event: Event) -> list[Addition]:
    stage = reading.stage(event)
    if reading.discusses(stage):
        return [Addition(MINUTES, f"Stage {stage.number} failed: {_failure(event)}")]
    return [_work(reading, event, stage, "failed")]


def _work(reading: Reading, event: Event, stage: ToldStage, ended: str) -> Addition:
    parts = [] if stage.approved is None else [_gate(stage.approved, stage.reason)]
    parts += [f"Failed: {_failure(event)}"] if event.kind is EventKind.STAGE_FAILED else []
    return _by_agent(stage.agent, stage, ended, *parts, reading.text(stage.output))


def _restarted(reading: Reading, event: Event) -> list[Addition]:
    first = event.data.get("from_stage") or 1
    return [
        Addition(
            None,
            f"---\n\n**Restarted from stage {first}**: what stands above of it and of later stages is void.",
        )
    ]


def _by_agent(agent: str, stage: ToldStage, what: str, *parts: str) -> Addition:
    branch = f" · branch {stage.branch}" if stage.branch else ""
    return Addition(agent_file(agent), "\n\n".join([f"## Stage {stage.number} · {what}{branch}", *parts]))


def _gate(approved: bool, reason: str) -> str:
    return f"Gate: {'approved' if approved else 'rejected'}: {headline(reason)}".rstrip(": ")


def _failure(event: Event) -> str:
    return f"{event.data.get('class')} — {headline(str(event.data.get('message', '')))}"


_SAID: Mapping[EventKind, Callable[[Reading, Event], Sequence[Addition]]] = {
    EventKind.ROUND_START: _round_start,
    EventKind.SPOKE: _spoke,
    EventKind.ABSENT: _absent,
    EventKind.ROUND_COMPLETE: _round_complete,
    EventKind.CONSENSUS: _consensus,
    EventKind.TURN_COMPLETE: _turn_complete,
    EventKind.GATE_VERDICT: _verdict,
    EventKind.STAGE_COMPLETE: _stage_complete,
    EventKind.STAGE_FAILED: _stage_failed,
    EventKind.TASK_RESTARTED: _restarted,
}
TOLD = frozenset(_SAID)  # the kinds of events that add something
