"""The Anthropic Messages API, as far as the claude CLI uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, assert_never

from tests.standin.scenario import (
    Cut,
    Give,
    Hang,
    Recorded,
    Refuse,
    Reply,
    RunCommand,
    Say,
    Stall,
    Tokens,
    WriteFile,
)
from tests.standin.server import Response

__all__ = ["Anthropic", "environment"]

Block = dict[str, Any]
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def environment(url: str) -> dict[str, str]:
    """What points the CLI at the stand-in, and keeps it from going anywhere else."""
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "sk-ant-dummy-for-tests",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }


class Anthropic:
    """Answers `POST /v1/messages` from the script and the CLI's side requests by themselves."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def asks(self, method: str, path: str, body: Mapping[str, Any]) -> bool:
        return method == "POST" and path.split("?")[0] == "/v1/messages"

    def aside(self, request: Recorded) -> Response:
        path = request.path.split("?")[0]
        if path == "/v1/messages/count_tokens":
            return _json({"input_tokens": 12})
        if path == "/v1/models":
            return _json({"data": [{"type": "model", "id": "claude-sonnet-4-5"}], "has_more": False})
        if path == "/":
            return _json({})
        return self._error(Refuse(404, message=f"no such path: {path}"))

    def answer(self, reply: Reply, request: Recorded) -> Response:
        match reply:
            case Refuse():
                return self._error(reply)
            case Say():
                return self._message(request, _said(reply), "end_turn", reply.tokens)
            case WriteFile(path, content):
                tool = self._tool("Write", {"file_path": path, "content": content})
                return self._message(request, [tool], "tool_use", reply.tokens)
            case RunCommand(command):
                tool = self._tool("Bash", {"command": command, "description": "a command"})
                return self._message(request, [tool], "tool_use", reply.tokens)
            case Give(fields):
                tool = self._tool("StructuredOutput", dict(fields))
                return self._message(request, [tool], "tool_use", reply.tokens)
            case Stall() | Cut():
                return _stream(self._begun(request, reply.text))
            case Hang():
                raise AssertionError("the server itself hangs")
            case never:
                assert_never(never)

    def _tool(self, name: str, given: dict[str, Any]) -> Block:
        return {"type": "tool_use", "id": f"toolu_{next(self._numbers):04}", "name": name, "input": given}

    def _error(self, refused: Refuse) -> Response:
        kind = ERROR_TYPES.get(refused.status, "api_error")
        error = {"type": kind, "message": refused.message or f"the stand-in answers {refused.status}"}
        headers = {} if refused.retry_after is None else {"retry-after": f"{refused.retry_after:g}"}
        return _json({"type": "error", "error": error}, refused.status, headers)

    def _message(self, request: Recorded, blocks: list[Block], stop: str, tokens: Tokens) -> Response:
        message = self._head(request, tokens)
        if not request.body.get("stream"):
            usage = {**message["usage"], "output_tokens": tokens.output}
            return _json({**message, "content": blocks, "stop_reason": stop, "usage": usage})
        return _stream(_events(message, blocks, stop, tokens))

    def _head(self, request: Recorded, tokens: Tokens) -> dict[str, Any]:
        return {
            "id": f"msg_{next(self._numbers):04}",
            "type": "message",
            "role": "assistant",
            "model": request.body.get("model", "unknown"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": tokens.input,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": tokens.cached,
                "output_tokens": 1,
            },
        }

    def _begun(self, request: Recorded, text: str) -> Iterator[bytes]:
        yield _event("message_start", message=self._head(request, Tokens()))
        yield from list(_block_events(0, {"type": "text", "text": text}))[:-1]


def _said(reply: Say) -> list[Block]:
    thought = {"type": "thinking", "thinking": reply.thinking, "signature": "c3RhbmQtaW4="}
    return [*([thought] if reply.thinking else []), {"type": "text", "text": reply.text}]


def _events(message: dict[str, Any], blocks: list[Block], stop: str, tokens: Tokens) -> Iterator[bytes]:
    yield _event("message_start", message=message)
    yield _event("ping")
    for index, block in enumerate(blocks):
        yield from _block_events(index, block)
    delta = {"stop_reason": stop, "stop_sequence": None}
    yield _event("message_delta", delta=delta, usage={"output_tokens": tokens.output})
    yield _event("message_stop")


def _block_events(index: int, block: Block) -> Iterator[bytes]:
    kind = block["type"]
    empty: Block
    if kind == "text":
        empty, deltas = {"text": ""}, [{"type": "text_delta", "text": block["text"]}]
    elif kind == "thinking":
        empty = {"thinking": "", "signature": ""}
        deltas = [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    else:
        empty = {"input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
    yield _event("content_block_start", index=index, content_block={**block, **empty})
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _stream(body: Iterator[bytes]) -> Response:
    return Response(200, body, {"content-type": "text/event-stream"})


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        status, [json.dumps(value).encode()], {"content-type": "application/json", **(headers or {})}
    )
