"""What an agent is shown of the past, read from the rows: two bounded reads, however long the past is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aqm.flow.context import MAX_HEADLINES, Need, Past, context, need
from aqm.flow.gate import Verdict
from aqm.pipeline.spec import Agent, ContextStrategy
from aqm.storage import blobs, history
from aqm.storage.database import Connection
from aqm.storage.history import PastStage

_ALL = 2**31 - 1  # the number of no stage

__all__ = ["Place", "recent_past", "shown_to", "whole_past"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a task the past is looked at: before stage `number` of `branch`, at the agent's n-th visit."""

    project: int
    task: str
    branch: str
    number: int
    visit: int
    plain: bool = False  # the numbers count the stages: no branches, nothing taken back
    parent: str | None = None  # the task that this one fixes


def shown_to(
    connection: Connection, place: Place, agent: Agent, strategy: ContextStrategy
) -> tuple[str, list[int]]:
    """The text, and the numbers of the stages that it holds in full."""
    wanted = need(strategy, agent.context_window)
    shared = _read(connection, place, wanted.full, wanted.headlines, None)
    own = _read(connection, place, wanted.own_full, wanted.own_headlines, agent.id)
    full = {_key(stage) for stage in [*_last(shared, wanted.full), *_last(own, wanted.own_full)]}
    stages = {_key(stage): stage for stage in [*own, *shared]}
    generations = {task: -age for age, task in enumerate(_generations([*shared, *own]))}
    order = sorted(stages, key=lambda key: (generations[key[0]], key[1]))
    past = _with_texts(connection, place, [stages[key] for key in order], full)
    text = context(
        strategy,
        agent.context_window,
        past,
        agent.id,
        total=_total(connection, place, wanted, len(shared)),
        own_total=_own_total(connection, place, wanted, len(own), agent.id),
    )
    return text, sorted(number for task, number in full if not task)


def _key(stage: PastStage) -> tuple[str, int]:
    return stage.task, stage.number


def _generations(stages: Sequence[PastStage]) -> list[str]:
    """The tasks that the stages are of, this one first, then the one that it fixes, and so on."""
    found = dict.fromkeys(["", *(stage.task for stage in reversed(stages))])
    return list(found)


def whole_past(connection: Connection, place: Place) -> list[Past]:
    """All stages of all branches, each in full: for a person who asks."""
    stages = history.stages_before(connection, place.task, None, place.number, None)
    return _with_texts(connection, place, stages, {_key(stage) for stage in stages})


def recent_past(connection: Connection, place: Place, window: int) -> tuple[list[Past], int]:
    """The newest stages of all branches, `window` of them in full and 100 before those by headline; and how
    many there were."""
    most = window + MAX_HEADLINES
    stages = history.stages_before(connection, place.task, None, place.number, most)
    full = {_key(stage) for stage in stages[-window:]}
    total = (
        len(stages)
        if len(stages) < most
        else history.count_before(connection, place.task, None, place.number)
    )
    return _with_texts(connection, place, stages, full), total


def _read(
    connection: Connection, place: Place, full: int | None, headlines: int | None, agent: str | None
) -> list[PastStage]:
    if full == 0 and headlines == 0:
        return []
    most = None if full is None or headlines is None else full + headlines
    branch = None if place.plain else place.branch  # all of them are its own, and asked for plainly
    found = history.stages_before(connection, place.task, branch, place.number, most, agent)
    parent = place.parent
    while parent is not None and (most is None or len(found) < most):
        left = None if most is None else most - len(found)
        older = history.stages_before(connection, parent, None, _ALL, left, agent)
        found = [*(replace(stage, task=parent) for stage in older), *found]
        parent = history.parent_of(connection, parent)
    return found


def _last(stages: Sequence[PastStage], most: int | None) -> Sequence[PastStage]:
    return stages if most is None else stages[max(len(stages) - most, 0) :]


def _with_texts(
    connection: Connection, place: Place, stages: Sequence[PastStage], full: set[tuple[str, int]]
) -> list[Past]:
    hashes = {stage.output for stage in stages if stage.output and _key(stage) in full}
    texts = blobs.read_many(connection, place.project, hashes)
    return [_past(stage, texts.get(stage.output or "") if _key(stage) in full else None) for stage in stages]


def _past(stage: PastStage, text: str | None) -> Past:
    judged = None if stage.approved is None else Verdict(stage.approved, stage.reason)
    return Past(
        stage.number,
        stage.agent,
        stage.status.value,
        stage.headline,
        text=text,
        verdict=judged,
        task=stage.task,
    )


def _total(connection: Connection, place: Place, wanted: Need, found: int) -> int | None:
    """How many stages there were, where more may lie before those that were read. On the trunk the numbers
    tell, without counting what grows."""
    if wanted.full is None or wanted.headlines is None or found < wanted.full + wanted.headlines:
        return None
    if place.plain and place.parent is None:
        return place.number - 1
    return _counted(connection, place, None)


def _own_total(connection: Connection, place: Place, wanted: Need, found: int, agent: str) -> int | None:
    if wanted.own_full is None or wanted.own_headlines is None:
        return None
    if found < wanted.own_full + wanted.own_headlines:
        return None
    if place.plain and place.parent is None:
        return place.visit - 1
    return _counted(connection, place, agent)


def _counted(connection: Connection, place: Place, agent: str | None) -> int:
    """Where no number tells: asked only when a context says how many it leaves out."""
    total = history.count_before(connection, place.task, place.branch, place.number, agent)
    parent = place.parent
    while parent is not None:
        total += history.count_before(connection, parent, None, _ALL, agent)
        parent = history.parent_of(connection, parent)
    return total
