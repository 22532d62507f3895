"""What tests of pure code may not do: open a connection."""

from __future__ import annotations

import socket
from typing import Any

import pytest

__all__ = ["forbid_connections"]


def forbid_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test's end every connect fails it, but for sockets that are files."""
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, _refusing(getattr(socket.socket, name)))


def _refusing(connect: Any) -> Any:
    def refuse(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX:
            pytest.fail(f"tests of pure code may not open connections (to {address})")
        return connect(self, address)

    return refuse
