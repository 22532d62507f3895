"""What a worker process holds: its store, its threads, and how it lets go of its turns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from celery import Celery

from aqm.engine.heartbeat import Heartbeat, Watchdog
from aqm.engine.identity import identity
from aqm.engine.ring import Ringer
from aqm.engine.run_turn import DRAIN
from aqm.engine.sweep import Sweep
from aqm.engine.worker import Consent, Worker
from aqm.runtimes.base import Host
from aqm.runtimes.private import clear_leftovers
from aqm.runtimes.process import protection
from aqm.settings import Settings
from aqm.storage import migrate
from aqm.storage.database import Database

__all__ = ["Hands"]


class Hands:
    """A team worker's: its tasks have no owner, so any worker may ring, claim and sweep them."""

    def __init__(self, settings: Settings, app: Celery, environ: Mapping[str, str]) -> None:
        assert settings.database_url is not None  # the doorway has seen to it
        self._folder = Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "aqm"
        database = Database(settings.database_url)
        migrate.ensure(database)
        self.worker = Worker(
            database=database,
            name=identity(),
            owner=None,
            host=Host(environ, tuple(settings.pass_env), protection(), settings.script),
            workspace=self._workspace,
            consent=Consent(
                settings.permissions.allow_full,
                settings.permissions.allow_unconfined,
                tuple(settings.flags.allow),
            ),
            lease=settings.lease_seconds,
            ring=Ringer(app),
        )
        self._heartbeat = Heartbeat(database, self.worker.running, settings.lease_seconds)
        self._watchdog = Watchdog(self.worker.running, settings.lease_seconds)
        self._sweep = Sweep(self.worker)

    def start(self) -> None:
        clear_leftovers(self.worker.host)
        for thread in (self._heartbeat, self._watchdog, self._sweep, self.worker.feed):
            thread.start()

    def drain(self) -> None:
        """End this process's CLIs and put their turns back unburnt."""
        self.worker.running.close(DRAIN)

    def close(self) -> None:
        self.worker.running.wait_idle(8)
        for thread in (self._sweep, self._heartbeat, self._watchdog, self.worker.feed):
            thread.end()
        self.worker.database.close()

    def _workspace(self, task: str) -> Path:
        """An empty folder per task, readable by nobody else."""
        folder = self._folder / "workspaces" / task
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        return folder
