"""Fixtures for driving a real agent CLI: a stand-in for its vendor, a home and a workspace of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli_real.install import CLAUDE, installed
from tests.standin.anthropic import Anthropic, environment
from tests.standin.scenario import Replies
from tests.standin.server import StandIn


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def vendor() -> Iterator[Callable[[Replies], StandIn]]:
    """Starts a stand-in for Anthropic with these replies; it ends with the test."""
    with ExitStack() as stack:
        yield lambda replies: stack.enter_context(StandIn(Anthropic(), replies))


@pytest.fixture
def environ_for(tmp_path: Path) -> Callable[[StandIn], Mapping[str, str]]:
    """The environment of a host on which claude is installed and talks to the stand-in."""
    if not installed(CLAUDE):
        pytest.fail(f"claude {CLAUDE.version} is not installed for these tests; run: make test-cli")
    home = tmp_path / "home"
    home.mkdir()
    path = f"{CLAUDE.program.parent}{os.pathsep}{os.environ['PATH']}"
    return lambda standin: {"PATH": path, "HOME": str(home), **environment(standin.url)}
