"""Rings bells: publishes what a committed transaction marked as due.

A bell that is not heard is rung again by the sweep, so that nothing here may fail a turn.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from celery import Celery
from kombu.exceptions import OperationalError

from aqm.engine.canvas import canvas
from aqm.storage.bells import Bell, RoundBell

__all__ = ["Ringer"]

log = logging.getLogger(__name__)


class Ringer:
    def __init__(self, app: Celery, prefix: str = "") -> None:
        self._app, self._prefix = app, prefix

    def __call__(self, bells: Sequence[Bell | RoundBell]) -> None:
        for signature in canvas(self._app, bells, self._prefix):
            try:
                signature.apply_async()
            except (OperationalError, OSError) as error:
                told = {"action": "ring_failed", "turns": len(bells), "error": str(error)}
                log.warning("Could not ring", extra=told)
                return
