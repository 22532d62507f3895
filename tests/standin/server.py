"""The HTTP server of the stand-in: it records every request and lets the vendor's module phrase the reply."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, Self

from tests.standin.scenario import Cut, Hang, Recorded, Replies, Reply, Stall

__all__ = ["Response", "StandIn", "Vendor"]


@dataclass(frozen=True, slots=True)
class Response:
    """The pieces of `body` are sent one by one."""

    status: int = 200
    body: Iterable[bytes] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


class Vendor(Protocol):
    """How one vendor's API looks from outside."""

    def asks(self, method: str, path: str, body: Mapping[str, Any]) -> bool:
        """Whether the request is a turn of the model, to be answered from the script."""
        ...

    def answer(self, reply: Reply, request: Recorded) -> Response:
        """The reply in the vendor's words. Of `Stall` and `Cut`: the events up to the silence."""
        ...

    def aside(self, request: Recorded) -> Response:
        """The answer to any other request."""
        ...


class StandIn:
    """A vendor's API on a free port of loopback, as a context manager."""

    def __init__(self, vendor: Vendor, replies: Replies) -> None:
        self.vendor = vendor
        self.requests: list[Recorded] = []
        self.errors: list[BaseException | None] = []
        self.closing = threading.Event()
        self._replies = replies
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.standin = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self) -> list[Recorded]:
        """The turns of the model that were asked for, in order."""
        with self._lock:
            return [request for request in self.requests if request.asks]

    def take(self, request: Recorded) -> Reply | None:
        """Writes the request down; the script's reply when it asks for one."""
        with self._lock:
            self.requests.append(request)
            number = sum(earlier.asks for earlier in self.requests)
        if not request.asks:
            return None
        if callable(self._replies):
            return self._replies(request)
        return self._replies[min(number, len(self._replies)) - 1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self.errors:
            raise RuntimeError("the stand-in itself failed") from self.errors[0]


class _Server(ThreadingHTTPServer):
    standin: StandIn
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A CLI that was killed leaves its connection broken, which is no news; the rest is our own bug."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            self.standin.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30  # an idle kept-alive connection must not hold the server's end

    def handle_one_request(self) -> None:
        super().handle_one_request()
        self.close_connection = True  # so that a thread ends with its request

    def do_POST(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def _serve(self) -> None:
        standin = self.server.standin
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = _object(raw)
        asks = standin.vendor.asks(self.command, self.path, body)
        request = Recorded(self.command, self.path, dict(self.headers.items()), body, asks)
        reply = standin.take(request)
        if isinstance(reply, Hang):
            standin.closing.wait()
            return
        self._send(standin.vendor.answer(reply, request) if reply else standin.vendor.aside(request))
        if isinstance(reply, Stall):
            standin.closing.wait()
        elif not isinstance(reply, Cut):
            self._end()

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("connection", "close")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in response.body if self.command != "HEAD" else ():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def _end(self) -> None:
        """The last chunk; without it the client knows that the answer was cut."""
        if self.command != "HEAD":
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Silence: the requests are recorded."""


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
