"""Fixtures for the command line: a project, `aqm` called in this process, and as a process of its own."""

from __future__ import annotations

import codecs
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aqm.cli.app import aqm
from aqm.service.project import create_project

# Children inherit what is ignored here (nohup, a shell's background job), and Ctrl-C would not reach them.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

Call = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]
Open = Callable[..., "Terminal"]

TEAM = """\
name: default
agents:
  - id: dev
    runtime: claude
    permissions: edit
    handoffs: [{to: qa}]
  - id: qa
    runtime: claude
    permissions: read
    gate: {type: llm, max_retries: 1}
    handoffs: [{to: dev, condition: on_reject}]
"""
SCRIPT = """\
agents:
  dev:
    - {say: "The first version. [/markup] \\e[2J", usage: {input: 1200, output: 300, cost_usd: 0.5}}
    - {say: "The second version."}
  qa:
    work: {say: "I had a look."}
    gate: [{verdict: rejected, reason: "no tests"}, {verdict: approved, reason: "now it has"}]
"""
HANGS = "agents: {dev: {steps: [{say: 'I begin.'}, {pause: 60}]}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose default pipeline is TEAM."""
    create_project(tmp_path, {})
    (tmp_path / ".aqm" / "pipelines" / "default.yaml").write_text(TEAM)
    return tmp_path


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "script.yaml"
    file.write_text(SCRIPT)
    return file


@pytest.fixture
def hangs(tmp_path: Path) -> Path:
    """A script whose first agent does not end."""
    file = tmp_path / "hangs.yaml"
    file.write_text(HANGS)
    return file


@pytest.fixture
def call(project: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`aqm` in this process, in the project's folder, with what a CliRunner takes besides."""
    monkeypatch.chdir(project)

    def call(*words: str, **options: object) -> Result:
        return CliRunner().invoke(aqm, [str(word) for word in words], **options)  # type: ignore[arg-type]

    return call


@pytest.fixture
def start(project: Path) -> Start:
    """`aqm` as a process of its own, in the project's folder."""

    def start(*words: str, **options: object) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-P", "-m", "aqm.cli", *(str(word) for word in words)]
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        settings = {"cwd": project, "env": dict(os.environ), **pipe, **options}
        return subprocess.Popen(argv, **settings)  # type: ignore[call-overload, no-any-return]

    return start


class Terminal:
    """A pseudo-terminal with `aqm` at its other end."""

    def __init__(self, start: Start, *words: str, **environ: str) -> None:
        self.master, slave = pty.openpty()
        settings = {"env": {**os.environ, "TERM": "xterm", **environ}}
        streams = {"stdin": slave, "stdout": slave, "stderr": slave, "start_new_session": True}
        self.process: subprocess.Popen[bytes] = start(*words, **settings, **streams)
        os.close(slave)
        self.said = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def until(self, words: str, times: int = 1) -> str:
        """What was said, up to and with `words`, so many times."""
        deadline = time.monotonic() + 20
        while self.said.count(words) < times:
            assert time.monotonic() < deadline, self.said
            assert self._read() or self.said.count(words) >= times, self.said
        return self.said

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def interrupt(self) -> None:
        """Ctrl-C: the terminal is not the process's controlling one, so it passes no signal on."""
        self.process.send_signal(signal.SIGINT)

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def answer(self, words: str) -> None:
        os.write(self.master, f"{words}\n".encode())

    def end(self) -> int:
        while self._read():
            pass
        return self.process.wait(20)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.master], [], [], 20)
        try:
            piece = os.read(self.master, 65_536) if ready else b""
        except OSError:  # the other end is closed
            return False
        self.said += self.decoder.decode(piece).replace("\r\n", "\n")
        return bool(piece)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(20)
        os.close(self.master)


@pytest.fixture
def terminal(start: Start) -> Iterator[Open]:
    opened: list[Terminal] = []

    def terminal(*words: str, **environ: str) -> Terminal:
        opened.append(Terminal(start, *words, **environ))
        return opened[-1]

    yield terminal
    for one in opened:
        one.close()
