"""What must hold of a task's rows: while it runs, and once it has ended."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Table, select

from aqm.flow.joins import ancestors, lineage
from aqm.storage import tables

__all__ = ["Rows", "check_ended", "check_running"]

_TERMINAL = {"task_complete", "task_failed", "task_cancelled"}


class Rows:
    """All rows of a task."""

    def __init__(self, connection: Connection, task: str) -> None:
        self.task = connection.execute(select(tables.tasks).where(tables.tasks.c.id == task)).one()
        self.stages = _all(connection, tables.stages, task, "number")
        self.turns = _all(connection, tables.turns, task, "id")
        self.attempts = _all(connection, tables.attempts, task, "id")
        self.events = _all(connection, tables.events, task, "seq")
        self.counters = _all(connection, tables.counters, task, "branch")
        self.branches = _all(connection, tables.branches, task, "path")

    @property
    def open(self) -> list[Any]:
        return [stage for stage in self.stages if stage.status == "open"]

    @property
    def counted(self) -> list[Any]:
        return [stage for stage in self.stages if stage.status != "dropped"]

    @property
    def standing(self) -> list[Any]:
        """The branches that no restart has dropped."""
        return [row for row in self.branches if row.status != "dropped"]

    def __repr__(self) -> str:
        stages = [f"{s.number} {s.agent} {s.branch!r} {s.status} {s.error_class or ''}" for s in self.stages]
        rows = [f"{r.path} {r.status} {r.joins} {r.collects} → {r.merged_into!r}" for r in self.branches]
        told = [f"{e.kind} {e.stage} {e.agent} {e.data}" for e in self.events]
        return "\n".join([f"{self.task.status} {self.task.error_message}", *stages, *rows, *told])


def _all(connection: Connection, table: Table, task: str, by: str) -> list[Any]:
    return list(connection.execute(select(table).where(table.c.task_id == task).order_by(table.c[by])))


def check_running(rows: Rows) -> None:
    """At any time."""
    task = rows.task
    assert task.live_branches == len(rows.open)
    assert [stage.number for stage in rows.stages] == list(range(1, task.stages + 1))
    assert [event.seq for event in rows.events] == list(range(1, task.events + 1))
    places = Counter(stage.branch for stage in rows.open)
    assert not places or places.most_common(1)[0][1] == 1, "two stages in one branch"
    active = [row.path for row in rows.branches if row.status in ("live", "parked")]
    for stage in rows.open:
        below = [path for path in active if path != stage.branch and stage.branch in ancestors(path)]
        assert not below, f"stage {stage.number} is open in {stage.branch!r}, and so are {below}"
    live = {row.path for row in rows.branches if row.status == "live"}
    assert live == {stage.branch for stage in rows.open if stage.branch}
    _check_joins(rows)
    visits = Counter((stage.branch, stage.agent) for stage in rows.stages if _visited(stage))
    assert visits == {(row.branch, row.agent): row.visits for row in rows.counters if row.visits}


def _visited(stage: Any) -> bool:
    """A stage that was cancelled has been visited, as long as no restart has taken it back."""
    return stage.status != "dropped" or stage.error_class == "cancelled"


def _check_joins(rows: Rows) -> None:
    """Every join opened at most once for each fan-out, and went on where its branches say."""
    opened: dict[tuple[str, int], set[int]] = {}
    stages = {each.number: each for each in rows.stages if each.inputs is not None and _visited(each)}
    for row in rows.standing:
        if row.status == "merged":
            opened.setdefault((row.joins, row.collects), set()).add(row.closed_by)
            assert stages[row.closed_by].agent == row.joins
            assert stages[row.closed_by].branch == row.merged_into
    assert all(len(numbers) == 1 for numbers in opened.values()), f"a join opened twice: {opened}"
    assert {number for numbers in opened.values() for number in numbers} == set(stages)


def check_ended(rows: Rows, *, most: int) -> None:
    """Once it has ended by itself."""
    check_running(rows)
    task = rows.task
    assert task.status in ("completed", "failed")
    assert (task.live_branches, task.waiting_gates, task.waiting_inputs, task.waiting_hosts) == (0, 0, 0, 0)
    assert {stage.status for stage in rows.stages} <= {"done", "failed", "dropped"}
    assert {turn.status for turn in rows.turns} <= {"done", "failed", "dropped"}
    assert {attempt.status for attempt in rows.attempts} <= {"answered", "failed", "fenced"}
    ends = {"ended", "failed", "cancelled", "merged", "late", "forked", "dropped"}
    assert {row.status for row in rows.branches} <= ends
    assert task.run_stages <= most
    failed = any(stage.status == "failed" for stage in rows.counted)
    assert (task.status == "failed") == (task.error_class is not None)
    assert task.status == "failed" or not failed
    if task.status == "completed":
        assert not any(row.status in ("failed", "cancelled") for row in rows.standing)
        assert not any(stage.error_class == "cancelled" for stage in rows.stages)
    _check_events(rows)
    _check_paths(rows)


def _check_events(rows: Rows) -> None:
    """One end at the end, and nothing between the end of a run and the next one; a stalled run has none."""
    kinds = [event.kind for event in rows.events]
    assert kinds.count("pipeline_restarting") == rows.task.run - 1
    assert kinds[-1] in _TERMINAL
    for before, after in pairwise(kinds):
        assert before not in _TERMINAL or after == "pipeline_restarting"


def _check_paths(rows: Rows) -> None:
    numbers = {stage.number: stage for stage in rows.counted}
    for row in rows.standing:
        step = lineage(row.path)[-1]
        assert step.fanout == row.fanout
        assert numbers[row.fanout].branch == step.parent
