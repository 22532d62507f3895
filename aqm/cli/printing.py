"""The JSON that commands print: the shapes that programs may rely on."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from aqm.cli.figures import iso
from aqm.cli.terminal import Screen
from aqm.errors import Fault
from aqm.service.views import AttemptView, LogEntry, StageView, TaskDetail, TaskError, TaskPage, TaskSummary

__all__ = ["detail_json", "fault_json", "log_json", "page_json", "print_json", "task_json"]


def print_json(screen: Screen, value: object) -> None:
    """One document; control characters and all else beyond ASCII are escaped by JSON itself."""
    screen.line(json.dumps(value, indent=2, ensure_ascii=True))


def task_json(task: TaskSummary) -> dict[str, Any]:
    return {
        "id": task.id,
        "status": str(task.status),
        "description": task.description,
        "pipeline": task.pipeline,
        "priority": str(task.priority),
        "created_at": iso(task.created_at),
        "updated_at": iso(task.updated_at),
        "parent": task.parent,
        "error": _error(task.error),
        "run": task.run,
        "stage_count": task.stages,
        "usage": asdict(task.usage),
    }


def page_json(page: TaskPage) -> dict[str, Any]:
    return {"tasks": [task_json(task) for task in page.tasks], "next": page.next}


def detail_json(detail: TaskDetail) -> dict[str, Any]:
    return task_json(detail.task) | {
        "description": detail.text,
        "params": detail.params,
        "waits_for": detail.waits_for or None,
        "folder": str(detail.folder),
        "stages": [_stage(stage) for stage in detail.stages],
        "parked": [{"branch": path, "at": join} for path, join in detail.parked],
    }


def _stage(stage: StageView) -> dict[str, Any]:
    return {
        "number": stage.number,
        "agent": stage.agent,
        "branch": stage.branch,
        "status": str(stage.status),
        "gate": stage.gate or None,
        "gate_reason": stage.gate_reason or None,
        "waits": str(stage.waits) if stage.waits else None,
        "question": stage.question or None if stage.waits else None,
        "round": stage.round or None,
        "consensus": stage.consensus,
        "joined": list(stage.joined),
        "cancelled": stage.cancelled,
        "headline": stage.headline,
        "started_at": iso(stage.started_at),
        "finished_at": iso(stage.finished_at),
        "error": _error(stage.error),
        "usage": asdict(stage.usage),
        "attempts": [_attempt(attempt) for attempt in stage.attempts],
    }


def _attempt(attempt: AttemptView) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "turn": attempt.turn,
        "kind": str(attempt.kind),
        "agent": attempt.agent,
        "round": attempt.round or None,
        "vote": attempt.vote,
        "runtime": attempt.runtime,
        "status": str(attempt.status),
        "started_at": iso(attempt.started_at),
        "finished_at": iso(attempt.finished_at),
        "failure": attempt.failure or None,
        "message": attempt.message or None,
        "denied": list(attempt.denied),
        "usage": asdict(attempt.usage),
    }


def _error(error: TaskError | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {"class": error.kind, "message": error.message, "cure": error.cure}


def log_json(entry: LogEntry) -> dict[str, Any]:
    return {
        "stage": entry.stage,
        "branch": entry.branch,
        "agent": entry.agent,
        "session": entry.session or None,
        "round": entry.round or None,
        "kind": str(entry.kind),
        "attempt": entry.attempt,
        "number": entry.number,
        "status": str(entry.status),
        "text": entry.text,
        "failure": entry.failure or None,
        "message": entry.message or None,
    }


def fault_json(fault: Fault) -> dict[str, Any]:
    return asdict(fault)
