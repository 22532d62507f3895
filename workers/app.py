"""The Celery app of a worker host, made from the environment.

    celery -A workers.app worker -Q aqm.claude -P threads --concurrency 4

`AQM_DATABASE_URL` and `AQM_BROKER_URL` name the team's store and broker. Every worker also decides on the
rounds of sessions, in a thread of its own; `serve_control` set to False before it starts leaves it to others.
"""

from __future__ import annotations

import os

from celery import Celery
from celery.apps.worker import Worker as MainWorker
from celery.signals import worker_init, worker_ready, worker_shutdown, worker_shutting_down

from aqm.engine.messages import SETTINGS, register
from aqm.engine.worker import Worker
from aqm.errors import AqmError
from aqm.settings import Settings
from workers.control import Control
from workers.hands import Hands

__all__ = ["app", "serve_control"]

settings = Settings.from_environ(os.environ)
for _name, _value in (("AQM_DATABASE_URL", settings.database_url), ("AQM_BROKER_URL", settings.broker_url)):
    if _value is None:
        raise SystemExit(f"error: {_name} is not set; a worker needs the team's database and its Redis.")


def _app() -> Celery:
    made = Celery("aqm", broker=settings.broker_url, set_as_current=False)
    made.conf.update(
        SETTINGS,
        result_backend=settings.broker_url,  # for chords; nothing else keeps a result
        broker_transport_options={
            "visibility_timeout": 7 * 86400,
            "socket_timeout": 10,
            "socket_connect_timeout": 1,
            "socket_keepalive": True,
            "max_retries": 0,
            "sep": ":",
            "priority_steps": list(range(10)),
        },
    )
    return made


app = _app()
serve_control = True

_hands: list[Hands] = []  # what this process holds, once it works; importing this module opens nothing
_controls: list[Control] = []


def _held() -> Worker:
    return _hands[0].worker


register(app, _held)


@worker_init.connect
def _init(sender: object, **_: object) -> None:
    """Open the store before the first message; a worker that cannot must not start at all."""
    if not isinstance(sender, MainWorker):
        return  # the control thread's own
    try:
        _hands.append(Hands(settings, app, dict(os.environ)))
    except AqmError as error:
        raise SystemExit(f"error: {error}") from None


@worker_ready.connect
def _ready(**_: object) -> None:
    _hands[0].start()
    if serve_control:
        _controls.append(Control(_app(), _held))
        _controls[0].start()


@worker_shutting_down.connect
def _shutting_down(**_: object) -> None:
    _hands[0].drain()


@worker_shutdown.connect
def _shutdown(sender: object, **_: object) -> None:
    if not isinstance(sender, MainWorker):
        return
    for control in _controls:
        control.end()
    _hands[0].close()
