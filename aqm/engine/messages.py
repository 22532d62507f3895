"""The Celery tasks. A message is a doorbell: it carries an id, and the rows say what is to be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery

from aqm.engine.canvas import CONDUCT, RUN_TURN
from aqm.engine.conduct import conduct
from aqm.engine.run_turn import run_turn
from aqm.engine.worker import Worker

__all__ = ["SETTINGS", "register"]

SETTINGS: dict[str, Any] = {
    "task_acks_late": True,
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "task_serializer": "json",
    "accept_content": ["json"],
    "result_expires": 86400,
    "broker_connection_retry_on_startup": True,
    "task_create_missing_queues": True,
}


def register(app: Celery, worker: Callable[[], Worker]) -> None:
    """Define the messages on `app`; `worker` gives what this process holds, once it runs."""

    @app.task(name=RUN_TURN, bind=True, shared=False)  # of this app alone: tests open several
    def _run_turn(self: Any, turn: int) -> None:
        run_turn(worker(), turn, self.request.id)

    @app.task(name=CONDUCT, bind=True, shared=False)
    def _conduct(self: Any, stage: int, number: int) -> None:
        conduct(worker(), stage, number, self.request.id)
