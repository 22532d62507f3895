"""How each CLI says the same things: a text, a tool call, the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["DIALECTS", "Dialect"]

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """`text` and `tool` are the events of one message and of one tool that ran, `end` those of a good end."""

    text: Callable[[str], list[Event]]
    tool: Callable[[], list[Event]]
    end: Callable[[str], list[Event]]

    def answer(self, text: str) -> list[str]:
        return [json.dumps(event) for event in (*self.text(text), *self.end(text))]

    def tool_call(self) -> list[str]:
        events = (*self.text("Writing."), *self.tool(), *self.text("Done."), *self.end("Done."))
        return [json.dumps(event) for event in events]

    def unfinished(self, text: str) -> list[str]:
        return [json.dumps(event) for event in self.text(text)]


def _claude_message(block: Event) -> Event:
    return {"type": "assistant", "message": {"id": "msg_1", "content": [block]}, "parent_tool_use_id": None}


CLAUDE = Dialect(
    text=lambda text: [_claude_message({"type": "text", "text": text})],
    tool=lambda: [
        _claude_message({"type": "tool_use", "id": "t1", "name": "Write", "input": {"file_path": "a.txt"}}),
        {
            "type": "user",
            "message": {"content": [{"type": "tool_result", "tool_use_id": "t1", "content": "written"}]},
        },
    ],
    end=lambda text: [{"type": "result", "is_error": False, "result": text, "session_id": "s1"}],
)
GEMINI = Dialect(
    text=lambda text: [{"type": "message", "role": "assistant", "content": text, "delta": True}],
    tool=lambda: [
        {"type": "tool_use", "tool_id": "t1", "tool_name": "Write", "parameters": {"file_path": "a.txt"}},
        {"type": "tool_result", "tool_id": "t1", "status": "success", "output": "written"},
    ],
    end=lambda text: [{"type": "result", "status": "success", "stats": {}}],
)


def _codex_item(kind: str, **item: Any) -> Event:
    return {"type": kind, "item": item}


CODEX = Dialect(
    text=lambda text: [_codex_item("item.completed", id="m1", type="agent_message", text=text)],
    tool=lambda: [
        _codex_item("item.started", id="t1", type="command_execution", command="a.txt", status="in_progress"),
        _codex_item(
            "item.completed",
            id="t1",
            type="command_execution",
            command="a.txt",
            aggregated_output="written",
            status="completed",
        ),
    ],
    end=lambda text: [{"type": "turn.completed", "usage": {}}],
)

DIALECTS: dict[str, Dialect] = {"claude": CLAUDE, "gemini": GEMINI, "codex": CODEX}
