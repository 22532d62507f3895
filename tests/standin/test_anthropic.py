"""The stand-in for Anthropic's API, asked as a client would."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

import pytest

from tests.standin.anthropic import Anthropic
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
from tests.standin.server import StandIn

STREAM = {"model": "claude-x", "stream": True, "messages": [{"role": "user", "content": "do it"}]}
WHOLE = {**STREAM, "stream": False}


class Reading:
    """One request and what came back, read until its end or for half a second."""

    def __init__(self, standin: StandIn, body: dict[str, Any], path: str = "/v1/messages?beta=true") -> None:
        host = standin.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=0.5)
        try:
            connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
            self.response = connection.getresponse()
            self.status = self.response.status
            self.text = self.response.read().decode()
        finally:
            connection.close()

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = [line for line in self.text.splitlines() if line.startswith("data: ")]
        return [json.loads(line.removeprefix("data: ")) for line in lines]


def read(reply: Reply, body: dict[str, Any] | None = None) -> Reading:
    with StandIn(Anthropic(), [reply]) as standin:
        return Reading(standin, body or STREAM)


def test_an_answer_streams_thoughts_text_and_usage() -> None:
    events = read(Say("yes", thinking="hm", tokens=Tokens(input=7, output=3, cached=2))).events
    assert events[0]["message"]["usage"]["input_tokens"] == 7
    assert events[0]["message"]["usage"]["cache_read_input_tokens"] == 2
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert [delta.get("thinking") or delta.get("text") for delta in deltas] == ["hm", None, "yes"]
    assert events[-2]["delta"]["stop_reason"] == "end_turn"
    assert events[-2]["usage"] == {"output_tokens": 3}
    assert events[-1] == {"type": "message_stop"}


def test_an_answer_comes_whole_when_no_stream_was_asked_for() -> None:
    message = json.loads(read(Say("yes"), WHOLE).text)
    assert message["content"] == [{"type": "text", "text": "yes"}]
    assert message["model"] == "claude-x"


@pytest.mark.parametrize(
    ("reply", "tool", "given"),
    [
        (WriteFile("a.txt", "A"), "Write", {"file_path": "a.txt", "content": "A"}),
        (RunCommand("ls"), "Bash", {"command": "ls", "description": "a command"}),
        (Give({"n": 3}), "StructuredOutput", {"n": 3}),
    ],
)
def test_a_tool_is_asked_for(reply: Reply, tool: str, given: dict[str, Any]) -> None:
    (block,) = json.loads(read(reply, WHOLE).text)["content"]
    assert (block["name"], block["input"]) == (tool, given)
    (streamed,) = [event for event in read(reply).events if event["type"] == "content_block_delta"]
    assert json.loads(streamed["delta"]["partial_json"]) == given


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "rate_limit_error"), (500, "api_error"), (529, "overloaded_error"), (401, "authentication_error")],
)
def test_a_refusal_has_the_vendors_shape(status: int, kind: str) -> None:
    reading = read(Refuse(status, retry_after=3))
    assert reading.status == status
    assert reading.response.headers["retry-after"] == "3"
    assert json.loads(reading.text)["error"]["type"] == kind


@pytest.mark.parametrize(("reply", "begins"), [(Hang(), b""), (Stall("so far"), b"HTTP/1.1 200 OK")])
def test_a_hang_sends_no_byte_and_a_stall_only_the_beginning(reply: Reply, begins: bytes) -> None:
    with StandIn(Anthropic(), [reply]) as standin:
        heard = heard_until_silence(standin)
    assert heard.startswith(begins)
    assert (b"so far" in heard) == bool(begins)
    assert b"message_stop" not in heard


def heard_until_silence(standin: StandIn) -> bytes:
    body = json.dumps(STREAM).encode()
    heard = b""
    with socket.create_connection(("127.0.0.1", standin.port), timeout=0.5) as client:
        client.sendall(b"POST /v1/messages HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        try:
            while piece := client.recv(65536):
                heard += piece
        except TimeoutError:
            return heard
    raise AssertionError("the connection was closed, and should have stayed open")


def test_a_cut_ends_in_the_middle() -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        read(Cut("so far"))
    assert b"so far" in cut.value.partial


def test_the_script_is_read_in_order_and_its_last_reply_stays() -> None:
    with StandIn(Anthropic(), [Refuse(500), Say("yes")]) as standin:
        assert [Reading(standin, STREAM).status for _ in range(3)] == [500, 200, 200]


def test_a_reply_may_depend_on_the_request_and_side_requests_take_none() -> None:
    def say_the_model(request: Recorded) -> Reply:
        return Say(f"I am {request.body['model']}")

    with StandIn(Anthropic(), say_the_model) as standin:
        counted = Reading(standin, STREAM, "/v1/messages/count_tokens?beta=true")
        assert json.loads(counted.text) == {"input_tokens": 12}
        assert Reading(standin, {}, "/api/event_logging").status == 404
        assert "I am claude-x" in Reading(standin, STREAM).text
        assert [request.body for request in standin.asked] == [STREAM]
        assert len(standin.requests) == 3


def test_its_own_bugs_come_to_light() -> None:
    def broken(request: Recorded) -> Reply:
        raise KeyError("oops")

    with (
        pytest.raises(RuntimeError, match="stand-in itself"),
        StandIn(Anthropic(), broken) as standin,
        pytest.raises(http.client.RemoteDisconnected),
    ):
        Reading(standin, STREAM)
