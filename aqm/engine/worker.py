"""What a process that runs turns holds in its hands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aqm.engine.live import LiveFeed
from aqm.engine.running import Running
from aqm.engine.window import SharedWindow, Window
from aqm.errors import AqmError
from aqm.flow.event import Event
from aqm.runtimes.base import Host, Live
from aqm.storage import bells
from aqm.storage.bells import Bell, RoundBell
from aqm.storage.claims import Claim
from aqm.storage.database import Connection, Database

__all__ = ["AnyBell", "Consent", "Worker"]

AnyBell = Bell | RoundBell


@dataclass(frozen=True, slots=True)
class Consent:
    """What this host's operator allows real CLIs to do."""

    allow_full: bool = False
    allow_unconfined: bool = False
    flags: tuple[str, ...] = ()


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Worker:
    """`owner` is this process's identity when it runs embedded tasks, None on a team worker; `name` is its
    identity either way."""

    database: Database
    name: str
    owner: str | None
    host: Host
    workspace: Callable[[str], Path]  # the folder that a task's turns run in
    consent: Consent = Consent()
    lease: float = 30.0
    window: Window = field(default_factory=SharedWindow)
    live_folder: Path | None = None
    feed: LiveFeed = field(default_factory=LiveFeed)  # started by whoever runs turns with live text
    ring: Callable[[Sequence[AnyBell]], None] = _nothing
    on_events: Callable[[Sequence[Event]], None] = _nothing
    on_live: Callable[[Claim, Live], None] = _nothing
    on_fault: Callable[[AqmError], None] = _nothing  # this process cannot record what its turns did
    running: Running = field(default_factory=Running)

    def take_bells(self, connection: Connection, at: float, *, rounds: bool = True) -> list[AnyBell]:
        """What this process is to ring after the commit: turns, as many as there is room for, and rounds that
        have ended."""
        ended = bells.take_rounds(connection, self.owner, at) if rounds else []
        return [*bells.take(connection, self.owner, self.window.room(connection, self.owner), at), *ended]
