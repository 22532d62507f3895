"""Decides on rounds beside a worker's turns, in a thread and with a slot of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from celery import Celery
from celery.worker import WorkController

from aqm.engine.canvas import CONTROL, queue_of
from aqm.engine.messages import register
from aqm.engine.worker import Worker

__all__ = ["Control"]

log = logging.getLogger(__name__)


class Control(threading.Thread):
    """A decision takes milliseconds, and a turn minutes: in the turns' slots it would wait behind them, and
    with it a session. It has an app of its own, because a worker consumes the queues of its app."""

    def __init__(self, app: Celery, worker: Callable[[], Worker]) -> None:
        super().__init__(name="aqm-control", daemon=True)
        register(app, worker)
        self._controller = WorkController(
            app=app,
            pool_cls="threads",
            concurrency=1,
            queues=[queue_of(CONTROL)],
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        )

    def run(self) -> None:
        try:
            self._controller.start()
        except Exception:  # the other workers decide, and this one's turns go on
            log.exception("The control consumer broke", extra={"action": "control_broke"})

    def end(self) -> None:
        self._controller.stop()
