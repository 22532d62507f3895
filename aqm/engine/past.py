"""What an agent is shown of the past, read from the rows: two bounded reads, however long the past is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aqm.flow.context import MAX_HEADLINES, Need, Past, context, need
from aqm.flow.gate import Verdict
from aqm.pipeline.spec import Agent, ContextStrategy
from aqm.storage import blobs, history
from aqm.storage.database import Connection
from aqm.storage.history import PastStage

__all__ = ["Place", "recent_past", "shown_to", "whole_past"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a task the past is looked at: before stage `number` of `branch`, at the agent's n-th visit."""

    project: int
    task: str
    branch: str
    number: int
    visit: int


def shown_to(
    connection: Connection, place: Place, agent: Agent, strategy: ContextStrategy
) -> tuple[str, list[int]]:
    """The text, and the numbers of the stages that it holds in full."""
    wanted = need(strategy, agent.context_window)
    shared = _read(connection, place, wanted.full, wanted.headlines, None)
    own = _read(connection, place, wanted.own_full, wanted.own_headlines, agent.id)
    full = {stage.number for stage in [*_last(shared, wanted.full), *_last(own, wanted.own_full)]}
    stages = {stage.number: stage for stage in [*own, *shared]}
    past = _with_texts(connection, place, [stages[number] for number in sorted(stages)], full)
    text = context(
        strategy,
        agent.context_window,
        past,
        agent.id,
        total=_total(connection, place, wanted, len(shared)),
        own_total=_own_total(connection, place, wanted, len(own), agent.id),
    )
    return text, sorted(full)


def whole_past(connection: Connection, place: Place) -> list[Past]:
    """All stages of all branches, each in full: for a person who asks."""
    stages = history.stages_before(connection, place.task, None, place.number, None)
    return _with_texts(connection, place, stages, {stage.number for stage in stages})


def recent_past(connection: Connection, place: Place, window: int) -> tuple[list[Past], int]:
    """The newest stages of all branches, `window` of them in full and 100 before those by headline; and how
    many there were."""
    most = window + MAX_HEADLINES
    stages = history.stages_before(connection, place.task, None, place.number, most)
    full = {stage.number for stage in stages[-window:]}
    return _with_texts(connection, place, stages, full), place.number - 1


def _read(
    connection: Connection, place: Place, full: int | None, headlines: int | None, agent: str | None
) -> list[PastStage]:
    if full == 0 and headlines == 0:
        return []
    most = None if full is None or headlines is None else full + headlines
    return history.stages_before(connection, place.task, place.branch, place.number, most, agent)


def _last(stages: Sequence[PastStage], most: int | None) -> Sequence[PastStage]:
    return stages if most is None else stages[max(len(stages) - most, 0) :]


def _with_texts(
    connection: Connection, place: Place, stages: Sequence[PastStage], full: set[int]
) -> list[Past]:
    hashes = {stage.output for stage in stages if stage.output and stage.number in full}
    texts = blobs.read_many(connection, place.project, hashes)
    return [_past(stage, texts.get(stage.output or "") if stage.number in full else None) for stage in stages]


def _past(stage: PastStage, text: str | None) -> Past:
    judged = None if stage.approved is None else Verdict(stage.approved, stage.reason)
    return Past(stage.number, stage.agent, stage.status.value, stage.headline, text=text, verdict=judged)


def _total(connection: Connection, place: Place, wanted: Need, found: int) -> int | None:
    """How many stages there were, where more may lie before those that were read. On the trunk the numbers
    tell, without counting what grows."""
    if wanted.full is None or wanted.headlines is None or found < wanted.full + wanted.headlines:
        return None
    if not place.branch:
        return place.number - 1
    return history.count_before(connection, place.task, place.branch, place.number)


def _own_total(connection: Connection, place: Place, wanted: Need, found: int, agent: str) -> int | None:
    if wanted.own_full is None or wanted.own_headlines is None:
        return None
    if found < wanted.own_full + wanted.own_headlines:
        return None
    if not place.branch:
        return place.visit - 1
    return history.count_before(connection, place.task, place.branch, place.number, agent)
